"""Reports: self-contained, escaped, made for partial folders too, and the same bytes each time."""

import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import yaml

from cogneuro_sae import files
from cogneuro_sae.concept_map.writing import write_csv, write_npz
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.report import build, build_report, report_problems
from cogneuro_sae.report.folder import read_run, read_table
from cogneuro_sae.report.mapping import inference_table
from cogneuro_sae.report.methods_text import REFERENCES, methods_text
from cogneuro_sae.report.outcomes import constant_readouts
from cogneuro_sae.report.summary import map_lines

HOSTILE = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "$x^$ and $\\frac{", "[/] [red]", "\x1b[31mred\x07",
           "\u6210\u5c31 \u0646\u062c\u0627\u062d", "=cmd|' /C calc'!A0", "+1", "@SUM(A1)", "{{ 7*7 }} {% if %}"]
SECTIONS = ["summary", "stimuli", "responses", "sae", "maps", "rsa", "comparison", "methods", "errors", "provenance"]
OF_A_MAP = [name for name in SECTIONS if name != "comparison"]
N = 60


def fake_map(name="paired_t", *, passing=4, seed=0):
    rng = np.random.default_rng(seed)
    value = rng.normal(0, 1, N)
    value[:passing] += 8
    value[50:] = np.nan
    p = np.where(np.isnan(value), np.nan, np.clip(np.exp(-np.abs(np.nan_to_num(value))), 1 / 1001, 1))
    p_fwe = np.where(np.isnan(value), np.nan, np.where(np.arange(N) < passing, 0.01, 0.9))
    info = {"scheme": "the two labels swap inside each of 12 items: |G| = 2^12 = 4096", "permutations": 1000, "tail": "two-sided",
            "enumerated": False, "mc_error": 0.0069, "min_p": 1 / 1001, "bh": "4 features with q <= 0.05", "family": 50}
    return FeatureMap(value, name, pvalue=p, p_fwe=p_fwe, q=p_fwe, direction=np.sign(np.nan_to_num(value)), info=info,
                      reasons={"silent in too many items": 10})


def fake_view(folder, name="tiny", texts=("she won at last", "she lost at last"), concept="winning"):
    place = folder / "view" / name
    ids = [f"item-{i}.{c}.1" for i in range(6) for c in ("target", "near")]
    conditions = ["target", "near"] * 6
    files.write_json(place / "stimuli.json", {
        "name": name, "concept": concept, "definition": f"Somebody gets there: {texts[0]}", "licence": "CC0-1.0",
        "sha256": "ab" * 32, "conditions": {"target": texts[0], "near": texts[1]}, "contrast": "main",
        "expression": "target - near", "weights": {"target": 1.0, "near": -1.0}, "scheme": "6 swaps: |G| = 2^6 = 64, smallest p .0156",
        "matched": True, "n_items": 6, "n_confirm": 0, "texts": {"target": 6, "near": 6}, "notes": [],
        "examples": [{"id": ids[i], "condition": conditions[i], "label": "", "text": text} for i, text in enumerate(texts)]})
    files.write_json(place / "checks.json", {
        "lines": [{"level": "ok", "name": "items", "text": "6 items"}, {"level": "warning", "name": "words", "text": texts[0]}],
        "baselines": [{"comparison": "target - near", "baseline": "bag_of_words", "auroc": 0.41}]})
    files.write_json(place / "responses.json", {
        "model": "default", "sha256": "cd" * 32, "site": "model.layers.3", "scale": 0.7, "representation": "default",
        "window": "first(50)", "pooling": "mean", "transform": "log1p", "pooled": False, "unit": "log1p(x / s)", "n_stimuli": 12,
        "n_tokens": 144, "n_specials": 12, "n_features": N, "n_silent": 3, "n_unfilled": 2,
        "by_condition": {"condition": ["target", "near"], "texts": [6, 6], "min": [10, 10], "median": [12.0, 12.5], "max": [14, 15]}})
    rng = np.random.default_rng(0)
    write_csv(place / "means.csv", pd.DataFrame({"feature": [3, 1, 2], "target": [1.0, 2.0, 3.0], "near": [0.1, 0.2, 0.3]}))
    tokens = [*HOSTILE, "plain", "-", "nan", "12"]
    write_csv(place / "strongest.csv", pd.DataFrame(
        [(id_, condition, rank, rank, 1.5, tokens[(i + rank) % len(tokens)]) for i, (id_, condition) in enumerate(zip(ids, conditions))
         for rank in (1, 2, 3)], columns=["id", "condition", "rank", "feature", "value", "token"]))
    write_csv(place / "profiles.csv", pd.DataFrame(
        [(id_, position, token, feature, rng.random()) for id_ in ids[:2] for position, token in enumerate(tokens)
         for feature in (3, 1, 2)], columns=["id", "position", "token", "feature", "value"]))
    pairs = len(ids) * (len(ids) - 1) // 2
    write_npz(place / "rdms.npz", {"cells": np.array(ids), "conditions": np.array(conditions), "measure": np.array("correlation"),
                                   "data.selected features": rng.random(pairs), "data.all features": rng.random(pairs),
                                   "model.categorical": rng.integers(0, 2, pairs).astype(float)})
    write_csv(place / "fits.csv", pd.DataFrame({"rdm": ["selected features"] * 2, "model": ["categorical", texts[0]],
                                                "fit": [0.4, 0.1], "ceiling_low": [0.5, np.nan], "ceiling_high": [0.7, np.nan], "n": [12, 12]}))


def fake_map_folder(folder, **view):
    fake_view(folder, **view)
    maps = {"paired_t": fake_map(), "auroc": fake_map("auroc", seed=1), "rsa_discriminative": fake_map("rsa_discriminative", passing=0)}
    write_npz(folder / "maps" / "tiny.npz", {k: a for name, fmap in maps.items() for k, a in fmap.to_arrays(f"{name}/").items()})
    write_csv(folder / "features.csv", pd.DataFrame({"concept": ["tiny"], "score": ["paired_t"], "rank": [1], "feature": [0], "value": [8.2]}))
    files.write_text(folder / "config.yaml", yaml.safe_dump({"name": "tiny", "model": "default", "stimuli": "tiny", "permutations": 1000}))
    rate = [0.0, *np.logspace(-5, -1, N - 1).tolist()]
    files.write_json(folder / "view" / "saes.json", [
        {"name": "default", "sha256": "ef" * 32, "site": "model.layers.3", "d_in": 192, "n_latents": N, "firing_rate": rate,
         "metrics": {"fvu": 0.31, "l0": 140.0, "dead_fraction": 0.01, "loss_recovered": 0.9, "heldout_tokens": 20000,
                     "training": {"history": [{"tokens": 1000 * i, "fvu": 1 / i, "l0": 50.0} for i in range(1, 9)]}}}])
    files.write_json(folder / "provenance.json", {
        "verb": "map", "config": {}, "hashes": {"stimuli": "ab" * 32}, "seed": 0, "versions": {"numpy": "2.4", "torch": "2.13"},
        "started_utc": "2026-01-01T00:00:00Z", "seconds": 3.2, "command": ["cogneuro-sae", "map"], "warnings": ["one warning"]})
    return folder


class Page(HTMLParser):
    """Collects ids, outside sources, scripts and the visible text of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.ids, self.sources, self.tags, self.text, self.handlers = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "action", "srcset"):
                self.sources.append(value)
            if key.startswith("on"):
                self.handlers.append(key)

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.slow
def test_a_map_report_has_all_sections_in_order_and_needs_nothing_from_outside(tmp_path):
    path = build_report(fake_map_folder(tmp_path))
    page = Page(path.read_text("utf-8"))
    assert path == tmp_path / "report.html"
    assert page.ids == OF_A_MAP
    assert all(source.startswith(("#", "data:image/png;base64,")) for source in page.sources)
    assert "script" not in page.tags and "iframe" not in page.tags and "link" not in page.tags
    assert not re.search(r"url\(|@import|https?://", path.read_text("utf-8").split("<style>")[1].split("</style>")[0])
    shown = " ".join(page.text)
    assert "could not be written" not in shown
    assert "4 of 50 tested features respond more" in shown and "D_near" in shown
    assert "one warning" in shown and "MISSED" in shown and "descriptive" in shown
    assert "words alone do not tell these texts apart" in shown
    assert {"tiny_map_paired_t.png", "sae_0_firing.png"} <= {p.name for p in (tmp_path / "figures").iterdir()}


@pytest.mark.slow
def test_hostile_text_appears_literally(tmp_path):
    raw = build_report(fake_map_folder(tmp_path, texts=HOSTILE, concept=" | ".join(HOSTILE))).read_text("utf-8")
    page = Page(raw)
    assert page.ids == OF_A_MAP and "script" not in page.tags and page.handlers == []
    assert page.tags.count("img") == page.tags.count("figure")
    shown = " ".join(page.text)
    for text in HOSTILE:
        assert text.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in shown
    assert "\x1b" not in raw
    assert "could not be written" not in shown


@pytest.mark.slow
def test_a_partial_folder_still_gives_a_report(tmp_path):
    fake_map_folder(tmp_path)
    (tmp_path / "provenance.json").unlink()
    (tmp_path / "maps" / "tiny.npz").write_bytes(b"PK\x03\x04 torn")
    (tmp_path / "view" / "tiny" / "checks.json").write_text("{\"lines\": [")
    page = Page(build_report(tmp_path).read_text("utf-8"))
    shown = " ".join(page.text)
    assert page.ids == OF_A_MAP
    assert "unfinished run" in shown and "provenance.json is missing" in shown
    assert "tiny.npz cannot be read" in shown and "checks.json cannot be read" in shown


def test_the_smallest_folder_gives_a_report(tmp_path):
    files.write_text(tmp_path / "config.yaml", "name: tiny\n")
    page = Page(build_report(tmp_path).read_text("utf-8"))
    assert page.ids == OF_A_MAP and "did not finish" in " ".join(page.text)


@pytest.mark.slow
def test_a_section_that_fails_is_named_and_the_others_stand(tmp_path, monkeypatch, caplog):
    def broken(run):
        raise ZeroDivisionError("<b>planted</b>")

    monkeypatch.setitem(build.SECTIONS, "rsa", ("RSA", broken))
    shown = " ".join(Page(build_report(fake_map_folder(tmp_path)).read_text("utf-8")).text)
    assert "the section RSA could not be written" in shown
    assert "ZeroDivisionError" not in shown and "Traceback" not in shown
    assert "ZeroDivisionError: <b>planted</b>" in (tmp_path / "log.txt").read_text("utf-8")
    assert any("the section RSA could not be written" in found.getMessage() and found.levelname == "WARNING" and not found.exc_info
               for found in caplog.records)
    assert "4 of 50 tested features" in shown


@pytest.mark.slow
def test_a_report_is_the_same_each_time(tmp_path):
    fake_map_folder(tmp_path)
    first = build_report(tmp_path).read_bytes()
    assert build_report(tmp_path).read_bytes() == first


def test_not_a_results_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such results folder"):
        build_report(tmp_path / "nothing")
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="not a results folder"):
        build_report(tmp_path)
    assert not (tmp_path / "figures").exists()


def test_tables_keep_text_that_looks_like_numbers_formulas_or_missing(tmp_path):
    tokens = ["nan", "NA", "12", "-", "=1+1", "'quoted'", "", "a\nb"]
    write_csv(tmp_path / "t.csv", pd.DataFrame({"token": tokens, "value": [1.5, np.nan, 3, 4, 5, 6, 7, 8]}))
    assert "'=1+1" in (tmp_path / "t.csv").read_text("utf-8")
    back = read_table(tmp_path / "t.csv")
    assert list(back["token"]) == tokens
    assert back["value"].isna().tolist() == [False, True] + [False] * 6


@pytest.mark.slow
def test_no_feature_passing_is_said_in_words(tmp_path):
    fake_map_folder(tmp_path)
    write_npz(tmp_path / "maps" / "tiny.npz", fake_map(passing=0).to_arrays("paired_t/"))
    shown = " ".join(Page(build_report(tmp_path).read_text("utf-8")).text)
    assert "none of 50 tested features responds differently" in shown and "not evidence of absence" in shown


def test_methods_cite_in_order_and_name_versions(tmp_path):
    paragraphs, references = methods_text(read_run(fake_map_folder(tmp_path)))
    text = " ".join(paragraphs)
    cited = [int(number) for group in re.findall(r"\[(\d+(?:, \d+)*)\]", text) for number in group.split(", ")]
    first = list(dict.fromkeys(cited))
    assert first == sorted(first) == list(range(1, len(references.splitlines()) + 1))
    assert "numpy 2.4" in text and "1000 random labellings" in text and "first(50)" in text
    assert all(line.split(". ", 1)[1] in REFERENCES.values() for line in references.splitlines())


@pytest.mark.slow
def test_figures_in_the_page_are_the_files(tmp_path):
    import base64

    build_report(fake_map_folder(tmp_path))
    raw = (tmp_path / "report.html").read_text("utf-8")
    embedded = {base64.b64decode(found) for found in re.findall(r"base64,([^\"]+)\"", raw)}
    assert embedded == {path.read_bytes() for path in (tmp_path / "figures").glob("*.png")}


def fake_compare_folder(folder, *, beyond, concepts=("tiny",)):
    """Ten folds of two methods, one baseline, a skyline and a control per concept, as compare writes them."""
    from cogneuro_sae.compare import Comparison
    from cogneuro_sae.compare.comparison import TABLES

    rng = np.random.default_rng(0)
    base = {"contrast": "main", "model": "default", "site": "model.layers.3", "window": "all", "pooling": "mean",
            "status": "ok", "reason": "", "n_train": 16, "n_test": 4}
    what = [("method", "raw", "max_any", 0.60 + beyond), ("method", "sae", "max_any", 0.62 + beyond), ("baseline", "", "length", 0.6),
            ("skyline", "raw", "full_probe", 0.8), ("control", "sae", "random", 0.5)]
    table, cells, nested, tests = [], [], [], []
    for concept, (kind, representation, selector, mean) in itertools.product(concepts, what):
        cell = {**base, "concept": concept, "kind": kind, "representation": representation, "selector": selector,
                "k": 8 if kind in ("method", "control") else None, "ensemble": "mean_z", "n_items": 20, "n_folds": 10}
        for repeat in (0, 1):
            for fold in range(5):
                auroc = mean + rng.normal(0, 0.01)
                table.append({**cell, "repeat": repeat, "fold": fold, "auroc": auroc, "pair_accuracy": auroc, "features": "1 2"})
                if kind == "method" and representation == "sae":
                    nested.append({**table[-1], "method": "best", "inner_auroc": 0.6})
        cells.append({**cell, "auroc": mean, "auroc_low": mean - 0.1, "auroc_high": mean + 0.1, "jaccard": 0.4, "kuncheva": 0.3})
    tests += [{"name": "sae_vs_raw", "scope": "within", "concept": concept, "expression": "sae - raw", "estimate": 0.02, "low": -0.01,
               "high": 0.05, "p": 0.2, "p_adjusted": 0.2, "method": "corrected resampled t", "n": 20} for concept in concepts]
    tests += [{"name": "sae_vs_raw", "scope": "across", "concept": "", "expression": "sae - raw", "estimate": 0.02,
               "reason": f"no test: {len(concepts)} concept{'s' * (len(concepts) > 1)}, 6 needed".replace("1 concept", "one concept"),
               "method": "sign flips", "n": len(concepts)}]
    frames = {name: pd.DataFrame(rows, columns=list(TABLES[name])) for name, rows in
              (("table", table), ("cells", cells), ("nested", nested), ("tests", tests), ("features", []))}
    config = {"name": "tiny", "model": "default", "selectors": [{"name": "max_any", "label": "max_any"}], "k": [8],
              "ensemble": ["mean_z"], "folds": {"splits": 5, "repeats": 2, "inner": 3}, "baselines": ["length"]}
    record = {"verb": "compare", "hashes": {}, "seed": 0, "versions": {"numpy": "2.4"}, "warnings": [], "planned_sha256": "ab"}
    Comparison(**frames, config=config, provenance=record).save(folder)
    return folder


def test_the_page_says_the_same_difference_to_surface_form_as_the_run(tmp_path):
    from cogneuro_sae.compare import Comparison

    folder = fake_compare_folder(tmp_path, beyond=0.2)
    run = Comparison.load(folder).headline().iloc[0]
    by_hand = pd.read_csv(folder / "table.csv").pipe(lambda table: table[table["representation"].eq("sae") & table["kind"].eq("method")]
                                                     ["auroc"].mean() - table[table["kind"] == "baseline"]["auroc"].mean())
    assert run["beyond_surface"] == pytest.approx(by_hand, abs=1e-12)
    shown = " ".join(Page(build_report(folder).read_text("utf-8")).text)
    assert f"this is {by_hand:+.3f} [{run['beyond_surface_low']:.3f}, {run['beyond_surface_high']:.3f}] AUROC above" in shown


@pytest.mark.slow
def test_many_concepts_get_an_overview_and_a_page_each(tmp_path):
    names = ("fear", "law", "motion", "money/2")
    folder = fake_compare_folder(tmp_path, beyond=0.2, concepts=names)
    for name, group in (("fear", "evaluative"), ("law", "concrete"), ("motion", "concrete")):
        (folder / "view" / name).mkdir(parents=True)
        (folder / "view" / name / "stimuli.json").write_text(json.dumps({"concept": name, "group": group, "definition": f"What {name} is."}))
    raw = build_report(folder).read_text("utf-8")
    page = Page(raw)
    shown = " ".join(page.text)
    assert page.ids == ["summary", "stimuli", "sae", "comparison", "methods", "errors", "provenance"]
    # 0.82 by construction, 0.22 above the floor; every concept alone lies above it too
    assert re.search(r"4 concepts\. With everything chosen inside the training folds, held-out AUROC is 0\.8[12]\d", shown)
    assert re.search(r"best surface baseline of each concept this is \+0\.2[12]\d \[\+0\.2", shown)
    assert "4 of 4 concepts (fear, law, motion, money/2) lie above" in shown and "What law is." in shown
    assert "concrete: mean of 2" in shown and "mean of 4 concepts" in shown
    links = re.findall(r'href="(concepts/[^"]+)"', raw)
    assert links == ["concepts/fear.html", "concepts/law.html", "concepts/motion.html", "concepts/money-2.html"]
    for name, link in zip(names, links):
        own = " ".join(Page((folder / link).read_text("utf-8")).text)
        others = set(names) - {name}
        assert f"{name}: with everything chosen inside" in own and not any(f"{other}: with" in own for other in others)
    before = {path: path.read_bytes() for path in folder.rglob("*.html")}
    build_report(folder)
    assert before == {path: path.read_bytes() for path in folder.rglob("*.html")}


@pytest.mark.slow
def test_three_concepts_stay_on_one_page(tmp_path):
    folder = fake_compare_folder(tmp_path, beyond=0.0, concepts=("a", "b", "c"))
    assert Page(build_report(folder).read_text("utf-8")).ids == SECTIONS and not (folder / "concepts").exists()


@pytest.mark.parametrize("beyond, said", [(0.0, "no evidence beyond surface form"), (0.2, "above the best surface baseline (length)")])
@pytest.mark.slow
def test_a_comparison_says_in_words_whether_it_exceeds_surface_form(tmp_path, beyond, said):
    page = Page(build_report(fake_compare_folder(tmp_path, beyond=beyond)).read_text("utf-8"))
    shown = " ".join(page.text)
    assert page.ids == SECTIONS and "could not be written" not in shown
    assert said in shown and ("no evidence beyond surface form" in shown) == (beyond == 0.0)
    assert "nested estimate over the whole grid; 20 items, 10 folds" in shown
    assert "Planned contrast sae_vs_raw in tiny: +0.020 [-0.010, +0.050] AUROC, p = 0.2" in shown
    assert "No winner is named: no test: one concept, 6 needed." in shown
    assert "Methods" in shown and "2 x 5 stratified group folds (inner 3)" in shown
    assert {"tiny_comparison.png", "tiny_stability.png", "run_planned.png"} <= {p.name for p in (tmp_path / "figures").iterdir()}


@pytest.mark.parametrize("p, low, wins", [(0.01, 0.005, True), (0.2, 0.005, False), (0.01, -0.005, False)])
def test_a_winner_needs_the_adjusted_test_over_concepts_and_the_interval(p, low, wins):
    from cogneuro_sae.report.summary import _winners

    row = {"name": "a", "scope": "across", "concept": "", "estimate": 0.02, "low": low, "high": 0.05, "p": 0.01, "p_adjusted": p}
    line, = _winners(pd.DataFrame([row]))
    assert ("this difference holds" in line) == wins and ("No winner is named" in line) != wins


def test_failed_rows_are_counted_in_the_errors_section(tmp_path):
    fake_compare_folder(tmp_path, beyond=0.0)
    table = pd.read_csv(tmp_path / "table.csv").astype({"reason": object})
    table.loc[:2, "status"], table.loc[:2, "reason"] = "failed", "no <b>feature</b>"
    table.to_csv(tmp_path / "table.csv", index=False)
    shown = " ".join(Page(build_report(tmp_path).read_text("utf-8")).text)
    assert "tiny, max_any: 3 rows failed: no <b>feature</b>" in shown


def test_the_summary_counts_what_the_map_counts_and_says_which_side(tmp_path):
    fake_map_folder(tmp_path)
    found = fake_map("rsa_discriminative", passing=5)
    direction = np.where(np.arange(N) < 2, 1, -1)
    found = FeatureMap(found.value, found.name, pvalue=found.pvalue, p_fwe=found.p_fwe, direction=direction, info={"tail": "positive"})
    foil = fake_map("auroc", passing=0)
    p_fwe = np.where(np.arange(N) == 7, 0.001, foil.p_fwe)
    value = np.where(np.arange(N) == 7, -9.0, foil.value)
    maps = {"paired_t": fake_map(passing=0), "auroc": FeatureMap(value, "auroc", pvalue=foil.pvalue, p_fwe=p_fwe, info=foil.info),
            "rsa_discriminative": found}
    write_npz(tmp_path / "maps" / "tiny.npz", {k: a for name, fmap in maps.items() for k, a in fmap.to_arrays(f"{name}/").items()})
    lines = map_lines(read_run(tmp_path))
    assert "5 of 50 testable features have D_near > 0" in lines[2]
    assert "of which 2 fire more on targets and 3 more on foils" in lines[2] and "word-by-word profiles" in lines[2]
    assert "paired_t: none of 50" in lines[0] and "auroc: 0 of 50 tested features respond more" in lines[1]
    assert "1 less" in lines[1] and "feature 7" in lines[1] and "foil's side" in lines[1]
    assert not any("evidence of absence" in line for line in lines)
    row = inference_table({"rsa_discriminative": found}).rows[0]
    assert row[2:5] == ["5", "2", "3"]


DAMAGE = {
    "torn table": (lambda folder: (folder / "table.csv").write_bytes((folder / "table.csv").read_bytes()[:-40]), "table.csv cannot be read"),
    "other columns": (lambda folder: (folder / "cells.csv").write_text("a,b\n1,2\n"), "lacks the columns concept"),
    "text for numbers": (lambda folder: pd.read_csv(folder / "nested.csv").assign(auroc="high").to_csv(folder / "nested.csv", index=False),
                         "text where numbers belong (column auroc)"),
    "empty tests": (lambda folder: (folder / "tests.csv").write_bytes(b""), "tests.csv cannot be read"),
    "binary table": (lambda folder: (folder / "table.csv").write_bytes(b"\xff\xfe\x00" * 50), "table.csv cannot be read"),
    "a list for config": (lambda folder: (folder / "config.yaml").write_text("- a\n"), "config.yaml cannot be read"),
    "no provenance": (lambda folder: (folder / "provenance.json").unlink(), "provenance.json is missing: the run did not finish"),
    "a list for provenance": (lambda folder: (folder / "provenance.json").write_text("[]"), "provenance.json cannot be read"),
    "no table": (lambda folder: (folder / "table.csv").unlink(), "table.csv is missing although the run finished"),
}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.slow
def test_a_damaged_comparison_gives_a_report_that_says_so_in_plain_words(tmp_path, what, capsys):
    spoil, wanted = DAMAGE[what]
    spoil(fake_compare_folder(tmp_path, beyond=0.0))
    shown = " ".join(Page(build_report(tmp_path).read_text("utf-8")).text)
    assert wanted in shown and "could not be written" not in shown
    assert not re.search(r"Traceback|\w+Error\b", shown)
    assert any(wanted in line for line in report_problems(tmp_path)) and capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("name, wanted", [("maps/tiny.npz", "there is no map of tiny to show"), ("features.csv", "features.csv is missing"),
                                          ("provenance.json", "did not finish")])
def test_a_map_without_one_of_its_parts_says_so(tmp_path, name, wanted):
    fake_map_folder(tmp_path)
    assert report_problems(tmp_path) == []
    (tmp_path / name).unlink()
    assert any(wanted in line for line in report_problems(tmp_path))
    shown = " ".join(Page(build_report(tmp_path).read_text("utf-8")).text)
    assert wanted in shown and "could not be written" not in shown and not re.search(r"Traceback|\w+Error\b", shown)


@pytest.mark.slow
def test_words_are_explained_where_they_first_appear(tmp_path):
    shown = " ".join(Page(build_report(fake_map_folder(tmp_path / "map")).read_text("utf-8")).text)
    assert "|G|: number of relabellings" in shown and shown.index("word-by-word profiles") < shown.index("Stimuli", shown.index("D_near"))
    assert "A fit near 0 is not good".lower() in shown.lower() and "Colours are scaled for each feature" in shown
    shown = " ".join(Page(build_report(fake_compare_folder(tmp_path / "compare", beyond=0.0)).read_text("utf-8")).text)
    assert "Floor: what surface form alone" in shown and "skyline: what a probe on all units" in shown


def test_profiles_scale_every_feature_by_itself(tmp_path, monkeypatch):
    from cogneuro_sae.report import mapping

    drawn = []
    monkeypatch.setattr(mapping, "response_profiles", lambda frame, **more: drawn.append((frame, more)))
    monkeypatch.setattr(mapping, "figure", lambda *_, **__: None)
    profiles = pd.DataFrame([("a", 0, "x", 1, 1000.0), ("a", 0, "x", 2, 0.5), ("a", 0, "x", 3, 0.0), ("b", 0, "y", 1, 10.0),
                             ("b", 0, "y", 2, 1.0), ("b", 0, "y", 3, 0.0)], columns=["id", "position", "token", "feature", "value"])
    mapping._profiles(read_run(fake_map_folder(tmp_path)), "tiny", profiles)
    assert [frame.to_numpy().tolist() for frame, _ in drawn] == [[[1.0, 0.5, 0.0]], [[0.01, 1.0, 0.0]]]
    assert list(drawn[0][0].columns) == ["1 (max 1e+03)", "2 (max 1)", "3 (max 0)"] and drawn[0][1]["limit"] == 1.0


def test_a_constant_read_out_is_named(tmp_path):
    fake_compare_folder(tmp_path, beyond=0.0)
    table = pd.read_csv(tmp_path / "table.csv")
    table.loc[(table["kind"] == "method") & (table["representation"] == "raw"), "auroc"] = 0.5
    table.to_csv(tmp_path / "table.csv", index=False)
    found = constant_readouts(read_run(tmp_path))
    assert len(found) == 1 and "read-out constant in 10 of 10 folds" in found[0] and "raw" in found[0]
    assert found[0] in " ".join(Page(build_report(tmp_path).read_text("utf-8")).text)
