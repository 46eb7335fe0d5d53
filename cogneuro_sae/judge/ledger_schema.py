"""The tables of a ledger, and the rules that the database itself keeps: one row per call, legal moves, no deletion.

    pending --> sent ----> done            a call of its own: `sent` stands on disk before anything leaves the machine
       |   \-> batched --> done            a call inside a batch
       \-----> failed <--- sent, batched   no answer; `reason` says why; may be opened again

`receipts` holds one line per reply that arrived, written in the same transaction as its call; `totals` follows it by a
trigger. So what the calls say, what the receipts say and the running total are three counts of the same money.
"""

from __future__ import annotations

VERSION = 1
APPLICATION = 0x636E4A4C
STATES = ("pending", "sent", "batched", "done", "failed")
MOVES = ("pending>sent", "pending>batched", "pending>failed", "sent>pending", "sent>done", "sent>failed",
         "batched>pending", "batched>done", "batched>failed", "failed>pending", "failed>done")
PLANNED = ("key", "item", "rubric", "wording", "rater", "repeat", "arm", "feature", "control", "request_hash")
COLUMNS = (*PLANNED, "state", "status", "reason", "score", "label", "raw", "tokens_in", "tokens_out", "cost", "seconds",
           "attempts", "batch", "request_id", "created", "updated", "at_risk")


def _quoted(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


SCHEMA = f"""
CREATE TABLE calls (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    item TEXT NOT NULL, rubric TEXT NOT NULL, wording TEXT NOT NULL, rater TEXT NOT NULL, repeat INTEGER NOT NULL,
    arm TEXT NOT NULL, feature TEXT NOT NULL, control TEXT NOT NULL, request_hash TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ({_quoted(STATES)})),
    status TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    score REAL, label TEXT, raw TEXT, reply TEXT,
    tokens_in INTEGER, tokens_out INTEGER, cost REAL, seconds REAL,
    attempts INTEGER NOT NULL DEFAULT 0, batch TEXT NOT NULL DEFAULT '', request_id TEXT NOT NULL DEFAULT '',
    reserved REAL NOT NULL DEFAULT 0, at_risk REAL NOT NULL DEFAULT 0,
    created TEXT NOT NULL, updated TEXT NOT NULL,
    UNIQUE (item, rubric, wording, rater, repeat),
    CHECK (state <> 'done' OR (raw IS NOT NULL AND status <> '')),
    CHECK (score IS NULL OR (state = 'done' AND status = 'ok')),
    CHECK (state <> 'failed' OR (status NOT IN ('', 'ok') AND reason <> '')),
    CHECK (state <> 'done' OR status = 'ok' OR reason <> ''),
    CHECK (reserved = 0 OR state IN ('sent', 'batched'))
);
CREATE INDEX calls_state ON calls (state);
CREATE INDEX calls_batch ON calls (batch) WHERE batch <> '';
CREATE INDEX calls_reserved ON calls (reserved) WHERE reserved > 0;
CREATE INDEX calls_at_risk ON calls (at_risk) WHERE at_risk > 0;

CREATE TABLE receipts (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('answer', 'error', 'duplicate', 'unknown')),
    batch TEXT NOT NULL, cost REAL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
    raw TEXT NOT NULL, note TEXT NOT NULL, created TEXT NOT NULL
);
CREATE UNIQUE INDEX one_answer ON receipts (key) WHERE kind = 'answer';
CREATE TABLE totals (cost REAL NOT NULL, receipts INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);

CREATE TABLE batches (
    name TEXT PRIMARY KEY, rater TEXT NOT NULL, id TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('sending', 'sent', 'ended', 'closed', 'failed')),
    reason TEXT NOT NULL DEFAULT '', calls INTEGER NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL
);
CREATE UNIQUE INDEX one_batch ON batches (rater, id) WHERE id <> '';

CREATE TRIGGER legal_moves BEFORE UPDATE OF state ON calls
WHEN OLD.state || '>' || NEW.state NOT IN ({_quoted(MOVES)})
BEGIN SELECT RAISE(ABORT, 'illegal move of a call'); END;
CREATE TRIGGER no_loss BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'a call is never dropped'); END;
CREATE TRIGGER no_loss_of_receipts BEFORE DELETE ON receipts
BEGIN SELECT RAISE(ABORT, 'a receipt is never dropped'); END;
CREATE TRIGGER receipts_stand BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'a receipt is never changed'); END;
CREATE TRIGGER answers_stand BEFORE UPDATE ON calls
WHEN OLD.state = 'done' AND (NEW.raw IS NOT OLD.raw OR NEW.cost IS NOT OLD.cost OR NEW.key IS NOT OLD.key)
BEGIN SELECT RAISE(ABORT, 'an answer is never changed'); END;
CREATE TRIGGER running_total AFTER INSERT ON receipts
BEGIN UPDATE totals SET cost = cost + ifnull(NEW.cost, 0), receipts = receipts + 1; END;
"""

CHECKS = {
    "two rows for the same item, rubric, wording, rater and repeat":
        "SELECT min(key) FROM calls GROUP BY item, rubric, wording, rater, repeat HAVING count(*) > 1",
    "two rows with the same key": "SELECT key FROM calls GROUP BY key HAVING count(*) > 1",
    "done without a receipt of the answer":
        "SELECT key FROM calls WHERE state = 'done' AND key NOT IN (SELECT key FROM receipts WHERE kind = 'answer')",
    "an answer has arrived but the call is not done (lost reply)":
        "SELECT key FROM receipts WHERE kind = 'answer' AND key NOT IN (SELECT key FROM calls WHERE state = 'done')",
    "answered twice by different batches or attempts, so perhaps paid twice":
        "SELECT key FROM receipts WHERE kind = 'duplicate' AND ifnull(cost, 0) > 0",
    "a reply to a call that is not in the ledger": "SELECT key FROM receipts WHERE kind = 'unknown'",
    "the answer is not the one of its receipt":
        "SELECT calls.key FROM calls JOIN receipts ON receipts.key = calls.key AND kind = 'answer' "
        "WHERE calls.raw IS NOT receipts.raw OR calls.cost IS NOT receipts.cost "
        "OR calls.tokens_in IS NOT receipts.tokens_in OR calls.tokens_out IS NOT receipts.tokens_out",
    "done without a status, or a score without status ok":
        "SELECT key FROM calls WHERE (state = 'done' AND status = '') "
        "OR (score IS NOT NULL AND (state <> 'done' OR status <> 'ok'))",
    "failed without a reason": "SELECT key FROM calls WHERE state = 'failed' AND (status IN ('', 'ok') OR reason = '')",
    "in a batch that is not open":
        "SELECT key FROM calls WHERE state = 'batched' AND batch NOT IN "
        "(SELECT name FROM batches WHERE state IN ('sending', 'sent', 'ended'))",
}
"""What must never be found, as a query that returns the keys where it is."""
