"""Anthropic's messages API, sync and Message Batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import ModuleType

from cogneuro_sae.judge.messages import ProviderError, Reply, Request
from cogneuro_sae.judge.providers import anthropic_format
from cogneuro_sae.judge.providers.context import Context
from cogneuro_sae.judge.providers.network import asked, digest_of, load_sdk, named, once, read_json, read_lines
from cogneuro_sae.judge.providers.openai import key_of, notes_of, own_price
from cogneuro_sae.judge.providers.spec import RaterSpec
from cogneuro_sae.judge.secrets import scrub

LOOKED_AT = 100      # newest batches that `find` looks through
LATER = 60.0         # seconds until a running batch is worth another look


class AnthropicApi:
    """A model behind the messages API.

    Parameters
    ----------
    spec : RaterSpec
        The rater.
    context : Context
        Not used: nothing but the request is sent.

    Raises
    ------
    SetupError
        The SDK or the key is missing.
    """

    is_judge = True
    paid = True

    def __init__(self, spec: RaterSpec, context: Context):
        self._sdk = load_sdk("anthropic", spec.name)
        self.spec, self.name, self.model = spec, spec.name, spec.model_name
        self.price, self.notes, self.max_tokens = own_price(spec), notes_of(spec), spec.limit
        self._client = self._sdk.Anthropic(
            api_key=key_of(spec), base_url=spec.base_url or "https://api.anthropic.com", timeout=spec.timeout,
            max_retries=0)
        self.batch = AnthropicBatches(self._sdk, self._client, spec) if spec.batch else None

    def __repr__(self) -> str:
        return f"AnthropicApi({self.name!r})"

    def answer(self, request: Request) -> Reply:
        """Answer one request by one call; nothing is retried here.

        Parameters
        ----------
        request : Request
            What is asked.

        Returns
        -------
        Reply

        Raises
        ------
        ProviderError
            No answer came.
        """
        begun = time.monotonic()
        body = anthropic_format.as_body(request, self.spec)
        found = asked(self._sdk, lambda: self._client.messages.with_raw_response.create(
            **_known(body), extra_headers={"Idempotency-Key": request.key}).http_response)
        body, raw = read_json(found)
        return anthropic_format.as_reply(body, raw, seconds=time.monotonic() - begun,
                                         request_id=scrub(found.headers.get("request-id", "")))


def _known(body: dict) -> dict:
    """Arguments of `create`; what one version of the SDK knows and another does not travels in extra_body."""
    plain = {name: body[name] for name in ("model", "messages", "max_tokens", "system")}
    return plain | {"extra_body": {name: value for name, value in body.items() if name not in plain}}


class AnthropicBatches:
    """Message Batches.

    Parameters
    ----------
    sdk : module
        The SDK.
    client : anthropic.Anthropic
        A client of it.
    spec : RaterSpec
        The rater.
    """

    def __init__(self, sdk: ModuleType, client: object, spec: RaterSpec):
        self._sdk, self._client, self._spec = sdk, client, spec

    def send(self, requests: Sequence[Request]) -> str:
        """Hand over requests.

        Parameters
        ----------
        requests : sequence of Request
            At least one, each with a key of its own of at most 64 letters, digits, _ and -.

        Returns
        -------
        str
            The batch's id.

        Raises
        ------
        InputError
            No request, or two with one key.
        ProviderError
            The server did not take it.
        """
        digest = digest_of(requests)
        calls = [{"custom_id": request.key, "params": anthropic_format.as_body(request, self._spec)}
                 for request in requests]
        made = asked(self._sdk, lambda: self._client.messages.batches.create(
            requests=calls, extra_headers={"Idempotency-Key": digest}))
        return named(made, "id")

    def find(self, requests: Sequence[Request]) -> str | None:
        """Look for a batch of exactly these requests: of the same size, and with one of the keys among its results.

        Parameters
        ----------
        requests : sequence of Request
            What was to be sent.

        Returns
        -------
        str or None
            The newest such batch.

        Raises
        ------
        ProviderError
            The server did not answer, or a batch of this size still runs: its keys show only when it has ended.
        """
        digest_of(requests)
        keys = {request.key for request in requests}
        for made in asked(self._sdk, lambda: self._client.messages.batches.list(limit=LOOKED_AT).data):
            if sum(made.request_counts.model_dump().values()) != len(keys):
                continue
            if made.processing_status != "ended":
                raise ProviderError(f"a batch of {len(keys)} calls still runs ({made.id}); its keys show at its end",
                                    retry=True, after=LATER, lost=False)
            if next((key for key, _ in self.results(made.id)), None) in keys:
                return str(made.id)
        return None

    def state(self, batch_id: str) -> str:
        """Ask how far a batch is.

        Parameters
        ----------
        batch_id : str
            As `send` returned it.

        Returns
        -------
        str
            "running", "ended" or "failed:reason".

        Raises
        ------
        ProviderError
            The server did not answer.
        """
        made = asked(self._sdk, lambda: self._client.messages.batches.retrieve(batch_id))
        if named(made, "processing_status") != "ended":
            return "running"
        return "ended" if made.results_url else "failed:its results are no longer kept (after 29 days)"

    def results(self, batch_id: str) -> Iterator[tuple[str, Reply]]:
        """Fetch the results of a batch, every key once.

        Parameters
        ----------
        batch_id : str
            As `send` returned it.

        Yields
        ------
        key : str
            The request's key.
        reply : Reply
            Its reply; status "error" where the call failed, expired or was cancelled.

        Raises
        ------
        ProviderError
            The file could not be read to its end.
        """
        return once(self._read(batch_id))

    def _read(self, batch_id: str) -> Iterator[tuple[str, Reply]]:
        for line, raw in read_lines(iter((asked(self._sdk, lambda: self._content(batch_id)),))):
            yield line["custom_id"], anthropic_format.of_line(line, raw)

    def _content(self, batch_id: str) -> bytes:
        # past the SDK's own reader of lines, which keeps neither the raw line nor what it did not know of
        with self._client.messages.batches.with_streaming_response.results(batch_id) as response:
            return b"".join(response.iter_bytes())
