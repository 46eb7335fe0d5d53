"""Pooled features against one model RDM by the Laplacian form, for many blocks of features."""

from __future__ import annotations

import numpy as np

ROWS = 16  # of the Laplacian at a time


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
        # x'Lx from the blocks on and above the diagonal: little more than half of the products
        self.rows = [slice(start, start + ROWS) for start in range(0, self.n, ROWS)]
        self.upper = [np.concatenate([self.laplacian[rows, rows], 2 * self.laplacian[rows, rows.stop:]], axis=1)
                      for rows in self.rows]

    def __call__(self, X: np.ndarray, center: np.ndarray | None = None) -> np.ndarray:
        """Return the fit of each feature.

        Parameters
        ----------
        X : ndarray (n_stimuli, n_features)
            Pooled values.
        center : ndarray (n_features,) float64, optional
            Their means over stimuli, when known; then X is float64 and overwritten.

        Returns
        -------
        ndarray (n_features,) float64
            NaN where d or M does not vary over the kept pairs.
        """
        every, x = np.ones(self.n), X
        if center is None:
            x = np.array(X, np.float64)
            center = every @ x / self.n
        x -= center
        product = np.empty_like(x)
        for rows, upper in zip(self.rows, self.upper):
            np.matmul(upper, x[rows.start:], out=product[rows])
        fit = np.einsum("if,if->f", x, product)
        squares = np.multiply(x, x, out=product)
        S2, S4 = every @ squares, np.einsum("if,if->f", squares, squares)
        sum_d, sum_dd = self.n * S2, self.n * S4 + 3 * S2**2
        if len(self.first):
            dropped = (x[self.first] - x[self.second]) ** 2
            sum_d, sum_dd = sum_d - dropped.sum(axis=0), sum_dd - (dropped**2).sum(axis=0)
        spread = sum_dd - sum_d**2 / self.pairs
        with np.errstate(invalid="ignore", divide="ignore"):
            r = fit / (self.norm * np.sqrt(spread))
        varies = (spread > 1e-12 * sum_dd) & (S2 > 1e-24 * self.n * center**2) & (self.norm > 0)
        return np.where(varies, r, np.nan)
