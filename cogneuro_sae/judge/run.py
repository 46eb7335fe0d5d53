"""judge_features: from a config to a judge folder; the same call goes on where an interrupted one stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.display import cell
from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.judge.answers import answer_items
from cogneuro_sae.judge.config import JudgeConfig, load_judge_config, plain_config
from cogneuro_sae.judge.controls import TESTS_OF_EXPLANATIONS, ItemPlan, plan_items
from cogneuro_sae.judge.inputs import Inputs, prepare
from cogneuro_sae.judge.items import Item, arms_of, read_items, write_items
from cogneuro_sae.judge.ledger import Ledger
from cogneuro_sae.judge.meanings import Meaning, explanations_of, meanings_of, write_meanings
from cogneuro_sae.judge.parsing import Parsed
from cogneuro_sae.judge.people import human_rows, human_table, sheet_hashes
from cogneuro_sae.judge.place import COMPLETION, MADE, judge_folder
from cogneuro_sae.judge.providers.spec import NETWORK
from cogneuro_sae.judge.rounds import ask, estimates, total_cost
from cogneuro_sae.judge.sheets import write_sheet
from cogneuro_sae.judge.tables import judge_tables, write_tables
from cogneuro_sae.judge.validity import first_line
from cogneuro_sae.provenance import hash_of, run_record
from cogneuro_sae.stimuli.expressions import parse_expression

# what is asked does not depend on these, or they are hashed by content
FREE = ("name", "search", "answers", "stimuli", "sheets", "budget", "confirm_above", "retries", "writer", "planned")
FREE_OF_RATERS = ("concurrency", "timeout", "key_env", "price", "allow_download", "file")


def judge_features(config: JudgeConfig | str | Path, *, out: str | Path | None = None, device: str = "cpu",
                   dry_run: bool = False, overwrite: bool = False, allow_download: bool = False, yes: bool = False,
                   progress: Callable[[str], None] | None = None) -> Path:
    """Have raters score windows of features (or answers), blind and with controls, and say whether they may be believed.

    Parameters
    ----------
    config : JudgeConfig, str or Path
        What is judged, by whom; a name or path is read by `load_judge_config`.
    out : str or Path, optional
        Folder for results; `results` under the working directory by default.
    device : str
        For the search, when it has to be run first.
    dry_run : bool
        Count calls, tokens and cost; ask nobody and write nothing. Where the search has not been run the folder's own
        name is not known, and its parent is returned.
    overwrite : bool
        Ask, and pay, everything again.
    allow_download : bool
        Whether the search may fetch a model or a dataset.
    yes : bool
        The cost is agreed to.
    progress : callable, optional
        Takes one line per finished step.

    Returns
    -------
    Path
        `<out>/<name>/<hash10>`.

    Raises
    ------
    InputError
        Config, search, stimuli, sheets are not as they should be, or the cost was not agreed to.
    SetupError
        A key, an extra or a rater is missing, or the folder cannot be written.
    Interrupted
        The user or the queue asked to stop; every answer so far is kept.
    """
    started, say = time.time(), progress or (lambda line: None)
    if overwrite and dry_run:
        raise InputError("overwrite and dry_run contradict each other", do="give one of them")
    config = config if isinstance(config, JudgeConfig) else load_judge_config(config)
    inputs = prepare(config, out=out, device=device, dry_run=dry_run, allow_download=allow_download, say=say)
    first = _first_round(inputs)
    for note in (*first.notes, *(f"{rater.name}: {note}" for rater in inputs.raters.values()
                                 for note in getattr(rater, "notes", ()))):
        say(note)
    folder = Path(out or "results") / config.name / hash_of(
        {"verb": "judge", "config": _recipe(config), "hashes": inputs.hashes})[:10]
    _check_analysis(config, first.items, folder)
    if dry_run:
        _say_cost(inputs, first.items, folder, say)
        say(f"would write {folder.parent}/, in a folder named after the windows' hash" if inputs.placeholder
            else f"would write {folder}")
        return folder.parent if inputs.placeholder else folder
    if (folder / COMPLETION).is_file() and not overwrite and not _changed(folder, config):
        say(f"already done: {folder}")
        return folder
    with judge_folder(folder, overwrite=overwrite) as log, Interrupts() as interrupts:
        _compute(inputs, first, folder, started, interrupts, lambda line: (log.info(line), say(line)), yes)
    return folder


def _recipe(config: JudgeConfig) -> dict:
    """What the answers depend on."""
    recipe = {key: value for key, value in config.model_dump(mode="json", by_alias=True).items() if key not in FREE}
    return recipe | {"raters": [{key: value for key, value in rater.items() if key not in FREE_OF_RATERS}
                                for rater in recipe["raters"]]}


def _check_analysis(config: JudgeConfig, items: list[Item], folder: Path) -> None:
    """Find what the analysis would refuse before anything is paid, and before a finished folder is touched."""
    arms = dict.fromkeys(arm for item in items for arm in arms_of(item))
    for name, text in config.planned.items():
        parse_expression(text, arms, where=f"planned.{name}")
    whole = not set(config.rubrics) & set(TESTS_OF_EXPLANATIONS)
    there = (folder / COMPLETION).is_file() and (folder / "items.jsonl").is_file()
    if config.sheets:
        human_rows(config.sheets, items if whole else read_items(folder / "items.jsonl") if there else None)


def _first_round(inputs: Inputs, explanations: dict[str, str] | None = None) -> ItemPlan:
    """Items of the rubrics that need no explanation, or of those that do."""
    config = inputs.config
    rubrics = [name for name in config.rubrics if (name in TESTS_OF_EXPLANATIONS) == (explanations is not None)]
    if config.rubrics == ("answer",):
        items = answer_items(inputs.answers, concept=inputs.concept, controls=config.controls, seed=config.seed)
        return ItemPlan(items, ())
    if not rubrics:
        return ItemPlan([], ())
    return plan_items(inputs.search, rubrics=rubrics, concept=inputs.concept, stimuli=inputs.stimuli,
                      repeats=config.repeats, controls=config.controls, seed=config.seed, definition=inputs.definition,
                      contrast=config.contrast, per_bin=config.per_bin, known=config.known, explanations=explanations)


def _say_cost(inputs: Inputs, items: list[Item], folder: Path, say: Callable[[str], None]) -> None:
    found = estimates(inputs, items)
    for name, each in found.items():
        cost = "unknown cost" if each.cost is None else f"about {each.cost:.4f}"
        say(f"{name}: {each.calls:,} calls, about {each.tokens_in:,} tokens sent and {each.tokens_out:,} answered, {cost} "
            f"({each.price_line.removeprefix(f'{name}: ')})")
    if set(inputs.config.rubrics) & set(TESTS_OF_EXPLANATIONS):
        say("detection and fuzzing come on top: their items follow from the explanations")
    if (folder / "ledger.sqlite").is_file() and not inputs.placeholder:
        with Ledger(folder / "ledger.sqlite", readonly=True) as known:
            answered = int((known.to_frame()["state"] == "done").sum())
        say(f"{answered:,} calls of this run are answered already and are neither asked nor paid again")
    total = total_cost(found)
    say("in all: unknown" if total is None else f"in all: about {total:.4f}")
    if inputs.config.budget is not None and total is not None and total > inputs.config.budget:
        say(f"the budget of {inputs.config.budget:g} would end the run early")


def _changed(folder: Path, config: JudgeConfig) -> bool:
    """Whether there is work left: calls that failed, other sheets, contrasts or writer, a damaged file."""
    try:
        record = files.read_json(folder / COMPLETION)
    except InputError:
        return True
    before = record.get("config", {})
    return bool(record.get("unanswered")) or before.get("planned", {}) != config.planned or record.get("sheets", []) != sheet_hashes(config.sheets) or \
        record.get("stimulus_writer") != config.writer or files.mismatch(folder, record.get("files", {})) is not None


def _compute(inputs: Inputs, first: ItemPlan, folder: Path, started: float, interrupts: Interrupts, say: Callable,
             yes: bool) -> None:
    config = inputs.config
    files.write_text(folder / "config.yaml", yaml.safe_dump(plain_config(config), sort_keys=False, allow_unicode=True))
    items, notes = list(first.items), list(first.notes)
    with Ledger(folder / "ledger.sqlite") as ledger:
        if items:
            write_items(items, folder / "items.jsonl")
            ask(inputs, items, ledger, interrupts=interrupts, say=say, yes=yes)
        if set(config.rubrics) & set(TESTS_OF_EXPLANATIONS):
            meanings = _meanings(inputs, items, ledger)
            write_meanings(meanings, folder / "latent_index_meaning.json")
            second = _first_round(inputs, explanations_of(meanings))
            items, notes = items + second.items, notes + list(second.notes)
            write_items(items, folder / "items.jsonl")
            ask(inputs, second.items, ledger, interrupts=interrupts, say=say, yes=yes)
        faults = ledger.check()
        if faults:
            raise InputError(f"the ledger is damaged: {faults[0]}", where=str(ledger.path),
                             do="keep a copy, and use --overwrite to ask everything again")
        frame = ledger.to_frame()
    _analyse(inputs, items, frame, folder, started, say, notes)


def _meanings(inputs: Inputs, items: list[Item], ledger: Ledger) -> dict[str, Meaning]:
    """What the explainer said each feature is about."""
    names = [rater.name for rater in inputs.raters.values() if rater.is_judge] or \
        [rater.name for rater in inputs.raters.values()]
    explainer = inputs.config.explainer or names[0]
    known = {item.item: item for item in items}
    frame = ledger.to_frame()
    said = frame[(frame["rater"] == explainer) & (frame["status"] == "ok")]
    found = meanings_of((known[row.item], explainer, Parsed(row.score, json.loads(row.label or "{}"), "ok"))
                        for row in said.itertuples() if row.item in known)
    if not found:
        raise InputError(f"{explainer} gave no explanation that could be read, so detection and fuzzing have nothing to test",
                         do="ask for the rubric explanation too, name another explainer, or leave those rubrics out")
    return found


def _analyse(inputs: Inputs, items: list[Item], frame: pd.DataFrame, folder: Path, started: float, say: Callable,
             notes: list[str]) -> None:
    config = inputs.config
    human = human_rows(config.sheets, items)
    for name in dict.fromkeys(row.rater for row in human):
        own = [row for row in human if row.rater == name]
        say(f"{name}: {sum(row.parsed.status == 'ok' for row in own)} of {len(own)} lines answered")
    kinds = {rater.name: "judge" if rater.is_judge else "baseline" for rater in inputs.raters.values()}
    kinds |= {row.rater: "human" for row in human}
    scores = pd.concat([frame.drop(columns="raw"), human_table(human)], ignore_index=True) if human else \
        frame.drop(columns="raw")
    files.write_text(folder / "scores.csv", scores.map(cell).to_csv(index=False))
    write_sheet(items, folder / "sheet.csv", concept=inputs.concept, definition=inputs.definition, seed=config.seed)
    tables = judge_tables(scores, items, kinds=kinds, planned=config.planned or None, seed=config.seed)
    write_tables(tables, folder)
    say(first_line(tables.gates, kinds=kinds))
    raters = {rater.name: {"kind": kinds[rater.name], "model": rater.model} for rater in inputs.raters.values()}
    raters |= {row.rater: {"kind": "human", "model": ""} for row in human}
    network = [rater.name for spec, rater in inputs.raters.items() if spec.provider in NETWORK]
    unanswered = int(((frame["state"] == "failed") & frame["rater"].isin(network)).sum())
    currency = next((price.currency for price in (getattr(rater, "price", None) for rater in inputs.raters.values())
                     if price is not None), "")
    files.write_json(folder / COMPLETION, run_record(
        config=plain_config(config), hashes=inputs.hashes, seed=config.seed, started=started, warnings=notes, verb="judge",
        concept=inputs.concept, raters=raters, studied_model=inputs.studied, stimulus_writer=config.writer,
        currency=currency, search_folder=str(inputs.search.folder) if inputs.search is not None else "",
        sheets=sheet_hashes(config.sheets), unanswered=unanswered,
        files=files.fingerprints(folder, [name for name in MADE if (folder / name).is_file()])))
