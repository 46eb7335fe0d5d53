"""From a YAML file to a CompareConfig and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cogneuro_sae.compare.config import CompareConfig
from cogneuro_sae.config import beside, load_config

KIND = "configs/compare"


def plain_config(config: CompareConfig) -> dict:
    """Return a config as what stands in its YAML file, defaults filled in.

    Parameters
    ----------
    config : CompareConfig
        Any.

    Returns
    -------
    dict
        JSON-able; `CompareConfig.model_validate` reads it back equal.
    """
    data = config.model_dump(mode="json")
    data["selectors"] = [{"name": spec.name, **({"as": spec.label} if spec.label != spec.name else {}), **spec.options}
                         for spec in config.selectors]
    return {key: value for key, value in data.items() if value is not None}


def load_comparison_config(reference: str | Path, overrides: Sequence[str] = ()) -> CompareConfig:
    """Load a comparison; references inside it are relative to the file, those in overrides to the working directory.

    Parameters
    ----------
    reference : str or Path
        A shipped name or a path.
    overrides : sequence of str
        `a.b=value`, typed by the schema.

    Returns
    -------
    CompareConfig

    Raises
    ------
    InputError
        The file or an override is not as the schema says.
    """
    return load_config(reference, CompareConfig, kind=KIND, overrides=overrides, anchored=_anchored)


def _anchored(data: dict, base: Path) -> dict:
    """References to files beside the config become absolute paths; names stay names."""
    data = dict(data)
    for key in ("responses", "model", "stimuli", "judge"):
        if value := data.get(key):
            data[key] = [_path(each, base) for each in value] if isinstance(value, list) else _path(value, base)
    if isinstance(data.get("representations"), dict):
        data["representations"] = {name: _path(value, base) for name, value in data["representations"].items()}
    return data


def _path(value, base: Path):
    if not isinstance(value, str) or len(value) > 1000 or "\x00" in value:
        return value
    if shuffled := re.fullmatch(r"shuffled\(([^()]+)\)", value.strip()):
        return f"shuffled({_path(shuffled[1], base)})"
    if re.search(r"[*?\[]", value) and not Path(value).is_absolute():
        return str((base / value).resolve()) if any(True for _ in base.glob(value)) else value
    return beside(value, base)
