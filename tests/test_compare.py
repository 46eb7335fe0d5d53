"""run_comparison: tables, identical folds, resuming, what is refused; on synthetic responses, without a model."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from synthetic import PLANTED, make_responses, make_set, write_case

from cogneuro_sae.compare import Comparison, CompareConfig, load_comparison_config, run_comparison
from cogneuro_sae.compare.config_file import plain_config
from cogneuro_sae.compare.folds import make_folds, seed_of
from cogneuro_sae.compare.measures import measure
from cogneuro_sae.compare.planned import contrast_scores, planned_tests
from cogneuro_sae.compare.summary import beyond_surface, stability, surface_floors
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.selection import TopFeatures

pytestmark = pytest.mark.slow

COLUMNS = ("concept contrast model representation site window pooling selector k ensemble kind repeat fold n_train n_test auroc "
           "pair_accuracy balanced_accuracy log_loss d_prime features coverage seconds status reason").split()
CONFIG = {"representations": {"raw": "raw", "pc": "pca(20)"}, "skylines": ["full_probe"],
          "selectors": ["max_any", "welch_t", {"name": "rsa_discriminative", "as": "rsa"}], "ensemble": ["logistic_l1",
                  "mean_z"],
          "controls": ["random", "rate_matched"], "planned": {"flat": "raw - pc", "rsa_vs_max": "rsa - max_any",
                                                             "beyond_words": "raw_welch_t - bag_of_words"}}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    path = write_case(folder, units=40, items=12, config=CONFIG)
    lines = []
    result = run_comparison(path, out=folder / "out", progress=lines.append)
    return result, path, lines


def quiet(*args, **kwargs):
    """In place of the description for the report, which has its own tests."""


def same(a, b):
    """Tables are equal in everything but the seconds."""
    for name in ("table", "cells", "nested", "tests", "features"):
        first, second = (getattr(each, name).drop(columns="seconds", errors="ignore") for each in (a, b))
        pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_table_has_exactly_the_columns_of_the_interface(done):
    with open(done[0].folder / "table.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == COLUMNS
    cells = 2 * 3 * 2 * 2
    floors = 2 + 1
    controls = 2 * 2 * 2
    assert len(rows) - 1 == (cells + floors + controls) * 5
    assert set(done[0].table["kind"]) == {"method", "baseline", "skyline", "control"}


def test_the_folder_holds_what_the_interface_names(done):
    names = {path.name for path in done[0].folder.iterdir()} - {".lock"}
    assert names == {"config.yaml", "table.csv", "cells.csv", "nested.csv", "tests.csv", "features.csv", "maps",
                     "provenance.json", "log.txt", "view"}
    assert done[0].folder.parent.name == "run" and len(done[0].folder.name) == 10
    assert (done[0].folder / "provenance.json").stat().st_mtime_ns >= max(
        (done[0].folder / f"{name}.csv").stat().st_mtime_ns for name in ("table", "cells", "nested", "tests",
                "features"))
    record = json.loads((done[0].folder / "provenance.json").read_text())
    assert record["verb"] == "compare" and len(record["planned_sha256"]) == 64 and record["hashes"]["stimuli"]["toy"]
    assert "rate_matched" in " ".join(record["warnings"])


def test_the_planted_feature_is_found_and_read_out(done):
    cells, table = done[0].cells, done[0].table
    found = cells[(cells["representation"] == "raw") & (cells["selector"].isin(["welch_t", "rsa"]))
                  & (cells["ensemble"] == "logistic_l1")]
    assert (found["auroc"] > 0.95).all() and (found["pair_accuracy"] > 0.95).all()
    raw = table[(table["representation"] == "raw") & (table["selector"] == "welch_t")]
    assert all(str(PLANTED) in text.split() for text in raw["features"])
    assert (found["beyond_surface"] > 0.2).all()
    random = cells[(cells["selector"] == "random") & (cells["representation"] == "raw") & (cells["k"] == 2)]
    assert (random["auroc"] < 0.8).all() and random["interval"].str.contains("30 draws").all()


def test_every_cell_has_the_same_folds(done):
    counts = done[0].table.groupby(["repeat", "fold"])[["n_train", "n_test"]].nunique()
    assert (counts == 1).all().all()
    assert set(done[0].table["n_train"] + done[0].table["n_test"]) == {12}


def test_folds_keep_items_together_and_classes_apart():
    design = make_set(items=12).design()
    folds = make_folds(design.y, design.groups, splits=5, repeats=3, inner=4, seed=1)
    assert [(split.repeat, split.fold) for split in folds] == [(r, f) for r in range(3) for f in range(5)]
    for split in folds:
        assert not set(design.groups[split.train]) & set(design.groups[split.test])
        assert sorted([*split.train, *split.test]) == list(range(len(design)))
        for inner in split.inner:
            assert not set(design.groups[inner.train]) & set(design.groups[inner.test])
            assert sorted([*inner.train, *inner.test]) == sorted(split.train)
    for repeat in range(3):
        held_out = np.concatenate([split.test for split in folds if split.repeat == repeat])
        assert sorted(held_out) == list(range(len(design)))
    assert {tuple(s.test) for s in folds if s.repeat == 0} != {tuple(s.test) for s in folds if s.repeat == 1}
    assert seed_of(0, "a") != seed_of(0, "b") and seed_of(0, "a") == seed_of(0, "a") != seed_of(1, "a")


def test_too_few_items_and_one_sided_folds_are_errors():
    design = make_set(items=9).design()
    with pytest.raises(InputError, match="9 items are too few for 5 folds; allowed: 10 items"):
        make_folds(design.y, design.groups, splits=5, repeats=1, inner=3, seed=0)
    y, groups = np.array([1] * 8 + [0] * 30), np.arange(38)
    with pytest.raises(InputError, match="6 items with one of the two labels are too few for 7 folds"):
        make_folds(y, groups, splits=4, repeats=1, inner=7, seed=0)


def test_measures_by_hand():
    decision = np.array([2.0, 4.0, 1.0, 1.0, -1.0, 5.0, -3.0, -3.0])
    y = np.array([1, 1, 0, 0, 1, 0, 0, 0])
    groups = np.array(["a", "a", "a", "a", "b", "b", "c", "c"])
    found = measure(decision, y, groups, log_odds=True)
    # cells: a+ 3, a- 1, b+ -1, b- 5, c- -3
    assert found.auroc == pytest.approx(3 / 6) and found.pair_accuracy == pytest.approx(0.5)
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1 / 3) / 2)
    z = np.array([3.0, -1.0, -1.0, 5.0, -3.0])[[0, 1, 2, 3, 4]] * [1, -1, 1, -1, -1]
    z = np.array([3.0, -1.0, -1.0, -5.0, 3.0])
    assert found.log_loss == pytest.approx(np.mean(np.log1p(np.exp(-z))))
    from scipy.stats import norm
    assert found.d_prime == pytest.approx(norm.ppf(1.5 / 3) - norm.ppf(2.5 / 4))
    unmatched = measure(decision[[0, 6]], y[[0, 6]], groups[[0, 6]])
    assert np.isnan(unmatched.pair_accuracy) and np.isnan(unmatched.log_loss)


def test_cells_summarise_the_table(done):
    from scipy import stats

    cells, table = done[0].cells, done[0].table
    keys = ["representation", "selector", "k", "ensemble"]
    groups = table[table["kind"] == "method"].groupby(keys)
    name = groups["auroc"].std().idxmax()
    rows = groups.get_group(name)
    cell = cells[(cells[keys] == list(name)).all(axis=1)].iloc[0]
    n, k = {"raw": 40, "pc": 20}[name[0]], name[2]
    assert rows["auroc"].std() > 0.02
    values = rows["auroc"].to_numpy()
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 1 / 4) * values.var(ddof=1))
    assert cell["auroc"] == pytest.approx(values.mean()) and cell["auroc_low"] == pytest.approx(values.mean() - half)
    assert cell["detection"] == cell["auroc"] and pd.isna(cell["judge"]) and cell["n_items"] == 12
    sets = [set(text.split()) for text in rows["features"]]
    pairs = [(a, b) for i, a in enumerate(sets) for b in sets[i + 1:]]
    assert cell["jaccard"] == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
    assert cell["kuncheva"] == pytest.approx(np.mean([(len(a & b) - k * k / n) / (k - k * k / n) for a, b in pairs]))


def test_nested_scores_are_the_cells_chosen_by_inner_folds(done):
    nested, table = done[0].nested, done[0].table
    assert set(nested["method"]) == {f"{r}/{s}/{e}" for r in ("raw", "pc") for s in ("max_any", "welch_t", "rsa")
                                     for e in ("logistic_l1", "mean_z")} | {"best"}
    keys = ["concept", "representation", "selector", "k", "ensemble", "repeat", "fold"]
    joined = nested.merge(table[table["kind"] == "method"], on=keys, suffixes=("", "_cell"))
    assert len(joined) == len(nested) == (12 + 1) * 5
    np.testing.assert_array_equal(joined["auroc"], joined["auroc_cell"])
    best = nested[nested["method"] == "best"].set_index("fold")["inner_auroc"]
    tops = nested[nested["method"] != "best"].groupby("fold")["inner_auroc"].max()
    assert (best.sort_index() == tops.sort_index()).all()


def test_ties_go_to_the_smaller_k_then_to_the_order_of_the_config():
    from cogneuro_sae.compare.nested import nested_table

    base = dict(concept="c", contrast="main", representation="raw", site="", pooling="mean", selector="s", ensemble="e",
                kind="method", repeat=0, fold=0, status="ok", features="", reason="", auroc=0.5, pair_accuracy=0.5,
                balanced_accuracy=0.5, log_loss=0.5, d_prime=0.0)
    rows = [{**base, "window": window, "k": k, "inner_auroc": score}
            for window, k, score in (("all", 8, 0.7), ("span", 4, 0.7), ("all", 4, 0.7), ("all", 2, 0.6))]
    found = nested_table(rows)
    assert found["k"].tolist() == [4, 4] and found["window"].tolist() == ["span", "span"]


def test_planned_contrasts_weigh_methods_as_written(done):
    config = load_comparison_config(done[1])
    scores = {f"{r}/{s}/{e}": np.array([value]) for value, (r, s, e) in enumerate(
        [(r, s, e) for r in ("raw", "pc") for s in ("max_any", "welch_t", "rsa") for e in ("logistic_l1", "mean_z")])}
    scores |= {"bag_of_words": np.array([100.0]), "best": np.array([1e6])}
    assert contrast_scores("raw - pc", config, scores)[0] == np.mean(range(6)) - np.mean(range(6, 12))
    assert contrast_scores("raw_welch_t - bag_of_words", config, scores)[0] == 2.5 - 100
    assert contrast_scores("(rsa - max_any)/2", config, scores)[0] == 2.0
    tests = done[0].tests
    assert tests["name"].tolist() == ["flat", "rsa_vs_max", "beyond_words"] * 2
    assert tests["scope"].tolist() == ["within"] * 3 + ["across"] * 3
    within, across = tests.iloc[:3], tests.iloc[3:]
    assert (within["df"] == 4).all() and (within["n"] == 12).all()
    np.testing.assert_allclose(within["p_adjusted"].iloc[:2], [3 * within["p"].min(), 2 * within["p"].max()])
    # the methods are perfect in every fold and the baseline, below chance, counts as .5: nothing varies
    assert within["estimate"].iloc[2] == 0.5 and np.isnan(within["p"].iloc[2])
    assert "do not vary" in within["reason"].iloc[2] and "counts as .5" in within["reason"].iloc[2]
    assert across["p"].isna().all() and across["reason"].str.contains("over 1 concept: 6 are needed").all()
    assert within["estimate"].iloc[0] == pytest.approx(across["estimate"].iloc[0])


@pytest.mark.slow
def test_over_concepts_the_concept_is_the_unit():
    config = CompareConfig.model_validate({"name": "x", "stimuli": "s", "selectors": ["max_any", "welch_t"],
                                           "planned": {"a": "welch_t - max_any", "b": "sae - raw"}})
    rng, rows = np.random.default_rng(0), []
    for c in range(8):
        for method, gain in (("raw/max_any", 0), ("raw/welch_t", 0.2), ("sae/max_any", 0), ("sae/welch_t", 0.2)):
            for fold in range(5):
                rows.append({"concept": f"c{c}", "method": f"{method}/logistic_l1", "repeat": 0, "fold": fold,
                             "auroc": 0.5 + gain + 0.02 * rng.normal()})
    tests = planned_tests(config, pd.DataFrame(rows), {}, {})
    a, b = tests[tests["scope"] == "across"].to_dict("records")
    assert a["n"] == 8 and a["p"] == pytest.approx(2 / 2**8) and a["p_adjusted"] == pytest.approx(4 / 2**8)
    assert a["estimate"] == pytest.approx(0.2, abs=0.02) and a["low"] > 0.15 and a["d_z"] > 3 and not a["equivalent"]
    assert b["low"] < 0 < b["high"] and b["equivalent"] and "exact" in a["method"] and a["t_low"] > 0.15 < a["bca_low"]


def test_a_baseline_below_chance_counts_as_chance():
    row = {"concept": "c", "representation": "", "site": "", "window": "", "pooling": "", "k": None, "ensemble": "",
           "kind": "baseline"}
    rows = [{**row, "selector": name, "auroc": value} for name, values in (("length", (0.2, 0.4)), ("words", (0.3,
            0.6)))
            for value in values]
    name, floor = surface_floors(rows)["c"]
    assert name == "words" and floor.tolist() == [0.5, 0.5]
    found = beyond_surface([{"auroc": 0.5}, {"auroc": 0.7}], (name, floor), 2)
    assert found["beyond_surface"] == pytest.approx(0.1) and found["verdict"] == "no evidence beyond surface form"
    clear = beyond_surface([{"auroc": 0.9}, {"auroc": 0.90001}], (name, floor), 2)
    assert clear["verdict"] == "" and clear["beyond_surface_low"] > 0


def test_stability_by_hand():
    found = stability([{"features": "1 2"}, {"features": "1 2"}, {"features": "1 3"}], 10)
    assert found["jaccard"] == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert found["kuncheva"] == pytest.approx((1 + 2 * (1 - 0.4) / (2 - 0.4)) / 3)
    assert np.isnan(stability([{"features": ""}], 10)["jaccard"])


def test_maps_and_features_are_written_and_descriptive(done):
    with np.load(done[0].folder / "maps" / "toy.npz", allow_pickle=False) as arrays:
        found = FeatureMap.from_arrays(dict(arrays), prefix="raw.model.layers.0.all.mean.welch_t/")
    assert found.top(1)[0] == PLANTED and found.p_fwe[PLANTED] == pytest.approx(1 / 51) and found.info["descriptive"] is True
    features = done[0].features
    first = features[(features["selector"] == "welch_t") & (features["representation"] == "raw") & (features["rank"] == 1)]
    assert set(first["feature"]) == {PLANTED} and (first["share_of_folds"] == 1).all() and (first["effect_name"] == "d_z").all()
    assert (first["ci_low"] < first["effect"]).all() and (first["effect"] < first["ci_high"]).all() and (first["ci_low"] > 0).all()
    assert (features["inference"] == "descriptive").all()
    assert features[features["selector"] == "max_any"]["p_fwe"].isna().all()


def test_selection_in_the_comparison_equals_a_selector_on_responses(done, tmp_path):
    stimuli = make_set(items=12)
    responses, design = make_responses(stimuli, units=40), stimuli.design()
    folds = make_folds(design.y, design.groups, splits=5, repeats=1, inner=3, seed=seed_of(0, "toy"))
    table = done[0].table
    for name, label in (("welch_t", "welch_t"), ("rsa_discriminative", "rsa"), ("max_any", "max_any")):
        rows = table[(table["representation"] == "raw") & (table["selector"] == label) & (table["k"] == 4)
                     & (table["ensemble"] == "mean_z")].sort_values("fold")
        for split, features in zip(folds, rows["features"]):
            selector = TopFeatures(name, 4).fit(responses[split.train], design.y[split.train],
                                                groups=design.groups[split.train])
            assert features == " ".join(map(str, selector.indices_))


def test_the_same_call_is_already_done_and_loads_the_same(done):
    lines = []
    start = time.perf_counter()
    again = run_comparison(done[1], out=done[0].folder.parents[1], progress=lines.append)
    assert any("already done" in line for line in lines) and time.perf_counter() - start < 5
    same(done[0], again)
    pd.testing.assert_frame_equal(done[0].table, again.table)


def test_save_and_load_round_trip(done, tmp_path):
    done[0].save(tmp_path / "copy")
    same(done[0], Comparison.load(tmp_path / "copy"))
    with pytest.raises(InputError, match="no finished comparison"):
        Comparison.load(tmp_path)


def test_headline_and_html_show_floors_skylines_and_random(done):
    what = " ".join(done[0].headline()["what"])
    for name in ("nested", "bag_of_words", "length", "chance", "full_probe", "random", "raw / rsa"):
        assert name in what
    text, page = done[0].summary(), done[0]._repr_html_()
    assert "chance" in text and "<table" in page and len(text.splitlines()) > 20


def test_the_config_on_disk_runs_again(done):
    stored = yaml.safe_load((done[0].folder / "config.yaml").read_text())
    assert plain_config(CompareConfig.model_validate(stored)) == stored
    assert stored["draws"] == 30 and Path(stored["stimuli"][0]).is_absolute()
    assert run_comparison(CompareConfig.model_validate(stored), out=done[0].folder.parents[1]).folder == done[0].folder


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_ends_with_the_same_numbers(done, tmp_path):
    seen = []

    def stop(line):
        seen.append(line)
        if len([each for each in seen if "mean AUROC" in each]) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(done[1], out=tmp_path, progress=stop, describe=quiet)
    folder = tmp_path / "run" / done[0].folder.name
    parts = sorted((folder / "parts").glob("*.json"))
    assert len(parts) == 7 and not (folder / "provenance.json").exists()
    parts[0].write_text(parts[0].read_text()[:200])
    text = parts[1].read_text()
    parts[1].write_text(text.replace('"fold": 0', '"fold": 1', 1))
    lines = []
    again = run_comparison(done[1], out=tmp_path, progress=lines.append, describe=quiet)
    assert sum("from before" in line for line in lines) == 5
    same(done[0], again)
    assert not (folder / "parts").exists()


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_numbers(done, tmp_path):
    code = f"from cogneuro_sae.compare import run_comparison; run_comparison({str(done[1])!r}, out={str(tmp_path)!r})"
    folder = tmp_path / "run" / done[0].folder.name
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        before = len(list((folder / "parts").glob("*.json")))
        while process.poll() is None and len(list((folder / "parts").glob("*.json"))) < before + 2:
            time.sleep(0.02)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        if number != signal.SIGKILL:
            assert "everything so far is saved" in told and "re-run the same command to resume" in told
        assert process.returncode != 0 and not (folder / "provenance.json").exists()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    same(done[0], Comparison.load(folder))


def test_a_locked_folder_and_a_foreign_folder_are_refused(done, tmp_path):
    from cogneuro_sae import files

    folder = tmp_path / "a" / "run" / done[0].folder.name
    code = (f"import time\nfrom cogneuro_sae import files\nwith files.locked({str(folder)!r}):\n    print('in', flush=True)\n"
            "    time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "in"
        with pytest.raises(SetupError, match="in use by process"):
            run_comparison(done[1], out=tmp_path / "a")
    finally:
        process.kill()
        process.wait()
    other = tmp_path / "b" / "run" / done[0].folder.name
    other.mkdir(parents=True)
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        run_comparison(done[1], out=tmp_path / "b")
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    (tmp_path / "c").write_text("a file")
    with pytest.raises(InputError, match="is a file"):
        run_comparison(done[1], out=tmp_path / "c")
    assert files.MANIFEST


def test_dry_run_writes_nothing(done, tmp_path):
    lines = []
    found = run_comparison(done[1], out=tmp_path / "dry", dry_run=True, progress=lines.append)
    assert not (tmp_path / "dry").exists() and len(found.table) == 0 and found.folder.name == done[0].folder.name
    assert any("24 cells on 1 x 5 folds" in line for line in lines)


@pytest.mark.slow
def test_overwrite_makes_it_again(done, tmp_path):
    path = write_case(tmp_path, units=10, items=10, config={"selectors": "max_any", "k": 2, "skylines": [],
                                                            "permutations": 0})
    first = run_comparison(path, out=tmp_path / "o", describe=quiet)
    lines = []
    second = run_comparison(path, out=tmp_path / "o", overwrite=True, progress=lines.append, describe=quiet)
    assert not any("already done" in line or "from before" in line for line in lines)
    same(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["table.csv", "maps/synthetic.npz"])
def test_a_finished_run_that_lost_a_file_is_computed_again(tmp_path, lost):
    path = write_case(tmp_path, units=10, items=10, config={"selectors": "max_any", "k": 2, "skylines": [],
                                                            "permutations": 0})
    first = run_comparison(path, out=tmp_path / "o", describe=quiet)
    lost = lost.replace("synthetic", str(first.table["concept"].iloc[0]))
    (first.folder / lost).write_bytes(b"torn")
    lines = []
    second = run_comparison(path, out=tmp_path / "o", progress=lines.append, describe=quiet)
    assert any(Path(lost).name in line and "computed again" in line for line in lines)
    same(first, second)


def test_failed_rows_keep_their_place(tmp_path, monkeypatch):
    from cogneuro_sae.selection.scores import SCORES

    def refusing(X, y, *, groups, sources=None):
        raise InputError("these features are not what the score expects")

    monkeypatch.setitem(SCORES, "refusing", refusing)
    path = write_case(tmp_path, units=12, items=10, signed=True, planted=(),
                      config={"selectors": ["refusing", "mean_difference"], "k": [1, 2], "ensemble": ["template",
                              "mean_z"],
                              "baselines": ["length"], "permutations": 0})
    found = run_comparison(path, out=tmp_path / "o", describe=quiet)
    refused = found.table[found.table["selector"] == "refusing"]
    assert (refused["status"] == "failed").all() and refused["reason"].str.contains("not what the score expects").all()
    assert refused["auroc"].isna().all() and len(refused) == 4 * 5
    one = found.table[(found.table["selector"] == "mean_difference") & (found.table["k"] == 1)]
    assert set(one[one["ensemble"] == "template"]["status"]) == {"failed"} and set(one[one["ensemble"] == "mean_z"]["status"]) == {"ok"}
    cell = found.cells[(found.cells["selector"] == "refusing")].iloc[0]
    assert cell["status"] == "failed" and cell["n_failed"] == 5 and pd.isna(cell["auroc"])
    assert any("rows failed" in line for line in found.provenance["warnings"])
    assert "-" in found.summary()


def test_pooled_responses_and_far_foils(tmp_path):
    from cogneuro_sae.responses import Responses

    stimuli = make_set(items=12, far=True)
    stimuli.to_yaml(tmp_path / "toy.yaml")
    X = make_responses(stimuli, units=15).pool(transform="none")
    Responses.from_pooled(X[::-1], ids=stimuli.ids[::-1]).save(tmp_path / "x.npz")
    config = {"name": "p", "stimuli": "toy.yaml", "responses": "x.npz", "contrast": "far",
              "representations": {"raw": "raw"},
              "selectors": ["welch_t", {"name": "rsa_categorical", "variant": "pooled"}], "k": 2, "ensemble": "lda",
              "folds": {"splits": 4, "repeats": 1, "inner": 3}, "permutations": 50, "controls": []}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    found = run_comparison(tmp_path / "c.yaml", out=tmp_path)
    assert set(found.table["status"]) == {"ok"} and found.table["pair_accuracy"].isna().all()
    assert (found.cells[found.cells["kind"] == "method"]["auroc"] > 0.9).all()
    assert set(found.features["effect_name"]) == {"hedges_g"} and PLANTED in set(found.features["feature"])
    for change, message in (({"selectors": ["paired_t"]}, "paired_t needs matched items"), ({"window": "first(5)"},
            "pooled already"),
                            ({"selectors": ["rsa_discriminative"]}, "needs token profiles"),
                            ({"representations": {"p": "pca(3)"}}, "pooled already"), ({"k": 16},
                                    "k = 16 with n_features = 15"),
                            ({"contrast": "nope"}, "nope"), ({"folds": {"splits": 20}}, "too few for 20 folds")):
        (tmp_path / "bad.yaml").write_text(yaml.safe_dump(config | change))
        with pytest.raises(InputError, match=message):
            run_comparison(tmp_path / "bad.yaml", out=tmp_path / "bad")
        assert not (tmp_path / "bad").exists()


BAD = {
    "unknown selector": ({"selectors": ["max_ayn"]}, "did you mean 'max_any'"),
    "unknown option": ({"selectors": [{"name": "specialist", "treshold": 3}]}, "did you mean 'threshold'"),
    "unknown variant": ({"selectors": [{"name": "rsa_discriminative", "variant": "pooled"}]},
                        "has no variant 'pooled'"),
    "no selectors": ({"selectors": []}, "is empty"),
    "no k": ({"k": []}, "is empty"),
    "duplicate k": ({"k": [8, 8]}, "duplicate cells"),
    "duplicate selector": ({"selectors": ["max_any", "max_any"]}, "duplicate cells"),
    "same selector twice under names": ({"selectors": ["max_any", {"name": "max_any", "as": "other"}]},
                                        "duplicate cells"),
    "duplicate representation": ({"representations": {"a": "raw", "b": "raw"}}, "duplicate cells"),
    "bad representation": ({"representations": {"a": "pca(0)"}}, "not a representation"),
    "one fold": ({"folds": {"splits": 1}}, "greater than or equal to 2"),
    "k below 1": ({"k": 0}, "greater than or equal to 1"),
    "permutations below 0": ({"permutations": -1}, "greater than or equal to 0"),
    "few draws": ({"draws": 5}, "greater than or equal to 30"),
    "unknown window": ({"window": "frist(5)"}, "did you mean 'first"),
    "unknown pooling": ({"pooling": "maen"}, "did you mean 'mean'"),
    "unknown ensemble": ({"ensemble": "logistic"}, "did you mean 'logistic_l1'"),
    "unknown key": ({"selector": "max_any"}, "did you mean 'selectors'"),
    "unknown baseline": ({"baselines": ["bag_of_word"]}, "did you mean 'bag_of_words'"),
    "planned name": ({"planned": {"x": "max_ayn - welch_t"}}, "unknown name"),
    "planned sum": ({"planned": {"x": "max_any"}}, "sum to 1"),
    "seed": ({"seed": -1}, "greater than or equal to 0"),
    "two sources": ({"responses": "x.npz", "site": "middle"}, "exclude each other"),
    "name": ({"name": "Not ok"}, "name"),
    "one name twice": ({"representations": {"max_any": "raw"}}, "names two things"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_configs_are_one_clear_error(case, tmp_path):
    change, message = BAD[case]
    config = {"name": "x", "stimuli": ["s"], "selectors": ["max_any", "welch_t"]} | change
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError) as caught:
        load_comparison_config(tmp_path / "c.yaml")
    assert message in str(caught.value) and "c.yaml:" in str(caught.value)


@pytest.mark.parametrize("name, cells", [("study_c", 6), ("demo", 6), ("achievement", 60)])
def test_shipped_configs_are_valid(name, cells):
    config = load_comparison_config(name)
    grid = len(config.representations) * len(config.selectors) * len(config.k) * len(config.ensemble) * len(config.site)
    assert grid == cells and config.name == name


def test_reading_a_config_loads_neither_sklearn_nor_torch():
    code = ("import sys; from cogneuro_sae.compare import load_comparison_config as l; l('study_c'); "
            "print([m for m in ('sklearn', 'torch', 'matplotlib', 'transformers') if m in sys.modules])")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.slow
def test_study_c_gives_its_six_cells_on_the_shipped_model(tmp_path):
    package = Path(__file__).parents[1] / "cogneuro_sae"
    if not all((package / "data" / kind / "default" / "manifest.json").exists() for kind in ("models", "saes")):
        pytest.skip("the shipped model or SAE is not there")
    config = load_comparison_config("study_c", overrides=["folds.repeats=1", "folds.inner=3", "permutations=100"])
    found = run_comparison(config, out=tmp_path)
    methods = found.cells[found.cells["kind"] == "method"]
    assert len(methods) == 6 and (methods["status"] == "ok").all()
    assert {(r, s) for r, s in zip(methods["representation"], methods["selector"])} == {
        (r, s) for r in ("raw", "sae") for s in ("max_any", "rsa_discriminative", "rsa_coherence")}
    assert list(found.table.columns) == COLUMNS and set(found.cells["kind"]) == {"method", "control", "baseline",
            "skyline"}
    assert found.tests["name"].nunique() == 3 and os.path.isdir(found.folder)


def test_a_plugin_score_may_be_named_in_a_config(tmp_path, monkeypatch):
    from cogneuro_sae.selection.scores import SCORES

    def largest_mean(X, y, *, groups, sources=None):
        return FeatureMap(X.mean(axis=0) + 1, "largest_mean")

    monkeypatch.setitem(SCORES, "largest_mean", largest_mean)
    path = write_case(tmp_path, units=8, items=10, config={"selectors": "largest_mean", "k": 1, "skylines": [], "controls": [],
                                                           "baselines": [], "permutations": 0})
    found = run_comparison(path, out=tmp_path / "o", describe=quiet)
    assert set(found.table["status"]) == {"ok"} and set(found.cells["verdict"]) == {"no surface baseline was run"}


def test_many_concepts_are_summarised_in_a_line_each(done):
    names, done = ("a", "b", "c", "d"), done[0]
    tables = {name: pd.concat([getattr(done, name).assign(concept=concept) for concept in names], ignore_index=True)
              for name in ("table", "cells", "nested", "tests", "features")}
    lines = Comparison(**tables, config=done.config, provenance=done.provenance).summary().splitlines()
    first = done.headline().iloc[0]
    assert [line.split()[0] for line in lines[2:6]] == list(names) and len(lines) == 7
    assert all(f" {first['auroc']:.3f} [" in line and f" {first['beyond_surface']:+.3f} [" in line for line in lines[2:6])
    above = 4 * bool(first["beyond_surface_low"] > 0)
    assert lines[-1].startswith(f"  {above} of 4 concepts") and sum(line.endswith("  above") for line in lines) == above
