"""What a stimulus file may say: the YAML schema (docs/stimuli.md) and the names of things in it."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

import pydantic

from cogneuro_sae.config import Listed, StrictModel, shown
from cogneuro_sae.errors import InputError

WINDOWS_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
COLUMNS = ("id", "text", "item", "condition", "paraphrase", "span", "split", "grade")
SPLITS = ("discovery", "confirm")
FAR = "far"

_PATTERNS = {
    "name": (re.compile(r"[a-z0-9][a-z0-9_-]{0,63}"), "[a-z0-9][a-z0-9_-]*, at most 64 characters"),
    "condition": (re.compile(r"[a-z][a-z0-9_]{0,63}"), "[a-z][a-z0-9_]*, at most 64 characters"),
    "level": (re.compile(r"[a-z][a-z0-9]{0,63}"), "[a-z][a-z0-9]*, at most 64 characters"),
    "column": (re.compile(r"[^\W\d]\w{0,63}"), "letters, digits and _, at most 64 characters"),
    "language": (re.compile(r"[a-z]{2}|mul"), "two small letters of ISO 639-1, such as en or de; mul for several"),
    "item": (re.compile(r"[^\W_][\w-]{0,63}"),
             "letters, digits, _ and -, at most 64 characters, a letter or digit first"),
    "id": (re.compile(r"[^\W_][\w.-]{0,199}"),
           "letters, digits, _ - and ., at most 200 characters, a letter or digit first"),
}


def check_name(kind: str, value: str) -> str:
    """Return a name in Unicode NFC when it fits its pattern.

    Parameters
    ----------
    kind : str
        "name" | "condition" | "level" | "column" | "language" | "item" | "id".
    value : str
        The name.

    Raises
    ------
    InputError
        It does not fit, or Windows reserves it.
    """
    pattern, allowed = _PATTERNS[kind]
    value = unicodedata.normalize("NFC", value)
    if not pattern.fullmatch(value):
        article = "an" if kind[0] in "aeiou" else "a"
        raise InputError(f"{shown(value)} cannot be {article} {kind}", allowed=allowed)
    if kind in ("name", "item", "id") and value.partition(".")[0].casefold() in WINDOWS_NAMES:
        raise InputError(f"{shown(value)} is a reserved name on Windows", do="choose another")
    return value


def _named(kind: str):
    return Annotated[str, pydantic.AfterValidator(lambda value: check_name(kind, value))]


def _filled(value: str) -> str:
    if not value.strip():
        raise InputError("is empty", do="write some text")
    return value


Text = Annotated[str, pydantic.AfterValidator(_filled)]


class ConditionSpec(StrictModel):
    """One condition; `near: failure` is short for `near: {label: failure}`."""

    label: Text
    """What plots and reports call it."""
    grade: float | None = None
    """How much of the concept it holds; makes the graded model RDM."""


class SplitSpec(StrictModel):
    """Which items are kept for confirmation."""

    confirm: Listed[str]
    """Items left out of every analysis until they are unlocked."""


class Continuation(StrictModel):
    """A prompt with a target and a foil continuation, for causal work."""

    item: str
    """The item it belongs to."""
    prompt: Text
    """What the model reads."""
    target: Text
    """Continuation that fits the concept."""
    foil: Text
    """Continuation that does not; as many tokens as the target."""


class WordsSpec(StrictModel):
    """Single words of the concept and of its foil, for direct logit attribution."""

    target: Listed[Text]
    """Words of the concept."""
    foil: Listed[Text]
    """Words of the foil."""


class SetFile(StrictModel):
    """A stimulus set as a YAML file says it."""

    name: _named("name")
    """Equals the file's stem."""
    concept: Text
    """The words that a judge and a plot use."""
    group: _named("name") | None = None
    """The kind of concept, such as relational; results can be read by it."""
    language: _named("language") = "en"
    """Language of the texts, ISO 639-1; word frequencies, sentiment and negations are measured in it."""
    definition: Text
    """One sentence on what makes a text hold the concept."""
    licence: str = ""
    """Licence of the texts, such as CC0-1.0."""
    banned: Listed[Text] = ()
    """Stems that occur in no text; `*` stands for any ending."""
    conditions: dict[_named("condition"), Annotated[ConditionSpec, pydantic.BeforeValidator(
        lambda value: {"label": value} if isinstance(value, str) else value)]] | None = None
    """Conditions in order, the first is the target; or else `factors`."""
    factors: dict[_named("column"),
                  Annotated[tuple[_named("level"), ...], pydantic.Field(strict=False, min_length=1)]] | None = None
    """Factors with their levels; the cells are all combinations."""
    between: Listed[str] = ()
    """Factors of which each item holds one level only."""
    contrasts: Annotated[dict[_named("name"), Text],
                         pydantic.Field(min_length=1, examples=["main: target - near"])]
    """Named expressions over conditions, cells or levels; the first is the default."""
    items: Annotated[list[Any], pydantic.Field(min_length=1)] | None = None
    """The texts, by item; or else `table`."""
    table: Text | None = None
    """A csv, tsv, jsonl or parquet file with the texts, beside the YAML."""
    covariates: Listed[_named("column")] = ()
    """Columns that items or texts of `items` may carry; a table's extra columns are covariates anyway."""
    graded: Listed[str] = ()
    """Numeric columns that are graded labels."""
    strata: Listed[str] = ()
    """Columns within whose values labels are exchanged."""
    split: SplitSpec | None = None
    """Items kept for confirmation."""
    model_rdms: dict[_named("name"), Text] = {}
    """Square csv or rsatoolbox files of dissimilarities, by stimulus id."""
    words: WordsSpec | None = None
    """Words for direct logit attribution."""
    continuations: Listed[Continuation] = ()
    """Prompts with target and foil continuations."""
    independent: bool = False
    """Declared: every text is its own item and all are exchangeable."""
    dedupe: bool = False
    """Drop a text that repeats an earlier one of its condition."""
