"""Two-class statistics of cell means for many features and many labellings (0/1 over cells), as matrix products.

Variances are floored at 1e-12 of the feature's mean square: t stays finite; features constant over cells are NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from cogneuro_sae.errors import InputError

FLOOR = 1e-12


class Contrast(NamedTuple):
    """One univariate score.

    Parameters
    ----------
    kernel : callable
        (X (n_cells, n_features), labels (n_labellings, n_cells), groups (n_cells,)) -> (n_labellings, n_features).
    center : float
        Value without an effect.
    paired : bool
        Needs matched items.
    firing : bool
        Takes the cell's share of rows above 0 instead of its mean; refused on signed units.
    """

    kernel: Callable
    center: float = 0.0
    paired: bool = False
    firing: bool = False


def _sums(X: np.ndarray, labels: np.ndarray):
    """Centred data, class sizes, means and sums of squares about the class means, each (n_labellings, n_features)."""
    Z = X - X.mean(axis=0)
    Y = labels.astype(np.float64)
    n1 = Y.sum(axis=1, keepdims=True)
    n0 = Y.shape[1] - n1
    s1, q1 = Y @ Z, Y @ Z**2
    total, square = Z.sum(axis=0), (Z**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        m1, m0 = s1 / n1, (total - s1) / n0
        ss1, ss0 = q1 - n1 * m1**2, square - q1 - n0 * m0**2
    floor = FLOOR * square / len(X)
    still = ~(np.ptp(X, axis=0) > FLOOR * np.abs(X).max(axis=0))
    return n1, n0, m1, m0, np.maximum(ss1, n1 * floor), np.maximum(ss0, n0 * floor), still


def _mean_difference(X, labels, groups):
    n1, n0, m1, m0, _, _, still = _sums(X, labels)
    return np.where(still, np.nan, m1 - m0)


def _welch_t(X, labels, groups):
    n1, n0, m1, m0, ss1, ss0, still = _sums(X, labels)
    _at_least_two(n1, n0)
    return (m1 - m0) / np.sqrt(np.where(still, np.nan, ss1 / (n1 * (n1 - 1)) + ss0 / (n0 * (n0 - 1))))


def _hedges_g(X, labels, groups):
    n1, n0, m1, m0, ss1, ss0, still = _sums(X, labels)
    _at_least_two(n1, n0)
    df = n1 + n0 - 2
    pooled = np.sqrt(np.where(still, np.nan, (ss1 + ss0) / df))
    return (m1 - m0) / pooled * (1 - 3 / (4 * df - 1))


def _auroc(X, labels, groups):
    ranks = stats.rankdata(X, axis=0)
    Y = labels.astype(np.float64)
    n1 = Y.sum(axis=1, keepdims=True)
    area = (Y @ ranks - n1 * (n1 + 1) / 2) / (n1 * (Y.shape[1] - n1))
    return np.where(np.ptp(X, axis=0) > 0, area, np.nan)


def _paired_t(X, labels, groups):
    items, item = np.unique(groups, return_inverse=True)
    sides = np.zeros((2, len(items)))
    np.add.at(sides, (labels[0].astype(int), item), 1)
    if len(items) < 2 or (sides == 0).any():
        lacking = [str(name) for name in items[(sides == 0).any(axis=0)][:5]]
        why = f"items {', '.join(lacking)} lack one side" if lacking else f"there is {len(items)} item"
        raise InputError(f"paired_t needs matched items: {why}", do="use welch_t, or match the items")
    weight = np.where(labels[0] == 1, 1 / sides[1][item], -1 / sides[0][item])
    c = np.zeros((len(items), X.shape[1]))
    np.add.at(c, item, weight[:, None] * X)
    first = np.array([np.flatnonzero(item == i)[0] for i in range(len(items))])
    signs = np.where(labels[:, first] == labels[0, first], 1.0, -1.0)
    return sign_t(c, signs)


def sign_t(differences: np.ndarray, signs: np.ndarray | None = None) -> np.ndarray:
    """One-sample t of item differences under every sign pattern: mean / sqrt(var / m).

    Parameters
    ----------
    differences : ndarray (n_items, n_features)
        c_i, one signed difference per item.
    signs : ndarray (n_labellings, n_items), optional
        +-1; default the observed signs only.

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        NaN where a feature's differences are all 0.

    Raises
    ------
    InputError
        Fewer than 2 items.
    """
    c = np.asarray(differences, np.float64)
    m = len(c)
    if m < 2:
        raise InputError(f"{m} item differences", allowed="at least 2")
    square = (c**2).sum(axis=0)
    mean = (np.ones((1, m)) if signs is None else signs.astype(np.float64)) @ c / m
    variance = np.maximum((square - m * mean**2) / (m - 1), FLOOR * square / m)
    return mean / np.sqrt(np.where(square > 0, variance / m, np.nan))


def _at_least_two(n1: np.ndarray, n0: np.ndarray) -> None:
    if min(n1.min(), n0.min()) < 2:
        raise InputError("a class of one cell has no variance", do="add items, or use mean_difference")


def _observed(name: str, X, y, groups) -> np.ndarray:
    X, y = np.asarray(X, np.float64), np.asarray(y)
    if X.ndim != 2 or len(X) != len(y):
        raise InputError(f"X has shape {X.shape}, y {y.shape}", where=name, allowed="(n_cells, n_features), (n_cells,)")
    if len(np.unique(y > 0)) < 2:
        raise InputError("only one class", where=name, do="give cells of A (1) and of B (0)")
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    return CONTRASTS[name].kernel(X, (y > 0)[None].astype(np.int8), groups)[0]


def mean_difference(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Mean of A minus mean of B.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    groups : ndarray (n_cells,), optional
        Items, not used.

    Returns
    -------
    ndarray (n_features,) float64
        Unit of X; NaN for constant features.

    Raises
    ------
    InputError
        Shapes that do not fit or a missing class.
    """
    return _observed("mean_difference", X, y, groups)


def welch_t(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Welch t: (mean_A - mean_B) / sqrt(var_A/n_A + var_B/n_B), variances with n - 1.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    groups : ndarray (n_cells,), optional
        Items, not used.

    Returns
    -------
    ndarray (n_features,) float64
        t; NaN for constant features.

    Raises
    ------
    InputError
        Shapes that do not fit, a missing class or a class of one cell.
    """
    return _observed("welch_t", X, y, groups)


def hedges_g(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Hedges g: (mean_A - mean_B) / pooled sd, times 1 - 3/(4 (n_A + n_B) - 9).

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    groups : ndarray (n_cells,), optional
        Items, not used.

    Returns
    -------
    ndarray (n_features,) float64
        g; NaN for constant features.

    Raises
    ------
    InputError
        Shapes that do not fit, a missing class or a class of one cell.
    """
    return _observed("hedges_g", X, y, groups)


def auroc(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """P(f(A) > f(B)) + P(f(A) = f(B)) / 2 over cells, from average ranks.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    groups : ndarray (n_cells,), optional
        Items, not used.

    Returns
    -------
    ndarray (n_features,) float64
        0 to 1, .5 without an effect; NaN for constant features.

    Raises
    ------
    InputError
        Shapes that do not fit or a missing class.
    """
    return _observed("auroc", X, y, groups)


def rate_difference(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """P(f > 0 given A) - P(f > 0 given B), from each cell's share of rows above 0 (hurdle part).

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Share of the cell's rows above 0, in [0, 1].
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    groups : ndarray (n_cells,), optional
        Items, not used.

    Returns
    -------
    ndarray (n_features,) float64
        -1 to 1; NaN for features that fire everywhere or nowhere.

    Raises
    ------
    InputError
        Shapes that do not fit, a missing class, or values outside [0, 1].
    """
    X = np.asarray(X, np.float64)
    if X.size and (X.min() < 0 or X.max() > 1):
        raise InputError("rate_difference takes shares of rows above 0", allowed="values in [0, 1]",
                         do="average X > 0 over each cell first")
    return _observed("rate_difference", X, y, groups)


def paired_t(X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """One-sample t over item differences c_i = mean of the item's A cells - mean of its B cells.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    groups : ndarray (n_cells,)
        Items; each holds both sides.

    Returns
    -------
    ndarray (n_features,) float64
        t; NaN where all differences are 0.

    Raises
    ------
    InputError
        Unmatched items, fewer than two items, or shapes that do not fit.
    """
    return _observed("paired_t", X, y, groups)


CONTRASTS = {"paired_t": Contrast(_paired_t, paired=True), "welch_t": Contrast(_welch_t),
             "hedges_g": Contrast(_hedges_g), "auroc": Contrast(_auroc, center=0.5),
             "mean_difference": Contrast(_mean_difference), "rate_difference": Contrast(_mean_difference, firing=True)}
