"""Contrast expressions: numbers, names, + - * / and parentheses, read by a small parser and never evaluated as code."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from fractions import Fraction

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError

MAX_LENGTH = 2000
MAX_DEPTH = 32

_TOKEN = re.compile(r"\s*(?:(?P<number>\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?![\w.])"
                    r"|(?P<name>[^\W\d]\w*)|(?P<sign>[-+*/()]))")
_CONSTANT = None


def parse_expression(text: str, names: Iterable[str], *, where: str | None = None) -> dict[str, float]:
    """Return the weight of every name in a linear expression.

    Parameters
    ----------
    text : str
        Such as `target - (near + far)/2`.
    names : iterable of str
        The names that may occur.
    where : str, optional
        Place of the expression, for messages.

    Returns
    -------
    dict of str to float
        Weights in the order of first mention; names whose weights cancel are kept with weight 0.

    Raises
    ------
    InputError
        A sign, name or number that does not fit, with its column (from 1); two names multiplied; division by a name or
        by 0; a number that no name is multiplied with.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError("the expression is empty", where=where, do="write one such as target - near")
    if len(text) > MAX_LENGTH:
        raise InputError(f"the expression has {len(text)} characters", where=where, allowed=f"at most {MAX_LENGTH}")
    parser = _Parser(text, list(names), where)
    value = parser.sum(0)
    if parser.kind != "end":
        raise parser.error(f"expected + - * / or the end, found {shown(parser.value)}")
    if value.get(_CONSTANT, 0):
        raise InputError(f"{shown(text)} adds the number {float(value[_CONSTANT]):g} to names", where=where,
                         do="multiply it with a name, or remove it")
    return {name: float(weight) for name, weight in value.items() if name is not _CONSTANT}


class _Parser:
    """Recursive descent; a value is a mapping of names (None: the constant) to exact weights."""

    def __init__(self, text: str, names: list[str], where: str | None):
        self.text, self.names, self.where = text, names, where
        self.position = 0
        self.advance()

    def error(self, what: str, *, at: int | None = None, **more) -> InputError:
        column = (self.start if at is None else at) + 1
        return InputError(f"column {column} of {shown(self.text, 120)}: {what}", where=self.where, **more)

    def advance(self) -> None:
        rest = self.text[self.position :]
        self.start = self.position + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.kind, self.value = "end", "the end"
            return
        match = _TOKEN.match(self.text, self.position)
        if not match:
            word = re.match(r"\S{1,12}", self.text[self.start :]).group()
            raise self.error(f"{shown(word)} is not part of an expression", allowed="numbers, names, + - * / ( )")
        self.kind, self.value, self.position = match.lastgroup, match.group(match.lastgroup), match.end()

    def sum(self, depth: int) -> dict:
        value = self.product(depth)
        while self.value in ("+", "-"):
            factor = 1 if self.value == "+" else -1
            self.advance()
            other = self.product(depth)
            value = {key: value.get(key, 0) + factor * other.get(key, 0) for key in [*value, *other]}
        return value

    def product(self, depth: int) -> dict:
        value = self.single(depth)
        while self.value in ("*", "/"):
            sign, at = self.value, self.start
            self.advance()
            value = self.scaled(value, sign, self.single(depth), at)
        return value

    def scaled(self, value: dict, sign: str, other: dict, at: int) -> dict:
        if any(key is not _CONSTANT for key in other):
            if sign == "/" or any(key is not _CONSTANT for key in value):
                what = "cannot divide by a name" if sign == "/" else "cannot multiply two names"
                raise self.error(what, at=at, do="weights are numbers")
            value, other = other, value
        factor = other.get(_CONSTANT, Fraction(0))
        if sign == "/" and factor == 0:
            raise self.error("division by 0", at=at)
        return {key: weight * factor if sign == "*" else weight / factor for key, weight in value.items()}

    def single(self, depth: int) -> dict:
        if depth > MAX_DEPTH:
            raise self.error(f"parentheses and signs nest deeper than {MAX_DEPTH}")
        kind, value, start = self.kind, self.value, self.start
        if value in ("+", "-") and kind == "sign":
            self.advance()
            factor = 1 if value == "+" else -1
            return {key: factor * weight for key, weight in self.single(depth + 1).items()}
        if kind == "number":
            self.advance()
            return {_CONSTANT: Fraction(value)}
        if kind == "name":
            self.advance()
            return {self.known(value, start): Fraction(1)}
        if value == "(":
            self.advance()
            inner = self.sum(depth + 1)
            if self.value != ")":
                raise self.error(f"expected ) for the ( at column {start + 1}, found {shown(self.value)}")
            self.advance()
            return inner
        raise self.error(f"expected a name, a number or (, found {shown(value) if kind != 'end' else value}")

    def known(self, name: str, start: int) -> str:
        if name in self.names:
            return name
        near = difflib.get_close_matches(name, self.names, n=1, cutoff=0.5)
        raise self.error(f"unknown name {shown(name)}", at=start, allowed=", ".join(self.names[:40]) or "none",
                         do=f"did you mean {near[0]!r}?" if near else None)
