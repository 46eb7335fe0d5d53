"""Texts of parquet files and of Hugging Face datasets, through pyarrow and `datasets` (extra `datasets`)."""

from __future__ import annotations

import re
from pathlib import Path

from cogneuro_sae.errors import InputError, SetupError

PREFIX = "hf:"
COLUMN = "text"
NEEDS = "pip install 'cogneuro_sae[datasets]'"
_PART = re.compile(r"[^:\[\]]+(?:\[[^\]]*\])?")


def parquet_texts(path: Path) -> list[str]:
    """Return the column `text` of a parquet file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of str
        Stripped.

    Raises
    ------
    InputError
        Unreadable, no such column, or a row without a text.
    SetupError
        pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SetupError("parquet files need pyarrow", where=str(path), do=f"{NEEDS}, or save the texts as jsonl") from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
        _check_column(file.schema_arrow.names, str(path))
        found = [value for batch in file.iter_batches(columns=[COLUMN]) for value in batch.column(0).to_pylist()]
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"cannot be read ({str(error).splitlines()[0]})", where=str(path), do="check the file") from error
    return _stripped(found, str(path))


def dataset_texts(reference: str, base: str | Path | None = None, *, allow_download: bool = False) -> list[str]:
    """Return the column `text` of one split of a dataset.

    Parameters
    ----------
    reference : str
        `hf:NAME`, `hf:NAME:SPLIT` or `hf:NAME:CONFIG:SPLIT`; the split is train when left out.
    base : str or Path, optional
        Folder that the path of a local dataset starts from.
    allow_download : bool
        Whether it may be fetched; a folder on this machine needs none.

    Returns
    -------
    list of str
        Stripped.

    Raises
    ------
    InputError
        A reference of another form, a download that was not allowed, no such column, or a row without a text.
    SetupError
        `datasets` is not installed, or it cannot load the dataset.
    """
    parts = _PART.findall(reference[len(PREFIX):])
    if not 1 <= len(parts) <= 3 or ":".join(parts) != reference[len(PREFIX):]:
        raise InputError(f"{reference!r} names no dataset", allowed="hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT")
    name, config, split = parts[0], parts[1] if len(parts) == 3 else None, parts[-1] if len(parts) > 1 else "train"
    local = Path(base or ".") / Path(name).expanduser()
    if not local.is_dir() and not allow_download:
        raise InputError(f"dataset {name!r} would have to come from the Hugging Face hub", where=reference,
                         do="allow it with --allow-download, or give a folder")
    try:
        import datasets
    except ImportError as error:
        raise SetupError("Hugging Face datasets need the library", where=reference, do=NEEDS) from error
    try:
        found = datasets.load_dataset(str(local) if local.is_dir() else name, config, split=split)
    except Exception as error:      # noqa: BLE001 - the library raises what its sources raise; said in one line
        lines = str(error).splitlines()
        raise SetupError(f"cannot be loaded ({type(error).__name__}: {lines[0][:200] if lines else ''})", where=reference,
                         do="check name, config, split and network") from error
    _check_column(found.column_names, reference)
    return _stripped(found[COLUMN], reference)


def _check_column(names: list[str], where: str) -> None:
    if COLUMN not in names:
        raise InputError(f"has no column {COLUMN!r}", where=where, do=f"rename one of its columns: {', '.join(names)}")


def _stripped(values, where: str) -> list[str]:
    found = []
    for number, value in enumerate(values, 1):
        if not isinstance(value, str):
            raise InputError("record without a text", where=f"{where}:{number}", allowed='a string in the column "text"')
        found.append(value.strip())
    return found
