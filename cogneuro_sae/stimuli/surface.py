"""Surface baselines: what bags of words, character n-grams and length alone can tell (docs/methods.md).

scikit-learn pipelines on lists of texts; nothing is fitted outside a training fold.
"""

from __future__ import annotations

from collections.abc import Callable
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


def grouped_folds(
    y: np.ndarray, groups: np.ndarray, *, splits: int = 5, repeats: int = 5, seed: int = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows to train and to test on of repeated stratified group k-fold, repeat after repeat.

    Parameters
    ----------
    y : ndarray (n,) int
        1 target, 0 foil.
    groups : ndarray (n,)
        Item of each text.
    splits, repeats : int
        Folds per repeat (fewer when a side has fewer items) and repeats.
    seed : int
        Repeat r shuffles with seed + r.

    Raises
    ------
    InputError
        A side with fewer than two items, or a fold without both sides.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    splits = min(splits, *(len(set(groups[y == side])) for side in (0, 1)))
    if splits < 2:
        raise InputError("a side has fewer than two items", allowed="at least 2", do="add items")
    found = []
    for repeat in range(repeats):
        folds = StratifiedGroupKFold(splits, shuffle=True, random_state=seed + repeat)
        found += list(folds.split(np.zeros(len(y)), y, groups))
    if any(len(set(y[part])) < 2 for fold in found for part in fold):
        raise InputError("a fold holds one side only", do="add items, or use fewer splits")
    return found


def fold_decisions(name: str, texts: list[str]) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return what fits a baseline to some of the texts and gives its decision values on others.

    Words and n-grams are counted once; their weights and the regression are fitted on the training rows alone, so the
    values are those of the pipeline.

    Parameters
    ----------
    name : str
        Key of `SURFACE`.
    texts : list of str
        All texts.

    Returns
    -------
    callable
        (training rows, labels of all texts, test rows) to decision values of the test rows.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

    if SURFACE[name] is length:
        lengths = text_lengths(texts)
        return lambda train, y, test: SURFACE[name]()[1:].fit(lengths[train], y[train]).decision_function(lengths[test])
    first = SURFACE[name]()[0]
    if SURFACE[name] not in (bag_of_words, char_ngrams) or type(first) is not TfidfVectorizer:
        X = np.array(texts, dtype=object)
        return lambda train, y, test: SURFACE[name]().fit(X[train], y[train]).decision_function(X[test])
    counts = CountVectorizer(analyzer=first.build_analyzer(), dtype=np.float64).fit_transform(texts)

    def decide(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
        known = np.flatnonzero(np.bincount(counts[train].indices, minlength=counts.shape[1]))
        if not len(known):
            raise ValueError("empty vocabulary; the training texts hold no word")
        columns = counts[:, known]
        weights = TfidfTransformer()
        model = SURFACE[name]()[-1].fit(weights.fit_transform(columns[train]), y[train])
        return model.decision_function(weights.transform(columns[test]))

    return decide


def cross_validated(
    name: str, texts: list[str], y: np.ndarray, groups: np.ndarray, cells: np.ndarray, *, splits: int = 5,
    repeats: int = 5, seed: int = 0, folds: list | None = None,
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
    folds : list, optional
        What `grouped_folds` gave for the same y, groups, splits, repeats and seed; made here when left out.

    Returns
    -------
    SurfaceResult

    Raises
    ------
    InputError
        A side with fewer than two items, or a fold without both sides.
    """
    folds = grouped_folds(y, groups, splits=splits, repeats=repeats, seed=seed) if folds is None else folds
    decide = fold_decisions(name, texts)
    aurocs, pairs = [], []
    for train, test in folds:
        cell, first, index = np.unique(cells[test], return_index=True, return_inverse=True)
        value = np.bincount(index, decide(train, y, test)) / np.bincount(index)
        label, group = y[test][first], groups[test][first]
        aurocs.append(_share_above(value[label == 1], value[label == 0]))
        pairs += _pairs(value, label, group)
    reason = "" if pairs else "no item holds both sides"
    means = np.reshape(aurocs, (repeats, -1)).mean(1)
    return SurfaceResult(float(np.mean(aurocs)), float(means.min()), float(means.max()), repeats,
                         float(np.mean(pairs)) if pairs else float("nan"), len(aurocs), reason)


def _share_above(above: np.ndarray, below: np.ndarray) -> float:
    """AUROC: share of pairs in which the first is larger, ties count half."""
    difference = above[:, None] - below[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _pairs(value: np.ndarray, label: np.ndarray, group: np.ndarray) -> list[float]:
    found = []
    for item in np.unique(group):
        above, below = value[(group == item) & (label == 1)], value[(group == item) & (label == 0)]
        if len(above) and len(below):
            found.append(_share_above(above, below))
    return found


SURFACE = {"bag_of_words": bag_of_words, "char_ngrams": char_ngrams, "length": length}
