"""The messages format: a request as a body, a message as a reply; no network."""

from __future__ import annotations

from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.providers.defaults import family
from cogneuro_sae.judge.providers.network import closed
from cogneuro_sae.judge.providers.openai_format import form_in_words
from cogneuro_sae.judge.providers.spec import RaterSpec


def as_body(request: Request, spec: RaterSpec) -> dict:
    """Return the JSON body of a request.

    Parameters
    ----------
    request : Request
        What is asked.
    spec : RaterSpec
        How the rater is set.
    """
    traits, form = family(spec.model_name), {}
    body = {"model": spec.model_name, "max_tokens": spec.limit or request.max_tokens,
            "system": request.system + form_in_words(request, spec),
            "messages": [{"role": "user", "content": request.user}]}
    if spec.temperature is not None or traits.temperature:
        body["temperature"] = spec.temperature or 0.0
    if spec.effort is None:
        body |= traits.quiet
    elif spec.effort == "none":
        body["thinking"] = {"type": "disabled"}
    else:
        form["effort"] = spec.effort
    if request.schema is not None and spec.structured == "json_schema":
        form["format"] = {"type": "json_schema", "schema": closed(request.schema)}
    return body | ({"output_config": form} if form else {})


def as_reply(body: dict, raw: str, *, seconds: float = 0.0, request_id: str = "") -> Reply:
    """Return the reply that a message holds.

    Parameters
    ----------
    body : dict
        The message.
    raw : str
        What was received, without keys.
    seconds : float
        Time the call took.
    request_id : str
        The server's name of the call.
    """
    used = body.get("usage") or {}
    sent = sum(int(used.get(name) or 0) for name in
               ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"))
    status, text, reason = _read(body)
    return Reply(text, raw, status, reason, sent, int(used.get("output_tokens") or 0), seconds, None,
                 request_id or str(body.get("id") or ""))


def _read(body: dict) -> tuple[str, str, str]:
    blocks = body.get("content") if isinstance(body.get("content"), list) else []
    # thinking blocks may come first
    text = "".join(str(block.get("text") or "") for block in blocks
                   if isinstance(block, dict) and block.get("type") == "text")
    stop = body.get("stop_reason")
    if stop == "refusal":
        said = (body.get("stop_details") or {}).get("explanation")
        return "refusal", text, str(said or "refused by the provider's safety system")[:300]
    if stop in ("max_tokens", "model_context_window_exceeded"):
        return "truncated", text, f"{stop} reached" + ("" if text else " before any answer, while thinking")
    if not text.strip():
        return "error", "", f"the answer holds no text (stop_reason {stop!r})"
    return "ok", text, ""


def of_line(line: dict, raw: str) -> Reply:
    """Return the reply that a line of a batch's results holds.

    Parameters
    ----------
    line : dict
        The line.
    raw : str
        As received, without keys.
    """
    result = line.get("result") or {}
    kind = result.get("type")
    if kind == "succeeded" and isinstance(result.get("message"), dict):
        return as_reply(result["message"], raw)
    fault = result.get("error") or {}
    fault = fault.get("error", fault) if isinstance(fault, dict) else {"message": fault}
    said = f": {fault.get('type')}: {fault.get('message')}" if fault else ""
    return Reply("", raw, "error", f"{kind or 'no result'}{said}"[:300])
