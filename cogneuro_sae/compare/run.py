"""run_comparison: from a config to a results folder; the same call resumes, and finished work is not done again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import yaml
from threadpoolctl import threadpool_limits

from cogneuro_sae import files
from cogneuro_sae.compare import folder as disk
from cogneuro_sae.compare.comparison import TABLES, Comparison
from cogneuro_sae.compare.config import CompareConfig
from cogneuro_sae.compare.config_file import load_comparison_config, plain_config
from cogneuro_sae.compare.descriptive import COLUMNS as FEATURE_COLUMNS
from cogneuro_sae.compare.inputs import Concept, Inputs, prepare
from cogneuro_sae.compare.jobs import Scored, Worker
from cogneuro_sae.compare.judge_axis import JudgeAxis, load_judge_axis, with_hashes
from cogneuro_sae.compare.judge_cost import say_cost
from cogneuro_sae.compare.judge_resume import keep_scored, scored_before
from cogneuro_sae.compare.judge_runs import Setting
from cogneuro_sae.compare.judging import judge_axis
from cogneuro_sae.compare.nested import nested_table
from cogneuro_sae.compare.planned import planned_tests
from cogneuro_sae.compare.rows import COLUMNS, cells_of
from cogneuro_sae.compare.summary import cell_table
from cogneuro_sae.concept_map import describe_concept, describe_saes
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.provenance import hash_of, run_record
from cogneuro_sae.run_folder import run_log


def run_comparison(config, *, out: str | Path | None = None, device: str = "cpu", dry_run: bool = False,
                   overwrite: bool = False, allow_download: bool = False, progress: Callable[[str], None] | None = None,
                   describe: Callable | None = None, yes: bool = False) -> Comparison:
    """Let ways of choosing features compete on held-out items, beside floors, skylines and controls.

    The results folder is `<out>/<name>/<hash10>/`, the hash over the resolved config and the content of stimuli, model
    and SAEs. Every family of cells is a part written atomically when it is done; the same call goes on where an
    interrupted one stopped and ends with the same numbers (all but `seconds`).

    Parameters
    ----------
    config : CompareConfig, str or Path
        The comparison; a name or path is read by `load_comparison_config`.
    out : str or Path, optional
        Folder for results; `results` under the working directory by default.
    device : str
        cpu, cuda, cuda:1 or mps.
    dry_run : bool
        Load and check everything, say what would be done, write nothing.
    overwrite : bool
        Do finished work again; answers of raters, once paid, are kept.
    allow_download : bool
        Whether a model may be fetched from the hub.
    progress : callable, optional
        Takes one line per finished step.
    describe : callable, optional
        `concept_map.describe_concept` when left out. Called once per concept as describe(folder, stimuli=, design=,
        responses=, rows=, selected=, through=, representation=, window=, pooling=, transform=, seed=) with the cell
        that inner folds like best, so that a report can show its features without the model.
    yes : bool
        What the judge costs is agreed to.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Config, sets, model, SAE or responses are not as they should be; the folder holds something else.
    SetupError
        No such device, a folder in use or not writable.
    Interrupted
        The user or the queue asked to stop; everything so far is saved.
    """
    started, say = time.time(), progress or (lambda line: None)
    if overwrite and dry_run:
        raise InputError("overwrite and dry_run contradict each other", do="give one of them")
    config = config if isinstance(config, CompareConfig) else load_comparison_config(config)
    inputs = prepare(config, device=device, allow_download=allow_download)
    axis = load_judge_axis(inputs.config, n_concepts=len(inputs.concepts), allow_download=allow_download)
    inputs = with_hashes(inputs, axis)
    setting = Setting(device, allow_download, yes, say, say, None)
    folder = results_folder(inputs, out)
    say(grid_line(inputs))
    if dry_run:
        say_cost(inputs, axis, folder, setting)
        say(f"would write {folder}")
        return Comparison(config=plain_config(inputs.config), folder=folder)
    record = files.read_json(folder / disk.COMPLETION) if (folder / disk.COMPLETION).is_file() and not overwrite else None
    if record is not None:
        lost = files.mismatch(folder, record.get("files", {}))
        if lost is None and (axis is None or record.get("judge", {}).get("config") == axis.plain):
            say(f"already done: {folder}")
            shutil.rmtree(folder / disk.PARTS, ignore_errors=True)
            return Comparison.load(folder)
        if lost is not None:
            say(f"finished before, but {lost[0].name} {lost[1]}: computed again")
            overwrite, record = True, None
    disk.refuse_foreign(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot be made ({error.strerror or error})", where=str(folder),
                         do="use another --out") from error
    with files.locked(folder), run_log(folder) as log, Interrupts() as interrupts:
        files.sweep(folder)
        if overwrite:
            disk.clear(folder)
        logged = setting._replace(say=lambda line: (log.info(line), say(line)), interrupts=interrupts)
        _all(inputs, axis, folder, record, started, logged, describe)
    return Comparison.load(folder)


def _all(inputs: Inputs, axis: JudgeAxis | None, folder: Path, record: dict | None, started: float, setting: Setting,
         describe) -> None:
    """Detection, then the judge axis where there is one; either is gone on with, and the record is written last."""
    before = scored_before(folder, record) if axis is not None else None
    if before is None:
        before = _compute(inputs, folder, started, setting.say, setting.interrupts, describe)
        if axis is not None:
            before = keep_scored(folder, before)
    else:
        setting.say("tables from before; the judge axis is gone on with")
    if axis is not None:
        before = judge_axis(inputs, axis, folder, before, setting)
    files.write_json(folder / disk.COMPLETION, before)
    (folder / disk.SCORED).unlink(missing_ok=True)
    shutil.rmtree(folder / disk.PARTS, ignore_errors=True)


def results_folder(inputs: Inputs, out: str | Path | None) -> Path:
    """Return where the results of some inputs go.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    out : str or Path, optional
        Root; `results` under the working directory by default.

    Returns
    -------
    Path
        `<root>/<name>/<hash10>`.
    """
    plain = plain_config(inputs.config)
    # what files are called and where they lie does not matter, what is in them does
    recipe = {key: value for key, value in plain.items() if key not in ("name", "stimuli", "model", "responses", "judge")}
    recipe["representations"] = {
        name: text if text == "raw" or "(" in text and not text.startswith("shuffled") else text.startswith("shuffled")
        for name, text in plain["representations"].items()}
    digest = hash_of({"verb": "compare", "config": recipe, "hashes": inputs.hashes})
    return Path(out or "results") / inputs.config.name / digest[:10]


def grid_line(inputs: Inputs) -> str:
    """Return one line on what is compared.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    """
    config = inputs.config
    cells = (len(inputs.encoders) * len(config.window) * len(config.pooling) * len(config.selectors) * len(config.k)
             * len(config.ensemble))
    folds = config.folds
    return (f"{len(inputs.concepts)} concept{'s' * (len(inputs.concepts) != 1)} x {cells} cells on {folds.repeats} x "
            f"{folds.splits} folds by item, {folds.inner} inner folds")


def _compute(inputs: Inputs, folder: Path, started: float, say: Callable, interrupts: Interrupts, describe) -> dict:
    plain = plain_config(inputs.config)
    planned_hash = hash_of(plain.get("planned", {}))
    files.write_text(folder / "config.yaml", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    say(f"planned contrasts fixed before scoring, sha256 {planned_hash[:10]}")
    worker = Worker(folder, inputs, say, lambda: interrupts.check("the comparison was", where=str(folder)))
    for concept in inputs.concepts:
        # responses are finite by construction, and thousands of small fits spend most of their time on checking again;
        # threads waiting for each other in such fits cost up to thirty times what they save
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True), threadpool_limits(1, "blas"):
            responses = worker.concept(concept)
        _write_maps(folder, concept, worker.scored)
        _describe(describe or describe_concept, folder, concept, responses, worker.scored, inputs)
    describe_saes(folder, {id(each.through): each.through for each in inputs.encoders.values()
                           if hasattr(each.through, "n_latents")}.values())
    tables = assemble(inputs, worker.scored)
    for name in TABLES:
        disk.write_csv(folder / f"{name}.csv", tables[name])
    failed = int((tables["table"]["status"] != "ok").sum())
    warnings = [*inputs.warnings, *worker.scored.warnings] + ([f"{failed} rows failed: see table.csv"]
                                                              if failed else [])
    say(f"{len(tables['table'])} rows, {failed} failed")
    return run_record(
        config=plain, hashes=inputs.hashes, seed=inputs.config.seed, started=started, warnings=warnings, verb="compare",
        planned_sha256=planned_hash, schemes={c.task.concept: c.design.scheme.description for c in inputs.concepts},
        folds_sha256={c.task.concept: folds_hash(c) for c in inputs.concepts}, draws=inputs.config.draws,
        files=files.fingerprints(folder, [*(f"{name}.csv" for name in TABLES), "config.yaml",
                                          *(f"maps/{c.task.concept}.npz" for c in inputs.concepts)]))


def folds_hash(concept: Concept) -> str:
    """Return the sha256 of a concept's folds, the same for all of its cells.

    Parameters
    ----------
    concept : Concept
        With its folds.
    """
    return hash_of([[split.train.tolist(), split.test.tolist(), [fold.test.tolist() for fold in split.inner]]
                    for split in concept.task.folds])


def assemble(inputs: Inputs, scored: Scored) -> dict[str, pd.DataFrame]:
    """Make the tables of a run from the rows of its jobs.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    scored : Scored
        What the worker collected.

    Returns
    -------
    dict of str to DataFrame
        table, cells, nested, tests, features.
    """
    splits = inputs.config.folds.splits
    order = {kind: place for place, kind in enumerate(("method", "control", "baseline", "skyline"))}
    concepts = {concept.task.concept: place for place, concept in enumerate(inputs.concepts)}
    rows = sorted(scored.rows, key=lambda row: (concepts[row["concept"]], order[row["kind"]]))
    widths = {(concept.task.concept, name, site): encoder.n_features
              for concept in inputs.concepts for (site, name), encoder in inputs.encoders.items()}
    nested = nested_table(rows)
    items = {concept.task.concept: len(np.unique(concept.task.groups)) for concept in inputs.concepts}
    return {"table": pd.DataFrame(rows, columns=list(COLUMNS)),
            "cells": cell_table(rows, scored.bands, splits=splits, n_features=widths), "nested": nested,
            "tests": planned_tests(inputs.config, nested, _reference_scores(rows), items, seed=inputs.config.seed),
            "features": pd.DataFrame(scored.features, columns=list(FEATURE_COLUMNS))}


def _reference_scores(rows: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    """Fold AUROC of baselines, skylines and controls by concept and name; several cells of a name are averaged.

    Baselines that failed in every fold are left out, so that `planned` can say so; the others stand as they were
    measured, and `planned` counts those below .5 as .5.
    """
    found: dict[str, dict[str, list]] = {}
    for cell in cells_of([row for row in rows if row["kind"] != "method"]):
        of_concept = found.setdefault(cell[0]["concept"], {})
        if cell[0]["kind"] == "baseline" and not np.isfinite([row["auroc"] for row in cell]).any():
            continue
        of_concept.setdefault(cell[0]["selector"], []).append([row["auroc"] for row in cell])
    return {concept: {name: np.mean(values, axis=0) for name, values in each.items()} for concept,
            each in found.items()}


def _write_maps(folder: Path, concept: Concept, scored: Scored) -> None:
    arrays: dict = {}
    for (owner, name), found in scored.maps.items():
        if owner == concept.task.concept:
            arrays |= found.to_arrays(f"{name}/")
    with files.replacing(folder / "maps" / f"{concept.task.concept}.npz") as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays)


def _describe(describe: Callable, folder: Path, concept: Concept, responses, scored: Scored, inputs: Inputs) -> None:
    rows = [row for row in scored.rows if row["concept"] == concept.task.concept and row["kind"] == "method"
            and row["status"] == "ok" and not inputs.encoders[row["site"], row["representation"]].components]
    cells = list(cells_of(rows))
    if not cells or responses[cells[0][0]["site"]].pooled:
        scored.warnings.append(f"{concept.task.concept}: no token-level cell to describe")
        return
    # the cell is chosen by inner folds: held-out scores have no part in what the report shows
    best = max(cells, key=lambda cell: np.mean([row["inner_auroc"] for row in cell]))[0]
    same = ("representation", "site", "window", "pooling", "selector", "k", "ensemble")
    features = [row["feature"] for row in scored.features
                if row["concept"] == best["concept"] and all(row[name] == best[name] for name in same)]
    if not features:
        return
    encoder = inputs.encoders[best["site"], best["representation"]]
    try:
        describe(folder, stimuli=concept.stimuli, design=concept.design, responses=responses[best["site"]],
                 rows=concept.design.rows, selected=np.array(features), through=encoder.through,
                 representation=best["representation"], window=best["window"], pooling=best["pooling"],
                 transform=inputs.config.transform, seed=inputs.config.seed)
    except InputError as error:
        # a picture that cannot be made must not cost the scores
        scored.warnings.append(f"{concept.task.concept}: not described for the report: {error}")
