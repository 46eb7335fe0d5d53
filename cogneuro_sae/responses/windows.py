"""Windows: which content tokens of each stimulus enter a statistic.

A window is a selection of tokens that are there, never a zero-filled box (docs/methods.md: a zero-padded window is a
length detector). Specials are left out by position before a window is laid. A stimulus too short for a window gives
the tokens it has and is counted as not filled.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name

FORMS = "all, first(n), center(d) = 2 d + 1 tokens around the middle one, span"


class WindowCounts(NamedTuple):
    """How many tokens a window found.

    Parameters
    ----------
    n_tokens : ndarray (n_stimuli,) int64
        Content tokens of each stimulus inside the window.
    filled : ndarray (n_stimuli,) bool
        False where the stimulus is too short for the whole window (`span`: where no token overlaps it).
    """

    n_tokens: np.ndarray
    filled: np.ndarray


class Content(NamedTuple):
    """What a window may look at, over the content tokens (specials left out) of all stimuli, packed.

    Parameters
    ----------
    position : ndarray (n_content_tokens,) int64
        Position of each content token among the content tokens of its stimulus, from 0.
    owner : ndarray (n_content_tokens,) int64
        Stimulus index of each content token.
    length : ndarray (n_stimuli,) int64
        Content tokens of each stimulus.
    spans : ndarray (n_content_tokens, 2) int64
        Character span of each content token, half open.
    target : ndarray (n_stimuli, 2) int64 or None
        Character span of the target words, -1 where there is none.
    ids : tuple of str
        Stimulus ids, for messages.
    """

    position: np.ndarray
    owner: np.ndarray
    length: np.ndarray
    spans: np.ndarray
    target: np.ndarray | None
    ids: tuple[str, ...]


class Laid(NamedTuple):
    """A window laid on content tokens: the `(n_content_tokens,)` mask and the `(n_stimuli,)` filled flags.

    Parameters
    ----------
    mask : ndarray (n_content_tokens,) bool
        Content tokens inside the window.
    filled : ndarray (n_stimuli,) bool
        Whether each stimulus fills the window.
    """

    mask: np.ndarray
    filled: np.ndarray


def lay(window: str, content: Content) -> Laid:
    """Lay a window on content tokens.

    Parameters
    ----------
    window : str
        `all`, `first(n)` (the first n tokens), `center(d)` (token n_content // 2 and d on either side) or `span`
        (every token that overlaps the stimulus' target characters).
    content : Content
        The content tokens.

    Returns
    -------
    Laid

    Raises
    ------
    InputError
        Unknown window, a size that is not a positive whole number, or `span` where stimuli have none.
    """
    match = re.fullmatch(r"\s*([a-z_]+)\s*(?:\(\s*([^()]*?)\s*\))?\s*", str(window))
    if match is None or match[1] not in WINDOWS:
        raise unknown_name("window", window, WINDOWS)
    name, argument = match[1], match[2]
    rule, smallest = WINDOWS[name]
    if smallest is None:
        if argument is not None:
            raise InputError(f"window {window!r} takes no size", allowed=FORMS)
        return rule(content, None)
    if argument is None or not re.fullmatch(r"[0-9]{1,9}", argument) or int(argument) < smallest:
        raise InputError(f"window {window!r} needs a whole number >= {smallest}, as in {name}(5)", allowed=FORMS)
    return rule(content, int(argument))


def _all(content: Content, _: int | None) -> Laid:
    return Laid(np.ones(len(content.position), bool), content.length > 0)


def _first(content: Content, size: int) -> Laid:
    return Laid(content.position < size, content.length >= size)


def _center(content: Content, reach: int) -> Laid:
    middle = content.length // 2
    mask = np.abs(content.position - middle[content.owner]) <= reach
    return Laid(mask, (middle - reach >= 0) & (middle + reach < content.length))


def _span(content: Content, _: int | None) -> Laid:
    if content.target is None:
        raise InputError("window 'span' needs the target words of each text, and these responses have none",
                         do="give the stimuli a `span` each, or use responses.with_spans(...)")
    without = np.flatnonzero((content.target < 0).any(axis=1))
    if len(without):
        raise InputError(f"window 'span': {len(without)} stimuli have no span: {named(content.ids, without)}",
                         do="give each stimulus a `span`, or use another window")
    start, stop = content.target[content.owner].T
    mask = (content.spans[:, 0] < stop) & (content.spans[:, 1] > start)
    return Laid(mask, np.bincount(content.owner[mask], minlength=len(content.length)) > 0)


def target_pairs(spans, n_stimuli: int) -> np.ndarray:
    """Return target spans as an array, -1 where a stimulus has none.

    Parameters
    ----------
    spans : array_like (n_stimuli, 2) of int, or sequence of pair or None
        Characters (start, stop) in each text.
    n_stimuli : int
        How many there have to be.

    Returns
    -------
    ndarray (n_stimuli, 2) int64

    Raises
    ------
    InputError
        Another number of spans, or spans that are no pairs.
    """
    pairs = [(-1, -1) if pair is None else tuple(pair) for pair in spans]
    if len(pairs) != n_stimuli or any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{len(pairs)} spans for {n_stimuli} stimuli", allowed="one (start, stop) or None each")
    return np.array(pairs, dtype=np.int64).reshape(n_stimuli, 2)


def named(ids: tuple[str, ...], rows: np.ndarray, *, show: int = 5) -> str:
    """Return the ids of some stimuli for a message; a stimulus without an id shows as its row.

    Parameters
    ----------
    ids : tuple of str
        Ids of all stimuli, "" where there is none.
    rows : ndarray (n,) int64
        The stimuli meant.
    show : int
        How many to name before "...".

    Returns
    -------
    str
    """
    names = [ids[row] or f"stimulus {row}" for row in rows[:show]]
    return ", ".join(names) + (" ..." if len(rows) > show else "")


WINDOWS = {"all": (_all, None), "first": (_first, 1), "center": (_center, 0), "span": (_span, None)}
