"""Words in a corpus: where they stand, how they are spread, and the part of the corpus that holds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.corpus import Corpus
from cogneuro_sae.errors import InputError
from cogneuro_sae.provenance import hash_of


class Match(NamedTuple):
    """One place at which a keyword stands.

    Parameters
    ----------
    document : int
        Index in the corpus.
    source : str
        Its file.
    start, stop : int
        Characters of the document.
    before, text, after : str
        The match and what surrounds it.
    """

    document: int
    source: str
    start: int
    stop: int
    before: str
    text: str
    after: str


class KeywordHits(NamedTuple):
    """The places found.

    Parameters
    ----------
    matches : list of Match
        In the order of the corpus.
    scanned : int
        Documents looked at.
    next_document : int or None
        Where to go on (`start`) when the limit stopped the search inside the corpus; None: the whole range was seen.
    """

    matches: list[Match]
    scanned: int
    next_document: int | None


class KeywordMap(NamedTuple):
    """How the places of a keyword are spread over a corpus.

    Parameters
    ----------
    documents : int
        Documents in all.
    matches : int
        Places in all.
    matching : int
        Documents with one at least.
    chunks : int
        Chunks with one at least.
    top : list of (int, int)
        (chunk, places), most places first.
    density : float
        Places per document.
    first, last : int
        First and last document with a place, -1 without any.
    spread : float
        (last - first) / (documents - 1), NaN without any.
    suggestions : list of dict
        `start` and `documents` of the densest chunks, ready for `keyword_search(start=..., scan=...)`.
    """

    documents: int
    matches: int
    matching: int
    chunks: int
    top: list[tuple[int, int]]
    density: float
    first: int
    last: int
    spread: float
    suggestions: list[dict]


class EnrichedCorpus(NamedTuple):
    """The part of a corpus in which a concept's words stand.

    Parameters
    ----------
    corpus : Corpus
        Documents of the chunks that hold a word.
    before, after : float
        Share of documents with a word, before and after.
    """

    corpus: Corpus
    before: float
    after: float


def pattern_of(words: str | Sequence[str], *, case: bool = False, whole_word: bool = True) -> re.Pattern:
    """Return the pattern that finds words literally.

    Parameters
    ----------
    words : str or sequence of str
        Words or phrases, nothing in them is special.
    case : bool
        Whether capitals matter.
    whole_word : bool
        Whether a match must begin and end at the edge of a word.

    Returns
    -------
    re.Pattern

    Raises
    ------
    InputError
        An empty word.
    """
    words = [words] if isinstance(words, str) else list(words)
    if not words or any(not word.strip() for word in words):
        raise InputError("a keyword is empty", do="give words")
    # the longest first, so that a phrase is found before a word it begins with
    text = "|".join(re.escape(word.strip()) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{text})(?!\w)" if whole_word else text, 0 if case else re.IGNORECASE)


def keyword_search(corpus: Corpus, words: str | Sequence[str], *, case: bool = False, whole_word: bool = False,
                   context: int = 100, limit: int = 20, start: int = 0, scan: int | None = None) -> KeywordHits:
    """Find a keyword in a corpus.

    Parameters
    ----------
    corpus : Corpus
        The text.
    words : str or sequence of str
        Literal words or phrases.
    case : bool
        Whether capitals matter.
    whole_word : bool
        Whether a match must begin and end at the edge of a word.
    context : int
        Characters shown on either side.
    limit : int
        Most places returned.
    start : int
        First document looked at.
    scan : int, optional
        Documents looked at (default: to the end).

    Returns
    -------
    KeywordHits

    Raises
    ------
    InputError
        An empty word, a start outside the corpus, a limit or scan below 1.
    """
    if limit < 1 or context < 0 or (scan is not None and scan < 1) or not 0 <= start < len(corpus):
        raise InputError(f"limit {limit}, context {context}, start {start}, scan {scan}",
                         allowed=f"limit and scan >= 1, context >= 0, start 0 to {len(corpus) - 1}")
    pattern = pattern_of(words, case=case, whole_word=whole_word)
    stop, found = min(len(corpus), start + (scan or len(corpus))), []
    for document in range(start, stop):
        text = corpus.texts[document]
        for match in pattern.finditer(text):
            if len(found) == limit:
                return KeywordHits(found, document - start + 1, document)
            begin, end = match.span()
            found.append(Match(document, corpus.sources[document], begin, end, text[max(0, begin - context):begin],
                               match[0], text[end:end + context]))
    return KeywordHits(found, stop - start, None)


def keyword_map(corpus: Corpus, words: str | Sequence[str], *, case: bool = False, whole_word: bool = False,
                chunk: int = 1000, most: int = 10) -> KeywordMap:
    """Count a keyword in consecutive chunks of a corpus.

    Parameters
    ----------
    corpus : Corpus
        The text.
    words : str or sequence of str
        Literal words or phrases.
    case : bool
        Whether capitals matter.
    whole_word : bool
        Whether a match must begin and end at the edge of a word.
    chunk : int
        Documents per chunk.
    most : int
        Chunks listed.

    Returns
    -------
    KeywordMap

    Raises
    ------
    InputError
        An empty word or a chunk below 1.
    """
    if chunk < 1:
        raise InputError(f"chunk = {chunk}", allowed="1 or more")
    counts = _counts(corpus, words, case=case, whole_word=whole_word)
    per_chunk = np.add.reduceat(counts, np.arange(0, len(counts), chunk))
    order = np.argsort(-per_chunk, kind="stable")[:most]
    order = order[per_chunk[order] > 0]
    where = np.flatnonzero(counts)
    first, last = (int(where[0]), int(where[-1])) if len(where) else (-1, -1)
    spread = (last - first) / max(len(corpus) - 1, 1) if len(where) else float("nan")
    return KeywordMap(len(corpus), int(counts.sum()), len(where), int((per_chunk > 0).sum()),
                      [(int(row), int(per_chunk[row])) for row in order], float(counts.mean()), first, last, spread,
                      [{"start": int(row) * chunk, "documents": min(chunk, len(corpus) - int(row) * chunk)}
                       for row in order])


def enriched_corpus(corpus: Corpus, words: str | Sequence[str], *, chunk: int = 1, case: bool = False,
                    whole_word: bool = True) -> EnrichedCorpus:
    """Keep the chunks of a corpus in which one of the words stands.

    Parameters
    ----------
    corpus : Corpus
        The text; every document is looked at.
    words : str or sequence of str
        Literal words or phrases of a concept.
    chunk : int
        Documents per chunk.
    case : bool
        Whether capitals matter.
    whole_word : bool
        Whether a match must begin and end at the edge of a word.

    Returns
    -------
    EnrichedCorpus

    Raises
    ------
    InputError
        No document holds a word, an empty word, or a chunk below 1.
    """
    if chunk < 1:
        raise InputError(f"chunk = {chunk}", allowed="1 or more")
    holds = _counts(corpus, words, case=case, whole_word=whole_word) > 0
    if not holds.any():
        raise InputError(f"no document of the corpus {corpus.name} holds {words!r}", do="give other words or another corpus")
    chunks = np.arange(len(corpus)) // chunk
    kept = np.flatnonzero(np.isin(chunks, chunks[holds]))
    part = replace(corpus, texts=tuple(corpus.texts[row] for row in kept), heldout=corpus.heldout[kept],
                   sources=tuple(corpus.sources[row] for row in kept),
                   sha256=hash_of([corpus.sha256, kept.tolist()]))
    return EnrichedCorpus(part, float(holds.mean()), float(holds[kept].mean()))


def _counts(corpus: Corpus, words, *, case: bool, whole_word: bool) -> np.ndarray:
    pattern = pattern_of(words, case=case, whole_word=whole_word)
    return np.array([sum(1 for _ in pattern.finditer(text)) for text in corpus.texts], np.int64)
