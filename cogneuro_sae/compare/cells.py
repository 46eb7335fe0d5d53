"""One family of cells on the folds: a view and a criterion, ranked once per fold and cut for every k and ensemble."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.compare.config import SelectorSpec
from cogneuro_sae.compare.folds import Split
from cogneuro_sae.compare.measures import Measures, cell_auroc, measure
from cogneuro_sae.compare.rows import Task, base_row, coverage, failed_row
from cogneuro_sae.compare.views import Features, View
from cogneuro_sae.errors import InputError
from cogneuro_sae.selection.ensembles import ENSEMBLES
from cogneuro_sae.selection.ranking import Ranking, rank_features

NOTHING = "no feature with a positive score and direction in the training items"
CHANCE = 0.5


class Readout(NamedTuple):
    """One read-out on one fold.

    Parameters
    ----------
    measures : Measures
        Held out.
    inner_auroc : float
        Mean inner AUROC at the C chosen.
    C : float or None
        Penalty, where the ensemble has one.
    """

    measures: Measures
    inner_auroc: float
    C: float | None


def family_rows(view: View, spec: SelectorSpec, ks: tuple[int, ...], ensembles: tuple[str, ...],
                task: Task) -> list[dict]:
    """Score every k x ensemble of one view and criterion on all folds.

    Everything is fitted inside the training rows: the encoder where it is fitted, the ranking, the scaler, the
    read-out; k and C are compared on inner folds with a ranking of their own. An inner fold in which nothing can be
    selected counts as chance when k and C are compared.

    Parameters
    ----------
    view : View
        Features.
    spec : SelectorSpec
        Criterion.
    ks : tuple of int
        Numbers of features.
    ensembles : tuple of str
        Read-outs.
    task : Task
        Labels and folds.

    Returns
    -------
    list of dict
        Rows of table.csv with `inner_auroc` and `C` beside, in the order k, ensemble, repeat, fold.
    """
    rows = {(k, name): [] for k in ks for name in ensembles}
    for split in task.folds:
        start = time.perf_counter()
        try:
            feats, ranking, inner = _ranked(view, spec, split, task)
        except InputError as error:
            for (k, name), found in rows.items():
                found.append(failed_row(view, spec.label, k, name, "method", split, task, str(error)))
            continue
        ranked = time.perf_counter() - start
        for (k, name), found in rows.items():
            found.append(_cell_row(view, spec, k, name, split, task, feats, ranking, inner, ranked))
    return [row for found in rows.values() for row in found]


def _ranked(view: View, spec: SelectorSpec, split: Split, task: Task):
    feats = view.fitted(split.train)
    ranking = rank(view, spec, feats, split.train, task)
    inner = []
    for fold in split.inner:
        # an encoder that is fitted has to be fitted again without the inner test rows
        part = view.fitted(fold.train) if view.encoder.components else feats
        inner.append((part, rank(view, spec, part, fold.train, task).order, fold))
    return feats, ranking, inner


def rank(view: View, spec: SelectorSpec, feats: Features, train: np.ndarray, task: Task) -> Ranking:
    """Rank features on training rows.

    Parameters
    ----------
    view : View
        For the sign of its units.
    spec : SelectorSpec
        Criterion.
    feats : Features
        Of all design rows.
    train : ndarray (n_train,) int64
        Rows that may be looked at.
    task : Task
        Labels.

    Returns
    -------
    Ranking
    """
    sources = replace(feats.sources, model=task.models.get(spec.options.get("model")))
    return rank_features(spec.name, feats.X[train], task.y[train], task.groups[train], sources=sources.rows(train),
                         signed=view.signed, **spec.options)


def _cell_row(view, spec, k, name, split, task, feats, ranking, inner, ranked) -> dict:
    start = time.perf_counter()
    columns = ranking.order[:k]
    if not len(columns):
        return failed_row(view, spec.label, k, name, "method", split, task, NOTHING)
    try:
        choices = [(part.X, order[:k], fold) for part, order, fold in inner]
        found = read_out(name, feats.X, columns, choices, split, task)
    except InputError as error:
        return failed_row(view, spec.label, k, name, "method", split, task, str(error))
    row = base_row(view, spec.label, k, name, "method", split, task)
    row |= found.measures._asdict()
    row |= {"features": " ".join(map(str, columns)), "coverage": coverage(feats.X[:, columns], split, task),
            "seconds": ranked + time.perf_counter() - start, "inner_auroc": found.inner_auroc, "C": found.C}
    return row


def read_out(name: str, X: np.ndarray, columns: np.ndarray, inner, split: Split, task: Task) -> Readout:
    """Choose C on the inner folds, fit on the training rows, measure on the test rows.

    Parameters
    ----------
    name : str
        A name of ENSEMBLES.
    X : ndarray (n_rows, n_features)
        Features of all design rows.
    columns : ndarray (k,) int64
        Selected on the training rows.
    inner : sequence of (X, columns, Inner)
        Features and selection of each inner fold.
    split : Split
        The outer fold.
    task : Task
        Labels.

    Returns
    -------
    Readout
    """
    scores = inner_scores(name, inner, task)
    best = max(scores, key=scores.get)
    model = fitted(name, best, X, columns, split.train, task)
    found = measure(model.decide(_float(X, split.test, columns)), task.y[split.test], task.groups[split.test],
                    task.cells[split.test],
                    log_odds=model.probabilities)
    return Readout(found, scores[best], best)


def inner_scores(name: str, inner, task: Task) -> dict[float | None, float]:
    """Return the mean inner AUROC of every C of an ensemble (None: it has no C); ties go to the first, the smallest.

    Parameters
    ----------
    name : str
        A name of ENSEMBLES.
    inner : sequence of (X, columns, Inner)
        Features and selection of each inner fold.
    task : Task
        Labels.

    Returns
    -------
    dict of float or None to float
    """
    grid = ENSEMBLES[name].grid or (None,)
    totals = dict.fromkeys(grid, 0.0)
    for X, columns, fold in inner:
        for C in grid:
            totals[C] += _inner_auroc(name, C, X, columns, fold, task) / len(inner)
    return totals


def _inner_auroc(name, C, X, columns, fold, task) -> float:
    if not len(columns):
        return CHANCE
    decision = fitted(name, C, X, columns, fold.train, task).decide(_float(X, fold.test, columns))
    return cell_auroc(decision, task.y[fold.test], task.groups[fold.test], task.cells[fold.test])


def fitted(name: str, C: float | None, X: np.ndarray, columns: np.ndarray, train: np.ndarray, task: Task):
    """Return an ensemble fitted on training rows; its scaler and its weights see nothing else.

    Parameters
    ----------
    name : str
        A name of ENSEMBLES.
    C : float or None
        Penalty, for those that have one.
    X : ndarray (n_rows, n_features)
        Features of all design rows.
    columns : ndarray (k,) int64
        Selected features.
    train : ndarray (n_train,) int64
        Training rows.
    task : Task
        Labels.

    Returns
    -------
    estimator
    """
    model = ENSEMBLES[name]() if C is None else ENSEMBLES[name](C=C)
    return model.fit_arrays(_float(X, train, columns), task.y[train])


def _float(X: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return X[np.ix_(rows, columns)].astype(np.float64)
