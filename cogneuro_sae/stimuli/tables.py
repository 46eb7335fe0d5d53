"""Tables of stimuli in files: csv, tsv, jsonl and parquet, read into plain rows with their line numbers."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae.config import decode, read_bytes, shown
from cogneuro_sae.errors import InputError, SetupError, unknown_name

MAX_TABLE_BYTES = 1_000_000_000
MAX_STIMULI = 1_000_000
TEXT_COLUMNS = ("text", "item", "condition", "span", "id", "split")

_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


class RawTable(NamedTuple):
    """A table as it stands in a file.

    `columns` are its names in order, `rows` one mapping per text, `lines` the line (or row) of each.
    """

    columns: list[str]
    rows: list[dict]
    lines: list[int]


def read_table(path: Path) -> RawTable:
    """Read a table of stimuli.

    Parameters
    ----------
    path : Path
        A csv, tsv, jsonl or parquet file. In csv and tsv everything is text; a column of plain numbers becomes numbers.

    Raises
    ------
    InputError
        Another ending, an unreadable file, ragged rows, repeated columns, no rows, or more than a million.
    SetupError
        A parquet file without pyarrow.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise unknown_name("table format", path.suffix, READERS, where=str(path))
    table = reader(path)
    if not table.rows:
        raise InputError("the table holds no rows", where=str(path))
    if len(table.rows) > MAX_STIMULI:
        raise InputError(f"{len(table.rows)} rows, more than the limit of {MAX_STIMULI}", where=str(path),
                         do="split it")
    return table


def delimited_table(
    text: str, delimiter: str, where: str, *, as_text: Collection[str] = TEXT_COLUMNS, sure: bool = False
) -> RawTable:
    """Return the rows of a csv or tsv text; a column of plain numbers becomes numbers.

    Parameters
    ----------
    text : str
        What the file holds.
    delimiter : str
        The sign between cells.
    where : str
        What errors name as its place.
    as_text : collection of str
        Columns that stay text whatever they hold.
    sure : bool
        Do not suspect another delimiter.

    Raises
    ------
    InputError
        Ragged rows, repeated columns, another delimiter, no header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines, columns, line = [], [], None, 1
    try:
        for cells in reader:
            if columns is None:
                columns = [name.strip() for name in cells]
                while len(columns) > 1 and not columns[-1]:     # what spreadsheets leave of removed columns
                    columns.pop()
                if not sure:
                    _check_separator(columns, delimiter, where)
                _check_columns(columns, where)
            elif any(cells):
                while len(cells) > len(columns) and not cells[-1].strip():
                    cells.pop()
                if len(cells) != len(columns):
                    raise InputError(f"{len(cells)} cells where the header has {len(columns)}", where=f"{where}:{line}",
                                     do="quote cells that hold the separator")
                rows.append(dict(zip(columns, cells)))
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"not readable as a table ({error})", where=f"{where}:{reader.line_num}") from error
    if columns is None:
        raise InputError("the file is empty", where=where)
    for name in columns:
        if name not in as_text:
            _numbers(rows, name)
    return RawTable(columns, rows, lines)


def _check_separator(columns: list[str], delimiter: str, where: str) -> None:
    """Refuse a header that another sign splits further, as spreadsheets of many countries write it."""
    header = delimiter.join(columns)
    sign = max(";\t,", key=header.count)
    if "text" not in columns and sign != delimiter and header.count(sign) > header.count(delimiter):
        kept = {",": "commas, or as .tsv for tabs", "\t": "tabs, or as .csv for commas"}[delimiter]
        raise InputError(f"separated by {'tabs' if sign == chr(9) else repr(sign)}", where=f"{where}:1",
                         do=f"save it with {kept}")


def _numbers(rows: list[dict], name: str) -> None:
    """Turn a column into numbers when every filled cell is one; empty cells become None."""
    filled = [row[name].strip() for row in rows if row[name].strip()]
    if filled and all(_NUMBER.fullmatch(cell) for cell in filled):
        for row in rows:
            row[name] = float(row[name]) if row[name].strip() else None


def json_lines_table(text: str, where: str) -> RawTable:
    """Return the rows of a text with one JSON object per line.

    Parameters
    ----------
    text : str
        What the file holds.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        A line is not a JSON object.
    """
    rows, lines, columns = [], [], {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = load_json(line, where=f"{where}:{number}")
        if not isinstance(row, dict):
            raise InputError("expected one JSON object per line", where=f"{where}:{number}")
        columns.update(dict.fromkeys(row))
        rows.append(row)
        lines.append(number)
    _check_columns(list(columns), where)
    return RawTable(list(columns), [{name: row.get(name) for name in columns} for row in rows], lines)


def _text(path: Path) -> str:
    return decode(read_bytes(path, limit=MAX_TABLE_BYTES), str(path))


def _parquet(path: Path) -> RawTable:
    read_bytes(path, limit=MAX_TABLE_BYTES)
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise SetupError("parquet files need pyarrow", where=str(path),
                         do="pip install pyarrow, or save the table as csv or jsonl") from error
    except Exception as error:
        raise InputError(f"not a readable parquet file ({error})", where=str(path)) from error
    return frame_rows(frame, str(path))


def frame_rows(frame, where: str) -> RawTable:
    """Return the rows of a DataFrame; missing values become None.

    Parameters
    ----------
    frame : DataFrame
        One row per text.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        Repeated columns.
    """
    columns = [str(name) for name in frame.columns]
    _check_columns(columns, where)
    values = frame.astype(object).where(frame.notna(), None).to_numpy()
    rows = [{name: cell.item() if hasattr(cell, "item") else cell for name, cell in zip(columns, row)}
            for row in values]
    return RawTable(columns, rows, list(range(1, len(rows) + 1)))


def missing_columns(needed: Sequence[str], columns: Sequence[str], where: str) -> list[InputError]:
    """Return one error that names all missing columns and what was found, or none.

    Parameters
    ----------
    needed : sequence of str
        Names of the columns that must be there.
    columns : sequence of str
        Those that are.
    where : str
        What the error names as its place.
    """
    absent = [name for name in needed if name not in columns]
    if not absent:
        return []
    spare = {name.strip().casefold(): name for name in columns if name not in needed}
    near = {name: difflib.get_close_matches(name, spare, n=1, cutoff=0.7) for name in absent}
    pairs = ", ".join(f"{name!r} for {shown(spare[found[0]])}" for name, found in near.items() if found)
    names = ", ".join(map(repr, absent))
    what = f"the column {names} is missing" if len(absent) == 1 else f"the columns {names} are missing"
    found = ", ".join(shown(name)[1:-1] for name in columns[:20]) + (" ..." if len(columns) > 20 else "")
    return [InputError(f"{what}, found {found or 'none'}", where=where,
                       do="names are in small letters" + (f" (did you mean {pairs}?)" if pairs else ""))]


def load_json(text: str, *, where: str) -> object:
    """Return the value of a JSON text, with the traps of JSON refused.

    Parameters
    ----------
    text : str
        The text.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        Not JSON, a key given twice, nesting too deep, or half of a surrogate pair.
    """
    def unique(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"the key {shown(twice)} is given twice", where=where, do="keep one of them")
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except InputError:
        raise
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}" if "\n" in text else where
        raise InputError(f"not valid JSON: {error.msg} (column {error.colno})", where=place) from error
    except RecursionError as error:
        raise InputError("the JSON is nested too deep", where=where) from error
    except UnicodeEncodeError as error:
        raise InputError("holds half of a surrogate pair, which cannot be stored", where=where,
                         do="remove it") from error
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", where=where) from error


def _check_columns(columns: list[str], path: object) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise InputError(f"the column {shown(twice[0])} is there twice", where=str(path), do="rename one")


READERS = {
    ".csv": lambda path: delimited_table(_text(path), ",", str(path)),
    ".tsv": lambda path: delimited_table(_text(path), "\t", str(path)),
    ".jsonl": lambda path: json_lines_table(_text(path), str(path)),
    ".parquet": _parquet,
}
