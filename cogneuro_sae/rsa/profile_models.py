"""Correlation of one feature's profile dissimilarities 1 - r with a model RDM, from sums over the matrix of r."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.rsa.kernels import Correlations

CONSTANT = 1e-12   # share of the sum of squares below which values do not vary


class ProfileFits(NamedTuple):
    """Of some features.

    Parameters
    ----------
    value : ndarray (c,) float64
        Pearson correlation over the valid cross-item pairs; NaN where either side does not vary.
    valid : ndarray (c, n_stimuli) bool
        The stimuli with a valid pair.
    """

    value: np.ndarray
    valid: np.ndarray


def profile_fits(part: Correlations, model: np.ndarray, item: np.ndarray) -> ProfileFits:
    """Correlate profile dissimilarities with a model over the pairs of stimuli from different items.

    With d = r less its mean over the valid pairs: -sum d m / sqrt(sum d^2 sum (m - mean m)^2).

    Parameters
    ----------
    part : Correlations
        Of one group of stimuli.
    model : ndarray (n_stimuli, n_stimuli)
        Model dissimilarities.
    item : ndarray (n_stimuli,) int64
        Item of each stimulus.

    Returns
    -------
    ProfileFits
    """
    import torch

    cross = item[:, None] != item
    model = np.where(cross, model - model[cross].mean(), 0.0)
    every, m = slice(0, None), part.rows.shape[1]
    value, valid = np.full(len(part.features), np.nan), np.zeros((len(part.features), len(item)), bool)
    for some, r, known in part.block(every, every):
        rows = part.rows[some]
        whole = m == len(item) and (rows == rows[0]).all()
        pick = np.ix_(rows[0], rows[0]) if whole else (rows[:, :, None], rows[:, None, :])
        mask, M = torch.from_numpy(cross[pick].astype(np.float64)), torch.from_numpy(model[pick])
        ok = torch.from_numpy(part.valid[some])
        if known is not None or not whole or not bool(ok.all()):
            mask = mask * (ok[:, :, None] * ok[:, None, :] if known is None else torch.from_numpy(known))
        r = torch.from_numpy(r)
        n = mask.sum((-2, -1))
        center = (r * mask).sum((1, 2)) / n.clamp(min=1)
        d = r.sub_(center[:, None, None]).mul_(mask)
        spread, shared = torch.linalg.vecdot(d.flatten(1), d.flatten(1)), (d * M).sum((1, 2))
        weighted = mask * M
        squares = (weighted * M).sum((-2, -1))
        varies = squares - weighted.sum((-2, -1)) ** 2 / n.clamp(min=1)
        fine = (varies > CONSTANT * squares.clamp(min=1e-300)) & (spread > CONSTANT * n * (1 - center) ** 2)
        value[some] = torch.where(fine & (spread > 0), -shared / (spread * varies).sqrt(), torch.nan).numpy()
        stimuli = np.broadcast_to((mask.sum(-1) > 0).numpy(), rows.shape)
        found = np.zeros((len(rows), len(item)), bool)
        np.put_along_axis(found, rows, stimuli, axis=1)
        valid[some] = found
    return ProfileFits(value, valid)
