"""Item: one thing to be judged, with what the rater sees apart from what only the analysis knows.

The payload is all that a prompt shows. Arm, feature, bin, value, control and truth stay on this side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cogneuro_sae import files
from cogneuro_sae.errors import InputError

ARM_GLUE = "+"
CONTROLS = ("random_feature", "rate_matched", "shuffled_highlight", "shuffled_words", "opposite_concept",
            "known_positive", "known_negative", "duplicate", "canary", "random_decoder")


class Item(NamedTuple):
    """One thing to be judged, once per rater and repeat.

    Parameters
    ----------
    item : str
        16 hexadecimal digits, a hash of everything below; see `make_item`.
    rubric : str
        Name in `RUBRICS`.
    feature : str
        Such as "sae:12"; "" when the text is no feature's window (known items, canaries, answers).
    arm : str
        How the feature was chosen; a feature that several arms chose is judged once and carries all their names
        joined by "+", see `arms_of`. Never shown to a rater.
    concept : str
        The concept that the rater is asked about.
    bin : int
        Quantile bin of the activation, 0 for zero activation, -1 for items that are no window.
    value : float
        Pooled activation of the window; NaN where there is none.
    control : str
        "" for what is measured, else one of `CONTROLS`.
    original : str
        Item that this one is an exact copy of, else "".
    payload : dict
        What the prompt shows, JSON types only; `{"windows": [{"tokens": [...], "marked": [...]}]}` and what the rubric
        needs beside it. `concept` and `definition` in it stand before those of the run (opposite concept).
    truth : float or int or None
        What is known: 1/0 of known items and canaries (0), the position of an intruder from 0, 1/0 whether a
        detection window is active; else None.
    """

    item: str
    rubric: str
    feature: str
    arm: str
    concept: str
    bin: int
    value: float
    control: str
    original: str
    payload: dict
    truth: float | int | None


def make_item(rubric: str, payload: Mapping[str, Any], *, concept: str, feature: str = "", arm: str = "",
              bin: int = -1, value: float = float("nan"), control: str = "", original: str = "",
              truth: float | int | None = None) -> Item:
    """Return an item whose id is the hash of its content.

    Parameters
    ----------
    rubric : str
        Name in `RUBRICS`.
    payload : mapping
        What the prompt shows; JSON types only.
    concept, feature, arm : str
        As in `Item`.
    bin : int
        As in `Item`.
    value : float
        As in `Item`.
    control, original : str
        As in `Item`.
    truth : float or int or None
        As in `Item`.

    Raises
    ------
    InputError
        The control is unknown or the payload is not JSON.
    """
    if control and control not in CONTROLS:
        raise InputError(f"unknown control {control!r}", allowed=", ".join(CONTROLS))
    shown = dict(payload)
    try:
        content = json.dumps([rubric, feature, arm, concept, bin, repr(float(value)), control, original, shown, truth],
                             sort_keys=True, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the payload of an item is not plain JSON ({error})", where=f"rubric {rubric}") from error
    identity = hashlib.sha256(content.encode("ascii")).hexdigest()[:16]
    return Item(identity, rubric, feature, arm, concept, int(bin), float(value), control, original, shown, truth)


def arms_of(item: Item) -> tuple[str, ...]:
    """Return the arms that an item's feature belongs to, in order; () for items without an arm.

    Parameters
    ----------
    item : Item
    """
    return tuple(item.arm.split(ARM_GLUE)) if item.arm else ()


def write_items(items: Iterable[Item], path: str | Path) -> Path:
    """Write items as JSON lines, atomically, and return the path.

    Parameters
    ----------
    items : iterable of Item
    path : str or Path
        Such as `results/<name>/<hash10>/items.jsonl`.
    """
    lines = []
    for item in items:
        row = item._asdict() | {"value": None if item.value != item.value else item.value}
        lines.append(json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n")
    return files.write_text(path, "".join(lines))


def read_items(path: str | Path) -> list[Item]:
    """Read what `write_items` wrote.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        The file is missing, or a line is no item or not the item that its id says.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the items ({error})", where=str(path)) from error
    return [_read_line(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _read_line(line: str, where: str) -> Item:
    try:
        row = json.loads(line)
        item = Item(**(row | {"value": float("nan") if row["value"] is None else row["value"]}))
        again = make_item(**{key: value for key, value in item._asdict().items() if key != "item"})
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"not an item ({error})", where=where,
                         do="run the judge again to make the file anew") from error
    if again.item != item.item:
        raise InputError(f"item {item.item!r} was changed after it was made", where=where,
                         do="run the judge again to make the file anew")
    return item
