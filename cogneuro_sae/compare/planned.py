"""Planned contrasts, named before anything is scored: within one concept (descriptive) and over concepts (the test)."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.compare.config import CompareConfig
from cogneuro_sae.compare.nested import BEST, fold_scores
from cogneuro_sae.compare.summary import counted
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
    the same folds; a baseline below .5 on average counts as .5, and `reason` says so. Within a concept: corrected
    resampled t, Holm over the contrasts, descriptive. Over concepts: sign-flip of concept differences with Holm, d_z, t
    and BCa intervals and TOST beside; fewer than six concepts: no test. Holm's family is all contrasts named: one
    without p counts as p = 1.

    Parameters
    ----------
    config : CompareConfig
        Its `planned`, `margin`, folds and names.
    nested : DataFrame
        From `nested_table`.
    floors : dict of concept to dict of name to ndarray (n_folds,)
        Fold AUROC of baselines, skylines and controls as measured.
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
    found = {(concept, name): _difference(name, config, fold_scores(nested, concept), floors.get(concept, {}))
             for concept in concepts for name in config.planned}
    rows = []
    for concept in concepts:
        rows += _adjusted([_within(config, name, concept, found[concept, name], items.get(concept))
                           for name in config.planned])
    if concepts:
        rows += _adjusted([_across(config, name, {concept: found[concept, name] for concept in concepts}, seed)
                           for name in config.planned])
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Difference(NamedTuple):
    """A planned contrast in one concept: fold values, baselines that count as .5 (with their AUROC), what has no score.
    """

    folds: np.ndarray
    raised: dict[str, float]
    missing: list[str]


def _difference(name: str, config: CompareConfig, methods: dict, floors: dict) -> _Difference:
    expression, levels = config.planned[name], config.levels()
    used = parse_expression(expression, levels)
    scores = methods | {each: counted(values) if levels.get(each, ("",))[0] == "baseline" else values
                        for each, values in floors.items()}
    raised = {each: float(np.nanmean(floors[each])) for each in used
              if each in floors and scores[each] is not floors[each]}
    missing = []
    for each in used:
        parts = [part for part in scores if _holds(part, *levels[each])]
        missing += [part for part in parts if not np.isfinite(scores[part]).any()] if parts else [each]
    return _Difference(contrast_scores(expression, config, scores), raised, list(dict.fromkeys(missing)))


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
        total = total + weight * _level(levels[name], scores)
    return np.asarray(total, float)


def _level(level: tuple, scores: dict[str, np.ndarray]) -> np.ndarray:
    """Mean over what a name stands for; NaN where a part failed or nothing has a score."""
    parts = [values for each, values in scores.items() if _holds(each, *level)]
    return np.mean(parts, axis=0) if parts else np.full(len(next(iter(scores.values()))), np.nan)


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


def _within(config, name, concept, found: _Difference, n_items) -> dict:
    known = found.folds[np.isfinite(found.folds)]
    notes = [f"{each} has no score" for each in found.missing]
    notes += [f"{each} is at {_short(mean)} on average and counts as .5" for each, mean in found.raised.items()]
    if len(known) < 2:
        return _row(config, name, "within", concept, method=WITHIN,
                    reason="; ".join(["fewer than two folds have both sides", *notes]))
    t = corrected_resampled_t(found.folds, splits=config.folds.splits)
    lost = len(found.folds) - len(known)
    reasons = [f"{lost} folds failed"] * (lost > 0)
    reasons += ["the differences do not vary over folds: no t"] * bool(np.isnan(t.t))
    return _row(config, name, "within", concept, estimate=t.mean, low=t.ci_low, high=t.ci_high, p=t.pvalue, t=t.t,
                df=t.df, method=WITHIN, n=n_items, reason="; ".join(reasons + notes))


def _across(config, name, found: dict[str, _Difference], seed: int) -> dict:
    """`found` by concept."""
    means = {concept: float(np.nanmean(each.folds)) for concept, each in found.items() if np.isfinite(each.folds).any()}
    known, notes = np.array(list(means.values())), _notes(found, means)
    if len(known) < MIN_CONCEPTS:
        few = (f"no test over {len(known)} concept{'s' * (len(known) != 1)}: {MIN_CONCEPTS} are needed "
               "(plan 20 or more)")
        return _row(config, name, "across", "", estimate=float(known.mean()) if len(known) else np.nan, n=len(known),
                    method=ACROSS, reason="; ".join([few, *notes]))
    flip, t = sign_flip_test(known, seed=seed), t_interval(known)
    same = tost(known, margin=config.margin)
    bca = _bca(known, seed)
    return _row(config, name, "across", "", estimate=flip.estimate, low=flip.ci_low, high=flip.ci_high, p=flip.pvalue,
                method=ACROSS + (" (exact)" if flip.exact else ""), n=flip.n, d_z=cohen_dz(known), t_low=t.ci_low,
                t_high=t.ci_high, bca_low=bca[0], bca_high=bca[1], equivalent=same.equivalent, margin=config.margin,
                equivalence_low=same.ci_low, equivalence_high=same.ci_high, equivalence_p=same.pvalue,
                n_needed=same.n_needed, reason="; ".join(notes))


def _notes(found: dict[str, _Difference], means: dict[str, float]) -> list[str]:
    lost = [concept for concept in found if concept not in means]
    notes = [f"{len(lost)} of {len(found)} concepts left out (all folds failed): {', '.join(lost)}"] * bool(lost)
    raised = Counter(each for concept in means for each in found[concept].raised)
    return notes + [f"{each} is below .5 in {count} of {len(means)} concepts and counts as .5 there"
                    for each, count in raised.items()]


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _bca(known: np.ndarray, seed: int) -> tuple[float, float]:
    try:
        return bootstrap_ci(known, seed=seed)
    except InputError:
        return np.nan, np.nan


def _adjusted(block: list[dict]) -> list[dict]:
    """Holm over all contrasts named: one without p counts as 1, so that a failure does not ease the others' p."""
    p = np.array([row["p"] for row in block], float)
    if not np.isfinite(p).any():
        return block
    adjusted = np.where(np.isnan(p), np.nan, holm(np.where(np.isnan(p), 1.0, p)))
    scope = f"over {len(block)} planned contrasts" + (" of this concept" if block[0]["scope"] == "within" else "")
    return [row | ({"p_adjusted": value, "correction": f"Holm {scope}"} if np.isfinite(value) else
                   {"reason": "; ".join(filter(None, [row["reason"], "counts as p = 1 in Holm's correction"]))})
            for row, value in zip(block, adjusted)]
