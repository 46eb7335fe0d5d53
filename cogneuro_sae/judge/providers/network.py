"""What the vendors' SDKs share: absent packages, errors, retry times, JSON bodies and JSON lines."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TypeVar

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.judge.messages import ProviderError, Reply, Request
from cogneuro_sae.judge.providers.defaults import INSTALL
from cogneuro_sae.judge.secrets import scrub

T = TypeVar("T")
FATAL = {401: "the key is not accepted", 402: "the account has to be paid", 403: "the key may not do this",
         404: "no such model or address"}
RETRIED = (408, 409, 425, 429)
GAVE_UP = (408, 502, 504, 524)     # of something between us and the model, which may have answered all the same
_SETTINGS = ("response_format", "output_config", "temperature", "max_tokens", "max_completion_tokens",
             "reasoning_effort", "thinking")
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")
_NO_MONEY = ("insufficient_quota", "credit balance", "billing")
_UNSUPPORTED = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
                "pattern", "minItems", "maxItems", "uniqueItems")


def load_sdk(name: str, provider: str) -> ModuleType:
    """Import a vendor's SDK.

    Parameters
    ----------
    name : str
        The module.
    provider : str
        Who needs it, for the message.

    Raises
    ------
    SetupError
        It is not installed; names the extra.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SetupError(f"the rater {provider!r} needs the package {name}", where="judge", do=INSTALL) from error


def asked(sdk: ModuleType, ask: Callable[[], T]) -> T:
    """Return what a call of an SDK returns; what it raises becomes ProviderError.

    The original is neither chained nor in a frame of the traceback: its request holds the key, its message may echo it.

    Parameters
    ----------
    sdk : module
        `openai` or `anthropic`; their error classes have the same names.
    ask : callable
        Makes the call.

    Raises
    ------
    ProviderError
        No answer came.
    """
    try:
        return ask()
    except Exception as error:
        found = _of_error(sdk, error)
        if found is None:
            raise
    raise found


def _of_error(sdk: ModuleType, error: Exception) -> ProviderError | None:
    root = error.__cause__ or error      # what the HTTP library said: below it there are only numbers of the system
    lost = type(root).__name__ not in _NEVER_SENT
    if isinstance(error, sdk.APITimeoutError):
        return ProviderError("the server did not answer in time", retry=True, lost=lost)
    if isinstance(error, sdk.APIConnectionError):
        return ProviderError(_line(f"the connection failed ({type(root).__name__}: {root})"), retry=True, lost=lost)
    if isinstance(error, sdk.APIStatusError):
        return _of_status(error.status_code, error.response.headers, _message(error.body, error.message))
    if isinstance(error, json.JSONDecodeError):
        return ProviderError(_line(f"the server's JSON is broken ({error})"), retry=True)
    # streams raise the errors of the HTTP library below, and the SDK has a few of its own
    homes = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    if homes & {sdk.__name__, "httpx", "httpx2", "httpcore", "httpcore2"}:
        return ProviderError(_line(f"the call failed ({type(error).__name__}: {error})"), retry=True)
    return None


def _of_status(status: int, headers: Mapping[str, str], message: str) -> ProviderError:
    low = message.lower()
    broke = any(word in low for word in _NO_MONEY)
    refused = status in (400, 422) and next((name for name in _SETTINGS if name in low), None)
    reason = f"HTTP {status}: {FATAL.get(status, 'refused') if status < 500 else 'the server failed'}: {message}"
    if status == 429:
        reason = f"HTTP 429: {'the account has no money left' if broke else 'too many requests'}: {message}"
    if refused:
        reason += f"; the endpoint does not take {refused!r} as the rater sets it: see {_remedy(refused)}"
    retry = (status in RETRIED or status >= 500 and status != 501) and not broke
    retry = {"true": True, "false": False}.get(headers.get("x-should-retry", ""), retry)
    return ProviderError(_line(reason), retry=retry, after=retry_after(headers) if retry else None,
                         fatal=status in FATAL or broke or bool(refused), lost=status in GAVE_UP)


def _remedy(field: str) -> str:
    return {"response_format": "structured", "output_config": "structured or effort", "reasoning_effort": "effort",
            "thinking": "effort"}.get(field, "max_tokens" if "tokens" in field else field) + " in its settings"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait, None where it does not say.

    Parameters
    ----------
    headers : mapping of str to str
        Of the response: `retry-after-ms`, or `retry-after` in seconds or as a date.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with contextlib.suppress(TypeError, ValueError):
            seconds = float(headers.get(name)) / unit
            return max(0.0, seconds) if seconds == seconds else None
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(headers.get("retry-after")).timestamp() - time.time())
    return None


def _message(body: object, fallback: str) -> str:
    """The vendor's own words: both put them under error.message, OpenAI's SDK unwraps the first step."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, dict):
        code = inner.get("code") or inner.get("type")
        said = str(inner.get("message") or fallback)
        return f"{said} ({code})" if code else said
    return str(fallback)


def _line(text: str) -> str:
    """One line without keys, short enough for a table."""
    return scrub(" ".join(str(text).split()))[:500]


def named(found: object, field: str) -> str:
    """Return a text field of what an SDK made of an answer.

    Parameters
    ----------
    found : object
        Of the SDK; it makes plain text of an answer that is no JSON.
    field : str
        Such as "id".

    Raises
    ------
    ProviderError
        There is no such field: another server, or a proxy, answered.
    """
    value = getattr(found, field, None)
    if not isinstance(value, str) or not value:
        raise ProviderError(_line(f"the server's answer has no {field}: {str(found)[:80]}; is base_url right?"))
    return value


def read_json(response: object) -> tuple[dict, str]:
    """Return the JSON object of a response, and its text without keys.

    Parameters
    ----------
    response : httpx.Response
        With the status 200.

    Raises
    ------
    ProviderError
        The body is cut (to be retried), no JSON at all (a wrong address), or an error under the status 200.
    """
    text, kind = response.text, response.headers.get("content-type", "")
    try:
        if not isinstance(json.loads(text), dict):
            raise ValueError("not a JSON object")
    except ValueError as error:
        if "json" not in kind:
            raise ProviderError(_line(f"the server answered with {kind or 'no type'} instead of JSON: {text[:80]}; "
                                      "is base_url right?"), fatal=True) from None
        raise ProviderError(_line(f"the server's JSON is broken ({error})"), retry=True) from None
    text = scrub(text)
    body = json.loads(text)
    fault = body.get("error")
    if fault and not body.get("choices") and not body.get("content"):
        code = fault.get("code") if isinstance(fault, dict) else None
        again = isinstance(code, int) and (code in RETRIED or code >= 500)
        raise ProviderError(_line(f"an error under the status 200: {_message(body, str(fault))}"), retry=again)
    return body, text


def read_lines(pieces: Iterator[bytes]) -> Iterator[tuple[dict, str]]:
    """Yield the objects of a JSON-lines file, each with its line; every whole line before a cut comes first.

    Lines end at line feeds alone: an answer may hold other characters that end lines.

    Parameters
    ----------
    pieces : iterator of bytes
        The file, in pieces of any size.

    Raises
    ------
    ProviderError
        A line is no JSON object: the file is cut.
    """
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (_read_line(line) for line in lines if line.strip())
    if rest.strip():
        yield _read_line(rest)


def _read_line(line: bytes) -> tuple[dict, str]:
    try:
        text = line.decode("utf-8")
        found = json.loads(text)
        if not isinstance(found, dict) or not isinstance(found.get("custom_id"), str):
            raise ValueError("no custom_id")
    except ValueError as error:
        raise ProviderError(_line(f"the file of results is broken ({error})"), retry=True) from None
    text = scrub(text)
    return json.loads(text), text


def once(results: Iterator[tuple[str, Reply]]) -> Iterator[tuple[str, Reply]]:
    """Yield the first reply of every key.

    Parameters
    ----------
    results : iterator of (str, Reply)
        Keys may repeat.
    """
    seen = set()
    for key, reply in results:
        if key not in seen:
            seen.add(key)
            yield key, reply


def digest_of(requests: Sequence[Request]) -> str:
    """Return the identity of a batch: a hash of its keys, in any order.

    Parameters
    ----------
    requests : sequence of Request
        The batch.

    Raises
    ------
    InputError
        No request, or two with one key.
    """
    keys = sorted(request.key for request in requests)
    if not keys or len(set(keys)) != len(keys):
        raise InputError(f"a batch of {len(keys)} requests with {len(set(keys))} keys", where="judge",
                         allowed="at least one request, each with a key of its own")
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def closed(schema: dict) -> dict:
    """Return a JSON schema as both vendors' strict forms want it: nothing beside its keys, all of them required.

    Bounds and lengths, which the vendors refuse, are left out; the parser checks them.

    Parameters
    ----------
    schema : dict
        A JSON schema of nested objects, arrays and plain values.
    """
    found = {name: value for name, value in schema.items() if name not in _UNSUPPORTED}
    if "properties" in found:
        found["properties"] = {name: closed(part) for name, part in found["properties"].items()}
        found |= {"additionalProperties": False, "required": list(found["properties"])}
    if isinstance(found.get("items"), dict):
        found["items"] = closed(found["items"])
    return found
