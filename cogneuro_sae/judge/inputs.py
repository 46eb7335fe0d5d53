"""What a judge run reads: windows or answers, the concept, the raters; checked before anything is asked."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae import files
from cogneuro_sae.config import shipped
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.answers import checked_answer
from cogneuro_sae.judge.config import JudgeConfig
from cogneuro_sae.judge.messages import Provider
from cogneuro_sae.judge.providers import Context, RaterSpec, context_of, make_provider
from cogneuro_sae.judge.providers.spec import NETWORK
from cogneuro_sae.judge.rubrics import get_rubric
from cogneuro_sae.search import SearchResult, expected_windows, load_search_config, read_search, search_corpus
from cogneuro_sae.stimuli import StimulusSet


class Inputs(NamedTuple):
    """All that items and requests are made of.

    Parameters
    ----------
    config : JudgeConfig
        The run.
    search : SearchResult or None
        Windows to judge.
    answers : tuple of dict
        Answers to judge.
    stimuli : StimulusSet or None
        Source of known items.
    concept, definition : str
        What raters are asked about.
    raters : dict of RaterSpec to Provider
        In the order of the config.
    wordings : dict of str to tuple of str
        Of every rubric.
    hashes : dict
        Of what goes in.
    studied : str
        The model whose features are judged, "" where unknown.
    placeholder : bool
        The windows are stand-ins of the right number and length: the search has not been run.
    """

    config: JudgeConfig
    search: SearchResult | None
    answers: tuple[dict, ...]
    stimuli: StimulusSet | None
    concept: str
    definition: str
    raters: dict[RaterSpec, Provider]
    wordings: dict[str, tuple[str, ...]]
    hashes: dict
    studied: str
    placeholder: bool


def prepare(config: JudgeConfig, *, out: str | Path | None = None, device: str = "cpu", dry_run: bool = False,
            allow_download: bool = False, say: Callable[[str], None]) -> Inputs:
    """Load what a config names, running its search where there is none yet.

    Parameters
    ----------
    config : JudgeConfig
        The run.
    out : str or Path, optional
        Where results go, those of the search too.
    device : str
        For the search.
    dry_run : bool
        Run no search: stand-ins take the place of windows that are not there. Vendors' models are counted without key.
    allow_download : bool
        For the search's model and corpus.
    say : callable
        Takes one line per finished step.

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        Something does not exist or does not fit.
    SetupError
        A key, an extra, a device or a model is missing.
    """
    wordings = {name: tuple(get_rubric(name).checked(each) for each in
                            config.wordings.get(name, get_rubric(name).wordings[:1])) for name in config.rubrics}
    # what can be refused is refused before a search of hours
    known = {spec: _rater(spec, Context(config.concept or ""), dry_run) for spec in config.raters
             if spec.provider != "lexical"}
    answers = _answers(config.answers)
    if config.stimuli:
        StimulusSet.from_yaml(config.stimuli)
    search, placeholder = _windows(config, out, device, dry_run, allow_download, say) if config.search else (None, False)
    concept = config.concept or _concept_of(search) or ""
    stimuli = _stimuli(config, concept)
    concept = config.concept or (stimuli.concept if stimuli is not None else concept)
    _check_concept(config, concept, stimuli, search)
    context = context_of(stimuli, config.contrast) if stimuli is not None else Context(concept, config.definition)
    context = context._replace(concept=concept, definition=config.definition or context.definition)
    raters = {spec: known[spec] if spec in known else _rater(spec, context, dry_run) for spec in config.raters}
    hashes = {"prompts": {name: {each: get_rubric(name).hash(each) for each in used} for name, used in wordings.items()}}
    hashes |= {"stimuli": stimuli.sha256} if stimuli is not None else {}
    if config.answers:
        hashes["answers"] = files.sha256_file(Path(config.answers))
    recorded = {spec.name: files.sha256_file(Path(spec.file)) for spec in config.raters if spec.file}
    hashes |= {"recorded": recorded} if recorded else {}
    if search is not None and not placeholder:
        hashes["search"] = {name: files.sha256_file(search.folder / name) for name in ("features.jsonl", "windows.jsonl")}
    return Inputs(config, search, answers, stimuli, concept, context.definition, raters, wordings, hashes,
                  str(search.config.get("model", "")) if search is not None else "", placeholder)


def _check_concept(config: JudgeConfig, concept: str, stimuli: StimulusSet | None, search: SearchResult | None) -> None:
    """A mistyped concept would be asked about, and paid for, with nothing to hold the raters against."""
    where = f"config {config.name}"
    if not concept and config.search:
        raise InputError("no concept to ask about", where=where, do="give concept: or stimuli:")
    if config.search and stimuli is None and not config.definition:
        names = sorted(path.stem for path in shipped("stimuli").glob("concepts/*.yaml"))
        near = difflib.get_close_matches(concept.replace(" ", "_"), names, n=1)
        raise InputError(f"no shipped set is named like the concept {concept!r}" + (f"; did you mean {near[0]!r}?" if near
                                                                                  else ""), where=where,
                         do="give stimuli: FILE, or definition: what is meant (without known items no judge can be shown valid)")
    searched = {str(row.get("concept")) for row in search.features if row.get("concept")} if search is not None else set()
    if searched and not {_plainly(concept), _plainly(config.concept or "")} & {_plainly(name) for name in searched} \
            and (stimuli is None or _plainly(stimuli.name) not in {_plainly(name) for name in searched}):
        raise InputError(f"the search looked for features of {', '.join(sorted(searched))}, and raters would be asked about "
                         f"{concept!r}", where=where, do="search and judge one concept, or leave concept out of the search")


def _plainly(name: str) -> str:
    return name.replace("_", " ").casefold().strip()


def _rater(spec: RaterSpec, context: Context, dry_run: bool) -> Provider:
    if dry_run and spec.provider in NETWORK:
        from cogneuro_sae.judge.providers.unasked import Unasked

        return Unasked(spec)
    return make_provider(spec, context=context)


def _windows(config, out, device, dry_run, allow_download, say) -> tuple[SearchResult, bool]:
    if _is_dir(Path(config.search)):
        if (Path(config.search) / "features.jsonl").is_file():
            return read_search(config.search), False
        raise InputError("is no search folder", where=config.search, do="give a search config, or run the search first")
    wanted = load_search_config(config.search)
    # a dry search says what it would write, which reads as if this run did
    folder = search_corpus(wanted, out=out, device=device, dry_run=dry_run, allow_download=allow_download,
                           progress=(lambda line: None) if dry_run else say)
    if dry_run and not (folder / "provenance.json").is_file():
        say("the search has not been run: stand-ins of the right number and length take the place of its windows")
        return expected_windows(wanted, folder, device=device, allow_download=allow_download), True
    say(f"windows: {folder}")
    return read_search(folder), False


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # longer than a file name can be
        return False


def _concept_of(search: SearchResult | None) -> str | None:
    if search is None:
        return None
    named = list(dict.fromkeys(row.get("concept") for row in search.features if row.get("concept")))
    if len(named) > 1:
        raise InputError(f"the search holds features of {len(named)} concepts", allowed=", ".join(named),
                         do="name one as concept:, and run one judge per concept")
    return named[0] if named else search.config.get("concept")


def _stimuli(config: JudgeConfig, concept: str) -> StimulusSet | None:
    if config.stimuli:
        return StimulusSet.from_yaml(config.stimuli)
    name = concept.replace(" ", "_")
    there = sorted(shipped("stimuli").glob(f"*/{name}.yaml")) if name.isidentifier() else []
    return StimulusSet.from_yaml(there[0]) if there else None


def _answers(path: str | None) -> tuple[dict, ...]:
    if not path:
        return ()
    try:
        lines = Path(path).read_text("utf-8-sig").split("\n")  # splitlines would also cut at U+2028 inside a text
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", where=path, do="give JSON lines with question, answer, reference") \
            from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(checked_answer(json.loads(line), f"{path}:{number}"))
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON ({error})", where=f"{path}:{number}") from error
    return tuple(found)
