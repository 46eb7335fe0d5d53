"""Which words and n-grams the strongest windows hold more often than the corpus does: log odds, exact p, FDR."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from cogneuro_sae.inference import bh
from cogneuro_sae.search.windows import normalised


class Enriched(NamedTuple):
    """A word or n-gram that windows hold more often than the background.

    Parameters
    ----------
    term : str
        In small letters, digits as 0.
    log_odds : float
        Natural log of the odds ratio of windows with it, 1/2 added to every count.
    p : float
        One-sided, Fisher's exact test over windows.
    q : float
        Benjamini and Hochberg over the tested family.
    windows : int
        Windows that hold it.
    """

    term: str
    log_odds: float
    p: float
    q: float
    windows: int


class TermCounts(NamedTuple):
    """In how many windows every term stands.

    Parameters
    ----------
    counts : Counter
        Term -> windows that hold it.
    windows : int
        Windows counted.
    """

    counts: Counter
    windows: int


def count_terms(texts: list[str], sizes: tuple[int, ...] = (1,)) -> TermCounts:
    """Count terms by windows; a window counts once however often it holds a term.

    Parameters
    ----------
    texts : list of str
        Texts of windows.
    sizes : tuple of int
        Words per term: (1,) words, (2, 3) pairs and triples.

    Returns
    -------
    TermCounts
    """
    counts: Counter = Counter()
    for text in texts:
        words = normalised(text).split()
        counts.update({" ".join(words[place:place + size]) for size in sizes for place in range(len(words) - size + 1)})
    return TermCounts(counts, len(texts))


def enriched_terms(windows: TermCounts, background: TermCounts, *, least: int = 3, alpha: float = 0.05,
                   most: int = 10) -> list[Enriched]:
    """Return the terms that windows hold more often than the background (one-sided Fisher's exact test over windows).

    The tested family are all terms that stand in `least` windows of both together: a rule that looks at the total alone
    leaves the p of a chance finding as it is, which "at least so often in the strongest windows" would not.

    Parameters
    ----------
    windows : TermCounts
        Of the strongest windows.
    background : TermCounts
        Of windows drawn from the whole corpus, terms of the same sizes.
    least : int
        Fewest windows, both together, that a tested term stands in.
    alpha : float
        Terms with q above it are left out.
    most : int
        How many to return.

    Returns
    -------
    list of Enriched
        Smallest p first, then largest log odds, then by name; empty when one of the two is.
    """
    from scipy.stats import hypergeom

    n, m = windows.windows, background.windows
    if not n or not m:
        return []
    totals = windows.counts + background.counts
    family = sum(count >= least for count in totals.values())
    terms = sorted(term for term in windows.counts if totals[term] >= least)
    if not terms:
        return []
    a, b = (np.array([each.counts[term] for term in terms], np.float64) for each in (windows, background))
    log_odds = np.log((a + 0.5) / (n - a + 0.5)) - np.log((b + 0.5) / (m - b + 0.5))
    p = hypergeom.sf(a - 1, n + m, a + b, n)
    q = bh(p, family=family)
    found = np.flatnonzero((q <= alpha) & (log_odds > 0)).tolist()
    order = sorted(found, key=lambda row: (p[row], -log_odds[row], terms[row]))
    return [Enriched(terms[row], float(log_odds[row]), float(p[row]), float(q[row]), int(a[row]))
            for row in order[:most]]
