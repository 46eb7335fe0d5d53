"""Pooled features: d_ij = (x_i - x_j)^2, its closed forms (docs/methods.md), and what a pooled scalar may not claim."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import group_means
from cogneuro_sae.rsa.pooled_fit import PooledFit

REFUSED = {
    "discriminative": "on one pooled scalar E[D] = delta^2 + var_B - var_A, so a feature of the foils scores D > 0",
    "coherence": "on one pooled scalar it compares the two variances, not the concept",
}


@dataclass(frozen=True, eq=False)
class PooledSource:
    """Squared differences of pooled values between cells; cell means are taken block by block.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values of stimuli.
    index : ndarray (n_rows,) int64
        Cell of each row, 0 to n_cells - 1.
    """

    X: np.ndarray
    index: np.ndarray
    correlation = False

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.X.shape[1]

    @cached_property
    def complete(self) -> bool:
        """Whether no value is missing or infinite."""
        return all(np.isfinite(self.X[:, start:start + 4096]).all() for start in range(0, self.n_features, 4096))

    def __len__(self) -> int:
        return int(self.index.max()) + 1

    def pairs(self, start: int, stop: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Squared differences of some features for some pairs of cells.

        Parameters
        ----------
        start, stop : int
            Features.
        first, second : ndarray (n_pairs,) int64
            Cells of each pair.

        Returns
        -------
        ndarray (stop - start, n_pairs) float64
            Squared unit of X.
        """
        x = self.means(start, stop)
        return ((x[first] - x[second]) ** 2).T

    def means(self, start: int, stop: int) -> np.ndarray:
        """Cell means.

        Parameters
        ----------
        start, stop : int
            Features.

        Returns
        -------
        ndarray (n_cells, stop - start) float64
        """
        if self.single:
            return self.X[:, start:stop].astype(np.float64)
        return group_means(self.X[:, start:stop], self.index)

    @cached_property
    def single(self) -> bool:
        """Whether every row is a cell, in order."""
        return len(self.index) == len(self) and bool((self.index == np.arange(len(self.index))).all())


def refuse_on_scalars(score: str) -> None:
    """Refuse the scores that a single pooled scalar (or a distribution) cannot carry.

    Parameters
    ----------
    score : str
        Name of an RSA score.

    Raises
    ------
    InputError
        `discriminative` or `coherence`, with the reason.
    """
    if score in REFUSED:
        raise InputError(f"{score} is not defined on one value per stimulus: {REFUSED[score]}",
                         allowed="categorical, model", do='use variant="profile", or patterns of a feature set')


def centred_model(M: np.ndarray) -> np.ndarray:
    """G = -1/2 H M H.

    Parameters
    ----------
    M : ndarray (n, n)
        Model RDM, zero diagonal.

    Returns
    -------
    ndarray (n, n) float64
    """
    M = np.asarray(M, np.float64)
    rows = M.mean(axis=1, keepdims=True)
    return -0.5 * (M - rows - rows.T + M.mean())


def pooled_corr(X: np.ndarray, M: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Pearson correlation of d_ij = (x_i - x_j)^2 with a model over kept pairs: the Laplacian form, no RDM in memory.

    x'Lx / (|M~|_pairs sqrt(n S4 + 3 S2^2 - (n S2)^2/N)), the masked pairs' sums taken off.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values.
    M : ndarray (n_stimuli, n_stimuli)
        Model RDM.
    mask : ndarray (n_stimuli, n_stimuli) bool, optional
        True for the pairs to keep; default all.

    Returns
    -------
    ndarray (n_features,) float64
        NaN where d or M does not vary over the kept pairs.
    """
    return PooledFit(M, mask)(np.asarray(X))


def pooled_cosine_cov(X: np.ndarray, M: np.ndarray) -> np.ndarray:
    """Whitened cosine x'Gx / (x'x |G|_F), which is CKA with the model; over all pairs.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Cell means of pooled values.
    M : ndarray (n_stimuli, n_stimuli)
        Model RDM.

    Returns
    -------
    ndarray (n_features,) float64
        For two classes r_pb^2 = t^2/(t^2 + n - 2); NaN for constant features.
    """
    return _quadratic(X, whitening("cosine_cov", M))


def pooled_corr_cov(X: np.ndarray, M: np.ndarray) -> np.ndarray:
    """Whitened correlation x'Go x / (x'x sqrt((n-2)/(n-1)) |Go|_F), Go = G - tr(G)/(n-1) H; over all pairs.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Cell means of pooled values.
    M : ndarray (n_stimuli, n_stimuli)
        Model RDM.

    Returns
    -------
    ndarray (n_features,) float64
        For two classes the adjusted r^2 ((n-1) r_pb^2 - 1)/(n-2); NaN for constant features.
    """
    return _quadratic(X, whitening("corr_cov", M))


def whitening(method: str, M: np.ndarray) -> np.ndarray:
    """The matrix W whose quadratic form x'Wx / x'x (x centred) is the whitened score.

    Parameters
    ----------
    method : str
        "cosine_cov" | "corr_cov".
    M : ndarray (n, n)
        Model RDM.

    Returns
    -------
    ndarray (n, n) float64

    Raises
    ------
    InputError
        A model that does not vary.
    """
    G, n, factor = centred_model(M), len(M), 1.0
    if method == "corr_cov":
        G = G - np.trace(G) / (n - 1) * (np.eye(n) - 1 / n)
        factor = np.sqrt((n - 2) / (n - 1))
    norm = np.linalg.norm(G)
    if norm < 1e-12 * max(1.0, np.abs(M).max()):
        raise InputError("the model RDM does not vary", do="give a model that distinguishes some pairs")
    return G / (norm * factor)


def _quadratic(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    x = np.asarray(X, np.float64)
    scale = np.abs(x).max(axis=0)
    x = x - x.mean(axis=0)
    square = (x**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.einsum("if,ij,jf->f", x, W, x, optimize=True) / square
    return np.where(square > 1e-24 * len(x) * scale**2, value, np.nan)


def quadratic_statistic(X: np.ndarray, models, n_labellings: int, method: str) -> np.ndarray:
    """Whitened scores under many labellings: products x_i x_j against the permuted whitened models.

    Parameters
    ----------
    X : ndarray (n_cells, n_features)
        Cell means.
    models : callable
        slice of labellings -> (n, n_cells, n_cells) model RDMs under them.
    n_labellings : int
        How many there are.
    method : str
        "cosine_cov" | "corr_cov".

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        NaN for constant features.
    """
    x = np.asarray(X, np.float64)
    scale = np.abs(x).max(axis=0, initial=0.0)
    x = x - x.mean(axis=0)
    square = (x**2).sum(axis=0)
    first, second = np.triu_indices(len(x))
    twice = np.where(first == second, 1.0, 2.0)
    products = x[first] * x[second] / np.where(square > 1e-24 * len(x) * scale**2, square, np.nan)
    out = np.empty((n_labellings, x.shape[1]))
    for start in range(0, n_labellings, 500):
        rows = slice(start, min(start + 500, n_labellings))
        weights = np.array([whitening(method, M)[first, second] * twice for M in models(rows)])
        out[rows] = weights @ products
    return out


POOLED_FITS = {"corr": pooled_corr, "cosine_cov": pooled_cosine_cov, "corr_cov": pooled_corr_cov}
