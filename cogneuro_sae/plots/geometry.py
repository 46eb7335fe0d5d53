"""RDMs as maps and trees: multidimensional scaling, and blocks beside a dendrogram."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from cogneuro_sae.display import label
from cogneuro_sae.errors import InputError
from cogneuro_sae.plots.style import CALM, PALETTE, QUIET, get_axes, legend_below, tidy

MARKERS = "osD^vPX*"
LINE = {"arrowstyle": "-", "linewidth": 0.5, "color": QUIET, "shrinkA": 0, "shrinkB": 3}


def mds(rdms, *, by: Sequence | None = None, index: int = 0, names: Sequence | None = None, n_labels: int | None = None,
        title: str = "", noun: str = "stimuli", ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the stimuli of an RDM in two dimensions (metric multidimensional scaling, SMACOF).

    Missing pairs do not pull: they take the distance that the map gives them. How well the map fits stands in the title
    as Kruskal's stress-1 over the known pairs (0: exact; above .2 the distances are better read from the RDM).

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        The dissimilarities.
    by : sequence of str, optional
        One label per stimulus, shown by colour and marker.
    index : int
        Which of the RDMs to draw.
    names : sequence of str, optional
        One name per stimulus; default the pattern descriptor `id`, where there is one.
    n_labels : int, optional
        How many names to write, those farthest from the middle first; default all up to 30 stimuli, else 12. A name
        that finds no free place is left out.
    title : str
        Title; number of stimuli and stress are added.
    noun : str
        What a point is.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Fewer than 3 stimuli, labels or names of another number, or a stimulus without a known pair.
    """
    matrix = _matrix(rdms, index)
    names = _names(rdms, names, len(matrix))
    by = _labels(by, len(matrix))
    places, stress = _scaled(matrix)
    ax = get_axes(ax, size=(5.4, 5.0))
    _groups(ax, places, by)
    middle = places.mean(axis=0)
    ax.margins(x=0.22, y=0.14)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])
    tidy(ax, title=f"{title} ({len(matrix)} {noun}, stress {stress:.2f})".strip(), x="dimension 1 (no unit)",
         y="dimension 2 (no unit)")
    if by is not None:
        legend_below(ax)
    if names is not None:
        n_labels = (len(names) if len(names) <= 30 else 12) if n_labels is None else n_labels
        far = np.argsort(-np.linalg.norm(places - middle, axis=1), kind="stable")[:n_labels]
        _name(ax, places, far, names)
    return ax


def _name(ax, places, chosen, names):
    """Names on the outer side of their points, or in the nearest place where they cover neither a name nor a point."""
    ax.figure.canvas.draw()
    renderer, frame = ax.figure.canvas.get_renderer(), ax.get_window_extent()
    dots, unit = ax.transData.transform(places), ax.figure.dpi / 72
    taken = [(x - 4 * unit, y - 4 * unit, x + 4 * unit, y + 4 * unit) for x, y in dots]
    middle = dots.mean(axis=0)
    for point in chosen:
        text = ax.annotate(label(names[point], width=24), places[point], xytext=(0, 0), textcoords="offset points",
                           fontsize=8, ha="center", va="center", arrowprops=dict(LINE))
        size = text.get_window_extent(renderer)
        outward = np.arctan2(*(dots[point] - middle)[::-1])
        for x, y, near in _around(outward, size.width / 2 / unit, size.height / 2 / unit):
            left, low = dots[point] + np.array([x, y]) * unit - (size.width / 2, size.height / 2)
            box = (left, low, left + size.width, low + size.height)
            inside = (frame.x0 + 4 * unit <= box[0] and box[2] <= frame.x1 - 4 * unit
                      and frame.y0 + 4 * unit <= box[1] and box[3] <= frame.y1)
            if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                text.set_position((x, y))
                text.arrow_patch.set_visible(not near)
                break
        else:
            text.remove()


def _around(outward: float, width: float, height: float):
    """Offsets of a name's middle in points: rings around the point, the outer side first."""
    turns = sorted(np.linspace(-np.pi, np.pi, 16, endpoint=False), key=abs)
    for gap in (5, 10, 17, 26):
        for turn in turns:
            yield (width + gap) * np.cos(outward + turn), (height + gap) * np.sin(outward + turn), gap <= 10


def _groups(ax, places, by):
    if by is None:
        ax.scatter(*places.T, s=26, color=CALM, linewidths=0)
        return
    for number, group in enumerate(dict.fromkeys(by)):
        mask = np.array([name == group for name in by])
        ax.scatter(*places[mask].T, s=30, color=PALETTE[number % len(PALETTE)], marker=MARKERS[number % len(MARKERS)],
                   linewidths=0, label=f"{label(group, width=24)} ({mask.sum()})")


def _matrix(rdms, index: int) -> np.ndarray:
    matrix = np.array(rdms.get_matrices()[index], float)
    np.fill_diagonal(matrix, 0.0)
    off = matrix + np.where(np.eye(len(matrix), dtype=bool), np.nan, 0.0)
    if len(matrix) < 3 or (~np.isfinite(off)).all(axis=1).any():
        raise InputError("the RDM has fewer than 3 stimuli, or one without any known dissimilarity")
    return matrix


def _names(rdms, names, n: int):
    if names is None:
        names = rdms.pattern_descriptors.get("id")
    elif len(names) != n:
        raise InputError(f"{len(names)} names for {n} stimuli")
    return None if names is None else [str(name) for name in names]


def _labels(by, n: int):
    if by is not None and len(by) != n:
        raise InputError(f"by has {len(by)} labels for {n} stimuli", do="give one label per row of the RDM")
    return None if by is None else [str(each) for each in by]


def _filled(matrix: np.ndarray) -> np.ndarray:
    """Missing dissimilarities become the mean of what is known of the two stimuli."""
    known = np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
    row = np.where(known, matrix, 0).sum(axis=1) / known.sum(axis=1)
    return np.where(known | np.eye(len(matrix), dtype=bool), matrix, (row[:, None] + row[None, :]) / 2)


def _scaled(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Classical scaling as the start, then SMACOF; missing pairs are imputed by the map until it settles."""
    from scipy.spatial.distance import pdist, squareform
    from sklearn.manifold import smacof

    known = np.isfinite(matrix)
    filled = np.maximum(_filled(matrix), 0)
    centring = np.eye(len(matrix)) - 1 / len(matrix)
    values, vectors = np.linalg.eigh(-0.5 * centring @ filled**2 @ centring)
    places = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 1e-12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for _ in range(1 if known.all() else 12):
            places = smacof(filled, n_components=2, init=places, n_init=1, max_iter=300, eps=1e-9)[0]
            filled = np.where(known, filled, squareform(pdist(places)))
    vectors = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)[2]
    places = (places - places.mean(axis=0)) @ vectors.T
    places *= np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1, 1)
    upper = np.triu(known, 1)
    distance, wanted = squareform(pdist(places))[upper], filled[upper]
    total = np.sum(distance**2)
    return places, float(np.sqrt(np.sum((distance - wanted) ** 2) / total)) if total > 0 else 0.0


def dendrogram_rdm(rdms, *, by: Sequence | None = None, index: int = 0, names: Sequence | None = None,
                   method: str = "average", title: str = "", noun: str = "stimuli") -> plt.Figure:
    """Draw an RDM in the order of its hierarchical clustering, with the tree, and return the figure.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        The dissimilarities. Missing ones stay white; for the tree they count as the mean of what is known of the two
        stimuli, and the title says how many they are.
    by : sequence of str, optional
        One label per stimulus, shown as a strip of colours.
    index : int
        Which of the RDMs to draw.
    names : sequence of str, optional
        One name per stimulus; default the pattern descriptor `id`; written up to 60 stimuli.
    method : str
        Linkage: "average" | "complete" | "single".
    title : str
        Title; the number of stimuli is added.
    noun : str
        What a row is.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        As in `mds`, or an unknown linkage.
    """
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    if method not in LINKAGES:
        raise InputError(f"unknown linkage {method!r}", allowed=", ".join(LINKAGES))
    matrix = _matrix(rdms, index)
    names, by = _names(rdms, names, len(matrix)), _labels(by, len(matrix))
    filled = np.maximum(_filled(matrix), 0)
    vector = squareform((filled + filled.T) / 2, checks=False)
    tree = linkage(vector, method=method, optimal_ordering=len(matrix) <= 200)
    figure, (left, strip, middle) = plt.subplots(
        1, 3, figsize=(8.6, 5.4 if len(matrix) <= 36 else 7.4), layout="constrained",
        width_ratios=[1.5, 0.16 if by else 0.01, 5])
    with plt.rc_context({"lines.linewidth": 1.0}):
        order = dendrogram(tree, ax=left, orientation="left", color_threshold=0, above_threshold_color="0.35",
                           no_labels=True)["leaves"]
    left.invert_yaxis()
    left.spines[["top", "left", "right"]].set_visible(False)
    measure = label(str(getattr(rdms, "dissimilarity_measure", None) or "dissimilarity"))
    left.set_xlabel("merged at", fontsize="small")
    _strip(figure, strip, by, order)
    shown = matrix[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    image = middle.imshow(shown, cmap="viridis", interpolation="nearest", aspect="auto")
    figure.colorbar(image, ax=middle, label=measure, fraction=0.046, pad=0.02)
    middle.set_xticks([])
    middle.set_yticks([])
    if names is not None and len(names) <= 60:
        middle.yaxis.tick_right()
        middle.set_yticks(range(len(order)), [label(names[row], width=20) for row in order],
                          fontsize="small" if len(names) <= 30 else 6.5)
        middle.tick_params(length=0)
    lost = int(np.isnan(matrix).sum() // 2)
    text = f"{title} ({len(matrix)} {noun}, {method} linkage" + (f", {lost} pairs missing" if lost else "") + ")"
    left.set_title(label(text.strip()), fontsize="medium", loc="left")
    return figure


def _strip(figure, ax, by, order):
    ax.set_axis_off()
    if by is None:
        return
    groups = list(dict.fromkeys(by))
    colours = np.array([PALETTE[groups.index(by[row]) % len(PALETTE)] for row in order])
    ax.imshow(colours[:, None], aspect="auto", interpolation="nearest")
    handles = [plt.Rectangle((0, 0), 1, 1, color=PALETTE[number % len(PALETTE)]) for number in range(len(groups))]
    figure.legend(handles, [label(group, width=24) for group in groups], loc="outside lower left", ncols=4,
                  frameon=False, fontsize="medium")


LINKAGES = ("average", "complete", "single")
