"""What a sheet asks of a human: the same pieces, tasks and answers as a prompt, in words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.messages import Reply
from cogneuro_sae.judge.parsing import Parsed, failed
from cogneuro_sae.judge.rubrics import get_rubric, parse_reply
from cogneuro_sae.judge.showing import pieces, text_of

ITEM = "item-"
"""Before every id, or a spreadsheet takes some of them for numbers."""
RATER, FIELD = "rater", "answer"
ANSWERS = (FIELD, "reason", "explanation", "certainty")
COLUMNS = ("number", "item", "task", "concept", "definition", "text", "answer_with", RATER, *ANSWERS)
EXPLAINING = ("explanation", "explanation_batch")
NOTHING = ""

TASKS = {
    "target": "How well does the piece between « and » identify the concept?",
    "intruder": "In all passages but one the pieces between « and » have something in common. "
                "Which passage does not belong?",
    "explanation": "What do the pieces with high numbers have in common that the others lack?",
    "explanation_batch": "What do the pieces with high numbers have in common that the others lack?",
    "detection": "Does the description fit the passage?",
    "fuzzing": "Are the pieces between « and » the ones that the description is about?",
    "answer": "Is the answer right? It is if it says the same as the reference.",
}
ANSWER_WITH = {
    "detection": "1 = yes, 0 = no", "fuzzing": "1 = yes, 0 = no", "answer": "1 = right, 0 = wrong",
    "explanation": "answer: a label of at most 8 words; explanation: one or two sentences; certainty: 0 to 1",
    "explanation_batch": "answer: a label of at most 12 words; explanation: one to three sentences; certainty: 0 to 1",
}


class Question(NamedTuple):
    """One item as a human sees it.

    Parameters
    ----------
    item, rubric : str
        Which item, and of which rubric.
    task, concept, definition, text, answer_with : str
        What is asked, about what, and what may be answered; "" where the rubric has no concept.
    """

    item: str
    rubric: str
    task: str
    concept: str
    definition: str
    text: str
    answer_with: str


def question_of(item: Item, concept: str, definition: str) -> Question:
    """Return an item as a human sees it.

    Parameters
    ----------
    item : Item
        Of any rubric.
    concept, definition : str
        The run's concept; the item's own stand before them.
    """
    rubric = get_rubric(item.rubric)
    about = ("", "")
    if rubric.name == "target":
        about = (item.payload.get("concept", concept or item.concept), item.payload.get("definition", definition))
    numbers = ", ".join(rubric.options_of(item))
    asked = rubric.scale if rubric.options else f"the number of the passage: {numbers}"
    return Question(item.item, rubric.name, TASKS.get(rubric.name, rubric.scale), *about,
                    "\n".join(_lines(item.payload, rubric.name)), ANSWER_WITH.get(rubric.name, asked))


def _lines(payload: Mapping[str, Any], rubric: str) -> list[str]:
    found = [f"{name}: {_one_line(payload[name])}" for name in ("question", "reference", "answer") if payload.get(name)]
    if payload.get("explanation"):
        found.append(f"description: {_one_line(payload['explanation'])}")
    windows = payload.get("windows", ())
    draw = _with_numbers if rubric in EXPLAINING else _unmarked if rubric == "detection" else _marked
    numbered = len(windows) > 1
    return found + [(f"({at}) " if numbered else "") + draw(window) for at, window in enumerate(windows, 1)]


def _one_line(text: str) -> str:
    # the marks of this sheet are taken out of the text itself, so that no text can mark a piece
    return " ".join(str(text).replace("«", "<<").replace("»", ">>").split())


def _marked(window: Mapping[str, Any]) -> str:
    return "".join(f"{_lead(text)}«{_one_line(text)}»" if marked else _kept(text)
                   for text, marked in pieces(window)).strip()


def _unmarked(window: Mapping[str, Any]) -> str:
    return _one_line(text_of(window))


def _with_numbers(window: Mapping[str, Any]) -> str:
    return "".join(f"{_lead(token)}«{_one_line(token)}»({strength})" if strength else _kept(token)
                   for token, strength in zip(window["tokens"], window["strengths"], strict=True)).strip()


def _kept(text: str) -> str:
    inner = _one_line(text)
    return _lead(text) + inner + (" " if inner and text[-1:].isspace() else "")


def _lead(text: str) -> str:
    return " " if text[:1].isspace() else ""


def reply_of(item: Item, fields: Mapping[str, str]) -> tuple[str, Parsed]:
    """Return what a human wrote, in the form of a model's answer, and what it says.

    Parameters
    ----------
    item : Item
        What was rated.
    fields : mapping of str to str
        Cells by name of `ANSWERS`.

    Returns
    -------
    text : str
        "" where nothing was written.
    parsed : Parsed
        Of status "unparsable" where nothing was written; a reason given stands in `label["reason"]`.
    """
    given = {name: fields.get(name, "").strip() for name in ANSWERS}
    needed = ANSWERS if item.rubric in EXPLAINING else (FIELD,)
    if not any(given[name] for name in needed):
        return NOTHING, failed("unparsable", "left blank by the rater")
    text = given[FIELD]
    if item.rubric in EXPLAINING:
        text = _as_json(item.rubric, given)
    parsed = parse_reply(item.rubric, item, Reply(text))
    if parsed.status == "ok" and given["reason"]:
        parsed = parsed._replace(label={**parsed.label, "reason": given["reason"]})
    return text, parsed


def _as_json(rubric: str, given: Mapping[str, str]) -> str:
    try:
        certainty = float(given["certainty"].replace(",", "."))
    except ValueError:
        certainty = None
    whole = {"certainty": None if certainty is None or certainty != certainty else certainty}
    if rubric == "explanation":
        return json.dumps({"label": given[FIELD], "explanation": given["explanation"], **whole})
    return json.dumps({"key_words": [], "grouping": given["explanation"], "outliers": [],
                       "common_semantic": given[FIELD], **whole})
