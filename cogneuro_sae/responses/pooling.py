"""Poolings: token features to one row per stimulus, chunk by chunk, and the transform statistics work on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name


def encode(through: object | None, values: np.ndarray, *, columns: slice | None = None) -> np.ndarray:
    """Return the features of some tokens.

    Parameters
    ----------
    through : object or None
        Anything with `transform(values) -> (n_tokens, n_features)`; when its `transform` also takes `columns`, only
        those are computed. None: the values themselves.
    values : ndarray (n_tokens, n_units) float32
        Token activations, raw units.
    columns : slice, optional
        Features wanted; all by default.

    Returns
    -------
    ndarray (n_tokens, n_features) float32

    Raises
    ------
    InputError
        `through` has no `transform`, or returns another number of rows.
    """
    wanted = slice(None) if columns is None else columns
    if through is None:
        return values[:, wanted]
    transform = getattr(through, "transform", None)
    if transform is None:
        raise InputError(f"cannot pool through a {type(through).__name__}",
                         allowed="an SAE, or anything with transform(values) -> (n_tokens, n_features)")
    if columns is not None and "columns" in inspect.signature(transform).parameters:
        encoded, wanted = transform(values, columns=columns), slice(None)
    else:
        encoded = transform(values)
    encoded = np.asarray(encoded, dtype=np.float32)
    if encoded.ndim != 2 or len(encoded) != len(values):
        raise InputError(f"{type(through).__name__}.transform gave shape {encoded.shape} for {len(values)} tokens",
                         allowed="one row per token")
    return encoded[:, wanted]


def pool_tokens(values: np.ndarray, index: np.ndarray, counts: np.ndarray, *, how: str = "mean",
                through: object | None = None, chunk: int = 4096) -> np.ndarray:
    """Encode the chosen tokens and pool them per stimulus; never more than `chunk` encoded tokens exist at once.

    Parameters
    ----------
    values : ndarray (n_tokens, n_units) float32
        Packed token activations, raw units.
    index : ndarray (n_chosen,) int64
        Rows of `values` to pool, in stimulus order.
    counts : ndarray (n_stimuli,) int64
        How many of `index` belong to each stimulus, all > 0.
    how : str
        A name of POOLINGS: `mean`, `max`, `last` token, or `rate` = share of tokens > 0.
    through : object or None
        As in `encode`.
    chunk : int
        Tokens encoded at a time.

    Returns
    -------
    ndarray (n_stimuli, n_features) float32
        Raw units (`rate`: 0 to 1).

    Raises
    ------
    InputError
        Unknown pooling or a chunk below 1.
    """
    if how not in POOLINGS:
        raise unknown_name("pooling", how, POOLINGS)
    if int(chunk) < 1:
        raise InputError(f"chunk {chunk} is below 1")
    start, gather, finish = POOLINGS[how]
    if how == "last":
        index, counts = index[np.cumsum(counts) - 1], np.ones_like(counts)
    pooled = None
    for rows, block in encoded_chunks(values, index, counts, through=through, chunk=int(chunk)):
        if pooled is None:
            pooled = np.full((len(counts), block.shape[1]), start, dtype=np.float32)
        edges = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        gather(pooled, rows[edges], block, edges)
    return finish(pooled, counts)


def encoded_chunks(values: np.ndarray, index: np.ndarray, counts: np.ndarray, *, through: object | None = None,
                   chunk: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (stimulus of each token, their features) for runs of at most `chunk` chosen tokens.

    A chunk ends between stimuli where it can, so that pooled values do not depend on `chunk`.

    Parameters
    ----------
    values : ndarray (n_tokens, n_units) float32
        Packed token activations.
    index : ndarray (n_chosen,) int64
        Rows of `values`, in stimulus order.
    counts : ndarray (n_stimuli,) int64
        How many of `index` belong to each stimulus.
    through : object or None
        As in `encode`.
    chunk : int
        Most tokens at a time.

    Returns
    -------
    iterator of (ndarray (n,) int64, ndarray (n, n_features) float32)
    """
    ends = np.cumsum(counts)
    owner = np.repeat(np.arange(len(counts)), counts)
    start = 0
    while start < len(index):
        whole = ends[np.searchsorted(ends, start + chunk, side="right") - 1] if ends[0] <= start + chunk else 0
        stop = int(whole) if whole > start else min(start + chunk, len(index))
        yield owner[start:stop], encode(through, values[index[start:stop]])
        start = stop


def peak_tokens(values: np.ndarray, index: np.ndarray, counts: np.ndarray, features: np.ndarray, *,
                through: object | None = None) -> np.ndarray:
    """Return the chosen token at which each feature is largest in each stimulus (ties: the earlier one).

    Parameters
    ----------
    values : ndarray (n_tokens, n_units) float32
        Packed token activations.
    index : ndarray (n_chosen,) int64
        Rows of `values`, in stimulus order.
    counts : ndarray (n_stimuli,) int64
        How many of `index` belong to each stimulus, all > 0.
    features : ndarray (n,) int64
        Features wanted.
    through : object or None
        As in `encode`.

    Returns
    -------
    ndarray (n_stimuli, n) int64
        Rows of `values`.
    """
    columns = np.arange(len(features))
    best = np.full((len(counts), len(features)), -np.inf, dtype=np.float32)
    where = np.repeat(index[np.cumsum(counts) - counts][:, None], len(features), axis=1)
    done = 0
    for owner, block in encoded_chunks(values, index, counts, through=through):
        block = block[:, features]
        for row in np.unique(owner):
            first, last = np.searchsorted(owner, [row, row + 1])
            top = first + block[first:last].argmax(axis=0)
            larger = block[top, columns] > best[row]
            where[row, larger] = index[done + top[larger]]
            best[row, larger] = block[top, columns][larger]
        done += len(owner)
    return where


def refuse_late_encoding(through: object | None) -> None:
    """Refuse an SAE for rows that are pooled already; linear maps and the like are let through.

    Parameters
    ----------
    through : object or None
        What is to encode the rows.

    Raises
    ------
    InputError
        It is an SAE (it has latents).
    """
    if hasattr(through, "n_latents"):
        raise InputError("these responses are pooled already, and an SAE has to encode each token before pooling",
                         do="bring token values (`values` and `offsets`), or use raw units")


def scale_of(responses: object, through: object | None) -> float:
    """Return s of docs/methods.md: what the responses carry, else what their SAE was trained with, else 1.

    Parameters
    ----------
    responses : Responses
        The responses.
    through : object or None
        What encodes them.

    Returns
    -------
    float
    """
    known = responses.scale != 1.0 or not isinstance(getattr(through, "scale", None), float)
    return float(responses.scale if known else through.scale)


def log_scaled(pooled: np.ndarray, *, scale: float = 1.0) -> np.ndarray:
    """Return sign(x) log1p(|x| / s), the transform pooled values enter statistics with (docs/methods.md).

    Parameters
    ----------
    pooled : ndarray (n_stimuli, n_features)
        Pooled values, raw units.
    scale : float
        s = mean residual norm / sqrt(d_model) of the model at this site.

    Returns
    -------
    ndarray (n_stimuli, n_features) float32
        Unitless.
    """
    return (np.sign(pooled) * np.log1p(np.abs(pooled) / scale)).astype(np.float32)


def _add(pooled, rows, block, edges):
    pooled[rows] += np.add.reduceat(block, edges, axis=0, dtype=np.float64)


def _add_positive(pooled, rows, block, edges):
    pooled[rows] += np.add.reduceat(block > 0, edges, axis=0, dtype=np.int64)


def _largest(pooled, rows, block, edges):
    pooled[rows] = np.maximum(pooled[rows], np.maximum.reduceat(block, edges, axis=0))


def _put(pooled, rows, block, edges):
    pooled[rows] = block[edges]


def _mean(pooled, counts):
    return (pooled / counts[:, None]).astype(np.float32)


def _as_is(pooled, counts):
    return pooled


# name: value to start from, how a chunk is gathered, how the result is finished
POOLINGS = {"mean": (0.0, _add, _mean), "max": (-np.inf, _largest, _as_is), "last": (np.nan, _put, _as_is),
            "rate": (0.0, _add_positive, _mean)}
TRANSFORMS = {"log1p": log_scaled, "none": lambda pooled, *, scale: pooled}
