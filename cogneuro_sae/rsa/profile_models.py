"""Correlation of one feature's profile dissimilarities 1 - r with a model RDM, from sums over the matrix of r."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.rsa.kernels import Correlations

CONSTANT = 1e-12   # share of the sum of squares below which values do not vary


class ProfileFits(NamedTuple):
    """Of some features.

    Parameters
    ----------
    value : ndarray (c,) float64
        Pearson correlation over the valid cross-item pairs; NaN where either side does not vary.
    valid : ndarray (c, n_stimuli) bool
        The stimuli with a valid pair.
    """

    value: np.ndarray
    valid: np.ndarray


def profile_fits(part: Correlations, model: np.ndarray, item: np.ndarray) -> ProfileFits:
    """Correlate profile dissimilarities with a model over the pairs of stimuli from different items.

    With c = sum r / n over the valid pairs: -(sum r m - c sum m) / sqrt((sum r^2 - n c^2)(sum m^2 - (sum m)^2 / n)).

    Parameters
    ----------
    part : Correlations
        Of one group of stimuli.
    model : ndarray (n_stimuli, n_stimuli)
        Model dissimilarities.
    item : ndarray (n_stimuli,) int64
        Item of each stimulus.

    Returns
    -------
    ProfileFits
    """
    cross = (item[:, None] != item).astype(np.float64)
    model = np.where(cross > 0, model - model[cross > 0].mean(), 0.0)
    weights, m = np.stack([cross, model, model**2]), part.rows.shape[1]
    value, valid = np.full(len(part.features), np.nan), np.zeros((len(part.features), len(item)), bool)
    for some, r, known in part.block(slice(0, None), slice(0, None)):
        rows = part.rows[some]
        whole = m == len(item) and bool((rows == np.arange(m)).all())
        of_pair = weights if whole else weights[:, rows[:, :, None], rows[:, None, :]]
        if not (cross + np.eye(len(cross))).all():
            r *= of_pair[0]
        total, squares = r.sum(axis=(1, 2)), np.einsum("fij,fij->f", r, r)
        shared = _over_pairs(r, of_pair[1])
        if known is None:
            every = np.zeros((len(rows), len(item)))
            np.put_along_axis(every, rows, part.valid[some], axis=1)
            n, first, second = (((every @ each) * every).sum(axis=1) for each in weights)
            valid[some] = every * (every @ cross) > 0
        else:
            n, first, second = (_over_pairs(known, each) for each in of_pair)
            met = (known * of_pair[0]).sum(axis=2) > 0
            found = np.zeros((len(rows), len(item)), bool)
            np.put_along_axis(found, rows, met, axis=1)
            valid[some] = found
        value[some] = _fit(total, squares, shared, n, first, second)
    return ProfileFits(value, valid)


def _over_pairs(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of products over both axes, for weights of all features or of each."""
    if weights.ndim == 2:
        return values.reshape(len(values), -1) @ weights.ravel()
    return np.einsum("fij,fij->f", values, weights)


def _fit(total, squares, shared, n, first, second) -> np.ndarray:
    """Minus the correlation of r with m, from their sums over pairs."""
    with np.errstate(invalid="ignore", divide="ignore"):
        center = total / n
        spread, varies = squares - n * center**2, second - first**2 / n
        fine = (varies > CONSTANT * np.maximum(second, 1e-300)) & (spread > CONSTANT * np.maximum(squares, n))
        return np.where(fine, -(shared - center * first) / np.sqrt(spread * varies), np.nan)
