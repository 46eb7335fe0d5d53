"""Every RSA score, model fit and distance equals a plain double loop, and rsatoolbox where it has it; and what must not matter.

The data hold the hard cases: features that are silent, constant (in values that sums cannot represent), tied, active in one
stimulus or at one token, silent in some stimuli; texts of equal and unequal length; pairs within items that are left out.
"""

import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import rsatoolbox
import threadpoolctl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rsa_data import Tokens, far_design, matched_design
from scipy.spatial.distance import pdist

from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.inference import cell_labels, cell_table, labellings, permutation_inference, within_scheme
from cogneuro_sae.rsa import pair_similarities, rsa_map

pytestmark = pytest.mark.slow

CLASS = ("discriminative", "categorical", "coherence")
NAMES = ("dense", "silent", "constant", "constant_third", "constant_large", "tied", "one_stimulus", "one_token", "some_silent",
         "mostly_silent", "varies_late", "targets_only", "few_targets")
SEEDED = settings(max_examples=12, deadline=None, derandomize=True)


def hard_tokens(design, *, equal, seed=0, dtype=np.float32):
    """Token data with one feature per name of NAMES; lengths 11, or 7 to 15, where 7 are too few."""
    rng, n = np.random.default_rng(seed), len(design.y)
    lengths = np.full(n, 11) if equal else rng.integers(7, 16, n)
    values, row = rng.exponential(size=(lengths.sum(), len(NAMES))), np.repeat(np.arange(n), lengths)
    position = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    of = {name: values[:, k] for k, name in enumerate(NAMES)}
    of["silent"][:] = 0
    of["constant"][:], of["constant_third"][:], of["constant_large"][:] = 0.1, 1 / 3, 1e5 + 0.1
    of["tied"][:] = rng.integers(0, 3, len(row))
    of["one_stimulus"][row != 4] = 0
    of["one_token"][position != 3] = 0
    of["some_silent"][np.isin(row, rng.choice(n, 4, replace=False))] = 0
    of["mostly_silent"][np.isin(row, rng.choice(n, n - 6, replace=False))] = 0
    of["varies_late"][position < 9] = 2.0
    of["targets_only"][~np.asarray(design.y, bool)[row]] = 0
    of["few_targets"][np.asarray(design.y, bool)[row] & (np.asarray(design.groups)[row] >= 4)] = 0
    return Tokens(values.astype(dtype), lengths)


def loop_r(a, b):
    """r over the common tokens; NaN under 8 of them, under 2 active ones of either, or when either is constant there."""
    n = min(len(a), len(b))
    a, b = a[:n].astype(float), b[:n].astype(float)
    if n < 8 or min(np.sum(a != 0), np.sum(b != 0)) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return np.corrcoef(a, b)[0, 1]


def loop_wasserstein(a, b):
    grid = (np.arange(8) + 0.5) / 8
    return np.mean((np.quantile(a.astype(float), grid) - np.quantile(b.astype(float), grid)) ** 2)


def loop_pairs(rows, groups, kernel):
    """{(i, j): value} over valid pairs of rows from different items."""
    found = {}
    for i, j in itertools.combinations(range(len(rows)), 2):
        if groups[i] != groups[j] and np.isfinite(value := kernel(rows[i], rows[j])):
            found[i, j] = value
    return found


def too_silent(pairs, groups, y, n, min_items=5):
    partner = {i for pair in pairs for i in pair}
    return len(partner) < n and min(len({groups[i] for i in partner if y[i] == side}) for side in (1, 0)) < min_items


def loop_class_scores(pairs, groups, y, *, correlation):
    """D, categorical and coherence: means over valid pairs of z, or of minus the distance over its mean."""
    blocks, level = {2: [], 1: [], 0: []}, 1.0 if correlation else np.mean(list(pairs.values())) if pairs else 0.0
    for (i, j), value in pairs.items():
        scaled = -value / level if level else np.nan
        blocks[y[i] + y[j]].append(np.arctanh(np.clip(value, -0.999, 0.999)) if correlation else scaled)
    if too_silent(pairs, groups, y, len(y)) or not all(blocks.values()):
        return dict.fromkeys(CLASS, np.nan)
    aa, ab, bb = (np.mean(blocks[k]) for k in (2, 1, 0))
    return {"discriminative": aa - ab, "categorical": (aa + bb) / 2 - ab, "coherence": aa - bb}


def cell_matrix(pairs, cells, *, correlation):
    """Dissimilarities averaged over the valid pairs of rows of each pair of cells; NaN where there is none."""
    sums, counts = np.zeros((2, cells.max() + 1, cells.max() + 1))
    for (i, j), value in pairs.items():
        for a, b in ((cells[i], cells[j]), (cells[j], cells[i])):
            sums[a, b] += 1 - value if correlation else value
            counts[a, b] += 1
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def loop_fit(D, M):
    i, j = np.nonzero(np.triu(np.isfinite(D), 1))
    if len(i) < 2 or np.ptp(D[i, j]) <= 1e-9 * np.abs(D[i, j]).max() or np.ptp(M[i, j]) == 0:
        return np.nan
    return np.corrcoef(D[i, j], M[i, j])[0, 1]


def toolbox_fit(D, M, method="corr"):
    """rsatoolbox on the same RDM; missing pairs are NaN on both sides."""
    upper = np.triu_indices(len(D), 1)
    data, model = D[upper][None], np.where(np.isnan(D), np.nan, M)[upper][None]
    return rsatoolbox.rdm.compare(rsatoolbox.rdm.RDMs(data), rsatoolbox.rdm.RDMs(model), method=method)[0, 0]


def coded(design):
    """Cell of each row, and item and label of each cell, in order of first rows."""
    names = list(dict.fromkeys(design.cells))
    cells = np.array([names.index(cell) for cell in design.cells])
    first = [int(np.argmax(cells == c)) for c in range(len(names))]
    return cells, np.asarray(design.groups)[first], np.asarray(design.y)[first]


def some_model(design, kind):
    """A two-class, and an arbitrary model RDM over the cells."""
    _, _, y = coded(design)
    if kind == "two_class":
        return (y[:, None] != y).astype(float)
    M = np.random.default_rng(8).random((len(y), len(y)))
    return np.triu(M, 1) + np.triu(M, 1).T


DESIGNS = {"near": lambda: matched_design(7), "far": lambda: far_design(8, 9), "one_paraphrase": lambda: matched_design(9, 1)}
design_names = pytest.mark.parametrize("name", DESIGNS)
lengths = pytest.mark.parametrize("equal", [True, False], ids=["equal", "unequal"])


def assert_close(found, expected, what=""):
    """1e-6 relative to the value, and the same features missing."""
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12, err_msg=what)


@pytest.mark.parametrize("equal, dtype", [(True, "float32"), (True, "float64"), (False, "float32"), (False, "float64")])
@design_names
def test_profile_scores_equal_double_loops(name, equal, dtype):
    design = DESIGNS[name]()
    tokens = hard_tokens(design, equal=equal, dtype=dtype)
    loops = [loop_class_scores(loop_pairs([tokens.of(i)[:, f] for i in range(len(design.y))], design.groups, loop_r),
                               design.groups, design.y, correlation=True) for f in range(len(NAMES))]
    for score in CLASS:
        found = rsa_map(tokens, design, score=score)
        assert_close(found.value, [loop[score] for loop in loops], score)
        assert found.reasons and sum(found.reasons.values()) == np.isnan(found.value).sum()
    missing = {name for name, value in zip(NAMES, found.value) if np.isnan(value)}
    assert {"silent", "constant", "constant_third", "constant_large", "one_stimulus", "one_token", "few_targets"} <= missing
    assert {"dense", "tied"}.isdisjoint(missing)


@lengths
@pytest.mark.parametrize("kind", ["two_class", "arbitrary"])
@design_names
def test_profile_model_fits_equal_double_loops_and_rsatoolbox(name, equal, kind):
    design = DESIGNS[name]()
    tokens, (cells, _, _), M = hard_tokens(design, equal=equal, seed=1), coded(design), some_model(design, kind)
    found = rsa_map(tokens, design, score="model", model=M[np.ix_(cells, cells)])
    for f, feature in enumerate(NAMES):
        pairs = loop_pairs([tokens.of(i)[:, f] for i in range(len(design.y))], design.groups, loop_r)
        D = cell_matrix(pairs, cells, correlation=True)
        expected = np.nan if too_silent(pairs, design.groups, design.y, len(design.y)) else loop_fit(D, M)
        assert_close(found.value[f], expected, feature)
        if np.isfinite(expected):
            assert_close(found.value[f], toolbox_fit(D, M), feature)


@lengths
@pytest.mark.parametrize("single", [True, False], ids=["single", "double"])
@pytest.mark.parametrize("score", [*CLASS, "model"])
@pytest.mark.parametrize("name", ["own", "far", "one_paraphrase"])
def test_permuted_profiles_equal_loops_over_labels(name, score, single, equal, monkeypatch):
    """Value, p and family-wise p of the quick forms, those in single precision too, from scores computed pair by pair."""
    monkeypatch.setattr("cogneuro_sae.rsa.labelled_sums.LARGE", 0 if single else 1e12)
    design = far_design(8, 9, 1) if name == "own" else DESIGNS[name]()
    tokens, (cells, _, _), P = hard_tokens(design, equal=equal, seed=6), coded(design), 150
    found = rsa_map(tokens, design, score=score, model="categorical" if score == "model" else None, permutations=P, seed=3)
    table = cell_table(design)
    labels = cell_labels(design.scheme, labellings(design.scheme, P, seed=3).values, table)
    pairs = [loop_pairs([tokens.of(i)[:, f] for i in range(len(design.y))], design.groups, loop_r) for f in range(len(NAMES))]
    null = np.full((len(labels), len(NAMES)), np.nan)
    for g, y in enumerate(labels):
        rows = y[table.index]
        for f in range(len(NAMES)):
            if score != "model":
                null[g, f] = loop_class_scores(pairs[f], design.groups, rows, correlation=True)[score]
            elif not too_silent(pairs[f], design.groups, rows, len(rows)):
                M = (y[:, None] != y).astype(float)
                null[g, f] = loop_fit(cell_matrix(pairs[f], table.index, correlation=True), M)
    plain = permutation_inference(null, enumerated=False, tail="positive")
    assert_close(found.value, null[0])
    np.testing.assert_allclose(found.pvalue, plain.pvalue, atol=1e-12)
    np.testing.assert_allclose(found.p_fwe, plain.p_fwe, atol=1e-12)


def test_labellings_that_tie_count_as_tied_in_single_precision(monkeypatch):
    """Texts come in identical pairs, so that labellings which exchange twins give one and the same score."""
    rng, design, p = np.random.default_rng(0), far_design(4, 4, 1), {}
    twins = np.tile(rng.exponential(size=(4, 12, 300)), (2, 1, 1)).reshape(-1, 300).astype(np.float32)
    for large in (0, 1e12):
        monkeypatch.setattr("cogneuro_sae.rsa.labelled_sums.LARGE", large)
        p[large] = rsa_map(Tokens(twins, np.full(8, 12)), design, score="discriminative", permutations=1000).pvalue
    np.testing.assert_array_equal(p[0], p[1e12])
    assert (p[0] == 1).all()        # every target's twin is a foil: no labelling scores lower


@pytest.mark.parametrize("single", [True, False])
def test_models_that_treat_the_classes_unequally_equal_loops(single, monkeypatch):
    monkeypatch.setattr("cogneuro_sae.rsa.labelled_sums.LARGE", 0 if single else 1e12)
    design, P = far_design(8, 9, 1), 60
    tokens, blocks = hard_tokens(design, equal=True, seed=7), np.array([[0.2, 1.0], [1.0, 0.6]])
    M = blocks[np.ix_(design.y, design.y)] * ~np.eye(17, dtype=bool)
    found = rsa_map(tokens, design, score="model", model=M, permutations=P)
    labels, pairs = labellings(design.scheme, P).values, loop_pairs([tokens.of(i)[:, 0] for i in range(17)], design.groups,
                                                                     loop_r)
    D = cell_matrix(pairs, np.arange(17), correlation=True)
    null = np.array([loop_fit(D, blocks[np.ix_(y, y)] * ~np.eye(17, dtype=bool)) for y in labels])
    assert_close(found.value[0], null[0])
    assert found.pvalue[0] == pytest.approx(np.mean(null >= null[0] - 1e-9))


@design_names
def test_pair_similarities_equal_double_loops(name):
    design = DESIGNS[name]()
    tokens = hard_tokens(design, equal=False, seed=2)
    found = pair_similarities(tokens)
    first, second = np.triu_indices(len(design.y), 1)
    for f, feature in enumerate(NAMES):
        expected = [loop_r(tokens.of(i)[:, f], tokens.of(j)[:, f]) for i, j in zip(first, second)]
        np.testing.assert_allclose(found.pairs(f, f + 1, first, second)[0], expected, rtol=1e-6, atol=1e-7, err_msg=feature)


@lengths
@design_names
def test_distributions_equal_double_loops_and_rsatoolbox(name, equal):
    design = DESIGNS[name]()
    tokens, (cells, _, _), M = hard_tokens(design, equal=equal, seed=3), coded(design), some_model(design, "arbitrary")
    score = rsa_map(tokens, design, score="categorical", variant="distribution").value
    fit = rsa_map(tokens, design, score="model", variant="distribution", model=M[np.ix_(cells, cells)]).value
    for f, feature in enumerate(NAMES):
        pairs = loop_pairs([tokens.of(i)[:, f] for i in range(len(design.y))], design.groups, loop_wasserstein)
        D = cell_matrix(pairs, cells, correlation=False)
        assert_close(score[f], loop_class_scores(pairs, design.groups, design.y, correlation=False)["categorical"], feature)
        assert_close(fit[f], loop_fit(D, M), feature)
        if np.isfinite(fit[f]):
            assert_close(fit[f], toolbox_fit(D, M), feature)


def pooled(design, seed=4):
    """Token means of the hard features; silent, constant, tied and one-active values per stimulus."""
    tokens = hard_tokens(design, equal=False, seed=seed)
    X = np.array([tokens.of(i).astype(float).mean(axis=0) for i in range(len(design.y))])
    X[:, NAMES.index("tied")] = np.round(X[:, NAMES.index("tied")] * 2)
    X[:, NAMES.index("constant_third")] = 1 / 3
    return X


@pytest.mark.parametrize("kind", ["two_class", "arbitrary"])
@design_names
def test_pooled_scores_equal_double_loops_and_rsatoolbox(name, kind):
    design = DESIGNS[name]()
    X, (cells, items, y), M = pooled(design), coded(design), some_model(design, kind)
    means = np.array([X[cells == c].mean(axis=0) for c in range(cells.max() + 1)])
    score = rsa_map(X, design, score="categorical", variant="pooled").value
    fit = rsa_map(X, design, score="model", variant="pooled", model=M[np.ix_(cells, cells)]).value
    for f, feature in enumerate(NAMES):
        x = np.where(np.ptp(means[:, f]) > 1e-12 * np.abs(means[:, f]).max(), means[:, f], 0.0)
        pairs = loop_pairs(x, items, lambda a, b: (a - b) ** 2)
        D = cell_matrix(pairs, np.arange(len(y)), correlation=False)
        assert_close(score[f], loop_class_scores(pairs, items, y, correlation=False)["categorical"], feature)
        assert_close(fit[f], loop_fit(D, M), feature)
        if np.isfinite(fit[f]):
            assert_close(fit[f], toolbox_fit(D, M), feature)


@pytest.mark.parametrize("method", ["cosine_cov", "corr_cov"])
@pytest.mark.parametrize("kind", ["two_class", "arbitrary"])
@design_names
def test_whitened_fits_equal_rsatoolbox(name, kind, method):
    """Over all pairs of cells: these forms know no mask."""
    design = DESIGNS[name]()
    X, (cells, _, _), M = pooled(design), coded(design), some_model(design, kind)
    found = rsa_map(X, design, score="model", variant="pooled", model=M[np.ix_(cells, cells)], method=method).value
    for f, feature in enumerate(NAMES):
        x = np.array([X[cells == c, f].mean() for c in range(cells.max() + 1)])
        if np.ptp(x) <= 1e-12 * np.abs(x).max():
            assert np.isnan(found[f]), feature
            continue
        D = (x[:, None] - x) ** 2
        np.testing.assert_allclose(found[f], toolbox_fit(D / D.max(), M, method), rtol=1e-6, atol=1e-8, err_msg=feature)


def pattern_data(design, seed=5):
    """A dense set, one that holds dead features, one that is constant in three stimuli."""
    rng = np.random.default_rng(seed)
    X = rng.exponential(size=(len(design.y), 18))
    X[:, 8:10], X[[1, 5, 9], 12:18] = 0.0, 0.1
    return X, (np.arange(6), np.arange(4, 12), np.arange(12, 18))


@design_names
def test_pattern_scores_and_distances_equal_double_loops_and_rsatoolbox(name):
    design = DESIGNS[name]()
    (X, sets), (cells, _, _), M = pattern_data(design), coded(design), some_model(design, "arbitrary")

    def kernel(a, b):
        return np.nan if np.ptp(a) == 0 or np.ptp(b) == 0 else np.corrcoef(a, b)[0, 1]

    scores = {score: rsa_map(X, design, score=score, variant="pattern", sets=sets).value for score in CLASS}
    fit = rsa_map(X, design, score="model", variant="pattern", sets=sets, model=M[np.ix_(cells, cells)]).value
    for k, features in enumerate(sets):
        pairs = loop_pairs(X[:, features], design.groups, kernel)
        loop = loop_class_scores(pairs, design.groups, design.y, correlation=True)
        for score in CLASS:
            assert_close(scores[score][k], loop[score], f"{score} of set {k}")
        D = cell_matrix(pairs, cells, correlation=True)
        assert_close(fit[k], loop_fit(D, M))
        assert_close(fit[k], toolbox_fit(D, M))
    reference = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(X[:, sets[0]]), method="correlation").get_matrices()[0]
    for (i, j), value in loop_pairs(X[:, sets[0]], design.groups, kernel).items():
        assert 1 - value == pytest.approx(reference[i, j], rel=1e-6)


def test_the_loops_know_rsatoolbox_squared_euclidean():
    x = np.random.default_rng(6).exponential(size=9)
    reference = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x[:, None]), method="euclidean").dissimilarities[0]
    assert_close(list(loop_pairs(x, np.arange(9), lambda a, b: (a - b) ** 2).values()), reference)
    assert_close(pdist(x[:, None], "sqeuclidean"), reference)


# what must not matter ---------------------------------------------------------------------------------------------
MAPS = {"profile": {"score": "discriminative"}, "profile_categorical": {"score": "categorical"},
        "profile_model": {"score": "model", "model": "categorical"},
        "distribution": {"score": "categorical", "variant": "distribution"},
        "pooled": {"score": "categorical", "variant": "pooled"},
        "pooled_model": {"score": "model", "variant": "pooled", "model": "categorical"},
        "pooled_whitened": {"score": "model", "variant": "pooled", "model": "categorical", "method": "corr_cov"}}
maps = pytest.mark.parametrize("kind", [*MAPS, "contrast"])


def run(kind, tokens, design, **more):
    """A map with every labelling enumerated (six items: 64 swaps)."""
    more = {"permutations": 64, **more}
    if kind == "contrast":
        return contrast_map(means_of(tokens), design, score="paired_t", **more)
    return rsa_map(means_of(tokens) if kind.startswith("pooled") else tokens, design, **MAPS[kind], **more)


def means_of(tokens):
    return np.array([tokens.of(i).astype(float).mean(axis=0) for i in range(len(tokens))])


def same(a, b, *, at=slice(None), rtol=1e-9):
    """Two maps agree in value, direction, p and family-wise p."""
    for name in ("value", "pvalue", "p_fwe"):
        np.testing.assert_allclose(getattr(b, name)[at], getattr(a, name), rtol=rtol, atol=1e-11, err_msg=name)
    np.testing.assert_array_equal(b.direction[at], a.direction)


def ordinary(seed, m=6, paraphrases=2, n_features=5, equal=False):
    """A matched design with features that are estimable or silent, never near the border of an estimate."""
    design, rng = matched_design(m, paraphrases), np.random.default_rng(seed)
    lengths = np.full(len(design.y), 12) if equal else rng.integers(10, 15, len(design.y))
    values = rng.exponential(size=(lengths.sum(), n_features)) + 0.05
    values[:, -1] = 0
    return design, Tokens(values.astype(np.float32), lengths)


def reordered(design, order):
    columns = {name: np.asarray(getattr(design, name))[order] for name in ("y", "weights", "groups", "cells", "conditions")}
    from cogneuro_sae.inference import swap_scheme

    return SimpleNamespace(**columns, rows=np.arange(len(order)), scheme=swap_scheme(columns["groups"]), contrast="main",
                           expression="target - near")


@maps
@SEEDED
@given(seed=st.integers(0, 10**6), equal=st.booleans())
def test_the_order_of_stimuli_does_not_matter(kind, seed, equal):
    design, tokens = ordinary(seed, equal=equal)
    order = np.random.default_rng(seed + 1).permutation(len(design.y))
    same(run(kind, tokens, design), run(kind, tokens.rows(order), reordered(design, order)))


@maps
@SEEDED
@given(seed=st.integers(0, 10**6), power=st.integers(-12, 12), factor=st.sampled_from([3.0, 0.1, 1e5]), equal=st.booleans())
def test_the_unit_does_not_matter(kind, seed, power, factor, equal):
    design, tokens = ordinary(seed, equal=equal)
    scaled = Tokens(tokens.values * np.float32(2.0**power), np.diff(tokens.offsets))
    same(run(kind, tokens, design), run(kind, scaled, design))
    other = Tokens(tokens.values.astype(np.float64) * factor, np.diff(tokens.offsets))
    same(run(kind, tokens, design), run(kind, other, design), rtol=1e-7)


@maps
@SEEDED
@given(seed=st.integers(0, 10**6), order=st.permutations(range(5)), equal=st.booleans())
def test_copies_and_places_of_features_do_not_matter(kind, seed, order, equal):
    """Every feature twice, shuffled: each copy has its value and p; the family's maxima, so p_fwe, are the same."""
    design, tokens = ordinary(seed, equal=equal)
    columns = np.r_[order, np.arange(5)]
    twice = run(kind, Tokens(tokens.values[:, columns], np.diff(tokens.offsets)), design)
    once = run(kind, tokens, design)
    same(once, twice, at=np.arange(5, 10))
    same(once, twice, at=np.argsort(order))


@maps
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), budget=st.sampled_from([1.0, 4e4, 3e5]))
def test_the_size_of_blocks_does_not_matter(kind, seed, budget):
    design, tokens = ordinary(seed, n_features=7)
    whole = run(kind, tokens, design)
    with pytest.MonkeyPatch.context() as patch:
        assert shrink_blocks(patch, budget) >= 2
        same(whole, run(kind, tokens, design))


def shrink_blocks(patch, budget):
    """Set every block budget of the two engines; return how many there are."""
    found = [(module, name) for path, module in list(sys.modules.items()) for name in ("BLOCK", "CACHE")
             if path.startswith(("cogneuro_sae.rsa", "cogneuro_sae.contrasts")) and name in vars(module)]
    for module, name in found:
        patch.setattr(module, name, budget)
    return len(found)


@pytest.mark.parametrize("kind", MAPS)
def test_a_feature_alone_is_the_feature_among_others(kind):
    """Whatever blocks the engine makes, a block of one feature gives the same value and p."""
    design, tokens = ordinary(3, n_features=9)
    together = run(kind, tokens, design)
    for f in range(9):
        alone = run(kind, Tokens(tokens.values[:, [f]], np.diff(tokens.offsets)), design)
        assert_close(alone.value, together.value[[f]])
        assert_close(alone.pvalue, together.pvalue[[f]])


@maps
def test_the_number_of_threads_does_not_matter(kind):
    design, tokens = ordinary(11, m=8, n_features=40)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with threadpoolctl.threadpool_limits(threads):
                found.append(run(kind, tokens, design, permutations=300))
    finally:
        torch.set_num_threads(before)
    same(*found)


def test_graded_models_over_three_levels_equal_loops_and_rsatoolbox():
    """Three cells an item, two paraphrases each: pairs within items stay out."""
    m, rng = 6, np.random.default_rng(7)
    groups, grade = np.repeat(np.arange(m), 6), np.tile(np.repeat([0.0, 1.0, 3.0], 2), m)
    cells = groups * 3 + np.tile(np.repeat(np.arange(3), 2), m)
    design = SimpleNamespace(rows=np.arange(36), y=(grade > 0).astype(int), weights=grade - 4 / 3, groups=groups, cells=cells,
                             scheme=within_scheme(groups, grade), contrast="graded", expression="")
    X = rng.exponential(size=(36, 4)) + grade[:, None] * [0, 0.2, 0.5, -0.5]
    found = rsa_map(X, design, score="model", variant="pooled", model="graded", labels=grade).value
    means = np.array([X[cells == c].mean(axis=0) for c in range(18)])
    level = np.tile([0.0, 1.0, 3.0], m)
    for f in range(4):
        D = cell_matrix(loop_pairs(means[:, f], np.repeat(np.arange(m), 3), lambda a, b: (a - b) ** 2), np.arange(18),
                        correlation=False)
        M = np.abs(level[:, None] - level)
        assert_close(found[f], loop_fit(D, M))
        assert_close(found[f], toolbox_fit(D, M))
