"""The search for a feature set under every labelling: folds over items, size by inner folds, held-out fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.rsa.labelled_models import ModelLabels
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.pursuit import Path, pursue
from cogneuro_sae.rsa.set_kernels import SetKernel, set_kernel

BUDGET = 2.0e8


def item_folds(item: np.ndarray, y: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal items to folds, those of each label pattern (A only, B only, both) by themselves.

    The folds are a function of the labels and the seed, so that a labelling which moves labels between items gets its
    own, and the observed one is not special.

    Parameters
    ----------
    item : ndarray (n_cells,) int64
        Item of each cell, 0 to n_items - 1.
    y : ndarray (n_cells,)
        1 for A, 0 for B.
    folds : int
        How many.
    seed : int
        Of the order of the items.

    Returns
    -------
    ndarray (n_items,) int64
        Fold of each item.

    Raises
    ------
    InputError
        Fewer than two items of a kind per fold.
    """
    n = int(item.max()) + 1
    holds = np.zeros((n, 2), np.int64)
    holds[item, np.asarray(y).astype(np.int64)] = 1
    kind, rank = holds @ [1, 2], np.random.default_rng(seed).permutation(n)
    fold, dealt = np.empty(n, np.int64), 0
    for each in np.unique(kind):
        members = np.flatnonzero(kind == each)
        if len(members) < 2 * folds:
            raise InputError(f"{len(members)} items of a kind for {folds} folds",
                             allowed="two items of each kind per fold", do="fewer folds, or more items")
        fold[members[np.argsort(rank[members])]] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold


@dataclass(frozen=True, eq=False)
class SetSearch:
    """One search under all labellings of its design.

    Parameters
    ----------
    cells : ndarray (n_cells, n_features)
        Cell means of pooled values.
    item, y : ndarray (n_cells,) int64
        Item and observed label of each cell.
    models : ModelLabels
        The model RDM under every labelling.
    usable : ndarray (n_features,) bool
        Candidates.
    k : int
        Largest set.
    method : str
        RDM comparison of the pursuit.
    positive : bool
        Weights >= 0.
    min_gain : float
        Smallest rise of the fit that is worth a feature.
    folds : int
        Folds over items.
    inner : bool
        The size is the one with the best mean fit on inner folds of the items that choose the set.
    upward : bool
        Only features whose mean over the cells that choose the set is larger in A than in B.
    seed : int
        Of the folds.
    """

    cells: np.ndarray
    item: np.ndarray
    y: np.ndarray
    models: ModelLabels
    usable: np.ndarray
    k: int
    method: str
    positive: bool
    min_gain: float
    folds: int
    inner: bool
    upward: bool
    seed: int

    def fits(self) -> np.ndarray:
        """Held-out fit, and fit on all items, under every labelling.

        Returns
        -------
        ndarray (n_labellings, 2) float64
            NaN where a joint RDM does not vary over the pairs of a fold.
        """
        n, whole = self.models.n_labellings, np.ones(len(self.cells), bool)
        step = max(1, int(BUDGET // (8 * (self.k + 3) * self.cells.shape[1] + 24 * len(self.cells) ** 2)))
        out = np.empty((n, 2))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            models, y = self.models.matrices(rows), self.labels(rows)
            out[rows, 0] = self.held_out(models, y)[0][:, -1]
            out[rows, 1] = self.path(models, y, whole)[0].fit[:, -1]
        return out

    def labels(self, rows: slice) -> np.ndarray:
        """Labels of the cells under some labellings.

        Parameters
        ----------
        rows : slice
            Labellings.

        Returns
        -------
        ndarray (n, n_cells)
            1 for A, 0 for B.
        """
        if self.models.classes is not None:
            return self.models.classes[rows]
        return self.y[self.models.orders[rows]]

    def path(self, models: np.ndarray, y: np.ndarray, train: np.ndarray, *,
             inner: bool | None = None) -> tuple[Path, SetKernel]:
        """Choose a set per model on some cells.

        Parameters
        ----------
        models : ndarray (n_models, n_cells, n_cells)
            Model RDMs over all cells.
        y : ndarray (n_models, n_cells)
            Labels that go with them.
        train : ndarray (n_cells,) bool
            Cells that may be used, whole items.
        inner : bool, optional
            Whether inner folds choose the size; default as the search says.

        Returns
        -------
        Path, SetKernel
        """
        item = self.item[train]
        kernel = set_kernel(self.cells[train], self.method, item[:, None] != item[None, :], usable=self.usable)
        path = pursue(kernel, models[:, train][:, :, train], self.k, positive=self.positive, min_gain=self.min_gain,
                      allowed=self._larger_in_a(y[:, train], kernel) if self.upward else None)
        if self.inner if inner is None else inner:
            curve = self.held_out(models, y, within=train, inner=False)[0]
            path = _shortened(path, 1 + np.where(np.isfinite(curve), curve, -np.inf).argmax(axis=1))
        return path, kernel

    @staticmethod
    def _larger_in_a(y: np.ndarray, kernel: SetKernel) -> np.ndarray:
        a = y / y.sum(axis=1, keepdims=True)
        b = (1 - y) / (1 - y).sum(axis=1, keepdims=True)
        return (a - b) @ kernel.X > 0

    def held_out(self, models: np.ndarray, y: np.ndarray, *, within: np.ndarray | None = None,
                 inner: bool | None = None) -> tuple[np.ndarray, list[Path]]:
        """Fit on held-out items, set and weights from the other items.

        Parameters
        ----------
        models : ndarray (n_models, n_cells, n_cells)
            Model RDMs over all cells.
        y : ndarray (n_models, n_cells)
            Labels that go with them.
        within : ndarray (n_cells,) bool, optional
            Cells to use, whole items; default all.
        inner : bool, optional
            Whether inner folds choose the size; default as the search says.

        Returns
        -------
        ndarray (n_models, k) float64, list of Path
            Correlation over cross-item pairs after each step, mean over folds; the first model's fold paths.

        Raises
        ------
        InputError
            Fewer than two items of a kind per fold.
        """
        within = np.ones(len(self.cells), bool) if within is None else within
        item = np.unique(self.item[within], return_inverse=True)[1]
        dealt = np.array([item_folds(item, labels, self.folds, self.seed) for labels in y[:, within]])
        which, group = np.unique(dealt, axis=0, return_inverse=True)
        out, paths = np.empty((len(models), self.folds, min(self.k, self.cells.shape[1]))), []
        for number, fold in enumerate(which):
            rows = np.flatnonzero(group.reshape(-1) == number)
            for each in range(self.folds):
                test = np.zeros(len(within), bool)
                test[within] = fold[item] == each
                found = self.path(models[rows], y[rows], within & ~test, inner=inner)[0]
                out[rows, each] = path_correlations(self.cells[test], self.item[test], found,
                                                    models[rows][:, test][:, :, test])
                if rows[0] == 0:
                    paths.append(found)
        return out.mean(axis=1), paths


def _shortened(path: Path, size: np.ndarray) -> Path:
    size = np.minimum(size, np.maximum(path.size, 1))
    step = np.minimum(np.arange(path.fit.shape[1]), size[:, None] - 1)
    chosen = np.where(np.arange(path.fit.shape[1]) < size[:, None], path.chosen, -1)
    return Path(chosen, np.take_along_axis(path.weights, step[:, :, None], axis=1),
                np.take_along_axis(path.fit, step, axis=1), np.minimum(path.size, size))


def path_correlations(cells: np.ndarray, item: np.ndarray, path: Path, models: np.ndarray) -> np.ndarray:
    """Correlation of joint and model RDMs over cross-item pairs of cells, after each step of a path.

    Parameters
    ----------
    cells : ndarray (n_cells, n_features)
        Cell means, of other items than those that made the path.
    item : ndarray (n_cells,) int64
        Item of each cell.
    path : Path
        Sets and weights.
    models : ndarray (n_models, n_cells, n_cells)
        Model RDMs of these cells.

    Returns
    -------
    ndarray (n_models, k) float64
        NaN where the joint RDM or the model does not vary.
    """
    pairs = cross_item_pairs(np.arange(len(cells)), item)
    first, second = pairs.cell_first, pairs.cell_second
    x = np.asarray(cells, np.float64)[:, np.maximum(path.chosen, 0)]
    joint = np.einsum("qnc,nsc->nsq", np.where(path.chosen >= 0, (x[first] - x[second]) ** 2, 0.0), path.weights,
                      optimize=True)
    model = models[:, first, second][:, None]
    level = np.abs(joint).max(axis=2)
    joint, model = (each - each.mean(axis=2, keepdims=True) for each in (joint, model))
    spread = [np.sqrt((each**2).sum(axis=2)) for each in (joint, model)]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (joint * model).sum(axis=2) / (spread[0] * spread[1])
    return np.where((spread[0] > 1e-10 * level) & (spread[1] > 1e-10), r, np.nan)
