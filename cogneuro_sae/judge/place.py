"""Where the results of a judge stand: refused, locked, logged; paid answers are only removed when asked to."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from cogneuro_sae.run_folder import own_folder

COMPLETION = "provenance.json"
LEDGER = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")
MADE = ("config.yaml", "items.jsonl", "scores.csv", "features.csv", "gates.csv", "arms.csv", "sheet.csv",
        "latent_index_meaning.json")
OWN = (COMPLETION, "config.yaml", "items.jsonl", *LEDGER)


@contextlib.contextmanager
def judge_folder(folder: Path, *, overwrite: bool = False) -> Iterator[logging.Logger]:
    """Make and lock a judge folder for a block, keep its log, and take the mark of completion off it.

    Parameters
    ----------
    folder : Path
        `<out>/<name>/<hash10>`.
    overwrite : bool
        Put the ledger and the tables of an earlier run aside, under a name with the time, and start anew.

    Yields
    ------
    logging.Logger
        Writes to log.txt; an exception leaves its traceback there.

    Raises
    ------
    InputError
        A file is in the way, or the folder holds something else.
    SetupError
        It cannot be written, or another process works in it.
    """
    with own_folder(folder, OWN) as logger:
        if overwrite:
            _put_aside(folder)
        (folder / COMPLETION).unlink(missing_ok=True)
        yield logger


def _put_aside(folder: Path) -> None:
    """Tables go with the ledger they come from, or a report would show them beside the new one."""
    there = [name for name in (*LEDGER, *MADE, COMPLETION) if (folder / name).is_file()]
    if not there:
        return
    stamp = time.strftime("%Y%m%dT%H%M%S")
    names = (f"paid-{stamp}{again}" for again in ("", *(f"-{number}" for number in range(2, 1000))))
    aside = next(folder / name for name in names if not (folder / name).exists())
    aside.mkdir()
    for name in there:
        shutil.move(folder / name, aside / name)
