"""Schemes count their groups exactly, permutation inference equals enumeration, resampling tests equal libraries."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import (bh, bootstrap_ci, cell_labels, cell_table, corrected_resampled_t, free_scheme,
                                    holm, item_scheme, joint_scheme, label_scheme, labellings, permutation_inference,
                                    require_resolvable, residual_scheme, sign_flip_test, sign_scheme, swap_scheme,
                                    t_interval, tost, two_part_scheme, within_scheme)

PAIRED = np.repeat(["a", "b", "c", "d"], 2)


def scheme_cases():
    return {
        "swap": (swap_scheme(PAIRED), 2**4, 1 / 16, 2 / 16),
        "sign": (sign_scheme(np.repeat(list("abcdef"), 4)), 2**6, 1 / 64, 2 / 64),
        "labels_balanced": (label_scheme(range(6), [1, 1, 1, 0, 0, 0]), 20, 1 / 20, 2 / 20),
        "labels_unbalanced": (label_scheme(range(6), [1, 1, 0, 0, 0, 0]), 15, 1 / 15, 1 / 15),
        "labels_strata": (label_scheme(range(8), [1, 1, 0, 0] * 2, strata=[0] * 4 + [1] * 4), 36, 1 / 36, 2 / 36),
        "items": (item_scheme(list("aabbccdd"), [1] * 4 + [0] * 4), 6, 1 / 6, 2 / 6),
        "items_three": (item_scheme(range(6), [0, 1, 2] * 2), 90, 1 / 90, 6 / 90),
        "within": (within_scheme(np.repeat(range(3), 3), [0, 1, 3] * 3), 216, 1 / 216, 1 / 216),
        "within_mirror": (within_scheme(np.repeat(range(3), 3), [0, 1, 2] * 3), 216, 2 / 216, 2 / 216),
        "joint": (joint_scheme(range(4)), 24, 1 / 24, 1 / 24),
        "free": (free_scheme([1, 0, 0, 1, 0]), 10, 1 / 10, 1 / 10),
        "residuals": (residual_scheme(range(5), [0, 0, 0, 1, 1]), 12, 1 / 12, 2 / 12),
    }


@pytest.mark.parametrize("name", scheme_cases())
def test_group_size_and_smallest_p(name):
    scheme, size, one, two = scheme_cases()[name]
    assert scheme.size == size and isinstance(scheme.size, int)
    assert (scheme.min_p_one, scheme.min_p_two) == pytest.approx((one, two))
    assert str(size) in scheme.description


@pytest.mark.parametrize("name", scheme_cases())
def test_enumeration_is_the_whole_group_once_and_starts_with_the_observed(name):
    scheme, size, _, _ = scheme_cases()[name]
    found = labellings(scheme, size)
    assert found.enumerated and found.values.shape == (size, scheme.n_units)
    assert len({row.tobytes() for row in found.values}) == size
    sampled = labellings(scheme, size - 1, seed=1)
    assert not sampled.enumerated and len(sampled.values) == size
    assert (sampled.values[0] == found.values[0]).all()
    assert {row.tobytes() for row in sampled.values} <= {row.tobytes() for row in found.values}


def test_sampled_labels_stay_in_their_stratum():
    strata = np.array([0] * 10 + [1] * 6)
    labels = np.array([1] * 3 + [0] * 7 + [1] * 4 + [0] * 2)
    values = labellings(label_scheme(range(16), labels, strata=strata), 200, seed=3).values
    assert (values[:, :10].sum(axis=1) == 3).all() and (values[:, 10:].sum(axis=1) == 4).all()
    assert values[1:].mean(axis=0).std() > 0 and (values != values[0]).any(axis=0).all()


def test_huge_groups_are_exact_integers():
    scheme = label_scheme(range(300), [1] * 150 + [0] * 150)
    assert scheme.size == math.comb(300, 150)
    assert joint_scheme(range(400)).size == math.factorial(400)


def test_a_design_that_cannot_be_significant_is_refused():
    require_resolvable(swap_scheme(np.repeat(range(6), 2)))
    with pytest.raises(InputError, match=r"main: no outcome could be significant.*0\.0625.*2\^5"):
        require_resolvable(swap_scheme(np.repeat(range(5), 2)), where="main")
    require_resolvable(swap_scheme(np.repeat(range(5), 2)), tail="positive")


@pytest.mark.parametrize("call, match", [
    (lambda: label_scheme([0, 0, 1], [1, 0, 0]), "more than one label"),
    (lambda: label_scheme([0, 1], [1, 1]), "one label"),
    (lambda: within_scheme(list("aab"), [0, 1, 0]), "items b lack some of the 2 levels"),
    (lambda: swap_scheme([]), "no rows"),
    (lambda: labellings(swap_scheme(PAIRED), 0), "permutations is 0"),
    (lambda: swap_scheme(PAIRED).min_p("both"), "unknown tail 'both'"),
    (lambda: residual_scheme([0, 1], [0, 1]), "no item holds two cells"),
])
def test_messages(call, match):
    with pytest.raises(InputError, match=match):
        call()


def test_two_part_takes_the_larger_floor():
    near, far = swap_scheme(np.repeat(range(8), 2)), label_scheme(range(12), [1] * 8 + [0] * 4)
    scheme = two_part_scheme(near, far, rows_a=np.arange(16), rows_b=np.r_[0:16:2, 16:20], n_rows=20)
    assert scheme.min_p_one == max(1 / 2**8, 1 / math.comb(12, 4)) == scheme.min_p_two
    assert scheme.parts == (near, far)
    with pytest.raises(InputError, match="no labellings of its own"):
        labellings(scheme, 10)


def test_cell_labels_follow_the_scheme():
    design = SimpleNamespace(cells=np.array([5, 5, 2, 9, 7]), groups=np.array(list("aaabb")),
                             y=np.array([1, 1, 0, 1, 0]),
                             weights=np.ones(5))
    table = cell_table(design)
    assert table.index.tolist() == [0, 0, 1, 2, 3]
    assert table.item.tolist() == [0, 0, 1, 1] and table.y.tolist() == [1, 0, 1, 0]
    scheme = swap_scheme(design.groups)
    flipped = cell_labels(scheme, np.array([[1, 1], [-1, 1]], np.int8), table)
    assert flipped.tolist() == [[1, 0, 1, 0], [0, 1, 1, 0]]
    moved = cell_labels(label_scheme(design.cells, design.y), np.array([[1, 0, 1, 0]], np.int8), table)
    # units are the sorted cells 2 5 7 9; the table's order is 5 2 9 7
    assert moved.tolist() == [[0, 1, 0, 1]]


def loop_inference(T, tail, enumerated):
    """docs/methods.md in plain loops."""
    G, F = T.shape
    signed = -T if tail == "negative" else T
    p, z = np.full(F, np.nan), np.full((G, F), np.nan)
    family = []
    for f in range(F):
        valid = [g for g in range(G) if np.isfinite(signed[g, f])]
        others = [g for g in valid if g > 0]
        share = len(valid) / G if enumerated else len(others) / (G - 1)
        if share < 0.5 or np.std(signed[valid, f]) < 1e-12 * np.abs(signed[valid, f]).max():
            continue
        family.append(f)
        z[valid, f] = (signed[valid, f] - np.mean(signed[valid, f])) / np.std(signed[valid, f])
        if 0 in valid:
            size = np.abs if tail == "two-sided" else (lambda v: v)
            count = sum(size(signed[g, f]) >= size(signed[0, f]) - 1e-9 * max(1, abs(signed[0, f])) for g in others)
            p[f] = (1 + count) / len(valid) if enumerated else (1 + count) / (1 + len(others))
    z = np.abs(z) if tail == "two-sided" else z
    p_fwe = np.full(F, np.nan)
    for f in family:
        if not np.isnan(z[0, f]):
            p_fwe[f] = np.mean([np.nanmax(z[g, family], initial=-np.inf) >= z[0, f] - 1e-9 * max(1, abs(z[0, f]))
                                for g in range(G)])
    return p, p_fwe, family


@pytest.mark.parametrize("tail", ["two-sided", "positive", "negative"])
@pytest.mark.parametrize("enumerated", [True, False])
def test_inference_equals_loops_with_silent_labellings(tail, enumerated):
    rng = np.random.default_rng(4)
    T = rng.normal(size=(41, 12)) + np.r_[2.5, np.zeros(11)]
    T[:, 1] = 3.0
    T[rng.random(41) < 0.3, 2] = np.nan
    T[rng.random(41) < 0.8, 3] = np.nan
    T[0, 4] = np.nan
    T[1:, 4] *= 3
    T[:, 5] = np.nan
    T[:, 6] = np.round(T[:, 6])
    p, p_fwe, family = loop_inference(T, tail, enumerated)
    found = permutation_inference(T, enumerated=enumerated, tail=tail, budget=8 * 6 * 41 * 5)
    np.testing.assert_allclose(found.pvalue, p)
    np.testing.assert_allclose(found.p_fwe, p_fwe)
    assert np.flatnonzero(found.tested).tolist() == family and 4 in family
    assert sum(found.reasons.values()) == 3 and found.info["family"] == 9
    np.testing.assert_allclose(found.q, bh(p, family=9))


def test_blocks_of_features_give_the_same_answer():
    T = np.random.default_rng(5).normal(size=(200, 30))
    whole = permutation_inference(T, enumerated=False)
    blocks = permutation_inference(lambda a, b: T[:, a:b], enumerated=False, n_features=30, n_labellings=200,
                                   budget=8 * 6 * 200 * 7)
    np.testing.assert_array_equal(whole.p_fwe, blocks.p_fwe)


def test_skewed_features_are_flagged_and_mirror_images_are_not():
    T = np.random.default_rng(6).exponential(size=(2000, 2)) ** 2
    T[:, 1] *= -1
    assert permutation_inference(T, enumerated=False, tail="positive").skewed.tolist() == [True, False]
    assert permutation_inference(T, enumerated=False).skewed.tolist() == [True, True]


def test_bh_says_when_it_cannot_resolve():
    T = np.random.default_rng(7).normal(size=(100, 500))
    T[0, :3] = 50
    info = permutation_inference(T, enumerated=False).info
    assert info["bh_resolution"] == pytest.approx(500 * 0.01 / 0.05)
    assert info["bh"].startswith("BH not resolvable: 100 features")
    T[0, :120] = 50
    found = permutation_inference(T, enumerated=False)
    passing = (found.q <= 0.05).sum()
    assert passing >= 120 and found.info["bh"].startswith(f"{passing} features with q <=")


def test_bh_equals_the_step_up_by_hand():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(bh(p), [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.5])
    np.testing.assert_allclose(bh(p, family=5)[0], 0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_enumerated_sign_p_equals_brute_force(m, seed):
    c = np.random.default_rng(seed).normal(size=m) + 0.5
    S = labellings(sign_scheme(range(m)), 64).values
    found = permutation_inference((S @ c)[:, None], enumerated=True)
    brute = [abs(np.dot(s, c)) >= abs(c.sum()) - 1e-9 for s in itertools.product([1, -1], repeat=m)]
    assert found.pvalue[0] == pytest.approx(np.mean(brute))
    assert found.pvalue[0] >= 2 / 2**m


def test_sign_flip_exact_equals_scipy_and_the_interval_inverts_the_test():
    d = np.random.default_rng(8).normal(0.4, 1, 9)
    found = sign_flip_test(d)
    reference = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.pvalue == pytest.approx(reference.pvalue) and found.exact
    for limit, inward in ((found.ci_low, 1e-6), (found.ci_high, -1e-6)):
        assert sign_flip_test(d - limit - inward).pvalue > 0.05
        assert sign_flip_test(d - limit + inward).pvalue <= 0.05


def test_sign_flip_sampled_is_near_the_t_test_and_covers():
    d = np.random.default_rng(9).normal(0.3, 1, 40)
    found, reference = sign_flip_test(d, seed=2), t_interval(d)
    assert not found.exact and found.pvalue == pytest.approx(reference.pvalue, abs=0.02)
    assert (found.ci_low, found.ci_high) == pytest.approx((reference.ci_low, reference.ci_high), abs=0.05)
    assert sign_flip_test(d - found.ci_low + 1e-6, seed=2).pvalue <= 0.05 < sign_flip_test(d - found.ci_low - 1e-6,
                                                                                           seed=2).pvalue


def test_too_few_concepts_have_an_infinite_interval():
    assert sign_flip_test([0.1, 0.2, 0.3]).ci_low == -np.inf


def test_corrected_resampled_t_by_hand():
    d = np.array([1.0, 2.0, 3.0, 4.0, 0.0, 2.0, 3.0, 1.0, 2.0, 2.0])
    t = 2.0 / math.sqrt((1 / 10 + 1 / 4) * np.var(d, ddof=1))
    found = corrected_resampled_t(d, splits=5)
    assert (found.t, found.df, found.pvalue) == pytest.approx((t, 4, 2 * stats.t.sf(t, 4)))
    assert found.ci_low == pytest.approx(2 - stats.t.ppf(0.975, 4) * 2 / t)
    assert np.isnan(corrected_resampled_t(np.ones(10), splits=5).t)


def test_tost_holm_and_needed_concepts():
    import pingouin

    d = np.random.default_rng(10).normal(0.002, 0.02, 20)
    found = tost(d, margin=0.02)
    assert found.pvalue == pytest.approx(float(pingouin.tost(d, 0, bound=0.02)["pval"].iloc[0]), rel=1e-6)
    assert found.equivalent == (found.pvalue < 0.05)
    # docs/methods.md: +-1 point with 20 concepts needs an sd below .026
    from cogneuro_sae.inference.concepts import concepts_needed
    assert concepts_needed(0.0258, margin=0.01) == 20 and concepts_needed(0.0262, margin=0.01) == 21
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04, 0.03]), [0.03, np.nan, 0.06, 0.06])


def test_bca_interval_covers_its_mean():
    rng, hits = np.random.default_rng(11), 0
    for seed in range(60):
        low, high = bootstrap_ci(rng.exponential(size=30), resamples=600, seed=seed)
        hits += low <= 1 <= high
    assert 50 <= hits <= 60
    assert np.isnan(bootstrap_ci(np.ones(5))[0])
