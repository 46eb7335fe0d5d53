"""Over layers and token positions: models over sites, features over positions, generalisation from site to site."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.plots.style import PALETTE, get_axes, legend_below, symmetric_limit, tidy

MARKERS = "osD^vPX*"


def model_profile(profile: pd.DataFrame, *, title: str = "", unit: str = "correlation with the model RDM (r)",
                  ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how well models fit at every site, as one line per model, with the paraphrase ceiling.

    Parameters
    ----------
    profile : DataFrame
        From `rsa.layer_profile`: columns `site`, `model`, `fit` and, where known, `low`, `high`, `ceiling_low`,
        `ceiling_high`, `n`, `items`. Sites and models keep their order.
    title : str
        What was compared; numbers are added.
    unit : str
        Unit of the fit.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    sites, models = list(dict.fromkeys(profile["site"])), list(dict.fromkeys(profile["model"]))
    ax = get_axes(ax, size=(max(4.8, 2.2 + 0.62 * len(sites)), 4.2))
    place = np.arange(len(sites))
    if {"ceiling_low", "ceiling_high"} <= set(profile):
        band = profile.drop_duplicates("site").set_index("site").loc[sites, ["ceiling_low", "ceiling_high"]]
        if np.isfinite(band.to_numpy(float)).any():
            ax.fill_between(place, band["ceiling_low"], band["ceiling_high"], color="0.86", linewidth=0, zorder=0,
                            label="paraphrase ceiling")
    shift = (np.arange(len(models)) - (len(models) - 1) / 2) * min(0.08, 0.3 / max(len(models), 1))
    for number, name in enumerate(models):
        rows = profile[profile["model"] == name].set_index("site").reindex(sites)
        colour = PALETTE[number % len(PALETTE)]
        ax.plot(place + shift[number], rows["fit"], color=colour, marker=MARKERS[number % len(MARKERS)], markersize=5,
                linewidth=1.6, label=label(name, width=28), zorder=3)
        if {"low", "high"} <= set(rows):
            ax.vlines(place + shift[number], rows["low"], rows["high"], color=colour, linewidth=1.1, alpha=0.8,
                      zorder=2)
    ax.axhline(0, color="black", linewidth=0.8, zorder=1)
    ax.set_xlim(-0.4, len(sites) - 0.6)
    long = max(len(str(site)) for site in sites) > 6
    ax.set_xticks(place, [label(site, width=22) for site in sites], rotation=40 if long else 0,
                  ha="right" if long else "center", rotation_mode="anchor")
    n = f", n = {int(profile['n'].iloc[0])} cells" if "n" in profile and profile["n"].nunique() == 1 else ""
    tidy(ax, title=f"{title} ({len(models)} models, {len(sites)} sites{n})".strip(), x="" if long else "site", y=unit)
    _legend(ax, long)
    return ax


def _legend(ax, long: bool) -> None:
    """Under the axes, or beside them when rotated names take that room."""
    if long:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize="medium", borderaxespad=0)
    else:
        legend_below(ax)


def generalisation(matrix: pd.DataFrame, *, title: str = "", unit: str = "held-out AUROC (0-1)", chance: float = 0.5,
                   limit: float | None = None, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw a temporal or layer generalisation matrix.

    Parameters
    ----------
    matrix : DataFrame (n_sites, n_sites)
        `rsa.generalisation(...).auroc`: rows where the read-out was trained, columns where it was tested. NaN is
        hatched.
    title : str
        What was read out; the number of sites is added.
    unit : str
        Unit of the values.
    chance : float
        Value of a read-out that knows nothing: white.
    limit : float, optional
        Distance from chance at which the colours end; default the largest there is, at least .2, so that noise stays
        pale.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    n = len(matrix)
    ax = get_axes(ax, size=(max(4.8, 2.7 + 0.36 * n), max(3.9, 1.7 + 0.36 * n)))
    values = matrix.to_numpy(float)
    limit = max(symmetric_limit(values - chance), 0.2) if limit is None else limit
    image = _image(ax, values, chance - limit, chance + limit)
    for place in range(n):
        ax.add_patch(plt.Rectangle((place - 0.5, place - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=0.9))
    if n <= 10:
        _numbers(ax, values, chance, limit)
    ax.figure.colorbar(image, ax=ax, label=label(unit), fraction=0.046, pad=0.03)
    _site_ticks(ax, matrix)
    return tidy(ax, title=f"{title} ({n} sites)".strip(), x="tested at", y="trained at")


def _image(ax, values, low, high):
    if np.isnan(values).any():
        ax.patch.set(hatch="////", edgecolor="0.75", facecolor="white")
    return ax.imshow(values, cmap="RdBu_r", vmin=low, vmax=high, interpolation="nearest", aspect="auto")


def _numbers(ax, values, middle, limit):
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=8,
                    color="white" if abs(value - middle) > 0.6 * limit else "black")


def _site_ticks(ax, matrix):
    step = max(1, int(np.ceil(len(matrix) / 25)))
    rows, columns = ([label(name, width=16) for name in names[::step]] for names in (matrix.index, matrix.columns))
    long = max(map(len, columns)) > 4
    ax.set_xticks(range(0, len(matrix), step), columns, rotation=45 if long else 0, ha="right" if long else "center",
                  rotation_mode="anchor", fontsize="small")
    ax.set_yticks(range(0, len(matrix), step), rows, fontsize="small")


def position_map(values: pd.DataFrame, *, unit: str = "t over item differences", marked: pd.DataFrame | None = None,
                 title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw a statistic of features against token positions.

    Parameters
    ----------
    values : DataFrame (n_features, n_positions)
        Rows are features in the order to be drawn, columns positions; NaN (too few texts that long) is hatched.
    unit : str
        Unit of the values.
    marked : DataFrame (n_features, n_positions) of bool, optional
        Places that get a dot, such as p_FWE <= .05.
    title : str
        What was compared; numbers are added.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        `marked` has another shape than the values.
    """
    if marked is not None and marked.shape != values.shape:
        raise InputError(f"marked has shape {marked.shape}", allowed=f"{values.shape}")
    n_features, n_positions = values.shape
    ax = get_axes(ax, size=(min(11, 2.8 + 0.26 * max(n_positions, 8)), min(11, 1.5 + 0.21 * max(n_features, 8))))
    limit = symmetric_limit(values.to_numpy(float))
    image = _image(ax, values.to_numpy(float), -limit, limit)
    if marked is not None:
        rows, columns = np.nonzero(marked.to_numpy(bool))
        ax.scatter(columns, rows, s=9, color="black", linewidths=0)
    ax.figure.colorbar(image, ax=ax, label=label(unit), fraction=0.04, pad=0.02)
    across, down = (max(1, int(np.ceil(n / most))) for n, most in ((n_positions, 20), (n_features, 50)))
    ax.set_xticks(range(0, n_positions, across), [label(name, width=8) for name in values.columns[::across]],
                  fontsize="small")
    ax.set_yticks(range(0, n_features, down), [label(name, width=18) for name in values.index[::down]],
                  fontsize="small")
    dots = "" if marked is None else f", {int(marked.to_numpy(bool).sum())} marked"
    return tidy(ax, title=f"{title} ({n_features} features, {n_positions} positions{dots})".strip(),
                x="token position (from 1)", y="feature")
