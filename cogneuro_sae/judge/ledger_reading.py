"""What can be asked of a ledger, by the run that writes it and by anybody who looks on."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.ledger_file import LedgerFile
from cogneuro_sae.judge.ledger_schema import CHECKS, COLUMNS
from cogneuro_sae.judge.messages import Reply
from cogneuro_sae.judge.secrets import scrub


class Spent(NamedTuple):
    """Money of all raters of a ledger, in the price table's currency.

    Parameters
    ----------
    paid : float
        For replies that arrived.
    reserved : float
        At most, for calls under way.
    at_risk : float
        At most, for calls whose outcome was never known (crash, timeout) if the server ignores idempotency keys.
    """

    paid: float
    reserved: float
    at_risk: float

    @property
    def total(self) -> float:
        """What has to fit into a budget."""
        return self.paid + self.reserved + self.at_risk


class LedgerReading(LedgerFile):
    """The questions; `Ledger` adds what changes it. See `LedgerFile` for the parameters."""

    def pending(self, rater: str | None = None) -> list[str]:
        """Return the keys that wait to be sent, in the order of planning.

        Parameters
        ----------
        rater : str, optional
            Of this rater only.
        """
        found = self.rows("SELECT key FROM calls WHERE state = 'pending' AND rater = ifnull(?, rater) ORDER BY number",
                           (rater,))
        return [key for key, in found]

    def state(self, key: str) -> str:
        """Return pending, sent, batched, done or failed.

        Parameters
        ----------
        key : str

        Raises
        ------
        InputError
            The call was not planned.
        """
        found = self.rows("SELECT state FROM calls WHERE key = ?", (key,))
        if not found:
            raise InputError(f"call {key[:16]} was not planned", where=str(self.path))
        return found[0][0]

    def spent(self) -> Spent:
        """Return what was paid, what is reserved for calls under way and what is at risk, over all raters."""
        paid, = self.rows("SELECT cost FROM totals")[0]
        reserved, = self.rows("SELECT ifnull(sum(reserved), 0) FROM calls WHERE reserved > 0")[0]
        at_risk, = self.rows("SELECT ifnull(sum(at_risk), 0) FROM calls WHERE at_risk > 0")[0]
        return Spent(paid, reserved, at_risk)

    def counts(self, rater: str | None = None) -> dict[str, int]:
        """Return how many calls are in each state that occurs.

        Parameters
        ----------
        rater : str, optional
            Of this rater only.
        """
        return dict(self.rows("SELECT state, count(*) FROM calls WHERE rater = ifnull(?, rater) GROUP BY state",
                              (rater,)))

    def reply(self, key: str) -> Reply | None:
        """Return the reply to a call as the provider gave it, None when there is none; asking again costs nothing.

        Parameters
        ----------
        key : str
        """
        found = self.rows("SELECT reply, raw, tokens_in, tokens_out, seconds, request_id FROM calls "
                          "WHERE key = ? AND reply IS NOT NULL", (key,))
        if not found:
            return None
        reply, *rest = found[0]
        return Reply(**json.loads(reply), **dict(zip(("raw", "tokens_in", "tokens_out", "seconds", "request_id"), rest,
                                                     strict=True)))

    def to_frame(self):
        """Return all calls in the order of planning, which is the same whatever order they were answered in.

        Returns
        -------
        pandas.DataFrame
            One row per call with the columns of `COLUMNS`; label is JSON text, a missing score is NaN.
        """
        import pandas as pd

        frame = pd.DataFrame(self.rows(f"SELECT {', '.join(COLUMNS)} FROM calls ORDER BY number"), columns=COLUMNS)
        numbers = ("score", "tokens_in", "tokens_out", "cost", "seconds")
        return frame.astype({name: "float64" for name in numbers})

    def check(self) -> list[str]:
        """Look for double rows, lost replies, replies without a call, and sums that differ.

        Returns
        -------
        list of str
            What is wrong, [] for a whole ledger.
        """
        found = [f"damaged file: {line}" for line, in self.rows("PRAGMA integrity_check") if line != "ok"]
        for what, query in CHECKS.items():
            keys = [key for key, in self.rows(query)]
            if keys:
                found.append(f"{what}: {len(keys)} ({', '.join(key[:16] for key in keys[:3])}"
                             f"{' ...' if len(keys) > 3 else ''})")
        running, receipts = self.rows("SELECT cost, receipts FROM totals")[0]
        summed, lines = self.rows("SELECT ifnull(sum(cost), 0), count(*) FROM receipts")[0]
        if lines != receipts or not math.isclose(running, summed, rel_tol=1e-9, abs_tol=1e-9):
            found.append(f"sums differ: {lines} receipts of {summed:.6f}, running total {receipts} of {running:.6f}")
        answers, = self.rows("SELECT ifnull(sum(cost), 0) FROM receipts WHERE kind IN ('answer')")[0]
        calls, = self.rows("SELECT ifnull(sum(cost), 0) FROM calls WHERE state = 'done'")[0]
        if not math.isclose(answers, calls, rel_tol=1e-9, abs_tol=1e-9):
            found.append(f"sums differ: the answers cost {calls:.6f}, their receipts say {answers:.6f}")
        return found


def storable(text: str) -> str:
    """Return text as it may stand in a ledger: keys replaced, lone surrogates (which no file can hold) escaped.

    Parameters
    ----------
    text : str
    """
    return scrub(str(text)).encode("utf-8", "backslashreplace").decode("utf-8")
