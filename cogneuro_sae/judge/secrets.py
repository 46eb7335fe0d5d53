"""Keys: read from the environment only, and taken out of every text that is kept or shown."""

from __future__ import annotations

import json
import os
import re
import urllib.parse

from cogneuro_sae.errors import SetupError

HIDDEN = "[key]"
SHORTEST = 6                 # a shorter value would hide ordinary words
_NAMED = re.compile(r"(API_?KEY|_KEY|TOKEN|SECRET|PASSWORD)$", re.I)
_SHAPED = re.compile(r"\b(?:sk|rk)-[A-Za-z0-9_\-*.]{16,}"
                     r"|(?i:\b(?:bearer|x-api-key)\b[\"']?[:\s]+[\"']?)(?=\S*[0-9])[A-Za-z0-9._~+/=\-]{16,}")
_asked: set[str] = set()     # names of variables that keys were read from, whatever they are called


def read_key(name: str, *, provider: str) -> str:
    """Return the key that stands in an environment variable.

    Parameters
    ----------
    name : str
        The variable.
    provider : str
        Who needs it, for the message.

    Raises
    ------
    SetupError
        The variable is unset, empty, or holds a line break (a key cut out of a file).
    """
    _asked.add(name)
    key = os.environ.get(name, "").strip()
    if not key:
        raise SetupError(f"{provider} needs a key, and the environment variable {name} is not set", where="judge",
                         do=f"export {name}=..., or name another variable with key_env")
    if not key.isprintable() or not key.isascii():
        raise SetupError(f"the environment variable {name} holds characters that no key has", where="judge",
                         do="set it to the key alone")
    return key


def scrub(text: str) -> str:
    """Return text with every key taken out: values of key variables of the environment, and what looks like a key.

    Parameters
    ----------
    text : str
        A message, a server's JSON, a traceback.

    Returns
    -------
    str
        The text, "[key]" in place of each key; also where the key stands JSON-escaped or percent-encoded.
    """
    text = str(text)
    for value in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return _SHAPED.sub(HIDDEN, text)


def _secrets() -> set[str]:
    found = {value.strip() for name, value in os.environ.items() if name in _asked or _NAMED.search(name)}
    found = {value for value in found if len(value) >= SHORTEST}
    escaped = {json.dumps(value)[1:-1] for value in found}
    return found | escaped | {urllib.parse.quote(value, safe="") for value in found}
