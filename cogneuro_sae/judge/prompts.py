"""Prompts are files: rendered with strict templates, untrusted text encoded and delimited, versioned by hash.

A prompt file defines two macros, `system()` and `user()`. The only untrusted thing it gets is `data`: one line of JSON
between two delimiters that carry a nonce. Inside JSON strings every character that could end a line, a tag, a fence or
a chat template's marker is written as an escape, so that the delimiters cannot be forged even by who knows the nonce.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cogneuro_sae.errors import InputError, SetupError

PROMPTS = Path(__file__).parent / "prompts"
FRAME_VERSION = 1
"""Part of every prompt's hash: raise it when the encoding or the delimiters change."""

_STRUCTURAL = frozenset("<>`[]|")
_NONCE = re.compile(r"[0-9a-f]{12,64}")


def encode(value: Any) -> str:
    """Return JSON on one line whose strings hold none of `< > [ ] |`, backtick, control or invisible characters.

    Letters of every script stay readable; what is escaped comes back unchanged through `json.loads`.

    Parameters
    ----------
    value : object
        Strings, finite numbers, booleans, None, and lists, tuples and str-keyed mappings of them.

    Raises
    ------
    InputError
        Something else.
    """
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{encode(str(key))}: {encode(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(encode(inner) for inner in value) + "]"
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"what a prompt shows is not plain JSON ({error})") from error


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in _STRUCTURAL or not character.isprintable():
        units = character.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return character


def nonce_of(key: str) -> str:
    """Return the nonce of a call, 16 hexadecimal digits: the same for the same call, unknown to who wrote the texts.

    Parameters
    ----------
    key : str
        The call's key.
    """
    return hashlib.sha256(f"nonce|{key}".encode()).hexdigest()[:16]


def data_block(value: Any, nonce: str) -> str:
    """Return untrusted content as one line of JSON between delimiters that carry the nonce.

    Parameters
    ----------
    value : object
        As for `encode`.
    nonce : str
        12 to 64 hexadecimal digits.

    Raises
    ------
    InputError
        The nonce is something else.
    """
    if not _NONCE.fullmatch(nonce):
        raise InputError(f"{nonce!r} cannot delimit text", allowed="12 to 64 hexadecimal digits in lower case")
    return f"<data-{nonce}>\n{encode(value)}\n</data-{nonce}>"


def render(folder: Path, rubric: str, wording: str, **values: Any) -> tuple[str, str]:
    """Return the system and the user message of a prompt.

    Parameters
    ----------
    folder : Path
        Where the prompt files are.
    rubric, wording : str
        The file is `<rubric>.<wording>.md`.
    **values
        What the file's placeholders stand for; a placeholder without a value is an error.

    Raises
    ------
    InputError
        The file is missing, is no template, or uses a placeholder that has no value.
    """
    import jinja2

    where = str(_path(folder, rubric, wording))
    try:
        module = _template(_source(folder, rubric, wording)).make_module(values)
        return str(module.system()).strip(), str(module.user()).strip()
    except (jinja2.TemplateError, AttributeError) as error:
        raise InputError(f"not a usable prompt ({error})", where=where,
                         allowed="a jinja2 template with the macros system() and user()") from error


def prompt_hash(folder: Path, rubric: str, wording: str, contract: Any = None) -> str:
    """Return sha256 of a prompt: its file, the framing of the data, and what answers are allowed.

    Parameters
    ----------
    folder : Path
        Where the prompt files are.
    rubric, wording : str
        As in `render`.
    contract : object
        Options and schema of the answer, JSON types.
    """
    content = [FRAME_VERSION, rubric, wording, _source(folder, rubric, wording), contract]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _path(folder: Path, rubric: str, wording: str) -> Path:
    return Path(folder) / f"{rubric}.{wording}.md"


def _source(folder: Path, rubric: str, wording: str) -> str:
    path = _path(folder, rubric, wording)
    try:
        return path.read_text("utf-8").replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise SetupError("the prompt's file is missing", where=str(path), do="install the package again") from error


@functools.lru_cache(maxsize=64)
def _template(source: str) -> Any:
    import jinja2

    # what is rendered is no HTML: untrusted text is made harmless by `encode`, not by entities
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True,
                                     lstrip_blocks=True, keep_trailing_newline=False)
    environment.filters["quoted"] = encode
    return environment.from_string(source)
