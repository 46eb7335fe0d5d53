"""RSA scores from cell-pair sums under many labellings: class means, and masked correlation with models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cogneuro_sae.rsa.class_scores import score_weights
from cogneuro_sae.rsa.labelled_sums import EXACT, LabelledPairs, Sums
from cogneuro_sae.rsa.pairs import Pairs, PairSums

LABELLINGS_AT_ONCE = 2000


def class_statistic(sums: PairSums, pairs: Pairs, labels: np.ndarray, score: str, *, min_items: int = 5,
                    labelled: LabelledPairs | None = None) -> np.ndarray:
    """A class score of every feature under every labelling.

    Parameters
    ----------
    sums : PairSums
        Similarities summed over cell pairs.
    pairs : Pairs
        The cell pairs.
    labels : ndarray (n_labellings, n_cells) int8
        1 for A, 0 for B.
    score : str
        A name of CLASS_SCORES.
    min_items : int
        A feature with gaps needs this many valid items in A and in B under the labelling.
    labelled : LabelledPairs, optional
        The same pairs under the same labellings, when made before.

    Returns
    -------
    ndarray (n_labellings, n_features)
        In the precision of the sums; NaN where the feature is not estimable under the labelling.
    """
    # with fewer valid cells than this no labelling has enough valid items on both sides
    open_ = np.flatnonzero(~(sums.gaps & (sums.cell_valid.sum(axis=1) < 2 * min_items)))
    if not len(open_):
        return np.full((len(labels), len(sums.total)), np.nan)
    every = len(open_) == len(sums.total)
    n_features, sums = len(sums.total), sums if every else sums.some(open_)
    parts = []
    over = LabelledPairs(labels, pairs.cell_first, pairs.cell_second) if labelled is None else labelled
    alike, count = sums.alike() and not sums.gaps.any(), _counts(sums, pairs, labels, over)
    for start in range(0, len(labels), LABELLINGS_AT_ONCE):
        rows = slice(start, start + LABELLINGS_AT_ONCE)
        if alike:           # all features have the same number of pairs, so that one product gives their scores
            key = (score, sums.count[0].tobytes())
            parts.append(over.combined(sums.total, rows, key, lambda: [
                each[:, 0] for each in score_weights(score, *count(rows))]))
            continue
        (a, b, c), (total, linear, q) = score_weights(score, *count(rows)), over.parts(sums.total, rows)
        a *= total
        for each, part in ((b, linear), (c, q)):
            each *= part
            a += each
        parts.append(a.astype(sums.total.dtype, copy=False))
    out = _joined(parts)
    gaps = np.flatnonzero(sums.gaps)
    if len(gaps):
        valid = valid_items(sums.cell_valid[gaps], pairs.item, labels)
        out[:, gaps] = np.where(valid.min(axis=0) >= min_items, out[:, gaps], np.nan)
    if every:
        return out
    result = np.full((n_features, len(labels)), np.nan, out.dtype).T
    result[:, open_] = out
    return result


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Labellings one under the other; every feature's stand together in memory."""
    return parts[0] if len(parts) == 1 else np.concatenate([part.T for part in parts], axis=1).T


def block_statistic(sums: PairSums, pairs: Pairs, labels: np.ndarray, blocks: np.ndarray, labelled: LabelledPairs, *,
                    min_items: int = 5) -> np.ndarray:
    """Correlation of each feature's values with a model of two classes under every labelling, from sums by class.

    Parameters
    ----------
    sums : PairSums
        Values summed over cell pairs.
    pairs : Pairs
        The cell pairs.
    labels : ndarray (n_labellings, n_cells)
        1 for A, 0 for B.
    blocks : ndarray (2, 2)
        Model dissimilarity within B, between, within A.
    labelled : LabelledPairs
        The same pairs under the same labellings.
    min_items : int
        A feature with gaps needs this many valid items in A and in B under the labelling.

    Returns
    -------
    ndarray (n_labellings, n_features)
        Correlation in [-1, 1], in the precision of the sums; NaN where either side does not vary.
    """
    alike, kind = sums.alike() and not sums.gaps.any(), sums.total.dtype
    valid = (sums.count[:1] if alike else sums.count) > 0
    d, n = _standardised(sums, valid), valid.sum(axis=1)
    rows = None if sums.rows is None else (sums.rows > 0).astype(float)
    present = np.broadcast_to(valid.astype(kind), d.shape)
    count = _counts(sums._replace(count=present, rows=rows), pairs, labels, labelled)
    m = np.array([blocks[1, 1], blocks[1, 0], blocks[0, 0]])
    m = m - m.mean()
    parts = (m[0] + m[2]) / 4 + m[1] / 2, (m[0] - m[2]) / 4, (m[0] + m[2]) / 4 - m[1] / 2      # of tot, l and q
    scores = []
    for start in range(0, len(labels), LABELLINGS_AT_ONCE):
        rows = slice(start, start + LABELLINGS_AT_ONCE)
        n_m = count(rows)
        first, second = (sum(weight * part for weight, part in zip(each, n_m)) for each in (m, m**2))
        with np.errstate(invalid="ignore", divide="ignore"):
            varies = second - first**2 / n
            scale = np.where(varies > 1e-12 * np.maximum(second, 1e-300), 1 / np.sqrt(varies), np.nan)
        if alike:
            key = ("blocks", *m, sums.count[0].tobytes())
            scores.append(labelled.combined(d, rows, key, lambda: [each * scale[:, 0] for each in parts]))
        else:
            shared = sum(weight * part for weight, part in zip(parts, labelled.parts(d, rows)))
            scores.append((shared * scale).astype(kind, copy=False))
    out = _joined(scores)
    gaps = np.flatnonzero(sums.gaps)
    if len(gaps):
        found = valid_items(sums.cell_valid[gaps], pairs.item, labels)
        out[:, gaps] = np.where(found.min(axis=0) >= min_items, out[:, gaps], np.nan)
    return out


def _standardised(sums: PairSums, valid: np.ndarray) -> np.ndarray:
    """Means over cell pairs, of mean 0 and norm 1 over the valid ones; NaN where a feature does not vary."""
    total = sums.total
    if len(valid) == 1 and (sums.count[0] == 1).all():
        d, floor = total - total.mean(axis=1, keepdims=True), 0.0
    else:
        d = np.divide(total, sums.count, out=np.zeros_like(total), where=np.broadcast_to(valid, total.shape))
        n = valid.sum(axis=1)
        center = d.sum(axis=1, dtype=np.float64) / np.maximum(n, 1)
        d -= center[:, None].astype(total.dtype)
        d *= valid
        floor = 1e-12 * n * center**2
    spread = np.einsum("fp,fp->f", d, d)
    with np.errstate(divide="ignore"):
        d *= np.where(spread > floor, 1 / np.sqrt(spread), np.nan)[:, None].astype(total.dtype)
    return d


def _counts(sums: PairSums, pairs: Pairs, labels: np.ndarray, over: LabelledPairs) -> Callable[[slice], Sums]:
    """Valid pairs within A, between A and B and within B, as a function of the labellings wanted."""
    member = np.eye(int(pairs.item.max()) + 1)[pairs.item]
    single = max((labels @ member).max(), ((1 - labels) @ member).max()) < 1.5      # cells of an item on one side
    wanted = slice(0, 1) if sums.alike() else slice(None)                           # one feature may speak for all
    if sums.rows is None or not single:
        return lambda rows: over(sums.count[wanted], rows, exact=len(pairs.first) < EXACT)
    # with w valid rows in a cell, sum over i < j of w_i w_j = ((sum w)^2 - sum w^2) / 2
    w = sums.rows[wanted].T.astype(np.float32)
    squares, whole, items = w * w, w.sum(axis=0), member.T @ w
    every = (whole**2 - (items**2).sum(axis=0)) / 2

    def count(rows: slice) -> Sums:
        Y = labels[rows].astype(np.float32)
        a, qa = (Y @ w).astype(np.float64), Y @ squares
        aa, bb = (a**2 - qa) / 2, ((whole - a) ** 2 - (squares.sum(axis=0) - qa)) / 2
        return Sums(aa, every - aa - bb, bb)

    return count


def valid_items(cell_valid: np.ndarray, item: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the items with a valid A cell and those with a valid B cell, under every labelling.

    Parameters
    ----------
    cell_valid : ndarray (n_features, n_cells) bool
        The cell has a valid pair with another item.
    item : ndarray (n_cells,) int64
        Item of each cell.
    labels : ndarray (n_labellings, n_cells)
        1 for A, 0 for B.

    Returns
    -------
    ndarray (2, n_labellings, n_features) int64
        Valid items in A, then in B.
    """
    valid = np.ascontiguousarray(cell_valid.T.astype(np.float32))
    counts = np.zeros((2, len(labels), len(cell_valid)), np.int64)
    _, unit = np.unique(item, return_inverse=True)
    member = np.eye(unit.max() + 1, dtype=np.float32)[unit]             # (n_cells, n_items)
    for side, Y in enumerate((labels.astype(np.float32), 1 - labels.astype(np.float32))):
        # an item with one cell on this side in every labelling counts as its cell does
        single = ((Y @ member).max(axis=0) < 1.5)[unit]
        counts[side] = np.rint(Y[:, single] @ valid[single])
        for each in np.unique(unit[~single]):
            cells = np.flatnonzero(unit == each)
            counts[side] += Y[:, cells] @ valid[cells] > 0.5
    return counts


def model_statistic(sums: PairSums, pairs: Pairs, models: Callable[[slice], np.ndarray], n_labellings: int, *,
                    labels: np.ndarray | None = None, min_items: int = 5) -> np.ndarray:
    """Pearson correlation of each feature's dissimilarities with the model's, over the valid cross-item cell pairs.

    Parameters
    ----------
    sums : PairSums
        Dissimilarities summed over cell pairs.
    pairs : Pairs
        The cell pairs.
    models : callable
        slice of labellings -> (n, n_cell_pairs) model dissimilarities under them.
    n_labellings : int
        How many there are.
    labels : ndarray (n_labellings, n_cells), optional
        With two classes: the silence policy counts items in A and in B; without: items in all.
    min_items : int
        A feature with gaps needs this many valid items.

    Returns
    -------
    ndarray (n_labellings, n_features) float64
        Correlation in [-1, 1]; NaN where either side does not vary.
    """
    valid = (sums.count > 0).astype(np.float64)
    d = np.where(valid > 0, sums.total / np.maximum(sums.count, 1), 0.0)
    n = valid.sum(axis=1)
    center = d.sum(axis=1) / np.maximum(n, 1)
    d = (d - center[:, None]) * valid
    spread = (d**2).sum(axis=1)
    full = bool(valid.all())
    out = np.empty((n_labellings, len(d)))
    for start in range(0, n_labellings, LABELLINGS_AT_ONCE):
        rows = slice(start, min(start + LABELLINGS_AT_ONCE, n_labellings))
        M = models(rows)
        M = M - M.mean()
        mask = valid[:1] if full else valid
        sum_m, sum_mm = M @ mask.T, M**2 @ mask.T
        with np.errstate(invalid="ignore", divide="ignore"):
            var_m = sum_mm - sum_m**2 / n
            r = (M @ d.T) / np.sqrt(spread * var_m)
        floor = 1e-12 * np.maximum(sum_mm, 1e-300)
        out[rows] = np.where((var_m > floor) & (spread > 1e-12 * n * center**2) & (spread > 0), r, np.nan)
    gaps = np.flatnonzero(sums.gaps)
    if len(gaps):
        Y = np.ones((1, len(pairs.item))) if labels is None else labels
        found = valid_items(sums.cell_valid[gaps], pairs.item, Y)
        enough = (found[0] if labels is None else found.min(axis=0)) >= min_items
        out[:, gaps] = np.where(enough, out[:, gaps], np.nan)
    return out
