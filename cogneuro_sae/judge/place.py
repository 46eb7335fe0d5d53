"""Where the results of a judge stand: refused, locked, logged; paid answers are only removed when asked to."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, SetupError

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
    for path in (folder, *folder.absolute().parents):
        if path.exists() and not path.is_dir():
            raise InputError("is a file where a results folder should go", where=str(path), do="use another --out")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in (*OWN, ".lock")):
        raise InputError(f"{folder} holds something else", do="use another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot be made ({error.strerror or error})", where=str(folder), do="use another --out") from error
    with files.locked(folder), _log(folder) as logger:
        files.sweep(folder)
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


@contextlib.contextmanager
def _log(folder: Path) -> Iterator[logging.Logger]:
    logger = logging.getLogger("cogneuro_sae")
    handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    previous = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield logger
    except BaseException:
        logger.exception("stopped")
        raise
    finally:
        logger.setLevel(previous)
        logger.removeHandler(handler)
        handler.close()
