"""One axis of a comparison against another: do the methods that detect a concept choose features that are about it?"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.plots.comparisons import MARKERS, SHARES, cell_names, titled
from cogneuro_sae.plots.style import PALETTE, QUIET, get_axes, keep_inside, tidy

AXES = {
    "detection": "detection: held-out AUROC (0-1)",
    "judge": "judge: mean score of the cell's features (0-3)",
    "necessity": "necessity",
    "sufficiency": "sufficiency",
    "side_effects": "side effects",
}


def axis_scatter(cells: pd.DataFrame, *, x: str = "detection", y: str = "judge", title: str = "",
                 ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the cells of one concept by two axes, one colour and marker per method, controls grey.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv` of one concept: `kind`, the cell's factors, `x`, `y` and, where known, `auroc_low` and
        `auroc_high` for the interval of detection. Cells that lack one of both are left out and counted in the title.
    x, y : str
        Columns, of `AXES`.
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
        Unknown axis, several concepts, or no method with a value on both.
    """
    for name in (x, y):
        if name not in AXES or name not in cells:
            raise unknown_name("axis", name, [each for each in AXES if each in cells])
    if "concept" in cells and cells["concept"].nunique() > 1:
        raise InputError(f"cells of {cells['concept'].nunique()} concepts", do="draw one concept per axes")
    rows = cells[cells["kind"].isin(("method", "control"))]
    known = rows.dropna(subset=[x, y])
    if not (known["kind"] == "method").any():
        raise InputError(f"no method has both {x} and {y}")
    ax = get_axes(ax, size=(8.4, 4.4))
    methods, controls = (known[known["kind"] == kind] for kind in ("method", "control"))
    named = zip(cell_names(methods.assign(k=1)), methods.index, strict=True)     # one colour for all k of a method
    groups: dict[str, list] = {}
    for name, index in named:
        groups.setdefault(name, []).append(index)
    for place, (name, indices) in enumerate(groups.items()):
        _points(ax, methods.loc[indices], x, y, PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)], name)
    for place, (name, part) in enumerate(controls.groupby("selector", sort=False)):
        _points(ax, part, x, y, QUIET, "x+"[place % 2], f"control: {cell_names(part)[0]}")
    if x == "detection":
        ax.axvline(0.5, color="black", linewidth=0.9, linestyle=":", label="chance", zorder=1)
        keep_inside(ax, 0.0, 1.0)
    if y == "judge":
        ax.set_ylim(-0.12, 3.12)     # the whole scale, so that small differences look small
    left_out = int((rows["kind"] == "method").sum()) - len(methods)
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return tidy(ax, title=titled(title, methods) + (f", {left_out} without a value" if left_out else ""), x=AXES[x],
                y=AXES[y])


def _points(ax, rows: pd.DataFrame, x: str, y: str, colour, marker: str, name: str) -> None:
    if x == "detection" and {f"{SHARES[0]}_low", f"{SHARES[0]}_high"} <= set(rows):
        ax.hlines(rows[y], rows[f"{SHARES[0]}_low"], rows[f"{SHARES[0]}_high"], color=colour, linewidth=0.8, alpha=0.4)
    ax.scatter(np.asarray(rows[x], float), np.asarray(rows[y], float), color=[colour], marker=marker, s=34, zorder=3,
               label=name, clip_on=False)
