"""A model RDM over the design's cells, and what it becomes under every labelling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import CellTable, Scheme, cell_labels, design_rows, group_means
from cogneuro_sae.rsa.models import model_matrix
from cogneuro_sae.rsa.pairs import Pairs, cell_orders


@dataclass(frozen=True, eq=False)
class ModelLabels:
    """A model RDM under every labelling, made a slice at a time.

    Parameters
    ----------
    model : ndarray (n_cells, n_cells) float64
        The observed model.
    n_labellings : int
        How many labellings there are.
    cell_pairs : tuple of ndarray
        First and second cell of the kept pairs.
    orders : ndarray (n_labellings, n_cells) or None
        The cell whose place each cell takes, when cells move.
    classes : ndarray (n_labellings, n_cells) or None
        The two-class labels, when labels move.
    sides : ndarray (n_labellings, n_cells) or None
        Where A and B are under each labelling, for the silence policy; None when all cells are on one side.
    """

    model: np.ndarray
    n_labellings: int
    cell_pairs: tuple[np.ndarray, np.ndarray]
    orders: np.ndarray | None = None
    classes: np.ndarray | None = None
    sides: np.ndarray | None = None

    def pairs(self, rows: slice) -> np.ndarray:
        """Model dissimilarities of the kept pairs under some labellings.

        Parameters
        ----------
        rows : slice
            Labellings.

        Returns
        -------
        ndarray (n, n_cell_pairs) float64
        """
        first, second = self.cell_pairs
        if self.orders is not None:
            return self.model[self.orders[rows][:, first], self.orders[rows][:, second]]
        Y = self.classes[rows].astype(np.int64)
        return self.blocks()[Y[:, first], Y[:, second]]

    def matrices(self, rows: slice) -> np.ndarray:
        """Model RDMs under some labellings.

        Parameters
        ----------
        rows : slice
            Labellings.

        Returns
        -------
        ndarray (n, n_cells, n_cells) float64
        """
        if self.orders is not None:
            order = self.orders[rows]
            return self.model[order[:, :, None], order[:, None, :]]
        Y = self.classes[rows].astype(np.int64)
        moved = self.blocks()[Y[:, :, None], Y[:, None, :]]
        moved[:, np.arange(len(self.model)), np.arange(len(self.model))] = 0.0
        return moved

    def blocks(self) -> np.ndarray:
        """Return the dissimilarity of every pair of classes, which is all that a two-class model holds.

        Returns
        -------
        ndarray (2, 2) float64

        Raises
        ------
        InputError
            The model distinguishes more than the two classes.
        """
        Y, off = self.classes[0].astype(np.int64), ~np.eye(len(self.model), dtype=bool)
        blocks = np.zeros((2, 2))
        for a in (0, 1):
            for b in (0, 1):
                values = self.model[(Y[:, None] == a) & (Y[None, :] == b) & off]
                if len(values) and np.ptp(values) > 1e-9 * max(1.0, np.abs(values).max()):
                    raise InputError("labels of cells move here, but the model RDM is not one of the two classes",
                                     allowed="a two-class model, or a design whose items hold every level",
                                     do="declare independent graded items, or run without permutations")
                blocks[a, b] = values[0] if len(values) else 0.0
        return blocks


def cell_model(model, labels, design, table: CellTable, n_given: int) -> np.ndarray:
    """Return a model RDM over the design's cells.

    Parameters
    ----------
    model : str, callable, ndarray, DataFrame or RDMs
        As `rsa_map` takes it, over the table's or the design's rows.
    labels : array_like or None
        Labels for a named model; None: the design's two classes.
    design : Design
        Its rows are picked.
    table : CellTable
        Cells of the design.
    n_given : int
        Rows of the data, for messages.

    Returns
    -------
    ndarray (n_cells, n_cells) float64
        Dissimilarities averaged over the pairs of rows of each pair of cells; diagonal 0.

    Raises
    ------
    InputError
        A model or labels that fit neither the table nor the design.
    """
    n_rows = len(table.index)
    if isinstance(model, str) or callable(model) and not hasattr(model, "get_matrices"):
        labels = np.asarray(design.y) if labels is None else np.asarray(labels)[design_rows(len(labels), design)]
        matrix = model_matrix(model, n_rows, labels=labels)
    else:
        values = model.get_matrices()[0] if hasattr(model, "get_matrices") else np.asarray(model, np.float64)
        rows = design_rows(len(values), design)
        matrix = model_matrix(values[np.ix_(rows, rows)], n_rows)
    cells = group_means(group_means(matrix, table.index).T, table.index)
    np.fill_diagonal(cells, 0.0)
    return cells


def model_labellings(model: np.ndarray, scheme: Scheme, values: np.ndarray | None, table: CellTable,
                     pairs: Pairs) -> ModelLabels:
    """Return what a model RDM becomes under the labellings of a scheme.

    Parameters
    ----------
    model : ndarray (n_cells, n_cells)
        Model RDM over cells.
    scheme : Scheme
        The design's scheme.
    values : ndarray (n_labellings, n_units) or None
        From `labellings`; None: the observed labelling only.
    table : CellTable
        Cells of the design.
    pairs : Pairs
        The kept pairs.

    Returns
    -------
    ModelLabels

    Raises
    ------
    InputError
        A scheme that can move neither cells nor the model's classes.
    """
    kept, two_sided = (pairs.cell_first, pairs.cell_second), len(np.unique(table.y)) == 2
    if values is not None and scheme.kind in ("labels", "free", "items", "sign"):
        labels = cell_labels(scheme, values, table)
        made = ModelLabels(model, len(values), kept, classes=labels, sides=labels)
        made.pairs(slice(0, 1))
        return made
    orders = np.arange(len(model))[None] if values is None else cell_orders(scheme, values, table)
    return ModelLabels(model, len(orders), kept, orders=orders, sides=table.y[orders] if two_sided else None)
