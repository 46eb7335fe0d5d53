"""Blocks of features of an RSA map: what is observed goes into columns, what every labelling gives is returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace

import numpy as np

from cogneuro_sae.inference import CellTable, group_means
from cogneuro_sae.rsa.class_means import ClassSums, class_means
from cogneuro_sae.rsa.class_scores import CLASS_SCORES
from cogneuro_sae.rsa.kernels import correlation_matrices
from cogneuro_sae.rsa.labelled_models import ModelLabels
from cogneuro_sae.rsa.labelled_sums import LabelledPairs
from cogneuro_sae.rsa.pairs import Pairs, sum_pairs
from cogneuro_sae.rsa.pooled import PooledSource, quadratic_statistic
from cogneuro_sae.rsa.pooled_classes import PooledClasses
from cogneuro_sae.rsa.pooled_fit import PooledFit
from cogneuro_sae.rsa.profile_models import ModelFits, profile_fits
from cogneuro_sae.rsa.profile_sums import profile_sums
from cogneuro_sae.rsa.profiles import ProfileSource
from cogneuro_sae.rsa.statistics import block_statistic, class_statistic, model_statistic, valid_items

CLIP = 0.999
BLOCK = 3e8
SINGLE = 5e-5   # error of a class score in single precision, in sd over labellings


@dataclass(frozen=True, eq=False)
class Job:
    """Everything a block of features needs, and where its observed results go.

    Parameters
    ----------
    source : object
        Gives pair values of features (docs of `rsa.profiles`).
    pairs : Pairs
        Cross-item pairs of the source's rows.
    table : CellTable
        Cells of the design.
    settings : SimpleNamespace
        Options of `rsa_map`.
    labels : ndarray (n_labellings, n_cells) or None
        Class labels, with a class score.
    models : ModelLabels or None
        Model RDMs, with score "model".
    rows : ndarray (n_rows,) int64
        Cell of each of the source's rows.
    found : dict of str to ndarray
        `value`, `difference`, `silent`, `n_valid` of every feature, filled block by block.
    """

    source: object
    pairs: Pairs
    table: CellTable
    settings: SimpleNamespace
    labels: np.ndarray | None
    models: ModelLabels | None
    rows: np.ndarray
    found: dict = field(default_factory=dict)

    @cached_property
    def labelled(self) -> LabelledPairs:
        """The cell pairs under all labellings."""
        labels = self.labels if self.models is None else self.models.classes
        return LabelledPairs(labels, self.pairs.cell_first, self.pairs.cell_second)

    @cached_property
    def classes(self) -> PooledClasses | None:
        """The closed form of two classes of pooled values, where it holds."""
        scalar = isinstance(self.source, PooledSource) and self.models is None
        return PooledClasses(self.labels, self.table.item) if scalar and self.source.complete else None

    @property
    def by_class(self) -> bool:
        """Whether token profiles are compared by class."""
        return isinstance(self.source, ProfileSource) and self.models is None

    @property
    def by_model(self) -> bool:
        """Whether token profiles of single stimuli are compared with one model RDM."""
        return isinstance(self.source, ProfileSource) and self.models is not None and \
            (self.n_labellings == 1 or self.models.classes is not None) and len(self.rows) == len(self.table.item)

    @property
    def rounding(self) -> float:
        """Error of the statistics in sd over labellings."""
        return SINGLE if self.by_class or self.by_model else 0.0

    @cached_property
    def laplacian(self) -> PooledFit | None:
        """The closed form of one model RDM and pooled values, where it holds."""
        one = isinstance(self.source, PooledSource) and self.models is not None and self.n_labellings == 1
        if not one or self.settings.method != "corr":
            return None
        return PooledFit(self.models.model, self.table.item[:, None] != self.table.item)

    @property
    def n_labellings(self) -> int:
        """How many labellings there are, the observed one included."""
        return len(self.labels) if self.labels is not None else self.models.n_labellings

    def __call__(self, start: int, stop: int) -> np.ndarray:
        step = max(1, int(BLOCK // (8 * self._width())))
        parts = [self._block(low, min(low + step, stop)) for low in range(start, stop, step)]
        out = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if not (self.by_class or self.by_model):
            self.found["value"][start:stop] = out[0]
        return out

    def _width(self) -> float:
        """Numbers in memory per feature."""
        if self.laplacian is not None:
            return 500 * len(self.table.item)           # blocks that stay in the cache
        if self.classes is not None:
            return 3 * (self.n_labellings + len(self.table.item))
        if self.by_class or self.by_model:
            return 2 * self.source.features.offsets[-1] + (self.n_labellings > 1) * 3 * len(self.pairs.edges)
        return self._pairwise_width

    @property
    def _pairwise_width(self) -> int:
        return 6 * (len(self.pairs.first) + len(self.pairs.edges))

    def _block(self, low: int, high: int) -> np.ndarray:
        if self.by_class or self.by_model:
            block = np.asarray(self.source.features.block(low, high))
            active, means = self.source.layout.tokens(block)
            self._differ(self._by_cell(means), low, high)
            self.found["silent"][low:high], self.found["n_valid"][low:high] = True, 0
            return (self._profiles if self.by_class else self._fits)(block, active, low, high)
        means = self._by_cell(self.source.means(low, high))
        center = self._differ(means, low, high)
        if self.models is not None and self.settings.method != "corr":
            return quadratic_statistic(self.source.means(low, high), self.models.matrices, self.n_labellings,
                                       self.settings.method)
        if self.classes is not None:
            return self._closed_form(means, low, high)
        if self.laplacian is not None and center is not None:
            self.found["silent"][low:high] = False
            return self.laplacian(means, center)[None]
        step = max(1, int(BLOCK // (8 * self._pairwise_width)))
        parts = [self._pairwise(first, min(first + step, high)) for first in range(low, high, step)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _pairwise(self, low: int, high: int) -> np.ndarray:
        values = self.source.pairs(low, high, self.pairs.first, self.pairs.second)
        out = np.full((self.n_labellings, high - low), np.nan)
        live = np.flatnonzero(np.isfinite(values).any(axis=1))
        self.found["silent"][low:high], self.found["n_valid"][low:high] = True, 0
        self.found["silent"][low + live] = False
        if len(live):
            out[:, live] = self._score(values if len(live) == len(values) else values[live], low + live)
        return out

    def _closed_form(self, means: np.ndarray, low: int, high: int) -> np.ndarray:
        out = self.classes.categorical(means)
        constant = np.isnan(out).all(axis=0)
        self.found["silent"][low:high] = False
        self.found["n_valid"][low + np.flatnonzero(constant)] = 0
        return out

    def _score(self, values: np.ndarray, features: np.ndarray) -> np.ndarray:
        sums = sum_pairs(self._similarity(values), self.pairs)
        observed = self.table.y[None] if self.labels is None else self.labels[:1]
        self.found["n_valid"][features] = valid_items(sums.cell_valid, self.pairs.item, observed)[:, 0].T
        if self.models is None:
            return class_statistic(sums, self.pairs, self.labels, self.settings.score,
                                   min_items=self.settings.min_items, labelled=self.labelled)
        return model_statistic(sums, self.pairs, self.models.pairs, self.n_labellings, labels=self.models.sides,
                               min_items=self.settings.min_items)

    def _similarity(self, values: np.ndarray) -> np.ndarray:
        if self.models is not None:
            return 1 - values if self.source.correlation else values
        if self.source.correlation:
            return np.arctanh(np.clip(values, -CLIP, CLIP))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.nansum(values, axis=1, keepdims=True) / np.isfinite(values).sum(axis=1, keepdims=True)
            return -values / np.where(mean > 0, mean, np.nan)

    def _fits(self, block: np.ndarray, active: np.ndarray, low: int, high: int) -> np.ndarray:
        """Correlations of token profiles with a model RDM, one stimulus to a cell."""
        models, item = self.models, self.table.item[self.rows]
        model, layout, groups = models.model[np.ix_(self.rows, self.rows)], self.source.layout, [np.arange(len(item))]

        def record(fits) -> np.ndarray:
            self._record_fits(fits, low)
            return fits.valid

        def observe(part):
            fits = ModelFits(part, model, item)
            return fits.add, lambda: record(fits)

        chosen, others = self._chosen(active)
        for part in correlation_matrices(block, layout, groups, active=active, features=others):
            record(profile_fits(part, model, item))
        if not len(chosen):
            return self._filled(chosen, low, high)
        sums = profile_sums(block, layout, self.pairs, chosen, observe, clip=None, active=active)
        return self._filled(chosen, low, high, -block_statistic(
            sums, self.pairs, models.classes, models.blocks(), self.labelled, min_items=self.settings.min_items))

    def _record_fits(self, fits: ModelFits, low: int) -> None:
        to, item, models = low + fits.part.features, self.table.item, self.models
        cells = (fits.valid @ self._cells) > 0
        sides = models.sides[:1] if models.sides is not None else np.ones((1, len(item)), np.int64)
        enough = valid_items(cells, item, sides)[:, 0]
        enough = enough[0] if models.sides is None else enough.min(axis=0)
        few = ~fits.valid.all(axis=1) & (enough < self.settings.min_items)
        self.found["n_valid"][to] = valid_items(cells, item, self.table.y[None])[:, 0].T
        self.found["silent"][to] = ~cells.any(axis=1)
        self.found["value"][to] = np.where(few, np.nan, fits.value)

    def _chosen(self, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features that some labelling may have enough valid items for, and the others; none without labellings."""
        enough = active >= self.source.layout.min_active
        cells = (enough.T @ self._cells > 0).sum(axis=1)
        open_ = enough.all(axis=0) | (cells >= max(2 * self.settings.min_items, 2))
        open_ &= self.n_labellings > 1
        return np.flatnonzero(open_), np.flatnonzero(~open_)

    def _filled(self, chosen: np.ndarray, low: int, high: int, statistic: np.ndarray | None = None) -> np.ndarray:
        if len(chosen) == high - low:
            return statistic
        out = np.full((self.n_labellings, high - low), np.nan)
        out[0] = self.found["value"][low:high]
        if statistic is not None:
            out[:, chosen] = statistic
        return out

    def _profiles(self, block: np.ndarray, active: np.ndarray, low: int, high: int) -> np.ndarray:
        """Class scores of token profiles: the observed one from class means, the others from sums over cell pairs."""
        layout, settings = self.source.layout, self.settings
        y, item = self.table.y[self.rows], self.table.item[self.rows]
        groups = [np.flatnonzero(y == side) for side in (1, 0)]

        def record(part, means) -> np.ndarray:
            value, to = CLASS_SCORES[settings.score](means.aa, means.ab, means.bb), low + part.features
            few = means.gaps & (means.n_valid.min(axis=1) < settings.min_items)
            self.found["value"][to] = np.where(few, np.nan, value)
            self.found["n_valid"][to], self.found["silent"][to] = means.n_valid, ~means.valid.any(axis=1)
            return means.valid

        def observe(part):
            sums = ClassSums(part, y, item, clip=CLIP)
            return sums.add, lambda: record(part, sums.means())

        chosen, others = self._chosen(active)
        for part in correlation_matrices(block, layout, groups, active=active, features=others):
            record(part, class_means(part, y, item, clip=CLIP))
        if not len(chosen):
            return self._filled(chosen, low, high)
        sums = profile_sums(block, layout, self.pairs, chosen, observe, clip=CLIP, active=active)
        return self._filled(chosen, low, high, class_statistic(
            sums, self.pairs, self.labels, settings.score, min_items=settings.min_items, labelled=self.labelled))

    def _by_cell(self, values: np.ndarray) -> np.ndarray:
        return values if self._single else group_means(values, self.rows)

    @cached_property
    def _single(self) -> bool:
        return np.array_equal(self.rows, np.arange(len(self.table.item)))

    @cached_property
    def _cells(self) -> np.ndarray:
        """(n_rows, n_cells) membership."""
        return np.eye(len(self.table.item), dtype=np.float32)[self.rows]

    @cached_property
    def _sides(self) -> np.ndarray:
        """(2, n_cells) membership in A and in B."""
        return np.stack([self.table.y == 1, self.table.y == 0]).astype(np.float64)

    def _differ(self, means: np.ndarray, low: int, high: int) -> np.ndarray | None:
        """Fill in the differences of means, 0 where a value is missing; return the means over all, if none is missing."""
        with np.errstate(invalid="ignore"):
            A, B = self._sides @ means
        n_A, n_B = self._sides.sum(axis=1)
        difference = A / n_A - B / n_B
        known = np.isfinite(difference)
        complete = bool(known.all())
        self.found["difference"][low:high] = difference if complete else np.where(known, difference, 0.0)
        return (A + B) / (n_A + n_B) if complete else None
