"""Mean and variance of rows seen in pieces: exact to merge, so shards and passes can be summed in any order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Count, mean and sum of squared deviations of rows; two of them merge exactly (Chan, Golub & LeVeque 1983).

    Parameters
    ----------
    count : int
        Rows seen.
    mean : numpy.ndarray
        (d,) float64.
    squares : numpy.ndarray
        (d,) float64, sum of (x - mean)^2; the variance is squares / count.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """Return the moments of some rows.

        Parameters
        ----------
        values : numpy.ndarray
            (n_rows, d), any float type.

        Returns
        -------
        Moments
        """
        values = np.asarray(values, np.float64)
        mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
        return cls(len(values), mean, ((values - mean) ** 2).sum(axis=0))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of the union of two disjoint sets of rows.

        Parameters
        ----------
        other : Moments
            Of the same width.

        Returns
        -------
        Moments
        """
        count = self.count + other.count
        if count == 0:
            return self
        shift = other.mean - self.mean
        return Moments(count, self.mean + shift * (other.count / count),
                       self.squares + other.squares + shift**2 * (self.count * other.count / count))

    @property
    def variance(self) -> np.ndarray:
        """(d,) float64 population variance, NaN without rows."""
        return self.squares / self.count if self.count else np.full_like(self.squares, np.nan)
