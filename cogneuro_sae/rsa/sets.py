"""rsa_set: the k features whose joint RDM fits a model RDM best, its fit on held-out items and its null."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import (cell_table, design_rows, group_means, labellings, permutation_inference,
                                    require_resolvable)
from cogneuro_sae.rsa.labelled_models import cell_model, model_labellings
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.set_kernels import SET_FITS
from cogneuro_sae.rsa.set_search import SetSearch

CHOICES = {"method": SET_FITS, "weights": ("nonnegative", "free"), "direction": ("any", "positive"),
           "stop": ("gain", "inner")}


class RsaSet(NamedTuple):
    """A set of features chosen by the fit of their joint RDM.

    Parameters
    ----------
    features : ndarray (size,) int64
        In the order they were chosen, on all items.
    weights : ndarray (size,) float64
        Of (x_i - x_j)^2 in the joint RDM, values as given; 0 for a feature that the later ones replaced.
    direction : ndarray (size,) int8
        sign(mean_A - mean_B) over cells: an RDM does not say on which side a feature fires.
    path : ndarray (size,) float64
        Fit after each step on the items that chose the set; always too good.
    held_out : float
        Correlation of joint and model RDM over cross-item pairs of held-out cells, mean over folds; the set and its
        weights come from the other items. The number to report.
    held_out_by_size : ndarray (k,) float64
        The same after each step. Choosing the best size from it is a selection of its own.
    fold_sets : tuple of ndarray (<= k,) int64
        Set of each fold.
    overlap : float
        Mean Jaccard overlap of the fold sets; folds share most items, so it is no retest (see `retest`).
    pvalue : float
        Permutation p of `held_out`, everything redone under every labelling; NaN without permutations.
    pvalue_path : float
        Permutation p of the fit on all items at the last step, selection redone under every labelling.
    reasons : dict of str to int
        Why features could not be chosen -> how many.
    info : dict
        Method, scheme, folds, permutations, smallest p, Monte Carlo error.
    """

    features: np.ndarray
    weights: np.ndarray
    direction: np.ndarray
    path: np.ndarray
    held_out: float
    held_out_by_size: np.ndarray
    fold_sets: tuple
    overlap: float
    pvalue: float
    pvalue_path: float
    reasons: dict
    info: dict


def rsa_set(X: np.ndarray, design, model="categorical", *, labels=None, k: int = 8, method: str = "cosine_cov",
            weights: str = "nonnegative", direction: str = "any", stop: str = "gain", min_gain: float = 0.001,
            among=None, folds: int = 3, permutations: int = 0, seed: int = 0, alpha: float = 0.05) -> RsaSet:
    """Choose k features whose weighted joint RDM fits a model RDM, by matching pursuit over cell means.

    The joint RDM is sum_f w_f (x_fi - x_fj)^2. Each step adds the feature with the largest inner product with what is
    left of the model, and fits all weights again; it stops at k, when no feature helps, or when the fit rises by less
    than `min_gain`; of these sizes `stop="inner"` keeps the one that fits best on inner folds. No RDM is made: inner
    products are closed forms (docs/methods.md), O(k n F) in all. The fit to report is the one on held-out items,
    where set, size and weights come from the other items. Its p repeats the whole procedure, folds included, under
    every labelling of the design's scheme.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, labels, items, cells and scheme.
    model : str, callable, ndarray, DataFrame or RDMs
        Model RDM, as `rsa_map` takes it.
    labels : array_like, optional
        Labels of a named model; default the design's two classes.
    k : int
        Largest set.
    method : str
        What the pursuit maximises: "cosine_cov" or "corr_cov" (whitened, all pairs of cells) or "corr" (cross-item
        pairs).
    weights : str
        "nonnegative" (the joint RDM is a squared distance) | "free".
    direction : str
        "any" | "positive" (only features whose mean is larger in A than in B on the items that choose the set, as
        search and steering need).
    stop : str
        "gain" (k and min_gain) | "inner" (then the size with the best mean fit on inner folds of the items that choose
        the set; `folds` times slower).
    min_gain : float
        Smallest rise of the fit that is worth a feature.
    among : array_like of bool (n_features,) or of int, optional
        Candidates, such as the latents that fire on a corpus; they must not depend on the labels.
    folds : int
        Folds over items, those of each label pattern dealt out by themselves.
    permutations : int
        Labellings; 0: no p.
    seed : int
        Seed of folds and labellings.
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.

    Returns
    -------
    RsaSet

    Raises
    ------
    InputError
        Unknown names, k or folds too small, fewer than two items of a kind per fold, no usable feature, a model that
        does not vary, a scheme that cannot permute the model.
    """
    _check(k, folds, {"method": method, "weights": weights, "direction": direction, "stop": stop})
    X = np.asarray(X)
    table = cell_table(design)
    M = cell_model(model, labels, design, table, len(X))
    cells = group_means(X[design_rows(len(X), design)], table.index)
    if direction == "positive" and len(np.unique(table.y)) < 2:
        raise InputError("the design has one side, so no feature is larger in A than in B", allowed='direction="any"')
    drawn = None
    if permutations:
        # the two-sided floor: most models stay as they are when all labels swap
        require_resolvable(design.scheme, alpha, "two-sided")
        drawn = labellings(design.scheme, permutations, seed=seed)
    pairs = cross_item_pairs(np.arange(len(cells)), table.item)
    if np.ptp(M[pairs.cell_first, pairs.cell_second]) < 1e-12 * max(1.0, np.abs(M).max()):
        raise InputError("the model RDM does not vary over the cross-item pairs",
                         do="give a model that distinguishes some stimuli")
    models = model_labellings(M, design.scheme, None if drawn is None else drawn.values, table, pairs)
    usable = _candidates(among, cells.shape[1])
    search = SetSearch(cells, table.item, table.y, models, usable, k, method, weights == "nonnegative", min_gain,
                       folds, stop == "inner", direction == "positive", seed)
    observed = _observed(search)
    pvalues, info = (np.nan, np.nan), {"scheme": design.scheme.description}
    if drawn is not None:
        found = permutation_inference(search.fits(), enumerated=drawn.enumerated, tail="positive", alpha=alpha)
        pvalues = found.pvalue
        info |= {key: found.info[key] for key in ("permutations", "enumerated", "min_p", "mc_error")}
    info |= {"method": method, "weights": weights, "direction": direction, "stop": stop, "k": k, "min_gain": min_gain,
             "folds": folds, "seed": seed, "items": len(np.unique(table.item)), "candidates": int(usable.sum())}
    return RsaSet(*observed[:-1], float(pvalues[0]), float(pvalues[1]), observed[-1], info)


def _check(k, folds, chosen: dict) -> None:
    for what, value in chosen.items():
        if value not in CHOICES[what]:
            raise unknown_name(what, value, CHOICES[what])
    if k < 1 or folds < 2:
        raise InputError(f"k is {k}, folds {folds}", allowed="k of 1 or more, 2 folds or more")


def _candidates(among, n_features: int) -> np.ndarray:
    if among is None:
        return np.ones(n_features, bool)
    among = np.asarray(among)
    if among.dtype == bool and among.shape != (n_features,):
        raise InputError(f"among has shape {among.shape}", allowed=f"({n_features},) bool, or indices")
    usable = np.zeros(n_features, bool)
    usable[among] = True
    return usable


def _observed(search: SetSearch) -> tuple:
    """The fields of RsaSet that need no permutation."""
    models, y = search.models.matrices(slice(0, 1)), search.labels(slice(0, 1))
    path, kernel = search.path(models, y, np.ones(len(search.cells), bool))
    size = int(path.size[0])
    if not size:
        raise InputError("no feature's RDM goes with the model" if np.isfinite(kernel.norm).any()
                         else "no feature varies over the cells",
                         do="check the model RDM, the values and the candidates")
    features = path.chosen[0, :size]
    curve, paths = search.held_out(models, y)
    sets = tuple(each.chosen[0, :each.size[0]] for each in paths)
    overlaps = [len(np.intersect1d(a, b)) / max(1, len(np.union1d(a, b))) for i, a in enumerate(sets) for b in sets[:i]]
    reasons = {"missing values": int((search.usable & ~np.isfinite(search.cells).all(axis=0)).sum()),
               "not a candidate": int((~search.usable).sum())}
    reasons["silent or constant"] = int(np.isnan(kernel.norm).sum()) - sum(reasons.values())
    reasons["no held-out fit: the set does not vary over the pairs of a fold"] = int(np.isnan(curve[0, -1]))
    return (features, path.weights[0, size - 1, :size], _direction(search, features), path.fit[0, :size],
            float(curve[0, -1]), curve[0], sets, float(np.mean(overlaps)),
            {text: count for text, count in reasons.items() if count})


def _direction(search: SetSearch, features: np.ndarray) -> np.ndarray:
    if len(np.unique(search.y)) < 2:
        return np.zeros(len(features), np.int8)
    sides = [search.cells[search.y == side][:, features].mean(axis=0) for side in (1, 0)]
    return np.sign(sides[0] - sides[1]).astype(np.int8)
