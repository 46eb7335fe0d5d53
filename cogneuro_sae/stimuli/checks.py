"""check(): every verdict on a stimulus set in one frozen object, one line each."""

from __future__ import annotations

import contextlib
import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli import form_checks, verdicts
from cogneuro_sae.stimuli.design import Design, make_design
from cogneuro_sae.stimuli.likeness import LIKENESS_CHECKS, likeness
from cogneuro_sae.stimuli.measures import compare_measures
from cogneuro_sae.stimuli.nuisance import gather
from cogneuro_sae.stimuli.schema import FAR
from cogneuro_sae.stimuli.summary import length_facts, set_facts, summary_row
from cogneuro_sae.stimuli.surface import SURFACE, cross_validated, grouped_folds
from cogneuro_sae.stimuli.verdicts import ALL, DISCOVERY, LEVELS, Check

UNSCORED = {**dict.fromkeys(("auroc", "lowest", "highest", "pair_accuracy"), math.nan), "repeats": 0, "folds": 0}


@dataclass(frozen=True, eq=False)
class Checks:
    """What check() found.

    Parameters
    ----------
    name : str
        The set's name.
    lines : tuple of Check
        One verdict per line, in the order of the checks.
    table : DataFrame
        Nuisance differences: one row per comparison x measure (see `compare_measures`).
    measures : DataFrame (n_stimuli, n_measures)
        Nuisance measures of every text that was judged, by id.
    baselines : DataFrame
        Surface baselines: `comparison baseline split auroc lowest highest repeats pair_accuracy folds reason`; split is
        all or discovery (without the items kept for confirmation), lowest and highest are the range over repeats.
    facts : mapping
        What the set is and how often its form is at fault; `summary` holds it.
    """

    name: str
    lines: tuple[Check, ...]
    table: pd.DataFrame
    measures: pd.DataFrame
    baselines: pd.DataFrame
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def worst(self) -> str:
        """The most serious level among the lines."""
        return max((line.level for line in self.lines), key=LEVELS.index, default="ok")

    @property
    def summary(self) -> dict:
        """One wide row: counts, words, d of every measure, AUROCs, faults, worst level (docs/stimuli.md)."""
        return summary_row(self)

    def __str__(self) -> str:
        return "\n".join(f"{line.level:<8}{line.name:<16}{plain(line.text)}" for line in self.lines)

    def to_dict(self) -> dict:
        """Return everything as plain data for JSON; missing and infinite numbers become None."""
        return {"name": self.name, "worst": self.worst, "lines": [line._asdict() for line in self.lines],
                "summary": _records(pd.DataFrame([self.summary]).astype(object))[0],
                "nuisance": _records(self.table), "baselines": _records(self.baselines),
                "measures": _records(self.measures.rename_axis("id").reset_index())}

    def _repr_html_(self) -> str:
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(plain(part))}</td>" for part in line) + "</tr>"
                       for line in self.lines)
        return (f"<div><b>{html.escape(plain(self.name))}</b>: {self.worst}<table><thead><tr><th>level</th>"
                f"<th>check</th><th>verdict</th></tr></thead><tbody>{rows}</tbody></table></div>")


class Compared(NamedTuple):
    """One comparison of a set: its design, nuisance differences, baselines, and the verdicts on them."""

    name: str
    design: Design
    table: pd.DataFrame
    rows: list[dict]
    lines: list[Check]


def check_set(
    stimuli, *, contrast: str | None = None, tokenizer: Callable | None = None, max_tokens: int | None = None,
    power: bool = False, unlocked: bool = True, measures: Mapping[str, Callable | Sequence[float]] | None = None,
    norms: str | Path | pd.DataFrame | None = None,
) -> Checks:
    """Return the verdicts on a set.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    contrast : str, optional
        A contrast to judge besides target against each foil; default the first.
    tokenizer : callable, optional
        Text to the list of its token ids without specials.
    max_tokens : int, optional
        Most tokens that the model reads.
    power : bool
        Add the smallest effect that the contrast can detect.
    unlocked : bool
        Judge all items; False leaves out those kept for confirmation, except in the checks of form.
    measures : mapping of str to callable or sequence, optional
        Further nuisance measures, see `gather`.
    norms : path or DataFrame, optional
        Norms by word, see `read_norms`.

    Returns
    -------
    Checks

    Raises
    ------
    InputError
        `contrast` is not a contrast of the set, or a measure or the norms do not fit.
    """
    expression = stimuli.contrasts.get(contrast, contrast) or next(iter(stimuli.contrasts.values()))
    stimuli.layout.weights(expression, where=f"{stimuli.name}: contrast {contrast or 'default'}")
    measured, alike = gather(stimuli, tokenizer=tokenizer, extra=measures, norms=norms), likeness(stimuli)
    lines = [Check(*line) for check in form_checks.FORM_CHECKS for line in check(stimuli)]
    lines += [Check(*line) for check in LIKENESS_CHECKS for line in check(stimuli, alike)]
    lines += [Check(*line) for line in form_checks.token_lengths(measured.table, max_tokens)]
    lines += [Check("note", "measures", note) for note in measured.notes]
    lines += verdicts.design_lines(stimuli, contrast, power=power, unlocked=unlocked)
    parts = comparisons(stimuli, expression)
    main, far = headline(stimuli, expression if contrast else None, parts), f"{stimuli.conditions[0]} - {FAR}"
    facts = set_facts(stimuli, alike, unlocked=unlocked) | {"comparison": main, "far_comparison": far}
    found = []
    for name, part in parts.items():
        try:
            found.append(_compare(stimuli, name, part, measured.table, unlocked=unlocked, both=name in (main, far),
                                  heard=name == main))
        except InputError as error:
            lines.append(Check("error", "design", f"{name}: {error}"))
    lines += [line for each in found for line in each.lines]
    facts |= length_facts(measured.table["words"].to_numpy(), {
        end: each.design for each in found for end, name in (("", main), ("_far", far)) if each.name == name})
    for each in found:
        if each.name == main:
            lines += verdicts.length_lines(tuple(facts[f"words_auroc{end}"] for end in ("", "_low", "_high")), main,
                                           level="warning" if each.design.matched or stimuli.independent else "note")
            lines += verdicts.over_tuned_lines(each.rows, main, each.design)
    judged = unlocked | (stimuli.table["split"] != "confirm").to_numpy()
    table = pd.concat([each.table for each in found] or [pd.DataFrame()], ignore_index=True)
    return Checks(stimuli.name, tuple(lines), table,
                  measured.table[judged], pd.DataFrame([row for each in found for row in each.rows]), facts)


def comparisons(stimuli, expression: str) -> dict[str, str]:
    """Return the comparisons that are checked: target against each foil, or with factors every contrast of the set.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    expression : str
        The contrast at hand; added when it compares two conditions that are not among those.
    """
    if stimuli.factors:
        found = {name: text for name, text in stimuli.contrasts.items()}
    else:
        target, *foils = stimuli.conditions
        found = {f"{target} - {foil}": f"{target} - {foil}" for foil in foils}
    weights = stimuli.layout.weights(expression)
    known = [stimuli.layout.weights(text) for text in found.values()]
    three_parts = FAR in weights and len(weights) > 2
    return found if weights in known or three_parts else {expression: expression, **found}


def headline(stimuli, expression: str | None, parts: Mapping[str, str]) -> str:
    """Return the name of the comparison that stands for target against near in summaries.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    expression : str or None
        The contrast asked for; None: target against near where the set has such conditions, else the first contrast.
    parts : mapping of str to str
        Expressions of the comparisons by name.
    """
    plain_set = not stimuli.factors and set(stimuli.conditions) - {FAR} == {stimuli.conditions[0], "near"}
    usual = f"{stimuli.conditions[0]} - near" if plain_set else next(iter(stimuli.contrasts.values()))
    weights = stimuli.layout.weights(expression or usual)
    same = [name for name, text in parts.items() if stimuli.layout.weights(text) == weights]
    return same[0] if same else next(iter(parts))


def _compare(stimuli, name: str, expression: str, measures: pd.DataFrame, *, unlocked: bool, both: bool,
             heard: bool) -> Compared:
    """Judge one comparison; with `both` its baselines also over the items that are not kept for confirmation.

    Confounds of the main comparison (`heard`) on matched items, or between independent ones, are warnings; those of
    others are notes, since two topics, or far foils, may well differ in their words.
    """
    design = make_design(stimuli, expression, unlocked=unlocked)
    table = compare_measures(measures, design, name)
    locked = bool((stimuli.table["split"] == "confirm").any())
    rows = _baseline_rows(stimuli, design, name, ALL if unlocked or not locked else DISCOVERY)
    if both and unlocked and locked:
        with contextlib.suppress(InputError):  # too few cells without the locked items: the design line says so
            rows += _baseline_rows(stimuli, make_design(stimuli, expression), name, DISCOVERY)
    told = {"matched": design.matched, "level": "warning" if heard and (design.matched or stimuli.independent) else "note"}
    return Compared(name, design, table, rows, [*verdicts.nuisance_lines(table, name, **told),
                                                *verdicts.baseline_lines(rows, name, **told)])


def _baseline_rows(stimuli, design: Design, name: str, split: str) -> list[dict]:
    texts, rows = [stimuli.texts[row] for row in design.rows], []
    try:
        folds, reason = grouped_folds(design.y, design.groups), ""
    except InputError as error:
        folds, reason = None, str(error)
    for baseline in SURFACE:
        result = {**UNSCORED, "reason": reason}
        try:
            if folds:
                result = cross_validated(baseline, texts, design.y, design.groups, design.cells, folds=folds)._asdict()
        except ValueError as error:
            result["reason"] = str(error)
        rows.append({"comparison": name, "baseline": baseline, "split": split, **result})
    return rows


def _records(frame: pd.DataFrame) -> list[dict]:
    def plain_value(value):
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return [{key: plain_value(value) for key, value in row.items()} for row in frame.to_dict("records")]
