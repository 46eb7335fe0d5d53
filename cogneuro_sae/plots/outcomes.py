"""What a comparison concludes: how stable the chosen features are, and what the planned contrasts say."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.plots.comparisons import MARKERS, cell_names, titled
from cogneuro_sae.plots.style import PALETTE, get_axes, tidy


def stability(cells: pd.DataFrame, *, measures: Sequence[str] = ("jaccard", "kuncheva"), title: str = "",
              ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how much the features chosen in different folds agree.

    Parameters
    ----------
    cells : DataFrame
        Rows of `cells.csv` of one concept with the columns named in `measures`; rows without any of them are left out.
    measures : sequence of str
        Agreement indices; 1 = the same features in every fold, 0 for Kuncheva = as by chance.
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
        No row has a stability.
    """
    present = [name for name in measures if name in cells]
    cells = cells[cells["kind"].isin(["method", "control"])].dropna(subset=present, how="all") if present else cells[:0]
    if not len(cells):
        raise InputError("no row has a stability", allowed=", ".join(measures))
    cells = cells.sort_values(present[0], ascending=False, kind="stable").reset_index(drop=True)
    ax = get_axes(ax, size=(8.4, 1.3 + 0.25 * len(cells)))
    for place, name in enumerate(present):
        ax.plot(cells[name], np.arange(len(cells)), MARKERS[place], color=PALETTE[place], markersize=5.5, label=name)
    ax.axvline(0, color="black", linewidth=0.9, linestyle=":")
    ax.set_xlim(min(-0.05, 1.1 * np.nanmin(cells[present].to_numpy(float))), 1.05)
    ax.set_yticks(range(len(cells)), cell_names(cells), fontsize="small")
    ax.set_ylim(len(cells) - 0.4, -0.6)
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return tidy(ax, title=titled(title, cells), x="agreement of the features chosen in different folds", y="")


def planned(tests: pd.DataFrame, *, unit: str = "difference of held-out AUROC", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw planned contrasts as a forest: estimate, interval, adjusted p and n at the right.

    Parameters
    ----------
    tests : DataFrame
        Rows of `tests.csv`: `name`, `estimate`, `low`, `high`, and where known `p`, `p_adjusted`, `n`, `concept`.
    unit : str
        Unit of the estimates.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    tests = tests.reset_index(drop=True)
    ax = get_axes(ax, size=(8.4, 1.4 + 0.36 * len(tests)))
    several = "concept" in tests and tests["concept"].nunique() > 1
    names = [f"{row['concept'] or 'all concepts'}: {row['name']}" if several else str(row["name"])
             for row in tests.to_dict("records")]
    for place, row in tests.iterrows():
        if np.isfinite(row["estimate"]):
            ax.plot([row["low"], row["high"]], [place, place], color=PALETTE[0], linewidth=1.8, solid_capstyle="butt")
            ax.plot(row["estimate"], place, "s", color=PALETTE[0], markersize=6)
        ax.annotate(_test_text(row), (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize="x-small",
                    annotation_clip=False)
    ax.axvline(0, color="black", linewidth=0.9, linestyle=":")
    limit = np.nanmax(np.abs(tests[["estimate", "low", "high"]].to_numpy(float)), initial=0.0)
    ax.set_xlim(-1.1 * (limit or 1.0), 1.1 * (limit or 1.0))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_yticks(range(len(tests)), [label(name, width=44) for name in names], fontsize="small")
    ax.set_ylim(len(tests) - 0.4, -0.6)
    return tidy(ax, title=f"{len(tests)} planned contrast{'s' * (len(tests) != 1)}", x=f"{unit}, 95 % interval", y="")


def _test_text(row) -> str:
    parts = [f"{row['estimate']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" if np.isfinite(row["estimate"])
             else "no result"]
    for column, name in (("p", "p"), ("p_adjusted", "Holm p")):
        if column in row and pd.notna(row[column]):
            parts.append(f"{name} = {row[column]:.3g}")
    if "n" in row and pd.notna(row["n"]):
        parts.append(f"n = {int(row['n'])}")
    return ", ".join(parts)
