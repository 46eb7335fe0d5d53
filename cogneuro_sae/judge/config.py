"""What `cogneuro-sae judge` reads: one strict schema; importing it loads no vendor's SDK, torch or scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydantic

from cogneuro_sae.config import Listed, OneOrMore, StrictModel, beside, load_config, shipped
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.providers.spec import RaterSpec
from cogneuro_sae.judge.rubrics import get_rubric

KIND = "configs/judge"
NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
PATHS = ("search", "stimuli", "answers")


class JudgeConfig(StrictModel):
    """Which windows are judged, by whom, with which questions, and what it may cost."""

    name: str = pydantic.Field(pattern=NAME)
    """Folder name of the results."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """Every draw and the blind order come from it."""
    search: str | None = None
    """A search config (run first when its results are missing), or a search folder."""
    answers: str | None = None
    """JSON lines of answers to tasks (question, answer, reference), for the rubric `answer`."""
    concept: str | None = None
    """The words a rater is asked about; default: that of the stimuli or of the search."""
    definition: str = ""
    """What is meant by the concept; default: the stimulus set's."""
    stimuli: str | None = None
    """Stimulus set behind known items; default: the shipped set named like the concept, where there is one."""
    contrast: str | None = None
    """Contrast of the set whose sides are the known items; default: the set's first."""
    rubrics: OneOrMore[str] = ("target",)
    """target | intruder | explanation | explanation_batch | detection | fuzzing | answer."""
    wordings: dict[str, OneOrMore[str]] = pydantic.Field(default_factory=dict)
    """Wordings by rubric; default: the first of each."""
    raters: OneOrMore[RaterSpec]
    """Who answers."""
    sheets: Listed[str] = ()
    """Sheets filled in by people (`sheet.csv` of the results folder is the blank one)."""
    explainer: str | None = None
    """Rater whose explanations detection and fuzzing test; default: the first that is a judge."""
    repeats: int = pydantic.Field(1, ge=1, le=20)
    """How often each item is put to each rater."""
    controls: float = pydantic.Field(0.2, ge=0, lt=1)
    """Share of items that are made controls."""
    per_bin: int = pydantic.Field(5, ge=1, le=200)
    """Most windows per feature and activation bin."""
    known: int = pydantic.Field(40, ge=0, le=1000)
    """Most known positives, and as many negatives."""
    planned: dict[str, str] = pydantic.Field(default_factory=dict)
    """Planned contrasts of arms: name to expression, such as `rsa_discriminative - max_any`."""
    budget: float | None = pydantic.Field(None, ge=0)
    """What all calls together may cost, in the provider's currency; default: no limit."""
    confirm_above: float | None = pydantic.Field(1.0, ge=0)
    """Ask before more than this is spent; null: never."""
    retries: int = pydantic.Field(5, ge=0, le=50)
    """Repeats of a call after errors that may pass."""
    writer: str = "a language model"
    """Who wrote the stimuli, so that the report can say whether judge, writer and studied model are three."""

    @pydantic.field_validator("rubrics")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            get_rubric(name)
        return value

    @pydantic.model_validator(mode="after")
    def _together(self):
        if (self.search is None) == (self.rubrics != ("answer",)):
            what = "search is missing" if self.search is None else "the rubric answer judges answers, not windows"
            raise InputError(what, do="give search: CONFIG for windows, or answers: FILE with rubrics: [answer]")
        if ("answer" in self.rubrics) != (self.answers is not None):
            raise InputError("the rubric answer and the file of answers belong together", do="give both or neither")
        if len(self.rubrics) != len(set(self.rubrics)):
            raise InputError("a rubric is named twice", do="name each once")
        for name, wordings in self.wordings.items():
            for each in wordings if name in self.rubrics else ():
                get_rubric(name).checked(each)
        tests, asked = {"detection", "fuzzing"} & set(self.rubrics), {"explanation", "explanation_batch"}
        if tests and not asked & set(self.rubrics):
            raise InputError(f"{' and '.join(sorted(tests))} test explanations, and none is asked for", where="rubrics",
                             do="add explanation or explanation_batch")
        names = [rater.name for rater in self.raters]
        if len(names) != len(set(names)):
            raise InputError("two raters have the same name", where="raters", do="give one of them `as: NAME`")
        if self.explainer is not None and self.explainer not in names:
            raise InputError(f"no rater is called {self.explainer!r}", where="explainer", allowed=", ".join(names))
        unused = sorted(set(self.wordings) - set(self.rubrics))
        if unused:
            raise InputError(f"wordings of {', '.join(unused)}, which is not asked", where="wordings",
                             allowed=", ".join(self.rubrics))
        return self


def load_judge_config(reference: str | Path, overrides: Sequence[str] = ()) -> JudgeConfig:
    """Load a judge config; references inside it are relative to the file, those in overrides to the working directory.

    Parameters
    ----------
    reference : str or Path
        A shipped name or a path.
    overrides : sequence of str
        `a.b=value`, typed by the schema.

    Returns
    -------
    JudgeConfig

    Raises
    ------
    InputError
        The file or an override is not as the schema says; several faults come as one ManyErrors.
    """
    return load_config(reference, JudgeConfig, kind=KIND, overrides=overrides, anchored=_anchored)


def plain_config(config: JudgeConfig) -> dict:
    """Return a config as what stands in its YAML file, defaults filled in.

    Parameters
    ----------
    config : JudgeConfig
        Any.

    Returns
    -------
    dict
        JSON-able; `JudgeConfig.model_validate` reads it back equal.
    """
    data = config.model_dump(mode="json", by_alias=True)
    data["raters"] = [{key: value for key, value in rater.model_dump(mode="json", by_alias=True,
                                                                    exclude_unset=True).items() if value is not None}
                      for rater in config.raters]
    plain = JudgeConfig.model_construct(raters=()).model_dump(mode="json")
    return {key: value for key, value in data.items() if value not in (None, [], {}, "") or value != plain[key]}


def _anchored(data: dict, base: Path) -> dict:
    """References to files beside the config, or below the folder that `configs` stands in, become absolute paths."""
    folders = base, shipped("configs").parent
    data = data | {key: beside(data[key], *folders) for key in PATHS if key in data}
    for key in {"sheets", "raters"} & set(data):
        data[key] = data[key] if isinstance(data[key], list) else [data[key]]
    if "sheets" in data:
        data["sheets"] = [beside(sheet, *folders) for sheet in data["sheets"]]
    if "raters" in data:
        data["raters"] = [rater | {"file": beside(rater["file"], *folders)} if isinstance(rater, dict) and "file" in rater
                          else rater for rater in data["raters"]]
    return data
