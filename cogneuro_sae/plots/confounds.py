"""The confounds of many stimulus sets at a glance: nuisance differences beside what surface form alone can tell."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import ScaledTranslation

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.plots.style import PALETTE, QUIET
from cogneuro_sae.stimuli.thresholds import THRESHOLDS

LIMIT = 1.0
ROW = 0.235
DOTS = {"bag_of_words": ("bag of words", "o", PALETTE[0], -0.24),
        "char_ngrams": ("character n-grams", "s", PALETTE[1], 0.0),
        "words_auroc": ("number of words", "D", PALETTE[2], 0.24)}
FAR_OF = {"bag_of_words": "bag_of_words_far", "char_ngrams": "char_ngrams_far", "words_auroc": "words_auroc_far"}


def confounds(table: pd.DataFrame) -> plt.Figure:
    """Draw the nuisance differences and the surface AUROCs of many sets, one row per set, sorted by group.

    Parameters
    ----------
    table : DataFrame
        One row per set, as `Checks.summary` gives it: `set`, `group`, `d_MEASURE` (target against near, in standard
        deviations of the items' differences), `bag_of_words`, `char_ngrams`, `words_auroc` and these with `_far`.

    Returns
    -------
    matplotlib.figure.Figure
        Left d, framed where |d| is above the threshold of check() and hatched where it was not measured; right AUROCs
        against near (filled) and far foils (open), with chance and the thresholds.

    Raises
    ------
    InputError
        No rows, or no column of nuisance differences.
    """
    if not len(table):
        raise InputError("no set to draw", do="give at least one row")
    measures = [name for name in table if name.startswith("d_") and not name.startswith("d_far_")]
    measures = [name for name in measures if table[name].notna().any()] or measures
    if not measures:
        raise InputError("the table has no nuisance differences", allowed="columns d_words, d_characters ...")
    groups = table["group"].fillna("").astype(str) if "group" in table else pd.Series("", index=table.index)
    order = np.lexsort((table["set"].astype(str), groups, groups == ""))
    table, groups = table.iloc[order].reset_index(drop=True), groups.iloc[order].tolist()
    rows, columns = len(table), len(measures)
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, layout="constrained", figsize=(6.6 + 0.36 * columns, 2.9 + ROW * max(rows, 6)),
        gridspec_kw={"width_ratios": [0.36 * columns + 0.6, 4.2]})
    _differences(left, table, measures)
    _dots(right, table)
    _names(left, table)
    for ax in (left, right):
        _groups(ax, groups, named=ax is right)
    figure.suptitle(label(f"Confounds of {rows} stimulus set{'s' * (rows != 1)}, target against near foils"),
                    x=0.01, ha="left", fontsize="large")
    return figure


def _differences(ax, table, measures):
    values = table[measures].to_numpy(float)
    image = ax.imshow(np.clip(values, -LIMIT, LIMIT), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, aspect="auto",
                      interpolation="nearest")
    for row, column in zip(*np.nonzero(np.isnan(values))):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", edgecolor="0.75",
                               linewidth=0))
    for row, column in zip(*np.nonzero(np.abs(values) > THRESHOLDS.nuisance)):
        ax.add_patch(Rectangle((column - 0.44, row - 0.42), 0.88, 0.84, fill=False, edgecolor="black", linewidth=1.3))
    names = [label(name.removeprefix("d_").replace("_", " "), width=24) for name in measures]
    ax.set_xticks(range(len(measures)), names, rotation=50, ha="right", rotation_mode="anchor", fontsize="small")
    bar = ax.figure.colorbar(image, ax=ax, orientation="horizontal", location="bottom", shrink=0.75, aspect=32,
                             pad=0.02, extend="both", ticks=np.linspace(-LIMIT, LIMIT, 5))
    bar.set_label(f"standardised difference d (framed: above {THRESHOLDS.nuisance:g}; hatched: not measured)",
                  fontsize="small")
    bar.ax.tick_params(labelsize="small")
    for row in range(1, len(table)):
        ax.axhline(row - 0.5, color="white", linewidth=0.8)
    ax.set_title("nuisance measures", fontsize="medium", loc="left")
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def _dots(ax, table):
    place = np.arange(len(table))
    for name, (_, marker, colour, shift) in DOTS.items():
        for column, face in ((FAR_OF[name], "none"), (name, colour)):
            if column in table:
                ax.scatter(table[column].astype(float), place + shift, marker=marker, s=20, facecolors=face,
                           edgecolors=[colour], linewidths=1.0, zorder=3 if face == "none" else 4, clip_on=False)
    ax.axvline(0.5, color="black", linewidth=0.9, zorder=1)
    for value in (THRESHOLDS.over_tuned, THRESHOLDS.telling):
        ax.axvline(value, color=PALETTE[0], linestyle="--", linewidth=0.9, zorder=1)
    ax.axvspan(THRESHOLDS.length_low, THRESHOLDS.length_high, color=PALETTE[2], alpha=0.12, linewidth=0, zorder=0)
    for row in place[1::2]:
        ax.axhspan(row - 0.5, row + 0.5, color="0.955", linewidth=0, zorder=-1)
    ax.set_xlim(0, 1)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.set_xlabel("AUROC (0-1)", fontsize="small")
    ax.set_title("what surface form tells", fontsize="medium", loc="left")
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize="small")
    handles = [Line2D([], [], color=colour, marker=marker, linestyle="", label=text)
               for text, marker, colour, _ in DOTS.values()]
    handles += [Line2D([], [], color=QUIET, marker="o", linestyle="", label="against near"),
                Line2D([], [], color=QUIET, marker="o", linestyle="", markerfacecolor="none", label="against far"),
                Line2D([], [], color=PALETTE[0], linestyle="--", label="limits of bag of words"),
                Patch(color=PALETTE[2], alpha=0.2, linewidth=0, label="range for number of words")]
    below = ax.transAxes + ScaledTranslation(0, -0.55, ax.figure.dpi_scale_trans)
    ax.legend(handles=handles, fontsize="small", loc="upper center", bbox_to_anchor=(0.55, 0), bbox_transform=below,
              frameon=False, ncols=2, columnspacing=1.0, handletextpad=0.4, borderaxespad=0)
    sns.despine(ax=ax, left=True)


def _names(ax, table):
    ax.set_yticks(range(len(table)), [label(name, width=26) for name in table["set"]], fontsize="small")
    ax.set_ylim(len(table) - 0.5, -0.5)


def _groups(ax, groups, *, named):
    """Lines between groups; with `named` their names at the right edge."""
    for row in range(1, len(groups)):
        if groups[row] != groups[row - 1]:
            ax.axhline(row - 0.5, color="black", linewidth=1.0, zorder=5)
    for name in dict.fromkeys(groups) if named else ():
        middle = np.mean([row for row, group in enumerate(groups) if group == name])
        ax.text(1.03, middle, label(name, width=16) or "other", transform=ax.get_yaxis_transform(), ha="left",
                va="center", fontsize="small", color="0.25")
