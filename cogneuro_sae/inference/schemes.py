"""One constructor per design of the table in docs/methods.md: who moves, how many labellings, the smallest p."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference.scheme import Scheme


def swap_scheme(items, *, strata=None) -> Scheme:
    """Two labels of every item change places: 2^m, min p 2^-m one-sided, 2^(1-m) two-sided.

    Parameters
    ----------
    items : array_like (n_rows,)
        Item of each row; each item holds both labels.
    strata : array_like (n_rows,), optional
        Stratum of each row, recorded only: a swap never leaves its item.

    Returns
    -------
    Scheme
        kind "swap".

    Raises
    ------
    InputError
        No row.
    """
    return _two_valued("swap", "the two labels swap inside each of {m} items", items, strata)


def sign_scheme(items) -> Scheme:
    """Each item's contrast c_i = sum w cell mean (weights summing to 0) changes sign: 2^m.

    Parameters
    ----------
    items : array_like (n_rows,)
        Item of each row.

    Returns
    -------
    Scheme
        kind "sign".

    Raises
    ------
    InputError
        No row.
    """
    return _two_valued("sign", "the contrast of each of {m} items changes sign", items, None)


def label_scheme(cells, labels, *, strata=None) -> Scheme:
    """Labels move over cells, within strata: the product over strata of C(n_T + n_F, n_T).

    Parameters
    ----------
    cells : array_like (n_rows,)
        Cell of each row; paraphrases of a cell move together.
    labels : array_like (n_rows,) of int
        0 or 1, one label per cell.
    strata : array_like (n_rows,), optional
        Labels move within a stratum only; default one stratum.

    Returns
    -------
    Scheme
        kind "labels".

    Raises
    ------
    InputError
        A cell with two labels or two strata, or only one label in all.
    """
    return _labelled("labels", "labels move over {n} cells", cells, labels, strata)


def item_scheme(items, labels, *, strata=None) -> Scheme:
    """Labels of whole items move, within strata (between-item factors, within x between interactions).

    Parameters
    ----------
    items : array_like (n_rows,)
        Item of each row.
    labels : array_like (n_rows,) of int
        Label 0, 1, ... of the row's item; one label per item.
    strata : array_like (n_rows,), optional
        Labels move within a stratum only; default one stratum.

    Returns
    -------
    Scheme
        kind "items"; min p 1/#assignments, two-sided times the relabellings that keep the group sizes.

    Raises
    ------
    InputError
        An item with two labels or two strata, or only one label in all.
    """
    return _labelled("items", "labels move over {n} whole items", items, labels, strata)


def free_scheme(labels) -> Scheme:
    """Labels move freely over rows declared independent: C(n, n_A).

    Parameters
    ----------
    labels : array_like (n_rows,) of int
        0 or 1 per row.

    Returns
    -------
    Scheme
        kind "free".

    Raises
    ------
    InputError
        Only one label.
    """
    labels = np.asarray(labels)
    return _labelled("free", "labels move freely over {n} stimuli declared independent", np.arange(len(labels)), labels,
                     None)


def within_scheme(items, levels, *, symmetries: int | None = None) -> Scheme:
    """The L labels of every item move among its cells (graded and multi-level models): (L!)^m.

    Parameters
    ----------
    items : array_like (n_rows,)
        Item of each row.
    levels : array_like (n_rows,)
        Level (grade or condition) of each row; every item holds the same levels.
    symmetries : int, optional
        How many labellings leave the model RDM as it is; default: those of |level - level'| for numeric levels, which
        is 2 when reversing the levels keeps their spacing and else 1, and 1 for other levels.

    Returns
    -------
    Scheme
        kind "within"; `unit` is the cell, `unit_stratum` its item, `unit_label` the index of its level;
        min p symmetries / (L!)^m.

    Raises
    ------
    InputError
        An item that lacks a level.
    """
    items, levels = np.asarray(items), np.asarray(levels)
    names, level = np.unique(levels, return_inverse=True)
    item = np.unique(items, return_inverse=True)[1]
    cell = item * len(names) + level
    cells, unit = np.unique(cell, return_inverse=True)
    m, count = int(item.max()) + 1 if len(item) else 0, len(names)
    if not m or len(cells) != m * count:
        lacking = [str(np.unique(items)[i]) for i in range(m) if np.sum(cells // count == i) < count]
        raise InputError(f"items {', '.join(lacking[:5])} lack some of the {count} levels" if m else "no rows",
                         allowed="every item holds every level", do="complete the items or leave them out")
    size = math.factorial(count) ** m
    same = _reversals(names) if symmetries is None else int(symmetries)
    line = f"the {count} labels move inside each of {m} items"
    return _scheme("within", unit, cells % count, cells // count, size, same / size, same / size, line,
                   f"({count}!)^{m}")


def joint_scheme(items) -> Scheme:
    """Whole items move jointly, rows and columns of the RDM together (graded item-level models): m!.

    Parameters
    ----------
    items : array_like (n_rows,)
        Item of each row.

    Returns
    -------
    Scheme
        kind "joint".

    Raises
    ------
    InputError
        No row.
    """
    unit, m = _units(items)
    size = math.factorial(m)
    return _scheme("joint", unit, np.zeros(0, int), np.zeros(m, int), size, 1 / size, 1 / size,
                   f"{m} items move jointly", f"{m}!")


def residual_scheme(cells, items) -> Scheme:
    """Freedman-Lane residuals of cells move within their item: the product of n_i!; approximate.

    Parameters
    ----------
    cells : array_like (n_rows,)
        Cell of each row.
    items : array_like (n_rows,)
        Item of each row; one item per cell.

    Returns
    -------
    Scheme
        kind "residuals", `approximate` True.

    Raises
    ------
    InputError
        A cell in two items, or no item with two cells.
    """
    unit, n_units = _units(cells)
    stratum = _per_unit(unit, np.unique(np.asarray(items), return_inverse=True)[1], n_units, "item")
    size = math.prod(math.factorial(count) for count in Counter(stratum.tolist()).values())
    if size < 2:
        raise InputError("no item holds two cells, so no residual can move", do="use a design with matched items")
    return _scheme("residuals", unit, np.zeros(0, int), stratum, size, 1 / size, min(1.0, 2 / size),
                   f"approximate: residuals of {n_units} cells move within their items (Freedman-Lane)", "prod n_i!",
                   approximate=True)


def _two_valued(kind: str, line: str, items, strata) -> Scheme:
    unit, m = _units(items)
    stratum = np.zeros(m, int) if strata is None else _per_unit(unit, np.unique(strata, return_inverse=True)[1], m,
                                                                "stratum")
    size = 2**m
    return _scheme(kind, unit, np.zeros(0, int), stratum, size, 1 / size, 2 / size, line.format(m=m), f"2^{m}")


def _labelled(kind: str, line: str, units, labels, strata) -> Scheme:
    unit, n_units = _units(units)
    label = _per_unit(unit, np.asarray(labels).astype(np.int64), n_units, "label")
    code = np.zeros(len(unit), int) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    stratum = _per_unit(unit, code, n_units, "stratum")
    if len(np.unique(label)) < 2:
        raise InputError(f"all {n_units} units carry one label", allowed="two labels")
    counts = [tuple(int(np.sum(label[stratum == s] == v)) for v in np.unique(label)) for s in np.unique(stratum)]
    size = math.prod(math.factorial(sum(c)) // math.prod(map(math.factorial, c)) for c in counts)
    # a renaming of the labels that keeps every stratum's group sizes gives the same two-sided statistic
    same = math.prod(math.factorial(n) for n in Counter(zip(*counts)).values())
    line = line.format(n=n_units) + (f" within {len(counts)} strata" if len(counts) > 1 else "")
    formula = " x ".join(f"C({sum(c)}, {c[-1]})"
                         for c in counts) if len(counts) < 4 and len(counts[0]) == 2 else "product"
    return _scheme(kind, unit, label, stratum, size, 1 / size, min(1.0, same / size), line, formula)


def _scheme(kind, unit, label, stratum, size, one, two, line, formula, approximate=False) -> Scheme:
    shown = str(size) if size < 10**9 else f"{float(size):.3g}" if size < 10**300 else "more than 1e300"
    smallest = f"{one:.3g} one-sided, {two:.3g} two-sided" if two else "below 1e-300"
    text = f"{line}: |G| = {formula} = {shown}, smallest p {smallest}"
    return Scheme(kind, unit.astype(np.int64), label.astype(np.int64), stratum.astype(np.int64),
                  int(unit.max()) + 1, size, float(one), float(two), text, approximate)


def _units(names) -> tuple[np.ndarray, int]:
    unit = np.unique(np.asarray(names), return_inverse=True)[1].reshape(-1)
    if not len(unit):
        raise InputError("the design has no rows", do="check the contrast's conditions")
    return unit, int(unit.max()) + 1


def _per_unit(unit, values, n_units: int, what: str) -> np.ndarray:
    values = np.asarray(values).astype(np.int64)
    out = np.zeros(n_units, np.int64)
    out[unit] = values
    if len(values) != len(unit) or (out[unit] != values).any():
        raise InputError(f"one unit (cell or item) has more than one {what}", do=f"give every unit one {what}")
    return out


def _reversals(names: np.ndarray) -> int:
    if not np.issubdtype(names.dtype, np.number) or len(names) < 2:
        return 1
    gaps = np.diff(names.astype(float))
    return 2 if np.allclose(gaps, gaps[::-1]) else 1
