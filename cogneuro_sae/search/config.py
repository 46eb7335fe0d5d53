"""What `cogneuro-sae search` reads: one strict schema; importing it loads neither torch nor scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pydantic

from cogneuro_sae.config import Listed, OneOrMore, StrictModel, beside, load_config
from cogneuro_sae.errors import InputError

KIND = "configs/search"
NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
FEATURE = re.compile(r"(raw|sae):(\d{1,9})")
PATHS = ("from", "model", "sae", "corpus")


class Windows(StrictModel):
    """How many windows of each kind a feature gets."""

    top: int = pydantic.Field(20, ge=1, le=1000)
    """Windows of the largest values."""
    per_bin: int = pydantic.Field(5, ge=0, le=200)
    """Windows drawn in each quantile bin of the feature's non-zero window values."""
    bins: int = pydantic.Field(5, ge=1, le=50)
    """Quantile bins of the non-zero window values."""
    random: int = pydantic.Field(20, ge=0, le=1000)
    """Windows drawn whatever their value."""
    zero: int = pydantic.Field(20, ge=0, le=1000)
    """Windows drawn among those in which the feature is silent."""


class Controls(StrictModel):
    """Features drawn with the seed, to be looked at beside the chosen ones."""

    random: int = pydantic.Field(0, ge=0, le=10_000)
    """Features drawn among all that fire."""
    rate_matched: int = pydantic.Field(0, ge=0, le=10_000)
    """Features whose firing rate is that of a chosen one."""


class EnsembleSpec(StrictModel):
    """A fitted ensemble in a folder written by `save_ensemble`."""

    folder: str
    """The folder."""
    target: str = "target"
    """The class whose decision value ranks windows."""
    representation: str | None = None
    """`raw` or `sae`; default: what the folder's notes say, else `sae`."""


class Enrich(StrictModel):
    """Search only in chunks of the corpus that hold one of these words."""

    words: OneOrMore[str]
    """Literal words or phrases."""
    chunk: int = pydantic.Field(1, ge=1)
    """Documents per chunk."""
    case: bool = False
    """Whether capitals matter."""
    whole_word: bool = True
    """Whether a match must begin and end at the edge of a word."""


class SearchConfig(StrictModel):
    """Which features, in which text, how many windows of each kind."""

    model_config = pydantic.ConfigDict(populate_by_name=True)

    name: str = pydantic.Field(pattern=NAME)
    """Folder name of the results."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """Every draw comes from it."""
    source: str | None = pydantic.Field(None, alias="from")
    """A results folder of map or compare, whose features, model, site, window and pooling are taken."""
    features: Literal["selected"] | OneOrMore[int | str] | None = None
    """`selected` (with `from`), or latents by index, or names such as sae:12 and raw:3."""
    concept: str | None = None
    """The concept the features are to carry; with `from`: which of the folder's concepts (default: all)."""
    arms: Listed[str] = ()
    """With `from`: only features of these selectors or scores (default: all)."""
    most: int | None = pydantic.Field(None, ge=1)
    """With `from`: at most so many features of every concept, representation and arm, best first."""
    ensembles: Listed[EnsembleSpec] = ()
    """Fitted ensembles."""
    controls: Controls = Controls()
    """Control arms."""
    model: str | None = None
    """Language model: shipped name, folder or hub name; default: that of `from`, else `default`."""
    sae: str | None = None
    """A shipped SAE or an SAE folder; default: that of `from`, else `default`."""
    site: str | None = None
    """Where to read; default: that of `from`, else the SAE's own."""
    corpus: str = "sample"
    """The packaged sample, a folder or file of text, or a dataset `hf:NAME`, `hf:NAME:SPLIT`, `hf:NAME:CONFIG:SPLIT`."""
    exclude: Listed[str] = ()
    """Patterns of corpus files to leave out."""
    part: Literal["train", "heldout", "all"] = "all"
    """Which documents are read."""
    tokens: int | None = pydantic.Field(None, ge=1)
    """Most content tokens to read; documents come in an order drawn with the seed."""
    enrich: Enrich | None = None
    """Search only where these words are."""
    window: int | None = pydantic.Field(None, ge=1, le=100_000)
    """Tokens of a pooling window; default: the stimuli's (with `from`), else 20."""
    pooling: Literal["mean", "max", "last", "rate"] | None = None
    """How the tokens of a window become its value; default: the stimuli's (with `from`), else max."""
    context: int = pydantic.Field(10, ge=0, le=1000)
    """Tokens shown on either side of the pooling window; they change no value."""
    passage: int = pydantic.Field(1000, ge=1)
    """Longest stretch of text the model sees at once, in characters."""
    windows: Windows = Windows()
    """How many windows of each kind."""
    per_document: int = pydantic.Field(2, ge=1)
    """Most windows of one document per feature and kind."""
    latents: int = pydantic.Field(0, ge=0, le=500)
    """Sentences kept per latent in the pass over ALL latents of the SAE; 0: no such pass."""
    vocabulary: int = pydantic.Field(10, ge=0, le=1000)
    """Tokens that a feature's direction promotes, and as many that it suppresses."""
    neuronpedia: str | None = pydantic.Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    """MODEL/SAE as neuronpedia.org calls them; default: what the SAE's cfg.json says."""
    batch: int = pydantic.Field(1024, ge=1)
    """Most padded tokens in a forward pass."""
    shard_characters: int = pydantic.Field(1_000_000, ge=1000)
    """Text between two savings of an unfinished search."""

    @pydantic.field_validator("features")
    @classmethod
    def _features(cls, value):
        if value is None or value == "selected":
            return value
        for item in value:
            if (isinstance(item, str) and not FEATURE.fullmatch(item)) or (isinstance(item, int) and item < 0):
                raise InputError(f"{item!r} is not a feature", allowed="an index from 0, or a name such as sae:12 or raw:3")
        return tuple(dict.fromkeys(f"sae:{item}" if isinstance(item, int) else item for item in value))

    @pydantic.model_validator(mode="after")
    def _together(self):
        if self.features == "selected" and self.source is None:
            raise InputError("features: selected needs `from`, the folder in which they were selected",
                             do="give from: RESULTS_FOLDER, or list indices")
        given = [key for key in ("arms", "most") if getattr(self, key)]
        if given and self.chosen != "selected":
            raise InputError(f"{' and '.join(given)} belong to features: selected", do="leave them out")
        if not self.chosen and not self.ensembles and not self.latents:
            raise InputError("nothing to search for", do="give features, from, ensembles or latents")
        return self

    @property
    def chosen(self) -> str | tuple[str, ...]:
        """`selected`, or names of features: what `features` says, `selected` where only `from` is given."""
        return self.features if self.features is not None else "selected" if self.source else ()


def load_search_config(reference: str | Path, overrides: Sequence[str] = ()) -> SearchConfig:
    """Load a search config; references inside it are relative to the file, those in overrides to the working directory.

    Parameters
    ----------
    reference : str or Path
        A shipped name or a path.
    overrides : sequence of str
        `a.b=value`, typed by the schema.

    Returns
    -------
    SearchConfig

    Raises
    ------
    InputError
        The file or an override is not as the schema says; several faults come as one ManyErrors.
    """
    return load_config(reference, SearchConfig, kind=KIND, overrides=overrides, anchored=_anchored)


def plain_config(config: SearchConfig) -> dict:
    """Return a config as what stands in its YAML file, defaults filled in.

    Parameters
    ----------
    config : SearchConfig
        Any.

    Returns
    -------
    dict
        JSON-able; `SearchConfig.model_validate` reads it back equal.
    """
    data = config.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in data.items() if value not in (None, [])}


def _anchored(data: dict, base: Path) -> dict:
    """References to files beside the config become absolute paths; names stay names."""
    data = data | {key: beside(data[key], base) for key in PATHS if key in data}
    if isinstance(data.get("ensembles"), list):
        data["ensembles"] = [item | {"folder": beside(item["folder"], base)} if isinstance(item, dict) and "folder" in item
                             else item for item in data["ensembles"]]
    return data
