"""What a comparison is made of: sets, designs, model or responses, encoders; checked before anything is scored."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.compare.config import CompareConfig
from cogneuro_sae.compare.encoders import Encoder, Site, make_encoder
from cogneuro_sae.compare.folds import make_folds, seed_of
from cogneuro_sae.compare.rows import Task
from cogneuro_sae.config import expand
from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses
from cogneuro_sae.rsa.maps import is_interaction
from cogneuro_sae.selection.ranking import score_function
from cogneuro_sae.selection.scores import SCORES, needs_of
from cogneuro_sae.stimuli import StimulusSet

EMBEDDING_SITE = "resid_pre.0"
ONE_CLASS = {"rsa_discriminative", "rsa_coherence"}


class Concept(NamedTuple):
    """One set under one contrast.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    design : Design
        Rows, labels, items and cells; items kept for confirmation are not in it.
    task : Task
        Labels and folds.
    """

    stimuli: StimulusSet
    design: Any
    task: Task

    @property
    def texts(self) -> list[str]:
        """Texts of the design rows."""
        return [self.stimuli.texts[row] for row in self.design.rows]


class Inputs(NamedTuple):
    """Everything a comparison reads.

    Parameters
    ----------
    config : CompareConfig
        With sites in canonical form.
    concepts : tuple of Concept
        In config order.
    model : LanguageModel or None
        None when responses were recorded elsewhere.
    recorded : Responses or None
        Responses recorded elsewhere, in the order of the one set's table.
    encoders : dict of (site, representation) to Encoder
        Representations at each site.
    bos : bool
        Whether BOS is fed when recording.
    hashes : dict
        Content hashes of stimuli, model or responses, and encoders.
    warnings : tuple of str
        What the user should know.
    """

    config: CompareConfig
    concepts: tuple[Concept, ...]
    model: Any
    recorded: Responses | None
    encoders: dict[tuple[str, str], Encoder]
    bos: bool
    hashes: dict
    warnings: tuple[str, ...]


def prepare(config: CompareConfig, *, device: str = "cpu", allow_download: bool = False) -> Inputs:
    """Load and check all that a comparison needs; nothing is recorded, scored or written.

    Parameters
    ----------
    config : CompareConfig
        The config.
    device : str
        Where the model runs.
    allow_download : bool
        Whether a model may be fetched from the hub.

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        Anything missing or contradictory: sets, contrasts, too few items, SAE, k above the number of features, a
        criterion without the data it needs, one that an interaction or signed units do not allow.
    """
    sets = _sets(config)
    model, recorded, sites = _source(config, sets, device, allow_download)
    encoders = {(site.name, name): make_encoder(text, site, model=model, seed=seed_of(config.seed, name, site.name),
                                                where=f"representations.{name}")
                for site in sites for name, text in config.representations.items()}
    if config.site is not None:
        config = config.model_copy(update={"site": tuple(site.name for site in sites)})
    _check_widths(config, encoders)
    concepts = tuple(_concept(config, stimuli, model) for stimuli in sets)
    _check_needs(config, sites, concepts)
    _check_signs(config, sites, encoders)
    source = {"model": model.sha256} if model else {"responses": files.sha256_file(config.responses)}
    weights = {f"{site}|{name}": encoder.sha256 for (site, name), encoder in encoders.items() if encoder.sha256}
    hashes = {"stimuli": {stimuli.name: stimuli.sha256 for stimuli in sets}, **source, "representations": weights}
    warnings = tuple(f"{stimuli.name}: {note}" for stimuli in sets for note in stimuli.notes) + (model.notes
            if model else ())
    return Inputs(config, concepts, model, recorded, encoders, _bos(encoders), hashes, warnings)


def _sets(config: CompareConfig) -> list[StimulusSet]:
    sets = [StimulusSet.from_yaml(path) for path in expand(config.stimuli, "stimuli")]
    names = [stimuli.name for stimuli in sets]
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise InputError(f"two stimulus sets are called {doubled[0]!r}", where="stimuli", do="rename one")
    return sets


def _source(config, sets, device, allow_download):
    if config.responses is not None:
        recorded = _in_order(Responses.load(config.responses), sets[0])
        if recorded.pooled and config.window != ("all",):
            raise InputError(f"window {', '.join(config.window)} on responses that are pooled already", where="window",
                             allowed="all")
        # items kept for confirmation and special tokens must not decide what the units are
        part = recorded[sets[0].design(config.contrast).rows]
        signed = bool((part.values[~part.specials] < 0).any())
        return None, recorded, [Site(recorded.site, recorded.shape[1], signed, recorded.pooled)]
    from cogneuro_sae.language_model import LanguageModel

    model = LanguageModel.load(config.model, device=device, allow_download=allow_download)
    names = [model.resolve_site(site) for site in config.site]
    if len(set(names)) < len(names):
        raise InputError(f"two sites of the config are the same: {', '.join(config.site)}", where="site",
                         do="remove one")
    return model, None, [Site(name, model.width(name)) for name in names]


def _in_order(responses: Responses, stimuli: StimulusSet) -> Responses:
    """Recorded responses in the order of the table, by id where they have ids."""
    if all(responses.ids):
        place = {name: row for row, name in enumerate(responses.ids)}
        missing = [name for name in stimuli.ids if name not in place]
        if missing:
            raise InputError(f"the responses lack {len(missing)} stimuli of {stimuli.name}: {', '.join(missing[:5])}",
                             where="responses", do="record every id of the set")
        return responses[np.array([place[name] for name in stimuli.ids])]
    if len(responses) != len(stimuli):
        raise InputError(f"{len(responses)} responses without ids for the {len(stimuli)} texts of {stimuli.name}",
                         where="responses", do="give ids, or one row per text in the order of the set")
    return responses


def _concept(config: CompareConfig, stimuli: StimulusSet, model) -> Concept:
    design = stimuli.design(config.contrast)
    seed = seed_of(config.seed, stimuli.name)
    folds = make_folds(design.y, design.groups, splits=config.folds.splits, repeats=config.folds.repeats,
                       inner=config.folds.inner, seed=seed, where=f"{stimuli.name}: folds")
    models = {}
    for spec in config.selectors:
        name = spec.options.get("model")
        if name not in (None, "categorical"):
            models[name] = _model_rdm(str(name), stimuli, design)
    task = Task(stimuli.name, design.contrast, model.name if model else "responses", design.y, design.groups,
                design.cells,
                folds, seed, models)
    return Concept(stimuli, design, task)


def _model_rdm(name: str, stimuli: StimulusSet, design) -> np.ndarray:
    ids = [stimuli.ids[row] for row in design.rows]
    if name in stimuli.model_rdms:
        distances = stimuli.model_rdms[name].reindex(index=ids, columns=ids).to_numpy(float)
        if not (~np.isnan(distances) & (design.groups[:, None] != design.groups)).any():
            raise InputError(f"the model RDM {name!r} covers no pair of stimuli from different items of the contrast "
                             f"{design.contrast}", where=stimuli.name, do="use a model RDM of these stimuli")
        return distances
    if name == "graded":
        grades = stimuli.table["grade"].iloc[design.rows].to_numpy(float)
        if np.isnan(grades).any() or np.ptp(grades) == 0:
            raise InputError("the graded model needs different grades for the conditions", where=stimuli.name,
                             do="give each condition a grade")
        return np.abs(grades[:, None] - grades)
    raise InputError(f"{stimuli.name} has no model RDM {name!r}", where="selectors",
                     allowed=", ".join(["categorical", "graded", *stimuli.model_rdms]))


def _check_widths(config: CompareConfig, encoders: dict) -> None:
    for (site, name), encoder in encoders.items():
        if max(config.k) > encoder.n_features:
            raise InputError(f"k = {max(config.k)} with n_features = {encoder.n_features} of {name} at "
                             f"{site or 'the responses'}",
                             where="k", allowed=f"1 to {encoder.n_features}")


def _check_needs(config: CompareConfig, sites: list[Site], concepts: tuple[Concept, ...]) -> None:
    for spec in config.selectors:
        function = score_function(spec.name)
        if "profiles" in needs_of(function, spec.options) and any(site.pooled for site in sites):
            raise InputError(f"{spec.name} needs token profiles, and these responses are pooled already",
                             where="selectors",
                             do="bring token values, or use variant: pooled where it exists")
        for concept in concepts:
            if {spec.name, spec.options.get("by")} & ONE_CLASS and is_interaction(concept.design):
                raise InputError(f"{spec.label} is refused for an interaction: neither side of {concept.stimuli.name} "
                                 f"under {concept.design.expression} is one class of stimuli", where="selectors",
                                 do="use rsa_categorical, rsa_model or a univariate score")
            if spec.name == "paired_t" and not concept.design.matched:
                raise InputError(f"paired_t needs matched items, and {concept.stimuli.name} has unmatched ones under "
                                 f"{concept.design.expression}", where="selectors", do="use welch_t")


def _check_signs(config: CompareConfig, sites: list[Site], encoders: dict) -> None:
    signed = list(dict.fromkeys(name for (_, name), encoder in encoders.items() if encoder.signed))
    # a firing rate is never negative; values pooled elsewhere stay what they are
    if not signed or (set(config.pooling) == {"rate"} and not any(site.pooled for site in sites)):
        return
    for spec in config.selectors:
        used = [score_function(name) for name in (spec.name, spec.options.get("by")) if name in SCORES]
        if any(getattr(function, "unsigned", False) for function in used):
            raise InputError(f"the selector {spec.label!r} thresholds at zero or above and is refused on signed units, "
                             f"such as those of the representation {signed[0]!r}", where="selectors",
                             do="leave one of the two out, compare them in two runs, or use pooling: rate")


def _bos(encoders: dict) -> bool:
    wanted = {bool(getattr(encoder.through, "prepend_bos", True)) for encoder in encoders.values()
              if hasattr(encoder.through, "prepend_bos")}
    if len(wanted) > 1:
        raise InputError("some SAEs were trained with BOS fed and others without", where="representations",
                         do="compare them in two runs")
    return wanted.pop() if wanted else True


def record(inputs: Inputs, concept: Concept) -> dict[str, Responses]:
    """Return the responses to a concept's design rows at every site, and the layer-0 embedding where it is a baseline.

    Parameters
    ----------
    inputs : Inputs
        From `prepare`.
    concept : Concept
        One of its concepts.

    Returns
    -------
    dict of str to Responses
        By canonical site; the embedding under "embedding".
    """
    rows = concept.design.rows
    if inputs.recorded is not None:
        return {inputs.recorded.site: inputs.recorded[rows]}
    stimuli, sites = concept.stimuli, list(inputs.config.site)
    extra = inputs.model.resolve_site(EMBEDDING_SITE) if "embedding" in inputs.config.baselines else None
    wanted = list(dict.fromkeys(sites + ([extra] if extra else [])))
    ids, spans = [stimuli.ids[row] for row in rows], stimuli.spans[rows]
    found = inputs.model.record(concept.texts, wanted, ids=ids, bos=inputs.bos)
    responses = {site: found[site].with_spans(spans) for site in sites}
    return responses | ({"embedding": found[extra]} if extra else {})
