"""Partial RSA: the fit of a model beside nuisance RDMs, and the only permutation of it that keeps its level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import Inference, cell_table, check_tail, permutation_inference
from cogneuro_sae.rsa.cell_distances import CellDistances, cell_distances, orthonormal
from cogneuro_sae.rsa.labelled_models import cell_model
from cogneuro_sae.rsa.nuisance import CellNuisances, nuisances_of_cells
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.residuals import MOVES, Moved, moved_residuals

FLOOR = 1e-12


def partial_rsa(given, design, *, model="categorical", nuisance, labels=None, sets=None, metric: str = "sqeuclidean",
                permutations: int = 0, seed: int = 0, tail: str = "positive", alpha: float = 0.05) -> FeatureMap:
    """Partial correlation of each data RDM with a model RDM given nuisance RDMs, over cross-item pairs of cells.

    value = correlation of what least squares on the nuisance RDMs (and a constant) leaves of both. With permutations, p
    comes from Freedman and Lane (1983) at the level of stimuli: the cell means are fitted on the covariates that the
    nuisance RDMs are made of, their residuals move within the design's exchange group, the fit is added back, and RDM
    and partial correlation are computed anew. Permuting labels or residual RDMs rejects true nulls too often. Where
    this cannot be done (a nuisance defined on pairs only, such as lexical overlap; given RDMs; a two-part contrast)
    the map has no p and `info["p"]` says why.

    Parameters
    ----------
    given : ndarray (n_stimuli, n_features), rsatoolbox.rdm.RDMs or PairSimilarities
        Pooled values; RDMs as `rdm_map` takes them; or the profile correlations of `pair_similarities` (1 - r).
    design : Design
        Rows, labels, items, cells and scheme.
    model : str, callable, ndarray or RDMs
        Model RDM, as `rsa_map` takes it.
    nuisance : Nuisances or mapping of str to Nuisance, ndarray or RDMs
        From `nuisance_rdms`, or your own.
    labels : array_like, optional
        Labels of a named model; default the design's two classes.
    sets : sequence of array_like of int, optional
        Feature sets, with pooled values; default every feature by itself.
    metric : str
        A name of DISTANCES, between cell means; a single feature needs "sqeuclidean".
    permutations : int
        0: values only.
    seed : int
        Seed of sampled labellings.
    tail : str
        "positive" | "negative" | "two-sided".
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.

    Returns
    -------
    FeatureMap
        Named rsa_partial, in [-1, 1]; NaN for RDMs that do not vary beside the nuisance.

    Raises
    ------
    InputError
        A model that the nuisances explain fully, unknown names, data that do not fit the design, a design too small.
    """
    check_tail(tail)
    table = cell_table(design)
    pairs = cross_item_pairs(np.arange(len(table.item)), table.item)
    data = cell_distances(given, design, pairs, sets=sets, metric=metric)
    target = cell_model(model, labels, design, table, len(table.index))[pairs.cell_first, pairs.cell_second]
    beside = nuisances_of_cells(nuisance, design, pairs)
    fit = _Partial.of(target, beside.pairs)
    value, missing = np.full(data.n_features, np.nan), 0
    for start, stop in data.blocks():
        D = data.block(data.means, start, stop)
        value[start:stop], missing = fit(D), missing + int(np.isnan(D).sum())
    info = {"score": "partial", "contrast": getattr(design, "expression", ""), "pairs": "cross-item", "tail": tail,
            "nuisance": ", ".join(beside.names), "metric": metric if data.means is not None else "given",
            "missing_pairs": missing}
    reasons = {"no variation beside the nuisance": int(np.isnan(value).sum())} if np.isnan(value).any() else {}
    more = {}
    if permutations:
        refused = no_p(data, beside, design)
        info["p"] = refused or "Freedman-Lane on cell means, approximate"
        if not refused:
            moved = moved_residuals(data.means, beside.columns, design, permutations=permutations, seed=seed,
                                    tail=tail, alpha=alpha)
            found = _tested(data, fit, moved, tail, alpha)
            more = {"pvalue": found.pvalue, "p_fwe": found.p_fwe, "q": found.q}
            reasons |= {text: count for text, count in found.reasons.items() if text.startswith("not tested")}
            info |= {**found.info, "scheme": moved.description, "seed": moved.seed}
    return FeatureMap(value, "rsa_partial", direction=_direction(data, table.y), info=info, reasons=reasons, **more)


def _direction(data: CellDistances, y: np.ndarray) -> np.ndarray | None:
    if data.means is None or len(np.unique(y)) < 2:
        return None
    means = data.set_means()
    return np.sign(means[y == 1].mean(axis=0) - means[y == 0].mean(axis=0)).astype(np.int8)


class _Partial(NamedTuple):
    """Partial correlation with a model: an orthonormal basis of the nuisance, and what it leaves of the model."""

    basis: np.ndarray
    left: np.ndarray

    @classmethod
    def of(cls, model: np.ndarray, nuisance: np.ndarray) -> _Partial:
        basis = orthonormal(np.column_stack([np.ones(len(model)), nuisance]))
        left = model - basis @ (basis.T @ model)
        if (left**2).sum() <= 1e-10 * max(((model - model.mean()) ** 2).sum(), 1e-300):
            raise InputError("the model RDM is a combination of the nuisance RDMs over the cross-item pairs",
                             do="drop the nuisance that carries the model")
        return cls(basis, left / np.linalg.norm(left))

    def __call__(self, D: np.ndarray) -> np.ndarray:
        """Partial correlations (n_features,) of dissimilarities (n_features, n_pairs), NaN = missing pair."""
        out = np.full(len(D), np.nan)
        gaps = ~np.isfinite(D).all(axis=1)
        if (~gaps).any():
            full = D[~gaps] if gaps.any() else D
            whole = np.einsum("fp,fp->f", full, full)
            # what the model shares with the nuisance is gone from `left`, so the data need no residuals of their own
            size = whole - ((full @ self.basis) ** 2).sum(axis=1)
            varies = size > FLOOR * np.maximum(whole, 1e-300)
            out[~gaps] = np.where(varies, full @ self.left / np.sqrt(np.where(varies, size, 1)), np.nan)
        for row in np.flatnonzero(gaps):
            kept = np.isfinite(D[row])
            if kept.sum() > self.basis.shape[1] + 1:
                try:
                    out[row] = _Partial.of(self.left[kept], self.basis[kept])(D[row:row + 1, kept])[0]
                except InputError:
                    continue
        return out


def no_p(data: CellDistances, beside: CellNuisances, design) -> str:
    """Return why a partial fit can have no p, "" when it can.

    Parameters
    ----------
    data : CellDistances
        The data.
    beside : CellNuisances
        The nuisances.
    design : Design
        Its scheme.

    Returns
    -------
    str
    """
    if data.means is None:
        return "none: given RDMs have no stimulus values whose residuals could move"
    if beside.lacking:
        return f"none: {', '.join(beside.lacking)} is defined on pairs of stimuli, not on stimuli"
    return "" if design.scheme.kind in MOVES else f"none: a {design.scheme.kind} scheme moves no residuals"


def _tested(data: CellDistances, fit: _Partial, moved: Moved, tail: str, alpha: float) -> Inference:
    def statistics(start: int, stop: int) -> np.ndarray:
        out = np.empty((len(moved.orders), stop - start))
        for number in range(len(moved.orders)):
            means = moved.means(number)
            for low in range(start, stop, data.at_once):
                high = min(low + data.at_once, stop)
                out[number, low - start:high - start] = fit(data.block(means, low, high))
        return out

    return permutation_inference(statistics, enumerated=moved.seed is None, n_features=data.n_features,
                                 n_labellings=len(moved.orders), tail=tail, alpha=alpha)
