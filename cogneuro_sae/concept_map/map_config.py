"""MapConfig: which concept, which responses, which scores; read from a config or straight from a stimulus set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pydantic

from cogneuro_sae.config import Listed, StrictModel, beside, load_config, load_yaml, parse, resolve
from cogneuro_sae.config.overrides import apply_overrides
from cogneuro_sae.errors import InputError, unknown_name

KIND = "configs/map"
NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
WINDOW = re.compile(r"all|span|first\([1-9]\d{0,8}\)|center\(\d{1,9}\)")
FEWEST = 19
# names of contrasts.CONTRASTS, kept here so that a config error does not wait for scipy; a test holds the two together
SCORES = ("paired_t", "welch_t", "hedges_g", "auroc", "mean_difference", "rate_difference")


class MapConfig(StrictModel):
    """What `map` does with one concept."""

    name: str = pydantic.Field(pattern=NAME)
    """Name of the run: the folder under results/."""
    seed: int = pydantic.Field(default=0, ge=0, lt=2**32)
    """Seed of the permutations and of every other draw."""
    stimuli: str
    """A stimulus set: shipped name or file."""
    contrast: str | None = None
    """Name of a contrast of the set; its first one when left out."""
    model: str = "default"
    """Language model: shipped name, folder or hub name."""
    site: str = "middle"
    """Where to read (docs/recording.md)."""
    responses: str | None = None
    """An npz file with values recorded elsewhere, instead of model and site."""
    representation: str = "default"
    """`raw`, a shipped SAE or an SAE folder."""
    window: str = "all"
    """all | first(n) | center(d) | span."""
    pooling: Literal["mean", "max", "last", "rate"] = "mean"
    """How the tokens of the window become one value."""
    scores: Listed[str] = ()
    """Univariate scores; left out: paired_t (matched design) or welch_t, and auroc."""
    rsa: Listed[Literal["discriminative", "categorical", "coherence"]] = ("discriminative", "categorical")
    """Per-feature RSA scores: categorical on pooled values, the others on token profiles."""
    permutations: int = pydantic.Field(default=1000, ge=0, le=1_000_000)
    """Labellings drawn when the design has more; 10,000 for a final report; 0: maps without p, descriptive."""
    top: int = pydantic.Field(default=10, ge=2, le=200)
    """How many of the strongest features are described."""
    interactive: bool = False
    """Figures in the report that answer to the pointer, beside the static ones (extra `interactive`: plotly)."""

    @pydantic.field_validator("window")
    @classmethod
    def _window(cls, value: str) -> str:
        value = re.sub(r"\s", "", value)
        if not WINDOW.fullmatch(value):
            raise unknown_name("window", value, ("all", "first(n)", "center(d)", "span"))
        return value

    @pydantic.field_validator("permutations")
    @classmethod
    def _permutations(cls, value: int) -> int:
        if 0 < value < FEWEST:
            raise InputError(f"permutations is {value}, too few for p <= .05", allowed=f"0 (maps without p) or "
                                                                                       f"{FEWEST} and more")
        return value

    @pydantic.field_validator("scores")
    @classmethod
    def _scores(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in SCORES:
                raise unknown_name("score", name, SCORES)
        return tuple(dict.fromkeys(value))

    @pydantic.model_validator(mode="after")
    def _one_source(self):
        given = sorted({"model", "site"} & self.model_fields_set)
        if self.responses is not None and given:
            raise InputError(f"responses and {' and '.join(given)} exclude each other", do="keep one of them")
        return self


def load_map_config(target: str | Path, *, overrides: Sequence[str] = ()) -> MapConfig:
    """Read a map config, or make one for a stimulus set.

    Parameters
    ----------
    target : str or Path
        A shipped map config, the file of one, a shipped stimulus set, or the file of one.
    overrides : sequence of str
        `key=value`, typed by the schema.

    Returns
    -------
    MapConfig
        Paths in a file are taken relative to the file; in `overrides` relative to the working directory.

    Raises
    ------
    InputError
        Nothing of that name, or a file that is neither.
    """
    path = _find(target)
    document = load_yaml(path)
    if not isinstance(document.data, dict):
        raise InputError("expected a mapping", where=str(path), allowed="a stimulus set or a map config")
    if "stimuli" not in document.data and {"items", "table", "concept"} & set(document.data):
        # a shipped set keeps its name, so that the config does not depend on where the package lies
        reference = str(target) if not Path(target).suffix else str(path.resolve())
        data, places = apply_overrides({"name": path.stem, "stimuli": reference}, overrides, MapConfig)
        return parse(data, MapConfig, where=f"map {target}", places=places)
    return load_config(path, MapConfig, kind=KIND, overrides=overrides, anchored=_anchored)


def _find(target: str | Path) -> Path:
    try:
        return resolve(target, KIND)
    except InputError:
        return resolve(target, "stimuli")


def _anchored(data: dict, base: Path) -> dict:
    """References that are files beside the config become absolute; names stay names."""
    return data | {key: beside(data[key], base) for key in ("stimuli", "responses", "model", "representation") if key in data}
