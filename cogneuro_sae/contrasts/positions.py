"""Position-by-feature maps: one statistic per token position and feature, tested over all positions and features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cogneuro_sae.contrasts.statistics import CONTRASTS, sign_t
from cogneuro_sae.contrasts.token_positions import TokenPositions, token_positions
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import (CellTable, cell_labels, cell_table, check_tail, labellings, permutation_inference,
                                    require_resolvable)

KINDS = ("swap", "sign", "labels", "free")


@dataclass(frozen=True, eq=False)
class PositionMap:
    """One value per token position and feature; NaN where too few items have the position.

    Parameters
    ----------
    value : ndarray (n_positions, n_features) float64
        The score, signed, in its own unit.
    positions : ndarray (n_positions,) int64
        Tokens from the first one of the window (`center(d)`: from the middle token, -d to d).
    features : ndarray (n_features,) int64
        Which features.
    n_valid : ndarray (n_positions, 2) int64
        Items in A and in B that have the position.
    name : str
        Name of the score.
    pvalue, p_fwe, q : ndarray (n_positions, n_features) float64, optional
        Permutation p, family-wise p over all positions x features, Benjamini-Hochberg q.
    site : str
        Site of the features.
    reasons : dict of str to int
        Why cells of the map have no value or were not tested -> how many.
    info : dict
        JSON-able record: scheme, window, permutations, seed, family, tail ...
    center : float
        The score's value when there is no effect.
    """

    value: np.ndarray
    positions: np.ndarray
    features: np.ndarray
    n_valid: np.ndarray
    name: str
    pvalue: np.ndarray | None = None
    p_fwe: np.ndarray | None = None
    q: np.ndarray | None = None
    site: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    info: dict = field(default_factory=dict)
    center: float = 0.0

    def to_frame(self) -> pd.DataFrame:
        """Return one row per position and feature.

        Returns
        -------
        pandas.DataFrame
            `position, feature, n_a, n_b, value`, then `pvalue, p_fwe, q` where the map has them.
        """
        F = len(self.features)
        columns = {"position": np.repeat(self.positions, F), "feature": np.tile(self.features, len(self.positions)),
                   "n_a": np.repeat(self.n_valid[:, 0], F), "n_b": np.repeat(self.n_valid[:, 1], F),
                   "value": self.value.ravel()}
        columns |= {name: getattr(self, name).ravel() for name in ("pvalue", "p_fwe", "q")
                    if getattr(self, name) is not None}
        return pd.DataFrame(columns)

    def _repr_html_(self) -> str:
        strongest = (self.to_frame().assign(size=lambda t: (t["value"] - self.center).abs()).nlargest(10, "size")
                     .drop(columns="size"))
        return (f"<b>{self.name}</b>: {len(self.positions)} positions x {len(self.features)} features"
                + strongest.to_html(index=False, float_format=lambda v: f"{v:.3g}"))


def position_map(responses, design, *, through=None, window: str = "all", score: str | None = None,
                 features: Sequence[int] | None = None, transform: str = "log1p", min_items: int = 5,
                 permutations: int = 0, seed: int = 0, tail: str = "two-sided", alpha: float = 0.05) -> PositionMap:
    """Map a two-class statistic over token positions and features.

    At each position only the stimuli that have it count: paraphrases are averaged to cells over those, and in a matched
    design an item counts when all its cells have the position. A labelling moves cells together with the positions they
    lack, the same way at all positions, and where it leaves fewer than `min_items` on a side the statistic is missing.
    p_fwe is that of the maximum over all positions x features asked for.

    Parameters
    ----------
    responses : Responses
        Token activations, one stimulus per row of the table or of the design.
    design : Design
        Rows, labels, weights, items, cells and scheme.
    through : object, optional
        SAE or other transform.
    window : str
        `all`, `first(n)`, `center(d)` or `span`; positions count from the window's first token, in `center(d)` from the
        middle one.
    score : str, optional
        A name of CONTRASTS; default paired_t in matched designs, else welch_t.
    features : sequence of int, optional
        Default all.
    transform : str
        `log1p` or `none`, as in `Responses.pool`.
    min_items : int
        A position needs this many items in A and in B, at least 2.
    permutations : int
        0: values only.
    seed : int
        Seed of sampled labellings.
    tail : str
        "two-sided" | "positive" | "negative".
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.

    Returns
    -------
    PositionMap

    Raises
    ------
    InputError
        Unknown names, pooled responses, a feature that is not there, or a scheme other than swaps, signs or labels.
    """
    check_tail(tail)
    score = score or ("paired_t" if design.scheme.kind in ("swap", "sign") else "welch_t")
    _check(design, score, min_items)
    source = token_positions(responses, design, through=through, window=window, features=features, transform=transform)
    table, scheme = cell_table(design), design.scheme
    drawn = None
    if permutations:
        require_resolvable(scheme, alpha, tail)
        drawn = labellings(scheme, permutations, seed=seed)
    job = _Job(source, design, table, score, min_items, None if drawn is None else drawn.values)
    P, F = len(source.positions), len(source.features)
    value = np.concatenate([job.position(p, observed=True) for p in range(P)]) + CONTRASTS[score].center
    n_valid = np.array([job.counts(p) for p in range(P)])
    short = n_valid.min(axis=1) < min_items
    reasons = {f"position with fewer than {min_items} items in A or B": int(short.sum()) * F,
               "constant over the cells": int(np.isnan(value[~short]).sum())}
    info = {"scheme": scheme.description, "contrast": getattr(design, "expression", ""), "score": score, "tail": tail,
            "window": window, "min_items": min_items, "transform": transform}
    more = {}
    if drawn is not None:
        found = permutation_inference(job, enumerated=drawn.enumerated, n_features=P * F,
                                      n_labellings=len(drawn.values), tail=tail, alpha=alpha)
        more = {name: getattr(found, name).reshape(P, F) for name in ("pvalue", "p_fwe", "q")}
        info |= {**found.info, "seed": drawn.seed}
        reasons |= {text: n for text, n in found.reasons.items() if text.startswith("not tested")}
    return PositionMap(value, source.positions, source.features, n_valid, score, site=responses.site, info=info,
                       center=CONTRASTS[score].center, reasons={text: n for text, n in reasons.items() if n}, **more)


def _check(design, score: str, min_items: int) -> None:
    if score not in CONTRASTS:
        raise unknown_name("contrast score", score, CONTRASTS)
    if design.scheme.kind not in KINDS:
        raise InputError(f"position_map does not take a {design.scheme.kind} scheme ({design.scheme.description})",
                         allowed=", ".join(KINDS), do="compare one condition with one, or map pooled values")
    if CONTRASTS[score].paired and design.scheme.kind not in ("swap", "sign"):
        raise InputError(f"{score} needs matched items", allowed="a contrast inside items", do="use welch_t")
    if design.scheme.kind == "sign" and not CONTRASTS[score].paired:
        raise InputError(f"{score} on a contrast of several conditions", allowed="paired_t")
    if min_items < 2:
        raise InputError(f"min_items is {min_items}", allowed="2 or more")


class _Job:
    """Statistics of a flat range of positions x features under all labellings; cells of one position at a time."""

    def __init__(self, source: TokenPositions, design, table: CellTable, score: str, min_items: int, values: np.ndarray | None):
        self.source, self.table, self.spec, self.min_items = source, table, CONTRASTS[score], min_items
        self.matched, self.values = design.scheme.kind in ("swap", "sign"), values
        self.labels = table.y[None].astype(np.int8)
        if values is not None and not self.spec.paired:
            self.labels = cell_labels(design.scheme, values, table)
        self.held, self.cells = None, None

    def __call__(self, start: int, stop: int) -> np.ndarray:
        F, parts = len(self.source.features), []
        while start < stop:
            position, low = divmod(start, F)
            high = min(F, low + stop - start)
            parts.append(self.position(position, low, high))
            start += high - low
        return np.concatenate(parts, axis=1)

    def position(self, number: int, low: int = 0, high: int | None = None, *, observed: bool = False) -> np.ndarray:
        """Statistics of one position, `(n_labellings, high - low)` with the score's center taken off."""
        if self.held != number:
            self.held, self.cells = number, self._cells(number)
        present = self._present(number)
        cells = self.cells[:, low:high][present]
        if self.spec.paired:
            return self._signs(cells, present, observed)
        labels = (self.labels[:1] if observed else self.labels)[:, present]
        ones = labels.sum(axis=1, dtype=np.int64)
        enough = np.minimum(ones, labels.shape[1] - ones) >= self.min_items
        out = np.full((len(labels), cells.shape[1]), np.nan)
        if enough.any():
            out[enough] = self.spec.kernel(cells, labels[enough], self.table.item[present]) - self.spec.center
        return out

    def counts(self, number: int) -> tuple[int, int]:
        """Items in A and in B that have a position."""
        present, table = self._present(number), self.table
        return tuple(len(np.unique(table.item[present & (table.y == side)])) for side in (1, 0))

    def _signs(self, cells: np.ndarray, present: np.ndarray, observed: bool) -> np.ndarray:
        item, weight = self.table.item, self.table.weight
        totals = np.zeros((2, item.max() + 1))
        np.add.at(totals, ((weight > 0).astype(int), item), np.abs(weight))
        c = np.zeros((item.max() + 1, cells.shape[1]))
        share = (weight / totals[(weight > 0).astype(int), item])[present]
        np.add.at(c, item[present], share[:, None] * cells)
        kept = np.unique(item[present])
        n = 1 if observed or self.values is None else len(self.values)
        if len(kept) < self.min_items:
            return np.full((n, cells.shape[1]), np.nan)
        return sign_t(c[kept], None if observed or self.values is None else self.values[:, kept])

    def _present(self, number: int) -> np.ndarray:
        """Cells that count at a position: with a paraphrase that has it, and in matched designs with all of the item's."""
        source, table = self.source, self.table
        present = np.bincount(table.index[source.at(number)[1]], minlength=len(table.item)) > 0
        if self.matched:
            lacking = np.bincount(table.item[~present], minlength=table.item.max() + 1) > 0
            present &= ~lacking[table.item]
        return present

    def _cells(self, number: int) -> np.ndarray:
        """Cell means at one position, `(n_cells, n_features)`; 0 where a cell lacks it (never read)."""
        tokens, rows = self.source.at(number)
        values, cell = self.source.values(tokens), self.table.index[rows]
        if self.spec.firing and values.min(initial=0.0) < 0:
            raise InputError("a score that counts values above zero is refused on signed units",
                             allowed="non-negative features", do="use mean_difference or welch_t")
        sums = np.zeros((len(self.table.item), values.shape[1]))
        np.add.at(sums, cell, values > 0 if self.spec.firing else values)
        return sums / np.maximum(np.bincount(cell, minlength=len(sums)), 1)[:, None]
