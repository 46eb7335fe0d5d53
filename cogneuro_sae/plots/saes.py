"""How good a sparse autoencoder is."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cogneuro_sae.plots.style import ACCENT, PALETTE, get_axes, legend_below, tidy


def firing_rates(firing_rate: np.ndarray, *, bins: int = 40, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the histogram of log10 firing rates; latents that never fired are counted in the title.

    Parameters
    ----------
    firing_rate : ndarray (n_latents,)
        Share of corpus tokens on which each latent is active, in 0-1.
    bins : int
        Number of bins.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(4.4, 3.6))
    rate = np.asarray(firing_rate, float)
    alive = rate[rate > 0]
    ax.hist(np.log10(alive), bins=bins, color=PALETTE[0], edgecolor="white")
    if alive.size:
        ax.axvline(np.log10(np.median(alive)), color=ACCENT, linestyle="--", label=f"median {np.median(alive):.2g}")
        legend_below(ax)
    title = f"{rate.size:,} latents, {(rate <= 0).sum():,} silent"
    return tidy(ax, title=title, x="log10 share of tokens on which a latent fires", y="latents")


def training_curve(history: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw held-out FVU and mean L0 over training tokens.

    Parameters
    ----------
    history : DataFrame
        Columns `tokens`, `fvu` (fraction of variance unexplained) and `l0` (mean active latents per token).
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = get_axes(ax, size=(5.4, 3.4))
    ax.plot(history["tokens"] / 1e6, history["fvu"], color=PALETTE[0], marker="o", markersize=3)
    tidy(ax, title=f"held-out quality, {len(history)} evaluations", x="training tokens (millions)", y="FVU")
    ax.yaxis.label.set_color(PALETTE[0])
    twin = ax.twinx()
    twin.plot(history["tokens"] / 1e6, history["l0"], color=PALETTE[1], marker="s", markersize=3)
    twin.set_ylabel("mean L0 (active latents per token)", color=PALETTE[1])
    twin.spines["top"].set_visible(False)
    return ax
