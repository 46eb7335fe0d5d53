"""Exchange schemes: which relabellings are equally likely when the concept makes no difference (docs/methods.md).

A scheme names the units that move (items, cells, rows), counts its group exactly and knows the smallest p it can give.
Every permutation p tests exchangeability under its scheme, not equality of means alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name

TAILS = ("two-sided", "positive", "negative")


@dataclass(frozen=True, eq=False)
class Scheme:
    """What moves under the null, and how finely it can tell.

    Parameters
    ----------
    kind : str
        "swap" | "sign" | "labels" | "items" | "within" | "joint" | "residuals" | "two_part" | "free".
    unit : ndarray (n_rows,) int64
        Unit of each design row: the item (swap, sign, items, joint), the cell (labels, within, residuals), the row
        (free). All -1 for "two_part".
    unit_label : ndarray (n_units,) int64
        Observed label of each unit (labels, items, within, free), else empty.
    unit_stratum : ndarray (n_units,) int64
        Labels move within a stratum only; for within and residuals the stratum is the item.
    n_units : int
        How many units there are.
    size : int
        |G|, exact; for "two_part" the smaller part's.
    min_p_one, min_p_two : float
        Smallest possible one- and two-sided p.
    description : str
        One printable line with |G| and the smallest p.
    approximate : bool
        The permutation is not exact (Freedman-Lane residuals, incomplete items).
    parts : tuple of Scheme
        The two parts of a "two_part" scheme, else empty.
    part_rows : tuple of ndarray (n_part_rows,) int64
        Positions of each part's rows among the design's rows.
    """

    kind: str
    unit: np.ndarray
    unit_label: np.ndarray
    unit_stratum: np.ndarray
    n_units: int
    size: int
    min_p_one: float
    min_p_two: float
    description: str
    approximate: bool = False
    parts: tuple[Scheme, ...] = ()
    part_rows: tuple[np.ndarray, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.description

    def min_p(self, tail: str = "two-sided") -> float:
        """Return the smallest p this scheme can give.

        Parameters
        ----------
        tail : str
            "two-sided" | "positive" | "negative".

        Returns
        -------
        float
            Smallest possible p of one feature with every labelling enumerated.

        Raises
        ------
        InputError
            Unknown tail.
        """
        check_tail(tail)
        return self.min_p_two if tail == "two-sided" else self.min_p_one


def check_tail(tail: str) -> str:
    """Return `tail` when it is one of the three, else raise.

    Parameters
    ----------
    tail : str
        "two-sided" | "positive" | "negative".

    Returns
    -------
    str
        The tail given.

    Raises
    ------
    InputError
        Unknown tail.
    """
    if tail not in TAILS:
        raise unknown_name("tail", tail, TAILS)
    return tail


def two_part_scheme(part_a: Scheme, part_b: Scheme, *, rows_a, rows_b, n_rows: int) -> Scheme:
    """Two tests that must both hold, such as target - (near + far)/2: p is the larger of the two one-sided p.

    Parameters
    ----------
    part_a, part_b : Scheme
        Scheme of each part over its own rows only (target and near; target and far).
    rows_a, rows_b : array_like of int or bool
        Positions (or mask) of each part's rows among the design's rows.
    n_rows : int
        Rows of the design.

    Returns
    -------
    Scheme
        kind "two_part", with `parts` and `part_rows`.

    Raises
    ------
    InputError
        A part's rows do not fit its scheme.
    """
    rows = tuple(np.flatnonzero(r) if np.asarray(r).dtype == bool else np.asarray(r, np.int64)
                 for r in (rows_a, rows_b))
    for part, positions in zip((part_a, part_b), rows):
        if len(part.unit) != len(positions) or (len(positions) and positions.max() >= n_rows):
            raise InputError(f"a part has {len(positions)} rows, its scheme {len(part.unit)}")
    floor = max(part_a.min_p_one, part_b.min_p_one)
    line = f"both parts tested one-sided, p = the larger ({part_a.description}; {part_b.description})"
    return Scheme("two_part", np.full(n_rows, -1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), 0,
                  min(part_a.size, part_b.size), floor, floor, line, part_a.approximate or part_b.approximate,
                  (part_a, part_b), rows)


def require_resolvable(scheme: Scheme, alpha: float = 0.05, tail: str = "two-sided", *,
                       where: str | None = None) -> None:
    """Refuse a design whose smallest possible p exceeds alpha.

    Parameters
    ----------
    scheme : Scheme
        The design's exchange scheme.
    alpha : float
        Level of the test.
    tail : str
        "two-sided" | "positive" | "negative".
    where : str, optional
        File, contrast or set to name in the message.

    Raises
    ------
    InputError
        The smallest p is above alpha: no outcome could be significant.
    """
    floor = scheme.min_p(tail)
    if floor > alpha:
        raise InputError(f"no outcome could be significant: the smallest possible {tail} p is {floor:.3g} "
                         f"({scheme.description})", where=where, allowed=f"a smallest p <= {alpha:g}",
                         do="add items (matched two-sided designs need 6), or run without permutations")
