"""Interactive twins of figures: the same numbers as the static ones, drawn by plotly (extra `interactive`)."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from cogneuro_sae.concept_map.interactive import require_plotly
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.geometry import _labels, _matrix, _names, _scaled
from cogneuro_sae.plots.maps import unit_of
from cogneuro_sae.plots.style import ACCENT, CALM, PALETTE, QUIET, symmetric_limit

SYMBOLS = ("circle", "square", "diamond", "triangle-down", "triangle-up", "pentagon", "x", "star")
CANVAS = 20_000
HEIGHT = 480
BUTTONS = ["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]     # none that leaves the page


def feature_map(fmap: FeatureMap, *, alpha: float = 0.05):
    """Draw the twin of `plots.feature_map`: a volcano, or the sorted values of a map without p.

    Parameters
    ----------
    fmap : FeatureMap
        The map; features without a value are left out and counted in the title.
    alpha : float
        Family-wise error rate whose features are drawn in the accent colour.

    Returns
    -------
    plotly.graph_objects.Figure
        A point tells its feature, value, p and family-wise p.

    Raises
    ------
    SetupError
        plotly is not installed.
    """
    go = require_plotly()
    shown = np.isfinite(fmap.value)
    if fmap.pvalue is None:
        index = np.flatnonzero(shown)
        order = index[np.argsort(-fmap.value[index], kind="stable")]
        traces = [_points(go, np.arange(1, len(order) + 1), fmap.value[order], _told(fmap, order), CALM, 4, "features")]
        lost = _lost(fmap, len(order), "without value")
        figure = _figure(go, traces, f"{fmap.name}: {len(order):,} features{lost}, no p, descriptive", "rank of feature", unit_of(fmap.name))
        return figure.update_layout(showlegend=False)
    drawn = np.flatnonzero(shown & np.isfinite(fmap.pvalue))
    passed = np.zeros(len(drawn), bool) if fmap.p_fwe is None else fmap.p_fwe[drawn] <= alpha
    traces = [_points(go, fmap.value[chosen], -np.log10(fmap.pvalue[chosen]), _told(fmap, chosen), colour, size,
                      f"{name} ({len(chosen):,})")
              for chosen, colour, size, name in ((drawn[~passed], QUIET, 5, "other"),
                                                 (drawn[passed], ACCENT, 8, f"p_FWE <= {alpha:g}"))]
    title = f"{fmap.name}: {len(drawn):,} features tested" + _lost(fmap, len(drawn), "not tested")
    figure = _figure(go, traces, title, unit_of(fmap.name), "-log10 p (permutation, one feature)")
    limit = 1.08 * symmetric_limit(fmap.value[drawn] - fmap.center)
    return figure.update_xaxes(range=[fmap.center - limit, fmap.center + limit])


def position_map(values: pd.DataFrame, *, unit: str = "t over item differences", marked: pd.DataFrame | None = None,
                 title: str = "", limit: float | None = None):
    """Draw the twin of `plots.position_map`: a statistic, or an activation, of features against token positions.

    Parameters
    ----------
    values : DataFrame (n_features, n_positions)
        Rows are features in the order to be drawn, columns positions or the tokens there; NaN stays white.
    unit : str
        Unit of the values.
    marked : DataFrame (n_features, n_positions) of bool, optional
        Places that get a dot, such as p_FWE <= .05.
    title : str
        What was compared; numbers are added.
    limit : float, optional
        End of the colour scale; the largest absolute value otherwise.

    Returns
    -------
    plotly.graph_objects.Figure
        A cell tells its feature, position and value.

    Raises
    ------
    InputError
        `marked` has another shape than the values.
    SetupError
        plotly is not installed.
    """
    go = require_plotly()
    if marked is not None and marked.shape != values.shape:
        raise InputError(f"marked has shape {marked.shape}", allowed=f"{values.shape}")
    matrix, (n_features, n_positions) = values.to_numpy(float), values.shape
    limit = symmetric_limit(matrix) if limit is None else limit
    signed = bool((matrix < 0).any())
    rows, columns = ([_literal(name) for name in names] for names in (values.index, values.columns))
    told = [[f"feature {row}, {place}: {column}" for place, column in enumerate(columns, 1)] for row in rows]
    traces = [go.Heatmap(z=matrix, text=told, zmin=-limit if signed else 0, zmax=limit, hoverongaps=False,
                         colorscale="RdBu_r" if signed else "Blues", colorbar={"title": {"text": _literal(unit),
                                                                                         "side": "right"}},
                         hovertemplate="%{text}<br>%{z:.4g}<extra></extra>")]
    dots = ""
    if marked is not None:
        down, across = np.nonzero(marked.to_numpy(bool))
        traces.append(go.Scatter(x=across, y=down, mode="markers", marker={"color": "black", "size": 4},
                                 hoverinfo="skip"))
        dots = f", {len(down)} marked"
    figure = _figure(go, traces, f"{title} ({n_features} features, {n_positions} positions{dots})".strip(),
                     "token position (from 1)", "feature")
    step = max(1, int(np.ceil(n_positions / 60)))
    figure.update_xaxes(tickvals=list(range(0, n_positions, step)), ticktext=columns[::step], showgrid=False,
                        tickfont={"size": 11})
    figure.update_yaxes(tickvals=list(range(n_features)), ticktext=rows, autorange="reversed", showgrid=False)
    return figure.update_layout(showlegend=False, height=max(300, 210 + 22 * min(n_features, 40)))


def mds(rdms, *, by: Sequence | None = None, index: int = 0, names: Sequence | None = None, title: str = "",
        noun: str = "stimuli"):
    """Draw the twin of `plots.mds`: the same places in two dimensions.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        The dissimilarities.
    by : sequence of str, optional
        One label per stimulus, shown by colour and marker; a click on the legend hides one.
    index : int
        Which of the RDMs to draw.
    names : sequence of str, optional
        One name per stimulus; default the pattern descriptor `id`, where there is one.
    title : str
        Title; number of stimuli and stress are added.
    noun : str
        What a point is.

    Returns
    -------
    plotly.graph_objects.Figure
        A point tells its name and label.

    Raises
    ------
    InputError
        As in `plots.mds`.
    SetupError
        plotly is not installed.
    """
    go = require_plotly()
    matrix = _matrix(rdms, index)
    names, by = _names(rdms, names, len(matrix)), _labels(by, len(matrix))
    places, stress = _scaled(matrix)
    told = [_literal(name) for name in names or range(len(matrix))]
    traces = []
    for number, group in enumerate(dict.fromkeys(by or [""] * len(matrix))):
        chosen = [row for row in range(len(matrix)) if by is None or by[row] == group]
        trace = _points(go, *places[chosen].T, [f"{told[row]}<br>{_literal(group)}" for row in chosen],
                        PALETTE[number % len(PALETTE)] if by else CALM, 9, f"{_literal(group)} ({len(chosen)})")
        traces.append(trace.update(marker={"symbol": SYMBOLS[number % len(SYMBOLS)]}))
    figure = _figure(go, traces, f"{title} ({len(matrix)} {noun}, stress {stress:.2f})".strip(),
                     "dimension 1 (no unit)", "dimension 2 (no unit)")
    figure.update_xaxes(showticklabels=False).update_yaxes(showticklabels=False, scaleanchor="x")
    return figure.update_layout(showlegend=by is not None, height=HEIGHT + 60)


def embed(figure, *, name: str) -> str:
    """Return a figure as a piece of HTML that needs `library()` before it on the page.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        What was drawn.
    name : str
        Id of its element, unique on the page; the same name and figure give the same text.
    """
    return figure.to_html(full_html=False, include_plotlyjs=False, div_id=name,
                          default_height=f"{figure.layout.height}px",
                          config={"displaylogo": False, "responsive": True, "modeBarButtons": [BUTTONS]})


def library() -> str:
    """Return plotly's script, to be put on a page once.

    Raises
    ------
    SetupError
        plotly is not installed.
    """
    require_plotly()
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _literal(text: object) -> str:
    """Plotly reads tags and entities in its texts, so they are escaped; controls are made visible."""
    return html.escape(plain(text, width=60), quote=False)


def _told(fmap, features) -> list[str]:
    arrays = [(name, getattr(fmap, key)) for name, key in (("p", "pvalue"), ("p_FWE", "p_fwe"), ("q", "q"))]
    return [f"feature {feature}<br>" + _literal(unit_of(fmap.name)) + f" {fmap.value[feature]:.4g}"
            + "".join(f"<br>{name} {array[feature]:.4g}" for name, array in arrays if array is not None)
            for feature in features]


def _lost(fmap, n: int, why: str) -> str:
    return f", {len(fmap.value) - n:,} {why}" if len(fmap.value) > n else ""


def _points(go, x, y, told, colour, size, name):
    kind = go.Scattergl if len(x) > CANVAS else go.Scatter
    return kind(x=np.asarray(x, float), y=np.asarray(y, float), text=told, mode="markers", name=_literal(name),
                marker={"color": to_hex(colour), "size": size}, hovertemplate="%{text}<extra></extra>")


def _figure(go, traces, title: str, x: str, y: str):
    axis = {"gridcolor": "#e6e9ee", "zerolinecolor": "#9aa3af", "linecolor": "#9aa3af", "automargin": True}
    return go.Figure(traces, go.Layout(
        title={"text": html.escape(plain(title), quote=False), "font": {"size": 14}, "x": 0, "xref": "paper", "y": 1,
               "yref": "paper", "yanchor": "bottom", "pad": {"b": 8}},
        xaxis={**axis, "title": {"text": _literal(x), "standoff": 10}},
        yaxis={**axis, "title": {"text": _literal(y), "standoff": 10}}, height=HEIGHT, showlegend=True,
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#1d2430"}, plot_bgcolor="white",
        paper_bgcolor="white", margin={"l": 60, "r": 20, "t": 74, "b": 60}, hovermode="closest",
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"}, template={}))
