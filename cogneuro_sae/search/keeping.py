"""Bounded keepers: per feature the windows of the largest values, and uniform samples by the smallest random keys."""

from __future__ import annotations

import numpy as np


def record_type(width: int) -> np.dtype:
    """Return the dtype of a candidate window that shows `width` token activations.

    Parameters
    ----------
    width : int
        Tokens of window and context together.

    Returns
    -------
    numpy.dtype
        `key` decides ties and samples; `peak` is a hash of the text around the strongest token (0: not looked at);
        `offset` is the document's tokens before the passage; `shown` begins at `start` less the context and is NaN
        outside the passage.
    """
    return np.dtype([("value", "f4"), ("key", "u8"), ("peak", "u8"), ("document", "i8"), ("number", "i4"),
                     ("piece", "i4"), ("start", "i4"), ("stop", "i4"), ("offset", "i8"), ("shown", "f4", (width,))])


class Keeper:
    """For each of several features the `capacity` best candidates of what has been offered so far.

    Parameters
    ----------
    features : int
        How many.
    capacity : int
        Candidates kept of each.
    width : int
        Tokens shown of each.
    """

    def __init__(self, features: int, capacity: int, width: int):
        self.capacity = capacity
        self.rows = np.zeros((features, capacity), record_type(width))
        self.count = np.zeros(features, np.int64)

    def kept(self, feature: int) -> np.ndarray:
        """Return the candidates of a feature, best first.

        Parameters
        ----------
        feature : int
            Its row.

        Returns
        -------
        ndarray (n,) of records
        """
        return self.rows[feature, :self.count[feature]]

    def put(self, feature: int, found: np.ndarray) -> None:
        """Replace the candidates of a feature.

        Parameters
        ----------
        feature : int
            Its row.
        found : ndarray (n,) of records
            Best first, at most `capacity`.
        """
        self.count[feature] = len(found)
        self.rows[feature, :len(found)] = found


class Largest(Keeper):
    """The largest values, at most `per_document` of one document; of equal values the smallest keys.

    Of candidates with the same text around their strongest token the best is kept: passages that stand in a corpus many
    times, each time cut elsewhere, would else fill the list.

    Parameters
    ----------
    features : int
        How many.
    capacity : int
        Candidates kept of each.
    width : int
        Tokens shown of each.
    per_document : int
        Most candidates of one document.
    """

    def __init__(self, features: int, capacity: int, width: int, *, per_document: int):
        super().__init__(features, capacity, width)
        self.per_document = per_document

    def eligible(self, feature: int, values: np.ndarray) -> np.ndarray:
        """Return which of some new windows may enter.

        Parameters
        ----------
        feature : int
            Its row.
        values : ndarray (n,) float32
            Theirs.

        Returns
        -------
        ndarray (m,) int64
        """
        kept = self.kept(feature)
        return np.flatnonzero(values >= kept["value"][-1] if len(kept) == self.capacity else np.ones(len(values), bool))

    def offer(self, feature: int, found: np.ndarray) -> None:
        """Let candidates compete with those kept.

        Parameters
        ----------
        feature : int
            Its row.
        found : ndarray (n,) of records
            New ones.
        """
        every = np.concatenate([self.kept(feature), found])
        every = every[np.lexsort((every["key"], -every["value"].astype(np.float64)))]
        every = every[np.sort(np.unique(every["peak"], return_index=True)[1])]
        self.put(feature, every[place_within(every["document"]) < self.per_document][:self.capacity])


class Sample(Keeper):
    """A uniform sample: the candidates of the smallest keys."""

    def eligible(self, feature: int, keys: np.ndarray) -> np.ndarray:
        """Return which of some new windows may enter.

        Parameters
        ----------
        feature : int
            Its row.
        keys : ndarray (n,) uint64
            Theirs.

        Returns
        -------
        ndarray (m,) int64
            At most `capacity`.
        """
        kept = self.kept(feature)
        found = np.flatnonzero(keys < kept["key"][-1]) if len(kept) == self.capacity else np.arange(len(keys))
        if len(found) > self.capacity:
            found = found[np.argpartition(keys[found], self.capacity - 1)[:self.capacity]]
        return found

    def offer(self, feature: int, found: np.ndarray) -> None:
        """Let candidates compete with those kept.

        Parameters
        ----------
        feature : int
            Its row.
        found : ndarray (n,) of records
            New ones.
        """
        every = np.concatenate([self.kept(feature), found])
        self.put(feature, every[np.argsort(every["key"], kind="stable")][:self.capacity])


def place_within(groups: np.ndarray) -> np.ndarray:
    """Return for every entry how many entries of its group stand before it.

    Parameters
    ----------
    groups : ndarray (n,)
        Group of each entry.

    Returns
    -------
    ndarray (n,) int64
    """
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[first, len(groups)])
    place = np.empty(len(groups), np.int64)
    place[order] = np.arange(len(groups)) - np.repeat(first, sizes)
    return place
