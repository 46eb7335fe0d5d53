"""The RSA scores as selection criteria (docs/methods.md): quick, without permutations, over cross-item pairs only."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.rsa import pair_similarities
from cogneuro_sae.rsa.class_scores import categorical, coherence, discriminative
from cogneuro_sae.rsa.models import categorical_model
from cogneuro_sae.rsa.pairs import cross_item_pairs, sum_pairs
from cogneuro_sae.rsa.pooled import pooled_corr
from cogneuro_sae.rsa.profiles import DistributionSource
from cogneuro_sae.rsa.statistics import model_statistic
from cogneuro_sae.selection.arrays import cell_codes, cell_means
from cogneuro_sae.selection.names import VARIANTS
from cogneuro_sae.selection.pairs import ClassMeans, PairTable, pair_table
from cogneuro_sae.selection.sources import Sources

MIN_VALID = 5
BLOCK = 256


def rsa_discriminative(X, y, *, groups, sources=None, variant: str = "profile", min_tokens: int = 8,
                       min_active: int = 2,
                       min_valid: int = MIN_VALID) -> FeatureMap:
    """D = mean z over A-A minus mean z over A-B pairs of token profiles.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values, for `direction`.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items; pairs inside one do not enter.
    sources : Sources
        With `profiles` or `pairs`.
    variant : str
        "profile"; one pooled scalar is an error (docs/methods.md).
    min_tokens : int
        Common tokens of a valid pair.
    min_active : int
        Active tokens of each of its profiles.
    min_valid : int
        Valid items in A and in B that make a feature with silent stimuli estimable.

    Returns
    -------
    FeatureMap
        Fisher z; NaN with a reason where not estimable.

    Raises
    ------
    InputError
        No token profiles, or another variant.
    """
    _variant("rsa_discriminative", variant)
    means = _means(sources, y, groups, min_tokens, min_active, "rsa_discriminative")
    return _profile_map("rsa_discriminative", discriminative(*means[:3]), means, X, y, groups, sources, min_valid)


def rsa_coherence(X, y, *, groups, sources=None, variant: str = "profile", min_tokens: int = 8, min_active: int = 2,
                  min_valid: int = MIN_VALID) -> FeatureMap:
    """Mean z over A-A minus mean z over B-B pairs of token profiles (study C's "categorical").

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values, for `direction`.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items; pairs inside one do not enter.
    sources : Sources
        With `profiles` or `pairs`.
    variant : str
        "profile"; one pooled scalar is an error (docs/methods.md).
    min_tokens : int
        Common tokens of a valid pair.
    min_active : int
        Active tokens of each of its profiles.
    min_valid : int
        Valid items in A and in B that make a feature with silent stimuli estimable.

    Returns
    -------
    FeatureMap
        Fisher z.

    Raises
    ------
    InputError
        No token profiles, or another variant.
    """
    _variant("rsa_coherence", variant)
    means = _means(sources, y, groups, min_tokens, min_active, "rsa_coherence")
    return _profile_map("rsa_coherence", coherence(*means[:3]), means, X, y, groups, sources, min_valid)


def rsa_categorical(X, y, *, groups, sources=None, variant: str = "profile", min_tokens: int = 8, min_active: int = 2,
                    min_valid: int = MIN_VALID) -> FeatureMap:
    """(mean_AA + mean_BB)/2 - mean_AB of z (profile), or the correlation of the feature's RDM with the two-class RDM.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items; pairs inside one do not enter.
    sources : Sources, optional
        With `profiles` or `pairs` for the variants profile and distribution.
    variant : str
        "profile" | "distribution" (quantile functions, squared 2-Wasserstein) | "pooled" (squared difference of cell
        means).
    min_tokens : int
        Common tokens of a valid pair (profile).
    min_active : int
        Active tokens of each of its profiles (profile).
    min_valid : int
        Valid items in A and in B that make a feature with silent stimuli estimable (profile).

    Returns
    -------
    FeatureMap
        Fisher z (profile) or a correlation.

    Raises
    ------
    InputError
        Unknown variant, or no token profiles where they are needed.
    """
    _variant("rsa_categorical", variant)
    if variant == "profile":
        means = _means(sources, y, groups, min_tokens, min_active, "rsa_categorical")
        return _profile_map("rsa_categorical", categorical(*means[:3]), means, X, y, groups, sources, min_valid)
    return _scalar_map("rsa_categorical", variant, X, y, groups, _given(sources), None)


def rsa_model(X, y, *, groups, sources=None, variant: str = "pooled", min_tokens: int = 8, min_active: int = 2,
              min_valid: int = MIN_VALID, model: str = "categorical") -> FeatureMap:
    """Correlation of a feature's RDM with a model RDM over cross-item pairs.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels; also the model when it is "categorical".
    groups : ndarray (n_rows,)
        Items; pairs inside one do not enter.
    sources : Sources, optional
        `model` (dissimilarities of the rows) unless the model is "categorical"; `profiles` where needed.
    variant : str
        "profile" (RDM 1 - r, compared as -z) | "distribution" | "pooled".
    min_tokens : int
        Common tokens of a valid pair (profile).
    min_active : int
        Active tokens of each of its profiles (profile).
    min_valid : int
        Valid items in A and in B that make a feature with silent stimuli estimable (profile).
    model : str
        "categorical", or the name of what `sources.model` holds.

    Returns
    -------
    FeatureMap
        Pearson correlation.

    Raises
    ------
    InputError
        Unknown variant, no model dissimilarities, or no token profiles where they are needed.
    """
    _variant("rsa_model", variant)
    sources = _given(sources)
    if model != "categorical":
        sources.require({"model"}, score="rsa_model")
    distances = None if model == "categorical" else np.asarray(sources.model, np.float64)
    if variant != "profile":
        return _scalar_map("rsa_model", variant, X, y, groups, sources, distances)
    table = _table(sources, groups, min_tokens, min_active, "rsa_model")
    pairs, a, b = table.placed(groups)
    target = (y[a] != y[b]).astype(float) if distances is None else distances[a, b]
    known = ~np.isnan(target)
    value = _masked_correlation(table, pairs[known], target[known])
    return _profile_map("rsa_model", -value, table.class_means(y, groups), X, y, groups, sources, min_valid)


def _given(sources: Sources | None) -> Sources:
    return Sources() if sources is None else sources


def _variant(name: str, variant: str) -> None:
    if variant in VARIANTS[name]:
        return
    if variant in ("pooled", "distribution"):
        raise InputError(f"{name} has no variant {variant!r}: on one pooled scalar its expectation grows with the "
                         "foils' variance", allowed="profile", do="use rsa_categorical or rsa_model")
    raise unknown_name(f"variant of {name}", variant, VARIANTS[name])


def _table(sources: Sources | None, groups, min_tokens: int, min_active: int, name: str) -> PairTable:
    sources = _given(sources)
    if sources.pairs is not None and (min_tokens, min_active) == (8, 2):
        return sources.pairs
    sources.require({"profiles"}, score=name)
    similarities = pair_similarities(sources.profiles, min_common=min_tokens, min_active=min_active)
    return pair_table(similarities, groups)


def _means(sources, y, groups, min_tokens, min_active, name) -> ClassMeans:
    return _table(sources, groups, min_tokens, min_active, name).class_means(y, groups)


def _masked_correlation(table: PairTable, pairs: np.ndarray, target: np.ndarray) -> np.ndarray:
    z, valid = table.z[pairs].astype(np.float64), table.valid[pairs]
    n = valid.sum(axis=0)
    target = target - target.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        sz, sm = z.sum(axis=0), target @ valid
        covariance = target @ z - sz * sm / n
        spread = ((z**2).sum(axis=0) - sz**2 / n) * (target**2 @ valid - sm**2 / n)
        return np.where(spread > 1e-20, covariance / np.sqrt(spread), np.nan)


def _profile_map(name, value, means: ClassMeans, X, y, groups, sources, min_valid: int) -> FeatureMap:
    few = means.gaps & (means.n_valid < min_valid).any(axis=1)
    undefined = np.isnan(value) & ~few
    value = np.where(few, np.nan, value)
    reasons = {f"fewer than {min_valid} valid items in A or in B": int(few.sum()),
               "no valid pair of one kind": int(undefined.sum())}
    return FeatureMap(value, name, direction=_direction(X, y, groups, _given(sources)), n_valid=means.n_valid,
                      reasons={text: count for text, count in reasons.items() if count})


def _direction(X, y, groups, sources: Sources) -> np.ndarray:
    cells = cell_means(X, y, groups, sources.cells)
    return np.sign(cells.X[cells.y == 1].mean(axis=0) - cells.X[cells.y == 0].mean(axis=0)).astype(np.int8)


def _scalar_map(name, variant, X, y, groups, sources: Sources, distances) -> FeatureMap:
    index = cell_codes(y, groups, sources.cells)
    cells = cell_means(X, y, groups, sources.cells)
    items = np.unique(cells.groups, return_inverse=True)[1].reshape(-1)
    model = categorical_model(cells.y) if distances is None else _over_cells(distances, index)
    if variant == "pooled":
        value = pooled_corr(cells.X, np.nan_to_num(model), mask=(items[:, None] != items) & ~np.isnan(model))
    else:
        sources.require({"profiles"}, score=name)
        value = _distribution_fit(sources.profiles, model, index, items)
    still = np.isnan(value)
    return FeatureMap(value, name, direction=_direction(X, y, groups, sources),
                      reasons={"its RDM does not vary": int(still.sum())} if still.any() else {})


def _over_cells(distances: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Mean of the known dissimilarities of each pair of cells; NaN where none is known."""
    member, known = np.eye(index.max() + 1)[:, index], ~np.isnan(distances)
    total, count = member @ np.where(known, distances, 0.0) @ member.T, member @ known @ member.T
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _distribution_fit(tokens, model: np.ndarray, index: np.ndarray, items: np.ndarray) -> np.ndarray:
    pairs, source = cross_item_pairs(index, items), DistributionSource(tokens)
    wanted = model[pairs.cell_first, pairs.cell_second][None]
    known = ~np.isnan(wanted)
    value = np.full(tokens.n_features, np.nan)
    for start in range(0, tokens.n_features, BLOCK):
        stop = min(start + BLOCK, tokens.n_features)
        sums = sum_pairs(source.pairs(start, stop, pairs.first, pairs.second), pairs)
        sums = sums._replace(total=np.where(known, sums.total, 0.0), count=np.where(known, sums.count, 0.0))
        value[start:stop] = model_statistic(sums, pairs, lambda rows: np.nan_to_num(wanted[rows]), 1)[0]
    return value
