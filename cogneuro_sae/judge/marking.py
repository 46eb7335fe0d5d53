"""Marks on texts: whole words, marks moved elsewhere, words in another order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Window = Mapping[str, Any]
_TOKEN = re.compile(r"\s*\w+(?:['’-]\w+)*|\s*[^\w\s]|\s+")


def tokens_of(text: str) -> list[str]:
    """Return a text cut into words and signs, each with the space before it; joined they are the text again.

    Parameters
    ----------
    text : str
        Any text.
    """
    return _TOKEN.findall(text)


def mark_word(tokens: Sequence[str], at: int) -> list[int]:
    """Return the positions of the tokens that make up the word at a token.

    Parameters
    ----------
    tokens : sequence of str
        Tokens with their spaces.
    at : int
        Position of one of them.
    """
    def joined(left: int) -> bool:
        return tokens[left][-1:].isalnum() and tokens[left + 1][:1].isalnum()

    start = stop = at
    while start > 0 and joined(start - 1):
        start -= 1
    while stop < len(tokens) - 1 and joined(stop):
        stop += 1
    return list(range(start, stop + 1))


def words_of(tokens: Sequence[str]) -> list[list[int]]:
    """Return the words of a window as lists of token positions, punctuation included.

    Parameters
    ----------
    tokens : sequence of str
        Tokens with their spaces.
    """
    found: list[list[int]] = []
    while sum(map(len, found)) < len(tokens):
        found.append(mark_word(tokens, sum(map(len, found))))
    return found


def shown(window: Window) -> dict[str, Any]:
    """Return what a rater sees of a search's window: its tokens, and the word of largest activation marked.

    Parameters
    ----------
    window : mapping
        A row of `windows.jsonl`.
    """
    tokens = [str(token) for token in window["tokens"]]
    return {"tokens": tokens, "marked": mark_word(tokens, int(window["focus"]))}


def moved_mark(window: Window, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return a window with the mark on another word, drawn from the less active half of the words.

    Parameters
    ----------
    window : mapping
        A row of `windows.jsonl`.
    rng : Generator
        Draws the word.

    Returns
    -------
    dict or None
        As `shown`; None where there is no other word with a letter or digit in it.
    """
    true = shown(window)
    tokens, strength = true["tokens"], [float(value) for value in window["activations"]]
    others = [word for word in words_of(tokens) if not set(word) & set(true["marked"])
              and any(character.isalnum() for at in word for character in tokens[at])]
    if not others:
        return None
    others.sort(key=lambda word: max(strength[at] for at in word))
    half = others[:max(1, len(others) // 2)]
    return {"tokens": tokens, "marked": half[int(rng.integers(len(half)))]}


def mixed_words(window: Window, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return a window with its words in another order and the mark on the same word.

    Parameters
    ----------
    window : mapping
        A row of `windows.jsonl`.
    rng : Generator
        Draws the order.

    Returns
    -------
    dict or None
        As `shown`; None where no order differs.
    """
    true = shown(window)
    words = words_of(true["tokens"])
    texts = ["".join(true["tokens"][at] for at in word) for word in words]
    if len(set(texts)) < 3:
        return None
    order = rng.permutation(len(words))
    while [texts[at] for at in order] == texts:
        order = rng.permutation(len(words))
    tokens, marked = [], []
    for at in order:
        if words[at] == true["marked"]:
            marked = list(range(len(tokens), len(tokens) + len(words[at])))
        # a word that opened the window had no space before it
        texts_of = [true["tokens"][token] for token in words[at]]
        if tokens and not texts_of[0][:1].isspace() and texts_of[0][:1].isalnum() and not tokens[-1][-1:].isspace():
            texts_of[0] = " " + texts_of[0]
        tokens += texts_of
    return {"tokens": tokens, "marked": marked}
