"""The registry of criteria: score(X, y, *, groups, sources=None, **options) -> FeatureMap.

A score carries three marks: `needs` (subset of {"profiles", "raw", "decoder", "model"}), `labels` (whether it looks at
y) and `unsigned` (whether it is refused on signed units). A plain function without marks is taken as label-using and
needing X alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cogneuro_sae.contrasts import CONTRASTS
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.selection import rsa_scores
from cogneuro_sae.selection.arrays import cell_means
from cogneuro_sae.selection.sources import Sources
from cogneuro_sae.selection.univariate import composite, feature_map, max_any, max_target, sparse_probe, specialist

RATE_WINDOW = 0.10
NEAREST = 10


def needs_of(score: Callable, options: dict) -> frozenset[str]:
    """Return what a score needs beside X under given options.

    Parameters
    ----------
    score : callable
        A score.
    options : dict
        Its options; `variant: pooled` lifts the need for profiles.

    Returns
    -------
    frozenset of str
    """
    needs = getattr(score, "needs", frozenset())
    variant = options.get("variant", getattr(score, "variant", None))
    needs = needs - {"profiles"} if variant == "pooled" else needs
    return needs | {"model"} if options.get("model", "categorical") != "categorical" else needs


def _contrast_score(name: str) -> Callable:
    spec = CONTRASTS[name]

    def score(X, y, *, groups, sources=None) -> FeatureMap:
        sources = Sources() if sources is None else sources
        if spec.firing and np.min(X, initial=0.0) < 0:
            raise InputError(f"the score {name!r} counts values above zero and is refused on signed units",
                             allowed="SAE latents or other non-negative features", do="choose another score")
        cells = cell_means(X > 0 if spec.firing else X, y, groups, sources.cells)
        value = spec.kernel(cells.X, cells.y[None], cells.groups)[0]
        return feature_map(name, value, X, y, groups, sources, center=spec.center)

    score.__name__ = score.__qualname__ = name
    score.__doc__ = f"`{name}` of cogneuro_sae.contrasts over cell means, without permutations."
    return score


def random(X, y, *, groups, sources=None) -> FeatureMap:
    """A random number in (0, 1) for every feature that varies: a control, the same for the same seed.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,)
        Labels, not used.
    groups : ndarray (n_rows,)
        Items, not used.
    sources : Sources, optional
        Its seed.

    Returns
    -------
    FeatureMap
        No unit, no direction.
    """
    sources = Sources() if sources is None else sources
    value = 1 - np.random.default_rng(sources.seed).random(X.shape[1])
    return feature_map("random", value, X, y, groups, sources, directed=False)


def rate_matched(X, y, *, groups, sources=None, to=None) -> FeatureMap:
    """Random features whose corpus firing rates match those of given features: a control that knows no label.

    For each feature of `to` in turn one partner is drawn among the features within +-10 % of its firing rate (the ten
    nearest where none is that near); first partners rank before second ones. The features of `to` are never drawn.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,)
        Labels, not used.
    groups : ndarray (n_rows,)
        Items, not used.
    sources : Sources, optional
        Must hold `firing_rate`; its seed.
    to : sequence of int, optional
        Features to be matched; default: a random one after the other of all that vary over the rows (none is then
        barred), so that draws follow the rates of the features these stimuli excite.

    Returns
    -------
    FeatureMap
        Rank-like value in (0, 1], NaN for features not drawn; no direction.

    Raises
    ------
    InputError
        No firing rates.
    """
    sources = Sources() if sources is None else sources
    if sources.firing_rate is None:
        raise InputError("rate_matched needs the features' firing rates on a corpus, which are not there",
                         do="use an SAE folder with sparsity.safetensors")
    rng, rate = np.random.default_rng(sources.seed), np.asarray(sources.firing_rate, np.float64)
    varying = np.ptp(X, axis=0) > 0
    barred = np.zeros(len(rate), bool)
    if to is None:
        anchors = rng.permutation(np.flatnonzero(varying))
    else:
        anchors = rng.permutation(np.asarray(to, np.int64))
        barred[anchors] = True
    free, drawn = varying & ~barred, []
    for anchor in np.concatenate([anchors] * (1 if to is None else 8)) if len(anchors) else anchors:
        candidates = _near_rate(rate, rate[anchor], free)
        if not len(candidates):
            break
        drawn.append(rng.choice(candidates))
        free[drawn[-1]] = False
    value = np.full(X.shape[1], np.nan)
    value[drawn] = 1 - np.arange(len(drawn)) / max(len(drawn), 1)
    return feature_map("rate_matched", value, X, y, groups, sources, directed=False)


def _near_rate(rate: np.ndarray, wanted: float, free: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(free)
    gap = np.abs(rate[known] - wanted)
    near = known[gap <= RATE_WINDOW * wanted]
    return near if len(near) else known[np.argsort(gap, kind="stable")[:NEAREST]]


def bottom_k(X, y, *, groups, sources=None, by: str = "mean_difference") -> FeatureMap:
    """1 / (1 + |v|) of another score v: highest where that score says nothing. A control.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources, optional
        What the other score needs.
    by : str
        Another name of SCORES.

    Returns
    -------
    FeatureMap
        In (0, 1]; no direction.

    Raises
    ------
    InputError
        Unknown score, or `by` is bottom_k.
    """
    if by not in SCORES or by == "bottom_k":
        raise unknown_name("score", by, [name for name in SCORES if name != "bottom_k"], where="bottom_k")
    sources = Sources() if sources is None else sources
    sources.require(needs_of(SCORES[by], {}), score=by)
    other = SCORES[by](X, y, groups=groups, sources=sources)
    value = 1 / (1 + np.abs(other.value - other.center))
    return feature_map("bottom_k", value, X, y, groups, sources, directed=False)


def _marked(score: Callable, *, needs=(), labels: bool = True, unsigned: bool = False, variant: str
            | None = None) -> Callable:
    score.needs, score.labels, score.unsigned, score.variant = frozenset(needs), labels, unsigned, variant
    return score


SCORES: dict[str, Callable] = {
    "max_any": _marked(max_any, labels=False),
    "max_target": _marked(max_target),
    **{name: _marked(_contrast_score(name), unsigned=CONTRASTS[name].firing)
       for name in ("mean_difference", "paired_t", "welch_t", "hedges_g", "auroc", "rate_difference")},
    "specialist": _marked(specialist, unsigned=True),
    "composite": _marked(composite, unsigned=True),
    "rsa_discriminative": _marked(rsa_scores.rsa_discriminative, needs={"profiles"}, variant="profile"),
    "rsa_coherence": _marked(rsa_scores.rsa_coherence, needs={"profiles"}, variant="profile"),
    "rsa_categorical": _marked(rsa_scores.rsa_categorical, needs={"profiles"}, variant="profile"),
    "rsa_model": _marked(rsa_scores.rsa_model, needs={"profiles"}, variant="pooled"),
    "sparse_probe": _marked(sparse_probe),
    "random": _marked(random, labels=False),
    "rate_matched": _marked(rate_matched, labels=False),
    "bottom_k": _marked(bottom_k, labels=False),
}
