"""Responses as npz files: ours, and arrays recorded elsewhere."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.errors import InputError

ARRAYS = ("values", "tokens", "offsets", "specials", "spans", "ids")
SCALARS = {"site": str, "model": str, "sha256": str, "scale": float, "pooled": bool}


def write(path: str | os.PathLike, responses: object) -> Path:
    """Write the fields of a `Responses` to one npz file, atomically.

    Parameters
    ----------
    path : str or PathLike
        File to write.
    responses : Responses
        What to write.

    Returns
    -------
    Path
    """
    fields = {name: np.asarray(getattr(responses, name)) for name in (*ARRAYS, *SCALARS)}
    if responses.target_spans is not None:
        fields["target_spans"] = responses.target_spans
    with files.replacing(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **fields)
    return Path(path)


def read(path: str | os.PathLike, build: Callable) -> object:
    """Read an npz file.

    Parameters
    ----------
    path : str or PathLike
        A file made by `write`, or with `X` [`ids`], or with `values` and `offsets` [and the others].
    build : callable
        Takes the fields (`Responses`).

    Returns
    -------
    Responses

    Raises
    ------
    InputError
        The file is absent, truncated, holds Python objects, lacks what is needed or has NaN.
    """
    where = str(path)
    if not Path(path).is_file():
        raise InputError("no such file", where=where, allowed="an .npz file with X, or values and offsets")
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"not a readable npz file without Python objects ({error})", where=where,
                         do="save with numpy.savez(path, X=X, ids=ids), ids as plain text") from error
    try:
        fields = {name: kind(found[name][()]) for name, kind in SCALARS.items() if name in found}
        if "X" in found:
            shaped = {**pooled_fields(found["X"], found.get("ids")), "pooled": True}
        else:
            shaped = _packed_fields(found)
        return build(**{"site": "", "model": "", "sha256": "", **fields, **shaped})
    except InputError as error:
        raise InputError(error.what, where=where, allowed=error.allowed, do=error.do) from error
    except (TypeError, ValueError) as error:
        raise InputError(f"a field has the wrong form ({error})", where=where) from error


def pooled_fields(X, ids=None) -> dict:
    """Return the token fields of rows that are pooled already: one token per stimulus.

    Parameters
    ----------
    X : array_like (n_stimuli, n_features)
        One row per stimulus.
    ids : sequence of str, optional
        Stimulus ids.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        X is not a finite table of numbers.
    """
    X = _finite(X, "X", allowed="(n_stimuli, n_features)")
    return {"values": X, "tokens": np.full(len(X), "", dtype="<U1"), "offsets": np.arange(len(X) + 1),
            "specials": np.zeros(len(X), bool), "spans": np.full((len(X), 2), -1), "ids": _ids(ids, len(X))}


def _packed_fields(found: dict) -> dict:
    missing = [name for name in ("values", "offsets") if name not in found]
    if missing:
        raise InputError(f"holds {', '.join(found) or 'nothing'} but no {' and no '.join(missing)}",
                         allowed="X [ids], or values and offsets [ids, tokens, specials, spans, target_spans]")
    values = _finite(found["values"], "values", allowed="(n_tokens, n_units)")
    n_tokens, n_stimuli = len(values), len(found["offsets"]) - 1
    blank = {"tokens": np.full(n_tokens, "", dtype="<U1"), "specials": np.zeros(n_tokens, bool),
             "spans": np.full((n_tokens, 2), -1)}
    fields = {name: found.get(name, blank[name]) for name in blank}
    return {**fields, "values": values, "offsets": found["offsets"], "ids": _ids(found.get("ids"), n_stimuli),
            "target_spans": found.get("target_spans")}


def _ids(ids, n_stimuli: int) -> tuple[str, ...]:
    return ("",) * n_stimuli if ids is None else tuple(str(name) for name in ids)


def _finite(array, name: str, *, allowed: str) -> np.ndarray:
    try:
        array = np.asarray(array, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not numbers ({error})", allowed=allowed) from error
    if array.ndim != 2:
        raise InputError(f"{name} has shape {array.shape}", allowed=allowed)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise InputError(f"{name} has NaN or infinite values in {len(bad)} rows, first row {bad[0]}",
                         do="leave these rows out or mend them")
    return array
