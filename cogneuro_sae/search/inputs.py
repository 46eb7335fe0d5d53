"""Everything a search reads, loaded and checked before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.corpus import Corpus, load_corpus
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.language_model import LanguageModel
from cogneuro_sae.sae import load_sae
from cogneuro_sae.search.config import SearchConfig
from cogneuro_sae.search.controls import control_features
from cogneuro_sae.search.keywords import enriched_corpus
from cogneuro_sae.search.signals import Ensemble, Feature, Signals
from cogneuro_sae.search.source import Source, read_source, window_tokens
from cogneuro_sae.selection import load_ensemble
from cogneuro_sae.stimuli import StimulusSet

WINDOW = 20
POOLING = "max"


class Inputs(NamedTuple):
    """What a search is made from.

    Parameters
    ----------
    config : SearchConfig
        With model, site, window and pooling filled in.
    model : LanguageModel
        Runs over the text.
    signals : Signals
        What is searched for.
    saes : dict of str to SparseAutoencoder
        By representation.
    sae_folders : dict of str to str
        Their references.
    corpus : Corpus
        The text.
    bos : bool
        Whether the beginning-of-text token is fed.
    hashes : dict
        Of everything that went in.
    notes : tuple of str
        What the user should know.
    """

    config: SearchConfig
    model: Any
    signals: Signals
    saes: dict
    sae_folders: dict[str, str]
    corpus: Corpus
    bos: bool
    hashes: dict
    notes: tuple[str, ...]


def prepare(config: SearchConfig, *, device: str = "cpu", allow_download: bool = False) -> Inputs:
    """Load and check all that a search needs.

    Parameters
    ----------
    config : SearchConfig
        The config.
    device : str
        Where the model runs.
    allow_download : bool
        Whether a model or a dataset may be fetched from the hub.

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        Anything missing or contradictory.
    SetupError
        No such device, no network, a missing extra.
    """
    source = read_source(config) if config.source else None
    corpus = load_corpus(config.corpus, exclude=config.exclude, allow_download=allow_download)
    notes = list(source.notes) if source else []
    if config.enrich is not None:
        corpus, line = _enriched(corpus, config)
        notes.append(line)
    model = LanguageModel.load(config.model or (source.model if source else "default"), device=device,
                               allow_download=allow_download)
    features = _features(config, source)
    folders = _sae_folders(config, source, features)
    site = config.site or (source.site if source else None)
    saes = {name: load_sae(reference, model=model, site=site) for name, reference in folders.items()}
    site = model.resolve_site(site or next((sae.site for sae in saes.values() if sae.site), "middle"))
    bos = {sae.prepend_bos for sae in saes.values()} or {True}
    if len(bos) > 1:
        raise InputError("the SAEs were trained with and without the beginning-of-text token", do="search them apart")
    ensembles = tuple(_ensemble(spec, model, saes, site) for spec in config.ensembles)
    _check_range(features, ensembles, saes, model.width(site))
    features += control_features(features, saes, config.controls, width=model.width(site), seed=config.seed,
                                 concept=config.concept or "")
    filled = {"model": config.model or (source.model if source else "default"), "site": site,
              "window": config.window or _window(source, model, bos), "pooling": config.pooling or (source.pooling if source
                                                                                                    else POOLING)}
    hashes = {"model": model.sha256, "saes": {name: sae.sha256 for name, sae in saes.items()}, "corpus": corpus.sha256,
              "source": source.sha256 if source else "",
              "ensembles": [files.sha256_file(Path(spec.folder) / files.MANIFEST) for spec in config.ensembles]}
    return Inputs(config.model_copy(update=filled), model, Signals(features, ensembles, saes), saes, folders, corpus,
                  bos.pop(), hashes, (*notes, *model.notes))


def _enriched(corpus: Corpus, config: SearchConfig) -> tuple[Corpus, str]:
    found = enriched_corpus(corpus, config.enrich.words, chunk=config.enrich.chunk, case=config.enrich.case,
                            whole_word=config.enrich.whole_word)
    return found.corpus, (f"only chunks with {', '.join(config.enrich.words)} are read: {len(found.corpus):,} of "
                          f"{len(corpus):,} documents; the words stand in {found.before:.2%} of the documents before, "
                          f"{found.after:.2%} after")


def _features(config: SearchConfig, source: Source | None) -> tuple[Feature, ...]:
    if config.chosen == "selected":
        return source.features
    found = []
    for name in config.chosen:
        representation, index = name.split(":")
        found.append(Feature(representation, int(index), 1, {config.concept or "": ("given",)}))
    return tuple(found)


def _sae_folders(config: SearchConfig, source: Source | None, features: tuple[Feature, ...]) -> dict[str, str]:
    """SAEs that something needs: a latent, an ensemble, the pass over all latents, a control."""
    known = dict(source.saes) if source else {}
    if config.sae is not None or not known:
        known = {**dict.fromkeys(known or ["sae"], config.sae or "default"), "sae": config.sae or "default"}
    needed = {one.representation for one in features} | {spec.representation or "sae" for spec in config.ensembles}
    if config.latents or (not needed - {"raw"} and config.controls.rate_matched):
        needed.add(next(iter(known)))
    return {name: reference for name, reference in known.items() if name in needed}


def _ensemble(spec, model, saes: dict, site: str) -> Ensemble:
    fitted = load_ensemble(Path(spec.folder).expanduser())
    if spec.target not in fitted.class_names_:
        raise unknown_name("class", spec.target, fitted.class_names_, where=str(spec.folder))
    representation = spec.representation or fitted.extra_.get("representation", "sae")
    if representation != "raw" and representation not in saes:
        representation = "sae"
    scale = fitted.extra_.get("scale") or (saes[representation].scale if representation in saes else model.scale(site))
    sign = 1 if fitted.class_names_.index(spec.target) == 1 else -1
    return Ensemble(Path(spec.folder).name, representation, np.asarray(fitted.feature_indices_, np.int64), fitted, sign,
                    0.0 if fitted.extra_.get("transform") == "none" else float(scale), spec.target)


def _check_range(features, ensembles, saes: dict, width: int) -> None:
    asked = [(one.name, one.representation, one.index) for one in features]
    asked += [(one.name, one.representation, int(index)) for one in ensembles for index in one.indices]
    for name, representation, index in asked:
        size = saes[representation].n_latents if representation in saes else width
        if not 0 <= index < size:
            raise InputError(f"{name}: there is no {'unit' if representation == 'raw' else 'latent'} {index}",
                             allowed=f"0 to {size - 1}")
    names = [one.name for one in ensembles]
    if len(set(names)) < len(names):
        raise InputError(f"two ensembles are called {max(names, key=names.count)}", do="rename one of the folders")


def _window(source: Source | None, model, bos: set[bool]) -> int:
    if source is None:
        return WINDOW
    lengths, spans = [], []
    if source.window in ("all", "span"):
        for reference in source.stimuli:
            stimuli = StimulusSet.from_yaml(reference)
            for each, target in zip(model.tokenize(stimuli.texts, bos=next(iter(bos))), stimuli.spans, strict=True):
                content = each.spans[~each.specials]
                lengths.append(len(content))
                if target is not None and target[0] >= 0:
                    spans.append(int(((content[:, 0] < target[1]) & (content[:, 1] > target[0])).sum()))
    return window_tokens(source.window, lengths, spans)
