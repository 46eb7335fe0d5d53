"""Graded norms: words with ratings or categories, such as those of THINGS, cut into two conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.names import as_name, numbered, renamed, valid_names
from cogneuro_sae.stimuli.importing.sources import Source, only_one
from cogneuro_sae.stimuli.importing.tabular import raw_table
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.tables import RawTable

THINGS = "THINGS (Hebart et al. 2019, Stoinski et al. 2023, github.com/ViCCo-Group/THINGS-data)"
WORDS = ("word", "text", "uniqueID", "label", "name")

_THINGS_COLUMNS = ({"uniqueID", "manmade_mean"}, {"uniqueID", "meanSize"},
                   {"Word", "Definition (from WordNet, Google, or Wikipedia)"})


def read_norms(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read words with numbers: high and low words by the first graded column, each word its own item.

    Parameters
    ----------
    sources : sequence of Source
        A csv, tsv, jsonl or parquet file with one word per row.
    options : ImportOptions
        `graded` (needed), `cut`, `empty`, `text` (column of the words), `item`, `template`, `separator`.

    Raises
    ------
    InputError
        No graded column, one that holds text, or too few different values to cut.
    """
    source = only_one(sources, "norms")
    table, notes = raw_table(source, options, as_text=[options.text, options.item, *WORDS])
    column = _word_column(table, options.text, source.where)
    table, wordless = _worded(table, column, options, source.where)
    values = {name: _numbers(table, name, options.empty, source.where)
              for name in _graded(table, options, source.where)}
    first = next(iter(values))
    sides, middle = _sides(values[first], options.cut, f"{source.where}: {first}")
    missing = sum(math.isnan(value) for value in values[first])
    words = numbered(as_name(row.get(options.item or column)) or "word" for row in table.rows)
    items = valid_names("item", words)
    rows = [Row(items[word], side, _text(row[column], options.template), f"{source.where}:{line}",
                extra={name: cells[number] for name, cells in values.items()})
            for number, (row, line, side, word) in enumerate(zip(table.rows, table.lines, sides, words)) if side]
    notes += wordless + ([f"the words stand in the column {shown(column)}"] if not options.text else [])
    notes += [f"{missing} words without {first} were left out"] if missing else []
    notes += [f"{middle} words between low and high {first} were left out ({options.cut})"] if middle else []
    things = any(known <= set(table.columns) for known in _THINGS_COLUMNS)
    spec = {"concept": first.replace("_", " "), "definition": f"The word is high in {first}, by the norms of "
                                                              f"{source.path.name}.",
            "conditions": {"high": f"high {first}", "low": f"low {first}"}, "graded": list(values), "independent": True,
            **({"licence": f"CC0-1.0, {THINGS}"} if things else {})}
    return Draft(rows, spec, THINGS if things else "", notes + renamed("item", items))


def _word_column(table: RawTable, wanted: str, where: str) -> str:
    if wanted:
        if wanted not in table.columns:
            raise unknown_name("column", wanted, table.columns, where=where)
        return wanted
    small = {name.casefold(): name for name in reversed(table.columns)}
    for name in WORDS:
        if name.casefold() in small:
            return small[name.casefold()]
    raise InputError("no column of words found", where=where, allowed=", ".join(table.columns[:20]),
                     do="say which holds them with --text")


def _worded(table: RawTable, column: str, options: ImportOptions, where: str) -> tuple[RawTable, list[str]]:
    """The rows that have a word; rows without one, such as sums, are left out when asked."""
    there = [as_name(row[column]) is not None for row in table.rows]
    gone = there.count(False)
    if gone and not options.skip_faulty:
        raise InputError(f"{gone} rows have no {column}", where=f"{where}:{table.lines[there.index(False)]}",
                         do="remove them, or give --skip-faulty to leave them out")
    rows = [(row, line) for row, line, kept in zip(table.rows, table.lines, there) if kept]
    notes = [f"{gone} rows without {column} were left out"] if gone else []
    return RawTable(table.columns, [row for row, _ in rows], [line for _, line in rows]), notes


def _graded(table: RawTable, options: ImportOptions, where: str) -> tuple[str, ...]:
    numeric = [name for name in table.columns
               if any(isinstance(row[name], (int, float)) for row in table.rows)]
    if not options.graded:
        raise InputError("norms are cut by a column of numbers", where=where, allowed=", ".join(numeric[:30]) or "none",
                         do="choose one with --graded")
    for name in options.graded:
        if name not in table.columns:
            raise unknown_name("graded column", name, numeric or table.columns, where=where)
    return options.graded


def _numbers(table: RawTable, name: str, empty: float | None, where: str) -> list[float]:
    found = []
    for row, line in zip(table.rows, table.lines):
        value = row[name]
        if isinstance(value, str) and not value.strip():
            value = None
        if value is not None and (isinstance(value, str) or not math.isfinite(value)):
            raise InputError(f"the graded column {shown(name)} holds {shown(value)}", where=f"{where}:{line}",
                             allowed="numbers and empty cells", do="mend the cell, or choose another column")
        found.append(float(value) if value is not None else math.nan if empty is None else empty)
    return found


def _sides(values: list[float], cut: str, where: str) -> tuple[list[str], int]:
    """"high", "low" or "" for each value, and how many lie between."""
    import numpy as np

    known = np.array([value for value in values if value == value])
    levels = np.unique(known)
    if len(levels) < 2:
        raise InputError(f"{len(levels)} different values cannot be cut in two", where=where,
                         do="choose another column, or say with --empty what empty cells count as")
    low, high = np.quantile(known, {"median": (0.5, 0.5), "thirds": (1 / 3, 2 / 3)}[cut])
    if len(levels) == 2:
        sides = ["high" if value == levels[1] else "low" if value == levels[0] else "" for value in values]
    elif cut == "median":
        sides = ["high" if value > high else "low" if value < low else "" for value in values]
    else:
        sides = ["high" if value >= high else "low" if value <= low else "" for value in values]
    if low == high and cut == "thirds" and len(levels) > 2 or len({*sides} - {""}) < 2:
        raise InputError(f"too many words share the value {low:g} for a cut by {cut}", where=where,
                         do="use the other --cut, or another column")
    return sides, sum(not side and value == value for side, value in zip(sides, values))


def _text(word: object, template: str) -> str:
    word = " ".join(str("" if word is None else word).replace("_", " ").split())
    return template.replace("{word}", word) if word else ""
