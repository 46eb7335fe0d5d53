"""The order in which a corpus is read: documents drawn with the seed, each cut into passages the model can take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cogneuro_sae.corpus import PARTS, Corpus, cut_text
from cogneuro_sae.errors import unknown_name


class Passage(NamedTuple):
    """A stretch of a document that the model sees at once.

    Parameters
    ----------
    document : int
        Index in `corpus.texts`.
    number : int
        Which stretch of the document, from 0.
    text : str
        The stretch, stripped.
    """

    document: int
    number: int
    text: str


class Reading(NamedTuple):
    """What is read, in order.

    Parameters
    ----------
    documents : ndarray (n,) int64
        Indices in `corpus.texts`, each text once.
    repeated : int
        Documents left out because their text stands elsewhere in the corpus.
    """

    documents: np.ndarray
    repeated: int


def reading_order(corpus: Corpus, part: str = "all", *, seed: int = 0) -> Reading:
    """Return the documents of one part in an order drawn with the seed; of equal texts the first in the corpus stays.

    Parameters
    ----------
    corpus : Corpus
        The text.
    part : str
        "train", "heldout" or "all".
    seed : int
        Of the order.

    Returns
    -------
    Reading

    Raises
    ------
    InputError
        The part is unknown.
    """
    if part not in PARTS:
        raise unknown_name("corpus part", part, PARTS)
    keep = {"train": ~corpus.heldout, "heldout": corpus.heldout, "all": np.ones(len(corpus), bool)}[part]
    seen: dict[bytes, int] = {}
    for index in np.flatnonzero(keep).tolist():
        seen.setdefault(hashlib.blake2b(corpus.texts[index].encode("utf-8"), digest_size=16).digest(), index)
    found = np.array(list(seen.values()), np.int64)
    return Reading(found[np.random.default_rng(seed).permutation(len(found))], int(keep.sum()) - len(found))


def shards(corpus: Corpus, documents: np.ndarray, *, passage: int, characters: int) -> Iterator[list[Passage]]:
    """Yield the passages of documents in runs of about `characters`, the pieces an interrupted search goes on from.

    Parameters
    ----------
    corpus : Corpus
        The text.
    documents : ndarray (n,) int64
        In reading order.
    passage : int
        Longest passage in characters.
    characters : int
        Least text in a run but the last.

    Yields
    ------
    list of Passage
    """
    run, size = [], 0
    for document in documents.tolist():
        for number, text in enumerate(cut_text(corpus.texts[document], passage)):
            run.append(Passage(document, number, text))
            size += len(text)
            if size >= characters:
                yield run
                run, size = [], 0
    if run:
        yield run
