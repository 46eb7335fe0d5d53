"""From a contrast to rows, labels, weights and the exchange scheme that the stimulus table allows (docs/methods.md)."""

from __future__ import annotations

import html
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import (Scheme, free_scheme, item_scheme, label_scheme, sign_scheme, swap_scheme,
                                    two_part_scheme)
from cogneuro_sae.stimuli.layout import Layout
from cogneuro_sae.stimuli.schema import FAR

EXACT = "one within-item, between-item or far comparison, or target - (near + far)/2"


@dataclass(frozen=True, eq=False)
class Design:
    """The rows of one contrast.

    Parameters
    ----------
    rows : ndarray (n,) int64
        Positions in the set's table; rows of weight 0 and items kept for confirmation are left out.
    y : ndarray (n,) int64
        1 where the condition's weight is positive, else 0.
    weights : ndarray (n,) float64
        Weight of each row's condition.
    groups : ndarray (n,) str
        Item of each row: the cross-validation group.
    cells : ndarray (n,) int64
        Item x condition of each row, numbered from 0; paraphrases share a cell.
    conditions : ndarray (n,) str
        Condition of each row.
    strata : ndarray (n,) int64
        Exchange stratum of each row.
    matched : bool
        Every item holds both sides of the contrast.
    contrast, expression : str
        Name and expression.
    layout : Layout
        The set's conditions.
    independent : bool
        Every text is declared its own item.
    scheme : Scheme
        What is exchanged under the null; derived from the above.
    """

    rows: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    cells: np.ndarray
    conditions: np.ndarray
    strata: np.ndarray
    matched: bool
    contrast: str
    expression: str
    layout: Layout
    independent: bool = False
    scheme: Scheme = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "scheme", exchange_scheme(self))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, mask: np.ndarray) -> Design:
        """Return the design of some of its rows, with cells numbered anew and the scheme derived anew.

        Parameters
        ----------
        mask : ndarray (n,) bool, or (k,) int
            Which rows; whole items.

        Raises
        ------
        InputError
            What is left has no exchange scheme: one side only, or items torn apart.
        """
        keep = np.arange(len(self))[np.asarray(mask)]
        parts = (self.rows, self.y, self.weights, self.groups, self.cells, self.conditions, self.strata)
        rows, y, weights, groups, cells, conditions, strata = (part[keep] for part in parts)
        cells = np.unique(cells, return_inverse=True)[1].astype(np.int64)
        return Design(rows, y, weights, groups, cells, conditions, strata, _matched(groups, y), self.contrast,
                      self.expression, self.layout, self.independent)

    def _repr_html_(self) -> str:
        sides = ", ".join(f"{name} {weight:+g}" for name, weight in dict(zip(self.conditions, self.weights)).items())
        text = (f"{self.contrast}: {self.expression} ({sides}); {len(self)} texts, {len(set(self.groups))} items, "
                f"{len(set(self.cells))} cells. {self.scheme.description}")
        return f"<div>{html.escape(text)}</div>"


def make_design(stimuli, contrast: str | None, *, unlocked: bool = False) -> Design:
    """Return the design of a contrast.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    contrast : str or None
        A name of its contrasts, or an expression; None: the first contrast.
    unlocked : bool
        Take the items kept for confirmation in.

    Raises
    ------
    InputError
        Unknown name, an expression that does not fit, fewer than two cells on a side, or no exact exchange scheme.
    """
    name, expression = _named(stimuli, contrast)
    where = f"{stimuli.name}: contrast {name}"
    weight = stimuli.layout.weights(expression, where=where)
    table = stimuli.table
    weights = table["condition"].map(weight).fillna(0.0).to_numpy(float)
    rows = np.flatnonzero((weights != 0) & (unlocked | (table["split"] != "confirm").to_numpy())).astype(np.int64)
    chosen = table.iloc[rows]
    groups, conditions = chosen["item"].to_numpy(str), chosen["condition"].to_numpy(str)
    cells = _codes(list(zip(groups, conditions)))
    strata = _codes(list(map(tuple, chosen[list(stimuli.strata)].to_numpy(object))))
    y = (weights[rows] > 0).astype(np.int64)
    for side, sign in ((1, "positive"), (0, "negative")):
        count = len(set(cells[y == side]))
        if count < 2:
            raise InputError(f"the {sign} side has {count} cell{'s' * (count != 1)} (item x condition)", where=where,
                             allowed="at least 2 on each side", do="add items, or keep fewer for confirmation")
    try:
        return Design(rows, y, weights[rows], groups, cells, conditions, strata, _matched(groups, y), name, expression,
                      stimuli.layout, stimuli.independent)
    except InputError as error:
        error.where = error.where or where
        raise


def exchange_scheme(design: Design) -> Scheme:
    """Return the scheme under which the labels of a design are exchangeable.

    Parameters
    ----------
    design : Design
        Rows and labels; its own `scheme` is not read.

    Raises
    ------
    InputError
        No scheme of docs/methods.md is exact for this contrast.
    """
    if design.independent:
        if design.strata.max(initial=0) == 0:
            return free_scheme(design.y)
        return label_scheme(np.arange(len(design)), design.y, strata=design.strata)
    mixed = _mixed(design.groups, design.y)
    if mixed.all():
        return _matched_scheme(design, mixed)
    if not mixed.any():
        return _unmatched_scheme(design, np.ones(len(design), bool))
    sides = set(design.y[~mixed].tolist())
    if len(sides) > 1 or design.layout.factors or set(design.conditions[~mixed]) != {FAR}:
        raise InputError(f"no exact exchange scheme for {design.expression!r}: some items hold both sides, others one",
                         allowed=EXACT, do="split the contrast, or complete the items")
    other = ~mixed | (design.y != sides.pop())
    return two_part_scheme(_matched_scheme(design, mixed, part=True), _unmatched_scheme(design, other),
                           rows_a=mixed, rows_b=other, n_rows=len(design))


def _matched_scheme(design: Design, mask: np.ndarray, *, part: bool = False) -> Scheme:
    """Scheme of items that hold both sides: labels swap, contrasts change sign, or interactions move items' labels.

    As a part of a contrast the items' own weights need not cancel: each side then counts as its weighted mean.
    """
    patterns = _patterns(design, mask)
    if part:
        patterns = {item: _cancelled(pattern) for item, pattern in patterns.items()}
    reference = next(iter(patterns.values()))
    none, factors = f"no exact exchange scheme for {design.expression!r}", {}
    for item, pattern in patterns.items():
        if pattern.keys() != reference.keys() or abs(sum(pattern.values())) > 1e-9:
            raise InputError(f"{none}: the conditions of item {str(item)!r} do not cancel as those of others do",
                             allowed=EXACT, do="compare the same levels in all items")
        ratios = {key: pattern[key] / reference[key] for key in reference}
        factors[item] = next(iter(ratios.values()))
        if max(abs(ratio - factors[item]) for ratio in ratios.values()) > 1e-9:
            raise InputError(f"{none}: items weigh their conditions differently", allowed=EXACT)
    items = design.groups[mask]
    labels = np.array([factors[item] > 0 for item in items], np.int64)
    if labels.min() != labels.max():
        return item_scheme(items, labels, strata=design.strata[mask])
    if len(reference) == 2:
        return swap_scheme(items, strata=design.strata[mask])
    return sign_scheme(items)


def _unmatched_scheme(design: Design, mask: np.ndarray) -> Scheme:
    """Scheme of items that hold one side each: labels move over cells, or over whole items where these hold several."""
    items, cells, y, strata = (part[mask] for part in (design.groups, design.cells, design.y, design.strata))
    if design.layout.factors or len(set(cells)) > len(set(items)):
        return item_scheme(items, y, strata=strata)
    return label_scheme(cells, y, strata=strata)


def _patterns(design: Design, mask: np.ndarray) -> dict[str, dict]:
    """Weights of each item's conditions, keyed by what remains of a condition without its between levels."""
    found: dict[str, dict] = defaultdict(dict)
    for item, condition, weight in zip(design.groups[mask], design.conditions[mask], design.weights[mask]):
        levels = zip(design.layout.factors, design.layout.levels(condition))
        key = tuple(level for name, level in levels if name not in design.layout.between) or condition
        found[item][key] = weight
    return found


def _cancelled(pattern: dict) -> dict:
    total = {sign: sum(weight for weight in pattern.values() if (weight > 0) == sign) for sign in (True, False)}
    return {key: weight / abs(total[weight > 0]) for key, weight in pattern.items()}


def _mixed(groups: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows whose item holds both sides, (n,) bool."""
    both = set(groups[y == 1]) & set(groups[y == 0])
    return np.array([group in both for group in groups], bool)


def _matched(groups: np.ndarray, y: np.ndarray) -> bool:
    return bool(len(groups)) and bool(_mixed(groups, y).all())


def _codes(keys: list) -> np.ndarray:
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def _named(stimuli, contrast: str | None) -> tuple[str, str]:
    if contrast is None:
        return next(iter(stimuli.contrasts.items()))
    if contrast in stimuli.contrasts:
        return contrast, stimuli.contrasts[contrast]
    if any(sign in contrast for sign in "+-*/( )"):
        return contrast, contrast
    raise unknown_name("contrast", contrast, stimuli.contrasts, where=stimuli.name)
