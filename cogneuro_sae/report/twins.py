"""Interactive twins of a map's figures, for a run whose config asked for them; without plotly the page stays static."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
from markupsafe import Markup

from cogneuro_sae.display import plain
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.geometry import mds
from cogneuro_sae.report.folder import Run, View, file_stem, place
from cogneuro_sae.report.parts import Interactive, Section, figure

FEWEST = 3


def wanted(run: Run) -> bool:
    """Return whether a run asked for interactive figures and plotly is there to draw them.

    Parameters
    ----------
    run : Run
        A results folder.
    """
    return run.config.get("interactive") is True and importlib.util.find_spec("plotly") is not None


def twin_notes(run: Run) -> list[str]:
    """Return why asked-for interactive figures are not there.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list of str
        Empty when they are there or nobody asked.
    """
    if run.config.get("interactive") is True and not wanted(run):
        return ["interactive figures are left out: plotly is not installed (pip install 'cogneuro_sae[interactive]')"]
    return []


def plotly_script(sections: list[Section]) -> Markup:
    """Return plotly's script when a section holds an interactive figure, else nothing.

    Parameters
    ----------
    sections : list of Section
        Of one page.
    """
    if not any(part.kind == "interactive" for section in sections for part in section.parts):
        return Markup("")
    from cogneuro_sae.plots.interactive import library

    return Markup(library())


def _twin(run: Run, concept: str, name: str, title: str, draw) -> list:
    if not wanted(run):
        return []
    from cogneuro_sae.plots import interactive

    element = f"twin-{file_stem(f'{concept}_{name}')}"
    return [Interactive(title, Markup(interactive.embed(draw(interactive), name=element)))]


def map_twin(run: Run, concept: str, name: str, fmap: FeatureMap) -> list:
    """Return the twin of a volcano.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        The concept shown.
    name : str
        Name of the map.
    fmap : FeatureMap
        The map.

    Returns
    -------
    list of Interactive
        Empty when the run did not ask for it.
    """
    return _twin(run, concept, f"map_{name}", f"Map of {plain(name)}, to point at", lambda draw: draw.feature_map(fmap))


def profile_twin(run: Run, concept: str, text: str, values: pd.DataFrame) -> list:
    """Return the twin of the profiles of a text: features by token positions.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        The concept shown.
    text : str
        Id of the text.
    values : DataFrame (n_tokens, n_features)
        What the static figure shows.

    Returns
    -------
    list of Interactive
        Empty when the run did not ask for it.
    """
    return _twin(run, concept, f"profile_{text}", f"Token profile of {plain(text)}, to point at",
                 lambda draw: draw.position_map(values.T, unit="share of the feature's maximum", limit=1.0, title=text))


def mds_twins(run: Run, concept: str, view: View) -> list:
    """Return maps of the cells in two dimensions, each static and interactive.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        The concept shown.
    view : View
        Its RDMs; cells without any known dissimilarity are left out.

    Returns
    -------
    list of Figure and Interactive
        Empty when the run did not ask for them.
    """
    from rsatoolbox.rdm import RDMs
    from scipy.spatial.distance import squareform

    parts: list = []
    for number, key in enumerate(name for name in view.rdms if name.startswith("data.") and wanted(run)):
        matrix = squareform(np.asarray(view.rdms[key], float), checks=False)
        kept = np.flatnonzero(np.isfinite(matrix + np.where(np.eye(len(matrix)), np.nan, 0)).any(axis=1))
        if len(kept) < FEWEST:
            continue
        rdms = RDMs(squareform(matrix[np.ix_(kept, kept)], checks=False)[None])
        labels = {name: [str(view.rdms[column][row]) for row in kept]
                  for name, column in (("by", "conditions"), ("names", "cells")) if column in view.rdms}
        title = f"{plain(key.removeprefix('data.'))} in two dimensions"
        given = {"title": title, "noun": "cells", **labels}
        parts.append(figure(mds(rdms, **given), title, save_as=place(run, concept, f"mds_{number}"),
                            shown="The cells of the RDM above as points; near points have similar patterns. How much "
                                  "is lost in two dimensions stands in the title (stress; above .2 read the RDM)."))
        parts += _twin(run, concept, f"mds_{number}", f"{title}, to point at",
                       lambda draw, rdms=rdms, given=given: draw.mds(rdms, **given))
    return parts
