"""Rubrics: what a rater is asked, what may be answered, and how an answer becomes a score.

Each rubric is a row of `RUBRICS`; its prompts are files `judge/prompts/<rubric>.<wording>.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.judge import prompts, showing
from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.parsing import Parsed, Unread, failed, read_choice, read_explanation, read_steps


def _choice_schema(options: tuple[str, ...]) -> dict:
    return {"type": "object", "properties": {"score": {"type": "integer", "enum": [int(option) for option in options]}},
            "required": ["score"], "additionalProperties": False}


def _object_schema(**kinds: dict) -> dict:
    return {"type": "object", "properties": kinds, "required": list(kinds), "additionalProperties": False}


_TEXT, _NUMBER, _TEXTS = {"type": "string"}, {"type": "number"}, {"type": "array", "items": {"type": "string"}}
_EXPLANATION = _object_schema(label=_TEXT, explanation=_TEXT, certainty=_NUMBER)
_STEPS = _object_schema(key_words=_TEXTS, grouping=_TEXT, outliers=_TEXTS, common_semantic=_TEXT, certainty=_NUMBER)


class Rubric(NamedTuple):
    """One question to raters.

    Parameters
    ----------
    name : str
        Key in `RUBRICS`.
    wordings : tuple of str
        Names of its prompt files; the first is the default.
    options : tuple of str
        Allowed answers; () = as many as the item has windows ("1", "2", ...) or, with a schema, free JSON.
    schema : dict or None
        JSON schema of the structured answer; None = made from the item's options.
    lowest, highest : float
        Range of the score.
    scale : str
        One line on what the score means, for reports and for human raters.
    show : callable
        Payload of an item to the untrusted data of the prompt.
    read : callable
        (text, options, item) to (score, label); raises `Unread`.
    max_tokens : int
        Most tokens of an answer.
    plain_wordings : tuple of str
        Wordings that are answered in plain text instead of JSON.
    folder : Path
        Where the prompt files are.
    """

    name: str
    wordings: tuple[str, ...]
    options: tuple[str, ...]
    schema: dict | None
    lowest: float
    highest: float
    scale: str
    show: Callable[[Mapping[str, Any]], Any]
    read: Callable[[str, tuple[str, ...], Item], tuple[float, dict]]
    max_tokens: int = 32
    plain_wordings: tuple[str, ...] = ()
    folder: Path = prompts.PROMPTS

    def hash(self, wording: str) -> str:
        """Return sha256 of a wording: prompt file, framing of the data, options, schema and scale.

        Parameters
        ----------
        wording : str
            One of `wordings`.

        Raises
        ------
        InputError
            Unknown wording.
        """
        contract = [self.options, self.schema_of(wording), self.lowest, self.highest]
        return prompts.prompt_hash(self.folder, self.name, self.checked(wording), contract)

    def checked(self, wording: str) -> str:
        """Return the wording.

        Parameters
        ----------
        wording : str
            One of `wordings`.

        Raises
        ------
        InputError
            Unknown wording.
        """
        if wording not in self.wordings:
            raise unknown_name(f"wording of the rubric {self.name}", wording, self.wordings)
        return wording

    def schema_of(self, wording: str) -> dict | None:
        """Return the schema of an answer to a wording, None where it is plain text or depends on the item.

        Parameters
        ----------
        wording : str
            One of `wordings`.
        """
        return None if wording in self.plain_wordings else self.schema

    def options_of(self, item: Item) -> tuple[str, ...]:
        """Return the answers allowed for an item, () = free text or JSON.

        Parameters
        ----------
        item : Item
            An item of this rubric.
        """
        if self.options or self.schema:
            return self.options
        return tuple(str(number) for number in range(1, len(item.payload["windows"]) + 1))


def _read_score(text: str, options: tuple[str, ...], item: Item) -> tuple[float, dict]:
    answer = read_choice(text, options)
    return float(answer), {"answer": int(answer)}


def _read_correct(text: str, options: tuple[str, ...], item: Item) -> tuple[float, dict]:
    """Score 1 where the answer is the truth; positions are counted from 1 by raters and from 0 in items."""
    answer = read_choice(text, options)
    if item.truth is None:
        raise Unread("error", "the item has no truth to compare the answer with")
    truth = int(item.truth) + (RUBRICS[item.rubric].options == ())
    return float(int(answer) == truth), {"answer": int(answer), "truth": truth}


def _read_explanation(text: str, options: tuple[str, ...], item: Item) -> tuple[float, dict]:
    found = read_explanation(text)
    return found["certainty"], found


def _read_steps(text: str, options: tuple[str, ...], item: Item) -> tuple[float, dict]:
    found = read_steps(text)
    return found["certainty"], found


_YES_NO = ("0", "1")
RUBRICS: dict[str, Rubric] = {rubric.name: rubric for rubric in (
    Rubric("target", ("standard", "questions", "sceptical"), ("0", "1", "2", "3"),
           _choice_schema(("0", "1", "2", "3")), 0, 3,
           "0 irrelevant, 1 vague, 2 related nearby, 3 the marked piece clearly carries the concept",
           showing.one_window, _read_score),
    Rubric("intruder", ("odd", "group"), (), None, 0, 1, "1 = the passage that does not belong was found, 0 = not",
           showing.several_windows, _read_correct),
    Rubric("explanation", ("label", "pattern"), (), _EXPLANATION, 0, 1, "the rater's certainty of its own label",
           showing.strengths, _read_explanation, 400, ("pattern",)),
    Rubric("explanation_batch", ("steps",), (), _STEPS, 0, 1, "the rater's certainty of its own label",
           showing.strengths, _read_steps, 900),
    Rubric("detection", ("fits", "predict"), _YES_NO, _choice_schema(_YES_NO), 0, 1,
           "1 = rightly said whether the feature is active, 0 = not", showing.described_text, _read_correct),
    Rubric("fuzzing", ("marks", "place"), _YES_NO, _choice_schema(_YES_NO), 0, 1,
           "1 = rightly said whether the marks are genuine, 0 = not", showing.described_window, _read_correct),
    Rubric("answer", ("reference", "examiner"), _YES_NO, _choice_schema(_YES_NO), 0, 1,
           "1 = the answer is right, 0 = wrong", showing.answered, _read_score),
)}
"""Rubrics by name; `--plugin` files may add to it."""


def get_rubric(rubric: str | Rubric) -> Rubric:
    """Return a rubric by name.

    Parameters
    ----------
    rubric : str or Rubric
        A name in `RUBRICS`, or a rubric itself.

    Raises
    ------
    InputError
        Unknown name.
    """
    if isinstance(rubric, Rubric):
        return rubric
    if rubric not in RUBRICS:
        raise unknown_name("rubric", rubric, RUBRICS)
    return RUBRICS[rubric]


def build_request(rubric: str | Rubric, wording: str, item: Item, *, concept: str, definition: str, key: str,
                  nonce: str) -> Request:
    """Return the request for an item.

    Parameters
    ----------
    rubric : str or Rubric
        The item's rubric.
    wording : str
        One of its wordings.
    item : Item
        What is asked about; only its payload enters the prompt.
    concept, definition : str
        The run's concept; `concept` and `definition` in the item's payload stand before them; without a definition
        the concept stands for itself.
    key : str
        The call's identity.
    nonce : str
        12 to 64 hexadecimal digits that delimit the untrusted text; see `prompts.nonce_of`.

    Raises
    ------
    InputError
        Unknown rubric or wording, an item of another rubric, or a payload that lacks what the rubric shows.
    """
    rubric = get_rubric(rubric)
    if item.rubric != rubric.name:
        raise InputError(f"item {item.item} belongs to the rubric {item.rubric!r}, not to {rubric.name!r}")
    options = rubric.options_of(item)
    system, user = prompts.render(
        rubric.folder, rubric.name, rubric.checked(wording), nonce=nonce, options=", ".join(options),
        concept=item.payload.get("concept", concept),
        definition=item.payload.get("definition", definition) or item.payload.get("concept", concept),
        n_windows=len(item.payload.get("windows", ())), data=prompts.data_block(_shown(rubric, item), nonce))
    schema = _choice_schema(options) if options else rubric.schema_of(wording)
    return Request(key, system, user, options, schema, rubric.max_tokens, item)


def _shown(rubric: Rubric, item: Item) -> Any:
    try:
        return rubric.show(item.payload)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"item {item.item} lacks what the rubric {rubric.name} shows ({error!r})",
                         do="make items with build_items or answer_items") from error


def parse_reply(rubric: str | Rubric, item: Item, reply: Reply) -> Parsed:
    """Return what a reply says; never raises for anything in the reply.

    Parameters
    ----------
    rubric : str or Rubric
        The item's rubric.
    item : Item
        What was asked about.
    reply : Reply
        What came back.

    Returns
    -------
    Parsed
        A score only when the status is "ok"; always within the rubric's range.
    """
    rubric = get_rubric(rubric)
    if reply.status != "ok":
        status = reply.status if reply.status in ("refusal", "truncated") else "error"
        return failed(status, str(reply.reason) or f"the provider says {reply.status}")
    try:
        score, label = rubric.read(reply.text, rubric.options_of(item), item)
    except Unread as unread:
        return failed(unread.status, unread.reason)
    if not (math.isfinite(score) and rubric.lowest <= score <= rubric.highest):
        return failed("out_of_range", f"{score} is not from {rubric.lowest:g} to {rubric.highest:g}")
    return Parsed(score, label, "ok")
