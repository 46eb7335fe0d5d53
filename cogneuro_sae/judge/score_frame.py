"""One row per call that should have been answered: the ledger's rows with their items; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.items import ARM_GLUE, Item
from cogneuro_sae.judge.rubrics import RUBRICS

CONTROL_ARMS = ("random_feature", "rate_matched", "random_decoder")
FROM_ITEMS = ("bin", "value", "control", "original", "truth", "concept", "feature", "arm", "rubric")
TEXTS = ("arm", "feature", "control", "original", "concept", "status", "reason", "wording", "label", "state")
NEVER = "never asked"
PREFIXES = {"human": "human", "sheet": "human", "lexical": "baseline"}


def score_frame(scores: pd.DataFrame, items: Iterable[Item] | pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the calls with what is known of their items, and a row for every call that is not there at all.

    Every item is expected from every rater that is no human, in every wording and repeat in which that rater was asked
    the item's rubric; what the ledger lacks gets the status "never asked". A score beside a status other than "ok" is
    taken off.

    Parameters
    ----------
    scores : DataFrame
        Rows of the ledger or of `scores.csv`; columns of the items may be there already.
    items : iterable of Item or DataFrame, optional
        All items of the run; None when `scores` holds their columns.

    Returns
    -------
    DataFrame
        Columns of `scores`, those of `FROM_ITEMS`, `answered` (bool: status ok with a score); control features without
        an arm have the kind of control as their arm, answers to tasks their item as feature.

    Raises
    ------
    InputError
        A column is missing, or an item of the calls is unknown.
    """
    missing = [name for name in ("item", "rubric", "rater", "score", "status") if name not in scores]
    if missing:
        raise InputError(f"the scores lack {', '.join(missing)}", do="give the ledger's rows or scores.csv")
    found = scores.copy()
    if items is not None:
        found = _joined(found, _item_table(items))
    for name in (*TEXTS, "rubric", "rater", "item"):
        found[name] = found[name].astype(object).where(found[name].notna(), "").astype(str) if name in found else ""
    for name in ("score", "bin", "value", "truth", "repeat", "cost", "tokens_in", "tokens_out", "seconds"):
        found[name] = pd.to_numeric(found[name], errors="coerce").astype(float) if name in found else np.nan
    state = found["state"].where(found["state"] != "", "pending")
    found["status"] = found["status"].where(found["status"] != "", state)
    found["score"] = found["score"].where(found["status"] == "ok")
    found["answered"] = (found["status"] == "ok") & found["score"].notna()
    answers = (found["rubric"] == "answer") & (found["control"] == "") & (found["feature"] == "")
    # an answer to a task is a unit of its own, as a feature is
    found["feature"] = found["feature"].where(~answers, found["item"])
    found["arm"] = found["arm"].where(~answers | (found["arm"] != ""), "answers")
    unnamed = (found["arm"] == "") & found["control"].isin(CONTROL_ARMS)
    found["arm"] = found["arm"].where(~unnamed, found["control"])
    return found.reset_index(drop=True)


def _item_table(items) -> pd.DataFrame:
    table = items.copy() if isinstance(items, pd.DataFrame) else pd.DataFrame([item._asdict() for item in items])
    if not len(table):
        raise InputError("no items", do="give the items that the calls are about")
    for name in FROM_ITEMS:
        table[name] = table[name] if name in table else ""
    return table.drop_duplicates("item").set_index("item")[list(FROM_ITEMS)]


def _joined(scores: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    unknown = scores.loc[~scores["item"].isin(items.index), "item"].unique()
    if len(unknown):
        raise InputError(f"{len(unknown)} items of the scores are unknown, such as {unknown[0]}",
                         do="give the items of the same run")
    for name in ("wording", "repeat"):
        scores[name] = scores[name] if name in scores else 0
    asked = scores[[name for name in ("rubric", "rater", "wording", "repeat")]].drop_duplicates()
    asked = asked[[kind_of(rater) != "human" for rater in asked["rater"]]]
    expected = items["rubric"].rename_axis("item").reset_index().merge(asked, on="rubric")
    keys = ["item", "rubric", "rater", "wording", "repeat"]
    there = pd.MultiIndex.from_frame(scores[keys])
    absent = expected[keys][~pd.MultiIndex.from_frame(expected[keys]).isin(there)]
    absent = absent.assign(status=NEVER, reason="the ledger holds no such call", score=np.nan)
    found = pd.concat([scores, absent], ignore_index=True) if len(absent) else scores
    return found.drop(columns=[name for name in FROM_ITEMS if name in found and name != "rubric"]).join(
        items.drop(columns="rubric"), on="item")


def top_of(rubric: str) -> float:
    """Return the highest score of a rubric, infinity for one that is not known here.

    Parameters
    ----------
    rubric : str
        Its name.
    """
    return float(RUBRICS[rubric].highest) if rubric in RUBRICS else float("inf")


def kind_of(rater: str, kinds: Mapping[str, str] | None = None) -> str:
    """Return what a rater is: "judge", "human" or "baseline" (answers without reading the prompt; never a judge).

    Parameters
    ----------
    rater : str
        Its name, such as "openai:gpt-5-mini", "human:anna", "lexical".
    kinds : mapping of str to str, optional
        Rater to kind; a rater that is not in it goes by the start of its name.
    """
    if kinds and rater in kinds:
        return kinds[rater]
    return PREFIXES.get(rater.split(":")[0], "judge")


def by_arm(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with one arm each: what several arms share is repeated under each of them.

    Parameters
    ----------
    frame : DataFrame
        With the column `arm`, names joined by "+".
    """
    return frame.assign(arm=frame["arm"].str.split(ARM_GLUE, regex=False)).explode("arm", ignore_index=True)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that arm means are made of: windows of features, those of control features included.

    Parameters
    ----------
    frame : DataFrame
        From `score_frame`.
    """
    return frame[(frame["feature"] != "") & (frame["arm"] != "") & frame["control"].isin(("", *CONTROL_ARMS))]


def item_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per rater and item: its score averaged over wordings and repeats, with what is missing counted.

    Parameters
    ----------
    frame : DataFrame
        From `score_frame`.

    Returns
    -------
    DataFrame
        `rater`, `item`, the columns of `FROM_ITEMS`, `score` (NaN when no call has one), `calls`, `missing`.
    """
    grouped = frame.groupby(["rater", "item"], sort=False)
    # both keep the order of first appearance
    table = frame.drop_duplicates(["rater", "item"])[["rater", "item", *FROM_ITEMS]].reset_index(drop=True)
    calls = grouped["answered"].agg(["size", "sum"]).to_numpy()
    return table.assign(score=grouped["score"].mean().to_numpy(), calls=calls[:, 0],
                        missing=(calls[:, 0] - calls[:, 1]).astype(int))
