"""Between detection and the judge axis: the tables stand, the record waits for what raters say."""

from __future__ import annotations

from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.compare import folder as disk
from cogneuro_sae.errors import InputError

AXES_FILE = "axes.csv"


def scored_before(folder: Path, record: dict | None) -> dict | None:
    """Return the record of a comparison whose tables stand and whose judge axis is still open, and keep it so.

    Parameters
    ----------
    folder : Path
        The comparison.
    record : dict, optional
        Of a finished comparison whose judge axis is to be looked at again; its mark of completion is taken off.

    Returns
    -------
    dict or None
        None when the tables have to be made first.
    """
    if record is not None:
        record = {key: value for key, value in record.items() if key != "judge"}
        known = {name: each for name, each in record["files"].items() if name not in ("cells.csv", AXES_FILE)}
        files.write_json(folder / disk.SCORED, {**record, "files": known, "warnings": record["warnings"]})
        (folder / disk.COMPLETION).unlink()
    if not (folder / disk.SCORED).is_file() or not (folder / "cells.csv").is_file():
        return None
    try:
        found = files.read_json(folder / disk.SCORED)
        return found if files.mismatch(folder, found["files"]) is None else None
    except (InputError, KeyError, TypeError):
        return None     # a torn record: the parts are still there


def keep_scored(folder: Path, record: dict) -> dict:
    """Write down that the tables of a comparison stand and its judge axis is open.

    Parameters
    ----------
    folder : Path
        The comparison.
    record : dict
        Its run record so far.

    Returns
    -------
    dict
        The record without the fingerprint of cells.csv, which is written again.
    """
    known = {name: each for name, each in record["files"].items() if name != "cells.csv"}
    files.write_json(folder / disk.SCORED, {**record, "files": known})
    return {**record, "files": known}
