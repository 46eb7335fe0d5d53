"""Rows of table.csv: what they share, how they start, and how a failed one keeps its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.compare.folds import Split
from cogneuro_sae.compare.measures import MEASURES
from cogneuro_sae.compare.views import View
from cogneuro_sae.selection.arrays import cell_means

COLUMNS = ("concept", "contrast", "model", "representation", "site", "window", "pooling", "selector", "k", "ensemble",
           "kind",
           "repeat", "fold", "n_train", "n_test", "auroc", "pair_accuracy", "balanced_accuracy", "log_loss", "d_prime",
           "features", "coverage", "seconds", "status", "reason")


class Task(NamedTuple):
    """What all cells of one concept share.

    Parameters
    ----------
    concept, contrast, model : str
        For the table.
    y : ndarray (n_rows,) int64
        Labels of the design rows.
    groups : ndarray (n_rows,) str
        Their items.
    cells : ndarray (n_rows,) int64
        Their cells.
    folds : tuple of Split
        The same for every cell.
    seed : int
        Of this concept.
    models : dict of str to ndarray (n_rows, n_rows)
        Model dissimilarities by name, for rsa_model.
    """

    concept: str
    contrast: str
    model: str
    y: np.ndarray
    groups: np.ndarray
    cells: np.ndarray
    folds: tuple[Split, ...]
    seed: int
    models: dict


def coverage(X: np.ndarray, split: Split, task: Task) -> float:
    """Return the share of held-out target cells in which at least one of the columns is active (not 0).

    Parameters
    ----------
    X : ndarray (n_rows, k)
        Selected columns of all design rows.
    split : Split
        The fold.
    task : Task
        Labels.

    Returns
    -------
    float
        0 to 1.
    """
    rows = split.test
    active = cell_means((X[rows] != 0).any(axis=1)[:, None], task.y[rows], task.groups[rows], task.cells[rows])
    return float((active.X[active.y == 1] > 0).mean())


def base_row(view: View | None, selector: str, k: int | None, ensemble: str, kind: str, split: Split,
             task: Task) -> dict:
    """Return a row of the table with its keys and counts filled in and every measure missing.

    Parameters
    ----------
    view : View or None
        None for text baselines.
    selector : str
        Name of the criterion, baseline, skyline or control.
    k : int or None
        Number of features.
    ensemble : str
        Read-out.
    kind : str
        method | baseline | skyline | control.
    split : Split
        The fold.
    task : Task
        Concept and labels.

    Returns
    -------
    dict
    """
    keys = {"concept": task.concept, "contrast": task.contrast, "model": task.model,
            "representation": view.name if view else "", "site": view.site if view else "",
            "window": view.window if view else "", "pooling": view.pooling if view else "", "selector": selector,
            "k": k,
            "ensemble": ensemble, "kind": kind, "repeat": split.repeat, "fold": split.fold,
            "n_train": len(np.unique(task.groups[split.train])), "n_test": len(np.unique(task.groups[split.test]))}
    return keys | dict.fromkeys(MEASURES, np.nan) | {"features": "", "coverage": np.nan, "seconds": np.nan,
                                                     "status": "ok",
                                                     "reason": "", "inner_auroc": np.nan, "C": None}


def failed_row(view, selector: str, k, ensemble: str, kind: str, split: Split, task: Task, reason: str) -> dict:
    """Return a row that keeps its place without measures.

    Parameters
    ----------
    view, selector, k, ensemble, kind, split, task : object
        As in `base_row`.
    reason : str
        Why there is no measure.

    Returns
    -------
    dict
    """
    return base_row(view, selector, k, ensemble, kind, split, task) | {"status": "failed", "reason": reason}


def cells_of(rows: list[dict]) -> Iterator[list[dict]]:
    """Yield the rows of each cell (all repeats and folds), in order of first appearance.

    Parameters
    ----------
    rows : list of dict
        Rows of the table.

    Returns
    -------
    iterator of list of dict
    """
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        # a missing k is None in memory and NaN when read from a file; NaN equals nothing, so every row would be a cell
        key = tuple(None if pd.isna(row[name]) else row[name] for name in (
            "concept", "representation", "site", "window", "pooling", "selector", "k", "ensemble", "kind"))
        found.setdefault(key, []).append(row)
    yield from found.values()
