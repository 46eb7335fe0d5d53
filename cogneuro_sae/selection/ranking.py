"""From a score to an order of features: positive values and direction > 0 only, signed units flipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.selection.arrays import cell_means
from cogneuro_sae.selection.scores import SCORES, needs_of
from cogneuro_sae.selection.sources import Sources


class Ranking(NamedTuple):
    """Features in the order in which a selector takes them.

    Parameters
    ----------
    order : ndarray (<= n_features,) int64
        Best first; only features whose score is above its no-effect value and, for scores that use labels, whose
        direction is > 0. Ties by index.
    signs : ndarray (n_features,) int8
        -1 where a signed unit entered the score sign-flipped, else 1.
    map : FeatureMap
        The score as it was computed, on flipped units where `signs` is -1.
    """

    order: np.ndarray
    signs: np.ndarray
    map: FeatureMap


def score_function(score: str | Callable) -> Callable:
    """Return the score of a name, or the function itself.

    Parameters
    ----------
    score : str or callable
        A name of SCORES, or a function of the same signature.

    Returns
    -------
    callable

    Raises
    ------
    InputError
        Unknown name; the nearest one is proposed.
    """
    if callable(score):
        return score
    if score not in SCORES:
        raise unknown_name("score", score, SCORES)
    return SCORES[score]


def rank_features(score: str | Callable, X: np.ndarray, y: np.ndarray, groups: np.ndarray, *,
                  sources: Sources | None = None, signed: bool | None = None, **params) -> Ranking:
    """Score every feature and order those that may be selected.

    On signed units a unit whose class difference is negative enters every label-using score sign-flipped, so that raw
    units are not put at a disadvantage beside non-negative latents (docs/methods.md).

    Parameters
    ----------
    score : str or callable
        A name of SCORES, or a function of the same signature.
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Item of each row.
    sources : Sources, optional
        What the score may use beside X.
    signed : bool, optional
        Whether the units are signed; default: whether X holds a negative value.
    **params
        Options of the score.

    Returns
    -------
    Ranking

    Raises
    ------
    InputError
        Unknown score, a missing source, or a score with a threshold on signed units.
    """
    function, sources = score_function(score), Sources() if sources is None else sources
    name = score if isinstance(score, str) else getattr(score, "__name__", "score")
    sources.require(needs_of(function, params), score=name)
    signed = bool((X < 0).any()) if signed is None else signed
    if signed and getattr(function, "unsigned", False):
        raise InputError(f"the score {name!r} thresholds at zero or above and is refused on signed units",
                         allowed="SAE latents or other non-negative features", do="choose another score for raw units")
    signs = np.ones(X.shape[1], np.int8)
    if signed and getattr(function, "labels", True):
        signs = flips(X, y, groups, sources.cells)
    found = function(X * signs if (signs < 0).any() else X, y, groups=groups, sources=sources, **params)
    value = found.value - found.center
    with np.errstate(invalid="ignore"):
        allowed = value > 0
    if found.direction is not None:
        allowed &= found.direction > 0
    positions = np.flatnonzero(allowed)
    order = positions[np.argsort(-value[positions], kind="stable")]
    return Ranking(order.astype(np.int64), signs, found)


def flips(X: np.ndarray, y: np.ndarray, groups: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Return -1 for features whose mean over A cells is below that over B cells, else 1.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    cells : ndarray (n_rows,), optional
        Cell of each row.

    Returns
    -------
    ndarray (n_features,) int8
    """
    means = cell_means(X, y, groups, cells)
    lower = means.X[means.y == 1].mean(axis=0) < means.X[means.y == 0].mean(axis=0)
    return np.where(lower, -1, 1).astype(np.int8)
