"""Tests over concepts, the real unit of a comparison: sign flips and their interval, t, TOST, Holm, d_z (docs/methods.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from cogneuro_sae.errors import InputError

MIN_CONCEPTS = 6
EXACT_CONCEPTS = 13


class SignFlip(NamedTuple):
    """Sign-flip test of paired differences.

    Parameters
    ----------
    estimate : float
        Mean difference.
    pvalue : float
        Two-sided p.
    ci_low, ci_high : float
        Interval by inverting the test; infinite when n is too small for the level.
    n : int
        Concepts.
    exact : bool
        All 2^n sign patterns were used.
    """

    estimate: float
    pvalue: float
    ci_low: float
    ci_high: float
    n: int
    exact: bool


class Difference(NamedTuple):
    """One-sample t of paired differences.

    Parameters
    ----------
    estimate : float
        Mean difference.
    pvalue : float
        Two-sided p.
    ci_low, ci_high : float
        t interval.
    n : int
        Units.
    """

    estimate: float
    pvalue: float
    ci_low: float
    ci_high: float
    n: int


class Equivalence(NamedTuple):
    """Two one-sided tests against a margin.

    Parameters
    ----------
    equivalent : bool
        The interval of 1 - 2 alpha lies inside the margin.
    pvalue : float
        The larger one-sided p.
    ci_low, ci_high : float
        That interval.
    n_needed : int
        Concepts at which, with this sd and no true difference, the interval would fit the margin; -1 when above 10^6.
    """

    equivalent: bool
    pvalue: float
    ci_low: float
    ci_high: float
    n_needed: int


def sign_flip_test(differences: np.ndarray, *, level: float = 0.95, permutations: int = 10_000,
                   seed: int = 0) -> SignFlip:
    """Sign-flip test of a mean difference: all 2^n patterns for n <= 13, else sampled; interval by inversion.

    A shift theta below the mean is kept unless few sign patterns reach it: pattern s reaches when the mean of the
    flipped or of the unflipped differences is <= theta, so the limits are order statistics of those subset means.

    Parameters
    ----------
    differences : ndarray (n,)
        Paired differences, one per concept.
    level : float
        Coverage of the interval.
    permutations : int
        Sampled patterns when n > 13.
    seed : int
        Seed of the sample.

    Returns
    -------
    SignFlip

    Raises
    ------
    InputError
        Fewer than 2 differences.
    """
    d = _known(differences)
    n, exact = len(d), len(d) <= EXACT_CONCEPTS
    if exact:
        flips = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        flips = np.random.default_rng(seed).integers(0, 2, size=(permutations, n))
    signs = 1 - 2 * flips
    # the observed pattern and its mirror image always reach; a sample holds the observed one besides the drawn
    always, total = (2, len(flips)) if exact else (1, len(flips) + 1)
    if exact:
        signs = signs[1:-1]
    reach = np.abs(signs @ d) >= np.abs(d.sum()) - 1e-9 * max(1.0, abs(d.sum()))
    low, high = _subset_extremes(signs, d)
    rank = int(np.floor((1 - level) * total + 1e-9)) - always
    limits = (-np.inf, np.inf) if rank < 0 or rank >= len(low) else (np.sort(low)[rank], np.sort(high)[-1 - rank])
    p = min(1.0, (always + int(reach.sum())) / total)
    return SignFlip(float(d.mean()), float(p), float(limits[0]), float(limits[1]), n, exact)


def _subset_extremes(signs: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = signs > 0
    n_kept = kept.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([kept @ d / n_kept, (~kept) @ d / (len(d) - n_kept)])
    return np.nanmin(means, axis=0), np.nanmax(means, axis=0)


def t_interval(differences: np.ndarray, *, level: float = 0.95) -> Difference:
    """One-sample t test and interval (scipy).

    Parameters
    ----------
    differences : ndarray (n,)
        Paired differences, one per concept.
    level : float
        Coverage of the interval.

    Returns
    -------
    Difference

    Raises
    ------
    InputError
        Fewer than 2 differences.
    """
    d = _known(differences)
    if np.ptp(d) == 0:
        return Difference(float(d.mean()), np.nan, float(d.mean()), float(d.mean()), len(d))
    found = stats.ttest_1samp(d, 0.0)
    interval = found.confidence_interval(level)
    return Difference(float(d.mean()), float(found.pvalue), float(interval.low), float(interval.high), len(d))


def tost(differences: np.ndarray, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Two one-sided t tests (statsmodels) and the number of concepts that the margin needs.

    Parameters
    ----------
    differences : ndarray (n,)
        Paired differences, one per concept.
    margin : float
        Equivalence margin, in the unit of the differences, above 0.
    alpha : float
        Level of each one-sided test; the interval covers 1 - 2 alpha.

    Returns
    -------
    Equivalence

    Raises
    ------
    InputError
        Fewer than 2 differences or a margin not above 0.
    """
    from statsmodels.stats.weightstats import DescrStatsW

    d = _known(differences)
    if not margin > 0:
        raise InputError(f"margin is {margin}", allowed="above 0")
    sd, interval = d.std(ddof=1), t_interval(d, level=1 - 2 * alpha)
    p = float(DescrStatsW(d).ttost_mean(-margin, margin)[0]) if sd > 0 else float(abs(d.mean()) >= margin)
    return Equivalence(bool(-margin < interval.ci_low and interval.ci_high < margin), p, interval.ci_low,
                       interval.ci_high, concepts_needed(sd, margin=margin, alpha=alpha))


def concepts_needed(sd: float, *, margin: float, alpha: float = 0.05) -> int:
    """Return the smallest n with t_(1-alpha, n-1) sd / sqrt(n) <= margin.

    Parameters
    ----------
    sd : float
        Standard deviation of the paired differences over concepts.
    margin : float
        Equivalence margin, same unit.
    alpha : float
        Level of each one-sided test.

    Returns
    -------
    int
        At least 2; -1 when more than 10^6 would be needed.
    """
    fits = lambda n: stats.t.ppf(1 - alpha, n - 1) * sd / np.sqrt(n) <= margin  # noqa: E731
    if not fits(10**6):
        return -1
    low, high = 1, 10**6
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def holm(pvalues: np.ndarray) -> np.ndarray:
    """Return Holm-adjusted p values (statsmodels); NaN entries stay NaN and do not count.

    Parameters
    ----------
    pvalues : ndarray (n_tests,)
        p values of the planned contrasts.

    Returns
    -------
    ndarray (n_tests,) float64
    """
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(pvalues, np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = multipletests(p[known], method="holm")[1]
    return adjusted


def cohen_dz(differences: np.ndarray) -> float:
    """Return d_z = mean / sd of paired differences.

    Parameters
    ----------
    differences : ndarray (n,)
        Paired differences.

    Returns
    -------
    float
        NaN when the differences do not vary.

    Raises
    ------
    InputError
        Fewer than 2 differences.
    """
    d = _known(differences)
    sd = d.std(ddof=1)
    return float(d.mean() / sd) if sd > 0 else float("nan")


def _known(differences) -> np.ndarray:
    d = np.asarray(differences, np.float64).reshape(-1)
    d = d[~np.isnan(d)]
    if len(d) < 2:
        raise InputError(f"{len(d)} differences", allowed="at least 2", do="compare over more concepts or items")
    return d
