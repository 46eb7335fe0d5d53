"""Correlation of one feature's profile dissimilarities 1 - r with a model RDM, from sums over the matrix of r."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.rsa.kernels import Correlations

CONSTANT = 1e-12   # share of the sum of squares below which values do not vary


class ModelFits:
    """Gathers the fits of some features as their matrices come.

    With c = sum r / n over the valid cross-item pairs:
    -(sum r m - c sum m) / sqrt((sum r^2 - n c^2)(sum m^2 - (sum m)^2 / n)).

    Parameters
    ----------
    part : Correlations
        Of one group of stimuli.
    model : ndarray (n_stimuli, n_stimuli)
        Model dissimilarities.
    item : ndarray (n_stimuli,) int64
        Item of each stimulus.
    """

    def __init__(self, part: Correlations, model: np.ndarray, item: np.ndarray):
        self.part, self.cross = part, (item[:, None] != item).astype(np.float64)
        self.model = np.where(self.cross > 0, model - model[self.cross > 0].mean(), 0.0)
        self.sums = np.stack([self.cross.ravel(), self.model.ravel()], axis=1)
        self.value = np.full(len(part.features), np.nan)
        self.valid = np.zeros((len(part.features), len(item)), bool)

    def add(self, some: slice, r: np.ndarray, known: np.ndarray | None) -> None:
        """Take what `part.matrices(item)` yielded.

        Parameters
        ----------
        some : slice
            Features among those of the part.
        r, known : ndarray (f, m, m) float64
            Correlations and valid pairs.
        """
        rows, flat, every = self.part.rows[some], r.reshape(len(r), -1), np.zeros((len(r), len(self.cross)))
        cross, model, square = self.cross, self.model, self.model**2
        place = None                            # of the pairs in the model
        if rows.shape[1] < len(cross) or (rows != np.arange(len(cross))).any():
            place = (rows * len(cross))[:, :, None] + rows[:, None, :]
        squares = np.einsum("fp,fp->f", flat, flat)
        if place is None:
            total, shared = (flat @ self.sums).T
        else:
            total, shared = flat.sum(axis=1), _over_pairs(r, model, place)
        if known is None:
            np.put_along_axis(every, rows, self.part.valid[some], axis=1)
            n, first, second = (((every @ each) * every).sum(axis=1) for each in (cross, model, square))
            self.valid[some] = every * (every @ cross) > 0
        else:
            n, first, second = (_over_pairs(known, each, place) for each in (cross, model, square))
            np.put_along_axis(every, rows, known.any(axis=2), axis=1)
            self.valid[some] = every > 0
        self.value[some] = _fit(total, squares, shared, n, first, second)


def profile_fits(part: Correlations, model: np.ndarray, item: np.ndarray) -> ModelFits:
    """Correlate profile dissimilarities with a model over the pairs of stimuli from different items.

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
    ModelFits
        `value` (c,) Pearson correlations, NaN where either side does not vary; `valid` (c, n_stimuli) bool, the stimuli
        with a valid pair.
    """
    fits = ModelFits(part, model, item)
    for each in part.matrices(item):
        fits.add(*each)
    return fits


def _over_pairs(values: np.ndarray, weights: np.ndarray, place: np.ndarray | None) -> np.ndarray:
    """Sum of products over both axes, with weights in their order or where each feature finds its own."""
    if place is None:
        return values.reshape(len(values), -1) @ weights.ravel()
    return np.einsum("fij,fij->f", values, np.take(weights, place, mode="clip"))


def _fit(total, squares, shared, n, first, second) -> np.ndarray:
    """Minus the correlation of r with m, from their sums over pairs."""
    with np.errstate(invalid="ignore", divide="ignore"):
        center = total / n
        spread, varies = squares - n * center**2, second - first**2 / n
        fine = (varies > CONSTANT * np.maximum(second, 1e-300)) & (spread > CONSTANT * np.maximum(squares, n))
        return np.where(fine, -(shared - center * first) / np.sqrt(spread * varies), np.nan)
