"""The ledger of calls: one SQLite file that knows of every call whether it was sent, answered and paid, and the answer.

Every change is one transaction, flushed to disk before it counts (WAL, synchronous=FULL). A call is written down as
`sent` before it leaves and becomes `done` together with its answer; so after a crash each call is either known to be
answered, known not to have been sent, or one of the few that were under way. Those are asked again with the same
idempotency key; what they may have cost besides, if the server does not know such keys, is counted as money at risk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.ledger_file import now
from cogneuro_sae.judge.ledger_schema import PLANNED
from cogneuro_sae.judge.ledger_reading import LedgerReading, storable
from cogneuro_sae.judge.messages import Reply, Request


def request_hash(request: Request) -> str:
    """Return the sha256 of all that is sent for a request, its key apart.

    Parameters
    ----------
    request : Request

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    sent = [request.system, request.user, list(request.options), request.schema, request.max_tokens]
    return hashlib.sha256(json.dumps(sent, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


class Ledger(LedgerReading):
    """The calls of a run and the money they cost; see `LedgerFile` for how it is opened.

    Parameters
    ----------
    path : str or Path
        The file, such as `results/<name>/<hash10>/ledger.sqlite`; made when it is not there.
    readonly : bool
        Open an existing file without a lock and change nothing.

    Raises
    ------
    InputError
        The file is no ledger, a damaged one, or of another version.
    SetupError
        Another process writes to it, or the folder cannot be written.
    """

    def plan(self, rows: Iterable[Mapping]) -> int:
        """Enter calls to be made; those that are in the ledger already stay as they are.

        Parameters
        ----------
        rows : iterable of mapping
            With the fields `key, item, rubric, wording, rater, repeat, arm, feature, control, request_hash`.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        InputError
            The ledger holds another request under the same key, or the same item x rubric x wording x rater x repeat
            under another key (the prompts or the model changed). Nothing is entered then.
        """
        added = 0
        with self.transaction() as run:
            for row in rows:
                values = tuple(row[name] for name in PLANNED)
                added += run(f"INSERT INTO calls ({', '.join(PLANNED)}, created, updated) VALUES "
                             f"({', '.join('?' * (len(PLANNED) + 2))}) ON CONFLICT DO NOTHING",
                             (*values, now(), now())).rowcount
                known = run(f"SELECT {', '.join(PLANNED)} FROM calls WHERE key = ?", (values[0],)).fetchone()
                if known != values:
                    raise self._conflict(row, known)
        return added

    def _conflict(self, row: Mapping, known: tuple | None) -> InputError:
        what = f"item {row['item']}, rubric {row['rubric']}, rater {row['rater']}, repeat {row['repeat']}"
        how = "other text or arm" if known else "another key: prompt, wording or model changed"
        return InputError(f"{what} was planned before with {how}", where=str(self.path),
                          do="use another --out, or --overwrite to pay for all calls again")

    def claim(self, key: str, *, reserve: float = 0.0, budget: float | None = None) -> bool:
        """Write down that a pending call is about to be sent.

        Parameters
        ----------
        key : str
        reserve : float
            The most it can cost.
        budget : float, optional
            What `spent().total` may reach.

        Returns
        -------
        bool
            False, and nothing written, when the budget does not hold it.

        Raises
        ------
        InputError
            The call is not pending.
        """
        with self.transaction() as run:
            if not self._fits(reserve, budget):
                return False
            moved = run("UPDATE calls SET state = 'sent', reserved = ?, attempts = attempts + 1, updated = ? "
                        "WHERE key = ? AND state = 'pending'", (reserve, now(), key)).rowcount
        if not moved:
            raise InputError(f"call {key[:16]} is {self.state(key)}, not pending", where=str(self.path))
        return True

    def again(self, key: str, *, lost: bool, reserve: float = 0.0, budget: float | None = None) -> bool:
        """Write down that a sent call is about to be sent once more, after an attempt without an answer.

        Parameters
        ----------
        key : str
        lost : bool
            The attempt may have cost money all the same: what was reserved for it becomes money at risk.
        reserve : float
            The most that the next attempt can cost.
        budget : float, optional
            As in `claim`.

        Returns
        -------
        bool
            False when the budget does not hold it; what is at risk is written down in any case.
        """
        with self.transaction() as run:
            if lost:
                run("UPDATE calls SET at_risk = at_risk + reserved, reserved = 0 WHERE key = ?", (key,))
            held, = run("SELECT reserved FROM calls WHERE key = ? AND state = 'sent'", (key,)).fetchone()
            if not self._fits(reserve - held, budget):
                return False
            run("UPDATE calls SET reserved = ?, attempts = attempts + 1, updated = ? WHERE key = ?",
                (reserve, now(), key))
            return True

    def _fits(self, reserve: float, budget: float | None) -> bool:
        # sums of many small floats; a millionth of a cent is no breach
        return budget is None or self.spent().total + reserve <= budget + 1e-8

    def release(self, key: str, reason: str, *, lost: bool = False) -> None:
        """Put a call without an answer back, to be sent by a later run.

        Parameters
        ----------
        key : str
        reason : str
            Why it was not answered.
        lost : bool
            As in `again`.
        """
        with self.transaction() as run:
            run("UPDATE calls SET state = 'pending', at_risk = at_risk + reserved * ?, reserved = 0, reason = ?, "
                "batch = '', updated = ? WHERE key = ? AND state IN ('sent', 'batched')",
                (lost, storable(reason), now(), key))

    def record(self, key: str, reply: Reply, parsed, cost: float | None, *, batch: str = "") -> str:
        """Enter the reply to a call under way, and its receipt, in one transaction.

        A reply with status "error" makes the call failed, every other one done; the score stands only with status ok.
        A second, different reply to an answered call changes nothing but leaves a receipt.

        Parameters
        ----------
        key : str
        reply : Reply
            As the provider gave it; its raw text is kept.
        parsed : Parsed
            Score, label, status and reason that a rubric read from it.
        cost : float or None
            What it cost; None = unknown.
        batch : str
            Name of the batch that it came with.

        Returns
        -------
        str
            "done", "failed", "duplicate" or "unknown" (no such call was planned, or not in this batch).

        Raises
        ------
        InputError
            The call was never sent.
        """
        text, cost = _Texts(reply, parsed), None if cost is None else float(cost)
        with self.transaction() as run:
            if batch and run("SELECT 1 FROM receipts WHERE key = ? AND batch = ? AND raw = ?",
                             (key, batch, text.raw)).fetchone():
                return "duplicate"  # a batch read again, or a line that stands twice in it: paid for once
            known = run("SELECT state, batch, raw FROM calls WHERE key = ?", (key,)).fetchone()
            state, batch_of, raw = known or ("", "", "")
            if state in ("", "done") or (batch and batch != batch_of):
                kind = "duplicate" if state == "done" else "unknown"
                note = "the same again" if raw == text.raw else "another answer; the first one stands"
                self._receipt(run, key, kind, batch, reply, text, cost,
                              note=note if state == "done" else "no call of this batch" if state else "not planned")
                return kind
            failed = reply.status == "error"
            if state == "pending" or (state == "failed" and failed):
                raise InputError(f"a reply to call {key[:16]}, which is {state}", where=str(self.path))
            self._receipt(run, key, "error" if failed else "answer", batch, reply, text, cost, note=text.reason)
            score = float(parsed.score) if text.status == "ok" and parsed.score == parsed.score else None
            run("UPDATE calls SET state = ?, status = ?, reason = ?, score = ?, label = ?, raw = ?, reply = ?, "
                "tokens_in = ?, tokens_out = ?, cost = ?, seconds = ?, request_id = ?, reserved = 0, updated = ? "
                "WHERE key = ?",
                ("failed" if failed else "done", text.status, text.reason, None if failed else score, text.label,
                 text.raw, text.reply, reply.tokens_in, reply.tokens_out, cost, reply.seconds, text.request_id, now(),
                 key))
        return "failed" if failed else "done"

    def _receipt(self, run, key, kind, batch, reply, text, cost, *, note) -> None:
        run("INSERT INTO receipts (key, kind, batch, cost, tokens_in, tokens_out, raw, note, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, kind, batch, cost, reply.tokens_in, reply.tokens_out, text.raw, note, now()))

    def fail(self, key: str, status: str, reason: str, *, lost: bool = False) -> None:
        """Enter that a call has no answer.

        Parameters
        ----------
        key : str
        status : str
            One word, such as "error" or "missing"; never "ok".
        reason : str
            Why.
        lost : bool
            As in `again`.

        Raises
        ------
        InputError
            The call is answered or failed already.
        """
        with self.transaction() as run:
            moved = run("UPDATE calls SET state = 'failed', status = ?, reason = ?, at_risk = at_risk + reserved * ?, "
                        "reserved = 0, updated = ? WHERE key = ? AND state IN ('pending', 'sent', 'batched')",
                        (status, storable(reason), lost, now(), key)).rowcount
        if not moved:
            raise InputError(f"call {key[:16]} is {self.state(key)} and cannot fail", where=str(self.path))

    def reopen(self, rater: str | None = None) -> int:
        """Put failed calls back to be sent again, as a new run does first; return how many.

        Parameters
        ----------
        rater : str, optional
            Of this rater only.
        """
        with self.transaction() as run:
            return run("UPDATE calls SET state = 'pending', batch = '', updated = ? "
                       "WHERE state = 'failed' AND rater = ifnull(?, rater)", (now(), rater)).rowcount

class _Texts:
    """A reply and its parsed form as the ledger stores them: without keys, without half characters."""

    def __init__(self, reply: Reply, parsed):
        self.raw, self.request_id = storable(reply.raw or reply.text), storable(reply.request_id)
        self.status = parsed.status or "unparsable" if reply.status == "ok" else reply.status
        self.reason = storable(parsed.reason or reply.reason or ("" if self.status == "ok" else "no reason given"))
        self.label = storable(json.dumps(parsed.label, ensure_ascii=True, default=str))
        parts = {"text": reply.text, "status": reply.status, "reason": reply.reason, "logprobs": reply.logprobs}
        self.reply = storable(json.dumps(parts, ensure_ascii=True))
