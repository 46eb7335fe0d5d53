"""The three doors into a StimulusSet: a YAML file, study C's JSON, a DataFrame; all lead through the same checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from cogneuro_sae.config import (Lines, allowed_once, decode, load_yaml, other_kind, read_bytes, resolve, schema_errors,
                                 shown)
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.stimuli import rows as rowwork
from cogneuro_sae.stimuli.items import ItemReader, Row
from cogneuro_sae.stimuli.layout import Layout, make_layout
from cogneuro_sae.stimuli.lists import lists_to_rows
from cogneuro_sae.stimuli.schema import ConditionSpec, SetFile
from cogneuro_sae.stimuli.tables import MAX_STIMULI, RawTable, frame_rows, load_json, missing_columns, read_table


class _NoLines:
    """Stands for line numbers where there is no file."""

    def near(self, path):
        return 0

    def source(self, path):
        return None


def read_yaml(reference: str | Path, *, base: Path | None = None) -> dict[str, Any]:
    """Return what StimulusSet needs from a YAML file.

    Parameters
    ----------
    reference : str or Path
        A shipped name or a path.
    base : Path, optional
        Folder that relative paths start from.

    Raises
    ------
    InputError
        All faults of the file at once.
    """
    path = resolve(reference, "stimuli", base=base)
    document = load_yaml(path)
    where, lines, data = str(path), document.lines, document.data
    file, errors = _validated(data, where, lines)
    if errors and (other := other_kind(data, SetFile, where)) is not None:
        raise other
    if isinstance(data.get("name"), str) and data["name"] != path.stem:
        errors.append(InputError(f"the name {shown(data['name'])} is not the file's stem",
                                 where=f"{where}:{lines.near(('name',))}",
                                 do=f"write `name: {path.stem}`, or rename the file"))
    layout, found = _layout(data, where, lines, errors)
    errors += found
    rows = []
    if layout is not None and data.get("items") is not None and data.get("table") is not None:
        errors.append(InputError("both `items` and `table` are given", where=where, do="keep one of them"))
    elif layout is not None:
        rows, found = _file_rows(data, layout, path, lines)
        errors += found
    rowwork.raise_all(allowed_once(errors))
    return _assemble(file, layout, rows, where, lines, path)


def read_json_set(path: str | Path) -> dict[str, Any]:
    """Return what StimulusSet needs from study C's form: a dictionary of lists of texts.

    Parameters
    ----------
    path : str or Path
        A JSON file.

    Raises
    ------
    InputError
        Not such a dictionary.
    """
    path = Path(path)
    where = str(path)
    stem = re.sub(r"[^a-z0-9_-]+", "_", path.stem.casefold()).strip("_-") or "set"
    spec, rows = lists_to_rows(load_json(decode(read_bytes(path), where), where=where), where)
    return read_rows({"name": stem[:64], **spec}, rows, where)


def read_frame(frame: Any, spec: dict[str, Any], confirm: Sequence[str]) -> dict[str, Any]:
    """Return what StimulusSet needs from a DataFrame.

    Parameters
    ----------
    frame : DataFrame
        One row per text.
    spec : dict
        What a YAML file would say besides the texts.
    confirm : sequence of str
        Items kept for confirmation.

    Raises
    ------
    InputError
        All faults at once.
    """
    where = f"DataFrame {spec['name']!r}"
    table = frame_rows(frame, where)
    if spec["independent"] and "item" not in table.columns:
        width = len(str(len(table.rows)))
        named = [{**row, "item": f"s{n:0{width}d}"} for n, row in enumerate(table.rows, 1)]
        table = RawTable([*table.columns, "item"], named, table.lines)
    spec = {key: value for key, value in spec.items() if value not in (None, [])}
    if "factors" in spec:
        spec["factors"] = {name: list(levels) for name, levels in spec["factors"].items()}
    elif "condition" in table.columns:
        names = dict.fromkeys(row["condition"] for row in table.rows if isinstance(row["condition"], str))
        spec["conditions"] = {name: name for name in names}
    if confirm:
        spec["split"] = {"confirm": list(confirm)}
    layout, errors = _layout(spec, where, _NoLines(), [])
    if layout is None and not {"conditions", "factors"} & set(spec):
        errors = missing_columns(("text", "item", "condition"), table.columns, where)
    rows, found = rowwork.table_rows(table, layout, where) if layout else ([], [])
    rowwork.raise_all(errors + found)
    return read_rows(spec, rows, where)


def read_rows(spec: dict, rows: list[Row], where: str) -> dict[str, Any]:
    """Return what StimulusSet needs from rows.

    Parameters
    ----------
    spec : dict
        What a YAML file would say besides the texts.
    rows : list of Row
        The texts; changed in place.
    where : str
        What errors name as their place.

    Raises
    ------
    InputError
        All faults at once.
    """
    file, errors = _validated(spec, where, None)
    layout, found = _layout(spec, where, _NoLines(), errors)
    rowwork.raise_all(errors + found)
    return _assemble(file, layout, rows, where, _NoLines(), None)


def _validated(data: dict, where: str, lines: Lines | None) -> tuple[SetFile | None, list[InputError]]:
    try:
        return SetFile.model_validate(data), []
    except pydantic.ValidationError as error:
        return None, schema_errors(error, data, SetFile, where=where, lines=lines)


def _layout(data: Mapping, where: str, lines, errors: list[InputError]) -> tuple[Layout | None, list[InputError]]:
    """Return the layout unless the parts it is made of are among the faults already found."""
    parts = ("conditions", "factors", "between")
    if any(f": {part}" in (error.where or "") for error in errors for part in parts):
        return None, []
    try:
        between = data.get("between") or ()
        return make_layout(list(data.get("conditions") or ()), data.get("factors"), between), []
    except InputError as error:
        key = next((part for part in parts if data.get(part)), "")
        line = lines.near((key,)) if key else 0
        error.where = f"{where}:{line}: {key}" if line else where
        return None, [error]


def _file_rows(data: dict, layout: Layout, path: Path, lines: Lines) -> tuple[list[Row], list[InputError]]:
    where = str(path)
    if isinstance(data.get("table"), str) and data["table"].strip():
        try:
            file = path.parent / data["table"]
            return rowwork.table_rows(read_table(file), layout, str(file))
        except InputError as error:
            return [], [error]
    if not isinstance(data.get("items"), list):
        what = [] if "items" in data or "table" in data else [
            InputError("`items` is missing: the set has no texts", where=where, do="add `items:`, or `table: FILE`")]
        return [], what
    names = [data.get(key) for key in ("covariates", "graded", "strata")]
    columns = [name for each in names if isinstance(each, list) for name in each if isinstance(name, str)]
    reader = ItemReader(layout, tuple(c for c in dict.fromkeys(columns) if c not in layout.factors), where, lines)
    reader.read(data["items"])
    if len(reader.rows) > MAX_STIMULI:
        reader.errors.append(InputError(f"more than {MAX_STIMULI} texts", where=where, do="split the set"))
    return reader.rows, reader.errors


def _assemble(file: SetFile, layout: Layout, rows: list[Row], where: str, lines, path: Path | None) -> dict[str, Any]:
    def place(*keys) -> str:
        return f"{where}:{lines.near(keys)}: {'.'.join(keys)}" if lines.near(keys) else f"{where}: {'.'.join(keys)}"

    rows, notes, errors = rowwork.clean(rows, dedupe=file.dedupe)
    errors += rowwork.check_rows(rows, layout, independent=file.independent)
    errors += rowwork.assign_splits(rows, file.split.confirm if file.split else (), place("split"))
    for name, expression in file.contrasts.items():
        try:
            layout.weights(expression, where=place("contrasts", name))
        except InputError as error:
            errors.append(error)
    items = {row.item for row in rows}
    errors += [unknown_name("item", entry.item, items, where=place("continuations"))
               for entry in file.continuations if entry.item not in items]
    rowwork.raise_all(errors)
    table, covariates, errors = _frame(rows, layout, file.conditions or {})
    errors += _roles(file, table, layout, covariates, place)
    rdms, found = _model_rdms(file, path, table["id"].tolist(), notes)
    errors += found
    rowwork.raise_all(errors)
    if file.independent:
        notes.append(f"independent items: each of the {len(table)} texts is declared its own item")
    labels = {name: file.conditions[name].label if file.conditions else name for name in layout.conditions}
    return {"name": file.name, "concept": file.concept, "definition": file.definition, "table": table, "layout": layout,
            "contrasts": dict(file.contrasts), "labels": labels, "model_rdms": rdms, "banned": file.banned,
            "words": {"target": file.words.target, "foil": file.words.foil} if file.words else {},
            "continuations": tuple(entry.model_dump() for entry in file.continuations), "graded": file.graded,
            "strata": file.strata, "covariates": tuple(covariates), "licence": file.licence, "group": file.group or "",
            "language": file.language,
            "independent": file.independent, "notes": tuple(notes)}


def _model_rdms(file: SetFile, path: Path | None, ids: list[str], notes: list[str]) -> tuple[dict, list[InputError]]:
    from cogneuro_sae.stimuli.model_rdms import read_model_rdm

    rdms, errors = {}, []
    for name, reference in file.model_rdms.items():
        try:
            rdms[name], note = read_model_rdm(path.parent / reference if path else Path(reference), ids)
            notes += [f"model RDM {name}: {note}"] if note else []
        except InputError as error:
            errors.append(error)
    return rdms, errors


def _frame(rows: list[Row], layout: Layout, specs: Mapping[str, ConditionSpec]) -> tuple[Any, list[str], list]:
    import pandas as pd

    grades = {name: spec.grade for name, spec in specs.items()}
    first = {"id": [row.id for row in rows], "text": [row.text for row in rows], "item": [row.item for row in rows],
             "condition": [row.condition for row in rows], "paraphrase": [row.paraphrase for row in rows],
             "span": [row.span or "" for row in rows], "split": [row.split for row in rows],
             "grade": [float("nan") if grade is None else float(grade) for grade in
                       (row.grade if row.grade is not None else grades.get(row.condition) for row in rows)]}
    for position, name in enumerate(layout.factors):
        first[name] = [layout.levels(row.condition)[position] for row in rows]
    covariates = sorted({name for row in rows for name,
                         value in row.extra.items() if value is not None and value != ""})
    errors = [InputError(f"the covariate {name!r} has the name of a column", do="rename it") for name in covariates
              if name in first]
    for name in covariates:
        values = [row.extra.get(name) for row in rows]
        numeric = all(value is None or isinstance(value, (bool, int, float)) for value in values)
        first[name] = ([float("nan") if value is None else float(value) for value in values] if numeric
                       else ["" if value is None else str(value) for value in values])
    return pd.DataFrame(first), covariates, errors


def _roles(file: SetFile, table: Any, layout: Layout, covariates: list[str], place) -> list[InputError]:
    known = [*layout.factors, *covariates]
    errors = [unknown_name("column", name, known, where=place(role)) for role in ("graded", "strata")
              for name in getattr(file, role) if name not in known]
    errors += [InputError(f"the graded column {name!r} is not numeric", where=place("graded"))
               for name in file.graded if name in covariates and table[name].dtype.kind != "f"]
    errors += [InputError(f"the stratum column {name!r} has empty cells", where=place("strata"), do="fill them")
               for name in file.strata if name in covariates and ((table[name] == "") | table[name].isna()).any()]
    return errors
