"""Corpus: documents of text with their train/held-out split, cut into passages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name

PARTS = ("train", "heldout", "all")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents of text with their train/held-out split.

    Parameters
    ----------
    name : str
        The reference it was loaded from.
    texts : tuple of str
        One document each, in the order of sorted file names.
    sources : tuple of str
        The file of each document, relative to the corpus folder.
    heldout : numpy.ndarray
        (n_documents,) bool, True for held-out documents.
    sha256 : str
        Hash over all documents, in order.
    """

    name: str
    texts: tuple[str, ...]
    sources: tuple[str, ...]
    heldout: np.ndarray
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def documents(self, part: str = "all") -> list[str]:
        """Return the documents of one part.

        Parameters
        ----------
        part : str
            "train", "heldout" or "all".

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            The part is unknown.
        """
        if part not in PARTS:
            raise unknown_name("corpus part", part, PARTS)
        keep = {"train": ~self.heldout, "heldout": self.heldout, "all": np.ones(len(self), bool)}[part]
        return [self.texts[index] for index in np.flatnonzero(keep)]

    def passages(self, part: str = "train", *, characters: int = 1000, seed: int = 0) -> list[str]:
        """Return the documents of one part cut into passages, in a random order fixed by the seed.

        Parameters
        ----------
        part : str
            "train", "heldout" or "all".
        characters : int
            Longest passage; documents are cut at line ends, else sentence ends, else spaces.
        seed : int
            Order of the passages over the whole part, so that every stretch of it mixes all sources.

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            The part is unknown or `characters` < 1.
        """
        if characters < 1:
            raise InputError(f"characters = {characters}", allowed="1 or more")
        cut = [passage for text in self.documents(part) for passage in cut_text(text, characters)]
        return [cut[index] for index in np.random.default_rng(seed).permutation(len(cut))]


def cut_text(text: str, characters: int) -> Iterator[str]:
    """Yield consecutive stretches of a text, none longer than `characters`, none empty.

    Parameters
    ----------
    text : str
        Any text.
    characters : int
        Longest stretch; a cut falls after a line end, else a sentence end in the second half, else a space.

    Yields
    ------
    str
        Stripped of white space at both ends.
    """
    start = 0
    while len(text) - start > characters:
        half, stop = start + max(characters // 2, 1), start + characters
        ends = (text.rfind(mark, half, stop) + len(mark) for mark in ("\n", ". ", " ") if text.rfind(mark, half, stop) >= 0)
        end = next(ends, stop)
        if text[start:end].strip():
            yield text[start:end].strip()
        start = end
    if text[start:].strip():
        yield text[start:].strip()
