"""Freedman-Lane t: the permutation of reduced-model residuals, for covariates and incomplete items (approximate)."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.contrasts.statistics import FLOOR
from cogneuro_sae.errors import InputError


def freedman_lane_t(X: np.ndarray, regressor: np.ndarray, nuisance: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """t of a regressor beside nuisance columns, for every permutation of the nuisance model's residuals.

    x is fitted on the nuisance, its residuals are permuted, the fit is added back and the full model is fitted again
    (Freedman & Lane 1983; Winkler et al. 2014). The added fit cancels in t, so each labelling costs matrix products
    only.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    regressor : ndarray (n_cells,)
        The effect tested, such as 1 for A and 0 for B.
    nuisance : ndarray (n_cells, n_nuisance)
        Item dummies, covariates, or a column of ones.
    orders : ndarray (n_labellings, n_cells) of int
        Row g: the cell whose residual each cell receives; row 0 the identity.

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        t with n_cells - rank(nuisance) - 1 degrees of freedom; NaN for features that the nuisance explains fully.

    Raises
    ------
    InputError
        The regressor is a combination of the nuisance columns, or no degree of freedom is left.
    """
    X, x = np.asarray(X, np.float64), np.asarray(regressor, np.float64)
    basis = _basis(np.asarray(nuisance, np.float64))
    x = x - basis @ (basis.T @ x)
    df = len(X) - basis.shape[1] - 1
    if np.sum(x**2) < 1e-10 * max(np.sum(np.asarray(regressor, float) ** 2), 1e-300):
        raise InputError("the contrast is a combination of the nuisance columns (items and covariates)",
                         do="drop the covariate that carries the contrast, or the items that hold one side only")
    if df < 1:
        raise InputError(f"{len(X)} cells leave {df} degrees of freedom beside {basis.shape[1]} nuisance columns",
                         do="add items or drop covariates")
    residuals = X - basis @ (basis.T @ X)
    total = (residuals**2).sum(axis=0)
    total = np.where(total > FLOOR * (X**2).sum(axis=0), total, np.nan)
    slope = _moved(x, orders) @ residuals / np.sum(x**2)
    explained = np.zeros_like(slope)
    for column in basis.T:
        # a column that no permutation changes, such as an item dummy, explains nothing of residuals orthogonal to it
        if not np.allclose(column[orders], column):
            explained += (_moved(column, orders) @ residuals) ** 2
    left = np.maximum(total - explained - slope**2 * np.sum(x**2), FLOOR * total)
    return slope / np.sqrt(left / df / np.sum(x**2))


def _moved(column: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """sum_c column[c] e[order[c]] as a weight on each e: `(n_labellings, n_cells)`."""
    out = np.zeros(orders.shape)
    np.put_along_axis(out, orders.astype(np.int64), np.broadcast_to(column, orders.shape), 1)
    return out


def _basis(nuisance: np.ndarray) -> np.ndarray:
    """Orthonormal columns of the same span, in the same order, so that item dummies keep to themselves."""
    columns: list[np.ndarray] = []
    for column in nuisance.T:
        rest = column.copy()
        for _ in range(2):
            for other in columns:
                rest = rest - other * (other @ rest)
        if np.linalg.norm(rest) > 1e-8 * max(np.linalg.norm(column), 1e-300):
            columns.append(rest / np.linalg.norm(rest))
    return np.array(columns).T.reshape(len(nuisance), len(columns))
