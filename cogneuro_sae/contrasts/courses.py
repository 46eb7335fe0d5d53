"""Time-courses: the mean of selected features at every token position and condition, with an interval over items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cogneuro_sae.contrasts.token_positions import token_positions
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import group_means

DIFFERENCE = "difference"


def time_courses(responses, design, features: Sequence[int], *, through=None, window: str = "all",
                 transform: str = "log1p", level: float = 0.95) -> pd.DataFrame:
    """Average features over items at every position and condition of a design.

    Paraphrases that have the position are averaged to cells, cells to items; the interval is mean +- t sd/sqrt(m) over
    the m items that have the position, NaN for one item. In a matched design rows of the condition `difference` follow:
    each item's A mean minus its B mean, over items that hold both at this position. Intervals of single positions are
    not corrected for their number.

    Parameters
    ----------
    responses : Responses
        Token activations, one stimulus per row of the table or of the design.
    design : Design
        Rows, labels, items, cells, conditions and scheme.
    features : sequence of int
        Which features.
    through : object, optional
        SAE or other transform.
    window : str
        `all`, `first(n)`, `center(d)` or `span`; positions as in `position_map`.
    transform : str
        `log1p` or `none`.
    level : float
        Coverage of the interval.

    Returns
    -------
    pandas.DataFrame
        `feature, condition, position, mean, ci_low, ci_high, n_items`, in the unit that `transform` gives.

    Raises
    ------
    InputError
        Unknown window or transform, pooled responses, a feature that is not there, or a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"level is {level}", allowed="between 0 and 1")
    source = token_positions(responses, design, through=through, window=window, features=features, transform=transform)
    conditions, item = np.asarray(design.conditions), np.asarray(design.groups)
    matched, parts = design.scheme.kind in ("swap", "sign"), []
    for number, position in enumerate(source.positions):
        tokens, rows = source.at(number)
        values = source.values(tokens)
        keys = [(name, conditions[rows] == name) for name in dict.fromkeys(conditions)]
        means = {name: _item_means(values[here], item[rows][here], np.asarray(design.cells)[rows][here])
                 for name, here in keys}
        if matched:
            sides = [_item_means(values[side], item[rows][side], np.asarray(design.cells)[rows][side])
                     for side in (np.asarray(design.y)[rows] == 1, np.asarray(design.y)[rows] == 0)]
            means[DIFFERENCE] = _difference(*sides)
        parts += [_interval(found[1], source.features, name, position, level) for name, found in means.items()]
    table = pd.concat(parts, ignore_index=True)
    order = {name: place for place, name in enumerate([*dict.fromkeys(conditions), DIFFERENCE])}
    return table.sort_values(["feature", "condition", "position"], ignore_index=True,
                             key=lambda c: c.map(order) if c.name == "condition" else c)


def _item_means(values: np.ndarray, item: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items and their means over cells, `(n_items,)` and `(n_items, n_features)`."""
    if not len(values):
        return item[:0], np.zeros((0, values.shape[1]))
    _, first, index = np.unique(cell, return_index=True, return_inverse=True)
    items, place = np.unique(item[first], return_inverse=True)
    return items, group_means(group_means(values, index), place)


def _difference(one, other) -> tuple[np.ndarray, np.ndarray]:
    items, a, b = np.intersect1d(one[0], other[0], return_indices=True)
    return items, one[1][a] - other[1][b]


def _interval(values: np.ndarray, features: np.ndarray, condition: str, position: int, level: float) -> pd.DataFrame:
    m, F = values.shape
    mean = values.mean(axis=0) if m else np.full(F, np.nan)
    half = np.full(F, np.nan)
    if m > 1:
        half = stats.t.ppf((1 + level) / 2, m - 1) * values.std(axis=0, ddof=1) / np.sqrt(m)
    return pd.DataFrame({"feature": features, "condition": condition, "position": position, "mean": mean,
                         "ci_low": mean - half, "ci_high": mean + half, "n_items": m})
