"""The conditions of a set, whether listed or made of factors, and the names that contrasts may use."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.expressions import parse_expression
from cogneuro_sae.stimuli.schema import COLUMNS, FAR

RESERVED = {*COLUMNS}


@dataclass(frozen=True)
class Layout:
    """Conditions in order, and the factors behind them if there are any.

    Parameters
    ----------
    conditions : tuple of str
        All cells in order; with factors, levels joined by `_` in the order of the factors.
    factors : mapping of str to tuple of str
        Levels by factor; empty for listed conditions.
    between : tuple of str
        Factors of which an item holds one level.
    """

    conditions: tuple[str, ...]
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    between: tuple[str, ...] = ()

    def levels(self, condition: str) -> tuple[str, ...]:
        """Return the level of each factor in a cell.

        Parameters
        ----------
        condition : str
            A cell's name.
        """
        return tuple(condition.split("_")) if self.factors else ()

    def family(self, condition: str) -> tuple:
        """Return what an item of this condition is: its far foil mark and its levels of the between factors.

        Parameters
        ----------
        condition : str
            A cell's name.
        """
        if not self.factors:
            return (condition == FAR,)
        return tuple(level for name, level in zip(self.factors, self.levels(condition)) if name in self.between)

    def siblings(self, condition: str) -> tuple[str, ...]:
        """Return the conditions that an item holding this one must hold.

        Parameters
        ----------
        condition : str
            A cell's name.
        """
        return tuple(other for other in self.conditions if self.family(other) == self.family(condition))

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return every name that a contrast may use, with the conditions it is the mean of."""
        found = {condition: (condition,) for condition in self.conditions}
        for position, levels in enumerate(self.factors.values()):
            for level in levels:
                found[level] = tuple(cell for cell in self.conditions if self.levels(cell)[position] == level)
        return found

    def weights(self, expression: str, *, where: str | None = None) -> dict[str, float]:
        """Return the weight of every condition that a contrast expression uses.

        Parameters
        ----------
        expression : str
            Such as `target - (near + far)/2`; a level is the mean of its cells.
        where : str, optional
            Place of the expression, for messages.

        Raises
        ------
        InputError
            Not an expression over known names, weights that do not sum to 0, or nothing left.
        """
        names = self.names()
        weights = dict.fromkeys(self.conditions, 0.0)
        for name, weight in parse_expression(expression, names, where=where).items():
            for condition in names[name]:
                weights[condition] += weight / len(names[name])
        weights = {name: weight for name, weight in weights.items() if abs(weight) > 1e-12}
        total = sum(weights.values())
        if abs(total) > 1e-9:
            raise InputError(f"the weights of {expression!r} sum to {total:g}", where=where, allowed="a sum of 0",
                             do="make both sides weigh the same, as in target - (near + far)/2")
        if not weights:
            raise InputError(f"all weights of {expression!r} are 0", where=where, do="compare two different conditions")
        return weights


def make_layout(
    conditions: Sequence[str] | None, factors: Mapping[str, Sequence[str]] | None, between: Sequence[str] = ()
) -> Layout:
    """Return the layout of a set.

    Parameters
    ----------
    conditions : sequence of str or None
        Names in order; exactly one of this and `factors`.
    factors : mapping of str to sequence of str, or None
        Levels by factor.
    between : sequence of str
        Factors of which an item holds one level.

    Raises
    ------
    InputError
        Both or neither given, one condition only, a level in two factors, reserved or unknown names.
    """
    if bool(conditions) == bool(factors):
        raise InputError("exactly one of `conditions` and `factors` is needed", do="write one of them")
    if conditions:
        if between:
            raise InputError("`between` goes with `factors`", do="remove it, or declare factors")
        if len(conditions) < 2:
            raise InputError(f"only one condition, {conditions[0]!r}: nothing to contrast it with",
                             do="add a near or far foil")
        _check_reserved(conditions, "condition")
        return Layout(tuple(conditions))
    _check_reserved(factors, "factor")
    levels = [level for each in factors.values() for level in each]
    twice = sorted({level for level in levels if levels.count(level) > 1})
    if twice:
        raise InputError(f"the level {twice[0]!r} stands twice", do="levels are unique over all factors")
    _check_reserved(levels, "level")
    unknown = [name for name in between if name not in factors]
    if unknown:
        raise InputError(f"`between` names {unknown[0]!r}, which is not a factor", allowed=", ".join(factors))
    cells = tuple("_".join(combination) for combination in itertools.product(*factors.values()))
    if len(cells) < 2:
        raise InputError("the factors make one cell only: nothing to contrast", do="give a factor two levels")
    return Layout(cells, {name: tuple(each) for name, each in factors.items()}, tuple(between))


def _check_reserved(names, kind: str) -> None:
    for name in names:
        if name in RESERVED:
            raise InputError(f"{name!r} cannot be a {kind}: it is a column of the table", do="choose another name")


def target_contrasts(conditions: Sequence[str]) -> dict[str, str]:
    """Return the usual contrasts of listed conditions: the target against the others, and against each of several.

    Parameters
    ----------
    conditions : sequence of str
        Names in order, the first is the target. Far foils are left out of `main` where there are others.
    """
    target, *others = conditions
    foils = [name for name in others if name != FAR] or others
    mean = foils[0] if len(foils) == 1 else f"({' + '.join(foils)})/{len(foils)}"
    each = {f"versus_{name}"[:64]: f"{target} - {name}" for name in others if len(others) > 1}
    return {"main": f"{target} - {mean}", **each}


def factor_contrasts(factors: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the usual contrasts of factors: first level against the others, and the interaction of two by two.

    Parameters
    ----------
    factors : mapping of str to sequence of str
        Levels by factor.
    """
    found = {}
    for number, (factor, (first, *others)) in enumerate(factors.items(), 1):
        name = re.sub(r"[^a-z0-9]+", "_", factor.casefold()).strip("_")
        if others:
            found[name if name and name not in found else f"factor{number}"] = (
                f"{first} - {others[0]}" if len(others) == 1 else f"{first} - ({' + '.join(others)})/{len(others)}")
    if [len(levels) for levels in factors.values()] == [2, 2]:
        a, b, c, d = ("_".join(cell) for cell in itertools.product(*factors.values()))
        found["interaction"] = f"({a} - {b}) - ({c} - {d})"
    return found
