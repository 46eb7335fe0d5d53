"""A local server that speaks the OpenAI and Anthropic formats, sync and batch, with scripted faults; counts payments.

In a test (fixture `judge_server` of tests that import it, or directly)::

    with JudgeServer(faults=["429:0.01", "500", "ok", "cut"]) as server:
        server.openai_url, server.anthropic_url, server.counts()

For tests that kill the client: `python tests/judge_server.py --port-file F [--state FILE] [--latency .01]
[--rates 429=.05,500=.05,cut=.02] [--batch-polls 2]`; the port is written to F; GET /_counts, POST /_script.

Faults (`NAME` or `NAME:ARGUMENT`), taken one per answering call from the queue `faults`, else from `faults_of[key]`,
else drawn by `rates` from a hash of key and attempt (so that a retry gets through):
before paying   429 (argument: retry-after seconds) 429-ms 429-date quota 400 400-format 400-temperature 401 403 404 413
                500 503 529 html cut-before
after paying    slow (seconds) cut (half the body) truncated (half a JSON, whole HTTP) html-200
in the answer   refusal filter length out-of-range several empty null not-json
The identity of a call is the header Idempotency-Key, in a batch the custom_id: paid once, then answered from the store.
"""

from __future__ import annotations

import argparse
import email.parser
import email.policy
import email.utils
import hashlib
import json
import re
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATUS_OF = {"429": 429, "429-ms": 429, "429-date": 429, "quota": 429, "400": 400, "400-format": 400,
             "400-temperature": 400, "401": 401, "403": 403, "404": 404, "413": 413, "500": 500, "503": 503, "529": 529,
             "html": 502, "cut-before": 0}
ANTHROPIC_KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
                   404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error",
                   503: "api_error", 529: "overloaded_error"}
MESSAGES = {"400-format": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model",
            "400-temperature": "Unsupported value: 'temperature' does not support 0.0 with this model.",
            "quota": "You exceeded your current quota, please check your plan and billing details."}
CODES = {"quota": "insufficient_quota", "400-format": "unsupported_parameter", "400-temperature": "unsupported_value"}


class BadRequest(Exception):
    """The request is not as the vendor's format says."""


def fraction(*parts) -> float:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2 ** 48


def fill(schema: dict, seed: str):
    """An answer that fits a JSON schema, the same for the same seed."""
    if "enum" in schema:
        return schema["enum"][int(fraction(seed, "enum") * len(schema["enum"]))]
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: fill(part, f"{seed}/{name}") for name, part in schema.get("properties", {}).items()}
    return {"integer": int(4 * fraction(seed)), "number": round(fraction(seed), 3), "boolean": fraction(seed) < .5,
            "array": [], "string": "achievement", "null": None}[kind]


def changed(value, wrong):
    """The answer with every number or digit replaced by something out of range."""
    if isinstance(value, dict):
        return {name: changed(part, wrong) for name, part in value.items()}
    return wrong if isinstance(value, (int, float)) or str(value).isdigit() else value


class JudgeServer:
    """The server and everything it remembers; use as a context manager or `start()` / `stop()`."""

    def __init__(self, *, faults=(), faults_of=None, rates=None, latency=0.0, answer=None, batch_polls=1, batch=None,
                 state=None, port=0):
        self.faults, self.faults_of = list(faults), {key: list(value) for key, value in (faults_of or {}).items()}
        self.rates, self.latency, self.answer = dict(rates or {}), latency, answer
        self.batch_polls = batch_polls
        self.batch_faults = dict(batch or {})    # reorder, duplicate, missing, expired, errored, status, truncated
        self.state = Path(state) if state else None
        self.lock = threading.RLock()
        self.requests, self.paid, self.replayed, self.attempts = Counter(), Counter(), Counter(), Counter()
        self.served = Counter()                  # fault name -> times
        self.store: dict[str, dict] = {}         # key -> answer's parts
        self.headers: list[dict] = []
        self.bodies: list[dict] = []
        self.uploads: dict[str, str] = {}
        self.batches: dict[str, dict] = {}
        self._read_state()
        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads, self.http.judge = True, self
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.openai_url, self.anthropic_url = f"{self.url}/v1", self.url

    def start(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def counts(self) -> dict:
        """requests by path, payments and replays by key, faults served, batches made."""
        with self.lock:
            return {"requests": dict(self.requests), "paid": dict(self.paid), "replayed": dict(self.replayed),
                    "attempts": dict(self.attempts), "faults": dict(self.served), "n_paid": sum(self.paid.values()),
                    "n_keys": len(self.paid), "batches": len(self.batches), "uploads": len(self.uploads)}

    def script(self, **fields):
        """Replace faults, faults_of, rates, latency, batch_polls or batch_faults while it runs."""
        with self.lock:
            for name, value in fields.items():
                if name not in ("faults", "faults_of", "rates", "latency", "batch_polls", "batch_faults"):
                    raise BadRequest(f"unknown {name}")
                setattr(self, name, value)

    def next_fault(self, key: str) -> tuple[str, str]:
        with self.lock:
            self.attempts[key] += 1
            fault = "ok"
            if self.faults:
                fault = self.faults.pop(0)
            elif self.faults_of.get(key):
                fault = self.faults_of[key].pop(0)
            elif self.rates:
                draw, edge = fraction(key, self.attempts[key]), 0.0
                for name, rate in self.rates.items():
                    edge += rate
                    if draw < edge:
                        fault = name
                        break
            name, _, argument = fault.partition(":")
            self.served[name] += 1
            return name, argument

    def pay(self, key: str, schema: dict | None, fault: str, body: dict) -> dict:
        """The answer of a key: made and paid once, then from the store."""
        with self.lock:
            if key in self.store:
                self.replayed[key] += 1
                return self.store[key]
            value = self.answer(key, body) if self.answer else fill(schema, key) if schema else "2"
            text = value if isinstance(value, str) else json.dumps(value)
            texts = {"out-of-range": json.dumps(changed(value, 7)) if schema else "7", "several": "2 or maybe 3",
                     "not-json": "I would say it is relevant.", "length": text[:max(1, len(text) // 2)]}
            found = {"text": texts.get(fault, text), "kind": fault}
            self.paid[key] += 1
            self.store[key] = found
            self._note({"key": key, **found})
            return found

    def _note(self, line: dict):
        if self.state:
            with self.state.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")

    def _read_state(self):
        if self.state and self.state.exists():
            for line in self.state.read_text("utf-8").splitlines():
                found = json.loads(line)
                self.paid[found["key"]] += 1
                self.store[found["key"]] = {"text": found["text"], "kind": found["kind"]}


# ---- the two formats -------------------------------------------------------------------------------------------------

def tokens(value) -> int:
    return max(1, len(json.dumps(value)) // 4)


def openai_schema(body: dict) -> dict | None:
    """Check a chat-completions body as the vendor does; return its schema."""
    if not isinstance(body.get("model"), str) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise BadRequest("you must provide a model parameter and messages")
    for message in body["messages"]:
        if message.get("role") not in ("system", "developer", "user", "assistant"):
            raise BadRequest(f"Invalid role {message.get('role')!r}")
    form = body.get("response_format") or {"type": "text"}
    if form["type"] != "json_schema":
        if form["type"] == "json_object" and "json" not in json.dumps(body["messages"]).lower():
            raise BadRequest("'messages' must contain the word 'json' in some form, to use 'response_format'")
        return None
    wanted = form.get("json_schema", {})
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wanted.get("name", "")) or not isinstance(wanted.get("schema"), dict):
        raise BadRequest("Missing required parameter: 'response_format.json_schema.name'")
    if wanted.get("strict"):
        check_strict(wanted["schema"])
    return wanted["schema"]


def check_strict(schema: dict):
    if schema.get("type") == "object":
        required = set(schema.get("required", ()))
        if schema.get("additionalProperties") is not False or required != set(schema["properties"]):
            raise BadRequest("Invalid schema for response_format: 'additionalProperties' is required to be supplied "
                             "and to be false, and 'required' to include every key in properties.")
        for part in schema["properties"].values():
            check_strict(part)


def openai_completion(key: str, body: dict, found: dict) -> dict:
    kind, text = found["kind"], found["text"]
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if kind == "refusal":
        message |= {"content": None, "refusal": "I'm sorry, I cannot help with that."}
    if kind in ("null", "filter"):
        message["content"] = None
    finish = {"length": "length", "filter": "content_filter"}.get(kind, "stop")
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]
    used = tokens(body["messages"]), tokens(text)
    return {"id": f"chatcmpl-{key[:12]}", "object": "chat.completion", "created": 1790000000, "model": body["model"],
            "choices": [] if kind == "empty" else choices, "service_tier": "default",
            "usage": {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}}


ANTHROPIC_FIELDS = {"model", "messages", "max_tokens", "system", "temperature", "output_config", "metadata",
                    "stop_sequences", "thinking", "top_p", "top_k", "stream", "service_tier", "tools", "tool_choice"}


def anthropic_schema(body: dict) -> dict | None:
    if unknown := set(body) - ANTHROPIC_FIELDS:
        raise BadRequest(f"{sorted(unknown)[0]}: Extra inputs are not permitted")
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if not isinstance(body.get(name), kind):
            raise BadRequest(f"{name}: Field required")
    if any(message.get("role") not in ("user", "assistant") for message in body["messages"]):
        raise BadRequest("messages: Unexpected role")
    form = (body.get("output_config") or {}).get("format")
    if form is None:
        return None
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise BadRequest("output_config.format: Input should be 'json_schema'")
    if form["schema"].get("type") == "object" and form["schema"].get("additionalProperties") is not False:
        raise BadRequest("output_config.format.schema: For 'object' type, 'additionalProperties' must be set to false")
    return form["schema"]


def anthropic_message(key: str, body: dict, found: dict) -> dict:
    kind, text = found["kind"], found["text"]
    block = {"type": "text", "text": text, "citations": None}
    content = [] if kind in ("empty", "null", "refusal", "filter") else [block]
    reason = {"length": "max_tokens", "refusal": "refusal", "filter": "refusal"}.get(kind, "end_turn")
    return {"id": f"msg_{key[:12]}", "type": "message", "role": "assistant", "model": body["model"], "content": content,
            "stop_reason": reason, "stop_sequence": None,
            "usage": {"input_tokens": tokens(body["messages"]), "output_tokens": tokens(text)}}


FORMATS = {"openai": (openai_schema, openai_completion), "anthropic": (anthropic_schema, anthropic_message)}


def error_body(vendor: str, status: int, name: str, secret: str) -> dict:
    message = MESSAGES.get(name, f"planted fault {name}")
    if status == 401:       # as the vendor does, more or less: the key comes back in the message
        message = f"Incorrect API key provided: {secret}. You can find your API key at your account."
    if vendor == "anthropic":
        return {"type": "error", "error": {"type": ANTHROPIC_KINDS.get(status, "api_error"), "message": message},
                "request_id": "req_planted"}
    return {"error": {"message": message, "type": "planted", "param": None, "code": CODES.get(name)}}


# ---- batches ---------------------------------------------------------------------------------------------------------

def make_batch(server: JudgeServer, vendor: str, requests: list[tuple[str, dict]], key: str, fields: dict) -> dict:
    with server.lock:
        for batch_id, batch in server.batches.items():
            if key and batch["key"] == key:
                server.replayed[f"batch:{key}"] += 1
                return batch
        ids = [custom for custom, _ in requests]
        if len(set(ids)) != len(ids):
            raise BadRequest("custom_id is not unique")
        batch_id = ("batch_" if vendor == "openai" else "msgbatch_") + f"{len(server.batches):04d}"
        server.batches[batch_id] = {"id": batch_id, "vendor": vendor, "key": key, "requests": requests, "polls": 0,
                                    "fields": fields, "lines": None, "over": False}
        return server.batches[batch_id]


def run_batch(server: JudgeServer, batch: dict) -> None:
    """Answer every request once and lay the results down as lines, with the planted faults."""
    if batch["lines"] is not None:
        return
    check, dress = FORMATS[batch["vendor"]]
    script, done, failed = server.batch_faults, [], []
    for place, (key, body) in enumerate(batch["requests"]):
        if place < script.get("missing", 0):
            continue
        if place < script.get("missing", 0) + script.get("expired", 0):
            failed.append(batch_failure(batch["vendor"], key, "expired"))
        elif place < script.get("missing", 0) + script.get("expired", 0) + script.get("errored", 0):
            failed.append(batch_failure(batch["vendor"], key, "errored"))
        else:
            fault, _ = server.next_fault(key)
            answer = dress(key, body, server.pay(key, check(body), fault, body))
            done.append(batch_success(batch["vendor"], key, answer))
    if script.get("reorder"):
        done.sort(key=lambda line: fraction(line["custom_id"]))
    done += done[:script.get("duplicate", 0)]
    batch["lines"], batch["failed"] = done, failed


def batch_success(vendor: str, key: str, answer: dict) -> dict:
    if vendor == "anthropic":
        return {"custom_id": key, "result": {"type": "succeeded", "message": answer}}
    return {"id": f"batch_req_{key[:8]}", "custom_id": key, "error": None,
            "response": {"status_code": 200, "request_id": f"req_{key[:8]}", "body": answer}}


def batch_failure(vendor: str, key: str, kind: str) -> dict:
    if vendor == "anthropic":
        error = {"type": "error", "request_id": None, "error": {"type": "api_error", "message": "planted"}}
        return {"custom_id": key, "result": {"type": "expired"} if kind == "expired" else
                {"type": "errored", "error": error}}
    if kind == "expired":
        said = "This request could not be executed before the completion window expired."
        return {"id": f"batch_req_{key[:8]}", "custom_id": key, "response": None,
                "error": {"code": "batch_expired", "message": said}}
    return {"id": f"batch_req_{key[:8]}", "custom_id": key, "error": None, "response": {
        "status_code": 500, "request_id": "req_x", "body": error_body("openai", 500, "500", "")}}


def batch_ended(server: JudgeServer, batch: dict) -> bool:
    """Each look at a running batch brings it nearer to its end."""
    with server.lock:
        batch["polls"] += 1
        if batch["polls"] <= server.batch_polls:
            return False
        batch["over"] = True
        if server.batch_faults.get("status") != "failed":
            run_batch(server, batch)
        return True


def openai_batch(server: JudgeServer, batch: dict, *, look: bool) -> dict:
    ended = look and batch_ended(server, batch) or batch["over"]
    status = server.batch_faults.get("status", "completed") if ended else "in_progress"
    lines, failed = batch["lines"] or [], batch.get("failed", [])
    shown = {"id": batch["id"], "object": "batch", "endpoint": "/v1/chat/completions", "completion_window": "24h",
             "created_at": 1790000000, "status": status, "errors": None, **batch["fields"],
             "output_file_id": f"out-{batch['id']}" if ended and lines else None,
             "error_file_id": f"err-{batch['id']}" if ended and failed else None,
             "request_counts": {"total": len(batch["requests"]), "completed": len(lines), "failed": len(failed)}}
    if status == "failed":
        shown["errors"] = {"object": "list", "data": [{"code": "invalid_json", "message": "planted", "line": 1}]}
    return shown


def anthropic_batch(server: JudgeServer, batch: dict, *, look: bool) -> dict:
    ended = look and batch_ended(server, batch) or batch["over"]
    lines, failed = batch["lines"] or [], batch.get("failed", [])
    left = 0 if ended else len(batch["requests"])
    when = "2026-11-21T08:00:00Z"
    return {"id": batch["id"], "type": "message_batch", "processing_status": "ended" if ended else "in_progress",
            "request_counts": {"processing": left, "succeeded": len(batch["requests"]) - left - len(failed),
                               "errored": len(failed), "canceled": 0, "expired": 0},
            "created_at": when, "expires_at": when, "ended_at": when if ended else None, "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{server.url}/v1/messages/batches/{batch['id']}/results" if ended else None}


def as_lines(server: JudgeServer, lines: list[dict]) -> bytes:
    data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    return data[:2 * len(data) // 3 - 5] if server.batch_faults.get("truncated") else data


# ---- HTTP ------------------------------------------------------------------------------------------------------------

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def judge(self) -> JudgeServer:
        return self.server.judge

    @property
    def vendor(self) -> str:
        return "anthropic" if self.path.startswith("/v1/messages") else "openai"

    def do_GET(self):
        self.serve("GET")

    def do_POST(self):
        self.serve("POST")

    def serve(self, method: str):
        path, judge = self.path.partition("?")[0].rstrip("/"), self.judge
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        if not path.startswith("/_"):
            with judge.lock:
                judge.requests[f"{method} {re.sub(r'(batch_|msgbatch_|file-|out-|err-)[^/]*', '*', path)}"] += 1
                judge.headers.append({name.lower(): value for name, value in self.headers.items()})
        try:
            for pattern, verb, handler in ROUTES:
                if verb == method and (match := re.fullmatch(pattern, path)):
                    handler(self, data, *match.groups())
                    return
            self.send(404, error_body(self.vendor, 404, f"no such path {path}", ""))
        except BadRequest as error:
            body = error_body(self.vendor, 400, "400", "")
            body["error"]["message"] = str(error)
            self.send(400, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, body, *, headers=(), kind="application/json", part=1.0, claim=None):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(claim or len(raw))),
                            ("request-id" if self.vendor == "anthropic" else "x-request-id", "req_local"), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw[:int(len(raw) * part)])
        self.wfile.flush()

    def secret(self) -> str:
        return self.headers.get("x-api-key") or (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def answer_call(self, data: bytes):
        """One chat completion or message, or its planted fault."""
        judge, vendor = self.judge, self.vendor
        body = json.loads(data)
        key = self.headers.get("Idempotency-Key") or f"unkeyed-{len(judge.headers)}-{time.monotonic_ns()}"
        with judge.lock:
            judge.bodies.append(body)
        if not self.secret() or (vendor == "anthropic" and not self.headers.get("anthropic-version")):
            return self.send(401, error_body(vendor, 401, "401", self.secret()))
        check, dress = FORMATS[vendor]
        schema = check(body)
        fault, argument = judge.next_fault(key)
        if fault in STATUS_OF:
            return self.refuse(fault, argument)
        if judge.latency:
            time.sleep(judge.latency)
        found = dress(key, body, judge.pay(key, schema, fault, body))
        raw = json.dumps(found).encode()
        if fault == "slow":
            time.sleep(float(argument or 2))
        if fault == "cut":
            self.close_connection = True
            return self.send(200, raw[:len(raw) // 2], claim=len(raw))
        if fault == "truncated":
            return self.send(200, raw[:len(raw) // 2])
        if fault == "html-200":
            return self.send(200, b"<html>log in</html>", kind="text/html")
        return self.send(200, raw)

    def refuse(self, fault: str, argument: str):
        if fault == "cut-before":
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(2)
            return
        if fault == "html":
            return self.send(502, b"<html><h1>Bad gateway</h1></html>", kind="text/html")
        later = email.utils.formatdate(time.time() + float(argument or 1), usegmt=True)
        headers = {"429-ms": [("retry-after-ms", argument)], "429-date": [("retry-after", later)],
                   }.get(fault, [("retry-after", argument)] if argument else [])
        self.send(STATUS_OF[fault], error_body(self.vendor, STATUS_OF[fault], fault, self.secret()), headers=headers)

    def counts(self, data: bytes):
        self.send(200, self.judge.counts())

    def script(self, data: bytes):
        self.judge.script(**json.loads(data))
        self.send(200, {})

    def early_fault(self, name: str) -> bool:
        """Faults of the batch endpoints themselves: faults_of["upload" | "create" | "retrieve" | "results"]."""
        queue = self.judge.faults_of.get(name)
        if not queue:
            return False
        fault, _, argument = queue.pop(0).partition(":")
        if fault == "slow":
            time.sleep(float(argument))
            return False
        self.refuse(fault, argument)
        return True

    def upload(self, data: bytes):
        if self.early_fault("upload"):
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
        parts = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
                 for part in message.iter_parts()}
        if parts.get("purpose") != b"batch":
            raise BadRequest("purpose must be batch")
        with self.judge.lock:
            name = f"file-{len(self.judge.uploads):04d}"
            self.judge.uploads[name] = parts["file"].decode()
        self.send(200, {"id": name, "object": "file", "bytes": len(parts["file"]), "created_at": 1790000000,
                        "filename": "batch.jsonl", "purpose": "batch", "status": "processed"})

    def create_openai(self, data: bytes):
        if self.early_fault("create"):
            return
        body = json.loads(data)
        if body.get("completion_window") != "24h" or body.get("endpoint") != "/v1/chat/completions":
            raise BadRequest("Invalid completion_window or endpoint")
        if body.get("input_file_id") not in self.judge.uploads:
            raise BadRequest("no such file")
        lines = [json.loads(line) for line in self.judge.uploads[body["input_file_id"]].splitlines()]
        for line in lines:
            if set(line) != {"custom_id", "method", "url", "body"} or line["url"] != body["endpoint"]:
                raise BadRequest("a line is not custom_id, method, url, body")
            openai_schema(line["body"])
        fields = {"input_file_id": body["input_file_id"], "metadata": body.get("metadata")}
        batch = make_batch(self.judge, "openai", [(line["custom_id"], line["body"]) for line in lines],
                           self.headers.get("Idempotency-Key") or "", fields)
        self.after_create(openai_batch(self.judge, batch, look=False))

    def create_anthropic(self, data: bytes):
        if self.early_fault("create"):
            return
        body = json.loads(data)
        for request in body["requests"]:
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", request["custom_id"]):
                raise BadRequest("requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")
            anthropic_schema(request["params"])
        batch = make_batch(self.judge, "anthropic", [(line["custom_id"], line["params"]) for line in body["requests"]],
                           self.headers.get("Idempotency-Key") or "", {})
        self.after_create(anthropic_batch(self.judge, batch, look=False))

    def after_create(self, shown: dict):
        """The batch is made; faults_of["created"] holds the answer back ("slow:2") or cuts it ("cut")."""
        if queue := self.judge.faults_of.get("created"):
            fault, _, argument = queue.pop(0).partition(":")
            if fault == "slow":
                time.sleep(float(argument))
            if fault == "cut":
                raw = json.dumps(shown).encode()
                self.close_connection = True
                return self.send(200, raw[:len(raw) // 2], claim=len(raw))
        return self.send(200, shown)

    def found(self, batch_id: str) -> dict:
        if batch_id not in self.judge.batches:
            raise BadRequest(f"no such batch {batch_id}")
        return self.judge.batches[batch_id]

    def show_openai(self, data: bytes, batch_id: str):
        if not self.early_fault("retrieve"):
            self.send(200, openai_batch(self.judge, self.found(batch_id), look=True))

    def show_anthropic(self, data: bytes, batch_id: str):
        if not self.early_fault("retrieve"):
            self.send(200, anthropic_batch(self.judge, self.found(batch_id), look=True))

    def list_openai(self, data: bytes):
        shown = [openai_batch(self.judge, batch, look=False) for batch in reversed(self.judge.batches.values())
                 if batch["vendor"] == "openai"]
        self.send(200, {"object": "list", "data": shown, "has_more": False,
                        "first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None})

    def list_anthropic(self, data: bytes):
        # time passes for batches that are only listed, too: a run that lost an id cannot look at the batch itself
        shown = [anthropic_batch(self.judge, batch, look=True) for batch in reversed(self.judge.batches.values())
                 if batch["vendor"] == "anthropic"]
        self.send(200, {"data": shown, "has_more": False, "first_id": None, "last_id": None})

    def file_content(self, data: bytes, file_id: str):
        if self.early_fault("results"):
            return
        batch = self.found(file_id.partition("-")[2])
        lines = batch["lines"] if file_id.startswith("out-") else batch["failed"]
        self.send(200, as_lines(self.judge, lines), kind="application/octet-stream")

    def results_anthropic(self, data: bytes, batch_id: str):
        if self.early_fault("results"):
            return
        batch = self.found(batch_id)
        lines = sorted(batch["lines"] + batch["failed"], key=lambda line: fraction(line["custom_id"])) \
            if self.judge.batch_faults.get("reorder") else batch["lines"] + batch["failed"]
        self.send(200, as_lines(self.judge, lines), kind="application/x-jsonl")


ROUTES = [
    (r"/_counts", "GET", Handler.counts),
    (r"/_script", "POST", Handler.script),
    (r"/v1/chat/completions", "POST", Handler.answer_call),
    (r"/v1/messages", "POST", Handler.answer_call),
    (r"/v1/files", "POST", Handler.upload),
    (r"/v1/files/([\w-]+)/content", "GET", Handler.file_content),
    (r"/v1/batches", "POST", Handler.create_openai),
    (r"/v1/batches", "GET", Handler.list_openai),
    (r"/v1/batches/(\w+)", "GET", Handler.show_openai),
    (r"/v1/messages/batches", "POST", Handler.create_anthropic),
    (r"/v1/messages/batches", "GET", Handler.list_anthropic),
    (r"/v1/messages/batches/(\w+)", "GET", Handler.show_anthropic),
    (r"/v1/messages/batches/(\w+)/results", "GET", Handler.results_anthropic),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rates", default="", help="NAME=SHARE,NAME=SHARE")
    parser.add_argument("--batch-polls", type=int, default=1)
    given = parser.parse_args()
    rates = {name: float(share) for name, share in (pair.split("=") for pair in given.rates.split(",") if pair)}
    server = JudgeServer(state=given.state, latency=given.latency, rates=rates, batch_polls=given.batch_polls)
    ready = given.port_file.with_suffix(".part")
    ready.write_text(str(server.port))
    ready.replace(given.port_file)
    server.http.serve_forever()


if __name__ == "__main__":
    main()
