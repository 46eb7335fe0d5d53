"""Per-feature similarities of stimuli: token profiles and quantile functions (docs/methods.md).

A source gives one value per pair of stimuli and feature, `pairs(start, stop, first, second) -> (n_features, n_pairs)`:
a correlation (`correlation` True) or a dissimilarity, NaN where the pair is not valid; and `means(start, stop)` for
directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.inference import group_means

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
        block, offsets = np.asarray(self.features.block(start, stop)), self.features.offsets
        out = np.full((block.shape[1], len(first)), np.nan)
        live = np.flatnonzero((block != 0).any(axis=0))
        step = max(1, int(6e7 // (8 * max(1, 4 * len(first) + 3 * len(self) ** 2))))
        for at in range(0, len(live), step):
            some = live[at:at + step]
            out[some] = profile_correlations(block[:, some], offsets, first, second, anchor=self.anchor,
                                             min_common=self.min_common, min_active=self.min_active)
        return out

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
    block, offsets = np.asarray(features.block(start, stop)), features.offsets
    counts = np.diff(offsets)
    filled = np.flatnonzero(counts)
    out = np.zeros((len(counts), block.shape[1]))
    out[filled] = group_means(block, np.repeat(np.arange(len(filled)), counts[filled]))
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
    dense, active, present = _aligned(np.asarray(block, np.float64), offsets, anchor)
    common = present @ present.T
    n = common[first, second]
    enough = (n >= min_common) & (n > 0)
    raw = dense @ dense.transpose(0, 2, 1) if present.all() else None
    rows, which = np.unique(present, axis=0, return_inverse=True)
    which = which.reshape(-1)
    within = lambda values: values @ rows.T  # noqa: E731 - sums over every distinct token mask, (f, n, n_masks)
    ka, kb = _both(within(active), which, first, second)
    if raw is None:
        raw = dense @ dense.transpose(0, 2, 1)
    (sa, sb), (qa, qb) = _both(within(dense), which, first, second), _both(within(dense**2), which, first, second)
    safe = np.maximum(n, 1)
    va, vb = qa - sa**2 / safe, qb - sb**2 / safe
    scale = (dense**2).sum(axis=2)
    varies = (va > 1e-12 * scale[:, first]) & (vb > 1e-12 * scale[:, second]) & (va > 0) & (vb > 0)
    valid = enough & (ka >= min_active) & (kb >= min_active) & varies
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (raw[:, first, second] - sa * sb / safe) / np.sqrt(va * vb)
    return np.where(valid, np.clip(r, -1, 1), np.nan)


def _both(sums: np.ndarray, which: np.ndarray, first: np.ndarray, second: np.ndarray):
    """Each pair's sums of the one profile over the other's tokens."""
    return sums[:, first, which[second]], sums[:, second, which[first]]


def _aligned(block: np.ndarray, offsets: np.ndarray, anchor: np.ndarray | None):
    """Zero-padded profiles on common positions, less each stimulus's mean; where they are active; where tokens are."""
    counts = np.diff(offsets)
    start = np.zeros(len(counts), np.int64) if anchor is None else -np.asarray(anchor, np.int64)
    start = start - start.min()
    width = int((start + counts).max())
    row = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(block)) - np.repeat(offsets[:-1], counts) + start[row]
    present = np.zeros((len(counts), width))
    present[row, position] = 1.0
    means = np.zeros((len(counts), block.shape[1]))
    filled = np.flatnonzero(counts)
    means[filled] = group_means(block, np.repeat(np.arange(len(filled)), counts[filled]))
    dense, active = (np.zeros((block.shape[1], len(counts), width)) for _ in range(2))
    dense[:, row, position] = (block - means[row]).T
    active[:, row, position] = (block != 0).T
    return dense, active, present
