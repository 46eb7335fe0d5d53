"""Strict reading of answers: a score only where the answer is exactly what was asked for, else a status and a reason.

Accepted as a choice: an allowed answer alone ("3", also `"3"`, `**3**`, "3."), with its name before it ("Score: 3"),
as a JSON object with that one key ({"score": 3}), or one of these as the whole content of a code fence.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

from cogneuro_sae.display import plain

STATUSES = ("ok", "refusal", "truncated", "unparsable", "out_of_range", "several_numbers", "error")
KEYS = ("score", "answer")
"""Names that a choice may have in a JSON object."""
MAX_LABEL, MAX_EXPLANATION, MAX_WORDS = 300, 6000, 60

_NUMBER = re.compile(r"(?<![0-9A-Za-z_.])[-+]?[0-9]+(?:[.,][0-9]+)?(?![0-9A-Za-z_])")
_FENCE = re.compile(r"```[a-zA-Z]*\s*(.*?)\s*```", re.S)
_BARE = re.compile(r"(?:(?:score|answer|rating|number)\s*[:=]\s*)?(?P<quote>[\"']?)(?P<value>[-+]?\w+(?:[.,][0-9]+)?)"
                   r"(?P=quote)\.?", re.I | re.A)
_REFUSAL = re.compile(r"(?:(?:i['’]?m|i am) (?:sorry|unable|not able)|sorry\b|i can['’]?t|i can ?not|"
                      r"i won['’]?t|i will not|unable to|as an ai|i must decline|i decline|(?:es )?tut mir leid|"
                      r"ich kann (?:das|dies|dabei|hier|diese))", re.I)
_PATTERN = re.compile(r"\s*PATTERN:[ \t]*(?P<label>\S[^\n]*)\n+\s*EXPLANATION:[ \t]*(?P<explanation>\S[^\n]*)\n+"
                      r"\s*CERTAINTY:[ \t]*(?P<certainty>\S[^\n]*?)\s*", re.I)


class Parsed(NamedTuple):
    """What an answer says.

    Parameters
    ----------
    score : float
        NaN unless the status is "ok".
    label : dict
        What was read beside the score; {} unless the status is "ok".
    status : str
        One of `STATUSES`.
    reason : str
        Why the status is not "ok"; one line.
    """

    score: float
    label: dict
    status: str
    reason: str = ""


class Unread(Exception):
    """An answer that is not what was asked for.

    Parameters
    ----------
    status : str
        One of `STATUSES` but "ok".
    reason : str
        Why, in one line.
    """

    def __init__(self, status: str, reason: str):
        super().__init__(status, reason)
        self.status, self.reason = status, reason


def failed(status: str, reason: str) -> Parsed:
    """Return a reading without a score.

    Parameters
    ----------
    status, reason : str
        As in `Parsed`.
    """
    return Parsed(math.nan, {}, status, reason)


def read_choice(text: str, options: tuple[str, ...]) -> str:
    """Return which of the options an answer is.

    Parameters
    ----------
    text : str
        The answer.
    options : tuple of str
        Allowed answers.

    Raises
    ------
    Unread
        Anything but one option in an accepted form.
    """
    body = _body(text)
    if body[:1] in "{[":
        return _choice_of_json(_json(body), options)
    bare = _BARE.fullmatch(_without_stars(body))
    if bare:
        return _one_of(bare["value"], options)
    _refuse_or_explain(body)
    raise Unread("unparsable", f"words around the answer, or none of {', '.join(options)}: {_shown(body)}")


def read_explanation(text: str) -> dict:
    """Return label, explanation and certainty of a free explanation: JSON, or lines PATTERN, EXPLANATION, CERTAINTY.

    Parameters
    ----------
    text : str
        The answer.

    Raises
    ------
    Unread
        A key is missing, unasked for or of the wrong kind, or the certainty is not a number from 0 to 1.
    """
    body = _body(text)
    if body[:1] in "{[":
        found = _object(_json(body), ("label", "explanation", "certainty"))
    else:
        match = _PATTERN.fullmatch(body)
        if not match:
            _refuse_or_explain(body, numbers=False)
            begun = re.match(r"PATTERN:", body, re.I) and not re.search(r"CERTAINTY:", body, re.I)
            raise Unread("truncated" if begun else "unparsable",
                         "no CERTAINTY after PATTERN" if begun else "neither JSON nor PATTERN, EXPLANATION, CERTAINTY")
        found = match.groupdict() | {"certainty": _Number(match["certainty"])}
    return {"label": _words(found, "label", MAX_LABEL),
            "explanation": _words(found, "explanation", MAX_EXPLANATION), "certainty": _certainty(found["certainty"])}


def read_steps(text: str) -> dict:
    """Return what a stepwise interpretation says: key words, grouping, outliers, common meaning and certainty.

    Parameters
    ----------
    text : str
        The answer, a JSON object.

    Returns
    -------
    dict
        `label` is the common meaning, `explanation` the grouping; `key_words` and `outliers` are lists.

    Raises
    ------
    Unread
        A key is missing, unasked for or of the wrong kind, or the certainty is not a number from 0 to 1.
    """
    body = _body(text)
    if body[:1] not in "{[":
        _refuse_or_explain(body, numbers=False)
        raise Unread("unparsable", f"not a JSON object: {_shown(body)}")
    found = _object(_json(body), ("key_words", "grouping", "outliers", "common_semantic", "certainty"))
    return {"label": _words(found, "common_semantic", MAX_LABEL),
            "explanation": _words(found, "grouping", MAX_EXPLANATION), "key_words": _list(found, "key_words"),
            "outliers": _list(found, "outliers"), "certainty": _certainty(found["certainty"])}


def _body(text: Any) -> str:
    body = str(text if text is not None else "").strip()
    if not body:
        raise Unread("unparsable", "an empty answer")
    fenced = _FENCE.fullmatch(body)
    if fenced:
        body = fenced[1]
    elif body.startswith("```") and body.count("```") == 1:
        raise Unread("truncated", "a code fence that is not closed")
    if not body:
        raise Unread("unparsable", "an empty answer")
    return body


def _without_stars(body: str) -> str:
    for mark in ("**", "*", "`"):
        if len(body) > 2 * len(mark) and body.startswith(mark) and body.endswith(mark):
            return body[len(mark):-len(mark)].strip()
    return body


class _Number(str):
    """A JSON number as it was written: huge integers, 1e999 and NaN are told apart instead of raising."""


def _json(body: str) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_pairs, parse_int=_Number, parse_float=_Number,
                          parse_constant=_Number)
    except json.JSONDecodeError as error:
        if not body[error.pos:].strip() or error.msg.startswith("Unterminated"):
            raise Unread("truncated", "JSON that breaks off") from error
        _refuse_or_explain(body)
        raise Unread("unparsable", f"broken JSON ({error.msg}): {_shown(body)}") from error
    except RecursionError as error:
        raise Unread("unparsable", "JSON nested too deep") from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise Unread("several_numbers" if set(keys) & set(KEYS) else "unparsable", "a JSON key stands twice")
    return dict(pairs)


def _choice_of_json(found: Any, options: tuple[str, ...]) -> str:
    if isinstance(found, list):
        status = "several_numbers" if len(found) > 1 else "unparsable"
        raise Unread(status, f"a list of {len(found)} instead of one answer")
    if len(found) != 1 or next(iter(found)) not in KEYS:
        raise Unread("unparsable", f"JSON with the keys {_shown(', '.join(found)) or 'none'} instead of one of "
                                   f"{', '.join(KEYS)}")
    value = next(iter(found.values()))
    if isinstance(value, _Number):
        return _one_of(value.removesuffix(".0"), options)
    if isinstance(value, str):
        return _one_of(value.strip(), options)
    if isinstance(value, list) and len(value) > 1:
        raise Unread("several_numbers", f"a list of {len(value)} instead of one answer")
    kind = {bool: "a boolean", type(None): "null", list: "a list", dict: "an object"}[type(value)]
    raise Unread("unparsable", f"{kind} instead of one of {', '.join(options)}")


def _one_of(value: str, options: tuple[str, ...]) -> str:
    if value in options:
        return value
    shown = _shown(value)
    if value.lower() in ("true", "false"):
        raise Unread("unparsable", f"the boolean {shown} instead of one of {', '.join(options)}")
    if value.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise Unread("unparsable", f"{shown} is not a number")
    if re.fullmatch(r"[-+]?[0-9.,]+(?:[eE][-+]?[0-9]+)?", value):
        raise Unread("out_of_range", f"{shown} is none of {', '.join(options)}")
    raise Unread("unparsable", f"{shown} is none of {', '.join(options)}")


def _refuse_or_explain(body: str, *, numbers: bool = True) -> None:
    """Raise for a refusal and for several numbers; return when it is neither."""
    if _REFUSAL.match(body):
        raise Unread("refusal", f"the answer refuses: {_shown(body)}")
    found = _NUMBER.findall(body)
    if numbers and len(found) > 1:
        raise Unread("several_numbers", f"{len(found)} numbers: {_shown(body)}")


def _object(found: Any, keys: tuple[str, ...]) -> dict:
    if not isinstance(found, dict) or set(found) != set(keys):
        given = _shown(", ".join(found)) if isinstance(found, dict) else "a list"
        raise Unread("unparsable", f"JSON with {given or 'no key'} instead of the keys {', '.join(keys)}")
    return found


def _words(found: dict, key: str, longest: int) -> str:
    value = found[key]
    if not isinstance(value, str) or isinstance(value, _Number) or not value.strip():
        raise Unread("unparsable", f"{key} is not a text")
    if len(value) > longest:
        raise Unread("out_of_range", f"{key} has {len(value)} characters, more than {longest}")
    return value.strip()


def _list(found: dict, key: str) -> list[str]:
    value = found[key]
    if not isinstance(value, list) or not all(type(word) is str for word in value):
        raise Unread("unparsable", f"{key} is not a list of texts")
    if len(value) > MAX_WORDS:
        raise Unread("out_of_range", f"{key} has {len(value)} entries, more than {MAX_WORDS}")
    return value


def _certainty(value: Any) -> float:
    if not isinstance(value, _Number):
        raise Unread("unparsable", "the certainty is not a number")
    try:
        number = float(value)
    except ValueError as error:
        raise Unread("unparsable", f"the certainty {_shown(value)} is not a number") from error
    if math.isnan(number):
        raise Unread("unparsable", "the certainty is not a number")
    if not 0 <= number <= 1:
        raise Unread("out_of_range", f"the certainty {_shown(value)} is not from 0 to 1")
    return number


def _shown(text: str) -> str:
    return repr(plain(text, width=60))
