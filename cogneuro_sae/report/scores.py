"""Words and tables about comparison scores: intervals, the best surface baseline, nested estimates."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from cogneuro_sae.compare import Comparison
from cogneuro_sae.display import plain
from cogneuro_sae.report.folder import Run
from cogneuro_sae.report.parts import Table

KIND_WORDS = {"method": "method", "baseline": "floor", "skyline": "skyline", "control": "control"}
N_METHODS = 12


def interval(row, measure: str) -> str:
    """Return " [low, high]" of a measure, or nothing where the row has no interval.

    Parameters
    ----------
    row : mapping
        A row of cells.csv.
    measure : str
        Column, such as "auroc".
    """
    low, high = (row.get(f"{measure}_{end}", math.nan) for end in ("low", "high"))
    return f" [{low:.3f}, {high:.3f}]" if pd.notna(low) and pd.notna(high) else ""


def nested_rows(run: Run) -> list[dict]:
    """Return per concept the nested estimate and its paired difference to the best surface baseline.

    Parameters
    ----------
    run : Run
        A results folder of `compare`.

    Returns
    -------
    list of dict
        Rows of `Comparison.headline()` of kind "nested"; empty for an unfinished or damaged run.
    """
    if not run.finished or not {"table", "cells", "nested"} <= set(run.tables) or "folds" not in run.config:
        return []
    given = {name: run.tables[name] for name in ("table", "cells", "nested")}
    headline = Comparison(**given, config=run.config, provenance=run.provenance, folder=run.path).headline()
    return headline[headline["kind"] == "nested"].to_dict("records")


def nested_lines(row: dict, cells: pd.DataFrame) -> list[str]:
    """Return what the nested estimate says of one concept, surface form included.

    Parameters
    ----------
    row : dict
        From `nested_rows`.
    cells : DataFrame
        Rows of cells.csv.

    Returns
    -------
    list of str
        Two sentences; "no evidence beyond surface form" unless the whole interval lies above 0.
    """
    concept, cells = row["concept"], cells[cells["concept"] == row["concept"]]
    counts = ", ".join(f"{int(cells[name].max())} {noun}" for name, noun in (("n_items", "items"), ("n_folds", "folds"))
                       if name in cells and cells[name].notna().any())
    if not np.isfinite(row["auroc"]):
        return [f"{concept}: there is no nested estimate; see Errors and warnings."]
    pairs = "" if pd.isna(row.get("pair_accuracy")) else \
        f"; pair accuracy {row['pair_accuracy']:.3f}{interval(row, 'pair_accuracy')}"
    chance = "" if row.get("auroc_low",
                           math.nan) > 0.5 else " The interval holds .5: no evidence of detection on new items."
    lines = [f"{concept}: with everything chosen inside the training folds, held-out AUROC is {row['auroc']:.3f}"
             f"{interval(row, 'auroc')}{pairs} (nested estimate over the whole grid; {counts}; chance .5).{chance}"]
    difference = row.get("beyond_surface", math.nan)
    if pd.isna(difference):
        return [*lines, f"{concept}: {row.get('verdict') or 'there is no surface baseline to compare with'}."]
    floors = cells[cells["kind"] == "baseline"]
    name = floors.loc[floors["auroc"].idxmax(), "selector"] if floors["auroc"].notna().any() else "baseline"
    found = f"{difference:+.3f}{interval(row, 'beyond_surface')} AUROC"
    if row.get("beyond_surface_low", math.nan) > 0:
        return [*lines, f"{concept}: this is {found} above the best surface baseline ({name}), paired over folds."]
    return [*lines, f"{concept}: no evidence beyond surface form. Nested estimate minus the best surface baseline "
                    f"({name}; a "
                    f"baseline below .5 counts as .5) is {found}, and the interval does not lie above 0."]


def headline_cells(cells: pd.DataFrame, *, limit: int = N_METHODS) -> Table:
    """Return the best method cells beside every floor, skyline and control.

    Parameters
    ----------
    cells : DataFrame
        Rows of cells.csv.
    limit : int
        How many method cells per concept.

    Returns
    -------
    Table
    """
    rows = []
    order = list(KIND_WORDS)
    for concept, group in cells.groupby("concept", sort=False):
        group = group.assign(place=group["kind"].map({kind: place for place, kind in enumerate(order)}))
        group = group.sort_values(["place", "auroc"], ascending=[True, False], kind="stable")
        methods = group[group["kind"] == "method"]
        shown = pd.concat([methods.iloc[:limit], group[group["kind"] != "method"]])
        rows += [_cell_row(str(concept), row) for row in shown.to_dict("records")]
    left = sum(max(0, int((group["kind"] == "method").sum()) - limit) for _, group in cells.groupby("concept"))
    more = f"; {left} weaker cells are in cells.csv" if left else ""
    return Table(["concept", "kind", "representation", "selector", "k", "ensemble", "AUROC [95 %]", "pair accuracy [95 "
                                                                                                    "%]"],
                 rows, ["k", "AUROC [95 %]", "pair accuracy [95 %]"],
                 "Held-out scores, mean over folds with corrected interval (descriptive within one concept). Floor: "
                 "what surface "
                 "form alone (words, length) reaches; skyline: what a probe on all units or features reaches; control: "
                 "features "
                 f"taken at random, also with matched firing rates{more}")


def _cell_row(concept: str, row: dict) -> list[str]:
    def shown(measure: str) -> str:
        value = row.get(measure)
        return f"{value:.3f}{interval(row, measure)}" if value is not None and np.isfinite(value) else "no result"

    k = row.get("k")
    pairs = shown("pair_accuracy") if pd.notna(row.get("pair_accuracy")) else ""
    return [plain(concept), KIND_WORDS.get(row["kind"], row["kind"]), plain(row.get("representation") or ""),
            plain(row["selector"]), f"{k:.0f}" if k is not None and pd.notna(k) else "",
            plain(row.get("ensemble") or ""),
            shown("auroc"), pairs]
