"""Tests between arms: planned contrasts over features or concepts, an omnibus test and all pairs, with Holm."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.inference import MIN_CONCEPTS, cohen_dz, sign_flip_test
from cogneuro_sae.judge.analysis import ALL
from cogneuro_sae.stimuli.expressions import parse_expression

LEVEL = 0.95
COLUMNS = ("kind", "name", "expression", "concept", "rubric", "rater", "estimate", "low", "high", "statistic", "df",
           "p", "p_adjusted", "correction", "d", "n", "unit", "method", "reason")
WELCH = "Welch t over features"
OVER_CONCEPTS = "sign-flip of concept differences, interval by inversion"


class ArmContrast(NamedTuple):
    """A weighted sum of arm means.

    Parameters
    ----------
    estimate : float
        sum of weight x mean.
    low, high : float
        95 % interval.
    t, df, pvalue : float
        Welch t, Satterthwaite's degrees of freedom, two-sided p; NaN when the scores do not vary.
    d : float
        Estimate in standard deviations of features (pooled by |weight|).
    n : int
        Different features.
    shared : int
        Features that are in several of the arms.
    reason : str
        Why there is no test, else "".
    """

    estimate: float
    low: float
    high: float
    t: float
    df: float
    pvalue: float
    d: float
    n: int
    shared: int
    reason: str = ""


def arm_contrast(values: Mapping[str, Mapping], weights: Mapping[str, float]) -> ArmContrast:
    """Test sum_a w_a mean_a = 0 with the feature as the unit.

    The variance is sum_f (sum_(a with f) w_a (x_f - mean_a) / sqrt(n_a (n_a - 1)))^2: with disjoint arms Welch's
    sum w_a^2 s_a^2 / n_a, and a feature in several arms counts with its covariance. df after Satterthwaite 1946.

    Parameters
    ----------
    values : mapping of arm to mapping of feature to float
        Feature scores; NaN is left out.
    weights : mapping of arm to float
        Of the contrast.

    Returns
    -------
    ArmContrast
    """
    parts = {arm: pd.Series(values.get(arm, {}), dtype=float).dropna() for arm, weight in weights.items() if weight}
    small = [arm for arm, part in parts.items() if len(part) < 2]
    features = pd.concat(list(parts.values())).index if parts else pd.Index([])
    shared = int(features.duplicated().sum())
    if small or not parts:
        none = [np.nan] * 7
        return ArmContrast(*none, features.nunique(), shared,
                           f"fewer than two features with a score: {', '.join(small)}")
    estimate = sum(weights[arm] * part.mean() for arm, part in parts.items())
    pulls = [weights[arm] * (part - part.mean()) / np.sqrt(len(part) * (len(part) - 1)) for arm, part in parts.items()]
    variance = float((pd.concat(pulls).groupby(level=0).sum() ** 2).sum())
    alone = np.array([float((pull**2).sum()) for pull in pulls])
    counts = np.array([len(part) for part in parts.values()])
    sizes = np.abs([weights[arm] for arm in parts])
    spread = float(np.sqrt((sizes * [part.var() for part in parts.values()]).sum() / sizes.sum()))
    if not variance > 1e-18:
        return ArmContrast(estimate, estimate, estimate, np.nan, np.nan, np.nan, np.nan, features.nunique(), shared,
                           "the feature scores do not vary: no test")
    return _welch(estimate, variance, float(alone.sum() ** 2 / (alone**2 / (counts - 1)).sum()), spread,
                  features.nunique(), shared)


def _welch(estimate, variance, df, spread, n, shared) -> ArmContrast:
    from scipy import stats

    error = np.sqrt(variance)
    half = stats.t.ppf((1 + LEVEL) / 2, df) * error
    return ArmContrast(float(estimate), float(estimate - half), float(estimate + half), float(estimate / error), df,
                       float(2 * stats.t.sf(abs(estimate / error), df)),
                       float(estimate / spread) if spread > 0 else np.nan, int(n), shared)


def contrasts(features: pd.DataFrame, *, planned: Mapping[str, str] | None = None, seed: int = 0) -> pd.DataFrame:
    """Return planned contrasts of arms, an omnibus test and all pairs, for each concept, rubric and rater.

    Within a concept the unit is the feature; over six or more concepts it is the concept (sign-flip), with fewer there
    is an estimate and no test. Holm's family is all contrasts of a kind named for one concept, rubric and rater; one
    without p counts as p = 1. With `planned`, what was not planned is marked exploratory by its kind.

    Parameters
    ----------
    features : DataFrame
        From `feature_table`.
    planned : mapping of str to str, optional
        Name to expression over arms, such as `max_any - random`.
    seed : int
        For sampled sign patterns over more than 13 concepts.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, in points of the score.

    Raises
    ------
    InputError
        An expression names an arm that no feature has, or cannot be read.
    """
    arms = list(dict.fromkeys(features["arm"]))
    named = {name: parse_expression(text, arms, where=f"planned.{name}") for name, text in (planned or {}).items()}
    pairs = {f"{a} - {b}": {a: 1.0, b: -1.0} for a, b in combinations(arms, 2)}
    kinds = {"planned": named, "pairwise": pairs}
    rows = []
    for (rubric, rater), part in features.groupby(["rubric", "rater"], sort=False):
        if not part["score"].notna().any():
            continue
        where = {"rubric": rubric, "rater": rater}
        concepts = {concept: _values(each) for concept, each in part.groupby("concept", sort=False)}
        for concept, values in concepts.items():
            rows += [where | {"concept": concept} | row for row in _within(values, kinds, planned or {})]
        if len(concepts) > 1:
            rows += [where | {"concept": ALL} | row for row in _across(concepts, kinds, planned or {}, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _values(part: pd.DataFrame) -> dict[str, dict]:
    return {arm: dict(zip(rows["feature"], rows["score"])) for arm, rows in part.groupby("arm", sort=False)}


def _within(values: dict, kinds: dict, planned: Mapping[str, str]) -> list[dict]:
    rows = [_omnibus(values)]
    for kind, family in kinds.items():
        block = []
        for name, weights in family.items():
            found = arm_contrast(values, weights)
            notes = [found.reason] * bool(found.reason)
            notes += [f"{found.shared} features are in several arms: their covariance is counted"] * bool(found.shared)
            block.append({"kind": kind, "name": name, "expression": planned.get(name, name), "estimate": found.estimate,
                          "low": found.low, "high": found.high, "statistic": found.t, "df": found.df,
                          "p": found.pvalue, "d": found.d, "n": found.n, "unit": "feature", "method": WELCH,
                          "reason": "; ".join(notes)})
        rows += _adjusted(block)
    return rows


def _omnibus(values: dict) -> dict:
    """Welch's F over features; Kruskal-Wallis beside it for scores that pile up at the ends."""
    from scipy import stats

    parts = [part for each in values.values() if len(part := pd.Series(each, dtype=float).dropna()) > 1]
    row = {"kind": "omnibus", "name": "all arms equal", "expression": "", "n": sum(map(len, parts)), "unit": "feature",
           "method": "Welch F over features", "correction": "none", "reason": ""}
    if len(parts) < 2 or sum(part.var() > 0 for part in parts) < len(parts):
        return row | {"reason": "fewer than two arms, or an arm whose feature scores do not vary: no test"}
    welch, ranks = stats.f_oneway(*parts, equal_var=False), stats.kruskal(*parts)
    notes = [f"Kruskal-Wallis H = {ranks.statistic:.2f}, p = {ranks.pvalue:.3g}"]
    shared = sum(map(len, parts)) - len(set().union(*(part.index for part in parts)))
    notes += [f"{shared} features are in several arms, which this test takes for different ones"] * bool(shared)
    return row | {"statistic": float(welch.statistic), "df": len(parts) - 1, "p": float(welch.pvalue),
                  "p_adjusted": float(welch.pvalue), "reason": "; ".join(notes)}


def _across(concepts: dict[str, dict], kinds: dict, planned: Mapping[str, str], seed: int) -> list[dict]:
    rows = []
    for kind, family in kinds.items():
        block = []
        for name, weights in family.items():
            each = np.array([arm_contrast(values, weights).estimate for values in concepts.values()])
            block.append({"kind": kind, "name": name, "expression": planned.get(name, name), "unit": "concept",
                          "method": OVER_CONCEPTS} | _over_concepts(each, seed))
        rows += _adjusted(block)
    return rows


def _over_concepts(differences: np.ndarray, seed: int) -> dict:
    known = differences[np.isfinite(differences)]
    row = {"n": len(known), "estimate": float(known.mean()) if len(known) else np.nan, "reason": ""}
    if len(known) < len(differences):
        row["reason"] = f"{len(differences) - len(known)} of {len(differences)} concepts lack an arm with two features"
    if len(known) < MIN_CONCEPTS:
        few = f"no test over {len(known)} concept{'s' * (len(known) != 1)}: {MIN_CONCEPTS} are needed"
        return row | {"reason": "; ".join(filter(None, [few, row["reason"]]))}
    flip = sign_flip_test(known, seed=seed)
    return row | {"low": flip.ci_low, "high": flip.ci_high, "p": flip.pvalue, "d": cohen_dz(known)}


def _adjusted(block: list[dict]) -> list[dict]:
    """Holm over all contrasts of the block; one without p counts as 1, so that a failure does not ease the others."""
    p = np.array([row.get("p", np.nan) for row in block], float)
    if not np.isfinite(p).any():
        return block
    # pingouin's: statsmodels' collects garbage on every call, which dominates with many concepts
    from pingouin import multicomp

    adjusted = np.where(np.isnan(p), np.nan, multicomp(np.where(np.isnan(p), 1.0, p), method="holm")[1])
    return [row | {"p_adjusted": value, "correction": f"Holm over {len(block)} {row['kind']} contrasts"}
            for row, value in zip(block, adjusted, strict=True)]
