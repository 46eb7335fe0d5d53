"""Valid names for whatever a source calls its items, conditions, levels and columns."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.schema import COLUMNS, check_name


def valid_names(kind: str, originals: Iterable[str], *, taken: Collection[str] = ()) -> dict[str, str]:
    """Return a valid name for each original; valid ones stay as they are, and no two differ in case only.

    Parameters
    ----------
    kind : str
        "name" | "item" | "condition" | "level" | "column" | "id", as in `schema.check_name`.
    originals : iterable of str
        Names as the source has them; repeats count once.
    taken : collection of str
        Names that none may have.

    Examples
    --------
    >>> valid_names("condition", ["not good", "1", "text"])
    {'not good': 'not_good', '1': 'c_1', 'text': 'c_text'}
    """
    originals = list(dict.fromkeys(originals))
    used = {name.casefold() for name in (*taken, *(COLUMNS if kind in _COLUMNS_TOO else ()))}
    found: dict[str, str] = {}
    for original in originals:
        name = _as_it_is(kind, original)
        if name is not None and name.casefold() not in used:
            found[original] = name
            used.add(name.casefold())
    counts: Counter[str] = Counter()
    for original in originals:
        if original not in found:
            stem = _MAKERS[kind](unicodedata.normalize("NFC", original))
            name = stem
            while name.casefold() in used or _as_it_is(kind, name) is None:
                counts[stem] += 1
                name = f"{stem}{_JOINS[kind]}{counts[stem] + 1}"
            found[original] = name
            used.add(name.casefold())
    return {original: found[original] for original in originals}


def numbered(originals: Iterable[str]) -> list[str]:
    """Return the originals with a number behind those that were there before.

    Parameters
    ----------
    originals : iterable of str
        Names, some of them repeated.

    Examples
    --------
    >>> numbered(["bat", "ball", "bat"])
    ['bat', 'ball', 'bat 2']
    """
    originals = list(originals)
    known, counts, found = set(originals), Counter(), []
    for name in originals:
        counts[name] += 1
        new = name
        while counts[name] > 1 and (new == name or new in known):
            new = f"{name} {counts[name]}"
            counts[name] += new in known
        known.add(new)
        found.append(new)
    return found


def as_name(value: object) -> str | None:
    """Return a cell as the name it stands for: text stripped, whole numbers without a fraction; None for nothing.

    Parameters
    ----------
    value : object
        A cell.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    name = "" if value is None or value != value else str(value).strip()
    return name or None


def renamed(kind: str, names: Mapping[str, str]) -> list[str]:
    """Return a note on the names that had to be changed, or none.

    Parameters
    ----------
    kind : str
        What they name.
    names : mapping of str to str
        New names by original.
    """
    changed = [(old, new) for old, new in names.items() if old != new]
    if not changed:
        return []
    old, new = changed[0]
    return [f"{len(changed)} {kind} names were made valid (first: {shown(old)} is now {new})"]


_COLUMNS_TOO = ("condition", "level", "column")
_JOINS = {"name": "_", "item": "-", "id": "-", "condition": "_", "level": "", "column": "_"}
_LONGEST = 56


def _as_it_is(kind: str, original: str) -> str | None:
    try:
        return check_name(kind, original)
    except InputError:
        return None


def _item(text: str) -> str:
    return re.sub(r"[^\w-]+", "-", text).strip("-_")[:_LONGEST].rstrip("-_") or "item"


def _id(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-_.")[:180] or "id"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()


def _condition(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", _ascii(text)).strip("_")[:_LONGEST].rstrip("_")
    return slug if re.match("[a-z]", slug) and slug not in COLUMNS else f"c_{slug}".rstrip("_")


def _level(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "", _ascii(text))[:_LONGEST]
    return slug if re.match("[a-z]", slug) and slug not in COLUMNS else f"l{slug}"


def _column(text: str) -> str:
    slug = re.sub(r"\W+", "_", text).strip("_")[:_LONGEST]
    return slug if re.match(r"[^\W\d]", slug) else f"c_{slug}".rstrip("_")


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "_", _ascii(text)).strip("_-")[:_LONGEST].rstrip("_-") or "set"


_MAKERS = {"name": _name, "item": _item, "id": _id, "condition": _condition, "level": _level, "column": _column}
