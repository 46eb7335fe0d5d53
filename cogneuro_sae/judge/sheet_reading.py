"""A sheet's lines as they come back from a spreadsheet or an editor."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.sheet_form import ANSWERS, FIELD, ITEM, RATER

_HEAD = re.compile(rf"##\s+(?P<place>[0-9]+ of [0-9]+)\s+(?P<item>{ITEM}\S+)\s*")
_FIELD = re.compile(rf"(?P<name>{'|'.join((RATER, *ANSWERS))}):\s*(?P<value>.*)", re.I)
_PLACE = re.compile(r"(?P<number>[0-9]{1,7}) of (?P<total>[0-9]{1,7})")
LARGEST = 50_000_000


class Line(NamedTuple):
    """One item's line.

    Parameters
    ----------
    number : int
        Line in the file, from 1.
    place : str
        Its number in the sheet, such as "3 of 60".
    given, item : str
        The cell of the item as it stands there, and without its prefix.
    rater : str
        The rater's name, "" where there is none.
    fields : dict of str to str
        What was written, by name of `ANSWERS`.
    """

    number: int
    place: str
    given: str
    item: str
    rater: str
    fields: dict[str, str]


def lines_of(path: Path) -> list[Line]:
    """Return the lines of a sheet.

    Parameters
    ----------
    path : Path
        Markdown if its name ends in .md, else csv.

    Raises
    ------
    InputError
        Unreadable, not UTF-8, or without the columns of a sheet.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"larger than {LARGEST // 1_000_000} MB: not a sheet", where=str(path))
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the sheet ({error.strerror})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 (byte {error.start})", where=str(path),
                         do='save it as "CSV UTF-8", not as an Excel workbook or plain CSV') from error
    lines = _markdown(text) if path.suffix.lower() == ".md" else _csv(text, path)
    if not lines:
        raise InputError("the sheet holds no items", where=str(path), do="give a sheet made by write_sheet")
    return lines


def _csv(text: str, path: Path) -> list[Line]:
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    found: list[Line] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        for name in ("item", FIELD):
            if name not in names:
                raise InputError(f"no column {name!r}", where=f"{path}:1", do="give a sheet made by write_sheet")
        start = reader.line_num + 1
        for row in reader:
            number, start = start, reader.line_num + 1
            if any(value.strip() for value in row):
                found.append(_line(number, dict(zip(names, row))))
    except csv.Error as error:
        raise InputError(f"broken csv ({error})", where=f"{path}:{reader.line_num}") from error
    return found


def _line(number: int, row: dict[str, str]) -> Line:
    given = row.get("item", "").strip()
    # `cell` may have put a quote before what a rater's text begins with
    fields = {name: row.get(name, "").strip().removeprefix("'") for name in ANSWERS}
    return Line(number, row.get("number", ""), given, given.removeprefix(ITEM), row.get(RATER, "").strip(), fields)


def _markdown(text: str) -> list[Line]:
    found: list[Line] = []
    rater = ""
    for number, line in enumerate(text.splitlines(), 1):
        head, field = _HEAD.fullmatch(line.strip()), _FIELD.fullmatch(line.strip())
        if head:
            found.append(Line(number, head["place"], head["item"], head["item"].removeprefix(ITEM), "", {}))
        elif field and field["name"].lower() == RATER:
            rater = field["value"].strip()
        elif field and found:
            # the line of the answer is where a fault is to be mended
            place = number if field["name"].lower() == FIELD else found[-1].number
            found[-1].fields[field["name"].lower()] = field["value"].strip()
            found[-1] = found[-1]._replace(number=place)
    return [line._replace(rater=rater, fields={name: line.fields.get(name, "") for name in ANSWERS}) for line in found]


def absent_numbers(lines: list[Line]) -> list[int]:
    """Return the numbers of the rows that a sheet was written with and does not hold any more.

    Parameters
    ----------
    lines : list of Line
        What it holds.
    """
    places = [match for match in (_PLACE.fullmatch(line.place.strip()) for line in lines) if match]
    total = max((int(match["total"]) for match in places), default=0)
    return sorted(set(range(1, total + 1)) - {int(match["number"]) for match in places})
