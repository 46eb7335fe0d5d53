"""Ctrl-C and SIGTERM as a request to finish the piece of work at hand, save it and stop.

The first signal sets a flag that long loops look at between pieces; the second SIGINT stops at once.
"""

from __future__ import annotations

import signal
import sys
import threading

from cogneuro_sae.errors import CogneuroError


class Interrupted(CogneuroError):
    """The user or the queue asked to stop; what was done is saved (exit code 130).

    Parameters
    ----------
    what : str
        What was going on.
    where : str, optional
        Where the saved work stands.
    do : str, optional
        How to go on.
    """

    exit_code = 130

    def __init__(self, what: str, *, where: str | None = None, allowed: str | None = None,
                 do: str | None = "re-run the same command to resume"):
        super().__init__(what, where=where, allowed=allowed, do=do)


class Interrupts:
    """Context manager: while it is open, SIGINT and SIGTERM set `requested` instead of killing the process.

    Signal handlers belong to the main thread; in any other thread it changes nothing and `requested` stays None.
    Of nested ones the inner one receives the signals.
    """

    def __init__(self):
        self.requested: str | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
            outer = getattr(handler, "__self__", None)
            if self.requested and isinstance(outer, Interrupts):
                outer.requested = outer.requested or self.requested      # a signal in the last phase is the outer's too
        self._previous.clear()

    def _on_signal(self, number, frame) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number).name
        print(f"\n{self.requested}: finishing the piece at hand and saving (Ctrl-C again stops at once)",
              file=sys.stderr, flush=True)

    def check(self, what: str, *, where: str | None = None) -> None:
        """Raise `Interrupted` when a signal has come; call it when everything is saved.

        Parameters
        ----------
        what : str
            What was going on, for the message.
        where : str, optional
            Where the saved work stands.

        Raises
        ------
        Interrupted
            A signal has come.
        """
        if self.requested:
            raise Interrupted(f"{what} interrupted by {self.requested}, everything so far is saved", where=where)
