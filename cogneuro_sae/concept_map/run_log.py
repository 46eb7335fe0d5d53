"""log.txt of a results folder: what happened, with the traceback of whatever stopped the run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path


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
