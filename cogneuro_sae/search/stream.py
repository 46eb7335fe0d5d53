"""The one forward pass: passages to codes of the asked columns (or any reader's), with its own time beside theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cogneuro_sae.corpus import cut_text
from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model.recording import in_batches, padded, read_sites
from cogneuro_sae.language_model.tokens import Tokenized
from cogneuro_sae.search.passages import Passage

TOKENISED_AT_ONCE = 512


class Read(NamedTuple):
    """A passage and its tokens.

    Parameters
    ----------
    passage : Passage
        The text.
    tokens : Tokenized
        As the model reads it.
    head : int
        Special tokens in front, which are left out of everything.
    piece : int
        Which part of a passage that was too long for the model, from 0.
    """

    passage: Passage
    tokens: Tokenized
    head: int
    piece: int = 0

    @property
    def length(self) -> int:
        """Content tokens."""
        return len(self.tokens.ids) - self.head

    def characters(self, start: int, stop: int) -> tuple[int, int]:
        """Return the characters of the passage that some content tokens cover.

        Parameters
        ----------
        start, stop : int
            Content tokens, half open.

        Returns
        -------
        tuple of int
        """
        spans = self.tokens.spans
        return int(spans[self.head + start, 0]), int(spans[self.head + stop - 1, 1])


class Clock:
    """Seconds by what they were spent on."""

    def __init__(self, known: dict[str, float] | None = None):
        self.seconds = dict(known or {})
        self._last = time.perf_counter()

    def start(self) -> None:
        """Begin a stretch."""
        self._last = time.perf_counter()

    def stop(self, name: str) -> None:
        """Count the time since the last call under a name.

        Parameters
        ----------
        name : str
            What it was spent on.
        """
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    def share(self, name: str, of: str = "forward") -> float:
        """Return the time of one name over that of another, NaN where that is none.

        Parameters
        ----------
        name : str
            What is asked about.
        of : str
            What it is compared with.
        """
        whole = self.seconds.get(of, 0.0)
        return self.seconds.get(name, 0.0) / whole if whole else float("nan")


def read_passages(model, passages: list[Passage], *, bos: bool = True) -> list[Read]:
    """Tokenise passages; one with more tokens than the model takes is halved until it fits, empty ones are left out.

    Parameters
    ----------
    model : LanguageModel
        Gives `tokenize` and `max_tokens`.
    passages : list of Passage
        In order.
    bos : bool
        Whether the beginning-of-text token is fed.

    Returns
    -------
    list of Read
    """
    found = []
    for start in range(0, len(passages), TOKENISED_AT_ONCE):
        block = passages[start:start + TOKENISED_AT_ONCE]
        for passage, tokens in zip(block, model.tokenize([each.text for each in block], bos=bos), strict=True):
            if len(tokens.ids) > model.max_tokens and len(passage.text) > 1:
                halves = [passage._replace(text=text) for text in cut_text(passage.text, -(-len(passage.text) // 2))]
                found += [each._replace(piece=piece) for piece, each in enumerate(read_passages(model, halves, bos=bos))]
            elif len(tokens.ids) > int(tokens.specials.sum()):
                found.append(Read(passage, tokens, int(tokens.specials.sum())))
    return found


def within_budget(reads: list[Read], left: int | None) -> list[Read]:
    """Return the passages that a budget of content tokens still covers: the last may exceed it.

    Parameters
    ----------
    reads : list of Read
        In order.
    left : int or None
        Tokens left; None: no budget.

    Returns
    -------
    list of Read
    """
    if left is None:
        return reads
    before = np.cumsum([0, *(each.length for each in reads)])[:-1]
    return [each for each, used in zip(reads, before, strict=True) if used < left]


def run_model(model, reads: list[Read], site: str, take: Callable[[np.ndarray, list[np.ndarray]], None], *, batch: int,
              clock: Clock) -> None:
    """Run passages through the model up to one site and hand over each batch's content tokens.

    Parameters
    ----------
    model : LanguageModel
        Gives `model` and `device`.
    reads : list of Read
        What is read.
    site : str
        Canonical site; the pass ends there.
    take : callable
        Called with the rows of a batch in `reads` (n,) and their values, a list of (n_tokens, d) float32 arrays.
    batch : int
        Most padded tokens at once.
    clock : Clock
        Gets `forward`; `take` counts its own.

    Raises
    ------
    InputError
        NaN or infinity in the activations, with the passage that gave them.
    """
    def step(rows: np.ndarray) -> None:
        clock.start()
        ids, mask = padded([reads[row].tokens.ids for row in rows], model.device)
        (_, tensor), = read_sites(model.model, [site], ids, mask)
        values = tensor.numpy()
        clock.stop("forward")
        pieces = [values[place, reads[row].head:len(reads[row].tokens.ids)] for place, row in enumerate(rows)]
        for row, piece in zip(rows, pieces, strict=True):
            if not np.isfinite(piece).all():
                raise InputError("NaN or infinite activations", where=f"passage {reads[row].passage.text[:40]!r} at {site}",
                                 do="use dtype float32, or check the model's weights")
        take(rows, pieces)
        clock.stop("search")

    in_batches([each.tokens.ids for each in reads], batch, step)
