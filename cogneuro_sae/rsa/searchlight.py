"""Searchlight over decoder neighbourhoods: RSA of the pattern of a latent and its nearest decoder directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import ARRAYS, FeatureMap
from cogneuro_sae.inference import design_rows
from cogneuro_sae.rsa.maps import rsa_map

BLOCK = 2**26


def searchlight_rsa(X: np.ndarray, design, decoder: np.ndarray, *, n_neighbours: int = 20, latents=None, among=None,
                    scale: bool = False, score: str = "discriminative", model=None, labels=None, min_items: int = 5,
                    permutations: int = 0, seed: int = 0, tail: str = "positive", alpha: float = 0.05) -> FeatureMap:
    """Map pattern RSA over latents, each with its nearest decoder directions.

    A neighbourhood is a latent and the `n_neighbours` latents whose decoder rows have the largest cosine with its own;
    two stimuli are alike when their patterns over it correlate. A stimulus whose pattern is constant (no latent of the
    neighbourhood fires) has no correlation: its pairs are missing, and `min_items` applies. Neighbourhoods come from
    the weights alone, so choosing them costs no data. Neighbours share patterns: a value belongs to a neighbourhood,
    not to the latent at its centre.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_latents)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, labels, items, cells and scheme.
    decoder : ndarray (n_latents, d_in)
        Decoder rows.
    n_neighbours : int
        Neighbours beside the latent itself, at least 2.
    latents : array_like of int, optional
        Centres; default all.
    among : array_like of bool (n_latents,) or of int, optional
        Latents that may be neighbours, such as those that fire on a corpus; they must not depend on the labels.
    scale : bool
        Divide each latent by its root mean square over the design's stimuli, so that frequent latents do not dominate;
        zeros stay zeros.
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
        One value per latent, NaN where it was no centre; the family is that of the centres. `direction` is that of the
        mean over the neighbourhood.

    Raises
    ------
    InputError
        A decoder of another width, too few neighbours, or what `rsa_map` refuses.
    """
    X, decoder = np.asarray(X), np.asarray(decoder)
    if X.ndim != 2 or decoder.ndim != 2 or X.shape[1] != len(decoder):
        raise InputError(f"X has shape {X.shape}, the decoder {decoder.shape}", where="searchlight_rsa",
                         allowed="(n_stimuli, n_latents) and (n_latents, d_in)")
    centres = np.arange(len(decoder)) if latents is None else np.asarray(latents, np.int64)
    near = decoder_neighbours(decoder, n_neighbours, latents=centres, among=among)[0]
    real = near[:, 0] >= 0
    X = X[design_rows(len(X), design)]
    if scale:
        size = np.sqrt(np.mean(np.square(X, dtype=np.float64), axis=0))
        X = X / np.where(size > 0, size, 1.0)
    found = rsa_map(X, design, score=score, variant="pattern", sets=list(np.c_[centres, near][real]), model=model,
                    labels=labels, min_items=min_items, permutations=permutations, seed=seed, tail=tail, alpha=alpha)
    return at_latents(found, centres[real], len(decoder), name=f"rsa_{score}_searchlight",
                      info={"n_neighbours": n_neighbours, "scaled": bool(scale)},
                      reasons={"decoder row of norm 0": int((~real).sum())})


def decoder_neighbours(decoder: np.ndarray, n_neighbours: int, *, latents=None,
                       among=None) -> tuple[np.ndarray, np.ndarray]:
    """Nearest decoder directions by cosine, a block of latents at a time.

    Parameters
    ----------
    decoder : ndarray (n_latents, d_in)
        Decoder rows, any norm.
    n_neighbours : int
        How many for each latent, itself left out.
    latents : array_like of int, optional
        Latents whose neighbours are wanted; default all.
    among : array_like of bool (n_latents,) or of int, optional
        Latents that may be neighbours; rows of norm 0 never are.

    Returns
    -------
    ndarray (n, n_neighbours) int64, ndarray (n, n_neighbours) float32
        Neighbours, nearest first (ties: the smaller index), and their cosines; -1 and NaN for a latent of norm 0.

    Raises
    ------
    InputError
        Fewer than 2 neighbours, or fewer candidates than neighbours.
    """
    decoder = np.asarray(decoder, np.float32)
    norm = np.linalg.norm(decoder, axis=1)
    allowed = np.zeros(len(decoder), bool)
    allowed[slice(None) if among is None else np.asarray(among)] = True
    candidates = np.flatnonzero(allowed & (norm > 0))
    if n_neighbours < 2 or len(candidates) <= n_neighbours:
        raise InputError(f"{n_neighbours} neighbours among {len(candidates)} latents", where="decoder_neighbours",
                         allowed="at least 2, and fewer than there are latents to choose from")
    unit = decoder / np.where(norm > 0, norm, 1.0)[:, None]
    pool = unit[candidates]
    latents = np.arange(len(decoder)) if latents is None else np.asarray(latents, np.int64)
    near = np.full((len(latents), n_neighbours), -1)
    cosines = np.full((len(latents), n_neighbours), np.nan, np.float32)
    step = max(1, BLOCK // (4 * len(candidates)))
    for start in range(0, len(latents), step):
        mine = latents[start:start + step]
        cosine = unit[mine] @ pool.T
        cosine[mine[:, None] == candidates[None, :]] = -np.inf
        top = np.sort(np.argpartition(-cosine, n_neighbours - 1, axis=1)[:, :n_neighbours], axis=1)
        value = np.take_along_axis(cosine, top, axis=1)
        order = np.argsort(-value, axis=1, kind="stable")
        near[start:start + step] = candidates[np.take_along_axis(top, order, axis=1)]
        cosines[start:start + step] = np.take_along_axis(value, order, axis=1)
    near[norm[latents] == 0], cosines[norm[latents] == 0] = -1, np.nan
    return near, cosines


def at_latents(found: FeatureMap, latents: np.ndarray, n_latents: int, *, name: str, info: dict,
               reasons: dict) -> FeatureMap:
    """Put a map of some latents at their places among all, NaN elsewhere.

    Parameters
    ----------
    found : FeatureMap
        One value per latent of `latents`.
    latents : ndarray (n,) int64
        Their indices.
    n_latents : int
        Length of the new map.
    name : str
        Its name.
    info, reasons : dict
        Joined to those of the map.

    Returns
    -------
    FeatureMap
    """
    arrays = {}
    for field in ARRAYS:
        values = getattr(found, field)
        if values is not None:
            empty = np.nan if values.dtype.kind == "f" else 0
            arrays[field] = np.full((n_latents, *values.shape[1:]), empty, values.dtype)
            arrays[field][latents] = values
    left = {"not asked for": n_latents - len(latents) - sum(reasons.values())}
    return replace(found, **arrays, name=name, info={**found.info, **info},
                   reasons={text: n for text, n in {**found.reasons, **reasons, **left}.items() if n})
