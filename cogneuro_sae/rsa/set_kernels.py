"""Inner products of the RDMs of single features with each other and with a model, without an RDM (docs/methods.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.rsa.pooled import centred_model

SET_FITS = ("corr", "cosine_cov", "corr_cov")
FLAT = 1e-12


@dataclass(frozen=True, eq=False)
class SetKernel:
    """Features as RDMs d_ij = (x_i - x_j)^2 of norm 1, in the space of one RDM comparison.

    Parameters
    ----------
    X : ndarray (n_cells, n_features) float64
        Centred values, scaled so that every RDM has norm 1; a feature that cannot be used is 0.
    norm : ndarray (n_features,) float64
        Norm of the RDM of the values as given (their unit squared); NaN for a feature that cannot be used.
    method : str
        "corr" (kept pairs, mean removed) | "cosine_cov" | "corr_cov" (all pairs, whitened).
    keep : ndarray (n_cells, n_cells) bool
        Pairs that "corr" uses.
    """

    X: np.ndarray
    norm: np.ndarray
    method: str
    keep: np.ndarray

    def cross(self, chosen: np.ndarray) -> np.ndarray:
        """Inner products of some features' RDMs with those of all: O(n F) each.

        cosine_cov (x_f'x_g)^2; corr_cov takes off x_f'x_f x_g'x_g / (n - 1); corr is n sum x_f^2 x_g^2 + S_f S_g +
        2 (x_f'x_g)^2 less the masked pairs' products and less the product of the means.

        Parameters
        ----------
        chosen : ndarray (n_chosen,) int64
            Features.

        Returns
        -------
        ndarray (n_chosen, n_features) float64
        """
        return _CROSS[self.method](self, chosen)

    def targets(self, models: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inner products of all features' RDMs with model RDMs: x'Wx from the eigenvectors of W, O(rank n F) each.

        Parameters
        ----------
        models : ndarray (n_models, n_cells, n_cells)
            Model RDMs over the kernel's cells.

        Returns
        -------
        ndarray (n_models, n_features), ndarray (n_models,)
            Inner products, and the norms of the models (0 for one that does not vary).
        """
        out, size = np.empty((len(models), self.X.shape[1])), np.empty(len(models))
        sums = (self.X**2).sum(axis=0)
        for row, model in enumerate(models):
            W, shift, size[row] = _WEIGHTS[self.method](model, self.keep)
            values, vectors = np.linalg.eigh(W)
            used = np.abs(values) > 1e-10 * np.abs(values).max()
            out[row] = values[used] @ (vectors[:, used].T @ self.X) ** 2 - shift * sums
        return out, size


def set_kernel(X: np.ndarray, method: str, keep: np.ndarray, *, usable: np.ndarray | None = None) -> SetKernel:
    """Prepare features for the inner products of their RDMs.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means of pooled values.
    method : str
        "corr" | "cosine_cov" | "corr_cov".
    keep : ndarray (n_cells, n_cells) bool
        Pairs of cells that "corr" uses (those of different items).
    usable : ndarray (n_features,) bool, optional
        Features that may be used; default all. Constant features and features with missing values never are.

    Returns
    -------
    SetKernel

    Raises
    ------
    InputError
        An unknown method.
    """
    if method not in SET_FITS:
        raise unknown_name("RDM comparison", method, SET_FITS)
    x = np.asarray(X, np.float64)
    fine = np.isfinite(x).all(axis=0)
    if usable is not None:
        fine &= usable
    x = np.where(fine, x, 0.0)
    scale = np.abs(x).max(axis=0)
    x = x - x.mean(axis=0)
    fine &= (x**2).sum(axis=0) > FLAT**2 * len(x) * scale**2
    # to unit sum of squares before any fourth power, so that small units cannot underflow
    length = np.where(fine, np.sqrt((x**2).sum(axis=0)), 1.0)
    x = x / length
    raw = SetKernel(x, np.ones(x.shape[1]), method, keep)
    square = _SELF[method](raw)
    fine &= square > FLAT
    norm = np.sqrt(np.where(fine, square, 1.0))
    return SetKernel(np.where(fine, x / np.sqrt(norm), 0.0), np.where(fine, norm * length**2, np.nan), method, keep)


def _masked_pairs(keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero(np.triu(~keep, 1))


def _n_kept(keep: np.ndarray) -> int:
    n = len(keep)
    return n * (n - 1) // 2 - len(_masked_pairs(keep)[0])


def _corr_parts(kernel: SetKernel, columns=slice(None)):
    """Squares, their sums, masked dissimilarities and the sum of the kept ones, of some features."""
    x = kernel.X[:, columns]
    first, second = _masked_pairs(kernel.keep)
    masked, squares = (x[first] - x[second]) ** 2, x**2
    sums = squares.sum(axis=0)
    return x, squares, sums, masked, len(x) * sums - masked.sum(axis=0)


def _corr_cross(kernel: SetKernel, chosen: np.ndarray) -> np.ndarray:
    x, squares, sums, masked, total = _corr_parts(kernel)
    xg, squares_g, sums_g, masked_g, total_g = _corr_parts(kernel, chosen)
    both = len(x) * squares_g.T @ squares + np.outer(sums_g, sums) + 2 * (xg.T @ x) ** 2 - masked_g.T @ masked
    return both - np.outer(total_g, total) / _n_kept(kernel.keep)


def _corr_self(kernel: SetKernel) -> np.ndarray:
    x, squares, sums, masked, total = _corr_parts(kernel)
    return len(x) * (squares**2).sum(axis=0) + 3 * sums**2 - (masked**2).sum(axis=0) - total**2 / _n_kept(kernel.keep)


def _corr_weights(model: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, float, float]:
    off = keep & ~np.eye(len(keep), dtype=bool)
    centred = np.where(off, model - model[off].mean(), 0.0)
    size = np.sqrt((centred**2).sum() / 2)
    return np.diag(centred.sum(axis=1)) - centred, 0.0, _or_zero(size, model)


def _whitened_weights(model: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, float, float]:
    G = centred_model(model)
    return G, 0.0, _or_zero(np.linalg.norm(G), model)


def _centred_weights(model: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, float, float]:
    # x'(G - cH)x = x'Gx - c x'x for centred x: G keeps its rank
    G, n = centred_model(model), len(model)
    shift = np.trace(G) / (n - 1)
    return G, shift, _or_zero(np.linalg.norm(G - shift * (np.eye(n) - 1 / n)), model)


def _or_zero(size: float, model: np.ndarray) -> float:
    return float(size) if size > FLAT * max(1.0, np.abs(model).max()) else 0.0


def _whitened_cross(kernel: SetKernel, chosen: np.ndarray) -> np.ndarray:
    return (kernel.X[:, chosen].T @ kernel.X) ** 2


def _centred_cross(kernel: SetKernel, chosen: np.ndarray) -> np.ndarray:
    sums = (kernel.X**2).sum(axis=0)
    return _whitened_cross(kernel, chosen) - np.outer(sums[chosen], sums) / (len(kernel.X) - 1)


def _whitened_self(kernel: SetKernel) -> np.ndarray:
    return (kernel.X**2).sum(axis=0) ** 2


def _centred_self(kernel: SetKernel) -> np.ndarray:
    n = len(kernel.X)
    return _whitened_self(kernel) * (n - 2) / (n - 1)


_CROSS = {"corr": _corr_cross, "cosine_cov": _whitened_cross, "corr_cov": _centred_cross}
_SELF = {"corr": _corr_self, "cosine_cov": _whitened_self, "corr_cov": _centred_self}
_WEIGHTS = {"corr": _corr_weights, "cosine_cov": _whitened_weights, "corr_cov": _centred_weights}


def joint_rdm(X: np.ndarray, features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of single-feature RDMs, sum_f w_f (x_fi - x_fj)^2.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, or their cell means.
    features : ndarray (k,) int64
        The set.
    weights : ndarray (k,)
        One weight per feature of the set.

    Returns
    -------
    ndarray (n_stimuli, n_stimuli) float64
        Unit of weights times the squared unit of X; diagonal 0.

    Raises
    ------
    InputError
        Numbers of features and weights that differ.
    """
    features, weights = np.asarray(features, np.int64), np.asarray(weights, np.float64)
    if features.shape != weights.shape:
        raise InputError(f"{len(features)} features and {len(weights)} weights", where="joint_rdm")
    x = np.asarray(X, np.float64)[:, features]
    out = np.zeros((len(x), len(x)))
    for column, weight in zip(x.T, weights):
        out += weight * (column[:, None] - column[None, :]) ** 2
    return out
