"""Several sites in one pass: the profile of models over layers, and the RDM of RDMs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.rsa.second_level import METHODS, cell_rdms, compare_models

COLUMNS = ("site", "model", "fit", "low", "high", "p_zero", "p_exchange", "ceiling_low", "ceiling_high", "n", "items",
           "features", "note")


def layer_profile(sites: Mapping, design, models: Mapping, *, labels: Mapping | None = None, through=None,
                  how: str = "mean", window: str = "all", metric: str = "correlation", method: str = "corr",
                  draws: int = 0, bootstraps: int = 0, permutations: int = 0, seed: int = 0) -> pd.DataFrame:
    """Fit the same models at every site.

    Each site is pooled once and every model is fitted to the same RDMs (`cell_rdms`, `compare_models`). With draws the
    fits and the ceiling come from the same single-paraphrase RDMs, so that they can be drawn into one figure.

    Parameters
    ----------
    sites : mapping of str to Responses or ndarray (n_stimuli, n_features)
        In the order to be drawn, such as what `LanguageModel.record(texts, [sites])` gives.
    design : Design
        Rows, items and cells.
    models : mapping of str to model
        As in `compare_models`.
    labels : mapping of str to array_like, optional
        As in `compare_models`.
    through : object or mapping of str to object, optional
        An SAE (or anything with `transform`) for all sites, or one for some of them by name.
    how : str
        Pooling of Responses.
    window : str
        Window of Responses.
    metric : str
        As in `data_rdm`.
    method : str
        As in `compare_models`.
    draws : int
        Reassignments of paraphrases for the ceiling; 0: cell means, no ceiling.
    bootstraps : int
        Item bootstraps per site; 0: no intervals.
    permutations : int
        Labellings per site for `p_exchange`; 0: none. Sites are not corrected for each other.
    seed : int
        Seed of draws, bootstraps and labellings, the same at every site.

    Returns
    -------
    DataFrame
        One row per site and model: `site, model, fit, low, high, p_zero, p_exchange, ceiling_low, ceiling_high, n`
        (cells), `items, features` (that were not silent), `note` (why a number is missing).

    Raises
    ------
    InputError
        No site, or what `cell_rdms` and `compare_models` refuse, with the site's name.
    """
    if not sites:
        raise InputError("no site", do="give at least one, by name")
    if isinstance(through, Mapping) and set(through) - set(sites):
        raise unknown_name("site", next(name for name in through if name not in sites), sites)
    parts = []
    for site, given in sites.items():
        X = _pooled(given, through.get(site) if isinstance(through, Mapping) else through, how, window)
        try:
            data = cell_rdms(X, design, metric=metric, draws=draws, seed=seed)
            found = compare_models(data, models, design, labels=labels, method=method, bootstraps=bootstraps,
                                   permutations=permutations, seed=seed)
        except InputError as error:
            error.where = error.where or f"site {site}"
            raise
        notes = ([] if data.n_rdm > 1 else ["no ceiling: one RDM"]) + ([] if bootstraps else ["no bootstrap"])
        parts.append(found.models.assign(site=site, features=int(np.any(X != 0, axis=0).sum()), note="; ".join(notes)))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _pooled(given, through, how: str, window: str) -> np.ndarray:
    if hasattr(given, "pool"):
        return given.pool(how, window=window, through=through)
    if through is not None:
        raise InputError("pooled values cannot be encoded any more", do="give Responses, or pool through the SAE")
    return np.asarray(given)


def rdm_of_rdms(spaces: Mapping, design, *, metric: str = "correlation", method: str = "corr"):
    """Compare the geometry of several spaces: layers, an SAE's latents, raw units, brains (second-order RDM).

    Parameters
    ----------
    spaces : mapping of str to ndarray (n_stimuli, n_features) or rsatoolbox.rdm.RDMs
        Pooled values, or one RDM over the design's cells (`cell_rdms`).
    design : Design
        Rows, items and cells.
    metric : str
        As in `data_rdm`, for spaces given as values.
    method : str
        As in `compare_models`: how two RDMs are compared, over pairs of cells from different items.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM whose patterns are the spaces (descriptor `id`): 1 - similarity of their RDMs. Draw it with
        `plots.dendrogram_rdm` or `plots.mds`.

    Raises
    ------
    InputError
        Fewer than 3 spaces, RDMs of another shape or several RDMs in one space, an unknown method.
    """
    import rsatoolbox

    if method not in METHODS:
        raise unknown_name("RDM comparison", method, METHODS)
    if len(spaces) < 3:
        raise InputError(f"{len(spaces)} spaces", allowed="at least 3, so that there is something to compare")
    first = None
    vectors = []
    for name, space in spaces.items():
        rdms = space if hasattr(space, "get_vectors") else cell_rdms(space, design, metric=metric)
        first = rdms if first is None else first
        if rdms.n_rdm != 1 or rdms.n_cond != first.n_cond:
            raise InputError(f"the space {name!r} has {rdms.n_rdm} RDMs over {rdms.n_cond} cells",
                             allowed=f"one RDM over {first.n_cond} cells")
        vectors.append(rdms.get_vectors()[0])
    stack = np.array(vectors)
    stack[:, np.isnan(stack).any(axis=0)] = np.nan
    if np.isfinite(stack[0]).sum() < 3 or (np.nanstd(stack, axis=1) < 1e-12).any():
        raise InputError("an RDM does not vary over the pairs that all spaces have")
    rdms = rsatoolbox.rdm.RDMs(stack)
    similarity = rsatoolbox.rdm.compare(rdms, rdms, method=method)
    upper = 1 - similarity[np.triu_indices(len(stack), 1)]
    return rsatoolbox.rdm.RDMs(upper[None], dissimilarity_measure=f"1 - {method} of RDMs",
                               pattern_descriptors={"id": [str(name) for name in spaces]})
