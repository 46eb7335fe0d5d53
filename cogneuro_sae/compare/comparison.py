"""Comparison: the tables of a finished run, how they are stored, and the headline."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.compare import rows as table_rows
from cogneuro_sae.compare import descriptive, nested, planned, summary
from cogneuro_sae.compare.folder import COMPLETION, read_csv, write_csv
from cogneuro_sae.errors import InputError

TABLES = {"table": table_rows.COLUMNS, "cells": summary.COLUMNS, "nested": nested.COLUMNS, "tests": planned.COLUMNS,
          "features": descriptive.COLUMNS}
MANY = 4    # concepts from which they are read together, not one by one
SETTINGS = ("site", "window", "pooling", "k", "ensemble")
HEADLINE = ("concept", "what", "kind", "auroc", "auroc_low", "auroc_high", "pair_accuracy", "pair_accuracy_low",
            "pair_accuracy_high", "beyond_surface", "beyond_surface_low", "beyond_surface_high", "verdict")


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(TABLES[name]))


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison.

    Parameters
    ----------
    table : DataFrame
        One row per concept x cell x repeat x fold.
    cells : DataFrame
        One row per concept x cell: means, intervals, stability.
    nested : DataFrame
        One row per concept x method x repeat x fold, everything chosen inside.
    tests : DataFrame
        Planned contrasts.
    features : DataFrame
        Selected features, refit on all discovery items: descriptive.
    config : dict
        Resolved.
    provenance : dict
        The run record.
    folder : Path or None
        Where it stands on disk.
    """

    table: pd.DataFrame = field(default_factory=lambda: _empty("table"))
    cells: pd.DataFrame = field(default_factory=lambda: _empty("cells"))
    nested: pd.DataFrame = field(default_factory=lambda: _empty("nested"))
    tests: pd.DataFrame = field(default_factory=lambda: _empty("tests"))
    features: pd.DataFrame = field(default_factory=lambda: _empty("features"))
    config: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)
    folder: Path | None = None

    def save(self, folder: str | Path) -> Path:
        """Write tables, config and provenance (last) to a folder.

        Parameters
        ----------
        folder : str or Path
            Made when absent.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        SetupError
            It cannot be written.
        """
        folder = Path(folder)
        files.write_text(folder / "config.yaml", yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        for name in TABLES:
            write_csv(folder / f"{name}.csv", getattr(self, name))
        files.write_json(folder / COMPLETION, self.provenance)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Comparison:
        """Read a finished results folder.

        Parameters
        ----------
        folder : str or Path
            Made by `run_comparison` or `save`.

        Returns
        -------
        Comparison

        Raises
        ------
        InputError
            The folder is not finished, or a table is unreadable.
        """
        folder = Path(folder)
        if not (folder / COMPLETION).is_file():
            raise InputError("holds no finished comparison", where=str(folder),
                             do="run the same command again to finish it")
        tables = {name: read_csv(folder / f"{name}.csv") for name in TABLES}
        config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
        return cls(**tables, config=config, provenance=files.read_json(folder / COMPLETION), folder=folder)

    def headline(self) -> pd.DataFrame:
        """Return the numbers to look at first: nested best, every cell, floors, chance, skyline, random features.

        Returns
        -------
        DataFrame
            Per concept, with 95 % intervals: corrected over folds, for random features over draws.
        """
        found, crossed = [], self._crossed()
        for concept in dict.fromkeys(self.cells["concept"]):
            cells = self.cells[self.cells["concept"] == concept]
            found.append(self._nested_line(concept))
            for kind in ("method", "baseline", "skyline", "control"):
                found += [_line(row, crossed) for row in cells[cells["kind"] == kind].to_dict("records")]
            found.append({"concept": concept, "what": "chance", "kind": "floor", "auroc": 0.5, "pair_accuracy": 0.5})
        return pd.DataFrame(found, columns=list(HEADLINE))

    def _crossed(self) -> dict[str, bool]:
        """Which settings of a cell differ between methods, and so belong into its name."""
        methods = self.cells[self.cells["kind"] == "method"]
        return {name: methods[name].nunique() > 1 for name in SETTINGS}

    def _nested_line(self, concept: str) -> dict:
        from cogneuro_sae.inference import corrected_resampled_t

        best = self.nested[(self.nested["concept"] == concept) & (self.nested["method"] == nested.BEST)]
        found = {"concept": concept, "what": "nested: best of the grid, chosen inside the training folds",
                 "kind": "nested"}
        for name in ("auroc", "pair_accuracy"):
            values = best[name].to_numpy(float)
            if np.isfinite(values).sum() > 1:
                t = corrected_resampled_t(values, splits=int(self.config["folds"]["splits"]))
                low, high = summary.cut(name, t.ci_low, t.ci_high)
                found |= {name: t.mean, f"{name}_low": low, f"{name}_high": high}
        table = self.table[(self.table["concept"] == concept)]
        floor = summary.surface_floors(table[table["kind"] == "baseline"].to_dict("records")).get(concept)
        folds = best.sort_values(["repeat", "fold"]).to_dict("records")
        return found | summary.beyond_surface(folds, floor, int(self.config["folds"]["splits"]))

    def summary(self) -> str:
        """Return the headline as a text table for a terminal: every cell, or with four concepts and more a line each.

        Returns
        -------
        str
        """
        headline = self.headline()
        if headline["concept"].nunique() >= MANY:
            return _by_concept(headline[headline["kind"] == "nested"])
        lines = []
        for concept, rows in headline.groupby("concept", sort=False):
            width = max(len(what) for what in rows["what"])
            fixed = [f"{name} {self.cells[name].iloc[0]}" for name, varies in self._crossed().items() if not varies]
            lines.append(f"{concept}: held-out mean [95 % interval]" + (f"; {', '.join(fixed)}" if fixed else ""))
            lines.append(f"  {'':{width}}  {'AUROC':<21}  {'pair accuracy':<21}")
            for row in rows.to_dict("records"):
                auroc, pairs = _shown(row, "auroc"), _shown(row, "pair_accuracy")
                lines.append(f"  {row['what']:{width}}  {auroc:<21}  {pairs}")
            first = rows.iloc[0]
            if np.isfinite(first["beyond_surface"]):
                shown = _shown(first, "beyond_surface", sign=True)
                lines.append(f"  nested estimate minus the best surface baseline: {shown}"
                             + (f": {first['verdict']}" if first["verdict"] else ""))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        verdicts = [f"{row['concept']}: {row['verdict']}" for row in self.headline().to_dict("records")
                    if row["kind"] == "nested" and isinstance(row["verdict"], str) and row["verdict"]]
        shown = self.headline().drop(columns=["verdict"]).to_html(index=False, float_format=lambda v: f"{v:.3f}",
                                                                  na_rep="",
                                                                  escape=True)
        return f"<p>{html.escape(str(self.folder or 'comparison'))}</p>{shown}" + "".join(
            f"<p>{html.escape(text)}</p>" for text in verdicts)


def _by_concept(nested: pd.DataFrame) -> str:
    """One line per concept; what is above the best surface baseline with its whole interval is marked."""
    width = max(len(name) for name in nested["concept"])
    lines = ["held-out AUROC, best of the grid chosen inside the training folds [95 % interval]",
             f"  {'':{width}}  {'AUROC':<21}  minus the best surface baseline"]
    for row in nested.to_dict("records"):
        above = row["beyond_surface_low"] is not None and row["beyond_surface_low"] > 0
        lines.append(f"  {row['concept']:{width}}  {_shown(row, 'auroc'):<21}  {_shown(row, 'beyond_surface', sign=True)}"
                     + "  above" * above)
    above = sum(line.endswith("  above") for line in lines)
    return "\n".join([*lines, f"  {above} of {len(nested)} concepts lie above the best surface baseline with the whole "
                              "interval; the report has means and tests over concepts"])


def _line(row: dict, crossed: dict[str, bool]) -> dict:
    of_text = row["kind"] in ("baseline", "skyline")
    parts = [row["selector"]] if of_text else [row["representation"], row["selector"]]
    if row["kind"] != "baseline":
        parts += [f"k={row[name]}" if name == "k" else str(row[name]) for name in SETTINGS
                  if crossed[name] and not (of_text and name in ("k", "ensemble"))]
    return {name: row.get(name) for name in HEADLINE} | {"what": " / ".join(parts)}


def _shown(row, name: str, *, sign: bool = False) -> str:
    value, low, high = (float(row[f"{name}{end}"]) if row[f"{name}{end}"] is not None else np.nan for end in 
                        ("", "_low", "_high"))
    form = "+.3f" if sign else ".3f"
    if not np.isfinite(value):
        return "-"
    bounds = f" [{low:{form}}, {high:{form}}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{value:{form}}{bounds}"
