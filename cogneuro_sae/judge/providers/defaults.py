"""Default model names, key variables and what families of models take: the one place where vendors' names stand.

Only defaults: a rater's `model`, `temperature` and `effort` go before them.
"""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_MODELS = {"huggingface": "default", "openai": "gpt-6-luna", "anthropic": "claude-haiku-5-5"}
KEY_VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
THINKING_ROOM = 4096      # most tokens of an answer that hidden thinking comes before
INSTALL = "pip install 'cogneuro_sae[judge]'"


class Family(NamedTuple):
    """What the models of one family take.

    Parameters
    ----------
    temperature : bool
        Whether the sampling temperature may be set; models that think refuse any but their own.
    quiet : dict
        Body fields that switch hidden thinking off, so that max_tokens is all answer.
    thinks : bool
        Whether hidden thinking cannot be switched off.
    """

    temperature: bool
    quiet: dict
    thinks: bool


_PLAIN = Family(True, {}, False)
_THINKS = Family(False, {}, True)
_QUIET_OPENAI = Family(False, {"reasoning_effort": "none"}, False)
_QUIET_ANTHROPIC = Family(False, {"thinking": {"type": "disabled"}}, False)

FAMILIES: tuple[tuple[str, Family], ...] = (      # the first prefix that fits
    ("gpt-6", _QUIET_OPENAI), ("gpt-5.", _QUIET_OPENAI),
    ("gpt-5-chat", _PLAIN), ("gpt-5", _THINKS), ("o1", _THINKS), ("o3", _THINKS), ("o4", _THINKS),
    ("claude-haiku-5", _QUIET_ANTHROPIC), ("claude-sonnet-5", _QUIET_ANTHROPIC),
    ("claude-opus-4-7", _QUIET_ANTHROPIC), ("claude-opus-4-8", _QUIET_ANTHROPIC), ("claude-opus-5", _THINKS),
    ("claude-fable", _THINKS), ("claude-mythos", _THINKS),
)


def family(model: str) -> Family:
    """Return what a model takes; a name outside the table takes a temperature and does not think.

    Parameters
    ----------
    model : str
        The vendor's name of it, with or without a `vendor/` in front.
    """
    name = model.rpartition("/")[2].lower()
    return next((found for prefix, found in FAMILIES if name.startswith(prefix)), _PLAIN)
