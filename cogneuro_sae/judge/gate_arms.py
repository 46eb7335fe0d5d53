"""Gates on what could favour one arm: missing scores, and a preference that the other raters do not share."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from cogneuro_sae.judge.analysis import feature_table
from cogneuro_sae.judge.contrasts import arm_contrast, contrasts
from cogneuro_sae.judge.gate_checks import LEVEL, LIMITS, Context, Found
from cogneuro_sae.judge.score_frame import by_arm, item_means, measured, top_of

MIN_HUMAN, MIN_FEATURES = 100, 5
CONTROLS = "(controls)"


def _shares(calls: pd.DataFrame) -> pd.DataFrame:
    """Calls and calls without an answer per arm; controls that belong to no arm are a group of their own."""
    rows = calls[calls["control"] != "canary"]
    inside = rows.index.isin(measured(rows).index)
    groups = by_arm(pd.concat([rows[inside], rows[~inside].assign(arm=CONTROLS)]))
    found = groups.assign(lost=~groups["answered"]).groupby("arm", sort=False)["lost"].agg(["sum", "size"])
    return found.assign(share=found["sum"] / found["size"])


def missing(calls: pd.DataFrame, context: Context) -> Found:
    """Share of calls without a score in the worst arm (controls count as one): below 2 %.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    shares = _shares(calls)
    worst = shares["share"].idxmax()
    reasons = calls.loc[~calls["answered"] & (calls["control"] != "canary"), "status"].value_counts()
    why = "; ".join(f"{name} {count}" for name, count in reasons.items())
    value = float(shares.loc[worst, "share"])
    if value == 0:
        return Found(0.0, np.nan, np.nan, LIMITS["missing"], True,
                     f"every call has a score ({int(shares['size'].sum())}; canaries apart)")
    text = (f"{int(shares.loc[worst, 'sum'])} of {int(shares.loc[worst, 'size'])} calls of {worst} have no score"
            f"{f' (in all arms: {why})' if why else ''}")
    return Found(value, np.nan, np.nan, LIMITS["missing"], bool(value < LIMITS["missing"]), text)


def missing_by_arm(calls: pd.DataFrame, context: Context) -> Found:
    """Largest difference between arms in the share of calls without a score: at most 2 points.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    shares = _shares(calls).drop(index=CONTROLS, errors="ignore")["share"]
    limit = LIMITS["missing_by_arm"]
    if len(shares) < 2:
        return Found(0.0, np.nan, np.nan, limit, True, "one arm or none: no arm can lose more than another")
    value = float(shares.max() - shares.min())
    if shares.max() == 0:
        return Found(0.0, np.nan, np.nan, limit, True, "no arm has lost a score")
    return Found(value, np.nan, np.nan, limit, bool(value <= limit + 1e-12),
                 f"from {shares.min():.1%} ({shares.idxmin()}) to {shares.max():.1%} ({shares.idxmax()})")


def missing_conclusion(calls: pd.DataFrame, context: Context) -> Found:
    """Number of contrasts between arms whose conclusion changes when every missing score is 0, or is the highest.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    limit = LIMITS["missing_conclusion"]
    lost = int((~measured(calls)["answered"]).sum())
    if not lost:
        return Found(0.0, np.nan, np.nan, limit, True, "no window lacks a score")
    base = _conclusions(calls, context)
    changed = []
    for fill in (0.0, top_of(context.rubric)):
        other = _conclusions(calls.assign(score=calls["score"].where(calls["answered"], fill), answered=True), context)
        changed += [f"{name} with missing = {fill:g}" for name in other if other[name] != base.get(name, "none")]
    text = f"{lost} windows' calls without a score as 0 or as {top_of(context.rubric):g}: "
    text += f"changes {', '.join(changed)}" if changed else f"none of {len(base)} contrasts changes"
    return Found(float(len(changed)), np.nan, np.nan, limit, not changed, text)


def _conclusions(calls: pd.DataFrame, context: Context) -> dict[str, str]:
    tests = contrasts(feature_table(calls), planned=context.planned, seed=context.seed)
    tests = tests[tests["kind"] == ("planned" if context.planned else "pairwise")]
    sign = np.where(tests["estimate"] > 0, "above", "below")
    said = np.where(tests["p_adjusted"] < 0.05, sign, "none")
    return {f"{row.name_} ({row.concept})": text for row, text in
            zip(tests.rename(columns={"name": "name_"}).itertuples(), said, strict=True)}


def arm_bias(calls: pd.DataFrame, context: Context) -> Found:
    """Largest difference between two arms in how far the rater lies above the other raters: not 0.25 points or more.

    Per window the rater's score minus the mean of the reference raters (humans with 100 windows, else the other
    judges), averaged per feature; all pairs of arms with five features, Bonferroni-corrected intervals. With two judges
    and no human both fail, because it cannot be said which of them prefers an arm.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    limit = LIMITS["arm_bias"] * top_of(context.rubric) / 3
    reference, who = _reference(context)
    if reference is None:
        return Found(np.nan, np.nan, np.nan, limit, None,
                     f"no second judge, and no human with {MIN_HUMAN} windows, to compare arms with")
    own = item_means(measured(calls))
    own = own.assign(score=own["score"] - own["item"].map(reference)).dropna(subset=["score"])
    own = by_arm(own.assign(feature=own["concept"] + "/" + own["feature"]))
    values = {arm: rows.groupby("feature")["score"].mean().to_dict() for arm, rows in own.groupby("arm", sort=False)}
    values = {arm: each for arm, each in values.items() if len(each) >= MIN_FEATURES}
    if len(values) < 2:
        return Found(np.nan, np.nan, np.nan, limit, None,
                     f"fewer than two arms with {MIN_FEATURES} features that {who} scored too")
    return _worst_pair(values, limit, who)


def _worst_pair(values: dict[str, dict], limit: float, who: str) -> Found:
    from scipy import stats

    pairs, found = list(combinations(values, 2)), []
    for a, b in pairs:
        each = arm_contrast(values, {a: 1.0, b: -1.0})
        half = 0.0
        if np.isfinite(each.t) and each.t:
            half = stats.t.ppf(1 - (1 - LEVEL) / 2 / len(pairs), each.df) * abs(each.estimate / each.t)
        found.append((a, b, each.estimate, half))
    a, b, value, half = max(found, key=lambda row: abs(row[2]))
    wide = max(row[3] for row in found)
    failed = any(abs(row[2]) >= limit and abs(row[2]) > row[3] for row in found)
    text = f"{a} against {b}, relative to {who}; {len(pairs)} pairs of arms"
    if not failed and wide > 2 * limit:
        return Found(value, value - half, value + half, limit, None,
                     f"{text}: the interval is too wide (+-{wide:.2f}) to see a difference of {limit:g}")
    return Found(value, value - half, value + half, limit, not failed, text)


def _reference(context: Context) -> tuple[pd.Series | None, str]:
    """Mean score per item of whoever the rater is held against, and who that is."""
    frame = context.frame[context.frame["rater"] != context.rater]
    means = item_means(measured(frame)).dropna(subset=["score"]) if len(frame) else frame
    for kind, least in (("human", MIN_HUMAN), ("judge", 1)):
        names = [name for name, rows in means.groupby("rater", sort=False)
                 if context.kinds[name] == kind and len(rows) >= least]
        if names:
            return means[means["rater"].isin(names)].groupby("item")["score"].mean(), ", ".join(names)
    return None, ""
