"""Model RDMs from files: dissimilarities of the stimuli from brains, behaviour or other models, matched by id."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from cogneuro_sae.config import decode, read_bytes, shown
from cogneuro_sae.errors import InputError, unknown_name

ID_DESCRIPTORS = ("id", "ids", "stimulus", "stimuli", "conds")


def read_model_rdm(path: Path, ids: list[str]) -> tuple[pd.DataFrame, str]:
    """Read one dissimilarity matrix.

    Parameters
    ----------
    path : Path
        A square csv (ids in the first row and column) or an rsatoolbox RDMs file (.h5, .hdf5) that holds one RDM.
    ids : list of str
        The set's stimulus ids.

    Returns
    -------
    DataFrame (n, n), str
        Symmetric, diagonal 0, in the order of `ids`; and a note when it covers only some of them, else "".

    Raises
    ------
    InputError
        Not square, not symmetric, not finite, a diagonal that is not 0, unknown or repeated ids, fewer than three.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise unknown_name("RDM file format", path.suffix, READERS, where=str(path))
    names, matrix = reader(path)
    _check(names, matrix, ids, str(path))
    frame = pd.DataFrame(matrix, index=names, columns=names)
    order = [name for name in ids if name in set(names)]
    note = f"covers {len(order)} of {len(ids)} stimuli" if len(order) < len(ids) else ""
    return frame.loc[order, order], note


def _check(names: list[str], matrix: np.ndarray, ids: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(f"the id {shown(twice[0])} is there twice", where=where)
    known = set(ids)
    unknown = [name for name in names if name not in known]
    if unknown:
        error = unknown_name("stimulus id", unknown[0], ids, where=where)
        raise InputError(f"{len(unknown)} ids are not stimuli of the set, the first {shown(unknown[0])}", where=where,
                         do=error.do or "ids look like item.condition.1")
    if len(names) < 3:
        raise InputError(f"covers {len(names)} stimuli", where=where, allowed="at least 3")
    if not np.isfinite(matrix).all():
        raise InputError("holds values that are not finite numbers", where=where, do="leave those stimuli out")
    scale = max(float(np.abs(matrix).max()), 1e-300)
    if np.abs(matrix - matrix.T).max() > 1e-6 * scale:
        raise InputError("is not symmetric", where=where, do="average it with its transpose, if that is meant")
    if np.abs(np.diag(matrix)).max() > 1e-6 * scale:
        raise InputError("has a diagonal that is not 0", where=where, do="give dissimilarities, not similarities")


def _square_csv(path: Path) -> tuple[list[str], np.ndarray]:
    where = str(path)
    text = decode(read_bytes(path), where)
    table = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if len(table) < 2:
        raise InputError("holds no matrix", where=where, allowed="ids in the first row and column, numbers inside")
    names = [cell.strip() for cell in table[0][1:]]
    for line, row in enumerate(table[1:], 2):
        if len(row) != len(names) + 1:
            raise InputError(f"{len(row)} cells where the first row has {len(names) + 1}", where=f"{where}:{line}")
    if len(table) - 1 != len(names):
        raise InputError(f"is {len(table) - 1} by {len(names)}, not square", where=where)
    if [row[0].strip() for row in table[1:]] != names:
        raise InputError("the ids of rows and columns differ", where=where, do="give both in the same order")
    try:
        return names, np.array([[float(cell) for cell in row[1:]] for row in table[1:]])
    except ValueError as error:
        raise InputError(f"a cell is not a number ({error})", where=where) from error


def _rsatoolbox(path: Path) -> tuple[list[str], np.ndarray]:
    import rsatoolbox

    where = str(path)
    read_bytes(path)
    try:
        rdms = rsatoolbox.rdm.load_rdm(str(path), file_type="hdf5")
    except Exception as error:
        raise InputError(f"not a readable rsatoolbox RDMs file ({error})", where=where) from error
    if rdms.n_rdm != 1:
        raise InputError(f"holds {rdms.n_rdm} RDMs", where=where, allowed="one",
                         do="save the one that is meant, or their mean")
    for name in ID_DESCRIPTORS:
        if name in rdms.pattern_descriptors:
            return [str(each) for each in rdms.pattern_descriptors[name]], rdms.get_matrices()[0]
    raise InputError("has no pattern descriptor with stimulus ids", where=where, allowed=", ".join(ID_DESCRIPTORS))


READERS = {".csv": _square_csv, ".h5": _rsatoolbox, ".hdf5": _rsatoolbox}
