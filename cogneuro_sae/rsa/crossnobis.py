"""Crossnobis distances between cells, with paraphrases as folds (docs/methods.md)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import CellTable, cell_table, design_rows, group_means
from cogneuro_sae.rsa.distances import as_rdms, feature_sets


def crossnobis_rdms(X: np.ndarray, design, *, sets=None, noise: str = "diagonal"):
    """Cross-validated Mahalanobis distances between cells, one RDM per feature set; 0 on average without a difference.

    With x_ik the pattern of cell i in paraphrase k, S the noise covariance of paraphrases within cells and p features,
    d_ij = mean over k != l of (x_ik - x_jk)' S^-1 (x_il - x_jl) / p (Walther et al. 2016, Diedrichsen et al. 2020),
    over the paraphrases that both cells have. Values below 0 are kept: without them the mean would not be 0. S comes
    from the same texts, which adds 4 / (K (n_rows - n_cells - 2)) to every distance of K paraphrases (normal noise):
    nothing to a fit with a model; noise "none" has no such constant.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, items and cells; the k-th row of a cell is its k-th fold.
    sets : sequence of array_like of int, optional
        Feature sets; default one set of all. `[[0], [1]]` gives an RDM per feature.
    noise : str
        "diagonal" (variance of each feature), "shrunk" (covariance shrunk to its diagonal, Schaefer and Strimmer 2005)
        or "none".

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Over cells in the design's order; pattern descriptors `item`, `condition`, `cell`; rdm descriptors `set` and
        `features_used` (features without noise variance are left out, and a set of none is NaN).

    Raises
    ------
    InputError
        Unknown noise, a cell with one paraphrase, or values that are not finite.
    """
    if noise not in NOISE:
        raise unknown_name("noise covariance", noise, NOISE)
    X = np.asarray(X, np.float64)
    X = X[design_rows(len(X), design)]
    if not np.isfinite(X).all():
        raise InputError(f"{int((~np.isfinite(X)).sum())} values are missing or infinite", where="crossnobis_rdms")
    table = cell_table(design)
    folds = paraphrase_folds(table)
    residuals = X - group_means(X, table.index)[table.index]
    columns, values, used = feature_sets(sets, X.shape[1]), [], []
    for each in columns:
        kept = each if noise == "none" else each[_varies(X[:, each], residuals[:, each])]
        white = NOISE[noise](residuals[:, kept], len(X) - len(table.item)) if len(kept) else np.zeros((0, 0))
        values.append(cross_validated(X[:, kept] @ white, table.index, folds, len(kept)))
        used.append(len(kept))
    first = table.first
    conditions = getattr(design, "conditions", np.where(np.asarray(design.y) == 1, "A", "B"))
    patterns = {"item": np.asarray(design.groups)[first].astype(str).tolist(),
                "condition": np.asarray(conditions)[first].astype(str).tolist(), "cell": list(range(len(first)))}
    return as_rdms(np.array(values), f"crossnobis ({noise})", patterns, features_used=used)


def paraphrase_folds(table: CellTable) -> np.ndarray:
    """Number the rows of each cell.

    Parameters
    ----------
    table : CellTable
        Cells of a design.

    Returns
    -------
    ndarray (n_rows,) int64
        0, 1, ... in every cell.

    Raises
    ------
    InputError
        A cell with one paraphrase.
    """
    order = np.argsort(table.index, kind="stable")
    counts = np.bincount(table.index)
    if counts.min() < 2:
        raise InputError(f"{np.sum(counts < 2)} cells have one paraphrase, so nothing can be cross-validated",
                         allowed="at least 2 per cell", do="write more paraphrases")
    folds = np.empty(len(order), np.int64)
    folds[order] = np.concatenate([np.arange(count) for count in counts])
    return folds


def cross_validated(X: np.ndarray, index: np.ndarray, folds: np.ndarray, n_features: int) -> np.ndarray:
    """Mean over pairs of different folds of the product of pattern differences, divided by the number of features.

    Parameters
    ----------
    X : ndarray (n_rows, n_whitened)
        Whitened patterns.
    index : ndarray (n_rows,) int64
        Cell of each row.
    folds : ndarray (n_rows,) int64
        Fold of each row.
    n_features : int
        Features that the patterns were made of; 0 gives NaN.

    Returns
    -------
    ndarray (n_cells (n_cells - 1) / 2,) float64
    """
    n_cells, n_folds = index.max() + 1, folds.max() + 1
    first, second = np.triu_indices(n_cells, 1)
    if not n_features:
        return np.full(len(first), np.nan)
    patterns, there = np.zeros((n_folds, n_cells, X.shape[1])), np.zeros((n_folds, n_cells), bool)
    patterns[folds, index], there[folds, index] = X, True
    total, count = np.zeros(len(first)), np.zeros(len(first))
    for k in range(n_folds):
        for other in range(k):
            gram = patterns[k] @ patterns[other].T
            product = (np.diag(gram)[first] + np.diag(gram)[second] - gram[first, second] - gram[second, first])
            both = there[k] & there[other]
            use = both[first] & both[second]
            total += np.where(use, product, 0.0)
            count += use
    return total / count / n_features


def _varies(X: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    return (residuals**2).sum(axis=0) > 1e-12 * np.maximum((X**2).sum(axis=0), 1e-300)


def _identity(residuals: np.ndarray, dof: int) -> np.ndarray:
    return np.eye(residuals.shape[1])


def _diagonal(residuals: np.ndarray, dof: int) -> np.ndarray:
    return np.diag(np.sqrt(dof / (residuals**2).sum(axis=0)))


def _shrunk(residuals: np.ndarray, dof: int) -> np.ndarray:
    from rsatoolbox.data.noise import prec_from_residuals

    if residuals.shape[1] == 1:
        return _diagonal(residuals, dof)
    return np.linalg.cholesky(prec_from_residuals(residuals, dof=dof, method="shrinkage_diag"))


NOISE: dict[str, Callable] = {"diagonal": _diagonal, "shrunk": _shrunk, "none": _identity}
