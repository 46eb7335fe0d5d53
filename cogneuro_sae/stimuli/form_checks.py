"""Checks of form: cells, balance, duplicates, banned words, overlap, leakage. Each yields (level, name, text)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from cogneuro_sae.config import shown
from cogneuro_sae.stimuli.overlap import MAX_TEXTS, NEAR, cell_overlap, near_pairs, shared_frames
from cogneuro_sae.stimuli.rows import SPECIALS
from cogneuro_sae.stimuli.schema import FAR

UNBALANCED = 4
ALIKE_PARAPHRASES = 0.8
ENDINGS = "(?:s|es|d|ed|ing|ly|ful|less|'s|’s)?"

Lines = Iterator[tuple[str, str, str]]


def notes(stimuli) -> Lines:
    """Yield what loading noticed.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    for note in stimuli.notes:
        yield ("note" if note.startswith(("independent", "model RDM")) else "warning"), "loading", note


def cells(stimuli) -> Lines:
    """Yield the cells and their sizes, too small conditions and unbalance.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    table = stimuli.table
    counts = table.groupby("condition", sort=False).agg(items=("item", "nunique"), texts=("id", "size"))
    counts = counts.reindex(list(stimuli.conditions))
    sizes = ", ".join(f"{name} {row['items']} items / {row.texts} texts" for name, row in counts.iterrows())
    yield "ok", "cells", sizes
    for name in counts.index[counts["items"] < 2]:
        yield "error", "cells", f"{name} has {counts.loc[name, 'items']} item; at least 2 are needed for a variance"
    most, least = counts["items"].idxmax(), counts["items"].idxmin()
    ratio = counts.loc[most, "items"] / counts.loc[least, "items"]
    if ratio > UNBALANCED:
        yield "warning", "balance", f"{most} has {ratio:.0f} times as many items as {least}"
    sizes = table[table["condition"] != FAR].groupby(["item", "condition"]).size()
    single = int((sizes == 1).sum())
    if single and not stimuli.independent:
        yield "note", "paraphrases", (
            f"{single} of {len(sizes)} cells have one wording; two or more show what wording does")


def complete(stimuli) -> Lines:
    """Yield how many items are complete; loading has refused all others.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    confirm = stimuli.table.loc[stimuli.table["split"] == "confirm", "item"].nunique()
    kept = f"; {confirm} kept for confirmation" if confirm else ""
    what = "all independent" if stimuli.independent else "all complete"
    yield "ok", "items", f"{stimuli.table['item'].nunique()} items, {what}{kept}"


def banned(stimuli) -> Lines:
    """Yield the texts that hold a banned stem or the concept's own name.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    hits = 0
    for stem in stimuli.banned:
        body = re.escape(stem).replace(re.escape("*"), r"\w*")
        pattern = re.compile(rf"(?<!\w){body}(?!\w)", re.IGNORECASE)
        for identity, text in zip(stimuli.ids, stimuli.texts):
            if found := pattern.search(text):
                hits += 1
                yield "error", "banned", f"{identity} holds {shown(found.group())} ({stem})"
    name = re.compile(rf"(?<!\w){re.escape(stimuli.concept)}{ENDINGS}(?!\w)", re.IGNORECASE)
    named = [identity for identity, text in zip(stimuli.ids, stimuli.texts) if name.search(text)]
    if named:
        hits += 1
        yield "warning", "banned", f"{len(named)} texts name the concept itself ({', '.join(named[:5])})"
    if not hits:
        yield "ok", "banned", f"no text holds the concept's name or one of {len(stimuli.banned)} banned stems"


def duplicates(stimuli) -> Lines:
    """Yield repeated and nearly repeated texts: anywhere in other items, and between the splits.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    table = stimuli.table
    again = table[table.duplicated(["condition", "text"], keep=False)].groupby(["condition", "text"],
                                                                               sort=False)["id"].agg(list)
    for ids in again:
        yield "warning", "duplicates", f"the same text: {', '.join(ids[:5])}; `dedupe: true` keeps the first"
    if len(table) > MAX_TEXTS:
        yield "note", "duplicates", f"{len(table)} texts: near-duplicates are not looked for above {MAX_TEXTS}"
        return
    item, split, ids, texts = (table[name].tolist() for name in ("item", "split", "id", "text"))
    alike = [pair for pair in near_pairs(texts) if item[pair.first] != item[pair.second]]
    leaks = [pair for pair in alike if split[pair.first] != split[pair.second]]
    for pair in leaks[:10]:
        same = texts[pair.first] == texts[pair.second]
        yield ("error" if same else "warning"), "leakage", (
            f"{ids[pair.first]} and {ids[pair.second]} stand in different splits and share {pair.overlap:.0%} "
            "of their words")
    other = [pair for pair in alike if pair not in leaks and texts[pair.first] != texts[pair.second]]
    for pair in other[:10]:
        yield "warning", "duplicates", (f"{ids[pair.first]} and {ids[pair.second]} share {pair.overlap:.0%} of words "
                                        "in different items")
    if len(alike) == 0 and again.empty:
        yield "ok", "duplicates", f"no text is repeated; no two items share {NEAR:.0%} of the words of a text"


def overlap(stimuli) -> Lines:
    """Yield how alike the paraphrases of a cell are, and whether items share word sequences.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    table = stimuli.table
    means = cell_overlap(stimuli.texts, list(zip(table["item"], table["condition"])))
    if len(means):
        alike = int((means > ALIKE_PARAPHRASES).sum())
        text = f"paraphrases of a cell share {means.mean():.0%} of their words on average"
        yield ("warning" if alike else "ok"), "paraphrases", text + (f"; {alike} cells over {ALIKE_PARAPHRASES:.0%}"
                                                                     if alike else "")
    frames = shared_frames(stimuli.texts, table["item"].tolist())
    shared = {item for items in frames.values() for item in items}
    share = len(shared) / table["item"].nunique()
    if frames:
        most = max(frames, key=lambda frame: len(frames[frame]))
        yield ("warning" if share > 0.1 else "note"), "frames", (
            f"{len(shared)} items ({share:.0%}) share a sequence of five words, most often {shown(most)} "
            f"({len(frames[most])} items)")
    else:
        yield "ok", "frames", "no two items share a sequence of five words"


def lengths(stimuli) -> Lines:
    """Yield words per condition, and texts with special tokens.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    count = stimuli.table["text"].str.split().str.len()
    stats = count.groupby(stimuli.table["condition"],
                          sort=False).agg(["mean", "std", "min", "max"]).reindex(list(stimuli.conditions))
    yield "ok", "length", "words: " + ", ".join(
        f"{name} {row['mean']:.1f} ({row['min']:.0f}-{row['max']:.0f})" for name, row in stats.iterrows())
    special = [identity for identity, text in zip(stimuli.ids, stimuli.texts) if SPECIALS.search(text)]
    if special:
        yield "warning", "specials", (
            f"{len(special)} texts hold special tokens as plain characters ({', '.join(special[:5])})")


def token_lengths(measures: pd.DataFrame, max_tokens: int | None) -> Lines:
    """Yield texts without tokens or with too many.

    Parameters
    ----------
    measures : DataFrame
        Nuisance measures by id; `tokens` is there when a tokenizer was given.
    max_tokens : int or None
        Most tokens that the model reads.
    """
    if "tokens" not in measures:
        return
    tokens = measures["tokens"]
    for identity in tokens.index[tokens == 0]:
        yield "error", "tokens", f"{identity} has no token"
    for identity in tokens.index[tokens > (max_tokens or float("inf"))]:
        yield "error", "tokens", (
            f"{identity} has {tokens[identity]:.0f} tokens, the model reads {max_tokens}; shorten it")
    yield "ok", "tokens", f"{tokens.min():.0f} to {tokens.max():.0f} tokens a text"


FORM_CHECKS = (notes, complete, cells, banned, duplicates, overlap, lengths)
