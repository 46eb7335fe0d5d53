"""What all read-outs share: two named classes, a scaler fitted with the weights, decision values and probabilities."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


class Readout(ClassifierMixin, BaseEstimator):
    """Shared door of all ensembles: two named classes and a scaler fitted on the training rows only."""

    probabilities = False
    grid: tuple[float, ...] = ()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _prepare(self, X, y) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) == 1:
            raise ValueError(f"only one class ({self.classes_[0]}) among the labels; an ensemble needs two classes")
        if len(self.classes_) > 2:
            raise ValueError("Only binary classification is supported. The type of the target is multiclass.")
        return X, (y == self.classes_[1]).astype(np.int64)

    def fit(self, X, y):
        """Fit scaler and read-out.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected)
            Features.
        y : ndarray (n_rows,)
            Two classes; the larger label is the target.

        Returns
        -------
        self

        Raises
        ------
        InputError
            The read-out cannot be made of so few features.
        """
        return self.fit_arrays(*self._prepare(X, y))

    def fit_arrays(self, X, t):
        """Fit without looking the input over: for thousands of small fits on arrays known to be sound.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected) float64
            Features, finite.
        t : ndarray (n_rows,) of 0 and 1
            Labels, both present.

        Returns
        -------
        self

        Raises
        ------
        InputError
            The read-out cannot be made of so few features.
        """
        self.mean_ = X.mean(axis=0)
        spread = X.std(axis=0)
        # a constant column carries nothing; rounding would otherwise blow it up
        self.scale_ = np.where(spread > 1e-10 * np.maximum(1.0, np.abs(self.mean_)), spread, 1.0)
        self._learn((X - self.mean_) / self.scale_, t)
        return self

    def decide(self, X):
        """Return decision values without looking the input over; see `decision_function`.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected) float64
            Features, finite.

        Returns
        -------
        ndarray (n_rows,) float64
        """
        return self._read((X - self.mean_) / self.scale_)

    def _read(self, Z):
        return Z @ self.coef_ + self.intercept_

    def decision_function(self, X):
        """Return the decision value of each row; above 0 speaks for the second class.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected)
            Features as they were given to `fit`, not standardised.

        Returns
        -------
        ndarray (n_rows,) float64
            Log odds for the logistic and LDA ensembles, sd units for `mean_z`, a difference of correlations for
            `template`.
        """
        check_is_fitted(self, "mean_")
        return self.decide(validate_data(self, X, dtype=np.float64, reset=False))

    def predict(self, X):
        """Return the class of each row.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected)
            Features as they were given to `fit`.

        Returns
        -------
        ndarray (n_rows,)
            One of `classes_`.
        """
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    @available_if(lambda self: self.probabilities)
    def predict_proba(self, X):
        """Return the probability of each class, the logistic function of the decision value.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected)
            Features as they were given to `fit`.

        Returns
        -------
        ndarray (n_rows, 2) float64
        """
        p = 1 / (1 + np.exp(-np.clip(self.decision_function(X), -500, 500)))
        return np.column_stack([1 - p, p])
