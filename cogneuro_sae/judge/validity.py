"""The verdict on a judge: not valid, not shown to be valid, or valid, in one line that stands before every result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.judge.gates import ALL, JUDGING
from cogneuro_sae.judge.score_frame import kind_of

NOT_VALID, NOT_SHOWN, VALID, BASELINE = "not valid", "not shown to be valid", "valid", "not a judge"
COMPLETE = "complete, validity not measured"
DIRECTIONS = {"known_items": "low", "severity": "low", "leniency": "high", "control_floor": "high"}


class Validity(NamedTuple):
    """What the gates say of one rater on one rubric.

    Parameters
    ----------
    rater, rubric : str
        Whose and on what.
    verdict : str
        "not valid" (a gate failed, whatever the others say) | "not shown to be valid" (a gate could not be measured) |
        "valid" | "complete, validity not measured" (a rubric without known items) | "not a judge" (a baseline).
    failed, unmeasured : tuple of str
        Gates.
    """

    rater: str
    rubric: str
    verdict: str
    failed: tuple[str, ...]
    unmeasured: tuple[str, ...]


def validity(gates: pd.DataFrame, *, kinds: Mapping[str, str] | None = None) -> list[Validity]:
    """Return the verdict on every rater and rubric; gates of the group ("all") hold for each of its raters.

    Parameters
    ----------
    gates : DataFrame
        From `gates`, or `gates.csv` read back.
    kinds : mapping of str to str, optional
        Rater to "judge" | "human" | "baseline"; without it by the start of its name.

    Returns
    -------
    list of Validity
    """
    held = gates[pd.to_numeric(gates["limit"], errors="coerce").notna()]
    found = []
    for (rater, rubric), rows in held[held["rater"] != ALL].groupby(["rater", "rubric"], sort=False):
        rows = pd.concat([rows, held[(held["rater"] == ALL) & (held["rubric"] == rubric)]])
        state = [passed_of(value) for value in rows["passed"]]
        failed = tuple(name for name, each in zip(rows["gate"], state, strict=True) if each is False)
        open_ = tuple(name for name, each in zip(rows["gate"], state, strict=True) if each is None)
        verdict = NOT_VALID if failed else NOT_SHOWN if open_ else VALID if rubric in JUDGING else COMPLETE
        verdict = BASELINE if kind_of(rater, kinds) == "baseline" else verdict
        found.append(Validity(rater, rubric, verdict, failed, open_))
    return found


def passed_of(value: object) -> bool | None:
    """Return a cell of the column `passed` as True, False or None, also after a trip through a CSV file.

    Parameters
    ----------
    value : object
        bool, text or missing.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())


def first_line(gates: pd.DataFrame, *, kinds: Mapping[str, str] | None = None) -> str:
    """Return the line that stands before every judge result.

    Parameters
    ----------
    gates : DataFrame
        From `gates`, or `gates.csv` read back.
    kinds : mapping of str to str, optional
        As in `validity`.

    Returns
    -------
    str
        Failed judges first, each with its failed gates and their numbers.
    """
    found = validity(gates, kinds=kinds)
    judges = [each for each in found if each.verdict != BASELINE]
    parts = []
    failed = [each for each in judges if each.verdict == NOT_VALID]
    if failed:
        parts.append("NOT VALID: " + "; ".join(f"{each.rater} ({each.rubric}) fails " + ", ".join(
            _number(gates, each, gate) for gate in each.failed) for each in failed))
    unshown = [each for each in judges if each.verdict == NOT_SHOWN]
    if unshown:
        parts.append("Not shown to be valid: " + "; ".join(
            f"{each.rater} ({each.rubric}), because {', '.join(each.unmeasured)} could not be measured"
            for each in unshown))
    good = [each for each in judges if each.verdict == VALID]
    if good:
        parts.append("Valid: " + "; ".join(f"{each.rater} ({each.rubric}) passes every gate" for each in good))
    complete = [each for each in judges if each.verdict == COMPLETE]
    if complete:
        parts.append("Complete, but without items of known answer nothing measures validity: " + "; ".join(
            f"{each.rater} ({each.rubric})" for each in complete))
    if not judges:
        people = _people(gates)
        parts.append("No judge took part: whatever is shown here comes from "
                     + (f"{', '.join(people)}, whom no gate checks, or from " if people else "")
                     + "a baseline that does not read texts")
    baselines = list(dict.fromkeys(each.rater for each in found if each.verdict == BASELINE))
    if baselines and judges:
        parts.append(f"{', '.join(baselines)} is a baseline, not a judge" if len(baselines) == 1
                     else f"{', '.join(baselines)} are baselines, not judges")
    return ". ".join(parts) + "."


def _people(gates: pd.DataFrame) -> list[str]:
    """People have no gates of their own; their agreement with the others names them."""
    pairs = [gate.removeprefix("agreement: ").split(" & ") for gate in gates["gate"] if gate.startswith("agreement: ")]
    return list(dict.fromkeys(name for pair in pairs for name in pair if name.startswith("human:")))


def _number(gates: pd.DataFrame, found: Validity, gate: str) -> str:
    rows = gates[(gates["gate"] == gate) & (gates["rubric"] == found.rubric) & gates["rater"].isin((found.rater, ALL))]
    row = rows.iloc[0]
    if not np.isfinite(row["value"]):
        return gate
    ends = f" [{row['low']:.2f}, {row['high']:.2f}]" if np.isfinite(row["low"]) and np.isfinite(row["high"]) else ""
    held = {"low": "lower bound against ", "high": "upper bound against "}.get(DIRECTIONS.get(gate, ""), "limit ")
    return f"{gate} ({row['value']:.2f}{ends}, {held}{row['limit']:.2f})"


def three_models(judges: Mapping[str, str], *, writer: str, studied: str) -> str:
    """Return the sentence that says whether judge, stimulus writer and studied model are three different models.

    Parameters
    ----------
    judges : mapping of str to str
        Rater to model name.
    writer : str
        Who wrote the stimuli; "" when it is not recorded.
    studied : str
        The model whose features are judged; "" when it is not recorded.

    Returns
    -------
    str
        What coincides, or what is not known, is named.
    """
    unknown = [name for name, value in (("who wrote the stimuli", writer), ("the studied model", studied)) if not value]
    same = [f"{rater} is also the studied model" for rater, model in judges.items() if studied and model == studied]
    same += [f"{rater} also wrote the stimuli" for rater, model in judges.items() if writer and model == writer]
    same += ["the studied model wrote the stimuli"] if writer and writer == studied else []
    if same:
        return "Judge, stimulus writer and studied model are NOT three different models: " + "; ".join(same) + "."
    if unknown or not judges:
        return ("It is not known whether judge, stimulus writer and studied model are three different models: "
                + (f"{' and '.join(unknown)} is not recorded." if unknown else "there is no judge."))
    return (f"Judge ({', '.join(sorted(set(judges.values())))}), stimulus writer ({writer}) and studied model "
            f"({studied}) are different models.")
