"""Which features: the ends of a map, the overlap of regions between methods, and shares of explained variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.maps import unit_of
from cogneuro_sae.plots.style import ACCENT, CALM, PALETTE, QUIET, get_axes, tidy


def top_bottom(fmap: FeatureMap, *, n: int = 20, names: Sequence | None = None, alpha: float = 0.05,
               ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the features at both ends of a map.

    Parameters
    ----------
    fmap : FeatureMap
        The map; intervals are drawn where it has them.
    n : int
        Features per end; a map with fewer than 2 n values is drawn whole.
    names : sequence of str, optional
        One name per feature of the map; default its number.
    alpha : float
        Family-wise error rate whose features are drawn in the accent colour.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Names of another number than features, or a map without any value.
    """
    if names is not None and len(names) != len(fmap.value):
        raise InputError(f"{len(names)} names for {len(fmap.value)} features")
    known = np.flatnonzero(np.isfinite(fmap.value))
    order = known[np.argsort(-fmap.value[known], kind="stable")]
    if not len(order):
        raise InputError(f"the map {fmap.name!r} has no value")
    cut = len(order) > 2 * n
    shown = np.r_[order[:n], order[-n:]] if cut else order
    place = np.arange(len(shown)) + (np.arange(len(shown)) >= n) * (1.0 if cut else 0.0)
    ax = get_axes(ax, size=(5.2, 1.5 + 0.19 * len(shown)))
    value = fmap.value[shown]
    passed = np.zeros(len(shown), bool) if fmap.p_fwe is None else fmap.p_fwe[shown] <= alpha
    ax.barh(place, value - fmap.center, left=fmap.center, height=0.72, zorder=2,
            color=[ACCENT if each else CALM for each in passed])
    if fmap.ci_low is not None and fmap.ci_high is not None:
        ax.hlines(place, fmap.ci_low[shown], fmap.ci_high[shown], color="black", linewidth=0.9, zorder=3)
    ax.axvline(fmap.center, color="black", linewidth=0.8, zorder=3)
    ax.set_yticks(place, [label(feature if names is None else names[feature], width=26) for feature in shown],
                  fontsize="x-small")
    ax.set_ylim(place[-1] + 0.7, -0.7)
    if cut:
        ax.text(0.5, n, f"{len(order) - 2 * n:,} features between", transform=ax.get_yaxis_transform(), ha="center",
                va="center", fontsize="small", color="0.35")
    if passed.any():
        bars = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in (ACCENT, CALM)]
        ax.legend(bars, [f"p_FWE <= {alpha:g}", "other"], frameon=False, fontsize="small", loc="lower right")
    return tidy(ax, title=f"{fmap.name}: {len(shown)} of {len(order):,} features, descriptive", x=unit_of(fmap.name),
                y="feature")


def roi_overlap(rois: Mapping[str, Sequence], *, title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how far methods agree on a region: Jaccard overlap (shared / either), and the number of shared features.

    Parameters
    ----------
    rois : mapping of str to array_like of int
        Feature numbers that each method chose; repeats count once.
    title : str
        What was selected; the number of regions is added.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Fewer than 2 regions.
    """
    if len(rois) < 2:
        raise InputError(f"{len(rois)} regions", allowed="at least 2")
    sets = [set(np.asarray(roi).ravel().tolist()) for roi in rois.values()]
    n = len(sets)
    shared = np.array([[len(a & b) for b in sets] for a in sets])
    either = np.array([[len(a | b) for b in sets] for a in sets])
    jaccard = np.where(either > 0, shared / np.maximum(either, 1), np.nan)
    ax = get_axes(ax, size=(3.4 + 0.62 * n, 2.5 + 0.5 * n))
    image = ax.imshow(np.where(np.eye(n, dtype=bool), np.nan, jaccard), cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for row in range(n):
        for column in range(n):
            own = row == column
            text = f"{shared[row, column]}" if own else f"{jaccard[row, column]:.2f}\n{shared[row, column]}"
            light = own or jaccard[row, column] > 0.55
            ax.text(column, row, text, ha="center", va="center", fontsize=8, color="black" if light else "white",
                    fontweight="bold" if own else "normal")
    ax.figure.colorbar(image, ax=ax, label="Jaccard overlap (0-1)", fraction=0.046, pad=0.03)
    names = [label(name, width=20) for name in rois]
    ax.set_xticks(range(n), names, rotation=40, ha="right", rotation_mode="anchor", fontsize="small")
    ax.set_yticks(range(n), names, fontsize="small")
    ax.tick_params(length=0)
    return tidy(ax, title=f"{title} ({n} regions; overlap and shared features)".strip(), x="", y="method")


def variance_partition(shares: pd.DataFrame, *, title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw unique and shared shares of the explained variance of an RDM.

    Parameters
    ----------
    shares : DataFrame
        Columns `part` and `share` (0-1, of the variance of the RDM) and, where known, `low`, `high`. A part that names
        several predictors, joined by " & ", is shared and grey; `total` is black and last. Shared parts can be
        negative (suppression). Of a `rsa.VariancePartition` v: part = [" & ".join(each) for each in v.subsets], share =
        v.parts[:, 0].
    title : str
        What is explained; the number of parts is added.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    last = (shares["part"].astype(str) == "total").to_numpy()
    shares = pd.concat([shares[~last], shares[last]], ignore_index=True)
    ax = get_axes(ax, size=(6.2, 1.4 + 0.36 * len(shares)))
    names, values = shares["part"].astype(str), shares["share"].to_numpy(float)
    colours = ["0.2" if name == "total" else QUIET if " & " in name else PALETTE[0] for name in names]
    place = np.arange(len(shares))
    ax.barh(place, values, color=colours, height=0.62, zorder=2)
    ends = values
    if {"low", "high"} <= set(shares):
        ax.hlines(place, shares["low"], shares["high"], color="black", linewidth=1, zorder=3)
        ends = np.fmax(values, shares["high"])
    ax.axvline(0, color="black", linewidth=0.8, zorder=3)
    for y, value, end in zip(place, values, ends):
        known = np.isfinite(value)
        ax.annotate(f"{value:.3f}" if known else "no result", (max(end, 0) if known else 0, y), va="center",
                    fontsize="small", xytext=(4, 0), textcoords="offset points")
    ax.margins(x=0.16)
    ax.set_yticks(place, [label(name, width=40) for name in names], fontsize="small")
    ax.set_ylim(len(shares) - 0.4, -0.6)
    return tidy(ax, title=f"{title} ({len(shares) - int(last.sum())} parts)".strip(),
                x="R\u00b2 of the RDM (blue: unique, grey: shared)", y="")


def near_against_far(found: pd.DataFrame, *, title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw D against near foils over D against far foils, a point per feature.

    Parameters
    ----------
    found : DataFrame
        Columns `D_near`, `D_far` (differences of mean Fisher z) and `selected` (0 or 1: drawn on top).
    title : str
        Name of the set; the number of features is added.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(5.2, 4.4))
    chosen = found["selected"].to_numpy(bool)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.scatter(found["D_far"][~chosen], found["D_near"][~chosen], s=12, color=CALM, alpha=0.5, linewidths=0)
    ax.scatter(found["D_far"][chosen], found["D_near"][chosen], s=28, color=ACCENT, linewidths=0)
    name = f"{title}: " if title else ""
    return tidy(ax, title=f"{name}{len(found)} features", x="D_far (z, against far foils)", y="D_near (z, against near foils)")
