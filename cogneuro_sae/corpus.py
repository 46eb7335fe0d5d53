"""Text corpora: local .txt, .txt.gz and .jsonl files, read into documents, split into train and held-out.

A document is a block of text between blank lines (one record in .jsonl). Whether it is held out is decided by a hash
of its text alone, so the split never depends on order, on file names or on what else is in the corpus.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name

SHIPPED = Path(__file__).parent / "data" / "corpora"
PARTS = ("train", "heldout", "all")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents of text with their train/held-out split.

    Parameters
    ----------
    name : str
        The reference it was loaded from.
    texts : tuple of str
        One document each, in the order of sorted file names.
    sources : tuple of str
        The file of each document, relative to the corpus folder.
    heldout : numpy.ndarray
        (n_documents,) bool, True for held-out documents.
    sha256 : str
        Hash over all documents, in order.
    """

    name: str
    texts: tuple[str, ...]
    sources: tuple[str, ...]
    heldout: np.ndarray
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def documents(self, part: str = "all") -> list[str]:
        """Return the documents of one part.

        Parameters
        ----------
        part : str
            "train", "heldout" or "all".

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            The part is unknown.
        """
        if part not in PARTS:
            raise unknown_name("corpus part", part, PARTS)
        keep = {"train": ~self.heldout, "heldout": self.heldout, "all": np.ones(len(self), bool)}[part]
        return [self.texts[index] for index in np.flatnonzero(keep)]

    def passages(self, part: str = "train", *, characters: int = 1000, seed: int = 0) -> list[str]:
        """Return the documents of one part cut into passages, in a random order fixed by the seed.

        Parameters
        ----------
        part : str
            "train", "heldout" or "all".
        characters : int
            Longest passage; documents are cut at line ends, else sentence ends, else spaces.
        seed : int
            Order of the passages over the whole part, so that every stretch of it mixes all sources.

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            The part is unknown or `characters` < 1.
        """
        if characters < 1:
            raise InputError(f"characters = {characters}", allowed="1 or more")
        cut = [passage for text in self.documents(part) for passage in cut_text(text, characters)]
        return [cut[index] for index in np.random.default_rng(seed).permutation(len(cut))]


def cut_text(text: str, characters: int) -> Iterator[str]:
    """Yield consecutive stretches of a text, none longer than `characters`, none empty.

    Parameters
    ----------
    text : str
        Any text.
    characters : int
        Longest stretch; a cut falls after a line end, else a sentence end in the second half, else a space.

    Yields
    ------
    str
        Stripped of white space at both ends.
    """
    start = 0
    while len(text) - start > characters:
        half, stop = start + max(characters // 2, 1), start + characters
        ends = (text.rfind(mark, half, stop) + len(mark) for mark in ("\n", ". ", " ") if text.rfind(mark, half, stop) >= 0)
        end = next(ends, stop)
        if text[start:end].strip():
            yield text[start:end].strip()
        start = end
    if text[start:].strip():
        yield text[start:].strip()


def load_corpus(reference: str | Path, base: str | Path | None = None, *, exclude: Iterable[str] = (),
                heldout_share: float = 0.05) -> Corpus:
    """Load a corpus: the packaged "sample", a file, or a folder (read recursively).

    Parameters
    ----------
    reference : str or Path
        "sample", or a path of a .txt, .txt.gz or .jsonl file ({"text": ...} per line) or of a folder of such files.
    base : str or Path, optional
        Folder that relative paths start from (default: the working directory).
    exclude : iterable of str
        Patterns of files to leave out, relative to the folder, such as "wikipedia/heldout*".
    heldout_share : float
        Expected share of held-out documents, in [0, 1).

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        Nothing there, no readable text file, not UTF-8, a damaged archive, a bad record, no document at all.
    """
    if not 0 <= heldout_share < 1:
        raise InputError(f"heldout_share = {heldout_share}", allowed="0 <= share < 1")
    root, paths = _text_files(reference, base, tuple(exclude))
    texts, sources = [], []
    for path in paths:
        found = [text for text in _documents(path) if text]
        texts += found
        sources += [path.relative_to(root).as_posix() if path != root else path.name] * len(found)
    if not texts:
        raise InputError("holds no text", where=str(root), do="put documents separated by blank lines into it")
    digests = [hashlib.sha256(text.encode("utf-8")).digest() for text in texts]
    heldout = np.array([int.from_bytes(digest[:8], "big") / 2**64 < heldout_share for digest in digests])
    return Corpus(name=str(reference), texts=tuple(texts), sources=tuple(sources), heldout=heldout,
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


def _documents(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), do="check the file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=str(path), do="save it as UTF-8") from error
    return _reader(path)(text.replace("\r\n", "\n"), path)


def _read_blocks(text: str, path: Path) -> list[str]:
    return [block.strip() for block in _BLANK_LINE.split(text)]


def _read_records(text: str, path: Path) -> list[str]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
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


READERS = {".txt": _read_blocks, ".txt.gz": _read_blocks, ".jsonl": _read_records}
