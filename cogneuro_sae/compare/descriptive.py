"""Refit on all discovery items: full maps with permutation p, the features each cell would choose; descriptive."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.compare.cells import rank
from cogneuro_sae.compare.config import CompareConfig, SelectorSpec
from cogneuro_sae.compare.inputs import Concept
from cogneuro_sae.compare.views import View
from cogneuro_sae.contrasts import CONTRASTS, contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.rsa import PairSimilarities, rsa_map
from cogneuro_sae.selection.arrays import cell_means
from cogneuro_sae.selection.permuted import permuted_map
from cogneuro_sae.selection.ranking import flips

RESAMPLES = 1000
SLOW = ("sparse_probe",)
COLUMNS = ("concept", "contrast", "representation", "site", "window", "pooling", "selector", "k", "ensemble", "rank",
           "feature",
           "score", "effect", "effect_name", "ci_low", "ci_high", "pvalue", "p_fwe", "q", "direction", "sign",
           "share_of_folds", "inference")


class Refit(NamedTuple):
    """One criterion on all discovery items.

    Parameters
    ----------
    order : ndarray (n,) int64
        Features as the selector would take them.
    signs : ndarray (n_features,) int8
        -1 where a signed unit entered flipped.
    value : ndarray (n_features,)
        The selector's score.
    map : FeatureMap
        Signed map with permutation p where there is one.
    """

    order: np.ndarray
    signs: np.ndarray
    value: np.ndarray
    map: FeatureMap


def refit(view: View, spec: SelectorSpec, concept: Concept, config: CompareConfig, *, seed: int,
          similarities: PairSimilarities | None = None) -> Refit:
    """Rank and map the features of a view on all discovery items.

    Parameters
    ----------
    view : View
        Features.
    spec : SelectorSpec
        Criterion.
    concept : Concept
        Design.
    config : CompareConfig
        Its permutations.
    seed : int
        Of the permutations.
    similarities : PairSimilarities, optional
        Profile correlations of the design rows, where they are known.

    Returns
    -------
    Refit

    Raises
    ------
    InputError
        The criterion cannot be computed here.
    """
    rows = np.arange(len(concept.design))
    feats = view.fitted(rows)
    ranking = rank(view, spec, feats, rows, concept.task)
    try:
        found = _tested(view, spec, concept, feats, config.permutations, seed, similarities)
    except InputError as error:
        found = replace(ranking.map, info={"not_tested": str(error)})
    if found is None:
        found = replace(ranking.map, info={"not_tested": _untested(spec.name, config.permutations)})
    found = replace(found, name=spec.label, site=view.site, info={**found.info, "descriptive": True})
    return Refit(ranking.order, ranking.signs, ranking.map.value, found)


def _untested(name: str, permutations: int) -> str:
    if not permutations:
        return "permutations: 0"
    return "a full fit per labelling is not made" if name in SLOW else "the criterion does not look at labels"


def _tested(view, spec, concept, feats, permutations, seed, similarities) -> FeatureMap | None:
    design, X = concept.design, feats.X
    if spec.name in CONTRASTS:
        return contrast_map(X, design, score=spec.name, permutations=permutations, seed=seed)
    if not permutations or spec.name in SLOW:
        return None
    if spec.name.startswith("rsa_"):
        return _rsa(view, spec, concept, feats, permutations, seed, similarities)
    from cogneuro_sae.selection.scores import SCORES

    if not getattr(SCORES.get(spec.name), "labels", True):
        return None
    y, groups = concept.task.y, concept.task.groups
    found = permuted_map(spec.name, X, y, groups, sources=feats.sources, scheme=design.scheme, signed=view.signed,
                         permutations=permutations, seed=seed, **spec.options)
    # the map's direction is that of the units as they are; `sign` beside it tells which entered flipped
    if not view.signed or found.direction is None:
        return found
    return replace(found, direction=found.direction * flips(X, y, groups, feats.sources.cells))


def _rsa(view, spec, concept, feats, permutations, seed, similarities) -> FeatureMap:
    options, score = dict(spec.options), spec.name.removeprefix("rsa_")
    variant = options.get("variant", "pooled" if score == "model" else "profile")
    common = {"permutations": permutations, "seed": seed, "variant": variant, "min_items": options.get("min_valid", 5),
              "min_common": options.get("min_tokens", 8), "min_active": options.get("min_active", 2)}
    # on one value per stimulus the categorical score is the fit to the two-class model RDM
    if score == "model" or (score == "categorical" and variant != "profile"):
        name = options.get("model", "categorical")
        common |= {"model": "categorical" if name == "categorical" else concept.task.models[name]}
        score = "model"
    given = feats.X if variant == "pooled" else feats.sources.profiles
    if variant == "profile" and similarities is not None and (common["min_common"], common["min_active"]) == (8, 2):
        given = similarities
    return rsa_map(given, concept.design, score=score, **common)


def feature_rows(view: View, spec: SelectorSpec, k: int, ensemble: str, concept: Concept, found: Refit,
                 rows: list[dict], *,
                 seed: int) -> list[dict]:
    """Return the rows of features.csv of one cell.

    Parameters
    ----------
    view, spec, k, ensemble : object
        The cell.
    concept : Concept
        Design.
    found : Refit
        From `refit`.
    rows : list of dict
        The cell's rows of the table, for the share of folds.
    seed : int
        Of the item bootstrap.

    Returns
    -------
    list of dict
        Best feature first.
    """
    chosen = found.order[:k]
    X = view.fitted(np.arange(len(concept.design))).X[:, chosen]
    effect, low, high, name = effects(X, concept, seed=seed)
    folds = [set(row["features"].split()) for row in rows if row["status"] == "ok"]
    table = []
    for place, feature in enumerate(chosen):
        share = float(np.mean([str(feature) in each for each in folds])) if folds else np.nan
        row = {"concept": concept.task.concept, "contrast": concept.task.contrast, "representation": view.name,
               "site": view.site, "window": view.window, "pooling": view.pooling, "selector": spec.label, "k": k,
               "ensemble": ensemble, "rank": place + 1, "feature": int(feature), "score": float(found.value[feature]),
               "effect": effect[place], "effect_name": name, "ci_low": low[place], "ci_high": high[place],
               "sign": int(found.signs[feature]), "share_of_folds": share, "inference": "descriptive"}
        for column in ("pvalue", "p_fwe", "q", "direction"):
            array = getattr(found.map, column)
            row[column] = np.nan if array is None else array[feature]
        table.append(row)
    return table


def effects(X: np.ndarray, concept: Concept, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Return effect sizes with 95 % percentile intervals from resampling items.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Selected columns.
    concept : Concept
        Design.
    seed : int
        Of the resamples.

    Returns
    -------
    tuple of (effect, low, high, name)
        d_z of item differences for matched designs, else Hedges g over cells.
    """
    design = concept.design
    cells = cell_means(X, design.y, design.groups, design.cells)
    rng = np.random.default_rng(seed)
    if design.matched:
        items = np.unique(cells.groups)
        difference = np.stack([cells.X[(cells.groups == item) & (cells.y == 1)].mean(axis=0)
                               - cells.X[(cells.groups == item) & (cells.y == 0)].mean(axis=0) for item in items])
        draws = [_dz(difference[rng.integers(0, len(items), len(items))]) for _ in range(RESAMPLES)]
        return _dz(difference), *_interval(draws), "d_z"
    sides = [cells.X[cells.y == label] for label in (1, 0)]
    draws = [_hedges(*(side[rng.integers(0, len(side), len(side))] for side in sides)) for _ in range(RESAMPLES)]
    return _hedges(*sides), *_interval(draws), "hedges_g"


def _dz(difference: np.ndarray) -> np.ndarray:
    sd = difference.std(axis=0, ddof=1)
    return np.divide(difference.mean(axis=0), sd, out=np.full(len(sd), np.nan), where=sd > 0)


def _hedges(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    df = len(a) + len(b) - 2
    pooled = np.sqrt(((len(a) - 1) * a.var(axis=0, ddof=1) + (len(b) - 1) * b.var(axis=0, ddof=1)) / df)
    gap = a.mean(axis=0) - b.mean(axis=0)
    return np.divide(gap, pooled, out=np.full(len(gap), np.nan), where=pooled > 0) * (1 - 3 / (4 * df - 1))


def _interval(draws: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    stacked = np.array(draws)
    if not stacked.shape[1]:
        return np.zeros(0), np.zeros(0)
    low, high = np.nanpercentile(stacked, [2.5, 97.5], axis=0)
    return low, high
