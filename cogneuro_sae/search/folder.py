"""A search folder on disk: what stands in it, what an unfinished search saved, how it is read again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.run_folder import own_folder

COMPLETION = "provenance.json"
STATE = "state.bin"
FORMAT = 1
OWN = (COMPLETION, STATE, "config.yaml", "features.jsonl", "windows.jsonl", "latents.npz", "sentences.jsonl")


class SearchResult(NamedTuple):
    """A finished search.

    Parameters
    ----------
    folder : Path
        Where it stands.
    features : list of dict
        One per feature.
    windows : list of dict
        One per window.
    config : dict
        As in config.yaml.
    provenance : dict
        Versions, hashes, seeds, times, warnings.
    """

    folder: Path
    features: list[dict]
    windows: list[dict]
    config: dict
    provenance: dict

    def of(self, feature: str, kind: str | None = None) -> list[dict]:
        """Return the windows of a feature.

        Parameters
        ----------
        feature : str
            Its name, such as sae:12.
        kind : str, optional
            top, stratum, random or zero (default: all).

        Returns
        -------
        list of dict
        """
        return [row for row in self.windows if row["feature"] == feature and kind in (None, row["kind"])]


def read_search(folder: str | Path) -> SearchResult:
    """Read a search folder.

    Parameters
    ----------
    folder : str or Path
        `results/<name>/<hash10>`.

    Returns
    -------
    SearchResult

    Raises
    ------
    InputError
        It is not finished, or a file of it is missing or altered.
    """
    folder = Path(folder)
    if not (folder / COMPLETION).is_file():
        raise InputError("is no finished search (it has no provenance.json)", where=str(folder),
                         do="run `cogneuro-sae search` again, it goes on where it stopped")
    provenance = files.read_json(folder / COMPLETION)
    if not isinstance(provenance, dict) or provenance.get("verb") != "search":
        raise InputError("is the folder of something else than a search", where=str(folder))
    if lost := files.mismatch(folder, provenance.get("files", {})):
        raise InputError(lost[1], where=str(lost[0]), do="run the search again")
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    return SearchResult(folder, read_lines(folder / "features.jsonl"), read_lines(folder / "windows.jsonl"), config,
                        provenance)


def write_lines(path: Path, rows: list[dict]) -> None:
    """Write one JSON object per line, atomically; NaN and infinities become null.

    Parameters
    ----------
    path : Path
        The file.
    rows : list of dict
        JSON-able, numpy scalars allowed.
    """
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        for row in rows:
            handle.write(json.dumps(files._plain(row), ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(path: Path) -> list[dict]:
    """Read what `write_lines` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        Unreadable, with the line.
    """
    found = []
    try:
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                found.append(json.loads(line))
    except (OSError, ValueError) as error:
        raise InputError(f"not readable ({error})", where=f"{path}:{len(found) + 1}", do="run the search again") from error
    return found


def save_state(folder: Path, arrays: dict[str, np.ndarray], notes: dict) -> None:
    """Save an unfinished search, atomically.

    Parameters
    ----------
    folder : Path
        The search folder.
    arrays : dict of str to ndarray
        Of the scans.
    notes : dict
        JSON-able: how far it came.
    """
    text = np.frombuffer(json.dumps({"format": FORMAT, **notes}).encode("utf-8"), np.uint8)
    stored = io.BytesIO()
    np.savez(stored, notes=text, **arrays)
    data = stored.getvalue()
    files.write_bytes(folder / STATE, hashlib.sha256(data).digest() + data)


def load_state(folder: Path) -> tuple[dict[str, np.ndarray], dict] | None:
    """Return what `save_state` saved; None when there is none, or it is truncated, altered or of another format.

    Parameters
    ----------
    folder : Path
        The search folder.

    Returns
    -------
    (dict of str to ndarray, dict), or None
    """
    if not (folder / STATE).is_file():
        return None
    stored = (folder / STATE).read_bytes()
    check, data = stored[:32], stored[32:]
    if hashlib.sha256(data).digest() != check:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    notes = json.loads(arrays.pop("notes").tobytes())
    return (arrays, notes) if notes.get("format") == FORMAT else None


@contextlib.contextmanager
def search_folder(folder: Path, *, overwrite: bool = False) -> Iterator[logging.Logger]:
    """Make and lock a search folder for a block, keep its log, and take the mark of completion off it.

    Parameters
    ----------
    folder : Path
        `<out>/<name>/<hash10>`.
    overwrite : bool
        Remove what an earlier search left.

    Yields
    ------
    logging.Logger
        Writes to log.txt; an exception leaves its traceback there.

    Raises
    ------
    InputError
        The folder holds something else.
    SetupError
        It cannot be written, or another process works in it.
    """
    with own_folder(folder, OWN) as logger:
        for name in OWN if overwrite else (COMPLETION,):
            (folder / name).unlink(missing_ok=True)
        if overwrite:
            shutil.rmtree(folder / "figures", ignore_errors=True)
        yield logger
