"""Many calls to one rater, several at a time: none lost, none paid twice, never above the budget, always stoppable.

Each thread takes a request, has it written down as sent, asks, and writes the answer down before it takes another.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.judge.estimate import largest_cost
from cogneuro_sae.judge.ledger import Ledger
from cogneuro_sae.judge.messages import Provider, ProviderError, Reply, Request
from cogneuro_sae.judge.parsing import Parsed
from cogneuro_sae.judge.retrying import read, waiting_time

PATIENCE = 600.0
"""A server that asks for a longer wait than this many seconds ends the run; it can be resumed."""
GIVE_UP = 10
"""So many calls in a row without an answer end the run: the server or the network is down."""


class Outcome(NamedTuple):
    """What became of some requests.

    Parameters
    ----------
    done : int
        Answered, now or before.
    failed : int
        Without an answer; the ledger says why of each.
    left : int
        Not asked, or to be asked again.
    cost : float
        Price of the answers that came in this run; unknown prices count as 0.
    reason : str
        Why the run ended before all were asked, "" when it did not.
    """

    done: int
    failed: int
    left: int
    cost: float
    reason: str


def run_calls(ledger: Ledger, provider: Provider, requests: Iterable[Request], *,
              parse: Callable[[Request, Reply], Parsed], cost: Callable[[Reply], float | None], concurrency: int = 4,
              retries: int = 5, budget: float | None = None, interrupts: Interrupts | None = None,
              progress: Callable[[Outcome], None] | None = None,
              sleep: Callable[[float], None] = time.sleep) -> Outcome:
    """Ask a rater all requests that have no answer yet.

    Parameters
    ----------
    ledger : Ledger
        Holds every request as a planned call.
    provider : Provider
        Whoever answers; its `answer` is called from several threads.
    requests : iterable of Request
        Each key once; taken one by one, so they may be made on the way.
    parse : callable
        Reads a reply.
    cost : callable
        Price of a reply from its tokens; None = unknown.
    concurrency : int
        Calls at the same time.
    retries : int
        Repeats of a call after errors that may pass (429, 5xx, timeouts, cut connections).
    budget : float, optional
        What all calls of the ledger together may cost. The most that a call can cost is set aside before it is sent.
    interrupts : Interrupts, optional
        When a signal comes, calls under way are finished and written down, then `Interrupted` is raised.
    progress : callable, optional
        Takes the Outcome so far, about once a second and at the end.
    sleep : callable
        Waits some seconds.

    Returns
    -------
    Outcome
        With a reason when the run stopped early: budget, a wrong key, a server that is down. All is in the ledger.

    Raises
    ------
    InputError
        A request was not planned or comes twice, or a budget is set and the price is unknown.
    Interrupted
        A signal came and calls are left.
    """
    run = _Run(ledger, provider, requests, parse, cost, retries, budget, sleep)
    threads = [threading.Thread(target=run.work, daemon=True) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    try:
        told = time.monotonic()
        while alive := [thread for thread in threads if thread.is_alive()]:
            alive[0].join(0.05)
            if interrupts is not None and interrupts.requested:
                run.stop(f"interrupted by {interrupts.requested}")
            if progress is not None and time.monotonic() - told > 1.0:
                progress(run.outcome())
                told = time.monotonic()
    finally:  # a second Ctrl-C comes through here: the threads are daemons, what is under way stays `sent`
        run.stop("stopped")
    if run.error is not None:
        raise run.error
    outcome = run.count_the_rest()
    if progress is not None:
        progress(outcome)
    if interrupts is not None and outcome.left:
        interrupts.check(f"judging ({outcome.done} of {outcome.done + outcome.failed + outcome.left} calls answered)",
                         where=str(ledger.path))
    return outcome


class _Run:
    """What the threads share."""

    def __init__(self, ledger, provider, requests, parse, cost, retries, budget, sleep):
        self.ledger, self.provider, self.parse, self.cost = ledger, provider, parse, cost
        self.retries, self.budget, self.sleep = retries, budget, sleep
        self.requests, self.seen = iter(requests), set()
        self.changed = threading.Condition(threading.RLock())
        self.counts = {"done": 0, "failed": 0, "left": 0}
        self.paid, self.under_way, self.in_a_row = 0.0, 0, 0
        self.stopping, self.reason, self.error = False, "", None

    def stop(self, reason: str) -> None:
        with self.changed:
            if not self.stopping:
                self.stopping, self.reason = True, reason
            self.changed.notify_all()

    def outcome(self) -> Outcome:
        with self.changed:
            return Outcome(**self.counts, cost=self.paid, reason=self.reason)

    def count_the_rest(self) -> Outcome:
        for request in self.requests:
            self.counts["left"] += self._known(request) == "pending"
        left = self.counts["left"]
        return self.outcome()._replace(reason=self.reason if left and self.reason != "stopped" else self._why(left))

    def _why(self, left: int) -> str:
        return f"{left} calls are part of a batch that has not ended" if left else ""

    def work(self) -> None:
        try:
            while (request := self._next()) is not None:
                end = self._call(request)
                with self.changed:
                    self.counts[end] += 1
        except BaseException as error:  # raised again in the main thread
            self.error = self.error or error
            self.stop(f"{type(error).__name__}")

    def _next(self) -> Request | None:
        with self.changed:
            while not self.stopping:
                request = next(self.requests, None)
                if request is None or self._known(request) == "pending":
                    return request
        return None

    def _known(self, request: Request) -> str:
        if request.key in self.seen:
            raise InputError(f"call {request.key[:16]} is asked for twice", where=str(self.ledger.path))
        self.seen.add(request.key)
        state = self.ledger.state(request.key)
        if state != "pending":
            self.counts[state if state in ("done", "failed") else "left"] += 1
        return state

    def _call(self, request: Request) -> str:
        key, reserve = request.key, largest_cost(request, self.provider, self.cost, self.budget)
        if not self._start(lambda: self.ledger.claim(key, reserve=reserve, budget=self.budget), reserve):
            return "left"
        for attempt in itertools.count():
            try:
                reply = self.provider.answer(request)
            except ProviderError as error:
                end, lost = self._after(error, key, attempt), error.lost
            else:
                end, lost = self._record(request, reply), False
            if end:
                self._leave()
                return end
            if not self._repeat(lambda lost=lost: self.ledger.again(
                    key, lost=lost, reserve=reserve, budget=self.budget), reserve):
                self.ledger.release(key, f"{self.reason}; stopped before it was repeated", lost=lost)
                return "left"

    def _leave(self) -> None:
        with self.changed:
            self.under_way -= 1
            self.changed.notify_all()

    def _repeat(self, write_down: Callable[[], bool], reserve: float) -> bool:
        with self.changed:  # what is set aside for the call is its own until the budget is seen not to hold a repeat
            if not self.stopping and write_down():
                return True
            self._leave()
        return self._start(write_down, reserve)

    def _start(self, write_down: Callable[[], bool], reserve: float) -> bool:
        """Have a call written down as under way, as soon as the budget holds it; False when the run stops before."""
        with self.changed:
            while not self.stopping:
                if write_down():
                    self.under_way += 1
                    return True
                if not self.under_way:
                    self.stop(self._broke(reserve))
                else:  # calls under way cost less than is set aside for them
                    self.changed.wait(1.0)
        return False

    def _broke(self, reserve: float) -> str:
        spent = self.ledger.spent()
        risk = f", {spent.at_risk:.4f} may have been charged for calls that got no answer" if spent.at_risk else ""
        return (f"budget: {self.budget:g} does not hold another call of {self.provider.name}: {spent.paid:.4f} paid"
                f"{risk}, a call may cost {reserve:.4f}")

    def _after(self, error: ProviderError, key: str, attempt: int) -> str:
        """Deal with a call that got no answer; "" when it may be sent again now."""
        wait = waiting_time(key, attempt, error.after)
        if error.fatal or (error.retry and wait > PATIENCE):
            self.ledger.release(key, error.reason, lost=error.lost)
            self.stop(f"{self.provider.name}: {error.reason}" + (
                "" if error.fatal else f"; the server asks to wait {wait:.0f} s, run the same command again then"))
            return "left"
        if not error.retry or attempt >= self.retries:
            tried = f" ({attempt + 1} attempts)" if attempt else ""
            self.ledger.fail(key, "error", f"{error.reason}{tried}", lost=error.lost)
            self._count_in_a_row(error.reason)
            return "failed"
        if not self._wait(wait):
            self.ledger.release(key, f"{error.reason}; stopped before it was repeated", lost=error.lost)
            return "left"
        return ""

    def _wait(self, seconds: float) -> bool:
        while seconds > 0 and not self.stopping:
            self.sleep(min(seconds, 0.25))
            seconds -= 0.25
        return not self.stopping

    def _count_in_a_row(self, reason: str) -> None:
        with self.changed:
            self.in_a_row += 1
            if self.in_a_row >= GIVE_UP:
                self.stop(f"{self.provider.name}: {self.in_a_row} calls in a row got no answer, the last: {reason}")

    def _record(self, request: Request, reply: Reply) -> str:
        parsed, price, fault = read(request, reply, self.parse, self.cost)
        end = self.ledger.record(request.key, reply, parsed, price)
        with self.changed:
            self.paid += price or 0.0
            self.in_a_row = 0 if end == "done" else self.in_a_row
        if end == "failed":
            self._count_in_a_row(reply.reason)
        if fault is not None:
            raise fault
        return end
