"""The method comparison: cells with intervals between floors, chance, controls and skylines; scores over k."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.plots.style import KIND_COLOURS, PALETTE, QUIET, get_axes, keep_inside, tidy

MEASURES = {
    "auroc": ("held-out AUROC (0-1)", 0.5),
    "pair_accuracy": ("held-out pair accuracy (0-1)", 0.5),
    "balanced_accuracy": ("held-out balanced accuracy (0-1)", 0.5),
    "log_loss": ("held-out log-loss (nats)", None),
    "d_prime": ("held-out d' (sd units)", 0.0),
}
SHARES = ("auroc", "pair_accuracy", "balanced_accuracy")   # measures that cannot leave 0-1
FACTORS = ("representation", "selector", "k", "ensemble", "window", "pooling", "site")
KINDS = {"method": "methods", "control": "controls", "baseline": "floors", "skyline": "skylines"}
MARKERS = "osD^vPX*<>"
_DASHES = ((6, 2), (3, 2), (1.2, 1.6), (6, 2, 1.2, 2), (6, 1.5, 1.2, 1.5, 1.2, 1.5))


def cell_names(cells: pd.DataFrame, *, width: int = 44) -> list[str]:
    """Return one short name per row of a comparison table: what differs between its methods, and nothing else.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv`: `kind`, and any of the cell's factors.
    width : int
        Longest name in characters.

    Returns
    -------
    list of str
        Escaped for matplotlib; a baseline, skyline or control is called by its `selector`.
    """
    methods = cells[cells["kind"] == "method"]
    varying = [name for name in FACTORS if name in cells and (name == "selector" or methods[name].nunique() > 1)]
    return [label(_cell_name(row, varying), width=width) for row in cells.to_dict("records")]


def _cell_name(row: dict, varying: Sequence[str]) -> str:
    parts = []
    for name in varying:
        value = row[name]
        if value is None or value == "" or value != value:
            continue
        if name != "selector" and row["kind"] in ("baseline", "skyline"):
            continue
        parts.append(f"k={int(value)}" if name == "k" else str(value))
    return " / ".join(parts)


def comparison(cells: pd.DataFrame, *, measure: str = "auroc", title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw every cell of one concept with its interval, between floors, chance, controls and skylines.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv` of one concept: `kind`, the cell's factors, `measure` and, where known, `<measure>_low`,
        `<measure>_high` (95 % interval), `n_folds` and `n_items`.
    measure : str
        Column to draw: one of `MEASURES`.
    title : str
        Put before the counts in the title.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        Rows from top: methods best first, controls, floors, skylines. A row without a value says "no result".

    Raises
    ------
    InputError
        Unknown measure, several concepts, or no rows.
    """
    cells = _one_concept(cells, measure)
    better = -1 if measure == "log_loss" else 1
    rank = cells["kind"].map({kind: place for place, kind in enumerate(KINDS)}).fillna(len(KINDS))
    order = np.lexsort((-better * cells[measure].fillna(-better * np.inf).to_numpy(), rank))
    cells = cells.iloc[order].reset_index(drop=True)
    names = cell_names(cells)
    ax = get_axes(ax, size=(8.4, 1.3 + 0.27 * len(cells)))
    _group_bands(ax, cells)
    _reference_lines(ax, cells, measure)
    for row, cell in cells.iterrows():
        _interval_row(ax, row, cell, measure)
    ax.set_yticks(range(len(cells)), names, fontsize="small")
    ax.set_ylim(len(cells) - 0.4, -0.6)
    if measure in SHARES:
        keep_inside(ax, 0.0, 1.0)
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return tidy(ax, title=titled(title, cells), x=f"{MEASURES[measure][0]}, 95 % interval over folds", y="")


def _one_concept(cells: pd.DataFrame, measure: str) -> pd.DataFrame:
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    missing = [name for name in ("kind", "selector", measure) if name not in cells]
    if missing or not len(cells):
        raise InputError("no cells to draw" if not missing else f"the table lacks {', '.join(missing)}",
                         do="give rows of cells.csv")
    if "concept" in cells and cells["concept"].nunique() > 1:
        raise InputError(f"cells of {cells['concept'].nunique()} concepts", do="draw one concept per axes")
    return cells


def titled(title: str, cells: pd.DataFrame) -> str:
    """Return a title with the numbers of method cells, items and folds in it.

    Parameters
    ----------
    title : str
        What is put before the counts.
    cells : DataFrame
        Rows of `cells.csv`: `kind` and, where known, `n_items`, `n_folds`.

    Returns
    -------
    str
    """
    counts = []
    for column, noun in (("n_items", "items"), ("n_folds", "folds")):
        known = cells[column].dropna() if column in cells else pd.Series(dtype=float)
        if len(known):
            low, high = int(known.min()), int(known.max())
            counts.append(f"{low} {noun}" if low == high else f"{low}-{high} {noun}")
    methods = int((cells["kind"] == "method").sum())
    counts.insert(0, f"{methods} method cell{'s' * (methods != 1)}")
    return f"{title + ': ' if title else ''}{', '.join(counts)}"


def _group_bands(ax, cells):
    for place, kind in enumerate(dict.fromkeys(cells["kind"])):
        rows = np.flatnonzero(cells["kind"] == kind)
        if place % 2:
            ax.axhspan(rows[0] - 0.5, rows[-1] + 0.5, color="0.965", zorder=0, linewidth=0)
        ax.scatter([], [], color=KIND_COLOURS.get(kind, QUIET), s=22, label=KINDS.get(kind, kind))


def _reference_lines(ax, cells, measure):
    """Chance, the best floor and the best skyline run through the whole panel, the random control as a band."""
    chance = MEASURES[measure][1]
    if chance is not None:
        ax.axvline(chance, color="black", linewidth=0.9, linestyle=":", zorder=1, label="chance")
    pick = np.nanargmin if measure == "log_loss" else np.nanargmax
    for kind, style in (("baseline", "--"), ("skyline", "-.")):
        values = cells.loc[cells["kind"] == kind, measure].to_numpy(float)
        if np.isfinite(values).any():
            name = "highest floor" if kind == "baseline" else "highest skyline"
            ax.axvline(values[pick(values)], color=KIND_COLOURS[kind], linewidth=1, linestyle=style, zorder=1,
                       label=name if measure != "log_loss" else name.replace("highest", "lowest"))
    drawn = _random_rows(cells)
    low, high = (drawn.get(f"{measure}_{end}", pd.Series(dtype=float)).dropna() for end in ("low", "high"))
    if len(low) and len(high):
        ax.axvspan(low.min(), high.max(), color=QUIET, alpha=0.18, zorder=0, linewidth=0, label="random features")


def _random_rows(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[(cells["kind"] == "control") & (cells["selector"].astype(str) == "random")]


def _interval_row(ax, row, cell, measure):
    colour = KIND_COLOURS.get(cell["kind"], QUIET)
    if not np.isfinite(cell[measure]):
        reason = cell.get("reason") or cell.get("status") or ""
        text = f"no result: {reason}" if isinstance(reason, str) and reason else "no result"
        ax.annotate(label(text, width=60), (0.01, row), xycoords=("axes fraction", "data"), fontsize="x-small",
                    color="0.35", va="center", style="italic")
        return
    low, high = cell.get(f"{measure}_low", np.nan), cell.get(f"{measure}_high", np.nan)
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
    ax.plot(cell[measure], row, "o", color=colour, markersize=5.5, zorder=3, clip_on=False)


def auroc_over_k(cells: pd.DataFrame, *, measure: str = "auroc", title: str = "",
                 ax: plt.Axes | None = None) -> plt.Axes:
    """Draw each method over the number of features k, with the band of random features, floors and skylines.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv` of one concept, as in `comparison`; only rows with a `k` make lines.
    measure : str
        Column to draw: one of `MEASURES`.
    title : str
        Put before the counts in the title.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Unknown measure, several concepts, or no method row with a k.
    """
    cells = _one_concept(cells, measure)
    lines = cells[(cells["kind"] == "method") & cells["k"].notna()].copy()
    if not len(lines):
        raise InputError("no method row has a k", do="draw `comparison` instead")
    ax = get_axes(ax, size=(8.4, 4.4))
    lines["line"] = cell_names(lines.assign(k=1))
    groups = list(lines.groupby("line", sort=False))
    for place, (name, rows) in enumerate(groups):
        rows = rows.sort_values("k")
        x = rows["k"].to_numpy(float) * 2 ** (0.1 * (place - (len(groups) - 1) / 2) / max(len(groups) - 1, 1) * 2)
        style = {"color": PALETTE[place % len(PALETTE)], "marker": MARKERS[place % len(MARKERS)], "markersize": 4.5,
                 "clip_on": False}
        ax.plot(x, rows[measure], linewidth=1.4, label=name, linestyle="-" if place < len(PALETTE) else "--", **style)
        if {f"{measure}_low", f"{measure}_high"} <= set(rows):
            ax.vlines(x, rows[f"{measure}_low"], rows[f"{measure}_high"], color=style["color"], linewidth=0.8,
                      alpha=0.55)
    _k_references(ax, cells, measure)
    ticks = sorted(lines["k"].astype(int).unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.minorticks_off()
    if measure in SHARES:
        keep_inside(ax, 0.0, 1.0, axis="y")
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return tidy(ax, title=titled(title, cells), x="k (number of features, log scale)",
                y=f"{MEASURES[measure][0]}, 95 % interval")


def _k_references(ax, cells, measure):
    band = _random_rows(cells).dropna(subset=["k"]).sort_values("k")
    if len(band) and {f"{measure}_low", f"{measure}_high"} <= set(band):
        # several representations share the band: the widest is drawn, so that it is never flattering
        ends = band.groupby("k").agg(low=(f"{measure}_low", "min"), high=(f"{measure}_high", "max"))
        ax.fill_between(ends.index, ends["low"], ends["high"], color=QUIET, alpha=0.25, linewidth=0,
                        label="random features")
    if MEASURES[measure][1] is not None:
        ax.axhline(MEASURES[measure][1], color="black", linewidth=0.9, linestyle=":", label="chance")
    for kind in ("baseline", "skyline"):
        rows = cells[(cells["kind"] == kind) & cells[measure].notna()]
        for place, (name, value) in enumerate(zip(cell_names(rows), rows[measure], strict=True)):
            ax.axhline(value, color=KIND_COLOURS[kind], linewidth=1.1, linestyle=(0, _DASHES[place % len(_DASHES)]),
                       label=f"{'floor' if kind == 'baseline' else 'skyline'}: {name} ({value:.2f})")
