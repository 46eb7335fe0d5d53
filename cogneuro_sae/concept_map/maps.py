"""The maps of one concept: univariate and RSA scores of every feature, and the table of the strongest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from cogneuro_sae.concept_map.inputs import Inputs
from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.responses import Responses
from cogneuro_sae.rsa import rsa_map

ALPHA = 0.05
RSA_VARIANTS = {"discriminative": "profile", "coherence": "profile", "categorical": "pooled"}


def make_maps(inputs: Inputs, responses: Responses, rows: np.ndarray,
              say: Callable[[str], None] = lambda line: None) -> tuple[dict[str, FeatureMap], list[str]]:
    """Return every map of a config by name, the headline first, and warnings about those that could not be made.

    Parameters
    ----------
    inputs : Inputs
        What the map is made from.
    responses : Responses
        One row per entry of `rows`.
    rows : ndarray (n_rows,) int64
        Positions in the set's table.
    say : callable
        Called with one line per map.

    Returns
    -------
    (dict of str to FeatureMap, list of str)
        Univariate maps under the score's name, RSA maps under `rsa_<score>`.

    Raises
    ------
    InputError
        A score that the config asks for by name does not fit the design or the responses.
    """
    config, design = inputs.config, inputs.design
    wanted = responses[np.searchsorted(rows, design.rows)]
    X = wanted.pool(config.pooling, window=config.window, through=inputs.sae)
    maps, warnings = {}, []
    for name in config.scores:
        maps[name] = contrast_map(X, design, score=name, permutations=config.permutations, seed=config.seed,
                                  site=responses.site)
        say(_passing(name, maps[name]))
    for name in config.rsa:
        variant = RSA_VARIANTS[name]
        try:
            maps[f"rsa_{name}"] = rsa_map(X if variant == "pooled" else wanted, design, score=name, variant=variant,
                                          through=None if variant == "pooled" else inputs.sae, window=config.window,
                                          permutations=config.permutations, seed=config.seed)
        except InputError as error:
            if "rsa" in config.model_fields_set:
                raise
            warnings.append(f"no RSA {name} map: {error}")
            continue
        say(_passing(f"rsa_{name}", maps[f"rsa_{name}"]))
    return maps, warnings


def _passing(name: str, fmap: FeatureMap) -> str:
    if fmap.pvalue is None:
        return f"{name}: {int(np.isfinite(fmap.value).sum()):,} features, no p (permutations: 0)"
    tested = int(np.isfinite(fmap.pvalue).sum())
    return f"{name}: {int(fmap.threshold(ALPHA).sum()):,} of {tested:,} tested features with p_FWE <= {ALPHA:g}"


def strongest(fmap: FeatureMap, n: int) -> pd.DataFrame:
    """Return the strongest features of a map: significant ones first, in a two-sided map up to `n` of either direction.

    Parameters
    ----------
    fmap : FeatureMap
        Any map.
    n : int
        How many per direction.

    Returns
    -------
    DataFrame
        `rank` from 1, `side` ("high" or "low": which side of the score's value without effect), then the columns of
        `FeatureMap.to_frame`.
    """
    passed = np.zeros(len(fmap), bool) if fmap.p_fwe is None else fmap.threshold(ALPHA)
    away = fmap.value - fmap.center
    sides = (1, -1) if fmap.info.get("tail") == "two-sided" else (1,)
    chosen = []
    for sign in sides:
        # a one-sided map has no other side, so features of every value may fill its list
        known = np.flatnonzero(sign * away > 0 if len(sides) == 2 else ~np.isnan(away))
        chosen.append(known[np.lexsort((-sign * away[known], ~passed[known]))[:n]])
    best = np.concatenate(chosen)
    size = np.abs(away[best]) if len(sides) == 2 else away[best]
    best = best[np.lexsort((-size, ~passed[best]))]
    frame = fmap.to_frame().iloc[best].reset_index(drop=True)
    frame.insert(0, "side", np.where(away[best] < 0, "low", "high"))
    frame.insert(0, "rank", np.arange(1, len(best) + 1))
    return frame


def feature_table(concept: str, maps: dict[str, FeatureMap], top: int) -> pd.DataFrame:
    """Return the strongest features of every map, one row each.

    Parameters
    ----------
    concept : str
        Name of the set.
    maps : dict of str to FeatureMap
        Maps by name.
    top : int
        How many per map and direction.

    Returns
    -------
    DataFrame
        `concept`, `score`, then the columns of `strongest`.
    """
    frames = []
    for name, fmap in maps.items():
        frame = strongest(fmap, top)
        frame.insert(0, "score", name)
        frame.insert(0, "concept", concept)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
