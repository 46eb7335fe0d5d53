"""Type-I errors by simulation. Features are independent replicates; bounds are +-4 Monte Carlo standard errors."""

from types import SimpleNamespace

import numpy as np
import pytest
from rsa_data import Tokens, far_design, matched_design
from scipy import stats

from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.inference import (corrected_resampled_t, free_scheme, item_scheme, permutation_inference,
                                    residual_scheme,
                                    sign_flip_test, sign_scheme, within_scheme)
from cogneuro_sae.rsa import rsa_map
from cogneuro_sae.rsa.profiles import profile_correlations


def error_bound(n, p=0.05):
    return 4 * np.sqrt(p * (1 - p) / n)


def null_data(design, n_features, rng, *, item=0.0, wording=0.0):
    """Noise of variance 1 in each row, plus effects of items and of cells that are blind to the condition."""
    items = np.unique(design.groups, return_inverse=True)[1]
    cells = np.unique(design.cells, return_inverse=True)[1]
    return (rng.normal(size=(len(items), n_features)) + item * rng.normal(size=(items.max() + 1, n_features))[items]
            + wording * rng.normal(size=(cells.max() + 1, n_features))[cells])


def interaction_design(m, paraphrases=4):
    groups = np.repeat(np.arange(m), 4 * paraphrases)
    cell = np.tile(np.repeat(np.arange(4), paraphrases), m)
    w = np.array([1.0, -1, -1, 1])[cell]
    return SimpleNamespace(rows=np.arange(len(w)), y=(w > 0).astype(int), weights=w, groups=groups,
                           cells=groups * 4 + cell,
                           scheme=sign_scheme(groups), contrast="interaction", expression="")


def between_design(m, paraphrases=4):
    groups = np.repeat(np.arange(m), 2 * paraphrases)
    y = (groups < m // 2).astype(int)
    return SimpleNamespace(rows=np.arange(len(y)), y=y, weights=np.where(y, 1.0, -1.0), groups=groups,
                           cells=groups * 2 + np.tile(np.repeat([0, 1], paraphrases), m), scheme=item_scheme(groups, y),
                           contrast="between", expression="")


def incomplete_design(m, paraphrases=4):
    """Three far items lack their target: Freedman-Lane within items."""
    design = matched_design(m, paraphrases)
    keep = ~((design.groups < 3) & (design.y == 1))
    for name in ("y", "weights", "groups", "cells", "conditions"):
        setattr(design, name, getattr(design, name)[keep])
    design.rows, design.scheme = np.arange(keep.sum()), residual_scheme(design.cells, design.groups)
    return design


DESIGNS = {"swap": (lambda: matched_design(12, 4), "paired_t"),
           "swap_welch": (lambda: matched_design(12, 4), "welch_t"),
           "labels": (lambda: far_design(12, 9, 4), "welch_t"), "sign": (lambda: interaction_design(10), "paired_t"),
           "items": (lambda: between_design(14), "welch_t"), "residuals": (lambda: incomplete_design(14),
                                                                           "mean_difference")}
NULLS = {"item": {"item": 1.5}, "wording": {"wording": 1.0}, "both": {"item": 1.0, "wording": 1.0}}


def scheme_error(name, null, n_features, permutations, seed=0):
    make, score = DESIGNS[name]
    design, rng = make(), np.random.default_rng(seed)
    X = null_data(design, n_features, rng, **NULLS[null])
    return np.mean(contrast_map(X, design, score=score, permutations=permutations, seed=seed).pvalue <= 0.05)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("name", DESIGNS)
def test_schemes_hold_their_level(name, null):
    n = 1500
    assert scheme_error(name, null, n, 199) == pytest.approx(0.05, abs=error_bound(n))


@pytest.mark.long
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("name", DESIGNS)
def test_schemes_hold_their_level_full_size(name, null):
    errors = [scheme_error(name, null, 2000, 999, seed) for seed in range(10)]
    assert 0.04 <= np.mean(errors) <= 0.06
    assert np.mean(errors) == pytest.approx(0.05, abs=error_bound(20_000))


def test_free_permutation_and_welch_on_stimuli_do_not():
    """docs/methods.md: under wording variance, free permutation of stimuli .21-.27, Welch on stimuli .22."""
    design = matched_design(12, 4)
    X = null_data(design, 3000, np.random.default_rng(1), wording=1.0)
    welch = np.mean(stats.ttest_ind(X[design.y == 1], X[design.y == 0], equal_var=False).pvalue <= 0.05)
    loose = SimpleNamespace(**{**vars(design), "groups": design.rows, "cells": design.rows,
                               "scheme": free_scheme(design.y)})
    free = np.mean(contrast_map(X, loose, permutations=199).pvalue <= 0.05)
    assert 0.21 - error_bound(3000, 0.21) < free < 0.27
    assert welch == pytest.approx(0.22, abs=error_bound(3000, 0.22))


def profile_null(design, n_features, rng, length=12, *, item=0.0, wording=0.0):
    """Token profiles of equal length; items, or cells, share a profile."""
    items = np.unique(design.groups, return_inverse=True)[1]
    cells = np.unique(design.cells, return_inverse=True)[1]
    shape = (length, n_features)
    values = (rng.normal(size=(len(items), *shape)) + item * rng.normal(size=(items.max() + 1, *shape))[items]
              + wording * rng.normal(size=(cells.max() + 1, *shape))[cells])
    return Tokens(values.reshape(-1, n_features), [length] * len(items))


@pytest.mark.slow
@pytest.mark.parametrize("score", ["discriminative", "categorical", "coherence"])
@pytest.mark.parametrize("null", ["item", "wording"])
def test_profile_rsa_holds_its_level(score, null):
    design = matched_design(10, 2)
    tokens = profile_null(design, 800, np.random.default_rng(2), **NULLS[null])
    p = rsa_map(tokens, design, score=score, permutations=199).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=error_bound(800))


def test_rsa_of_cells_holds_its_level_for_far_foils():
    design = far_design(9, 11, 2)
    tokens = profile_null(design, 600, np.random.default_rng(3), wording=1.0)
    p = rsa_map(tokens, design, permutations=199).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=error_bound(600))


def test_graded_model_rsa_holds_its_level():
    m, grade = 8, np.tile([0.0, 1.0, 3.0], 8)
    groups = np.repeat(np.arange(m), 3)
    design = SimpleNamespace(rows=np.arange(24), y=(grade > 0).astype(int), weights=grade, groups=groups,
                             cells=np.arange(24),
                             scheme=within_scheme(groups, grade), contrast="graded", expression="")
    X = null_data(design, 1500, np.random.default_rng(4), item=1.5)
    p = rsa_map(X, design, score="model", variant="pooled", model="graded", labels=grade, permutations=199).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=error_bound(1500))


def family_error(permutations, n_features, experiments, seed, *, observed_included):
    """Share of null experiments in which some feature has p_fwe <= .05, when the labellings are exchangeable."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(experiments):
        T = rng.normal(size=(permutations + 1, n_features))
        if observed_included:
            p = permutation_inference(T, enumerated=False, tail="positive").p_fwe
        else:
            z = (T - T[1:].mean(axis=0)) / T[1:].std(axis=0)
            p = (1 + (z[1:].max(axis=1)[:, None] >= z[0]).sum(axis=0)) / (permutations + 1)
        hits += p.min() <= 0.05
    return hits / experiments


@pytest.mark.slow
def test_family_wise_error_needs_the_observed_labelling_in_mean_and_sd():
    """docs/methods.md: included .05; excluded .167 at P = 99."""
    assert family_error(99, 1000, 400, 5, observed_included=True) == pytest.approx(0.05, abs=error_bound(400))
    assert family_error(99, 1000, 400, 5, observed_included=False) == pytest.approx(0.167, abs=error_bound(400, 0.167))


@pytest.mark.long
def test_family_wise_error_full_size():
    n = 2000
    assert family_error(99, 1000, n, 6, observed_included=True) == pytest.approx(0.05, abs=error_bound(n))
    assert family_error(99, 1000, n, 6, observed_included=False) == pytest.approx(0.167,
                                                                                  abs=error_bound(n, 0.167) + 0.01)
    assert family_error(499, 1000, n, 7, observed_included=False) == pytest.approx(0.070,
                                                                                   abs=error_bound(n, 0.07) + 0.01)


@pytest.mark.slow
def test_family_wise_error_of_a_contrast_map():
    design, hits, n = matched_design(9, 2), 0, 250
    for seed in range(n):
        X = null_data(design, 60, np.random.default_rng([8, seed]), item=1.0, wording=1.0)
        hits += contrast_map(X, design, score="paired_t", permutations=199, seed=seed).p_fwe.min() <= 0.05
    assert hits / n == pytest.approx(0.05, abs=error_bound(n))


def all_pairs_discriminative(tokens, design):
    first, second = np.triu_indices(len(design.y), 1)
    r = np.concatenate([profile_correlations(tokens.block(a, a + 50), tokens.offsets, first, second)
                        for a in range(0, tokens.n_features, 50)])
    z = np.arctanh(np.clip(r, -0.999, 0.999))
    both, mixed = (design.y[first] + design.y[second] == 2), design.y[first] != design.y[second]
    return z[:, both].mean(axis=1) - z[:, mixed].mean(axis=1)


@pytest.mark.parametrize("null, sign", [({"item": 1.8}, -1), ({"wording": 1.8}, 1)])
def test_discriminative_is_biased_with_all_pairs_and_not_with_cross_item_pairs(null, sign):
    """docs/methods.md: all pairs bias D by +-.022 under nulls with item or wording variance (24 items, 2 paraphrases)."""
    design = matched_design(24, 2)
    tokens = profile_null(design, 500, np.random.default_rng(9), **null)
    biased, ours = all_pairs_discriminative(tokens, design), rsa_map(tokens, design).value
    error = ours.std() / np.sqrt(500)
    assert sign * biased.mean() == pytest.approx(0.022, abs=0.004 + 4 * error)
    assert abs(ours.mean()) < 4 * error and error < 0.002


def test_dropped_pairs_of_silent_features_keep_the_level():
    """Silence that follows the labelling: labellings without an estimate never count as not exceeding."""
    design, rng = matched_design(9, 1), np.random.default_rng(10)
    tokens = profile_null(design, 700, rng)
    offsets = tokens.offsets
    for row in range(len(design.y)):
        silent = rng.random(700) < 0.35
        tokens.values[offsets[row]:offsets[row + 1], silent] = 0
    found = rsa_map(tokens, design, permutations=512)
    p = found.pvalue[np.isfinite(found.pvalue)]
    assert 100 < len(p) < 700
    assert np.mean(p <= 0.05) < 0.05 + error_bound(len(p))


@pytest.mark.slow
def test_sign_flips_over_concepts_and_the_resampled_t_hold_their_level():
    rng = np.random.default_rng(11)
    p = [sign_flip_test(rng.normal(size=9)).pvalue for _ in range(1500)]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + error_bound(1500)
    covered = [sign_flip_test(d := rng.standard_t(4, size=10) + 1).ci_low <= 1 <= sign_flip_test(d).ci_high
               for _ in range(500)]
    assert np.mean(covered) > 0.95 - error_bound(500)


def fold_error(n_items, experiments, df_repeats, seed):
    """5 x 5 repeated folds over items with one difference per item: the fold means of pure noise."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(experiments):
        d, folds = rng.normal(size=n_items), []
        for _ in range(5):
            folds += [d[part].mean() for part in np.array_split(rng.permutation(n_items), 5)]
        found = corrected_resampled_t(np.array(folds), splits=5)
        hits += (2 * stats.t.sf(abs(found.t), 24) if df_repeats else found.pvalue) <= 0.05
    return hits / experiments


@pytest.mark.slow
def test_degrees_of_freedom_of_the_resampled_t():
    """docs/methods.md: df = J - 1 rejects too often with few items, df = splits - 1 does not."""
    assert fold_error(10, 800, False, 12) < 0.06 + error_bound(800)
    assert fold_error(10, 800, True, 12) > fold_error(10, 800, False, 12) + 0.03
