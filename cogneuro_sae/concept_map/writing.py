"""Tables and arrays of a results folder, written atomically."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.display import cell


def write_csv(path: Path, table: pd.DataFrame) -> Path:
    """Write a table atomically; text that a spreadsheet would run as a formula is guarded.

    Parameters
    ----------
    path : Path
        The file.
    table : DataFrame
        Any.

    Returns
    -------
    Path
        The file.
    """
    # `cell` passes numbers through, so it runs over every column, whatever pandas calls its dtype
    guarded = table.map(cell)
    with files.replacing(path) as temporary:
        guarded.to_csv(temporary, index=False, lineterminator="\n")
    return path


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays atomically to a compressed npz file.

    Parameters
    ----------
    path : Path
        The file.
    arrays : dict of str to ndarray
        Without Python objects.

    Returns
    -------
    Path
        The file.
    """
    with files.replacing(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays)
    return path
