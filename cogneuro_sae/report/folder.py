"""Reads a results folder forgivingly: what is missing or damaged becomes a line for the Errors section."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.report.problems import COMPLETION, FEATURES, as_mapping, attempt, check_table, missing_parts

TABLES = ("table", "cells", "nested", "tests", "features")
VIEW_TABLES = ("means", "strongest", "profiles", "fits", "partition", "near_far", "counts")
VIEW_RECORDS = ("checks", "stimuli", "responses", "roi")
TEXT_COLUMNS = {
    "concept", "contrast", "model", "representation", "site", "window", "pooling", "selector", "ensemble", "kind",
    "status",
    "reason", "features", "id", "condition", "token", "rdm", "name", "method", "note", "item", "text", "cell", "texts",
    "beyond", "verdict", "interval", "scope", "expression", "correction", "unit", "effect_name", "inference",
    "equivalent",
}


class View(NamedTuple):
    """What was kept about one concept, so that its pictures can be made again without the model.

    Parameters
    ----------
    records : dict of str to dict
        The JSON files of `VIEW_RECORDS` that are there.
    tables : dict of str to DataFrame
        The CSV files of `VIEW_TABLES` that are there.
    rdms : dict of str to ndarray
        Arrays of `rdms.npz`, empty when it is not there.
    """

    records: dict[str, dict]
    tables: dict[str, pd.DataFrame]
    rdms: dict[str, np.ndarray]


class Run(NamedTuple):
    """Everything that a report may show of one results folder.

    Parameters
    ----------
    path : Path
        The folder.
    verb : str
        "compare" | "map".
    config : dict
        The resolved configuration, empty when it cannot be read.
    provenance : dict
        The run record, empty when the run did not finish.
    tables : dict of str to DataFrame
        Those of `TABLES` that are there and hold rows.
    maps : dict of str to dict of str to FeatureMap
        Maps by concept and name.
    views : dict of str to View
        Views by concept.
    saes : list of dict
        What is known of each sparse autoencoder.
    problems : list of str
        What is missing or damaged.
    """

    path: Path
    verb: str
    config: dict
    provenance: dict
    tables: dict[str, pd.DataFrame]
    maps: dict[str, dict[str, FeatureMap]]
    views: dict[str, View]
    saes: list[dict]
    problems: list[str]

    @property
    def finished(self) -> bool:
        """Whether the computation was closed by its provenance."""
        return bool(self.provenance)


def read_run(folder: str | Path) -> Run:
    """Read a results folder of `map` or `compare`, finished or not.

    Parameters
    ----------
    folder : path
        `results/<name>/<hash10>/`.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        No such folder, or nothing in it that a run of ours leaves.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"no such results folder: {folder}", do="give the folder that map, compare, judge or search printed")
    known = ["config.yaml", COMPLETION, "maps", "view", *(f"{name}.csv" for name in TABLES)]
    if not any((folder / name).exists() for name in known):
        raise InputError(f"{folder} is not a results folder: it holds none of {', '.join(known[:3])}",
                         do="give the folder that map, compare, judge or search printed")
    problems: list[str] = []
    config = attempt(problems, folder / "config.yaml", _read_config, needed=True) or {}
    record = attempt(problems, folder / COMPLETION, _read_record, needed=True) or {}
    tables = {name: table for name in TABLES
              if (table := attempt(problems, folder / f"{name}.csv", _read_checked)) is not None and len(table)}
    maps = {path.stem: found for path in _sorted(folder / "maps", "*.npz")
            if (found := attempt(problems, path, read_maps)) is not None}
    views = {path.name: _read_view(path, problems) for path in _sorted(folder / "view", "*/")}
    saes = attempt(problems, folder / "view" / "saes.json", _read_list) or []
    verb = record.get("verb") or ("compare" if "selectors" in config or "cells" in tables or "table" in tables
                                  else "map")
    if verb not in FEATURES:
        raise InputError(f"{folder} holds a run of {verb!r}", allowed="map, compare")
    if "features" in tables and not set(FEATURES[verb]) <= set(tables["features"]):
        del tables["features"]
        problems.append(f"features.csv cannot be read, so what it holds is left out: it lacks columns of a {verb} run")
    problems += missing_parts(folder, verb, list(views)) if record else []
    return Run(folder, verb, config, record, tables, maps, views, saes, problems)


def _read_checked(path: Path) -> pd.DataFrame:
    return check_table(path, read_table(path))


def _read_record(path: Path) -> dict:
    return as_mapping(files.read_json(path))


def _read_list(path: Path) -> list[dict]:
    return [as_mapping(each) for each in files.read_json(path)]


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV of ours: empty cells are missing, text stays text, a guard quote before a formula sign is taken off.

    Parameters
    ----------
    path : Path
        The CSV file.

    Returns
    -------
    DataFrame
        Columns of `TEXT_COLUMNS` are str with "" for missing, the others numbers where all of their cells are.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in table.columns:
        if name in TEXT_COLUMNS:
            table[name] = [value[1:] if value[:1] == "'" and value[1:2] in tuple("=+-@\t\r") else value
                           for value in table[name]]
        else:
            numbers = pd.to_numeric(table[name].where(table[name] != ""), errors="coerce")
            if (numbers.notna() | (table[name] == "")).all():
                table[name] = numbers
    return table


def read_maps(path: Path) -> dict[str, FeatureMap]:
    """Read all maps of one npz file by their names.

    Parameters
    ----------
    path : Path
        File with one or several `FeatureMap.to_arrays`, prefixes ending in "/".

    Returns
    -------
    dict of str to FeatureMap
        By prefix without its "/", or by the map's own name.
    """
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    found = {}
    for key in arrays:
        if key == "meta" or key.endswith("/meta"):
            prefix = key[: -len("meta")]
            fmap = FeatureMap.from_arrays(arrays, prefix)
            found[prefix.rstrip("/") or fmap.name] = fmap
    return found


def _read_config(path: Path) -> dict:
    return as_mapping(yaml.safe_load(path.read_text("utf-8")))


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _read_view(folder: Path, problems: list[str]) -> View:
    records = {name: record for name in VIEW_RECORDS
               if (record := attempt(problems, folder / f"{name}.json", _read_record)) is not None}
    tables = {name: table for name in VIEW_TABLES
              if (table := attempt(problems, folder / f"{name}.csv", _read_checked)) is not None and len(table)}
    return View(records, tables, attempt(problems, folder / "rdms.npz", _read_arrays) or {})


def _sorted(folder: Path, pattern: str) -> Iterable[Path]:
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return names without the parts that all of them share.

    Parameters
    ----------
    names : iterable of str
        Such as `sae.model.layers.3.all.mean.auroc`.

    Returns
    -------
    dict of str to str
        Given name to short name, such as `sae / auroc`; the name itself where nothing would be left, or where two would
        become one.
    """
    names = list(names)
    parts = {name: name.replace("/", ".").split(".") for name in names}
    shared = set.intersection(*map(set, parts.values())) if len(names) > 1 else set()
    short = {name: " / ".join(part for part in parts[name] if part not in shared) or name for name in names}
    return short if len(set(short.values())) == len(names) else {name: name for name in names}


def as_text(value: object) -> str:
    """Return a value of a record as short readable text.

    Parameters
    ----------
    value : object
        Anything JSON-able.

    Returns
    -------
    str
        Lists are joined by commas, mappings become JSON.
    """
    if isinstance(value, (list, tuple)):
        return ", ".join(as_text(item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return "" if value is None else str(value)


def place(run: Run, concept: str, name: str) -> Path:
    """Return the PNG path of a figure; characters that a file name should not hold become "-".

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        The concept shown.
    name : str
        What is shown.
    """
    return run.path / "figures" / f"{file_stem(f'{concept}_{name}')}.png"


def file_stem(name: str) -> str:
    """Return a name as the stem of a file: characters that a file name should not hold become "-".

    Parameters
    ----------
    name : str
        Any text.
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:80]
