"""The histogram of a feature's activations as plain values for the card's drawing."""

from __future__ import annotations

import math
from typing import NamedTuple

from cogneuro_sae.report.card_parts import number


class Bar(NamedTuple):
    """One bar of a histogram, in the units of the drawing.

    Parameters
    ----------
    x, width, height : float
        Left edge, width and height.
    label : str
        Range and count, for the tooltip.
    """

    x: float
    width: float
    height: float
    label: str


class Histogram(NamedTuple):
    """Bars with what is written on the axes.

    Parameters
    ----------
    bars : list of Bar
        From the lowest activation.
    low, high, most : str
        Ends of the activation axis and the largest count.
    scale, axis : str
        "log" | "linear": of the counts, of the activations.
    total : str
        How many values were counted.
    """

    bars: list[Bar]
    low: str
    high: str
    most: str
    scale: str
    axis: str
    total: str


def histogram(record: dict | None, *, width: float = 300.0, height: float = 84.0) -> Histogram | None:
    """Return the bars of a feature's activation histogram.

    Counts get a log scale where they span more than 1 : 50, activations where they are positive and span more than
    1 : 8 (bins of equal ratio are then equally wide).

    Parameters
    ----------
    record : dict or None
        `edges` (n + 1) and `counts` (n).
    width, height : float
        Of the area of the bars.

    Returns
    -------
    Histogram or None
        None when nothing was counted.
    """
    counts, edges = (record or {}).get("counts", []), (record or {}).get("edges", [])
    if not counts or max(counts) <= 0 or edges[-1] <= edges[0]:
        return None
    top, least = max(counts), min(count for count in counts if count > 0)
    log, log_axis = top / least > 50, edges[0] > 0 and edges[-1] / edges[0] > 8
    places = [math.log(edge) for edge in edges] if log_axis else edges
    unit = width / (places[-1] - places[0])
    bars = []
    for n, (count, low, high) in enumerate(zip(counts, edges, edges[1:])):
        share = (math.log1p(count) / math.log1p(top)) if log else count / top
        bars.append(Bar(round((places[n] - places[0]) * unit, 1), round((places[n + 1] - places[n]) * unit, 1),
                        round(share * height, 1), f"{number(low)} to {number(high)}: {number(count)}"))
    return Histogram(bars, number(edges[0]), number(edges[-1]), number(top), "log" if log else "linear",
                     "log" if log_axis else "linear", number(sum(counts)))
