"""Profile correlations of many features by batched matrix products, in chunks that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cogneuro_sae.rsa.profile_layout import ProfileLayout

CACHE = 6e6   # bytes worked on at a time; larger arrays fall out of the processor's cache and are slower
TILE = 500, 128     # tokens and features moved at a time: larger pieces do not stay in the cache
TOGETHER, PADDED = 256, 1.2    # features that come together, and how many more stimuli the last may have than the first
ROUNDING = 1e-28  # share of a profile's sum of squares that rounding leaves of a constant one
FLAT = 1e-12  # share of a profile's variance below which it counts as constant within the common tokens


class Correlations(NamedTuple):
    """Correlations among some stimuli of some features; a few features' are computed when they are asked for.

    Parameters
    ----------
    features : ndarray (c,) int64
        Columns of the block of features.
    rows : ndarray (c, m) int64
        The stimuli, group after group; a feature with fewer active ones is filled up with inactive ones.
    sizes : tuple of int
        How many of the m belong to each group.
    enough : ndarray (c, m) bool
        The stimulus has enough active tokens.
    valid : ndarray (c, m) float64
        1 for the stimuli that may have a valid pair, as far as `matrices` has come.
    packed : ndarray (n_columns, n_tokens)
        Values, one feature after another.
    place : ndarray (c,) int64
        Where each feature stands among them.
    layout : ProfileLayout
        In whose memory matrices stand until the next ones are asked for.
    """

    features: np.ndarray
    rows: np.ndarray
    sizes: tuple[int, ...]
    enough: np.ndarray
    valid: np.ndarray
    packed: np.ndarray
    place: np.ndarray
    layout: ProfileLayout

    def matrices(self, item: np.ndarray | None = None) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Yield correlations, a few features at a time; a stimulus with itself is 0.

        Parameters
        ----------
        item : ndarray (n_stimuli,) int64, optional
            Item of each stimulus: pairs within an item are 0 too.

        Yields
        ------
        slice, ndarray (f, m, m) float64, ndarray (f, m, m) float64 or None
            Features among the c; `r`, 0 where a pair is not valid; and `valid`, None when a pair is valid as soon as both
            stimuli are.
        """
        m, layout = self.rows.shape[1], self.layout
        whole, alone = m == layout.n, item is None or len(np.unique(item)) == len(item)
        outside = np.arange(m) * (m + 1)
        if whole and not alone:                 # all features have the same rows
            of_row = item[self.rows[0]]
            outside = np.flatnonzero(of_row[:, None] == of_row)
        numbers = 2 * m + 2 * layout.width if layout.full else 4 * m + 4 * len(layout.common) + 2 * layout.width
        step = max(1, int(CACHE // (8 * m * numbers)))
        for start in range(0, len(self.features), step):
            some, within = slice(start, min(start + step, len(self.features))), None
            if not (whole or alone):
                of_row = item[self.rows[some]]
                within = of_row[:, :, None] == of_row[:, None, :]
            r, valid = (_equal_lengths if layout.full else _unequal_lengths)(self, some)
            for each in (r,) if valid is None else (r, valid):
                each.reshape(len(each), -1)[:, outside] = 0.0
                if within is not None:
                    np.putmask(each, within, 0.0)
            yield some, r, valid


def correlation_matrices(block: np.ndarray, layout: ProfileLayout, groups: Sequence[np.ndarray], *,
                         active: np.ndarray | None = None, features: np.ndarray | None = None,
                         every: bool = False) -> Iterator[Correlations]:
    """Yield the Pearson correlations of token profiles over common tokens, some features at a time, in double.

    With x less its stimulus's mean, and sums over the common tokens of the pair:
    r = (sum xy - sum x sum y / n) / sqrt((sum x^2 - (sum x)^2 / n)(sum y^2 - (sum y)^2 / n)).
    Stimuli with too few active tokens have no valid pair; features with as many others come together.

    Parameters
    ----------
    block : ndarray (n_tokens, n_features)
        Token-level features, stimuli end to end, any unit.
    layout : ProfileLayout
        Of the same stimuli.
    groups : sequence of ndarray of int
        Stimuli in the order wanted, such as the two classes.
    active : ndarray (n_stimuli, n_features) int64, optional
        From `layout.tokens`, when counted before.
    features : ndarray of int, optional
        Columns wanted; default all.
    every : bool
        All stimuli of the groups in their order, also those without an active token.

    Yields
    ------
    Correlations
        Features with fewer than two active stimuli never come.
    """
    import torch

    enough = (layout.tokens(block)[0] if active is None else active) >= layout.min_active
    wanted = np.arange(block.shape[1]) if features is None else np.asarray(features, np.int64)
    sizes = np.stack([enough[np.ix_(group, wanted)].sum(axis=0) for group in groups])
    live = np.flatnonzero(sizes.sum(axis=0) >= 2)
    live = live[np.argsort(sizes[:, live].sum(axis=0), kind="stable")]
    wanted, sizes = wanted[live], sizes[:, live]
    columns, place = np.unique(wanted, return_inverse=True)
    if every:
        sizes[:] = np.array([[len(group)] for group in groups])
    packed, start, total = _turned(np.asarray(block), columns, layout), 0, sizes.sum(axis=0)
    while start < len(wanted):
        stop = min(start + TOGETHER, np.searchsorted(total, PADDED * total[start] + 2, side="right"))
        chunk, most = wanted[start:stop], sizes[:, start:stop].max(axis=1)
        rows = np.concatenate([_first_rows(enough, group, chunk, size) for group, size in zip(groups, most)], axis=1)
        yield Correlations(chunk, rows, tuple(int(size) for size in most), enough[rows, chunk[:, None]],
                           np.zeros(rows.shape), packed, place[start:stop], layout)
        start = stop


def _turned(block: np.ndarray, columns: np.ndarray, layout: ProfileLayout) -> np.ndarray:
    """Some features' values one feature after another, (n_columns, n_tokens or one more), moved tile by tile."""
    every = len(columns) == block.shape[1]
    shape = (len(columns), len(block) + (not layout.full))             # unequal lengths are filled up with a last 0
    out = layout.room("packed", shape, dtype=block.dtype if block.dtype == np.float64 else np.float32)
    out[:, len(block):] = 0
    for start in range(0, len(columns), TILE[1]):
        some = columns[start:start + TILE[1]]
        for low in range(0, len(block), TILE[0]):
            tile = block[low:low + TILE[0], some[0]:some[-1] + 1] if every else block[low:low + TILE[0]][:, some]
            out[start:start + TILE[1], low:low + len(tile)] = tile.T
    return out


def _first_rows(enough: np.ndarray, group: np.ndarray, features: np.ndarray, size: int) -> np.ndarray:
    """The first `size` stimuli of a group, active ones first: (c, size)."""
    if size == len(group):
        return np.broadcast_to(group, (len(features), size))
    return group[np.argsort(~enough[np.ix_(group, features)], axis=0, kind="stable")[:size]].T


def _gathered(tokens: np.ndarray, place: np.ndarray, rows: np.ndarray, layout: ProfileLayout) -> np.ndarray:
    """Profiles of the chosen stimuli of the features that stand at `place`: (f, m, width) float64."""
    import torch

    out, shape = layout.room("profiles", (*rows.shape, layout.width)), (-1, layout.n, layout.width)
    if rows.shape[1] == layout.n and (np.diff(place) == 1).all() and (np.diff(rows[0]) == 1).all():
        out[:] = tokens[place[0]:place[-1] + 1].reshape(shape)          # all of them, in their order
        return out
    chosen = layout.room("chosen", (rows.size, layout.width), dtype=tokens.dtype)
    torch.index_select(torch.from_numpy(tokens).view(-1, layout.width), 0, torch.from_numpy(
        (place[:, None] * layout.n + rows).reshape(-1)), out=torch.from_numpy(chosen))
    out[:] = chosen.reshape(out.shape)
    return out


def _equal_lengths(part: Correlations, some: slice) -> tuple[np.ndarray, None]:
    """All stimuli have the same tokens: rows of norm 1, whose products are the correlations."""
    import torch

    rows, layout = part.rows[some], part.layout
    x = _gathered(part.packed, part.place[some], rows, layout)
    tensor = torch.from_numpy(x)
    mean = tensor.mean(2).numpy()
    x -= mean[:, :, None]
    size = torch.linalg.vecdot(tensor, tensor).numpy()
    ok = size > ROUNDING * (size + layout.width * mean * mean)
    ok &= part.enough[some] & (layout.width >= layout.min_common)
    part.valid[some] = ok
    scale = np.sqrt(np.where(ok, size, np.inf))
    np.divide(1, scale, out=scale)
    x *= scale[:, :, None]
    return np.matmul(x, x.transpose(0, 2, 1), out=layout.room("r", (*rows.shape, rows.shape[1]))), None


def _unequal_lengths(part: Correlations, some: slice) -> tuple[np.ndarray, np.ndarray]:
    """Products of zero-padded rows, less what the pair's own means take away, over the pair's own deviations.

    Sums run over the tokens that each row shares with each set of tokens there is.
    """
    rows, layout, whole = part.rows[some], part.layout, part.rows.shape[1] == part.layout.n
    which = layout.which[rows[:1] if whole else rows]                  # (1 or f, m): whole, all features have the same rows
    x, active = _padded(part, some, whole)
    x -= (x.sum(axis=2) / layout.n_tokens[rows])[:, :, None]
    x *= layout.masks.T[which]
    common, squares = layout.common[which], np.multiply(x, x, out=layout.room("squares", x.shape))
    sums, variance, n = _over_masks(x, layout.masks), _over_masks(squares, layout.masks), np.maximum(common, 1)
    variance -= sums * sums / n
    ok = variance > FLAT * squares.sum(axis=2)[:, :, None]
    ok &= (active >= layout.min_active) & (common >= max(layout.min_common, 1))
    part.valid[some] = ok.any(axis=2)
    scale = 1 / np.sqrt(np.where(ok, variance, np.inf))
    shape = (*rows.shape, rows.shape[1])
    r, size, means = (layout.room(name, shape) for name in ("r", "size", "means"))
    np.matmul(x, x.transpose(0, 2, 1), out=r)
    # of the tokens that i shares with j, times that of those that j shares with i
    index = which[0] if whole else np.arange(rows.size).reshape(*rows.shape, 1) * len(layout.common) + which[:, None, :]
    for out, each in ((size, scale), (means, sums * scale / np.sqrt(n))):
        one = np.take(each, index, axis=2 if whole else None, mode="clip")
        np.multiply(one, one.transpose(0, 2, 1), out=out)
    r *= size
    r -= means
    valid = np.greater(size, 0, out=means)
    r *= valid
    return r, valid


def _padded(part: Correlations, some: slice, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Zero-padded profiles (f, m, width) float64, and their tokens that are not 0 within each set, (f, m, n_masks)."""
    rows, place, layout = part.rows[some], part.place[some], part.layout
    shape = (*rows.shape, layout.width)
    chosen = layout.room("chosen", shape, dtype=part.packed.dtype)
    if whole:
        np.take(part.packed[place], layout.token[rows[0]].reshape(-1), axis=1, mode="clip", out=chosen.reshape(len(rows), -1))
    else:
        np.take(part.packed, place[:, None, None] * part.packed.shape[1] + layout.token[rows], mode="clip", out=chosen)
    x = layout.room("profiles", shape)
    x[:] = chosen
    return x, _over_masks((chosen != 0).astype(np.float32), layout.masks.astype(np.float32))


def _over_masks(values: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Sums over each set of tokens: (f, m, width) -> (f, m, n_masks)."""
    return (values.reshape(-1, values.shape[2]) @ masks).reshape(*values.shape[:2], -1)
