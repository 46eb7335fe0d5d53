"""Feature selectors for scikit-learn: the constructor stores, `fit` chooses on the rows it is given, `transform` cuts.

X may be an array of pooled values or a `Responses`; then windows, pooling and encoding happen inside, and scores that
need token profiles find them. `groups` (the item of each row) is required unless independence is declared.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import validate_data

from cogneuro_sae.errors import InputError
from cogneuro_sae.selection.arrays import Cells
from cogneuro_sae.selection.permuted import permuted_map
from cogneuro_sae.selection.ranking import score_function
from cogneuro_sae.selection.selector_base import Selector, check_k
from cogneuro_sae.selection.univariate import item_halves


class TopFeatures(Selector):
    """The k features with the highest positive score, direction > 0 only.

    Parameters
    ----------
    criterion : str or callable
        A name of SCORES, or a function of the same signature.
    k : int
        How many; fewer when fewer have a positive score.
    params : dict, optional
        Options of the score.
    window, pooling, through, transform_values
        For Responses; see `Responses.pool`.
    independent : bool
        Declares every row its own item.
    seed : int
        For scores that draw.
    """

    def __init__(self, criterion="mean_difference", k=8, *, params=None, window="all", pooling="mean", through=None,
                 transform_values="log1p", independent=False, seed=0):
        self.criterion = criterion
        self.k = k
        self.params = params
        self.window = window
        self.pooling = pooling
        self.through = through
        self.transform_values = transform_values
        self.independent = independent
        self.seed = seed

    def _choose(self, X, y, groups, sources):
        check_k(self.k, X.shape[1])
        ranking = self._rank(X, y, groups, sources)
        self.map_, self.signs_ = ranking.map, ranking.signs
        self._keep(ranking.order[: self.k], X.shape[1])


class ThresholdedFeatures(Selector):
    """Every feature past a threshold: of the score itself, or of its permutation p inside the rows given.

    Parameters
    ----------
    criterion : str or callable
        A name of SCORES, or a function of the same signature.
    threshold : float, optional
        Smallest score kept; None: use `alpha`.
    alpha : float
        Level when `threshold` is None.
    by : str
        "p_fwe" | "q" | "pvalue".
    permutations : int
        Labellings for the p-values.
    params : dict, optional
        Options of the score.
    window, pooling, through, transform_values
        For Responses; see `Responses.pool`.
    independent : bool
        Declares every row its own item.
    seed : int
        For the permutations and scores that draw.
    """

    def __init__(self, criterion="welch_t", threshold=None, *, alpha=0.05, by="p_fwe", permutations=1000, params=None,
                 window="all", pooling="mean", through=None, transform_values="log1p", independent=False, seed=0):
        self.criterion = criterion
        self.threshold = threshold
        self.alpha = alpha
        self.by = by
        self.permutations = permutations
        self.params = params
        self.window = window
        self.pooling = pooling
        self.through = through
        self.transform_values = transform_values
        self.independent = independent
        self.seed = seed

    def _choose(self, X, y, groups, sources):
        ranking = self._rank(X, y, groups, sources)
        self.map_, self.signs_ = ranking.map, ranking.signs
        if self.threshold is not None:
            passing = ranking.map.value[ranking.order] >= self.threshold
        else:
            tested = permuted_map(self.criterion, X, y, groups, sources=sources, permutations=self.permutations,
                                  seed=self.seed, signed=self._signed(X), **(self.params or {}))
            self.map_ = tested
            passing = tested.threshold(self.alpha, by=self.by)[ranking.order]
        self._keep(ranking.order[passing], X.shape[1])


class StableFeatures(Selector):
    """Features among the best k in many random halves of the items (stability selection).

    Parameters
    ----------
    criterion : str or callable
        A name of SCORES, or a function of the same signature.
    k : int
        Features kept in each half, and the most that are selected.
    resamples : int
        Number of halves.
    share : float
        Smallest share of halves in which a feature is among the best k.
    params : dict, optional
        Options of the score.
    window, pooling, through, transform_values
        For Responses; see `Responses.pool`.
    independent : bool
        Declares every row its own item.
    seed : int
        For the halves.
    """

    def __init__(self, criterion="mean_difference", k=8, *, resamples=50, share=0.5, params=None, window="all",
                 pooling="mean",
                 through=None, transform_values="log1p", independent=False, seed=0):
        self.criterion = criterion
        self.k = k
        self.resamples = resamples
        self.share = share
        self.params = params
        self.window = window
        self.pooling = pooling
        self.through = through
        self.transform_values = transform_values
        self.independent = independent
        self.seed = seed

    def _choose(self, X, y, groups, sources):
        check_k(self.k, X.shape[1])
        if self.resamples < 1 or not 0 < self.share <= 1:
            raise InputError(f"resamples {self.resamples}, share {self.share}",
                             allowed="resamples >= 1, share in (0, 1]")
        ranking = self._rank(X, y, groups, sources)
        self.map_, self.signs_ = ranking.map, ranking.signs
        # halves of items: rows of an item go together, so each row stands for its item here
        rows = Cells(X, y, groups)
        counts = np.zeros(X.shape[1])
        for half in item_halves(rows, self.resamples, np.random.default_rng(self.seed)):
            index = np.flatnonzero(half)
            part = self._rank(X[index], y[index], groups[index], sources.rows(index))
            counts[part.order[: self.k]] += 1 / self.resamples
        self.shares_ = counts
        place = np.full(X.shape[1], X.shape[1])
        place[ranking.order] = np.arange(len(ranking.order))
        kept = np.flatnonzero((counts >= self.share - 1e-12) & (place < X.shape[1]))
        self._keep(kept[np.lexsort((place[kept], -counts[kept]))][: self.k], X.shape[1])


class FeatureSet(Selector):
    """Given features, whatever the data say; fitting only checks them.

    Parameters
    ----------
    indices : sequence of int
        Features, each once.
    window, pooling, through, transform_values
        For Responses; see `Responses.pool`.
    """

    seed = 0

    def __init__(self, indices=(0,), *, window="all", pooling="mean", through=None, transform_values="log1p"):
        self.indices = indices
        self.window = window
        self.pooling = pooling
        self.through = through
        self.transform_values = transform_values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def fit(self, X, y=None, groups=None):
        """Check the indices against the width of X.

        Parameters
        ----------
        X : ndarray (n_rows, n_features) or Responses
            Pooled values, or token responses.
        y : object
            Not used.
        groups : object
            Not used.

        Returns
        -------
        self

        Raises
        ------
        InputError
            No index, a repeated one, or one outside the features.
        """
        values = validate_data(self, self._pooled(X)[0], dtype=(np.float64, np.float32))
        indices = np.asarray(self.indices)
        whole = indices.ndim == 1 and len(indices) and indices.dtype.kind in "iu"
        if not whole or len(np.unique(indices)) < len(indices) or indices.min() < 0 or indices.max() >= values.shape[1]:
            raise InputError(f"indices {self.indices!r} do not fit n_features = {values.shape[1]}",
                             allowed=f"different whole numbers from 0 to {values.shape[1] - 1}")
        self._keep(indices, values.shape[1])
        return self


class RandomFeatures(Selector):
    """k features drawn at random among those that vary over the rows given (labels are not used).

    Parameters
    ----------
    k : int
        How many.
    seed : int
        Of the draw.
    window, pooling, through, transform_values
        For Responses; see `Responses.pool`.
    """

    def __init__(self, k=8, *, seed=0, window="all", pooling="mean", through=None, transform_values="log1p"):
        self.k = k
        self.seed = seed
        self.window = window
        self.pooling = pooling
        self.through = through
        self.transform_values = transform_values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def fit(self, X, y=None, groups=None):
        """Draw the features.

        Parameters
        ----------
        X : ndarray (n_rows, n_features) or Responses
            Pooled values, or token responses.
        y : object
            Not used.
        groups : object
            Not used.

        Returns
        -------
        self

        Raises
        ------
        InputError
            k below 1 or above the number of features.
        """
        values, sources = self._pooled(X)
        values = validate_data(self, values, dtype=(np.float64, np.float32))
        check_k(self.k, values.shape[1])
        function, rows = score_function("random"), np.arange(len(values))
        self.map_ = function(values, rows % 2, groups=rows, sources=sources)
        self.signs_ = np.ones(values.shape[1], np.int8)
        self._keep(self.map_.top(self.k), values.shape[1])
        return self
