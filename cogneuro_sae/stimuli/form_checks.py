"""Checks of form: cells, balance, complete items, banned words, lengths. Each yields (level, name, text)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from cogneuro_sae.config import shown
from cogneuro_sae.stimuli.rows import SPECIALS
from cogneuro_sae.stimuli.schema import FAR
from cogneuro_sae.stimuli.thresholds import THRESHOLDS

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
    if ratio > THRESHOLDS.unbalanced:
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
    hits, named = banned_hits(stimuli), named_texts(stimuli)
    for identity, found, stem in hits:
        yield "error", "banned", f"{identity} holds {shown(found)} ({stem})"
    if named:
        yield "warning", "banned", f"{len(named)} texts name the concept itself ({', '.join(named[:5])})"
    if not hits and not named:
        yield "ok", "banned", f"no text holds the concept's name or one of {len(stimuli.banned)} banned stems"


def banned_hits(stimuli) -> list[tuple[str, str, str]]:
    """Return id, words and stem for every text that holds a banned stem.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    hits = []
    for stem in stimuli.banned:
        body = re.escape(stem).replace(re.escape("*"), r"\w*")
        pattern = re.compile(rf"(?<!\w){body}(?!\w)", re.IGNORECASE)
        found = [(identity, pattern.search(text)) for identity, text in zip(stimuli.ids, stimuli.texts)]
        hits += [(identity, match.group(), stem) for identity, match in found if match]
    return hits


def named_texts(stimuli) -> list[str]:
    """Return the ids of the texts that name the concept itself.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    name = re.compile(rf"(?<!\w){re.escape(stimuli.concept)}{ENDINGS}(?!\w)", re.IGNORECASE)
    return [identity for identity, text in zip(stimuli.ids, stimuli.texts) if name.search(text)]


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


def cut(stimuli) -> Lines:
    """Yield texts that look like pieces of one: YAML cuts an unquoted text at a comma inside [ ] and at ` #`.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    """
    table = stimuli.table
    words = table["text"].str.split().str.len()
    sentences = words.median() >= 6
    pieces = []
    for _, cell in table.groupby(["item", "condition"], sort=False):
        texts, ids = cell["text"].tolist(), cell["id"].tolist()
        pieces += [ids[place] for place in range(1, len(texts))
                   if texts[place][0].islower() and texts[place - 1][-1].isalpha()]
    if pieces:
        yield "warning", "cut", (f"{len(pieces)} texts begin in small letters after one without an end mark "
                                 f"({', '.join(pieces[:5])}): were they cut at a comma? quote texts that hold commas")
    one = (words == 1) & table["text"].str.strip(".,!?").str.isalpha()
    short = table.loc[one, "id"].tolist() if sentences else []
    if short:
        yield "warning", "cut", (f"{len(short)} texts have one word among sentences ({', '.join(short[:5])}): was the "
                                 "rest cut at ` #`? quote texts that hold it")


FORM_CHECKS = (notes, complete, cells, banned, lengths, cut)
