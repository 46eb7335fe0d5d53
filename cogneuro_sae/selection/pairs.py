"""Pair similarities of token profiles, computed once for a set of stimuli and summed for any labels and any rows.

The similarity of two stimuli depends on these two alone, not on labels nor on which other stimuli there are. A table
made from all stimuli of a comparison may therefore serve every fold through row indices: nothing about held-out labels
or items enters a training fold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.rsa import PairSimilarities
from cogneuro_sae.selection.arrays import cell_codes

CLIP = 0.999
BLOCK = 512
LIMIT_BYTES = 6_000_000_000


class ClassMeans(NamedTuple):
    """Mean Fisher z over valid cross-item pairs, per feature; NaN where there is none.

    Parameters
    ----------
    within_a, between, within_b : ndarray (n_features,) float64
        Over A-A, A-B and B-B pairs.
    n_valid : ndarray (n_features, 2) int64
        Valid items in A and in B.
    gaps : ndarray (n_features,) bool
        Some stimulus has no valid pair: the silence policy applies.
    """

    within_a: np.ndarray
    between: np.ndarray
    within_b: np.ndarray
    n_valid: np.ndarray
    gaps: np.ndarray


@dataclass(frozen=True, eq=False)
class PairTable:
    """Fisher z of the profile correlation of every cross-item pair of stimuli, for every feature.

    Parameters
    ----------
    z : ndarray (n_pairs, n_features) float32
        atanh(clip(r, +-.999)); 0 where the pair is not valid.
    valid : ndarray (n_pairs, n_features) bool
        Enough common tokens, enough of them active, neither profile constant.
    first, second : ndarray (n_pairs,) int64
        The two stimuli of each pair, as rows of the full set.
    index : ndarray (n_rows,) int64
        Rows of the full set that are looked at, in this order.
    """

    z: np.ndarray
    valid: np.ndarray
    first: np.ndarray
    second: np.ndarray
    index: np.ndarray

    @property
    def n_features(self) -> int:
        """Width."""
        return self.z.shape[1]

    def rows(self, index: np.ndarray) -> PairTable:
        """Return the same table looked at through some of its rows; nothing is copied.

        Parameters
        ----------
        index : ndarray (n,) int64
            Rows, relative to this table.

        Returns
        -------
        PairTable
        """
        return replace(self, index=self.index[index])

    def placed(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pairs among the rows looked at, without those inside an item.

        Parameters
        ----------
        groups : ndarray (n_rows,)
            Item of each row looked at.

        Returns
        -------
        tuple of ndarray (n_kept,) int64
            Pair numbers, and the two rows of each, relative to `index`.
        """
        place = np.full(max(self.first.max(initial=-1), self.second.max(initial=-1), self.index.max(initial=-1)) + 1,
                        -1)
        place[self.index] = np.arange(len(self.index))
        a, b = place[self.first], place[self.second]
        kept = np.flatnonzero((a >= 0) & (b >= 0))
        item = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        kept = kept[item[a[kept]] != item[b[kept]]]
        return kept, a[kept], b[kept]

    def class_means(self, y: np.ndarray, groups: np.ndarray) -> ClassMeans:
        """Average over the pairs of two classes.

        Parameters
        ----------
        y : ndarray (n_rows,) of 0 and 1
            Labels of the rows looked at.
        groups : ndarray (n_rows,)
            Their items; pairs inside an item do not enter.

        Returns
        -------
        ClassMeans
        """
        y = np.asarray(y)
        pairs, a, b = self.placed(groups)
        kind = y[a] + y[b]
        means = []
        for which in (2, 1, 0):
            chosen = pairs[kind == which]
            total = self.z[chosen].sum(axis=0, dtype=np.float64)
            count = self.valid[chosen].sum(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                means.append(np.where(count > 0, total / count, np.nan))
        return ClassMeans(*means, *self._valid_items(y, groups, pairs, a, b))

    def _valid_items(self, y, groups, pairs, a, b) -> tuple[np.ndarray, np.ndarray]:
        # an item is valid in A when one of its A texts has a valid pair with another item; likewise in B
        cell = cell_codes(y, groups)
        cell_valid = np.zeros((cell.max() + 1, self.n_features), bool)
        gaps = np.zeros(self.n_features, bool)
        for row, its in enumerate(cell):
            valid = self.valid[pairs[(a == row) | (b == row)]].any(axis=0)
            gaps |= ~valid
            cell_valid[its] |= valid
        side = y[np.unique(cell, return_index=True)[1]]
        return np.stack([cell_valid[side == label].sum(axis=0) for label in (1, 0)], axis=1), gaps


def pair_table(similarities: PairSimilarities, groups: np.ndarray) -> PairTable:
    """Lay profile correlations out for summing: Fisher z of the cross-item pairs, pair by pair.

    Parameters
    ----------
    similarities : PairSimilarities
        Of all stimuli, from `cogneuro_sae.rsa.pair_similarities`.
    groups : ndarray (n_stimuli,)
        Item of each stimulus.

    Returns
    -------
    PairTable

    Raises
    ------
    InputError
        A table that would not fit in memory.
    """
    item = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    first, second = np.triu_indices(len(item), 1)
    apart = item[first] != item[second]
    first, second, n_features = first[apart], second[apart], similarities.n_features
    if len(first) * n_features * 5 > LIMIT_BYTES:
        raise InputError(f"pair similarities of {len(item)} stimuli and {n_features} features would take "
                         f"{len(first) * n_features * 5 / 1e9:.1f} GB", allowed=f"at most {LIMIT_BYTES / 1e9:.0f} GB",
                         do="use fewer stimuli per contrast or a narrower SAE")
    z, valid = np.zeros((len(first), n_features), np.float32), np.zeros((len(first), n_features), bool)
    for start in range(0, n_features, BLOCK):
        stop = min(start + BLOCK, n_features)
        r = similarities.pairs(start, stop, first, second).T
        known = np.isfinite(r)
        valid[:, start:stop] = known
        z[:, start:stop] = np.where(known, np.arctanh(np.clip(np.where(known, r, 0.0), -CLIP, CLIP)), 0.0)
    return PairTable(z, valid, first, second, np.arange(len(item)))
