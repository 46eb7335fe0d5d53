"""Texts that are too much alike: near-duplicates, shared frames, texts that belong to another item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cogneuro_sae.stimuli.measures import words
from cogneuro_sae.stimuli.thresholds import THRESHOLDS

BLOCK = 2000
CELLS_AT_ONCE = 4_000_000
MOST_CANDIDATES = 500_000


class Pair(NamedTuple):
    """Two texts that are alike: positions in the table, and how much of their words they share (1 = all)."""

    first: int
    second: int
    overlap: float


class Stray(NamedTuple):
    """A text that resembles a text of another item (`other`) more than any of its own: the two cosines."""

    row: int
    other: int
    own: float
    elsewhere: float


def near_pairs(texts: list[str], *, least: float = THRESHOLDS.near_duplicate) -> list[Pair]:
    """Return all pairs of texts whose word sets overlap at least so much (Jaccard: common words / all words).

    Parameters
    ----------
    texts : list of str
        The texts; of more than 20,000 none are compared.
    least : float
        Smallest overlap reported, above 0.

    Returns
    -------
    list of Pair
        Largest overlap first.
    """
    if len(texts) > THRESHOLDS.most_compared or len(texts) < 2:
        return []
    sets = [set(words(text)) for text in texts]
    size = np.array([len(each) for each in sets])
    found = []
    for row, column, common in _common_words(sets):
        overlap = common / (size[row] + size[column] - common)
        keep = overlap >= least
        found += [Pair(int(i), int(j), float(o)) for i, j, o in zip(row[keep], column[keep], overlap[keep])]
    return sorted(found, key=lambda pair: (-pair.overlap, pair.first, pair.second))


def _word_matrix(sets: list[set[str]]):
    """Which text holds which word, (n_texts, n_words) sparse int32."""
    from scipy import sparse

    known = {word: number for number, word in enumerate(dict.fromkeys(word for each in sets for word in sorted(each)))}
    columns = [known[word] for each in sets for word in sorted(each)]
    starts = np.cumsum([0, *map(len, sets)])
    return sparse.csr_matrix((np.ones(len(columns), np.int32), columns, starts), shape=(len(sets), max(len(known), 1)))


def _common_words(sets: list[set[str]]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield blocks of pairs of texts that share a word: first, second (first < second), how many words."""
    from scipy import sparse

    matrix = _word_matrix(sets)
    for start in range(0, len(sets), BLOCK):
        common = sparse.triu((matrix[start : start + BLOCK] @ matrix.T), k=start + 1).tocoo()
        yield common.row + start, common.col, common.data


def same_frames(texts: list[str], items: list[str], *, least: float = THRESHOLDS.same_frame) -> list[Pair]:
    """Return the pairs of texts of different items that are one sentence with other fillers.

    Their `overlap` is the length of the longest common subsequence of words divided by the words of the longer text;
    five words in common are the least. Of a set with more than half a million pairs that could be so, the first are
    compared.

    Parameters
    ----------
    texts, items : list of str
        The texts and their items; of more than 20,000 texts none are compared.
    least : float
        Smallest overlap reported, above 0.

    Returns
    -------
    list of Pair
        Largest overlap first.
    """
    if len(texts) > THRESHOLDS.most_compared or len(texts) < 2:
        return []
    each = [words(text) for text in texts]
    length = np.array([len(found) for found in each])
    spare = length - np.array([len(set(found)) for found in each])
    number = {item: code for code, item in enumerate(dict.fromkeys(items))}
    item = np.array([number[name] for name in items])
    found, left = [], MOST_CANDIDATES
    for row, column, common in _common_words([set(one) for one in each]):
        needed = np.maximum(np.ceil(least * np.maximum(length[row], length[column]) - 1e-9), THRESHOLDS.frame_words)
        # a subsequence holds each common word once, and again as often as the text with fewer repetitions repeats words
        keep = (item[row] != item[column]) & (common + np.minimum(spare[row], spare[column]) >= needed)
        row, column, needed = row[keep][:left], column[keep][:left], needed[keep][:left]
        left -= len(row)
        longest = _common_subsequence(each, row, column)
        found += [Pair(int(i), int(j), float(n / max(length[i], length[j])))
                  for i, j, n, least_words in zip(row, column, longest, needed) if n >= least_words]
    return sorted(found, key=lambda pair: (-pair.overlap, pair.first, pair.second))


def _common_subsequence(each: list[list[str]], row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Length of the longest common subsequence of words of pairs of texts, (n_pairs,) int64; all pairs at a time."""
    known = {word: number for number, word in enumerate(dict.fromkeys(word for one in each for word in one))}
    width = max((len(one) for one in each), default=0)
    codes = np.full((len(each), width), -1, np.int64)
    for place, one in enumerate(each):
        codes[place, :len(one)] = [known[word] for word in one]
    found = np.zeros(len(row), np.int64)
    step = max(1, CELLS_AT_ONCE // max(width, 1))
    for start in range(0, len(row), step):
        first, second = codes[row[start : start + step]], codes[column[start : start + step]]
        best = np.zeros((len(first), width + 1), np.int64)
        for position in range(width):
            same = (first[:, position, None] == second) & (second >= 0)
            best[:, 1:] = np.maximum.accumulate(np.maximum(best[:, 1:], (best[:, :-1] + 1) * same), axis=1)
        found[start : start + step] = best[:, -1]
    return found


def strays(texts: list[str], items: list[str], *, least: float = THRESHOLDS.stray) -> list[Stray]:
    """Return the texts that resemble a text of another item more than all texts of their own (TF-IDF cosine of words).

    Parameters
    ----------
    texts, items : list of str
        The texts and their items; items with one text are left out, and of more than 20,000 texts none are compared.
    least : float
        By how much the other cosine must be larger.

    Returns
    -------
    list of Stray
        Largest difference first.
    """
    if len(texts) > THRESHOLDS.most_compared or len(set(items)) in (0, 1, len(texts)) or not any(map(words, texts)):
        return []
    from sklearn.feature_extraction.text import TfidfVectorizer

    X = TfidfVectorizer(analyzer=words).fit_transform(texts)
    number = {item: code for code, item in enumerate(dict.fromkeys(items))}
    item = np.array([number[name] for name in items])
    several = np.bincount(item)[item] > 1
    found = []
    for start in range(0, len(texts), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(texts)))
        cosine = (X[rows] @ X.T).toarray()
        cosine[np.arange(len(rows)), rows] = -1.0
        same = item[rows][:, None] == item[None, :]
        own, elsewhere = np.where(same, cosine, -1.0).max(1), np.where(same, -1.0, cosine)
        other = elsewhere.argmax(1)
        gap = elsewhere.max(1) - own
        found += [Stray(int(rows[k]), int(other[k]), float(own[k]), float(elsewhere[k, other[k]]))
                  for k in np.flatnonzero((gap >= least) & several[rows])]
    return sorted(found, key=lambda each: (each.own - each.elsewhere, each.row))


def cell_overlap(texts: list[str], cells: list) -> np.ndarray:
    """Return the mean word overlap (Jaccard) of the paraphrases of each cell that has several.

    Parameters
    ----------
    texts : list of str
        The texts.
    cells : list
        Cell of each text.

    Returns
    -------
    ndarray (n_cells_with_several,) float64
    """
    members = defaultdict(list)
    for text, cell in zip(texts, cells):
        members[cell].append(set(words(text)))
    means = []
    for sets in members.values():
        pairs = [(a, b) for number, a in enumerate(sets) for b in sets[:number] if a | b]
        if pairs:
            means.append(sum(len(a & b) / len(a | b) for a, b in pairs) / len(pairs))
    return np.array(means, np.float64)


def shared_frames(texts: list[str], items: list[str], *, size: int = THRESHOLDS.frame_words) -> dict[str, set[str]]:
    """Return the word sequences that stand in texts of more than one item, with those items.

    Parameters
    ----------
    texts, items : list of str
        The texts and their items.
    size : int
        Words in a sequence.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for text, item in zip(texts, items):
        each = words(text)
        for start in range(len(each) - size + 1):
            found[" ".join(each[start : start + size])].add(item)
    return {frame: where for frame, where in found.items() if len(where) > 1}
