"""Reliability of raters: ordinal Krippendorff alpha, quadratic-weighted kappa, AUROC on known items, with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError, unknown_name

LEVEL = 0.95
RESAMPLES = 2000


class Reliability(NamedTuple):
    """A coefficient with its interval.

    Parameters
    ----------
    value : float
        NaN when it cannot be computed; `reason` says why.
    low, high : float
        95 % interval.
    n : int
        Units with at least two ratings (alpha), or ratings compared.
    reason : str
        "" or why there is no value.
    """

    value: float
    low: float
    high: float
    n: int
    reason: str = ""


def _ordinal(totals: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Squared distances from the ranks that the pooled ratings give to levels."""
    middle = np.cumsum(totals, axis=-1) - totals / 2
    return (middle[..., :, None] - middle[..., None, :]) ** 2


def _interval(totals: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return np.broadcast_to((levels[:, None] - levels) ** 2, (*totals.shape[:-1], len(levels), len(levels)))


def _nominal(totals: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return np.broadcast_to(1.0 - np.eye(len(levels)), (*totals.shape[:-1], len(levels), len(levels)))


DISTANCES = {"ordinal": _ordinal, "interval": _interval, "nominal": _nominal}


def krippendorff_alpha(ratings: np.ndarray, *, distance: str = "ordinal") -> float:
    """alpha = 1 - observed / expected disagreement, from the coincidences of ratings inside units.

    With o the coincidence matrix (each pair of ratings of a unit with m ratings counts 1/(m - 1)), n_c its margins and
    n their sum: alpha = 1 - (n - 1) sum o_ck d_ck / sum n_c n_k d_ck; ordinal d_ck is the squared number of ratings
    between the levels c and k, half of c's and of k's own included. Reference: Krippendorff 2019, Content Analysis, 12.

    Parameters
    ----------
    ratings : ndarray (n_units, n_raters)
        NaN where a rater did not rate a unit; units with fewer than two ratings do not count.
    distance : str
        One of `DISTANCES`.

    Returns
    -------
    float
        1 = full agreement, 0 = as by chance; NaN when no unit has two ratings or all ratings are the same.

    Raises
    ------
    InputError
        Unknown distance.
    """
    coincidences, levels = _coincidences(ratings)
    return float(_alpha(coincidences.sum(axis=0), levels, distance)) if len(coincidences) else float("nan")


def _coincidences(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coincidence matrices (n_units, n_levels, n_levels) of the units with at least two ratings, and the levels."""
    ratings = np.asarray(ratings, np.float64)
    ratings = ratings[np.isfinite(ratings).sum(axis=1) >= 2]
    levels = np.unique(ratings[np.isfinite(ratings)])
    counts = (ratings[:, :, None] == levels).sum(axis=1).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(levels))
    return pairs / np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None], levels


def _alpha(coincidences: np.ndarray, levels: np.ndarray, distance: str) -> np.ndarray:
    """alpha of summed coincidences (..., n_levels, n_levels); NaN where only one level was used."""
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    totals = coincidences.sum(axis=-1)
    apart = DISTANCES[distance](totals, levels)
    expected = np.einsum("...c,...k,...ck->...", totals, totals, apart)
    observed = (coincidences * apart).sum(axis=(-2, -1)) * (totals.sum(axis=-1) - 1)
    return np.where(expected > 0, 1 - observed / np.where(expected > 0, expected, 1), np.nan)


def alpha_interval(ratings: np.ndarray, clusters: np.ndarray, *, distance: str = "ordinal",
                   resamples: int = RESAMPLES, seed: int = 0) -> Reliability:
    """alpha with the percentile interval of a bootstrap over clusters of units, which stay together.

    Parameters
    ----------
    ratings : ndarray (n_units, n_raters)
        NaN where a rater did not rate a unit.
    clusters : ndarray (n_units,)
        What is independent: the feature whose windows the units are.
    distance : str
        One of `DISTANCES`.
    resamples : int
        Bootstrap resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Reliability
        The interval is missing with fewer than two clusters.

    Raises
    ------
    InputError
        Unknown distance, or `clusters` does not fit.
    """
    ratings, clusters = np.asarray(ratings, np.float64), np.asarray(clusters).astype(str)
    if ratings.ndim != 2 or len(clusters) != len(ratings):
        raise InputError(f"ratings of shape {ratings.shape} and {len(clusters)} clusters",
                         allowed="one cluster per unit")
    known = np.isfinite(ratings).sum(axis=1) >= 2
    if not known.any():
        return Reliability(np.nan, np.nan, np.nan, 0, "no window has two scores")
    each, levels = _coincidences(ratings)
    value = float(_alpha(each.sum(axis=0), levels, distance))
    if np.isnan(value):
        return Reliability(np.nan, np.nan, np.nan, int(known.sum()),
                           f"every score is {levels[0]:g}: nothing to agree on")
    names, place = np.unique(clusters[known], return_inverse=True)
    if len(names) < 2:
        return Reliability(value, np.nan, np.nan, int(known.sum()), "one feature: no interval")
    sums = np.zeros((len(names), len(levels) ** 2))
    np.add.at(sums, place, each.reshape(len(each), -1))
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    found = _alpha((drawn @ sums).reshape(resamples, len(levels), len(levels)), levels, distance)
    low, high = np.nanquantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Reliability(value, float(low), float(high), int(known.sum()))


def weighted_kappa(first: np.ndarray, second: np.ndarray, *, levels: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights (scikit-learn).

    Parameters
    ----------
    first, second : ndarray (n,)
        Scores of the same items; items with a missing score are left out, scores between levels go to the nearer one.
    levels : ndarray (n_levels,)
        All possible scores in order.

    Returns
    -------
    float
        NaN without pairs or when all scores are the same.
    """
    from sklearn.metrics import cohen_kappa_score

    a, b = _indexed(first, second, levels)
    if not len(a) or len(np.union1d(a, b)) < 2:
        return float("nan")
    return float(cohen_kappa_score(a, b, labels=np.arange(len(levels)), weights="quadratic"))


def confusion(first: np.ndarray, second: np.ndarray, *, levels: np.ndarray) -> pd.DataFrame:
    """Count how often the first has each level (rows) where the second has each level (columns).

    Parameters
    ----------
    first, second : ndarray (n,)
        As in `weighted_kappa`.
    levels : ndarray (n_levels,)
        All possible scores in order.

    Returns
    -------
    DataFrame (n_levels, n_levels) int
    """
    a, b = _indexed(first, second, levels)
    counts = np.zeros((len(levels), len(levels)), np.int64)
    np.add.at(counts, (a, b), 1)
    return pd.DataFrame(counts, index=list(levels), columns=list(levels))


def _indexed(first, second, levels) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    known = np.isfinite(first) & np.isfinite(second)
    levels = np.asarray(levels, np.float64)
    return tuple(np.abs(each[known][:, None] - levels).argmin(axis=1) for each in (first, second))


def auroc_interval(positive: np.ndarray, negative: np.ndarray) -> Reliability:
    """AUROC of two independent sets of scores (ties half) with Newcombe's interval, which stays usable at 1.

    The limits are the areas A at which |A_obs - A| = z sqrt(V(A)), V(A) = A (1 - A) [1 + c (1 - A)/(2 - A) +
    c A/(1 + A)] / (m n), c = (m + n)/2 - 1. Reference: Newcombe 2006, Statistics in Medicine 25, 559-573, method 5.

    Parameters
    ----------
    positive : ndarray (m,)
        Scores of items with the concept, finite.
    negative : ndarray (n,)
        Scores of items without it, finite.

    Returns
    -------
    Reliability
        n = m + n; no value when a side is empty.
    """
    from scipy import optimize, stats
    from sklearn.metrics import roc_auc_score

    m, n = len(positive), len(negative)
    if not m or not n:
        return Reliability(np.nan, np.nan, np.nan, m + n, "one side has no scored item")
    # rounded, because a sum of trapezoids may miss 1 by the last bit
    found = round(float(roc_auc_score(np.r_[np.ones(m), np.zeros(n)], np.r_[positive, negative])), 12)
    z, c = stats.norm.ppf((1 + LEVEL) / 2), (m + n) / 2 - 1

    def beyond(area):
        spread = area * (1 - area) * (1 + c * (1 - area) / (2 - area) + c * area / (1 + area)) / (m * n)
        return (found - area) ** 2 - z * z * spread

    # the observed area itself is a root where it is 0 or 1, so the search stops short of it
    low = optimize.brentq(beyond, 0.0, found - 1e-9) if found > 0 else 0.0
    high = optimize.brentq(beyond, found + 1e-9, 1.0) if found < 1 else 1.0
    return Reliability(found, float(low), float(high), m + n)
