"""Seeded draws of items: how many to take, which to keep for confirmation; items stay whole."""

from __future__ import annotations

from collections import defaultdict

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.items import Row


def drawn_rows(rows: list[Row], limit: int | None, *, seed: int = 0) -> list[Row]:
    """Return the rows of so many items, in their order; kinds of items (their conditions) keep their shares.

    Parameters
    ----------
    rows : list of Row
        The texts.
    limit : int or None
        How many items; None or more than there are takes all.
    seed : int
        Of the draw.
    """
    import numpy as np

    kinds = _kinds(rows)
    if limit is None or limit >= sum(map(len, kinds)):
        return rows
    random = np.random.default_rng([seed, 0])
    kept = set()
    for items, count in zip(kinds, shares(list(map(len, kinds)), limit)):
        kept |= {items[place] for place in random.permutation(len(items))[:count]}
    return [row for row in rows if row.item in kept]


def confirm_items(rows: list[Row], share: float, *, seed: int = 0) -> list[str]:
    """Return the items to keep for confirmation; items that share a text go together.

    Parameters
    ----------
    rows : list of Row
        The texts; none may have a split already.
    share : float
        Of the items of each kind.
    seed : int
        Of the draw.

    Raises
    ------
    InputError
        The source says already which items are kept.
    """
    import numpy as np

    if not share:
        return []
    if any(row.split for row in rows):
        raise InputError("the source has a split already", where="--split-confirm", do="leave the option out")
    kinds = _kinds(rows)
    random = np.random.default_rng([seed, 1])
    count = round(share * sum(map(len, kinds)))
    chosen: set[str] = set()
    for items, part in zip(kinds, shares(list(map(len, kinds)), count)):
        chosen |= {items[place] for place in random.permutation(len(items))[:part]}
    kept = _with_twins(rows, chosen)
    return [item for item in dict.fromkeys(row.item for row in rows) if item in kept]


def shares(sizes: list[int], total: int) -> list[int]:
    """Return whole numbers that sum to `total`, in proportion to the sizes (largest remainders), 2 of each if possible.

    Parameters
    ----------
    sizes : list of int
        How many there are of each kind.
    total : int
        How many are wanted, at most the sum of the sizes.

    Examples
    --------
    >>> shares([30, 10], 10), shares([98, 2], 10)
    ([8, 2], [8, 2])
    """
    exact = [total * size / sum(sizes) for size in sizes]
    counts = [int(each) for each in exact]
    for place in sorted(range(len(sizes)), key=lambda place: counts[place] - exact[place])[: total - sum(counts)]:
        counts[place] += 1
    for place, size in enumerate(sizes):
        while counts[place] < min(2, size) and max(counts) > 2:
            counts[counts.index(max(counts))] -= 1
            counts[place] += 1
    return counts


def _kinds(rows: list[Row]) -> list[list[str]]:
    """Items by the set of conditions that they hold, in the order of the rows."""
    conditions = defaultdict(set)
    for row in rows:
        conditions[row.item].add(row.condition)
    kinds = defaultdict(list)
    for item, held in conditions.items():
        kinds[frozenset(held)].append(item)
    return list(kinds.values())


def _with_twins(rows: list[Row], chosen: set[str]) -> set[str]:
    """The chosen items and all that share a text with one of them, or with one of those."""
    holders = defaultdict(set)
    for row in rows:
        holders[" ".join(row.text.split())].add(row.item)
    groups = [items for items in holders.values() if len(items) > 1]
    found = set(chosen)
    while more := {item for items in groups if items & found for item in items} - found:
        found |= more
    return found
