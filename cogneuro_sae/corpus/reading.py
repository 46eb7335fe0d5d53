"""load_corpus: a shipped corpus, a file, a folder of files, or a dataset of the Hugging Face hub."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from cogneuro_sae.corpus.hub import PREFIX, dataset_texts, parquet_texts
from cogneuro_sae.corpus.documents import Corpus
from cogneuro_sae.errors import InputError

SHIPPED = Path(__file__).parents[1] / "data" / "corpora"
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def load_corpus(reference: str | Path, base: str | Path | None = None, *, exclude: Iterable[str] = (),
                heldout_share: float = 0.05, allow_download: bool = False) -> Corpus:
    """Load a corpus: the packaged "sample", a file, a folder (read recursively), or a dataset.

    Parameters
    ----------
    reference : str or Path
        "sample"; or a path of a .txt, .txt.gz, .jsonl ({"text": ...} per line) or .parquet (column `text`) file or of a
        folder of such files; or `hf:NAME`, `hf:NAME:SPLIT` or `hf:NAME:CONFIG:SPLIT` (column `text`; the split may be
        sliced, as in train[:1000]), NAME being a dataset of the Hugging Face hub or a folder that `datasets` reads.
    base : str or Path, optional
        Folder that relative paths start from (default: the working directory).
    exclude : iterable of str
        Patterns of files to leave out, relative to the folder, such as "wikipedia/heldout*".
    heldout_share : float
        Expected share of held-out documents, in [0, 1).
    allow_download : bool
        Whether a dataset may be fetched from the hub.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        Nothing there, no readable text file, not UTF-8, a damaged archive, a bad record, no document at all.
    SetupError
        Parquet or a dataset without the extra `datasets`, or no network.
    """
    if not 0 <= heldout_share < 1:
        raise InputError(f"heldout_share = {heldout_share}", allowed="0 <= share < 1")
    if str(reference).startswith(PREFIX):
        texts = [text for text in dataset_texts(str(reference), base, allow_download=allow_download) if text]
        return _corpus(str(reference), texts, [str(reference)] * len(texts), heldout_share, where=str(reference))
    root, paths = _text_files(reference, base, tuple(exclude))
    texts, sources = [], []
    for path in paths:
        found = [text for text in _reader(path)(path) if text]
        texts += found
        sources += [path.relative_to(root).as_posix() if path != root else path.name] * len(found)
    return _corpus(str(reference), texts, sources, heldout_share, where=str(root))


def _corpus(name: str, texts: list[str], sources: list[str], heldout_share: float, *, where: str) -> Corpus:
    if not texts:
        raise InputError("holds no text", where=where, do="put documents separated by blank lines into it")
    digests = [hashlib.sha256(text.encode("utf-8")).digest() for text in texts]
    heldout = np.array([int.from_bytes(digest[:8], "big") / 2**64 < heldout_share for digest in digests])
    return Corpus(name=name, texts=tuple(texts), sources=tuple(sources), heldout=heldout,
                  sha256=hashlib.sha256(b"".join(digests)).hexdigest())


def _text_files(reference, base, exclude) -> tuple[Path, list[Path]]:
    shipped = sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []
    if str(reference) in shipped:
        root = SHIPPED / str(reference)
    else:
        root = Path(base or ".") / Path(reference).expanduser()
    if root.is_file():
        if not _reader(root):
            raise InputError("is not a text file this reads", where=str(root), allowed=", ".join(READERS))
        return root, [root]
    if not root.is_dir():
        raise InputError(f"no corpus {str(reference)!r}",
                         allowed=f"{', '.join(shipped) or 'no shipped name'}, or a file or folder of "
                                 f"{', '.join(READERS)}", do=f"looked in {root.resolve()}")
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and _reader(path)]
    paths = [path for path in paths if not any(fnmatch(path.relative_to(root).as_posix(), mark) for mark in exclude)]
    if not paths:
        raise InputError("holds no text file", where=str(root), allowed=", ".join(READERS))
    return root, paths


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), do="check the file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=str(path), do="save it as UTF-8") from error
    return text.replace("\r\n", "\n")


def _read_blocks(path: Path) -> list[str]:
    return [block.strip() for block in _BLANK_LINE.split(_text(path))]


def _read_records(path: Path) -> list[str]:
    found = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"not JSON ({error})", where=f"{path}:{number}", allowed='{"text": "..."}') from error
        value = record.get("text") if isinstance(record, dict) else None
        if not isinstance(value, str):
            raise InputError("record without a text", where=f"{path}:{number}", allowed='{"text": "..."}')
        found.append(value.strip())
    return found


def _reader(path: Path):
    return next((reader for ending, reader in READERS.items() if path.name.endswith(ending)), None)


READERS = {".txt": _read_blocks, ".txt.gz": _read_blocks, ".jsonl": _read_records, ".parquet": parquet_texts}
