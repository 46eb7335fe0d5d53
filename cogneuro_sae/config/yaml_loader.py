"""A hardened YAML reader: one document, plain data, a line for every value, nothing executed or expanded.

PyYAML only cuts the text into events; yaml_tree builds the data, so that nothing grows before it is checked.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae.config.yaml_tree import Node, build_tree, check_characters, shown
from cogneuro_sae.errors import InputError

MAX_BYTES = 64_000_000


class YamlDocument(NamedTuple):
    """What a YAML file holds.

    `data` is the top-level mapping of plain Python values; `lines` finds the line of any key path in it.
    """

    data: dict
    lines: Lines


class Lines:
    """Line numbers (from 1) of a document's values by key path, such as `lines[("items", 3, "target", 0)]`.

    Parameters
    ----------
    root : object
        The document's tree, as `load_yaml` builds it.
    """

    def __init__(self, root: object):
        self._root = root

    def _find(self, path: Iterable) -> tuple[Node, int, bool]:
        node, line = self._root, self._root.line
        for key in path:
            if not node.children or key not in node.children:
                return node, line, False
            line, node = node.children[key]
        return node, line, True

    def __getitem__(self, path: tuple) -> int:
        _, line, found = self._find(path)
        if not found:
            raise KeyError(path)
        return line

    def near(self, path: tuple) -> int:
        """Return the line of a path, or of its deepest part that exists.

        Parameters
        ----------
        path : tuple
            Keys and list indices from the top.
        """
        return self._find(path)[1]

    def source(self, path: tuple) -> str | None:
        """Return the characters of an unquoted scalar that is not text (`1_000`, `~`, `true`), else None.

        Parameters
        ----------
        path : tuple
            Keys and list indices from the top.
        """
        node, _, found = self._find(path)
        return node.source if found else None


def load_yaml(path: str | Path) -> YamlDocument:
    """Read a YAML file that holds one mapping.

    Parameters
    ----------
    path : str or Path
        A UTF-8 file of at most 64 MB.

    Returns
    -------
    YamlDocument
        Plain data and the line of every value.

    Raises
    ------
    InputError
        The file cannot be read, is not UTF-8 or not one YAML mapping, repeats a key, nests deeper than 64, holds a tag,
        a merge key or an alias bomb, or a scalar whose meaning is not certain. Several faults are one ManyErrors.
    """
    where = str(path)
    text = decode(read_bytes(path), where)
    node = build_tree(text, where)
    if node is None or (node.value is None and node.source == ""):
        raise InputError("the file is empty", where=where, do="write a mapping, `key: value` lines")
    if not isinstance(node.value, dict):
        kind = "a list" if isinstance(node.value, list) else "a single value"
        raise InputError(f"expected a mapping (`key: value` lines) at the top, found {kind}",
                         where=f"{where}:{node.line}")
    return YamlDocument(node.value, Lines(node))


def read_bytes(path: str | Path, *, limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file.

    Parameters
    ----------
    path : str or Path
        The file.
    limit : int
        Largest size in bytes.

    Raises
    ------
    InputError
        It is missing, a folder, a pipe or device, unreadable or too large.
    """
    where = str(path)
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError("is a folder, expected a file", where=where)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("is not a regular file (a pipe or device)", where=where)
        if status.st_size > limit:
            raise InputError(f"is {status.st_size / 1e6:.0f} MB, larger than the limit of {limit / 1e6:.0f} MB",
                             where=where,
                             do="split it, or keep the texts in a table file (csv, jsonl)")
        return Path(path).read_bytes()
    except InputError:
        raise
    except FileNotFoundError as error:
        what = "is a link to a file that is gone" if Path(path).is_symlink() else "no such file"
        raise InputError(what, where=where) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", where=shown(where, 120),
                         do="check the name and the permissions") from error


def decode(raw: bytes, where: str, *, controls: bool = False) -> str:
    """Return bytes as text; a UTF-8 byte order mark is dropped.

    Parameters
    ----------
    raw : bytes
        What a file holds.
    where : str
        The file's name.
    controls : bool
        Let control characters other than NUL stand.

    Raises
    ------
    InputError
        UTF-16, not UTF-8, or a control character.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError("is UTF-16, not UTF-8", where=where, do="save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"not UTF-8 at byte {error.start}", where=f"{where}:{line}", do="save it as UTF-8") from error
    if not controls:
        check_characters(text, where)
    elif "\x00" in text:
        raise InputError("holds NUL characters, so it is not text", where=where, do="check that it is the right file")
    return text
