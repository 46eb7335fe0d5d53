"""Calls and batches against a rater in memory: back-off, budget, threads, signals, and a crash after every single step."""

import contextlib
import itertools
import random
import sqlite3
import threading
import time
from collections import Counter

import pytest

from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupted, Interrupts
from cogneuro_sae.judge import batches, calls
from cogneuro_sae.judge.batches import run_batches
from cogneuro_sae.judge.calls import run_calls
from cogneuro_sae.judge.estimate import confirm, estimate, largest_cost
from cogneuro_sae.judge.ledger import Ledger, request_hash
from cogneuro_sae.judge.messages import ProviderError, Reply, Request
from cogneuro_sae.judge.parsing import Parsed
from cogneuro_sae.judge.pricing import Price
from cogneuro_sae.judge.retrying import waiting_time

pytestmark = pytest.mark.slow

PRICE = 1e-3


def requests_for(count: int) -> list[Request]:
    return [Request(f"key{number:04d}", "Rate it.", f"text {number}", max_tokens=5) for number in range(count)]


def planned(path, requests, rater="fake:m") -> Ledger:
    ledger = Ledger(path)
    ledger.plan({"key": each.key, "item": each.key, "rubric": "target", "wording": "a", "rater": rater, "repeat": 0,
                 "arm": "", "feature": "", "control": "", "request_hash": request_hash(each)} for each in requests)
    return ledger


def answer_of(key: str) -> Reply:
    return Reply(str(int(key[3:]) % 4), raw=f'{{"answer": {int(key[3:]) % 4}}}', tokens_in=10, tokens_out=2)


def parse(request, reply) -> Parsed:
    if reply.status != "ok":
        return Parsed(float("nan"), {}, reply.status, reply.reason)
    return Parsed(float(reply.text), {}, "ok", "")


def cost(reply) -> float:
    return (reply.tokens_in + reply.tokens_out) * PRICE


class Fake:
    """A rater that pays once per key, with a list of errors per key to raise first."""

    name, is_judge, paid, model, batch = "fake:m", True, True, "m", None

    def __init__(self, errors=None, *, pause=0.0, lost=False):
        self.errors = {key: list(each) for key, each in (errors or {}).items()}
        self.pause, self.lost = pause, lost
        self.sent, self.bought, self.now, self.most = [], Counter(), 0, 0
        self.lock = threading.Lock()

    def answer(self, request):
        with self.lock:
            self.sent.append(request.key)
            self.now += 1
            self.most = max(self.most, self.now)
            error = self.errors[request.key].pop(0) if self.errors.get(request.key) else None
            if error is None or self.lost:
                self.bought[request.key] = 1
        if self.pause:
            time.sleep(random.random() * self.pause)
        with self.lock:
            self.now -= 1
        if error is not None:
            raise error
        return answer_of(request.key)


class Clock:
    def __init__(self):
        self.slept = []

    def __call__(self, seconds):
        self.slept.append(seconds)


def limit(after=None):
    return ProviderError("HTTP 429: too many requests", retry=True, after=after, lost=False)


def ask(ledger, provider, requests, **settings):
    return run_calls(ledger, provider, requests, parse=parse, cost=cost, **{"sleep": Clock(), **settings})


def test_the_order_of_completion_changes_nothing(tmp_path):
    frames = []
    for number, concurrency in enumerate((1, 3, 12)):
        provider, requests = Fake(pause=0.004), requests_for(40)
        with planned(tmp_path / f"{number}.sqlite", requests) as ledger:
            assert ask(ledger, provider, iter(requests), concurrency=concurrency)[:3] == (40, 0, 0)
            assert ledger.check() == [] and provider.most <= concurrency and set(provider.bought.values()) == {1}
            assert ledger.spent().paid == pytest.approx(40 * 12 * PRICE)
            frames.append(ledger.to_frame().drop(columns=["created", "updated"]))
    assert frames[0].equals(frames[1]) and frames[0].equals(frames[2])
    assert frames[0]["score"].tolist() == [number % 4 for number in range(40)]


def test_calls_run_side_by_side(tmp_path):
    together = threading.Barrier(5, timeout=20)

    class Social(Fake):
        def answer(self, request):
            together.wait()
            return super().answer(request)

    requests = requests_for(10)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert ask(ledger, Social(), requests, concurrency=5)[:3] == (10, 0, 0)


def test_what_is_answered_is_not_asked_again(tmp_path):
    provider, requests = Fake(), requests_for(9)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert ask(ledger, provider, requests[:4]) == (4, 0, 0, pytest.approx(0.048), "")
        assert ask(ledger, provider, requests) == (9, 0, 0, pytest.approx(0.060), "")
        assert ask(ledger, provider, requests) == (9, 0, 0, 0.0, "")
    assert sorted(provider.sent) == [each.key for each in requests]


def test_errors_that_may_pass_are_waited_out(tmp_path):
    clock, requests = Clock(), requests_for(1)
    cut = ProviderError("the connection failed (ReadError)", retry=True)
    provider = Fake({"key0000": [limit(), ProviderError("HTTP 500: down", retry=True, lost=False), limit(after=7.0), cut]})
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert ask(ledger, provider, requests, sleep=clock, concurrency=1)[:3] == (1, 0, 0)
        found = ledger.to_frame().iloc[0]
        assert found["attempts"] == 5 and ledger.check() == []
        assert 0 < found["at_risk"] < 1, "the cut connection alone may have been paid"
        assert found["at_risk"] == pytest.approx(largest_cost(requests[0], provider, cost))
    waits = [waiting_time("key0000", attempt, after) for attempt, after in enumerate((None, None, 7.0, None))]
    assert sum(clock.slept) == pytest.approx(sum(waits))
    assert max(clock.slept) <= 0.25, "a signal is seen soon"


def test_waiting_doubles_with_a_jitter_of_its_own():
    first = [waiting_time("a", attempt) for attempt in range(12)]
    assert all(0.5 * min(2 ** n, 60) <= wait <= min(2 ** n, 60) for n, wait in enumerate(first))
    assert first == [waiting_time("a", attempt) for attempt in range(12)] != [waiting_time("b", n) for n in range(12)]
    assert 30 < waiting_time("a", 0, after=30.0) <= 31.0


@pytest.mark.parametrize("errors, reason, attempts, at_risk", [
    ([ProviderError("HTTP 400: too long", lost=False)], "HTTP 400: too long", 1, 0),
    ([limit()] * 9, "HTTP 429: too many requests (4 attempts)", 4, 0),
    ([ProviderError("the server did not answer in time", retry=True)] * 9,
     "the server did not answer in time (4 attempts)", 4, 4),
    ([ProviderError("HTTP 504: gateway", retry=True)] * 9, "HTTP 504: gateway (4 attempts)", 4, 4),
    ([ProviderError("the connection failed (ConnectError: refused)", retry=True, lost=False)] * 9,
     "the connection failed (ConnectError: refused) (4 attempts)", 4, 0),
])
def test_a_call_without_an_answer_fails_with_a_reason(tmp_path, errors, reason, attempts, at_risk):
    provider, requests = Fake({"key0001": errors}), requests_for(3)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert ask(ledger, provider, requests, retries=3)[:3] == (2, 1, 0)
        found = ledger.to_frame().iloc[1]
        assert (found["state"], found["status"], found["reason"], found["attempts"]) == ("failed", "error", reason, attempts)
        assert found["score"] != found["score"] and ledger.check() == []
        assert ledger.spent().at_risk == pytest.approx(at_risk * largest_cost(requests[1], provider, cost))
        provider.errors.clear()
        assert ledger.reopen() == 1 and ask(ledger, provider, requests)[:3] == (3, 0, 0)


def test_a_wrong_key_stops_at_once_with_one_line(tmp_path):
    wrong = ProviderError("HTTP 401: the key is not accepted", fatal=True, lost=False)
    provider, requests = Fake({f"key{number:04d}": [wrong] for number in range(3, 200)}), requests_for(200)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = ask(ledger, provider, iter(requests), concurrency=4)
        assert outcome.reason == "fake:m: HTTP 401: the key is not accepted" and outcome.done <= 3
        assert (outcome.failed, outcome.left) == (0, 200 - outcome.done) and len(provider.sent) <= 3 + 4
        assert ledger.counts()["pending"] == outcome.left, "nothing is failed by somebody else's fault"
        provider.errors.clear()
        assert ask(ledger, provider, requests) == (200, 0, 0, pytest.approx(outcome.left * 12 * PRICE), "")


def test_a_server_that_is_down_does_not_eat_the_whole_list(tmp_path):
    down = ProviderError("the connection failed (ConnectError: refused)", retry=True)
    provider, requests = Fake({f"key{number:04d}": [down] * 99 for number in range(300)}), requests_for(300)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = ask(ledger, provider, requests, retries=1, concurrency=3)
        assert "calls in a row got no answer, the last: the connection failed" in outcome.reason
        assert calls.GIVE_UP <= outcome.failed <= calls.GIVE_UP + 3 and outcome.left == 300 - outcome.failed


def test_a_server_that_asks_for_an_hour_is_not_waited_for(tmp_path):
    clock, requests = Clock(), requests_for(2)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = ask(ledger, Fake({"key0000": [limit(after=3600)]}), requests, concurrency=1, sleep=clock)
        assert "asks to wait 3601 s" in outcome.reason and outcome.left == 2 and sum(clock.slept) == 0


@pytest.mark.parametrize("seed", range(6))
def test_the_budget_is_never_exceeded(tmp_path, seed):
    rng = random.Random(seed)
    requests, provider = requests_for(40), Fake(pause=0.002)
    cut = ProviderError("the connection failed (ReadError)", retry=True)
    provider.errors = {f"key{number:04d}": [cut] * rng.randrange(3) for number in rng.sample(range(40), 8)}
    worst, budget = largest_cost(requests[0], provider, cost), rng.uniform(0.05, 0.9)
    seen = []
    real = Ledger.spent
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        ledger.spent = lambda: seen.append(real(ledger)) or seen[-1]
        outcome = ask(ledger, provider, requests, budget=budget, concurrency=rng.choice((1, 4, 9)), retries=4)
        assert max(spent.total for spent in seen) <= budget + 1e-6 and real(ledger).total <= budget + 1e-6
        assert outcome.done + outcome.failed + outcome.left == 40 and ledger.check() == []
        if outcome.left:
            assert outcome.reason.startswith(f"budget: {budget:g} does not hold another call of fake:m")
            assert real(ledger).total + worst > budget, "it was used as far as it goes"
        assert ask(ledger, provider, requests, budget=99.0)[:3] == (40, 0, 0)


def test_the_budget_waits_for_calls_that_turn_out_cheaper(tmp_path):
    requests, provider = requests_for(20), Fake(pause=0.003)
    worst = largest_cost(requests[-1], provider, cost)
    assert worst > 5 * 0.012
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = ask(ledger, provider, requests, budget=worst + 19 * 0.012, concurrency=8)
        assert outcome[:3] == (20, 0, 0) and outcome.reason == ""


def test_a_budget_needs_a_price(tmp_path):
    requests = requests_for(2)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        with pytest.raises(InputError, match="no price is known for fake:m, so a budget of 5 cannot be kept"):
            run_calls(ledger, Fake(), requests, parse=parse, cost=lambda reply: None, budget=5.0)
        assert ledger.counts() == {"pending": 2}
        assert run_calls(ledger, Fake(), requests, parse=parse, cost=lambda reply: None)[:4] == (2, 0, 0, 0.0)
        assert ledger.to_frame()["cost"].isna().all()
    free = Fake()
    free.paid = False
    with planned(tmp_path / "free.sqlite", requests) as ledger:
        assert run_calls(ledger, free, requests, parse=parse, cost=lambda reply: 0.0, budget=0.0)[:3] == (2, 0, 0)
    with planned(tmp_path / "paid.sqlite", requests) as ledger:
        assert "budget: 0 does not hold" in ask(ledger, Fake(), requests, budget=0.0).reason


def test_a_signal_lets_calls_under_way_finish(tmp_path):
    requests, interrupts = requests_for(50), Interrupts()

    class Slow(Fake):
        told = False

        def answer(self, request):
            if len(self.sent) >= 20 and not self.told:
                self.told = True
                interrupts.requested = "SIGTERM"
            time.sleep(0.05)
            return super().answer(request)

    provider = Slow()
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        with pytest.raises(Interrupted, match="judging .* of 50 calls answered. interrupted by SIGTERM, everything so far"):
            ask(ledger, provider, iter(requests), interrupts=interrupts, concurrency=5)
        counts = ledger.counts()
        assert set(counts) == {"done", "pending"} and counts["done"] == len(provider.sent) == sum(provider.bought.values())
        interrupts.requested = None
        assert ask(ledger, provider, requests, interrupts=interrupts)[:3] == (50, 0, 0)


def test_a_signal_ends_a_long_wait(tmp_path):
    requests, interrupts = requests_for(2), Interrupts()

    def sleep(seconds):
        interrupts.requested = "SIGINT"
        time.sleep(0.2)

    with planned(tmp_path / "l.sqlite", requests) as ledger:
        with pytest.raises(Interrupted):
            ask(ledger, Fake({"key0000": [limit(after=500)]}), requests, interrupts=interrupts, concurrency=1, sleep=sleep)
        assert ledger.counts() == {"pending": 2}
        assert "429: too many requests; stopped before it was repeated" in ledger.to_frame()["reason"][0]


def test_faults_in_a_rubric_do_not_lose_a_paid_reply(tmp_path):
    def broken(request, reply):
        raise KeyError("score")

    requests, provider = requests_for(3), Fake()
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        with pytest.raises(KeyError):
            run_calls(ledger, provider, requests, parse=broken, cost=cost, concurrency=1)
        found = ledger.to_frame().iloc[0]
        assert (found["state"], found["status"]) == ("done", "unparsable") and ledger.reply("key0000").text == "0"
        assert ledger.check() == [] and found["cost"] == pytest.approx(0.012)


def test_faults_in_a_provider_come_to_the_surface(tmp_path):
    class Broken(Fake):
        def answer(self, request):
            raise ZeroDivisionError("a bug")

    requests = requests_for(3)
    with planned(tmp_path / "l.sqlite", requests) as ledger, pytest.raises(ZeroDivisionError):
        ask(ledger, Broken(), requests)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.counts() == {"pending": 3}


def test_requests_must_be_planned_and_single(tmp_path):
    requests = requests_for(3)
    with planned(tmp_path / "l.sqlite", requests[:2]) as ledger:
        with pytest.raises(InputError, match="call key0002 was not planned"):
            ask(ledger, Fake(), requests)
        with pytest.raises(InputError, match="call key0000 is asked for twice"):
            ask(ledger, Fake(), [requests[0], requests[0]])


def test_progress_is_told(tmp_path, monkeypatch):
    requests, told = requests_for(4), []
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        ask(ledger, Fake(), requests, progress=told.append)
    assert told[-1][:3] == (4, 0, 0)


# ---- batches ---------------------------------------------------------------------------------------------------------

class Server:
    """A provider's batch side that remembers what it was handed, with faults to plant."""

    def __init__(self, *, recognises=True, **faults):
        self.batches, self.recognises, self.faults = {}, recognises, faults
        self.looks, self.bought = Counter(), Counter()

    def send(self, requests):
        keys = tuple(each.key for each in requests)
        if self.faults.get("refuse"):
            raise self.faults["refuse"].pop(0)
        for name, known in self.batches.items():
            if self.recognises and sorted(known) == sorted(keys):
                return name
        name = f"batch{len(self.batches)}"
        self.batches[name] = keys
        self.bought.update(keys)
        if self.faults.get("lose"):
            raise self.faults["lose"].pop(0)
        return name

    def find(self, requests):
        keys = sorted(each.key for each in requests)
        return next((name for name, known in self.batches.items() if sorted(known) == keys), None)

    def state(self, batch_id):
        self.looks[batch_id] += 1
        if self.looks[batch_id] <= self.faults.get("polls", 1):
            return "running"
        return self.faults["states"].pop(0) if self.faults.get("states") else "ended"

    def results(self, batch_id):
        keys = list(reversed(self.batches[batch_id]))
        first = batch_id == "batch0"
        for place, key in enumerate(keys):
            if first and key in self.faults.get("missing", ()):
                continue
            if first and key in self.faults.get("errors", ()):
                yield key, Reply("", f'{{"error": "{key}"}}', "error", "batch_expired: not run in time")
                continue
            if self.faults.get("cut") and place == len(keys) // 2:
                raise self.faults["cut"].pop(0)
            yield key, answer_of(key)
            if key in self.faults.get("twice", ()):
                yield key, answer_of(key)
            if key in self.faults.get("changed", ()):
                yield key, Reply("3", '{"answer": "3!"}', tokens_in=10, tokens_out=2)
        if first and self.faults.get("stray"):
            yield "stray", answer_of("key0001")


class Batching(Fake):
    def __init__(self, server):
        super().__init__()
        self.batch = server


def hand_over(ledger, server, requests, **settings):
    return run_batches(ledger, Batching(server), requests, parse=parse, cost=cost,
                       **{"size": 4, "sleep": Clock(), **settings})


def test_batches_give_what_calls_give(tmp_path):
    requests, server = requests_for(10), Server(polls=3)
    with planned(tmp_path / "a.sqlite", requests) as one, planned(tmp_path / "b.sqlite", requests) as other:
        ask(one, Fake(), requests)
        assert hand_over(other, server, requests) == (10, 0, 0, pytest.approx(0.12), "")
        assert other.check() == [] and [len(keys) for keys in server.batches.values()] == [4, 4, 2]
        skip = ["batch", "created", "updated"]
        assert one.to_frame().drop(columns=skip).equals(other.to_frame().drop(columns=skip))
        assert hand_over(other, server, requests)[:4] == (10, 0, 0, 0.0) and len(server.batches) == 3


def test_polling_backs_off(tmp_path):
    requests, clock = requests_for(2), Clock()
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        hand_over(ledger, Server(polls=5), requests, sleep=clock)
    expected = list(itertools.accumulate(range(4), lambda wait, _: wait * 1.5, initial=7.5))
    assert sum(clock.slept) == pytest.approx(sum(expected))


@pytest.mark.parametrize("faults, told", [
    ({"twice": ["key0001"], "missing": [], "errors": []}, []),
    ({"changed": ["key0001"]}, ["answered twice by different batches or attempts, so perhaps paid twice: 1 (key0001)"]),
    ({"stray": True}, ["a reply to a call that is not in the ledger: 1 (stray)"]),
    ({"cut": [ProviderError("the file of results is broken", retry=True)] * 2}, []),
    ({"missing": ["key0000", "key0002"], "errors": ["key0003"]}, []),
    ({"refuse": [limit(), limit(after=3)]}, []),
    ({"lose": [ProviderError("the server did not answer in time", retry=True)]}, []),
])
def test_odd_results_of_batches(tmp_path, faults, told):
    requests, server = requests_for(6), Server(**faults)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert hand_over(ledger, server, requests)[:3] == (6, 0, 0)
        assert ledger.check() == told
        assert ledger.to_frame()["score"].tolist() == [0, 1, 2, 3, 0, 1], "the first answer stands"
        unanswered = {*faults.get("missing", ()), *faults.get("errors", ())}
        assert {key for key, count in server.bought.items() if count > 1} == unanswered, "handed over once more, only those"


def test_what_a_batch_never_answers_is_failed_with_a_reason(tmp_path):
    requests = requests_for(4)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        server = Server(missing=["key0000"], errors=["key0003"])
        assert hand_over(ledger, server, requests, retries=0) == (2, 2, 0, pytest.approx(0.024), "")
        frame = ledger.to_frame().set_index("key")
        assert list(frame.loc["key0000", ["state", "status", "reason"]]) == [
            "failed", "missing", "the results of batch batch0 have no line for this call"]
        assert list(frame.loc["key0003", ["state", "status", "reason"]]) == [
            "failed", "error", "batch_expired: not run in time"]
        assert ledger.check() == [] and ledger.spent().at_risk > 0


def test_a_batch_that_fails_as_a_whole_goes_again_in_halves(tmp_path):
    requests, server = requests_for(4), Server(states=["failed:token_limit_exceeded"])
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert hand_over(ledger, server, requests)[:3] == (0, 4, 0)
        assert set(ledger.to_frame()["reason"]) == {"batch batch0 failed: token_limit_exceeded"}
        assert ledger.reopen() == 4 and hand_over(ledger, server, requests)[:3] == (4, 0, 0)
    assert [len(keys) for keys in server.batches.values()] == [4, 2, 2], "never the same set twice"


@pytest.mark.parametrize("faults, told", [
    ({"refuse": [ProviderError("HTTP 401: the key is not accepted", fatal=True, lost=False)]}, "HTTP 401"),
    ({"refuse": [limit()] * 99}, "sending a batch: HTTP 429"),
    ({"cut": [ProviderError("the file of results is broken", retry=True)] * 99}, "reading batch batch0: the file of"),
])
def test_batches_stop_with_one_line(tmp_path, faults, told):
    requests, server = requests_for(4), Server(**faults)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = hand_over(ledger, server, requests)
        assert outcome.reason.startswith("fake:m: ") and told in outcome.reason and outcome.left > 0
        server.faults = {}
        assert hand_over(ledger, server, requests)[:3] == (4, 0, 0) and ledger.check() == []
    assert set(server.bought.values()) == {1}


def test_batches_keep_the_budget(tmp_path):
    requests, server = requests_for(12), Server()
    worst = largest_cost(requests[0], Batching(server), cost)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = hand_over(ledger, server, requests, budget=1.6 * worst)
        assert ledger.spent().total <= 1.6 * worst and outcome.left > 0 and outcome.reason.startswith("budget: ")
        assert len(server.batches["batch0"]) == 1 and len(server.batches) > 2, "the rest of the budget is used after it"
        assert outcome.done == len(server.bought) and ledger.check() == []
        assert hand_over(ledger, server, requests, budget=99.0)[:3] == (12, 0, 0)


def test_a_signal_leaves_batches_to_the_provider(tmp_path):
    requests, server, interrupts = requests_for(3), Server(polls=9), Interrupts()

    def sleep(seconds):
        interrupts.requested = "SIGINT"

    with planned(tmp_path / "l.sqlite", requests) as ledger:
        with pytest.raises(Interrupted, match="judging by batches"):
            hand_over(ledger, server, requests, interrupts=interrupts, sleep=sleep)
        assert ledger.counts() == {"batched": 3}
        assert "3 calls are part of a batch" in ask(ledger, Fake(), requests).reason
        assert hand_over(ledger, server, requests)[:3] == (3, 0, 0)
        with pytest.raises(InputError, match="fake:m has no batches"):
            run_batches(ledger, Fake(), requests, parse=parse, cost=cost)


def test_a_provider_that_cannot_be_asked_is_not_sent_a_batch_twice(tmp_path):
    requests, server = requests_for(3), Server(lose=[ProviderError("timeout", retry=True)])
    blind = Batching(server)
    blind.batch = type("Blind", (), {name: getattr(server, name) for name in ("send", "state", "results")})()
    blind.batch.send, blind.batch.state, blind.batch.results = server.send, server.state, server.results
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        outcome = run_batches(ledger, blind, requests, parse=parse, cost=cost, sleep=Clock())
        assert "may or may not have been sent; this provider cannot be asked" in outcome.reason
        assert len(server.batches) == 1 and ledger.counts() == {"batched": 3}


def test_a_provider_that_cannot_tell_yet_does_not_hold_up_the_rest(tmp_path):
    requests = requests_for(7)
    server = Server(lose=[ProviderError("the server did not answer in time", retry=True)], polls=2)
    real = server.find

    def find(asked):
        if not server.looks["batch1"]:
            raise ProviderError("a batch of 4 calls still runs", retry=True, after=60.0, lost=False)
        return real(asked)

    server.find = find
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        assert hand_over(ledger, server, requests)[:3] == (7, 0, 0) and ledger.check() == []
    assert len(server.batches) == 2 and set(server.bought.values()) == {1}


def test_a_batch_of_another_run_is_not_read_by_this_one(tmp_path):
    requests, server = requests_for(4), Server(states=[], polls=99)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        stop = Interrupts()
        stop.requested = "SIGINT"
        with contextlib.suppress(Interrupted):
            hand_over(ledger, server, requests, sleep=lambda seconds: (_ for _ in ()).throw(Interrupted("x")))
        with pytest.raises(InputError, match="batch batch0 holds 2 calls of another run"):
            hand_over(ledger, server, requests[:2])


def test_what_leaves_the_machine_stands_on_the_disk_before(tmp_path):
    requests, seen = requests_for(6), []

    class Watched(Fake):
        def answer(self, request):
            with Ledger(tmp_path / "l.sqlite", readonly=True) as disk:
                seen.append((disk.state(request.key), disk.spent().reserved > 0))
            return super().answer(request)

    class WatchedServer(Server):
        def send(self, asked):
            with Ledger(tmp_path / "l.sqlite", readonly=True) as disk:
                states = {disk.state(each.key) for each in asked}
                seen.append((*states, disk.spent().reserved > 0, *disk.rows("SELECT state, id FROM batches")[-1]))
            return super().send(asked)

    with planned(tmp_path / "l.sqlite", requests) as ledger:
        ask(ledger, Watched(), requests[:2], concurrency=1)
        hand_over(ledger, WatchedServer(), requests)
    assert seen == [("sent", True), ("sent", True), ("batched", True, "sending", "")]


# ---- a crash after every step ----------------------------------------------------------------------------------------

class Crash(BaseException):
    """What kill -9 looks like from inside: nothing after it happens."""


class Fuse:
    """Blows at the n-th step; steps are whatever writes to the disk or leaves the machine."""

    def __init__(self, at):
        self.at, self.steps = at, 0

    def step(self):
        self.steps += 1
        if self.steps == self.at:
            raise Crash


def fused(ledger, server, fuse):
    """Let every transaction and every call of the server be a step before and a step after."""
    real = ledger.transaction

    @contextlib.contextmanager
    def transaction():
        fuse.step()
        with real() as run:
            yield run
            fuse.step()  # a crash inside: nothing of it may stay
        fuse.step()

    ledger.transaction = transaction
    for name in ("send", "find", "state", "answer"):
        method = getattr(type(server), name, None)
        if method is not None:
            def wrapped(*given, bound=method):
                fuse.step()
                answer = bound(server, *given)
                fuse.step()
                return answer
            setattr(server, name, wrapped)


def crash_everywhere(tmp_path, server_of, go, requests):
    """Run with a crash at step 1, 2, 3 ... each time followed by a resumed run; return how many steps there were."""
    for at in itertools.count(1):
        path, server, fuse = tmp_path / f"{at}.sqlite", server_of(), Fuse(at)
        ledger = planned(path, requests)
        ledger.rows("PRAGMA synchronous = OFF")  # no power fails here; flushing is another test's subject
        fused(ledger, server, fuse)
        with contextlib.suppress(Crash), contextlib.closing(ledger):
            go(ledger, server)
        for name in ("send", "find", "state", "answer"):
            server.__dict__.pop(name, None)
        with Ledger(path) as resumed:
            resumed.rows("PRAGMA synchronous = OFF")
            go(resumed, server)
            assert resumed.counts() == {"done": len(requests)} and resumed.check() == [], f"crash at step {at}"
            assert set(server.bought.values()) == {1} and len(server.bought) == len(requests), f"crash at step {at}"
            assert resumed.spent().paid == pytest.approx(len(requests) * 0.012)
            assert resumed.to_frame()["score"].tolist() == [number % 4 for number in range(len(requests))]
        if fuse.steps < at:
            return at - 1


def test_calls_survive_a_crash_at_every_step(tmp_path):
    requests = requests_for(4)
    errors = {"key0002": [limit()]}
    steps = crash_everywhere(tmp_path, lambda: Fake(errors), lambda ledger, server: ask(
        ledger, server, requests, concurrency=1), requests)
    assert steps >= 4 * 8


@pytest.mark.parametrize("recognises", [pytest.param(True, marks=pytest.mark.slow), False])
def test_batches_survive_a_crash_at_every_step(tmp_path, recognises, monkeypatch):
    requests = requests_for(5)
    steps = crash_everywhere(tmp_path, lambda: Server(recognises=recognises), lambda ledger, server: hand_over(
        ledger, server, requests, size=3), requests)
    assert steps >= 30


# ---- estimates -------------------------------------------------------------------------------------------------------

def test_estimates_by_hand():
    requests = [Request(f"k{n}", "s" * 40, "u" * 30, ("0", "1"), None, 20) for n in range(10)]
    provider = Fake()
    provider.price = Price(2.0, 10.0, "USD", "2026-11-21")
    found = estimate(requests, provider)
    assert found[:3] == (10, 200, 20), "70 characters are 20 tokens; a tenth of 20 tokens for a choice"
    assert found.cost == pytest.approx((200 * 2 + 20 * 10) / 1e6)
    assert found.price_line == "fake:m: 2 USD per million tokens sent, 10 answered, prices of 2026-11-21"
    half = estimate(requests, provider, batch=True)
    assert half.cost == pytest.approx(found.cost / 2) and half.price_line.endswith("in a batch times 0.5")
    provider.price = None
    assert estimate(requests, provider)[3:] == (None, "fake:m: no price is known")
    provider.paid = False
    assert estimate(requests, provider)[3:] == (0.0, "fake:m: no charge")
    assert estimate([], provider)[:3] == (0, 0, 0)


def test_the_largest_cost_holds_for_any_text():
    request = Request("k", "é" * 10, "\U0001f600" * 10, (), {"type": "object"}, 50)
    provider = Fake()
    assert largest_cost(request, provider, cost) == pytest.approx((20 + 40 + 18 + 64 + 50) * PRICE)
    provider.max_tokens = 4000
    assert largest_cost(request, provider, cost) == pytest.approx((20 + 40 + 18 + 64 + 4000) * PRICE)


@pytest.mark.parametrize("money, limit_, yes, said, told", [
    (5.0, 10.0, False, None, None), (5.0, None, False, None, None), (50.0, 10.0, True, None, None),
    (50.0, 10.0, False, " Yes\n", None), (None, None, False, None, None),
    (50.0, 10.0, False, "n", "not agreed to spend about 50.00"),
    (None, 10.0, False, "", "not agreed to spend an unknown amount"),
    (50.0, 10.0, False, None, "would cost about 50.00, more than confirm_above 10"),
])
def test_a_person_agrees_above_the_limit(money, limit_, yes, said, told):
    asked = []
    ask_person = None if said is None else lambda question: asked.append(question) or said
    with pytest.raises(InputError, match=told) if told else contextlib.nullcontext():
        confirm(money, limit_, yes=yes, ask=ask_person)
    assert len(asked) == (said is not None)


def test_a_full_disk_stops_with_one_line(tmp_path):
    requests = requests_for(300)
    with planned(tmp_path / "l.sqlite", requests) as ledger:
        pages, = ledger.rows("PRAGMA page_count")[0]
        ledger.rows(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(Exception, match="the ledger cannot be written .database or disk is full.; free some space"):
            ask(ledger, Fake(), requests)
    with sqlite3.connect(tmp_path / "l.sqlite") as bare:
        assert bare.execute("PRAGMA integrity_check").fetchone() == ("ok",)


assert batches.SETTLE > 0
