"""After a call: what its reply says and costs, or how long to wait before it is repeated."""

from __future__ import annotations

import random
from collections.abc import Callable

from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.parsing import Parsed

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the first repeat of a call, and the most that doubling leads to."""


def waiting_time(key: str, attempt: int, after: float | None = None) -> float:
    """Return how long to wait before a call is repeated: doubling, with a jitter that depends on the call alone.

    Parameters
    ----------
    key : str
        Of the request; the same call waits equally long in every run, different calls do not come back together.
    attempt : int
        Repeats so far, from 0.
    after : float, optional
        Seconds the server asked for; never less than that.

    Returns
    -------
    float
        Seconds.
    """
    jitter = random.Random(f"{key} {attempt}").uniform(0.5, 1.0)
    wait = min(FIRST_WAIT * 2 ** min(attempt, 16), LONGEST_WAIT) * jitter
    return wait if after is None else max(wait, after + 0.1 * jitter * min(after, 10.0))


def read(request: Request, reply: Reply, parse: Callable[[Request, Reply], Parsed],
         cost: Callable[[Reply], float | None]) -> tuple[Parsed, float | None, Exception | None]:
    """Return what a reply says and costs; a parser that fails must not lose a reply that was paid for.

    Parameters
    ----------
    request : Request
    reply : Reply
    parse, cost : callable
        As in `run_calls`.

    Returns
    -------
    parsed : Parsed
    price : float or None
    fault : Exception or None
        What the parser or the price raised: to be raised again when the reply is written down.
    """
    parsed, price = Parsed(float("nan"), {}, "unparsable", "the parser failed on this reply"), None
    try:
        price = cost(reply)
        parsed = parse(request, reply)
    except Exception as error:
        return parsed, price, error
    return parsed, price, None
