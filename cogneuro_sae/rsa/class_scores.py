"""Class scores: differences of the mean similarities within A, between A and B, and within B."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def discriminative(aa: np.ndarray, ab: np.ndarray, bb: np.ndarray) -> np.ndarray:
    """D = mean_AA - mean_AB: > 0 when target stimuli resemble each other more than they resemble the foils.

    Parameters
    ----------
    aa, ab, bb : ndarray
        Mean similarities within A, between A and B, within B.

    Returns
    -------
    ndarray
    """
    return aa - ab


def categorical(aa: np.ndarray, ab: np.ndarray, bb: np.ndarray) -> np.ndarray:
    """(mean_AA + mean_BB)/2 - mean_AB = D - coherence/2: within-class similarity exceeds between-class similarity.

    Parameters
    ----------
    aa, ab, bb : ndarray
        Mean similarities within A, between A and B, within B.

    Returns
    -------
    ndarray
    """
    return (aa + bb) / 2 - ab


def coherence(aa: np.ndarray, ab: np.ndarray, bb: np.ndarray) -> np.ndarray:
    """mean_AA - mean_BB: > 0 when the target is more homogeneous than the foils (study C's "categorical").

    Parameters
    ----------
    aa, ab, bb : ndarray
        Mean similarities within A, between A and B, within B.

    Returns
    -------
    ndarray
    """
    return aa - bb


CLASS_SCORES: dict[str, Callable] = {"discriminative": discriminative, "categorical": categorical,
                                     "coherence": coherence}


def score_weights(score: str, *counts: np.ndarray) -> list[np.ndarray]:
    """What the sums tot, l and q of `rsa.labelled_sums` count for in a class score.

    Parameters
    ----------
    score : str
        A name of CLASS_SCORES.
    counts : ndarray
        Three: pairs within A, between A and B, within B, in one shape.

    Returns
    -------
    list of ndarray
        Three, each of that shape; NaN where a block that the score needs has no pair.
    """
    aa, ab, bb = (CLASS_SCORES[score](*unit) for unit in np.eye(3))
    with np.errstate(divide="ignore"):
        aa, ab, bb = (weight / np.where(n > 0.5, n, np.nan) if weight else np.zeros_like(n)
                      for weight, n in zip((aa, ab, bb), counts))
    return [aa / 4 + ab / 2 + bb / 4, (aa - bb) / 4, aa / 4 - ab / 2 + bb / 4]
