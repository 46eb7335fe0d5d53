"""contrast_map: one univariate value per feature, permuted by what the design's exchange scheme allows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.contrasts.freedman_lane import freedman_lane_t
from cogneuro_sae.contrasts.linear import LINEAR, LinearForm, centred_labels, linear_inference
from cogneuro_sae.contrasts.statistics import CONTRASTS, Contrast, sign_t
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import (CellTable, Inference, Labellings, Scheme, cell_labels, cell_table, check_tail,
                                    design_rows, group_means, labellings, larger_p, permutation_inference,
                                    require_resolvable)

BLOCK = 2**27


class _Prepared(NamedTuple):
    """Unit means, their labels and groups, and how a labelling of the scheme changes the statistic."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    table: CellTable
    means: np.ndarray


def contrast_map(X: np.ndarray, design, *, score: str = "welch_t", permutations: int = 0, seed: int = 0,
                 tail: str = "two-sided", alpha: float = 0.05, site: str = "") -> FeatureMap:
    """Map a two-class statistic over features; paraphrases are averaged to cells first.

    The permutation follows `design.scheme`: within-item swaps or sign flips for matched designs, labels over cells or
    whole items otherwise, so a Welch t on a matched design is tested by swaps of cell means. p tests exchangeability
    under that scheme; no parametric p is given. A two-part contrast (target - (near + far)/2) tests both parts
    one-sided in its direction: value = the smaller standardised part, p and p_fwe the larger.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, one row per stimulus of the table or per row of the design.
    design : Design
        Rows, labels, weights, items, cells and scheme.
    score : str
        A name of CONTRASTS.
    permutations : int
        0: values only. Else the most labellings to enumerate, or how many to sample.
    seed : int
        Seed of sampled labellings.
    tail : str
        "two-sided" | "positive" | "negative".
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.
    site : str
        Recorded in the map.

    Returns
    -------
    FeatureMap
        value in the score's unit, direction = sign(mean_A - mean_B), n_valid = items in A and in B.

    Raises
    ------
    InputError
        Unknown score or tail, signed units under rate_difference, paired_t on unmatched items, a design too small.
    """
    if score not in CONTRASTS:
        raise unknown_name("contrast score", score, CONTRASTS)
    check_tail(tail)
    X = np.asarray(X)
    if X.ndim != 2:
        raise InputError(f"X has shape {X.shape}", where=score, allowed="(n_stimuli, n_features)")
    X = X[design_rows(len(X), design)]
    if design.scheme.kind == "two_part":
        return _two_part(X, design, score, permutations, seed, alpha, site)
    return _one_part(X, design, score, permutations, seed, tail, alpha, site)[0]


def _one_part(X, design, score, permutations, seed, tail, alpha, site="") -> tuple[FeatureMap, np.ndarray | None]:
    """The map of a design with one scheme and, with permutations, the standardised observed scores."""
    spec, scheme = CONTRASTS[score], design.scheme
    data = _prepare(X, design, spec, score)
    value = _statistic(data, spec, scheme, None)(0, data.X.shape[1])[0] + spec.center
    info = {"scheme": scheme.description, "contrast": getattr(design, "expression", ""), "tail": tail, "score": score}
    more, reasons, standardised = {}, {}, None
    if permutations:
        require_resolvable(scheme, alpha, tail)
        drawn = labellings(scheme, permutations, seed=seed)
        found = _inferred(data, score, scheme, drawn, tail, alpha, np.isnan(value))
        more = {"pvalue": found.pvalue, "p_fwe": found.p_fwe, "q": found.q}
        reasons, standardised = dict(found.reasons), found.standardised
        info |= {**found.info, "seed": drawn.seed}
        if scheme.approximate:
            info["statistic"] = "p from the Freedman-Lane t with item dummies as nuisance; approximate"
    described = _described(value, data, reasons)
    return FeatureMap(value, score, site=site, center=spec.center, info=info, **described, **more), standardised


def _inferred(data: _Prepared, score: str, scheme: Scheme, drawn: Labellings, tail: str, alpha: float,
              lost: np.ndarray) -> Inference:
    """Inference from one matrix product where the score allows it, else from the statistic under every labelling."""
    if score in LINEAR and scheme.kind != "residuals":
        values, weights = _linear_form(data, score, scheme, drawn.values)
        if lost.any():
            values = np.where(lost, np.nan, values)
        return linear_inference(LinearForm(values, weights), enumerated=drawn.enumerated, tail=tail, alpha=alpha)
    return permutation_inference(_statistic(data, CONTRASTS[score], scheme, drawn.values), enumerated=drawn.enumerated,
                                 n_features=data.X.shape[1], n_labellings=len(drawn.values), tail=tail, alpha=alpha,
                                 budget=BLOCK)


def _linear_form(data: _Prepared, score: str, scheme: Scheme, values: np.ndarray) -> LinearForm:
    if CONTRASTS[score].paired:
        return LinearForm(_weighted_differences(data), values.astype(np.float64))
    labels = values if scheme.kind == "items" else _swapped_labels(scheme, values, data.table)
    return LinearForm(LINEAR[score](data.X), centred_labels(labels))


def _described(value: np.ndarray, data: _Prepared, reasons: dict) -> dict:
    still = int(np.isnan(value).sum())
    if still and not reasons:
        reasons = {"constant over the cells": still}
    direction = np.sign(data.means[data.table.y == 1].mean(0) - data.means[data.table.y == 0].mean(0)).astype(np.int8)
    items = [len(np.unique(data.table.item[data.table.y == side])) for side in (1, 0)]
    return {"direction": direction, "reasons": reasons, "n_valid": np.tile(items, (len(value), 1)).astype(np.int64)}


def _prepare(X: np.ndarray, design, spec: Contrast, score: str) -> _Prepared:
    if spec.firing and X.size and X.min() < 0:
        raise InputError(f"{score} counts values above zero and is refused on signed units",
                         allowed="non-negative features", do="use mean_difference or welch_t")
    table = cell_table(design)
    means = group_means(X, table.index)
    cells = group_means(X > 0, table.index) if spec.firing else means
    if spec.paired and design.scheme.kind not in ("swap", "sign"):
        raise InputError(f"{score} needs matched items", where=getattr(design, "contrast", None),
                         allowed="a contrast inside items", do="use welch_t")
    if design.scheme.kind != "items":
        return _Prepared(cells, table.y.astype(np.int8), table.item, table, means)
    values, labels = _item_scores(cells, design.scheme, table)
    return _Prepared(values, labels, np.arange(len(labels)), table, means)


def _item_scores(cells: np.ndarray, scheme: Scheme, table: CellTable) -> tuple[np.ndarray, np.ndarray]:
    """One score per item: its mean, or for an interaction its difference, oriented alike in all items."""
    unit = scheme.unit[table.first]
    labels = scheme.unit_label.astype(np.int8)
    signed = np.zeros(scheme.n_units)
    np.add.at(signed, unit, table.weight)
    size = np.zeros(scheme.n_units)
    np.add.at(size, unit, np.abs(table.weight))
    inside = np.abs(signed) < 1e-9 * size
    if inside.any() and not inside.all():
        raise InputError("some items hold both sides of the contrast and others one side only",
                         do="split the contrast, or complete the items")
    # |w| averages an item; for an interaction the items of label 0 carry the difference with the opposite sign
    weight = np.where(labels[unit] == 1, 1.0, -1.0) * table.weight if inside.all() else np.abs(table.weight)
    scores = np.zeros((scheme.n_units, cells.shape[1]))
    np.add.at(scores, unit, (weight * (2.0 if inside.all() else 1.0) / size[unit])[:, None] * cells)
    return scores, labels


def _statistic(data: _Prepared, spec: Contrast, scheme: Scheme, values: np.ndarray | None):
    """The function (start, stop) -> statistics of permutation_inference; values None: observed labels only."""
    observed = values is None
    if scheme.kind == "sign" and spec.paired:
        c = _weighted_differences(data)
        return lambda a, b: sign_t(c[:, a:b], values)
    if observed:
        return lambda a, b: spec.kernel(data.X[:, a:b], data.y[None], data.groups) - spec.center
    if scheme.kind == "residuals":
        orders = _cell_orders(values, scheme, data.table)
        dummies = np.eye(data.table.item.max() + 1)[data.table.item]
        return lambda a, b: freedman_lane_t(data.X[:, a:b], data.table.y, dummies, orders)
    if scheme.kind == "items":
        return lambda a, b: spec.kernel(data.X[:, a:b], values, data.groups) - spec.center
    labels = _swapped_labels(scheme, values, data.table)
    return lambda a, b: spec.kernel(data.X[:, a:b], labels, data.groups) - spec.center


def _swapped_labels(scheme: Scheme, values: np.ndarray, table: CellTable) -> np.ndarray:
    labels = cell_labels(scheme, values, table)
    if (labels.sum(axis=1) != labels[0].sum()).any():
        raise InputError("the items hold unequal numbers of cells on the two sides", where="permutation",
                         do="use paired_t, whose item contrasts change sign")
    return labels


def _weighted_differences(data: _Prepared) -> np.ndarray:
    """c_i = weighted mean of the item's A cells - weighted mean of its B cells (one part's weights need not cancel)."""
    item, weight = data.table.item, data.table.weight
    totals = np.zeros((2, item.max() + 1))
    np.add.at(totals, ((weight > 0).astype(int), item), np.abs(weight))
    c = np.zeros((item.max() + 1, data.X.shape[1]))
    np.add.at(c, item, (weight / totals[(weight > 0).astype(int), item])[:, None] * data.X)
    return c


def _cell_orders(values: np.ndarray, scheme: Scheme, table: CellTable) -> np.ndarray:
    unit = scheme.unit[table.first]
    position = np.empty(scheme.n_units, np.int64)
    position[unit] = np.arange(len(unit))
    return position[values[:, unit]]


def _two_part(X, design, score, permutations, seed, alpha, site) -> FeatureMap:
    scheme, maps, sizes = design.scheme, [], []
    for number, (part, rows) in enumerate(zip(scheme.parts, scheme.part_rows)):
        # a paired score has no meaning for far foils in their own items: their part is tested by the Welch t
        name = "welch_t" if CONTRASTS[score].paired and part.kind not in ("swap", "sign") else score
        found, standardised = _one_part(X[rows], _part_design(design, part, rows), name, permutations, seed + number,
                                        "positive", alpha)
        maps.append(found)
        sizes.append(standardised if permutations else found.value - found.center)
    more, joint = {}, {}
    if permutations:
        more, joint = larger_p([{"pvalue": m.pvalue, "p_fwe": m.p_fwe, "info": m.info} for m in maps], alpha=alpha)
    info = {"scheme": scheme.description, "contrast": getattr(design, "expression", ""), "score": score, **joint,
            "value": "smaller standardised part" if permutations else f"smaller {score} of the two parts",
            "parts": [found.info for found in maps]}
    reasons = {f"part {i + 1}: {text}": n for i, found in enumerate(maps) for text, n in found.reasons.items()}
    direction = np.where(maps[0].direction == maps[1].direction, maps[0].direction, 0).astype(np.int8)
    return FeatureMap(np.minimum(*sizes), score, site=site, info={**info, "tail": "positive"}, reasons=reasons,
                      direction=direction, n_valid=np.minimum(*(found.n_valid for found in maps)), **more)


def _part_design(design, part: Scheme, rows: np.ndarray) -> SimpleNamespace:
    columns = {name: np.asarray(getattr(design, name))[rows] for name in ("y", "weights", "groups", "cells")}
    return SimpleNamespace(rows=np.arange(len(rows)), scheme=part, **columns)
