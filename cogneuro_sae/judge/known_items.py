"""Texts of a stimulus set as items of known answer; those kept for confirmation only where the others are too few."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.items import Item, make_item
from cogneuro_sae.judge.marking import tokens_of
from cogneuro_sae.stimuli import StimulusSet

KNOWN = 40
"""Known items of each sign that a calibration needs."""


class KnownTexts(NamedTuple):
    """Texts with and without the concept, as windows.

    Parameters
    ----------
    positive, negative : list of dict
        `{"tokens", "marked"}`; in the order in which they are used.
    far : list of str
        The far foils as plain texts: what canaries are put into.
    notes : tuple of str
        What there is too little of.
    """

    positive: list[dict[str, Any]]
    negative: list[dict[str, Any]]
    far: list[str]
    notes: tuple[str, ...]


def known_texts(stimuli: StimulusSet, *, contrast: str | None = None, seed: int = 0) -> KnownTexts:
    """Return the texts of both sides of a contrast, with the word marked that decides between text and matched foil.

    Positive: conditions of positive weight. Negative: conditions of negative weight and the far foils, in turns.
    Marked: the text's span; without one the longest word in which the text differs from its counterpart in the same
    item and paraphrase; without a counterpart its longest word. So known texts carry one marked word, as windows do.

    Parameters
    ----------
    stimuli : StimulusSet
        The concept's set.
    contrast : str, optional
        Name or expression; default the first.
    seed : int
        Order of the texts.

    Raises
    ------
    InputError
        No such contrast.
    """
    from cogneuro_sae.stimuli.schema import FAR

    rng = np.random.default_rng(seed)
    design = stimuli.design(contrast)
    table = stimuli.table
    sign = dict(zip(design.rows.tolist(), design.y.tolist()))
    free = [row for row in range(len(table)) if table["split"].iloc[row] != "confirm"]
    far = [row for row in free if table["condition"].iloc[row] == FAR and sign.get(row) != 1]
    near = [row for row, y in sign.items() if y == 0 and row not in set(far)]
    positive = [row for row, y in sign.items() if y == 1]
    counterparts = {(table["item"].iloc[row], table["paraphrase"].iloc[row], y): row for row, y in sign.items()}

    def windows(rows: list[int]) -> list[dict[str, Any]]:
        shuffled = [rows[at] for at in rng.permutation(len(rows))]
        return [_window(stimuli, row, _counterpart(table, row, sign, counterparts)) for row in shuffled]

    first, second = windows(near), windows(far)
    turns = [window for pair in zip(first, second) for window in pair]
    negative = turns + first[len(second):] + second[len(first):]
    kept = stimuli.design(contrast, unlocked=True)
    locked = [(row, y) for row, y in zip(kept.rows.tolist(), kept.y.tolist()) if row not in sign]
    sign |= dict(locked)
    counterparts |= {(table["item"].iloc[row], table["paraphrase"].iloc[row], y): row for row, y in locked}
    positive, used = _made_up(windows(positive), windows([row for row, y in locked if y == 1]))
    negative, more = _made_up(negative, windows([row for row, y in locked if y == 0]))
    found = KnownTexts(positive, negative, [table["text"].iloc[row] for row in far], ())
    borrowed = [f"{used + more} known texts are among those kept for confirmation: they test the rater, no feature"] \
        if used + more else []
    few = [f"{len(rows)} known {name}s, fewer than {KNOWN}"
           for name, rows in (("positive", found.positive), ("negative", found.negative)) if len(rows) < KNOWN]
    return found._replace(notes=tuple([*borrowed, *few]))


def _made_up(windows: list[dict], locked: list[dict]) -> tuple[list[dict], int]:
    lack = min(max(KNOWN - len(windows), 0), len(locked))
    return windows + locked[:lack], lack


def _counterpart(table: Any, row: int, sign: dict[int, int], counterparts: dict) -> str | None:
    if row not in sign:
        return None
    other = counterparts.get((table["item"].iloc[row], table["paraphrase"].iloc[row], 1 - sign[row]))
    return None if other is None else table["text"].iloc[other]


def _window(stimuli: StimulusSet, row: int, counterpart: str | None) -> dict[str, Any]:
    text, span = stimuli.table["text"].iloc[row], stimuli.table["span"].iloc[row]
    tokens = tokens_of(text)
    if span:
        from cogneuro_sae.stimuli.rows import span_matches

        start, stop = span_matches(text, span)[0]
        ends = np.cumsum([len(token) for token in tokens])
        begins = [end - len(token.lstrip()) for token, end in zip(tokens, ends)]
        marked = [at for at in range(len(tokens)) if begins[at] < stop and ends[at] > start]
    else:
        marked = [_deciding_word(tokens, counterpart)]
    return {"tokens": tokens, "marked": marked}


def _deciding_word(tokens: list[str], counterpart: str | None) -> int:
    words = [token.strip() for token in tokens]
    candidates = range(len(words))
    if counterpart is not None:
        others = [token.strip() for token in tokens_of(counterpart)]
        codes = difflib.SequenceMatcher(None, words, others, autojunk=False).get_opcodes()
        differing = [at for code, start, stop, _, _ in codes if code != "equal" for at in range(start, stop)
                     if words[at][:1].isalnum()]
        candidates = differing or candidates
    return max(candidates, key=lambda at: (len(words[at]), -at))


def known_items(known: KnownTexts, *, concept: str, count: int = KNOWN) -> list[Item]:
    """Return known positives and negatives as items of the target rubric.

    Parameters
    ----------
    known : KnownTexts
        From `known_texts`.
    concept : str
        The run's concept.
    count : int
        Most of each sign.

    Raises
    ------
    InputError
        The count is negative.
    """
    if count < 0:
        raise InputError(f"{count} known items", allowed="0 or more")
    sides = (("known_positive", 1, known.positive), ("known_negative", 0, known.negative))
    return [make_item("target", {"windows": [window]}, concept=concept, control=control, truth=truth)
            for control, truth, windows in sides for window in windows[:count]]
