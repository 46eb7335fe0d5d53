"""StimulusSet and Design: table, contrasts, matched items, checks."""

from __future__ import annotations

import importlib
from typing import Any

from cogneuro_sae.stimuli.expressions import parse_expression
from cogneuro_sae.stimuli.stimulus_set import StimulusSet

_HOMES = {"Check": "verdicts", "Checks": "checks", "Design": "design", "SURFACE": "surface", "THRESHOLDS": "thresholds"}

__all__ = ["SURFACE", "THRESHOLDS", "Check", "Checks", "Design", "StimulusSet", "parse_expression"]


def __getattr__(name: str) -> Any:
    """What needs numpy and pandas loads on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
