"""The fast forms of RSA against what they replace: plain sums over pairs, plain counts, numpy's correlations."""

import numpy as np
import pytest
from rsa_data import Tokens, far_design, matched_design, tokens_for

from cogneuro_sae.rsa import kernels, rsa_map
from cogneuro_sae.rsa.class_means import class_means
from cogneuro_sae.rsa.kernels import correlation_matrices
from cogneuro_sae.rsa.labelled_sums import LabelledPairs
from cogneuro_sae.rsa.pairs import PairSums, cross_item_pairs, grouped_sum
from cogneuro_sae.rsa.pooled_classes import PooledClasses
from cogneuro_sae.rsa.profile_layout import ProfileLayout
from cogneuro_sae.rsa.statistics import class_statistic, valid_items

ITEM = np.repeat(np.arange(7), 2)


def swaps(rng, n=40):
    first = np.vstack([np.ones(7, int), rng.integers(0, 2, (n - 1, 7))])
    return np.stack([first, 1 - first], axis=2).reshape(n, 14)


def free(rng, n=40):
    y = np.arange(14) < 6
    return np.stack([y, *(rng.permutation(y) for _ in range(n - 1))]).astype(int)


@pytest.mark.parametrize("make, units", [(swaps, 7), (free, 14)])
@pytest.mark.parametrize("exact", [False, True])
def test_sums_under_labellings_equal_plain_sums(make, units, exact):
    rng = np.random.default_rng(0)
    labels = make(rng)
    pairs = cross_item_pairs(np.arange(14), ITEM)
    values = rng.integers(0, 5, (3, len(pairs.first))).astype(float) if exact else rng.normal(size=(3, len(pairs.first)))
    over = LabelledPairs(labels, pairs.cell_first, pairs.cell_second)
    assert over.units.shape[1] == units
    for rows in (slice(0, 25), slice(25, 40), slice(0, 25)):
        a, b = labels[rows][:, pairs.cell_first], labels[rows][:, pairs.cell_second]
        for found, mask in zip(over(values, rows, exact=exact), (a * b, a + b - 2 * a * b, (1 - a) * (1 - b))):
            np.testing.assert_allclose(found, mask @ values.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [swaps, free])
@pytest.mark.parametrize("kept", [0, 1e9])
@pytest.mark.parametrize("single", [False, True])
def test_weighted_sums_equal_the_same_weights_over_plain_sums(make, kept, single, monkeypatch):
    monkeypatch.setattr("cogneuro_sae.rsa.labelled_sums.KEPT", kept)
    monkeypatch.setattr("cogneuro_sae.rsa.labelled_sums.LARGE", 1 if single else 1e12)
    rng = np.random.default_rng(3)
    labels, pairs = make(rng), cross_item_pairs(np.arange(14), ITEM)
    values = rng.normal(size=(3, len(pairs.first))).astype(np.float32 if single else float)
    over, plain = LabelledPairs(labels, pairs.cell_first, pairs.cell_second), values.astype(float)
    sign = 2 * labels - 1
    for key in ("one", "two"):
        weights = rng.normal(size=(3, 40))
        for rows in (slice(0, 25), slice(25, 40), slice(0, 25)):
            a, b, c = weights[:, rows, None]
            first, second = sign[rows][:, pairs.cell_first], sign[rows][:, pairs.cell_second]
            found = over.combined(values, rows, (key,), lambda: weights[:, rows])
            assert found.dtype == values.dtype
            np.testing.assert_allclose(found, (a + b * (first + second) + c * first * second) @ plain.T,
                                       atol=1e-4 if single else 1e-12)


def test_weights_that_change_from_block_to_block_do_not_pile_up():
    """A block with one feature to test has counts of its own."""
    rng = np.random.default_rng(5)
    labels, pairs = free(rng), cross_item_pairs(np.arange(14), ITEM)
    over, values = LabelledPairs(labels, pairs.cell_first, pairs.cell_second), rng.normal(size=(1, len(pairs.first)))
    sizes = []
    for key in range(6):
        over.combined(values, slice(0, 40), (key,), lambda: rng.normal(size=(3, 40)))
        sizes.append(sum(each.nbytes for each in over.kept.values()))
    assert len(set(sizes)) == 1 and sizes[0] > 0


def test_products_too_large_to_keep_give_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    labels, pairs = free(rng), cross_item_pairs(np.arange(14), ITEM)
    values = rng.normal(size=(2, len(pairs.first)))
    kept = LabelledPairs(labels, pairs.cell_first, pairs.cell_second)(values, slice(0, 40))
    monkeypatch.setattr("cogneuro_sae.rsa.labelled_sums.KEPT", 0)
    over = LabelledPairs(labels, pairs.cell_first, pairs.cell_second)
    for a, b in zip(kept, over(values, slice(0, 40))):
        np.testing.assert_array_equal(a, b)
    assert not over.kept


@pytest.mark.parametrize("make", [swaps, free])
def test_valid_items_are_counted_one_by_one(make):
    rng = np.random.default_rng(2)
    labels, cell_valid = make(rng), rng.random((5, 14)) < 0.6
    found = valid_items(cell_valid, ITEM, labels)
    for g, f in np.ndindex(*found.shape[1:]):
        for side, wanted in enumerate((labels[g] == 1, labels[g] == 0)):
            assert found[side, g, f] == len({item for item, ok in zip(ITEM, wanted & cell_valid[f]) if ok})


def test_features_without_enough_valid_cells_are_missing_and_the_others_as_before():
    rng = np.random.default_rng(3)
    labels = swaps(rng)
    pairs = cross_item_pairs(np.arange(14), ITEM)
    total, count = rng.normal(size=(3, len(pairs.first))), np.ones((3, len(pairs.first)))
    cell_valid = np.ones((3, 14), bool)
    cell_valid[1, 5:] = False
    sums = PairSums(total, count, cell_valid, np.array([False, True, False]))
    found = class_statistic(sums, pairs, labels, "discriminative", min_items=3)
    assert np.isnan(found[:, 1]).all() and np.isfinite(found[:, [0, 2]]).all()
    alone = class_statistic(sums.some(np.array([0, 2])), pairs, labels, "discriminative", min_items=3)
    np.testing.assert_array_equal(found[:, [0, 2]], alone)


@pytest.mark.parametrize("make", [swaps, free])
def test_counts_from_valid_rows_equal_counts_over_pairs(make):
    rng = np.random.default_rng(7)
    labels, rows = make(rng), rng.integers(0, 3, (4, 14)).astype(float)
    pairs = cross_item_pairs(np.repeat(np.arange(14), 2), ITEM)
    count = rows[:, pairs.cell_first] * rows[:, pairs.cell_second]
    sums = PairSums(count * rng.normal(size=count.shape), count, rows > 0, ~(rows == 2).all(axis=1))
    plain = class_statistic(sums, pairs, labels, "categorical", min_items=2)
    found = class_statistic(sums._replace(rows=rows), pairs, labels, "categorical", min_items=2)
    assert np.isfinite(plain).sum() > 20
    np.testing.assert_allclose(found, plain, rtol=1e-10)


@pytest.mark.parametrize("edges", [[0, 1, 2, 3, 4, 5], [0, 2, 4], [0, 1, 4]])
def test_grouped_sums(edges):
    values = np.random.default_rng(4).normal(size=(3, 6))
    parts = np.split(np.arange(6), edges[1:])
    np.testing.assert_allclose(grouped_sum(values, np.array(edges)), np.stack([values[:, p].sum(1) for p in parts], 1))


LAYOUTS = [([9] * 8, None), ([9, 14, 8, 11, 10, 9, 20, 13], None),
           ([9, 14, 8, 11, 10, 9, 20, 13], [0, 3, 1, 2, 0, 0, 5, 2])]


def gappy(lengths, anchor, seed=5):
    """Six features of eight stimuli: silent, constant, one active token; and plain Pearson r, NaN where not valid."""
    rng, offsets = np.random.default_rng(seed), np.r_[0, np.cumsum(lengths)]
    block = (rng.random((offsets[-1], 6)) * (rng.random((offsets[-1], 6)) < 0.7)).astype(np.float32)
    block[:, 1] = 0
    block[offsets[2]:offsets[3], 2] = 0.1       # constant
    block[offsets[3]:offsets[4], 3] = 0
    block[offsets[3], 3] = 2.0                  # one active token
    block[:offsets[6], 4] = 0                   # silent in all but two
    shift, wanted = np.zeros(8, int) if anchor is None else np.array(anchor), np.full((6, 8, 8), np.nan)
    for f, i, j in np.ndindex(6, 8, 8):
        low, high = max(-shift[i], -shift[j]), min(lengths[i] - shift[i], lengths[j] - shift[j])
        a, b = (block[offsets[k] + shift[k] + low:offsets[k] + shift[k] + high, f].astype(float) for k in (i, j))
        if i != j and len(a) >= 6 and min((a != 0).sum(), (b != 0).sum()) >= 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
            wanted[f, i, j] = np.corrcoef(a, b)[0, 1]
    layout = ProfileLayout(offsets, anchor=None if anchor is None else shift, min_common=6, min_active=2)
    return block, layout, wanted


@pytest.mark.parametrize("lengths, anchor", LAYOUTS)
@pytest.mark.parametrize("cache, together", [(1e2, 1), (1e2, 256), (1e8, 2), (1e8, 256)])
@pytest.mark.parametrize("every", [True, False])
def test_correlations_equal_numpy_on_the_common_tokens_in_chunks_of_any_size(lengths, anchor, cache, together, every,
                                                                            monkeypatch):
    monkeypatch.setattr(kernels, "CACHE", cache)
    monkeypatch.setattr(kernels, "TOGETHER", together)
    block, layout, wanted = gappy(lengths, anchor)
    found, groups = np.full((6, 8, 8), np.nan), [np.array([5, 0, 2, 7]), np.array([1, 6, 3, 4])]
    for each in correlation_matrices(block, layout, groups, every=every):
        assert each.rows.shape[1] == sum(each.sizes) and (each.rows.shape[1] == 8 or not every)
        for some, r, valid in each.matrices():
            for f, rows, ok, values, pairs in zip(each.features[some], each.rows[some], each.valid[some], r,
                                                  [None] * len(r) if valid is None else valid):
                known = np.outer(ok, ok) > 0 if pairs is None else pairs > 0
                known &= ~np.eye(len(rows), dtype=bool)
                assert (values[~known] == 0).all()
                found[f][np.ix_(rows, rows)] = np.where(known, values, np.nan)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("lengths, anchor", LAYOUTS)
@pytest.mark.parametrize("item", [np.arange(8), np.array([0, 0, 1, 1, 2, 3, 3, 2])])
@pytest.mark.parametrize("at_once", [2, 64])
def test_class_means_from_products_equal_means_of_fisher_z(lengths, anchor, item, at_once, monkeypatch):
    monkeypatch.setattr("cogneuro_sae.rsa.class_means.AT_ONCE", at_once)
    block, layout, r = gappy(lengths, anchor, seed=6)
    y, came = np.array([1, 0, 1, 0, 1, 1, 0, 0]), 0
    z = np.where(item[:, None] == item, np.nan, np.arctanh(np.clip(r, -0.6, 0.6)))
    for part in correlation_matrices(block, layout, [np.flatnonzero(y == 1), np.flatnonzero(y == 0)]):
        means = class_means(part, y, item, clip=0.6)
        for place, f in enumerate(part.features):
            came += 1
            for found, (one, other) in zip((means.aa, means.ab, means.bb), ((1, 1), (1, 0), (0, 0))):
                pairs = z[f][np.ix_(y == one, y == other)]
                plain = np.nanmean(pairs) if np.isfinite(pairs).any() else np.nan
                np.testing.assert_allclose(found[place], plain, rtol=1e-12, atol=1e-14)
            known = np.isfinite(z[f]).any(axis=1)
            np.testing.assert_array_equal(means.valid[place], known)
            assert means.gaps[place] == (not known.all())
            assert list(means.n_valid[place]) == [len(set(item[known & (y == side)])) for side in (1, 0)]
    assert came >= 4


@pytest.mark.parametrize("score", [{"score": "discriminative"}, {"score": "model", "model": "categorical"}])
@pytest.mark.parametrize("low, high", [(12, 13), (8, 14)])
def test_a_feature_alone_gives_what_it_gives_among_others_of_other_silence(score, low, high):
    """Features come in the order of their active stimuli, here 0, 2, 1, 3; the last one is silent."""
    design = matched_design(7, paraphrases=1)
    tokens = tokens_for(design, n_features=5, seed=2, low=low, high=high, silence=0)
    for feature, silent in ((0, [3, 9]), (2, [0])):
        for row in silent:
            tokens.of(row)[:, feature] = 0
    together = rsa_map(tokens, design, permutations=60, seed=1, **score)
    for feature in range(5):
        one = Tokens(np.ascontiguousarray(tokens.values[:, [feature]]), np.diff(tokens.offsets))
        alone = rsa_map(one, design, permutations=60, seed=1, **score)
        np.testing.assert_allclose(alone.value[0], together.value[feature], rtol=1e-12)
        np.testing.assert_array_equal(alone.pvalue[0], together.pvalue[feature])
    assert np.isfinite(together.pvalue[:4]).all()


@pytest.mark.parametrize("score", [{"score": "discriminative"}, {"score": "categorical"}, {"score": "model", "model": "categorical"}])
@pytest.mark.parametrize("design", [matched_design(8, paraphrases=1), far_design(8, 7, paraphrases=1)])
def test_a_feature_alike_in_all_texts_is_not_tested(score, design):
    """What rounding leaves of equal correlations is no score, and adds nothing to the family's maximum."""
    rng = np.random.default_rng(4)
    values = np.tile(rng.random((12, 3)), (len(design.y), 1))
    values[:, 2] = rng.random(len(values))
    found = rsa_map(Tokens(values.astype(np.float32), np.full(len(design.y), 12)), design, permutations=100, seed=0, **score)
    assert np.isnan(found.pvalue[:2]).all() and np.isfinite(found.pvalue[2])
    assert found.p_fwe[2] == found.pvalue[2]


def with_far(rng, n=30):
    """Seven items with two cells each and four with one: the classes differ in size, labels move over all cells."""
    y = np.arange(18) < 7
    return np.stack([y, *(rng.permutation(y) for _ in range(n - 1))]).astype(int), np.r_[ITEM, 7, 8, 9, 10]


@pytest.mark.parametrize("make", [lambda rng: (swaps(rng), ITEM), lambda rng: (free(rng), ITEM), with_far])
def test_the_categorical_score_from_class_sums_equals_means_over_pairs(make):
    rng = np.random.default_rng(6)
    labels, item = make(rng)
    x = rng.normal(size=(len(item), 4)) + 1000.0
    x[:, 2] = 7.1
    found = PooledClasses(labels, item).categorical(x)
    first, second = np.triu_indices(len(item), 1)
    keep = item[first] != item[second]
    first, second = first[keep], second[keep]
    d = (x[first] - x[second]) ** 2
    with np.errstate(invalid="ignore"):
        similarity = -d / d.mean(0)
    for g, y in enumerate(labels):
        both = y[first] + y[second]
        wanted = (similarity[both == 2].mean(0) + similarity[both == 0].mean(0)) / 2 - similarity[both == 1].mean(0)
        np.testing.assert_allclose(found[g, [0, 1, 3]], wanted[[0, 1, 3]], rtol=1e-8, atol=1e-9)
    assert np.isnan(found[:, 2]).all()
