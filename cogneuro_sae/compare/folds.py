"""Folds: repeated stratified group k-fold by item, inner folds in every training set; one set for all cells."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cogneuro_sae.errors import InputError


class Inner(NamedTuple):
    """One inner fold.

    Parameters
    ----------
    train, test : ndarray (n,) int64
        Design rows; together the outer training rows.
    """

    train: np.ndarray
    test: np.ndarray


class Split(NamedTuple):
    """One outer fold.

    Parameters
    ----------
    repeat, fold : int
        From 0.
    train, test : ndarray (n,) int64
        Design rows; no item is in both.
    inner : tuple of Inner
        Folds of `train`, for k and C.
    """

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    inner: tuple[Inner, ...]


def seed_of(seed: int, *names: object) -> int:
    """Return a seed for a named part of a run, independent of what else the run holds.

    Parameters
    ----------
    seed : int
        The run's seed.
    *names
        What the draw is for: concept, cell, fold ...

    Returns
    -------
    int
        0 to 2^32 - 1.
    """
    words = np.frombuffer(hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()[:16], np.uint32)
    return int(np.random.SeedSequence([seed, *words.tolist()]).generate_state(1)[0])


def make_folds(y: np.ndarray, groups: np.ndarray, *, splits: int, repeats: int, inner: int, seed: int,
               where: str = "folds") -> tuple[Split, ...]:
    """Draw the folds of one concept.

    Parameters
    ----------
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Item of each row.
    splits, repeats, inner : int
        Outer folds, how often they are drawn, inner folds.
    seed : int
        Of the draw.
    where : str
        For messages.

    Returns
    -------
    tuple of Split
        repeats x splits of them.

    Raises
    ------
    InputError
        Fewer than 2 x splits items, or a fold without both classes.
    """
    items = len(np.unique(groups))
    if items < 2 * splits:
        raise InputError(f"{items} items are too few for {splits} folds", where=where,
                         allowed=f"{2 * splits} items or more",
                         do=f"write more items, or set folds.splits to {items // 2}"
                         if items >= 4 else "write more items")
    found = []
    for repeat in range(repeats):
        outer = _fold(y, groups, np.arange(len(y)), splits, seed_of(seed, "outer", repeat), where)
        for fold, (train, test) in enumerate(outer):
            parts = _fold(y, groups, train, inner, seed_of(seed, "inner", repeat, fold), f"{where}, inner")
            found.append(Split(repeat, fold, train, test, tuple(Inner(*part) for part in parts)))
    return tuple(found)


def _fold(y, groups, rows, splits, seed, where) -> list[tuple[np.ndarray, np.ndarray]]:
    sides = [len(np.unique(groups[rows][y[rows] == label])) for label in (0, 1)]
    if min(sides) < splits:
        raise InputError(f"{min(sides)} items with one of the two labels are too few for {splits} folds", where=where,
                         do="write more items or ask for fewer folds")
    folder = StratifiedGroupKFold(splits, shuffle=True, random_state=seed)
    found = [(rows[train], rows[test]) for train, test in folder.split(rows, y[rows], groups[rows])]
    for train, test in found:
        for part in (train, test):
            if len(np.unique(y[part])) < 2:
                raise InputError("a fold has only one of the two classes, so nothing can be measured on it",
                                 where=where,
                                 do="write more items of the rarer class or ask for fewer folds")
    return found
