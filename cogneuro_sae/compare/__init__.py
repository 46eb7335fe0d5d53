"""The method comparison: cells on identical folds, nested estimates, planned contrasts, one results folder."""

from __future__ import annotations

import importlib

_HOMES = {"CompareConfig": "config", "load_comparison_config": "config_file", "run_comparison": "run",
          "Comparison": "comparison"}

__all__ = list(_HOMES)


def __getattr__(name: str):
    # lazy, so that a config error answers before scikit-learn is loaded
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
