"""Permutations as one matrix product: scores that are monotone in a weighted sum of the units' values.

Paired t, Hedges g (the pooled t), mean and rate difference and AUROC rank all labellings of a feature as a.x does, x the
units' values (ranks for AUROC) and a the signs or centred labels. p and the standardised maximum are taken on a.x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import Inference, check_tail, family_inference

ROWS, COLUMNS = 512, 512
TIE = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-9}
SKEW_ROWS = 2048


class LinearForm(NamedTuple):
    """One score as a weighted sum.

    Parameters
    ----------
    values : ndarray (n_units, n_features)
        What is summed.
    weights : ndarray (n_labellings, n_units) float64
        Weights under each labelling, row 0 the observed one; rows of one length.
    """

    values: np.ndarray
    weights: np.ndarray


def centred_labels(labels: np.ndarray) -> np.ndarray:
    """Return 0/1 labels minus their share of ones, so that a.x is proportional to the difference of class means.

    Parameters
    ----------
    labels : ndarray (n_labellings, n_units)
        0 and 1, the same number of ones in every row.

    Returns
    -------
    ndarray (n_labellings, n_units) float64

    Raises
    ------
    InputError
        The number of ones differs between labellings: then no single weighted sum ranks them.
    """
    ones = np.asarray(labels).sum(axis=1, dtype=np.int64)
    if (ones != ones[0]).any():
        raise InputError("the class sizes differ between labellings", do="use a scheme that keeps them")
    return np.asarray(labels, np.float64) - ones[0] / labels.shape[1]


def linear_inference(form: LinearForm, *, enumerated: bool, tail: str = "two-sided", alpha: float = 0.05,
                     dtype=np.float32) -> Inference:
    """Test features and family by a.x, one matrix product per chunk of features and labellings.

    x is projected on what the labellings can move and scaled to length 1, so every feature's mean and variance over the
    labellings are quadratic forms of x and the standardised a.x leaves the product ready to compare. For a t, that is
    its correlation form r = t / sqrt(t^2 + df): p is the same, and over a whole group of free or sign exchanges max |r|
    is max |t|. p_fwe, q and counts as in `permutation_inference`.

    Parameters
    ----------
    form : LinearForm
        Values and weights.
    enumerated : bool
        The labellings are the whole group.
    tail : str
        "two-sided" | "positive" | "negative".
    alpha : float
        Level for the BH resolution and the Monte Carlo error printed.
    dtype : dtype
        float32 (ties within 4e-6 standard deviations count as ties) or float64 (1e-9).

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        Unknown tail, another dtype, fewer than two labellings, or shapes that do not fit.
    """
    values, weights = np.asarray(form.values), np.asarray(form.weights, np.float64)
    if np.dtype(dtype) not in TIE:
        raise InputError(f"dtype is {np.dtype(dtype)}", allowed="float32 or float64")
    if check_tail(tail) and len(weights) < 2:
        raise InputError(f"{len(weights)} labelling cannot be tested", allowed="at least two labellings")
    if values.ndim != 2 or weights.shape[1:] != values.shape[:1]:
        raise InputError(f"values {values.shape} and weights {weights.shape} do not fit together")
    run = _Run(-weights if tail == "negative" else weights, tail == "two-sided", np.dtype(dtype))
    columns = {name: np.full(values.shape[1], np.nan) for name in ("p", "z", "skew", "never", "flat")}
    for start in range(0, values.shape[1], COLUMNS):
        for name, part in run.block(values[:, start:start + COLUMNS]).items():
            columns[name][start:start + COLUMNS] = part
    columns |= {name: np.nan_to_num(columns[name]) for name in ("skew", "never", "flat")}
    return family_inference(columns | {"rarely": np.zeros(values.shape[1])}, run.largest, enumerated=enumerated,
                            tail=tail, alpha=alpha, tolerance=TIE[run.dtype])


class _Run:
    """The labellings, what they can move, and the family's maximum so far."""

    def __init__(self, weights: np.ndarray, two_sided: bool, dtype: np.dtype):
        weights = weights / np.linalg.norm(weights, axis=1).max()
        self.two_sided, self.dtype, self.mean = two_sided, dtype, weights.mean(axis=0)
        # without the mean labelling, a.x is what differs between labellings, and its variance is a quadratic form of x
        weights = weights - self.mean
        self.moments = weights.T @ weights / len(weights)
        roots, vectors = np.linalg.eigh(self.moments)
        self.basis = vectors[:, roots > 1e-12 * max(roots.max(), 1e-300)]
        self.weights = weights.astype(dtype)
        self.largest = np.full(len(weights), -np.inf)
        self.buffers = np.empty((2, ROWS * COLUMNS), dtype)
        self.above = np.empty(ROWS * COLUMNS, bool)

    def block(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """p, standardised observed score, skew and membership of some features."""
        X = np.asarray(X, np.float64)
        known = np.isfinite(X).all(axis=0)
        X = np.where(known, X, 0.0)
        moving = self.basis @ (self.basis.T @ X)
        length, scale = np.linalg.norm(moving, axis=0), np.linalg.norm(X, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = moving / length
            sd = np.sqrt(np.sum(unit * (self.moments @ unit), axis=0))
            family = known & (length > 1e-12 * scale) & (sd > 0)
        found = {name: np.full(X.shape[1], np.nan) for name in ("p", "z", "skew")}
        found |= {"never": ~known, "flat": known & ~family}
        if family.any():
            shift = (self.mean @ X[:, family]) / (length * sd)[family]
            for name, part in zip(("p", "z", "skew"), self._compare(unit[:, family] / sd[family], shift)):
                found[name][family] = part
        return found

    def _compare(self, unit: np.ndarray, shift: np.ndarray):
        columns, n = np.ascontiguousarray(unit, self.dtype), unit.shape[1]
        reached, third = np.zeros(n, np.int64), np.zeros(n)
        for row in range(0, len(self.weights), ROWS):
            rows = self.weights[row:row + ROWS]
            T, spare, above = (each[:len(rows) * n].reshape(len(rows), n) for each in (*self.buffers, self.above))
            np.matmul(rows, columns, out=T)
            if row == 0:
                observed = T[0].astype(np.float64)
                bars = self._bars(observed, shift)
            for compare, bar in bars:
                compare(T, bar, out=above)
                reached += _count(above)
            if row < SKEW_ROWS:
                np.multiply(T, T, out=spare)
                np.multiply(spare, T, out=spare)
                third += spare.sum(axis=0)
            size = np.abs(T, out=spare) if self.two_sided else T
            np.maximum(self.largest[row:row + ROWS], size.max(axis=1), out=self.largest[row:row + ROWS])
        return reached / len(self.weights), observed, third / min(len(self.weights), -(-SKEW_ROWS // ROWS) * ROWS)

    def _bars(self, observed: np.ndarray, shift: np.ndarray) -> list[tuple[Callable, np.ndarray]]:
        """Bars of the standardised score at which the score itself is as extreme as the observed one."""
        tie = TIE[self.dtype] * np.maximum(1.0, np.abs(observed))
        if not self.two_sided:
            return [(np.greater_equal, (observed - tie).astype(self.dtype))]
        size = np.abs(observed + shift)
        upper = (size - shift - tie).astype(self.dtype)
        # an observed score of about 0 reaches both bars: the lower one stays below the upper one, so it counts once
        lower = np.minimum((-size - shift + tie).astype(self.dtype), np.nextafter(upper, self.dtype.type(-np.inf)))
        return [(np.greater_equal, upper), (np.less_equal, lower)]


def _count(above: np.ndarray) -> np.ndarray:
    """Column sums of a boolean block; bytes are summed in runs that cannot overflow."""
    parts = [np.add.reduce(above[row:row + 255].view(np.uint8), axis=0, dtype=np.uint8)
             for row in range(0, len(above), 255)]
    return np.sum(parts, axis=0, dtype=np.int64)


def ranked(X: np.ndarray) -> np.ndarray:
    """Return average ranks within each feature: AUROC is a weighted sum of ranks.

    Parameters
    ----------
    X : ndarray (n_units, n_features)
        Values.

    Returns
    -------
    ndarray (n_units, n_features) float64
    """
    return stats.rankdata(X, axis=0)


# scores of CONTRASTS that rank labellings as a weighted sum does -> what is summed; a paired t sums item differences
LINEAR: dict[str, Callable | None] = {"paired_t": None, "hedges_g": np.asarray, "mean_difference": np.asarray,
                                      "rate_difference": np.asarray, "auroc": ranked}
