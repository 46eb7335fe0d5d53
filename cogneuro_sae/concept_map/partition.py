"""What is left of a concept beside length, words, position and topic, and D against near foils beside D against far ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from cogneuro_sae.concept_map.geometry import FEWEST, METRIC, Geometry
from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.rsa import nuisance_rdms, rsa_map, variance_partition

PARTITION_COLUMNS = ["rdm", "part", "share", "n", "note"]
FOILS = {"D_near": "near", "D_far": "far"}


def describe_partition(given: Geometry) -> pd.DataFrame:
    """Partition the variance of the RDMs of feature sets between the concept and nuisance RDMs.

    Parameters
    ----------
    given : Geometry
        Values, rows and features.

    Returns
    -------
    DataFrame
        `PARTITION_COLUMNS`: per feature set the unique part of every predictor, their common parts (names joined by
        " & "), and `total`, as shares of the RDM's variance; n = cells. Where none can be computed, one row with a note.
    """
    sets = {"selected features": given.selected, "all features": np.flatnonzero((given.X != 0).any(axis=0))}
    nuisance = nuisance_rdms(given.stimuli, given.design)
    tables = []
    for name, features in sets.items():
        try:
            if len(features) < FEWEST:
                raise InputError(f"{len(features)} features have no {METRIC} distance")
            found = variance_partition(given.X[given.rows], given.design, sets=[features], metric=METRIC, nuisance=nuisance)
        except InputError as error:
            tables.append(pd.DataFrame([{"rdm": name, "part": "", "share": np.nan, "n": 0, "note": str(error)}]))
            continue
        parts = [" & ".join(each) for each in found.subsets] + ["total"]
        tables.append(pd.DataFrame({"rdm": name, "part": parts, "share": [*found.parts[:, 0], found.total[0]],
                                    "n": len(np.unique(given.design.cells)), "note": "; ".join(
                                        f"{left} left out: {why}" for left, why in nuisance.left_out.items())}))
    return pd.concat(tables, ignore_index=True)[PARTITION_COLUMNS]


def near_and_far(responses: Responses, table: pd.DataFrame, stimuli, selected: np.ndarray, *, window: str,
                 through) -> pd.DataFrame:
    """Profile D of all features against near foils and against far foils, where the set has both.

    Parameters
    ----------
    responses : Responses
        Of the rows of `table`.
    table : DataFrame
        Rows of the set's table that may be looked at.
    stimuli : StimulusSet
        The set.
    selected : ndarray (n_selected,) int64
        Features described elsewhere.
    window : str
        Window of the profiles.
    through : object or None
        SAE or other transform.

    Returns
    -------
    DataFrame
        `feature`, `D_near`, `D_far` (differences of mean Fisher z), `selected`, for the features that have at least one;
        by D_near, largest first. Empty when the responses are pooled, or the set or the responses
        lack one of the foils.
    """
    if responses.pooled or not {"target", *FOILS.values()} <= set(stimuli.conditions):
        return pd.DataFrame(columns=["feature", *FOILS, "selected"])
    position, ids = {name: row for row, name in enumerate(table["id"])}, stimuli.table["id"].tolist()
    designs = {title: stimuli.design(f"target - {foil}") for title, foil in FOILS.items()}
    if any(ids[row] not in position for design in designs.values() for row in design.rows):
        return pd.DataFrame(columns=["feature", *FOILS, "selected"])        # a comparison reads its contrast's texts only
    features, out = TokenFeatures(responses, through, window), {}
    for title, design in designs.items():
        rows = np.array([position[ids[row]] for row in design.rows], np.int64)
        view = SimpleNamespace(**{name: getattr(design, name) for name in ("y", "weights", "groups", "cells", "scheme",
                                                                           "conditions", "contrast", "expression")},
                               rows=np.arange(len(rows)))
        out[title] = rsa_map(features.rows(rows), view, score="discriminative").value
    found = pd.DataFrame({"feature": np.arange(features.n_features), **out})
    found["selected"] = np.isin(found["feature"], selected).astype(int)
    found = found[found[list(FOILS)].notna().any(axis=1)]
    return found.sort_values("D_near", ascending=False, kind="stable").reset_index(drop=True)
