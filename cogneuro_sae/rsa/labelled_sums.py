"""Sums of pair values within A, between A and B and within B under many labellings, by one matrix product.

With s = 2 y - 1 in {-1, 1}, tot = sum z_ij, l = sum (s_i + s_j) z_ij and q = sum s_i s_j z_ij over the pairs:
AA = (tot + l + q) / 4, BB = (tot - l + q) / 4, AB = (tot - q) / 2. Only q needs a product over pairs. Cells that carry
the same or the opposite label in every labelling (the two cells of an item whose labels swap) make one unit, so that q
needs pairs of units only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cogneuro_sae.rsa.pairs import grouped_sum

KEPT = 2e8      # bytes of products of labels that may be kept
LARGE = 2e5     # labellings times pairs above which values in single precision are multiplied in it
EXACT = 2**24   # integers below are exact in single precision, and so are their sums


class Sums(NamedTuple):
    """Sums within A, between A and B, within B; each (n_labellings, n_features) float64."""

    aa: np.ndarray
    ab: np.ndarray
    bb: np.ndarray


class LabelledPairs:
    """A list of cell pairs under many labellings.

    Parameters
    ----------
    labels : ndarray (n_labellings, n_cells) of 0 and 1
        1 for A.
    first, second : ndarray (n_cell_pairs,) int64
        Cells of each pair.
    """

    def __init__(self, labels: np.ndarray, first: np.ndarray, second: np.ndarray):
        sign = (2 * labels.astype(np.int8) - 1).T                       # (n_cells, n_labellings)
        turned = sign * sign[:, :1]                                     # alike up to the sign
        _, place, unit = np.unique(turned, axis=0, return_index=True, return_inverse=True)
        unit = unit.reshape(-1)
        own = (sign[:, 0] * sign[place[unit], 0]).astype(np.float64)     # cell = own * unit
        self.unit, self.own = unit, own
        self.units = np.ascontiguousarray(sign[place].T.astype(np.float64))
        low, high = np.minimum(unit[first], unit[second]), np.maximum(unit[first], unit[second])
        code = low * len(place) + high
        self.order = np.argsort(code, kind="stable")
        self.edges = np.flatnonzero(np.r_[True, np.diff(code[self.order]) != 0])
        self.first_unit, self.second_unit = low[self.order][self.edges], high[self.order][self.edges]
        self.sign = (own[first] * own[second])[self.order]
        self.joined = len(self.edges) < len(first)
        self.first, self.second = first, second
        self.incidence = np.zeros((len(first), len(place)))             # of pairs and units, with the cells' signs
        self.kept: dict[tuple, np.ndarray] = {}
        self.key: tuple | None = None                                   # of the weights kept
        self.single = len(labels) * len(self.edges) > LARGE
        every = np.arange(len(first))
        np.add.at(self.incidence, (every, unit[first]), own[first])
        np.add.at(self.incidence, (every, unit[second]), own[second])

    def __call__(self, values: np.ndarray, rows: slice, *, exact: bool = False) -> Sums:
        """Return the sums of some labellings.

        Parameters
        ----------
        values : ndarray (n_features, n_cell_pairs) float64 or float32
            Values of the pairs; missing ones are 0.
        rows : slice
            Labellings.
        exact : bool
            The values are whole numbers whose sums single precision holds.

        Returns
        -------
        Sums
        """
        total, linear, q = self.parts(values, rows, exact=exact)
        return Sums((total + linear + q) / 4, (total - q) / 2, (total - linear + q) / 4)

    def parts(self, values: np.ndarray, rows: slice, *, exact: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return tot, l and q of some labellings.

        Parameters
        ----------
        values : ndarray (n_features, n_cell_pairs) float64 or float32
            Values of the pairs; missing ones are 0.
        rows : slice
            Labellings.
        exact : bool
            The values are whole numbers whose sums single precision holds.

        Returns
        -------
        tot : ndarray (n_features,) float64
        l, q : ndarray (n_labellings, n_features) float64
            Of the same memory order as the transpose of `values`.
        """
        kind = np.float32 if exact or self.single and values.dtype == np.float32 else np.float64
        q = (self._joined(values).astype(kind, copy=False) @ self._products(rows, kind).T).astype(np.float64)
        linear = self._linear(values) @ self.units[rows].T
        return values.sum(axis=1, dtype=np.float64), linear.T, q.T

    def combined(self, values: np.ndarray, rows: slice, key: tuple,
                 weights: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
        """Return a tot + b l + c q of some labellings by one product, for weights that all features share.

        Parameters
        ----------
        values : ndarray (n_features, n_cell_pairs) float64 or float32
            Values of the pairs.
        rows : slice
            Labellings.
        key : tuple
            Names the weights: the product of labels and weights is kept until another key comes.
        weights : callable
            -> a, b, c, each (n_labellings,) float64.

        Returns
        -------
        ndarray (n_labellings, n_features)
            float32 if the values are and there is enough of them, else float64.
        """
        kind = np.float32 if self.single and values.dtype == np.float32 else np.float64
        if self.key != key:             # weights that differ from block to block must not pile up
            self.key, self.kept = key, {each: made for each, made in self.kept.items() if each[-1] != "weighted"}
        of_pair = self._kept((rows.start, rows.stop, kind, "weighted"), lambda: self._weighted(rows, kind, *weights()))
        if self.joined:
            values = np.concatenate([self._joined(values), self._linear(values), values.sum(axis=1, keepdims=True)],
                                    axis=1)
        return (values.astype(kind, copy=False) @ of_pair.T).T

    def _weighted(self, rows: slice, kind: type, *weights: np.ndarray) -> np.ndarray:
        """(n_labellings, n_pairs): what each pair counts for; or each pair of units, each unit, and all."""
        a, b, c = (each[:, None].astype(kind) for each in weights)
        units = self.units[rows].astype(kind)
        if self.joined:
            return np.concatenate([c * self._multiply(rows, kind), b * units, a], axis=1)
        sign = units[:, self.unit] * self.own.astype(kind)
        out, other = sign[:, self.first], sign[:, self.second]
        both = out * other
        both *= c
        out += other
        out *= b
        out += both
        out += a
        return out

    def _joined(self, values: np.ndarray) -> np.ndarray:
        return grouped_sum(values[:, self.order] * self.sign.astype(values.dtype), self.edges)

    def _linear(self, values: np.ndarray) -> np.ndarray:
        return values @ self._kept(("incidence", values.dtype), lambda: self.incidence.astype(values.dtype))

    def _kept(self, key: tuple, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What was made before; kept for the next features when all of it is small."""
        if len(self.units) * len(self.edges) * 8 > KEPT:
            return make()
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def _products(self, rows: slice, kind: type) -> np.ndarray:
        """Products of the labels of every pair of units."""
        return self._kept((rows.start, rows.stop, kind), lambda: self._multiply(rows, kind))

    def _multiply(self, rows: slice, kind: type) -> np.ndarray:
        units = self.units[rows].astype(kind)
        return units[:, self.first_unit] * units[:, self.second_unit]
