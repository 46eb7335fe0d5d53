"""Variance partitioning of RDMs: what concept and nuisances explain alone and together (docs/methods.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_table
from cogneuro_sae.rsa.cell_distances import cell_distances, orthonormal
from cogneuro_sae.rsa.labelled_models import cell_model
from cogneuro_sae.rsa.nuisance import nuisances_of_cells
from cogneuro_sae.rsa.pairs import cross_item_pairs

MOST = 8


@dataclass(frozen=True, eq=False)
class VariancePartition:
    """Explained variance of data RDMs by every subset of predictors. Estimates: there is no p.

    Parameters
    ----------
    names : tuple of str
        Predictors; the first is the concept.
    subsets : tuple of tuple of str
        All subsets of the predictors but the empty one, small ones first.
    r2 : ndarray (n_subsets, n_rdms) float64
        Share of the variance over cross-item cell pairs that a subset explains; NaN for an RDM without variance.
    parts : ndarray (n_subsets, n_rdms) float64
        What exactly the predictors of the subset have in common and no other predictor has; can be below 0
        (suppression). The parts add up to `total`.
    info : dict
        Pairs and measures.
    """

    names: tuple[str, ...]
    subsets: tuple[tuple[str, ...], ...]
    r2: np.ndarray
    parts: np.ndarray
    info: dict = field(default_factory=dict)

    @property
    def total(self) -> np.ndarray:
        """Explained by all predictors, `(n_rdms,)`."""
        return self.r2[-1]

    @property
    def unique(self) -> np.ndarray:
        """Lost when the predictor is left out, `(n_predictors, n_rdms)`."""
        return self.parts[:len(self.names)]

    @property
    def shared(self) -> np.ndarray:
        """Explained by the predictor alone minus its unique part, `(n_predictors, n_rdms)`."""
        return self.r2[:len(self.names)] - self.unique

    def to_frame(self):
        """Return a DataFrame with one row per RDM and predictor: rdm, predictor, alone, unique, shared, total."""
        import pandas as pd

        n, k = self.r2.shape[1], len(self.names)
        return pd.DataFrame({"rdm": np.repeat(np.arange(n), k), "predictor": list(self.names) * n,
                             "alone": self.r2[:k].T.ravel(), "unique": self.unique.T.ravel(),
                             "shared": self.shared.T.ravel(), "total": np.repeat(self.total, k)})


def variance_partition(given, design, *, nuisance, model="categorical", labels=None, sets=None,
                       metric: str = "sqeuclidean", name: str = "concept") -> VariancePartition:
    """Partition the variance of data RDMs over cross-item cell pairs between a concept's model and nuisance RDMs.

    R^2 of least squares with a constant, for all subsets S of the predictors; the common part of S is
    C(S) = sum over T in S of (-1)^(|T| + 1) R^2(T and all predictors outside S) (commonality analysis, Newton and
    Spurrell 1967), so that unique = C({j}) = R^2(all) - R^2(all but j). R^2 is not adjusted, and pairs are not
    independent: these are estimates without p. A test of the concept's part is `partial_rsa`.

    Parameters
    ----------
    given : ndarray (n_stimuli, n_features), rsatoolbox.rdm.RDMs or PairSimilarities
        Pooled values; RDMs as `rdm_map` takes them; or the profile correlations of `pair_similarities` (1 - r). An RDM
        with missing pairs is fitted on those it has.
    design : Design
        Rows, labels, items and cells.
    nuisance : Nuisances or mapping of str to Nuisance, ndarray or RDMs
        From `nuisance_rdms`, or your own.
    model : str, callable, ndarray or RDMs
        Model RDM of the concept, as `rsa_map` takes it.
    labels : array_like, optional
        Labels of a named model; default the design's two classes.
    sets : sequence of array_like of int, optional
        Feature sets, with pooled values; default every feature by itself.
    metric : str
        A name of DISTANCES, between cell means; a single feature needs "sqeuclidean".
    name : str
        What to call the concept's predictor.

    Returns
    -------
    VariancePartition

    Raises
    ------
    InputError
        More than 8 predictors, two of one name, one that does not vary, unknown names, data that do not fit.
    """
    table = cell_table(design)
    pairs = cross_item_pairs(np.arange(len(table.item)), table.item)
    data = cell_distances(given, design, pairs, sets=sets, metric=metric)
    beside = nuisances_of_cells(nuisance, design, pairs)
    target = cell_model(model, labels, design, table, len(table.index))[pairs.cell_first, pairs.cell_second]
    names, predictors = (name, *beside.names), np.column_stack([target, beside.pairs])
    flat = [names[k] for k in np.flatnonzero(np.ptp(predictors, axis=0) < 1e-12)]
    if flat or len(set(names)) < len(names) or len(names) > MOST:
        raise InputError(f"predictors {', '.join(names)}" + (f"; {flat[0]} does not vary" if flat else ""),
                         where="variance_partition", allowed=f"{MOST} at most, each varying, names unique")
    chosen = [each for size in range(1, len(names) + 1) for each in combinations(range(len(names)), size)]
    blocks = [_explained(data.block(data.means, a, b), predictors, chosen) for a, b in data.blocks()]
    r2 = np.concatenate(blocks, axis=1)
    info = {"pairs": f"{len(target)} cross-item pairs of cells", "p": "none: an estimate",
            "metric": metric if data.means is not None else "given"}
    return VariancePartition(names, tuple(tuple(names[k] for k in each) for each in chosen), r2,
                             _common_parts(chosen, r2, len(names)), info)


def _explained(D: np.ndarray, predictors: np.ndarray, chosen: list[tuple[int, ...]]) -> np.ndarray:
    """R^2 of every subset for RDMs (n_rdms, n_pairs); an RDM with missing pairs is fitted on those it has."""
    missing = ~np.isfinite(D)
    gaps = missing.any(axis=1)
    out = np.full((len(chosen), len(D)), np.nan)
    for rows, kept in [(~gaps, slice(None)), *((np.array([row]), ~missing[row]) for row in np.flatnonzero(gaps))]:
        values, beside = D[rows][:, kept], predictors[kept]
        if not len(values) or len(beside) <= beside.shape[1] + 1:
            continue
        centred, rest = beside - beside.mean(axis=0), values - values.mean(axis=1, keepdims=True)
        size = (rest**2).sum(axis=1)
        size = np.where(size > 1e-12 * np.maximum((values**2).sum(axis=1), 1e-300), size, np.nan)
        out[:, rows] = [((rest @ orthonormal(centred[:, list(each)])) ** 2).sum(axis=1) / size for each in chosen]
    return out


def _common_parts(chosen: list[tuple[int, ...]], r2: np.ndarray, n_names: int) -> np.ndarray:
    of = dict(zip(chosen, r2)) | {(): np.zeros(r2.shape[1])}
    parts = np.zeros_like(r2)
    for row, subset in enumerate(chosen):
        outside = set(range(n_names)) - set(subset)
        for size in range(len(subset) + 1):
            for inside in combinations(subset, size):
                parts[row] += (-1) ** (size + 1) * of[tuple(sorted(outside | set(inside)))]
    return parts
