"""The categorical score of pooled values under many labellings from class sums: no pair is formed.

With S and Q the sum and the sum of squares of A over its n_A cells, values centred over all n cells, q = sum of all
squares: sum over A-A of (x_i - x_j)^2 = n_A Q - S^2, over B-B n_B (q - Q) - S^2, over A-B n_B Q + n_A (q - Q) + 2 S^2;
pairs within an item are taken off. One product labellings x cells x features, and a second one for Q where the two
classes differ in size.
"""

from __future__ import annotations

import numpy as np

FLAT = 1e-24   # variance over squared mean below which a feature is constant


class PooledClasses:
    """Two classes of cells under many labellings, all with as many cells in A.

    Parameters
    ----------
    labels : ndarray (n_labellings, n_cells) of 0 and 1
        1 for A.
    item : ndarray (n_cells,) int64
        Item of each cell; pairs within an item are left out.
    """

    def __init__(self, labels: np.ndarray, item: np.ndarray):
        self.Y = labels.astype(np.float64)
        first, second = np.triu_indices(len(item), 1)
        within = item[first] == item[second]
        self.first, self.second = first[within], second[within]
        a, b = self.Y[:, self.first], self.Y[:, self.second]
        inside = a * b, (1 - a) * (1 - b), a + b - 2 * a * b
        n = labels.shape[1]
        n_a = float(self.Y[0].sum())
        n_b = n - n_a
        every = n_a * (n_a - 1) / 2, n_b * (n_b - 1) / 2, n_a * n_b
        with np.errstate(divide="ignore"):
            aa, bb, ab = (1 / (whole - pairs.sum(axis=1))[:, None] for whole, pairs in zip(every, inside))
        aa, bb = aa / 2, bb / 2
        self.of_class = aa * n_a - bb * n_b + ab * (n_a - n_b)              # of Q
        self.of_square, self.of_all = -(aa + bb + 2 * ab), bb * n_b - ab * n_a
        self.of_within = ab * inside[2] - aa * inside[0] - bb * inside[1]
        self.n_cells, self.n_pairs = n, sum(every) - len(self.first)

    def categorical(self, x: np.ndarray) -> np.ndarray:
        """Return (mean_AA + mean_BB) / 2 - mean_AB of minus the squared differences over their mean.

        Parameters
        ----------
        x : ndarray (n_cells, n_features)
            Cell means.

        Returns
        -------
        ndarray (n_labellings, n_features) float64
            NaN where a class of pairs is empty or the feature is constant.
        """
        x = np.asarray(x, np.float64)
        center = x.mean(axis=0)
        x = x - center
        square = x * x
        squares = square.sum(axis=0)
        within = (x[self.first] - x[self.second]) ** 2
        found = self.Y @ x
        found *= found
        found *= self.of_square
        if self.of_class.any():
            found += self.of_class * (self.Y @ square)
        found += self.of_all * squares
        if len(within):
            found += self.of_within @ within if np.ptp(self.of_within, axis=0).any() else self.of_within[:1] @ within
        scale = (self.n_cells * squares - within.sum(axis=0)) / self.n_pairs
        usable = (squares > FLAT * self.n_cells * center**2) & (scale > 0)
        found /= np.where(usable, -scale, np.nan)
        found[~np.isfinite(found)] = np.nan
        return found
