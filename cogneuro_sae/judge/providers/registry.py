"""PROVIDERS: name to how a provider is made; nothing heavy is imported before it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from cogneuro_sae.config import parse
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.messages import Provider
from cogneuro_sae.judge.providers.context import Context
from cogneuro_sae.judge.providers.spec import RaterSpec

PROVIDERS: dict[str, str] = {
    "lexical": "LexicalBaseline",
    "huggingface": "LocalModel",
    "openai": "OpenAICompatible",
    "anthropic": "AnthropicApi",
    "replay": "Replay",
}
"""Provider to the class in the module of its name, made as `class(spec, context)`."""


def make_provider(spec: Mapping | RaterSpec, *, context: Context | None = None) -> Provider:
    """Make a rater.

    Parameters
    ----------
    spec : mapping or RaterSpec
        A rater of a judge config, such as `{"provider": "openai", "model": "gpt-6-luna"}`.
    context : Context, optional
        What the run knows beside the requests; `lexical` needs its texts.

    Raises
    ------
    InputError
        The spec is not as `RaterSpec` says, or the context lacks what the rater needs.
    SetupError
        A key, an extra or a model is missing.
    """
    rater = spec if isinstance(spec, RaterSpec) else parse(_plain(spec), RaterSpec, where="rater")
    module = importlib.import_module(f"cogneuro_sae.judge.providers.{rater.provider}")
    return getattr(module, PROVIDERS[rater.provider])(rater, context or Context())


def _plain(spec: object) -> dict:
    if not isinstance(spec, Mapping):
        raise InputError(f"a rater is a {type(spec).__name__}", where="rater", allowed="provider and its settings",
                         do="write {provider: openai, model: ...}")
    return dict(spec)
