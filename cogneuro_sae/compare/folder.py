"""A results folder of a comparison: tables, parts of unfinished work, and what marks it finished."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.display import cell
from cogneuro_sae.errors import InputError
from cogneuro_sae.provenance import hash_of

COMPLETION = "provenance.json"
PARTS = "parts"
SCORED = "scored.json"    # the tables stand, the judge axis is open
INTEGERS = ("k", "repeat", "fold", "n_train", "n_test", "n_items", "n_folds", "n_failed", "feature", "rank",
            "direction", "sign", "judge_features")
TEXTS = ("features", "reason", "status", "representation", "site", "window", "pooling", "ensemble", "verdict", "beyond",
         "concept", "correction", "method", "model", "contrast", "selector", "effect_name", "interval", "scope",
         "inference", "judge_valid", "judge_reason")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically; numbers round-trip, missing is empty, text is safe for spreadsheets.

    Parameters
    ----------
    path : Path
        The file.
    table : DataFrame
        Any.
    """
    table = table.copy()
    for name in table.columns.intersection(INTEGERS):
        table[name] = table[name].astype("Int64")
    for name in table.columns:
        if table[name].dtype == object or pd.api.types.is_string_dtype(table[name]):
            table[name] = table[name].map(cell)
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table written by `write_csv`.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    DataFrame
        Text columns hold "" where a cell is empty.

    Raises
    ------
    InputError
        Absent or unreadable.
    """
    try:
        table = pd.read_csv(path, dtype={name: str for name in TEXTS}, float_precision="round_trip", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"not a readable table ({error})", where=str(path)) from error
    for name in table.columns.intersection(TEXTS):
        table[name] = table[name].fillna("").astype(object)
    for name in table.columns.intersection(INTEGERS):
        table[name] = table[name].astype("Int64")
    return table


def part_path(folder: Path, key: dict) -> Path:
    """Return where the part of one job stands.

    Parameters
    ----------
    folder : Path
        The results folder.
    key : dict
        What the job is, JSON-able.
    """
    return folder / PARTS / f"{hash_of(key)[:16]}.json"


def write_part(folder: Path, key: dict, rows: list[dict], bands: list[dict]) -> None:
    """Write the finished part of one job atomically.

    Parameters
    ----------
    folder : Path
        The results folder.
    key : dict
        What the job is.
    rows : list of dict
        Its rows of the table.
    bands : list of dict
        Its draws, for controls.
    """
    files.write_json(part_path(folder, key), {"key": key, "digest": hash_of(_plain([rows, bands])), "rows": rows,
                                              "bands": bands})


def read_part(folder: Path, key: dict) -> tuple[list[dict], list[dict]] | None:
    """Return the rows and draws of a finished part; None when it is absent, truncated, altered or of another job.

    Parameters
    ----------
    folder : Path
        The results folder.
    key : dict
        What the job is.

    Returns
    -------
    tuple of list, or None
    """
    path = part_path(folder, key)
    if not path.is_file():
        return None
    try:
        found = files.read_json(path)
        rows, bands = found["rows"], found["bands"]
        if found["key"] != json.loads(json.dumps(key)) or found["digest"] != hash_of([rows, bands]):
            return None
    except (InputError, KeyError, TypeError):
        return None
    return [_with_nan(row) for row in rows], [_with_nan(row) for row in bands]


def _plain(value):
    """As JSON gives it back, so that the digest of a part is the same before and after writing."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(row: dict) -> dict:
    return {name: math.nan if value is None and name not in ("k", "C") else value for name, value in row.items()}


def refuse_foreign(folder: Path) -> None:
    """Raise when a folder that is not a results folder stands where one should go; nothing is ever deleted from it.

    Parameters
    ----------
    folder : Path
        The results folder to be.

    Raises
    ------
    InputError
        A file, or a folder with other things in it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file where a results folder should go", where=str(folder), do="use another --out")
    for parent in folder.parents:
        if parent.exists() and not parent.is_dir():
            raise InputError("is a file where a results folder should go", where=str(parent), do="use another --out")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in ("config.yaml",
            ".lock")):
        raise InputError("holds something else", where=str(folder), do="use another --out")


def clear(folder: Path) -> None:
    """Remove the finished work of a results folder (its parts, tables and completion mark), for `overwrite`.

    Parameters
    ----------
    folder : Path
        The results folder.
    """
    (folder / COMPLETION).unlink(missing_ok=True)
    (folder / SCORED).unlink(missing_ok=True)
    shutil.rmtree(folder / PARTS, ignore_errors=True)
