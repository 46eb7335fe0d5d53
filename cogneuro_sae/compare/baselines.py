"""Floors, skylines and controls on the folds: surface text, embeddings, full width, random features."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from cogneuro_sae.compare.cells import NOTHING, fitted, inner_scores, read_out

from cogneuro_sae.compare.folds import seed_of
from cogneuro_sae.compare.measures import MEASURES, measure
from cogneuro_sae.compare.rows import Task, base_row, coverage, failed_row
from cogneuro_sae.compare.views import View
from cogneuro_sae.errors import InputError
from cogneuro_sae.selection.scores import SCORES
from cogneuro_sae.stimuli.surface import SURFACE

PROBE = "logistic_ridge"
TUNING_DRAWS = 3


def text_rows(name: str, texts: list[str], task: Task) -> list[dict]:
    """Score a surface baseline.

    Parameters
    ----------
    name : str
        A name of SURFACE.
    texts : list of str
        Texts of the design rows.
    task : Task
        Labels and folds.

    Returns
    -------
    list of dict
        Rows of table.csv, kind "baseline".
    """
    rows, texts = [], np.array(texts, dtype=object)
    for split in task.folds:
        start = time.perf_counter()
        try:
            model = SURFACE[name]().fit(list(texts[split.train]), task.y[split.train])
            decision = model.decision_function(list(texts[split.test]))
        except ValueError as error:
            # such as texts without a single word
            rows.append(failed_row(None, name, None, "logistic_ridge", "baseline", split, task, str(error)))
            continue
        found = measure(decision, task.y[split.test], task.groups[split.test], task.cells[split.test], log_odds=True)
        row = base_row(None, name, None, "logistic_ridge", "baseline", split, task) | found._asdict()
        rows.append(row | {"seconds": time.perf_counter() - start})
    return rows


def probe_rows(name: str, kind: str, view: View, task: Task) -> list[dict]:
    """Score a ridge logistic regression over all units of a view, C by inner cross-validation.

    Parameters
    ----------
    name : str
        "full_probe" (skyline) or "embedding" (baseline).
    kind : str
        skyline | baseline.
    view : View
        The raw stream, or the mean layer-0 embedding.
    task : Task
        Labels and folds.

    Returns
    -------
    list of dict
        Rows of table.csv.
    """
    rows, columns = [], np.arange(view.X.shape[1])
    for split in task.folds:
        start = time.perf_counter()
        found = read_out(PROBE, view.X, columns, [(view.X, columns, fold) for fold in split.inner], split, task)
        row = base_row(view, name, None, PROBE, kind, split, task) | found.measures._asdict()
        rows.append(row | {"seconds": time.perf_counter() - start, "inner_auroc": found.inner_auroc, "C": found.C})
    return rows


def control_rows(name: str, view: View, ks: tuple[int, ...], ensembles: tuple[str, ...], draws: int, task: Task, *,
                 matched_to: dict | None = None) -> tuple[list[dict], list[dict]]:
    """Score features chosen without labels, over many draws.

    A draw of `random` is one set of features for all folds; a draw of `rate_matched` follows the firing rates of the
    features that the methods of the same view and k selected in the same fold. One C per fold serves all draws: the one
    with the best mean inner AUROC over the first three.

    Parameters
    ----------
    name : str
        "random" or "rate_matched".
    view : View
        Features.
    ks : tuple of int
        Numbers of features.
    ensembles : tuple of str
        Read-outs.
    draws : int
        How many.
    task : Task
        Labels and folds.
    matched_to : dict, optional
        {(k, repeat, fold): features to match}, for `rate_matched`.

    Returns
    -------
    tuple of list of dict
        Rows of table.csv (each measure the mean over draws), and one entry per cell and draw with its measures averaged
        over folds, which make the band.
    """
    rows, bands = [], []
    for k in ks:
        for ensemble in ensembles:
            each = {measure_name: np.full((len(task.folds), draws), np.nan) for measure_name in MEASURES}
            for place, split in enumerate(task.folds):
                start = time.perf_counter()
                try:
                    row = _control_row(name, view, k, ensemble, draws, split, task, matched_to or {}, each, place)
                except InputError as error:
                    row = failed_row(view, name, k, ensemble, "control", split, task, str(error))
                rows.append(row | ({"seconds": time.perf_counter() - start} if row["status"] == "ok" else {}))
            for draw in range(draws):
                means = {key: _mean(values[:, draw]) for key, values in each.items()}
                bands.append({"representation": view.name, "site": view.site, "window": view.window,
                              "pooling": view.pooling,
                              "selector": name, "k": k, "ensemble": ensemble, "draw": draw, **means})
    return rows, bands


def _control_row(name, view, k, ensemble, draws, split, task, matched_to, each, place) -> dict:
    feats = view.fitted(split.train)
    wanted = matched_to.get((k, split.repeat, split.fold))
    if name == "rate_matched" and (wanted is None or not len(wanted)):
        return failed_row(view, name, k, ensemble, "control", split, task, "no method selected features to match")
    X = feats.X[split.train]
    sets = [_drawn(name, view, X, feats.sources, k, split, task, draw, wanted) for draw in range(draws)]
    if not all(len(columns) for columns in sets):
        return failed_row(view, name, k, ensemble, "control", split, task,
                          NOTHING.replace("positive score and direction",
                                                                                           "variance"))
    parts = [view.fitted(fold.train) if view.encoder.components else feats for fold in split.inner]
    tuned = [inner_scores(ensemble, [(part.X, columns, fold) for part, fold in zip(parts, split.inner)], task)
             for columns in sets[:TUNING_DRAWS]]
    C = max(tuned[0], key=lambda value: sum(scores[value] for scores in tuned))
    covered = []
    for draw, columns in enumerate(sets):
        model = fitted(ensemble, C, feats.X, columns, split.train, task)
        found = measure(model.decide(feats.X[np.ix_(split.test, columns)].astype(float)), task.y[split.test],
                        task.groups[split.test], task.cells[split.test], log_odds=model.probabilities)
        for key, value in found._asdict().items():
            each[key][place, draw] = value
        covered.append(coverage(feats.X[:, columns], split, task))
    row = base_row(view, name, k, ensemble, "control", split, task)
    means = {key: _mean(values[place]) for key, values in each.items()}
    return row | means | {"coverage": float(np.mean(covered)), "C": C}


def _drawn(name, view, X, sources, k, split, task, draw, wanted) -> np.ndarray:
    # a random set is the same in all folds; which of its features vary is looked up in the training rows only
    fold = () if name == "random" else (split.repeat, split.fold)
    seed = seed_of(task.seed, name, view.name, view.site, k if name != "random" else "", draw, *fold)
    options = {} if wanted is None else {"to": wanted}
    found = SCORES[name](X, task.y[split.train], groups=task.groups[split.train], sources=replace(sources, seed=seed),
                         **options)
    return found.top(k)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
