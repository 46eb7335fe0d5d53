"""From candidates to windows: near-duplicates out, at most n of a document, quantile bins of the non-zero values."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from cogneuro_sae.search.windows import normalised

NEAR = 0.5
GRAM = 3


def quantile_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Return the inner edges of quantile bins.

    Parameters
    ----------
    values : ndarray (n,) float32
        Sample of non-zero window values.
    bins : int
        How many.

    Returns
    -------
    ndarray (bins - 1,) float64
        Empty when there are no values.
    """
    if not len(values) or bins < 2:
        return np.zeros(0)
    return np.quantile(values.astype(np.float64), np.arange(1, bins) / bins)


def bin_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of window values: 0 for values <= 0, then 1 to n_edges + 1; a value on an edge is in the higher.

    Parameters
    ----------
    values : ndarray (n,)
        Window values.
    edges : ndarray (n_edges,)
        From `quantile_edges`.

    Returns
    -------
    ndarray (n,) int64
    """
    values = np.asarray(values, np.float64)
    return np.where(values > 0, 1 + np.searchsorted(edges, values, side="right"), 0)


def word_grams(text: str) -> frozenset:
    """Return the word triples of a normalised text; of a shorter text all its words as one.

    Parameters
    ----------
    text : str
        Of a window.

    Returns
    -------
    frozenset of tuple
    """
    words = normalised(text).split()
    return frozenset(tuple(words[place:place + GRAM]) for place in range(max(len(words) - GRAM + 1, 1)))


def take_distinct(candidates: np.ndarray, wanted: int, *, per_document: int, text_of: Callable[[np.void], str],
                  taken: Iterable[np.void] = ()) -> list[np.void]:
    """Take candidates in order, leaving out near-duplicates of taken ones and documents that are used up.

    Near-duplicate: the share of common word triples (Jaccard) is 0.5 or more.

    Parameters
    ----------
    candidates : ndarray (n,) of records
        In order of preference.
    wanted : int
        How many at most.
    per_document : int
        Most of one document.
    text_of : callable
        Gives the text of a candidate.
    taken : iterable of records
        Taken before: they count for both rules.

    Returns
    -------
    list of records
        Those newly taken.
    """
    known, used, chosen = [], {}, []
    for one in taken:
        known.append(word_grams(text_of(one)))
        used[int(one["document"])] = used.get(int(one["document"]), 0) + 1
    for one in candidates:
        if len(chosen) >= wanted:
            break
        document = int(one["document"])
        if used.get(document, 0) >= per_document:
            continue
        grams = word_grams(text_of(one))
        if any(len(grams & other) >= NEAR * len(grams | other) for other in known):
            continue
        known.append(grams)
        used[document] = used.get(document, 0) + 1
        chosen.append(one)
    return chosen
