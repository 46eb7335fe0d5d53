"""From stimulus rows to cells: paraphrases averaged first, and what a relabelling does to each cell's label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference.scheme import Scheme


class CellTable(NamedTuple):
    """The cells (item x condition) of a design, in order of their first row.

    Parameters
    ----------
    index : ndarray (n_rows,) int64
        Cell of each design row, 0 to n_cells - 1.
    first : ndarray (n_cells,) int64
        First design row of each cell.
    item : ndarray (n_cells,) int64
        Item of each cell, coded 0 to n_items - 1.
    y : ndarray (n_cells,) int64
        1 for A, 0 for B.
    weight : ndarray (n_cells,) float64
        Contrast weight of the cell's condition.
    """

    index: np.ndarray
    first: np.ndarray
    item: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def cell_table(design) -> CellTable:
    """Return the cells of a design.

    Parameters
    ----------
    design : Design
        Has `cells`, `groups`, `y`, `weights`, one entry per design row.

    Returns
    -------
    CellTable

    Raises
    ------
    InputError
        A cell with two labels or in two items.
    """
    first, index = _in_order(np.asarray(design.cells))
    item = _in_order(np.asarray(design.groups))[1]
    y, weight = np.asarray(design.y).astype(np.int64), np.asarray(design.weights, np.float64)
    for name, column in (("label", y), ("item", item)):
        mixed = np.flatnonzero(column[first][index] != column)
        if len(mixed):
            raise InputError(f"cell {np.asarray(design.cells)[mixed[0]]} has more than one {name}",
                             allowed="one item and one condition per cell")
    return CellTable(index.astype(np.int64), first.astype(np.int64), item[first].astype(np.int64), y[first],
                     weight[first])


def _in_order(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)]


def group_means(X: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Average rows that share an index.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Values, any unit.
    index : ndarray (n_rows,) int64
        Group of each row, 0 to n_groups - 1, none empty.

    Returns
    -------
    ndarray (n_groups, n_features) float64
        Means; NaN where a row is NaN.
    """
    index = np.asarray(index)
    order = np.argsort(index, kind="stable")
    edges = np.flatnonzero(np.r_[True, np.diff(index[order]) != 0])
    counts = np.diff(np.r_[edges, len(index)])
    return np.add.reduceat(np.asarray(X)[order].astype(np.float64), edges, axis=0) / counts[:, None]


def design_rows(n_given: int, design) -> np.ndarray:
    """Return which rows of the data belong to the design.

    Parameters
    ----------
    n_given : int
        Rows of the data: the whole stimulus table, or the design's rows only.
    design : Design
        Has `rows`, positions in the table.

    Returns
    -------
    ndarray (n_rows,) int64
        Positions in the data, in the design's order.

    Raises
    ------
    InputError
        The data fit neither the table nor the design.
    """
    rows = np.asarray(design.rows, np.int64)
    if n_given == len(rows):
        return np.arange(len(rows))
    if n_given > rows.max(initial=-1):
        return rows
    raise InputError(f"the data have {n_given} rows, the design needs row {int(rows.max()) + 1}",
                     allowed=f"one row per stimulus of the table, or the design's own {len(rows)} rows")


def cell_labels(scheme: Scheme, values: np.ndarray, table: CellTable) -> np.ndarray:
    """Return every cell's 0/1 label under each labelling.

    Parameters
    ----------
    scheme : Scheme
        Kind swap, sign, labels, items or free.
    values : ndarray (n_labellings, n_units)
        From `labellings`.
    table : CellTable
        Cells of the same design.

    Returns
    -------
    ndarray (n_labellings, n_cells) int8
        1 for A, 0 for B; row 0 is the observed one.

    Raises
    ------
    InputError
        The scheme's kind does not move two labels.
    """
    if len(scheme.unit) != len(table.index):
        raise InputError(f"the scheme has {len(scheme.unit)} rows, the design {len(table.index)}")
    unit, observed = scheme.unit[table.first], table.y.astype(np.int8)
    if scheme.kind in ("labels", "free"):
        return values[:, unit].astype(np.int8)
    if scheme.kind in ("swap", "sign"):
        return np.where(values[:, unit] > 0, observed, 1 - observed).astype(np.int8)
    if scheme.kind == "items":
        same = values[:, unit] == scheme.unit_label[unit]
        return np.where(same, observed, 1 - observed).astype(np.int8)
    raise InputError(f"a {scheme.kind} scheme does not move two labels", allowed="swap, sign, labels, items, free")
