"""`cogneuro-sae check --new NAME`: a commented stimulus set that loads, to write one's own texts in."""

from __future__ import annotations

from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, unknown_name

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
KINDS = ("concept", "graded", "factorial")
PLACEHOLDER = "SKELETON"


def write_skeleton(name: str, kind: str = "concept", folder: Path | None = None) -> Path:
    """Write a skeleton set NAME.yaml.

    Parameters
    ----------
    name : str
        The set's name.
    kind : str
        "concept" | "graded" | "factorial".
    folder : Path, optional
        Where; the working directory when left out.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        No such kind, a name that a set cannot have, or a file that is there already.
    """
    from cogneuro_sae.stimuli.schema import check_name

    if kind not in KINDS:
        raise unknown_name("kind of set", kind, KINDS, where="--kind")
    try:
        name = check_name("name", name)
    except InputError as error:
        raise InputError(error.what, where="--new", allowed=error.allowed, do=error.do) from error
    path = (Path.cwd() if folder is None else folder) / f"{name}.yaml"
    if path.exists() or path.is_symlink():
        raise InputError("is there already", where=str(path), do="choose another name, or remove the file")
    text = (TEMPLATES / f"{kind}.yaml").read_text("utf-8")
    for key, value in (("name", name), ("concept", name.replace("_", " ").replace("-", " ").strip())):
        text = text.replace(f"\n{key}: {PLACEHOLDER}", f"\n{key}: {_quoted(value)}")
    return files.write_text(path, text.replace(PLACEHOLDER, name))


def _quoted(text: str) -> str:
    """The text, in quotes where YAML would read something else."""
    from cogneuro_sae.config import parse_yaml

    try:
        return text if parse_yaml(text, where="") == text else f'"{text}"'
    except InputError:
        return f'"{text}"'
