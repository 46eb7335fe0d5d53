"""GLM contrasts by expression through nilearn, over cell means, with item dummies where items are matched."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cogneuro_sae.contrasts.freedman_lane import freedman_lane_t
from cogneuro_sae.contrasts.statistics import sign_t
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import (group_means, labellings, permutation_inference, require_resolvable, residual_scheme,
                                    sign_scheme)
from cogneuro_sae.stimuli.expressions import parse_expression

OUTPUTS = {"t": "stat", "z": "z_score", "effect": "effect_size"}


def glm_contrast_map(X: np.ndarray, regressors: pd.DataFrame, expression: str, *, items: np.ndarray | None = None,
                     cells: np.ndarray | None = None, covariates: pd.DataFrame | None = None, output: str = "t",
                     permutations: int = 0, seed: int = 0, tail: str = "two-sided", alpha: float = 0.05,
                     site: str = "") -> FeatureMap:
    """Fit a GLM to the cell means of every feature and map one contrast (nilearn.glm, ordinary least squares).

    Columns: the regressors, item dummies when an item holds several cells (else a constant where the regressors lack
    one), and the covariates. The permutation p of a contrast inside complete items flips the sign of each item's c_i
    (one-sample t over c_i); with covariates, incomplete items or unmatched cells it is Freedman-Lane on the contrast,
    printed "approximate". No parametric p is given.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values.
    regressors : DataFrame (n_stimuli, n_regressors)
        One numeric column per name of the expression, such as a 0/1 column per condition.
    expression : str
        Such as `(negative_work - positive_work) - (negative_health - positive_health)`.
    items : ndarray (n_stimuli,), optional
        Item of each stimulus.
    cells : ndarray (n_stimuli,), optional
        Cell of each stimulus; default each its own.
    covariates : DataFrame (n_stimuli, n_covariates), optional
        Nuisance columns, averaged over cells.
    output : str
        "t" | "z" | "effect".
    permutations : int
        0: values only.
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
        t or z (or the contrast's effect in units of X); direction = sign of the effect.

    Raises
    ------
    InputError
        Shapes, names, a contrast that the design cannot estimate, or too few cells.
    """
    from nilearn.glm import compute_contrast
    from nilearn.glm.first_level import run_glm

    if output not in OUTPUTS:
        raise unknown_name("GLM output", output, OUTPUTS)
    Y, frame, item, n_tested = _cell_design(X, regressors, items, cells, covariates)
    weights = parse_expression(expression, list(regressors.columns))
    contrast = np.array([weights.get(name, 0.0) for name in frame.columns])
    matrix = frame.to_numpy()
    rank = _estimable(matrix, contrast, expression)
    shape, kept = matrix.shape, _independent(matrix)
    matrix, contrast, n_tested = matrix[:, kept], contrast[kept], int(np.sum(kept < n_tested))
    still = ~(np.ptp(Y, axis=0) > 1e-12 * np.abs(Y).max(axis=0))
    labels, results = run_glm(Y, matrix, noise_model="ols")
    found = compute_contrast(labels, results, contrast, stat_type="t")
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(still, np.nan, np.ravel(getattr(found, OUTPUTS[output])()))
    info = {"contrast": expression, "score": f"glm_{output}", "tail": tail,
            "design": f"{shape[0]} cells, {shape[1]} columns, rank {rank}"}
    more, reasons = {}, {"constant over the cells": int(still.sum())} if still.any() else {}
    if permutations:
        inferred, extra = _permute(Y, matrix, contrast, item, n_tested, covariates is None, permutations, seed, tail,
                                   alpha)
        more = {"pvalue": inferred.pvalue, "p_fwe": inferred.p_fwe, "q": inferred.q}
        info |= {**inferred.info, **extra}
        reasons = inferred.reasons
    return FeatureMap(value, f"glm_{output}", site=site, info=info, reasons=reasons,
                      direction=np.sign(np.where(still, 0, np.ravel(found.effect_size()))).astype(np.int8), **more)


def _cell_design(X, regressors, items, cells, covariates):
    X = np.asarray(X)
    for name, given in (("regressors", regressors), ("items", items), ("cells", cells), ("covariates", covariates)):
        if given is not None and len(given) != len(X):
            raise InputError(f"{name} has {len(given)} rows, X {len(X)}", where="glm_contrast_map")
    index = np.arange(len(X)) if cells is None else np.unique(np.asarray(cells), return_inverse=True)[1]
    first = np.unique(index, return_index=True)[1]
    values = regressors.to_numpy(float)
    if not np.array_equal(values[first][index], values):
        raise InputError("a cell holds rows with different regressors", where="glm_contrast_map",
                         do="give paraphrases of one cell the same regressors")
    frame = pd.DataFrame(values[first], columns=[str(name) for name in regressors.columns])
    n_tested = frame.shape[1]
    item = np.arange(len(first)) if items is None else np.unique(np.asarray(items), return_inverse=True)[1][first]
    if len(np.unique(item)) < len(item):
        frame = pd.concat([frame, pd.get_dummies(item, dtype=float).add_prefix("item ")], axis=1)
    elif np.linalg.matrix_rank(np.c_[frame, np.ones(len(frame))]) > np.linalg.matrix_rank(frame.to_numpy()):
        frame["constant"] = 1.0
    if covariates is not None:
        averaged = group_means(covariates.to_numpy(float), index)
        frame = pd.concat([frame, pd.DataFrame(averaged, columns=[f"covariate {c}" for c in covariates.columns])],
                          axis=1)
    return group_means(X, index), frame, item, n_tested


def _estimable(matrix: np.ndarray, contrast: np.ndarray, expression: str) -> int:
    """Rank of the design; a contrast outside its row space has no unique estimate."""
    rank = int(np.linalg.matrix_rank(matrix))
    projected = np.linalg.pinv(matrix) @ (matrix @ contrast)
    if not np.allclose(projected, contrast, atol=1e-8):
        raise InputError(f"the contrast {expression!r} cannot be estimated: the design has rank {rank} for "
                         f"{matrix.shape[1]} columns and the contrast is not a combination of its rows",
                         allowed="with item dummies, weights that sum to 0 inside items",
                         do="drop a redundant regressor or covariate, or contrast conditions that share items")
    if rank >= len(matrix):
        raise InputError(f"{len(matrix)} cells and rank {rank} leave no residual degree of freedom", do="add items")
    return rank


def _independent(matrix: np.ndarray) -> np.ndarray:
    """Columns that are no combination of earlier ones: nilearn counts columns for its degrees of freedom."""
    kept: list[int] = []
    for column in range(matrix.shape[1]):
        if np.linalg.matrix_rank(matrix[:, [*kept, column]]) > len(kept):
            kept.append(column)
    return np.array(kept)


def _permute(Y, matrix, contrast, item, n_tested, plain, permutations, seed, tail, alpha):
    """Signs of c_i where every item is complete and nothing is adjusted for, else Freedman-Lane."""
    weight = matrix[:, :n_tested] @ contrast[:n_tested]
    c = np.zeros((item.max() + 1, Y.shape[1]))
    np.add.at(c, item, weight[:, None] * Y)
    balance, patterns = np.zeros(item.max() + 1), [tuple(map(tuple, np.sort(matrix[item == i, :n_tested], axis=0)))
                                                   for i in range(item.max() + 1)]
    np.add.at(balance, item, weight)
    alike = np.allclose(balance, 0) and len(set(patterns)) == 1
    if plain and alike and _disjoint(matrix[:, :n_tested]) and len(item) > item.max() + 1:
        scheme, note = sign_scheme(item), "p from sign flips of the item contrasts c_i (one-sample t)"
        drawn = labellings(scheme, permutations, seed=seed)
        kernel = lambda a, b: sign_t(c[:, a:b], drawn.values)  # noqa: E731
    else:
        strata = item if len(item) > item.max() + 1 else np.zeros(len(item), int)
        scheme, note = residual_scheme(np.arange(len(item)), strata), "p from the Freedman-Lane t; approximate"
        drawn = labellings(scheme, permutations, seed=seed)
        effect, nuisance = _partition(matrix, contrast)
        kernel = lambda a, b: freedman_lane_t(Y[:, a:b], effect, nuisance, drawn.values)  # noqa: E731
    require_resolvable(scheme, alpha, tail)
    found = permutation_inference(kernel, enumerated=drawn.enumerated, n_features=Y.shape[1],
                                  n_labellings=len(drawn.values), tail=tail, alpha=alpha)
    return found, {"scheme": scheme.description, "statistic": note, "seed": drawn.seed}


def _disjoint(regressors: np.ndarray) -> bool:
    """One 0/1 column per condition: then the contrast's weights are the cells' weights in c_i."""
    return bool(np.isin(regressors, (0.0, 1.0)).all() and (regressors.sum(axis=1) <= 1).all())


def _partition(matrix: np.ndarray, contrast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One effect column whose coefficient is the contrast, and nuisance columns that complete the design's span.

    The nuisance model is every fit with a contrast of 0: the design times the null space of the contrast.
    """
    other = np.linalg.svd(contrast[None])[2][1:].T
    # columns that stand alone stay first and unmixed, so that item dummies keep their form
    alone = np.flatnonzero(contrast == 0)
    nuisance = np.c_[matrix[:, alone], matrix @ other]
    return matrix @ contrast / (contrast @ contrast), nuisance
