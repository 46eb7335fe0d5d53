"""The column `judge` of cells.csv: what raters make of a cell's features, what that is worth, and how axes go together."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.compare.judge_axis import RUBRIC
from cogneuro_sae.compare.judge_runs import Run, name_of
from cogneuro_sae.judge.specificity import axis_correlations
from cogneuro_sae.judge.tables import read_judge_table
from cogneuro_sae.judge.validity import NOT_VALID, VALID, first_line, validity

ADDED = ("judge_features", "judge_valid", "judge_reason")
NOT_SHOWN = "not shown"
AXES_COLUMNS = ("site", "window", "pooling", "concept", "rubric", "rater", "axis", "rho", "low", "high", "p", "n", "unit",
                "reason")


class Judged(NamedTuple):
    """What one judge run says.

    Parameters
    ----------
    scores : Series
        Score of the rubric target by feature, averaged over those who count.
    arms : dict of str to list of str
        Features of every arm, controls among them.
    valid : str
        "valid" | "not valid" | "not shown".
    who : str
        Who counts, in words.
    first_line : str
        What the gates say.
    features : DataFrame
        features.csv of the judge folder.
    """

    scores: pd.Series
    arms: dict[str, list[str]]
    valid: str
    who: str
    first_line: str
    features: pd.DataFrame


def read_judged(folder: Path) -> Judged:
    """Read a finished judge folder.

    Several judges count with their mean; a baseline counts only where there is neither a judge nor a person.

    Parameters
    ----------
    folder : Path
        Of the judge run.

    Returns
    -------
    Judged

    Raises
    ------
    InputError
        A table is missing or damaged.
    """
    features, gates = (read_judge_table(folder / f"{name}.csv") for name in ("features", "gates"))
    kinds = {name: each["kind"] for name, each in files.read_json(folder / "provenance.json")["raters"].items()}
    used = next(names for kind in ("judge", "human", "baseline")
                if (names := [name for name, each in kinds.items() if each == kind]))
    target = features[features["rubric"] == RUBRIC]
    once = target[target["rater"].isin(used)].drop_duplicates(["feature", "rater"])
    scores = once.groupby("feature", sort=False)["score"].mean().dropna()
    arms = {str(arm): list(rows["feature"].unique()) for arm, rows in target.groupby("arm", sort=False)}
    found = [each.verdict for each in validity(gates, kinds=kinds) if each.rubric == RUBRIC and each.rater in used]
    valid = NOT_VALID if NOT_VALID in found else VALID if found and set(found) == {VALID} else NOT_SHOWN
    kind = {"judge": "judge", "human": "person", "baseline": "baseline"}[kinds[used[0]]]
    who = f"{kind} {used[0]}" if len(used) == 1 else f"mean of {len(used)} {kind}s: {', '.join(used)}"
    return Judged(scores, arms, valid, who + ", which is no judge" * (kind == "baseline"),
                  first_line(gates, kinds=kinds), features)


def judge_columns(config, cells: pd.DataFrame, features: pd.DataFrame, runs: list[tuple[Run, Judged | str]],
                  control_of: dict[Path, str]) -> pd.DataFrame:
    """Return cells.csv with the column `judge` filled in and `ADDED` behind it.

    Parameters
    ----------
    config : CompareConfig
        The comparison.
    cells : DataFrame
        cells.csv, whatever stands in these columns.
    features : DataFrame
        features.csv of the comparison.
    runs : list of (Run, Judged or str)
        Every run with what came out, or why there is nothing.
    control_of : dict of Path to str
        By folder of the run the representation its control features are drawn from.

    Returns
    -------
    DataFrame
        `judge` is the mean of the cell's features with a score.
    """
    cells = cells.drop(columns=[name for name in ADDED if name in cells]).assign(judge=np.nan)
    values = pd.DataFrame({"judge": np.nan, "judge_features": 0, "judge_valid": "", "judge_reason": ""},
                          index=cells.index).astype({"judge_valid": object, "judge_reason": object})
    values.loc[cells["kind"].isin(("baseline", "skyline")), "judge_reason"] = "chooses no features"
    for run, judged in runs:
        there = (cells[list(run.keys)] == pd.Series(run.keys)).all(axis=1) & cells["kind"].isin(("method", "control"))
        for index, cell in cells[there].iterrows():
            names = _names(config, cell, features, judged, control_of.get(run.folder, ""))
            values.loc[index] = _value(names, judged)
    place = cells.columns.get_loc("judge")
    cells["judge"] = values["judge"]
    for offset, name in enumerate(ADDED, 1):
        cells.insert(place + offset, name, values[name])
    return cells


def _names(config, cell: pd.Series, features: pd.DataFrame, judged: Judged | str, control: str) -> list[str] | str:
    """Features of a cell as the judge calls them, "" for those not judged in its arm; or why there are none."""
    if isinstance(judged, str):
        return judged
    if cell["kind"] == "control":
        drawn = judged.arms.get(cell["selector"], [])
        mine = cell["representation"] == control
        return drawn if drawn and mine else "no such control features were judged" if mine or not control else \
            f"control features are drawn from {control}"
    arm = config.arms().get((cell["representation"], cell["selector"]))
    if arm is None:
        return "no corpus can be searched for features of this representation"
    keys = ["concept", "representation", "site", "window", "pooling", "selector", "k", "ensemble"]
    own = features[(features[keys] == cell[keys]).all(axis=1)]
    # what another arm brought in besides stays out: arms are compared on equal numbers, the best of each
    mine = set(judged.arms.get(arm, ()))
    names = [name_of(config, cell["representation"], int(each)) for each in own["feature"]]
    return [name if name in mine else "" for name in names] or "no feature was selected"


def _value(names: list[str] | str, judged: Judged | str) -> list:
    if isinstance(names, str):
        return [np.nan, 0, "", names]
    scored = judged.scores.reindex([name for name in names if name]).dropna()
    if not len(scored):
        return [np.nan, 0, "", f"none of its {len(names)} features was judged: the target drives none of them, they have no "
                               "window in the corpus, or raters gave no answer"]
    part = "" if len(scored) == len(names) else f"{len(scored)} of {len(names)} features; "
    return [float(scored.mean()), len(scored), judged.valid, part + judged.who]


def axes_table(config, features: pd.DataFrame, runs: list[tuple[Run, Judged | str]]) -> pd.DataFrame:
    """Return how judge scores of features go with how well the features tell target from foil.

    Parameters
    ----------
    config : CompareConfig
        The comparison.
    features : DataFrame
        features.csv of the comparison; `effect` (turned with `sign`) is a feature's own detection.
    runs : list of (Run, Judged or str)
        As in `judge_columns`.

    Returns
    -------
    DataFrame
        Columns `AXES_COLUMNS`: rank correlations inside concepts, and over concepts where there are several.
    """
    tables = []
    places = dict.fromkeys((run.site, run.window, run.pooling) for run, _ in runs)
    for place in places:
        judged, axes = [], []
        for run, found in runs:
            if (run.site, run.window, run.pooling) != place or isinstance(found, str):
                continue
            own = features[(features[list(run.keys)] == pd.Series(run.keys)).all(axis=1)]
            names = [name_of(config, row.representation, row.feature) for row in own.itertuples()]
            axes.append(pd.DataFrame({"concept": run.concept.task.concept, "feature": names,
                                      "detection": own["effect"].to_numpy(float) * own["sign"].to_numpy(float)})
                        .drop_duplicates("feature"))
            judged.append(found.features.assign(concept=run.concept.task.concept))
        if judged:
            found = axis_correlations(pd.concat(judged), pd.concat(axes), columns=["detection"])
            tables.append(found.assign(**dict(zip(("site", "window", "pooling"), place, strict=True))))
    return pd.concat(tables)[list(AXES_COLUMNS)] if tables else pd.DataFrame(columns=list(AXES_COLUMNS))
