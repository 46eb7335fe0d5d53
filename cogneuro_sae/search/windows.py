"""Corpus windows: passages laid with tiles of the stimuli's window size, pooled as the stimuli are."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import numpy as np

from cogneuro_sae.search.stream import Read

_NOT_A_WORD = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")


class Tiles(NamedTuple):
    """Windows of some passages, packed content tokens end to end; all arrays (n_windows,).

    Parameters
    ----------
    read : ndarray int64
        Row of the passage.
    start, stop : ndarray int64
        Content tokens in the passage, half open.
    base : ndarray int64
        Where the passage begins in the packed tokens.
    length : ndarray int64
        Content tokens of the passage.
    """

    read: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    base: np.ndarray
    length: np.ndarray


def lay_tiles(lengths: np.ndarray, size: int) -> Tiles:
    """Cut passages into consecutive windows of `size` tokens.

    What is left at the end of a passage is a window of its own when it has half of `size` at least or is the whole
    passage; else it belongs to no window.

    Parameters
    ----------
    lengths : ndarray (n_passages,) int64
        Content tokens of each passage.
    size : int
        Tokens of a window.

    Returns
    -------
    Tiles
    """
    lengths = np.asarray(lengths, np.int64)
    full, rest = lengths // size, lengths % size
    count = full + ((rest > 0) & ((2 * rest >= size) | (full == 0)))
    read = np.repeat(np.arange(len(lengths)), count)
    start = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)) * size
    base = (np.cumsum(lengths) - lengths)[read]
    return Tiles(read, start, np.minimum(start + size, lengths[read]), base, lengths[read])


def pool_tiles(tokens: np.ndarray, tiles: Tiles, pooling: str) -> np.ndarray:
    """Pool token values over windows.

    Parameters
    ----------
    tokens : ndarray (n_tokens, n_columns) float32
        Packed content tokens.
    tiles : Tiles
        The windows.
    pooling : str
        A name of POOLINGS: mean, max, last, or rate = share of tokens > 0.

    Returns
    -------
    ndarray (n_windows, n_columns) float32
    """
    first, last = tiles.base + tiles.start, tiles.base + tiles.stop
    return POOLINGS[pooling](tokens, first, last).astype(np.float32, copy=False)


def _between(ufunc, tokens: np.ndarray, first: np.ndarray, last: np.ndarray, **options) -> np.ndarray:
    """Reduce [first, last) of each window; what lies between two windows is reduced too and thrown away."""
    edges = np.column_stack([first, last]).ravel()
    if edges[-1] == len(tokens):
        edges = edges[:-1]
    return ufunc.reduceat(tokens, edges, axis=0, **options)[::2]


def _mean(tokens, first, last):
    return _between(np.add, tokens, first, last, dtype=np.float64) / (last - first)[:, None]


POOLINGS = {
    "mean": _mean,
    "max": lambda tokens, first, last: _between(np.maximum, tokens, first, last),
    "last": lambda tokens, first, last: tokens[last - 1],
    "rate": lambda tokens, first, last: _mean((tokens > 0).astype(np.float32), first, last),
}


def digest(text: str) -> int:
    """Return a 64-bit hash of a text that is equal for texts that differ in capitals, digits, signs or spaces only.

    Parameters
    ----------
    text : str
        Of a window.

    Returns
    -------
    int
    """
    return int.from_bytes(hashlib.blake2b(normalised(text).encode("utf-8"), digest_size=8).digest(), "big")


def normalised(text: str) -> str:
    """Return a text in small letters, every digit 0, everything but letters and digits one space.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
    """
    plain = _NOT_A_WORD.sub(" ", _DIGIT.sub("0", text.casefold())).strip()
    return plain or text.strip()


def tile_digests(reads: list[Read], tiles: Tiles) -> np.ndarray:
    """Return the digest of every window's text.

    Parameters
    ----------
    reads : list of Read
        The passages.
    tiles : Tiles
        Their windows.

    Returns
    -------
    ndarray (n_windows,) uint64
    """
    found = np.empty(len(tiles.read), np.uint64)
    for place, (row, start, stop) in enumerate(zip(tiles.read.tolist(), tiles.start.tolist(), tiles.stop.tolist(),
                                                   strict=True)):
        left, right = reads[row].characters(start, stop)
        found[place] = digest(reads[row].passage.text[left:right])
    return found


def keys(digests: np.ndarray, *salt: int) -> np.ndarray:
    """Return one uniform 64-bit number per window, fixed by its text and the salt (splitmix64).

    The windows of the smallest keys are a uniform sample whatever the order they came in.

    Parameters
    ----------
    digests : ndarray (n_windows,) uint64
        Of the windows' texts.
    *salt : int
        Seed, feature, kind.

    Returns
    -------
    ndarray (n_windows,) uint64
    """
    value = digests
    for part in salt:
        value = _mixed(value ^ _mixed(np.array([part & (2**64 - 1)], np.uint64)))
    return value


def _mixed(value: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
