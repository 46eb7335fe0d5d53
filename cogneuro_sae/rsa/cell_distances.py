"""Dissimilarities over pairs of cells, from cell means or from given RDMs, for partial fits and partitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import CellTable, cell_table, design_rows, group_means
from cogneuro_sae.rsa.distances import DISTANCES, feature_sets, pair_distances
from cogneuro_sae.rsa.pairs import Pairs, cross_item_pairs, sum_pairs
from cogneuro_sae.rsa.sources import PairSimilarities

BLOCK = 2**22


def orthonormal(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of some columns; columns that repeat others add nothing.

    Parameters
    ----------
    columns : ndarray (n, n_columns)
        Any scale.

    Returns
    -------
    ndarray (n, rank) float64
    """
    norms = np.linalg.norm(columns, axis=0)
    left, size, _ = np.linalg.svd(columns[:, norms > 0] / norms[norms > 0], full_matrices=False)
    return left[:, size > 1e-9 * size[0]]


@dataclass(frozen=True, eq=False)
class CellDistances:
    """Dissimilarities over pairs of cells, made from cell means when there are any.

    Parameters
    ----------
    pairs : Pairs
        Kept pairs of cells.
    means : ndarray (n_cells, n_features) or None
        Cell means; None: given RDMs.
    given : ndarray (n_rdms, n_cell_pairs) or None
        Given dissimilarities over the kept pairs, NaN = missing.
    sets : list of ndarray or None
        Feature sets; None: every feature by itself.
    metric : str
        A name of DISTANCES.
    """

    pairs: Pairs
    means: np.ndarray | None
    given: np.ndarray | None = None
    sets: list | None = None
    metric: str = "sqeuclidean"

    @property
    def n_features(self) -> int:
        """Number of RDMs."""
        return len(self.given) if self.means is None else self.means.shape[1] if self.sets is None else len(self.sets)

    @property
    def at_once(self) -> int:
        """How many RDMs are made together."""
        return max(1, BLOCK // len(self.pairs.cell_first))

    def blocks(self):
        """Yield (start, stop) of the RDMs that are made together."""
        for start in range(0, self.n_features, self.at_once):
            yield start, min(start + self.at_once, self.n_features)

    def block(self, means: np.ndarray | None, start: int, stop: int) -> np.ndarray:
        """Dissimilarities of some RDMs.

        Parameters
        ----------
        means : ndarray (n_cells, n_features) or None
            Cell means, the observed or moved ones; None for given RDMs.
        start, stop : int
            Which RDMs.

        Returns
        -------
        ndarray (stop - start, n_cell_pairs) float64
        """
        if means is None:
            return self.given[start:stop]
        first, second = self.pairs.cell_first, self.pairs.cell_second
        if self.sets is None:
            columns = np.ascontiguousarray(means[:, start:stop].T)
            return (columns[:, first] - columns[:, second]) ** 2
        n = len(means)
        place = first * (2 * n - first - 1) // 2 + second - first - 1
        return np.array([DISTANCES[self.metric](means[:, each])[place] for each in self.sets[start:stop]])

    def set_means(self) -> np.ndarray:
        """Mean over the features of each set, `(n_cells, n_rdms)`."""
        if self.sets is None:
            return self.means
        return np.array([self.means[:, each].mean(axis=1) for each in self.sets]).T


def cell_distances(given, design, pairs: Pairs, *, sets=None, metric: str = "sqeuclidean") -> CellDistances:
    """Bring pooled values or RDMs to the kept pairs of cells.

    Parameters
    ----------
    given : ndarray (n_stimuli, n_features), rsatoolbox.rdm.RDMs or PairSimilarities
        Pooled values, RDMs over stimuli or cells, or profile correlations (1 - r).
    design : Design
        Rows, items and cells.
    pairs : Pairs
        Kept pairs of cells.
    sets : sequence of array_like of int, optional
        Feature sets; default every feature by itself.
    metric : str
        A name of DISTANCES.

    Returns
    -------
    CellDistances

    Raises
    ------
    InputError
        Unknown metric, a metric that one feature has not, sets beside RDMs, values that are not finite.
    """
    if metric not in DISTANCES:
        raise unknown_name("distance", metric, DISTANCES)
    table = cell_table(design)
    if hasattr(given, "get_vectors") or isinstance(given, PairSimilarities):
        if sets is not None:
            raise InputError("given RDMs are of sets already", where="sets", do="leave sets out")
        matched = isinstance(given, PairSimilarities)
        source = given.rows(design_rows(len(given), design)) if matched else pair_distances(given, design)
        return CellDistances(pairs, None, _averaged(source, table))
    X = np.asarray(given, np.float64)
    if X.ndim != 2 or not np.isfinite(X).all():
        raise InputError(f"X has shape {X.shape}, {int((~np.isfinite(X)).sum())} values are not finite",
                         allowed="finite (n_stimuli, n_features), or rsatoolbox RDMs")
    if sets is None and metric != "sqeuclidean":
        raise InputError(f"one feature has no {metric} distance", allowed="sqeuclidean", do="give sets=")
    columns = None if sets is None else feature_sets(sets, X.shape[1])
    return CellDistances(pairs, group_means(X[design_rows(len(X), design)], table.index), None, columns, metric)


def _averaged(source: PairSimilarities, table: CellTable) -> np.ndarray:
    """Dissimilarities averaged over the valid row pairs of each kept pair of cells, `(n_rdms, n_cell_pairs)`."""
    rows, parts = cross_item_pairs(table.index, table.item), []
    step = max(1, BLOCK // len(rows.first))
    for start in range(0, source.n_features, step):
        values = source.pairs(start, min(start + step, source.n_features), rows.first, rows.second)
        sums = sum_pairs(1 - values if source.correlation else values, rows)
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append(np.where(sums.count > 0, sums.total / sums.count, np.nan))
    return np.concatenate(parts)
