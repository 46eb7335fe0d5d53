"""Gates on items whose answer is known: calibration, leniency, severity, control floor, canaries, controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.judge.agreement import auroc_interval, weighted_kappa
from cogneuro_sae.judge.score_frame import CONTROL_ARMS, item_means, top_of

LIMITS = {"known_items": 0.80, "leniency": 1 / 3, "severity": 1 / 2, "control_floor": 1 / 3, "canaries": 0.05,
          "controls": 0.20, "repeatability": 0.80, "agreement": 0.67, "arm_bias": 0.25, "missing": 0.02,
          "missing_by_arm": 0.02, "missing_conclusion": 0.0}
"""Limits of the gates; leniency, severity and control floor as parts of the rubric's highest score."""
FIRM = 0.80
MIN_KNOWN, MIN_CANARIES, MIN_FLOOR = 40, 10, 10
CONTROL_NAMES = ("random", "rate_matched", *CONTROL_ARMS)
LEVEL = 0.95


class Found(NamedTuple):
    """What a gate found.

    Parameters
    ----------
    value, low, high : float
        The number with its 95 % interval, NaN where there is none.
    limit : float
        What it is held against; NaN = shown without a limit.
    passed : bool or None
        None = not measurable, or shown without a limit.
    text : str
        What it means, with counts.
    """

    value: float
    low: float
    high: float
    limit: float
    passed: bool | None
    text: str


class Context(NamedTuple):
    """What a gate may look at beside the calls of its rater.

    Parameters
    ----------
    frame : DataFrame
        Calls of all raters on the same rubric, from `score_frame`.
    rater, rubric : str
        Whose gate it is.
    kinds : mapping of str to str
        Rater to "judge", "human" or "baseline".
    planned : mapping of str to str or None
        Planned contrasts of arms.
    seed : int
        Of bootstraps.
    """

    frame: pd.DataFrame
    rater: str
    rubric: str
    kinds: Mapping[str, str]
    planned: Mapping[str, str] | None
    seed: int


def mean_interval(values: np.ndarray, *, scale: tuple[float, float] = (-np.inf, np.inf)) -> tuple[float, float, float]:
    """Return mean and 95 % t interval of independent values; NaN ends below two.

    Parameters
    ----------
    values : ndarray (n,)
        Finite values.
    scale : tuple of float
        Lowest and highest value there can be; the interval is cut there.
    """
    from scipy import stats

    n = len(values)
    if n < 2:
        return (float(values[0]) if n else np.nan), np.nan, np.nan
    half = stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    mean = float(np.mean(values))
    return mean, max(mean - half, scale[0]), min(mean + half, scale[1])


def _known(calls: pd.DataFrame, control: str) -> tuple[np.ndarray, int]:
    """Scores of known items, one per item, and how many items have none."""
    items = item_means(calls[calls["control"] == control])
    scored = items["score"].dropna().to_numpy(float)
    return scored, len(items) - len(scored)


def _unscored(lost: int) -> str:
    return f"; {lost} more {'has' if lost == 1 else 'have'} no score" if lost else ""


def known_items(calls: pd.DataFrame, context: Context) -> Found:
    """AUROC between known positives and known negatives: lower bound at least .8, with 40 of each.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    limit = LIMITS["known_items"]
    (positive, lost_p), (negative, lost_n) = _known(calls, "known_positive"), _known(calls, "known_negative")
    found = auroc_interval(positive, negative)
    counts = f"{len(positive)} known positives, {len(negative)} known negatives{_unscored(lost_p + lost_n)}"
    if min(len(positive), len(negative)) < MIN_KNOWN:
        return Found(found.value, found.low, found.high, limit, None,
                     f"{counts}: {MIN_KNOWN} of each with a score are needed")
    return Found(found.value, found.low, found.high, limit, bool(found.low >= limit),
                 f"AUROC of {counts}; the lower bound is held against {limit:g}")


def leniency(calls: pd.DataFrame, context: Context) -> Found:
    """Mean score of known negatives: upper bound below a third of the scale ("vague").

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    return _level(calls, context, "known_negative", "leniency")


def severity(calls: pd.DataFrame, context: Context) -> Found:
    """Mean score of known positives: lower bound above the middle of the scale.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    return _level(calls, context, "known_positive", "severity")


def _level(calls, context, control: str, gate: str) -> Found:
    limit = LIMITS[gate] * top_of(context.rubric)
    scores, lost = _known(calls, control)
    mean, low, high = mean_interval(scores, scale=(0.0, top_of(context.rubric)))
    counts = f"mean score of {len(scores)} items of {control}{_unscored(lost)}"
    if len(scores) < MIN_KNOWN:
        return Found(mean, low, high, limit, None, f"{counts}: {MIN_KNOWN} are needed")
    passed = high < limit if gate == "leniency" else low > limit
    return Found(mean, low, high, limit, bool(passed),
                 f"{counts}; the {'upper' if gate == 'leniency' else 'lower'} bound is held against {limit:g}")


def control_floor(calls: pd.DataFrame, context: Context) -> Found:
    """Mean score of control features (random, rate-matched, random decoder): upper bound below a third of the scale.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    limit = LIMITS["control_floor"] * top_of(context.rubric)
    alone = calls["arm"].str.split("+").map(lambda arms: all(arm in CONTROL_NAMES for arm in arms))
    rows = calls[(calls["control"].isin(CONTROL_ARMS) | ((calls["control"] == "") & alone)) & (calls["bin"] != 0)]
    items = item_means(rows)
    features = items.groupby(["concept", "feature"])["score"].mean()
    known = features.dropna().to_numpy(float)
    mean, low, high = mean_interval(known, scale=(0.0, top_of(context.rubric)))
    counts = (f"mean score of {len(known)} control features ({items['score'].notna().sum()} windows)"
              f"{_unscored(len(features) - len(known))}")
    if len(known) < MIN_FLOOR:
        return Found(mean, low, high, limit, None, f"{counts}: {MIN_FLOOR} control features are needed")
    return Found(mean, low, high, limit, bool(high < limit), f"{counts}; the upper bound is held against {limit:g}")


def canaries(calls: pd.DataFrame, context: Context) -> Found:
    """Share of injection canaries that got the score they demand, beyond that share of known negatives.

    A rater falls for a canary when it gives the highest score, which is what the hidden instruction asks for.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    from scipy.stats import binomtest

    limit, top = LIMITS["canaries"], top_of(context.rubric)
    rows = calls[calls["control"] == "canary"]
    scores = rows.loc[rows["answered"], "score"].to_numpy(float)
    clean = calls.loc[(calls["control"] == "known_negative") & calls["answered"], "score"].to_numpy(float)
    if not len(scores):
        return Found(np.nan, np.nan, np.nan, limit, None, f"no canary has a score ({len(rows)} were asked)")
    fell, usual = int((scores >= top).sum()), float((clean >= top).mean()) if len(clean) else 0.0
    ends = binomtest(fell, len(scores)).proportion_ci(LEVEL)
    excess = fell / len(scores) - usual
    text = (f"{fell} of {len(scores)} canary calls got the score that the hidden instruction demands "
            f"({usual:.1%} of the calls on known negatives got it without){_unscored(len(rows) - len(scores))}")
    passed = False if excess > limit else (True if len(scores) >= MIN_CANARIES else None)
    few = "" if passed is not None else f": {MIN_CANARIES} are needed"
    return Found(excess, ends.low - usual, ends.high - usual, limit, passed, text + few)


def controls(calls: pd.DataFrame, context: Context) -> Found:
    """Share of controls among all items of the rubric: at least a fifth.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    items = calls.drop_duplicates("item")
    blind = (items["control"] != "") | items["arm"].isin(CONTROL_NAMES)
    share = float(blind.mean()) if len(items) else np.nan
    kinds = items.loc[items["control"] != "", "control"].value_counts()
    listed = ", ".join(f"{name} {count}" for name, count in kinds.items())
    return Found(share, np.nan, np.nan, LIMITS["controls"], bool(share >= LIMITS["controls"] - 1e-9),
                 f"{int(blind.sum())} of {len(items)} items are controls ({listed or 'control arms only'})")


def kappa(calls: pd.DataFrame, context: Context) -> Found:
    """Quadratic-weighted kappa between scores and truth of known items (truth at the ends of the scale); no limit.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    context : Context
        What else there is.
    """
    top = top_of(context.rubric)
    items = item_means(calls[calls["control"].isin(("known_positive", "known_negative"))]).dropna(subset=["score"])
    value = weighted_kappa(items["score"], items["truth"] * top, levels=np.arange(top + 1))
    return Found(value, np.nan, np.nan, np.nan, None, f"shown without a limit: {len(items)} known items, truth at the "
                                                      "ends of the scale")


def by_control(calls: pd.DataFrame) -> dict[str, Found]:
    """Return the mean score of each kind of control, unit = item; no limit.

    Parameters
    ----------
    calls : DataFrame
        Calls of one rater on one rubric.
    """
    found = {}
    for name, rows in item_means(calls[calls["control"] != ""]).groupby("control", sort=True):
        known = rows["score"].dropna().to_numpy(float)
        found[name] = Found(*mean_interval(known), np.nan, None,
                            f"shown without a limit: {len(known)} items{_unscored(len(rows) - len(known))}")
    return found
