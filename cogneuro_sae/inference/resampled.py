"""Intervals over folds and resamples: the corrected resampled t and the BCa bootstrap (docs/methods.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from cogneuro_sae.errors import InputError


class ResampledT(NamedTuple):
    """Corrected resampled t over fold differences (descriptive within one concept).

    Parameters
    ----------
    mean : float
        Mean difference.
    t : float
        Nadeau-Bengio t; NaN when the differences do not vary.
    df : int
        splits - 1.
    pvalue : float
        Two-sided p.
    ci_low, ci_high : float
        Interval of the mean difference.
    """

    mean: float
    t: float
    df: int
    pvalue: float
    ci_low: float
    ci_high: float


def corrected_resampled_t(differences: np.ndarray, *, splits: int, test_train: float | None = None,
                          level: float = 0.95) -> ResampledT:
    """t = dbar / sqrt((1/J + n_test/n_train) s^2) with df = splits - 1.

    Reference: Nadeau & Bengio 2003, Machine Learning 52, 239-281. df is splits - 1, not J - 1: repeats of the same
    items add no freedom (df = J - 1 rejects .11-.16 under the null with 6-10 items).

    Parameters
    ----------
    differences : ndarray (J,)
        J = splits x repeats held-out differences (or scores); NaN folds are left out.
    splits : int
        Folds per repeat, at least 2.
    test_train : float, optional
        n_test / n_train in items; default 1 / (splits - 1).
    level : float
        Coverage of the interval.

    Returns
    -------
    ResampledT

    Raises
    ------
    InputError
        Fewer than 2 differences or splits.
    """
    d = np.asarray(differences, np.float64)
    d = d[~np.isnan(d)]
    if len(d) < 2 or splits < 2:
        raise InputError(f"{len(d)} differences of {splits} splits", allowed="at least 2 of each")
    ratio = 1 / (splits - 1) if test_train is None else float(test_train)
    mean, error = d.mean(), float(np.sqrt((1 / len(d) + ratio) * d.var(ddof=1)))
    half = stats.t.ppf((1 + level) / 2, splits - 1) * error
    t = mean / error if error > 0 else np.nan
    p = float(2 * stats.t.sf(abs(t), splits - 1))
    return ResampledT(float(mean), float(t), splits - 1, p, float(mean - half), float(mean + half))


def bootstrap_ci(values: np.ndarray, *, statistic: Callable = np.mean, level: float = 0.95, resamples: int = 9999,
                 seed: int = 0) -> tuple[float, float]:
    """BCa bootstrap interval over independent units (scipy.stats.bootstrap).

    Parameters
    ----------
    values : ndarray (n_units,)
        One value per independent unit: item or concept, never fold or paraphrase.
    statistic : callable
        Takes (values, axis=...).
    level : float
        Coverage.
    resamples : int
        Bootstrap resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    tuple of float
        (low, high); (NaN, NaN) for values that do not vary.

    Raises
    ------
    InputError
        Fewer than 2 units.
    """
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        raise InputError(f"{len(values)} units cannot be resampled", allowed="at least 2")
    if np.ptp(values) == 0:
        return np.nan, np.nan
    found = stats.bootstrap((values,), statistic, confidence_level=level, n_resamples=resamples, method="BCa",
                            rng=np.random.default_rng(seed), vectorized=True, batch=1000)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
