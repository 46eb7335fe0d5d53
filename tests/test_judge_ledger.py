"""The ledger: every call once, every answer kept, legal moves only, and a check that finds what is wrong."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.judge import ledger_batches as book
from cogneuro_sae.judge.ledger import Ledger, request_hash
from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.parsing import Parsed

NAN = float("nan")
OK = Parsed(2.0, {"why": "near"}, "ok", "")
KEY = "sk-planted-4711-aaaa-bbbb"


def row(number: int, **changes) -> dict:
    return {"key": f"key{number:04d}", "item": f"item{number:04d}", "rubric": "target", "wording": "a",
            "rater": "fake:m", "repeat": 0, "arm": "max", "feature": f"sae:{number}", "control": "",
            "request_hash": f"hash{number}", **changes}


def reply(text: str = "2", **changes) -> Reply:
    return Reply(**{"text": text, "raw": f'{{"answer": "{text}"}}', "tokens_in": 10, "tokens_out": 2, "seconds": 0.5,
                    "request_id": "r1", **changes})


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        opened.plan(row(number) for number in range(5))
        yield opened


def test_every_change_is_flushed_to_the_disk(ledger):
    assert ledger.rows("PRAGMA journal_mode") == [("wal",)] and ledger.rows("PRAGMA synchronous") == [(2,)]


def test_planning_twice_changes_nothing(ledger):
    assert ledger.plan(row(number) for number in range(7)) == 2
    assert ledger.pending() == [f"key{number:04d}" for number in range(7)]
    assert ledger.counts() == {"pending": 7} and ledger.counts("other") == {} and ledger.check() == []


@pytest.mark.parametrize("changes, told", [
    ({"request_hash": "other"}, "other text or arm"),
    ({"arm": "rsa"}, "other text or arm"),
    ({"key": "new"}, "prompt, wording or model changed"),
])
def test_a_call_cannot_be_planned_in_two_ways(ledger, changes, told):
    with pytest.raises(InputError, match=told):
        ledger.plan([row(9), row(3, **changes)])
    assert ledger.counts() == {"pending": 5}, "nothing of a refused plan is entered"


def test_an_answer_is_written_down_whole(ledger):
    assert ledger.claim("key0002", reserve=0.5) and ledger.state("key0002") == "sent"
    assert ledger.spent() == (0, 0.5, 0)
    assert ledger.record("key0002", reply(logprobs={"2": -0.1}), OK, 0.25) == "done"
    assert ledger.spent() == (0.25, 0, 0)
    found = ledger.to_frame().set_index("key").loc["key0002"]
    assert (found["state"], found["status"], found["score"], found["label"]) == ("done", "ok", 2.0, '{"why": "near"}')
    assert (found["tokens_in"], found["tokens_out"], found["cost"], found["attempts"]) == (10, 2, 0.25, 1)
    assert ledger.reply("key0002") == reply(logprobs={"2": -0.1}) and ledger.reply("key0001") is None
    assert ledger.check() == []


@pytest.mark.parametrize("given, parsed, state, status, reason", [
    (reply("no", status="refusal", reason="will not"), Parsed(3.0, {}, "refusal", "will not"), "done", "refusal", "will not"),
    (reply("3", status="truncated", reason="cut"), Parsed(3.0, {}, "ok", ""), "done", "truncated", "cut"),
    (reply("5"), Parsed(5.0, {}, "out_of_range", "5 is not 0-3"), "done", "out_of_range", "5 is not 0-3"),
    (reply("?"), Parsed(NAN, {}, "unparsable", ""), "done", "unparsable", "no reason given"),
    (reply("", raw="", status="error", reason="HTTP 500"), Parsed(1.0, {}, "ok", ""), "failed", "error", "HTTP 500"),
])
def test_what_is_not_ok_is_never_a_score(ledger, given, parsed, state, status, reason):
    ledger.claim("key0000")
    assert ledger.record("key0000", given, parsed, 0.1) == state
    found = ledger.to_frame().iloc[0]
    assert (found["state"], found["status"], found["reason"]) == (state, status, reason)
    assert found["score"] != found["score"], "NaN"
    assert ledger.check() == [] and ledger.spent().paid == 0.1


def test_a_failed_call_keeps_its_reason_and_can_be_opened_again(ledger):
    ledger.claim("key0001", reserve=0.2)
    ledger.fail("key0001", "error", "HTTP 500 (6 attempts)", lost=True)
    ledger.fail("key0002", "error", "too long to be sent")
    assert ledger.spent() == (0, 0, 0.2) and ledger.counts() == {"failed": 2, "pending": 3}
    with pytest.raises(InputError, match="is failed and cannot fail"):
        ledger.fail("key0001", "error", "again")
    assert ledger.reopen("other") == 0 and ledger.reopen() == 2 and ledger.counts() == {"pending": 5}
    assert ledger.to_frame()["reason"][1] == "HTTP 500 (6 attempts)"


def test_what_was_under_way_is_asked_again_and_its_money_is_at_risk(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as before:
        before.plan(row(number) for number in range(3))
        before.claim("key0000", reserve=0.3)
        before.claim("key0001", reserve=0.3)
        before.record("key0001", reply(), OK, 0.1)
    with Ledger(path) as after:
        assert after.recovered == 1 and after.pending() == ["key0000", "key0002"]
        assert after.spent() == pytest.approx((0.1, 0, 0.3))
        assert "cut off" in after.to_frame()["reason"][0] and after.check() == []


def test_the_budget_is_kept_by_the_claim(ledger):
    assert ledger.claim("key0000", reserve=0.6, budget=1.0)
    assert not ledger.claim("key0001", reserve=0.6, budget=1.0) and ledger.state("key0001") == "pending"
    ledger.record("key0000", reply(), OK, 0.1)
    assert ledger.claim("key0001", reserve=0.6, budget=1.0)
    assert ledger.again("key0001", lost=False, reserve=0.6, budget=1.0), "the reserve goes on to the next attempt"
    assert ledger.spent() == pytest.approx((0.1, 0.6, 0))
    for _ in range(2):
        assert not ledger.again("key0001", lost=True, reserve=0.6, budget=1.0), "0.1 paid, 0.6 at risk, 0.6 more"
        assert ledger.spent() == pytest.approx((0.1, 0, 0.6))
    assert ledger.again("key0001", lost=True, reserve=0.6, budget=1.3)
    assert ledger.spent() == pytest.approx((0.1, 0.6, 0.6)) and ledger.to_frame()["attempts"][1] == 3


@pytest.mark.parametrize("act, told", [
    (lambda ledger: ledger.claim("key9999"), "was not planned"),
    (lambda ledger: ledger.claim("key0000") and ledger.claim("key0000"), "is sent, not pending"),
    (lambda ledger: ledger.fail("key9999", "error", "x"), "was not planned"),
])
def test_wrong_moves_are_refused(ledger, act, told):
    with pytest.raises(InputError, match=told):
        act(ledger)


@pytest.mark.parametrize("statement", [
    "DELETE FROM calls", "DELETE FROM receipts", "UPDATE receipts SET cost = 0",
    "UPDATE calls SET state = 'pending' WHERE state = 'done'", "UPDATE calls SET raw = '' WHERE state = 'done'",
    "UPDATE calls SET state = 'done', status = 'ok', raw = 'x' WHERE state = 'pending'",
    "UPDATE calls SET score = 3 WHERE state = 'pending'", "UPDATE calls SET state = 'failed' WHERE state = 'pending'",
    "UPDATE calls SET status = 'refusal', score = NULL WHERE state = 'done'",
    "INSERT INTO calls (key, item, rubric, wording, rater, repeat, arm, feature, control, request_hash, created, updated) "
    "SELECT 'new', item, rubric, wording, rater, repeat, arm, feature, control, request_hash, created, updated FROM calls LIMIT 1",
])
def test_the_database_itself_refuses(ledger, statement):
    ledger.claim("key0000")
    ledger.record("key0000", reply(), OK, 0.1)
    with pytest.raises(sqlite3.IntegrityError), ledger.transaction() as run:
        run(statement)
    assert ledger.counts() == {"done": 1, "pending": 4} and ledger.check() == []


def test_a_reply_to_a_call_that_was_never_sent_is_a_bug(ledger):
    with pytest.raises(InputError, match="a reply to call key0000, which is pending"):
        ledger.record("key0000", reply(), OK, 0.1)


@pytest.mark.parametrize("damage, told", [
    ("UPDATE calls SET state = 'sent' WHERE state = 'done'", "an answer has arrived but the call is not done (lost reply)"),
    ("DELETE FROM receipts", "done without a receipt"),
    ("DELETE FROM receipts", "sums differ: 0 receipts of 0.000000, running total 2 of 0.300000"),
    ("UPDATE calls SET cost = 9", "sums differ: the answers cost 18.000000, their receipts say 0.300000"),
    ("UPDATE calls SET cost = 9", "the answer is not the one of its receipt"),
    ("UPDATE totals SET cost = 1", "sums differ"),
    ("UPDATE calls SET item = 'item0000'", "two rows for the same item, rubric, wording, rater and repeat"),
    ("UPDATE calls SET key = 'key0000' WHERE item = 'item0001'", "two rows with the same key"),
    ("UPDATE calls SET score = 3, status = 'refusal' WHERE key = 'key0000'", "a score without status ok"),
    ("UPDATE calls SET state = 'failed', status = '', reason = '' WHERE key = 'key0004'", "failed without a reason"),
    ("UPDATE calls SET state = 'batched', batch = 'gone' WHERE key = 'key0004'", "in a batch that is not open"),
])
def test_check_finds_damage(tmp_path, damage, told):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan(row(number) for number in range(5))
        for key, price in (("key0000", 0.1), ("key0001", 0.2)):
            ledger.claim(key)
            ledger.record(key, reply(), OK, price)
        assert ledger.check() == []
    with sqlite3.connect(path) as bare:  # a ledger without any of its guards
        bare.execute("PRAGMA ignore_check_constraints = ON")
        for name, in bare.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            bare.execute(f"DROP TRIGGER {name}")
        bare.execute("CREATE TABLE copy AS SELECT * FROM calls")
        bare.execute("DROP TABLE calls")
        bare.execute("ALTER TABLE copy RENAME TO calls")
        bare.execute(damage)
    bare.close()
    with Ledger(path, readonly=True) as damaged:
        assert any(told in line for line in damaged.check()), damaged.check()


def test_second_and_stray_replies_leave_receipts_only(ledger):
    ledger.claim("key0000")
    ledger.record("key0000", reply("1"), Parsed(1.0, {}, "ok", ""), 0.1)
    assert ledger.record("key0000", reply("3"), Parsed(3.0, {}, "ok", ""), 0.1) == "duplicate"
    assert ledger.record("nobody", reply("3"), OK, 0.1) == "unknown"
    assert ledger.to_frame()["score"][0] == 1.0 and ledger.spent().paid == pytest.approx(0.3)
    told = ledger.check()
    assert len(told) == 2 and "perhaps paid twice: 1 (key0000)" in told[0] and "not in the ledger: 1 (nobody)" in told[1]


def test_results_of_a_batch_may_be_read_again(ledger):
    batch = book.begin(ledger, "fake:m", {"key0000": 0.2, "key0001": 0.2})
    wrong = reply("", status="error", reason="expired")
    for _ in range(3):
        ledger.record("key0000", reply("1"), OK, 0.1, batch=batch.name)
        ledger.record("key0001", wrong, Parsed(NAN, {}, "error", "expired"), 0.0, batch=batch.name)
    assert ledger.record("key0002", reply("1"), OK, 0.0, batch=batch.name) == "unknown", "of no batch"
    assert ledger.spent().paid == 0.1 and ledger.counts() == {"done": 1, "failed": 1, "pending": 3}
    assert [line[:44] for line in ledger.check()] == ["a reply to a call that is not in the ledger:"]


def test_one_process_writes_and_others_look_on(tmp_path):
    path = tmp_path / "ledger.sqlite"
    code = ("import sys; from cogneuro_sae.judge.ledger import Ledger\n"
            "with Ledger(sys.argv[1], readonly=len(sys.argv) > 2) as ledger: print(ledger.counts())")
    with Ledger(path) as ledger:
        ledger.plan([row(0)])
        second = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
        assert second.returncode == 1 and f"the ledger is locked: is in use by process {os.getpid()} on" in second.stderr
        looking = subprocess.run([sys.executable, "-c", code, path, "look"], capture_output=True, text=True)
        assert looking.stdout == "{'pending': 1}\n", looking.stderr
        with Ledger(path, readonly=True) as reader, pytest.raises(SetupError, match="readonly"), reader.transaction() as run:
            run("UPDATE calls SET arm = 'x'")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ledger.sqlite", "ledger.sqlite.lock"]


def test_files_that_are_no_ledger_are_refused(tmp_path):
    (tmp_path / "text").write_text("no database, but longer than a header of SQLite would be. " * 20)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (a)").connection.close()
    for name, told in (("text", "not a readable ledger"), ("other", "not a ledger of version 1")):
        with pytest.raises(InputError, match=told):
            Ledger(tmp_path / name)
        with pytest.raises(InputError, match=told):
            Ledger(tmp_path / name, readonly=True)
    with pytest.raises(InputError, match="there is no ledger"):
        Ledger(tmp_path / "absent", readonly=True)
    assert not (tmp_path / "absent").exists()


def test_keys_and_half_characters_do_not_get_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan(row(number) for number in range(4))
        ledger.claim("key0000")
        ledger.record("key0000", reply(f"a {KEY} \ud800 \x00 b", raw=f'{{"text": "\ud800 {KEY}"}}', request_id=KEY),
                      Parsed(NAN, {"label": f"{KEY} \udfff"}, "unparsable", f"saw {KEY}"), 0.1)
        ledger.claim("key0001")
        ledger.release("key0001", f"401 for {KEY}")
        ledger.fail("key0002", "error", f"401 for {KEY}")
        batch = book.begin(ledger, "fake:m", {"key0003": 0.0})
        book.mark(ledger, batch, "failed", reason=f"key {KEY}")
        held = b"".join(each.read_bytes() for each in tmp_path.glob("ledger.sqlite*") if each.is_file())
        assert b"401 for [key]" in held and KEY.encode() not in held
        assert ledger.reply("key0000").text == "a [key] \ud800 \x00 b"
    assert KEY.encode() not in path.read_bytes()


def test_many_threads_write_one_ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(row(number) for number in range(120))
        won = []

        def work(seed):
            for number in random.Random(seed).sample(range(120), 120):
                key = f"key{number:04d}"
                try:
                    ledger.claim(key, reserve=0.01)
                except InputError:
                    continue
                won.append(ledger.record(key, reply(), OK, 0.01))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == ["done"] * 120 and ledger.check() == [] and ledger.spent().paid == pytest.approx(1.2)


def test_the_hash_of_a_request_sees_all_that_is_sent():
    base = Request("k", "s", "u", ("0", "1"), {"type": "object"}, 10, None)
    others = [base._replace(**change) for change in (
        {"system": "t"}, {"user": "v"}, {"options": ("0",)}, {"schema": None}, {"max_tokens": 11})]
    assert len({request_hash(each) for each in [base, *others]}) == 6
    assert request_hash(base._replace(key="other")) == request_hash(base)


class Machine(RuleBasedStateMachine):
    """Random legal and illegal acts, crashes included, against a dict that says what must be."""

    numbers = st.integers(0, 3)

    def __init__(self):
        super().__init__()
        self.folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"ledger-{os.getpid()}-{id(self)}"
        self.ledger, self.lives, self.paid = Ledger(self.folder / "0.sqlite"), 0, 0.0
        self.ledger.rows("PRAGMA synchronous = OFF")
        self.ledger.plan(row(number) for number in range(4))
        self.state = {f"key{number:04d}": "pending" for number in range(4)}
        self.risk = dict.fromkeys(self.state, 0.0)

    @rule(number=numbers)
    def claim(self, number):
        key = f"key{number:04d}"
        if self.state[key] == "pending":
            assert self.ledger.claim(key, reserve=1.0)
            self.state[key] = "sent"
        else:
            with pytest.raises(InputError):
                self.ledger.claim(key)

    @rule(number=numbers, good=st.booleans())
    def record(self, number, good):
        key = f"key{number:04d}"
        given = reply() if good else reply(status="error", reason="x")
        if self.state[key] == "pending" or (self.state[key] == "failed" and not good):
            with pytest.raises(InputError, match="a reply to call"):
                self.ledger.record(key, given, OK, 0.25)
            return
        end = self.ledger.record(key, given, OK, 0.25)
        assert end == ("duplicate" if self.state[key] == "done" else "done" if good else "failed")
        self.state[key] = "done" if self.state[key] == "done" else end
        self.paid += 0.25

    @rule(number=numbers, lost=st.booleans())
    def fail_or_release(self, number, lost):
        key = f"key{number:04d}"
        if self.state[key] == "sent":
            self.risk[key] += lost
            self.state[key] = "failed" if number % 2 else "pending"
            (self.ledger.fail(key, "error", "x", lost=lost) if number % 2 else self.ledger.release(key, "x", lost=lost))

    @rule()
    def reopen(self):
        assert self.ledger.reopen() == sum(state == "failed" for state in self.state.values())
        self.state = {key: "pending" if state == "failed" else state for key, state in self.state.items()}

    @rule()
    def crash(self):
        """Go on from a copy of the files as they lie on the disk now."""
        self.lives += 1
        for each in self.folder.glob(f"{self.lives - 1}.sqlite*"):
            if each.is_file():
                shutil.copy(each, self.folder / each.name.replace(f"{self.lives - 1}.", f"{self.lives}.", 1))
        self.ledger.close()
        self.ledger = Ledger(self.folder / f"{self.lives}.sqlite")
        self.ledger.rows("PRAGMA synchronous = OFF")
        for key, state in self.state.items():
            if state == "sent":
                self.state[key] = "pending"
                self.risk[key] += 1.0

    @invariant()
    def agree(self):
        assert {key: self.ledger.state(key) for key in self.state} == self.state
        reserved = sum(state == "sent" for state in self.state.values())
        assert self.ledger.spent() == pytest.approx((self.paid, reserved, sum(self.risk.values())))
        assert [line for line in self.ledger.check() if "paid twice" not in line] == []

    def teardown(self):
        self.ledger.close()
        shutil.rmtree(self.folder)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=12, deadline=None, derandomize=True,
                                suppress_health_check=list(HealthCheck))
