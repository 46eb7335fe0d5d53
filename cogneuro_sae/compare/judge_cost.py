"""What the judge axis of a comparison costs: said in a dry run, agreed to before the first call."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.compare.descriptive import COLUMNS as FEATURE_COLUMNS
from cogneuro_sae.compare.inputs import Inputs
from cogneuro_sae.compare.judge_axis import JudgeAxis
from cogneuro_sae.compare.judge_runs import (
    Run,
    Searched,
    Setting,
    judge_config,
    judge_runs,
    search_config,
    write_selected,
)
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.controls import TESTS_OF_EXPLANATIONS, plan_items
from cogneuro_sae.judge.estimate import confirm
from cogneuro_sae.judge.inputs import prepare
from cogneuro_sae.judge.providers.spec import NETWORK
from cogneuro_sae.judge.rounds import estimates, total_cost
from cogneuro_sae.judge.run import judge_features
from cogneuro_sae.search.config import plain_config as plain_search_config


def agreed(axis: JudgeAxis, searched: list[Searched], setting: Setting) -> bool:
    """Let a person agree to what all runs together cost, before the first call.

    Parameters
    ----------
    axis : JudgeAxis
        Who is asked what.
    searched : list of Searched
        Runs with their windows.
    setting : Setting
        Whether it is agreed to already.

    Returns
    -------
    bool
        Whether the runs need not ask again.

    Raises
    ------
    InputError
        Not agreed, or nobody there to agree.
    """
    paid = [rater for rater in axis.config.raters if rater.provider in NETWORK]
    if setting.yes or axis.config.confirm_above is None or not paid:
        return setting.yes
    costs = []
    for one in searched:
        if one.search is None:
            continue
        config = judge_config(one.run, axis, str(one.search), budget=None)
        if not (judge_features(config, out=one.run.folder, dry_run=True) / "provenance.json").is_file():
            costs.append(total_cost(_estimates(config, one.run, setting)))
    total = None if None in costs else float(sum(costs))
    if total is None or total > axis.config.confirm_above:
        setting.say("all runs of the judge together: " + ("unknown cost" if total is None else f"about {total:.2f}"))
    try:
        confirm(total, axis.config.confirm_above)
    except InputError as error:
        raise InputError(error.what, where="confirm_above of the judge config",
                         do="agree with --yes, or raise confirm_above there; --dry-run shows the estimate") from error
    # explanations decide what their tests ask: each run asks about those itself
    return not set(axis.config.rubrics) & set(TESTS_OF_EXPLANATIONS)


def _estimates(config, run: Run, setting: Setting) -> dict:
    made = prepare(config, out=run.folder, dry_run=True, device=setting.device, allow_download=setting.allow_download,
                   say=lambda line: None)
    first = [name for name in config.rubrics if name not in TESTS_OF_EXPLANATIONS]
    items = plan_items(made.search, rubrics=first, concept=made.concept, stimuli=made.stimuli, repeats=config.repeats,
                       controls=config.controls, seed=config.seed, definition=made.definition, contrast=config.contrast,
                       per_bin=config.per_bin, known=config.known).items
    return estimates(made, items)


def say_cost(inputs: Inputs, axis: JudgeAxis | None, folder: Path, setting: Setting) -> None:
    """Say how many calls the axis takes and what they cost at most: nothing is searched, asked or written.

    Stand-ins take the place of features and windows that are not known yet: as many as no two arms had one in common.

    Parameters
    ----------
    inputs : Inputs
        From `prepare` of the comparison.
    axis : JudgeAxis or None
        Who is asked what; None: nothing is said.
    folder : Path
        Where the comparison would stand.
    setting : Setting
        Device and the like.
    """
    if axis is None:
        return
    runs = judge_runs(inputs, folder)
    total: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as made:
        for number, run in enumerate(runs):
            place = Path(made) / str(number)
            written = write_selected(inputs, run, _stand_ins(inputs, run), place)
            config, _ = search_config(inputs, run, axis, written)
            files.write_text(place / "search.yaml", yaml.safe_dump(plain_search_config(config), allow_unicode=True))
            found = _estimates(judge_config(run, axis, str(place / "search.yaml"), budget=None), run, setting)
            for name, each in found.items():
                total.setdefault(name, []).append(each)
    for name, parts in total.items():
        cost = total_cost({str(place): each for place, each in enumerate(parts)})
        calls, many = sum(each.calls for each in parts), "s" * (len(runs) != 1)
        setting.say(f"judge {name}: at most about {calls:,} calls in {len(runs)} run{many}, "
                    f"{'unknown cost' if cost is None else f'about {cost:.4f}'} "
                    f"({parts[0].price_line.removeprefix(f'{name}: ')})")
    if set(axis.config.rubrics) & set(TESTS_OF_EXPLANATIONS):
        setting.say("judge: detection and fuzzing come on top")


def _stand_ins(inputs: Inputs, run: Run) -> pd.DataFrame:
    """A table of selected features in which no two arms share one, as long as there are enough."""
    rows = []
    for place, ((representation, _), arm) in enumerate(inputs.config.arms().items()):
        width = inputs.encoders[run.site, representation].n_features
        rows += [{**run.keys, "representation": representation, "selector": arm, "k": max(inputs.config.k),
                  "ensemble": inputs.config.ensemble[0], "rank": rank + 1,
                  "feature": (place * max(inputs.config.k) + rank) % width, "effect": 1.0, "direction": 1.0, "sign": 1}
                 for rank in range(max(inputs.config.k))]
    return pd.DataFrame(rows).reindex(columns=list(FEATURE_COLUMNS))
