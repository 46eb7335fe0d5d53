"""check(): every verdict on a stimulus set in one frozen object, one line each."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli import form_checks
from cogneuro_sae.stimuli.design import Design, make_design
from cogneuro_sae.stimuli.measures import FLAGGED, compare_measures, nuisance_measures
from cogneuro_sae.stimuli.schema import FAR
from cogneuro_sae.stimuli.surface import SURFACE, cross_validated

LEVELS = ("ok", "note", "warning", "error")
TELLING = 0.65
BELOW = 0.40
FEW_ITEMS = 10


class Check(NamedTuple):
    """One verdict: `level` is ok, note, warning or error; `name` a short word; `text` one line."""

    level: str
    name: str
    text: str


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
        Nuisance measures of every text, by id.
    baselines : DataFrame
        Surface baselines: `comparison baseline auroc lowest highest repeats pair_accuracy folds reason`; lowest and
        highest are the range of auroc over repeats.
    """

    name: str
    lines: tuple[Check, ...]
    table: pd.DataFrame
    measures: pd.DataFrame
    baselines: pd.DataFrame

    @property
    def worst(self) -> str:
        """The most serious level among the lines."""
        return max((line.level for line in self.lines), key=LEVELS.index, default="ok")

    def __str__(self) -> str:
        return "\n".join(f"{line.level:<8}{line.name:<12}{plain(line.text)}" for line in self.lines)

    def to_dict(self) -> dict:
        """Return everything as plain data for JSON; missing and infinite numbers become None."""
        return {"name": self.name, "worst": self.worst, "lines": [line._asdict() for line in self.lines],
                "nuisance": _records(self.table), "baselines": _records(self.baselines),
                "measures": _records(self.measures.rename_axis("id").reset_index())}

    def _repr_html_(self) -> str:
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(plain(part))}</td>" for part in line) + "</tr>"
                       for line in self.lines)
        return (f"<div><b>{html.escape(plain(self.name))}</b>: {self.worst}<table><thead><tr><th>level</th>"
                f"<th>check</th><th>verdict</th></tr></thead><tbody>{rows}</tbody></table></div>")


def check_set(
    stimuli, *, contrast: str | None = None, tokenizer: Callable | None = None, max_tokens: int | None = None,
    power: bool = False,
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

    Returns
    -------
    Checks

    Raises
    ------
    InputError
        `contrast` is not a contrast of the set.
    """
    expression = stimuli.contrasts.get(contrast, contrast) or next(iter(stimuli.contrasts.values()))
    stimuli.layout.weights(expression, where=f"{stimuli.name}: contrast {contrast or 'default'}")
    measures = nuisance_measures(stimuli, tokenizer=tokenizer)
    lines = [Check(*line) for check in form_checks.FORM_CHECKS for line in check(stimuli)]
    lines += [Check(*line) for line in form_checks.token_lengths(measures, max_tokens)]
    lines += _scheme_lines(stimuli, contrast, power)
    tables, baselines = [], []
    for name, part in comparisons(stimuli, expression).items():
        try:
            design = make_design(stimuli, part)
        except InputError as error:
            lines.append(Check("error", "design", f"{name}: {error}"))
            continue
        tables.append(compare_measures(measures, design, name))
        lines += _nuisance_lines(tables[-1], name, design)
        baselines += (found := _baseline_rows(stimuli, design, name))
        lines += _baseline_lines(found, name, design)
    return Checks(stimuli.name, tuple(lines), pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
                  measures, pd.DataFrame(baselines))


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


def _scheme_lines(stimuli, contrast: str | None, power: bool) -> list[Check]:
    try:
        design = make_design(stimuli, contrast)
    except InputError as error:
        return [Check("error", "design", str(error))]
    scheme, items = design.scheme, len(set(design.groups))
    small = scheme.min_p_two > 0.05
    lines = [Check("warning" if small else "ok", "design",
                   f"{design.contrast} ({design.expression}): {len(design)} texts of {items} items; "
                   f"{scheme.description}{_too_small(design) if small else ''}")]
    fewest = min(len(set(design.groups[design.y == side])) for side in (0, 1))
    if fewest < FEW_ITEMS:
        lines.append(Check("warning", "items", f"{fewest} items on one side; 5 folds need at least {FEW_ITEMS}"))
    return lines + (_power_lines(design) if power else [])


def _too_small(design: Design) -> str:
    """What follows from a smallest p above .05, and how many items mend it."""
    needed = {"swap": "6 for a two-sided swap test, ", "sign": "6 for a two-sided sign test, "}
    if not design.strata.max(initial=0):
        needed |= dict.fromkeys(("labels", "free"), "4 on each side for a two-sided test of labels, ")
    return ("; no p can reach 0.05, so `map` will refuse the set and `compare` will refuse it or give no p: at least "
            f"{needed.get(design.scheme.kind, '')}{FEW_ITEMS} items for a comparison with 5 folds")


def _power_lines(design: Design) -> list[Check]:
    """Smallest standardised effect found with power .8 by a two-sided t test at .05 over items."""
    from statsmodels.stats.power import TTestIndPower, TTestPower

    n = [len(set(design.groups[design.y == side])) for side in (1, 0)]
    if design.matched:
        kind, effect = "paired d_z", TTestPower().solve_power(nobs=n[0], alpha=0.05, power=0.8)
    else:
        kind, effect = "d", TTestIndPower().solve_power(nobs1=n[0], ratio=n[1] / n[0], alpha=0.05, power=0.8)
    return [Check("note", "power",
                  f"smallest {kind} found with power .8 at .05 two-sided, one feature: {float(effect):.2f}")]


def _nuisance_lines(table: pd.DataFrame, name: str, design: Design) -> list[Check]:
    flagged = table[table["flagged"]]
    if flagged.empty:
        return [Check("ok", "nuisance",
                      f"{name}: no measure differs by more than |d| {FLAGGED} ({len(table)} measures)")]
    level = "warning" if design.matched else "note"
    kind = "paired d_z" if design.matched else "Welch d"
    return [Check(level, "nuisance",
                  f"{name}: {row.measure} {row.target:.2f} against {row.foil:.2f}, {kind} {row.d:+.2f}, "
                                     f"AUROC {row.auroc:.2f} [{row.auroc_low:.2f}, {row.auroc_high:.2f}]")
            for row in flagged.itertuples()]


def _baseline_rows(stimuli, design: Design, name: str) -> list[dict]:
    texts = [stimuli.texts[row] for row in design.rows]
    rows = []
    for baseline in SURFACE:
        try:
            result = cross_validated(baseline, texts, design.y, design.groups, design.cells)._asdict()
        except ValueError as error:
            result = {**dict.fromkeys(("auroc", "lowest", "highest"), math.nan), "repeats": 0,
                      "pair_accuracy": math.nan, "folds": 0, "reason": str(error)}
        rows.append({"comparison": name, "baseline": baseline, **result})
    return rows


def _baseline_lines(rows: list[dict], name: str, design: Design) -> list[Check]:
    lines = []
    for row in rows:
        if math.isnan(row["auroc"]):
            lines.append(Check("warning", "surface", f"{name}: {row['baseline']} not scored: {row['reason']}"))
            continue
        pair = "" if math.isnan(row["pair_accuracy"]) else f", pair accuracy {row['pair_accuracy']:.2f}"
        level = "ok" if row["auroc"] < TELLING else "warning" if design.matched else "note"
        spread = f"[{row['lowest']:.2f}-{row['highest']:.2f} over {row['repeats']} repeats]"
        lines.append(Check(level, "surface", f"{name}: {row['baseline']} AUROC {row['auroc']:.2f} {spread}{pair}; "
                                             f"{_verdict(row, design.matched)}"))
    return lines


def _verdict(row: dict, matched: bool) -> str:
    """Which side of the threshold the mean AUROC is on, and whether single repeats are on the other."""
    if row["auroc"] >= TELLING:
        some = ", though not in every repeat" if row["lowest"] < TELLING else ""
        return f"not below the threshold {TELLING:.2f}{some}: surface form tells the two apart"
    some = ", though not in every repeat" if row["highest"] >= TELLING else ""
    low = " (below .5 is what exact counterbalancing of words does; it counts as .5)" \
        if matched and row["auroc"] < BELOW else ""
    return f"below the threshold {TELLING:.2f}{some}{low}"


def _records(frame: pd.DataFrame) -> list[dict]:
    def plain_value(value):
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return [{key: plain_value(value) for key, value in row.items()} for row in frame.to_dict("records")]
