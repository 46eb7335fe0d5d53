"""The items of a run: equal arms, at least a fifth controls of every kind, blind and in shuffled order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge import explaining
from cogneuro_sae.judge.canaries import canary_items
from cogneuro_sae.judge.items import CONTROLS, Item, make_item
from cogneuro_sae.judge.known_items import KNOWN, known_items, known_texts
from cogneuro_sae.judge.marking import mixed_words, moved_mark, shown
from cogneuro_sae.judge.rubrics import get_rubric
from cogneuro_sae.judge.sampling import Drawn, Window, draw, share_of_controls
from cogneuro_sae.stimuli import StimulusSet

LEAST = 10
"""Fewest items of every made control, where the search holds enough windows."""
LEAST_PAIRS = 30
"""Fewest exact duplicates where nothing is asked twice: they are then all that tells repeatability."""
SHARE = 0.2
"""Share of controls that a valid result needs."""
MADE = ("shuffled_highlight", "shuffled_words", "opposite_concept", "duplicate", "canary")

FEATURE_RUBRICS = {"explanation": explaining.explanation_items, "explanation_batch": explaining.explanation_items,
                   "intruder": explaining.intruder_items}
TESTS_OF_EXPLANATIONS = {"detection": explaining.detection_items, "fuzzing": explaining.fuzzing_items}
"""Rubrics that need explanations: judged in a second round."""


class ItemPlan(NamedTuple):
    """Items and what is to be said about them.

    Parameters
    ----------
    items : list of Item
        In the blind order in which they are judged.
    notes : tuple of str
        What is not equal, missing or fewer than a valid result needs.
    """

    items: list[Item]
    notes: tuple[str, ...]


def build_items(search: Any, *, rubrics: Sequence[str], concept: str, stimuli: StimulusSet | None = None,
                repeats: int = 1, controls: float = SHARE, seed: int = 0, **options: Any) -> list[Item]:
    """Return the items of a run; see `plan_items`, which also says what is not equal.

    Parameters
    ----------
    search : SearchResult
        Features and windows.
    rubrics : sequence of str
        Names in `RUBRICS`.
    concept : str
        The run's concept.
    stimuli : StimulusSet, optional
        Source of known items.
    repeats : int
        How often each item will be asked.
    controls : float
        Share of controls.
    seed : int
        Draws and order.
    **options
        As in `plan_items`.
    """
    return plan_items(search, rubrics=rubrics, concept=concept, stimuli=stimuli, repeats=repeats, controls=controls,
                      seed=seed, **options).items


def plan_items(search: Any, *, rubrics: Sequence[str], concept: str, stimuli: StimulusSet | None = None,
               repeats: int = 1, controls: float = SHARE, seed: int = 0, definition: str = "",
               contrast: str | None = None, per_bin: int = 5, known: int = KNOWN,
               explanations: Mapping[str, str] | None = None) -> ItemPlan:
    """Return the items of a run and what is to be said about them.

    Parameters
    ----------
    search : SearchResult
        With `features` and `windows`, lists of dictionaries as a search folder holds them.
    rubrics : sequence of str
        Names in `RUBRICS`; "answer" is made by `answer_items` instead.
    concept : str
        The run's concept.
    stimuli : StimulusSet, optional
        Source of known positives and negatives and of the canaries' carriers.
    repeats : int
        How often each item will be asked; 1 raises the number of duplicates.
    controls : float
        Share of controls that are made (altered windows, duplicates, canaries); known items and control features come
        on top. 0 = none at all.
    seed : int
        Draws and order.
    definition : str
        What is meant by the concept; default the set's.
    contrast : str, optional
        Contrast of the set whose sides are the known items.
    per_bin : int
        Most windows per feature and bin.
    known : int
        Most known items of each sign.
    explanations : mapping of str to str, optional
        Explanation by feature, for detection and fuzzing.

    Returns
    -------
    ItemPlan

    Raises
    ------
    InputError
        An unknown rubric, a share outside [0, 1), nothing to judge, or detection or fuzzing without explanations.
    """
    _checked(rubrics, repeats, controls, explanations)
    drawn = draw(search, concept=concept, per_bin=per_bin)
    notes = list(drawn.notes)
    items: list[Item] = []
    seeds = iter(np.random.SeedSequence(seed).generate_state(len(rubrics) + 3).tolist())
    for rubric in dict.fromkeys(rubrics):
        own = next(seeds)
        if rubric == "target":
            main = target_items(drawn, concept=concept)
        elif rubric in FEATURE_RUBRICS:
            main = FEATURE_RUBRICS[rubric](drawn, rubric, concept=concept, seed=own, notes=notes)
        else:
            main = TESTS_OF_EXPLANATIONS[rubric](drawn, rubric, concept=concept, seed=own, notes=notes,
                                                 explanations=explanations or {})
        items += main
        if controls and main:
            items += _copies(main, _number(len(main), controls, repeats, "duplicate", rubric), own + 1, notes)
    if controls and "target" in rubrics:
        meant = definition or (stimuli.definition if stimuli is not None else "") or concept
        items += _made_controls(drawn, concept, meant, controls, repeats, next(seeds), notes)
        items += _from_stimuli(stimuli, concept, contrast, known, drawn, controls, repeats, next(seeds), notes)
    items = list({item.item: item for item in items}.values())
    order = np.random.default_rng(next(seeds)).permutation(len(items))
    blind = [items[at] for at in order]
    return ItemPlan(blind, tuple([*notes, *_said(blind, controls, "target" in rubrics)]))


def _checked(rubrics: Sequence[str], repeats: int, controls: float, explanations: Mapping | None) -> None:
    if not rubrics:
        raise InputError("no rubric", do="name at least one, such as target")
    for rubric in rubrics:
        get_rubric(rubric)
        if rubric != "target" and rubric not in FEATURE_RUBRICS and rubric not in TESTS_OF_EXPLANATIONS:
            raise InputError(f"the rubric {rubric} judges no windows of features",
                             do="make its items with answer_items")
        if rubric in TESTS_OF_EXPLANATIONS and explanations is None:
            raise InputError(f"the rubric {rubric} tests explanations and there are none",
                             do="judge the rubric explanation first and give explanations=")
    if not 0 <= controls < 1:
        raise InputError(f"controls is {controls}", allowed="a share from 0 to below 1")
    if repeats < 1:
        raise InputError(f"repeats is {repeats}", allowed="1 or more")


def target_items(drawn: Drawn, *, concept: str) -> list[Item]:
    """Return one item per feature and window drawn, for the target rubric.

    Parameters
    ----------
    drawn : Drawn
        Features and windows.
    concept : str
        The run's concept.
    """
    return [_target(drawn, feature, bin, window, shown(window), concept, drawn.control(feature))
            for feature in drawn.arms for bin, window in drawn.judged(feature)]


def _target(drawn: Drawn, feature: str, bin: int, window: Window, seen: dict, concept: str, control: str,
            extra: Mapping[str, str] | None = None) -> Item:
    return make_item("target", {"windows": [seen], **(extra or {})}, concept=concept, feature=feature,
                     arm=drawn.arm(feature), bin=bin, value=float(window["value"]), control=control)


def _number(main: int, controls: float, repeats: int, kind: str, rubric: str) -> int:
    """Items of one made control: together the made kinds are the share asked for, even without any known item."""
    kinds = len(MADE) if rubric == "target" else 1
    scored = rubric not in explaining.SHOWN
    least = LEAST_PAIRS if kind == "duplicate" and repeats == 1 and scored else LEAST
    return max(least, math.ceil(controls / (1 - controls) * main / kinds))


def _copies(main: list[Item], count: int, seed: int, notes: list[str]) -> list[Item]:
    order = np.random.default_rng(seed).permutation(len(main))[:count]
    if count > len(main):
        notes.append(f"{main[0].rubric}: {len(main)} instead of {count} exact duplicates, one of every item")
    fields = ("rubric", "payload", "concept", "feature", "arm", "bin", "value", "truth")
    return [make_item(**{name: getattr(main[at], name) for name in fields}, control="duplicate",
                      original=main[at].item) for at in order]


def _made_controls(drawn: Drawn, concept: str, definition: str, controls: float, repeats: int, seed: int,
                   notes: list[str]) -> list[Item]:
    rng = np.random.default_rng(seed)
    main = [feature for feature in drawn.arms if not drawn.control(feature)] or list(drawn.arms)
    pairs = [(feature, bin, window) for feature in main for bin, window in drawn.judged(feature) if bin > 0]
    total = sum(1 for feature in drawn.arms for _ in drawn.judged(feature))
    # the strongest windows first: there an altered window costs a good judge most
    order = sorted(rng.permutation(len(pairs)).tolist(), key=lambda at: -pairs[at][1])
    against = {"concept": f"the opposite of {concept}",
               "definition": f"The opposite of this: {definition}"}
    alter = {"shuffled_highlight": lambda window: moved_mark(window, rng),
             "shuffled_words": lambda window: mixed_words(window, rng), "opposite_concept": shown}
    items = []
    for kind, altered in alter.items():
        count = _number(total, controls, repeats, kind, "target")
        found = []
        for feature, bin, window in (pairs[at] for at in order):
            seen = altered(window) if len(found) < count else None
            if seen is not None:
                extra = against if kind == "opposite_concept" else None
                found.append(_target(drawn, feature, bin, window, seen, extra["concept"] if extra else concept, kind,
                                     extra))
        if len(found) < count:
            notes.append(f"{kind}: {len(found)} instead of {count} items, there are no more windows for it")
        items += found
    return items


def _from_stimuli(stimuli: StimulusSet | None, concept: str, contrast: str | None, known: int, drawn: Drawn,
                  controls: float, repeats: int, seed: int, notes: list[str]) -> list[Item]:
    items: list[Item] = []
    carriers: list[str] = []
    if stimuli is None:
        notes.append("no stimulus set: there are no known positives and negatives, so the judge cannot be calibrated")
    else:
        texts = known_texts(stimuli, contrast=contrast, seed=seed)
        notes += texts.notes
        items += known_items(texts, concept=concept, count=known)
        carriers = texts.far
    total = sum(1 for feature in drawn.arms for _ in drawn.judged(feature))
    count = _number(total, controls, repeats, "canary", "target")
    return items + canary_items(count, rubric="target", asked=3, concept=concept, carriers=carriers, seed=seed)


def _said(items: Iterable[Item], controls: float, target: bool) -> list[str]:
    share, count = share_of_controls(item.control for item in items)
    said = []
    if share < SHARE:
        said.append(f"{share:.0%} of the items are controls, fewer than the {SHARE:.0%} that a valid result needs")
    missing = [kind for kind in CONTROLS if not count[kind]]
    if target and missing:
        said.append(f"controls that are not there: {', '.join(missing)}")
    return said
