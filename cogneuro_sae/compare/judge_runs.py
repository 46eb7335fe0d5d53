"""What a judge is asked about in a comparison: per concept and place the selected features, a search and a judge config."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.compare.config_file import plain_config
from cogneuro_sae.compare.descriptive import COLUMNS
from cogneuro_sae.compare.folder import COMPLETION, write_csv
from cogneuro_sae.compare.inputs import Concept, Inputs
from cogneuro_sae.compare.judge_axis import JudgeAxis
from cogneuro_sae.config import expand
from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.judge.config import JudgeConfig
from cogneuro_sae.judge.config import plain_config as plain_judge
from cogneuro_sae.search.config import Controls, SearchConfig
from cogneuro_sae.search.controls import control_features
from cogneuro_sae.search.source import Source, read_source

PLACE = ("site", "window", "pooling")
FOLDER = "judge"


class Run(NamedTuple):
    """One concept at one site, window and pooling.

    Parameters
    ----------
    concept : Concept
        Whose.
    reference : str
        Where its stimulus set is read from.
    site, window, pooling : str
        Where its features were selected.
    folder : Path
        Where its search and judge go.
    """

    concept: Concept
    reference: str
    site: str
    window: str
    pooling: str
    folder: Path

    @property
    def keys(self) -> dict[str, str]:
        """What rows of cells.csv and features.csv of this run share."""
        return {"concept": self.concept.task.concept, "site": self.site, "window": self.window, "pooling": self.pooling}

    @property
    def label(self) -> str:
        """For progress lines."""
        return f"{self.concept.task.concept} at {self.site}, {self.window}, {self.pooling}"


class Setting(NamedTuple):
    """How a judge axis is run.

    Parameters
    ----------
    device : str
        For the searches.
    allow_download : bool
        Whether searches may fetch a model or a corpus.
    yes : bool
        The cost is agreed to.
    say : callable
        Takes a line per step of the comparison.
    progress : callable
        Takes the lines of searches and raters, which keep logs of their own.
    interrupts : Interrupts or None
        Looked at between runs; None for a dry run.
    """

    device: str
    allow_download: bool
    yes: bool
    say: Callable[[str], None]
    progress: Callable[[str], None]
    interrupts: Interrupts | None


class Searched(NamedTuple):
    """A run with its windows.

    Parameters
    ----------
    run : Run
        Which.
    search : Path or None
        Its search folder; None where there is nothing to judge.
    control : str
        Representation that control features are drawn from.
    why : str
        Why there is nothing to judge.
    """

    run: Run
    search: Path | None
    control: str
    why: str


def judge_runs(inputs: Inputs, folder: Path) -> list[Run]:
    """Return the judge runs of a comparison: features at another site, or pooled otherwise, are others.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    folder : Path
        Of the comparison.

    Returns
    -------
    list of Run
    """
    config = inputs.config
    references = [str(path.resolve()) for path in expand(config.stimuli, "stimuli")]
    return [Run(concept, reference, site, window, pooling, folder / FOLDER / concept.task.concept / re.sub(
        r"[^\w.-]", "", f"{site}.{window}.{pooling}"))
        for concept, reference in zip(inputs.concepts, references, strict=True)
        for site in config.site for window in config.window for pooling in config.pooling]


def name_of(config, representation: str, feature: int) -> str:
    """Return what search and judge call a feature of a comparison.

    Parameters
    ----------
    config : CompareConfig
        The comparison.
    representation : str
        Its name there.
    feature : int
        Unit or latent.
    """
    return f"{'raw' if config.representations[representation] == 'raw' else representation}:{feature}"


def selected_of(inputs: Inputs, run: Run, features: pd.DataFrame) -> pd.DataFrame:
    """Return the selected features of a run, best first in every arm: those of the largest k hold all others.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    run : Run
        Which.
    features : DataFrame
        features.csv of the comparison.

    Returns
    -------
    DataFrame
        Rows of features.csv whose `selector` is the arm `representation_selector`; representations that no corpus can be
        searched for are left out.
    """
    config, arms = inputs.config, inputs.config.arms()
    own = features[(features[list(run.keys)] == pd.Series(run.keys)).all(axis=1)]
    own = own[(own["k"] == max(config.k)) & (own["ensemble"] == config.ensemble[0])]
    names = [arms.get(pair) for pair in zip(own["representation"], own["selector"], strict=True)]
    own = own.assign(selector=pd.Series(names, index=own.index, dtype=object))
    return own[own["selector"].notna()].sort_values("rank", kind="stable")


def write_selected(inputs: Inputs, run: Run, selected: pd.DataFrame, folder: Path) -> Path:
    """Write the selected features of a run as a results folder that a search can start from.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    run : Run
        Which.
    selected : DataFrame
        From `selected_of`.
    folder : Path
        Made when absent.

    Returns
    -------
    Path
        The folder.
    """
    plain = plain_config(inputs.config) | {"stimuli": [run.reference], "site": [run.site], "window": [run.window],
                                           "pooling": [run.pooling]}
    files.write_text(folder / "config.yaml", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    write_csv(folder / "features.csv", selected[list(COLUMNS)])
    files.write_json(folder / COMPLETION, {"verb": "compare", "part": run.keys})
    return folder


def search_config(inputs: Inputs, run: Run, axis: JudgeAxis, selected: Path) -> tuple[SearchConfig, list[str]]:
    """Return the search of a run: equally many features of every arm, best first, and as many of every control.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    run : Run
        Which.
    axis : JudgeAxis
        How the corpus is read.
    selected : Path
        From `write_selected`.

    Returns
    -------
    tuple of (SearchConfig, list of str)
        With notes on what is not equal.

    Raises
    ------
    InputError
        The target drives none of the features.
    """
    fields = {"name": "search", "seed": inputs.config.seed, "from": str(selected), "features": "selected", **axis.reading}
    source = read_source(SearchConfig.model_validate(fields))
    arms = [arm for one in source.features for names in one.arms.values() for arm in names]
    counts = {arm: arms.count(arm) for arm in dict.fromkeys(arms)}
    size = min(counts.values())
    notes = [*source.notes]
    if max(counts.values()) > size:
        # a judge compares arms on equal numbers; the best of each are kept
        notes.append(f"{size} features of every arm are judged, as many as {min(counts, key=counts.get)} has")
    fields["most"] = size
    controls, more = _controls(inputs, run, read_source(SearchConfig.model_validate(fields)), size)
    return SearchConfig.model_validate({**fields, "controls": controls}), notes + more


def _controls(inputs: Inputs, run: Run, source: Source, size: int) -> tuple[dict[str, int], list[str]]:
    """As many of every control as there are features of an arm, where that many can be drawn."""
    saes = {name: inputs.encoders[run.site, name].through for name in source.saes
            if any(one.representation == name for one in source.features)}
    width, found, notes = inputs.model.width(run.site), {}, []
    for name in inputs.config.controls:
        wanted = found | {name: size}
        try:
            control_features(source.features, saes, Controls(**wanted), width=width, seed=inputs.config.seed)
        except InputError as error:
            notes.append(f"no control arm {name}: {error}")
            continue
        found = wanted
    return found, notes


def judge_config(run: Run, axis: JudgeAxis, search: str, *, budget: float | None) -> JudgeConfig:
    """Return the judge config of a run.

    Parameters
    ----------
    run : Run
        Which.
    axis : JudgeAxis
        Raters, rubrics, wordings, repeats, controls.
    search : str
        Its search folder or search config.
    budget : float or None
        What its calls may cost.

    Returns
    -------
    JudgeConfig
    """
    plain = plain_judge(axis.config) | {"name": "judge", "search": search, "concept": run.concept.stimuli.concept,
                                        "stimuli": run.reference, "contrast": run.concept.task.contrast}
    # tests between methods are those of detection, named before anything was scored; other axes describe
    plain = {key: value for key, value in plain.items() if key not in ("planned", "budget", "confirm_above")}
    return JudgeConfig.model_validate({**plain, "confirm_above": axis.config.confirm_above, "budget": budget})
