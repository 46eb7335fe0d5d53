"""Per-feature similarities of stimuli: token profiles and quantile functions (docs/methods.md).

A source gives one value per pair of stimuli and feature, `pairs(start, stop, first, second) -> (n_features, n_pairs)`:
a correlation (`correlation` True) or a dissimilarity, NaN where the pair is not valid; and `means(start, stop)` for
directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cogneuro_sae.rsa.kernels import correlation_matrices
from cogneuro_sae.rsa.profile_layout import ProfileLayout

QUANTILES = 8


@dataclass(frozen=True, eq=False)
class ProfileSource:
    """Correlations of one feature's token profiles over the tokens both stimuli have.

    Profiles are compared token by token from the first token of the window (or from the span's first token), so word
    slots are compared with word slots.

    Parameters
    ----------
    features : TokenFeatures
        Token-level features of the design's stimuli.
    anchor : ndarray (n_stimuli,) int64, optional
        Token of each stimulus that stands at position 0; default its first.
    min_common : int
        Fewest common tokens of a valid pair.
    min_active : int
        Fewest common tokens at which each profile is not 0.
    """

    features: object
    anchor: np.ndarray | None = None
    min_common: int = 8
    min_active: int = 2
    correlation = True

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.features.n_features

    def __len__(self) -> int:
        return len(self.features.offsets) - 1

    def pairs(self, start: int, stop: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Correlations of some features for some pairs of stimuli.

        Parameters
        ----------
        start, stop : int
            Features.
        first, second : ndarray (n_pairs,) int64
            Stimuli of each pair.

        Returns
        -------
        ndarray (stop - start, n_pairs) float64
            r, NaN where a pair is not valid.
        """
        return _pair_values(np.asarray(self.features.block(start, stop)), self.layout, first, second)

    @cached_property
    def layout(self) -> ProfileLayout:
        """Where the tokens of the stimuli stand."""
        return ProfileLayout(self.features.offsets, anchor=self.anchor, min_common=self.min_common,
                             min_active=self.min_active)

    def means(self, start: int, stop: int) -> np.ndarray:
        """Mean over each stimulus's tokens.

        Parameters
        ----------
        start, stop : int
            Features.

        Returns
        -------
        ndarray (n_stimuli, stop - start) float64
            Raw units; 0 for a stimulus without tokens.
        """
        return token_means(self.features, start, stop)


@dataclass(frozen=True, eq=False)
class DistributionSource:
    """Squared 2-Wasserstein distances of one feature's token distributions, from 8 quantiles; needs no alignment.

    Parameters
    ----------
    features : TokenFeatures
        Token-level features of the design's stimuli.
    n_quantiles : int
        Quantiles at (k + 1/2) / n_quantiles, linear between tokens.
    """

    features: object
    n_quantiles: int = QUANTILES
    correlation = False

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.features.n_features

    def __len__(self) -> int:
        return len(self.features.offsets) - 1

    def pairs(self, start: int, stop: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Mean squared quantile differences of some features for some pairs of stimuli.

        Parameters
        ----------
        start, stop : int
            Features.
        first, second : ndarray (n_pairs,) int64
            Stimuli of each pair.

        Returns
        -------
        ndarray (stop - start, n_pairs) float64
            Squared raw units; NaN where a stimulus has no token.
        """
        block, offsets = np.asarray(self.features.block(start, stop), np.float64), self.features.offsets
        grid = (np.arange(self.n_quantiles) + 0.5) / self.n_quantiles
        q = np.full((len(offsets) - 1, self.n_quantiles, block.shape[1]), np.nan)
        for row, (low, high) in enumerate(zip(offsets[:-1], offsets[1:])):
            if high > low:
                q[row] = np.quantile(block[low:high], grid, axis=0)
        out = np.zeros((block.shape[1], len(first)))
        for k in range(self.n_quantiles):
            out += ((q[first, k] - q[second, k]) ** 2).T
        return out / self.n_quantiles

    def means(self, start: int, stop: int) -> np.ndarray:
        """Mean over each stimulus's tokens.

        Parameters
        ----------
        start, stop : int
            Features.

        Returns
        -------
        ndarray (n_stimuli, stop - start) float64
            Raw units; 0 for a stimulus without tokens.
        """
        return token_means(self.features, start, stop)


def token_means(features, start: int, stop: int) -> np.ndarray:
    """Mean of token-level features over each stimulus.

    Parameters
    ----------
    features : TokenFeatures
        Has `block` and `offsets`.
    start, stop : int
        Features.

    Returns
    -------
    ndarray (n_stimuli, stop - start) float64
        Raw units; 0 for a stimulus without tokens.
    """
    return mean_tokens(np.asarray(features.block(start, stop)), features.offsets)


def mean_tokens(block: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean of each stimulus's tokens.

    Parameters
    ----------
    block : ndarray (n_tokens, n_features)
        Token-level features, stimuli end to end.
    offsets : ndarray (n_stimuli + 1,) int64
        Where each stimulus starts.

    Returns
    -------
    ndarray (n_stimuli, n_features) float64
        Raw units; 0 for a stimulus without tokens.
    """
    out = np.zeros((len(offsets) - 1, block.shape[1]))
    for row, (low, high) in enumerate(zip(offsets[:-1], offsets[1:])):
        if high > low:
            out[row] = block[low:high].astype(np.float64).sum(axis=0) / (high - low)
    return out


def profile_correlations(block: np.ndarray, offsets: np.ndarray, first: np.ndarray, second: np.ndarray, *,
                         anchor: np.ndarray | None = None, min_common: int = 8, min_active: int = 2) -> np.ndarray:
    """Pearson correlation of token profiles over common positions, for many features and pairs by matrix products.

    Parameters
    ----------
    block : ndarray (n_tokens, n_features)
        Token-level features, stimuli end to end.
    offsets : ndarray (n_stimuli + 1,) int64
        Where each stimulus starts.
    first, second : ndarray (n_pairs,) int64
        Stimuli of each pair.
    anchor : ndarray (n_stimuli,) int64, optional
        Token of each stimulus at position 0; default its first.
    min_common, min_active : int
        Validity of a pair: common tokens, and common tokens at which each profile is not 0.

    Returns
    -------
    ndarray (n_features, n_pairs) float64
        r; NaN where too few tokens are common or active, or a profile is constant within the common tokens.
    """
    layout = ProfileLayout(np.asarray(offsets), anchor=anchor, min_common=min_common, min_active=min_active)
    return _pair_values(np.asarray(block), layout, np.asarray(first), np.asarray(second))


def _pair_values(block: np.ndarray, layout: ProfileLayout, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    out, pair = np.full((block.shape[1], len(first)), np.nan), first * layout.n + second
    for part in correlation_matrices(block, layout, [np.arange(layout.n)], every=True):
        for some, r, valid in part.matrices():
            r = np.clip(np.take(r.reshape(len(r), -1), pair, axis=1), -1, 1)
            if valid is not None:
                known = np.take(valid.reshape(len(valid), -1), pair, axis=1) > 0
            else:
                ok = part.valid[some]
                known = ok[:, first] * ok[:, second] > 0
            out[part.features[some]] = np.where(known, r, np.nan)
    return out
