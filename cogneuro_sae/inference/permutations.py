"""Permutation p, family-wise p by the standardised maximum, and BH q over features, as docs/methods.md defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference.scheme import check_tail

TOLERANCE = 1e-9
FLAT = 1e-12
SKEWED = 2.0
REASONS = {
    "never": "not estimable under any labelling",
    "rarely": "not tested: estimable under fewer than half of the labellings",
    "flat": "not tested: the score does not vary over the labellings",
}


class Inference(NamedTuple):
    """Permutation inference over a family of features.

    Parameters
    ----------
    pvalue, p_fwe, q : ndarray (n_features,) float64
        Permutation p, family-wise p, BH q; NaN where not tested or not estimable under the observed labelling.
    standardised : ndarray (n_features,) float64
        Observed statistic minus the mean over labellings, over their sd (observed labelling included); signed.
    skewed : ndarray (n_features,) bool
        Permutation skew above 2 in the tail tested: the maximum is dominated by such features; min-p would be fairer.
    tested : ndarray (n_features,) bool
        Member of the family.
    reasons : dict of str to int
        Why features are outside the family -> how many.
    info : dict
        JSON-able: permutations, enumerated, tail, family, min_p, mc_error, bh_resolution, bh, skewed.
    """

    pvalue: np.ndarray
    p_fwe: np.ndarray
    q: np.ndarray
    standardised: np.ndarray
    skewed: np.ndarray
    tested: np.ndarray
    reasons: dict[str, int]
    info: dict


def permutation_inference(statistics: np.ndarray | Callable[[int, int], np.ndarray], *, enumerated: bool,
                          n_features: int | None = None, n_labellings: int | None = None, tail: str = "two-sided",
                          alpha: float = 0.05, budget: int = 2**24, rounding: float = 0.0) -> Inference:
    """Test each feature and the family from its statistic under every labelling.

    With T_g the statistic under labelling g (g = 0 the observed one, through the same kernel): p = #{T_g >= T_0} over
    the labellings in which the feature is estimable (|T| when two-sided), which is (1 + #)/(1 + P_valid) for a sample
    and #/|valid G| when enumerated. p_fwe compares the standardised statistic with the family's maximum in each
    labelling, mean and sd taken over all labellings, the observed one included. Each p tests exchangeability under the
    scheme.

    Parameters
    ----------
    statistics : ndarray (n_labellings, n_features) or callable
        Statistics, row 0 the observed labelling; NaN = not estimable under that labelling. A callable gets (start,
        stop) and returns the columns start to stop, so that all columns never exist together. In double, unless
        `rounding` is given.
    enumerated : bool
        The rows are the whole group (from `Labellings`).
    n_features : int, optional
        Needed with a callable.
    n_labellings : int, optional
        Needed with a callable.
    tail : str
        "two-sided" | "positive" | "negative".
    alpha : float
        Level for the BH resolution and the Monte Carlo error printed.
    budget : int
        Bytes that a block of statistics may take.
    rounding : float
        Error of the statistics in units of their sd over labellings, when computed in single precision: closer ones
        are tied.

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        Unknown tail, missing sizes, or fewer than two labellings.
    """
    check_tail(tail)
    block, n_features, n_labellings = _source(statistics, n_features, n_labellings)
    columns = {name: np.full(n_features, np.nan) for name in ("p", "z", "skew", "never", "rarely", "flat")}
    largest = np.full(n_labellings, -np.inf)
    step = max(1, int(budget // (8 * 6 * n_labellings)))
    for start in range(0, n_features, step):
        stop = min(start + step, n_features)
        values = np.asarray(block(start, stop))
        values = values if rounding and values.dtype == np.float32 else values.astype(np.float64, copy=False)
        part = _feature_block(values, enumerated, tail, rounding)
        largest = np.maximum(largest, part.pop("largest"))
        for name, values in part.items():
            columns[name][start:stop] = values
    return family_inference(columns, largest, enumerated=enumerated, tail=tail, alpha=alpha,
                            tolerance=max(TOLERANCE, rounding))


def _source(statistics, n_features, n_labellings):
    if not callable(statistics):
        statistics = np.asarray(statistics)
        n_labellings, n_features = statistics.shape
        array = statistics
        statistics = lambda start, stop: array[:, start:stop]  # noqa: E731
    if n_features is None or n_labellings is None:
        raise InputError("a callable needs n_features and n_labellings")
    if n_labellings < 2:
        raise InputError(f"{n_labellings} labelling cannot be tested", allowed="at least two labellings")
    return statistics, n_features, n_labellings


def _feature_block(T: np.ndarray, enumerated: bool, tail: str, rounding: float) -> dict[str, np.ndarray]:
    """p, standardised observed score, skew and family membership of a block, and the block's maximum per labelling."""
    signed = -T if tail == "negative" else T
    total = signed.sum(axis=0)
    valid = None if np.isfinite(total).all() else np.isfinite(signed)   # None: nothing is missing
    n_valid = np.full(T.shape[1], len(T)) if valid is None else valid.sum(axis=0)
    observed = np.ones(T.shape[1], bool) if valid is None else valid[0]
    compared = np.abs(signed) if tail == "two-sided" else signed
    filled = signed if valid is None else np.where(valid, signed, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.maximum(filled.max(axis=0), -filled.min(axis=0))
        away = filled - (total if valid is None else filled.sum(axis=0)) / n_valid
        if valid is not None:
            away[~valid] = 0.0
        square = away * away
        sd = np.sqrt(square.sum(axis=0) / n_valid)
        tie = np.maximum(TOLERANCE * np.maximum(1.0, np.abs(compared[0])), rounding * sd)
        p = np.where(observed, (compared >= compared[0] - tie).sum(axis=0) / n_valid, np.nan)
        skew = np.einsum("ij,ij->j", square, away) / n_valid / sd**3
        flat = ~(sd > max(FLAT, rounding / 50) * scale)
        z = np.divide(away, sd, out=away)
    # P_valid / P leaves the observed labelling out of a sample, but counts it in an enumerated group
    share = n_valid / len(T) if enumerated else (n_valid - observed) / (len(T) - 1)
    never, rarely = n_valid == 0, (share < 0.5) & (n_valid > 0)
    flat &= ~never & ~rarely
    family = ~(never | rarely | flat)
    first = np.where(family & observed, z[0], np.nan)
    scores = np.abs(z, out=z) if tail == "two-sided" else z
    if valid is not None:
        scores[~valid] = -np.inf
    largest = (scores if family.all() else scores[:, family]).max(axis=1, initial=-np.inf)
    return {"p": np.where(family, p, np.nan), "z": first, "skew": np.where(family, skew, 0.0), "never": never,
            "rarely": rarely, "flat": flat, "largest": largest}


def family_inference(columns: dict[str, np.ndarray], largest: np.ndarray, *, enumerated: bool, tail: str, alpha: float,
                     tolerance: float = TOLERANCE) -> Inference:
    """Return the inference over a family from what each feature's labellings gave.

    Parameters
    ----------
    columns : dict of str to ndarray (n_features,)
        `p`, `z` (standardised observed statistic, signed towards the tail), `skew`, and as 0 or 1 the keys of REASONS.
    largest : ndarray (n_labellings,)
        Maximum of the standardised statistic over the family under each labelling.
    enumerated : bool
        The labellings are the whole group.
    tail : str
        "two-sided" | "positive" | "negative".
    alpha : float
        Level for the BH resolution and the Monte Carlo error printed.
    tolerance : float
        Share of a statistic within which two are tied.

    Returns
    -------
    Inference
    """
    outside = {name: columns[name].astype(bool) for name in REASONS}
    tested = ~np.logical_or.reduce(list(outside.values()))
    z, p = columns["z"], columns["p"]
    scores = np.abs(z) if tail == "two-sided" else z
    bar = scores - tolerance * np.maximum(1.0, np.abs(scores))
    reached = len(largest) - np.searchsorted(np.sort(largest), bar, side="left")
    p_fwe = np.where(np.isnan(z), np.nan, reached / len(largest))
    q = bh(p, family=int(tested.sum()))
    floor = 1 / len(largest)
    skewed = (np.abs(columns["skew"]) if tail == "two-sided" else columns["skew"]) > SKEWED
    info = {"permutations": len(largest) - (not enumerated), "enumerated": bool(enumerated), "tail": tail,
            "family": int(tested.sum()), "min_p": floor,
            "mc_error": 0.0 if enumerated else float(np.sqrt(alpha * (1 - alpha) / (len(largest) - 1))),
            **bh_resolution(p, q, family=int(tested.sum()), floor=floor, alpha=alpha), "skewed": int(skewed.sum())}
    reasons = {text: int(outside[name].sum()) for name, text in REASONS.items() if outside[name].any()}
    return Inference(p, p_fwe, q, -z if tail == "negative" else z, skewed, tested, reasons, info)


def bh(p: np.ndarray, *, family: int | None = None) -> np.ndarray:
    """Return Benjamini-Hochberg q (scipy); features of the family without a p count as p = 1.

    Parameters
    ----------
    p : ndarray (n_features,)
        p values, NaN = none.
    family : int, optional
        Size of the family; default the number of p values.

    Returns
    -------
    ndarray (n_features,) float64
        q, NaN where p is.

    Raises
    ------
    InputError
        A family smaller than its p values.
    """
    p = np.asarray(p, np.float64)
    known = ~np.isnan(p)
    missing = (known.sum() if family is None else family) - known.sum()
    if missing < 0:
        raise InputError(f"a family of {family} cannot hold {known.sum()} p values")
    q = np.full(p.shape, np.nan)
    if known.any():
        q[known] = stats.false_discovery_control(np.r_[p[known], np.ones(missing)])[: known.sum()]
    return q


def bh_resolution(p: np.ndarray, q: np.ndarray, *, family: int, floor: float, alpha: float = 0.05) -> dict:
    """Return whether BH could find anything: at the floor p_min at least F p_min / alpha features are needed.

    Parameters
    ----------
    p, q : ndarray (n_features,)
        Permutation p and BH q.
    family : int
        F, features tested.
    floor : float
        p_min, the smallest p the labellings can give.
    alpha : float
        q level.

    Returns
    -------
    dict
        `bh_resolution` (float, features) and `bh` (one printable line).
    """
    needed = family * floor / alpha
    with np.errstate(invalid="ignore"):
        at_floor, passing = int(np.sum(p <= floor * (1 + 1e-9))), int(np.sum(q <= alpha))
    fewest = max(1, int(np.ceil(needed - 1e-9)))
    line = f"{passing} features with q <= {alpha:g}; fewer than {fewest} could not be found"
    if not passing and (floor > alpha or 0 < at_floor < needed):
        line = (f"BH not resolvable: {needed:.0f} features must reach the smallest p {floor:.3g}, {at_floor} do"
                "; raise permutations or read p_fwe")
    return {"bh_resolution": float(needed), "bh": line}


def larger_p(parts: list[dict], *, alpha: float = 0.05) -> tuple[dict[str, np.ndarray], dict]:
    """Join the inferences of a two-part contrast: p and p_fwe are the larger, q is BH on the larger p.

    Parameters
    ----------
    parts : list of dict
        Each with `pvalue`, `p_fwe` (arrays) and `info` (from `permutation_inference`).
    alpha : float
        q level for the BH line.

    Returns
    -------
    dict of str to ndarray, dict
        `pvalue, p_fwe, q`, and the info of the coarser part with the joint BH resolution.
    """
    arrays = {name: np.maximum(*(part[name] for part in parts)) for name in ("pvalue", "p_fwe")}
    coarser = max((part["info"] for part in parts), key=lambda info: info["min_p"])
    kept = ("permutations", "enumerated", "family", "min_p", "mc_error", "seed")
    info = {key: coarser[key] for key in kept if key in coarser}
    info["family"] = max(part["info"]["family"] for part in parts)
    arrays["q"] = bh(arrays["pvalue"], family=info["family"])
    info |= bh_resolution(arrays["pvalue"], arrays["q"], family=info["family"], floor=info["min_p"], alpha=alpha)
    return arrays, info
