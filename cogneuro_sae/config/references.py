"""References: a shipped name, or a path relative to the file that names it."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterable
from pathlib import Path

from cogneuro_sae.config.yaml_tree import shown
from cogneuro_sae.errors import InputError

YAML_SUFFIXES = (".yaml", ".yml")
_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(kind: str) -> Path:
    """Return the folder of what ships with the package.

    Parameters
    ----------
    kind : str
        `stimuli`, `configs`, or a folder below one of them such as `configs/compare`.

    Returns
    -------
    Path
        Inside the installed package, or in the checkout beside it.
    """
    inside = _PACKAGE / "shipped"
    return (inside if inside.is_dir() else _PACKAGE.parent) / kind


def resolve(
    reference: str | Path, kind: str, *, base: Path | None = None, suffixes: tuple[str, ...] = YAML_SUFFIXES
) -> Path:
    """Return the file that a shipped name or a path refers to.

    Parameters
    ----------
    reference : str or Path
        The stem of a shipped file, or a path. A path that begins with `stimuli/` or `configs/` and is not there is
        looked for among what ships.
    kind : str
        Where shipped names live, such as `stimuli` or `configs/compare`.
    base : Path, optional
        Folder that relative paths start from; default the working directory.
    suffixes : tuple of str
        What the files of this kind end in.

    Returns
    -------
    Path
        An existing path.

    Raises
    ------
    InputError
        Nothing of that name; near names are proposed.
    """
    text = str(reference)
    base = Path.cwd() if base is None else Path(base)
    if not text.strip() or "\x00" in text or len(text) > 1000:
        raise InputError(f"{shown(text)} is not a name or path", allowed="a shipped name or the path of a file")
    if _is_name(text, suffixes):
        found = [path for path in _shipped_files(kind, suffixes) if path.stem == text]
        if len(found) > 1:
            raise InputError(f"the name {text!r} is shipped more than once", allowed=", ".join(map(str, found)))
        if found:
            return found[0]
    for path in (base / Path(text).expanduser(), _among_shipped(text)):
        if path is not None and _exists(path) and not (_is_name(text, suffixes) and path.is_dir()):
            return path
    raise _not_found(text, kind, base, suffixes)


def beside(value: object, *folders: Path) -> object:
    """Return the absolute path of what a value names in a folder; a value that names nothing there stays as it is.

    Parameters
    ----------
    value : object
        Anything; only text can be a path.
    folders : Path
        Where to look, in order.

    Returns
    -------
    object
        str if found.
    """
    if isinstance(value, str) and value.strip() and len(value) <= 1000 and "\x00" not in value:
        for folder in folders:
            if _exists(folder / value):
                return str((folder / value).resolve())
    return value


def expand(references: Iterable[str | Path], kind: str, base: Path | None = None) -> list[Path]:
    """Return the files of several references; globs and folders give all their YAML files.

    Parameters
    ----------
    references : iterable of str or Path
        Shipped names, paths, folders or globs.
    kind : str
        Where shipped names live.
    base : Path, optional
        Folder that relative paths start from; default the working directory.

    Returns
    -------
    list of Path
        Existing files in the order given (sorted within a glob), each once.

    Raises
    ------
    InputError
        A reference finds nothing, or a glob or folder holds no YAML file.
    """
    found: list[Path] = []
    for reference in references:
        text = str(reference)
        if any(sign in text for sign in "*?["):
            found += _globbed(text, base)
        else:
            folder = (Path.cwd() if base is None else Path(base)) / text
            named = any(path.stem == text for path in _shipped_files(kind, YAML_SUFFIXES))
            path = folder if text and not named and _exists(folder) and folder.is_dir() else resolve(reference, kind,
                                                                                                     base=base)
            found += _in_folder(path) if path.is_dir() else [path]
    return list({path.resolve(): path for path in found}.values())


def _is_name(text: str, suffixes: tuple[str, ...]) -> bool:
    return not text.endswith(suffixes) and not any(sign in text for sign in "/\\")


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return False


def _shipped_files(kind: str, suffixes: tuple[str, ...]) -> list[Path]:
    root = shipped(kind)
    return sorted(path for path in root.rglob("*") if path.suffix in suffixes) if root.is_dir() else []


def _among_shipped(text: str) -> Path | None:
    parts = Path(text).parts
    if ".." in parts or not parts or parts[0] not in ("stimuli", "configs"):
        return None
    return shipped(parts[0]).joinpath(*parts[1:])


def _not_found(text: str, kind: str, base: Path, suffixes: tuple[str, ...]) -> InputError:
    names = sorted({path.stem for path in _shipped_files(kind, suffixes)})
    if _is_name(text, suffixes):
        near = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
        beside = [f"./{text}{suffix}" for suffix in suffixes if _exists(base / f"{text}{suffix}")]
        hint = f"did you mean {(beside + near)[0]!r}?" if beside or near else None
        return InputError(f"no shipped {kind} file of the name {shown(text)}",
                          allowed=f"{', '.join(names) or 'no shipped names'}, or a path", do=hint)
    folder = (base / Path(text).expanduser()).parent
    if not _exists(folder):
        return InputError(f"no such file: {shown(text, 200)}", do=f"there is no folder {folder}")
    beside = sorted(path.name for path in folder.iterdir() if path.suffix in suffixes) if folder.is_dir() else []
    near = difflib.get_close_matches(Path(text).name, beside, n=1, cutoff=0.5)
    shipped_near = difflib.get_close_matches(Path(text).stem, names, n=1, cutoff=0.8)
    hint = f"did you mean {(near + shipped_near)[0]!r}?" if near or shipped_near else f"looked in {folder}"
    return InputError(f"no such file: {shown(text, 200)}", do=hint)


def _globbed(text: str, base: Path | None) -> list[Path]:
    for pattern in (str((base or Path.cwd()) / Path(text).expanduser()), _among_shipped(text)):
        paths = sorted(Path(path) for path in glob.glob(str(pattern), recursive=True)) if pattern else []
        files = [path for path in paths if path.suffix in YAML_SUFFIXES and path.is_file()]
        if files:
            return files
    raise InputError(f"no YAML file matches {shown(text, 200)}",
                     do="quote globs on the command line and check the folder")


def _in_folder(path: Path) -> list[Path]:
    files = sorted(file for file in path.rglob("*") if file.suffix in YAML_SUFFIXES and file.is_file())
    if not files:
        raise InputError("the folder holds no YAML file", where=str(path))
    return files
