"""Agreement of maps between SAE seeds, layers or scores, and the retest of a chosen set on other items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import design_rows, subset
from cogneuro_sae.rsa.fit import item_halves

BLOCK = 2**26


class Retest(NamedTuple):
    """Sets chosen on disjoint halves of the items.

    Parameters
    ----------
    overlap : float
        Mean share of the smaller set that is in both.
    chance : float
        The same for two sets drawn at random from the features that vary in both halves.
    corrected : float
        (overlap - chance) / (1 - chance), Kuncheva's index: 0 at chance, 1 for the same set.
    nearest : float
        Mean cosine of each chosen feature with the nearest one of the other half's set, by decoder rows: split
        latents change places. NaN without a decoder.
    nearest_chance : float
        The same for random sets.
    draws : ndarray (n_draws,) float64
        Overlap of each pair of halves.
    sets : tuple of (ndarray, ndarray)
        The two sets of each draw.
    """

    overlap: float
    chance: float
    corrected: float
    nearest: float
    nearest_chance: float
    draws: np.ndarray
    sets: tuple


def agreement(maps, *, decoders=None, top: int = 50, tail: str = "positive", min_cosine: float = 0.7) -> pd.DataFrame:
    """Compare maps pairwise: rank correlation over all latents, overlap of the top latents beside its chance level.

    Maps of one SAE are compared latent by latent. Maps of different SAEs (seeds, widths, layers of one residual stream)
    need decoders: two latents are matched when each is the other's nearest by decoder cosine and the cosine reaches
    `min_cosine`. Both measures speak about matched latents that have a value in both maps; `unmatched` says which share
    of the top latents that leaves out. No p: latents are not independent.

    Parameters
    ----------
    maps : mapping of str to FeatureMap, or sequence
        Maps or arrays (n_latents,), at least two.
    decoders : mapping or sequence of ndarray (n_latents, d_in), optional
        Decoder rows of each map's SAE, in the same form as `maps`.
    top : int
        k of the overlap.
    tail : str
        "positive" | "negative" | "two-sided": which end is the top.
    min_cosine : float
        Smallest decoder cosine of a match.

    Returns
    -------
    pandas.DataFrame
        One row per pair: `first, second, matched` (latents compared), `cosine` (median over matches, 1 within one SAE),
        `rank_r` (Spearman), `overlap` (share of the k top latents in both), `chance` (k / matched), `corrected`
        ((overlap - chance) / (1 - chance)), `unmatched`. NaN where too few latents are compared.

    Raises
    ------
    InputError
        Fewer than two maps, lengths that differ without decoders, decoders that do not fit, unknown tail.
    """
    named = dict(maps) if isinstance(maps, Mapping) else {str(i): each for i, each in enumerate(maps)}
    values = {name: np.asarray(getattr(each, "value", each), np.float64) for name, each in named.items()}
    centres = {name: float(getattr(each, "center", 0.0)) for name, each in named.items()}
    if len(values) < 2 or top < 1:
        raise InputError(f"{len(values)} maps, top {top}", where="agreement", allowed="two maps or more, top >= 1")
    if tail not in _ENDS:
        raise InputError(f"tail is {tail!r}", where="agreement", allowed=", ".join(_ENDS))
    rows = _decoder_rows(values, decoders)
    out = []
    for a, b in combinations(values, 2):
        matched = np.arange(len(values[a])), np.arange(len(values[b])), np.ones(len(values[a]))
        if rows is not None:
            matched = match_latents(rows[a], rows[b], min_cosine=min_cosine)
        ends = [_ENDS[tail](values[name] - centres[name]) for name in (a, b)]
        out.append({"first": a, "second": b,
                    **_compared(*(values[name] for name in (a, b)), *ends, matched, top)})
    return pd.DataFrame(out)


def _decoder_rows(values: dict, decoders):
    if decoders is None:
        lengths = {name: len(each) for name, each in values.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"maps of different lengths: {lengths}", where="agreement",
                             do="give decoders= to match latents of different SAEs")
        return None
    given = dict(decoders) if isinstance(decoders, Mapping) else {str(i): each for i, each in enumerate(decoders)}
    for name, each in values.items():
        if name not in given or len(given[name]) != len(each):
            raise InputError(f"no decoder of {len(each)} rows for map {name}", where="agreement",
                             do="give one decoder per map, under the same names or in the same order")
    return given


def _compared(value_a, value_b, end_a, end_b, matched, top: int) -> dict:
    first, second, cosine = matched
    known = np.isfinite(value_a[first]) & np.isfinite(value_b[second])
    first, second, cosine = first[known], second[known], cosine[known]
    n = len(first)
    out = {"matched": n, "cosine": float(np.median(cosine)) if n else np.nan, "rank_r": np.nan, "overlap": np.nan,
           "chance": np.nan, "corrected": np.nan,
           "unmatched": float(np.mean([np.mean(~np.isin(_top(end, top), used))
                                       for end, used in ((end_a, first), (end_b, second))]))}
    if n > 2 and np.ptp(value_a[first]) > 0 and np.ptp(value_b[second]) > 0:
        out["rank_r"] = float(stats.spearmanr(value_a[first], value_b[second]).statistic)
    if n > top:
        shared = len(np.intersect1d(_top(end_a[first], top), _top(end_b[second], top))) / top
        out |= {"overlap": shared, "chance": top / n, "corrected": (shared - top / n) / (1 - top / n)}
    return out


def _top(end: np.ndarray, top: int) -> np.ndarray:
    known = np.flatnonzero(np.isfinite(end))
    return known[np.argsort(-end[known], kind="stable")[:top]]


def match_latents(decoder_a: np.ndarray, decoder_b: np.ndarray, *,
                  min_cosine: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match latents of two SAEs that are each other's nearest by decoder cosine; in blocks.

    Parameters
    ----------
    decoder_a, decoder_b : ndarray (n_latents, d_in)
        Decoder rows over the same units; rows of norm 0 have no match.
    min_cosine : float
        Smallest cosine of a match.

    Returns
    -------
    ndarray (n_matched,) int64, ndarray (n_matched,) int64, ndarray (n_matched,) float32
        Latents of a, their partners in b, and the cosines.

    Raises
    ------
    InputError
        Decoders of different width.
    """
    units = []
    for decoder in (decoder_a, decoder_b):
        decoder = np.asarray(decoder, np.float32)
        norm = np.linalg.norm(decoder, axis=1, keepdims=True)
        units.append(decoder / np.where(norm > 0, norm, 1.0))
    a, b = units
    if a.shape[1] != b.shape[1]:
        raise InputError(f"decoders of width {a.shape[1]} and {b.shape[1]}", where="match_latents",
                         do="compare SAEs of one residual stream")
    partner, best = np.empty(len(a), np.int64), np.empty(len(a), np.float32)
    back, back_best = np.zeros(len(b), np.int64), np.full(len(b), -np.inf, np.float32)
    step = max(1, BLOCK // (4 * len(b)))
    for start in range(0, len(a), step):
        cosine = a[start:start + step] @ b.T
        rows = np.arange(len(cosine))
        partner[start:start + step] = cosine.argmax(axis=1)
        best[start:start + step] = cosine[rows, partner[start:start + step]]
        mine = cosine.argmax(axis=0)
        higher = cosine[mine, np.arange(len(b))] > back_best
        back[higher], back_best[higher] = mine[higher] + start, cosine[mine, np.arange(len(b))][higher]
    kept = np.flatnonzero((back[partner] == np.arange(len(a))) & (best >= min_cosine) & (best > 0))
    return kept, partner[kept], best[kept]


def retest(X: np.ndarray, design, choose: Callable, *, draws: int = 20, k: int | None = None, decoder=None,
           seed: int = 0) -> Retest:
    """Choose a set on both halves of the items, over random halves: does the method find the same features again?

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, labels, items, cells and scheme.
    choose : callable
        (X, design) -> indices, a FeatureMap (its `k` top features), or an RsaSet.
    draws : int
        Random halves.
    k : int, optional
        Needed when `choose` returns a map.
    decoder : ndarray (n_features, d_in), optional
        Decoder rows, for `nearest`.
    seed : int
        Seed of halves and random sets.

    Returns
    -------
    Retest

    Raises
    ------
    InputError
        Fewer than four items of a kind, a map without k, or a half in which nothing is chosen.
    """
    X = np.asarray(X)
    X, rng = X[design_rows(len(X), design)], np.random.default_rng(seed)
    unit = None
    if decoder is not None:
        unit = np.asarray(decoder, np.float64)
        unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
    found, sets = [], []
    for first in item_halves(design, draws, rng):
        pair = tuple(_chosen(choose, X, design, mask, k) for mask in (first, ~first))
        pool = np.flatnonzero((np.ptp(X[first], axis=0) > 0) & (np.ptp(X[~first], axis=0) > 0))
        sizes = [len(each) for each in pair]
        random = tuple(rng.choice(pool, min(size, len(pool)), replace=False) for size in sizes)
        found.append([len(np.intersect1d(*pair)) / min(sizes), min(1.0, max(sizes) / max(1, len(pool))),
                      _nearest(unit, *pair), _nearest(unit, *random)])
        sets.append(pair)
    overlap, chance, nearest, random_nearest = np.mean(found, axis=0)
    corrected = (overlap - chance) / (1 - chance) if chance < 1 else np.nan
    return Retest(float(overlap), float(chance), float(corrected), float(nearest), float(random_nearest),
                  np.array(found)[:, 0], tuple(sets))


def _chosen(choose, X, design, mask, k) -> np.ndarray:
    part = subset(design, mask)
    part.rows = np.arange(int(mask.sum()))
    made = choose(X[mask], part)
    if hasattr(made, "top"):
        if k is None:
            raise InputError("choose returned a map", where="retest", do="give k, the size of the set")
        made = made.top(k)
    made = np.unique(np.asarray(getattr(made, "features", made), np.int64))
    if not len(made):
        raise InputError("a half of the items chose no feature", where="retest")
    return made


def _nearest(unit, a: np.ndarray, b: np.ndarray) -> float:
    if unit is None:
        return float("nan")
    cosine = unit[a] @ unit[b].T
    return float((cosine.max(axis=1).mean() + cosine.max(axis=0).mean()) / 2)


_ENDS = {"positive": lambda v: v, "negative": lambda v: -v, "two-sided": np.abs}
