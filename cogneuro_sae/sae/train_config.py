"""What `cogneuro-sae train` reads: one strict schema for one SAE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cogneuro_sae.config import Listed, StrictModel, beside, load_config

KIND = "configs/sae"

# keys that do not change the result: a run may be resumed under other values of these
FREE = frozenset({"wandb", "keep_activations"})


class TrainConfig(StrictModel):
    """One SAE: model, site, text and the recipe of docs/methods.md."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    """Name of the run and of its folder below results/sae."""
    model: str = "default"
    """Shipped name, folder or Hugging Face name of the language model."""
    site: str = "middle"
    """Site whose activations are decomposed."""
    corpus: str = "sample"
    """The packaged sample, or a folder or file of text; documents are split into train and held-out by their hash."""
    exclude: Listed[str] = ()
    """Patterns of corpus files to leave out, relative to the corpus folder."""
    architecture: str = "l1"
    """One of ARCHITECTURES."""
    width: Annotated[int, Field(ge=1)] = 4096
    """Number of latents."""
    l1: Annotated[float, Field(ge=0)] = 5.0
    """Coefficient of the L1 penalty, for inputs scaled to norm sqrt(d)."""
    tokens: Annotated[int, Field(ge=1)] = 4_000_000
    """Training tokens, special tokens not counted; when the corpus has fewer they come round again."""
    batch: Annotated[int, Field(ge=1)] = 4096
    """Tokens per step."""
    lr: Annotated[float, Field(gt=0)] = 1.0e-3
    """Adam's learning rate: constant, then linear to 0 over the last 20 % of the steps."""
    center: bool = True
    """Subtract the mean of the training activations first."""
    decoder_norm: Annotated[float, Field(gt=0)] = 0.1
    """Norm of every decoder row at the start."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the initial dictionary, the order of the text and the order of the batches."""
    passage: Annotated[int, Field(ge=1)] = 1000
    """Longest stretch of text the model sees at once, in characters."""
    heldout_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Expected share of held-out documents."""
    heldout_tokens: Annotated[int, Field(ge=1)] = 32_768
    """Held-out tokens for validation and for the reconstruction metrics."""
    heldout_passages: Annotated[int, Field(ge=1)] = 200
    """Held-out passages for the loss-recovered metric."""
    density_tokens: Annotated[int, Field(ge=1)] = 1_000_000
    """Training tokens over which firing rates and dead latents are counted."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 500_000
    """Tokens between two validations, each with a checkpoint."""
    max_nonfinite: Annotated[int, Field(ge=0)] = 5
    """Steps with a NaN or infinite loss or gradient that are skipped before the run stops."""
    keep_activations: bool = False
    """Keep the activation shards after the run is finished."""
    wandb: Literal["disabled", "offline", "online"] = "disabled"
    """Run tracking; only numbers and this config are logged, never text."""

    def recipe(self) -> dict:
        """Return the keys that decide the result.

        Returns
        -------
        dict
        """
        return {key: list(value) if isinstance(value, tuple) else value
                for key, value in self.model_dump().items() if key not in FREE}

    @property
    def steps(self) -> int:
        """Number of optimiser steps: the token budget over the batch, rounded up."""
        return -(-self.tokens // self.batch)


def load_train_config(reference: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Load a training config; paths inside it are relative to the file, those in overrides to the working directory.

    Parameters
    ----------
    reference : str or Path
        A shipped name or a path.
    overrides : sequence of str
        `key=value`, typed by the schema.

    Returns
    -------
    TrainConfig

    Raises
    ------
    InputError
        The file or an override is not as the schema says; several faults come as one ManyErrors.
    """
    return load_config(reference, TrainConfig, kind=KIND, overrides=overrides, anchored=_anchored)


def _anchored(data: dict, base: Path) -> dict:
    """A corpus and a model named by a path beside the config become absolute; names stay names."""
    named = [key for key in ("corpus", "model") if isinstance(data.get(key), str) and "/" in data[key]]
    return data | {key: beside(data[key], base) for key in named}
