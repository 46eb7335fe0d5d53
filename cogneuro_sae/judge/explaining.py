"""Items of explanations and of their tests: what a feature's windows share, the intruder, detection and fuzzing.

Explanations see the windows of some documents, their tests those of others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from cogneuro_sae.judge.items import Item, make_item
from cogneuro_sae.judge.marking import moved_mark, shown
from cogneuro_sae.judge.sampling import Drawn, Window
from cogneuro_sae.judge.showing import STRONGEST

GROUP = 4
"""Windows of the feature in an intruder item; one more is the intruder."""
INTRUDERS = 4
TESTS = 4
"""Detection and fuzzing items of each truth per feature."""
SHOWN = {"explanation": 10, "explanation_batch": 20}
"""Most windows that an explanation sees."""


def explanation_items(drawn: Drawn, rubric: str, *, concept: str, seed: int, notes: list[str]) -> list[Item]:
    """Return one item per feature that shows its windows with strengths from 0 to 10.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    rubric : str
        "explanation" or "explanation_batch".
    concept : str
        The run's concept; the prompt does not show it.
    seed : int
        Order of the windows in an item.
    notes : list of str
        What is not equal is added here.
    """
    pools = {feature: explained_windows(drawn, feature) for feature in drawn.arms}
    size = min([SHOWN[rubric], *(len(pool) for pool in pools.values() if pool)])
    short = [feature for feature, pool in pools.items() if not pool]
    if short:
        notes.append(f"{rubric}: {len(short)} features have no active window ({', '.join(short[:4])})")
    if size < SHOWN[rubric]:
        notes.append(f"{rubric}: {size} instead of {SHOWN[rubric]} windows per feature")
    rng = np.random.default_rng(seed)
    items = []
    for feature, pool in pools.items():
        if pool:
            windows = [_with_strengths(pool[at], pool) for at in rng.permutation(size)]
            items.append(make_item(rubric, {"windows": windows}, concept=concept, feature=feature,
                                   arm=drawn.arm(feature), control=drawn.control(feature)))
    return items


def explained_windows(drawn: Drawn, feature: str) -> list[Window]:
    """Return the active windows that an explanation may see: every second document, strong bins first, bins in turns.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    feature : str
        Its name.
    """
    bins = drawn.windows[feature]
    queues = [bins[bin] for bin in sorted(bins, reverse=True) if bin > 0]
    active = [window for window in chain.from_iterable(zip_longest(*queues)) if window is not None]
    held = _held_documents(drawn, feature)
    return [window for window in active if _document(window) not in held]


def held_out_windows(drawn: Drawn, feature: str) -> dict[int, list[Window]]:
    """Return the windows by bin, 0 = not active, of documents that the feature's explanation has not seen.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    feature : str
        Its name.
    """
    held = _held_documents(drawn, feature)
    return {bin: [window for window in windows if _document(window) in held]
            for bin, windows in drawn.windows[feature].items()}


def _document(window: Window) -> tuple:
    return window.get("source", ""), window["document"]


def _held_documents(drawn: Drawn, feature: str) -> set[tuple]:
    """Every second document in order of first use; a document without an active window is always held."""
    bins = drawn.windows[feature]
    queues = [bins[bin] for bin in sorted(bins, reverse=True) if bin > 0]
    active = dict.fromkeys(_document(window) for window in chain.from_iterable(zip_longest(*queues)) if window)
    silent = {_document(window) for window in bins.get(0, ())} - set(active)
    return set(list(active)[1::2]) | silent


def _with_strengths(window: Window, pool: list[Window]) -> dict[str, Any]:
    # all windows of a feature share one scale, so that a weak window looks weak
    top = max((max(map(float, other["activations"]), default=0.0) for other in pool), default=0.0)
    values = [min(max(float(value), 0.0), top) / top if top > 0 else 0.0 for value in window["activations"]]
    return {**shown(window), "strengths": [int(np.ceil(STRONGEST * value - 1e-9)) for value in values]}


def intruder_items(drawn: Drawn, rubric: str, *, concept: str, seed: int, notes: list[str]) -> list[Item]:
    """Return items of four windows of a feature and one of another feature, at a drawn position.

    All windows come from the two highest bins of their features; the intruder's text is none of the feature's windows.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    rubric : str
        "intruder".
    concept : str
        The run's concept; the prompt does not show it.
    seed : int
        Draws windows, intruders and positions.
    notes : list of str
        What is not equal is added here.
    """
    rng = np.random.default_rng(seed)
    high = {feature: _highest(bins) for feature, bins in drawn.windows.items()}
    able = {feature: rows for feature, rows in high.items() if len(rows) >= GROUP}
    if len(able) < len(high):
        notes.append(f"{rubric}: {len(high) - len(able)} features have fewer than {GROUP} windows in the two top bins")
    items = []
    for feature, rows in able.items():
        own = {window["text"] for windows in drawn.windows[feature].values() for window in windows}
        strangers = [(window, name) for name, others in high.items() if name != feature for _, window in others
                     if window["text"] not in own]
        for _ in range(INTRUDERS if strangers else 0):
            group = [rows[at] for at in rng.permutation(len(rows))[:GROUP]]
            intruder, _ = strangers[int(rng.integers(len(strangers)))]
            position = int(rng.integers(GROUP + 1))
            windows = [shown(window) for _, window in group]
            windows.insert(position, shown(intruder))
            items.append(make_item(rubric, {"windows": windows}, concept=concept, feature=feature, truth=position,
                                   arm=drawn.arm(feature), control=drawn.control(feature), bin=group[0][0],
                                   value=float(np.mean([window["value"] for _, window in group]))))
        if not strangers:
            notes.append(f"{rubric}: no other feature gives an intruder for {feature}")
    return list({item.item: item for item in items}.values())


def _highest(bins: Mapping[int, list[Window]]) -> list[tuple[int, Window]]:
    top = sorted((bin for bin in bins if bin > 0), reverse=True)[:2]
    return [(bin, window) for bin in top for window in bins[bin]]


def detection_items(drawn: Drawn, rubric: str, *, concept: str, seed: int, notes: list[str],
                    explanations: Mapping[str, str]) -> list[Item]:
    """Return held-out windows of a feature, as many active as silent ones, beside its explanation.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    rubric : str
        "detection".
    concept : str
        The run's concept; the prompt does not show it.
    seed : int
        Draws the silent windows; those with any active token in their context are none.
    notes : list of str
        What is not equal is added here.
    explanations : mapping of str to str
        Explanation by feature.
    """
    rng = np.random.default_rng(seed)

    def sides(feature: str) -> tuple[list[tuple[int, Window, dict]], list[tuple[int, Window, dict]]]:
        held = held_out_windows(drawn, feature)
        silent = [window for window in held.get(0, ()) if max(map(float, window["activations"]), default=0.0) <= 0]
        active = [(bin, window, shown(window)) for bin, window in _in_turns(held)]
        return active, [(0, silent[at], shown(silent[at])) for at in rng.permutation(len(silent))]

    return _two_sided(drawn, rubric, sides, concept, notes, explanations)


def fuzzing_items(drawn: Drawn, rubric: str, *, concept: str, seed: int, notes: list[str],
                  explanations: Mapping[str, str]) -> list[Item]:
    """Return held-out active windows of a feature with genuine and with moved marks beside its explanation.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    rubric : str
        "fuzzing".
    concept : str
        The run's concept; the prompt does not show it.
    seed : int
        Draws the places of moved marks.
    notes : list of str
        What is not equal is added here.
    explanations : mapping of str to str
        Explanation by feature.
    """
    rng = np.random.default_rng(seed)

    def sides(feature: str) -> tuple[list[tuple[int, Window, dict]], list[tuple[int, Window, dict]]]:
        active = _in_turns(held_out_windows(drawn, feature))
        moved = [(bin, window, moved_mark(window, rng)) for bin, window in active[1::2]]
        return ([(bin, window, shown(window)) for bin, window in active[::2]],
                [(bin, window, mark) for bin, window, mark in moved if mark])

    return _two_sided(drawn, rubric, sides, concept, notes, explanations)


def _in_turns(bins: Mapping[int, list[Window]]) -> list[tuple[int, Window]]:
    queues = [[(bin, window) for window in bins[bin]] for bin in sorted(bins, reverse=True) if bin > 0]
    return [pair for pair in chain.from_iterable(zip_longest(*queues)) if pair is not None]


def _two_sided(drawn: Drawn, rubric: str, sides: Callable, concept: str, notes: list[str],
               explanations: Mapping[str, str]) -> list[Item]:
    found = {feature: sides(feature) for feature in drawn.arms if explanations.get(feature)}
    silent = [feature for feature in drawn.arms if feature not in found]
    if silent:
        notes.append(f"{rubric}: {len(silent)} features have no explanation ({', '.join(silent[:4])})")
    short = [feature for feature, (yes, no) in found.items() if not yes or not no]
    if short:
        notes.append(f"{rubric}: {len(short)} features lack held-out windows of one side ({', '.join(short[:4])})")
    able = {feature: pair for feature, pair in found.items() if feature not in set(short)}
    size = min([TESTS, *(min(len(yes), len(no)) for yes, no in able.values())])
    if able and size < TESTS:
        notes.append(f"{rubric}: {size} instead of {TESTS} held-out windows of each side per feature")
    return [make_item(rubric, {"windows": [window], "explanation": explanations[feature]}, concept=concept,
                      feature=feature, arm=drawn.arm(feature), bin=bin, value=float(row["value"]),
                      control=drawn.control(feature), truth=truth)
            for feature, (yes, no) in able.items() for truth, rows in ((1, yes), (0, no))
            for bin, row, window in rows[:size]]
