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
    count = 0 if fmap.p_fwe is None else int(fmap.threshold(ALPHA).sum())
    return f"{name}: {count} of {len(fmap)} features with p_FWE <= {ALPHA:g}"


def feature_table(concept: str, maps: dict[str, FeatureMap], top: int) -> pd.DataFrame:
    """Return the strongest features of every map, one row each.

    Parameters
    ----------
    concept : str
        Name of the set.
    maps : dict of str to FeatureMap
        Maps by name.
    top : int
        How many per map.

    Returns
    -------
    DataFrame
        `concept`, `score`, `rank` from 1, then the columns of `FeatureMap.to_frame`.
    """
    frames = []
    for name, fmap in maps.items():
        best = fmap.top(top)
        frame = fmap.to_frame().iloc[best].reset_index(drop=True)
        frame.insert(0, "rank", np.arange(1, len(best) + 1))
        frame.insert(0, "score", name)
        frame.insert(0, "concept", concept)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
