"""The chat-completions format: a request as a body, a body as a reply; no network."""

from __future__ import annotations

import json

from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.providers.defaults import family
from cogneuro_sae.judge.providers.network import closed
from cogneuro_sae.judge.providers.spec import RaterSpec


def as_body(request: Request, spec: RaterSpec) -> dict:
    """Return the JSON body of a request.

    Parameters
    ----------
    request : Request
        What is asked.
    spec : RaterSpec
        How the rater is set.

    Returns
    -------
    dict
        The limit goes by `max_completion_tokens` to the vendor and by `max_tokens`, which all know, to other endpoints.
    """
    traits = family(spec.model_name)
    limit = "max_tokens" if spec.base_url else "max_completion_tokens"
    body = {"model": spec.model_name, limit: spec.limit or request.max_tokens,
            "messages": [{"role": "system", "content": request.system + form_in_words(request, spec)},
                         {"role": "user", "content": request.user}]}
    if spec.temperature is not None or traits.temperature:
        body["temperature"] = spec.temperature or 0.0
    body |= {"reasoning_effort": spec.effort} if spec.effort else traits.quiet
    if request.schema is not None and spec.structured == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": {
            "name": "answer", "strict": True, "schema": closed(request.schema)}}
    elif request.schema is not None and spec.structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def form_in_words(request: Request, spec: RaterSpec) -> str:
    """Return what the system message adds where the endpoint enforces no schema.

    Parameters
    ----------
    request : Request
        What is asked.
    spec : RaterSpec
        How the rater is set.
    """
    if request.schema is None or spec.structured != "json_object":
        return ""
    return f"\n\nAnswer with a JSON object that fits this schema: {json.dumps(closed(request.schema))}"


def as_reply(body: dict, raw: str, *, seconds: float = 0.0, request_id: str = "") -> Reply:
    """Return the reply that a chat completion holds.

    Parameters
    ----------
    body : dict
        The completion.
    raw : str
        What was received, without keys.
    seconds : float
        Time the call took.
    request_id : str
        The server's name of the call.
    """
    used = body.get("usage") or {}
    sent, answered = (int(used.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
    status, text, reason = _read(body)
    return Reply(text, raw, status, reason, sent, answered, seconds, None, request_id or str(body.get("id") or ""))


def _read(body: dict) -> tuple[str, str, str]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "error", "", "the answer holds no choice"
    message, finish = choices[0].get("message") or {}, choices[0].get("finish_reason")
    text = message.get("content")
    if isinstance(text, list):      # some compatible endpoints answer in parts
        text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
    if message.get("refusal"):
        return "refusal", text or "", str(message["refusal"])[:300]
    if finish == "content_filter":
        return "refusal", text or "", "stopped by the provider's content filter"
    if finish == "length":
        return "truncated", text or "", "max_tokens reached" + ("" if text else " before any answer, while thinking")
    if not isinstance(text, str) or not text.strip():
        return "error", "", f"the answer holds no text (finish_reason {finish!r})"
    return "ok", text, ""


def as_line(request: Request, spec: RaterSpec) -> str:
    """Return the line of a batch file.

    Parameters
    ----------
    request : Request
        What is asked.
    spec : RaterSpec
        How the rater is set.
    """
    return json.dumps({"custom_id": request.key, "method": "POST", "url": "/v1/chat/completions",
                       "body": as_body(request, spec)}) + "\n"


def of_line(line: dict, raw: str) -> Reply:
    """Return the reply that a line of a batch's result files holds.

    Parameters
    ----------
    line : dict
        The line.
    raw : str
        As received, without keys.
    """
    response, fault = line.get("response") or {}, line.get("error")
    body = response.get("body") if isinstance(response.get("body"), dict) else {}
    name = str(response.get("request_id") or line.get("id") or "")
    if not fault and response.get("status_code") == 200:
        return as_reply(body, raw, request_id=name)
    fault = fault or body.get("error") or {}
    said = f"{fault.get('code') or 'failed'}: {fault.get('message') or ''}" if isinstance(fault, dict) else str(fault)
    status = f"HTTP {response['status_code']}: " if response.get("status_code") else ""
    return Reply("", raw, "error", f"{status}{said}"[:300], request_id=name)
