"""RSA of the raw units that feed a latent."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import design_rows
from cogneuro_sae.rsa.maps import rsa_map
from cogneuro_sae.rsa.searchlight import at_latents


def neuron_input_rsa(X: np.ndarray, design, weights: np.ndarray, latents=None, *, n_units: int = 50,
                     center: bool = True, score: str = "discriminative", model=None, labels=None, min_items: int = 5,
                     permutations: int = 0, seed: int = 0, tail: str = "positive", alpha: float = 0.05) -> FeatureMap:
    """Pattern RSA over the raw units with the largest |weight| of a latent.

    Says whether the units that a latent reads carry the concept in their pattern. Units are chosen by weight alone, so
    the choice costs no data. Units of a residual stream have very different means, which all stimuli share:
    without `center` every correlation is near 1.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_units_in_all)
        Pooled raw values, rows of the table or of the design; the window is the one they were pooled over.
    design : Design
        Rows, labels, items, cells and scheme.
    weights : ndarray (n_latents, n_units_in_all)
        Encoder weights of each latent (`sae.W_enc.T`); decoder rows give the units a latent writes to.
    latents : array_like of int, optional
        Latents asked for; default all.
    n_units : int
        Units per latent, at least 3.
    center : bool
        Subtract each unit's mean over the design's stimuli, whatever their labels.
    score : str
        "discriminative" | "categorical" | "coherence" | "model".
    model : str, callable, ndarray, DataFrame or RDMs, optional
        Model RDM for score "model".
    labels : array_like, optional
        Labels of a named model.
    min_items : int
        Silence policy: valid items needed in A and in B.
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
        One value per latent, NaN where it was not asked for; the family is that of `latents`. `direction` is that of
        the units' mean and says little.

    Raises
    ------
    InputError
        Weights of another width, too few or too many units, or what `rsa_map` refuses.
    """
    X = np.asarray(X)
    weights = np.asarray(weights)
    if X.ndim != 2 or weights.ndim != 2 or weights.shape[1] != X.shape[1]:
        raise InputError(f"X has shape {X.shape}, the weights {weights.shape}", where="neuron_input_rsa",
                         allowed="(n_stimuli, n_units) and (n_latents, n_units)", do="give sae.W_enc.T as an array")
    latents = np.arange(len(weights)) if latents is None else np.asarray(latents, np.int64)
    units = input_units(weights, latents, n_units)
    X = X[design_rows(len(X), design)].astype(np.float64)
    if center:
        X = X - X.mean(axis=0)
    found = rsa_map(X, design, score=score, variant="pattern", sets=list(units), model=model, labels=labels,
                    min_items=min_items, permutations=permutations, seed=seed, tail=tail, alpha=alpha)
    return at_latents(found, latents, len(weights), name=f"rsa_{score}_neuron_input",
                      info={"n_units": n_units, "centred": bool(center)}, reasons={})


def input_units(weights: np.ndarray, latents: np.ndarray, n_units: int = 50) -> np.ndarray:
    """Units with the largest |weight| of each latent, largest first; ties go to the smaller index.

    Parameters
    ----------
    weights : ndarray (n_latents, n_units_in_all)
        Weights of each latent.
    latents : ndarray (n,) int64
        Latents asked for.
    n_units : int
        Units per latent.

    Returns
    -------
    ndarray (n, n_units) int64

    Raises
    ------
    InputError
        Fewer than 3 units, or more than there are.
    """
    if not 3 <= n_units <= weights.shape[1]:
        raise InputError(f"n_units is {n_units}", where="neuron_input_rsa", allowed=f"3 to {weights.shape[1]}")
    return np.argsort(-np.abs(np.asarray(weights)[latents]), axis=1, kind="stable")[:, :n_units]
