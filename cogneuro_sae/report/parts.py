"""The pieces a report is made of; the template knows these kinds and no others, and escapes every text."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from markupsafe import Markup

from cogneuro_sae import files
from cogneuro_sae.display import plain

DPI = 180
PAGE_DPI = 92


class Text(NamedTuple):
    """A paragraph."""

    text: str
    kind: str = "text"


class Heading(NamedTuple):
    """A heading inside a section."""

    text: str
    kind: str = "heading"


class Headline(NamedTuple):
    """The answer, set apart: one string per line."""

    lines: list[str]
    kind: str = "headline"


class Verdict(NamedTuple):
    """One line of a check: level is ok, note, warning or error."""

    level: str
    text: str


class Verdicts(NamedTuple):
    """Check lines with their levels."""

    lines: list[Verdict]
    kind: str = "verdicts"


class Table(NamedTuple):
    """A table of strings; `numeric` names the right-aligned columns."""

    columns: list[str]
    rows: list[list[str]]
    numeric: list[str]
    caption: str = ""
    kind: str = "table"


class Figure(NamedTuple):
    """A PNG (base64) of `width` CSS pixels with what it shows, what good looks like and what to do otherwise."""

    title: str
    png: str
    shown: str
    good: str = ""
    otherwise: str = ""
    width: int = 600
    kind: str = "figure"


class Interactive(NamedTuple):
    """A figure that answers to the pointer: HTML of plotly's making, which escapes what it holds."""

    title: str
    html: Markup
    kind: str = "interactive"


class Code(NamedTuple):
    """Preformatted text, folded away under `summary` when there is one."""

    text: str
    summary: str = ""
    kind: str = "code"


class Link(NamedTuple):
    """A link to another page of the folder, with a word on it."""

    text: str
    target: str
    note: str = ""
    kind: str = "link"


class Section(NamedTuple):
    """One section: `anchor` is its id in the page."""

    anchor: str
    title: str
    parts: list


def table(frame: pd.DataFrame, *, caption: str = "", digits: int = 3, limit: int | None = None) -> Table:
    """Return a data frame as a report table: numbers rounded, missing values as a dash, integers whole.

    Parameters
    ----------
    frame : DataFrame
        The index is left out; reset it first when it should show.
    caption : str
        Line above the table.
    digits : int
        Significant decimals of floating-point columns.
    limit : int, optional
        Longest number of rows; the caption says how many were left out.
    """
    if limit is not None and len(frame) > limit:
        caption = f"{caption} (first {limit} of {len(frame)} rows)".strip()
        frame = frame.iloc[:limit]
    numeric = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    rows = [[_shown(value, digits) for value in row] for row in frame.itertuples(index=False, name=None)]
    return Table([str(name) for name in frame.columns], rows, numeric, caption)


def _shown(value, digits: int) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return "\u2013"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        if float(value).is_integer() and abs(value) < 1e6:
            return f"{value:.0f}"
        return f"{value:.{digits}f}" if 10**-digits <= abs(value) < 1e5 else f"{value:.2g}"
    return plain(value)


def figure(axes_or_figure, title: str, *, shown: str, good: str = "", otherwise: str = "", save_as=None) -> Figure:
    """Return a drawn figure as a report part, write it as PNG too when asked, and close it.

    Parameters
    ----------
    axes_or_figure : matplotlib Axes or Figure
        What was drawn.
    title : str
        Short title under the picture.
    shown : str
        What is shown.
    good : str
        What good looks like.
    otherwise : str
        What to do if it does not look so.
    save_as : path, optional
        File for the PNG.
    """
    drawn = getattr(axes_or_figure, "figure", axes_or_figure)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(drawn)
    width = int.from_bytes(buffer.getvalue()[16:20], "big")     # of the PNG header
    if save_as is not None:
        files.write_bytes(save_as, buffer.getvalue())
    return Figure(title, base64.b64encode(buffer.getvalue()).decode(), shown, good, otherwise,
                  round(width * PAGE_DPI / DPI))


def verdicts(lines: Sequence) -> Verdicts:
    """Return check lines (anything with `.level` and `.text`, or mappings with those keys) as a report part."""
    get = [(line["level"], line["text"]) if isinstance(line, dict) else (line.level, line.text) for line in lines]
    return Verdicts([Verdict(level, plain(text)) for level, text in get])
