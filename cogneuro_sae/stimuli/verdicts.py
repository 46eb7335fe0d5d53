"""Verdicts on what was measured: design, nuisance measures, surface baselines, length, over-tuned words."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.design import Design, make_design
from cogneuro_sae.stimuli.thresholds import THRESHOLDS

LEVELS = ("ok", "note", "warning", "error")
ALL, DISCOVERY = "all", "discovery"


class Check(NamedTuple):
    """One verdict: `level` is ok, note, warning or error; `name` a short word; `text` one line."""

    level: str
    name: str
    text: str


def design_lines(stimuli, contrast: str | None, *, power: bool, unlocked: bool) -> list[Check]:
    """Return the verdicts on a contrast's design as `map` and `compare` use it, without items kept for confirmation.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    contrast : str or None
        Name or expression; None: the first contrast.
    power : bool
        Add the smallest effect that it can detect.
    unlocked : bool
        Whether the verdicts that follow judge the items kept for confirmation too; the first line says it.
    """
    try:
        design = make_design(stimuli, contrast)
    except InputError as error:
        return [Check("error", "design", str(error))]
    scheme, items = design.scheme, len(set(design.groups))
    small = scheme.min_p_two > 0.05
    locked = stimuli.table.loc[stimuli.table["split"] == "confirm", "item"].nunique()
    judged = "judges them too" if unlocked else "leaves them out too"
    kept = f"; without the {locked} items kept for confirmation, what follows {judged}" if locked else ""
    lines = [Check("warning" if small else "ok", "design",
                   f"{design.contrast} ({design.expression}): {len(design)} texts of {items} items; "
                   f"{scheme.description}{_too_small(design) if small else ''}{kept}")]
    fewest = min(len(set(design.groups[design.y == side])) for side in (0, 1))
    if fewest < THRESHOLDS.few_items:
        lines.append(Check("warning", "items",
                           f"{fewest} items on one side; 5 folds need at least {THRESHOLDS.few_items}"))
    return lines + (_power_lines(design) if power else [])


def _too_small(design: Design) -> str:
    """What follows from a smallest p above .05, and how many items mend it."""
    needed = {"swap": "6 for a two-sided swap test, ", "sign": "6 for a two-sided sign test, "}
    if not design.strata.max(initial=0):
        needed |= dict.fromkeys(("labels", "free"), "4 on each side for a two-sided test of labels, ")
    return ("; no p can reach 0.05, so `map` will refuse the set and `compare` will refuse it or give no p: at least "
            f"{needed.get(design.scheme.kind, '')}{THRESHOLDS.few_items} items for a comparison with 5 folds")


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


def nuisance_lines(table: pd.DataFrame, name: str, *, matched: bool, level: str) -> list[Check]:
    """Return the verdicts on the nuisance measures of one comparison.

    Parameters
    ----------
    table : DataFrame
        What `compare_measures` gave.
    name : str
        What the comparison is called.
    matched : bool
        Whether d is the paired one.
    level : str
        Level of a finding: warning | note.
    """
    flagged, measured = table[table["flagged"]], int(table["d"].notna().sum())
    if flagged.empty:
        return [Check("ok", "nuisance",
                      f"{name}: no measure differs by more than |d| {THRESHOLDS.nuisance} ({measured} measures)")]
    kind = "paired d_z" if matched else "Welch d"
    return [Check(level, "nuisance",
                  f"{name}: {row.measure} {row.target:.2f} against {row.foil:.2f}, {kind} {row.d:+.2f}, "
                                     f"AUROC {row.auroc:.2f} [{row.auroc_low:.2f}, {row.auroc_high:.2f}]")
            for row in flagged.itertuples()]


def length_lines(auroc: tuple[float, float, float], name: str, *, level: str) -> list[Check]:
    """Return the verdict on the number of words of all texts of the two sides.

    Parameters
    ----------
    auroc : (float, float, float)
        AUROC of the number of words, lowest, highest.
    name : str
        What the comparison is called.
    level : str
        Level of a finding: warning | note.
    """
    value, low, high = auroc
    inside = THRESHOLDS.length_low <= value <= THRESHOLDS.length_high
    allowed = f"{THRESHOLDS.length_low:.2f}-{THRESHOLDS.length_high:.2f}"
    verdict = f"within {allowed}" if inside else f"not within {allowed}: the number of words tells the two apart"
    return [Check("ok" if inside else level, "length",
                  f"{name}: words AUROC {value:.2f} [{low:.2f}, {high:.2f}] over all texts, {verdict}")]


def baseline_lines(rows: list[dict], name: str, *, matched: bool, level: str) -> list[Check]:
    """Return the verdicts on the surface baselines of one comparison.

    Parameters
    ----------
    rows : list of dict
        `comparison baseline split auroc lowest highest repeats pair_accuracy folds reason` of each; rows of the
        discovery items beside rows of all are told in their line.
    name : str
        What the comparison is called.
    matched : bool
        Every item holds both sides.
    level : str
        Level of a finding: warning | note.
    """
    lines = []
    judged = rows[0]["split"] if rows else ALL
    for row in rows:
        if row["split"] != judged:
            continue
        if math.isnan(row["auroc"]):
            lines.append(Check("warning", "surface", f"{name}: {row['baseline']} not scored: {row['reason']}"))
            continue
        pair = "" if math.isnan(row["pair_accuracy"]) else f", pair accuracy {row['pair_accuracy']:.2f}"
        found = "ok" if row["auroc"] < THRESHOLDS.telling else level
        spread = f"[{row['lowest']:.2f}-{row['highest']:.2f} over {row['repeats']} repeats]"
        other = [each["auroc"] for each in rows if each["split"] != judged and each["baseline"] == row["baseline"]]
        alone = f", {other[0]:.2f} on the discovery items alone" if other and not math.isnan(other[0]) else ""
        lines.append(Check(found, "surface", f"{name}: {row['baseline']} AUROC {row['auroc']:.2f} {spread}{pair}"
                                             f"{alone}; {_verdict(row, matched)}"))
    return lines


def _verdict(row: dict, matched: bool) -> str:
    """Which side of the threshold the mean AUROC is on, and whether single repeats are on the other."""
    if row["auroc"] >= THRESHOLDS.telling:
        some = ", though not in every repeat" if row["lowest"] < THRESHOLDS.telling else ""
        return f"not below the threshold {THRESHOLDS.telling:.2f}{some}: surface form tells the two apart"
    some = ", though not in every repeat" if row["highest"] >= THRESHOLDS.telling else ""
    turned = matched and row["auroc"] < THRESHOLDS.turned
    low = " (below .5 is what counterbalancing of words does; it counts as .5)" if turned else ""
    return f"below the threshold {THRESHOLDS.telling:.2f}{some}{low}"


def over_tuned_lines(rows: list[dict], name: str, design: Design) -> list[Check]:
    """Return the warning on a matched comparison whose words point the wrong way more than chance and swaps do.

    Parameters
    ----------
    rows : list of dict
        As in `baseline_lines`.
    name : str
        What the comparison is called.
    design : Design
        Its design; with few items the AUROC says nothing and there is no verdict.
    """
    if not design.matched or len(set(design.groups)) < THRESHOLDS.few_items:
        return []
    value = next((row["auroc"] for row in rows if row["baseline"] == "bag_of_words"), math.nan)
    if not value < THRESHOLDS.over_tuned:
        return []
    return [Check("warning", "over_tuned",
                  f"{name}: bag_of_words AUROC {value:.2f} is below {THRESHOLDS.over_tuned:.2f}, lower than words that "
                  "carry nothing fall: the deciding words stand the other way round in other items so often that a "
                  "classifier is misled; write some items without such a swap")]
