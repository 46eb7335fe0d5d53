"""Representational dissimilarity matrices in condition blocks."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.plots.style import PALETTE, get_axes, tidy


def rdm(rdms, *, by: Sequence | None = None, index: int = 0, title: str | None = None, noun: str = "stimuli",
        ax: plt.Axes | None = None) -> plt.Axes:
    """Draw one RDM with the stimuli sorted into blocks.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        The dissimilarities; missing ones stay white.
    by : sequence of str, optional
        One label per stimulus; stimuli are sorted by it (order of first appearance) and the blocks are outlined.
    index : int
        Which of the RDMs to draw.
    title : str, optional
        Title; the number of stimuli is added.
    noun : str
        What a row is: stimuli, cells, conditions.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        `by` has another length than the RDM.
    """
    matrix = np.array(rdms.get_matrices()[index], dtype=float)
    np.fill_diagonal(matrix, np.nan)
    ax = get_axes(ax, size=(4.6, 4.0))
    if by is not None:
        by = list(by)
        if len(by) != len(matrix):
            raise InputError(f"by has {len(by)} labels for {len(matrix)} stimuli", do="give one label per row of the "
                                                                                      "RDM")
        blocks = list(dict.fromkeys(by))
        codes = np.array([blocks.index(name) for name in by])
        order = np.argsort(codes, kind="stable")
        matrix, codes = matrix[np.ix_(order, order)], codes[order]
    image = ax.imshow(matrix, cmap="viridis", interpolation="nearest")
    measure = str(getattr(rdms, "dissimilarity_measure", None) or "dissimilarity")
    ax.figure.colorbar(image, ax=ax, label=label(measure), fraction=0.046, pad=0.03)
    if by is not None:
        _outline(ax, codes, blocks)
    return tidy(ax, title=f"{title or 'RDM'} ({len(matrix)} {noun})", x=noun, y=noun)


def _outline(ax, codes, blocks):
    starts = np.flatnonzero(np.r_[True, np.diff(codes) != 0])
    ends = np.r_[starts[1:], len(codes)]
    middles = (starts + ends - 1) / 2
    names = [label(blocks[codes[start]], width=16) for start in starts]
    for edge in ends[:-1]:
        ax.axhline(edge - 0.5, color="white", linewidth=1.4)
        ax.axvline(edge - 0.5, color="white", linewidth=1.4)
    ax.set_xticks(middles, names, fontsize="small")
    ax.set_yticks(middles, names, fontsize="small", rotation=90, va="center")
    ax.tick_params(length=0)


def rdm_beside_model(data, model, *, by: Sequence | None = None, titles: tuple[str, str] = ("data", "model"),
                     noun: str = "stimuli") -> plt.Figure:
    """Draw a data RDM beside its model RDM and return the figure.

    Parameters
    ----------
    data : rsatoolbox.rdm.RDMs
        Data RDM (the first one is drawn).
    model : rsatoolbox.rdm.RDMs
        Model RDM over the same stimuli.
    by : sequence of str, optional
        One label per stimulus, as in `rdm`.
    titles : (str, str)
        Titles of the two.
    noun : str
        As in `rdm`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.4, 4.0), layout="constrained")
    for ax, rdms, title in zip(axes, (data, model), titles, strict=True):
        rdm(rdms, by=by, title=title, noun=noun, ax=ax)
    return figure


def model_fits(fits: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how well model RDMs fit a data RDM, with the paraphrase ceiling where there is one.

    Parameters
    ----------
    fits : DataFrame
        Columns `model`, `fit` and, where known, `low`, `high` (interval), `ceiling_low`, `ceiling_high`, `n`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(6.6, 1.3 + 0.42 * len(fits)))
    place = np.arange(len(fits))
    ax.barh(place, fits["fit"], color=PALETTE[0], height=0.5, zorder=2)
    if {"low", "high"} <= set(fits):
        spread = np.abs(np.vstack([fits["fit"] - fits["low"], fits["high"] - fits["fit"]]))
        ax.errorbar(fits["fit"], place, xerr=spread, fmt="none", color="black", capsize=3, linewidth=1, zorder=3)
    if {"ceiling_low", "ceiling_high"} <= set(fits):
        for y, low, high in zip(place, fits["ceiling_low"], fits["ceiling_high"], strict=True):
            if np.isfinite(low) and np.isfinite(high):
                ax.fill_betweenx([y - 0.4, y + 0.4], low, high, color="0.8", zorder=1, linewidth=0)
    ax.axvline(0, color="black", linewidth=0.8, zorder=3)
    ax.set_yticks(place, [label(name, width=46) for name in fits["model"]], fontsize="small")
    ax.set_ylim(len(fits) - 0.4, -0.6)
    for y in np.flatnonzero(~np.isfinite(fits["fit"].to_numpy(float))):
        ax.annotate("no result", (0.01, y), xycoords=("axes fraction", "data"), fontsize="x-small", va="center",
                    color="0.35")
    n = f", n = {int(fits['n'].iloc[0])} cells" if "n" in fits and fits["n"].nunique() == 1 else ""
    return tidy(ax, title=f"{len(fits)} model fits (grey: paraphrase ceiling){n}", x="correlation with the model RDM "
                                                                                     "(r)", y="")
