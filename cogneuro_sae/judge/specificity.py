"""What a score depends on and how it is spread: activation, other axes, levels by arm and control, cost by rater."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cogneuro_sae.inference import MIN_CONCEPTS, t_interval
from cogneuro_sae.judge.analysis import ALL
from cogneuro_sae.judge.gate_checks import mean_interval
from cogneuro_sae.judge.score_frame import CONTROL_ARMS, by_arm, item_means, measured, top_of

MIN_WINDOWS, MIN_FEATURES = 5, 5
ZERO = "zero activation"
BY = ["rubric", "rater", "arm"]


def activation_correlation(scores: pd.DataFrame) -> pd.DataFrame:
    """Return per arm how far the score follows the activation: Spearman inside each feature, averaged over features.

    All windows of a feature count, those of zero activation included.

    Parameters
    ----------
    scores : DataFrame
        From `score_frame`.

    Returns
    -------
    DataFrame
        `rubric rater arm rho low high n n_left_out`: mean with its 95 % t interval over features; features with fewer
        than five scored windows, or whose scores or activations do not vary, are left out and counted.
    """
    windows = by_arm(item_means(measured(scores)))
    windows = windows[windows["bin"] >= 0]
    rows = []
    for key, part in windows.groupby(BY, sort=False):
        found = [_spearman(each["value"], each["score"])
                 for _, each in part.groupby(["concept", "feature"], sort=False)]
        known = np.array([rho for rho in found if np.isfinite(rho)])
        rows.append([*key, *mean_interval(known, scale=(-1.0, 1.0)), len(known), len(found) - len(known)])
    return pd.DataFrame(rows, columns=[*BY, "rho", "low", "high", "n", "n_left_out"])


def _spearman(a: pd.Series, b: pd.Series, least: int = MIN_WINDOWS) -> float:
    from scipy import stats

    known = a.notna() & b.notna()
    if known.sum() < least or a[known].nunique() < 2 or b[known].nunique() < 2:
        return float("nan")
    return float(stats.spearmanr(a[known], b[known]).statistic)


def score_by_bin(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score per arm and activation bin with the feature as the unit; bin 0 is zero activation.

    Parameters
    ----------
    scores : DataFrame
        From `score_frame`.

    Returns
    -------
    DataFrame
        `rubric rater arm bin mean low high n`, n = features with a score in the bin.
    """
    windows = by_arm(item_means(measured(scores)))
    windows = windows[windows["bin"] >= 0]
    each = windows.groupby([*BY, "bin", "concept", "feature"], sort=False)["score"].mean().dropna()
    rows = [[*key, *mean_interval(part.to_numpy(), scale=(0.0, top_of(key[0]))), len(part)]
            for key, part in each.groupby(level=[*BY, "bin"], sort=False)]
    table = pd.DataFrame(rows, columns=[*BY, "bin", "mean", "low", "high", "n"])
    return table.sort_values([*BY, "bin"], kind="stable", ignore_index=True)


def score_levels(scores: pd.DataFrame) -> pd.DataFrame:
    """Return how many calls got each score, per arm and per kind of control; zero-activation windows are a control.

    Parameters
    ----------
    scores : DataFrame
        From `score_frame`.

    Returns
    -------
    DataFrame
        `rubric rater group kind` (kind "arm" | "control"; control features are controls), `score_0` .. `score_3`
        (scores rounded), `missing`, `mean low high` over `n` units (features of an arm and of zero windows,
        items of other controls).
    """
    inside = measured(scores)
    arms = by_arm(inside)
    alone = arms["control"].isin(CONTROL_ARMS)
    arms = arms.assign(group=arms["arm"], kind=np.where(alone, "control", "arm"),
                       unit=arms["concept"] + arms["feature"])
    zero = inside[inside["bin"] == 0].assign(group=ZERO, kind="control", unit=inside["concept"] + inside["feature"])
    parts = [arms[arms["bin"] != 0], zero]
    rest = scores[~scores.index.isin(inside.index) & (scores["control"] != "")]
    parts.append(rest.assign(group=rest["control"], kind="control", unit=rest["item"]))
    rows = []
    for key, part in pd.concat(parts).groupby(["rubric", "rater", "group"], sort=False):
        counts = part["score"].round().value_counts()
        units = part.groupby("unit")["score"].mean().dropna().to_numpy(float)
        kind = "arm" if (part["kind"] == "arm").any() else "control"
        rows.append([*key, kind, *(int(counts.get(float(level), 0)) for level in range(4)),
                     int((~part["answered"]).sum()), *mean_interval(units, scale=(0.0, top_of(key[0]))), len(units)])
    return pd.DataFrame(rows, columns=["rubric", "rater", "group", "kind", *(f"score_{n}" for n in range(4)), "missing",
                                       "mean", "low", "high", "n"])


def axis_correlations(features: pd.DataFrame, axes: pd.DataFrame, *, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rank correlation of judge scores with other axes, inside concepts and tested over concepts.

    Parameters
    ----------
    features : DataFrame
        From `feature_table`.
    axes : DataFrame
        `feature` and `columns`; `concept` where there are several.
    columns : sequence of str
        Names of the axes, such as "detection", "necessity".

    Returns
    -------
    DataFrame
        `rubric rater axis concept rho low high p n unit reason`: a row per concept (Spearman over features, no test),
        and over several concepts a row of their mean with a t interval and p (six concepts or more).
    """
    once = features.drop_duplicates(["concept", "feature", "rubric", "rater"])
    on = ["concept", "feature"] if "concept" in axes else ["feature"]
    joined = once.merge(axes[[*on, *columns]], on=on, how="inner", validate="many_to_one")
    rows = []
    for (rubric, rater), part in joined.groupby(["rubric", "rater"], sort=False):
        for axis in columns:
            within = {concept: (_spearman(each["score"], each[axis], MIN_FEATURES), len(each[["score", axis]].dropna()))
                      for concept, each in part.groupby("concept", sort=False)}
            rows += [[rubric, rater, axis, concept, rho, np.nan, np.nan, np.nan, n, "feature",
                      "" if np.isfinite(rho) else "too few features, or values that do not vary"]
                     for concept, (rho, n) in within.items()]
            if len(within) > 1:
                rows.append([rubric, rater, axis, ALL, *_over(np.array([rho for rho, _ in within.values()]))])
    return pd.DataFrame(rows, columns=["rubric", "rater", "axis", "concept", "rho", "low", "high", "p", "n", "unit",
                                       "reason"])


def _over(values: np.ndarray) -> list:
    known = values[np.isfinite(values)]
    if len(known) < MIN_CONCEPTS:
        mean = float(known.mean()) if len(known) else np.nan
        return [mean, np.nan, np.nan, np.nan, len(known), "concept", f"no test below {MIN_CONCEPTS} concepts"]
    found = t_interval(known)
    return [found.estimate, max(found.ci_low, -1.0), min(found.ci_high, 1.0), found.pvalue, len(known), "concept", ""]


def cost_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return calls, tokens, cost and time per rater and rubric.

    Parameters
    ----------
    scores : DataFrame
        From `score_frame`.

    Returns
    -------
    DataFrame
        `rater rubric calls answered tokens_in tokens_out cost cost_per_answer seconds`; cost in the price table's
        currency, 0 for raters on this machine.
    """
    sums = scores.groupby(["rater", "rubric"], sort=False)[["tokens_in", "tokens_out", "cost", "seconds"]].sum()
    by = scores.groupby(["rater", "rubric"], sort=False)["answered"]
    table = sums.assign(calls=by.size(), answered=by.sum().astype(int))
    table["cost_per_answer"] = table["cost"] / table["answered"].where(table["answered"] > 0)
    return table.reset_index()[["rater", "rubric", "calls", "answered", "tokens_in", "tokens_out", "cost",
                                "cost_per_answer", "seconds"]]


def agreement_matrix(gates: pd.DataFrame, *, rubric: str) -> pd.DataFrame:
    """Return alpha between raters with each rater's repeatability on the diagonal.

    Parameters
    ----------
    gates : DataFrame
        From `gates`.
    rubric : str
        Whose.

    Returns
    -------
    DataFrame (n_raters, n_raters)
        NaN where it was not measured.
    """
    rows = gates[gates["rubric"] == rubric]
    value = dict(zip(zip(rows["gate"], rows["rater"]), pd.to_numeric(rows["value"], errors="coerce")))
    raters = [name for name in dict.fromkeys(rows["rater"]) if name != "all"]
    pairs = [gate.removeprefix("agreement: ") for gate in rows["gate"] if gate.startswith("agreement: ")]
    ends = [end for pair in pairs for end in _split(pair, raters)]
    raters = list(dict.fromkeys([*raters, *ends]))
    table = pd.DataFrame(np.nan, index=raters, columns=raters)
    for a in raters:
        table.loc[a, a] = value.get(("repeatability", a), np.nan)
        for b in raters:
            if (f"agreement: {a} & {b}", "all") in value:
                table.loc[a, b] = table.loc[b, a] = value[f"agreement: {a} & {b}", "all"]
    return table


def _split(pair: str, known: Sequence[str]) -> tuple[str, str]:
    """Both names of a pair; a known rater's name is taken whole, whatever it holds."""
    for name in known:
        if pair.startswith(f"{name} & "):
            return name, pair[len(name) + 3:]
        if pair.endswith(f" & {name}"):
            return pair[: -len(name) - 3], name
    first, _, second = pair.partition(" & ")
    return first, second
