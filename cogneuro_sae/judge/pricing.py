"""Dated list prices of models; a model without a line has no price, which is said and never taken for zero."""

from __future__ import annotations

import re
from typing import NamedTuple

BATCH_SHARE = 0.5      # both vendors bill a batch at half the list price
_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


class Price(NamedTuple):
    """List price of a model, per million tokens, without caching.

    Parameters
    ----------
    input_per_million : float
        Of what is sent.
    output_per_million : float
        Of what is answered; hidden thinking counts as answered.
    currency : str
        Such as "USD".
    date : str
        Day on which it was published or known to hold, YYYY-MM-DD; vendors change prices.
    """

    input_per_million: float
    output_per_million: float
    currency: str
    date: str


def _usd(date: str, **prices: tuple[float, float]) -> dict[str, Price]:
    return {name: Price(float(sent), float(answered), "USD", date) for name, (sent, answered) in prices.items()}


PRICES: dict[str, Price] = {
    **_usd("2026-10-08", **{"claude-haiku-5-5": (0.10, 0.50)}),      # prompts up to 100,000 tokens
    **_usd("2026-09-22", **{"gpt-6-luna": (0.10, 0.50), "gpt-6-sol": (2, 10)}),
    **_usd("2026-09-03", **{"gpt-6-astra": (10, 50)}),
    **_usd("2026-07-30", **{"gpt-5.6-luna": (0.20, 1.20), "gpt-5.6-terra": (2, 12), "gpt-5.6-sol": (5, 30)}),
    **_usd("2026-03-21", **{
        "gpt-5.4": (2.50, 15), "gpt-5.1": (1.25, 10), "gpt-5": (1.25, 10), "gpt-5-mini": (0.25, 2),
        "gpt-5-nano": (0.05, 0.40), "gpt-4.1": (2, 8), "gpt-4.1-mini": (0.40, 1.60), "gpt-4.1-nano": (0.10, 0.40),
        "gpt-4o": (2.50, 10), "gpt-4o-mini": (0.15, 0.60),
        "claude-opus-4-6": (5, 25), "claude-opus-4-5": (5, 25), "claude-sonnet-4-6": (3, 15),
        "claude-sonnet-4-5": (3, 15), "claude-haiku-4-5": (1, 5),
    }),
}


def price(model: str) -> Price | None:
    """Return the list price of a model, None where the table has none.

    Parameters
    ----------
    model : str
        The vendor's name of it; a date at its end (`-20251001`, `-2025-08-07`) is left off when the full name has no
        line of its own.
    """
    return PRICES.get(model) or PRICES.get(_DATED.sub("", model))


def cost(of: Price | None, tokens_in: int, tokens_out: int, *, batch: bool = False) -> float | None:
    """Return what tokens cost, in the price's currency; None without a price.

    Parameters
    ----------
    of : Price or None
        As `price` returns it, or a provider's `price`.
    tokens_in, tokens_out : int
        As the provider counts them.
    batch : bool
        Whether they went through a batch.
    """
    if of is None:
        return None
    full = (tokens_in * of.input_per_million + tokens_out * of.output_per_million) / 1e6
    return full * BATCH_SHARE if batch else full
