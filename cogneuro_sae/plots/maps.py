"""Contrast maps: one point or one row per feature."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from cogneuro_sae.display import label
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.style import (ACCENT, CALM, PALETTE, QUIET, get_axes, legend_below, name_points,
                                      symmetric_limit, tidy)

UNITS = {
    "auroc": "AUROC (0-1)", "paired_t": "t over item differences", "welch_t": "Welch t over cell means",
    "hedges_g": "Hedges g (pooled sd)", "mean_difference": "mean difference (log1p units)",
    "rate_difference": "firing-rate difference (-1 to 1)", "rsa_discriminative": "D (difference of mean z)",
    "rsa_categorical": "categorical RSA score", "rsa_coherence": "coherence (difference of mean z)",
    "rsa_model": "RDM correlation",
}


def unit_of(name: str) -> str:
    """Return what the values of a score are, for an axis label.

    Parameters
    ----------
    name : str
        Name of a score, such as "auroc" or "rsa_categorical_pooled".

    Returns
    -------
    str
        The name itself where the score is not one of ours.
    """
    return next((unit for score, unit in UNITS.items() if name == score or name.startswith(f"{score}_")), name)


def feature_map(fmap: FeatureMap, *, alpha: float = 0.05, n_labels: int = 6, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw a volcano of a map with p-values, or its sorted values when it has none.

    Parameters
    ----------
    fmap : FeatureMap
        The map; features without a value are left out and counted in the title.
    alpha : float
        Family-wise error rate whose features are drawn in the accent colour.
    n_labels : int
        How many of the strongest features get their index written beside them.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(4.4, 4.0))
    if fmap.pvalue is None:
        return _sorted_values(fmap, n_labels=n_labels, ax=ax)
    drawn = np.flatnonzero(np.isfinite(fmap.value) & np.isfinite(fmap.pvalue))
    value, height = fmap.value[drawn], -np.log10(fmap.pvalue[drawn])
    passed = np.zeros(len(drawn), bool) if fmap.p_fwe is None else fmap.p_fwe[drawn] <= alpha
    for mask, colour, name in ((~passed, QUIET, "other"), (passed, ACCENT, f"p_FWE <= {alpha:g}")):
        ax.scatter(value[mask], height[mask], s=9 if colour is QUIET else 16, color=colour, linewidths=0,
                   label=f"{name} ({mask.sum():,})", rasterized=True)
    limit = 1.08 * symmetric_limit(value - fmap.center)
    ax.set_xlim(fmap.center - limit, fmap.center + limit)
    ax.set_ylim(-0.04, max(height.max(initial=1.0) * 1.22, 1.0))
    ax.axvline(fmap.center, color=QUIET, linewidth=0.8, zorder=0)
    legend_below(ax)
    lost = len(fmap.value) - len(drawn)
    title = f"{fmap.name}: {len(drawn):,} features tested" + (f", {lost:,} not tested" if lost else "")
    tidy(ax, title=title, x=unit_of(fmap.name), y="-log10 p (permutation, one feature)")
    strongest = np.lexsort((-np.abs(value - fmap.center), -height, ~passed))[:n_labels]
    name_points(ax, value[strongest], height[strongest], [str(drawn[point]) for point in strongest])
    return ax


def _sorted_values(fmap, *, n_labels, ax):
    index = np.flatnonzero(np.isfinite(fmap.value))
    order = index[np.argsort(-fmap.value[index], kind="stable")]
    rank = np.arange(1, len(order) + 1)
    ax.plot(rank, fmap.value[order], color=CALM, linewidth=1.2)
    ax.axhline(fmap.center, color=QUIET, linewidth=0.8)
    lost = len(fmap.value) - len(order)
    title = f"{fmap.name}: {len(order):,} features" + (f", {lost:,} without value" if lost
                                                       else "") + ", no p, descriptive"
    tidy(ax, title=title, x="rank of feature", y=unit_of(fmap.name))
    name_points(ax, rank[:n_labels], fmap.value[order[:n_labels]], [str(feature) for feature in order[:n_labels]])
    return ax


def contrast_heatmap(means: pd.DataFrame, *, unit: str = "mean activation", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw features against conditions.

    Parameters
    ----------
    means : DataFrame
        Rows are features, columns conditions (with n in their names where known), values in `unit`.
    unit : str
        Unit of the values, written on the colour bar.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(2.6 + 1.35 * means.shape[1], 1.3 + 0.27 * len(means)))
    signed = bool((means.to_numpy() < 0).any())
    scale = {"cmap": "RdBu_r", "center": 0} if signed else {"cmap": "mako_r", "vmin": 0}
    # seaborn measures its tick labels while drawing, so they are escaped before it sees them
    sns.heatmap(means.to_numpy(), ax=ax, linewidths=0.4, cbar_kws={"label": label(unit)},
                xticklabels=[_broken(name) for name in means.columns],
                yticklabels=[label(name, width=24) for name in means.index],
                **scale)
    ax.tick_params(axis="both", labelrotation=0, labelsize="small")
    return tidy(ax, title=f"{len(means)} strongest features (descriptive)", x="", y="feature")


def _broken(name) -> str:
    """Wrap a long label, each piece escaped on its own."""
    return "\n".join(label(piece) for piece in textwrap.wrap(str(name), 16, max_lines=3, placeholder="..."))


def response_profiles(profile: pd.DataFrame, *, title: str = "", unit: str = "activation", limit: float | None = None,
                      ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how selected features respond along the tokens of one text.

    Parameters
    ----------
    profile : DataFrame
        Rows are tokens in order (index = token text), columns features, values in `unit`.
    title : str
        What the text is; the number of tokens is added.
    unit : str
        Unit of the values.
    limit : float, optional
        End of the colour scale, so that several texts share one; the largest absolute value of this text otherwise.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(min(max(6.0, 1.8 + 0.3 * len(profile)), 11.5), 1.9 + 0.23 * profile.shape[1]))
    values = profile.to_numpy().T
    limit = symmetric_limit(values) if limit is None else limit
    low = -limit if (values < 0).any() else 0
    image = ax.imshow(values, aspect="auto", cmap="RdBu_r" if low else "mako_r", vmin=low, vmax=limit,
                      interpolation="nearest")
    ax.set_xticks(range(len(profile)), [label(token, width=14) for token in profile.index], rotation=55, ha="right",
                  rotation_mode="anchor", fontsize="x-small" if len(profile) <= 50 else 5)
    ax.set_yticks(range(profile.shape[1]), [str(name) for name in profile.columns], fontsize="x-small")
    ax.figure.colorbar(image, ax=ax, label=label(unit), fraction=0.03, pad=0.01)
    return tidy(ax, title=f"{title} ({len(profile)} tokens)".strip(), x="", y="feature")


def strongest_features(strongest: pd.DataFrame, *, n: int = 5, title: str = "", unit: str = "activation",
                       ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the strongest features of one text as bars, each with the token it peaks on.

    Parameters
    ----------
    strongest : DataFrame
        Rows of one text, strongest first: `feature`, `value`, `token`.
    n : int
        How many to draw at most.
    title : str
        What the text is; the number of features is added.
    unit : str
        Unit of the values.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    rows = strongest.iloc[:n]
    ax = get_axes(ax, size=(5.2, 1.2 + 0.3 * len(rows)))
    ax.barh(range(len(rows)), rows["value"], color=CALM, height=0.7)
    names = [f"{row.feature}  {label(repr(str(row.token)), width=18)}" for row in rows.itertuples()]
    ax.set_yticks(range(len(rows)), names, fontsize="small")
    ax.invert_yaxis()
    return tidy(ax, title=f"{title} ({len(rows)} features)".strip(), x=unit, y="feature and peak token")


def p_value_histogram(fmap: FeatureMap, *, bins: int = 20, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the histogram of a map's p-values beside the flat line expected when no feature carries the contrast.

    Parameters
    ----------
    fmap : FeatureMap
        A map with p-values.
    bins : int
        Number of equal bins between 0 and 1.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(4.4, 3.6))
    p = fmap.pvalue[np.isfinite(fmap.pvalue)]
    ax.hist(p, bins=np.linspace(0, 1, bins + 1), color=PALETTE[0], edgecolor="white")
    ax.axhline(len(p) / bins, color=ACCENT, linestyle="--", label="expected when no feature differs")
    legend_below(ax)
    return tidy(ax, title=f"{fmap.name}: p of {len(p):,} features", x="permutation p", y="features")
