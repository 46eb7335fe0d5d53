"""What passes between the judge and whoever answers: a request, a reply, an error, and the provider's protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

STATUSES = ("ok", "refusal", "truncated", "error")


class Request(NamedTuple):
    """One question to one rater.

    Parameters
    ----------
    key : str
        Identity of the call; also sent as idempotency key and as the name of the call in a batch.
    system : str
        The rules: rubric and form of the answer.
    user : str
        The untrusted part, delimited, with the rubric repeated after it.
    options : tuple of str
        The allowed answers; () = free JSON.
    schema : dict or None
        JSON schema of the structured output; None = plain text.
    max_tokens : int
        Most tokens of the answer.
    item : Item or None
        What is asked about; only raters in this process read it, it never leaves the machine.
    """

    key: str
    system: str
    user: str
    options: tuple[str, ...] = ()
    schema: dict | None = None
    max_tokens: int = 256
    item: Item | None = None  # noqa: F821  (cogneuro_sae.judge.items imports this module)


class Reply(NamedTuple):
    """What came back, read no further than into text and status.

    Parameters
    ----------
    text : str
        The answer's text, "" where there is none.
    raw : str
        The provider's JSON as received.
    status : str
        "ok" | "refusal" | "truncated" | "error".
    reason : str
        Why the status is not "ok".
    tokens_in, tokens_out : int
        Tokens as the provider counts them.
    seconds : float
        Time the call took; 0 in a batch.
    logprobs : dict of str to float, or None
        Natural log-probability of each option, where the provider gives it.
    request_id : str
        The provider's name of the call.
    """

    text: str
    raw: str = ""
    status: str = "ok"
    reason: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    logprobs: dict[str, float] | None = None
    request_id: str = ""


class ProviderError(Exception):
    """A call without an answer.

    Parameters
    ----------
    reason : str
        What happened, without any key.
    retry : bool
        Whether the same call may be sent again.
    after : float, optional
        Seconds the server asked to wait.
    fatal : bool
        Whether every other call would fail too (wrong key, no such model): the run stops.
    lost : bool
        Whether an answer may have been made, and charged, that did not arrive; False where the server made none.
    """

    def __init__(self, reason: str, *, retry: bool = False, after: float | None = None, fatal: bool = False,
                 lost: bool = True):
        super().__init__(reason)
        self.reason, self.retry, self.after, self.fatal, self.lost = reason, retry, after, fatal, lost

    def __reduce__(self):
        return _rebuild, (self.reason, self.retry, self.after, self.fatal, self.lost)


def _rebuild(reason: str, retry: bool, after: float | None, fatal: bool, lost: bool) -> ProviderError:
    return ProviderError(reason, retry=retry, after=after, fatal=fatal, lost=lost)


@runtime_checkable
class BatchApi(Protocol):
    """Many calls handed over at once and fetched later."""

    def send(self, requests: Sequence[Request]) -> str:
        """Hand over requests; keys are unique.

        Parameters
        ----------
        requests : sequence of Request
            At least one.

        Returns
        -------
        str
            The batch's id.

        Raises
        ------
        ProviderError
            The server did not take it.
        """

    def find(self, requests: Sequence[Request]) -> str | None:
        """Look for a batch of exactly these requests, handed over earlier; a run that was killed asks before it sends.

        Parameters
        ----------
        requests : sequence of Request
            What was to be sent.

        Returns
        -------
        str or None
            The batch's id; None = the server has none.

        Raises
        ------
        ProviderError
            The server did not answer, or cannot tell yet (`retry` with `after`).
        """

    def state(self, batch_id: str) -> str:
        """Ask how far a batch is.

        Parameters
        ----------
        batch_id : str
            As `send` returned it.

        Returns
        -------
        str
            "running", "ended" (results can be fetched, also of a batch that expired half-way) or "failed:reason".

        Raises
        ------
        ProviderError
            The server did not answer.
        """

    def results(self, batch_id: str) -> Iterator[tuple[str, Reply]]:
        """Fetch what an ended batch holds: every key at most once, in any order; keys may be missing.

        Parameters
        ----------
        batch_id : str
            As `send` returned it.

        Yields
        ------
        key : str
            The request's key.
        reply : Reply
            Its reply; status "error" where the server says so.

        Raises
        ------
        ProviderError
            The results could not be read to their end.
        """


@runtime_checkable
class Provider(Protocol):
    """Whoever answers requests."""

    name: str
    """For instance "openai:gpt-5-mini"; "as" of the config where given."""
    is_judge: bool
    """False for baselines that do not read the prompt."""
    paid: bool
    """Whether a call may cost money."""
    model: str
    """The model's name as the provider knows it."""
    batch: BatchApi | None
    """The batch side, None where there is none."""

    def answer(self, request: Request) -> Reply:
        """Answer one request.

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
