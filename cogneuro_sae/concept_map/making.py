"""What map_concept does once its place is known to be sound: load, compute, describe, close with the run record."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from cogneuro_sae import files
from cogneuro_sae.concept_map.inputs import Inputs, content_hashes, prepare, record, source_words
from cogneuro_sae.concept_map.maps import feature_table, make_maps
from cogneuro_sae.concept_map.place import COMPLETION, results_folder
from cogneuro_sae.concept_map.view import describe_concept, describe_saes
from cogneuro_sae.concept_map.writing import write_csv, write_npz
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import require_resolvable
from cogneuro_sae.provenance import hash_of, run_record


def make(config_or_set, root: Path, *, device: str = "cpu", dry_run: bool = False, overwrite: bool = False,
         allow_download: bool = False, say: Callable[[str], None] = lambda line: None) -> Path:
    """Make the results folder of a map, or find it finished.

    Parameters
    ----------
    config_or_set : MapConfig or StimulusSet
        As in `map_concept`.
    root : Path
        `<out>/<name>`.
    device : str
        As in `map_concept`.
    dry_run : bool
        As in `map_concept`.
    overwrite : bool
        As in `map_concept`.
    allow_download : bool
        As in `map_concept`.
    say : callable
        Called with one line per finished step.

    Returns
    -------
    Path
        `<out>/<name>/<hash10>`.

    Raises
    ------
    InputError
        Something does not exist, does not fit, or the set is too small to be tested.
    SetupError
        No such device, a folder in use or not writable.
    """
    started = time.time()
    inputs = prepare(config_or_set, device=device, allow_download=allow_download)
    say(f"{inputs.stimuli.name}: {inputs.design.expression}, {len(inputs.design)} texts, {source_words(inputs)}")
    _refuse_untestable(inputs)
    hashes = content_hashes(inputs)
    recipe = {key: value for key, value in inputs.config.model_dump(mode="json").items()
              if key not in ("name", "stimuli", "model", "representation", "responses")}
    if not recipe["interactive"]:
        del recipe["interactive"]           # folders made before there was the key keep their hash
    folder = root / hash_of({"verb": "map", "config": recipe, "hashes": hashes})[:10]
    if dry_run:
        say(f"would make {', '.join(inputs.config.scores)} and RSA {', '.join(inputs.config.rsa)} maps in {folder}")
        return folder
    if (folder / COMPLETION).is_file() and not overwrite:
        say(f"already done: {folder}")
        return folder
    with results_folder(folder):
        _compute(inputs, folder, hashes, started, say)
    return folder


def _refuse_untestable(inputs: Inputs) -> None:
    """Before anything is written: a design whose smallest p is above .05 can be looked at, but not tested."""
    if not inputs.config.permutations:
        return
    try:
        require_resolvable(inputs.design.scheme, where=inputs.stimuli.name)
    except InputError as error:
        raise InputError(error.what, where=error.where, allowed=error.allowed,
                         do="add items (matched two-sided designs need 6), or look without testing: permutations=0 (on "
                            "the "
                            "command line: --set permutations=0)") from error


def _compute(inputs: Inputs, folder: Path, hashes: dict, started: float, say: Callable) -> None:
    config, stimuli, design = inputs.config, inputs.stimuli, inputs.design
    files.write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False,
                                                            allow_unicode=True))
    checks = stimuli.check(contrast=design.contrast, unlocked=False)
    say("stimuli checked")
    rows = np.flatnonzero((stimuli.table["split"] != "confirm").to_numpy())
    responses = record(inputs, rows)
    say(f"{len(responses)} texts read, {int((~responses.specials).sum())} tokens")
    maps, warnings = make_maps(inputs, responses, rows, say)
    write_npz(folder / "maps" / f"{stimuli.name}.npz",
              {key: array for name, fmap in maps.items() for key, array in fmap.to_arrays(f"{name}/").items()})
    write_csv(folder / "features.csv", feature_table(stimuli.name, maps, config.top))
    headline = next(iter(maps.values()))
    chosen = headline.top(config.top)
    describe_concept(folder, stimuli=stimuli, design=design, responses=responses, rows=rows, selected=chosen,
                     through=inputs.sae, representation=inputs.sae.name if inputs.sae else "raw", window=config.window,
                     pooling=config.pooling, checks=checks, seed=config.seed)
    describe_saes(folder, [inputs.sae] if inputs.sae else [])
    say("features, profiles and RDMs described")
    files.write_json(folder / COMPLETION, run_record(
        config=config.model_dump(mode="json"), hashes=hashes, seed=config.seed, started=started,
        warnings=[*warnings, *(inputs.model.notes if inputs.model else ())], verb="map",
        scheme=design.scheme.description))
