"""Nuisance measures of texts, and how far the sides of a contrast differ in them (docs/methods.md)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pandas as pd

from cogneuro_sae.stimuli.design import Design
from cogneuro_sae.stimuli.thresholds import THRESHOLDS

BOOTSTRAPS = 1000

_WORD = re.compile(r"\w+(?:['’]\w+)*")
NEGATIONS = {
    "en": re.compile(r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|without|cannot|hardly|barely)\b"
                     r"|n['’]t\b", re.IGNORECASE),
    "de": re.compile(r"\b(?:nicht|nichts|nie|niemals|niemand\w{0,2}|nirgends|nirgendwo\w*|nein|weder|ohne|kaum"
                     r"|keinesfalls|keineswegs|kein(?:e[mnrs]?)?)\b", re.IGNORECASE),
}


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; an apostrophe inside belongs to its word.

    Parameters
    ----------
    text : str
        The text.
    """
    return _WORD.findall(text.casefold())


def _type_token_ratio(text: str) -> float:
    found = words(text)
    return len(set(found)) / len(found) if found else float("nan")


def _mean_word_length(text: str) -> float:
    found = words(text)
    return sum(map(len, found)) / len(found) if found else float("nan")


def _punctuation(text: str) -> int:
    return sum(unicodedata.category(sign).startswith("P") for sign in text)


MEASURES = {
    "words": lambda text: len(text.split()),
    "characters": len,
    "type_token_ratio": _type_token_ratio,
    "punctuation": _punctuation,
    "digits": lambda text: sum(sign.isdigit() for sign in text),
    "negations": lambda text: negations(text, "en"),
    "mean_word_length": _mean_word_length,
}


def negations(text: str, language: str) -> float:
    """Return the number of negating words of a text, NaN in a language without a list of them.

    Parameters
    ----------
    text : str
        The text.
    language : str
        ISO 639-1; a key of NEGATIONS.
    """
    return float(len(NEGATIONS[language].findall(text))) if language in NEGATIONS else float("nan")


def nuisance_measures(stimuli, *, tokenizer: Callable | None = None) -> pd.DataFrame:
    """Return the nuisance measures of every text.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    tokenizer : callable, optional
        Text to the list of its token ids without specials.

    Returns
    -------
    DataFrame (n_stimuli, n_measures) float64
        Columns of MEASURES (`negations` in the set's language), `span_position` (middle of the span / length; NaN
        without span) when the set has spans, and `tokens` with a tokenizer; indexed by id.
    """
    table = pd.DataFrame({name: [float(measure(text)) for text in stimuli.texts] for name, measure in MEASURES.items()},
                         index=stimuli.ids)
    table["negations"] = [negations(text, stimuli.language) for text in stimuli.texts]
    spans = stimuli.spans
    if (spans >= 0).any():
        lengths = np.array([max(len(text), 1) for text in stimuli.texts])
        table["span_position"] = np.where(spans[:, 0] >= 0, spans.mean(axis=1) / lengths, np.nan)
    if tokenizer is not None:
        table["tokens"] = [float(len(tokenizer(text))) for text in stimuli.texts]
    return table


def compare_measures(measures: pd.DataFrame, design: Design, comparison: str, *, seed: int = 0) -> pd.DataFrame:
    """Return how the two sides of a design differ in every measure; paraphrases are averaged to cells first.

    Parameters
    ----------
    measures : DataFrame (n_stimuli, n_measures)
        One row per row of the set's table.
    design : Design
        The comparison: matched items give paired d_z = mean / sd of the items' differences, others Welch
        d = difference of means / sqrt(mean of the variances), both with sd over items or cells (ddof 1).
    comparison : str
        What the table calls it.
    seed : int
        Of the item bootstrap.

    Returns
    -------
    DataFrame
        One row per measure: `comparison measure kind target foil d auroc auroc_low auroc_high flagged`; auroc with a
        95 % percentile interval over 1,000 draws of items; `flagged` where |d| > .5. NaN where fewer than two cells
        have it.
    """
    rows = []
    for name in measures:
        value = measures[name].to_numpy(float)[design.rows]
        result = {"comparison": comparison, "measure": name, "kind": "d_z" if design.matched else "welch_d",
                  **_compare(value, design, seed)}
        rows.append({**result, "flagged": bool(abs(result["d"]) > THRESHOLDS.nuisance)})
    return pd.DataFrame(rows)


def text_auroc(value: np.ndarray, design: Design, *, seed: int = 0) -> tuple[float, float, float]:
    """Return the AUROC of a measure over the single texts of a design, and its 95 % interval over draws of items.

    Parameters
    ----------
    value : ndarray (n_stimuli,)
        The measure, one value per row of the set's table.
    design : Design
        The comparison; the target side is to have the larger values.
    seed : int
        Of the item bootstrap.

    Returns
    -------
    (float, float, float)
        AUROC, lowest, highest; NaN where a value is missing.
    """
    each = pd.DataFrame({"item": design.groups, "value": np.asarray(value, float)[design.rows]})
    if each["value"].isna().any():
        return (float("nan"),) * 3
    found = _auroc(each[design.y == 1], each[design.y == 0], seed)
    return found["auroc"], found["auroc_low"], found["auroc_high"]


def _compare(value: np.ndarray, design: Design, seed: int) -> dict[str, float]:
    cells = pd.DataFrame({"item": design.groups, "cell": design.cells, "y": design.y, "weight": design.weights,
                          "value": value}).groupby("cell", sort=True).agg(
        item=("item", "first"), y=("y", "first"), weight=("weight", "first"), value=("value", "mean"))
    if design.matched:
        complete = cells.groupby("item")["value"].transform(lambda each: each.notna().all())
        cells = cells[complete.astype(bool)]
    else:
        cells = cells[cells["value"].notna()]
    above, below = cells[cells["y"] == 1], cells[cells["y"] == 0]
    if min(len(above), len(below)) < 2:
        return dict.fromkeys(("target", "foil", "d", "auroc", "auroc_low", "auroc_high"), float("nan"))
    target, foil = above["value"].mean(), below["value"].mean()
    if design.matched:
        signed = (cells["value"] * cells["weight"]).groupby(cells["item"]).sum()
        signed /= above["weight"].groupby(above["item"]).sum()
        d = _ratio(signed.mean(), signed.std(ddof=1))
    else:
        d = _ratio(target - foil, np.sqrt((above["value"].var(ddof=1) + below["value"].var(ddof=1)) / 2))
    return {"target": float(target), "foil": float(foil), "d": d, **_auroc(above, below, seed)}


def _ratio(difference: float, spread: float) -> float:
    if spread > 1e-12 * max(1.0, abs(difference)):
        return float(difference / spread)
    return 0.0 if abs(difference) < 1e-12 else float(np.copysign(np.inf, difference))


def _auroc(above: pd.DataFrame, below: pd.DataFrame, seed: int) -> dict[str, float]:
    """AUROC of cell means with an item bootstrap: M holds which of each pair is larger, draws are weights of items."""
    difference = above["value"].to_numpy()[:, None] - below["value"].to_numpy()[None, :]
    larger = (difference > 0) + 0.5 * (difference == 0)
    items = np.array(sorted({*above["item"], *below["item"]}))
    sides = [np.searchsorted(items, side["item"].to_numpy(items.dtype)) for side in (above, below)]
    random = np.random.default_rng(seed)
    if set(above["item"]) & set(below["item"]):
        counts = random.multinomial(len(items), np.full(len(items), 1 / len(items)), BOOTSTRAPS)
        drawn = [counts[:, side] for side in sides]
    else:
        drawn = []
        for side in sides:
            names, index = np.unique(side, return_inverse=True)
            drawn.append(random.multinomial(len(names), np.full(len(names), 1 / len(names)), BOOTSTRAPS)[:, index])
    total = drawn[0].sum(axis=1) * drawn[1].sum(axis=1)
    values = np.einsum("bi,ij,bj->b", drawn[0], larger, drawn[1], optimize=True) / total
    low, high = np.percentile(values, (2.5, 97.5))
    return {"auroc": float(larger.mean()), "auroc_low": float(low), "auroc_high": float(high)}
