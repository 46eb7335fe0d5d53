"""The look all figures share: colours for colour-blind readers, axes made on demand, harmless labels."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import font_manager

from cogneuro_sae.display import label

PALETTE = sns.color_palette("colorblind")
ACCENT = PALETTE[3]
CALM = PALETTE[0]
QUIET = (0.6, 0.6, 0.6)
KIND_COLOURS = {"method": PALETTE[0], "baseline": PALETTE[1], "skyline": PALETTE[2], "control": QUIET}
FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Droid Sans Fallback", "WenQuanYi Zen Hei",
         "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Emoji", "Symbola")
_AROUND = [(dx, dy) for reach in (9, 18, 28, 40, 54) for dx, dy in
           ((reach, 0.35 * reach), (-reach, 0.35 * reach), (0, reach), (reach, -0.5 * reach), (-reach, -0.5 * reach),
            (0.6 * reach, reach), (-0.6 * reach, reach))]


@contextlib.contextmanager
def look() -> Iterator[list[str]]:
    """Draw figures in the house style for a block: fonts for other scripts where installed, no window, one warning.

    Yields
    ------
    list of str
        Filled while the block runs: one line when characters had no glyph in any installed font.
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = [name for name in FONTS if name in installed] or ["sans-serif"]
    notes: list[str] = []
    with plt.rc_context({"font.family": families, "axes.unicode_minus": True}), warnings.catch_warnings():
        previous = warnings.showwarning

        def note(message, category, *where, **more):
            if "missing from font" not in str(message):
                previous(message, category, *where, **more)
            elif not notes:
                notes.append("some characters have no glyph in the installed fonts and show as boxes in figures")

        warnings.showwarning = note
        warnings.filterwarnings("always", message=".*missing from font.*")
        yield notes


def get_axes(ax: plt.Axes | None, *, size: tuple[float, float] = (5.0, 3.8)) -> plt.Axes:
    """Return `ax`, or the axes of a new figure of `size` inches laid out so that nothing is cropped.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Axes to draw on.
    size : (float, float)
        Width and height of a new figure in inches.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def tidy(ax: plt.Axes, *, title: str, x: str, y: str) -> plt.Axes:
    """Set escaped title and axis labels, remove the upper and right frame, return the axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to finish.
    title : str
        Title, with n in it.
    x : str
        Label of the x axis, with its unit.
    y : str
        Label of the y axis, with its unit.
    """
    ax.set_title(label(title), fontsize="medium", loc="left")
    ax.set_xlabel(label(x))
    ax.set_ylabel(label(y))
    sns.despine(ax=ax)
    return ax


def legend_below(ax: plt.Axes) -> None:
    """Put the legend under the x label, in letters that stay readable when the figure is shown 380 pixels wide.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes with labelled artists.
    """
    ax.legend(fontsize="medium", loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False, ncols=2,
              columnspacing=1.2,
              handletextpad=0.5, borderaxespad=0)


def keep_inside(ax: plt.Axes, low: float, high: float, *, axis: str = "x") -> None:
    """Cut an axis at the ends of what its measure can be; wide intervals and margins never widen it beyond them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes with everything drawn.
    low, high : float
        The ends.
    axis : str
        "x" | "y".
    """
    get, put = (ax.get_xlim, ax.set_xlim) if axis == "x" else (ax.get_ylim, ax.set_ylim)
    start, stop = get()
    put(max(start, low), min(stop, high))


def symmetric_limit(values: np.ndarray) -> float:
    """Return the largest finite absolute value (1 when there is none), for scales symmetric about 0.

    Parameters
    ----------
    values : ndarray
        Any shape; NaN is ignored.
    """
    finite = np.abs(np.asarray(values, float))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def name_points(ax: plt.Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> None:
    """Write names beside points so that no name covers another one; a name that finds no place is left out.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes whose limits are final.
    x, y : ndarray (n_names,)
        Where the points are, in data units.
    names : sequence of str
        One name per point, most important first.
    """
    ax.figure.canvas.draw()
    per_point = ax.figure.dpi / 72
    height, taken = 11 * per_point, []
    frame = ax.get_window_extent()
    for centre, name in zip(ax.transData.transform(np.column_stack([x, y])), names, strict=True):
        width = (5.8 * len(name) + 3) * per_point
        for dx, dy in _AROUND:
            left, low = centre[0] + dx * per_point - width / 2, centre[1] + dy * per_point - height / 2
            box = (left, low, left + width, low + height)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1] and box[3] <= frame.y1
            if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                ax.annotate(label(name), ax.transData.inverted().transform(centre), xytext=(dx, dy),
                            textcoords="offset points", fontsize=8.5, ha="center", va="center",
                            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": QUIET, "shrinkA": 0,
                                        "shrinkB": 2})
                break
