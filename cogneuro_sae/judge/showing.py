"""From an item's payload to the plain data that a prompt or a sheet shows: pieces of text, marked or with strengths.

How a text was cut into tokens is not shown, so that corpus windows and known texts look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

STRONGEST = 10


def pieces(window: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return a window's text as runs of unmarked and marked tokens.

    Parameters
    ----------
    window : mapping
        `tokens` (list of str, spaces included) and `marked` (list of int).

    Raises
    ------
    ValueError
        A mark is no token's position.
    """
    marked = set(window["marked"])
    if not all(type(at) is int and 0 <= at < len(window["tokens"]) for at in marked):
        raise ValueError(f"marks {sorted(marked, key=str)} of a window of {len(window['tokens'])} tokens")
    runs = groupby(enumerate(window["tokens"]), key=lambda pair: pair[0] in marked)
    return [("".join(token for _, token in run), is_marked) for is_marked, run in runs]


def text_of(window: Mapping[str, Any]) -> str:
    """Return a window's text.

    Parameters
    ----------
    window : mapping
        With `tokens`.
    """
    return "".join(window["tokens"]).strip()


def _named(window: Mapping[str, Any]) -> list[dict[str, str]]:
    found = pieces(window)
    # a text cut out of a document starts with a space, a whole text does not: raters are not to see which is which
    found = [(text.lstrip() if at == 0 else text, is_marked) for at, (text, is_marked) in enumerate(found)]
    return [{"marked" if is_marked else "plain": text} for text, is_marked in found]


def _only(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    (window,) = payload["windows"]
    return window


def one_window(payload: Mapping[str, Any]) -> dict:
    """Return the passage of the target rubric.

    Parameters
    ----------
    payload : mapping
        With one window.
    """
    return {"passage": _named(_only(payload))}


def several_windows(payload: Mapping[str, Any]) -> dict:
    """Return the numbered passages of the intruder rubric.

    Parameters
    ----------
    payload : mapping
        With several windows.
    """
    return {"passages": [{"number": at, "passage": _named(window)} for at, window in enumerate(payload["windows"], 1)]}


def strengths(payload: Mapping[str, Any]) -> dict:
    """Return passages as pairs of a piece and its strength; neighbours without strength are one piece.

    Parameters
    ----------
    payload : mapping
        Its windows have `strengths`, an integer from 0 to 10 per token.
    """
    return {"passages": [_pairs(window) for window in payload["windows"]]}


def _pairs(window: Mapping[str, Any]) -> list[list]:
    found: list[list] = []
    for token, strength in zip(window["tokens"], window["strengths"], strict=True):
        if found and found[-1][1] == strength == 0:
            found[-1][0] += token
        else:
            found.append([token, strength])
    return found


def described_text(payload: Mapping[str, Any]) -> dict:
    """Return description and unmarked passage of the detection rubric.

    Parameters
    ----------
    payload : mapping
        One window and `explanation`.
    """
    return {"description": payload["explanation"], "passage": text_of(_only(payload))}


def described_window(payload: Mapping[str, Any]) -> dict:
    """Return description and marked passage of the fuzzing rubric.

    Parameters
    ----------
    payload : mapping
        One window and `explanation`.
    """
    return {"description": payload["explanation"], "passage": _named(_only(payload))}


def answered(payload: Mapping[str, Any]) -> dict:
    """Return question, reference and answer of a behaviour task.

    Parameters
    ----------
    payload : mapping
        `question`, `answer` and `reference` (None: there is none).
    """
    return {"question": payload["question"], "reference": payload["reference"], "answer": payload["answer"]}
