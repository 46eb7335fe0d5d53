"""Patterns over the features of a set or region of interest (docs/methods.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError


@dataclass(frozen=True, eq=False)
class PatternSource:
    """Correlations of stimuli over the features of a set (an ROI), one "feature" per set.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values.
    sets : tuple of ndarray of int
        Feature indices of each set, at least 3 each.
    """

    X: np.ndarray
    sets: tuple[np.ndarray, ...]
    correlation = True

    def __post_init__(self):
        short = [len(each) for each in self.sets if len(each) < 3]
        if short:
            raise InputError(f"a feature set has {short[0]} features", allowed="at least 3, so that patterns correlate",
                             do="use variant='pooled' for single features")

    @property
    def n_features(self) -> int:
        """Number of sets."""
        return len(self.sets)

    def __len__(self) -> int:
        return len(self.X)

    def pairs(self, start: int, stop: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Pattern correlations of some sets for some pairs of stimuli.

        Parameters
        ----------
        start, stop : int
            Sets.
        first, second : ndarray (n_pairs,) int64
            Stimuli of each pair.

        Returns
        -------
        ndarray (stop - start, n_pairs) float64
            r, NaN where a pattern is constant.
        """
        out = []
        for each in self.sets[start:stop]:
            Z = np.asarray(self.X[:, each], np.float64)
            raw = np.linalg.norm(Z, axis=1)
            Z = Z - Z.mean(axis=1, keepdims=True)
            norm = np.linalg.norm(Z, axis=1)
            Z = Z / np.where(norm > 1e-9 * raw, norm, np.nan)[:, None]
            out.append((Z @ Z.T)[first, second])
        return np.array(out)

    def means(self, start: int, stop: int) -> np.ndarray:
        """Mean over the features of each set.

        Parameters
        ----------
        start, stop : int
            Sets.

        Returns
        -------
        ndarray (n_stimuli, stop - start) float64
            Unit of X.
        """
        return np.stack([np.asarray(self.X[:, each], np.float64).mean(axis=1) for each in self.sets[start:stop]],
                        axis=1)
