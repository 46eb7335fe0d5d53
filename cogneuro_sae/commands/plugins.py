"""A user's own Python files, run only when the command line names them."""

from __future__ import annotations

from pathlib import Path

from cogneuro_sae.errors import InputError


def run_plugin(path: Path) -> None:
    """Run a user's Python file, which adds to the registries by importing them."""
    import runpy

    if not path.is_file():
        raise InputError("no such plugin file", where=str(path))
    runpy.run_path(str(path))
