"""Choosing features: scores (one function per criterion), scikit-learn selectors over them, linear read-outs."""

from __future__ import annotations

import importlib

_HOMES = {
    "SCORES": "scores",
    "Sources": "sources",
    "TopFeatures": "selectors",
    "ThresholdedFeatures": "selectors",
    "StableFeatures": "selectors",
    "FeatureSet": "selectors",
    "RandomFeatures": "selectors",
    "ENSEMBLES": "ensembles",
    "save_ensemble": "export",
    "load_ensemble": "export",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    # lazy, so that the schema of a comparison can be read without scikit-learn
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
