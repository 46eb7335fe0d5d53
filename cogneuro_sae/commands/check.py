"""`cogneuro-sae check`: verdicts on stimulus sets, one table over many, a skeleton for a new one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cogneuro_sae.commands.options import DebugOption, DeviceOption, DownloadOption
from cogneuro_sae.display import plain
from cogneuro_sae.errors import CogneuroError, InputError
from cogneuro_sae.terminal import done, say

LEVELS = ("ok", "note", "warning", "error")
FIGURES = (".png", ".pdf", ".svg")
SECONDS_BETWEEN = 5.0

SetsArgument = Annotated[list[str] | None, typer.Argument(metavar="SET...",
                                                          help="Stimulus sets: names, files, globs or folders.")]
FigureOption = Annotated[Path | None, typer.Option("--figure", help="Draw the confounds of all sets: png, pdf or svg.")]
NewOption = Annotated[str | None, typer.Option("--new", metavar="NAME",
                                               help="Write a skeleton NAME.yaml here, and stop.")]


def check(
    sets: SetsArgument = None,
    contrast: Annotated[str | None, typer.Option(help="Contrast to check (default: the set's first).")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors (exit code 2).")] = False,
    full: Annotated[bool, typer.Option("--full", help="Print every verdict of every set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON on stdout.")] = False,
    table: Annotated[Path | None, typer.Option("--table", help="Write one wide row per set to this csv file.")] = None,
    figure: FigureOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Add tokens and surprisal under this model.")] = None,
    norms: Annotated[Path | None, typer.Option("--norms", help="csv file with `word` and columns of numbers.")] = None,
    new: NewOption = None,
    kind: Annotated[str, typer.Option("--kind", help="Of the skeleton: concept, graded or factorial.")] = "concept",
    device: DeviceOption = "cpu",
    allow_download: DownloadOption = False,
    debug: DebugOption = False,
) -> None:
    """Check stimulus sets: form, balance, duplicates, confounds, and what words alone can tell."""
    if new is not None:
        if sets:
            raise InputError("--new writes a set, it checks none", do="leave the sets out")
        from cogneuro_sae.commands.skeleton import write_skeleton

        _announce(write_skeleton(new, kind))
        return
    if not sets:
        raise InputError("no stimulus set is named", do="name sets, files, globs or folders, or give --new NAME")
    for option, path, endings in (("--table", table, (".csv",)), ("--figure", figure, FIGURES)):
        if path is not None and path.suffix.lower() not in endings:
            raise InputError(f"{option} {str(path)!r} has another ending", allowed=", ".join(endings))
    from cogneuro_sae import config

    found = _check_all(config.expand(sets, "stimuli"), {
        "contrast": contrast, "norms": norms, **(_under_model(model, device, allow_download) if model else {})})
    _show(found, full=full, as_json=as_json, table=table, figure=figure)
    worst = max((each.worst for each in found), key=LEVELS.index)
    _leave(worst, strict)


def _leave(worst: str, strict: bool) -> None:
    if strict and worst == "warning":
        say("error: there are warnings, and --strict counts them as errors")
    if worst == "error" or (strict and worst == "warning"):
        raise typer.Exit(2)


def _announce(path: Path) -> None:
    from cogneuro_sae import config

    if any(shipped.stem == path.stem for shipped in config.shipped("stimuli").rglob("*.yaml")):
        say(f"note: a set called {path.stem} ships with the package; name yours by its file, {path.name}")
    say(f"replace the texts, then run: cogneuro-sae check {path.name}")
    done(path)


def _check_all(paths: list[Path], options: dict) -> list:
    """Check every set; of several, one that does not load is a finding beside the others."""
    from cogneuro_sae.commands.check_table import Finding
    from cogneuro_sae.stimuli import StimulusSet

    found, said = [], time.monotonic()
    for number, path in enumerate(paths, 1):
        try:
            found.append(Finding(path, StimulusSet.from_yaml(path).check(**options), ""))
        except CogneuroError as error:
            if len(paths) == 1:
                raise
            found.append(Finding(path, None, str(error)))
        if number < len(paths) and time.monotonic() - said > SECONDS_BETWEEN:
            said = time.monotonic()
            say(f"{number} of {len(paths)} sets checked, last {plain(path.stem)}")
    return found


def _show(found: list, *, full: bool, as_json: bool, table: Path | None, figure: Path | None) -> None:
    """Print what was found, write the table and the figure, end stdout with the paths of what was made."""
    from cogneuro_sae.commands import check_table

    if as_json:
        import json

        records = [each.to_dict() for each in found]
        print(json.dumps(records if len(records) > 1 else records[0], indent=1))
    elif len(found) == 1:
        say("\n".join(check_table.all_lines(found[0])))
    else:
        for text in (check_table.overview(found), *check_table.verdicts(found, full=full)):
            say(text)
        counts = {level: sum(each.worst == level for each in found) for level in ("error", "warning")}
        say(f"\n{len(found)} sets: {counts['error']} with errors, {counts['warning']} with warnings")
    made = [check_table.write_table(found, table)] if table else []
    made += [check_table.draw(found, figure)] if figure else []
    if not as_json:
        for path in made or [each.path for each in found if each.checks]:
            done(path)


def _under_model(name: str, device: str, allow_download: bool) -> dict:
    """What a model adds to check(): its tokens and the mean surprisal of texts that it can read."""
    import numpy as np

    from cogneuro_sae.language_model import LanguageModel, mean_surprisal

    model = LanguageModel.load(name, device=device, allow_download=allow_download)
    bos = int(model.tokenizer.bos_token_id is not None)

    def surprisal(texts: list[str]) -> np.ndarray:
        values = np.full(len(texts), np.nan)
        fit = [row for row, each in enumerate(model.tokenize(texts)) if len(each.ids) <= model.max_tokens]
        values[fit] = mean_surprisal(model, [texts[row] for row in fit])
        return values

    return {"tokenizer": lambda text: model.tokenize([text], bos=False)[0].ids, "max_tokens": model.max_tokens - bos,
            "measures": {"surprisal": surprisal}}
