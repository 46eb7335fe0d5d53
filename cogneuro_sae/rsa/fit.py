"""ROI-selected RSA: the region on one half of the items, its RSA on the other, over several random halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import design_rows, subset
from cogneuro_sae.rsa.maps import rsa_map


class RoiHalves(NamedTuple):
    """ROI-selected RSA over random halves of the items.

    Parameters
    ----------
    value : ndarray (n_halves,) float64
        RSA score of the ROI on the half that did not choose it.
    pvalue : ndarray (n_halves,) float64
        Its permutation p, NaN without permutations. Halves overlap, so these p are not independent.
    roi : ndarray (n_halves, n_features) int64
        Features chosen by each half.
    overlap : float
        Mean Jaccard overlap of the ROIs; NaN for one half.
    info : dict
        Score, scheme and sizes.
    """

    value: np.ndarray
    pvalue: np.ndarray
    roi: np.ndarray
    overlap: float
    info: dict


def roi_rsa(X: np.ndarray, design, *, localise: Callable, n_features: int = 50, halves: int = 10,
            score: str = "discriminative", model=None, labels=None, permutations: int = 0, seed: int = 0,
            tail: str = "positive") -> RoiHalves:
    """Choose an ROI by a contrast on one half of the items and test its pattern RSA on the other, `halves` times.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, labels, items, cells and scheme.
    localise : callable
        (X, design) -> FeatureMap whose `.top(n)` is the ROI, such as `contrast_map`.
    n_features : int
        Size of the ROI, at least 3.
    halves : int
        Random halves.
    score : str
        RSA score, all of them allowed on patterns.
    model : optional
        Model RDM for score "model".
    labels : array_like, optional
        Labels of a named model, rows of the table or of the design.
    permutations : int
        Labellings for the p of each half; 0: none.
    seed : int
        Seed of halves and labellings.
    tail : str
        Tail of the RSA test.

    Returns
    -------
    RoiHalves

    Raises
    ------
    InputError
        Fewer than 4 items on a side, an ROI below 3 features, or what `rsa_map` refuses.
    """
    if n_features < 3 or halves < 1:
        raise InputError(f"ROI of {n_features} features, {halves} halves", allowed="at least 3 features and 1 half")
    X = np.asarray(X)
    X = X[design_rows(len(X), design)]
    if labels is not None:
        labels = np.asarray(labels)[design_rows(len(labels), design)]
    values, pvalues, rois = [], [], []
    for number, chosen in enumerate(item_halves(design, halves, np.random.default_rng(seed))):
        here, there = (_own_rows(subset(design, mask)) for mask in (chosen, ~chosen))
        roi = localise(X[chosen], here).top(n_features)
        if len(roi) < 3:
            raise InputError(f"the localiser found {len(roi)} estimable features", where=f"half {number}")
        found = rsa_map(X[~chosen][:, roi], there, score=score, variant="pattern", model=model,
                        permutations=permutations,
                        labels=None if labels is None else labels[~chosen], seed=seed + number, tail=tail)
        values.append(found.value[0])
        pvalues.append(np.nan if found.pvalue is None else found.pvalue[0])
        rois.append(roi)
    overlaps = [len(np.intersect1d(a, b)) / len(np.union1d(a, b)) for i, a in enumerate(rois) for b in rois[:i]]
    info = {"score": score, "halves": halves, "items": len(np.unique(design.groups)),
            "scheme": design.scheme.description,
            "permutations": permutations, "note": "halves overlap: their p values are not independent"}
    return RoiHalves(np.array(values), np.array(pvalues), np.array(rois), float(np.mean(overlaps)) if overlaps
                     else np.nan, info)


def item_halves(design, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield random halves of the items; items of each label pattern (both, A only, B only) are halved by themselves.

    Parameters
    ----------
    design : Design
        Has `groups` and `y`.
    count : int
        How many halves.
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    iterator of ndarray (n_rows,) bool
        Rows of the first half.

    Raises
    ------
    InputError
        A label pattern with fewer than 4 items.
    """
    names, item = np.unique(np.asarray(design.groups), return_inverse=True)
    y = np.asarray(design.y)
    pattern = np.array([2 * y[item == i].max() + y[item == i].min() for i in range(len(names))])
    for kind in np.unique(pattern):
        if np.sum(pattern == kind) < 4:
            raise InputError(f"{np.sum(pattern == kind)} items are too few to halve", allowed="4 items of each kind")
    for _ in range(count):
        first = np.zeros(len(names), bool)
        for kind in np.unique(pattern):
            members = rng.permutation(np.flatnonzero(pattern == kind))
            first[members[: len(members) // 2]] = True
        yield first[item]


def _own_rows(part):
    part.rows = np.arange(len(part.y))
    return part
