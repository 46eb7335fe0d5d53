"""A design and its scheme on some of their rows: item halves, folds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from cogneuro_sae.inference.scheme import Scheme, two_part_scheme
from cogneuro_sae.inference.schemes import (free_scheme, item_scheme, joint_scheme, label_scheme, residual_scheme,
                                            sign_scheme, swap_scheme, within_scheme)

COLUMNS = ("rows", "y", "weights", "groups", "cells", "conditions", "strata")


def restricted(scheme: Scheme, keep: np.ndarray) -> Scheme:
    """Return the same kind of scheme over some of the design's rows.

    Parameters
    ----------
    scheme : Scheme
        Scheme of the whole design.
    keep : ndarray (n_rows,) bool
        Rows to keep; whole items for matched schemes.

    Returns
    -------
    Scheme

    Raises
    ------
    InputError
        The kept rows no longer carry the scheme, for instance one label only.
    """
    keep = np.asarray(keep, bool)
    if scheme.kind == "two_part":
        return _restricted_parts(scheme, keep)
    unit = scheme.unit[keep]
    label = scheme.unit_label[unit] if len(scheme.unit_label) else None
    stratum = scheme.unit_stratum[unit]
    return _REBUILD[scheme.kind](unit, label, stratum)


def _restricted_parts(scheme: Scheme, keep: np.ndarray) -> Scheme:
    place = np.cumsum(keep) - 1
    parts = [restricted(part, keep[rows]) for part, rows in zip(scheme.parts, scheme.part_rows)]
    rows_a, rows_b = (place[rows[keep[rows]]] for rows in scheme.part_rows)
    return two_part_scheme(*parts, rows_a=rows_a, rows_b=rows_b, n_rows=int(keep.sum()))


def subset(design, keep: np.ndarray) -> SimpleNamespace:
    """Return a design's columns and scheme on some of its rows.

    Parameters
    ----------
    design : Design
        Rows, labels, weights, items, cells, scheme.
    keep : ndarray (n_rows,) bool
        Design rows to keep.

    Returns
    -------
    SimpleNamespace
        The attributes that maps read; `rows` still points into the stimulus table.

    Raises
    ------
    InputError
        The kept rows no longer carry the scheme.
    """
    keep = np.asarray(keep, bool)
    columns = {name: np.asarray(getattr(design, name))[keep] for name in COLUMNS if hasattr(design, name)}
    names = {name: getattr(design, name, "") for name in ("contrast", "expression")}
    return SimpleNamespace(**columns, **names, scheme=restricted(design.scheme, keep))


_REBUILD = {
    "swap": lambda unit, label, stratum: swap_scheme(unit, strata=stratum),
    "sign": lambda unit, label, stratum: sign_scheme(unit),
    "labels": lambda unit, label, stratum: label_scheme(unit, label, strata=stratum),
    "items": lambda unit, label, stratum: item_scheme(unit, label, strata=stratum),
    "free": lambda unit, label, stratum: free_scheme(label),
    "within": lambda unit, label, stratum: within_scheme(stratum, label),
    "joint": lambda unit, label, stratum: joint_scheme(unit),
    "residuals": lambda unit, label, stratum: residual_scheme(unit, stratum),
}
