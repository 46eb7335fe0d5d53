"""Pooled features against one model RDM by the Laplacian form, for many blocks of features."""

from __future__ import annotations

import numpy as np


class PooledFit:
    """The Laplacian form of one model RDM, for many blocks of features.

    Parameters
    ----------
    M : ndarray (n_stimuli, n_stimuli)
        Model RDM.
    mask : ndarray (n_stimuli, n_stimuli) bool, optional
        True for the pairs to keep; default all.
    """

    def __init__(self, M: np.ndarray, mask: np.ndarray | None = None):
        self.n = len(M)
        keep = ~np.eye(self.n, dtype=bool) if mask is None else np.asarray(mask, bool) & ~np.eye(self.n, dtype=bool)
        self.pairs = keep.sum() / 2
        centred = np.where(keep, M - np.sum(np.where(keep, M, 0)) / (2 * self.pairs), 0.0)
        self.laplacian, self.norm = np.diag(centred.sum(axis=1)) - centred, np.sqrt((centred**2).sum() / 2)
        self.first, self.second = np.nonzero(np.triu(~keep, 1))

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the fit of each feature.

        Parameters
        ----------
        X : ndarray (n_stimuli, n_features)
            Pooled values.

        Returns
        -------
        ndarray (n_features,) float64
            NaN where d or M does not vary over the kept pairs.
        """
        center = X.mean(axis=0, dtype=np.float64)
        x = X - center
        product = self.laplacian @ x
        fit = np.einsum("if,if->f", x, product)
        squares = np.multiply(x, x, out=product)
        S2, S4 = squares.sum(axis=0), np.einsum("if,if->f", squares, squares)
        sum_d, sum_dd = self.n * S2, self.n * S4 + 3 * S2**2
        if len(self.first):
            dropped = (x[self.first] - x[self.second]) ** 2
            sum_d, sum_dd = sum_d - dropped.sum(axis=0), sum_dd - (dropped**2).sum(axis=0)
        spread = sum_dd - sum_d**2 / self.pairs
        with np.errstate(invalid="ignore", divide="ignore"):
            r = fit / (self.norm * np.sqrt(spread))
        varies = (spread > 1e-12 * sum_dd) & (S2 > 1e-24 * self.n * center**2) & (self.norm > 0)
        return np.where(varies, r, np.nan)
