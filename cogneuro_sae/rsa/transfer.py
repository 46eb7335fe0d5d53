"""Temporal and layer generalisation: a read-out trained at one window or site, tested at another, on held-out items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import design_rows
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.responses.pooling import TRANSFORMS, scale_of


class Generalisation(NamedTuple):
    """Held-out AUROC of a read-out by where it was trained and where it was tested.

    Parameters
    ----------
    auroc : DataFrame (n_sites, n_sites)
        Rows: trained at; columns: tested at. Mean over folds; NaN where no fold could be scored.
    folds : ndarray (n_folds, n_sites, n_sites) float64
        AUROC of each fold, NaN where train or test rows lacked a side. Folds overlap: no standard error over them.
    n_stimuli : Series (n_sites,)
        Stimuli that have a value at each site.
    info : dict
        Folds, items, read-out, seed, folds without a score.
    """

    auroc: pd.DataFrame
    folds: np.ndarray
    n_stimuli: pd.Series
    info: dict


def generalisation(sites: Mapping, design, *, estimator=None, splits: int = 5, repeats: int = 1,
                   seed: int = 0) -> Generalisation:
    """Train a read-out at each site and test it at every site, on items it was not trained on (King and Dehaene 2014).

    Folds are the same for every pair of sites and keep items whole. A stimulus without a value at a site (a NaN row, a
    text too short for that window) is left out there, in training and in testing, and counted.

    Parameters
    ----------
    sites : mapping of str to ndarray (n_stimuli, n_features)
        Windows (`position_windows`) or layers; the same features everywhere; rows of the table or of the design; NaN
        rows are missing.
    design : Design
        Rows, labels and items.
    estimator : scikit-learn classifier, optional
        Cloned for each fit; default: standardised features and L2 logistic regression (C = 1).
    splits : int
        Folds.
    repeats : int
        Repetitions with other folds.
    seed : int
        Seed of the folds.

    Returns
    -------
    Generalisation

    Raises
    ------
    InputError
        Fewer than 2 sites, sites of different width, rows that are partly NaN, or fewer items than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names, X, y, groups = _checked(sites, design, splits)
    there = np.isfinite(X).all(axis=2)
    scores = []
    for repeat in range(repeats):
        folds = StratifiedGroupKFold(splits, shuffle=True, random_state=seed + repeat)
        for train, test in folds.split(y, y, groups):
            scores.append(_fold(X, y, there, train, test, _read_out(estimator)))
    folds = np.array(scores)
    scored = np.isfinite(folds).sum(axis=0)
    mean = np.where(scored > 0, np.nansum(folds, axis=0) / np.maximum(scored, 1), np.nan)
    info = {"folds": f"{repeats} x {splits} stratified group folds (groups = items)", "items": len(np.unique(groups)),
            "seed": seed, "read_out": "standardised, L2 logistic regression, C = 1" if estimator is None
            else repr(estimator), "fold_scores_missing": int(np.isnan(folds).sum()),
            "measure": "AUROC, mean over folds"}
    return Generalisation(pd.DataFrame(mean, index=names, columns=names), folds,
                          pd.Series(there.sum(axis=1), index=names, name="stimuli"), info)


def _checked(sites, design, splits):
    names = [str(name) for name in sites]
    if len(names) < 2:
        raise InputError(f"{len(names)} sites", allowed="at least 2 windows or layers")
    shapes = {name: np.shape(values) for name, values in sites.items()}
    if len(set(shapes.values())) > 1:
        shown = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:4])
        raise InputError(f"the sites differ in shape ({shown})",
                         do="a read-out moves only between equal features: use the residual stream, or one SAE for all")
    given = np.array([np.asarray(values, np.float64) for values in sites.values()])
    X = given[:, design_rows(given.shape[1], design)]
    some = np.isnan(X).any(axis=2) & ~np.isnan(X).all(axis=2)
    if some.any() or np.isinf(X).any():
        raise InputError("some stimuli have NaN or infinite values in some features only",
                         allowed="finite rows, or rows that are NaN throughout (missing)")
    y, groups = np.asarray(design.y), np.asarray(design.groups)
    if len(np.unique(groups)) < splits:
        raise InputError(f"{len(np.unique(groups))} items for {splits} folds", do="use fewer splits")
    return names, X, y, groups


def _read_out(estimator):
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)) if estimator is None else clone(estimator)


def _fold(X, y, there, train, test, estimator) -> np.ndarray:
    from sklearn.base import clone
    from sklearn.metrics import roc_auc_score

    scores = np.full((len(X), len(X)), np.nan)
    for i, values in enumerate(X):
        rows = train[there[i, train]]
        if len(np.unique(y[rows])) < 2:
            continue
        fitted = clone(estimator).fit(values[rows], y[rows])
        for j, other in enumerate(X):
            held = test[there[j, test]]
            if len(np.unique(y[held])) == 2:
                scores[i, j] = roc_auc_score(y[held], _decision(fitted, other[held]))
    return scores


def _decision(fitted, X) -> np.ndarray:
    return fitted.decision_function(X) if hasattr(fitted, "decision_function") else fitted.predict_proba(X)[:, 1]


def position_windows(responses: Responses, n: int, *, width: int = 1, through=None,
                     transform: str = "log1p") -> dict[str, np.ndarray]:
    """Cut the first tokens of every text into windows: one pooled value per feature, stimulus and window.

    Parameters
    ----------
    responses : Responses
        Token activations.
    n : int
        How many windows.
    width : int
        Tokens per window; their mean is taken after encoding.
    through : object, optional
        An SAE, or anything with `transform`.
    transform : str
        As in `Responses.pool`.

    Returns
    -------
    dict of str to ndarray (n_stimuli, n_features) float32
        Keys are positions counted from 1 ("3", or "5-8" for wider windows); a row is NaN where the text is too short to
        fill the window.

    Raises
    ------
    InputError
        Fewer than 1 window or token, unknown transform, or a window that no text fills.
    """
    if n < 1 or width < 1:
        raise InputError(f"{n} windows of {width} tokens", allowed="at least 1 of each")
    if transform not in TRANSFORMS:
        raise InputError(f"unknown transform {transform!r}", allowed=", ".join(TRANSFORMS))
    tokens = TokenFeatures(responses, through, f"first({n * width})")
    starts, counts = tokens.offsets[:-1], np.diff(tokens.offsets)
    if counts.max(initial=0) < n * width:
        raise InputError(f"the longest text has {counts.max(initial=0)} tokens, {n} windows need {n * width}",
                         do="use fewer or narrower windows")
    values, found = tokens.block(0, tokens.n_features), {}
    for number in range(n):
        first = number * width
        filled = np.flatnonzero(counts >= first + width)
        mean = values[starts[filled, None] + first + np.arange(width)].mean(axis=1)
        window = np.full((len(counts), values.shape[1]), np.nan, np.float32)
        window[filled] = TRANSFORMS[transform](mean, scale=scale_of(responses, through))
        found[str(first + 1) if width == 1 else f"{first + 1}-{first + width}"] = window
    return found
