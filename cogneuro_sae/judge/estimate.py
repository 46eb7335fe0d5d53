"""What calls would cost before any is made: for --dry-run, for asking above a limit, for what a budget sets aside."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge import pricing
from cogneuro_sae.judge.messages import Provider, Reply, Request

CHARACTERS_PER_TOKEN = 3.5
"""English prompts with JSON in them; the estimate is rough and says so, a budget never relies on it."""
FRAME_TOKENS = 64
"""More than the roles and separators that a vendor adds to a prompt."""
ANSWER_SHARE = 0.5
"""Share of the allowed length that answers are expected to take."""


class Estimate(NamedTuple):
    """What some requests would take.

    Parameters
    ----------
    calls : int
        Requests.
    tokens_in : int
        About as many tokens sent.
    tokens_out : int
        About as many answered.
    cost : float or None
        About as much money; 0 where calls are free, None where no price is known.
    price_line : str
        The price it rests on, with its date.
    """

    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    price_line: str


def estimate(requests: Iterable[Request], provider: Provider, *, batch: bool = False) -> Estimate:
    """Return what requests to a rater would take.

    Parameters
    ----------
    requests : iterable of Request
        Those that would be sent.
    provider : Provider
        Whom; anything with `name`, `model`, `paid` and perhaps `price` will do.
    batch : bool
        Whether they would go through a batch.

    Returns
    -------
    Estimate
    """
    calls = tokens_in = tokens_out = 0
    for request in requests:
        calls += 1
        tokens_in += math.ceil(len(_sent(request)) / CHARACTERS_PER_TOKEN)
        tokens_out += math.ceil(_most_answered(request, provider) * (0.1 if request.options else ANSWER_SHARE))
    if not provider.paid:
        return Estimate(calls, tokens_in, tokens_out, 0.0, f"{provider.name}: no charge")
    price = getattr(provider, "price", None) or pricing.price(provider.model)
    return Estimate(calls, tokens_in, tokens_out, pricing.cost(price, tokens_in, tokens_out, batch=batch),
                    _price_line(provider.name, price, batch))


def _price_line(name: str, price: pricing.Price | None, batch: bool) -> str:
    if price is None:
        return f"{name}: no price is known"
    return (f"{name}: {price.input_per_million:g} {price.currency} per million tokens sent, "
            f"{price.output_per_million:g} answered, prices of {price.date}"
            f"{f', in a batch times {pricing.BATCH_SHARE:g}' if batch else ''}")


def largest_cost(request: Request, provider: Provider, cost: Callable[[Reply], float | None],
                 budget: float | None = None) -> float:
    """Return the most that a call can cost: a token for every byte sent, and an answer of full length.

    Parameters
    ----------
    request : Request
    provider : Provider
        Who would answer.
    cost : callable
        Price of a reply from its tokens; None = unknown.
    budget : float, optional
        With a budget an unknown price is an error, without one it counts as 0.

    Returns
    -------
    float

    Raises
    ------
    InputError
        A budget is set and the price is unknown.
    """
    if not provider.paid:
        return 0.0
    tokens = len(_sent(request).encode("utf-8", "replace")) + FRAME_TOKENS
    price = cost(Reply(text="", tokens_in=tokens, tokens_out=_most_answered(request, provider)))
    if price is None and budget is not None:
        raise InputError(f"no price is known for {provider.name}, so a budget of {budget:g} cannot be kept",
                         do="give the rater a price, or leave out the budget")
    return price or 0.0


def _sent(request: Request) -> str:
    schema = json.dumps(request.schema) if request.schema else ""
    return f"{request.system}{request.user}{schema}"


def _most_answered(request: Request, provider: Provider) -> int:
    # a rater's own max_tokens leaves room for hidden thinking, which is billed as answered
    return getattr(provider, "max_tokens", None) or request.max_tokens


def confirm(cost: float | None, limit: float | None, *, yes: bool = False,
            ask: Callable[[str], str] | None = None) -> None:
    """Let a person agree before more than a limit is spent.

    Parameters
    ----------
    cost : float or None
        Of all raters together; None = unknown, which is above every limit.
    limit : float or None
        `confirm_above` of the config; None = never ask.
    yes : bool
        Agreed beforehand, on the command line.
    ask : callable, optional
        Puts a question and returns the answer; by default on the terminal, where there is one.

    Raises
    ------
    InputError
        Not agreed, or nobody there to agree.
    """
    if yes or limit is None or (cost is not None and cost <= limit):
        return
    what = "an unknown amount" if cost is None else f"about {cost:.2f}"
    if ask is None and not (sys.stdin and sys.stdin.isatty()):
        raise InputError(f"these calls would cost {what}, more than confirm_above {limit:g}", where="confirm_above",
                         do="run with --yes to agree, or --dry-run to see the estimate")
    answer = (ask or _ask_terminal)(f"These calls would cost {what} (confirm_above is {limit:g}). Go on? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise InputError(f"not agreed to spend {what} (answer {plain(answer, width=20)!r})", where="confirm_above",
                         do="nothing was sent; lower the numbers in the config, or agree with --yes")


def _ask_terminal(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()
