"""The judge run from config to folder: what is asked, kept, resumed, refused; keys and half-written files nowhere."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cogneuro_sae import files
from cogneuro_sae.errors import CogneuroError, InputError, SetupError
from cogneuro_sae.interrupts import Interrupted
from cogneuro_sae.judge.config import JudgeConfig, load_judge_config, plain_config
from cogneuro_sae.judge.items import read_items
from cogneuro_sae.judge.run import judge_features
from cogneuro_sae.judge.tables import read_judge_table
from cogneuro_sae.report import build_report
from cogneuro_sae.search.folder import write_lines
from tests.judge_server import JudgeServer
from tests.judge_world import search

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
KEY = "sk-planted-run-0123456789abcdefXYZ"
TABLES = ("config.yaml", "items.jsonl", "ledger.sqlite", "scores.csv", "features.csv", "gates.csv", "arms.csv",
          "sheet.csv", "provenance.json", "log.txt")
ARMS = {"sae:1": ["chosen"], "sae:2": ["chosen"], "sae:3": ["random"], "sae:4": ["random"]}


def searched(folder, **sizes):
    """A search folder as `search` leaves it."""
    made = search(ARMS, **({"bins": 2, "per_bin": 2, "zero": 2, "top": 1, "random": 1} | sizes))
    folder.mkdir(parents=True)
    card = {"n_tokens": 100, "max": 2.0, "mean": 0.1, "median": 0.0, "active_share": 0.1, "texts_share": 0.2,
            "histogram": {}, "promoted": [], "suppressed": [], "words": [], "ngrams": [], "link": None}
    write_lines(folder / "features.jsonl", [row | card for row in made.features])
    write_lines(folder / "windows.jsonl", made.windows)
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": "made", "concept": "achievement", "model": "default"}))
    names = ["features.jsonl", "windows.jsonl", "config.yaml"]
    files.write_json(folder / "provenance.json", {"verb": "search", "files": files.fingerprints(folder, names)})
    return folder


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("search") / "made" / "0123456789")


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", KEY)


def config(windows, **given):
    return {"name": "run", "search": str(windows), "known": 4, "per_bin": 1, "controls": 0.0, "confirm_above": None,
            "raters": [{"provider": "lexical"}]} | given


def made(windows, **given):
    return JudgeConfig.model_validate(config(windows, **given))


def rater(url, **given):
    return {"provider": "openai", "model": "judge-1", "base_url": url, "key_env": "PLANTED_KEY", "price": [1.0, 10.0],
            "timeout": 10.0} | given


def written(path, data):
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def command(*given, cwd=None, env=None):
    return [sys.executable, "-m", "cogneuro_sae", *map(str, given)], {
        "cwd": cwd, "env": {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent), **(env or {})},
        "stdin": subprocess.DEVNULL}


def ran(*given, **settings):
    argv, rest = command(*given, **settings)
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, **rest)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def calls(folder):
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        return connection.execute("SELECT key, state, score, attempts FROM calls ORDER BY key").fetchall()


def refused(windows, out, *, what, kind=InputError, **given):
    """The error of a run, which must leave nothing behind."""
    before = tree(out) if out.exists() else None
    with pytest.raises(kind) as caught:
        judge_features(made(windows, **given), out=out)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tree(out) if out.exists() else None) == before
    return caught.value


# ---- end to end ------------------------------------------------------------------------------------------------------

def test_lexical_run_leaves_a_whole_folder_and_is_then_done(windows, tmp_path):
    said, wanted = [], made(windows, rubrics=["target", "intruder"], repeats=2, wordings={"target": ["standard", "questions"]},
                            planned={"gain": "chosen - random"})
    folder = judge_features(wanted, out=tmp_path, progress=said.append)
    assert {path.name for path in folder.iterdir()} >= set(TABLES)
    items = read_items(folder / "items.jsonl")
    scores = read_judge_table(folder / "scores.csv")
    expected = sum(2 * (2 if item.rubric == "target" else 1) for item in items)
    assert len(scores) == len(calls(folder)) == expected and scores["key"].is_unique
    assert "raw" not in scores and set(scores["item"]) == {item.item for item in items}
    record = files.read_json(folder / "provenance.json")
    assert files.mismatch(folder, record["files"]) is None
    assert set(record["files"]) == set(TABLES) - {"ledger.sqlite", "log.txt", "provenance.json"}
    latest = max(path.stat().st_mtime_ns for path in folder.iterdir() if path.name in record["files"])
    assert (folder / "provenance.json").stat().st_mtime_ns >= latest
    assert said[-1].startswith("No judge took part")      # the first line of the report, here too
    arms = read_judge_table(folder / "arms.csv")
    assert set(arms.loc[arms["kind"] == "planned", "name"]) == {"gain"}
    assert JudgeConfig.model_validate(yaml.safe_load((folder / "config.yaml").read_text())) == wanted
    before, said[:] = tree(folder), []
    assert judge_features(wanted, out=tmp_path, progress=said.append) == folder
    assert tree(folder) == before and said[-1].startswith("already done")


@pytest.mark.slow
def test_the_report_of_a_finished_and_of_a_partial_folder(windows, tmp_path):
    folder = judge_features(made(windows), out=tmp_path)
    assert "unfinished" not in build_report(folder).read_text("utf-8")
    partial = tmp_path / "run" / "partial"
    shutil.copytree(folder, partial, ignore=shutil.ignore_patterns("figures", "report.html"))
    for names in (("provenance.json", "gates.csv"), ("arms.csv", "features.csv", "scores.csv", "items.jsonl")):
        for name in names:
            (partial / name).unlink()
        page = build_report(partial).read_text("utf-8")
        assert "unfinished run" in page and "run the same judge command again" in page
        assert all(name in page for name in names[1:2])


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["gates.csv", "scores.csv", "provenance.json"])
def test_a_lost_or_damaged_table_is_made_anew_without_a_call(windows, tmp_path, key, lost):
    with JudgeServer() as server:
        wanted = made(windows, raters=[rater(server.openai_url)])
        folder = judge_features(wanted, out=tmp_path)
        paid, whole = server.counts()["requests"], (folder / "gates.csv").read_bytes()
        (folder / lost).write_text("{")
        judge_features(wanted, out=tmp_path)
        assert server.counts()["requests"] == paid
    assert (folder / "gates.csv").read_bytes() == whole
    assert files.mismatch(folder, files.read_json(folder / "provenance.json")["files"]) is None


@pytest.mark.parametrize("change", [{"rubrics": ["intruder"]}, {"wordings": {"target": "questions"}}, {"seed": 1},
                                    {"raters": [{"provider": "lexical", "as": "other"}]}, {"repeats": 2},
                                    {"definition": "something else"}])
def test_what_changes_the_question_changes_the_folder(windows, tmp_path, change):
    assert judge_features(made(windows), out=tmp_path, dry_run=True) != judge_features(made(windows, **change), out=tmp_path,
                                                                                     dry_run=True)


def test_a_changed_prompt_changes_the_folder(windows, tmp_path, monkeypatch):
    from cogneuro_sae.judge.rubrics import Rubric

    before = judge_features(made(windows), out=tmp_path, dry_run=True)
    true = Rubric.hash
    monkeypatch.setattr(Rubric, "hash", lambda self, wording: true(self, wording)[::-1])
    assert judge_features(made(windows), out=tmp_path, dry_run=True) != before


@pytest.mark.parametrize("change", [{"budget": 3.0}, {"writer": "us"}, {"retries": 1}, {"confirm_above": 9.0}])
def test_what_only_says_how_to_ask_leaves_the_folder(windows, tmp_path, change):
    assert judge_features(made(windows), out=tmp_path, dry_run=True) == judge_features(made(windows, **change), out=tmp_path,
                                                                                     dry_run=True)


def test_how_a_rater_is_reached_leaves_the_folder(windows, tmp_path):
    folders = {judge_features(made(windows, raters=[rater("http://127.0.0.1:9/v1", **change)]), out=tmp_path, dry_run=True)
               for change in ({}, {"concurrency": 9}, {"timeout": 3.0}, {"price": [2.0, 2.0]}, {"key_env": "OTHER"})}
    other = judge_features(made(windows, raters=[rater("http://127.0.0.1:9/v1", temperature=1.0)]), out=tmp_path,
                           dry_run=True)
    assert len(folders) == 1 and other not in folders


def test_a_plain_config_reads_back_equal(windows):
    for given in ({}, {"confirm_above": None}, {"confirm_above": 2.0}, {"budget": 0.0}, {"definition": ""},
                  {"raters": [rater("http://127.0.0.1:9/v1", temperature=0.5)]}):
        wanted = made(windows, **given)
        assert JudgeConfig.model_validate(yaml.safe_load(yaml.safe_dump(plain_config(wanted)))) == wanted


def test_references_beside_the_config_are_found_wherever_it_is_called_from(windows, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    for name in ("mine.csv", "old.jsonl"):
        (tmp_path / "there" / name).write_text("")
    path = written(tmp_path / "there" / "one.yaml", config(windows, sheets="mine.csv", raters={
        "provider": "replay", "file": "old.jsonl", "as": "old"}))
    monkeypatch.chdir(tmp_path)
    loaded = load_judge_config(path)
    assert loaded.sheets == (str(tmp_path / "there" / "mine.csv"),)
    assert loaded.raters[0].file == str(tmp_path / "there" / "old.jsonl")


# ---- dry run, cost, budget -------------------------------------------------------------------------------------------

def test_a_dry_run_writes_nothing_and_counts_what_the_run_then_asks(windows, tmp_path, monkeypatch):
    with JudgeServer() as server:
        wanted, said = made(windows, raters=[rater(server.openai_url)], repeats=2), []
        monkeypatch.delenv("PLANTED_KEY", raising=False)      # a dry run needs no key
        judge_features(wanted, out=tmp_path / "out", dry_run=True, progress=said.append)
        assert not (tmp_path / "out").exists() and server.counts()["requests"] == {}
        monkeypatch.setenv("PLANTED_KEY", KEY)
        folder = judge_features(wanted, out=tmp_path / "out")
        assert f": {len(calls(folder))} calls" in " ".join(said) and server.counts()["n_paid"] == len(calls(folder))
        judge_features(wanted, out=tmp_path / "out", dry_run=True, progress=said.append)
        assert f"{len(calls(folder))} calls of this run are answered already" in " ".join(said)


def test_a_budget_ends_the_run_and_a_larger_one_pays_nothing_twice(windows, tmp_path, key):
    with JudgeServer() as server:
        raters = [rater(server.openai_url, concurrency=2)]
        with pytest.raises(InputError, match="calls are left: budget") as caught:
            judge_features(made(windows, raters=raters, budget=0.004), out=tmp_path)
        assert caught.value.exit_code == 2 and "raise the budget" in str(caught.value)
        some = server.counts()["n_paid"]
        assert some > 0
        folder = judge_features(made(windows, raters=raters, budget=5.0), out=tmp_path)
        counts = server.counts()
        assert counts["n_paid"] == counts["n_keys"] == len(calls(folder)) > some and not counts["replayed"]
        assert sum(counts["requests"].values()) == counts["n_paid"]


def test_a_wrong_key_ends_the_run_at_once(windows, tmp_path, key):
    with JudgeServer(rates={"401": 1.0}) as server:
        with pytest.raises(SetupError) as caught:
            judge_features(made(windows, raters=[rater(server.openai_url, concurrency=1)]), out=tmp_path)
        assert caught.value.exit_code == 3 and KEY not in str(caught.value)
        assert sum(server.counts()["requests"].values()) == 1
        server.script(rates={})
        folder = judge_features(made(windows, raters=[rater(server.openai_url, concurrency=1)]), out=tmp_path)
        assert server.counts()["n_paid"] == len(calls(folder))


@pytest.mark.slow
def test_calls_that_failed_are_asked_again_by_the_same_command(windows, tmp_path, key):
    with JudgeServer(faults=["413"]) as server:
        wanted, said = made(windows, raters=[rater(server.openai_url)]), []
        folder = judge_features(wanted, out=tmp_path)
        assert files.read_json(folder / "provenance.json")["unanswered"] == 1
        judge_features(wanted, out=tmp_path)
        assert server.counts()["n_paid"] == len(calls(folder)) and not server.counts()["replayed"]
        judge_features(wanted, out=tmp_path, progress=said.append)
        assert said[-1].startswith("already done")


@pytest.mark.slow
def test_a_cost_that_nobody_agreed_to_is_not_paid(windows, tmp_path, key, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    with JudgeServer() as server:
        with pytest.raises(InputError, match="--yes"):
            judge_features(made(windows, raters=[rater(server.openai_url)], confirm_above=0.0), out=tmp_path)
        assert server.counts()["requests"] == {}
        judge_features(made(windows, raters=[rater(server.openai_url)], confirm_above=0.0), out=tmp_path, yes=True)
        paid = server.counts()["n_paid"]
        next((tmp_path / "run").glob("*/provenance.json")).unlink()
        judge_features(made(windows, raters=[rater(server.openai_url)], confirm_above=0.0), out=tmp_path)
        assert server.counts()["n_paid"] == paid > 0      # what is answered costs nothing, so nothing is to be agreed to


# ---- interrupted, overwritten ----------------------------------------------------------------------------------------

def test_an_interrupted_run_goes_on_where_it_was(windows, tmp_path, key):
    seen = []

    def answer(asked, body):
        seen.append(asked)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return {"score": 2}

    with JudgeServer(answer=answer, latency=0.02) as server:
        wanted = made(windows, raters=[rater(server.openai_url, concurrency=2)])
        with pytest.raises(Interrupted):
            judge_features(wanted, out=tmp_path)
        folder = next((tmp_path / "run").iterdir())
        open_ = [row[0] for row in calls(folder) if row[1] == "pending"]
        assert open_ and not (folder / "provenance.json").exists() and not (folder / "scores.csv").exists()
        before = set(seen)
        judge_features(wanted, out=tmp_path)
        assert len(seen) == len(set(seen)) == len(calls(folder)) and len(set(seen) - before) == len(open_)
        assert (folder / "provenance.json").exists()


@pytest.mark.slow
def test_overwrite_puts_ledger_and_tables_aside_and_asks_again(windows, tmp_path, key):
    with JudgeServer() as server:
        wanted = made(windows, raters=[rater(server.openai_url)])
        folder = judge_features(wanted, out=tmp_path)
        first = server.counts()
        for times in (2, 3):
            judge_features(wanted, out=tmp_path, overwrite=True)
            counts = server.counts()
            assert sum(counts["requests"].values()) == times * sum(first["requests"].values())
        aside = sorted(folder.glob("paid-*"))
        assert len(aside) == 2
        assert all((each / name).is_file() for each in aside for name in ("ledger.sqlite", "scores.csv", "provenance.json"))
        server.script(rates={"401": 1.0})
        with pytest.raises(SetupError):
            judge_features(wanted, out=tmp_path, overwrite=True)
        assert not (folder / "gates.csv").exists()      # no old verdict beside a new ledger


# ---- sheets ----------------------------------------------------------------------------------------------------------

def filled(folder, path, name, *, answer="2", wrong=None):
    sheet = pd.read_csv(folder / "sheet.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    sheet["rater"], sheet["answer"] = name, answer
    if wrong is not None:
        sheet.loc[wrong, "answer"] = "excellent"
    sheet.to_csv(path, index=False)
    return str(path)


def test_a_filled_sheet_becomes_a_rater_and_nobody_is_asked(windows, tmp_path, key):
    with JudgeServer() as server:
        raters = [rater(server.openai_url)]
        folder = judge_features(made(windows, raters=raters), out=tmp_path)
        before, asked = calls(folder), server.counts()["requests"]
        anna = filled(folder, tmp_path / "anna.csv", "anna")
        assert judge_features(made(windows, raters=raters, sheets=[anna]), out=tmp_path) == folder
        assert server.counts()["requests"] == asked and calls(folder) == before
        gates, scores = (read_judge_table(folder / f"{name}.csv") for name in ("gates", "scores"))
        assert "raw" not in scores
        pair = gates[gates["gate"].str.contains("human:anna") & gates["gate"].str.startswith("agreement: ")]
        assert len(pair) and (scores["rater"] == "human:anna").sum() == len(before)
        record = files.read_json(folder / "provenance.json")
        assert record["raters"]["human:anna"] == {"kind": "human", "model": ""} and record["sheets"][0]["file"] == "anna.csv"
        Path(anna).unlink()
        refused(windows, tmp_path, what=anna, raters=raters, sheets=[anna])
        judge_features(made(windows, raters=raters), out=tmp_path)       # and without it the person is gone again
        assert "human:anna" not in set(read_judge_table(folder / "scores.csv")["rater"])


def test_faulty_sheets_are_refused_before_a_finished_folder_is_touched(windows, tmp_path):
    folder = judge_features(made(windows), out=tmp_path)
    good = filled(folder, tmp_path / "b.csv", "bert")
    same = filled(folder, tmp_path / "b2.csv", "bert")
    bad = filled(folder, tmp_path / "bad.csv", "carl", wrong=3)
    error = refused(windows, tmp_path, what="no answer", sheets=[bad])
    assert f"{bad}:" in str(error)
    refused(windows, tmp_path, what="a second sheet of human:bert", sheets=[good, same])
    refused(windows, tmp_path / "new", what="no answer", sheets=[bad])    # nor is a first run begun with it
    refused(windows, tmp_path, what="cannot read the sheet", sheets=[str(tmp_path / "gone.csv")])
    said = []
    judge_features(made(windows, sheets=[good]), out=tmp_path, progress=said.append)
    assert said[-1].startswith("No judge took part") and "human:bert" in said[-1]     # a person is no baseline


# ---- second round, answers, replay ------------------------------------------------------------------------------------

def explaining(asked, body):
    """An explanation where one is asked for, else what the schema allows first."""
    schema = body["response_format"]["json_schema"]["schema"]
    names = set(schema["properties"])
    if "explanation" in names:
        return {"label": "winning", "explanation": "Words about winning.", "certainty": 0.8}
    return {name: part.get("enum", ["x"])[-1] for name, part in schema["properties"].items()}


@pytest.mark.slow
def test_explanations_are_tested_in_a_second_round(windows, tmp_path, key):
    with JudgeServer(answer=explaining) as server:
        wanted = made(windows, raters=[rater(server.openai_url), {"provider": "lexical"}],
                      rubrics=["explanation", "detection", "fuzzing"])
        folder = judge_features(wanted, out=tmp_path)
        items = read_items(folder / "items.jsonl")
        assert {item.rubric for item in items} == {"explanation", "detection", "fuzzing"}
        told = {item.payload["explanation"] for item in items if item.rubric == "detection"}
        assert all("winning" in text.lower() for text in told)
        assert "latent_index_meaning.json" in files.read_json(folder / "provenance.json")["files"]
        assert len(read_judge_table(folder / "scores.csv")) == 2 * len(items)
        assert server.counts()["n_paid"] == len(items)
        said = []
        judge_features(wanted, out=tmp_path, progress=said.append)
        assert said[-1].startswith("already done") and server.counts()["n_paid"] == len(items)


def answers(path, count=6):
    rows = [{"question": f"What is {n} plus {n}?", "answer": f"It is {2 * n}.", "reference": str(2 * n), "arm": "steered"}
            for n in range(count)]
    rows[0]["answer"] += "\u2028(sure)"
    path.write_text("\ufeff" + "".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows), "utf-8")
    return str(path)


def test_answers_are_judged(tmp_path, key):
    given = {"name": "answers", "answers": answers(tmp_path / "a.jsonl"), "rubrics": ["answer"], "confirm_above": None,
             "concept": "arithmetic", "raters": [{"provider": "lexical"}]}
    folder = judge_features(JudgeConfig.model_validate(given), out=tmp_path / "out")
    assert judge_features(JudgeConfig.model_validate(given), out=tmp_path / "out", dry_run=True) == folder
    scores = read_judge_table(folder / "scores.csv")
    items = {item.item: item for item in read_items(folder / "items.jsonl")}
    assert (scores["rubric"] == "answer").all()
    assert all(row.score == 1 for row in scores.itertuples() if not items[row.item].control)
    other = dict(given, answers=answers(tmp_path / "b.jsonl", 7))
    assert judge_features(JudgeConfig.model_validate(other), out=tmp_path / "out", dry_run=True) != folder
    moved = dict(given, answers=str(shutil.copy(tmp_path / "a.jsonl", tmp_path / "c.jsonl")))
    assert judge_features(JudgeConfig.model_validate(moved), out=tmp_path / "out", dry_run=True) == folder


# ---- bad input -------------------------------------------------------------------------------------------------------

BAD = {
    "unknown rubric": ({"rubrics": ["taget"]}, ":9: rubrics: unknown rubric 'taget'"),
    "several faults": ({"rubrics": "taget", "repeats": 0, "raters": {"provider": "lexcal"}}, "lexcal"),
    "unknown wording": ({"wordings": {"target": "zz"}}, "unknown wording"),
    "wordings of an unasked rubric": ({"wordings": {"intruder": "a"}}, "which is not asked"),
    "rater without provider": ({"raters": [{"model": "x"}]}, "provider"),
    "raters empty": ({"raters": []}, "raters"),
    "two raters of one name": ({"raters": [{"provider": "lexical"}] * 2}, "same name"),
    "budget negative": ({"budget": -1}, "budget"),
    "explainer no rater": ({"explainer": "nobody"}, "no rater is called 'nobody'"),
    "tests without explanations": ({"rubrics": ["detection"]}, "none is asked for"),
    "unknown field": ({"budgets": 1}, "budgets"),
    "no search": ({"search": None}, "search is missing"),
    "search and answers": ({"rubrics": ["answer"]}, "judges answers"),
    "repeats as text": ({"repeats": "many"}, "repeats"),
    "a key as a field": ({"raters": [rater("http://host/v1", api_key=KEY)]}, "api_key"),
    "a key as its variable's name": ({"raters": [rater("http://host/v1", key_env=KEY)]}, "key_env"),
    "key in the address": ({"raters": [rater(f"http://me:{KEY}@host/v1")]}, "keys come from the environment"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_config_is_one_line_with_its_place(windows, tmp_path, name):
    given, what = BAD[name]
    path = written(tmp_path / "bad.yaml", {k: v for k, v in config(windows, **given).items() if v is not None or k != "search"})
    with pytest.raises(InputError) as caught:
        load_judge_config(path)
    text = str(caught.value)
    assert what in text and text.count("\n") == 2 * (name == "several faults") and f"{path}" in text and caught.value.exit_code == 2
    assert KEY not in text


BAD_RUNS = {
    "no such search config": ({"search": "no/such.yaml"}, "no/such.yaml", InputError),
    "typo of a shipped search": ({"search": "dmo"}, "dmo", InputError),
    "a name as long as no file's": ({"search": "x" * 400}, "x", InputError),
    "a planned contrast of an unknown arm": ({"planned": {"p": "chosen - randm"}}, "randm", InputError),
    "unknown contrast": ({"contrast": "nope"}, "nope", InputError),
    "no such stimuli": ({"stimuli": "nope"}, "nope", InputError),
    "no such answers": ({"search": None, "rubrics": ["answer"], "answers": "gone.jsonl"}, "gone.jsonl", InputError),
    "typo of a local model": ({"raters": [{"provider": "huggingface", "model": "defalt"}]}, "defalt", CogneuroError),
    "key not set": ({"raters": [{"provider": "openai", "model": "m", "key_env": "NOT_SET_KEY"}]}, "NOT_SET_KEY", SetupError),
    "replay of a lost file": ({"raters": [{"provider": "replay", "file": "gone.jsonl", "as": "old"}]}, "gone.jsonl",
                              CogneuroError),
}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_a_run_that_cannot_be_is_refused_and_nothing_written(windows, tmp_path, name):
    given, what, kind = BAD_RUNS[name]
    error = refused(windows, tmp_path / "out", what=what, kind=kind, **given)
    assert error.exit_code in (2, 3)


def test_a_key_is_missed_before_a_search_of_hours(windows, tmp_path, monkeypatch):
    monkeypatch.setattr("cogneuro_sae.judge.inputs.search_corpus", lambda *_, **__: pytest.fail("the search ran first"))
    refused(windows, tmp_path / "out", what="NOT_SET_KEY", kind=SetupError, search="demo",
            raters=[{"provider": "openai", "model": "m", "key_env": "NOT_SET_KEY"}])


def test_a_search_without_windows_or_unfinished_is_refused(windows, tmp_path):
    bare = shutil.copytree(windows, tmp_path / "bare")
    (bare / "windows.jsonl").write_text("")
    record = {"verb": "search", "files": files.fingerprints(bare, ["features.jsonl", "windows.jsonl"])}
    files.write_json(bare / "provenance.json", record)
    refused(bare, tmp_path / "out", what="no feature with windows")
    (bare / "windows.jsonl").write_text("{}\n")
    refused(bare, tmp_path / "out", what="windows.jsonl")
    (bare / "provenance.json").unlink()
    refused(bare, tmp_path / "out", what="no finished search")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path / "out", what="no search folder")


@pytest.mark.parametrize("line, what", [("{", "not JSON"), ("[]", "an answer is a list"), ('{"question": "q"}', "answer")])
def test_a_broken_file_of_answers_is_refused_with_its_line(tmp_path, line, what):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"question": "q", "answer": "a", "reference": "a"}) + "\n" + line + "\n")
    given = {"name": "x", "answers": str(path), "rubrics": ["answer"], "concept": "sums",
             "raters": [{"provider": "lexical"}]}
    with pytest.raises(InputError) as caught:
        judge_features(JudgeConfig.model_validate(given), out=tmp_path / "out")
    assert what in str(caught.value) and ":2" in str(caught.value) and not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(windows, tmp_path):
    folder = judge_features(made(windows), out=tmp_path, dry_run=True)
    folder.mkdir(parents=True)
    (folder / "thesis.doc").write_text("mine")
    refused(windows, tmp_path, what="holds something else")
    refused(windows, tmp_path, what="holds something else")


# ---- the command -----------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_the_command_shows_the_verdict_and_nowhere_the_key(windows, tmp_path):
    """The key is in no file, log, message or report, whatever the server says back."""
    faults = ["401", "500", "cut", "html", "429:0.01", "truncated", "not-json", "refusal", "400"]
    with JudgeServer(faults=list(faults)) as server:
        path = written(tmp_path / "one.yaml", config(windows, retries=1, raters=[rater(server.openai_url, concurrency=1)]))
        outputs, codes = [], []
        for _ in range(2):
            done = ran("judge", path, "--out", tmp_path / "out", "--debug", env={"PLANTED_KEY": KEY}, cwd=tmp_path)
            outputs.append(done.stdout + done.stderr)
            codes.append(done.returncode)
        assert codes == [3, 0], outputs
        page = Path(done.stdout.strip().splitlines()[-1])
        first = next(line for line in done.stderr.splitlines() if "to be valid: " in line or "NOT VALID" in line)
        assert "openai:judge-1 (target)" in first and "openai:judge-1 (target)" in page.read_text("utf-8")
        assert page.name == "report.html" and (page.parent / "gallery.html").is_file()
        again = ran("report", page.parent, cwd=tmp_path)
        assert again.returncode == 0 and again.stdout.strip().splitlines()[-1].endswith("report.html"), again.stderr
        assert any(KEY in json.dumps(each) for each in server.headers)      # the server did get it
    found = tree(tmp_path)
    assert any(name.endswith("report.html") for name in found) and any(name.endswith("ledger.sqlite") for name in found)
    for name, data in [*found.items(), *((f"output {at}", text.encode()) for at, text in enumerate(outputs))]:
        assert KEY.encode() not in data and KEY[8:28].encode() not in data, name


@pytest.mark.slow
def test_a_killed_command_resumes_and_each_request_is_paid_once(tmp_path):
    windows = searched(tmp_path / "made" / "0123456789", bins=3, per_bin=6, zero=6)
    port = tmp_path / "port"
    server = subprocess.Popen([sys.executable, HERE / "judge_server.py", "--port-file", port, "--latency", "0.05"])
    try:
        deadline = time.monotonic() + 20
        while not port.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port.read_text()}"
        path = written(tmp_path / "one.yaml", config(windows, per_bin=6, known=20, raters=[rater(f"{url}/v1", concurrency=2)]))
        argv, rest = command("judge", path, "--out", tmp_path / "out", env={"PLANTED_KEY": KEY}, cwd=tmp_path)
        running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **rest)
        while counted(url)["n_paid"] < 20 and time.monotonic() < deadline + 30:
            assert running.poll() is None
            time.sleep(0.02)
        running.kill()
        running.wait()
        some = counted(url)["n_paid"]
        folder = next((tmp_path / "out" / "run").iterdir())
        assert not (folder / "provenance.json").exists()
        done = ran("judge", path, "--out", tmp_path / "out", env={"PLANTED_KEY": KEY}, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        counts, rows = counted(url), calls(folder)
        assert 20 <= some < len(rows) and counts["n_paid"] == counts["n_keys"] == len(rows)
        assert sum(counts["replayed"].values()) <= 2 and all(row[1] == "done" for row in rows)
    finally:
        server.kill()
        server.wait()


def counted(url):
    with urllib.request.urlopen(f"{url}/_counts", timeout=5) as reply:
        return json.load(reply)



@pytest.mark.parametrize("concept, what", [("achievment", "did you mean 'achievement'"), ("fear", "the search looked for")])
def test_a_mistyped_or_foreign_concept_is_refused_before_anybody_is_asked(windows, tmp_path, concept, what):
    refused(windows, tmp_path / "out", what=what, concept=concept)


def test_a_search_folder_can_be_reported_as_its_gallery(windows, tmp_path):
    copy = tmp_path / "made" / "0123456789"
    shutil.copytree(windows, copy)
    assert build_report(copy).name == "gallery.html"
