"""The LLM judge as a measuring instrument: items, rubrics, providers, the ledger of calls, and validity gates."""

from __future__ import annotations

import importlib

_HOMES = {
    "judge_features": "run",
    "JudgeConfig": "config",
    "load_judge_config": "config",
    "read_judge_table": "tables",
    "read_scores": "tables",
    "Verdict": "analysis",
    "verdicts": "analysis",
    "first_line": "validity",
    "write_sheet": "sheets",
    "read_sheet": "sheets",
    "PROVIDERS": "providers",
    "RaterSpec": "providers",
    "make_provider": "providers",
    "Context": "providers",
    "context_of": "providers",
    "scrub": "secrets",
    "price": "pricing",
    "Price": "pricing",
    "Request": "messages",
    "Reply": "messages",
    "ProviderError": "messages",
    "Ledger": "ledger",
    "request_hash": "ledger",
    "run_calls": "calls",
    "Outcome": "calls",
    "run_batches": "batches",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    # lazy, so that the schema of a judge config can be read without torch or a vendor's SDK
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
