"""Calls handed over as batches: sent, polled, fetched and read, with every step written down before and after.

    begin -> send -> id known -> running ... ended -> results read one by one -> closed

A run can be cut off between any two steps. Before `send` the calls stand in the ledger as part of a batch without an
id; a run that finds such a batch asks the provider for it (`find`, twice with `SETTLE` seconds between) and sends it
again only when the provider has none. What cannot be ruled out: a provider whose list does not show within that time a
batch that it has taken, and that ignores the idempotency key, would be paid twice for that batch. The second set of
answers is never fetched. Without `find` nothing is sent again: the run stops and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.judge import ledger_batches as book
from cogneuro_sae.judge.calls import Outcome
from cogneuro_sae.judge.estimate import largest_cost
from cogneuro_sae.judge.ledger import Ledger
from cogneuro_sae.judge.messages import Provider, ProviderError, Reply, Request
from cogneuro_sae.judge.parsing import Parsed
from cogneuro_sae.judge.retrying import read, waiting_time

SETTLE = 30.0
"""Seconds after which a provider's list of batches is taken to be complete."""
FIRST_POLL, LONGEST_POLL = 5.0, 300.0
"""Seconds between looks at running batches, doubling by steps of one half."""
PATIENCE = 8
"""So many errors in a row end the run; the batches go on and the next run fetches them."""


class _Stop(Exception):
    """The run ends here, whole; the text says why."""


def run_batches(ledger: Ledger, provider: Provider, requests: Iterable[Request], *,
                parse: Callable[[Request, Reply], Parsed], cost: Callable[[Reply], float | None], size: int = 5000,
                retries: int = 1, budget: float | None = None, interrupts: Interrupts | None = None,
                progress: Callable[[Outcome], None] | None = None,
                sleep: Callable[[float], None] = time.sleep) -> Outcome:
    """Have a rater answer all requests that have no answer yet, by batches; waits until they have ended.

    Parameters
    ----------
    ledger : Ledger
        Holds every request as a planned call.
    provider : Provider
        With a batch side; its calls stand in the ledger under `provider.name` as rater.
    requests : iterable of Request
        Each key once.
    parse : callable
        Reads a reply.
    cost : callable
        Price of a reply that came in a batch; None = unknown.
    size : int
        Most calls per batch.
    retries : int
        How often a call that a batch left without an answer goes into another one.
    budget : float, optional
        What all calls of the ledger together may cost; what does not fit waits for batches to end.
    interrupts : Interrupts, optional
        When a signal comes, the step at hand is finished, then `Interrupted` is raised; batches go on at the provider.
    progress : callable, optional
        Takes the Outcome so far, after every look at the batches.
    sleep : callable
        Waits some seconds.

    Returns
    -------
    Outcome
        With a reason when the run stopped early. All is in the ledger.

    Raises
    ------
    InputError
        The provider has no batches, a request comes twice or was not planned, an open batch holds calls that are not
        among the requests, or a budget is set and the price is unknown.
    Interrupted
        A signal came and calls are left.
    """
    run = _Run(ledger, provider, requests, parse, cost, size, retries, budget, interrupts, sleep)
    reason = ""
    try:
        run.go(progress)
    except _Stop as stop:
        reason = str(stop)
    outcome = run.outcome(reason)
    if interrupts is not None and outcome.left:
        interrupts.check(f"judging by batches ({outcome.done} of {len(run.by_key)} calls answered)",
                         where=str(ledger.path))
    return outcome


class _Run:
    def __init__(self, ledger, provider, requests, parse, cost, size, retries, budget, interrupts, sleep):
        if provider.batch is None:
            raise InputError(f"{provider.name} has no batches", do="leave out batch, or set it for the rater")
        self.ledger, self.provider, self.api, self.parse, self.cost = ledger, provider, provider.batch, parse, cost
        self.size, self.retries, self.budget = size, retries, budget
        self.interrupts, self.sleep = interrupts, sleep
        self.by_key: dict[str, Request] = {}
        for request in requests:
            if request.key in self.by_key:
                raise InputError(f"call {request.key[:16]} is asked for twice", where=str(ledger.path))
            self.by_key[request.key] = request
            ledger.state(request.key)
        self.paid, self.errors, self.waited = 0.0, 0, FIRST_POLL
        self._refuse_foreign()

    def _refuse_foreign(self) -> None:
        for batch in self._open():
            if foreign := [key for key in book.keys_of(self.ledger, batch) if key not in self.by_key]:
                raise InputError(f"batch {batch.id or batch.name[:16]} holds {len(foreign)} calls of another run",
                                 where=str(self.ledger.path), do="run the config that sent it, so that it can be read")

    def _open(self) -> list[book.Batch]:
        return book.open_batches(self.ledger, self.provider.name)

    def outcome(self, reason: str = "") -> Outcome:
        states = [self.ledger.state(key) for key in self.by_key]
        done, failed = states.count("done"), states.count("failed")
        return Outcome(done, failed, len(states) - done - failed, self.paid, reason)

    def go(self, progress) -> None:
        while True:
            for batch in self._open():
                if batch.state == "sending":
                    self._adopt(batch)
            held = self._send_pending()
            ended = False
            for batch in self._open():
                ended |= self._look(batch)
                self._stop_if_asked()
            if progress is not None:
                progress(self.outcome())
            if not self._open():
                if not self._pending():
                    return
                if held and not ended:
                    raise _Stop(held)
                continue
            self.waited = FIRST_POLL if ended else min(self.waited * 1.5, LONGEST_POLL)
            if not ended:
                self._wait(self.waited)

    def _pending(self) -> list[str]:
        return [key for key in self.ledger.pending() if key in self.by_key]

    def _stop_if_asked(self) -> None:
        if self.interrupts is not None and self.interrupts.requested:
            raise _Stop(f"interrupted by {self.interrupts.requested}")

    def _wait(self, seconds: float) -> None:
        while seconds > 0:
            self._stop_if_asked()
            self.sleep(min(seconds, 0.25))
            seconds -= 0.25
        self._stop_if_asked()

    def _ask(self, what: str, question: Callable, *, wait: bool = True):
        """Put a question that costs nothing, again after errors that may pass; without `wait` None means "later"."""
        while True:
            try:
                answer = question()
            except ProviderError as error:
                self.errors += error.after is None
                if not error.retry or self.errors > PATIENCE:
                    raise _Stop(f"{self.provider.name}: {what}: {error.reason}") from None
                if error.after is not None and not wait:
                    return None
                self._wait(waiting_time(what, self.errors, error.after))
            else:
                self.errors = 0
                return answer

    def _adopt(self, batch: book.Batch) -> None:
        """Find out whether a batch without an id was taken by the provider; send it again only if it was not."""
        requests = [self.by_key[key] for key in book.keys_of(self.ledger, batch)]
        find = getattr(self.api, "find", None)
        if find is None:
            raise _Stop(f"{self.provider.name}: a batch of {batch.calls} calls was written down at {batch.created} and "
                        "may or may not have been sent; this provider cannot be asked. Look at its list of batches; "
                        "use another --out to send all calls again")
        for look in range(2):
            found = self._ask("looking for a batch", lambda: find(requests) or "", wait=False)
            if found is None:
                return  # the provider cannot tell yet; other batches go on meanwhile
            if found:
                self._taken(batch, found)
                return
            if look == 0:
                self._wait(SETTLE)
        self._send(batch, requests)

    def _send_pending(self) -> str:
        """Send what is pending, as far as the budget holds; return what held the rest back."""
        left = self._pending()
        while left:
            self._stop_if_asked()
            reserves, held = self._fitting(left[:self.size])
            if not reserves:
                return held
            keys = list(reserves)
            while book.is_used(self.ledger, keys):  # a set of its own, so that no provider takes it for the one before
                if len(keys) == 1:
                    self.ledger.fail(keys[0], "missing", "left without an answer by a batch of this call alone, twice")
                    break
                keys = keys[:(len(keys) + 1) // 2]
            else:
                batch = book.begin(self.ledger, self.provider.name, {key: reserves[key] for key in keys})
                self._send(batch, [self.by_key[key] for key in keys])
            left = left[len(keys):]
        return ""

    def _fitting(self, keys: list[str]) -> tuple[dict[str, float], str]:
        room = None if self.budget is None else self.budget + 1e-8 - self.ledger.spent().total
        reserves: dict[str, float] = {}
        for key in keys:
            reserve = largest_cost(self.by_key[key], self.provider, self.cost, self.budget)
            if room is not None and sum(reserves.values()) + reserve > room:
                return reserves, (f"budget: {self.budget:g} does not hold another call of {self.provider.name}: "
                                  f"{self.ledger.spent().paid:.4f} paid, a call may cost {reserve:.4f}")
            reserves[key] = reserve
        return reserves, ""

    def _send(self, batch: book.Batch, requests: list[Request]) -> None:
        try:
            found = self.api.send(requests)
        except ProviderError as error:
            if error.lost:
                self.errors += 1
                if self.errors > PATIENCE:
                    raise _Stop(f"{self.provider.name}: sending a batch: {error.reason}") from None
                self._wait(waiting_time(batch.name, self.errors, error.after))
                return  # stays "sending": looked for before it is sent again
            book.give_back(self.ledger, batch, error.reason)
            self.errors += 1
            if not error.retry or self.errors > PATIENCE:
                raise _Stop(f"{self.provider.name}: sending a batch: {error.reason}") from None
            self._wait(waiting_time(batch.name, self.errors, error.after))
        else:
            self.errors = 0
            self._taken(batch, found)

    def _taken(self, batch: book.Batch, found: str) -> None:
        if not book.mark(self.ledger, batch, "sent", id=found):
            raise _Stop(f"{self.provider.name}: gave the id {found} of an earlier batch to a new one; "
                        "look at its list of batches")

    def _look(self, batch: book.Batch) -> bool:
        """Ask how far a batch is and read it when it has ended; return whether it is out of the way."""
        if batch.state == "sending":
            return False
        if batch.state == "sent":
            state = self._ask(f"looking at batch {batch.id}", lambda: self.api.state(batch.id))
            if state == "running":
                return False
            if state != "ended":
                reason = f"batch {batch.id} {state.replace(':', ': ', 1)}"
                book.end(self.ledger, batch, "failed", "error", reason, lost=False)
                return True
            batch = book.mark(self.ledger, batch, "ended")
        self._read(batch)
        return True

    def _read(self, batch: book.Batch) -> None:
        for _ in range(2):  # a file that lacks lines is fetched once more before they count as missing
            self._ask(f"reading batch {batch.id}", lambda: self._read_once(batch))
            if not book.keys_of(self.ledger, batch):
                break
        book.end(self.ledger, batch, "closed", "missing", f"the results of batch {batch.id} have no line for this call",
                 lost=True)
        book.reopen_failed(self.ledger, batch, self.retries)

    def _read_once(self, batch: book.Batch) -> None:
        for key, reply in self.api.results(batch.id):
            request = self.by_key.get(key)
            parsed, price, fault = read(request, reply, self.parse if request else _not_asked, self.cost)
            end = self.ledger.record(key, reply, parsed, price, batch=batch.name)
            self.paid += (price or 0.0) * (end in ("done", "failed"))
            if fault is not None:
                raise fault
            self._stop_if_asked()


def _not_asked(request: Request | None, reply: Reply) -> Parsed:
    return Parsed(float("nan"), {}, "error", "nobody asked for this")
