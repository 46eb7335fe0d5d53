"""Correlations of token profiles, or their Fisher z, summed over pairs of cells, for scores under many labellings."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.rsa.kernels import ProfileLayout, correlation_matrices
from cogneuro_sae.rsa.pairs import Pairs, PairSums, grouped_sum


def profile_sums(block: np.ndarray, layout: ProfileLayout, pairs: Pairs, features: np.ndarray, valid: np.ndarray, *,
                 clip: float | None) -> PairSums:
    """Sum z, or r, less its mean over the feature's valid pairs, over pairs of cells, in single precision.

    Differences of class means and correlations with a model do not change when all values move by the same amount, and
    small numbers keep more digits.

    Parameters
    ----------
    block : ndarray (n_tokens, n_features)
        Token-level features, stimuli end to end.
    layout : ProfileLayout
        Of the same stimuli.
    pairs : Pairs
        Their cross-item pairs.
    features : ndarray of int
        Columns wanted, in this order.
    valid : ndarray (n_features_wanted, n_stimuli) bool
        The stimuli with a valid cross-item pair, from `class_means`.
    clip : float or None
        Largest correlation taken as it is before the Fisher transform; None: r itself.

    Returns
    -------
    PairSums
        Of the features wanted, float32.
    """
    import torch

    pair = torch.from_numpy(pairs.first * layout.n + pairs.second)
    place = np.full(block.shape[1], -1)
    place[features] = np.arange(len(features))
    shape = (len(features), len(pairs.edges))
    total, count = np.empty(shape, np.float32), np.empty(shape, np.float32)
    every, cells = slice(0, None), np.eye(len(pairs.item))[pairs.index]
    rows = np.empty((len(features), len(pairs.item))) if layout.full else None
    for part in correlation_matrices(block, layout, [np.arange(layout.n)], features=features, every=True):
        for some, r, of_pairs in part.block(every, every):
            to = place[part.features[some]]
            z = torch.from_numpy(r).float().view(len(r), -1).index_select(1, pair)
            z = (z if clip is None else z.clamp_(-clip, clip).atanh_()).numpy()
            known = _known(part.valid[some], of_pairs, pairs, pair)
            z -= np.sum(z * known, axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
            z *= known
            total[to], count[to] = grouped_sum(z, pairs.edges), grouped_sum(known, pairs.edges)
            if rows is not None:
                rows[to] = part.valid[some] @ cells
    return PairSums(total, count, (valid @ cells) > 0, ~valid.all(axis=1), rows)


def _known(rows: np.ndarray, valid: np.ndarray | None, pairs: Pairs, pair) -> np.ndarray:
    """1 where a pair is valid, (f, n_pairs) float32."""
    import torch

    if valid is not None:
        return torch.from_numpy(valid).float().view(len(valid), -1).index_select(1, pair).numpy()
    ok = rows.astype(np.float32)
    if ok.all():
        return np.ones((len(ok), len(pairs.first)), np.float32)
    return ok[:, pairs.first] * ok[:, pairs.second]
