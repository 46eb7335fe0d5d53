"""Small array functions that scores and read-outs share: cell means and the AUROC of one score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Cells(NamedTuple):
    """Rows averaged to cells (item x label, or as given).

    Parameters
    ----------
    X : ndarray (n_cells, n_features) float64
        Mean of each cell's rows.
    y : ndarray (n_cells,) int64
        Label of each cell.
    groups : ndarray (n_cells,)
        Item of each cell.
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray


def cell_codes(y: np.ndarray, groups: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Return the cell of each row, numbered from 0 without gaps.

    Parameters
    ----------
    y : ndarray (n_rows,) int
        Labels.
    groups : ndarray (n_rows,)
        Items.
    cells : ndarray (n_rows,), optional
        Cell of each row where known; else a cell is an item's rows of one label.

    Returns
    -------
    ndarray (n_rows,) int64
    """
    if cells is not None:
        return np.unique(np.asarray(cells), return_inverse=True)[1].reshape(-1)
    item = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    return np.unique(2 * item + np.asarray(y, np.int64), return_inverse=True)[1].reshape(-1)


def cell_means(X: np.ndarray, y: np.ndarray, groups: np.ndarray, cells: np.ndarray | None = None) -> Cells:
    """Average rows to cells, so that paraphrases never count as independent observations.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Features.
    y : ndarray (n_rows,) int
        Labels, one per cell.
    groups : ndarray (n_rows,)
        Items, one per cell.
    cells : ndarray (n_rows,), optional
        Cell of each row; see `cell_codes`.

    Returns
    -------
    Cells
    """
    code = cell_codes(y, groups, cells)
    first = np.unique(code, return_index=True)[1]
    counts = np.bincount(code)
    weights = np.zeros((len(counts), len(code)))
    weights[code, np.arange(len(code))] = 1 / counts[code]
    return Cells(weights @ np.asarray(X, np.float64), np.asarray(y)[first], np.asarray(groups)[first])


def auroc(score: np.ndarray, y: np.ndarray) -> float:
    """Return P(score of a target > score of a foil), ties half.

    Parameters
    ----------
    score : ndarray (n_rows,)
        Decision values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.

    Returns
    -------
    float
        0 to 1; NaN when a class is missing.
    """
    a, b = np.asarray(score)[np.asarray(y) == 1], np.asarray(score)[np.asarray(y) == 0]
    if not len(a) or not len(b):
        return float("nan")
    gaps = a[:, None] - b[None, :]
    return float(((gaps > 0).sum() + 0.5 * (gaps == 0).sum()) / gaps.size)
