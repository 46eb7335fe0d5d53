"""Planned contrasts: floors count as chance, Holm's family keeps its size, what drops out is named, names are clear."""

import numpy as np
import pandas as pd
import pytest

from cogneuro_sae.compare import CompareConfig
from cogneuro_sae.compare.planned import planned_tests
from cogneuro_sae.compare.run import _reference_scores
from cogneuro_sae.compare.summary import beyond_surface, surface_floors

FOLDS = 5


def config_of(planned, **change):
    base = {"name": "x", "stimuli": "s", "selectors": ["welch_t", "max_any", "auroc"],
            "representations": {"sae": "default"}, "planned": planned, "folds": {"splits": FOLDS, "repeats": 1}}
    return CompareConfig.model_validate(base | change)


def nested_of(levels, concepts=8, noise=0.02, failed=()):
    """Nested scores: level of each selector with noise; NaN where (concept, selector) failed."""
    rng, rows = np.random.default_rng(0), []
    for c in range(concepts):
        for fold in range(FOLDS):
            for name, level in levels.items():
                value = np.nan if (f"c{c}", name) in failed else level + noise * rng.normal()
                rows.append({"concept": f"c{c}", "method": f"sae/{name}/logistic_l1", "repeat": 0, "fold": fold,
                             "auroc": value})
    return pd.DataFrame(rows)


def across(tests):
    return {row["name"]: row for row in tests[tests["scope"] == "across"].to_dict("records")}


@pytest.mark.slow
def test_a_baseline_below_chance_counts_as_chance_in_planned_contrasts_and_the_row_says_so():
    config = config_of({"beyond": "sae - bag_of_words", "fine": "sae - length"})
    below, above = np.array([0.2, 0.3, 0.4, 0.3, 0.3]), np.array([0.4, 0.6, 0.7, 0.6, 0.6])
    nested = nested_of({"welch_t": 0.5, "max_any": 0.5, "auroc": 0.5}, noise=0.05)
    floors = {f"c{c}": {"bag_of_words": below if c < 5 else above, "length": above} for c in range(8)}
    tests = planned_tests(config, nested, floors, {})
    means = nested.groupby("concept")["auroc"].mean().to_numpy()
    row = across(tests)["beyond"]
    counted = np.where(np.arange(8) < 5, 0.5, above.mean())
    assert row["estimate"] == pytest.approx(np.mean(means - counted))
    assert "bag_of_words is below .5 in 5 of 8 concepts and counts as .5 there" in row["reason"]
    within = tests[(tests["scope"] == "within") & (tests["concept"] == "c0")].set_index("name")
    assert within.loc["beyond", "estimate"] == pytest.approx(means[0] - 0.5)
    assert "bag_of_words is at .300 on average and counts as .5" in within.loc["beyond", "reason"]
    assert within.loc["fine", "reason"] == "" and across(tests)["fine"]["reason"] == ""


@pytest.mark.slow
def test_holm_keeps_the_size_of_the_named_family():
    lost = [(f"c{c}", "auroc") for c in range(8)]
    planned = {"a": "welch_t - max_any", "b": "welch_t - auroc"}
    nested = nested_of({"welch_t": 0.7, "max_any": 0.5, "auroc": 0.7}, failed=lost)
    tests = planned_tests(config_of(planned), nested, {}, {})
    a, b = across(tests)["a"], across(tests)["b"]
    assert a["p"] == pytest.approx(2 / 2**8) and a["p_adjusted"] == pytest.approx(2 * a["p"])
    assert "2 planned contrasts" in a["correction"]
    assert np.isnan(b["p"]) and np.isnan(b["p_adjusted"]) and "counts as p = 1" in b["reason"]
    assert "no test over 0 concepts" in b["reason"]
    within = tests[(tests["scope"] == "within") & (tests["concept"] == "c3")].set_index("name")
    assert within.loc["a", "p_adjusted"] == pytest.approx(min(1, 2 * within.loc["a", "p"]))
    assert "counts as p = 1" in within.loc["b", "reason"]
    assert "sae/auroc/logistic_l1 has no score" in within.loc["b", "reason"]


@pytest.mark.slow
def test_concepts_that_drop_out_are_named():
    nested = nested_of({"welch_t": 0.7, "max_any": 0.5, "auroc": 0.7}, failed=[("c2", "max_any"), ("c5", "max_any")])
    tests = planned_tests(config_of({"a": "welch_t - max_any", "c": "welch_t - auroc"}), nested, {}, {})
    found = across(tests)
    assert found["a"]["n"] == 6 and "2 of 8 concepts left out (all folds failed): c2, c5" in found["a"]["reason"]
    assert found["c"]["n"] == 8 and found["c"]["reason"] == ""


def test_differences_that_do_not_vary_have_no_p_and_say_why():
    nested = nested_of({"welch_t": 0.7, "max_any": 0.5, "auroc": 0.7}, noise=0.0)
    tests = planned_tests(config_of({"a": "welch_t - max_any"}), nested, {}, {})
    row = tests[tests["scope"] == "within"].iloc[0]
    assert np.isnan(row["p"]) and "do not vary" in row["reason"]


def row_of(name, value, kind="baseline"):
    return {"concept": "c", "representation": "", "site": "", "window": "", "pooling": "", "k": None, "ensemble": "",
            "kind": kind, "selector": name, "auroc": value}


def test_baselines_without_a_score_are_passed_over():
    rows = [row_of("bag_of_words", np.nan)] * 2 + [row_of("length", 0.6)] * 2
    name, floor = surface_floors(rows)["c"]
    assert name == "length" and floor.tolist() == [0.6, 0.6]
    assert list(_reference_scores(rows)["c"]) == ["length"]
    none = surface_floors(rows[:2])["c"]
    found = beyond_surface([{"auroc": 0.9}, {"auroc": 0.8}], none, 2)
    assert found["verdict"] == "every surface baseline failed" and "beyond_surface" not in found


def test_a_contrast_with_a_failed_baseline_has_no_estimate_and_says_which():
    nested = nested_of({"welch_t": 0.7, "max_any": 0.5, "auroc": 0.7})
    tests = planned_tests(config_of({"a": "sae - bag_of_words"}), nested, {}, {})
    assert tests["estimate"].isna().all() and tests["reason"].str.contains("bag_of_words has no score").any()


@pytest.mark.parametrize("change", [
    {"representations": {"a_b": "raw", "a": "default"},
     "selectors": [{"name": "max_any", "as": "c"}, {"name": "welch_t", "as": "b_c"}]},
    {"representations": {"a_b": "raw", "a": "default"},
     "selectors": [{"name": "max_any", "as": "c"}, {"name": "welch_t", "as": "a_b_c"}]}])
def test_a_planned_name_with_two_meanings_is_refused_where_it_is_used(change):
    config_of({"fine": "a_b - a"}, **change)
    with pytest.raises(ValueError, match="planned.bad: 'a_b_c' names two things"):
        config_of({"bad": "a_b_c - a"}, **change)
