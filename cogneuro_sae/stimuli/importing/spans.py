"""Spans that can be found again by their words alone."""

from __future__ import annotations

import re

from cogneuro_sae.stimuli.rows import span_matches


def unique_span(text: str, start: int, stop: int) -> str:
    """Return the words at a place, with as many words before (then after) them as it takes to stand once in the text.

    Parameters
    ----------
    text : str
        The text.
    start, stop : int
        Characters [start, stop) of the words meant.

    Examples
    --------
    >>> unique_span("Mexico City is in Mexico.", 18, 24)
    'in Mexico'
    """
    before = [match.start() for match in re.finditer(r"\S+", text) if match.start() < start][::-1]
    after = [match.end() for match in re.finditer(r"\S+", text) if match.end() > stop]
    for first, last in [(start, stop), *((first, stop) for first in before), *((0, last) for last in after)]:
        if span_matches(text, text[first:last]) == [(first, last)]:
            return text[first:last]
    return text
