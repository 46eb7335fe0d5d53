"""OpenAI and every endpoint that speaks its chat-completions format: vLLM, llama.cpp, Ollama ...; sync and batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import ModuleType

from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.pricing import Price, price
from cogneuro_sae.judge.providers import openai_format
from cogneuro_sae.judge.providers.context import Context
from cogneuro_sae.judge.providers.defaults import KEY_VARIABLES, family
from cogneuro_sae.judge.providers.network import asked, digest_of, load_sdk, named, once, read_json, read_lines
from cogneuro_sae.judge.providers.spec import RaterSpec
from cogneuro_sae.judge.secrets import read_key, scrub

NO_KEY = "none"
MARK = "cogneuro_sae"      # field of a batch's metadata that holds its digest


def own_price(spec: RaterSpec) -> Price | None:
    """Return the price of a rater: as its settings say, else of the table; None = not known.

    Parameters
    ----------
    spec : RaterSpec
        The rater.
    """
    return Price(*spec.price, "USD", "as set") if spec.price is not None else price(spec.model_name)


def key_of(spec: RaterSpec) -> str:
    """Return the key to send: the vendor's own goes to the vendor alone, another address needs `key_env`.

    Parameters
    ----------
    spec : RaterSpec
        The rater.

    Returns
    -------
    str
        "none" for an address without `key_env`: servers of one's own ask for no key, and the SDKs insist on one.

    Raises
    ------
    SetupError
        The variable is not set.
    """
    if spec.base_url and not spec.key_env:
        return NO_KEY
    return read_key(spec.key_env or KEY_VARIABLES[spec.provider], provider=f"the rater {spec.name!r}")


def notes_of(spec: RaterSpec) -> tuple[str, ...]:
    """Return what a reader should know about how a rater is asked.

    Parameters
    ----------
    spec : RaterSpec
        The rater.
    """
    notes = []
    if spec.temperature is None and not family(spec.model_name).temperature:
        notes.append(f"{spec.model_name} takes no temperature: its repeats vary by its own sampling")
    if spec.base_url and not spec.key_env:
        notes.append(f"no key is sent to {spec.base_url}: name its variable with key_env if it asks for one")
    if own_price(spec) is None:
        notes.append(f"no price is known for {spec.model_name}: costs are missing, set price to count them")
    if spec.structured != "json_schema":
        notes.append(f"the form of the answer is not enforced by the endpoint (structured: {spec.structured})")
    return tuple(notes)


class OpenAICompatible:
    """A model behind a chat-completions endpoint.

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
        self._sdk = load_sdk("openai", spec.name)
        self.spec, self.name, self.model = spec, spec.name, spec.model_name
        self.price, self.notes, self.max_tokens = own_price(spec), notes_of(spec), spec.limit
        # base_url and the rest are given even where None would do: the SDK would read OPENAI_* variables of its own
        self._client = self._sdk.OpenAI(
            api_key=key_of(spec), base_url=spec.base_url or "https://api.openai.com/v1", timeout=spec.timeout,
            max_retries=0)
        self.batch = OpenAIBatches(self._sdk, self._client, spec) if spec.batch else None

    def __repr__(self) -> str:
        return f"OpenAICompatible({self.name!r})"

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
        body = openai_format.as_body(request, self.spec)
        found = asked(self._sdk, lambda: self._client.chat.completions.with_raw_response.create(
            **_known(body), extra_headers={"Idempotency-Key": request.key}).http_response)
        body, raw = read_json(found)
        return openai_format.as_reply(body, raw, seconds=time.monotonic() - begun,
                                      request_id=scrub(found.headers.get("x-request-id", "")))


def _known(body: dict) -> dict:
    """Arguments of `create`; what an older SDK does not know travels in extra_body."""
    plain = {name: body[name] for name in ("model", "messages")}
    return plain | {"extra_body": {name: value for name, value in body.items() if name not in plain}}


class OpenAIBatches:
    """The Batch API: a file of requests, a batch over it, a file of results and one of failures.

    Parameters
    ----------
    sdk : module
        The SDK.
    client : openai.OpenAI
        A client of it.
    spec : RaterSpec
        The rater.
    """

    def __init__(self, sdk: ModuleType, client: object, spec: RaterSpec):
        self._sdk, self._client, self._spec = sdk, client, spec

    def send(self, requests: Sequence[Request]) -> str:
        """Hand over requests; the same requests handed over again under the idempotency key are one batch.

        Parameters
        ----------
        requests : sequence of Request
            At least one, each with a key of its own.

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
        lines = "".join(openai_format.as_line(request, self._spec) for request in requests)
        file = named(asked(self._sdk, lambda: self._client.files.create(
            file=(f"{digest[:16]}.jsonl", lines.encode()), purpose="batch")), "id")
        made = asked(self._sdk, lambda: self._client.batches.create(
            input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h", metadata={MARK: digest},
            extra_headers={"Idempotency-Key": digest}))
        return named(made, "id")

    def find(self, requests: Sequence[Request]) -> str | None:
        """Look for a batch of exactly these requests by the digest in its metadata.

        Parameters
        ----------
        requests : sequence of Request
            What was to be sent.

        Returns
        -------
        str or None
            The newest such batch that did not fail.

        Raises
        ------
        ProviderError
            The server did not answer.
        """
        digest = digest_of(requests)
        for made in asked(self._sdk, lambda: list(self._client.batches.list(limit=100))):
            if (made.metadata or {}).get(MARK) == digest and made.status not in ("failed", "cancelled", "cancelling"):
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
        made = self._get(batch_id)
        if made.status == "failed":
            faults = (made.errors.data if made.errors else None) or []
            said = "; ".join(f"{fault.code}: {fault.message}" for fault in faults)[:300]
            return scrub(f"failed:{said or 'no reason given'}")
        if made.status in ("completed", "expired", "cancelled"):
            # a batch that expired half-way holds what was done until then
            held = made.output_file_id or made.error_file_id
            return "ended" if held else f"failed:the batch is {made.status} and holds no results"
        return "running"

    def results(self, batch_id: str) -> Iterator[tuple[str, Reply]]:
        """Fetch the results and the failures of a batch, every key once.

        Parameters
        ----------
        batch_id : str
            As `send` returned it.

        Yields
        ------
        key : str
            The request's key.
        reply : Reply
            Its reply.

        Raises
        ------
        ProviderError
            A file could not be read to its end.
        """
        made = self._get(batch_id)
        return once(pair for file in (made.output_file_id, made.error_file_id) if file for pair in self._read(file))

    def _get(self, batch_id: str):
        made = asked(self._sdk, lambda: self._client.batches.retrieve(batch_id))
        named(made, "status")
        return made

    def _read(self, file_id: str) -> Iterator[tuple[str, Reply]]:
        content = asked(self._sdk, lambda: self._client.files.content(file_id).read())
        for line, raw in read_lines(iter((content,))):
            yield line["custom_id"], openai_format.of_line(line, raw)
