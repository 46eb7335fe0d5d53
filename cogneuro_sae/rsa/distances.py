"""Distances between stimuli over feature sets, and RDMs made anywhere as data of rsa_map (docs/methods.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.distance import pdist

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import cell_table, design_rows, group_means
from cogneuro_sae.rsa.maps import rsa_map
from cogneuro_sae.rsa.sources import PairSimilarities


def squared_euclidean(X: np.ndarray) -> np.ndarray:
    """Mean over features of (x_i - x_j)^2, rsatoolbox's "euclidean".

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Patterns.

    Returns
    -------
    ndarray (n_stimuli (n_stimuli - 1) / 2,) float64
        Squared units of X.
    """
    return pdist(X, "sqeuclidean") / X.shape[1]


def correlation_distance(X: np.ndarray) -> np.ndarray:
    """1 - r between patterns.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Patterns, at least 2 features.

    Returns
    -------
    ndarray (n_stimuli (n_stimuli - 1) / 2,) float64
        0 to 2, NaN where a pattern is constant.

    Raises
    ------
    InputError
        A single feature.
    """
    if X.shape[1] < 2:
        raise InputError("one feature has no correlation distance", do='use metric="sqeuclidean"')
    raw = np.linalg.norm(X, axis=1)
    return _one_minus_cosine(X - X.mean(axis=1, keepdims=True), raw)


def cosine_distance(X: np.ndarray) -> np.ndarray:
    """1 - cosine between patterns.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Patterns.

    Returns
    -------
    ndarray (n_stimuli (n_stimuli - 1) / 2,) float64
        0 to 2, NaN where a pattern is zero.
    """
    return _one_minus_cosine(X, np.linalg.norm(X, axis=1))


def _one_minus_cosine(X: np.ndarray, raw: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(X, axis=1)
    unit = X / np.where((norm > 1e-9 * raw) & (norm > 0), norm, np.nan)[:, None]
    return 1 - (unit @ unit.T)[np.triu_indices(len(X), 1)]


DISTANCES: dict[str, Callable] = {"sqeuclidean": squared_euclidean, "correlation": correlation_distance,
                                  "cosine": cosine_distance}


def distance_rdms(X: np.ndarray, *, metric: str = "correlation", sets=None, ids=None):
    """RDMs over stimuli, one per feature set.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values.
    metric : str
        A name of DISTANCES. For crossnobis see `crossnobis_rdms`, which needs cells and folds.
    sets : sequence of array_like of int, optional
        Feature sets; default one set of all. `[[0], [1]]` gives an RDM per feature.
    ids : sequence of str, optional
        Stimulus ids; default 0, 1, 2 ...

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Pattern descriptor `id`, rdm descriptor `set`; NaN where a pattern has no distance (constant, zero).

    Raises
    ------
    InputError
        Unknown metric, wrong shapes, values that are not finite.
    """
    if metric not in DISTANCES:
        raise unknown_name("distance", metric, DISTANCES)
    X = np.asarray(X, np.float64)
    if X.ndim != 2 or len(X) < 3:
        raise InputError(f"X has shape {X.shape}", where="distance_rdms", allowed="(n_stimuli >= 3, n_features)")
    if not np.isfinite(X).all():
        raise InputError(f"{int((~np.isfinite(X)).sum())} values are missing or infinite", where="distance_rdms")
    ids = [str(i) for i in range(len(X))] if ids is None else [str(i) for i in ids]
    if len(ids) != len(X):
        raise InputError(f"{len(ids)} ids for {len(X)} stimuli", where="distance_rdms")
    columns = feature_sets(sets, X.shape[1])
    return as_rdms(np.array([DISTANCES[metric](X[:, each]) for each in columns]), metric, {"id": ids})


def feature_sets(sets, n_features: int) -> list[np.ndarray]:
    """Return feature sets as index arrays.

    Parameters
    ----------
    sets : sequence of array_like of int or None
        Feature sets; None: one set of all.
    n_features : int
        Features there are.

    Returns
    -------
    list of ndarray of int64

    Raises
    ------
    InputError
        An empty set, or a feature that does not exist.
    """
    found = [np.arange(n_features)] if sets is None else [np.asarray(each, np.int64).reshape(-1) for each in sets]
    for number, each in enumerate(found):
        if not len(each) or each.min() < 0 or each.max() >= n_features:
            raise InputError(f"the set holds {each[:5].tolist()}", where=f"feature set {number}",
                             allowed=f"at least one of the features 0 to {n_features - 1}")
    return found


def as_rdms(values: np.ndarray, measure: str, patterns: dict, **descriptors):
    """Dissimilarities as an rsatoolbox object.

    Parameters
    ----------
    values : ndarray (n_rdms, n_pairs)
        Upper triangles, row by row.
    measure : str
        Name of the dissimilarity.
    patterns : dict of str to list
        Pattern descriptors.
    **descriptors : list
        More rdm descriptors, one entry per RDM.

    Returns
    -------
    rsatoolbox.rdm.RDMs
    """
    import rsatoolbox

    return rsatoolbox.rdm.RDMs(values, dissimilarity_measure=measure, pattern_descriptors=patterns,
                               rdm_descriptors={"set": list(range(len(values))), **descriptors})


class PairDistances(PairSimilarities):
    """Given dissimilarities of all pairs of stimuli or cells, in the place of similarities computed from tokens.

    Parameters
    ----------
    r : ndarray (n_features, n (n - 1) / 2) float64
        Dissimilarities in the order of the upper triangle, NaN = missing.
    token_means : ndarray (n, n_features)
        Mean activation, for the direction; zeros where it is not known.
    index : ndarray (n_rows,) int64
        Which of the n each row of the design is.
    """

    correlation = False

    def rows(self, index: np.ndarray) -> PairDistances:
        """Return a view of some rows.

        Parameters
        ----------
        index : ndarray of int or bool
            Rows wanted.

        Returns
        -------
        PairDistances
        """
        return PairDistances(self.r, self.token_means, self.index[index])


def pair_distances(rdms, design, *, X: np.ndarray | None = None, sets=None) -> PairDistances:
    """Match RDMs over stimuli or over cells to the rows of a design.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Over the stimuli of the table, the design's rows, or its cells in their order (`crossnobis_rdms`).
    design : Design
        Rows, items and cells.
    X : ndarray (n_stimuli, n_features), optional
        Pooled values, for the direction of each RDM's mean activation.
    sets : sequence of array_like of int, optional
        Features of each RDM; default one feature per RDM when the numbers agree, else all.

    Returns
    -------
    PairDistances

    Raises
    ------
    InputError
        RDMs that fit neither the table, the rows nor the cells, or sets that do not fit the RDMs.
    """
    table = cell_table(design)
    values = np.asarray(rdms.get_vectors(), np.float64)
    n, n_rows = rdms.n_cond, len(table.index)
    over_cells = n == len(table.item) and n != n_rows
    index = table.index if over_cells else design_rows(n, design)
    means = np.zeros((n, len(values)))
    if X is not None:
        X = np.asarray(X, np.float64)
        X = X[design_rows(len(X), design)]
        if sets is None:
            sets = [[f] for f in range(X.shape[1])] if X.shape[1] == len(values) else [np.arange(X.shape[1])]
        columns = feature_sets(sets, X.shape[1])
        if len(columns) != len(values):
            raise InputError(f"{len(columns)} feature sets for {len(values)} RDMs", do="give sets=, one per RDM")
        of_sets = np.array([X[:, each].mean(axis=1) for each in columns]).T
        means[index if not over_cells else slice(None)] = group_means(of_sets, table.index) if over_cells else of_sets
    return PairDistances(values, means, np.asarray(index))


def rdm_map(rdms, design, *, score: str = "model", model=None, labels=None, X: np.ndarray | None = None, sets=None,
            permutations: int = 0, seed: int = 0, tail: str = "positive", alpha: float = 0.05) -> FeatureMap:
    """Fit a model to given RDMs (warped, crossnobis, from elsewhere) with the permutations that the design allows.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One RDM per feature or set, over the table's stimuli, the design's rows or its cells; NaN = missing pair.
    design : Design
        Rows, labels, items, cells and scheme.
    score : str
        "model", or a class score of `rsa_map` with minus the dissimilarity as similarity; signed dissimilarities
        (crossnobis) allow "model" only.
    model : optional
        Model RDM for score "model", as `rsa_map` takes it.
    labels : array_like, optional
        Labels of a named model.
    X : ndarray (n_stimuli, n_features), optional
        Pooled values, for the direction.
    sets : sequence of array_like of int, optional
        Features of each RDM.
    permutations : int
        0: values only.
    seed : int
        Seed of sampled labellings.
    tail : str
        "positive" | "negative" | "two-sided".
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.

    Returns
    -------
    FeatureMap
        One value per RDM, over cross-item pairs.

    Raises
    ------
    InputError
        What `rsa_map` refuses, a class score on signed dissimilarities, or RDMs that do not fit the design.
    """
    given = pair_distances(rdms, design, X=X, sets=sets)
    if score != "model" and (given.r < 0).any():
        raise InputError(f"{score} has no scale on dissimilarities below 0", where=rdms.dissimilarity_measure,
                         allowed="model", do='use score="model", such as model="categorical"')
    found = rsa_map(given, design, score=score, model=model, labels=labels, permutations=permutations, seed=seed,
                    tail=tail, alpha=alpha)
    unread = ("window", "align", "min_common", "min_active")
    info = {name: value for name, value in found.info.items() if name not in unread}
    return replace(found, name=f"rsa_{score}_rdm", info=info | {"variant": f"given: {rdms.dissimilarity_measure}"})
