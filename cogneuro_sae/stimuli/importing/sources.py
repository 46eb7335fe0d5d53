"""The files an import reads: plain or gz, within limits, each once."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

from cogneuro_sae.config import decode, read_bytes, shown
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.files import sha256_file
from cogneuro_sae.stimuli.tables import MAX_TABLE_BYTES, load_json

GZIP = b"\x1f\x8b"
DELIMITERS = {".csv": ",", ".tsv": "\t"}
PARQUET_NEEDS = "pip install 'cogneuro_sae[datasets]', or save the table as csv or jsonl"


class Source:
    """One file or folder of an import.

    Parameters
    ----------
    path : Path
        Where it is.
    label : str
        What stood before `=`; names the condition of a file of lines.
    """

    def __init__(self, path: Path, label: str = ""):
        self.path, self.label, self.where = path, label, str(path)

    @property
    def suffix(self) -> str:
        """The ending in small letters, without .gz."""
        path = self.path.with_suffix("") if self.path.suffix.lower() == ".gz" else self.path
        return path.suffix.lower()

    @functools.cached_property
    def text(self) -> str:
        """What the file says, unpacked; UTF-8 without byte order mark, control characters as they are."""
        raw = read_bytes(self.path, limit=MAX_TABLE_BYTES)
        if self.path.suffix.lower() == ".gz" or raw[:2] == GZIP:
            raw = _unpacked(raw, self.where)
        text = decode(raw, self.where, controls=True)
        if not text.strip():
            raise InputError("the file is empty", where=self.where)
        return text

    @functools.cached_property
    def data(self) -> object:
        """The value of a JSON file."""
        return load_json(self.text, where=self.where)

    def columns(self, separator: str = "") -> tuple[str, ...]:
        """Return the names of a table's columns before it is read whole; none for other files.

        Parameters
        ----------
        separator : str
            Sign between cells; "" goes by the ending.
        """
        if self.suffix == ".parquet":
            return _parquet_columns(self.path)
        if self.suffix == ".jsonl":
            row = load_json(next(line for line in self.text.split("\n") if line.strip()), where=f"{self.where}:1")
            return tuple(row) if isinstance(row, dict) else ()
        if self.suffix in DELIMITERS:
            return tuple(name.strip() for name in _first_cells(self.text, separator or DELIMITERS[self.suffix]))
        return ()

    def described(self) -> str:
        """Return the name of the file with the start of its sha256."""
        return f"{self.path.name} (sha256 {sha256_file(self.path)})" if self.path.is_file() else f"{self.path.name}/"


def parse_sources(words: str | Path | Sequence[str | Path]) -> list[Source]:
    """Return the files behind paths and `name=path` pairs.

    Parameters
    ----------
    words : str, Path or sequence of them
        As on the command line.

    Raises
    ------
    InputError
        None given, or a path that is not there.
    """
    words = [words] if isinstance(words, (str, Path)) else list(words)
    if not words:
        raise InputError("nothing to import", do="give a file or folder")
    return [_source(word) for word in words]


def only_one(sources: Sequence[Source], kind: str) -> Source:
    """Return the only source of a format that reads one.

    Parameters
    ----------
    sources : sequence of Source
        What was given.
    kind : str
        The format's name.

    Raises
    ------
    InputError
        Several.
    """
    if len(sources) > 1:
        raise InputError(f"the format {kind} reads one source, {len(sources)} were given",
                         do="several files of lines are read by --format lines")
    return sources[0]


def _source(word: str | Path) -> Source:
    label, sign, rest = str(word).partition("=")
    named = sign and rest and not _exists(Path(word))
    source = Source(Path(rest).expanduser(), label.strip()) if named else Source(Path(word).expanduser())
    if not _exists(source.path):
        gone = source.path.is_symlink() if len(source.where) < 1000 and "\x00" not in source.where else False
        raise InputError("is a link to a file that is gone" if gone else "no such file or folder",
                         where=shown(source.where, 200)[1:-1], do="check the name")
    return source


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _unpacked(raw: bytes, where: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(raw)) as handle:
            data = handle.read(MAX_TABLE_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        kind = "is cut short" if isinstance(error, EOFError) else f"is not a sound gz file ({error})"
        raise InputError(f"the file {kind}", where=where, do="fetch it again, or unpack it") from error
    if len(data) > MAX_TABLE_BYTES:
        raise InputError(f"unpacks to more than the limit of {MAX_TABLE_BYTES / 1e6:.0f} MB", where=where,
                         do="split it")
    return data


def _first_cells(text: str, sign: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text[:1_000_000], newline=""), delimiter=sign), [])
    except csv.Error:
        return []


def _parquet_columns(path: Path) -> tuple[str, ...]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise SetupError("parquet files need pyarrow", where=str(path), do=PARQUET_NEEDS) from error
    if not path.stat().st_size:
        raise InputError("the file is empty", where=str(path))
    try:
        return tuple(pyarrow.parquet.read_schema(path).names)
    except Exception as error:
        raise InputError(f"not a readable parquet file ({error})", where=str(path)) from error
