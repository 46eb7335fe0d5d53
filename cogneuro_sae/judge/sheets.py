"""Sheets for human raters: blind, shuffled, escaped; filled by hand and read back as the rater `human:<name>`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.display import cell, plain
from cogneuro_sae.errors import InputError, ManyErrors, unknown_name
from cogneuro_sae.judge import sheet_reading
from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.parsing import Parsed
from cogneuro_sae.judge.sheet_form import (ANSWERS, COLUMNS, EXPLAINING, FIELD, ITEM, NOTHING, RATER, Question,
                                           question_of, reply_of)

__all__ = ["HumanRow", "read_sheet", "write_sheet"]


class HumanRow(NamedTuple):
    """One answer of a human rater.

    Parameters
    ----------
    item : Item
        What was rated.
    rater : str
        "human:<name>".
    repeat : int
        Always 0: a sheet asks once.
    text : str
        What was written, in the form in which a model would have answered.
    parsed : Parsed
        What it says; a line left blank has the status "unparsable" and no score.
    line : int
        Line in the sheet.
    """

    item: Item
    rater: str
    repeat: int
    text: str
    parsed: Parsed
    line: int


def write_sheet(items: Iterable[Item], path: str | Path, kind: str = "csv", *, concept: str = "", definition: str = "",
                most: int | None = None, seed: int = 0) -> Path:
    """Write a sheet for a human rater and return its path.

    The sheet shows what a model would see, in an order drawn anew, with empty cells for the rater's name, the answer
    and, if wanted, a reason; it holds no arm, feature, value or kind of control.

    Parameters
    ----------
    items : iterable of Item
        Of any rubric.
    path : str or Path
        Such as sheet.csv or sheet.md.
    kind : str
        "csv" for a spreadsheet, "markdown" for an editor.
    concept, definition : str
        The run's concept; the item's own stand before them.
    most : int, optional
        Most rows; that many items are drawn.
    seed : int
        Draw and order of the rows.

    Raises
    ------
    InputError
        Unknown kind, or no items.
    """
    if kind not in WRITERS:
        raise unknown_name("kind of sheet", kind, WRITERS)
    items = list(items)
    if not items or (most is not None and most < 1):
        raise InputError("no items for a sheet", do="give the items of a run, and at least 1 as `most`")
    questions = [question_of(items[at], concept, definition)
                 for at in np.random.default_rng(seed).permutation(len(items))[:most]]
    return files.write_bytes(path, WRITERS[kind](questions))


def _as_csv(questions: Sequence[Question]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, question in enumerate(questions, 1):
        shown = question._asdict() | {"number": f"{number} of {len(questions)}", "item": ITEM + question.item}
        # line ends between passages stay; those inside a text are gone already
        cells = ["\n".join(map(plain, shown.get(name, "").split("\n"))) for name in COLUMNS]
        writer.writerow([cell(text) for text in cells])
    # with a byte order mark, or a spreadsheet takes UTF-8 for something else
    return out.getvalue().encode("utf-8-sig", "backslashreplace")


def _as_markdown(questions: Sequence[Question]) -> bytes:
    lines = ["# Rating sheet", "", f"Write your name behind `{RATER}:` and each answer behind `answer:`, on the same "
             "line. A reason is welcome and not needed. Do not change any other line.", "", f"{RATER}:", ""]
    for number, question in enumerate(questions, 1):
        lines += [f"## {number} of {len(questions)} {ITEM}{question.item}", "", _markdown(question.task)]
        if question.concept:
            lines += ["", f"Concept: **{_markdown(question.concept)}**: {_markdown(question.definition)}"]
        lines += ["", *(f"> {_markdown(line)}" for line in question.text.split("\n")), "",
                  f"Answer with: {_markdown(question.answer_with)}", ""]
        fields = ANSWERS if question.rubric in EXPLAINING else ANSWERS[:2]
        lines += [*(f"{name}:" for name in fields), ""]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def _markdown(text: str) -> str:
    safe = "".join(f"\\{character}" if character in "\\`*_{}[]|~$" else _ENTITIES.get(character, character)
                   for character in plain(text))
    # at the start of a line these would make a heading or a list
    return re.sub(r"^(\s*)([-+#=])", r"\1\\\2", safe)


WRITERS: dict[str, Callable[[Sequence[Question]], bytes]] = {"csv": _as_csv, "markdown": _as_markdown}


def read_sheet(path: str | Path, items: Iterable[Item], *, rater: str = "") -> list[HumanRow]:
    """Read a filled sheet back.

    Parameters
    ----------
    path : str or Path
        The sheet; a name that ends in .md is read as markdown, anything else as csv with commas, semicolons or tabs.
    items : iterable of Item
        The run's items; those that were not drawn for the sheet may be among them.
    rater : str
        The rater's name where the sheet holds none.

    Returns
    -------
    list of HumanRow
        One per item, in the order of the sheet; items left blank are there, without a score.

    Raises
    ------
    InputError
        Every fault with its line: no name or several, an unknown, missing or repeated item, an answer that is not
        allowed. Nothing is read then.
    """
    path = Path(path)
    known = {item.item: item for item in items}
    lines = sheet_reading.lines_of(path)
    name = _rater(path, lines, rater)
    errors, rows, first = [], [], {}
    for line in lines:
        where = f"{path}:{line.number}"
        item = known.get(line.item)
        if item is None or line.item in first:
            errors.append(_wrong_item(line, where, first.get(line.item)))
            continue
        first[line.item] = line.number
        text, parsed = reply_of(item, line.fields)
        if parsed.status != "ok" and text != NOTHING:
            allowed = question_of(item, "", "").answer_with
            errors.append(InputError(f"{_given(line.fields)} is no answer ({parsed.reason})", where=where,
                                     allowed=allowed, do="mend the line, or leave its answer blank"))
        rows.append(HumanRow(item, f"human:{name}", 0, text, parsed, line.number))
    absent = sheet_reading.absent_numbers(lines)
    if absent:
        errors.append(InputError(f"{len(absent)} rows are not in the sheet any more, such as number {absent[0]}",
                                 where=str(path), do="put them back; leave an answer blank instead of deleting it"))
    if errors:
        raise ManyErrors(errors)
    return rows


def _wrong_item(line: sheet_reading.Line, where: str, before: int | None) -> InputError:
    if before is not None:
        return InputError(f"item {ITEM}{line.item} stands twice", where=where, do=f"it is on line {before} already")
    return InputError(f"unknown item {plain(line.given, width=40)!r}", where=where,
                      do="give the items that the sheet was written from; do not change this column")


def _given(fields: Mapping[str, str]) -> str:
    return repr(plain(fields[FIELD], width=40))


def _rater(path: Path, lines: Sequence[sheet_reading.Line], rater: str) -> str:
    names = {}
    for line in lines:
        if line.rater:
            names.setdefault(line.rater, line.number)
    if len(names) > 1:
        (_, first), (other, second) = list(names.items())[:2]
        raise InputError(f"another rater, {plain(other, width=40)!r}", where=f"{path}:{second}",
                         do=f"one sheet is one rater's; the first is named on line {first}")
    name = (rater or next(iter(names), "")).removeprefix("human:").strip()
    if rater and names and name != next(iter(names)).removeprefix("human:").strip():
        raise InputError(f"the sheet is that of {plain(next(iter(names)), width=40)!r}, not of {rater!r}",
                         where=str(path))
    if not name or len(name) > 60 or not all(letter.isalnum() or letter in " ._-" for letter in name):
        raise InputError(f"{name!r} cannot be a rater's name" if name else "the rater's name is missing",
                         where=str(path), allowed="up to 60 letters, digits, spaces, . _ -",
                         do=f"write it into the cell or line {RATER!r}")
    return name
