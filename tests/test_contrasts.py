"""Contrast kernels equal scipy, pingouin, statsmodels and nilearn; permutations equal loops over relabelled data."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cogneuro_sae import contrasts
from cogneuro_sae.contrasts import CONTRASTS, contrast_map, freedman_lane_t, glm_contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import (item_scheme, label_scheme, labellings, residual_scheme, sign_scheme, swap_scheme,
                                    two_part_scheme)


def matched(m=7, paraphrases=2, seed=0, n_features=9):
    """m items x (target, near) x paraphrases, non-negative features; feature 0 carries an effect."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(m), 2 * paraphrases)
    y = np.tile(np.repeat([1, 0], paraphrases), m)
    X = np.maximum(rng.normal(size=(len(y), n_features)) + rng.normal(size=(m, n_features))[groups], 0)
    X[:, 0] += 2 * y + rng.random(len(y))
    X[:, -1] = 1.5
    design = SimpleNamespace(rows=np.arange(len(y)), y=y, weights=np.where(y, 1.0, -1.0), groups=groups,
                             cells=groups * 2 + y, scheme=swap_scheme(groups), contrast="main",
                             expression="target - near")
    return X, design


def unmatched(seed=1, n1=6, n0=5, paraphrases=2, n_features=6):
    rng = np.random.default_rng(seed)
    cells = np.repeat(np.arange(n1 + n0), paraphrases)
    y = (cells < n1).astype(int)
    X = np.maximum(rng.normal(size=(len(y), n_features)) + rng.normal(size=(n1 + n0, n_features))[cells], 0)
    design = SimpleNamespace(rows=np.arange(len(y)), y=y, weights=np.where(y, 1.0, -1.0), groups=cells, cells=cells,
                             scheme=label_scheme(cells, y), contrast="far", expression="target - far")
    return X, design


def averaged(X, design):
    cells = pd.unique(pd.Series(design.cells))
    means = np.array([X[design.cells == c].mean(0) for c in cells])
    pick = [np.flatnonzero(design.cells == c)[0] for c in cells]
    return means, design.y[pick], np.asarray(design.groups)[pick]


@pytest.mark.parametrize("name", ["welch_t", "mean_difference", "auroc", "hedges_g", "paired_t"])
def test_values_equal_libraries(name):
    import pingouin

    X, design = matched()
    C, y, items = averaged(X, design)
    A, B = C[y == 1], C[y == 0]
    reference = {
        "welch_t": lambda a, b: stats.ttest_ind(a, b, equal_var=False).statistic,
        "mean_difference": lambda a, b: a.mean() - b.mean(),
        "auroc": lambda a, b: stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)),
        "hedges_g": lambda a, b: pingouin.compute_effsize(a, b, eftype="hedges"),
        "paired_t": lambda a, b: stats.ttest_rel(a, b).statistic,
    }[name]
    found = contrast_map(X, design, score=name)
    np.testing.assert_allclose(found.value[:-1], [reference(A[:, f], B[:, f]) for f in range(8)], rtol=1e-9)
    assert np.isnan(found.value[-1]) and found.reasons == {"constant over the cells": 1}
    np.testing.assert_allclose(getattr(contrasts, name)(C, y, items), found.value)
    assert found.direction[0] == 1 and found.n_valid.tolist()[0] == [7, 7]


def test_rate_difference_averages_paraphrases_and_refuses_signed_units():
    X, design = matched()
    X[:, 1] = 0
    X[[0, 1, 4], 1] = 2.0
    found = contrast_map(X, design, score="rate_difference")
    assert found.value[1] == pytest.approx(3 / 14)
    with pytest.raises(InputError, match="refused on signed units"):
        contrast_map(X - 1, design, score="rate_difference")


def relabelled_p(C, labels, observed, statistic, tail="two-sided"):
    size = abs if tail == "two-sided" else (lambda v: v)
    T = [size(statistic(C[l == 1], C[l == 0])) for l in labels]
    return np.mean([t >= size(statistic(C[observed == 1], C[observed == 0])) - 1e-9 for t in T])


@pytest.mark.parametrize("name", ["welch_t", "paired_t", "mean_difference", "auroc", "hedges_g"])
def test_swaps_equal_a_loop_over_swapped_data(name):
    X, design = matched(m=6)
    C, y, items = averaged(X, design)
    found = contrast_map(X, design, score=name, permutations=64)
    assert found.info["enumerated"] and found.info["permutations"] == 64
    labels = [np.where(np.array(flip)[items] == 1, 1 - y, y) for flip in itertools.product([0, 1], repeat=6)]
    for f in (0, 1, 2):
        one = lambda a, b: CONTRASTS[name].kernel(  # noqa: E731
            np.r_[a, b][:, None], np.r_[np.ones(len(a)), np.zeros(len(b))][None].astype(np.int8),
            np.r_[np.arange(len(a)), np.arange(len(b))])[0, 0] - CONTRASTS[name].center
        assert found.pvalue[f] == pytest.approx(relabelled_p(C[:, f], labels, y, one))
    assert found.pvalue[0] == pytest.approx(2 / 64) and np.isnan(found.pvalue[-1])


def test_label_permutation_of_welch_equals_scipy_loops():
    X, design = unmatched()
    C, y, _ = averaged(X, design)
    found = contrast_map(X, design, permutations=1000)
    labels = [np.isin(np.arange(11), chosen).astype(int) for chosen in itertools.combinations(range(11), 6)]
    welch = lambda a, b: stats.ttest_ind(a, b, equal_var=False).statistic  # noqa: E731
    T = np.abs([welch(C[l == 1], C[l == 0]) for l in labels])
    np.testing.assert_allclose(found.pvalue, (T >= np.abs(welch(C[y == 1], C[y == 0])) - 1e-9).mean(0))


def test_paraphrases_are_averaged_first():
    X, design = matched()
    doubled = np.r_[X, X]
    twice = SimpleNamespace(**{**vars(design), "rows": np.arange(2 * len(X)),
                               "scheme": swap_scheme(np.tile(design.groups, 2))})
    for name in ("y", "weights", "groups", "cells"):
        setattr(twice, name, np.tile(getattr(design, name), 2))
    np.testing.assert_allclose(contrast_map(doubled, twice).value, contrast_map(X, design).value)


def test_rows_of_the_table_or_of_the_design():
    X, design = matched()
    table = np.insert(X, 3, 99.0, axis=0)
    design.rows = np.delete(np.arange(len(table)), 3)
    np.testing.assert_array_equal(contrast_map(table, design).value, contrast_map(X, design).value)
    with pytest.raises(InputError, match="the data have 27 rows, the design needs row 29"):
        contrast_map(X[:27], design)


def test_interaction_uses_item_contrasts_and_sign_flips():
    rng = np.random.default_rng(3)
    m, w = 6, np.array([1.0, -1.0, -1.0, 1.0])
    groups, X = np.repeat(np.arange(m), 4), rng.normal(size=(24, 3))
    design = SimpleNamespace(rows=np.arange(24), y=(np.tile(w, m) > 0).astype(int), weights=np.tile(w, m),
                             groups=groups,
                             cells=np.arange(24), scheme=sign_scheme(groups), contrast="i", expression="(a-b)-(c-d)")
    found = contrast_map(X, design, score="paired_t", permutations=100)
    c = (X * np.tile(w, m)[:, None]).reshape(m, 4, 3).sum(1)
    np.testing.assert_allclose(found.value, stats.ttest_1samp(c, 0).statistic)
    flips = np.array(list(itertools.product([1, -1], repeat=m)))
    T = np.abs(np.array([stats.ttest_1samp(c * s[:, None], 0).statistic for s in flips]))
    np.testing.assert_allclose(found.pvalue, (T >= T[0] - 1e-9).mean(0))


def test_a_part_with_weights_that_do_not_cancel_compares_weighted_means():
    rng, w, m = np.random.default_rng(8), np.array([1.0, -0.25, -0.25]), 6
    groups, X = np.repeat(np.arange(m), 3), rng.normal(5, 1, size=(18, 3))
    design = SimpleNamespace(rows=np.arange(18), y=(np.tile(w, m) > 0).astype(int), weights=np.tile(w, m),
                             groups=groups,
                             cells=np.arange(18), scheme=sign_scheme(groups), contrast="", expression="")
    c = X[::3] - (X[1::3] + X[2::3]) / 2
    np.testing.assert_allclose(contrast_map(X, design, score="paired_t").value, stats.ttest_1samp(c, 0).statistic)
    with pytest.raises(InputError, match="unequal numbers of cells"):
        contrast_map(X, design, score="welch_t", permutations=64)


@pytest.mark.parametrize("interaction", [False, True])
def test_between_items_uses_item_scores(interaction):
    rng = np.random.default_rng(4)
    m = 10
    label = np.repeat([1, 0], m // 2)
    groups, inner = np.repeat(np.arange(m), 2), np.tile([1.0, -1.0], m)
    X = rng.normal(size=(2 * m, 4))
    between = np.where(label[groups] == 1, 1.0, -1.0)
    weights = between * inner if interaction else between
    design = SimpleNamespace(rows=np.arange(2 * m), y=(weights > 0).astype(int), weights=weights, groups=groups,
                             cells=np.arange(2 * m), scheme=item_scheme(groups,
                                                                        label[groups]), contrast="b", expression="")
    found = contrast_map(X, design, permutations=300)
    score = X[::2] - X[1::2] if interaction else (X[::2] + X[1::2]) / 2
    np.testing.assert_allclose(found.value, stats.ttest_ind(score[:5], score[5:], equal_var=False).statistic)
    T = np.abs([stats.ttest_ind(score[list(c)], np.delete(score, c, 0), equal_var=False).statistic
                for c in itertools.combinations(range(m), 5)])
    np.testing.assert_allclose(found.pvalue, (T >= np.abs(found.value) - 1e-9).mean(0))


def two_part(seed=0, both=True):
    X, near = matched(m=8, seed=seed)
    far = np.random.default_rng(seed + 50).random((12, X.shape[1])) + (0 if both else 4)
    n = len(X)
    groups = np.r_[near.groups, 100 + np.repeat(np.arange(6), 2)]
    rows_b = np.r_[np.flatnonzero(near.y == 1), np.arange(n, n + 12)]
    cells = np.r_[near.cells, 1000 + np.repeat(np.arange(6), 2)]
    y = np.r_[near.y, np.zeros(12, int)]
    weights = np.where(y == 1, 1.0, -0.5)
    scheme = two_part_scheme(swap_scheme(near.groups), label_scheme(cells[rows_b], y[rows_b]), rows_a=np.arange(n),
                             rows_b=rows_b, n_rows=n + 12)
    return np.r_[X, far], SimpleNamespace(rows=np.arange(n + 12), y=y, weights=weights, groups=groups, cells=cells,
                                          scheme=scheme, contrast="broad", expression="target - (near + far)/2")


def test_two_part_needs_both_parts():
    X, design = two_part()
    found = contrast_map(X, design, permutations=400)
    assert found.pvalue[0] < 0.01 and found.direction[0] == 1
    assert contrast_map(*two_part(both=False), permutations=400).pvalue[0] > 0.5
    parts = []
    for part, rows in zip(design.scheme.parts, design.scheme.part_rows):
        view = SimpleNamespace(**{k: np.asarray(getattr(design, k))[rows] for k in ("y", "weights", "groups", "cells")},
                               rows=np.arange(len(rows)), scheme=part)
        parts.append(contrast_map(X[rows], view, permutations=400, seed=len(parts), tail="positive"))
    np.testing.assert_array_equal(found.pvalue, np.maximum(parts[0].pvalue, parts[1].pvalue))
    np.testing.assert_array_equal(found.p_fwe, np.maximum(parts[0].p_fwe, parts[1].p_fwe))


def test_two_part_turns_with_its_sign():
    X, design = two_part()
    found, turned = contrast_map(X, design, permutations=400), contrast_map(-X, design, permutations=400)
    assert found.value[0] > 0 > turned.value[0] and turned.pvalue[0] > 0.9


def ols_t(y, columns, contrast):
    beta, _, rank, _ = np.linalg.lstsq(columns, y, rcond=None)
    s2 = np.sum((y - columns @ beta) ** 2) / (len(y) - rank)
    return contrast @ beta / np.sqrt(s2 * contrast @ np.linalg.pinv(columns.T @ columns) @ contrast)


def test_freedman_lane_equals_refitting():
    rng = np.random.default_rng(5)
    item = np.repeat(np.arange(5), 3)[:-1]
    x, covariate, Y = rng.integers(0, 2, 14).astype(float), rng.normal(size=14), rng.normal(size=(14, 3))
    nuisance = np.c_[np.eye(5)[item], covariate]
    orders = labellings(residual_scheme(np.arange(14), item), 20, seed=1).values
    found = freedman_lane_t(Y, x, nuisance, orders)
    fit = nuisance @ np.linalg.lstsq(nuisance, Y, rcond=None)[0]
    full = np.c_[x, nuisance]
    for g, order in enumerate(orders):
        again = fit + (Y - fit)[order]
        np.testing.assert_allclose(found[g], [ols_t(again[:, f], full, np.eye(7)[0]) for f in range(3)], rtol=1e-8)
    with pytest.raises(InputError, match="combination of the nuisance"):
        freedman_lane_t(Y, (item > 2).astype(float), nuisance, orders)


def test_incomplete_items_are_permuted_by_freedman_lane():
    X, design = matched(m=8)
    keep = np.flatnonzero(~((design.groups == 3) & (design.y == 0)))
    for name in ("y", "weights", "groups", "cells"):
        setattr(design, name, getattr(design, name)[keep])
    design.rows, design.scheme = np.arange(len(keep)), residual_scheme(design.cells, design.groups)
    found = contrast_map(X[keep], design, permutations=500)
    assert "approximate" in found.info["scheme"] and "approximate" in found.info["statistic"]
    assert found.pvalue[0] < 0.03


def factorial(m=8, seed=6):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(list(itertools.product(range(m), ["nw", "nh", "pw", "ph"], range(2))),
                         columns=["item", "cell", "n"])
    X = rng.normal(size=(len(table), 5)) + rng.normal(size=(m, 5))[table["item"]]
    X[:, 0] += 2.5 * table["cell"].isin(["nw", "ph"])
    X[:, 1] += 2.5 * table["cell"].str.startswith("n")
    return X, table, pd.get_dummies(table["cell"], dtype=float)


@pytest.mark.parametrize("expression, feature", [("(nw - pw) - (nh - ph)", 0), ("(nw + nh)/2 - (pw + ph)/2", 1)])
def test_glm_contrasts_of_a_factorial_equal_ols_by_hand(expression, feature):
    X, table, regressors = factorial()
    cells = table["item"].astype(str) + table["cell"]
    found = glm_contrast_map(X, regressors, expression, items=table["item"], cells=cells, permutations=300)
    means = np.array([X[(cells == c).to_numpy()].mean(0) for c in sorted(set(cells))])
    first = [np.flatnonzero(cells == c)[0] for c in sorted(set(cells))]
    columns = np.c_[regressors.to_numpy()[first], np.eye(8)[table["item"].to_numpy()[first]]]
    weights = {"(nw - pw) - (nh - ph)": [-1, 1, 1, -1], "(nw + nh)/2 - (pw + ph)/2": [0.5, 0.5, -0.5, -0.5]}[expression]
    order = {"nh": 0, "nw": 1, "ph": 2, "pw": 3}
    signed = dict(zip(["nh", "nw", "ph", "pw"], weights))
    contrast = np.r_[[signed[n] for n in order], np.zeros(8)]
    np.testing.assert_allclose(found.value, [ols_t(means[:, f], columns, contrast) for f in range(5)], rtol=1e-7)
    assert found.pvalue[feature] < 0.02 and found.direction[feature] == 1
    assert found.pvalue[1 - feature] > 0.02 and "sign flips" in found.info["statistic"]


def test_glm_with_two_conditions_is_the_paired_t():
    X, design = matched(m=9)
    regressors = pd.DataFrame({"target": design.y == 1, "near": design.y == 0}).astype(float)
    found = glm_contrast_map(X, regressors, "target - near", items=design.groups, cells=design.cells, permutations=512)
    reference = contrast_map(X, design, score="paired_t", permutations=512)
    np.testing.assert_allclose(found.value, reference.value, rtol=1e-8)
    np.testing.assert_allclose(found.pvalue, reference.pvalue)
    z = glm_contrast_map(X, regressors, "target - near", items=design.groups, cells=design.cells, output="z").value
    t, df = found.value[1], 8
    assert z[1] == pytest.approx(stats.norm.isf(stats.t.sf(t, df)), rel=1e-5)


def test_glm_covariates_are_approximate_and_equal_ols():
    X, table, regressors = factorial()
    length = pd.DataFrame({"length": np.random.default_rng(7).normal(size=len(X))})
    found = glm_contrast_map(X, regressors, "nw - pw", items=table["item"], covariates=length, permutations=200)
    columns = np.c_[regressors, np.eye(8)[table["item"]], length]
    contrast = np.r_[[0, 1, 0, -1], np.zeros(9)]
    np.testing.assert_allclose(found.value, [ols_t(X[:, f], columns, contrast) for f in range(5)], rtol=1e-7)
    assert "approximate" in found.info["statistic"] and found.pvalue[0] < 0.02


@pytest.mark.parametrize("expression, match", [("nw", "cannot be estimated: the design has rank 11 for 12 columns"),
                                               ("nw - px", "unknown name")])
def test_glm_messages(expression, match):
    X, table, regressors = factorial()
    with pytest.raises(InputError, match=match):
        glm_contrast_map(X, regressors, expression, items=table["item"])


def test_refusals():
    X, design = unmatched()
    with pytest.raises(InputError, match="paired_t needs matched items"):
        contrast_map(X, design, score="paired_t")
    with pytest.raises(InputError, match="did you mean 'welch_t'"):
        contrast_map(X, design, score="welsh_t")
    small, pair = matched(m=5)
    with pytest.raises(InputError, match="no outcome could be significant"):
        contrast_map(small, pair, permutations=100)
    assert contrast_map(small, pair).pvalue is None


def test_flipped_labels_flip_every_score():
    X, design = matched()
    turned = SimpleNamespace(**{**vars(design), "y": 1 - design.y, "weights": -design.weights})
    for name, spec in CONTRASTS.items():
        a, b = contrast_map(X, design, score=name), contrast_map(X, turned, score=name)
        np.testing.assert_allclose(a.value - spec.center, -(b.value - spec.center), atol=1e-12)
        np.testing.assert_array_equal(a.direction, -b.direction)
