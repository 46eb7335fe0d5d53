"""The unit of the judge's analysis: feature means by hand, tests against libraries, power, and windows-as-n rejecting too often."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.analysis import arm_table, design_effect, feature_table, verdicts
from cogneuro_sae.judge.contrasts import arm_contrast, contrasts
from cogneuro_sae.judge.score_frame import score_frame
from cogneuro_sae.judge.specificity import activation_correlation, axis_correlations, cost_table, score_by_bin, score_levels

pytestmark = pytest.mark.slow

WINDOWS = 8


def calls(*rows, **common):
    """Rows (feature, arm, bin, score) as answered calls; NaN = refused."""
    table = pd.DataFrame(rows, columns=["feature", "arm", "bin", "score"])
    lost = table["score"].isna()
    table = table.assign(item=[f"{n:016x}" for n in range(len(table))], rubric="target", rater="m", repeat=1, wording="w",
                         concept="c", control="", original="", value=table["bin"].astype(float), truth=np.nan,
                         status=np.where(lost, "refusal", "ok"))
    return score_frame(table.assign(**common))


def normal_windows(rng, runs, features, icc, shift=0.0):
    """(runs, features, WINDOWS) values with sd 1 and the given ICC."""
    own = rng.normal(shift, np.sqrt(icc), (runs, features, 1))
    return own + rng.normal(0, np.sqrt(1 - icc), (runs, features, WINDOWS))


def test_a_feature_is_the_mean_of_its_bins_with_equal_weight():
    nan = np.nan
    table = feature_table(calls(("f", "a", 1, 0), ("f", "a", 1, 0), ("f", "a", 1, 0), ("f", "a", 2, 3), ("f", "a", 3, 2),
                                ("f", "a", 3, nan), ("f", "a", 4, nan), ("f", "a", 0, 3), ("g", "a", 1, nan)))
    f, g = table.iloc[0], table.iloc[1]
    assert f["score"] == pytest.approx((0 + 3 + 2) / 3) and f["zero"] == 3 and np.isnan(f["top_bin"])
    assert (f["n_windows"], f["n_scored"], f["n_calls"], f["n_missing"], f["bins"], f["bins_missing"]) == (7, 5, 8, 2, 3, 1)
    assert f["share_2"] == 2 / 5 and f["share_3"] == 1 / 5 and f["status"] == "partial" and f["reason"] == "no score: refusal (2)"
    assert np.isnan(g["score"]) and g["status"] == "failed"
    said = verdicts(table)
    assert [(v.feature, v.status, v.n) for v in said] == [("f", "partial", 5), ("g", "failed", 0)] and np.isnan(said[1].score)


def test_the_interval_of_a_feature_by_hand():
    x, y = np.array([0.0, 1, 2]), np.array([2.0, 3, 3])
    f = feature_table(calls(*[("f", "a", 1, v) for v in x], *[("f", "a", 2, v) for v in y])).iloc[0]
    error = np.sqrt(x.var(ddof=1) / 3 + y.var(ddof=1) / 3) / 2
    half = stats.t.ppf(0.975, 4) * error
    assert (f["low"], f["high"]) == (pytest.approx(f["score"] - half), pytest.approx(min(f["score"] + half, 3)))
    single = feature_table(calls(("f", "a", 1, 1), ("f", "a", 2, 2), ("f", "a", 3, 1))).iloc[0]
    low = stats.t.interval(0.95, 2, 4 / 3, stats.sem([1, 2, 1]))[0]
    assert single["low"] == pytest.approx(max(low, 0))


def test_repeats_and_duplicates_are_not_more_windows():
    rows = calls(("f", "a", 1, 0), ("f", "a", 2, 3))
    again = pd.concat([rows, rows.iloc[:1].assign(repeat=2, score=2.0), rows.iloc[:1].assign(item="d", control="duplicate", score=3.0)])
    f = feature_table(score_frame(again)).iloc[0]
    assert f["score"] == pytest.approx((1 + 3) / 2) and f["n_windows"] == 2


def test_a_shared_feature_counts_in_both_arms():
    table = feature_table(calls(("f", "a+b", 1, 1), ("g", "a", 1, 3)))
    assert sorted(zip(table["arm"], table["feature"])) == [("a", "f"), ("a", "g"), ("b", "f")]
    arms = arm_table(calls(("f", "a+b", 1, 1), ("g", "a", 1, 3))).set_index("arm")
    assert (arms.loc["a", "mean"], arms.loc["b", "mean"], arms.loc["a", "n"]) == (2, 1, 2)


def test_arm_means_and_distribution_by_hand():
    rows = [(f"f{n}", "a", bin_, score) for n, scores in enumerate(([0, 2], [1, 3], [2, 2])) for bin_, score in enumerate(scores, 1)]
    row = arm_table(calls(*rows, ("f0", "a", 0, 3))).iloc[0]
    low, high = stats.t.interval(0.95, 2, 5 / 3, stats.sem([1, 2, 2]))
    assert (row["mean"], row["low"], row["high"]) == (pytest.approx(5 / 3), pytest.approx(low), pytest.approx(min(high, 3)))
    assert [row[f"score_{n}"] for n in range(4)] == [1, 1, 3, 1] and (row["median"], row["mode"]) == (2, 2)
    assert row["top_bin"] == pytest.approx(7 / 3) and row["share_2"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    two = pd.concat([calls(*rows), calls(*rows, concept="d").assign(item=lambda t: "d" + t["item"], score=lambda t: t["score"].clip(upper=2))])
    over = arm_table(two).query("unit == 'concept'").iloc[0]
    assert over["n"] == 2 and over["mean"] == pytest.approx((5 / 3 + (1 + 1.5 + 2) / 3) / 2)


def test_contrasts_equal_welch_and_shared_features_count_with_their_covariance():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 12), rng.normal(0.5, 2, 9)
    values = {"a": {f"a{n}": v for n, v in enumerate(a)}, "b": {f"b{n}": v for n, v in enumerate(b)}}
    found, twin = arm_contrast(values, {"a": 1, "b": -1}), stats.ttest_ind(a, b, equal_var=False)
    assert (found.t, found.df, found.pvalue) == (pytest.approx(twin.statistic), pytest.approx(twin.df), pytest.approx(twin.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(twin.confidence_interval(0.95)))
    assert found.d == pytest.approx((a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)) and found.shared == 0
    shared = {"a": {f"f{n}": v for n, v in enumerate(a)}, "b": {f"f{n}": v + 1 for n, v in enumerate(a)}}
    same = arm_contrast({"a": shared["a"], "b": shared["a"]}, {"a": 1, "b": -1})
    assert same.estimate == 0 and np.isnan(same.pvalue) and "do not vary" in same.reason and same.shared == 12
    paired = {"a": shared["a"], "b": {key: v + w for (key, v), w in zip(shared["a"].items(), rng.normal(1, 0.1, 12))}}
    found = arm_contrast(paired, {"a": 1, "b": -1})
    twin = stats.ttest_rel(list(paired["a"].values()), list(paired["b"].values()))
    assert found.t == pytest.approx(twin.statistic), "all features shared: the paired t"
    assert "fewer than two features with a score: b" in arm_contrast({"a": shared["a"], "b": {}}, {"a": 1, "b": -1}).reason


def some_features(rng, concepts=("c",), shift=0.6, n=12):
    rows = [(concept, f"{concept}{arm}{k}", arm, value) for concept in concepts
            for arm, mean in (("a", shift), ("b", 0.0), ("random", -0.5)) for k, value in enumerate(rng.normal(mean, 1, n))]
    return pd.DataFrame(rows, columns=["concept", "feature", "arm", "score"]).assign(rubric="target", rater="m")


def test_tests_between_arms_equal_scipy_and_pingouin_with_holm():
    import pingouin
    from statsmodels.stats.multitest import multipletests

    features = some_features(np.random.default_rng(1))
    table = contrasts(features, planned={"both": "(a + b)/2 - random", "one": "a - b"}).set_index(["kind", "name"])
    welch = pingouin.welch_anova(features, dv="score", between="arm").iloc[0]
    omnibus = table.loc[("omnibus", "all arms equal")]
    assert omnibus["statistic"] == pytest.approx(welch["F"], rel=1e-4)
    groups = [rows["score"] for _, rows in features.groupby("arm", sort=False)]
    assert f"H = {stats.kruskal(*groups).statistic:.2f}" in omnibus["reason"]
    pairs = table.loc["pairwise"]
    twins = [stats.ttest_ind(x, y, equal_var=False).pvalue for x, y in ((groups[0], groups[1]), (groups[0], groups[2]), (groups[1], groups[2]))]
    np.testing.assert_allclose(pairs["p"].astype(float), twins)
    np.testing.assert_allclose(pairs["p_adjusted"].astype(float), multipletests(twins, method="holm")[1])
    means = features.groupby("arm")["score"].mean()
    assert table.loc[("planned", "both"), "estimate"] == pytest.approx((means["a"] + means["b"]) / 2 - means["random"])
    with pytest.raises(InputError, match="unknown name"):
        contrasts(features, planned={"x": "a - nobody"})


def test_over_concepts_the_concept_is_the_unit():
    rng = np.random.default_rng(2)
    few = contrasts(some_features(rng, concepts="cdef"), planned={"one": "a - b"}).query("concept == 'all concepts'")
    assert few["p"].isna().all() and few["reason"].str.contains("no test over 4 concepts: 6 are needed").all()
    features = some_features(rng, concepts="cdefghij")
    row = contrasts(features, planned={"one": "a - b"}).query("concept == 'all concepts' and kind == 'planned'").iloc[0]
    means = features.groupby(["concept", "arm"])["score"].mean().unstack()
    difference = means["a"] - means["b"]
    assert row["n"] == 8 and row["unit"] == "concept" and row["estimate"] == pytest.approx(difference.mean())
    signs = 1 - 2 * (np.arange(256)[:, None] >> np.arange(8) & 1)
    reach = np.abs(signs @ difference.to_numpy()) >= abs(difference.sum()) - 1e-9
    assert row["p"] == pytest.approx(reach.mean())


def test_a_contrast_without_p_counts_in_holm():
    features = some_features(np.random.default_rng(3))
    features.loc[features["arm"] == "b", "score"] = np.nan
    table = contrasts(features).query("kind == 'pairwise'").set_index("name")
    assert table.loc["a - random", "p_adjusted"] == pytest.approx(3 * table.loc["a - random", "p"])
    assert "fewer than two features" in table.loc["a - b", "reason"]


def test_icc_and_design_effect_of_windows():
    import pingouin

    rng = np.random.default_rng(0)
    values = normal_windows(rng, 1, 300, 0.4)[0]
    windows = pd.DataFrame({"feature": np.repeat(np.arange(300), WINDOWS), "score": values.ravel()})
    found = design_effect(windows)
    wide = windows.assign(place=np.tile(np.arange(WINDOWS), 300))
    twin = pingouin.intraclass_corr(wide, targets="feature", raters="place", ratings="score").iloc[0]
    assert found["icc"] == pytest.approx(twin["ICC"]) and abs(found["icc"] - 0.4) < 0.06
    assert found["design_effect"] == pytest.approx(1 + (WINDOWS - 1) * found["icc"])
    assert found["n_effective"] == pytest.approx(2400 / found["design_effect"])
    # the variance of a mean over windows is what the design effect says it is
    means = normal_windows(rng, 2000, 30, 0.4).mean(axis=(1, 2))
    assert means.var() / (1 / (30 * WINDOWS)) == pytest.approx(1 + 7 * 0.4, rel=0.12)
    ragged = windows.drop(windows.index[:5])
    assert np.isfinite(design_effect(ragged)["icc"]) and "fewer than 5" in design_effect(windows[:24])["icc_reason"]


@pytest.mark.parametrize(("n", "power"), [(60, 0.87), (15, 0.32)])
def test_the_stated_power_comes_out_of_a_simulation(n, power):
    rng, runs = np.random.default_rng(n), 8000
    p = stats.ttest_ind(rng.normal(0.57, 1, (runs, n)), rng.normal(0, 1, (runs, n)), axis=1, equal_var=False).pvalue
    assert np.mean(p < 0.05) == pytest.approx(power, abs=0.02)
    values = {arm: {f"{arm}{k}": v for k, v in enumerate(rng.normal(mean, 1, n))} for arm, mean in (("a", 0.57), ("b", 0.0))}
    twin = stats.ttest_ind(list(values["a"].values()), list(values["b"].values()), equal_var=False)
    assert arm_contrast(values, {"a": 1, "b": -1}).pvalue == pytest.approx(twin.pvalue), "the simulated test is the package's"


@pytest.mark.parametrize(("icc", "rate"), [(0.2, 0.21), (0.4, 0.31), (0.6, 0.39)])
def test_windows_as_n_reject_too_often_and_features_as_n_do_not(icc, rate):
    rng, runs = np.random.default_rng(7), 1200
    a, b = normal_windows(rng, runs, 60, icc), normal_windows(rng, runs, 60, icc)
    naive = stats.ttest_ind(a.reshape(runs, -1), b.reshape(runs, -1), axis=1).pvalue
    honest = stats.ttest_ind(a.mean(axis=2), b.mean(axis=2), axis=1, equal_var=False).pvalue
    assert np.mean(naive < 0.05) == pytest.approx(rate, abs=0.045) and np.mean(naive < 0.05) > 0.15
    assert np.mean(honest < 0.05) == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 / runs))


def scored_windows(rng, features, shift, icc=0.4, windows=5):
    """Calls of two arms with 0-3 scores, one window per bin; `shift` moves arm a's features."""
    rows = []
    for arm, extra in (("a", shift), ("b", 0.0)):
        own = rng.normal(1.2 + extra, np.sqrt(icc), features)
        score = np.clip(np.round(own[:, None] + rng.normal(0, np.sqrt(1 - icc), (features, windows))), 0, 3)
        rows += [(f"{arm}{k}", arm, place + 1, score[k, place]) for k in range(features) for place in range(windows)]
    return calls(*rows)


def rejection(rng, features, shift, runs):
    p = [contrasts(feature_table(scored_windows(rng, features, shift))).query("kind == 'pairwise'")["p"].iloc[0] for _ in range(runs)]
    return float(np.mean(np.array(p, float) < 0.05))


@pytest.mark.long
def test_power_and_level_through_the_whole_analysis_of_0_to_3_scores():
    rng = np.random.default_rng(5)

    def size(shift):
        by = feature_table(scored_windows(np.random.default_rng(9), 4000, shift)).groupby("arm")["score"]
        return (by.mean()["a"] - by.mean()["b"]) / np.sqrt(by.var().mean())

    shift = np.interp(0.57, [size(each) for each in (0.2, 0.3, 0.4, 0.5, 0.6)], [0.2, 0.3, 0.4, 0.5, 0.6])
    for features, power in ((60, 0.87), (15, 0.32)):
        found = rejection(rng, features, shift, 500)
        print(f"{features} features per arm: power {found:.3f}")
        assert found == pytest.approx(power, abs=0.065)
    level = rejection(rng, 60, 0.0, 800)
    print(f"level {level:.3f}")
    assert level == pytest.approx(0.05, abs=0.025)


def test_score_follows_activation_and_axes_by_hand():
    rows = [(f"f{n}", "a", bin_, score) for n in range(3) for bin_, score in enumerate([0, 1, 1, 2, 3])]
    rows += [("flat", "a", bin_, 1) for bin_ in range(5)]
    found = activation_correlation(calls(*rows)).iloc[0]
    assert found["rho"] == pytest.approx(stats.spearmanr(range(5), [0, 1, 1, 2, 3]).statistic) and (found["n"], found["n_left_out"]) == (3, 1)
    bins = score_by_bin(calls(*rows)).set_index("bin")
    assert bins.loc[4, "mean"] == pytest.approx((3 + 3 + 3 + 1) / 4) and bins.loc[0, "n"] == 4
    features = some_features(np.random.default_rng(4), concepts="cdefgh")
    axes = features[["concept", "feature"]].assign(detection=-features["score"])
    table = axis_correlations(features, axes, columns=["detection"])
    assert (table.query("unit == 'feature'")["rho"] == -1).all() and table.query("unit == 'concept'")["n"].iloc[0] == 6


def test_levels_and_costs_count_every_call():
    rows = calls(("f", "a", 1, 0), ("f", "a", 2, 3), ("f", "a", 0, 0), ("g", "a", 1, np.nan), cost=0.5, tokens_in=10, tokens_out=1)
    levels = score_levels(rows).set_index("group")
    assert levels.loc["a", ["score_0", "score_3", "missing"]].tolist() == [1, 1, 1] and levels.loc["zero activation", "kind"] == "control"
    costs = cost_table(rows).iloc[0]
    assert (costs["calls"], costs["answered"], costs["cost"], costs["tokens_in"]) == (4, 3, 2.0, 40)
    assert costs["cost_per_answer"] == pytest.approx(2 / 3)
