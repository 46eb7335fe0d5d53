"""Scores on pooled values: activation maxima, class differences, thresholds, a sparse probe (docs/methods.md)."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.selection.arrays import Cells, cell_means
from cogneuro_sae.selection.sources import Sources


def feature_map(name: str, value: np.ndarray, X: np.ndarray, y: np.ndarray, groups: np.ndarray, sources: Sources, *,
                directed: bool = True, center: float = 0.0) -> FeatureMap:
    """Wrap a score's values: constant features become NaN with a reason, direction = sign(mean_A - mean_B) over cells.

    Parameters
    ----------
    name : str
        Name of the score.
    value : ndarray (n_features,)
        Values in the score's own unit.
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources
        For the cells.
    directed : bool
        False for label-free scores: the map then has no direction.
    center : float
        The score's value without an effect.

    Returns
    -------
    FeatureMap
    """
    still = np.ptp(X, axis=0) == 0
    value = np.where(still, np.nan, value)
    reasons = {"constant over the stimuli": int(still.sum())} if still.any() else {}
    unknown = int(np.isnan(value).sum() - still.sum())
    if unknown:
        reasons["not estimable on these stimuli"] = unknown
    direction = None
    if directed:
        means = cell_means(X, y, groups, sources.cells)
        direction = np.sign(means.X[means.y == 1].mean(0) - means.X[means.y == 0].mean(0)).astype(np.int8)
    return FeatureMap(value, name, direction=direction, reasons=reasons, center=center)


def _given(sources: Sources | None) -> Sources:
    return Sources() if sources is None else sources


def _unsigned(X: np.ndarray, name: str) -> None:
    if np.min(X, initial=0.0) < 0:
        raise InputError(f"the score {name!r} thresholds at zero or above and is refused on signed units",
                         allowed="SAE latents or other non-negative features", do="choose another score for raw units")


def max_any(X, y, *, groups, sources=None) -> FeatureMap:
    """Largest value over all stimuli, whatever their label: study C's baseline, a straw man kept as such.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,)
        Labels, not used.
    groups : ndarray (n_rows,)
        Items, not used.
    sources : Sources, optional
        Not used.

    Returns
    -------
    FeatureMap
        Unit of X; no direction.
    """
    return feature_map("max_any", X.max(axis=0), X, y, groups, _given(sources), directed=False)


def max_target(X, y, *, groups, sources=None, top: int = 1) -> FeatureMap:
    """Mean of the `top` largest values over A minus the same over B.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources, optional
        For the cells of `direction`.
    top : int
        How many stimuli of each class enter.

    Returns
    -------
    FeatureMap
        Unit of X.

    Raises
    ------
    InputError
        `top` below 1.
    """
    if top < 1:
        raise InputError(f"top is {top}", where="max_target", allowed="1 or more")

    def peak(rows):
        n = min(int(top), len(rows))
        return np.partition(rows, len(rows) - n, axis=0)[len(rows) - n:].mean(axis=0)

    return feature_map("max_target", peak(X[y == 1]) - peak(X[y == 0]), X, y, groups, _given(sources))


def specialist(X, y, *, groups, sources=None, threshold: float = 5.0, quantile: float | None = None) -> FeatureMap:
    """Number of A stimuli above a threshold minus the number of B stimuli above it; +1 needs one text only.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values, non-negative.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources, optional
        Undoes the transform: the threshold is in raw units.
    threshold : float
        Raw units; activation scale grows with depth, so state it or use `quantile`.
    quantile : float, optional
        Use this quantile of all positive raw values instead.

    Returns
    -------
    FeatureMap
        Difference of counts of stimuli.

    Raises
    ------
    InputError
        Signed units, or a quantile outside (0, 1).
    """
    sources = _given(sources)
    _unsigned(X, "specialist")
    above = _above(sources.to_raw(X), threshold, quantile, "specialist")
    value = above[y == 1].sum(0).astype(float) - above[y == 0].sum(0)
    return feature_map("specialist", value, X, y, groups, sources)


def composite(X, y, *, groups, sources=None, threshold: float = 5.0, quantile: float | None = None) -> FeatureMap:
    """Share of A stimuli above a threshold times the mean over A.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values, non-negative.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources, optional
        Undoes the transform: threshold and mean are in raw units.
    threshold : float
        Raw units.
    quantile : float, optional
        Use this quantile of all positive raw values instead.

    Returns
    -------
    FeatureMap
        Raw units.

    Raises
    ------
    InputError
        Signed units, or a quantile outside (0, 1).
    """
    sources = _given(sources)
    _unsigned(X, "composite")
    raw = sources.to_raw(X)
    value = _above(raw, threshold, quantile, "composite")[y == 1].mean(0) * raw[y == 1].mean(0)
    return feature_map("composite", value, X, y, groups, sources)


def _above(raw: np.ndarray, threshold: float, quantile: float | None, name: str) -> np.ndarray:
    if quantile is not None:
        if not 0 < quantile < 1:
            raise InputError(f"quantile is {quantile}", where=name, allowed="between 0 and 1")
        positive = raw[raw > 0]
        threshold = float(np.quantile(positive, quantile)) if len(positive) else np.inf
    return raw > threshold


def sparse_probe(X, y, *, groups, sources=None, C: float = 1.0, stability: int = 0) -> FeatureMap:
    """Weight of an L1 logistic regression over all standardised features, fitted to cell means.

    Parameters
    ----------
    X : ndarray (n_rows, n_features)
        Pooled values.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    sources : Sources, optional
        Cells and seed.
    C : float
        Inverse strength of the penalty.
    stability : int
        0: one fit. Else the number of fits on random halves of the items; the value is then the share of fits with a
        positive minus the share with a negative weight (Meinshausen & Buehlmann 2010).

    Returns
    -------
    FeatureMap
        Log odds per sd, or a signed share; 0 where the weight is exactly 0.

    Raises
    ------
    InputError
        C not positive, or fewer than two items for stability.
    """
    if C <= 0 or stability < 0:
        raise InputError(f"C is {C}, stability {stability}", where="sparse_probe", allowed="C > 0, stability >= 0")
    sources = _given(sources)
    cells = cell_means(X, y, groups, sources.cells)
    if not stability:
        value = _l1_weights(cells, C, sources.seed)
    else:
        value = np.zeros(X.shape[1])
        for half in item_halves(cells, stability, np.random.default_rng(sources.seed)):
            part = Cells(cells.X[half], cells.y[half], cells.groups[half])
            value += np.sign(_l1_weights(part, C, sources.seed)) / stability
    return feature_map("sparse_probe", value, X, y, groups, sources)


def item_halves(cells: Cells, count: int, rng: np.random.Generator):
    """Yield masks of random halves of the items, each with both classes.

    Parameters
    ----------
    cells : Cells
        Cells of a design.
    count : int
        How many halves.
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    iterator of ndarray (n_cells,) bool

    Raises
    ------
    InputError
        Too few items: 100 draws in a row lacked a class.
    """
    items = np.unique(cells.groups)
    for _ in range(count):
        for _ in range(100):
            chosen = rng.choice(items, size=(len(items) + 1) // 2, replace=False)
            half = np.isin(cells.groups, chosen)
            if len(np.unique(cells.y[half])) == 2:
                break
        else:
            raise InputError(f"{len(items)} items are too few for random halves with both classes")
        yield half


def _l1_weights(cells: Cells, C: float, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    spread = cells.X.std(axis=0)
    live = spread > 1e-10 * np.maximum(1.0, np.abs(cells.X).max(axis=0))
    weights = np.zeros(cells.X.shape[1])
    if live.any():
        Z = (cells.X[:, live] - cells.X[:, live].mean(axis=0)) / spread[live]
        model = LogisticRegression(C=C, l1_ratio=1.0, solver="liblinear", class_weight="balanced", random_state=seed,
                                   intercept_scaling=10.0, max_iter=300)
        weights[live] = model.fit(Z, cells.y).coef_[0]
    return weights
