"""The axis judge of a comparison: its column from what raters said, resuming, cost, and what is refused."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from judge_server import JudgeServer
from synthetic import write_case

from cogneuro_sae import files
from cogneuro_sae.compare import CompareConfig, judge_cost, judging, load_comparison_config, run_comparison
from cogneuro_sae.compare.config_file import plain_config
from cogneuro_sae.compare.inputs import Inputs
from cogneuro_sae.compare.judge_axis import load_judge_axis, with_hashes
from cogneuro_sae.compare.judge_column import ADDED, judge_columns, read_judged
from cogneuro_sae.compare.judge_runs import Run, Searched, Setting
from cogneuro_sae.compare.run import results_folder
from cogneuro_sae.corpus import load_corpus
from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupted
from cogneuro_sae.judge.ledger import Ledger
from cogneuro_sae.stimuli import StimulusSet

FILES = ("table", "nested", "tests", "features")
BASE = {"name": "run", "stimuli": "few.yaml", "representations": {"raw": "raw", "sae": "default", "pc": "pca(5)"},
        "selectors": ["mean_difference", "welch_t"], "k": [1, 3], "folds": {"splits": 4, "repeats": 1, "inner": 2},
        "permutations": 0, "baselines": ["length"], "skylines": [], "axes": ["detection", "judge"], "judge": "judge.yaml"}
JUDGE = {"name": "j", "search": "search.yaml", "raters": [{"provider": "lexical"}], "per_bin": 2, "known": 10}
WINDOWS = {"top": 4, "per_bin": 2, "bins": 2, "random": 3, "zero": 3}


def write(folder, *, config=None, judge=None):
    """A set of eight items, a corpus in which lexical finds something, a judge config and a comparison of it."""
    fear = StimulusSet.from_yaml("fear")
    items = list(dict.fromkeys(fear.table["item"]))[:8]
    rows = fear.table[fear.table["item"].isin(items)][["item", "condition", "text"]].reset_index(drop=True)
    few = StimulusSet.from_frame(rows, name="few", concept="fear", contrasts={"main": "target - near"})
    few.to_yaml(folder / "few.yaml")
    texts = [text[:300] for text in load_corpus("sample").texts[::200]] + list(fear.texts[60::3])
    (folder / "text.txt").write_text("\n\n".join(texts), "utf-8")
    search = {"name": "s", "features": [0], "corpus": "text.txt", "passage": 300, "windows": WINDOWS}
    for name, content in (("search", search), ("judge", JUDGE | (judge or {})), ("config", BASE | (config or {}))):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "config.yaml"


def quiet(*args, **kwargs):
    """In place of the description for the report."""


def compare(path, out, lines=None, **more):
    return run_comparison(path, out=out, describe=quiet, progress=(lines if lines is not None else []).append, **more)


def same(a, b):
    for name in (*FILES, "cells"):
        first, second = (getattr(each, name).drop(columns="seconds", errors="ignore") for each in (a, b))
        pd.testing.assert_frame_equal(first, second, check_exact=True)


def judge_folder(found) -> Path:
    return found.folder / found.provenance["judge"]["runs"][0]["judge"]


def receipts(folder: Path) -> int:
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.rows("SELECT count(*) FROM receipts")[0][0]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    path = write(folder)
    return compare(path, folder / "out"), path


@pytest.mark.slow
def test_the_column_is_the_mean_of_the_judge_s_feature_scores(done):
    found = done[0]
    cells, chosen = found.cells, found.features
    table = pd.read_csv(judge_folder(found) / "features.csv")
    assert table["score"].nunique() > 3
    methods = cells[(cells["kind"] == "method") & (cells["representation"] != "pc")]
    assert len(methods) == 8 and methods["judge"].notna().all() and methods["judge"].nunique() > 2
    for cell in methods.to_dict("records"):
        own = chosen[np.logical_and.reduce([chosen[name] == cell[name] for name in ("representation", "selector", "k")])]
        names = [f"{cell['representation']}:{feature}" for feature in own["feature"]]
        rows = table[table["feature"].isin(names) & (table["arm"] == f"{cell['representation']}_{cell['selector']}")]
        assert cell["judge"] == pytest.approx(rows["score"].mean()) and cell["judge_features"] == len(rows) > 0
        assert cell["judge_valid"] == "not shown" and "baseline lexical, which is no judge" in cell["judge_reason"]
        assert (f"{len(rows)} of {len(names)} features" in cell["judge_reason"]) == (len(rows) < len(names))
    random = table.loc[table["arm"] == "random", "score"]
    controls = cells[(cells["selector"] == "random") & (cells["representation"] == "sae")]
    assert len(random) and list(controls["judge"]) == pytest.approx([random.mean()] * 2)
    rest = cells[(cells["representation"] == "pc") | (cells["kind"] == "baseline")]
    assert rest["judge"].isna().all() and (rest["judge_features"] == 0).all() and (rest["judge_reason"] != "").all()


@pytest.mark.slow
def test_folder_record_and_axes_say_where_the_judge_stands(done):
    found = done[0]
    run, = found.provenance["judge"]["runs"]
    assert run["judge"].startswith("judge/few/model.layers.3.all.mean/judge/") and (found.folder / run["judge"]).is_dir()
    assert (found.folder / run["search"] / "windows.jsonl").is_file() and run["first_line"].startswith("No judge took part")
    assert {"cells.csv", "axes.csv"} <= set(found.provenance["files"]) and not (found.folder / "scored.json").exists()
    assert files.mismatch(found.folder, found.provenance["files"]) is None
    judged = yaml.safe_load((found.folder / run["judge"] / "config.yaml").read_text())
    assert judged["concept"] == "fear" and judged["contrast"] == "main" and Path(judged["stimuli"]).name == "few.yaml"
    arms = set(pd.read_csv(found.folder / run["judge"] / "features.csv")["arm"])
    assert arms == {"raw_mean_difference", "raw_welch_t", "sae_mean_difference", "sae_welch_t", "random", "rate_matched"}
    axes = pd.read_csv(found.folder / "axes.csv")
    table = pd.read_csv(found.folder / run["judge"] / "features.csv").drop_duplicates("feature").set_index("feature")["score"]
    own = found.features[found.features["representation"] != "pc"]
    own = own.assign(name=own["representation"] + ":" + own["feature"].astype(str))
    own = own.drop_duplicates("name").set_index("name")
    both = pd.concat([table, own["effect"] * own["sign"].astype(float)], axis=1, join="inner")
    assert axes["rho"].iloc[0] == pytest.approx(both.iloc[:, 0].corr(both.iloc[:, 1], method="spearman"))
    assert axes["n"].iloc[0] == len(both) and axes["p"].isna().all()


@pytest.mark.slow
def test_the_same_command_is_already_done_and_a_new_writer_costs_no_answer(done, tmp_path):
    found, path = done
    before, lines = receipts(judge_folder(found)), []
    same(found, compare(path, found.folder.parents[1], lines))
    assert any("already done" in line for line in lines) and not any("answered" in line for line in lines)
    new = path.with_name("new.yaml")
    (path.with_name("new_judge.yaml")).write_text(yaml.safe_dump(JUDGE | {"writer": "a person"}))
    new.write_text(yaml.safe_dump(BASE | {"judge": "new_judge.yaml"}))
    lines = []
    again = compare(new, found.folder.parents[1], lines)
    assert again.folder == found.folder and any("tables from before" in line for line in lines)
    assert not any("mean AUROC" in line for line in lines) and receipts(judge_folder(again)) == before
    assert again.provenance["judge"]["config"]["writer"] == "a person"
    same(found, again)
    compare(path, found.folder.parents[1])


@pytest.mark.parametrize("at", [pytest.param("documents of", marks=pytest.mark.long),
                                pytest.param("known positives", marks=pytest.mark.slow)])
def test_a_run_stopped_between_axes_goes_on_and_pays_nothing_twice(done, tmp_path, at):
    found, path = done

    def stop(line):
        if at in line:
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        run_comparison(path, out=out, describe=quiet, progress=stop)
    folder = out / "run" / found.folder.name
    assert (folder / "scored.json").is_file() and not (folder / "provenance.json").exists()
    assert pd.read_csv(folder / "cells.csv")["judge"].isna().all()
    if at == "documents of":
        (folder / "scored.json").write_text((folder / "scored.json").read_text()[:100])
    lines = []
    again = compare(path, out, lines)
    same(found, again)
    assert any("tables from before" in line for line in lines) == (at != "documents of")
    assert all("from before" in line for line in lines if "mean AUROC" in line)
    assert receipts(judge_folder(again)) == receipts(judge_folder(found)) and (folder / "provenance.json").is_file()
    assert not (folder / "parts").exists() and not (folder / "scored.json").exists()


@pytest.mark.slow
def test_a_dry_run_counts_the_calls_and_writes_nothing(done, tmp_path):
    lines = []
    compare(done[1], tmp_path / "dry", lines, dry_run=True)
    counted = next(line for line in lines if line.startswith("judge lexical: at most about "))
    with Ledger(judge_folder(done[0]) / "ledger.sqlite") as ledger:
        assert int(counted.split()[5].replace(",", "")) >= ledger.rows("SELECT count(*) FROM calls")[0][0]
    assert "0.0000 (no charge)" in counted and not (tmp_path / "dry").exists()


@pytest.mark.slow
def test_the_report_says_the_gates_first_and_draws_both_axes(done, tmp_path):
    from cogneuro_sae.report.comparing import comparison_section
    from cogneuro_sae.report.folder import read_run

    found = done[0]

    def shown():
        parts = comparison_section(read_run(found.folder))
        place = [getattr(part, "text", "") for part in parts].index("The judge on the selected features")
        return parts[place + 1:]

    first, drawn, table, axes = shown()[:4]
    assert first.text.startswith("No judge took part") and drawn.title == "Detection against judge"
    assert {"detection", "judge", "judge_valid"} <= set(table.columns) and "rho" in axes.columns
    assert (found.folder / "figures" / "few_detection_judge.png").is_file()
    assert any(judge_folder(found).name in getattr(part, "text", "") for part in shown())
    kept = files.read_json(found.folder / "provenance.json")
    record = files.read_json(found.folder / "provenance.json")
    record["judge"]["runs"][0]["first_line"] = "NOT VALID: x (target) fails known_items 0.4"
    files.write_json(found.folder / "provenance.json", record)
    assert shown()[0].text == "NOT VALID: x (target) fails known_items 0.4"
    files.write_json(found.folder / "provenance.json", {key: value for key, value in record.items() if key != "judge"})
    assert "was not finished" in shown()[0].text
    files.write_json(found.folder / "provenance.json", kept)
    run = read_run(found.folder)
    many = pd.concat([run.tables["cells"].assign(concept=name) for name in ("few", "b", "c", "d")], ignore_index=True)
    parts = comparison_section(run._replace(tables=run.tables | {"cells": many}))     # the page over concepts
    assert [getattr(part, "text", "")[:18] for part in parts[:2]] == ["The judge on the s", "No judge took part"]
    assert not any(getattr(part, "title", "") == "Detection against judge" for part in parts)


@pytest.mark.slow
def test_paid_judges_are_averaged_and_an_exhausted_budget_is_raised_without_paying_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", "sk-planted-axis-0123456789")
    with JudgeServer() as server:
        raters = [{"provider": "openai", "model": name, "base_url": server.openai_url, "key_env": "PLANTED_KEY",
                   "price": [10.0, 100.0]} for name in ("one", "two")] + [{"provider": "lexical"}]
        config = {"representations": {"sae": "default"}, "k": 1, "controls": ["random"]}
        path = write(tmp_path, config=config, judge={"raters": raters, "known": 3, "budget": 0.05, "confirm_above": None})
        with pytest.raises(InputError, match="budget"):
            compare(path, tmp_path / "out")
        part = server.counts()["n_paid"]
        write(tmp_path, config=config, judge={"raters": raters, "known": 3, "budget": 50.0, "confirm_above": 0.001})
        with pytest.raises(InputError, match="would cost about .* raise confirm_above there"):
            compare(path, tmp_path / "out")
        assert server.counts()["n_paid"] == part > 0
        lines = []
        found = compare(path, tmp_path / "out", lines, yes=True)
        assert any("tables from before" in line for line in lines)
        calls = len(pd.read_csv(judge_folder(found) / "scores.csv").query("rater != 'lexical'"))
        assert server.counts()["n_paid"] == calls and max(server.counts()["paid"].values(), default=1) == 1
    cell = found.cells[found.cells["selector"] == "welch_t"].iloc[0]
    assert "mean of 2 judges: openai:one, openai:two" in cell["judge_reason"] and cell["judge_valid"] == "not valid"
    assert found.provenance["judge"]["runs"][0]["first_line"].startswith("NOT VALID")
    written = [each.read_text("utf-8", "ignore") for each in found.folder.rglob("*") if each.is_file()]
    assert not any("sk-planted" in text for text in written)


def folder_of(tmp_path, verdict, raters):
    """A judge folder with two features, as far as the column reads it."""
    rows = [{"concept": "c", "feature": f"sae:{n}", "arm": arm, "rubric": rubric, "rater": rater, "score": score}
            for rater, scores in raters.items() for rubric in ("target", "intruder")
            for n, arm, score in ((1, "sae_a", scores[0]), (1, "sae_b", scores[0]), (2, "sae_b", scores[1]))]
    pd.DataFrame(rows).to_csv(tmp_path / "features.csv", index=False)
    gates = [{"gate": "known_items", "rater": rater, "rubric": "target", "value": 0.5, "low": 0.4, "high": 0.6, "limit": 0.9,
              "passed": verdict, "text": "t"} for rater in raters]
    pd.DataFrame(gates).to_csv(tmp_path / "gates.csv", index=False)
    kinds = {rater: {"kind": "baseline" if rater == "lexical" else "judge", "model": ""} for rater in raters}
    files.write_json(tmp_path / "provenance.json", {"raters": kinds})
    return tmp_path


@pytest.mark.parametrize("passed, valid", [(True, "valid"), (False, "not valid"), ("", "not shown")])
def test_judges_are_averaged_baselines_left_out_and_the_gates_decide_the_word(tmp_path, passed, valid):
    found = read_judged(folder_of(tmp_path, passed, {"a:x": (1.0, 2.0), "lexical": (0.0, 0.0), "b:y": (3.0, np.nan)}))
    assert found.scores.to_dict() == {"sae:1": 2.0, "sae:2": 2.0} and found.valid == valid
    assert found.who == "mean of 2 judges: a:x, b:y" and found.arms == {"sae_a": ["sae:1"], "sae_b": ["sae:1", "sae:2"]}


def test_a_baseline_alone_is_never_valid(tmp_path):
    found = read_judged(folder_of(tmp_path, True, {"lexical": (1.0, 2.0)}))
    assert found.valid == "not shown" and "no judge" in found.who and found.scores.to_dict() == {"sae:1": 1.0, "sae:2": 2.0}


def test_cells_take_only_their_arm_s_features_and_say_why_there_is_none(tmp_path):
    config = CompareConfig.model_validate(
        {"name": "x", "stimuli": ["s"], "selectors": ["max_any", "welch_t"], "k": [1, 2],
         "representations": {"sae": "default"}, "axes": ["detection", "judge"], "judge": "demo"})
    keys = {"concept": "c", "representation": "sae", "site": "s", "window": "all", "pooling": "mean", "ensemble": "e"}
    features = pd.DataFrame([keys | {"selector": name, "k": k, "feature": feature} for name, k, feature in (
        ("max_any", 1, 1), ("max_any", 2, 1), ("max_any", 2, 2), ("welch_t", 1, 3), ("welch_t", 2, 3), ("welch_t", 2, 4))])
    cells = pd.DataFrame([keys | {"selector": name, "k": k, "kind": "method", "judge": np.nan, "status": "ok"}
                          for name in ("max_any", "welch_t") for k in (1, 2)])
    judged = read_judged(folder_of(tmp_path, True, {"a:x": (1.0, 2.0)}))._replace(arms={"sae_max_any": ["sae:1"]})
    run = Run(SimpleNamespace(task=SimpleNamespace(concept="c")), "", "s", "all", "mean", tmp_path)
    found = judge_columns(config, cells, features, [(run, judged)], {})
    assert found["judge"].tolist()[:2] == [1.0, 1.0] and found["judge"].isna().tolist()[2:] == [True, True]
    assert found["judge_reason"].tolist()[:2] == ["judge a:x", "1 of 2 features; judge a:x"]
    assert found["judge_reason"].str.contains("none of its").tolist() == [False, False, True, True]
    assert list(found.columns[-5:]) == ["judge", *ADDED, "status"]
    none = judge_columns(config, found, features, [(run, "nothing to judge: reasons")], {})
    assert none["judge"].isna().all() and set(none["judge_reason"]) == {"nothing to judge: reasons"}
    assert list(none.columns) == list(found.columns)


def test_one_budget_holds_for_all_runs_together(tmp_path, monkeypatch):
    runs = [Searched(Run(SimpleNamespace(task=SimpleNamespace(concept=name)), "", "s", "all", "mean", tmp_path / name),
                     tmp_path, "", "") for name in "abc"]
    spent = dict(zip((tmp_path / name for name in "abc"), (1.0, 0.25, 9.0)))
    given = []
    monkeypatch.setattr(judging, "_spent", lambda run: spent[run.folder])
    monkeypatch.setattr(judging, "judge_config", lambda run, axis, search, budget: given.append(budget))
    monkeypatch.setattr(judging, "judge_features", lambda *args, **more: None)
    axis = SimpleNamespace(config=SimpleNamespace(budget=2.0))
    for one in runs[:2]:
        judging._judged(axis, one, runs[:2], Setting("cpu", False, False, print, print, None), False)
    judging._judged(axis, runs[0], runs, Setting("cpu", False, False, print, print, None), False)
    assert given == [1.75, 1.0, 0.0]


def test_the_cost_of_all_runs_together_is_agreed_to_once(tmp_path, monkeypatch):
    runs = [Searched(Run(None, "", "s", "all", "mean", tmp_path / name), tmp_path, "", "") for name in "abc"]
    monkeypatch.setattr(judge_cost, "judge_config", lambda *args, **more: None)
    monkeypatch.setattr(judge_cost, "judge_features", lambda config, out, dry_run: Path(out))
    monkeypatch.setattr(judge_cost, "_estimates", lambda *args: {"x": SimpleNamespace(cost=0.4)})
    config = SimpleNamespace(raters=[SimpleNamespace(provider="openai")], confirm_above=1.0, rubrics=("target",))
    setting = Setting("cpu", False, False, lambda line: None, print, None)
    with pytest.raises(InputError, match="about 1.20, more than confirm_above 1"):
        judge_cost.agreed(SimpleNamespace(config=config), runs, setting)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "provenance.json").write_text("{}")       # what is finished is paid
    assert judge_cost.agreed(SimpleNamespace(config=config), runs, setting) is True
    config.rubrics = ("target", "explanation", "detection")
    assert judge_cost.agreed(SimpleNamespace(config=config), runs, setting) is False


def test_without_the_axis_the_folder_is_that_of_earlier_versions():
    given = {"name": "x", "stimuli": ["s"], "selectors": ["max_any", "welch_t"], "site": ["a"],
             "planned": {"d": "max_any - welch_t"}}
    config = CompareConfig.model_validate(given)
    inputs = Inputs(config, (), None, None, {}, True, {"stimuli": {"s": "1"}}, ())
    assert str(results_folder(inputs, "out")) == str(Path("out/x/bf7ae2fab9"))     # of the version before this axis
    assert "judge" not in plain_config(config) and load_judge_axis(config) is None
    judged = CompareConfig.model_validate(given | {"axes": ["detection", "judge"], "judge": "demo"})
    other = results_folder(inputs._replace(config=judged), "out")
    assert other != results_folder(inputs, "out")
    named = CompareConfig.model_validate(given | {"axes": ["detection", "judge"], "judge": "/elsewhere/demo.yaml"})
    assert results_folder(inputs._replace(config=named), "out") == other    # by what it says, not by where it lies


def test_without_the_axis_tables_have_no_new_columns(tmp_path):
    path = write_case(tmp_path, units=8, items=10, config={"selectors": "max_any", "k": 1, "skylines": [], "controls": [],
                                                           "baselines": [], "permutations": 0})
    found = compare(path, tmp_path / "o")
    assert not set(ADDED) & set(found.cells) and "judge" not in found.provenance and not (found.folder / "axes.csv").exists()
    assert found.cells["judge"].isna().all()


def test_only_what_makes_answers_enters_the_hash(tmp_path):
    def axis(**fields):
        return load_judge_axis(load_comparison_config(write(tmp_path, judge=fields)))

    first = axis()
    for fields in ({"budget": 3}, {"confirm_above": None}, {"retries": 1}, {"name": "other"}):
        assert axis(**fields) == first._replace(config=axis(**fields).config)
    assert axis(writer="x").hashes == first.hashes and axis(writer="x").plain != first.plain
    config = load_comparison_config(write(tmp_path))
    inputs = Inputs(config, (), None, None, {}, True, {}, ())
    for fields in ({"per_bin": 3}, {"repeats": 2}, {"rubrics": ["target", "intruder"]}, {"search": None}):
        other = axis(**fields)
        assert other.hashes != first.hashes
        assert results_folder(with_hashes(inputs, other), "o") != results_folder(with_hashes(inputs, first), "o")
    write(tmp_path)
    (tmp_path / "text.txt").write_text("another text")
    changed = load_judge_axis(load_comparison_config(tmp_path / "config.yaml"))
    assert changed.hashes["corpus"] != first.hashes["corpus"]


BAD = {
    "no judge config": ({"judge": None}, {}, "write judge: NAME_OR_FILE"),
    "judge without axis": ({"axes": ["detection"]}, {}, "it is not among the axes"),
    "judge alone": ({"axes": ["judge"]}, {}, "detection is always measured"),
    "unknown axis": ({"axes": ["detection", "jugde"]}, {}, "judge"),
    "responses": ({"responses": "x.npz"}, {}, "this comparison brings responses"),
    "nothing to search": ({"representations": {"pc": "pca(5)", "rp": "random_projection(4)"}}, {}, "can be searched for"),
    "one arm twice": ({"representations": {"a": "raw", "a_b": "default"}, "selectors": [
        {"name": "max_any", "as": "b_c"}, {"name": "welch_t", "as": "c"}]}, {}, "names two things"),
    "arm of a control": ({"representations": {"rate": "default"}, "selectors": [{"name": "max_any", "as": "matched"}]}, {},
                         "names two things"),
    "unknown file": ({"judge": "demoo"}, {}, "demo"),
    "no target": ({}, {"rubrics": ["intruder"]}, "add target to rubrics"),
    "answers": ({}, {"rubrics": ["answer"], "search": None, "answers": "a.jsonl"}, "answer"),
    "search folder": ({}, {"search": "."}, "search is a folder"),
    "no rater": ({}, {"raters": []}, "raters"),
    "sheets": ({"pooling": ["mean", "max"]}, {"sheets": ["a.csv"]}, "sheets belong to one judge run"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_clear_error(case, tmp_path):
    change, judge, message = BAD[case]
    path = write(tmp_path, config=change, judge=judge)
    with pytest.raises(InputError) as caught:
        load_judge_axis(load_comparison_config(path))
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_one_definition_is_not_that_of_two_concepts(tmp_path):
    config = load_comparison_config(write(tmp_path, judge={"definition": "being afraid"}))
    assert load_judge_axis(config, n_concepts=1).config.definition == "being afraid"
    with pytest.raises(InputError, match="one definition for 2 concepts"):
        load_judge_axis(config, n_concepts=2)


def test_the_axis_may_be_set_on_the_command_line():
    config = load_comparison_config("demo", ["axes=[detection,judge]", "judge=demo"])
    assert config.axes == ("detection", "judge") and load_judge_axis(config).reading["tokens"] == 120_000
    assert config.arms()["sae", "max_any"] == "sae_max_any" and len(config.arms()) == 6
