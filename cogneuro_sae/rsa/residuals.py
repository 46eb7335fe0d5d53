"""Which residuals of cell means may change places: the stimulus level of Freedman and Lane (1983)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import (CellTable, Scheme, cell_table, joint_scheme, labellings, require_resolvable,
                                    residual_scheme)
from cogneuro_sae.rsa.cell_distances import orthonormal
from cogneuro_sae.rsa.pairs import cell_orders


class Moved(NamedTuple):
    """Cell means taken apart, and the orders of their residuals.

    Parameters
    ----------
    observed, fit, residuals : ndarray (n_cells, n_features) float64
        The cell means, what the covariates explain of them, and the rest.
    orders : ndarray (n_labellings, n_cells) int64
        The cell whose residual each cell receives; row 0 the identity.
    description : str
        One printable line.
    seed : int or None
        Seed of sampled orders; None when they are enumerated.
    """

    observed: np.ndarray
    fit: np.ndarray
    residuals: np.ndarray
    orders: np.ndarray
    description: str
    seed: int | None

    def means(self, number: int) -> np.ndarray:
        """Cell means of one labelling; a cell that keeps its residual keeps its mean to the last bit.

        Parameters
        ----------
        number : int
            Labelling; 0 is the observed one.

        Returns
        -------
        ndarray (n_cells, n_features) float64
        """
        order = self.orders[number]
        stays = order == np.arange(len(order))
        return np.where(stays[:, None], self.observed, self.fit + self.residuals[order])


def moved_residuals(means: np.ndarray, columns: np.ndarray, design, *, permutations: int, seed: int = 0,
                    tail: str = "positive", alpha: float = 0.05) -> Moved:
    """Fit cell means on covariates and list the orders of the residuals that the design's scheme allows.

    Designs exchanged within items have item dummies among the covariates, and residuals move within items; cells
    exchanged within strata move there; whole items move jointly.

    Parameters
    ----------
    means : ndarray (n_cells, n_features)
        Cell means.
    columns : ndarray (n_cells, n_columns)
        Covariates.
    design : Design
        Rows, items, cells and scheme, whose kind is in MOVES.
    permutations : int
        Most orders to enumerate, or how many to sample.
    seed : int
        Seed of sampled orders.
    tail : str
        "positive" | "negative" | "two-sided".
    alpha : float
        Designs whose smallest p exceeds it are refused.

    Returns
    -------
    Moved

    Raises
    ------
    InputError
        Covariates that leave no residual, items of unequal size that would have to move jointly, a design too small.
    """
    table = cell_table(design)
    scheme, orders_of, nuisance = MOVES[design.scheme.kind](design, table)
    require_resolvable(scheme, alpha, tail)
    basis = orthonormal(np.column_stack([nuisance, columns]))
    if basis.shape[1] >= len(means):
        raise InputError(f"{basis.shape[1]} covariates and items leave no residual of {len(means)} cells",
                         do="drop covariates or add items")
    fit = basis @ (basis.T @ means)
    flat = ((means - fit) ** 2).sum(axis=0) <= 1e-20 * (means**2).sum(axis=0)
    fit[:, flat] = means[:, flat]                                           # no residual at all, not its rounding error
    drawn = labellings(scheme, permutations, seed=seed)
    return Moved(means, fit, means - fit, orders_of(scheme, drawn.values, table), scheme.description, drawn.seed)


def _within_items(design, table: CellTable):
    dummies = np.eye(table.item.max() + 1)[table.item]
    return residual_scheme(table.index, table.item[table.index]), _places, dummies


def _within_strata(design, table: CellTable):
    scheme = design.scheme
    strata = scheme.unit_stratum[scheme.unit]
    return residual_scheme(table.index, strata), _places, np.eye(strata.max() + 1)[strata[table.first]]


def _whole_items(design, table: CellTable):
    strata = np.asarray(getattr(design.scheme, "unit_stratum", np.zeros(1, int)))
    if len(np.unique(strata)) > 1 and design.scheme.kind == "items":
        raise InputError("items move within strata here, and jointly moved residuals have none",
                         do="run without permutations")
    return joint_scheme(table.item[table.index]), cell_orders, np.ones((len(table.item), 1))


def _places(scheme: Scheme, values: np.ndarray, table: CellTable) -> np.ndarray:
    unit = scheme.unit[table.first]
    position = np.empty(scheme.n_units, np.int64)
    position[unit] = np.arange(len(unit))
    return position[values[:, unit]]


MOVES: dict[str, Callable] = {"swap": _within_items, "sign": _within_items, "within": _within_items,
                              "residuals": _within_items, "labels": _within_strata, "free": _within_strata,
                              "items": _whole_items, "joint": _whole_items}
