"""rsa_map: one RSA score per feature (or feature set) with the permutations its design allows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import (cell_labels, cell_table, check_tail, design_rows, labellings, larger_p,
                                    permutation_inference, require_resolvable)
from cogneuro_sae.rsa.class_scores import CLASS_SCORES
from cogneuro_sae.rsa.jobs import Job
from cogneuro_sae.rsa.labelled_models import cell_model, model_labellings
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.pooled import POOLED_FITS, refuse_on_scalars
from cogneuro_sae.rsa.sources import SourceOptions, open_source

RSA_SCORES = (*CLASS_SCORES, "model")


def rsa_map(given, design, *, score: str = "discriminative", variant: str = "profile", through=None,
            window: str = "all",
            model=None, labels=None, method: str = "corr", sets=None, align: str = "start", min_common: int = 8,
            min_active: int = 2, min_items: int = 5, permutations: int = 0, seed: int = 0, tail: str = "positive",
            alpha: float = 0.05) -> FeatureMap:
    """Map an RSA score over features (docs/methods.md); only pairs of stimuli from different items are used.

    With z = atanh(clip(r, +-.999)): discriminative D = mean_AA - mean_AB, categorical = (mean_AA + mean_BB)/2 -
    mean_AB, coherence = mean_AA - mean_BB. `model` is the Pearson correlation of the feature's dissimilarities (1 - r,
    or squared distances) with a model RDM over cross-item cell pairs; for pooled values also the whitened forms, over
    all pairs of cells. Distributions and pooled scalars use minus the squared distance over its mean as similarity. p
    tests exchangeability under the design's scheme; the silence policy is re-applied to every labelling.

    Parameters
    ----------
    given : Responses, TokenFeatures, PairSimilarities or ndarray (n_stimuli, n_features)
        One row per stimulus of the table, or per row of the design; an array for pooled and pattern.
    design : Design
        Rows, labels, items, cells and scheme.
    score : str
        "discriminative" | "categorical" | "coherence" | "model".
    variant : str
        "profile" | "distribution" | "pooled" | "pattern".
    through : object, optional
        SAE or other transform, with Responses.
    window : str
        Window, with Responses.
    model : str, callable, ndarray, DataFrame or RDMs, optional
        Model RDM for score "model", over the table's or the design's rows.
    labels : array_like (n_stimuli,), optional
        Labels for a named model, over the table's or the design's rows; default the design's two classes.
    method : str
        "corr" | "cosine_cov" | "corr_cov"; the whitened ones for variant "pooled" only.
    sets : sequence of array_like of int, optional
        Feature sets of the pattern variant; default one set of all.
    align : str
        "start" | "span".
    min_common, min_active : int
        A profile pair needs this many common tokens, and each profile this many active ones among them.
    min_items : int
        A feature silent in some stimuli needs this many valid items in A and in B.
    permutations : int
        0: values only.
    seed : int
        Seed of sampled labellings.
    tail : str
        "positive" (default) | "negative" | "two-sided".
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.

    Returns
    -------
    FeatureMap
        direction = sign(mean_A - mean_B) of the mean activation; n_valid = valid items in A and in B.

    Raises
    ------
    InputError
        Unknown names, discriminative or coherence on one value per stimulus or on an interaction, data that the variant
        cannot use, a scheme that cannot permute the model, a design too small.
    """
    _check(score, variant, method, model, tail)
    options = SourceOptions(through, window, align, min_common, min_active, sets)
    settings = SimpleNamespace(score=score, variant=variant, method=method, model=model, labels=labels,
                               min_items=min_items,
                               permutations=permutations, seed=seed, tail=tail, alpha=alpha, options=options)
    if design.scheme.kind == "two_part":
        return _two_part(given, design, settings)
    return _one_part(given, design, settings)[0]


def _check(score, variant, method, model, tail) -> None:
    if score not in RSA_SCORES:
        raise unknown_name("RSA score", score, RSA_SCORES)
    if method not in POOLED_FITS:
        raise unknown_name("RDM comparison", method, POOLED_FITS)
    check_tail(tail)
    if variant in ("pooled", "distribution"):
        refuse_on_scalars(score)
    if method != "corr" and (variant != "pooled" or score != "model"):
        raise InputError(f"{method} is a form for pooled values and score model", allowed="corr",
                         do='use method="corr", which masks pairs within items')
    if score == "model" and model is None:
        raise InputError("score model needs a model RDM", do='give model="categorical", a matrix or RDMs')


def _one_part(given, design, settings) -> tuple[FeatureMap, np.ndarray | None]:
    table = cell_table(design)
    if settings.score in ("discriminative", "coherence") and is_interaction(design):
        raise InputError(f"{settings.score} is refused for an interaction: neither side is one class of stimuli",
                         where=getattr(design, "contrast", None), do="use a univariate contrast, or score model")
    source, rows = open_source(given, design, table, settings.variant, settings.options)
    scheme, drawn = design.scheme, None
    if settings.permutations:
        require_resolvable(scheme, settings.alpha, settings.tail)
        drawn = labellings(scheme, settings.permutations, seed=settings.seed)
    job = _job(source, rows, design, table, settings, drawn, len(given))
    info = {"scheme": scheme.description, "contrast": getattr(design, "expression", ""), "score": settings.score,
            "variant": settings.variant, "tail": settings.tail,
            "pairs": "cross-item" if settings.method == "corr" else "all",
            "method": settings.method, "window": settings.options.window, "align": settings.options.align,
            "min_common": settings.options.min_common, "min_active": settings.options.min_active,
            "min_items": settings.min_items}
    inferred = None
    if drawn is None:
        job(0, source.n_features)
    else:
        inferred = permutation_inference(job, enumerated=drawn.enumerated, n_features=source.n_features,
                                         n_labellings=job.n_labellings, tail=settings.tail, alpha=settings.alpha,
                                         rounding=job.rounding, budget=2**26)
        info |= {**inferred.info, "seed": drawn.seed}
    return _as_map(job, settings, info, inferred), None if inferred is None else inferred.standardised


def _job(source, rows, design, table, settings, drawn, n_given) -> Job:
    pairs = cross_item_pairs(rows, table.item)
    scheme, F = design.scheme, source.n_features
    values = None if drawn is None else drawn.values
    found = {"value": np.full(F, np.nan), "difference": np.zeros(F), "silent": np.zeros(F, bool),
             "n_valid": np.tile([len(np.unique(table.item[table.y == side])) for side in (1, 0)], (F, 1))}
    labels = models = None
    if settings.score == "model":
        M = cell_model(settings.model, settings.labels, design, table, n_given)
        models = model_labellings(M, scheme, values, table, pairs)
    else:
        labels = table.y[None].astype(np.int8) if values is None else cell_labels(scheme, values, table)
        if (labels.sum(axis=1) != labels[0].sum()).any():
            raise InputError("the items hold unequal numbers of cells on the two sides, so labels cannot change places",
                             do="run without permutations, or contrast one condition with one")
    return Job(source, pairs, table, settings, labels, models, rows, found)


def _as_map(job: Job, settings, info: dict, inferred) -> FeatureMap:
    found, y = job.found, job.table.y
    direction = np.sign(found["difference"]).astype(np.int8)
    lost = np.flatnonzero(np.isnan(found["value"]))
    silent, few = found["silent"][lost], found["n_valid"][lost].min(axis=1) < settings.min_items
    reasons = {"silent, or without any valid pair": int(silent.sum()),
               f"fewer than {settings.min_items} valid items in A or B": int((~silent & few).sum()),
               "no valid pair in a block, or no variation": int((~silent & ~few).sum())}
    more = {}
    if inferred is not None:
        more = {"pvalue": inferred.pvalue, "p_fwe": inferred.p_fwe, "q": inferred.q}
        reasons |= {text: n for text, n in inferred.reasons.items() if text.startswith("not tested")}
    name = f"rsa_{settings.score}" if settings.variant == "profile" else f"rsa_{settings.score}_{settings.variant}"
    site = getattr(getattr(getattr(job.source, "features", None), "responses", None), "site", "")
    return FeatureMap(found["value"], name, direction=direction, n_valid=found["n_valid"].astype(np.int64), site=site,
                      reasons={text: n for text, n in reasons.items() if n}, info=info, **more)


def is_interaction(design) -> bool:
    """Return whether no factor separates the two sides of a design, so that neither side is one class of stimuli.

    Parameters
    ----------
    design : Design
        Its condition names are the levels of the factors joined by `_`.
    """
    conditions = getattr(design, "conditions", None)
    if conditions is None:
        return False
    levels = [str(name).split("_") for name in conditions]
    if len({len(each) for each in levels}) != 1 or len(levels[0]) < 2:
        return False
    y = np.asarray(design.y)
    sides = [[{levels[row][f] for row in np.flatnonzero(y == side)} for side in (0, 1)] for f in range(len(levels[0]))]
    return all(b & a for b, a in sides)


def _two_part(given, design, settings) -> FeatureMap:
    maps, sizes, rows_given = [], [], design_rows(len(given), design)
    for number, (part, rows) in enumerate(zip(design.scheme.parts, design.scheme.part_rows)):
        columns = {n: np.asarray(getattr(design, n))[rows] for n in ("y", "weights", "groups", "cells")}
        view = SimpleNamespace(rows=rows_given[rows], scheme=part, contrast=getattr(design, "contrast", ""), **columns)
        one = SimpleNamespace(**{**vars(settings), "tail": "positive", "seed": settings.seed + number})
        found, standardised = _one_part(given, view, one)
        maps.append(found)
        sizes.append(found.value if standardised is None else standardised)
    more, joint = {}, {}
    if settings.permutations:
        more, joint = larger_p([{"pvalue": m.pvalue, "p_fwe": m.p_fwe, "info": m.info} for m in maps],
                               alpha=settings.alpha)
    info = {**maps[0].info, "scheme": design.scheme.description, "contrast": getattr(design, "expression", ""), **joint,
            "value": "smaller standardised part" if settings.permutations else "smaller of the two parts",
            "parts": [found.info for found in maps]}
    direction = np.where(maps[0].direction == maps[1].direction, maps[0].direction, 0).astype(np.int8)
    reasons = {f"part {i + 1}: {text}": n for i, found in enumerate(maps) for text, n in found.reasons.items()}
    return FeatureMap(np.minimum(*sizes), maps[0].name, direction=direction, site=maps[0].site, reasons=reasons,
                      info=info,
                      n_valid=np.minimum(*(found.n_valid for found in maps)), **more)
