"""Is this judge valid? One row per gate, rater and rubric: the number, its interval, the limit and what came out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cogneuro_sae.judge.agreement import Reliability, alpha_interval
from cogneuro_sae.judge.gate_arms import MIN_HUMAN, arm_bias, missing, missing_by_arm, missing_conclusion
from cogneuro_sae.judge.gate_checks import (FIRM, LIMITS, Context, Found, by_control, canaries, control_floor, controls,
                                            kappa, known_items, leniency, severity)
from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.score_frame import CONTROL_ARMS, kind_of, measured, score_frame

COLUMNS = ("gate", "rater", "rubric", "value", "low", "high", "limit", "passed", "text")
ALL = "all"
MIN_REPEATED = 30
PLAN_FEATURES, PLAN_WINDOWS, PLAN_D = 60, 5, 0.57


def gates(scores: pd.DataFrame, items: Iterable[Item] | pd.DataFrame | None = None, *,
          kinds: Mapping[str, str] | None = None, planned: Mapping[str, str] | None = None,
          seed: int = 0) -> pd.DataFrame:
    """Return every gate of every rater on every rubric, and what is shown beside them without a limit.

    Judges and baselines have rows of their own; a human is a reference. Agreement, which belongs to a group, has the
    rater "all". On rubrics outside `JUDGING` missing scores are gated and reliability is shown.

    Parameters
    ----------
    scores : DataFrame
        Rows of the ledger or of `scores.csv`, calls without an answer included.
    items : iterable of Item or DataFrame, optional
        All items of the run; an item without a call counts as missing. None when `scores` holds the items' columns.
    kinds : mapping of str to str, optional
        Rater to "judge" | "human" | "baseline"; without it by the start of its name.
    planned : mapping of str to str, optional
        Planned contrasts of arms; without them the conclusions held stable are those of all pairs.
    seed : int
        Of the bootstraps.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`. `passed` is True, False, or None: not measurable (`text` says why), or, where `limit` is
        missing, shown without a limit.

    Raises
    ------
    InputError
        Columns are missing, or items are unknown.
    """
    frame = score_frame(scores, items)
    known = {rater: kind_of(rater, kinds) for rater in frame["rater"].unique()}
    rows = []
    for rubric, part in frame.groupby("rubric", sort=False):
        context = Context(part, ALL, str(rubric), known, planned, seed)
        rows += [_row(name, ALL, rubric, found) for name, found in _group_rows(context).items()]
        for rater, calls in part.groupby("rater", sort=False):
            if known[rater] != "human":
                found = _rater_rows(calls, context._replace(rater=rater))
                rows += [_row(name, rater, rubric, each) for name, each in found.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"passed": object})


def _row(gate: str, rater: str, rubric: str, found: Found) -> dict:
    return {"gate": gate, "rater": rater, "rubric": rubric} | found._asdict()


def _rater_rows(calls: pd.DataFrame, context: Context) -> dict[str, Found]:
    found = {}
    for name, check in (JUDGING.get(context.rubric, {}) | GATES).items():
        found[name] = check(calls, context)
    if context.rubric in JUDGING:
        found["weighted_kappa"] = kappa(calls, context)
        found |= {f"control: {name}": each for name, each in by_control(calls).items()}
    for name, by in {"repeats": _repeats, "duplicates": _duplicates, "wordings": _wordings}.items():
        alpha = alpha_interval(*by(calls), seed=context.seed)
        if alpha.n:
            found[name] = _shown(alpha, f"alpha between {name} of the same item")
    return found


def _wide(calls: pd.DataFrame, unit: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (n_units, most ratings of a unit) and the cluster of each unit: its feature, or itself."""
    rows = calls.assign(unit=unit.reindex(calls.index).to_numpy()).dropna(subset=["score"])
    rows = rows.assign(place=rows.groupby("unit").cumcount(),
                       cluster=np.where(rows["feature"] != "", rows["concept"] + "/" + rows["feature"], rows["unit"]))
    wide = rows.pivot(index="unit", columns="place", values="score")
    cluster = rows.drop_duplicates("unit").set_index("unit")["cluster"].reindex(wide.index)
    return wide.to_numpy(float), cluster.to_numpy()


def _same(calls: pd.DataFrame) -> pd.Series:
    return calls["original"].where(calls["original"] != "", calls["item"]) + "|" + calls["wording"]


def _same_item(calls):
    """Whatever asks the same thing in the same words: repeats and exact duplicates."""
    return _wide(calls[calls["control"] != "canary"], _same(calls))


def _repeats(calls):
    return _wide(calls, calls["item"] + "|" + calls["wording"])


def _duplicates(calls):
    first = calls[calls["repeat"].isna() | (calls["repeat"] == calls["repeat"].min())]
    pairs = first[first["item"].isin(first["original"]) | (first["original"] != "")]
    return _wide(pairs, _same(pairs))


def _wordings(calls):
    first = calls[calls["repeat"].isna() | (calls["repeat"] == calls["repeat"].min())]
    return _wide(first, first["item"])


def _shown(found: Reliability, what: str) -> Found:
    text = f"shown without a limit: {what}; {found.n} units" + f"; {found.reason}" * bool(found.reason)
    return Found(found.value, found.low, found.high, np.nan, None, text)


def repeatability(calls: pd.DataFrame, context: Context) -> Found:
    """Ordinal alpha of the same rater on the same item: repeats and exact duplicates together, at least .80.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    found = alpha_interval(*_same_item(calls), seed=context.seed)
    if context.rubric not in JUDGING:
        return _shown(found, "alpha of the same rater on the same item")
    limit, text = LIMITS["repeatability"], f"alpha over {found.n} items that the same rater scored more than once"
    if found.n < MIN_REPEATED or np.isnan(found.value):
        why = found.reason or f"{MIN_REPEATED} are needed"
        return Found(found.value, found.low, found.high, limit, None, f"{text}: {why}")
    return Found(found.value, found.low, found.high, limit, bool(found.value >= limit), text)


def _group_rows(context: Context) -> dict[str, Found]:
    """Agreement of all raters that are no baseline, and of each pair, baselines included."""
    frame = measured(context.frame)
    raters = list(frame["rater"].unique())
    first = frame.sort_values(["repeat"], kind="stable")
    # a rater's first wording and repeat stand for it: agreement is that of single judgements
    first = first[first["wording"] == first.groupby("rater")["wording"].transform("first")]
    wide = first.drop_duplicates(["rater", "item"]).pivot(index="item", columns="rater", values="score")
    where = first.drop_duplicates("item").set_index("item")
    cluster = (where["concept"] + "/" + where["feature"]).reindex(wide.index).to_numpy()
    few = [rater for rater in raters if context.kinds[rater] == "human" and wide[rater].notna().sum() < MIN_HUMAN]
    used = [rater for rater in raters if rater not in few and context.kinds[rater] != "baseline"]
    rows = {"agreement": _agreement(wide[used], cluster, few, context)}
    for place, a in enumerate(raters):
        for b in raters[place + 1:]:
            found = alpha_interval(wide[[a, b]].to_numpy(float), cluster, seed=context.seed)
            rows[f"agreement: {a} & {b}"] = _shown(found, "alpha of a pair of raters")
    if context.rubric in JUDGING:
        rows |= {"controls": controls(context.frame, context), "size": _size(context)}
    return rows


def _agreement(wide: pd.DataFrame, cluster: np.ndarray, few: list[str], context: Context) -> Found:
    limit, names = LIMITS["agreement"], ", ".join(wide)
    short = f"; too few windows to count: {', '.join(few)} ({MIN_HUMAN} are needed)" * bool(few)
    if wide.shape[1] < 2:
        judging = context.rubric in JUDGING
        return Found(np.nan, np.nan, np.nan, limit if judging else np.nan, None,
                     f"{names or 'no judge'} alone: a second judge, or a human with {MIN_HUMAN} windows, is "
                     f"needed{short}")
    found = alpha_interval(wide.to_numpy(float), cluster, seed=context.seed)
    if context.rubric not in JUDGING:
        return _shown(found, f"alpha of {names}")
    text = f"alpha over {found.n} windows of {names}{short}"
    if found.n < MIN_HUMAN or np.isnan(found.value):
        return Found(found.value, found.low, found.high, limit, None,
                     f"{text}: {found.reason or f'{MIN_HUMAN} windows are needed'}")
    grade = "firm" if found.value >= FIRM else "tentative" if found.value >= limit else "too low to conclude from"
    return Found(found.value, found.low, found.high, limit, bool(found.value >= limit),
                 f"{text}: {grade} (tentative from {limit:g}, firm from {FIRM:g})")


def _size(context: Context) -> Found:
    """Features of the smallest arm, with the power of that many; no limit."""
    from statsmodels.stats.power import TTestIndPower

    rows = measured(context.frame).drop_duplicates("item")
    arms = rows.assign(arm=rows["arm"].str.split("+")).explode("arm")
    arms["id"] = arms["concept"] + "/" + arms["feature"]
    counts = arms.groupby("arm")["id"].nunique()
    if not len(counts):
        return Found(np.nan, np.nan, np.nan, np.nan, None, "shown without a limit: no feature was judged")
    windows = arms[arms["bin"] != 0].groupby(["arm", "id"]).size()
    least = int(counts.min())
    power = TTestIndPower().power(PLAN_D, least, 0.05) if least > 1 else np.nan
    equal = counts.nunique() == 1 and arms.groupby(["arm", "bin"]).size().unstack().nunique().max() == 1
    listed = ", ".join(f"{arm} {count}" for arm, count in counts.items())
    few = windows.min() if len(windows) else 0
    return Found(float(least), np.nan, np.nan, np.nan, None,
                 f"shown without a limit: features per arm {listed}; at least {few} windows each; plan {PLAN_FEATURES} "
                 f"and {PLAN_WINDOWS}; {least} per arm find d = {PLAN_D} of feature means with power {power:.2f}; arms "
                 f"{'hold' if equal else 'do NOT hold'} equal numbers of features and windows per bin")


KNOWN_ANSWERS = {"known_items": known_items, "leniency": leniency, "severity": severity, "canaries": canaries}
# rubrics whose score is a judgement; the others say whether an answer was right, or how certain a rater is
JUDGING = {"target": KNOWN_ANSWERS | {"control_floor": control_floor, "arm_bias": arm_bias}, "answer": KNOWN_ANSWERS}
GATES = {"repeatability": repeatability, "missing": missing, "missing_by_arm": missing_by_arm,
         "missing_conclusion": missing_conclusion}
