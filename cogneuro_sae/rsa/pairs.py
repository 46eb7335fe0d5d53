"""Cross-item pairs of stimuli, their sums over pairs of cells, and what a labelling makes of them (docs/methods.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import CellTable, Scheme


class Pairs(NamedTuple):
    """Pairs of rows from different items, sorted by the pair of cells they belong to.

    Parameters
    ----------
    first, second : ndarray (n_pairs,) int64
        Rows of each pair.
    edges : ndarray (n_cell_pairs,) int64
        Where each cell pair starts among the pairs.
    cell_first, cell_second : ndarray (n_cell_pairs,) int64
        Cells of each cell pair.
    index : ndarray (n_rows,) int64
        Cell of each row.
    item : ndarray (n_cells,) int64
        Item of each cell.
    """

    first: np.ndarray
    second: np.ndarray
    edges: np.ndarray
    cell_first: np.ndarray
    cell_second: np.ndarray
    index: np.ndarray
    item: np.ndarray


class PairSums(NamedTuple):
    """Pair values of some features summed over cell pairs; missing pairs are left out and counted.

    Parameters
    ----------
    total : ndarray (n_features, n_cell_pairs) float64
        Sum over valid pairs.
    count : ndarray (n_features, n_cell_pairs) float64
        Number of valid pairs.
    cell_valid : ndarray (n_features, n_cells) bool
        The cell has a row with a valid pair.
    gaps : ndarray (n_features,) bool
        Some row has no valid pair at all: the silence policy applies.
    rows : ndarray (n_features, n_cells) or None
        Valid rows of each cell, when a pair is valid as soon as both rows are.
    """

    total: np.ndarray
    count: np.ndarray
    cell_valid: np.ndarray
    gaps: np.ndarray
    rows: np.ndarray | None = None

    def some(self, features: np.ndarray) -> PairSums:
        """Return the sums of some features.

        Parameters
        ----------
        features : ndarray of int
            Which.

        Returns
        -------
        PairSums
        """
        return PairSums(*(None if each is None else each[features] for each in self))

    def alike(self) -> bool:
        """Whether all features have the same number of valid pairs of every two cells."""
        return self.count.strides[0] == 0 or bool((self.count == self.count[:1]).all())


def cross_item_pairs(index: np.ndarray, item: np.ndarray) -> Pairs:
    """List the pairs of rows whose cells belong to different items.

    Parameters
    ----------
    index : ndarray (n_rows,) int64
        Cell of each row.
    item : ndarray (n_cells,) int64
        Item of each cell.

    Returns
    -------
    Pairs

    Raises
    ------
    InputError
        Fewer than two items.
    """
    first, second = np.triu_indices(len(index), 1)
    keep = item[index[first]] != item[index[second]]
    first, second = first[keep], second[keep]
    if not len(first):
        raise InputError("all stimuli belong to one item, so there is no cross-item pair", do="add items")
    low, high = np.minimum(index[first], index[second]), np.maximum(index[first], index[second])
    code = low * len(item) + high
    order = np.argsort(code, kind="stable")
    edges = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
    codes = code[order][edges]
    return Pairs(first[order], second[order], edges, codes // len(item), codes % len(item), index, item)


def sum_pairs(values: np.ndarray, pairs: Pairs) -> PairSums:
    """Sum pair values over cell pairs.

    Parameters
    ----------
    values : ndarray (n_features, n_pairs)
        One value per pair, NaN = missing.
    pairs : Pairs
        The pairs.

    Returns
    -------
    PairSums
    """
    valid = np.isfinite(values)
    total = grouped_sum(np.where(valid, values, 0.0), pairs.edges)
    count = grouped_sum(valid.astype(np.float64), pairs.edges)
    return PairSums(total, count, *valid_cells(valid, pairs))


def valid_cells(valid: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Say which cells have a row with a valid pair, and whether some row has none.

    Parameters
    ----------
    valid : ndarray (n_features, n_pairs) bool
        Valid pairs.
    pairs : Pairs
        The pairs.

    Returns
    -------
    ndarray (n_features, n_cells) bool, ndarray (n_features,) bool
    """
    cell_valid, gaps = np.ones((len(valid), len(pairs.item)), bool), np.zeros(len(valid), bool)
    holes = np.flatnonzero(~valid.all(axis=1))
    if len(holes):
        every = np.arange(len(pairs.first))
        touches = np.zeros((len(every), len(pairs.index)), np.float32)
        touches[every, pairs.first] = touches[every, pairs.second] = 1.0
        rows = (valid[holes].astype(np.float32) @ touches) > 0.5
        gaps[holes] = ~rows.all(axis=1)
        for cell in range(len(pairs.item)):
            cell_valid[holes, cell] = rows[:, pairs.index == cell].any(axis=1)
    return cell_valid, gaps


def grouped_sum(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Sum neighbouring columns.

    Parameters
    ----------
    values : ndarray (n_rows, n_columns) float64
        Values.
    edges : ndarray (n_groups,) int64
        Where each group of columns starts.

    Returns
    -------
    ndarray (n_rows, n_groups) float64
    """
    size = values.shape[1] // max(len(edges), 1)
    if size * len(edges) == values.shape[1] and (np.diff(edges) == size).all():
        return values if size == 1 else values.reshape(len(values), -1, size).sum(axis=2)
    return np.add.reduceat(values, edges, axis=1)


def cell_orders(scheme: Scheme, values: np.ndarray, table: CellTable) -> np.ndarray:
    """Return, for every labelling, the cell whose place in the model RDM each cell takes.

    Parameters
    ----------
    scheme : Scheme
        Kind swap, within or joint.
    values : ndarray (n_labellings, n_units)
        From `labellings`.
    table : CellTable
        Cells of the same design.

    Returns
    -------
    ndarray (n_labellings, n_cells) int64
        Row 0 is the identity.

    Raises
    ------
    InputError
        The scheme gives no permutation of cells, or items differ in their cells.
    """
    if scheme.kind not in _ORDERS:
        raise InputError(f"a {scheme.kind} scheme gives no permutation of cells", allowed=", ".join(_ORDERS),
                         do="use a model RDM of the two classes, or no permutations")
    return _ORDERS[scheme.kind](scheme, values, table)


def _swap_orders(scheme, values, table):
    unit = scheme.unit[table.first]
    partner = np.empty(len(unit), np.int64)
    for item in range(scheme.n_units):
        cells = np.flatnonzero(unit == item)
        if len(cells) != 2:
            raise InputError(f"an item holds {len(cells)} cells of the contrast",
                             allowed="two cells per item for swaps")
        partner[cells] = cells[::-1]
    return np.where(values[:, unit] > 0, np.arange(len(unit)), partner)


def _within_orders(scheme, values, table):
    unit = scheme.unit[table.first]
    cell_of = np.empty(scheme.n_units, np.int64)
    cell_of[unit] = np.arange(len(unit))
    levels = int(scheme.unit_label.max()) + 1
    place = np.empty((int(scheme.unit_stratum.max()) + 1, levels), np.int64)
    place[scheme.unit_stratum, scheme.unit_label] = cell_of
    return place[scheme.unit_stratum[unit], values[:, unit].astype(np.int64)]


def _joint_orders(scheme, values, table):
    unit = scheme.unit[table.first]
    cells = [np.flatnonzero(unit == item) for item in range(scheme.n_units)]
    if len({len(each) for each in cells}) != 1:
        raise InputError("items hold different numbers of cells, so they cannot move jointly", do="complete the items")
    place = np.array(cells)
    rank = np.empty(len(unit), np.int64)
    rank[place] = np.arange(place.shape[1])
    return place[values[:, unit].astype(np.int64), rank]


_ORDERS = {"swap": _swap_orders, "within": _within_orders, "joint": _joint_orders}
