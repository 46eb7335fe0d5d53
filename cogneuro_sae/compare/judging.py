"""The axis `judge` of a comparison, after its tables stand: searches, then the cost, then raters, then the column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.compare import folder as disk
from cogneuro_sae.compare.inputs import Inputs
from cogneuro_sae.compare.judge_axis import JudgeAxis
from cogneuro_sae.compare.judge_column import Judged, axes_table, judge_columns, read_judged
from cogneuro_sae.compare.judge_cost import agreed
from cogneuro_sae.compare.judge_resume import AXES_FILE
from cogneuro_sae.compare.judge_runs import (
    Run,
    Searched,
    Setting,
    judge_config,
    judge_runs,
    search_config,
    selected_of,
    write_selected,
)
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.ledger import Ledger
from cogneuro_sae.judge.place import LEDGER
from cogneuro_sae.judge.run import judge_features
from cogneuro_sae.search import read_search, search_corpus

SELECTED = "selected"


def judge_axis(inputs: Inputs, axis: JudgeAxis, folder: Path, record: dict, setting: Setting) -> dict:
    """Search and judge the selected features of every concept, fill the column, and return the record with all of it.

    Parameters
    ----------
    inputs : Inputs
        From `prepare` of the comparison.
    axis : JudgeAxis
        Who is asked what.
    folder : Path
        The comparison, whose tables stand there.
    record : dict
        Its run record so far.
    setting : Setting
        Device and the like.

    Returns
    -------
    dict
        The record with `judge`, warnings and fingerprints.

    Raises
    ------
    InputError
        The cost was not agreed to, the budget is used up, or a search or judge cannot do its work.
    Interrupted
        Everything so far is saved, every answer too.
    """
    cells, features = (disk.read_csv(folder / f"{name}.csv") for name in ("cells", "features"))
    warnings: list[str] = []
    searched = [_searched(inputs, axis, run, features, setting, warnings) for run in judge_runs(inputs, folder)]
    yes = agreed(axis, searched, setting)
    judged: list[tuple[Run, Judged | str]] = []
    entries = []
    for one in searched:
        entry = {**one.run.keys, "reason": one.why}
        if one.search is None:
            judged.append((one.run, one.why))
        else:
            found = _judged(axis, one, searched, setting, yes)
            judged.append((one.run, read_judged(found)))
            entry |= _entry(folder, one, found, judged[-1][1])
            setting.say(f"{one.run.label}: judged; {judged[-1][1].first_line}")
            setting.interrupts.check("the judge axis was", where=str(folder))
        entries.append(entry)
    control_of = {one.run.folder: one.control for one in searched}
    disk.write_csv(folder / "cells.csv", judge_columns(inputs.config, cells, features, judged, control_of))
    disk.write_csv(folder / AXES_FILE, axes_table(inputs.config, features, judged))
    return record | {"judge": {"config": axis.plain, "runs": entries},
                     "warnings": list(dict.fromkeys([*record["warnings"], *warnings])),
                     "files": {**record["files"], **files.fingerprints(folder, ["cells.csv", AXES_FILE])}}


def _entry(folder: Path, one: Searched, judge: Path, judged: Judged) -> dict:
    notes = files.read_json(judge / "provenance.json")["warnings"]
    return {"search": str(one.search.relative_to(folder)), "judge": str(judge.relative_to(folder)),
            "first_line": judged.first_line, "valid": judged.valid, "who": judged.who,
            "n_features": len(judged.scores), "notes": notes}


def _searched(inputs: Inputs, axis: JudgeAxis, run: Run, features: pd.DataFrame, setting: Setting,
              warnings: list[str]) -> Searched:
    """The windows of a run's features, or why there are none."""
    selected = selected_of(inputs, run, features)
    if not len(selected):
        return Searched(run, None, "", "no feature was selected that a corpus can be searched for")
    written = write_selected(inputs, run, selected, run.folder / SELECTED)
    try:
        config, notes = search_config(inputs, run, axis, written)
    except InputError as error:
        # a concept without a feature that the target drives must not cost the others theirs
        warnings.append(f"{run.label}: nothing to judge: {error}")
        return Searched(run, None, "", f"nothing to judge: {error}")
    warnings += [f"{run.label}: {note}" for note in notes]
    found = search_corpus(config, out=run.folder, device=setting.device, allow_download=setting.allow_download,
                          progress=setting.progress)
    setting.interrupts.check("the searches were", where=str(run.folder))
    result = read_search(found)
    chosen = {row["feature"] for row in result.features if set(row["arms"]) - set(inputs.config.controls)}
    if not chosen & {row["feature"] for row in result.windows}:
        return Searched(run, None, "", "no selected feature has a window in the corpus")
    drawn = [row["representation"] for row in result.features if set(row["arms"]) <= set(inputs.config.controls)]
    return Searched(run, found, _own_name(inputs, drawn[0]) if drawn else "", "")


def _own_name(inputs: Inputs, representation: str) -> str:
    """What the comparison calls a representation of the search."""
    named = inputs.config.representations
    return next((name for name, text in named.items() if text == "raw"), "raw") if representation == "raw" \
        else representation


def _judged(axis: JudgeAxis, one: Searched, searched: list[Searched], setting: Setting, yes: bool) -> Path:
    budget = axis.config.budget
    if budget is not None:
        # the budget is that of all runs together
        budget = max(0.0, budget - sum(_spent(each.run) for each in searched if each.run != one.run))
    config = judge_config(one.run, axis, str(one.search), budget=budget)
    return judge_features(config, out=one.run.folder, device=setting.device, yes=yes, progress=setting.progress)


def _spent(run: Run) -> float:
    found = 0.0
    for path in sorted((run.folder / "judge").glob(f"*/{LEDGER[0]}")):
        with Ledger(path) as ledger:
            found += ledger.spent().total
    return found
