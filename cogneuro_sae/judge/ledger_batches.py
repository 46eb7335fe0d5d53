"""Batches in a ledger: written down before they are handed over, with the provider's id after, closed when read.

A batch is named by its keys alone, and no two batches of a ledger hold the same keys: so a provider that recognises
what it was sent before, by an idempotency key or by metadata made of the keys, is never asked about the wrong one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cogneuro_sae.judge.ledger import Ledger
from cogneuro_sae.judge.ledger_file import now
from cogneuro_sae.judge.ledger_reading import storable

OPEN = ("sending", "sent", "ended")


class Batch(NamedTuple):
    """A batch as the ledger knows it.

    Parameters
    ----------
    name : str
        Hash of its keys.
    id : str
        The provider's name of it, "" until it is known.
    state : str
        "sending" (perhaps handed over), "sent", "ended" (results can be read), "closed" (all read), "failed".
    calls : int
        How many it was made of.
    created : str
        When it was written down, UTC.
    """

    name: str
    id: str
    state: str
    calls: int
    created: str


def name_of(keys: Sequence[str]) -> str:
    """Return the name of a batch of some calls, whatever their order.

    Parameters
    ----------
    keys : sequence of str
    """
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def open_batches(ledger: Ledger, rater: str) -> list[Batch]:
    """Return the batches of a rater that are not read to their end, oldest first.

    Parameters
    ----------
    ledger : Ledger
    rater : str
    """
    return [Batch(*row) for row in ledger.rows(
        "SELECT name, id, state, calls, created FROM batches "
        f"WHERE rater = ? AND state IN ({', '.join('?' * len(OPEN))}) ORDER BY rowid", (rater, *OPEN))]


def is_used(ledger: Ledger, keys: Sequence[str]) -> bool:
    """Return whether the ledger had a batch of exactly these calls before.

    Parameters
    ----------
    ledger : Ledger
    keys : sequence of str
    """
    return bool(ledger.rows("SELECT 1 FROM batches WHERE name = ?", (name_of(keys),)))


def begin(ledger: Ledger, rater: str, reserves: Mapping[str, float]) -> Batch:
    """Write down that pending calls are about to be handed over together.

    Parameters
    ----------
    ledger : Ledger
    rater : str
    reserves : mapping of str to float
        Key to the most that the call can cost.

    Returns
    -------
    Batch
        In the state "sending".

    Raises
    ------
    ValueError
        A call is not pending; nothing is written then.
    """
    name, when = name_of(list(reserves)), now()
    with ledger.transaction() as run:
        run("INSERT INTO batches (name, rater, state, calls, created, updated) VALUES (?, ?, 'sending', ?, ?, ?)",
            (name, rater, len(reserves), when, when))
        for key, reserve in reserves.items():
            moved = run("UPDATE calls SET state = 'batched', batch = ?, reserved = ?, attempts = attempts + 1, "
                        "updated = ? WHERE key = ? AND state = 'pending'", (name, reserve, when, key)).rowcount
            if not moved:
                raise ValueError(f"call {key[:16]} is not pending")
    return Batch(name, "", "sending", len(reserves), when)


def mark(ledger: Ledger, batch: Batch, state: str, *, id: str = "", reason: str = "") -> Batch | None:
    """Write down a batch's new state.

    Parameters
    ----------
    ledger : Ledger
    batch : Batch
    state : str
        As in `Batch`.
    id : str
        The provider's name of it, when it has just become known.
    reason : str
        Why it failed.

    Returns
    -------
    Batch or None
        As it is now; None, and nothing written, when another batch of the rater has that id.
    """
    with ledger.transaction() as run:
        if id and run("SELECT 1 FROM batches WHERE id = ? AND name <> ? AND rater = "
                      "(SELECT rater FROM batches WHERE name = ?)", (id, batch.name, batch.name)).fetchone():
            return None
        run("UPDATE batches SET state = ?, id = ?, reason = ?, updated = ? WHERE name = ?",
            (state, id or batch.id, storable(reason), now(), batch.name))
    return batch._replace(state=state, id=id or batch.id)


def keys_of(ledger: Ledger, batch: Batch) -> list[str]:
    """Return the calls of a batch that wait for their result, in the order of planning.

    Parameters
    ----------
    ledger : Ledger
    batch : Batch
    """
    return [key for key, in ledger.rows("SELECT key FROM calls WHERE batch = ? AND state = 'batched' ORDER BY number",
                                        (batch.name,))]


def give_back(ledger: Ledger, batch: Batch, reason: str) -> None:
    """Put the calls of a batch that was refused as a whole back to pending, and end the batch, in one transaction.

    Parameters
    ----------
    ledger : Ledger
    batch : Batch
    reason : str
        What the provider said.
    """
    with ledger.transaction() as run:
        run("UPDATE calls SET state = 'pending', batch = '', reserved = 0, attempts = attempts - 1, "
            "reason = ?, updated = ? WHERE batch = ? AND state = 'batched'", (storable(reason), now(), batch.name))
        run("DELETE FROM batches WHERE name = ? AND state = 'sending'", (batch.name,))


def end(ledger: Ledger, batch: Batch, state: str, status: str, reason: str, *, lost: bool) -> int:
    """End a batch: calls still without a result fail, in the same transaction.

    Parameters
    ----------
    ledger : Ledger
    batch : Batch
    state : str
        "closed" or "failed".
    status, reason : str
        What the calls without a result get.
    lost : bool
        Whether those may have been charged.

    Returns
    -------
    int
        How many calls failed so.
    """
    with ledger.transaction() as run:
        failed = run("UPDATE calls SET state = 'failed', status = ?, reason = ?, at_risk = at_risk + reserved * ?, "
                     "reserved = 0, updated = ? WHERE batch = ? AND state = 'batched'",
                     (status, storable(reason), lost, now(), batch.name)).rowcount
        run("UPDATE batches SET state = ?, reason = ?, updated = ? WHERE name = ?",
            (state, storable(reason if failed else ""), now(), batch.name))
    return failed


def reopen_failed(ledger: Ledger, batch: Batch, retries: int) -> int:
    """Put the failed calls of an ended batch back to pending, unless they were sent often enough; return how many.

    Parameters
    ----------
    ledger : Ledger
    batch : Batch
    retries : int
        Calls sent at most this many times stay candidates.
    """
    with ledger.transaction() as run:
        return run("UPDATE calls SET state = 'pending', batch = '', updated = ? "
                   "WHERE batch = ? AND state = 'failed' AND attempts <= ?", (now(), batch.name, retries)).rowcount
