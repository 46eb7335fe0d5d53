"""Linear read-outs of selected features.

Every ensemble standardises its columns on what it is fitted on, offers `decision_function` (> 0: the second class) and,
where the model has probabilities, `predict_proba`. All are scikit-learn classifiers for two classes.
"""

from __future__ import annotations

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from cogneuro_sae.errors import InputError
from cogneuro_sae.selection.arrays import auroc
from cogneuro_sae.selection.readout import Readout

INNER_SPLITS = 5


class LogisticL1(Readout):
    """Study C's read-out: z-scored features, L1 logistic regression (liblinear), classes weighted to balance.

    Parameters
    ----------
    C : float or "cv"
        Inverse strength of the penalty; "cv" chooses it from `grid` by grouped inner cross-validation (AUROC, ties to
        the smaller C), which needs `groups` in `fit`.
    seed : int
        Of the inner folds and the solver.
    """

    probabilities = True
    grid = (0.05, 0.2, 1.0, 5.0)

    def __init__(self, C="cv", seed=0):
        self.C = C
        self.seed = seed

    def fit(self, X, y, groups=None):
        """Fit scaler and weights.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected)
            Features.
        y : ndarray (n_rows,)
            Two classes; the larger label is the target.
        groups : ndarray (n_rows,), optional
            Item of each row; required when C is "cv".

        Returns
        -------
        self

        Raises
        ------
        InputError
            C is "cv" and there are no groups.
        """
        X, t = self._prepare(X, y)
        return self.fit_arrays(X, t, groups)

    def fit_arrays(self, X, t, groups=None):
        """Fit without looking the input over.

        Parameters
        ----------
        X : ndarray (n_rows, n_selected) float64
            Features, finite.
        t : ndarray (n_rows,) of 0 and 1
            Labels, both present.
        groups : ndarray (n_rows,), optional
            Item of each row; required when C is "cv".

        Returns
        -------
        self

        Raises
        ------
        InputError
            C is "cv" and there are no groups.
        """
        self.C_ = self._chosen(X, t, groups) if self.C == "cv" else float(self.C)
        return super().fit_arrays(X, t)

    def _learn(self, Z, t) -> None:
        # equal classes need no weights, and working them out costs more than the fit
        model = self._model(self.C_, None if 2 * t.sum() == len(t) else "balanced").fit(Z, t)
        self.coef_, self.intercept_ = model.coef_[0], float(model.intercept_[0])

    def _model(self, C: float, weight):
        # liblinear's penalised intercept is kept small by a large scaling
        return LogisticRegression(C=C, l1_ratio=1.0, solver="liblinear", class_weight=weight, intercept_scaling=10.0,
                                  max_iter=1000, random_state=self.seed)

    def _chosen(self, X, t, groups) -> float:
        if groups is None:
            raise InputError("C='cv' needs groups, the item of each row",
                             do="fit(X, y, groups=items), or give a number for C")
        folds = StratifiedGroupKFold(INNER_SPLITS, shuffle=True, random_state=self.seed)
        found = np.zeros(len(self.grid))
        for train, test in folds.split(X, t, groups):
            for place, C in enumerate(self.grid):
                inner = type(self)(C=C, seed=self.seed).fit_arrays(X[train], t[train])
                found[place] += auroc(inner.decide(X[test]), t[test])
        return self.grid[int(np.argmax(found))]


class LogisticRidge(LogisticL1):
    """z-scored features, L2 logistic regression (lbfgs), classes weighted to balance; also the full-width probe.

    Parameters
    ----------
    C : float or "cv"
        As in LogisticL1.
    seed : int
        Of the inner folds.
    """

    grid = (0.001, 0.01, 0.1, 1.0, 10.0)

    def _model(self, C: float, weight):
        return LogisticRegression(C=C, class_weight=weight, max_iter=1000, random_state=self.seed)


class ShrinkageLDA(Readout):
    """Linear discriminant analysis with Ledoit-Wolf shrinkage and equal priors."""

    probabilities = True

    def _learn(self, Z, t) -> None:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]).fit(Z, t)
        self.coef_, self.intercept_ = model.coef_[0], float(model.intercept_[0])


class MeanZ(Readout):
    """Mean of z-scores, each with the sign of its class difference; zero is midway between the two class means."""

    def _learn(self, Z, t) -> None:
        self.coef_ = np.sign(Z[t == 1].mean(axis=0) - Z[t == 0].mean(axis=0)) / Z.shape[1]
        score = Z @ self.coef_
        self.intercept_ = -(score[t == 1].mean() + score[t == 0].mean()) / 2


class Template(Readout):
    """Correlation of the z-scored row with the target class's mean row minus that with the other class's.

    Needs two features at least: one number has no correlation. The decision value lies between -2 and 2.
    """

    def _learn(self, Z, t) -> None:
        if Z.shape[1] < 2:
            raise InputError(f"a template of n_features = {Z.shape[1]} (1 feature) has no correlation",
                             do="use k >= 2 or another ensemble")
        self.coef_ = np.stack([Z[t == c].mean(axis=0) for c in (0, 1)])
        self.intercept_ = 0.0

    def _read(self, Z):
        rows, templates = _unit(Z), _unit(self.coef_)
        return rows @ (templates[1] - templates[0])


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 1e-12)


ENSEMBLES = {"logistic_l1": LogisticL1, "logistic_ridge": LogisticRidge, "lda": ShrinkageLDA, "mean_z": MeanZ,
             "template": Template}
