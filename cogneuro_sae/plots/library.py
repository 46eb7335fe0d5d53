"""Many concepts at once: held-out scores of every concept under every method."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.plots.comparisons import KINDS, SHARES, cell_names

SPREAD = 0.35   # colours reach their ends this far from chance
MEAN = "mean"


def scores_by_concept(cells: pd.DataFrame, *, measure: str = "auroc") -> pd.DataFrame:
    """Return a table of concepts (rows) by cells (columns): methods first, then controls, floors and skylines.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv` of several concepts.
    measure : str
        Column to take: "auroc" | "pair_accuracy" | "balanced_accuracy".

    Returns
    -------
    DataFrame (n_concepts, n_cells) float64
        Columns are (kind, name) pairs; NaN where a concept has no such cell or it gave no result.

    Raises
    ------
    InputError
        Unknown measure, or no rows.
    """
    if measure not in SHARES:
        raise unknown_name("measure", measure, SHARES)
    if not len(cells):
        raise InputError("no cells to draw", do="give rows of cells.csv")
    cells = cells.reset_index(drop=True).assign(name=cell_names(cells, width=60))
    wide = cells.pivot_table(index="concept", columns=["kind", "name"], values=measure, aggfunc="mean", sort=False,
                             dropna=False)
    present = cells.drop_duplicates(["kind", "name"])
    place = {kind: number for number, kind in enumerate(KINDS)}
    order = sorted(zip(present["kind"], present["name"]), key=lambda pair: place.get(pair[0], len(place)))
    return wide.reindex(index=list(dict.fromkeys(cells["concept"])), columns=pd.MultiIndex.from_tuples(order))


def concepts_by_methods(cells: pd.DataFrame, *, groups: Mapping[str, str] | None = None, measure: str = "auroc",
                        ax: plt.Axes | None = None) -> plt.Axes:
    """Draw a heat map of concepts by methods, floors, controls and skylines, with the mean over concepts below.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv` of several concepts.
    groups : mapping of str to str, optional
        Kind of each concept; concepts of a kind stand together.
    measure : str
        "auroc" | "pair_accuracy" | "balanced_accuracy".
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        A framed cell lies beyond the best surface baseline of its concept, with its whole interval.
    """
    wide = scores_by_concept(cells, measure=measure)
    groups = groups or {}
    order = list(dict.fromkeys(groups.get(name, "") for name in wide.index))
    rows = sorted(wide.index, key=lambda name: order.index(groups.get(name, "")))
    wide = wide.loc[rows]
    values = np.vstack([wide.to_numpy(float), np.nanmean(wide.to_numpy(float), axis=0)])
    if ax is None:
        _, ax = plt.subplots(figsize=(3.2 + 0.5 * wide.shape[1], 2.2 + 0.23 * len(values)), layout="constrained")
    image = ax.imshow(values, cmap="RdBu_r", vmin=0.5 - SPREAD, vmax=0.5 + SPREAD, aspect="auto")
    _numbers(ax, values)
    _frames(ax, wide, cells)
    _lines(ax, wide, [groups.get(name, "") for name in rows])
    ax.set_yticks(range(len(values)), [*(label(name, width=30) for name in rows), MEAN], fontsize="small")
    ax.set_xticks(range(wide.shape[1]), [name for _, name in wide.columns], rotation=45, ha="right",
                  rotation_mode="anchor", fontsize="small")
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.03, pad=0.1 if any(groups.values()) else 0.02, extend="both")
    bar.set_label(f"held-out {'AUROC' if measure == 'auroc' else measure.replace('_', ' ')} (0-1, chance .5)")
    ax.tick_params(length=0)
    ax.set_ylabel("concept")
    ax.set_title(f"{len(rows)} concepts", fontsize="medium", loc="left", pad=20)
    for side in ax.spines.values():
        side.set_visible(False)
    return ax


def _numbers(ax, values):
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            strong = abs(value - 0.5) > 0.24
            ax.text(column, row, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=7,
                    color="white" if strong else "0.15", fontweight="bold" if row == len(values) - 1 else "normal")
        else:
            ax.text(column, row, "\u2013", ha="center", va="center", fontsize=7, color="0.5")


def _frames(ax, wide, cells):
    """Frame what lies beyond surface form with its whole interval."""
    if "beyond_surface_low" not in cells:
        return
    named = cells.reset_index(drop=True).assign(name=cell_names(cells, width=60))
    above = named[named["beyond_surface_low"].to_numpy(float) > 0]
    columns = list(wide.columns)
    for concept, kind, name in zip(above["concept"], above["kind"], above["name"]):
        place = (columns.index((kind, name)) - 0.5, list(wide.index).index(concept) - 0.5)
        ax.add_patch(plt.Rectangle(place, 1, 1, fill=False, edgecolor="black", linewidth=1.6))


def _lines(ax, wide, kinds):
    """White gaps between kinds of columns and groups of concepts, with their names above and at the right."""
    of = [kind for kind, _ in wide.columns]
    for kind in dict.fromkeys(of):
        columns = [column for column, name in enumerate(of) if name == kind]
        ax.axvline(columns[-1] + 0.5, color="white", linewidth=4)
        ax.annotate(KINDS.get(kind, kind), ((columns[0] + columns[-1]) / 2, 1.005), ha="center", va="bottom",
                    fontsize="small", xycoords=("data", "axes fraction"), color="0.3")
    ax.axhline(len(kinds) - 0.5, color="white", linewidth=4)
    start = 0
    for row in range(1, len(kinds) + 1):
        if row == len(kinds) or kinds[row] != kinds[start]:
            if row < len(kinds):
                ax.axhline(row - 0.5, color="white", linewidth=4)
            ax.annotate(label(kinds[start], width=20), (1.01, (start + row - 1) / 2), va="center", fontsize="small",
                        xycoords=("axes fraction", "data"), color="0.3")
            start = row
