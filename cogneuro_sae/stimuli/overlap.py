"""Texts that are too much alike: duplicates, near-duplicates, shared frames, leakage between splits."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from cogneuro_sae.stimuli.measures import words

NEAR = 0.8
FRAME = 5
MAX_TEXTS = 20_000


class Pair(NamedTuple):
    """Two texts that are alike: positions in the table, and the Jaccard overlap of their word sets (1 = same words)."""

    first: int
    second: int
    overlap: float


def near_pairs(texts: list[str], *, least: float = NEAR) -> list[Pair]:
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
    from scipy import sparse

    if len(texts) > MAX_TEXTS or len(texts) < 2:
        return []
    sets = [sorted(set(words(text))) for text in texts]
    known = {word: number for number, word in enumerate(dict.fromkeys(word for each in sets for word in each))}
    columns = [known[word] for each in sets for word in each]
    starts = np.cumsum([0, *map(len, sets)])
    matrix = sparse.csr_matrix((np.ones(len(columns), np.int32), columns, starts),
                               shape=(len(texts), max(len(known), 1)))
    found = []
    size = np.diff(starts)
    for start in range(0, len(texts), 2000):
        common = sparse.triu((matrix[start : start + 2000] @ matrix.T), k=start + 1).tocoo()
        row, column = common.row + start, common.col
        overlap = common.data / (size[row] + size[column] - common.data)
        keep = overlap >= least
        found += [Pair(int(i), int(j), float(o)) for i, j, o in zip(row[keep], column[keep], overlap[keep])]
    return sorted(found, key=lambda pair: (-pair.overlap, pair.first, pair.second))


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


def shared_frames(texts: list[str], items: list[str], *, size: int = FRAME) -> dict[str, set[str]]:
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
