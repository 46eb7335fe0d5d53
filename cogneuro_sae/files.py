"""Files that are complete or absent: atomic writes, manifests written last, locks.

A file under its final name is always whole: it is written beside itself, flushed to disk and renamed.
A folder is finished when its manifest (sizes and sha256 of its files) is there and true.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from cogneuro_sae.errors import InputError, SetupError

MANIFEST = "manifest.json"
LITTER = ".writing-"


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends well.

    Raises
    ------
    SetupError
        The disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{LITTER}{os.getpid()}-{path.name}"
        try:
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _disk_error(error, path) from error


def _disk_error(error: OSError, path: Path) -> SetupError:
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(path.parent).free / 1e6
        return SetupError(f"no space left on the disk ({free:.0f} MB free)", where=str(path),
                          do="free some space and run the same command again")
    return SetupError(f"cannot write ({error.strerror or error})", where=str(path), do="check the folder's permissions")


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write `data` to `path` atomically and return the path."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write `text` as UTF-8 with newline line ends to `path` atomically and return the path."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike, data: object) -> Path:
    """Write `data` as indented JSON (NaN and infinities become null) to `path` atomically."""
    return write_text(path, json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> object:
    """Read a JSON file; an unreadable or truncated one is an InputError that names it."""
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"not a readable JSON file ({error})", where=str(path)) from error


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def sha256_file(path: str | os.PathLike) -> str:
    """Return the sha256 of a file as 64 hex digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprints(folder: str | os.PathLike, names: list[str]) -> dict[str, dict]:
    """Return bytes and sha256 of the named files of a folder."""
    folder = Path(folder)
    return {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)} for name in names}


def mismatch(folder: str | os.PathLike, known: dict[str, dict]) -> tuple[Path, str] | None:
    """Return the first file that is not as its fingerprint says and what is wrong with it, or None."""
    for name, print_ in known.items():
        path = Path(folder) / name
        if not path.is_file():
            return path, "is missing although the manifest names it"
        if path.stat().st_size != print_["bytes"] or sha256_file(path) != print_["sha256"]:
            return path, "does not match the manifest (truncated or altered)"
    return None


def write_manifest(folder: str | os.PathLike, names: list[str], extra: dict | None = None) -> Path:
    """Write `manifest.json` for the named files of a folder; call it last, it marks the folder complete."""
    return write_json(Path(folder) / MANIFEST, {**(extra or {}), "files": fingerprints(folder, names)})


def check_manifest(folder: str | os.PathLike) -> dict:
    """Return a folder's manifest after comparing every file's size and sha256 with it.

    Raises
    ------
    InputError
        No manifest (the folder was never finished), or a file is missing, truncated or altered.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise InputError("has no manifest.json, so it is not complete", where=str(folder), do="make it again")
    manifest = read_json(folder / MANIFEST)
    wrong = mismatch(folder, manifest["files"])
    if wrong:
        raise InputError(wrong[1], where=str(wrong[0]), do="make or download it again")
    return manifest


def is_complete(folder: str | os.PathLike) -> bool:
    """Return whether a folder has a manifest and all files match it."""
    try:
        check_manifest(folder)
    except InputError:
        return False
    return True


def sweep(folder: str | os.PathLike) -> int:
    """Remove what interrupted writes left in a folder tree; return how many files went."""
    litter = [path for pattern in (f"{LITTER}*", ".tmp??????") for path in Path(folder).rglob(pattern) if path.is_file()]
    for path in litter:
        path.unlink(missing_ok=True)
    return len(litter)


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Hold a folder's lock for the block; a lock of a dead process is free again by itself.

    Raises
    ------
    SetupError
        Another process works in this folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / ".lock-owner"
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        owner = note.read_text("utf-8").strip() if note.is_file() else "another process"
        raise SetupError(f"is in use by {owner}", where=str(folder), do="wait for it to end, or use another --out") from error
    try:
        write_text(note, f"process {os.getpid()} on {os.uname().nodename if hasattr(os, 'uname') else 'this host'}\n")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()
