"""Correlations of token profiles, or their Fisher z, summed over pairs of cells, for scores under many labellings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cogneuro_sae.rsa.kernels import correlation_matrices
from cogneuro_sae.rsa.pairs import Pairs, PairSums, grouped_sum
from cogneuro_sae.rsa.profile_layout import ProfileLayout

SAME = 4e-7   # spread of single-precision values, as a share of their mean, that rounding alone gives


def profile_sums(block: np.ndarray, layout: ProfileLayout, pairs: Pairs, features: np.ndarray,
                 observe: Callable, *, clip: float | None, active: np.ndarray | None = None) -> PairSums:
    """Sum z, or r, less its mean over the feature's valid pairs, over pairs of cells, in single precision.

    Differences of class means and correlations with a model do not change when all values move by the same amount, and
    small numbers keep more digits. The score of the observed labelling is taken from the same matrices, in double.

    Parameters
    ----------
    block : ndarray (n_tokens, n_features)
        Token-level features, stimuli end to end.
    layout : ProfileLayout
        Of the same stimuli.
    pairs : Pairs
        Their cross-item pairs.
    features : ndarray of int
        Columns wanted, in this order; each with two active stimuli at least.
    observe : callable
        Correlations of all stimuli in their order -> (add, finish): `add(some, r, valid)` takes what
        `Correlations.matrices` yields, and `finish()` returns the stimuli with a valid cross-item pair,
        (c, n_stimuli) bool.
    clip : float or None
        Largest correlation taken as it is before the Fisher transform; None: r itself.
    active : ndarray (n_stimuli, n_block_features) int64, optional
        From `layout.tokens`, when counted before.

    Returns
    -------
    PairSums
        Of the features wanted, float32; they stand in the layout's memory until the next call.
    """
    place = np.full(block.shape[1], -1)
    place[features] = np.arange(len(features))
    index, item = pairs.first * layout.n + pairs.second, pairs.item[pairs.index]
    shape, cells = (len(features), len(pairs.edges)), np.eye(len(pairs.item))[pairs.index]
    total, count = layout.room("total", shape, dtype=np.float32), None
    valid = np.zeros((len(features), layout.n), bool)
    alike = np.diff(np.r_[pairs.edges, len(pairs.first)]).astype(np.float32)     # counts of a feature without gaps
    for part in correlation_matrices(block, layout, [np.arange(layout.n)], active=active, features=features, every=True):
        add, finish = observe(part)
        for some, r, of_pairs in part.matrices(item):
            to = place[part.features[some]]
            taken = layout.room("taken", (len(r), len(index)))
            z = _similarities(np.take(r.reshape(len(r), -1), index, axis=1, mode="clip", out=taken), clip, layout)
            add(some, r, of_pairs)
            known = _known(part.valid[some], of_pairs, pairs, index)
            _centre(z, known)
            if known is not None:
                count = np.tile(alike, (len(features), 1)) if count is None else count
                count[to] = grouped_sum(known, pairs.edges)
            to = slice(to[0], to[-1] + 1) if (np.diff(to) == 1).all() else to
            total[to] = grouped_sum(z, pairs.edges)
        valid[place[part.features]] = finish()
    count = np.broadcast_to(alike, shape) if count is None else count
    return PairSums(total, count, (valid @ cells) > 0, ~valid.all(axis=1), valid @ cells if layout.full else None)


def _similarities(r: np.ndarray, clip: float | None, layout: ProfileLayout) -> np.ndarray:
    """z, or r, in single precision; numpy's logarithm is faster than any atanh."""
    z, rest = (layout.room(name, r.shape, dtype=np.float32) for name in ("z", "rest"))
    z[:] = r
    if clip is None:
        return z
    np.clip(z, -clip, clip, out=z)
    np.subtract(1, z, out=rest)
    z += 1
    z /= rest
    np.log(z, out=z)
    z *= 0.5
    return z


def _centre(z: np.ndarray, known: np.ndarray | None) -> None:
    """Take away the mean over valid pairs; values that are all the same become 0, not what rounding leaves of them."""
    if known is None:
        mean = z.mean(axis=1, keepdims=True)
        z -= mean
    else:
        mean = np.sum(z * known, axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
        z -= mean
        z *= known
    same = np.einsum("fp,fp->f", z, z) <= z.shape[1] * (SAME * mean[:, 0]) ** 2
    if same.any():
        z[same] = 0.0


def _known(ok: np.ndarray, valid: np.ndarray | None, pairs: Pairs, index: np.ndarray) -> np.ndarray | None:
    """1 where a pair is valid, (f, n_pairs) float32; None when every pair is."""
    if valid is not None:
        known = np.take(valid.reshape(len(valid), -1), index, axis=1, mode="clip").astype(np.float32)
        return None if known.all() else known
    ok = ok.astype(np.float32)
    return None if ok.all() else ok[:, pairs.first] * ok[:, pairs.second]
