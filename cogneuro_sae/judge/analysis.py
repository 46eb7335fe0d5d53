"""What the scores say, with the feature as the unit: means over activation bins, arm means, design effect."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.judge.score_frame import by_arm, item_means, measured, top_of

KEYS = ["concept", "feature", "arm", "rubric", "rater"]
COLUMNS = (*KEYS, "score", "low", "high", "top_bin", "zero", "share_2", "share_3", "n_windows", "n_scored", "n_calls",
           "n_missing", "bins", "bins_missing", "certainty", "label", "status", "reason")
LEVEL = 0.95
ALL = "all concepts"


class Verdict(NamedTuple):
    """What one rater says of one feature.

    Parameters
    ----------
    feature : str
        Such as "sae:12".
    rubric : str
        Such as "target".
    rater : str
        Such as "openai:gpt-5-mini".
    score : float
        Mean over activation bins with equal weight; NaN when no window has a score.
    n : int
        Windows with a score.
    low, high : float
        95 % interval over its windows; NaN below two windows.
    status : str
        "ok" | "partial" (some calls have no score) | "failed" (none has).
    reason : str
        Which calls have none, and why.
    """

    feature: str
    rubric: str
    rater: str
    score: float
    n: int
    low: float
    high: float
    status: str
    reason: str


def feature_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per feature, arm, rubric and rater: the equal-weight mean over activation bins, and what lacks.

    A window's score is the mean over its wordings and repeats; a bin's the mean of its windows. Bin 0 (zero activation)
    stays apart as `zero`. A bin without any score is left out of the mean and counted in `bins_missing`.

    Parameters
    ----------
    scores : DataFrame
        From `score_frame`; controls other than control features are left out.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`: `score` with its 95 % t interval over windows (descriptive), the mean of the highest bin,
        shares of windows with a score >= 2 and >= 3, counts, certainty and label of a free explanation.
    """
    frame = measured(scores)
    if not len(frame):
        return pd.DataFrame(columns=list(COLUMNS))
    windows = item_means(frame)
    active = windows[windows["bin"] >= 1]
    binless = windows.groupby(KEYS)["bin"].transform("max") < 1     # intruder sets and explanations have no bin
    shown = pd.concat([active, windows[binless]])
    table = _bin_means(shown)
    table = table.join(windows[(windows["bin"] == 0) & ~binless].groupby(KEYS)["score"].mean().rename("zero"))
    table = table.join(_answers(frame)).reset_index()
    table["status"] = np.where(table["n_missing"] == 0, "ok", np.where(table["n_scored"] > 0, "partial", "failed"))
    return by_arm(table)[list(COLUMNS)]


def _bin_means(windows: pd.DataFrame) -> pd.DataFrame:
    """Means over bins with their intervals, indexed by `KEYS`."""
    bins = windows.groupby([*KEYS, "bin"])["score"].agg(["mean", "var", "count", "size"]).reset_index("bin")
    by = bins.groupby(level=KEYS)
    table = pd.DataFrame({"score": by["mean"].mean(), "n_windows": by["size"].sum(), "n_scored": by["count"].sum(),
                          "bins": by["mean"].count(), "bins_missing": by["size"].count() - by["mean"].count()})
    highest = bins[bins["bin"] == by["bin"].transform("max")]
    table["top_bin"] = highest["mean"]
    scored = windows.dropna(subset=["score"])
    # stratified error where each bin has two windows, else that of a plain mean
    full = by["count"].min() >= 2
    stratified = np.sqrt((bins["var"] / bins["count"]).groupby(level=KEYS).sum()) / table["bins"]
    error = stratified.where(full, scored.groupby(KEYS)["score"].std() / np.sqrt(table["n_scored"]))
    freedom = np.where(full, table["n_scored"] - table["bins"], table["n_scored"] - 1)
    half = error * _t(np.maximum(freedom, 1))
    top = table.index.get_level_values("rubric").map(top_of)
    table["low"], table["high"] = np.maximum(table["score"] - half, 0), np.minimum(table["score"] + half, top)
    for level in (2, 3):
        table[f"share_{level}"] = (scored["score"] >= level).groupby([scored[name] for name in KEYS]).mean()
    return table


def _t(freedom: np.ndarray) -> np.ndarray:
    from scipy import stats

    return stats.t.ppf((1 + LEVEL) / 2, freedom)


def _answers(frame: pd.DataFrame) -> pd.DataFrame:
    """Counts of calls and of those without an answer, why, and what free explanations say, indexed by `KEYS`."""
    by = frame.groupby(KEYS)["answered"]
    table = pd.DataFrame({"n_calls": by.size(), "n_missing": by.size() - by.sum().astype(int)})
    lost = frame[~frame["answered"]].groupby(KEYS)["status"].agg(
        lambda values: "; ".join(f"{name} ({count})" for name, count in values.value_counts().items()))
    table["reason"] = ("no score: " + lost).reindex(table.index).fillna("")
    said = frame[frame["answered"] & frame["label"].str.startswith("{")]
    parsed = [json.loads(text) for text in said["label"]]
    said = said.assign(certainty=[_number(each.get("certainty")) for each in parsed],
                       said=[str(each.get("label") or each.get("common_semantic") or "") for each in parsed])
    explained = said.groupby(KEYS).agg(certainty=("certainty", "mean"), label=("said", "first"))
    table = table.join(explained)
    return table.assign(label=table["label"].fillna(""))


def _number(value) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


def verdicts(features: pd.DataFrame) -> list[Verdict]:
    """Return the rows of a feature table as verdicts, one per feature, rubric and rater.

    Parameters
    ----------
    features : DataFrame
        From `feature_table`.
    """
    rows = features.drop_duplicates(["concept", "feature", "rubric", "rater"])
    return [Verdict(row.feature, row.rubric, row.rater, float(row.score), int(row.n_scored), float(row.low),
                    float(row.high), row.status, row.reason) for row in rows.itertuples()]


def arm_table(scores: pd.DataFrame, features: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row per concept, rubric, rater and arm: mean over features with its interval, distribution, ICC.

    Over several concepts a further row has the mean of concept means with the concept as the unit. Intervals (95 %, t)
    are cut at the ends of the rubric's scale.

    Parameters
    ----------
    scores : DataFrame
        From `score_frame`.
    features : DataFrame, optional
        From `feature_table`; made when not given.

    Returns
    -------
    DataFrame
        `concept rubric rater arm unit n mean low high sd top_bin share_2 share_3` over units; over windows `n_windows
        n_calls n_missing share_missing`, of those with activation `median mode score_0 .. score_3` (counts of calls);
        `icc icc_low icc_high design_effect n_effective` and `icc_reason`.
    """
    features = feature_table(scores) if features is None else features
    windows = by_arm(item_means(measured(scores)))
    windows = windows[windows["bin"] != 0]
    calls = by_arm(measured(scores))
    rows = []
    for key, part in features.groupby(["concept", "rubric", "rater", "arm"], sort=False):
        where = dict(zip(("concept", "rubric", "rater", "arm"), key, strict=True))
        row = where | {"unit": "feature"} | _over_units(part, top_of(key[1]))
        rows.append(row | _over_calls(_of(calls, where)) | design_effect(_of(windows, where)))
    table = pd.DataFrame(rows)
    if len(table) and table["concept"].nunique() > 1:
        for key, part in table.groupby(["rubric", "rater", "arm"], sort=False):
            means = part.rename(columns={"mean": "score"})
            rows.append(dict(zip(("rubric", "rater", "arm"), key, strict=True)) | {"concept": ALL, "unit": "concept"}
                        | _over_units(means, top_of(key[0])) | {name: int(part[name].sum()) for name in ("n_windows", "n_missing")})
        table = pd.DataFrame(rows)
    return table


def _of(frame: pd.DataFrame, where: dict) -> pd.DataFrame:
    return frame[np.logical_and.reduce([frame[name] == value for name, value in where.items()])]


def _over_units(part: pd.DataFrame, top: float) -> dict:
    known = part["score"].dropna().to_numpy(float)
    n, mean = len(known), float(known.mean()) if len(known) else np.nan
    sd = float(known.std(ddof=1)) if n > 1 else np.nan
    half = float(_t(np.array(n - 1)) * sd / np.sqrt(n)) if n > 1 else np.nan
    rest = {name: float(part[name].mean()) for name in ("top_bin", "share_2", "share_3")}
    return {"n": n, "n_unscored": len(part) - n, "mean": mean, "low": max(mean - half, 0.0),
            "high": min(mean + half, top), "sd": sd} | rest


def _over_calls(calls: pd.DataFrame) -> dict:
    scored = calls.loc[calls["bin"] != 0, "score"].dropna()
    counts = (scored.round() + 0.0).value_counts()      # + 0.0: no minus zero
    lost = int((~calls["answered"]).sum())
    row = {"n_windows": int(calls["item"].nunique()), "n_calls": len(calls), "n_missing": lost,
           "share_missing": lost / len(calls) if len(calls) else np.nan,
           "median": float(scored.median()) if len(scored) else np.nan,
           "mode": float(counts.index[np.lexsort((counts.index, -counts.to_numpy()))[0]]) if len(scored) else np.nan}
    return row | {f"score_{level}": int(counts.get(float(level), 0)) for level in range(4)}


def design_effect(windows: pd.DataFrame) -> dict:
    """Return how much alike the windows of a feature are (pingouin's ICC(1,1)) and what that costs.

    Parameters
    ----------
    windows : DataFrame
        `feature` and `score`, a row per window. The ICC needs as many windows of each feature: k is chosen to keep the
        most windows, features with fewer are left out of it, further windows too.

    Returns
    -------
    dict
        `icc, icc_low, icc_high, design_effect` = 1 + (k - 1) max(ICC, 0), `n_effective` = windows / design effect, and
        `icc_reason` where there is none.
    """
    known = windows.dropna(subset=["score"])
    known = known.assign(place=known.groupby("feature").cumcount())
    counts = known.groupby("feature").size().to_numpy()
    kept = {k: k * int((counts >= k).sum()) for k in np.unique(counts[counts >= 2])}
    none = dict.fromkeys(("icc", "icc_low", "icc_high", "design_effect", "n_effective"), np.nan)
    k = max(kept, key=kept.get) if kept else 0
    square = known[known["place"] < k].groupby("feature").filter(lambda part: len(part) == k)
    if square["feature"].nunique() < 5 or square["score"].nunique() < 2:
        return none | {"icc_reason": "fewer than 5 features with two windows, or scores that do not vary"}
    from pingouin import intraclass_corr

    table = intraclass_corr(square, targets="feature", raters="place", ratings="score")
    row = table[table["Type"].isin(["ICC(1,1)", "ICC1"])].iloc[0]     # its name before and since pingouin 0.6
    low, high = row[next(name for name in table if name.startswith("CI95"))]
    effect = 1 + (k - 1) * max(float(row["ICC"]), 0.0)
    return {"icc": float(row["ICC"]), "icc_low": float(low), "icc_high": float(high), "design_effect": effect,
            "n_effective": len(known) / effect, "icc_reason": ""}
