"""The one layer through which text from users reaches a terminal, a figure or a table.

HTML is escaped by the report's templates; what a terminal or matplotlib would interpret is made harmless here.
"""

from __future__ import annotations

import unicodedata

_SPREADSHEET_TRIGGERS = ("=", "+", "-", "@", "\t", "\r")


def plain(text: object, *, width: int | None = None) -> str:
    """Return text with control characters shown as `\\x1b`, cut to `width` characters with an ellipsis.

    Parameters
    ----------
    text : object
        Anything; `str()` is taken.
    width : int, optional
        Longest length returned.
    """
    shown = "".join(_visible(character) for character in str(text))
    if width is not None and len(shown) > width:
        shown = shown[: max(width - 3, 1)].rstrip() + "..."
    return shown


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cs") or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
    return character


def label(text: object, *, width: int | None = None) -> str:
    """Return text for a matplotlib label: as `plain`, with `$` escaped so that it is not read as mathematics.

    Parameters
    ----------
    text : object
        Anything; `str()` is taken.
    width : int, optional
        Longest length returned, before escaping.
    """
    return plain(text, width=width).replace("$", r"\$")


def cell(text: object) -> object:
    """Return a value for a CSV cell: a string that a spreadsheet would run as a formula gets a leading quote.

    Parameters
    ----------
    text : object
        Numbers and other non-strings pass through unchanged.
    """
    if isinstance(text, str) and text.startswith(_SPREADSHEET_TRIGGERS) and not _is_number(text):
        return "'" + text
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
