"""Mean Fisher z within A, between A and B and within B of many features, with no value kept per pair.

atanh r = log((1 + r) / (1 - r)) / 2, so a sum of z is the logarithm of a product: one logarithm for up to 64 pairs.
With r clipped to +-.999 a product of 64 factors stays above 1e-192, far inside double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.rsa.kernels import Correlations

AT_ONCE = 64


class ClassMeans(NamedTuple):
    """Of some features, under one labelling.

    Parameters
    ----------
    aa, ab, bb : ndarray (c,) float64
        Mean z of the valid cross-item pairs; NaN where there is none.
    n_valid : ndarray (c, 2) int64
        Items with a valid stimulus in A, in B.
    gaps : ndarray (c,) bool
        Some stimulus has no valid pair.
    valid : ndarray (c, n_stimuli) bool
        The stimuli with a valid pair.
    """

    aa: np.ndarray
    ab: np.ndarray
    bb: np.ndarray
    n_valid: np.ndarray
    gaps: np.ndarray
    valid: np.ndarray


def class_means(part: Correlations, y: np.ndarray, item: np.ndarray, *, clip: float) -> ClassMeans:
    """Average z over the pairs of stimuli from different items, by class.

    Parameters
    ----------
    part : Correlations
        Of the stimuli of A, then those of B; its `r` is overwritten.
    y : ndarray (n_stimuli,) of 0 and 1
        1 for A.
    item : ndarray (n_stimuli,) int64
        Item of each stimulus.
    clip : float
        Largest correlation taken as it is.

    Returns
    -------
    ClassMeans
    """
    a, b = slice(0, part.sizes[0]), slice(part.sizes[0], None)
    # of every stimulus, the sum of z and the number of valid pairs with A and with B
    z, n = np.zeros((2, *part.rows.shape)), _counted(part, item)
    alone = len(np.unique(item)) == len(item)               # every stimulus is an item: no pair lies within one
    for side, (rows, columns) in enumerate(((a, slice(0, None)), (b, b))):
        for some, r, valid in part.block(rows, columns):
            if not alone:
                each = item[part.rows[some]]
                within = each[:, rows, None] == each[:, None, columns]
                for values in (r, valid):
                    if values is not None:
                        np.putmask(values, within, 0.0)
            if valid is not None:
                n[side, some, columns] = valid.sum(axis=1)
                n[1, some, a] += valid[:, :, b].sum(axis=2) if rows is a else 0
            z[side, some, columns] = _column_sums(r, clip)
    totals, counts = ((each[0, :, a].sum(axis=1) / 2, each[0, :, b].sum(axis=1), each[1, :, b].sum(axis=1) / 2)
                      for each in (z, n))
    stimuli = np.zeros((len(part.features), len(item)), bool)
    np.put_along_axis(stimuli, part.rows, n.sum(axis=0) > 0, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.where(count > 0, total / count, np.nan) for total, count in zip(totals, counts)]
    return ClassMeans(*means, _items(stimuli, y, item), ~stimuli.all(axis=1), stimuli)


def _column_sums(r: np.ndarray, clip: float) -> np.ndarray:
    """Sum z over the rows of (c, rows, columns) correlations, which are overwritten: (c, columns)."""
    import torch

    r = torch.from_numpy(r).clamp_(-clip, clip)
    total = r.new_zeros(len(r), r.shape[2])
    for start in range(0, r.shape[1], AT_ONCE):
        group = r[:, start:start + AT_ONCE]
        total += (1 + group).prod(1).div_((1 - group).prod(1)).log_()
    return total.numpy() / 2


def _counted(part: Correlations, item: np.ndarray) -> np.ndarray:
    """Valid pairs of every stimulus with A and with B, when a pair is valid as soon as both stimuli are; else zeros."""
    out = np.zeros((2, *part.rows.shape))
    if part.layout.full:
        member = np.eye(int(item.max()) + 1)[item]
        for side, columns in enumerate((slice(0, part.sizes[0]), slice(part.sizes[0], None))):
            every = np.zeros((len(part.valid), len(item)))
            np.put_along_axis(every, part.rows[:, columns], part.valid[:, columns], axis=1)
            of_item = every @ member
            others = of_item.sum(axis=1, keepdims=True) - np.take_along_axis(of_item, item[part.rows], axis=1)
            out[side] = part.valid * others
    return out


def _items(stimuli: np.ndarray, y: np.ndarray, item: np.ndarray) -> np.ndarray:
    """How many items have a valid stimulus in A, in B."""
    member = np.eye(int(item.max()) + 1, dtype=np.float32)[item]
    return np.stack([((stimuli[:, y == side].astype(np.float32) @ member[y == side]) > 0).sum(axis=1)
                     for side in (1, 0)], axis=1)
