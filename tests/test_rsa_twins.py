"""Our arithmetic equals rsatoolbox (and scipy) to 1e-6."""

import numpy as np
import pytest
import rsatoolbox
from rsa_data import Tokens, far_design, matched_design
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from cogneuro_sae.rsa import (condensed, data_rdm, model_rdm, paraphrase_ceiling, pooled_corr, pooled_corr_cov,
                              pooled_cosine_cov, rsa_map)
from cogneuro_sae.rsa.profiles import profile_correlations


def compare(x, M, method):
    data = rsatoolbox.rdm.RDMs(pdist(x[:, None], "sqeuclidean")[None])
    return rsatoolbox.rdm.compare(data, rsatoolbox.rdm.RDMs(condensed(M)[None]), method=method)[0, 0]


def models(n):
    rng = np.random.default_rng(0)
    grade = rng.normal(size=n)
    return {"two_class": model_rdm("categorical", np.arange(n) < n // 3).get_matrices()[0],
            "graded": model_rdm("graded", grade).get_matrices()[0],
            "brain": squareform(rng.random(n * (n - 1) // 2))}


@pytest.mark.parametrize("name", ["two_class", "graded", "brain"])
@pytest.mark.parametrize("method, ours", [("corr", pooled_corr), ("cosine_cov", pooled_cosine_cov),
                                          ("corr_cov", pooled_corr_cov)])
def test_closed_forms_equal_rsatoolbox(name, method, ours):
    n = 14
    X, M = np.random.default_rng(1).gamma(1.0, size=(n, 5)), models(n)[name]
    np.testing.assert_allclose(ours(X, M), [compare(X[:, f], M, method) for f in range(5)], atol=1e-6)


@pytest.mark.parametrize("method", ["corr", "cosine_cov", "corr_cov"])
@pytest.mark.parametrize("name", ["two_class", "brain"])
def test_permutation_kernels_equal_rsatoolbox_and_the_closed_forms(method, name):
    """Every item its own cell, so that no pair is masked."""
    design = far_design(5, 9, paraphrases=1)
    from cogneuro_sae.inference import joint_scheme

    design.scheme = joint_scheme(design.cells)
    X, M = np.random.default_rng(2).gamma(1.0, size=(14, 4)), models(14)[name]
    found = rsa_map(X, design, score="model", variant="pooled", model=M, method=method)
    np.testing.assert_allclose(found.value, [compare(X[:, f], M, method) for f in range(4)], atol=1e-6)
    permuted = rsa_map(X, design, score="model", variant="pooled", model=M, method=method, permutations=50, seed=4)
    np.testing.assert_allclose(permuted.value, found.value, atol=1e-12)


def test_two_class_pooled_rsa_is_the_t_test():
    """docs/methods.md: cosine_cov = t^2/(t^2 + n - 2), corr_cov = adjusted r^2."""
    y = np.arange(16) < 7
    X = np.random.default_rng(3).normal(size=(16, 6)) + y[:, None]
    t = stats.ttest_ind(X[y], X[~y]).statistic
    r2 = t**2 / (t**2 + 14)
    M = model_rdm("categorical", y).get_matrices()[0]
    np.testing.assert_allclose(pooled_cosine_cov(X, M), r2, atol=1e-10)
    np.testing.assert_allclose(pooled_corr_cov(X, M), (15 * r2 - 1) / 14, atol=1e-10)


def test_masked_corr_equals_a_loop_over_kept_pairs():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(6), 2)
    X, M, keep = rng.normal(size=(12, 5)), models(12)["brain"], groups[:, None] != groups[None]
    i, j = np.nonzero(np.triu(keep, 1))
    expected = [np.corrcoef((X[i, f] - X[j, f]) ** 2, M[i, j])[0, 1] for f in range(5)]
    np.testing.assert_allclose(pooled_corr(X, M, mask=keep), expected, atol=1e-10)
    design = matched_design(6, paraphrases=1)
    found = rsa_map(X, design, score="model", variant="pooled", model=M)
    np.testing.assert_allclose(found.value, expected, atol=1e-10)
    assert np.isnan(pooled_corr(np.ones((12, 1)), M)[0]) and np.isnan(pooled_cosine_cov(np.ones((12, 1)), M)[0])


@pytest.mark.parametrize("n", [3, 16, 17, 45])
def test_the_laplacian_form_of_any_number_of_stimuli_equals_a_loop(n):
    rng = np.random.default_rng(n)
    X, M = rng.normal(size=(n, 3)), squareform(rng.random(n * (n - 1) // 2))
    expected = [np.corrcoef(pdist(X[:, [f]], "sqeuclidean"), squareform(M, checks=False))[0, 1] for f in range(3)]
    np.testing.assert_allclose(pooled_corr(X, M), expected, atol=1e-12)


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_missing_value_costs_its_pairs_and_no_other_feature_anything(missing, monkeypatch):
    rng = np.random.default_rng(7)
    design = matched_design(8, paraphrases=1)
    X, M = rng.normal(size=(16, 5)), squareform(rng.random(120))
    options = {"score": "model", "variant": "pooled", "model": M}
    whole = rsa_map(X, design, **options).value
    X[3, 2] = missing
    groups = design.groups
    i, j = np.nonzero(np.triu(groups[:, None] != groups[None], 1) & (np.arange(16) != 3)[:, None] & (np.arange(16) != 3))
    whole[2] = np.corrcoef((X[i, 2] - X[j, 2]) ** 2, M[i, j])[0, 1]
    np.testing.assert_allclose(rsa_map(X, design, **options).value, whole, atol=1e-12)
    monkeypatch.setattr("cogneuro_sae.rsa.jobs.BLOCK", 1)
    np.testing.assert_allclose(rsa_map(X, design, **options).value, whole, atol=1e-12)


def test_profile_correlations_equal_rsatoolbox_correlation_distance():
    rng = np.random.default_rng(5)
    values = rng.gamma(1.0, size=(8, 12, 3))
    first, second = np.triu_indices(8, 1)
    found = profile_correlations(values.reshape(96, 3), np.arange(9) * 12, first, second)
    for f in range(3):
        reference = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(values[:, :, f]), method="correlation")
        np.testing.assert_allclose(1 - found[f], reference.dissimilarities[0], atol=1e-6)


def test_profile_model_score_equals_rsatoolbox_compare():
    design = far_design(4, 4, paraphrases=1)
    values = np.random.default_rng(6).gamma(1.0, size=(8 * 12, 3))
    model = model_rdm("categorical", design.y)
    found = rsa_map(Tokens(values, [12] * 8), design, score="model", model=model)
    for f in range(3):
        data = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(values[:, f].reshape(8, 12)), method="correlation")
        assert found.value[f] == pytest.approx(rsatoolbox.rdm.compare(data, model, method="corr")[0, 0], abs=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_profile_correlations_are_stable_under_large_offsets(offset):
    rng = np.random.default_rng(7)
    lengths = np.array([9, 14, 11, 20])
    block = rng.normal(size=(lengths.sum(), 2)) + offset
    offsets = np.r_[0, np.cumsum(lengths)]
    first, second = np.triu_indices(4, 1)
    found = profile_correlations(block, offsets, first, second)
    for p, (i, j) in enumerate(zip(first, second)):
        n = min(lengths[i], lengths[j])
        for f in range(2):
            expected = np.corrcoef(block[offsets[i]:offsets[i] + n, f], block[offsets[j]:offsets[j] + n, f])[0, 1]
            assert found[f, p] == pytest.approx(expected, abs=1e-8)


def test_profiles_constant_within_the_common_tokens_are_missing():
    lengths, block = np.array([8, 12, 12]), np.ones((32, 1))
    block[8 + 8:8 + 12] = 5.0
    block[20:32, 0] = np.arange(12)
    block[0:8, 0] = np.arange(8)
    found = profile_correlations(block, np.r_[0, np.cumsum(lengths)], np.array([0, 0, 1]), np.array([1, 2, 2]))[0]
    assert np.isnan(found[0]) and found[1] == pytest.approx(1) and np.isfinite(found[2])


def test_pattern_rsa_equals_data_rdm():
    design = far_design(4, 5, paraphrases=1)
    X = np.random.default_rng(8).normal(size=(9, 12))
    rdm = data_rdm(X).get_matrices()[0]
    z = np.arctanh(np.clip(1 - rdm, -0.999, 0.999))
    y = design.y == 1
    aa = z[np.ix_(y, y)][np.triu_indices(4, 1)].mean()
    assert rsa_map(X, design, variant="pattern").value[0] == pytest.approx(aa - z[np.ix_(y, ~y)].mean(), abs=1e-6)
    np.testing.assert_allclose(data_rdm(X, metric="euclidean").dissimilarities[0], pdist(X, "sqeuclidean") / 12)


def test_paraphrase_ceiling_equals_rsatoolbox_noise_ceiling():
    design = far_design(5, 5, paraphrases=3)
    rng = np.random.default_rng(9)
    X = rng.normal(size=(10, 30))[design.cells] + 0.6 * rng.normal(size=(30, 30))
    found = paraphrase_ceiling(X, design, "categorical", draws=60, seed=1)
    reference = []
    for draw in range(60):
        order = np.array([np.random.default_rng([draw, c]).permutation(3) + 3 * c for c in range(10)])
        rdms = rsatoolbox.rdm.RDMs(np.array([pdist(X[order[:, k]], "correlation") for k in range(3)]),
                                   rdm_descriptors={"index": [0, 1, 2]})
        reference.append(rsatoolbox.inference.noise_ceiling.boot_noise_ceiling(rdms, method="corr",
                                                                               rdm_descriptor="index"))
    np.testing.assert_allclose([found.lower, found.upper], np.mean(reference, axis=0), atol=0.01)
