"""Where the results of a map go: refused before anything is loaded or written when nothing can be written there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.run_folder import ELSEWHERE, own_folder

COMPLETION = "provenance.json"


def check_place(root: str | Path, *, probe: bool = True) -> None:
    """Refuse a folder in which no results can be made; nothing is left behind.

    Parameters
    ----------
    root : path
        `<out>/<name>`; it need not exist. One that holds finished maps may be read-only: they may be all that is
        asked for.
    probe : bool
        Make and remove an empty folder to be sure; without, only the permissions are looked at.

    Raises
    ------
    InputError
        A file stands in the way.
    SetupError
        No folder can be made there.
    """
    root = Path(root).absolute()
    try:
        present = [path for path in (root, *root.parents) if path.exists()]
        for path in present:
            if not path.is_dir():
                raise InputError("is a file where a results folder should go", where=str(path), do=ELSEWHERE)
        if any(root.glob(f"*/{COMPLETION}")):
            return
        if not os.access(present[0], os.W_OK | os.X_OK):
            raise PermissionError(None, "Permission denied")
        if probe:
            tempfile.TemporaryDirectory(prefix=files.LITTER, dir=present[0]).cleanup()
    except OSError as error:
        raise SetupError(f"no results can be written here ({error.strerror or error})", where=str(root),
                         do=ELSEWHERE) from error


@contextlib.contextmanager
def results_folder(folder: Path) -> Iterator[None]:
    """Make and lock a results folder for a block, keep its log, and take the mark of completion off it.

    Parameters
    ----------
    folder : Path
        `<out>/<name>/<hash10>`.

    Raises
    ------
    InputError
        The folder holds something else.
    SetupError
        It cannot be written, or another process works in it.
    """
    check_place(folder)
    with own_folder(folder, ("config.yaml",)):
        (folder / COMPLETION).unlink(missing_ok=True)
        yield
