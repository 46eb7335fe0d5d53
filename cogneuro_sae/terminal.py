"""What a person at a terminal sees: numbered steps and messages on stderr, the path of what was made on stdout."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cogneuro_sae.display import plain


class Steps:
    """Prints numbered steps, each with the seconds since the one before.

    Parameters
    ----------
    quiet : bool
        Print nothing.
    """

    def __init__(self, quiet: bool = False):
        self.quiet, self.number, self.last = quiet, 0, time.perf_counter()

    def __call__(self, text: str) -> None:
        self.number += 1
        now = time.perf_counter()
        if not self.quiet:
            say(f"{self.number:>3}  {plain(text)}  ({now - self.last:.1f} s)")
        self.last = now


def say(text: str) -> None:
    """Print one or more lines to stderr, replacing what the terminal cannot show."""
    _show(text, sys.stderr)


def done(path: Path) -> None:
    """Print the path of what was made as the last line of stdout."""
    _show(str(path), sys.stdout)


def _show(text: str, stream) -> None:
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
