"""What is counted over every token read: means, maxima, shares, and a histogram of the active values."""

from __future__ import annotations

import numpy as np

PER_OCTAVE = 16
OCTAVES = (-20, 20)
BINS = (OCTAVES[1] - OCTAVES[0]) * PER_OCTAVE
SHOWN_PER_OCTAVE = 4


class Tallies:
    """Running counts of several features.

    Parameters
    ----------
    features : int
        How many.
    """

    NAMES = ("total", "largest", "active", "texts", "histogram", "size")

    def __init__(self, features: int):
        self.total = np.zeros(features, np.float64)
        self.largest = np.full(features, -np.inf)
        self.active = np.zeros(features, np.int64)
        self.texts = np.zeros(features, np.int64)
        self.histogram = np.zeros((features, BINS), np.int64)
        self.size = np.zeros(2, np.int64)      # tokens, passages

    def add(self, tokens: np.ndarray, lengths: np.ndarray) -> None:
        """Count some passages.

        Parameters
        ----------
        tokens : ndarray (n_tokens, n_features) float32
            Packed content tokens.
        lengths : ndarray (n_passages,) int64
            Content tokens of each passage, all > 0.
        """
        active = tokens > 0
        self.total += tokens.sum(axis=0, dtype=np.float64)
        self.largest = np.maximum(self.largest, tokens.max(axis=0))
        self.active += active.sum(axis=0)
        self.texts += np.logical_or.reduceat(active, np.cumsum(lengths) - lengths, axis=0).sum(axis=0)
        self.size += (len(tokens), len(lengths))
        rows, columns = np.nonzero(active)
        octave = np.floor((np.log2(tokens[rows, columns]) - OCTAVES[0]) * PER_OCTAVE).astype(np.int64)
        place = columns * BINS + np.clip(octave, 0, BINS - 1)
        self.histogram += np.bincount(place, minlength=self.histogram.size).reshape(self.histogram.shape)

    def describe(self, feature: int) -> dict:
        """Return the statistics of a feature as features.jsonl holds them.

        Parameters
        ----------
        feature : int
            Its row.

        Returns
        -------
        dict
            `mean` and `active_share` over all tokens, `median` over active ones (from the histogram, within 2.2 %),
            `texts_share` over passages.
        """
        n, passages = (int(value) for value in self.size)
        counts = self.histogram[feature]
        return {"n_tokens": n, "max": float(self.largest[feature]), "mean": float(self.total[feature] / n),
                "median": _median(counts), "active_share": float(self.active[feature] / n),
                "texts_share": float(self.texts[feature] / passages), "histogram": _shown(counts)}


def _median(counts: np.ndarray) -> float:
    if not counts.any():
        return float("nan")
    place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return float(2.0 ** ((place + 0.5) / PER_OCTAVE + OCTAVES[0]))


def _shown(counts: np.ndarray) -> dict:
    """Quarter octaves from the first to the last that holds a token."""
    coarse = counts.reshape(-1, PER_OCTAVE // SHOWN_PER_OCTAVE).sum(axis=1)
    if not coarse.any():
        return {"edges": [], "counts": []}
    first, last = np.flatnonzero(coarse)[[0, -1]]
    edges = 2.0 ** (np.arange(first, last + 2) / SHOWN_PER_OCTAVE + OCTAVES[0])
    return {"edges": edges.tolist(), "counts": coarse[first:last + 1].tolist()}
