"""The judge config of a comparison: what it says holds for all concepts, what it is asked about is the comparison's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from cogneuro_sae import files
from cogneuro_sae.compare.config import CompareConfig
from cogneuro_sae.compare.inputs import Inputs
from cogneuro_sae.config import load_yaml, resolve
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.config import KIND, JudgeConfig, load_judge_config
from cogneuro_sae.judge.config import plain_config as plain_judge
from cogneuro_sae.search.config import SearchConfig, load_search_config
from cogneuro_sae.search.config import plain_config as plain_search

RUBRIC = "target"
# how a corpus is read; what is searched for, with which model and in which windows, is the comparison's
READING = ("corpus", "exclude", "part", "tokens", "enrich", "context", "passage", "windows", "per_document", "vocabulary",
           "neuronpedia", "batch", "shard_characters")
# of no consequence once everything is answered, or replaced
UNSEEN = ("name", "search", "concept", "stimuli", "contrast", "planned", "budget", "confirm_above", "retries")
NO_SEARCH = "the comparison's own"


class JudgeAxis(NamedTuple):
    """What the axis `judge` of a comparison is measured with.

    Parameters
    ----------
    config : JudgeConfig
        As in its file; search, concept, stimuli, contrast and planned are replaced in every run.
    reading : dict
        Fields of `SearchConfig` on how the corpus is read.
    hashes : dict
        Of all that makes an answer: judge config, prompts, reading, corpus.
    plain : dict
        What a finished axis rests on, sheets by content: when it changes, the axis is looked at again.
    """

    config: JudgeConfig
    reading: dict[str, Any]
    hashes: dict[str, Any]
    plain: dict[str, Any]


def load_judge_axis(config: CompareConfig, *, n_concepts: int = 1, allow_download: bool = False) -> JudgeAxis | None:
    """Load and check the judge config that a comparison names.

    Parameters
    ----------
    config : CompareConfig
        The comparison.
    n_concepts : int
        How many concepts it has.
    allow_download : bool
        Whether a corpus may be fetched from the hub.

    Returns
    -------
    JudgeAxis or None
        None when `judge` is not among the axes.

    Raises
    ------
    InputError
        No such config, or one that cannot judge the features of this comparison.
    """
    if "judge" not in config.axes:
        return None
    path = resolve(config.judge, KIND)
    data = load_yaml(path).data
    given = data.get("search") if isinstance(data, dict) else None
    judge = load_judge_config(path, () if given is not None else (f"search={NO_SEARCH}",))
    where = f"judge {config.judge}"
    if RUBRIC not in judge.rubrics:
        raise InputError("the judge axis is the mean score of the rubric target, which is not asked", where=where,
                         do="add target to rubrics")
    runs = n_concepts * len(config.site) * len(config.window) * len(config.pooling)
    if judge.sheets and runs > 1:
        raise InputError(f"sheets belong to one judge run, and this comparison makes {runs}", where=where,
                         do="leave sheets out")
    if judge.definition and n_concepts > 1:
        raise InputError(f"one definition for {n_concepts} concepts", where=where,
                         do="leave it out: the definitions of the stimulus sets are used")
    reading = _reading(judge.search, where) if given is not None else {}
    plain = {key: value for key, value in plain_judge(judge).items() if key not in UNSEEN}
    plain["sheets"] = {Path(sheet).name: files.sha256_file(Path(sheet)) for sheet in judge.sheets}
    return JudgeAxis(judge, reading, _hashes(judge, reading, allow_download), plain)


def _reading(search: str, where: str) -> dict[str, Any]:
    if Path(search).is_dir():
        raise InputError("search is a folder, and every concept of a comparison has a search of its own", where=where,
                         do="name a search config, whose corpus, tokens and windows are taken, or leave search out")
    plain = plain_search(load_search_config(search))
    return {key: plain[key] for key in READING if key in plain}


def _hashes(judge: JudgeConfig, reading: dict[str, Any], allow_download: bool) -> dict[str, Any]:
    from cogneuro_sae.corpus import load_corpus
    from cogneuro_sae.judge.rubrics import get_rubric
    from cogneuro_sae.judge.run import FREE

    asked = SearchConfig.model_validate({"name": "search", "features": [0], **reading})
    corpus = load_corpus(asked.corpus, exclude=asked.exclude, allow_download=allow_download)
    # prices, budgets, sheets and the like change no answer: with others the same folder is gone on with
    recipe = {key: value for key, value in plain_judge(judge).items() if key not in (*FREE, "concept", "contrast")}
    prompts = {name: {wording: get_rubric(name).hash(wording) for wording in
                      judge.wordings.get(name, get_rubric(name).wordings[:1])} for name in judge.rubrics}
    return {"config": recipe, "prompts": prompts, "corpus": corpus.sha256,
            "reading": {key: value for key, value in reading.items() if key not in ("corpus", "shard_characters")}}


def with_hashes(inputs: Inputs, axis: JudgeAxis | None) -> Inputs:
    """Return inputs whose hashes hold those of the judge axis; without the axis the same.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    axis : JudgeAxis or None
        From `load_judge_axis`.
    """
    return inputs if axis is None else inputs._replace(hashes={**inputs.hashes, "judge": axis.hashes})
