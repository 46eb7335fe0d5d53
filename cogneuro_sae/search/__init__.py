"""Corpus search: the windows of a corpus that drive features or fitted ensembles, found in one streaming pass."""

from __future__ import annotations

import importlib

_HOMES = {
    "SearchConfig": "config",
    "load_search_config": "config",
    "search_corpus": "run",
    "read_search": "folder",
    "SearchResult": "folder",
    "expected_windows": "expected",
    "scan_latents": "latents",
    "LatentScan": "latents",
    "keyword_search": "keywords",
    "keyword_map": "keywords",
    "enriched_corpus": "keywords",
    "count_terms": "enrichment",
    "enriched_terms": "enrichment",
    "promoted_tokens": "vocabulary",
    "neuronpedia_link": "vocabulary",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    # lazy, so that a search config can be read without torch
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
