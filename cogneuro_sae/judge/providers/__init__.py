"""Who answers: a word-list baseline, local models, vendors' APIs, recorded answers; one registry of them."""

from __future__ import annotations

import importlib

_HOMES = {
    "PROVIDERS": "registry",
    "make_provider": "registry",
    "RaterSpec": "spec",
    "Context": "context",
    "context_of": "context",
    "DEFAULT_MODELS": "defaults",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    # lazy, so that reading a config needs neither torch nor a vendor's SDK
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
