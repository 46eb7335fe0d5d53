"""A results folder while a run works in it: refused when it is somebody else's, locked, with a log of what happened."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, SetupError

ELSEWHERE = "use another --out"


@contextlib.contextmanager
def run_log(folder: str | Path) -> Iterator[logging.Logger]:
    """Let the package's logger write to `log.txt` of a folder for a block; an exception leaves its traceback there.

    Parameters
    ----------
    folder : path
        The results folder; it exists.
    """
    logger = logging.getLogger("cogneuro_sae")
    handler = logging.FileHandler(Path(folder) / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    previous = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield logger
    except BaseException:
        logger.exception("stopped by an error")
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(previous)
        handler.close()


@contextlib.contextmanager
def own_folder(folder: Path, own: tuple[str, ...]) -> Iterator[logging.Logger]:
    """Make a results folder, lock it and keep its log for a block; litter of a killed run is swept away.

    Parameters
    ----------
    folder : Path
        `<out>/<name>/<hash10>`.
    own : tuple of str
        Files by which a folder of this kind is known; one that holds others only is refused.

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
            raise InputError("is a file where a results folder should go", where=str(path), do=ELSEWHERE)
    known = (*own, ".lock", "log.txt")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in known):
        raise InputError(f"{folder} holds something else", do=ELSEWHERE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot be made ({error.strerror or error})", where=str(folder), do=ELSEWHERE) from error
    with files.locked(folder), run_log(folder) as logger:
        files.sweep(folder)
        yield logger
