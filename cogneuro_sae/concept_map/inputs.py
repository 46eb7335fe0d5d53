"""What a map is made from: set, design, model or recorded responses, SAE; checked before anything is written."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.concept_map.map_config import MapConfig, load_map_config
from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model import LanguageModel
from cogneuro_sae.responses import Responses
from cogneuro_sae.sae import load_sae
from cogneuro_sae.stimuli import StimulusSet


class Inputs(NamedTuple):
    """What a map is made from.

    Parameters
    ----------
    config : MapConfig
        Resolved: scores filled in.
    stimuli : StimulusSet
        The set.
    design : Design
        The contrast.
    model : LanguageModel or None
        None when responses were recorded elsewhere.
    responses : Responses or None
        Recorded elsewhere; None until the model has read the texts.
    sae : SparseAutoencoder or None
        None for raw units.
    """

    config: MapConfig
    stimuli: StimulusSet
    design: object
    model: LanguageModel | None
    responses: Responses | None
    sae: object | None


def prepare(config_or_set, *, device: str = "cpu", allow_download: bool = False) -> Inputs:
    """Load and check everything a map needs; nothing is written.

    Parameters
    ----------
    config_or_set : MapConfig, StimulusSet, str or Path
        As in `map_concept`.
    device : str
        As in `map_concept`.
    allow_download : bool
        As in `map_concept`.

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        Something does not exist or does not fit.
    """
    stimuli = config_or_set if isinstance(config_or_set, StimulusSet) else None
    if stimuli is not None:
        config = MapConfig(name=stimuli.name, stimuli=stimuli.name)
    else:
        config = config_or_set if isinstance(config_or_set, MapConfig) else load_map_config(config_or_set)
        stimuli = StimulusSet.from_yaml(config.stimuli)
    design = stimuli.design(config.contrast)
    scores = config.scores or ("paired_t" if design.scheme.kind in ("swap", "sign") else "welch_t", "auroc")
    config = config.model_copy(update={"scores": tuple(scores), "contrast": design.contrast})
    if config.responses is not None:
        responses = _with_rows(Responses.load(config.responses), stimuli)
        sae = None if config.representation == "raw" else load_sae(config.representation)
        return Inputs(config, stimuli, design, None, responses, sae)
    model = LanguageModel.load(config.model, device=device, allow_download=allow_download)
    config = config.model_copy(update={"site": model.resolve_site(config.site)})
    sae = None if config.representation == "raw" else load_sae(config.representation, model=model, site=config.site)
    return Inputs(config, stimuli, design, model, None, sae)


def _with_rows(responses: Responses, stimuli: StimulusSet) -> Responses:
    """Order recorded responses as the table, by id where they have ids."""
    if all(responses.ids):
        place = {name: row for row, name in enumerate(responses.ids)}
        missing = [name for name in stimuli.ids if name not in place]
        if missing:
            raise InputError(f"the responses lack {len(missing)} stimuli of {stimuli.name}: {', '.join(missing[:5])}",
                             do="record every id of the set, confirm items included")
        return responses[np.array([place[name] for name in stimuli.ids])]
    if len(responses) != len(stimuli):
        raise InputError(f"{len(responses)} responses without ids for the {len(stimuli)} texts of {stimuli.name}",
                         do="give ids, or one row per text in the order of the set")
    return responses


def source_words(inputs: Inputs) -> str:
    """Return one line on where the values come from.

    Parameters
    ----------
    inputs : Inputs
        What the map is made from.

    Returns
    -------
    str
    """
    source = inputs.model.name if inputs.model else "recorded responses"
    return f"{source} at {inputs.config.site}, " + (f"SAE {inputs.sae.name}" if inputs.sae else "raw units")


def content_hashes(inputs: Inputs) -> dict[str, str]:
    """Return the content hashes of stimuli, model or responses, and SAE.

    Parameters
    ----------
    inputs : Inputs
        What the map is made from.

    Returns
    -------
    dict of str to str
    """
    source = ({"model": inputs.model.sha256} if inputs.model
              else {"responses": files.sha256_file(inputs.config.responses)})
    return {"stimuli": inputs.stimuli.sha256, **source, "sae": inputs.sae.sha256 if inputs.sae else ""}


def record(inputs: Inputs, rows: np.ndarray) -> Responses:
    """Return the responses to some texts of the set, recorded now or elsewhere.

    Parameters
    ----------
    inputs : Inputs
        What the map is made from.
    rows : ndarray (n_rows,) int64
        Positions in the set's table.

    Returns
    -------
    Responses
    """
    if inputs.responses is not None:
        return inputs.responses[rows]
    stimuli = inputs.stimuli
    texts, ids = [stimuli.texts[row] for row in rows], [stimuli.ids[row] for row in rows]
    bos = True if inputs.sae is None else inputs.sae.prepend_bos
    return inputs.model.record(texts, inputs.config.site, ids=ids, bos=bos).with_spans(stimuli.spans[rows])
