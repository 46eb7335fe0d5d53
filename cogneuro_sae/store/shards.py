"""The shard files of an activation store: one tensor each, with a note beside it that says it is good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cogneuro_sae import files
from cogneuro_sae.errors import InputError


def shard_name(index: int) -> str:
    """Return the file name of a shard.

    Parameters
    ----------
    index : int
        From 0.

    Returns
    -------
    str
    """
    return f"shard-{index:05d}.safetensors"


def write_shard(folder: Path, index: int, values: np.ndarray, *, plan: str) -> None:
    """Write one shard and, after it, the note that makes it good.

    Parameters
    ----------
    folder : Path
        The store being made.
    index : int
        From 0.
    values : numpy.ndarray
        (n_rows, d_model) float32.
    plan : str
        Hash of what the shard was made of.
    """
    path = Path(folder) / shard_name(index)
    files.write_bytes(path, save({"activations": np.ascontiguousarray(values, np.float32)}))
    files.write_json(path.with_suffix(".json"), {"rows": len(values), "sha256": files.sha256_file(path), "plan": plan})


def good_shard(folder: Path, index: int, *, plan: str) -> bool:
    """Return whether a shard is there, unaltered, and made of the same texts.

    Parameters
    ----------
    folder : Path
        The store being made.
    index : int
        From 0.
    plan : str
        Hash of what the shard has to be made of.

    Returns
    -------
    bool
    """
    path = Path(folder) / shard_name(index)
    note = path.with_suffix(".json")
    if not (path.is_file() and note.is_file()):
        return False
    try:
        known = files.read_json(note)
    except InputError:
        return False
    return known.get("plan") == plan and known.get("sha256") == files.sha256_file(path)


def read_shard(folder: Path, index: int) -> np.ndarray:
    """Return one shard's rows.

    Parameters
    ----------
    folder : Path
        The store.
    index : int
        From 0.

    Returns
    -------
    numpy.ndarray
        (n_rows, d_model) float32.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    path = Path(folder) / shard_name(index)
    try:
        return load_file(path)["activations"]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), do="run the capture again") from error
