"""Answers from a recording, without a key: the ledger of an earlier run, or JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.messages import STATUSES, ProviderError, Reply, Request
from cogneuro_sae.judge.providers.context import Context
from cogneuro_sae.judge.providers.spec import RaterSpec

FIELDS = frozenset(Reply._fields)


class Replay:
    """A recorded rater; it has the recorded one's name (`as`), because the name is part of what a call is known by.

    Parameters
    ----------
    spec : RaterSpec
        The rater; `file` is a ledger (.sqlite) or JSON lines `{"key": ..., "text": ..., "status": ...}` with the
        fields of `Reply`.
    context : Context
        `base` is where a relative `file` starts.

    Raises
    ------
    InputError
        The file is missing or is neither.
    """

    is_judge = True
    paid = False
    batch = None

    def __init__(self, spec: RaterSpec, context: Context):
        self.spec, self.name, self.model = spec, spec.name, spec.model_name
        self.path = Path(spec.file) if context.base is None else Path(context.base) / spec.file
        if not self.path.is_file():
            raise InputError("there is no such recording", where=str(self.path), do="give the ledger of an earlier run")
        self.notes = (f"recorded answers of {self.path.name}; nothing was asked",)
        with self.path.open("rb") as stream:
            is_ledger = stream.read(16).startswith(b"SQLite format 3")
        self._ledger, self._replies = None, {}
        if is_ledger:
            from cogneuro_sae.judge.ledger import Ledger

            self._ledger = Ledger(self.path, readonly=True)
        else:
            self._replies = _read_lines(self.path)

    def __repr__(self) -> str:
        return f"Replay({self.name!r}, {str(self.path)!r})"

    def answer(self, request: Request) -> Reply:
        """Return the recorded reply.

        Parameters
        ----------
        request : Request
            What is asked; found by its key.

        Returns
        -------
        Reply

        Raises
        ------
        ProviderError
            Nothing is recorded under this key: another text, prompt, wording, rater or repeat.
        """
        reply = self._ledger.reply(request.key) if self._ledger is not None else self._replies.get(request.key)
        if reply is None:
            raise ProviderError(f"{self.path.name} holds no answer to this call ({request.key[:12]}); it is found only "
                                "with the same text, prompt, wording, repeat and name of the rater (as)", lost=False)
        return reply


def _read_lines(path: Path) -> dict[str, Reply]:
    found: dict[str, Reply] = {}
    try:
        lines = path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("is neither a ledger nor JSON lines", where=str(path)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, reply = _read_line(line, f"{path}:{number}")
        if key in found and found[key] != reply:
            raise InputError(f"the call {key[:16]} stands twice with different replies", where=f"{path}:{number}")
        found[key] = reply
    return found


def _read_line(line: str, where: str) -> tuple[str, Reply]:
    try:
        row = json.loads(line)
        reply = Reply(**{name: value for name, value in row.items() if name in FIELDS})
        if not isinstance(row["key"], str) or not isinstance(reply.text, str) or reply.status not in STATUSES:
            raise ValueError("key and text are text, status is one of " + ", ".join(STATUSES))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"not a recorded reply ({error!r})", where=where,
                         allowed='{"key": ..., "text": ...} and other fields of a reply') from error
    return row["key"], reply
