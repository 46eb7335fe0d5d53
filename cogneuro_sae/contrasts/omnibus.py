"""F statistics over many features and labellings: levels inside items, interactions inside items, groups of items."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.contrasts.statistics import FLOOR
from cogneuro_sae.errors import InputError


def within_f(Y: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Repeated-measures F of L levels: F = [SS_level/(L-1)] / [SS_error/((L-1)(m-1))].

    SS_level = m sum_l (mean_l - mean)^2 and SS_error is what remains of the variation inside items, which no exchange
    of levels inside items changes; so a labelling costs one matrix product per level.

    Parameters
    ----------
    Y : ndarray (n_items, n_levels, n_features)
        Cell means.
    labels : ndarray (n_labellings, n_items * n_levels) of int, optional
        Level that each cell (item-major) gets; default the observed levels only.

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        NaN for features that do not vary inside items.

    Raises
    ------
    InputError
        Fewer than two items or levels.
    """
    m, L, F = Y.shape
    _enough(m, L)
    inside = np.asarray(Y, np.float64) - Y.mean(axis=1, keepdims=True)
    cells = inside.reshape(m * L, F)
    labels = np.tile(np.arange(L), m)[None] if labels is None else labels
    # sums over the levels add up to 0, so the last one follows from the others
    sums = [(labels == level).astype(np.float64) @ cells for level in range(L - 1)]
    between = (sum(s**2 for s in sums) + sum(sums) ** 2) / m
    return _ratio(between, (cells**2).sum(axis=0), Y, L - 1, (L - 1) * (m - 1))


def interaction_f(D: np.ndarray, signs: np.ndarray | None = None, *, df: int) -> np.ndarray:
    """F of an interaction inside items, from each item's doubly centred table, whose sign is exchanged.

    F = [m |mean_i s_i D_i|^2 / df] / [(sum_i |D_i|^2 - m |mean|^2) / (df (m-1))], the repeated-measures F of the
    interaction when all s_i = 1.

    Parameters
    ----------
    D : ndarray (n_items, n_cells, n_features)
        Cell means of each item minus row and column means plus the item's mean.
    signs : ndarray (n_labellings, n_items), optional
        +-1; default the observed signs only.
    df : int
        (levels of one factor - 1)(levels of the other - 1).

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        NaN for features without any interaction.

    Raises
    ------
    InputError
        Fewer than two items.
    """
    m, K, _ = D.shape
    _enough(m, K)
    signs = np.ones((1, m)) if signs is None else signs.astype(np.float64)
    between = sum((signs @ D[:, k]) ** 2 for k in range(K)) / m
    return _ratio(between, (D**2).sum(axis=(0, 1)), D, df, df * (m - 1))


def welch_f(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Welch F of k groups with unequal variances (Welch 1951).

    With w_j = n_j / var_j and the mean weighted by w: F = [sum_j w_j (mean_j - mean)^2 / (k-1)] /
    [1 + 2 (k-2)/(k^2-1) sum_j (1 - w_j/W)^2 / (n_j - 1)].

    Parameters
    ----------
    X : ndarray (n_units, n_features)
        One value per unit, such as item means.
    labels : ndarray (n_labellings, n_units) of int
        Group of each unit, 0 to k - 1.

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        NaN for constant features.

    Raises
    ------
    InputError
        Fewer than two groups, or a group of one unit.
    """
    Z = np.asarray(X, np.float64) - np.mean(X, axis=0)
    groups = np.unique(labels[0])
    floor = FLOOR * (Z**2).mean(axis=0)
    still = ~(np.ptp(X, axis=0) > FLOOR * np.abs(X).max(axis=0))
    sizes, means, weights = [], [], []
    for group in groups:
        member = (labels == group).astype(np.float64)
        n = member.sum(axis=1, keepdims=True)
        if len(groups) < 2 or n.min() < 2:
            raise InputError(f"{len(groups)} groups, the smallest of {int(n.min())} items", where="welch_f",
                             allowed="two or more groups of at least two items")
        mean = member @ Z / n
        variance = np.maximum((member @ Z**2 - n * mean**2) / (n - 1), floor)
        sizes.append(n)
        means.append(mean)
        weights.append(n / np.where(still, np.nan, variance))
    n, mean, w = np.stack(sizes), np.stack(means), np.stack(weights)
    k, W = len(groups), w.sum(axis=0)
    between = (w * (mean - (w * mean).sum(axis=0) / W) ** 2).sum(axis=0) / (k - 1)
    return between / (1 + 2 * (k - 2) / (k**2 - 1) * ((1 - w / W) ** 2 / (n - 1)).sum(axis=0))


def _enough(m: int, levels: int) -> None:
    if m < 2 or levels < 2:
        raise InputError(f"{m} items with {levels} levels", allowed="at least two of each")


def _ratio(between: np.ndarray, total: np.ndarray, values: np.ndarray, df: int, df_error: int) -> np.ndarray:
    scale = (np.asarray(values, np.float64) ** 2).sum(axis=(0, 1))
    total = np.where(total > FLOOR**2 * scale, total, np.nan)
    return (between / df) / (np.maximum(total - between, FLOOR * total) / df_error)
