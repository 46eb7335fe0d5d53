"""A set's texts as a csv, tsv, jsonl or parquet table that reads back as it was."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cogneuro_sae import files
from cogneuro_sae.config import decode, shown
from cogneuro_sae.errors import InputError, SetupError, unknown_name
from cogneuro_sae.stimuli.tables import delimited_table, json_lines_table

_ESCAPED = re.compile("[\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def write_table(stimuli, path: Path) -> Path:
    """Write the table of a set; missing numbers become empty cells.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    path : Path
        Ends in .csv, .tsv, .jsonl or .parquet.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        Another ending; or a column that this kind of file would change, such as the text "1" in csv.
    SetupError
        A parquet file without pyarrow.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise unknown_name("table format", path.suffix, WRITERS, where=str(path))
    writer(stimuli.table, path)
    return path


def _delimited(table: Any, path: Path, delimiter: str) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(table.columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in _rows(table))
    text = buffer.getvalue()
    _check_same(table, path, lambda: delimited_table(decode(text.encode("utf-8"), path.name), delimiter, path.name))
    files.write_text(path, text)


def _json_lines(table: Any, path: Path) -> None:
    lines = (json.dumps(dict(zip(table.columns, row)), ensure_ascii=False) for row in _rows(table))
    text = "".join(_ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", line) + "\n" for line in lines)
    _check_same(table, path, lambda: json_lines_table(decode(text.encode("utf-8"), path.name), path.name))
    files.write_text(path, text)


def _parquet(table: Any, path: Path) -> None:
    try:
        import pyarrow  # noqa: F401 - asked for here, so that its absence is told in one line
    except ImportError as error:
        raise SetupError("parquet files need pyarrow", where=str(path),
                         do="pip install 'cogneuro_sae[datasets]', or write .jsonl") from error
    with files.replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _rows(table: Any) -> list[list]:
    """Cells as plain Python values; what is missing is None."""
    columns = [[None if cell != cell else cell for cell in table[name].tolist()] for name in table.columns]
    return [list(row) for row in zip(*columns)]


def _check_same(table: Any, path: Path, read: Callable) -> None:
    """Refuse to write what would read back otherwise."""
    do = "write .jsonl or .parquet" if path.suffix.lower() in (".csv", ".tsv") else "write .parquet"
    try:
        again = read()
    except (InputError, UnicodeEncodeError) as error:
        raise InputError(f"the table could not be read back ({error})", where=str(path), do=do) from error
    if again.columns != list(table.columns):
        raise InputError(f"the column names {shown(list(table.columns))} would change", where=str(path), do=do)
    for number, (cells, row) in enumerate(zip(_rows(table), again.rows), 1):
        for name, cell in zip(table.columns, cells):
            if row[name] != cell and not (row[name] in ("", None) and cell in ("", None)):
                raise InputError(f"the column {shown(name)} would change: {shown(cell)} in row {number} would be read "
                                 f"as {shown(row[name])}", where=str(path), do=do)


WRITERS = {
    ".csv": lambda table, path: _delimited(table, path, ","),
    ".tsv": lambda table, path: _delimited(table, path, "\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
