"""What is missing or damaged in a results folder, in plain sentences for the Errors section and the command line."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from cogneuro_sae.errors import CogneuroError, InputError

COMPLETION = "provenance.json"
# the columns that the report cannot do without, and those of them that hold numbers
NEEDED = {
    "table": ("concept", "kind", "selector", "repeat", "fold", "auroc", "status", "reason"),
    "cells": ("concept", "kind", "representation", "selector", "k", "ensemble", "auroc"),
    "nested": ("concept", "method", "repeat", "fold", "auroc"),
    "tests": ("name", "scope", "concept", "estimate", "low", "high", "p", "p_adjusted"),
    "means": ("feature",),
    "strongest": ("id", "condition", "rank", "feature", "value", "token"),
    "profiles": ("id", "position", "token", "feature", "value"),
    "fits": ("rdm", "model", "fit"),
    "partition": ("rdm", "part", "share"),
    "near_far": ("feature", "D_near", "D_far"),
}
NUMBERS = {"auroc", "auroc_low", "auroc_high", "pair_accuracy", "k", "repeat", "fold", "estimate", "low", "high", "p",
           "p_adjusted",
           "rank", "feature", "value", "position", "fit", "ceiling_low", "ceiling_high", "jaccard", "kuncheva",
           "share", "D_near", "D_far"}
FEATURES = {"map": ("concept", "score", "feature", "value"), "compare": ("concept", "feature")}
OF_A_RUN = {"map": ("features.csv",), "compare": ("table.csv", "cells.csv", "nested.csv", "tests.csv", "features.csv")}


def attempt(problems: list[str], path: Path, read: Callable, *, needed: bool = False) -> object | None:
    """Read a file if it is there; note in `problems` what keeps it from being read.

    Parameters
    ----------
    problems : list of str
        Added to.
    path : Path
        The file.
    read : callable
        Takes the path.
    needed : bool
        Absence is a problem too.

    Returns
    -------
    object or None
        What `read` returned.
    """
    if not path.is_file():
        if needed:
            problems.append(f"{path.name} is missing" + (": the run did not finish, what follows is what it left"
                                                        if path.name == COMPLETION else ""))
        return None
    try:
        return read(path)
    except (CogneuroError, OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile,
            yaml.YAMLError) as error:
        why = error.what if isinstance(error, CogneuroError) else _reason(error)
        problems.append(f"{path.name} cannot be read, so what it holds is left out: {why}")
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "no permission"
    if isinstance(error, KeyError):
        return "entries that a run writes are not in it"
    return "it is empty" if isinstance(error, (pd.errors.EmptyDataError,
                                               EOFError)) else "it is damaged, or no file of such a run"


def check_table(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that holds the columns the report needs, numbers where numbers belong.

    Parameters
    ----------
    path : Path
        Its file; a whole one ends with a line end.
    table : DataFrame
        What was read.

    Raises
    ------
    InputError
        It ends in the middle of a line, lacks columns, or holds text where numbers belong.
    """
    with open(path, "rb") as handle:
        handle.seek(max(0, path.stat().st_size - 1))
        if handle.read() not in (b"\n", b"\r"):
            raise InputError("it ends in the middle of a line")
    lacking = [name for name in NEEDED.get(path.stem, ()) if name not in table]
    if lacking:
        raise InputError(f"it lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}")
    text = [str(name) for name in table.columns if name in NUMBERS and not pd.api.types.is_numeric_dtype(table[name])]
    if text:
        raise InputError(f"there is text where numbers belong (column {', '.join(text)})")
    return table


def as_mapping(loaded: object) -> dict:
    """Return a mapping as it is; anything else is an InputError."""
    if not isinstance(loaded, dict):
        raise InputError("it is not a mapping")
    return loaded


def missing_parts(folder: Path, verb: str, concepts: list[str]) -> list[str]:
    """Return one sentence per part that a finished run writes and that is not there.

    Parameters
    ----------
    folder : Path
        The results folder of a finished run.
    verb : str
        "map" | "compare".
    concepts : list of str
        Sets whose descriptions are there.

    Returns
    -------
    list of str
    """
    found = [f"{name} is missing although the run finished" for name in OF_A_RUN[verb] if not (folder / name).is_file()]
    found += [f"maps/{name}.npz is missing although the run finished: there is no map of {name} to show"
              for name in concepts
              if not (folder / "maps" / f"{name}.npz").is_file()]
    if verb == "map" and not concepts:
        found.append("view/ is missing although the run finished: stimuli, responses and features cannot be described")
        if not any((folder / "maps").glob("*.npz")):
            found.append("maps/ is missing although the run finished: there is no map to show")
    return found
