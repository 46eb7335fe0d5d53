"""Which kind of file a mapping looks like, so that a file given to the wrong command is told so in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pydantic

from cogneuro_sae.errors import InputError


class Kind(NamedTuple):
    """One kind of file: what it is called, all its keys, the keys that tell it best, and the commands that read it."""

    title: str
    keys: frozenset
    telling: tuple[str, ...]
    commands: str


def _kind(title: str, keys: str, telling: str, commands: str) -> Kind:
    return Kind(title, frozenset(keys.split()), tuple(telling.split()), commands)


KINDS = {
    "SetFile": _kind(
        "a stimulus set", "name concept group language definition licence banned conditions factors between contrasts items table "
        "covariates graded strata split model_rdms words continuations independent dedupe",
        "items table conditions factors", "check or map"),
    "CompareConfig": _kind(
        "a comparison config", "name seed stimuli contrast model site responses representations window pooling "
        "transform selectors k ensemble folds permutations draws baselines skylines controls axes judge planned margin",
        "", "compare"),
    "MapConfig": _kind(
        "a map config", "name seed stimuli contrast model site responses representation window pooling scores rsa "
        "permutations top interactive", "", "map"),
    "TrainConfig": _kind(
        "an SAE config", "name model site corpus exclude architecture width l1 tokens batch lr center decoder_norm "
        "seed passage heldout_share heldout_tokens heldout_passages density_tokens checkpoint_every max_nonfinite "
        "keep_activations wandb", "", "train"),
    "SearchConfig": _kind(
        "a search config", "name seed from features concept arms most ensembles controls model sae site corpus exclude "
        "part tokens enrich window pooling context passage windows per_document latents vocabulary neuronpedia batch "
        "shard_characters", "windows per_document enrich from ensembles", "search"),
    "JudgeConfig": _kind(
        "a judge config", "name seed search answers concept definition stimuli contrast rubrics wordings raters sheets "
        "explainer repeats controls per_bin known planned budget confirm_above retries writer",
        "raters rubrics", "judge"),
}
"""By the name of the schema; written out, since the schemas live on floors above."""


def other_kind(data: object, schema: type[pydantic.BaseModel], where: str) -> InputError | None:
    """Return (not raise) the error for a file of another kind, or None when it is what the schema reads or unknown.

    Parameters
    ----------
    data : object
        What the file says.
    schema : type
        The StrictModel it was to be read with.
    where : str
        File name for the message.
    """
    if not isinstance(data, Mapping) or schema.__name__ not in KINDS:
        return None
    own = len(set(data) & KINDS[schema.__name__].keys)
    name, kind = max(KINDS.items(), key=lambda each: len(set(data) & each[1].keys))
    # two more keys than by chance: one misplaced key is a slip, not another kind of file
    if name == schema.__name__ or len(set(data) & kind.keys) < own + 2:
        return None
    telling = "/".join(key for key in kind.telling if key in data)
    has = f" (it has {telling})" if telling else ""
    return InputError(f"this looks like {kind.title}{has}", where=where, do=f"use: cogneuro-sae {kind.commands}")
