"""Planned contrasts, named before anything is scored: within one concept (descriptive) and over concepts (the test)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cogneuro_sae.compare.config import CompareConfig
from cogneuro_sae.compare.nested import BEST, fold_scores
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import (bootstrap_ci, cohen_dz, corrected_resampled_t, holm, sign_flip_test,
                                    t_interval, tost)
from cogneuro_sae.stimuli.expressions import parse_expression

MIN_CONCEPTS = 6
COLUMNS = ("name", "scope", "concept", "expression", "estimate", "low", "high", "p", "p_adjusted", "correction",
           "method", "n",
           "unit", "t", "df", "d_z", "t_low", "t_high", "bca_low", "bca_high", "equivalent", "margin",
           "equivalence_low",
           "equivalence_high", "equivalence_p", "n_needed", "reason")
WITHIN = "corrected resampled t over folds (Nadeau-Bengio, df = splits - 1), descriptive"
ACROSS = "sign-flip of paired concept differences, interval by inversion"


def planned_tests(config: CompareConfig, nested: pd.DataFrame, floors: dict[str, dict[str, np.ndarray]],
                  items: dict[str, int], *, seed: int = 0) -> pd.DataFrame:
    """Evaluate the planned contrasts on nested held-out AUROC.

    A name stands for the mean of the methods that hold it; a name of a baseline, skyline or control for its score on
    the same folds. Within a concept: corrected resampled t, Holm over the contrasts, descriptive. Over concepts:
    sign-flip of concept differences with Holm, d_z, t and BCa intervals and TOST beside; fewer than six concepts: no
    test.

    Parameters
    ----------
    config : CompareConfig
        Its `planned`, `margin`, folds and names.
    nested : DataFrame
        From `nested_table`.
    floors : dict of concept to dict of name to ndarray (n_folds,)
        Fold AUROC of baselines, skylines and controls.
    items : dict of concept to int
        Number of items.
    seed : int
        For resampling.

    Returns
    -------
    DataFrame
        tests.csv: rows `within` per concept, then rows `across`.
    """
    concepts = list(dict.fromkeys(nested["concept"])) if len(nested) else []
    differences = {}
    for concept in concepts:
        scores = fold_scores(nested, concept) | floors.get(concept, {})
        for name, expression in config.planned.items():
            differences[concept, name] = contrast_scores(expression, config, scores)
    rows = []
    for concept in concepts:
        block = [_within(config, name, concept, differences[concept, name], items.get(concept))
                 for name in config.planned]
        rows += _adjusted(block)
    if concepts and config.planned:
        block = []
        for name in config.planned:
            folds = [differences[concept, name] for concept in concepts]
            means = [float(np.nanmean(d)) if np.isfinite(d).any() else np.nan for d in folds]
            block.append(_across(config, name, np.array(means), seed))
        rows += _adjusted(block)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def contrast_scores(expression: str, config: CompareConfig, scores: dict[str, np.ndarray]) -> np.ndarray:
    """Return the fold-wise value of a planned contrast.

    Parameters
    ----------
    expression : str
        Such as `sae - raw`.
    config : CompareConfig
        Its names.
    scores : dict of str to ndarray (n_folds,)
        Nested scores by method, and those of baselines, skylines and controls by name.

    Returns
    -------
    ndarray (n_folds,) float64
        NaN in folds where a part failed.
    """
    levels = config.levels()
    total = 0.0
    for name, weight in parse_expression(expression, levels).items():
        axis, value = levels[name]
        total = total + weight * np.mean([scores[each] for each in scores if _holds(each, axis, value)], axis=0)
    return np.asarray(total, float)


def _holds(method: str, axis: str, value) -> bool:
    parts = method.split("/")
    if axis in ("baseline", "skyline", "control"):
        return method == value
    if len(parts) != 3 or method == BEST:
        return False
    if axis == "pair":
        return tuple(parts[:2]) == tuple(value)
    return parts[("representation", "selector", "ensemble").index(axis)] == value


def _row(config, name: str, scope: str, concept: str, **found) -> dict:
    row = dict.fromkeys(COLUMNS, np.nan) | {"correction": "", "method": "", "reason": "", "equivalent": ""}
    return row | {"name": name, "scope": scope, "concept": concept, "expression": config.planned[name],
                  "unit": "AUROC"} | found


def _within(config, name, concept, differences, n_items) -> dict:
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        return _row(config, name, "within", concept, method=WITHIN, reason="fewer than two folds have both sides")
    found = corrected_resampled_t(differences, splits=config.folds.splits)
    lost = len(differences) - len(known)
    return _row(config, name, "within", concept, estimate=found.mean, low=found.ci_low, high=found.ci_high,
                p=found.pvalue,
                t=found.t, df=found.df, method=WITHIN, n=n_items, reason=f"{lost} folds failed" if lost else "")


def _across(config, name, means: np.ndarray, seed: int) -> dict:
    known = means[np.isfinite(means)]
    estimate = float(known.mean()) if len(known) else np.nan
    if len(known) < MIN_CONCEPTS:
        return _row(config, name, "across", "", estimate=estimate, n=len(known), method=ACROSS,
                    reason=f"no test over {len(known)} concept{'s' * (len(known) != 1)}: {MIN_CONCEPTS} are needed (plan 20 or more)")
    flip, t = sign_flip_test(known, seed=seed), t_interval(known)
    same = tost(known, margin=config.margin)
    bca = _bca(known, seed)
    return _row(config, name, "across", "", estimate=flip.estimate, low=flip.ci_low, high=flip.ci_high, p=flip.pvalue,
                method=ACROSS + (" (exact)" if flip.exact else ""), n=flip.n, d_z=cohen_dz(known), t_low=t.ci_low,
                t_high=t.ci_high, bca_low=bca[0], bca_high=bca[1], equivalent=same.equivalent, margin=config.margin,
                equivalence_low=same.ci_low, equivalence_high=same.ci_high, equivalence_p=same.pvalue,
                n_needed=same.n_needed)


def _bca(known: np.ndarray, seed: int) -> tuple[float, float]:
    try:
        return bootstrap_ci(known, seed=seed)
    except InputError:
        return np.nan, np.nan


def _adjusted(block: list[dict]) -> list[dict]:
    if not block:
        return []
    adjusted = holm(np.array([row["p"] for row in block], float))
    scope = "over planned contrasts" + (" of this concept" if block[0]["scope"] == "within" else "")
    return [row | {"p_adjusted": p, "correction": f"Holm {scope}" if np.isfinite(p) else ""}
            for row, p in zip(block, adjusted)]
