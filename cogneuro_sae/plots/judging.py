"""The judge's figures: score levels per arm and control, known items, agreement, score against activation, cost."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.plots.comparisons import MARKERS
from cogneuro_sae.plots.style import PALETTE, QUIET, get_axes, tidy

LEVELS = sns.color_palette("cividis_r", 4)
LEVEL_NAMES = ("0 irrelevant", "1 vague", "2 related nearby", "3 clear")
LOST = (0.85, 0.25, 0.2)


def score_levels(levels: pd.DataFrame, *, names: Sequence[str] = LEVEL_NAMES, title: str = "",
                 ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how often each score was given per arm, controls below, with what has no score at the right end.

    Parameters
    ----------
    levels : DataFrame
        Rows of one rater and rubric: `group`, `kind` ("arm" | "control"), `score_0` .. `score_3`, `missing`, and where
        known `mean`, `low`, `high`, `n`.
    names : sequence of str
        Names of the score levels.
    title : str
        Put before the counts in the title.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        One bar per group; its mean with interval and n stand beside it.

    Raises
    ------
    InputError
        No rows.
    """
    columns = [f"score_{level}" for level in range(4) if f"score_{level}" in levels]
    if not len(levels) or not columns:
        raise InputError("no score levels to draw", do="give rows of one rater with score_0 .. score_3")
    levels = levels.sort_values("kind", kind="stable").reset_index(drop=True)
    ax = get_axes(ax, size=(8.4, 1.7 + 0.32 * len(levels)))
    counts = levels[[*columns, "missing"]].to_numpy(float)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left = np.zeros(len(levels))
    for place, name in enumerate((*names[: len(columns)], "no score")):
        lost = {"color": "white", "edgecolor": LOST, "hatch": "////"}
        style = {"color": LEVELS[place]} if place < len(columns) else lost
        ax.barh(range(len(levels)), shares[:, place], left=left, height=0.72, label=label(name), linewidth=0, **style)
        left = left + shares[:, place]
    for place, row in levels.iterrows():
        ax.annotate(_mean_text(row), (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize="x-small",
                    annotation_clip=False)
    if levels["kind"].nunique() > 1:
        ax.axhline((levels["kind"] == "arm").sum() - 0.5, color="black", linewidth=0.9, linestyle=":")
    ax.set_yticks(range(len(levels)), [label(name, width=32) for name in levels["group"]], fontsize="small")
    ax.set_ylim(len(levels) - 0.45, -0.55)
    ax.set_xlim(0, 100)
    tidy(ax, title=_titled(title, f"{int(counts.sum())} calls, {int(counts[:, -1].sum())} without a score"),
         x="share of calls (%); controls below the dotted line", y="")
    ax.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.6 / (0.32 * len(levels) + 0.6)),
              frameon=False, ncols=5, columnspacing=1.0, handlelength=1.2)
    return ax


def _titled(title: str, rest: str) -> str:
    return f"{title}: {rest}" if title else rest


def _mean_text(row) -> str:
    if not np.isfinite(row.get("mean", np.nan)):
        return "no mean"
    ends = f" [{row['low']:.2f}, {row['high']:.2f}]" if np.isfinite(row.get("low", np.nan)) else ""
    n = f", n = {int(row['n'])}" if "n" in row else ""
    return f"{row['mean']:.2f}{ends}{n}"


def known_items(known: pd.DataFrame, *, result: str = "", title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the scores of known items by what is known of them: how well truth and score part.

    Parameters
    ----------
    known : DataFrame
        Rows of one rater: `score` (item means; NaN = none) and `truth` (1 with the concept, 0 without).
    result : str
        What was computed, such as "AUROC .98 [.93, 1.00]"; put into the title.
    title : str
        Put before it.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        No rows.
    """
    if not len(known):
        raise InputError("no known items", do="run the judge with known positives and negatives")
    ax = get_axes(ax, size=(5.6, 3.9))
    scored = known.dropna(subset=["score"])
    top = max(3.0, float(scored["score"].max()) if len(scored) else 0.0)
    edges = np.arange(-0.25, top + 0.5, 0.5)
    for truth, name, colour, sign in ((1, "with the concept", PALETTE[0], 1), (0, "without it", PALETTE[1], -1)):
        values = scored.loc[scored["truth"] == truth, "score"]
        counts = np.histogram(values, edges)[0]
        ax.bar((edges[:-1] + edges[1:]) / 2, sign * counts, width=0.42, color=colour,
               label=label(f"{name} (n = {len(values)})"))
    ax.axhline(0, color="black", linewidth=0.9)
    limit = max(map(abs, ax.get_ylim()))
    ax.set_ylim(-limit, limit)
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    ax.set_xticks(np.arange(top + 1))
    lost = len(known) - len(scored)
    ax.legend(fontsize="small", frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    head = _titled(title, f"{result + ', ' if result else ''}{len(scored)} known items")
    return tidy(ax, title=head + (f", {lost} without a score" if lost else ""), x="score of the item (mean over calls)",
                y="items (without the concept below 0)")


def rater_agreement(matrix: pd.DataFrame, *, title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw ordinal alpha between raters, with each rater's repeatability on the diagonal.

    Parameters
    ----------
    matrix : DataFrame (n_raters, n_raters)
        Square and symmetric, NaN = not measured.
    title : str
        Put before the count in the title.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        Diagonal cells are framed: they are the same rater twice and no agreement.

    Raises
    ------
    InputError
        The matrix is not square or empty.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise InputError(f"a matrix of shape {matrix.shape}", allowed="as many rows as columns, one per rater")
    size = 2.6 + 0.75 * len(matrix)
    ax = get_axes(ax, size=(size + 1.2, size))
    values = matrix.to_numpy(float)
    image = ax.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r")
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        shown = f"{value:.2f}" if np.isfinite(value) else "not\nmeasured"
        ax.text(column, row, shown, ha="center", va="center", fontsize="small" if np.isfinite(value) else "xx-small",
                color="white" if np.isfinite(value) and abs(value) > 0.6 else "0.25")
    for place in range(len(matrix)):
        ax.add_patch(plt.Rectangle((place - 0.47, place - 0.47), 0.94, 0.94, fill=False, edgecolor="black",
                                   linewidth=1.4))
    names = [label(name, width=26) for name in matrix.index]
    ax.set_xticks(range(len(matrix)), names, rotation=30, ha="right", fontsize="small")
    ax.set_yticks(range(len(matrix)), names, fontsize="small")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="ordinal Krippendorff alpha")
    return tidy(ax, title=_titled(title, f"{len(matrix)} raters"), x="framed: the same rater twice", y="")


def score_by_activation(bins: pd.DataFrame, *, highest: float = 3.0, title: str = "",
                        ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the mean score over activation bins, one line per arm; bin 0 is zero activation.

    Parameters
    ----------
    bins : DataFrame
        Rows of one rater and rubric: `arm`, `bin`, `mean`, `low`, `high`, `n` (features).
    highest : float
        Highest score of the rubric.
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
        No rows.
    """
    if not len(bins):
        raise InputError("no activation bins to draw")
    ax = get_axes(ax, size=(6.4, 4.0))
    arms = list(dict.fromkeys(bins["arm"]))
    for place, arm in enumerate(arms):
        rows = bins[bins["arm"] == arm].sort_values("bin")
        x = rows["bin"] + 0.07 * (place - (len(arms) - 1) / 2)
        style = {"color": PALETTE[place % len(PALETTE)], "marker": MARKERS[place % len(MARKERS)]}
        ax.plot(x, rows["mean"], linewidth=1.4, markersize=5, label=label(arm, width=24), **style)
        ax.vlines(x, rows["low"], rows["high"], color=style["color"], linewidth=1)
    ticks = sorted(bins["bin"].astype(int).unique())
    ax.set_xticks(ticks, ["zero" if tick == 0 else str(tick) for tick in ticks])
    ax.set_ylim(-0.05 * highest, 1.05 * highest)
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    low, high = int(bins["n"].min()), int(bins["n"].max())
    counts = f"{low} features" if low == high else f"{low}-{high} features"
    return tidy(ax, title=_titled(title, f"{counts} per point"), y="mean score, 95 % interval over features",
                x="activation bin (quantiles of each feature's non-zero windows)")


def judge_cost(costs: pd.DataFrame, *, unit: str = "USD", title: str = "", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw what each rater's calls cost, with calls and tokens beside the bar.

    Parameters
    ----------
    costs : DataFrame
        `rater`, `rubric`, `calls`, `cost`, `tokens_in`, `tokens_out`.
    unit : str
        Currency of the price table.
    title : str
        Put before the sum in the title.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        No rows.
    """
    if not len(costs):
        raise InputError("no calls to show the cost of")
    costs = costs.reset_index(drop=True)
    ax = get_axes(ax, size=(8.4, 1.3 + 0.34 * len(costs)))
    spent = costs["cost"].fillna(0).to_numpy(float)
    ax.barh(range(len(costs)), spent, color=[PALETTE[0] if value > 0 else QUIET for value in spent], height=0.66)
    for place, row in costs.iterrows():
        tokens = f"{row['tokens_in']:,.0f} + {row['tokens_out']:,.0f} tokens"
        ax.annotate(label(f"{row['cost']:.4g} {unit}, {int(row['calls']):,} calls, {tokens}"), (1.02, place),
                    va="center", xycoords=("axes fraction", "data"), fontsize="x-small", annotation_clip=False)
    names = [label(f"{row['rater']}: {row['rubric']}", width=40) for row in costs.to_dict("records")]
    ax.set_yticks(range(len(costs)), names, fontsize="small")
    ax.set_ylim(len(costs) - 0.45, -0.55)
    ax.set_xlim(0, 1.05 * spent.max() if spent.max() > 0 else 1)
    return tidy(ax, title=_titled(title, f"{spent.sum():.4g} {unit} for {int(costs['calls'].sum()):,} calls"),
                x=f"cost ({unit})", y="")
