"""Distances of feature sets and crossnobis over paraphrase folds: library twins, unbiasedness, given RDMs in a fit."""

import numpy as np
import pytest
import rsatoolbox
from hypothesis import given, settings
from hypothesis import strategies as st
from rsa_data import far_design, matched_design
from scipy.spatial.distance import pdist

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_table
from cogneuro_sae.rsa import crossnobis_rdms, data_rdm, distance_rdms, pair_distances, rdm_map, rsa_map
from cogneuro_sae.rsa.distances import DISTANCES


def noisy(design, n_features=7, seed=0):
    """Correlated features of unequal scale with item variance and a difference between the sides."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features)) * np.linspace(0.3, 3, n_features)
    item = rng.normal(size=(design.groups.max() + 1, n_features))[design.groups]
    return rng.normal(size=(len(design.y), n_features)) @ mixing + item + 0.7 * design.y[:, None]


@pytest.mark.parametrize("metric", DISTANCES)
def test_distances_equal_scipy_and_rsatoolbox(metric):
    X = noisy(matched_design(4), n_features=9)
    found = distance_rdms(X, metric=metric, sets=[np.arange(9), [5, 1, 2]], ids=[f"s{i}" for i in range(len(X))])
    for values, columns in zip(found.get_vectors(), (np.arange(9), [5, 1, 2])):
        divide = len(columns) if metric == "sqeuclidean" else 1
        np.testing.assert_allclose(values, pdist(X[:, columns], metric) / divide, rtol=1e-9, atol=1e-12)
    assert found.pattern_descriptors["id"][3] == "s3" and found.rdm_descriptors["set"] == [0, 1]
    if metric != "cosine":
        twin = data_rdm(X, metric="euclidean" if metric == "sqeuclidean" else metric).get_vectors()[0]
        np.testing.assert_allclose(found.get_vectors()[0], twin, rtol=1e-9, atol=1e-12)


def test_a_pattern_without_direction_has_no_angle():
    X = np.array([[0.0, 0, 0], [1, 2, 3], [2, 2, 2], [1, 0, 4]])
    r, cosine = (distance_rdms(X, metric=metric).get_vectors()[0] for metric in ("correlation", "cosine"))
    assert np.isnan(r).tolist() == [True, True, True, True, False, True]      # rows 0 and 2 are constant
    assert np.isnan(cosine).tolist() == [True, True, True, False, False, False]
    assert cosine[3] == pytest.approx(1 - 12 / np.sqrt(14 * 12))
    assert distance_rdms(X, metric="sqeuclidean").get_vectors()[0, 0] == pytest.approx(14 / 3)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")     # inside rsatoolbox
@pytest.mark.parametrize("noise", ["diagonal", "shrunk", "none"])
@pytest.mark.parametrize("paraphrases", [2, 4])
def test_crossnobis_equals_rsatoolbox(noise, paraphrases):
    design = matched_design(5, paraphrases)
    X, table = noisy(design), cell_table(design)
    found = crossnobis_rdms(X, design, noise=noise, sets=[np.arange(7), [1, 4, 6]])
    residuals = X - np.array([X[table.index == c].mean(axis=0) for c in range(10)])[table.index]
    method = {"diagonal": "diag", "shrunk": "shrinkage_diag"}.get(noise)
    for values, columns in zip(found.get_vectors(), (np.arange(7), [1, 4, 6])):
        precision = None if method is None else rsatoolbox.data.noise.prec_from_residuals(
            residuals[:, columns], dof=len(X) - 10, method=method)
        data = rsatoolbox.data.Dataset(X[:, columns], obs_descriptors={
            "cell": table.index, "fold": np.tile(np.arange(paraphrases), 10)})
        twin = rsatoolbox.rdm.calc_rdm(data, method="crossnobis", descriptor="cell", cv_descriptor="fold",
                                       noise=precision)
        np.testing.assert_allclose(values, twin.get_vectors()[0], rtol=1e-9, atol=1e-10)
    assert found.n_cond == 10 and found.pattern_descriptors["condition"][:2] == ["target", "near"]


def test_crossnobis_by_hand_with_unequal_folds():
    design = far_design(1, 2, 3)
    for name in ("rows", "y", "weights", "groups", "cells", "conditions"):
        setattr(design, name, getattr(design, name)[:8])                     # the last cell has two paraphrases
    design.rows = np.arange(8)
    X = np.array([[1.0], [2], [4], [0], [1], [1], [5], [3]])
    d01 = np.array([1 - 0, 2 - 1, 4 - 1.0])
    expected = [(d01[0] * d01[1] + d01[0] * d01[2] + d01[1] * d01[2]) / 3, (1 - 5.0) * (2 - 3), (0 - 5.0) * (1 - 3)]
    np.testing.assert_allclose(crossnobis_rdms(X, design, noise="none").get_vectors()[0], expected)


@pytest.mark.parametrize("noise", ["none", "diagonal", "shrunk"])
def test_the_null_mean_is_zero_but_for_the_estimated_variance(noise):
    """150 nulls. Variance from the same texts adds 4 / (K (dof - 2)) to every distance, K = 3 and dof = 40 here."""
    design, rng = matched_design(10, 3), np.random.default_rng(1)
    scale = np.arange(1, 7)
    found = np.array([crossnobis_rdms(rng.normal(size=(60, 6)) * scale, design, noise=noise).get_vectors()[0]
                      for _ in range(150)])
    means, bias = found.mean(axis=1), 0 if noise == "none" else 4 / (3 * 38)
    assert abs(means.mean() - bias) < 3.5 * means.std() / np.sqrt(150)
    assert 0.4 < np.mean(found < 0) < 0.6                                    # negative values stay
    plain = distance_rdms(rng.normal(size=(60, 6)), metric="sqeuclidean").get_vectors()
    assert plain.min() > 0 and plain.mean() == pytest.approx(2, abs=0.2)     # the bias that crossnobis mends


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.lists(st.floats(0.01, 100), min_size=4, max_size=4))
def test_units_shifts_and_doubled_features_do_not_count(seed, scale):
    design = matched_design(4, 2)
    X = noisy(design, n_features=4, seed=seed)
    plain = crossnobis_rdms(X, design).get_vectors()[0]
    moved = crossnobis_rdms(np.hstack([X * scale + 3, X]), design).get_vectors()[0]
    np.testing.assert_allclose(moved, plain, rtol=1e-6, atol=1e-9)
    shrunk = [crossnobis_rdms(values, design, noise="shrunk").get_vectors()[0] for values in (X, X * 7 - 2)]
    np.testing.assert_allclose(*shrunk, rtol=1e-6, atol=1e-9)


def test_a_true_difference_is_estimated_without_the_noise():
    design, rng = matched_design(10, 3), np.random.default_rng(2)
    found = np.mean([crossnobis_rdms(rng.normal(size=(60, 4)) + 2 * design.y[:, None], design, noise="none")
                     .get_matrices()[0][0, 1] for _ in range(200)])
    assert found == pytest.approx(4.0, abs=0.3)                              # (2 - 0)^2 per feature


def test_single_features_and_silence():
    design = matched_design(5, 2)
    X = noisy(design)
    X[:, 2] = 0
    X[:, 3] = design.cells                                                   # no wording noise at all
    found = crossnobis_rdms(X, design, sets=[[f] for f in range(7)] + [np.arange(7)])
    assert np.isnan(found.get_vectors()).all(axis=1).tolist() == [False] * 2 + [True] * 2 + [False] * 4
    assert found.rdm_descriptors["features_used"] == [1, 1, 0, 0, 1, 1, 1, 5]
    fit = rdm_map(found, design, model="categorical", permutations=32)
    assert np.isnan(fit.value[[2, 3]]).all() and np.isfinite(fit.value[[0, 1, 7]]).all()


def test_given_rdms_give_the_same_map_as_the_values():
    design = matched_design(7, 2)
    X = noisy(design, n_features=5)
    cells = np.array([X[design.cells == c].mean(axis=0) for c in design.cells[cell_table(design).first]])
    rdms = distance_rdms(cells, metric="sqeuclidean", sets=[[f] for f in range(5)])
    ours = rdm_map(rdms, design, model="categorical", permutations=200, X=X)
    twin = rsa_map(X, design, variant="pooled", score="model", model="categorical", permutations=200)
    for name in ("value", "pvalue", "p_fwe"):
        np.testing.assert_allclose(getattr(ours, name), getattr(twin, name), atol=1e-9)
    assert (ours.direction == twin.direction).all() and ours.info["variant"] == "given: sqeuclidean"
    patterns = distance_rdms(X, metric="correlation")                        # over stimuli, not cells
    twin = rsa_map(X, design, variant="pattern", score="model", model="categorical", permutations=100)
    ours = rdm_map(patterns, design, model="categorical", permutations=100)
    np.testing.assert_allclose([ours.value, ours.pvalue], [twin.value, twin.pvalue], atol=1e-9)


def test_crossnobis_finds_a_planted_concept():
    design, rng = matched_design(8, 2), np.random.default_rng(3)
    X = rng.normal(size=(32, 12)) + 1.5 * design.y[:, None] * (np.arange(12) < 6)
    found = rdm_map(crossnobis_rdms(X, design, sets=[np.arange(6), np.arange(6, 12)]), design, model="categorical",
                    permutations=500, X=X, sets=[np.arange(6), np.arange(6, 12)])
    assert found.pvalue[0] < 0.01 and found.value[0] > 0.4 > found.value[1] and found.direction[0] == 1


@pytest.mark.parametrize("call, message", [
    (lambda d, X: crossnobis_rdms(X, d, noise="diagnal"), "unknown noise covariance.*did you mean 'diagonal'"),
    (lambda d, X: crossnobis_rdms(X[::2], matched_design(5, 1)), "10 cells have one paraphrase.*write more"),
    (lambda d, X: crossnobis_rdms(X * np.nan, d), "140 values are missing"),
    (lambda d, X: crossnobis_rdms(X, d, sets=[[7]]), "feature set 0.*features 0 to 6"),
    (lambda d, X: distance_rdms(X, metric="cosin"), "unknown distance 'cosin'"),
    (lambda d, X: distance_rdms(X[:, :1]), "one feature has no correlation distance.*sqeuclidean"),
    (lambda d, X: distance_rdms(X, ids=["a"]), "1 ids for 20 stimuli"),
    (lambda d, X: rdm_map(crossnobis_rdms(X, d), d, score="categorical"), "no scale on dissimilarities below 0"),
    (lambda d, X: rdm_map(distance_rdms(X[:9]), d, model="categorical"), "9 rows"),
    (lambda d, X: pair_distances(distance_rdms(X), d, X=X, sets=[[0], [1]]), "2 feature sets for 1 RDMs"),
])
def test_refusals(call, message):
    design = matched_design(5, 2)
    with pytest.raises(InputError, match=message):
        call(design, noisy(design))
