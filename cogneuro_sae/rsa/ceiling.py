"""Reliabilities and the paraphrase ceiling (docs/methods.md)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_table, design_rows, subset
from cogneuro_sae.rsa.fit import item_halves
from cogneuro_sae.rsa.labelled_models import cell_model
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.patterns import PatternSource


class Reliability(NamedTuple):
    """Split-half reliability over random splits.

    Parameters
    ----------
    r : float
        Mean correlation between halves.
    corrected : float
        Spearman-Brown on the mean r; NaN when r <= 0.
    draws : ndarray (n_draws,) float64
        Correlation of each split.
    split : str
        "paraphrases" (wording noise only) or "items" (generalisation).
    """

    r: float
    corrected: float
    draws: np.ndarray
    split: str


class Ceiling(NamedTuple):
    """Paraphrase ceiling of a model's fit: it bounds wording noise only.

    Parameters
    ----------
    lower, upper : float
        Mean correlation of single-paraphrase RDMs with the mean of the others, and with the mean of all.
    fit : float
        Mean correlation of the same RDMs with the model.
    n_rdms : int
        RDMs per draw (paraphrases of the smallest cell).
    draws : int
        Reassignments of paraphrases.
    """

    lower: float
    upper: float
    fit: float
    n_rdms: int
    draws: int


def spearman_brown(r: float) -> float:
    """2r / (1 + r), and NaN when r <= 0 (it is then printed without correction).

    Parameters
    ----------
    r : float
        Mean correlation of halves.

    Returns
    -------
    float
    """
    return 2 * r / (1 + r) if r > 0 else float("nan")


def paraphrase_split(X: np.ndarray, design, statistic: Callable, *, draws: int = 100, seed: int = 0) -> Reliability:
    """Correlate a statistic between random halves of each cell's paraphrases.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, labels, items and cells.
    statistic : callable
        (X, design) -> values to correlate: a FeatureMap over features, or an array such as a condensed RDM over cells.
    draws : int
        Random splits.
    seed : int
        Seed of the splits.

    Returns
    -------
    Reliability

    Raises
    ------
    InputError
        A cell with one paraphrase.
    """
    X, design = _rows_of(X, design)
    table, rng = cell_table(design), np.random.default_rng(seed)
    counts = np.bincount(table.index)
    if counts.min() < 2:
        raise InputError(f"{np.sum(counts < 2)} cells have one paraphrase", allowed="at least 2 per cell",
                         do="write more paraphrases, or use the item split")
    halves = []
    for _ in range(draws):
        first = np.zeros(len(X), bool)
        for cell in range(len(counts)):
            members = rng.permutation(np.flatnonzero(table.index == cell))
            first[members[: (len(members) + rng.integers(0, 2)) // 2]] = True
        halves.append(first)
    return _reliability(X, design, statistic, halves, "paraphrases")


def item_split(X: np.ndarray, design, statistic: Callable, *, draws: int = 100, seed: int = 0) -> Reliability:
    """Correlate a statistic over features between random halves of the items: the one that supports generalisation.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, labels, items, cells and scheme.
    statistic : callable
        (X, design) -> FeatureMap or array (n_features,).
    draws : int
        Random splits.
    seed : int
        Seed of the splits.

    Returns
    -------
    Reliability

    Raises
    ------
    InputError
        Fewer than 4 items of a kind.
    """
    X, design = _rows_of(X, design)
    return _reliability(X, design, statistic, item_halves(design, draws, np.random.default_rng(seed)), "items")


def _reliability(X, design, statistic, halves, split: str) -> Reliability:
    found = []
    for first in halves:
        sides = [_values(statistic(X[mask], _whole(design, mask, split))) for mask in (first, ~first)]
        known = np.isfinite(sides[0]) & np.isfinite(sides[1])
        varied = known.sum() > 2 and min(np.ptp(side[known]) for side in sides) > 0
        found.append(np.corrcoef(sides[0][known], sides[1][known])[0, 1] if varied else np.nan)
    draws = np.array(found)
    r = float(np.nanmean(draws)) if np.isfinite(draws).any() else float("nan")
    return Reliability(r, spearman_brown(r), draws, split)


def _values(result) -> np.ndarray:
    return np.asarray(getattr(result, "value", result), np.float64)


def _whole(design, mask: np.ndarray, split: str):
    part = subset(design, mask)
    part.rows = np.arange(int(mask.sum()))
    return part


def _rows_of(X, design):
    X = np.asarray(X)
    X = X[design_rows(len(X), design)]
    columns = {n: getattr(design, n)
               for n in ("y", "weights", "groups", "cells", "scheme", "conditions", "strata", "contrast",
                                               "expression") if hasattr(design, n)}
    return X, SimpleNamespace(rows=np.arange(len(X)), **columns)


def paraphrase_ceiling(X: np.ndarray, design, model, *, labels=None, draws: int = 100, seed: int = 0) -> Ceiling:
    """Ceiling and model fit on the same single-paraphrase RDMs over cells, paraphrase indices reassigned at random.

    RDMs are 1 - r between patterns, over cross-item cell pairs; they are z-scored before they are averaged.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values of a feature set, rows of the table or of the design.
    design : Design
        Rows, labels, items and cells.
    model : str, callable, ndarray or RDMs
        Model RDM, as `rsa_map` takes it.
    labels : array_like, optional
        Labels of a named model.
    draws : int
        Random reassignments.
    seed : int
        Seed of the reassignments.

    Returns
    -------
    Ceiling

    Raises
    ------
    InputError
        A cell with one paraphrase, fewer than 3 features, or a model that does not vary over the cross-item pairs.
    """
    rng, table = np.random.default_rng(seed), cell_table(design)
    X = np.asarray(X)
    target = cell_model(model, labels, design, table, len(X))
    X = X[design_rows(len(X), design)]
    members = [np.flatnonzero(table.index == cell) for cell in range(len(table.item))]
    count = min(map(len, members))
    if count < 2:
        raise InputError("a cell has one paraphrase, so wording noise cannot be measured",
                         allowed="at least 2 per cell")
    pairs = cross_item_pairs(np.arange(len(members)), table.item)
    target = _standard(target[pairs.first, pairs.second][None])[0]
    found = []
    for _ in range(draws):
        order = [rng.permutation(each) for each in members]
        rdms = _standard(np.array([_rdm(X[[o[k] for o in order]], pairs) for k in range(count)]))
        total, n = rdms.sum(axis=0), rdms.shape[1]
        others = _standard(total - rdms)
        found.append([np.mean(np.sum(rdms * others, axis=1) / n), np.mean(rdms @ _standard(total[None])[0] / n),
                      np.mean(rdms @ target / n)])
    lower, upper, fit = np.mean(found, axis=0)
    return Ceiling(float(lower), float(upper), float(fit), count, draws)


def _rdm(X: np.ndarray, pairs) -> np.ndarray:
    r = PatternSource(X, (np.arange(X.shape[1]),)).pairs(0, 1, pairs.first, pairs.second)[0]
    if np.isnan(r).any():
        raise InputError("a stimulus has a constant pattern over these features",
                         do="choose features that are active in it")
    return 1 - r


def _standard(rdms: np.ndarray) -> np.ndarray:
    centred = rdms - rdms.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    if (spread < 1e-12).any():
        raise InputError("an RDM does not vary over the cross-item pairs", do="use another model or more features")
    return centred / spread
