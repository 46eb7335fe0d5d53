"""Profile correlations of many features and pairs by batched matrix products, in chunks that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CACHE = 3e6   # bytes that the arrays of one chunk may take; larger ones fall out of the processor's cache and are slower
ROUNDING = 1e-28  # share of a profile's sum of squares that rounding leaves of a constant one
FLAT = 1e-12  # share of a profile's variance below which it counts as constant within the common tokens


class ProfileLayout:
    """Where the tokens of stimuli stand, and which sums a list of pairs needs; made once for all features.

    Parameters
    ----------
    offsets : ndarray (n_stimuli + 1,) int64
        Where each stimulus starts among the packed tokens.
    first, second : ndarray (n_pairs,) int64
        Stimuli of each pair.
    anchor : ndarray (n_stimuli,) int64, optional
        Token of each stimulus that stands at position 0; default its first.
    """

    def __init__(self, offsets: np.ndarray, first: np.ndarray, second: np.ndarray, *, anchor: np.ndarray | None = None):
        import torch

        counts = np.diff(offsets)
        start = np.zeros(len(counts), np.int64) if anchor is None else -np.asarray(anchor, np.int64)
        start = start - start.min()
        self.n, self.width = len(counts), int((start + counts).max())
        row = np.repeat(np.arange(self.n), counts)
        position = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], counts) + start[row]
        present = np.zeros((self.n, self.width))
        present[row, position] = 1.0
        self.full = bool(present.all())
        common = (present @ present.T)[first, second]
        masks, which = np.unique(present, axis=0, return_inverse=True)
        which = which.reshape(-1)
        self.place, self.present, self.masks = (torch.from_numpy(np.ascontiguousarray(each)) for each in
                                                (row * self.width + position, present, masks.T))
        # each profile's sums over the tokens that the other one of the pair has
        self.over_second = torch.from_numpy(first * len(masks) + which[second])
        self.over_first = torch.from_numpy(second * len(masks) + which[first])
        self.first, self.second, self.pair = (torch.from_numpy(np.ascontiguousarray(each, np.int64)) for each in
                                              (first, second, first * self.n + second))
        self.n_common, self.n_tokens = torch.from_numpy(common), torch.from_numpy(np.maximum(counts, 1).astype(float))

    @property
    def step(self) -> int:
        """How many features make a chunk."""
        values = 3 * self.n * self.width + self.n**2 + (3 if self.full else 10) * len(self.pair)
        return max(1, int(CACHE // (8 * values)))


class PairCorrelations(NamedTuple):
    """Correlations of features start to stop: `r` (n, n_pairs), 0 where `valid` (n, n_pairs, 0 or 1) is 0."""

    start: int
    stop: int
    r: np.ndarray
    valid: np.ndarray


def correlate(block: np.ndarray, layout: ProfileLayout, *, min_common: int, min_active: int) -> Iterator[PairCorrelations]:
    """Yield the Pearson correlations of token profiles over common tokens, some features at a time, in double precision.

    With x less its stimulus's mean, and sums over the common tokens of the pair:
    r = (sum xy - sum x sum y / n) / sqrt((sum x^2 - (sum x)^2 / n)(sum y^2 - (sum y)^2 / n)).

    Parameters
    ----------
    block : ndarray (n_tokens, n_features)
        Token-level features, stimuli end to end, any unit.
    layout : ProfileLayout
        Of the same stimuli.
    min_common, min_active : int
        Validity of a pair: common tokens, and common tokens at which each profile is not 0.

    Yields
    ------
    PairCorrelations
    """
    import torch

    enough = ((layout.n_common >= min_common) & (layout.n_common > 0)).double()
    make = _over_all_tokens if layout.full else _over_common_tokens
    for start in range(0, block.shape[1], layout.step):
        stop = min(start + layout.step, block.shape[1])
        packed = torch.from_numpy(np.ascontiguousarray(np.asarray(block[:, start:stop]).T, np.float64))
        r, valid = make(packed, layout, min_active)
        valid *= enough
        yield PairCorrelations(start, stop, r.clamp_(-1, 1).mul_(valid).numpy(), valid.numpy())


def _over_all_tokens(packed, layout: ProfileLayout, min_active: int):
    """All stimuli have the same tokens: rows of norm 1, whose products are the correlations."""
    import torch

    x = packed.view(len(packed), layout.n, layout.width)
    active, floor = (x != 0).sum(2), ROUNDING * (x * x).sum(2)
    x = x - x.mean(2, keepdim=True)
    size = (x * x).sum(2)
    ok = ((active >= min_active) & (size > floor)).double()
    x *= (ok / torch.where(size > 0, size, 1.0).sqrt())[:, :, None]
    r = torch.bmm(x, x.transpose(1, 2)).view(len(x), -1).index_select(1, layout.pair)
    return r, ok.index_select(1, layout.first) * ok.index_select(1, layout.second)


def _over_common_tokens(packed, layout: ProfileLayout, min_active: int):
    """Stimuli of unequal length: products of zero-padded rows, less what the pair's own means take away."""
    import torch

    shape = (len(packed), layout.n, layout.width)
    x = torch.zeros(shape[0], layout.n * layout.width, dtype=torch.float64).index_copy_(1, layout.place, packed).view(shape)
    active = ((x != 0).double() @ layout.masks).view(len(x), -1)
    x = (x - (x.sum(2) / layout.n_tokens)[:, :, None]) * layout.present
    squares = x * x
    sums, squares, floor = (x @ layout.masks).view(len(x), -1), (squares @ layout.masks).view(len(x), -1), \
        FLAT * squares.sum(2)
    r = torch.bmm(x, x.transpose(1, 2)).view(len(x), -1).index_select(1, layout.pair)
    valid, spread, means = True, 1.0, None
    for over, rows in ((layout.over_second, layout.first), (layout.over_first, layout.second)):
        total = sums.index_select(1, over)
        variance = squares.index_select(1, over).addcdiv_(total * total, layout.n_common.clamp(min=1), value=-1)
        valid = (variance > floor.index_select(1, rows)) & (variance > 0) & valid
        valid &= active.index_select(1, over) >= min_active
        spread, means = variance * spread, total if means is None else means * total
    r = r.addcdiv_(means, layout.n_common.clamp(min=1), value=-1)
    valid = valid.double()
    return r / torch.where(valid > 0, spread, 1.0).sqrt_(), valid
