"""What a card draws, as plain values for its template: shaded tokens, groups of windows, numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from cogneuro_sae.display import plain

GROUPS = (("top", "Strongest windows"), ("stratum", "Middle windows"), ("random", "Random windows"),
          ("zero", "Windows without activity"))
MISSING = "\u2013"


class Piece(NamedTuple):
    """A stretch of a window: one token that answers, or a run of tokens that do not.

    Parameters
    ----------
    text : str
        What is shown, controls made visible.
    opacity : str
        Of the highlight, such as ".53"; "" when the token is silent.
    value : str
        The activation, for the tooltip.
    marks : str
        Classes: "f" for the focus token, "n" for a negative activation.
    """

    text: str
    opacity: str
    value: str
    marks: str


class Shown(NamedTuple):
    """A window ready to be drawn: context before, the pooled window, context after.

    Parameters
    ----------
    value : str
        Pooled value.
    place : str
        Source, document and tokens.
    before, inside, after : list of Piece
        The three stretches.
    """

    value: str
    place: str
    before: list[Piece]
    inside: list[Piece]
    after: list[Piece]


class Group(NamedTuple):
    """Windows of one kind.

    Parameters
    ----------
    kind : str
        "top" | "stratum" | "random" | "zero".
    title : str
        With the number shown and the number there is.
    bins : list of (str, list of Shown)
        Parts with a title each; "" for kinds without strata.
    """

    kind: str
    title: str
    bins: list[tuple[str, list[Shown]]]


def number(value: object, *, digits: int = 3) -> str:
    """Return a number for reading: whole numbers with separators, a dash for none.

    Parameters
    ----------
    value : float or None
        Any number.
    digits : int
        Significant digits of fractions.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if not isinstance(value, (int, float)):
        return plain(value)
    if float(value).is_integer() and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:.{digits}g}" if abs(value) < 1e5 else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """Return a share as per cent with two significant digits.

    Parameters
    ----------
    value : float or None
        0-1.
    """
    if value is None or math.isnan(value):
        return MISSING
    return f"{100 * value:.3g} %" if value == 0 or value >= 1e-4 else "< 0.01 %"


def shade(activation: float, scale: float) -> float:
    """Return the opacity of a token's highlight: |activation| / scale * 0.8 + 0.1, at most .9, and 0 for silence.

    Parameters
    ----------
    activation : float
        Of the token.
    scale : float
        The activation that gets full colour; > 0.
    """
    return min(abs(activation) / scale, 1.0) * 0.8 + 0.1 if activation else 0.0


def scale_of(windows: Sequence[dict]) -> float:
    """Return the largest absolute token activation in the windows, 1 when all are silent.

    Parameters
    ----------
    windows : sequence of dict
        Records of `windows.jsonl`.
    """
    return max((abs(value) for window in windows for value in window["activations"]), default=0.0) or 1.0


@functools.lru_cache(maxsize=50_000)
def shown_token(token: str) -> str:
    """Return a token as a card shows it: a line end as an arrow, other controls as escapes.

    Parameters
    ----------
    token : str
        The token as text.
    """
    return plain(token.replace("\r\n", "\u21b5").replace("\n", "\u21b5").replace("\t", " \u21e5 "))


def pieces(window: dict, start: int, stop: int, scale: float) -> list[Piece]:
    """Return a stretch of a window with silent tokens joined.

    Parameters
    ----------
    window : dict
        A record of `windows.jsonl`.
    start, stop : int
        Tokens of the window.
    scale : float
        The activation that gets full colour.

    Returns
    -------
    list of Piece
    """
    found: list[Piece] = []
    for place in range(start, stop):
        value, text = window["activations"][place], shown_token(window["tokens"][place])
        if value and text.startswith(" ") and text.strip(" "):
            # the space before a word is not shaded, or it would stay behind as a sliver at the end of a line
            text = text[1:]
            found = _silent(found, " ")
        marks = " ".join(["f"] * (place == window["focus"] and value != 0) + ["n"] * (value < 0))
        if value:
            found.append(Piece(text, f"{shade(value, scale):.2f}".removeprefix("0"), number(value), marks))
        else:
            found = _silent(found, text)
    return found


def _silent(found: list[Piece], text: str) -> list[Piece]:
    """Silent text joins the silent text before it."""
    if found and not found[-1].opacity:
        return [*found[:-1], Piece(found[-1].text + text, "", "", "")]
    return [*found, Piece(text, "", "", "")]


def shown_window(window: dict, scale: float) -> Shown:
    """Return a window ready to be drawn.

    Parameters
    ----------
    window : dict
        A record of `windows.jsonl`.
    scale : float
        The activation that gets full colour.

    Returns
    -------
    Shown
    """
    first, stop = window["pool"]
    place = f"{plain(window['source'])}, document {window['document']}, tokens {window['start']}-{window['stop']}"
    stretches = [pieces(window, *ends, scale) for ends in ((0, first), (first, stop), (stop, len(window["tokens"])))]
    start = stretches[0] or stretches[1]
    start[0] = start[0]._replace(text=start[0].text.lstrip(" "))
    return Shown(number(window["value"]), place, *stretches)


def chosen(windows: Sequence[dict], kind: str, most: int | None = None) -> dict[str, list[dict]]:
    """Return the windows of a kind in reading order, in parts: strata from the highest bin down, else one part.

    Parameters
    ----------
    windows : sequence of dict
        Records of one feature.
    kind : str
        "top" | "stratum" | "random" | "zero".
    most : int, optional
        Largest number in a part.

    Returns
    -------
    dict of str to list of dict
        By the part's title, "" for kinds without strata; empty when there are none.
    """
    strata = kind == "stratum"
    members = sorted((window for window in windows if window["kind"] == kind),
                     key=lambda window: (-window["bin"] if strata else 0, window["rank"]))
    highest = max((window["bin"] for window in windows), default=0)
    parts: dict[str, list[dict]] = {}
    for window in members:
        part = parts.setdefault(f"bin {window['bin']} of {highest}" if strata else "", [])
        if most is None or len(part) < most:
            part.append(window)
    return parts


def groups(windows: Sequence[dict], scale: float, most: dict[str, int] | None = None) -> list[Group]:
    """Return the windows by kind, strongest first, strata from the highest bin down.

    Parameters
    ----------
    windows : sequence of dict
        Records of one feature.
    scale : float
        The activation that gets full colour.
    most : dict of str to int, optional
        Largest number shown by kind (of strata: by bin); all when left out.

    Returns
    -------
    list of Group
        Kinds without a window are left out.
    """
    found = []
    for kind, title in GROUPS:
        parts = chosen(windows, kind, (most or {}).get(kind))
        n, total = sum(map(len, parts.values())), sum(window["kind"] == kind for window in windows)
        if total:
            found.append(Group(kind, f"{title} ({n if n == total else f'{n} of {total}'})",
                               [(name, [shown_window(window, scale) for window in members])
                                for name, members in parts.items()]))
    return found
