"""One row per set: everything that check() measured, for tables and figures over many sets."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from cogneuro_sae.stimuli.design import Design
from cogneuro_sae.stimuli.form_checks import banned_hits, named_texts
from cogneuro_sae.stimuli.likeness import Likeness
from cogneuro_sae.stimuli.measures import text_auroc
from cogneuro_sae.stimuli.nuisance import STANDARD
from cogneuro_sae.stimuli.schema import FAR
from cogneuro_sae.stimuli.verdicts import ALL, DISCOVERY

BASELINES = ("bag_of_words", "char_ngrams", "length")
NAN = float("nan")


def set_facts(stimuli, alike: Likeness, *, unlocked: bool) -> dict:
    """Return what a set is and how often its form is at fault.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    alike : Likeness
        What is too much alike in it.
    unlocked : bool
        Whether items kept for confirmation were judged too.
    """
    table = stimuli.table
    kept = stimuli.table.loc[table["split"] == "confirm", "item"].nunique()
    graded = bool(stimuli.graded) or len(set(stimuli.conditions) - {FAR}) > 2
    overlap = alike.cell_overlap
    near = [pair for pair in alike.near if stimuli.texts[pair.first] != stimuli.texts[pair.second]]
    return {
        "set": stimuli.name, "group": stimuli.group, "language": stimuli.language,
        "kind": "factorial" if stimuli.factors else "graded" if graded else "concept",
        "items": int(table["item"].nunique()), "confirm_items": int(kept), "texts": len(table), "unlocked": unlocked,
        "duplicates": sum(len(rows) - 1 for rows in alike.repeated),
        "near_duplicates": len(near) if alike.compared else NAN,
        "banned": len(banned_hits(stimuli)) + len(named_texts(stimuli)),
        "paraphrase_overlap": float(overlap.mean()) if len(overlap) else NAN,
        "frame_share": len(alike.framed) / table["item"].nunique(),
    }


def length_facts(words: np.ndarray, designs: Mapping[str, Design]) -> dict[str, float]:
    """Return the AUROC of the number of words over all texts, with its interval.

    Parameters
    ----------
    words : ndarray (n_stimuli,)
        Number of words of each text.
    designs : mapping of str to Design
        "" is target against near, "_far" target against far; absent ones are NaN.
    """
    found = {}
    for end in ("", "_far"):
        values = text_auroc(words, designs[end]) if end in designs else (NAN,) * 3
        found |= dict(zip((f"words_auroc{end}", f"words_auroc{end}_low", f"words_auroc{end}_high"), values))
    return found


def summary_row(checks) -> dict:
    """Return one wide row on a set: counts, words per side, every measure's d, AUROCs, faults, worst level.

    Parameters
    ----------
    checks : Checks
        What check() found.

    Returns
    -------
    dict
        `d_MEASURE` target against near (paired d_z), `d_far_MEASURE` against far (Welch d); `bag_of_words`,
        `char_ngrams` and `length` target against near over all items, with `_discovery` over those not kept for
        confirmation, with `_far` against far; NaN where there is nothing to measure.
    """
    faults = ("duplicates", "near_duplicates", "banned", "paraphrase_overlap", "frame_share")
    row = {name: value for name, value in checks.facts.items() if name not in faults}
    near, far = (_by_measure(checks.table, row[side]) for side in ("comparison", "far_comparison"))
    row |= {"words_target": _value(near, "words", "target"), "words_foil": _value(near, "words", "foil"),
            "words_far": _value(far, "words", "foil")}
    for end, name in (("", row["comparison"]), ("_far", row["far_comparison"])):
        for baseline in BASELINES:
            scores = _scores(checks.baselines, name, baseline)
            row[f"{baseline}{end}"] = scores.get(ALL, NAN)
            row[f"{baseline}{end}_discovery"] = scores.get(DISCOVERY if row["confirm_items"] else ALL, NAN)
    row["largest_d"], row["largest_d_measure"] = _largest(near)
    measured = [name for name in checks.measures if name not in STANDARD]
    for end, found in (("", near), ("_far", far)):
        row |= {f"d{end}_{name}": _value(found, name, "d") for name in (*STANDARD, *measured)}
    row |= {name: checks.facts[name] for name in faults if name in checks.facts}
    names = [line.name for line in checks.lines if line.level == "warning"]
    return row | {"over_tuned": "over_tuned" in names, "warnings": len(names),
                  "errors": sum(line.level == "error" for line in checks.lines), "worst": checks.worst}


def _by_measure(table: pd.DataFrame, comparison: str) -> pd.DataFrame:
    if table.empty:
        return pd.DataFrame(columns=["target", "foil", "d"])
    return table[table["comparison"] == comparison].set_index("measure")


def _value(found: pd.DataFrame, measure: str, column: str) -> float:
    return float(found.loc[measure, column]) if measure in found.index else NAN


def _scores(baselines: pd.DataFrame, comparison: str, baseline: str) -> dict[str, float]:
    """AUROC of a baseline by split."""
    if baselines.empty:
        return {}
    rows = baselines[(baselines["comparison"] == comparison) & (baselines["baseline"] == baseline)]
    return dict(zip(rows["split"], rows["auroc"].astype(float)))


def _largest(found: pd.DataFrame) -> tuple[float, str]:
    size = found["d"].astype(float).abs().dropna()
    if size.empty or math.isclose(size.max(), 0.0):
        return (0.0 if len(size) else NAN), ""
    return float(found.loc[size.idxmax(), "d"]), str(size.idxmax())
