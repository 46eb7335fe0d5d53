"""Tables: csv, tsv, jsonl and parquet files, and Hugging Face `datasets` folders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError, SetupError, unknown_name
from cogneuro_sae.stimuli import rows as rowwork
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions, draft_layout
from cogneuro_sae.stimuli.importing.faults import one_error
from cogneuro_sae.stimuli.importing.names import as_name, renamed, valid_names
from cogneuro_sae.stimuli.importing.sources import DELIMITERS, Source, only_one
from cogneuro_sae.stimuli.schema import FAR
from cogneuro_sae.stimuli.tables import (MAX_STIMULI, MAX_TABLE_BYTES, TEXT_COLUMNS, RawTable, delimited_table,
                                         frame_rows, json_lines_table, missing_columns)

KNOWN = ("span", "split", "grade", "paraphrase")
ROLES = ("text", "item", "condition")
_PLACES = {"target": 0, FAR: 2}


def read_table_file(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read a csv, tsv, jsonl or parquet table with one text per row.

    Parameters
    ----------
    sources : sequence of Source
        One file.
    options : ImportOptions
        `text, item, condition, factor, independent, graded, separator`.
    """
    source = only_one(sources, "table")
    names = [options.text or "text", options.item or "item", options.condition or "condition", *options.factor]
    table, notes = raw_table(source, options, as_text=names)
    draft = table_draft(table, source.where, options)
    draft.notes += notes
    return draft


def read_dataset(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read a folder that `datasets` saved with save_to_disk; labels of classes become conditions by name.

    Parameters
    ----------
    sources : sequence of Source
        One folder.
    options : ImportOptions
        As for a table; `select` names the split.

    Raises
    ------
    SetupError
        Without the extra `datasets`.
    InputError
        Not such a folder, several splits and none selected, or too many rows.
    """
    source = only_one(sources, "datasets")
    dataset, split = _dataset(source, options.select)
    where = f"{source.where} ({split})" if split else source.where
    if len(dataset) > MAX_STIMULI:
        raise InputError(f"{len(dataset)} rows, more than the limit of {MAX_STIMULI}", where=where,
                         do="save a part of it")
    frame = dataset.to_pandas()
    for name, feature in dataset.features.items():
        if hasattr(feature, "int2str"):
            frame[name] = [feature.int2str(int(code)) if code == code and code is not None and code >= 0 else None
                           for code in frame[name].tolist()]
    frame, notes = _flat(frame)
    draft = table_draft(_sized(frame_rows(frame, where), where), where, options)
    draft.notes += notes
    return draft


def raw_table(source: Source, options: ImportOptions, *, as_text: Sequence[str]) -> tuple[RawTable, list[str]]:
    """Return the rows of a table file, plain or gz, and notes.

    Parameters
    ----------
    source : Source
        The file.
    options : ImportOptions
        `separator`.
    as_text : sequence of str
        Columns that stay text whatever they hold.

    Raises
    ------
    InputError
        Another ending, an unreadable file, no rows, or too many.
    """
    where = source.where
    if source.suffix == ".parquet":
        return _parquet(source)
    if source.suffix == ".jsonl":
        return _sized(json_lines_table(source.text, where), where), []
    if source.suffix not in DELIMITERS:
        raise unknown_name("table format", source.suffix, [*DELIMITERS, ".jsonl", ".parquet"], where=where)
    try:
        table = delimited_table(source.text, options.separator or DELIMITERS[source.suffix], where,
                                as_text={*TEXT_COLUMNS, *as_text}, sure=bool(options.separator))
    except InputError as error:
        if error.what.startswith("separated by '"):
            error.do = f"give --separator {error.what[-3:]}, or {error.do}"
        raise
    return _sized(table, where), []


def table_draft(table: RawTable, where: str, options: ImportOptions) -> Draft:
    """Return the draft of a table whose rows are texts.

    Parameters
    ----------
    table : RawTable
        The rows.
    where : str
        What errors name as their place.
    options : ImportOptions
        Which columns are which.

    Raises
    ------
    InputError
        Columns are missing, or rows lack an item or a condition.
    """
    text, item = options.text or "text", options.item or "item"
    keys = list(options.factor) or [options.condition or "condition"]
    given = not (options.independent and item not in table.columns)
    placed = [*([item] if given else []), *keys]
    _check_columns(table, [text, *placed], item, where)
    _check_filled(table, placed, where)
    items, notes = _items(table, item if given else None)
    spec, cells = _design(table, keys, items, factors=bool(options.factor))
    ids = valid_names("id", filter(None, (as_name(row.get("id")) for row in table.rows)))
    others = {name: name if name in KNOWN else f"{name}_column" if name in ROLES else name for name in table.columns
              if name not in (text, item, *keys, "id") and not (options.factor and name == "condition")}
    found = [{**{new: row[old] for old, new in others.items()}, "text": "" if row[text] is None else row[text],
              "item": name, "id": ids.get(as_name(row.get("id"))), **cell}
             for row, name, cell in zip(table.rows, items, cells)]
    layout = draft_layout(spec, where)
    rows, errors = rowwork.table_rows(RawTable(list(found[0]), found, table.lines), layout, where)
    if errors:
        raise one_error(errors)
    if options.independent:
        spec["independent"] = True
    return Draft(rows, spec, notes=notes + renamed("id", ids))


def _check_columns(table: RawTable, needed: list[str], item: str, where: str) -> None:
    twice = [name for number, name in enumerate(needed) if name in needed[:number]]
    if twice:
        raise InputError(f"the column {shown(twice[0])} cannot have two roles", where=where,
                         do="give --text, --item, --condition and --factor different columns")
    for error in missing_columns(needed, table.columns, where):
        error.do += "; say which is which with --text, --item, --condition or --factor"
        if item in needed and item not in table.columns:
            error.do += "; --independent if each text stands alone"
        raise error


def _check_filled(table: RawTable, needed: list[str], where: str) -> None:
    """One error for all rows that do not say where they belong."""
    lines = {name: [line for row, line in zip(table.rows, table.lines) if as_name(row[name]) is None]
             for name in needed}
    lacking = [f"{len(rows)} rows lack {shown(name)} (first: row at line {rows[0]})" for name, rows in lines.items()
               if rows]
    if lacking:
        raise InputError("; ".join(lacking), where=where, do="fill these cells, or remove the rows")


def _items(table: RawTable, column: str | None) -> tuple[list[str], list[str]]:
    """Item of each row, and what was renamed."""
    if column is None:
        width = len(str(len(table.rows)))
        return [f"s{number:0{width}d}" for number in range(1, len(table.rows) + 1)], []
    cells = [as_name(row[column]) for row in table.rows]
    names = valid_names("item", cells)
    return [names[cell] for cell in cells], renamed("item", names)


def _design(table: RawTable, keys: list[str], items: list[str], *, factors: bool) -> tuple[dict, list[dict]]:
    """Conditions or factors as a set file says them, and the condition or levels of each row."""
    columns = {key: [as_name(row[key]) for row in table.rows] for key in keys}
    if not factors:
        names = valid_names("condition", columns[keys[0]])
        labels = {name: original for original, name in names.items()}
        order = sorted(labels, key=lambda name: _PLACES.get(name, 1))
        return ({"conditions": {name: labels[name] for name in order}},
                [{"condition": names[cell]} for cell in columns[keys[0]]])
    factor, taken, levels = valid_names("column", keys), set(), {}
    for key in keys:
        levels[key] = valid_names("level", columns[key], taken=taken)
        taken |= set(levels[key].values())
    between = [factor[key] for key in keys
               if len(set(zip(items, columns[key]))) == len(set(items)) and len(levels[key]) > 1]
    spec = {"factors": {factor[key]: list(levels[key].values()) for key in keys}, "between": between}
    cells = [{factor[key]: levels[key][cell] for key, cell in zip(keys, row)} for row in zip(*columns.values())]
    return {key: value for key, value in spec.items() if value}, cells


def _sized(table: RawTable, where: str) -> RawTable:
    if not table.rows:
        raise InputError("the table holds no rows", where=where)
    if len(table.rows) > MAX_STIMULI:
        raise InputError(f"{len(table.rows)} rows, more than the limit of {MAX_STIMULI}", where=where, do="split it")
    return table


def _parquet(source: Source) -> tuple[RawTable, list[str]]:
    if source.path.stat().st_size > MAX_TABLE_BYTES:
        raise InputError(f"is larger than the limit of {MAX_TABLE_BYTES / 1e6:.0f} MB", where=source.where,
                         do="split it")
    source.columns()  # tells of a missing pyarrow and of a damaged file in one line
    import pandas as pd

    frame, notes = _flat(pd.read_parquet(source.path))
    return _sized(frame_rows(frame, source.where), source.where), notes


def _flat(frame: Any) -> tuple[Any, list[str]]:
    """Leave out columns whose cells are lists or mappings; say which."""
    nested = [name for name in frame.columns if frame[name].dtype == object and any(
        isinstance(cell, (dict, list, tuple, set)) or hasattr(cell, "shape") for cell in frame[name].head(1000))]
    names = ", ".join(map(str, nested))
    notes = [f"columns left out, their cells are not single values: {names}"] if nested else []
    return frame.drop(columns=nested), notes


def _dataset(source: Source, select: str | None) -> tuple[Any, str]:
    """The dataset in a folder and the name of its split, "" when it has none."""
    if not source.path.is_dir():
        raise InputError("expected a folder saved by datasets' save_to_disk", where=source.where)
    try:
        import datasets
    except ImportError as error:
        raise SetupError("folders of Hugging Face datasets need the library", where=source.where,
                         do="pip install 'cogneuro_sae[datasets]', or save the dataset as parquet") from error
    try:
        loaded = datasets.load_from_disk(source.where)
    except Exception as error:
        raise InputError("is no dataset saved by datasets' save_to_disk "
                         f"({str(error).splitlines()[0] if str(error) else type(error).__name__})", where=source.where,
                         do="give such a folder, or one csv, jsonl or parquet file in it") from error
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded, ""
    if select is None and len(loaded) == 1:
        return next(iter(loaded.items()))[::-1]
    if select is None:
        raise InputError(f"holds {len(loaded)} splits", where=source.where, allowed=", ".join(loaded),
                         do="choose one with --select")
    if select not in loaded:
        raise unknown_name("split", select, loaded, where=source.where)
    return loaded[select], select
