"""map_concept: from a config to a results folder with maps, descriptions and provenance."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from cogneuro_sae import files
from cogneuro_sae.concept_map.inputs import Inputs, content_hashes, prepare, record, source_words
from cogneuro_sae.concept_map.maps import feature_table, make_maps
from cogneuro_sae.concept_map.run_log import run_log
from cogneuro_sae.concept_map.view import describe_concept, describe_saes
from cogneuro_sae.concept_map.writing import write_csv, write_npz
from cogneuro_sae.errors import InputError
from cogneuro_sae.provenance import hash_of, run_record

COMPLETION = "provenance.json"


def map_concept(config_or_set, *, out: str | Path | None = None, device: str = "cpu", dry_run: bool = False,
                overwrite: bool = False, allow_download: bool = False,
                progress: Callable[[str], None] | None = None) -> Path:
    """Look at one concept: contrast maps, RSA maps, RDMs, strongest features per text, in one results folder.

    Parameters
    ----------
    config_or_set : MapConfig, StimulusSet, str or Path
        What to look at; a name or path is read by `load_map_config`.
    out : path, optional
        Folder for results; `results` under the working directory when left out.
    device : str
        cpu, cuda, cuda:1 or mps.
    dry_run : bool
        Check everything, say what would be done, write nothing.
    overwrite : bool
        Do finished work again.
    allow_download : bool
        Whether a model may be fetched from the hub.
    progress : callable, optional
        Called with one line per finished step.

    Returns
    -------
    Path
        `results/<name>/<hash10>/`; `build_report` makes its figures and report.

    Raises
    ------
    InputError
        Config, set, model, SAE or responses are not as they should be.
    SetupError
        No such device, a folder in use or not writable.
    """
    started, say = time.time(), progress or (lambda line: None)
    inputs = prepare(config_or_set, device=device, allow_download=allow_download)
    say(f"{inputs.stimuli.name}: {inputs.design.expression}, {len(inputs.design)} texts, {source_words(inputs)}")
    hashes = content_hashes(inputs)
    recipe = {key: value for key, value in inputs.config.model_dump(mode="json").items()
              if key not in ("name", "stimuli", "model", "representation", "responses")}
    folder = Path(out or "results") / inputs.config.name / hash_of({"verb": "map", "config": recipe, "hashes": hashes})[:10]
    if dry_run:
        say(f"would make {', '.join(inputs.config.scores)} and RSA {', '.join(inputs.config.rsa)} maps in {folder}")
        return folder
    if (folder / COMPLETION).is_file() and not overwrite:
        say(f"already done: {folder}")
        return folder
    _refuse_foreign(folder)
    with files.locked(folder), run_log(folder):
        files.sweep(folder)
        (folder / COMPLETION).unlink(missing_ok=True)
        _compute(inputs, folder, hashes, started, say)
    return folder


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "config.yaml").exists()
                                                    and not (folder / ".lock").exists())):
        raise InputError(f"{folder} holds something else", do="use another --out")


def _compute(inputs: Inputs, folder: Path, hashes: dict, started: float, say: Callable) -> None:
    config, stimuli, design = inputs.config, inputs.stimuli, inputs.design
    files.write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
    checks = stimuli.check(contrast=design.contrast)
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
        warnings=[*warnings, *(inputs.model.notes if inputs.model else ())], verb="map", scheme=design.scheme.description))
