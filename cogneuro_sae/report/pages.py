"""The one way from templates to HTML: everything is escaped, nothing undefined passes."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).parents[1] / "templates"


@functools.cache
def environment() -> jinja2.Environment:
    """Return the jinja environment of all pages: autoescape on, undefined names are errors.

    Returns
    -------
    jinja2.Environment
    """
    return jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                              undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
