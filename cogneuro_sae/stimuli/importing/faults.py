"""Items that cannot stand in a set: found before the set is built, told in one line, left out when asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.layout import Layout

SHOWN = 3


class Fault(NamedTuple):
    """What is wrong with an item, and where."""

    item: str
    what: str
    place: str


def faulty_items(rows: list[Row], layout: Layout, *, independent: bool = False) -> dict[str, Fault]:
    """Return what is wrong with each item that cannot be used: an empty text, a gap, a text of two conditions.

    Parameters
    ----------
    rows : list of Row
        The texts.
    layout : Layout
        The set's conditions.
    independent : bool
        Every text is its own item.
    """
    items, texts = defaultdict(list), defaultdict(dict)
    for row in rows:
        items[row.item].append(row)
        texts[" ".join(row.text.split())].setdefault(row.condition, row)
    found: dict[str, Fault] = {}
    for item, members in items.items():
        what = _alone(members) if independent else _incomplete(members, layout)
        if what:
            found[item] = Fault(item, what, members[0].place)
    for row in rows:
        text = " ".join(row.text.split())
        if not text:
            found[row.item] = Fault(row.item, f"has an empty text ({row.condition})", row.place)
        elif len(texts[text]) > 1:
            what = f"has a text that stands in {' and '.join(texts[text])}: {shown(text)}"
            found.setdefault(row.item, Fault(row.item, what, row.place))
    return found


def sound_rows(
    rows: list[Row], layout: Layout, *, independent: bool = False, skip: bool = False
) -> tuple[list[Row], list[str]]:
    """Return the rows of the items that can be used, and a note on the others.

    Parameters
    ----------
    rows : list of Row
        The texts.
    layout : Layout
        The set's conditions.
    independent : bool
        Every text is its own item.
    skip : bool
        Leave faulty items out; else they are an error.

    Raises
    ------
    InputError
        Items cannot be used, in one line for all of them; or none is left.
    """
    faults = faulty_items(rows, layout, independent=independent)
    if not faults:
        return rows, []
    items = len({row.item for row in rows})
    first = list(faults.values())
    told = "; ".join(f"{shown(fault.item)} {fault.what}" for fault in first[:SHOWN])
    more = f"; and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    if not skip:
        raise InputError(f"{len(faults)} of {items} items cannot be used: {told}{more}", where=first[0].place,
                         do="mend them, or give --skip-faulty to leave them out")
    if len(faults) == items:
        raise InputError(f"no item is left: {told}{more}", where=first[0].place, do="mend them")
    kept = [row for row in rows if row.item not in faults]
    return kept, [f"{len(faults)} of {items} items were left out: {told}{more}"]


def one_error(errors: Sequence[InputError]) -> InputError:
    """Return one error for several of the same reading: their number and the first.

    Parameters
    ----------
    errors : sequence of InputError
        At least one.
    """
    first = errors[0]
    if len(errors) == 1:
        return first
    return InputError(f"{len(errors)} faults, the first: {first.what}", where=first.where, allowed=first.allowed,
                      do=first.do)


def _alone(members: list[Row]) -> str:
    return f"has {len(members)} texts, but items are independent" if len(members) > 1 else ""


def _incomplete(members: list[Row], layout: Layout) -> str:
    present = {row.condition for row in members}
    if len({layout.family(condition) for condition in present}) > 1:
        return "mixes levels of a between factor" if layout.factors else "holds far foils beside other conditions"
    lacking = [name for name in layout.siblings(members[0].condition) if name not in present]
    return f"lacks {', '.join(lacking)}" if lacking else ""
