"""RaterSpec: one rater of a judge config."""

from __future__ import annotations

import re
import urllib.parse
from typing import Literal

import pydantic

from cogneuro_sae.config import StrictModel
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.providers.defaults import DEFAULT_MODELS, THINKING_ROOM, family

NETWORK = ("openai", "anthropic")
_NEEDS_NETWORK = ("base_url", "key_env", "temperature", "timeout", "batch", "effort", "price", "concurrency")
_OWNERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_NEEDS_NETWORK, NETWORK),
    "structured": NETWORK,
    "model": (*NETWORK, "huggingface"),
    "max_tokens": (*NETWORK, "huggingface"),
    "device": ("huggingface",), "allow_download": ("huggingface",), "cut_prompt": ("huggingface",),
    "file": ("replay",),
}


class RaterSpec(StrictModel):
    """One rater: who answers, and how it is asked."""

    model_config = pydantic.ConfigDict(validate_by_name=True, validate_by_alias=True)

    provider: Literal["lexical", "huggingface", "openai", "anthropic", "replay"]
    """Who answers."""
    model: str | None = pydantic.Field(default=None, min_length=1)
    """The model's name as the provider knows it; null = the default of the provider."""
    called: str | None = pydantic.Field(default=None, alias="as", pattern=r"^[\w.:/@ +-]{1,80}$")
    """Name of the rater in results, when two raters share a model; for `replay` the name of the recorded rater."""
    base_url: str | None = None
    """Address of a compatible endpoint (vLLM, llama.cpp, Ollama ...), without key; null = the vendor's own."""
    key_env: str | None = None
    """Environment variable that holds the key; null = the vendor's usual one, and with `base_url` no key at all."""
    temperature: float | None = pydantic.Field(default=None, ge=0, le=2)
    """Sampling temperature; null = 0, or unsent where the model is known to refuse one."""
    max_tokens: int | None = pydantic.Field(default=None, ge=1)
    """Most tokens of an answer, hidden thinking included; null = what the rubric asks for, with room for thinking."""
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    """How much a model that thinks may think; null = not at all where that can be switched off."""
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    """How the form of the answer is enforced; an endpoint that refuses `json_schema` needs one of the others here."""
    concurrency: int = pydantic.Field(default=4, ge=1, le=256)
    """Most calls under way at a time."""
    timeout: float = pydantic.Field(default=60.0, gt=0)
    """Seconds without a byte from the server after which a call counts as failed."""
    batch: bool = False
    """Hand the calls over as a batch: half the price, up to a day."""
    price: tuple[float, float] | None = pydantic.Field(default=None, strict=False)
    """Price per million tokens sent and answered, in USD, before the built-in table; [0, 0] for one's own server."""
    file: str | None = None
    """Ledger (.sqlite) or JSON lines that `replay` answers from."""
    device: str = "cpu"
    """Where a local model runs: `cpu`, `cuda`, `mps`."""
    allow_download: bool = False
    """Whether a local model may be downloaded from the Hugging Face hub."""
    cut_prompt: bool = False
    """Cut the beginning off a prompt that is longer than a local model reads; otherwise such a call fails."""

    @pydantic.field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urllib.parse.urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            # no ValueError: its message would show what was given, a key perhaps
            raise InputError("the address holds a user, a password or a query", allowed="an address without them",
                             do="keys come from the environment")
        return value

    @pydantic.field_validator("key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII):
            # not shown: it may be the key itself
            raise InputError("key_env is not the name of a variable", allowed="a name such as OPENAI_API_KEY",
                             do="put the key into that variable and only its name here")
        return value

    @pydantic.field_validator("price")
    @classmethod
    def _no_gift(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and min(value) < 0:
            raise ValueError("two prices of 0 or more")
        return value

    @pydantic.model_validator(mode="after")
    def _fields_of_the_provider(self) -> RaterSpec:
        for name in sorted(self.model_fields_set & set(_OWNERS)):
            if getattr(self, name) is not None and self.provider not in _OWNERS[name]:
                owners = ", ".join(_OWNERS[name])
                raise ValueError(f"{name} means nothing for {self.provider!r}; it belongs to {owners}")
        if self.provider == "replay" and not self.file:
            raise ValueError("replay needs file: a ledger (.sqlite) or JSON lines")
        return self

    @property
    def model_name(self) -> str:
        """The model that answers, "" where there is none."""
        return self.model or DEFAULT_MODELS.get(self.provider, "")

    @property
    def name(self) -> str:
        """Name of the rater in the ledger and in results."""
        return self.called or (f"{self.provider}:{self.model_name}" if self.model_name else self.provider)

    @property
    def limit(self) -> int | None:
        """Most tokens of an answer where the rubric does not say it alone: as set, or with room for hidden thinking."""
        thinks = self.provider in NETWORK and (family(self.model_name).thinks or self.effort not in (None, "none"))
        return self.max_tokens or (THINKING_ROOM if thinks else None)
