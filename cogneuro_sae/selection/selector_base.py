"""What all selectors share: pooling of Responses, checks of labels and groups, the mask."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.responses.pooling import scale_of
from cogneuro_sae.selection.ranking import rank_features
from cogneuro_sae.selection.sources import Sources


class Selector(SelectorMixin, BaseEstimator):
    """Shared door: pools Responses, checks labels and groups, keeps the mask."""

    __metadata_request__fit = {"groups": True}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # a contrast has two sides
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags

    def fit(self, X, y=None, groups=None):
        """Choose features.

        Parameters
        ----------
        X : ndarray (n_rows, n_features) or Responses
            Pooled values, or token responses that are pooled here.
        y : ndarray (n_rows,)
            Two classes; the larger label is the target.
        groups : ndarray (n_rows,), optional
            Item of each row; required unless `independent=True`.

        Returns
        -------
        self
            With `indices_` (best first), `signs_`, `map_` and `classes_`.

        Raises
        ------
        InputError
            No groups, not two classes, k too large, or whatever the score refuses.
        """
        values, sources = self._pooled(X)
        values, labels = self._labels(values, y)
        groups = self._groups(groups, len(values))
        self._choose(values, labels, groups, sources)
        return self

    def transform(self, X):
        """Return the selected columns in the order of their index.

        Parameters
        ----------
        X : ndarray (n_rows, n_features) or Responses
            As in `fit`.

        Returns
        -------
        ndarray (n_rows, n_selected)
            Values as they were pooled, not sign-flipped.
        """
        check_is_fitted(self, "mask_")
        return super().transform(self._pooled(X)[0])

    def _pooled(self, X) -> tuple[np.ndarray, Sources]:
        if not isinstance(X, Responses):
            return X, Sources(transform="none" if self.transform_values == "none" else "log1p", seed=self.seed)
        through = self.through
        pooled = X.pool(self.pooling, window=self.window, through=through, transform=self.transform_values)
        rate = self.pooling == "rate"
        return pooled, Sources(
            profiles=None if X.pooled else TokenFeatures(X, through, self.window), raw=X,
            decoder=getattr(through, "decoder", None), firing_rate=getattr(through, "firing_rate", None),
            scale=scale_of(X, through), transform="none" if rate else self.transform_values, seed=self.seed)

    def _labels(self, X, y):
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None.")
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2)
        y = column_or_1d(y, warn=True)
        if len(y) != len(X):
            raise InputError(f"{len(y)} labels for {len(X)} rows")
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise InputError(f"{len(self.classes_)} classes among the labels", allowed="two: foil and target")
        return X, (y == self.classes_[1]).astype(np.int64)

    def _groups(self, groups, n_rows: int) -> np.ndarray:
        if groups is None and not self.independent:
            raise InputError("groups is required: the item of each row, so that no statistic takes paraphrases for "
                             "independent", do="fit(X, y, groups=items), or declare independent=True")
        groups = np.arange(n_rows) if groups is None else np.asarray(groups)
        if len(groups) != n_rows:
            raise InputError(f"{len(groups)} groups for {n_rows} rows")
        return groups

    def _keep(self, indices, n_features: int) -> None:
        self.indices_ = np.asarray(indices, np.int64)
        self.mask_ = np.zeros(n_features, bool)
        self.mask_[self.indices_] = True

    def _get_support_mask(self):
        check_is_fitted(self, "mask_")
        return self.mask_

    def _signed(self, X):
        return True if getattr(self.through, "signed", False) else bool((X < 0).any())

    def _rank(self, X, y, groups, sources):
        return rank_features(self.criterion, X, y, groups, sources=sources, signed=self._signed(X), **(self.params
                or {}))


def check_k(k, n_features: int) -> None:
    """Raise when k is not a whole number from 1 to n_features.

    Parameters
    ----------
    k : object
        What was asked for.
    n_features : int
        Features there are.

    Raises
    ------
    InputError
        k does not fit.
    """
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= n_features:
        raise InputError(f"k is {k!r} with n_features = {n_features}", allowed=f"a whole number from 1 to {n_features}")
