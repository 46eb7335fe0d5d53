"""The file under a ledger: opened under a lock, of the right version, changed in whole transactions only."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.judge.ledger_schema import APPLICATION, SCHEMA, VERSION


class LedgerFile:
    """A ledger opened for writing (one process at a time) or, with `readonly`, for looking at while another writes.

    Use it as a context manager. All methods may be called from several threads.

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

    def __init__(self, path: str | Path, *, readonly: bool = False):
        self.path, self.readonly = Path(path), readonly
        self.mutex = threading.RLock()
        self._exit = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            if not readonly:
                undo.enter_context(self._lock())
            self._connection = undo.enter_context(contextlib.closing(self._connect()))
            self._prepare()
            self._exit = undo.pop_all()
        self.recovered = 0 if readonly else self._recover()

    def __enter__(self) -> LedgerFile:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a finished ledger is then one plain file without companions."""
        with self.mutex:
            if not self.readonly:
                # fails while somebody reads: then the -wal file stays, and belongs to the ledger
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA journal_mode = DELETE")
            self._exit.close()

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            held = files.locked(Path(f"{self.path}.lock"))
            held.__enter__()
        except SetupError as error:
            raise SetupError(f"the ledger is locked: {error.what}", where=str(self.path), do=error.do) from error
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    def _connect(self) -> sqlite3.Connection:
        if self.readonly and not self.path.is_file():
            raise InputError("there is no ledger", where=str(self.path), do="run the judge first")
        try:
            uri = f"{self.path.absolute().as_uri()}{'?mode=ro' if self.readonly else ''}"
            return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
        except sqlite3.Error as error:
            raise SetupError(f"the ledger cannot be opened ({error})", where=str(self.path),
                             do="check the folder's permissions") from error

    def _prepare(self) -> None:
        try:
            version, = self._connection.execute("PRAGMA user_version").fetchone()
            application, = self._connection.execute("PRAGMA application_id").fetchone()
            empty = not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not self.readonly:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise InputError(f"not a readable ledger ({error})", where=str(self.path),
                             do="move it away and run the judge again") from error
        if empty and not self.readonly:
            self._connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; "
                                           f"PRAGMA application_id = {APPLICATION}; COMMIT;")
        elif (version, application) != (VERSION, APPLICATION):
            raise InputError(f"not a ledger of version {VERSION} (it says {version})", where=str(self.path),
                             do="use another folder, or the version of cogneuro-sae that made it")

    def _recover(self) -> int:
        with self.transaction() as run:
            return run("UPDATE calls SET state = 'pending', at_risk = at_risk + reserved, reserved = 0, updated = ?, "
                       "reason = 'under way when the run before was cut off' WHERE state = 'sent'", (now(),)).rowcount

    @contextlib.contextmanager
    def transaction(self) -> Iterator:
        """Yield `execute` of the connection inside a transaction: all of the block is on disk after it, or none.

        Raises
        ------
        SetupError
            The disk is full or failed.
        """
        with self.mutex:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection.execute
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                raise SetupError(f"the ledger cannot be written ({error})", where=str(self.path),
                                 do="free some space and run the same command again") from error

    def rows(self, query: str, values: tuple = ()) -> list[tuple]:
        """Return what a query finds.

        Parameters
        ----------
        query : str
            SQL that reads.
        values : tuple
            For its question marks.

        Returns
        -------
        list of tuple
        """
        with self.mutex:
            return self._connection.execute(query, values).fetchall()


def now() -> str:
    """Return the time in UTC to the millisecond, as it stands in the ledger."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
