"""One error family: every message says what is wrong, where, what is allowed and what to do.

The command line turns `exit_code` into the exit status: 2 bad input, 3 environment, 1 anything else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CogneuroError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what : str
        What is wrong, including the value given.
    where : str, optional
        File:line:field, stimulus id, tensor name ...
    allowed : str, optional
        What would be accepted.
    do : str, optional
        What to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, allowed: str | None = None, do: str | None = None):
        self.what, self.where, self.allowed, self.do = what, where, allowed, do
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.do:
            text += f"; {self.do}"
        return text

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.allowed, self.do)


class InputError(CogneuroError, ValueError):
    """Bad input: a file, a config value, an argument (exit code 2)."""

    exit_code = 2


class SetupError(CogneuroError, RuntimeError):
    """The environment lacks something: an extra, a device, disk space, a lock (exit code 3)."""

    exit_code = 3


class ManyErrors(InputError):
    """Several input errors found in one reading, so that a user mends them in one go.

    Parameters
    ----------
    errors : iterable of CogneuroError
        At least one.
    """

    def __init__(self, errors: Iterable[CogneuroError]):
        self.errors = list(errors)
        super().__init__("\n".join(str(error) for error in self.errors))

    def __reduce__(self):
        return ManyErrors, (self.errors,)


def _rebuild(kind, what, where, allowed, do):
    return kind(what, where=where, allowed=allowed, do=do)


def unknown_name(kind: str, value: object, known: Iterable[str], *, where: str | None = None) -> InputError:
    """Return (not raise) the error for a name that is not in a registry.

    Parameters
    ----------
    kind : str
        What the name should have been, such as "selector".
    value : object
        The name given.
    known : iterable of str
        All accepted names; the nearest one is proposed.
    where : str, optional
        Where the name stands.
    """
    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else None
    shown = ", ".join(names[:40]) + (f" ... ({len(names)} in all)" if len(names) > 40 else "")
    return InputError(f"unknown {kind} {str(value)!r}", where=where, allowed=shown or "none", do=hint)
