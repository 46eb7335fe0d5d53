"""Calibration of RSA and contrast maps under five nulls: p uniform, family-wise error .05, false discoveries <= .05, no bias.

A replicate is a new data set with new labellings; features of one replicate share the labellings, so every bound comes from
the spread over replicates: 4 standard errors for rates of p, 3 binomial ones for the shares of replicates with a false alarm.
Where silence makes ties, or takes labellings away, p may be too large but never too small.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from rsa_data import Tokens, far_design, matched_design

from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.inference import free_scheme
from cogneuro_sae.rsa import rsa_map

LEVELS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
NULLS = {"independent": {}, "item": {"item": 1.0}, "wording": {"wording": 1.0},
         "zero_inflated": {"item": 0.5, "wording": 0.5, "firing": 0.8},
         "unequal": {"item": 0.5, "wording": 0.5, "low": 9, "high": 16}}
MAPS = {"profile": {"score": "discriminative"}, "categorical": {"score": "categorical"}, "coherence": {"score": "coherence",
        "tail": "two-sided"}, "model": {"score": "model", "model": "categorical"},
        "distribution": {"score": "categorical", "variant": "distribution"},
        "pooled": {"score": "categorical", "variant": "pooled"},
        "pooled_model": {"score": "model", "variant": "pooled", "model": "categorical"},
        "paired_t": {}, "welch_t": {}, "rate_difference": {}}
UNIVARIATE = ("paired_t", "welch_t", "rate_difference")


def null_tokens(design, n_features, rng, *, item=0.0, wording=0.0, firing=1.0, low=10, high=11):
    """Token values blind to the condition. Items and cells have profiles and levels of their own, of the given sd.

    firing < 1: only positive values are kept, and each cell fires at all with this chance (lower in some items).
    """
    items, cells = (np.unique(names, return_inverse=True)[1] for names in (design.groups, design.cells))
    lengths = rng.integers(low, high, len(items))
    row, position = np.repeat(np.arange(len(items)), lengths), np.concatenate([np.arange(n) for n in lengths])
    values = rng.normal(size=(len(row), n_features))
    for sd, index in ((item, items), (wording, cells)):
        if sd:
            shape = (index.max() + 1, 1 + high, n_features)
            own = sd * rng.normal(size=shape)
            values += own[index[row], position] + 0.5 * own[index[row], high]
    if firing < 1:
        chance = firing ** rng.choice([0.3, 2.0], size=(items.max() + 1, n_features))
        fires = rng.random((cells.max() + 1, n_features)) < chance[items[np.unique(cells, return_index=True)[1]]]
        values = np.maximum(values + 0.7, 0) * fires[cells[row]]
    return Tokens(values, lengths)


def run(kind, tokens, design, **options):
    pooled = kind in UNIVARIATE or kind.startswith("pooled")
    data = np.array([tokens.of(i).mean(axis=0) for i in range(len(tokens))]) if pooled else tokens
    if kind in UNIVARIATE:
        return contrast_map(data, design, score=kind, **options)
    return rsa_map(data, design, **MAPS[kind], **options)


def replicates(kind, null, count, *, design=None, declared=None, n_features=16, permutations=399, seed=0, plant=0):
    """p, p_fwe and q (count, n_features) of independent experiments; the first `plant` features carry an effect.

    Data follow `design`; the map is told `declared`, by default the same.
    """
    design = matched_design(9) if design is None else design
    found = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        tokens = null_tokens(design, n_features, rng, **NULLS[null])
        if plant:
            plant_effect(tokens, design, plant, rng)
        found.append(run(kind, tokens, declared or design, permutations=permutations, seed=number))
    return SimpleNamespace(**{name: np.array([getattr(each, name) for each in found]) for name in ("pvalue", "p_fwe", "q")})


def plant_effect(tokens, design, n_features, rng):
    """The first features get a profile and a level that all targets share."""
    shape = 2 * (rng.normal(size=(64, n_features)) + 0.5)
    for row in np.flatnonzero(np.asarray(design.y)):
        part = tokens.of(row)
        part[:, :n_features] += shape[:len(part)]


def wrong_rates(p, *, exact, levels=LEVELS, step=0.0):
    """Levels at which the share of p <= level is off by more than 4 standard errors over replicates; `step` between possible p."""
    wrong = {}
    for level in levels:
        known = np.isfinite(p)
        each = np.where(known, p <= level + 1e-12, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        bound = 4 * np.hypot(each.std(), 0.01) / np.sqrt(len(each))
        if each.mean() > level + bound or exact and each.mean() < level - step - bound:
            wrong[level] = (round(each.mean(), 4), round(bound, 4))
    return wrong


def false_alarms(values, level=0.05):
    """Share of replicates with some value <= level, and 3 binomial standard errors about the level."""
    return np.mean(np.nanmin(values, axis=1) <= level + 1e-12), 3 * np.sqrt(level * (1 - level) / len(values))


def check_null(kind, null, count, **options):
    """p uniform (at most so with silence), family-wise error .05, BH false discoveries <= .05: in a global null, any is false."""
    found = replicates(kind, null, count, **options)
    exact = null != "zero_inflated" and kind != "rate_difference"
    assert np.isfinite(found.pvalue).mean() > (0.6 if null == "zero_inflated" else 0.999)
    # all but the one-sided D of matched items keep their size when every item swaps, so of the 2^9 labellings two share a rank
    step = 0.0 if kind == "profile" or "design" in options else 2 / 2**9
    assert wrong_rates(found.pvalue, exact=exact, step=step) == {}
    fwe, bound = false_alarms(found.p_fwe)
    assert fwe <= 0.05 + bound
    if exact:
        assert fwe >= 0.05 - bound
    fdr, bound = false_alarms(found.q)
    assert fdr <= 0.05 + bound
    return found


@pytest.mark.slow
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("kind", ["profile", "pooled", "paired_t"])
def test_maps_are_calibrated(kind, null):
    check_null(kind, null, 200)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["profile", "pooled", "welch_t"])
def test_maps_over_foils_in_their_own_items_are_calibrated(kind):
    check_null(kind, "wording", 200, design=far_design(8, 7), seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["profile", "pooled", "paired_t"])
def test_the_family_wise_error_holds_with_few_labellings_and_many_features(kind):
    check_few_labellings(kind, 200)


def check_few_labellings(kind, count):
    """39 labellings, 150 features: where the observed labelling must count in p, and in the mean and sd behind p_fwe."""
    found = replicates(kind, "wording", count, n_features=150, permutations=39, seed=3)
    assert wrong_rates(found.pvalue, exact=True, levels=(0.025, 0.05, 0.1, 0.25, 0.5, 0.9)) == {}
    assert np.nanmin(found.pvalue) >= 1 / 40 - 1e-12
    fwe, bound = false_alarms(found.p_fwe)
    assert fwe == pytest.approx(0.05, abs=bound)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["profile", "pooled", "paired_t"])
def test_false_discoveries_among_true_ones_stay_below_their_level(kind):
    share, power, bound = discoveries(kind, 120)
    assert share <= 0.05 + bound
    assert power > 0.3


def discoveries(kind, count):
    """Mean share of nulls among the features with q <= .05, share of the 6 planted ones found, and the bound on the first."""
    q = replicates(kind, "item", count, plant=6, seed=4).q
    found = q <= 0.05
    share = found[:, 6:].sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    return share.mean(), found[:, :6].mean(), 4 * share.std() / np.sqrt(count)


@pytest.mark.slow
@pytest.mark.parametrize("null", ["item", "wording"])
@pytest.mark.parametrize("kind", ["profile", "categorical", "coherence"])
def test_scores_have_no_bias(kind, null):
    """Only pairs from different items count."""
    assert abs(bias(kind, null, 150)) < 4


def bias(kind, null, count, *, declared=None, n_features=40):
    """Mean score of a null, in standard errors over replicates."""
    design, found = matched_design(9), []
    for number in range(count):
        tokens = null_tokens(design, n_features, np.random.default_rng([5, number]), **NULLS[null])
        found.append(np.nanmean(run(kind, tokens, declared or design).value))
    return np.mean(found) / (np.std(found) / np.sqrt(count))


# the same checks see what is left out ------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["profile", "pooled", "welch_t"])
def test_they_see_missing_exchange_blocks(kind):
    """Every text declared an item of its own: labels move freely, and paraphrases count as independent."""
    found = replicates(kind, "wording", 60, declared=without_items(matched_design(9)), seed=6)
    assert {0.02, 0.05, 0.1} <= set(wrong_rates(found.pvalue, exact=True))
    assert false_alarms(found.p_fwe)[0] > 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.slow
@pytest.mark.parametrize("null", ["item", "wording"])
@pytest.mark.parametrize("kind", ["profile", "categorical"])
def test_they_see_pairs_within_items(kind, null):
    assert abs(bias(kind, null, 60, declared=without_items(matched_design(9)))) > 6


def without_items(design):
    rows = np.arange(len(design.y))
    return SimpleNamespace(**{**vars(design), "groups": rows, "cells": rows, "scheme": free_scheme(design.y)})


# full sizes --------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("kind", MAPS)
def test_maps_are_calibrated_full_size(kind, null):
    if kind == "rate_difference" and null != "zero_inflated":
        pytest.skip("signed values have no firing rate")
    check_null(kind, null, 1000, seed=7)


@pytest.mark.long
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("kind", ["profile", "model", "pooled", "pooled_model", "welch_t"])
def test_maps_over_far_foils_are_calibrated_full_size(kind, null):
    check_null(kind, null, 500, design=far_design(8, 7), seed=8)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["profile", "pooled", "paired_t"])
def test_families_full_size(kind):
    check_few_labellings(kind, 1000)
    share, _, bound = discoveries(kind, 1000)
    assert share <= 0.05 + bound
