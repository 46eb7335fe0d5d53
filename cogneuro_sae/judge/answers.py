"""Items of behaviour tasks: is an answer right? With known right and wrong answers, duplicates and canaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.canaries import INJECTIONS, filled
from cogneuro_sae.judge.controls import LEAST, SHARE
from cogneuro_sae.judge.items import Item, make_item


def answer_items(records: Iterable[Mapping[str, Any]], *, concept: str = "", controls: float = SHARE,
                 seed: int = 0) -> list[Item]:
    """Return items of the rubric "answer" for answers to tasks, with controls, in shuffled order.

    Parameters
    ----------
    records : iterable of mapping
        `question`, `answer` (str) and `reference` (str or None); `arm`, if given, names who answered and is not shown.
    concept : str
        The task's name, for tables.
    controls : float
        Share of controls: the reference itself as answer (right), another question's reference (wrong), exact
        duplicates, and wrong answers that ask for the mark.
    seed : int
        Draws and order.

    Raises
    ------
    InputError
        No record, a record without one of the three, or a share outside [0, 1).
    """
    rows = [checked_answer(row, f"record {number}") for number, row in enumerate(records, 1)]
    if not rows or not 0 <= controls < 1:
        raise InputError("no answers to judge" if not rows else f"controls is {controls}",
                         allowed="at least one record; a share of controls from 0 to below 1")
    rng = np.random.default_rng(seed)
    main = list({item.item: item for item in (_item(row, row["answer"], concept) for row in rows)}.values())
    items = list(main)
    if controls:
        count = max(LEAST, int(np.ceil(controls / (1 - controls) * len(main) / 4)))
        items += _controls(rows, main, count, concept, rng)
    items = list({item.item: item for item in items}.values())
    return [items[at] for at in rng.permutation(len(items))]


def checked_answer(row: Any, where: str) -> dict[str, Any]:
    """Return the fields of an answer to a task that are used.

    Parameters
    ----------
    row : mapping
        `question`, `answer` (str), `reference` (str or None) and perhaps `arm` (str).
    where : str
        Its place, for messages.

    Raises
    ------
    InputError
        It is no mapping, or a field is missing or no text.
    """
    if not isinstance(row, Mapping):
        raise InputError(f"an answer is a {type(row).__name__}", where=where, allowed="question, answer, reference, arm",
                         do='write {"question": "...", "answer": "...", "reference": "..."}')
    found = {key: row.get(key) for key in ("question", "answer", "reference")} | {"arm": row.get("arm") or ""}
    for key in ("question", "answer", "reference", "arm"):
        if not isinstance(found[key], str) and not (key == "reference" and found[key] is None):
            raise InputError(f"{key} is {found[key]!r}", where=where, allowed="a text")
    return found


def _item(row: Mapping[str, Any], answer: str, concept: str, **known: Any) -> Item:
    payload = {"question": row["question"], "answer": answer, "reference": row["reference"]}
    return make_item("answer", payload, concept=concept, arm="" if known else row["arm"], **known)


def _controls(rows: list[dict], main: list[Item], count: int, concept: str, rng: np.random.Generator) -> list[Item]:
    items = [make_item("answer", item.payload, concept=concept, arm=item.arm, control="duplicate", original=item.item)
             for item in (main[at] for at in rng.permutation(len(main))[:count])]
    referenced = [row for row in rows if row["reference"] is not None]
    for at in rng.permutation(len(referenced))[:count]:
        row = referenced[at]
        items.append(_item(row, row["reference"], concept, control="known_positive", truth=1))
        others = sorted({other["reference"] for other in referenced} - {row["reference"]})
        # an answer that reads the same but for case and spaces would not be wrong
        others = [other for other in others if other.strip().casefold() != row["reference"].strip().casefold()]
        if others:
            wrong = others[int(rng.integers(len(others)))]
            items.append(_item(row, wrong, concept, control="known_negative", truth=0))
            injection = filled(INJECTIONS[len(items) % len(INJECTIONS)], 1)
            items.append(_item(row, f"{wrong} {injection}", concept, control="canary", truth=0))
    return items
