"""Matching pursuit of a model RDM over the RDMs of single features, for many labellings at once (docs/methods.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from cogneuro_sae.rsa.set_kernels import SetKernel

NOTHING = 1e-9
RIDGE = 1e-13


class Path(NamedTuple):
    """Sets of growing size, one path per model.

    Parameters
    ----------
    chosen : ndarray (n_models, k) int64
        Features in the order they were chosen; -1 after the stop.
    weights : ndarray (n_models, k, k) float64
        Weights after each step (axis 1) of the features chosen so far (axis 2), on values as given; repeated after the
        stop.
    fit : ndarray (n_models, k) float64
        Cosine of joint RDM and model in the kernel's space after each step; repeated after the stop, NaN without a set.
    size : ndarray (n_models,) int64
        Features chosen.
    """

    chosen: np.ndarray
    weights: np.ndarray
    fit: np.ndarray
    size: np.ndarray


def pursue(kernel: SetKernel, models: np.ndarray, k: int, *, positive: bool = True, min_gain: float = 0.0,
           allowed: np.ndarray | None = None) -> Path:
    """Choose up to k features per model by orthogonal matching pursuit: all weights are fitted again at every step.

    Each step takes the feature whose RDM has the largest inner product with what the set leaves of the model. It stops
    when none is left with a positive one (free weights: other than 0), or when the best would raise the fit by less
    than `min_gain`.

    Parameters
    ----------
    kernel : SetKernel
        The features over some cells.
    models : ndarray (n_models, n_cells, n_cells)
        Model RDMs over those cells.
    k : int
        Largest set.
    positive : bool
        Weights >= 0 (the joint RDM is then a squared distance), else any.
    min_gain : float
        Smallest gain of fit that is worth a feature.
    allowed : ndarray (n_models, n_features) bool, optional
        Features that each path may take; default all.

    Returns
    -------
    Path
    """
    target, size = kernel.targets(models)
    n, F = target.shape
    k = min(k, F)
    chosen, weights = np.full((n, k), -1), np.zeros((n, k, k))
    fit, taken = np.full((n, k), np.nan), np.zeros(n, np.int64)
    crosses, grams, sides = np.zeros((k, n, F)), np.zeros((n, k, k)), np.zeros((n, k))
    rest, going = target.copy(), size > 0
    every = np.arange(n)
    for step in range(k):
        pick, going = _best(rest, chosen[:, :step], size, going, positive, allowed)
        if not going.any():
            break
        crosses[step] = kernel.cross(pick)
        sides[:, step] = target[every, pick]
        for other in range(step + 1):
            partner = pick if other == step else np.maximum(chosen[:, other], 0)
            grams[:, step, other] = grams[:, other, step] = crosses[step][every, partner]
        found, gained = _fitted(grams[:, :step + 1, :step + 1], sides[:, :step + 1], size, going, positive)
        before = fit[:, step - 1] if step else np.zeros(n)
        going &= gained - before >= min_gain
        chosen[going, step], taken[going] = pick[going], step + 1
        weights[:, step] = weights[:, step - 1] if step else 0.0
        weights[going, step, :step + 1] = found[going]
        fit[:, step] = np.where(going, gained, before if step else np.nan)
        rest = target - np.einsum("ns,snf->nf", weights[:, step, :step + 1], crosses[:step + 1])
    else:
        step = k
    for late in range(max(step, 1), k):
        weights[:, late], fit[:, late] = weights[:, late - 1], fit[:, late - 1]
    norm = np.where(chosen >= 0, kernel.norm[np.maximum(chosen, 0)], 1.0)
    return Path(chosen, weights / norm[:, None, :], fit, taken)


def _best(rest, chosen, size, going, positive, allowed) -> tuple[np.ndarray, np.ndarray]:
    score = rest.copy() if positive else np.abs(rest)
    if allowed is not None:
        score[~allowed] = -np.inf
    rows, steps = np.nonzero(chosen >= 0)
    score[rows, chosen[rows, steps]] = -np.inf
    pick = score.argmax(axis=1)
    return pick, going & (score[np.arange(len(score)), pick] > NOTHING * size)


def _fitted(grams, sides, size, going, positive) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares weights of the chosen RDMs and the cosine of their sum with the model."""
    n, s = sides.shape
    weights, fit = np.zeros((n, s)), np.full(n, np.nan)
    K, b = grams[going], sides[going]
    w = np.linalg.solve(K + RIDGE * np.eye(s), b[:, :, None])[:, :, 0]
    if positive:
        for row in np.flatnonzero((w < 0).any(axis=1)):
            w[row] = _non_negative(K[row], b[row])
    weights[going] = w
    length = np.sqrt(np.maximum(np.einsum("ns,nst,nt->n", w, K, w), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        fit[going] = np.einsum("ns,ns->n", w, b) / (length * size[going])
    return weights, fit


def _non_negative(K: np.ndarray, b: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(K)
    used = values > 1e-12 * values.max()
    root = np.sqrt(values[used])
    return nnls((vectors[:, used] * root).T, (vectors[:, used].T @ b) / root)[0]
