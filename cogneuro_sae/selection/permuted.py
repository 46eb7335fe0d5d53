"""Permutation inference for any score: the same function under every labelling of the exchange scheme."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import (Scheme, cell_labels, cell_table, free_scheme, label_scheme, labellings,
                                    permutation_inference, require_resolvable, swap_scheme)
from cogneuro_sae.selection.arrays import cell_codes
from cogneuro_sae.selection.ranking import flips, score_function
from cogneuro_sae.selection.scores import needs_of
from cogneuro_sae.selection.sources import Sources


def scheme_of(y: np.ndarray, groups: np.ndarray, cells: np.ndarray) -> Scheme:
    """Return the exchange scheme of labelled rows that come without a design.

    Parameters
    ----------
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    cells : ndarray (n_rows,) int
        Cells.

    Returns
    -------
    Scheme
        Swaps when every item holds both labels, free labels when every row is its own item, else labels over cells.

    Raises
    ------
    InputError
        Some items hold both labels and others one: no exact scheme.
    """
    both = [len(np.unique(y[groups == item])) == 2 for item in np.unique(groups)]
    if all(both):
        return swap_scheme(groups)
    if any(both):
        raise InputError("some items hold both labels and others only one, so no exact exchange scheme exists",
                         do="select among the matched items, or use a threshold on the score itself")
    return free_scheme(y) if len(both) == len(y) else label_scheme(cells, y)


def permuted_map(score: str | Callable, X: np.ndarray, y: np.ndarray, groups: np.ndarray, *, sources: Sources
                 | None = None,
                 scheme: Scheme | None = None, permutations: int = 1000, seed: int = 0, tail: str = "positive",
                 alpha: float = 0.05, signed: bool = False, **params) -> FeatureMap:
    """Score features and test every one by relabelling, p and family-wise p as docs/methods.md.

    Parameters
    ----------
    score : str or callable
        A name of SCORES, or a function of the same signature.
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources, optional
        What the score may use beside X.
    scheme : Scheme, optional
        The design's; default: what `scheme_of` derives.
    permutations : int
        Most labellings to enumerate, or how many to sample.
    seed : int
        Of sampled labellings.
    tail : str
        "positive" | "negative" | "two-sided".
    alpha : float
        Designs whose smallest p exceeds it are refused.
    signed : bool
        Features enter as `rank_features` takes signed units: sign-flipped where their class difference is negative,
        found anew under every labelling, so that p tests the statistic that is ranked.
    **params
        Options of the score.

    Returns
    -------
    FeatureMap
        The score's map with pvalue, p_fwe and q.

    Raises
    ------
    InputError
        A label-free score (nothing to permute), a scheme that does not move two labels, or a design too small.
    """
    function, sources = score_function(score), Sources() if sources is None else sources
    name = score if isinstance(score, str) else getattr(score, "__name__", "score")
    if not getattr(function, "labels", True):
        raise InputError(f"the score {name!r} does not look at labels, so no permutation can test it",
                         do="use a score that compares the two classes")
    sources.require(needs_of(function, params), score=name)
    cells = cell_codes(y, groups, sources.cells)
    scheme = scheme_of(y, groups, cells) if scheme is None else scheme
    # a labelling and its mirror image give the same flipped difference, as in a two-sided test
    require_resolvable(scheme, alpha, "two-sided" if signed else tail)
    drawn = labellings(scheme, permutations, seed=seed)
    table = cell_table(SimpleNamespace(cells=cells, groups=groups, y=y, weights=np.where(np.asarray(y) == 1, 1.0,
            -1.0)))
    labels = cell_labels(scheme, drawn.values, table)[:, table.index].astype(np.int64)

    def scored(row):
        turned = X * flips(X, row, groups, sources.cells) if signed else X
        return function(turned, row, groups=groups, sources=sources, **params)

    observed = scored(y)
    null = np.empty((len(labels), X.shape[1]), np.float64)
    for place, row in enumerate(labels):
        null[place] = scored(row).value - observed.center
    found = permutation_inference(null, enumerated=drawn.enumerated, tail=tail, alpha=alpha)
    info = {**found.info, "scheme": scheme.description, "seed": drawn.seed, "score": name, "tail": tail}
    if signed:
        info["signed"] = "features with a negative class difference enter flipped, anew under every labelling"
    return FeatureMap(observed.value, observed.name, direction=observed.direction, n_valid=observed.n_valid,
                      pvalue=found.pvalue, p_fwe=found.p_fwe, q=found.q, reasons=observed.reasons | found.reasons,
                      info=info, center=observed.center)
