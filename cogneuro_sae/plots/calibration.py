"""Is the map's p calibrated, and where do its values lie: QQ plot and cumulative distributions."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.maps import unit_of
from cogneuro_sae.plots.style import ACCENT, CALM, PALETTE, QUIET, get_axes, keep_inside, legend_below, tidy

DASHES = ("-", "--", "-.", ":")
COLUMNS = {"value": None, "pvalue": "permutation p", "p_fwe": "family-wise p", "q": "q (Benjamini-Hochberg)"}


def qq(fmap: FeatureMap, *, alpha: float = 0.05, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw observed against expected -log10 p, with the band in which 95 % of each order statistic would lie.

    The i-th smallest of n uniform p is Beta(i, n - i + 1). The band is drawn for independent features; features of one
    model are not, so that a calibrated map may wander out of it together, but not lie above it throughout. Points end
    at the smallest p that the permutations can give (dotted line).

    Parameters
    ----------
    fmap : FeatureMap
        A map with p-values.
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
        A map without p-values.
    """
    from scipy.stats import beta

    p = None if fmap.pvalue is None else fmap.pvalue
    if p is None or not np.isfinite(p).any():
        raise InputError(f"the map {fmap.name!r} has no p", do="make it with permutations")
    ax = get_axes(ax, size=(4.6, 4.3))
    drawn = np.flatnonzero(np.isfinite(p))
    drawn = drawn[np.argsort(p[drawn], kind="stable")]
    n = len(drawn)
    rank = np.arange(1, n + 1)
    expected, observed = -np.log10((rank - 0.5) / n), -np.log10(p[drawn])
    shown = np.unique(np.round(np.geomspace(1, n, min(n, 400))).astype(int)) - 1
    low, high = (-np.log10(beta.ppf(side, rank[shown], n - rank[shown] + 1)) for side in (0.975, 0.025))
    ax.fill_between(expected[shown], low, high, color="0.87", linewidth=0, zorder=0, label="95 % band (independent)")
    ax.plot([0, expected[0]], [0, expected[0]], color=QUIET, linewidth=1, zorder=1, label="no feature differs")
    passed = np.zeros(n, bool) if fmap.p_fwe is None else fmap.p_fwe[drawn] <= alpha
    for mask, colour, name in ((~passed, CALM, "other"), (passed, ACCENT, f"p_FWE <= {alpha:g}")):
        ax.scatter(expected[mask], observed[mask], s=10, color=colour, linewidths=0, rasterized=True, zorder=3,
                   label=f"{name} ({mask.sum():,})")
    ax.axhline(observed.max(), color=QUIET, linestyle=":", linewidth=1, zorder=1)
    ax.set_xlim(-0.03 * expected[0], 1.05 * expected[0])
    ax.set_ylim(-0.03 * observed.max(), 1.08 * max(observed.max(), expected[0]))
    legend_below(ax)
    return tidy(ax, title=f"{fmap.name}: p of {n:,} features", x="expected -log10 p",
                y="observed -log10 p (permutation)")


def cdf(maps: FeatureMap | Mapping[str, FeatureMap], *, of: str = "value", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the cumulative distribution of one or several maps.

    Parameters
    ----------
    maps : FeatureMap, or mapping of str to FeatureMap
        Maps of one score (or, for p, of any); features without a number are left out and counted.
    of : str
        "value" | "pvalue" | "p_fwe" | "q"; beside p the straight line of no effect is drawn.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Unknown column, or a map that lacks it.
    """
    if of not in COLUMNS:
        raise unknown_name("column of a map", of, COLUMNS)
    maps = {maps.name: maps} if isinstance(maps, FeatureMap) else dict(maps)
    ax, lost = get_axes(ax, size=(4.8, 4.0)), 0
    for number, (name, fmap) in enumerate(maps.items()):
        values = getattr(fmap, of)
        if values is None or not np.isfinite(values).any():
            raise InputError(f"the map {name!r} has no {of}", do="make it with permutations")
        values = values[np.isfinite(values)]
        lost += len(getattr(fmap, of)) - len(values)
        ax.ecdf(values, color=PALETTE[number % len(PALETTE)], linestyle=DASHES[number // len(PALETTE) % 4],
                linewidth=1.6, label=f"{label(name, width=30)} ({len(values):,})")
    first = next(iter(maps.values()))
    if of == "value":
        ax.axvline(first.center, color=QUIET, linewidth=0.8, zorder=0)
    else:
        ax.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--", zorder=0, label="no feature differs")
        keep_inside(ax, 0, 1)
    ax.set_ylim(0, 1.01)
    legend_below(ax)
    missing = f", {lost:,} without a number" if lost else ""
    title = f"{first.name if len(maps) == 1 else f'{len(maps)} maps'}: {len(first.value):,} features{missing}"
    return tidy(ax, title=title, x=COLUMNS[of] or unit_of(first.name), y="share of features at or below")
