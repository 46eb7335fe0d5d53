"""Surface baselines: what bags of words, character n-grams and length alone can tell (docs/methods.md).

scikit-learn pipelines on lists of texts; nothing is fitted outside a training fold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError


def bag_of_words():
    """Return TF-IDF of word unigrams followed by logistic regression, a scikit-learn Pipeline on texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(token_pattern=r"(?u)\b\w+\b"), LogisticRegression(max_iter=1000))


def char_ngrams():
    """Return TF-IDF of character 2-5-grams within words followed by logistic regression, a Pipeline on texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)), LogisticRegression(max_iter=1000))


def length():
    """Return numbers of words and characters, standardised, followed by logistic regression, a Pipeline on texts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    return make_pipeline(FunctionTransformer(text_lengths), StandardScaler(), LogisticRegression(max_iter=1000))


def text_lengths(texts) -> np.ndarray:
    """Return numbers of words and characters of texts.

    Parameters
    ----------
    texts : sequence of str
        The texts.

    Returns
    -------
    ndarray (n_stimuli, 2) float64
        Words (split at white space) and characters.
    """
    return np.array([[len(text.split()), len(text)] for text in texts], np.float64).reshape(-1, 2)


class SurfaceResult(NamedTuple):
    """How well a baseline tells the two sides of a design apart.

    `auroc` is the mean over folds of texts left out, `lowest` and `highest` its range over `repeats` (how the folds
    fell, not a confidence interval), `pair_accuracy` the mean over items of the share of pairs with the
    target above its foil (NaN without matched items; `reason` says so), `folds` how many folds were scored.
    """

    auroc: float
    lowest: float
    highest: float
    repeats: int
    pair_accuracy: float
    folds: int
    reason: str


def cross_validated(
    name: str, texts: list[str], y: np.ndarray, groups: np.ndarray, cells: np.ndarray, *, splits: int = 5,
    repeats: int = 5, seed: int = 0,
) -> SurfaceResult:
    """Score a baseline by repeated stratified group k-fold, items as groups.

    Parameters
    ----------
    name : str
        Key of `SURFACE`.
    texts : list of str
        The design's texts, n of them.
    y : ndarray (n,) int
        1 target, 0 foil.
    groups, cells : ndarray (n,)
        Item and cell of each text; decision values are averaged per cell before scoring.
    splits, repeats : int
        Folds per repeat (fewer when a side has fewer items) and repeats.
    seed : int
        Repeat r shuffles with seed + r.

    Returns
    -------
    SurfaceResult

    Raises
    ------
    InputError
        A side with fewer than two items, or a fold without both sides.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    X = np.array(texts, dtype=object)
    splits = min(splits, *(len(set(groups[y == side])) for side in (0, 1)))
    if splits < 2:
        raise InputError("a side has fewer than two items", allowed="at least 2", do="add items")
    aurocs, pairs = [], []
    for repeat in range(repeats):
        folds = StratifiedGroupKFold(splits, shuffle=True, random_state=seed + repeat)
        for train, test in folds.split(X, y, groups):
            if len(set(y[train])) < 2 or len(set(y[test])) < 2:
                raise InputError("a fold holds one side only", do="add items, or use fewer splits")
            decision = SURFACE[name]().fit(X[train], y[train]).decision_function(X[test])
            cell, first, index = np.unique(cells[test], return_index=True, return_inverse=True)
            value = np.bincount(index, decision) / np.bincount(index)
            label, group = y[test][first], groups[test][first]
            aurocs.append(roc_auc_score(label, value))
            pairs += _pairs(value, label, group)
    reason = "" if pairs else "no item holds both sides"
    means = np.reshape(aurocs, (repeats, -1)).mean(1)
    return SurfaceResult(float(np.mean(aurocs)), float(means.min()), float(means.max()), repeats,
                         float(np.mean(pairs)) if pairs else float("nan"), len(aurocs), reason)


def _pairs(value: np.ndarray, label: np.ndarray, group: np.ndarray) -> list[float]:
    found = []
    for item in np.unique(group):
        above, below = value[(group == item) & (label == 1)], value[(group == item) & (label == 0)]
        if len(above) and len(below):
            difference = above[:, None] - below[None, :]
            found.append(float(np.mean((difference > 0) + 0.5 * (difference == 0))))
    return found


SURFACE = {"bag_of_words": bag_of_words, "char_ngrams": char_ngrams, "length": length}
