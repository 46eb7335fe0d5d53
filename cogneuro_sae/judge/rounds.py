"""One round of a judge run: items become calls in the ledger, raters answer them, and what is left is said."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from cogneuro_sae.errors import CogneuroError, InputError, SetupError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.judge import pricing
from cogneuro_sae.judge.batches import run_batches
from cogneuro_sae.judge.calls import Outcome, run_calls
from cogneuro_sae.judge.estimate import Estimate, confirm, estimate
from cogneuro_sae.judge.inputs import Inputs
from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.ledger import Ledger, request_hash
from cogneuro_sae.judge.messages import Provider, Reply, Request
from cogneuro_sae.judge.parsing import Parsed
from cogneuro_sae.judge.prompts import nonce_of
from cogneuro_sae.judge.providers import RaterSpec
from cogneuro_sae.judge.rubrics import build_request, get_rubric, parse_reply


class Call(NamedTuple):
    """A request and its row in the ledger.

    Parameters
    ----------
    request : Request
        What is asked.
    row : dict
        Fields of `Ledger.plan`.
    """

    request: Request
    row: dict


def calls_of(inputs: Inputs, items: Iterable[Item], spec: RaterSpec) -> Iterator[Call]:
    """Yield the calls of one rater: every item in every wording and repeat, in the blind order of the items.

    Parameters
    ----------
    inputs : Inputs
        Concept, wordings, repeats.
    items : iterable of Item
        What is asked about.
    spec : RaterSpec
        Who is asked.

    Yields
    ------
    Call
    """
    rater = inputs.raters[spec]
    for repeat in range(inputs.config.repeats):
        for item in items:
            for wording in inputs.wordings[item.rubric]:
                asked = [item.item, item.rubric, get_rubric(item.rubric).hash(wording), wording, rater.name, rater.model,
                         repeat]
                key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
                request = build_request(item.rubric, wording, item, concept=inputs.concept, definition=inputs.definition,
                                        key=key, nonce=nonce_of(key))
                yield Call(request, {"key": key, "item": item.item, "rubric": item.rubric, "wording": wording,
                                     "rater": rater.name, "repeat": repeat, "arm": item.arm, "feature": item.feature,
                                     "control": item.control, "request_hash": request_hash(request)})


def estimates(inputs: Inputs, items: list[Item], *, known: Ledger | None = None) -> dict[str, Estimate]:
    """Return what each rater would take.

    Parameters
    ----------
    inputs : Inputs
        The run.
    items : list of Item
        What is asked about.
    known : Ledger, optional
        Calls that are answered there cost nothing.

    Returns
    -------
    dict of str to Estimate
        By rater.
    """
    open_ = None if known is None else set(known.pending())
    return {rater.name: estimate((call.request for call in calls_of(inputs, items, spec)
                                  if open_ is None or call.row["key"] in open_), rater, batch=spec.batch)
            for spec, rater in inputs.raters.items()}


def total_cost(found: dict[str, Estimate]) -> float | None:
    """Return the cost of several estimates, None when one is unknown.

    Parameters
    ----------
    found : dict of str to Estimate
        From `estimates`.
    """
    costs = [each.cost for each in found.values()]
    return None if None in costs else float(sum(costs))


def ask(inputs: Inputs, items: list[Item], ledger: Ledger, *, interrupts: Interrupts, say: Callable[[str], None],
        yes: bool = False) -> None:
    """Put items to all raters; what was answered before is not asked again, what failed before is.

    Parameters
    ----------
    inputs : Inputs
        The run.
    items : list of Item
        In blind order.
    ledger : Ledger
        Of the run.
    interrupts : Interrupts
        Looked at between and during calls.
    say : callable
        Takes one line per rater.
    yes : bool
        The cost was agreed to beforehand.

    Raises
    ------
    InputError
        Prompts or models changed under an old ledger, the budget is used up, or the cost was not agreed to.
    SetupError
        A rater cannot be reached, or refuses the key.
    Interrupted
        A signal came; all answers so far are in the ledger.
    """
    for spec, rater in inputs.raters.items():
        ledger.plan(call.row for call in calls_of(inputs, items, spec))
        ledger.reopen(rater.name)
    confirm(total_cost(estimates(inputs, items, known=ledger)), inputs.config.confirm_above, yes=yes)
    stopped = []
    for spec, rater in inputs.raters.items():
        outcome = _ask_one(inputs, items, ledger, spec, rater, interrupts, say)
        say(f"{rater.name}: {outcome.done} answered, {outcome.failed} without an answer"
            + (f", {outcome.left} left: {outcome.reason}" if outcome.left else "")
            + (f", cost {outcome.cost:.4g}" if rater.paid else ""))
        if outcome.left:
            stopped.append((rater, outcome))
    if stopped:
        raise _unfinished(stopped)


def _ask_one(inputs: Inputs, items, ledger, spec: RaterSpec, rater: Provider, interrupts, say) -> Outcome:
    requests = (call.request for call in calls_of(inputs, items, spec))
    options = {"parse": _parse, "cost": partial(_cost, rater, spec.batch), "budget": inputs.config.budget,
               "interrupts": interrupts, "progress": _Now(rater.name, say)}
    if spec.batch:
        return run_batches(ledger, rater, requests, **options)
    concurrency = spec.concurrency if rater.paid or spec.base_url else 1
    return run_calls(ledger, rater, requests, concurrency=concurrency, retries=inputs.config.retries, **options)


class _Now:
    """Says how far a rater is, every few seconds."""

    def __init__(self, name: str, say: Callable[[str], None], every: float = 10.0):
        self.name, self.say, self.every, self.told = name, say, every, time.monotonic()

    def __call__(self, outcome: Outcome) -> None:
        if time.monotonic() - self.told > self.every:
            self.told = time.monotonic()
            self.say(f"{self.name}: {outcome.done} answered so far")


def _parse(request: Request, reply: Reply) -> Parsed:
    return parse_reply(request.item.rubric, request.item, reply)


def _cost(rater: Provider, batch: bool, reply: Reply) -> float | None:
    if not rater.paid:
        return 0.0
    price = getattr(rater, "price", None) or pricing.price(rater.model)
    return pricing.cost(price, reply.tokens_in, reply.tokens_out, batch=batch)


def _unfinished(stopped: list[tuple[Provider, Outcome]]) -> CogneuroError:
    rater, outcome = stopped[0]
    left = sum(each.left for _, each in stopped)
    what = f"{left} calls are left: {outcome.reason}"
    if outcome.reason.startswith("budget:"):
        return InputError(what, where=rater.name, do="raise the budget and run the same command again; "
                                                     "what is answered is not paid twice")
    return SetupError(what, where=rater.name, do="mend that and run the same command again; what is answered is kept")
