"""Sentences of passages as runs of tokens, each text once."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from cogneuro_sae.search.stream import Read
from cogneuro_sae.search.windows import digest

_END = re.compile(r"""(?<=[.!?])["'”’)\]]*\s+|\n+""")


class Sentences(NamedTuple):
    """Sentences of some passages, in order; all arrays (n_sentences,).

    Parameters
    ----------
    read : ndarray int64
        Row of the passage.
    start, stop : ndarray int64
        Content tokens in the passage, half open.
    texts : list of str
        What they say.
    digests : ndarray uint64
        Hash of the normalised text.
    """

    read: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    texts: list[str]
    digests: np.ndarray


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the characters of every sentence: it ends after . ! or ? and white space, or at a line end.

    Parameters
    ----------
    text : str
        A passage.

    Returns
    -------
    list of (int, int)
    """
    spans, start = [], 0
    for match in _END.finditer(text):
        if text[start:match.start()].strip():
            spans.append((start, match.start()))
        start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return spans


def find_sentences(reads: list[Read]) -> Sentences:
    """Return the sentences of passages; a token belongs to the sentence in which its last character stands.

    Parameters
    ----------
    reads : list of Read
        The passages.

    Returns
    -------
    Sentences
    """
    rows, starts, stops, texts = [], [], [], []
    for row, each in enumerate(reads):
        spans = sentence_spans(each.passage.text)
        last = each.tokens.spans[each.head:, 1] - 1
        bounds = np.searchsorted(last, [begin for begin, _ in spans] + [len(each.passage.text)])
        bounds[0] = 0
        for (begin, end), start, stop in zip(spans, bounds[:-1], bounds[1:], strict=True):
            if stop > start:
                rows.append(row), starts.append(int(start)), stops.append(int(stop))
                texts.append(each.passage.text[begin:end].strip())
    digests = np.array([digest(text) for text in texts], np.uint64)
    return Sentences(np.array(rows, np.int64), np.array(starts, np.int64), np.array(stops, np.int64), texts, digests)
