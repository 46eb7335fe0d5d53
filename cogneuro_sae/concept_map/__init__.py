"""One concept looked at: contrast maps, RSA maps, RDMs, strongest features (the verb `map`)."""

from __future__ import annotations

import importlib

_HOMES = {"MapConfig": "map_config", "load_map_config": "map_config", "map_concept": "run", "describe_concept": "view",
          "describe_saes": "view"}

__all__ = list(_HOMES)


def __getattr__(name: str):
    # lazy, so that a config error answers before torch and scipy are loaded
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
