"""kill -9 of a run that calls a real server: after resuming each request was paid once and the ledger is whole.

Run as a program this file is the run that gets killed: `python tests/test_judge_kill.py LEDGER URL CALLS MODE`.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KEY = "sk-planted-kill-0123456789abcdef"


def run(path: str, url: str, count: int, mode: str) -> None:
    """Plan and ask `count` requests, by calls or by batches, with waits shortened a hundredfold."""
    from cogneuro_sae.interrupts import Interrupts
    from cogneuro_sae.judge import pricing
    from cogneuro_sae.judge.batches import run_batches
    from cogneuro_sae.judge.calls import run_calls
    from cogneuro_sae.judge.ledger import Ledger, request_hash
    from cogneuro_sae.judge.messages import Request
    from cogneuro_sae.judge.parsing import Parsed
    from cogneuro_sae.judge.providers import make_provider

    vendor, _, batch = mode.partition("-")
    provider = make_provider({"provider": vendor, "model": "judge-1", "timeout": 10.0, "price": [1.0, 10.0],
                              "key_env": "PLANTED_KEY",
                              "base_url": url + ("/v1" if vendor == "openai" else ""), "batch": bool(batch)})
    requests = [Request(f"{number:064x}", "Rate it, answer in JSON.", f"text {number}", ("0", "1", "2", "3"), {
        "type": "object", "properties": {"score": {"type": "integer", "enum": [0, 1, 2, 3]}}, "required": ["score"],
        "additionalProperties": False}, 30) for number in range(count)]

    def parse(request, reply):
        if reply.status != "ok":
            return Parsed(float("nan"), {}, reply.status, reply.reason)
        return Parsed(float(json.loads(reply.text)["score"]), {}, "ok", "")

    def cost(reply):
        return pricing.cost(provider.price, reply.tokens_in, reply.tokens_out, batch=bool(batch))

    settings = {"parse": parse, "cost": cost, "sleep": lambda seconds: time.sleep(seconds / 100)}
    with Interrupts() as interrupts, Ledger(path) as ledger:
        ledger.plan({"key": each.key, "item": each.key[-16:], "rubric": "target", "wording": "a", "rater": provider.name,
                     "repeat": 0, "arm": "", "feature": "", "control": "", "request_hash": request_hash(each)}
                    for each in requests)
        if batch:
            outcome = run_batches(ledger, provider, requests, size=60, interrupts=interrupts, **settings)
        else:
            outcome = run_calls(ledger, provider, requests, concurrency=6, interrupts=interrupts, budget=10.0, **settings)
    print(json.dumps(outcome))


class Scene:
    """A server in one process, a run in another, and a hand on both."""

    def __init__(self, folder: Path, count: int, mode: str, *options: str):
        self.path, self.count, self.mode = folder / "ledger.sqlite", count, mode
        self.log = folder / "log.txt"
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent),
                            "PLANTED_KEY": KEY}
        port = folder / "port"
        self.server = subprocess.Popen([sys.executable, HERE / "judge_server.py", "--port-file", port, *options])
        until(port.exists, 20)
        self.url = f"http://127.0.0.1:{port.read_text()}"

    def start(self) -> subprocess.Popen:
        with self.log.open("a") as log:
            return subprocess.Popen([sys.executable, __file__, self.path, self.url, str(self.count), self.mode],
                                    env=self.environment, stdout=log, stderr=log)

    def counts(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/_counts", timeout=10) as answer:
            return json.load(answer)

    def script(self, **fields) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_script", json.dumps(fields).encode()), timeout=10)

    def close(self) -> None:
        self.server.kill()
        self.server.wait()

    def check_end(self) -> None:
        """Everything once: by the server's count, by the ledger's rows, by the money; the key nowhere."""
        from cogneuro_sae.judge.ledger import Ledger

        counts = self.counts()
        assert len(counts["paid"]) == self.count and set(counts["paid"].values()) == {1}
        with Ledger(self.path, readonly=True) as ledger:
            assert ledger.check() == [] and ledger.counts() == {"done": self.count}
            frame = ledger.to_frame()
            assert frame["key"].is_unique and (frame["status"] == "ok").all() and frame["score"].between(0, 3).all()
            assert ledger.spent().paid == pytest.approx(frame["cost"].sum()) and ledger.spent().paid > 0
            assert ledger.spent().reserved == 0
        for each in self.path.parent.rglob("*"):
            assert not each.is_file() or KEY.encode() not in each.read_bytes(), each


def until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


@pytest.fixture
def scene(tmp_path):
    scenes = []

    def make(*given):
        scenes.append(Scene(tmp_path, *given))
        return scenes[-1]

    yield make
    for each in scenes:
        each.close()


def kill_and_resume(scene: Scene, kills: int, count: int, mode: str, seed: int) -> None:
    """Kill the run `kills` times, each after a random share of the calls and a random moment; then let it end."""
    rng = random.Random(seed)
    stage = scene(count, mode, "--latency", "0.01", "--rates", "429=.03,500=.03,cut=.02,cut-before=.02")
    for share in sorted(rng.uniform(0.0, 0.95) for _ in range(kills)):
        child = stage.start()
        until(lambda: stage.counts()["n_keys"] >= share * count or child.poll() is not None, 60)
        time.sleep(rng.uniform(0, 0.03))
        assert child.poll() is None, stage.log.read_text()
        child.send_signal(signal.SIGKILL)
        child.wait()
    stage.script(faults=["401"] * 20)  # the server's answer repeats the key
    assert stage.start().wait(60) == 0
    told = stage.log.read_text()
    assert "HTTP 401" in told and "[key]" in told, told
    stage.script(faults=[])
    assert stage.start().wait(120) == 0, stage.log.read_text()
    stage.check_end()
    from cogneuro_sae.judge.ledger import Ledger

    with Ledger(stage.path, readonly=True) as ledger:
        assert ledger.to_frame()["reason"].str.contains("cut off").sum() == 0, "done calls say nothing of the past"
        assert 0 < ledger.spent().at_risk < ledger.spent().paid * 4


@pytest.mark.slow
def test_three_kills_of_500_calls(scene):
    kill_and_resume(scene, 3, 500, "openai", seed=1)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["openai", "anthropic"])
def test_ten_kills_of_500_calls(scene, mode):
    kill_and_resume(scene, 10, 500, mode, seed=2)


STAGES = {"upload": r"POST /v1/files$", "created": r"POST .*/batches$", "retrieve": r"GET .*/batches/\*$",
          "results": r"GET .*/(content|results)$"}
"""Endpoints that can be made slow, and how the server counts them."""


def kill_batches(scene: Scene, kills: list[str], mode: str, seed: int) -> None:
    """Kill while an endpoint has the run waiting; at "created" the batch is made but its id has not arrived."""
    rng = random.Random(seed)
    stage, landed = scene(300, mode, "--batch-polls", "2"), []
    for name in kills:
        # reading results ends soon after, so that the moment falls among the rows as they are written down
        stage.script(faults_of={name: ["slow:0.02" if name == "results" else "slow:0.4"]})
        before, child = reached(stage, name), stage.start()
        until(lambda: reached(stage, name) > before or child.poll() is not None, 60)
        time.sleep(rng.uniform(0, 0.12))
        landed += [name] if child.poll() is None else []
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert landed == kills, stage.log.read_text()
    stage.script(faults_of={})
    assert stage.start().wait(120) == 0, stage.log.read_text()
    stage.check_end()
    counts = stage.counts()
    assert counts["batches"] == 5, "five batches of 60, none made twice"
    assert not any(len(key) == 64 for key in counts["replayed"]), "no call stood in two batches"
    assert not any(key.startswith("batch:") for key in counts["replayed"]), "found by asking, not by the idempotency key"


def reached(stage: Scene, name: str) -> int:
    return sum(count for path, count in stage.counts()["requests"].items() if re.match(STAGES[name], path))


@pytest.mark.slow
def test_kills_of_batches(scene):
    kill_batches(scene, ["upload", "created", "retrieve", "results"], "openai-batch", seed=3)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["openai-batch", "anthropic-batch"])
def test_ten_kills_of_batches(scene, mode):
    first = "upload" if mode.startswith("openai") else "created"  # requests of Anthropic travel with the batch
    kill_batches(scene, [first, *["created"] * 3, *["retrieve"] * 3, *["results"] * 3], mode, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_finishes_what_is_under_way_and_exits(scene, number):
    stage = scene(200, "openai", "--latency", "0.05")
    child = stage.start()
    until(lambda: stage.counts()["n_keys"] >= 20, 60)
    child.send_signal(number)
    assert child.wait(20) == 130
    told = stage.log.read_text()
    assert "calls answered) interrupted by" in told and "finishing the piece at hand" in told
    from cogneuro_sae.judge.ledger import Ledger

    with Ledger(stage.path, readonly=True) as ledger:
        states = ledger.counts()
        assert set(states) == {"done", "pending"} and states["done"] == stage.counts()["n_keys"] < 200
    assert stage.start().wait(60) == 0, stage.log.read_text()
    stage.check_end()
    assert stage.counts()["replayed"] == {}


def main() -> int:
    from cogneuro_sae.errors import CogneuroError

    try:
        run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    except CogneuroError as error:
        print(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
