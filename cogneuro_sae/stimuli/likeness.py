"""What is too much alike in a set, found once, and the verdicts on it: (level, name, text)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cogneuro_sae.config import shown
from cogneuro_sae.stimuli.measures import words
from cogneuro_sae.stimuli.overlap import Pair, Stray, cell_overlap, near_pairs, same_frames, shared_frames, strays
from cogneuro_sae.stimuli.thresholds import THRESHOLDS

MOST_LINES = 5

Lines = Iterator[tuple[str, str, str]]


class Likeness(NamedTuple):
    """Texts of a set that are alike.

    Parameters
    ----------
    repeated : list of list of int
        Rows of each text that stands more than once in a condition.
    near : list of Pair
        Near-duplicates of different items, word for word copies included; texts with fewer than five different words
        count only as such copies.
    strays : list of Stray
        Texts that resemble another item more than their own, word for word copies left out.
    cell_overlap : ndarray (n_cells_with_several,) float64
        Mean word overlap of each cell's paraphrases.
    frames : dict of str to set of str
        Word sequences that stand in several items, with those items.
    same_frames : list of Pair
        Texts of different items that are one sentence with other fillers, near-duplicates left out.
    compared : bool
        Whether pairs of texts were compared; very large sets are not.
    """

    repeated: list[list[int]]
    near: list[Pair]
    strays: list[Stray]
    cell_overlap: np.ndarray
    frames: dict[str, set[str]]
    same_frames: list[Pair]
    compared: bool

    @property
    def framed(self) -> set[str]:
        """Items that share a sequence of words with another item."""
        return {item for items in self.frames.values() for item in items}


def likeness(stimuli) -> Likeness:
    """Return what is alike in a set.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    table, texts = stimuli.table, stimuli.texts
    item = table["item"].tolist()
    repeated = table.reset_index(drop=True)
    repeated = repeated[repeated.duplicated(["condition", "text"], keep=False)]
    groups = [rows.index.tolist() for _, rows in repeated.groupby(["condition", "text"], sort=False)]
    long = [len(set(words(text))) >= THRESHOLDS.frame_words for text in texts]
    near = [pair for pair in near_pairs(texts) if item[pair.first] != item[pair.second]
            and (texts[pair.first] == texts[pair.second] or (long[pair.first] and long[pair.second]))]
    lost = [each for each in strays(texts, item) if texts[each.row] != texts[each.other]]
    pairs = {(pair.first, pair.second) for pair in near}
    same = [pair for pair in same_frames(texts, item) if (pair.first, pair.second) not in pairs]
    return Likeness(groups, near, lost, cell_overlap(texts, list(zip(item, table["condition"]))),
                    shared_frames(texts, item), same, len(table) <= THRESHOLDS.most_compared)


def duplicates(stimuli, alike: Likeness) -> Lines:
    """Yield repeated and nearly repeated texts.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    alike : Likeness
        What `likeness` found.
    """
    ids, texts = stimuli.ids, stimuli.texts
    yield from _first("duplicates", [
        ("warning", f"the same text: {', '.join(ids[row] for row in rows[:5])}; `dedupe: true` keeps the first")
        for rows in alike.repeated])
    if not alike.repeated:
        yield "ok", "duplicates", "no text is repeated"
    if not alike.compared:
        yield "note", "near_duplicates", (
            f"{len(texts)} texts: near-duplicates are not looked for above {THRESHOLDS.most_compared}")
        return
    near = [pair for pair in alike.near if texts[pair.first] != texts[pair.second]]
    yield from _first("near_duplicates", [
        ("warning", f"{ids[pair.first]} and {ids[pair.second]} share {pair.overlap:.0%} of words in different items")
        for pair in near])
    if not near:
        yield "ok", "near_duplicates", (
            f"no two items share {THRESHOLDS.near_duplicate:.0%} of the words of a text")


def leakage(stimuli, alike: Likeness) -> Lines:
    """Yield texts that tie items together which folds and splits keep apart.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    alike : Likeness
        What `likeness` found.
    """
    table, ids, texts = stimuli.table, stimuli.ids, stimuli.texts
    item, split = table["item"].tolist(), table["split"].tolist()
    found = []
    for pair in alike.near:
        apart, same = split[pair.first] != split[pair.second], texts[pair.first] == texts[pair.second]
        if apart:
            found.append(("error" if same else "warning",
                          f"{ids[pair.first]} and {ids[pair.second]} stand in different splits and share "
                          f"{pair.overlap:.0%} of their words"))
        elif same and not stimuli.independent:
            found.append(("warning", f"{ids[pair.first]} stands also in another item, as {ids[pair.second]}: folds by "
                                     "item do not keep the two apart"))
    noise = len(alike.strays) > THRESHOLDS.most_strays * len(ids)
    found += [("warning", f"{ids[each.row]} resembles {ids[each.other]} (cosine {each.elsewhere:.2f}) more than any "
                          f"text of its own item {item[each.row]!r} ({each.own:.2f}): does it belong there?")
              for each in (() if noise else alike.strays)]
    yield from _first("leakage", found)
    if noise:
        yield "note", "leakage", (f"{len(alike.strays)} texts resemble another item more than their own: words do not "
                                  "tell these items apart, so that moved texts are not looked for")
    elif not found and alike.compared:
        yield "ok", "leakage", "no text stands in two items or resembles another item more than its own"


def paraphrases(stimuli, alike: Likeness) -> Lines:
    """Yield how alike the paraphrases of a cell are.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    alike : Likeness
        What `likeness` found.
    """
    means = alike.cell_overlap
    if len(means):
        count = int((means > THRESHOLDS.alike_paraphrases).sum())
        more = f"; {count} cells over {THRESHOLDS.alike_paraphrases:.0%}" if count else ""
        yield ("warning" if count else "ok"), "paraphrases", (
            f"paraphrases of a cell share {means.mean():.0%} of their words on average{more}")


def frames(stimuli, alike: Likeness) -> Lines:
    """Yield whether items share word sequences or whole sentence frames.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    alike : Likeness
        What `likeness` found.
    """
    ids, size = stimuli.ids, THRESHOLDS.frame_words
    share = len(alike.framed) / stimuli.table["item"].nunique()
    yield from _first("frames", [
        ("warning", f"{ids[pair.first]} and {ids[pair.second]} share a sentence frame: {pair.overlap:.0%} of the words "
                    "in the same order") for pair in alike.same_frames])
    if alike.frames:
        most = max(alike.frames, key=lambda frame: len(alike.frames[frame]))
        yield ("warning" if share > THRESHOLDS.shared_frames and len(alike.framed) > 2 else "note"), "frames", (
            f"{len(alike.framed)} items ({share:.0%}) share a sequence of {size} words, most often {shown(most)} "
            f"({len(alike.frames[most])} items)")
    elif not alike.same_frames:
        yield "ok", "frames", f"no two items share a sequence of {size} words"


def _first(name: str, found: list[tuple[str, str]]) -> Lines:
    """The first findings of a kind, errors before others, and how many more there are."""
    found = sorted(found, key=lambda each: each[0] != "error")
    for level, text in found[:MOST_LINES]:
        yield level, name, text
    if len(found) > MOST_LINES:
        yield found[MOST_LINES][0], name, f"... and {len(found) - MOST_LINES} more of this kind"


LIKENESS_CHECKS = (duplicates, leakage, paraphrases, frames)
