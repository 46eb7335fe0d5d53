"""Mean Fisher z within A, between A and B and within B of many features, with no value kept per pair.

atanh r = log((1 + r) / (1 - r)) / 2, so a sum of z is the logarithm of a product: one logarithm for up to 64 pairs.
With r clipped to +-.999 a product of 64 factors stays above 1e-192, far inside double precision.
"""

from __future__ import annotations

from functools import lru_cache
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


class ClassSums:
    """Gathers the sums of z of some features as their matrices come.

    Parameters
    ----------
    part : Correlations
        Of the stimuli of A, then those of B; or of one group, all stimuli in their order.
    y : ndarray (n_stimuli,) of 0 and 1
        1 for A.
    item : ndarray (n_stimuli,) int64
        Item of each stimulus.
    clip : float
        Largest correlation taken as it is.
    """

    def __init__(self, part: Correlations, y: np.ndarray, item: np.ndarray, *, clip: float):
        self.part, self.y, self.item, self.clip = part, y, item, clip
        # 0 for places of A, 1 for those of B; with one group, all features have the same rows
        side = np.repeat([0, 1], part.sizes) if len(part.sizes) == 2 else 1 - np.asarray(y)[part.rows[0]]
        self.sides = np.stack([side == 0, side == 1], axis=1).astype(np.float64)
        self.index, self.edges = _places(side.astype(np.int8).tobytes(), AT_ONCE)
        self.z = np.zeros((3, len(part.features)))
        self.n = np.zeros((*part.rows.shape, 2))    # of every stimulus, its valid pairs with A and with B

    def add(self, some: slice, r: np.ndarray, valid: np.ndarray | None) -> None:
        """Take what `part.matrices(item)` yielded, which is left as it is.

        Parameters
        ----------
        some : slice
            Features among those of the part.
        r, valid : ndarray (f, m, m) float64
            Correlations and valid pairs.
        """
        if valid is not None:
            self.n[some] = valid @ self.sides
        taken = self.part.layout.room("taken", (len(r), len(self.index)))
        np.take(r.reshape(len(r), -1), self.index, axis=1, mode="clip", out=taken)
        logs = self._logarithms(np.clip(taken, -self.clip, self.clip, out=taken))
        for side, (low, high) in enumerate(zip(self.edges[:-1], self.edges[1:])):
            self.z[side, some] = logs[:, low:high].sum(axis=1) / 2

    def _logarithms(self, r: np.ndarray) -> np.ndarray:
        """Twice the sum of z over runs of AT_ONCE pairs, which are overwritten: (f, n_runs)."""
        import torch

        shape = (len(r), r.shape[1] // AT_ONCE, AT_ONCE)
        up = np.add(1, r, out=self.part.layout.room("up", r.shape))
        up, down = (torch.from_numpy(each).view(shape).prod(2).numpy() for each in (up, np.subtract(1, r, out=r)))
        up /= down
        return np.log(up, out=up)

    def means(self) -> ClassMeans:
        """Return the mean z by class, when all matrices have come."""
        part = self.part
        if part.layout.full:
            self.n = _counted(part, self.item, self.sides)
        of_A, of_B = np.moveaxis(self.n, 2, 0)
        counts = of_A @ self.sides[:, 0] / 2, of_A @ self.sides[:, 1], of_B @ self.sides[:, 1] / 2
        stimuli = np.zeros((len(part.features), len(self.item)), bool)
        np.put_along_axis(stimuli, part.rows, self.n.any(axis=2), axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = [np.where(count > 0, total / count, np.nan) for total, count in zip(self.z, counts)]
        return ClassMeans(*means, _items(stimuli, self.y, self.item), ~stimuli.all(axis=1), stimuli)


def class_means(part: Correlations, y: np.ndarray, item: np.ndarray, *, clip: float) -> ClassMeans:
    """Average z over the pairs of stimuli from different items, by class.

    Parameters
    ----------
    part : Correlations
        Of the stimuli of A, then those of B.
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
    sums = ClassSums(part, y, item, clip=clip)
    for each in part.matrices(item):
        sums.add(*each)
    return sums.means()


@lru_cache(maxsize=256)
def _places(sides: bytes, run: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in an m x m matrix of the pairs within A, between A and B, and within B, in runs of equal length.

    `sides` holds 0 or 1 for each of the m. Runs are filled up with place 0, the correlation of a stimulus with itself,
    which is 0. Edges are counted in runs.
    """
    side = np.frombuffer(sides, np.int8).astype(np.int64)
    first, second = np.triu_indices(len(side), 1)
    flat, both = first * len(side) + second, side[first] + side[second]
    parts = [np.r_[flat[both == each], np.zeros(-(both == each).sum() % run, np.int64)] for each in range(3)]
    return np.concatenate(parts), np.cumsum([0, *(len(each) // run for each in parts)])


def _counted(part: Correlations, item: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Valid pairs of every stimulus with A and with B, when a pair is valid as soon as both stimuli are: (c, m, 2)."""
    out, member = np.zeros((*part.rows.shape, 2)), np.eye(int(item.max()) + 1)[item]
    alike = part.rows.shape[1] == len(item) and bool(part.valid.all())      # then one feature speaks for all
    rows, valid = (part.rows[:1], part.valid[:1]) if alike else (part.rows, part.valid)
    for side in (0, 1):
        every = np.zeros((len(valid), len(item)))
        np.put_along_axis(every, rows, valid * sides[:, side], axis=1)
        of_item = every @ member
        others = of_item.sum(axis=1, keepdims=True) - np.take_along_axis(of_item, item[rows], axis=1)
        out[:, :, side] = valid * others
    return out


def _items(stimuli: np.ndarray, y: np.ndarray, item: np.ndarray) -> np.ndarray:
    """How many items have a valid stimulus in A, in B."""
    member, alike = np.eye(int(item.max()) + 1, dtype=np.float32)[item], bool(stimuli.all())
    one = stimuli[:1] if alike else stimuli
    found = np.stack([((one[:, y == side].astype(np.float32) @ member[y == side]) > 0).sum(axis=1) for side in (1, 0)],
                     axis=1)
    return np.broadcast_to(found, (len(stimuli), 2)) if alike else found
