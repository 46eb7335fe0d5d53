"""RDMs of feature sets beside model RDMs, model fits with the paraphrase ceiling, ROI-selected RSA on item halves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.rsa import condensed, data_rdm, model_rdm, paraphrase_ceiling, roi_rsa

METRIC = "correlation"
FEWEST = 3
DRAWS = 100
HALVES = 10
FIT_COLUMNS = ["rdm", "texts", "model", "fit", "ceiling_low", "ceiling_high", "n", "note"]


class Geometry(NamedTuple):
    """What the geometry of one concept is described from.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values of the stimuli that may be looked at.
    table : DataFrame
        Their rows of the set's table: `id`, `item`, `condition`, `grade`.
    stimuli : StimulusSet
        The set.
    design : Design
        The contrast looked at.
    rows : ndarray (n_design,) int64
        Positions of the design's rows in X.
    selected : ndarray (n_selected,) int64
        Features chosen on these stimuli.
    seed : int
        Seed of the ceiling and of the halves.
    """

    X: np.ndarray
    table: pd.DataFrame
    stimuli: object
    design: object
    rows: np.ndarray
    selected: np.ndarray
    seed: int


class Described(NamedTuple):
    """The geometry of one concept.

    Parameters
    ----------
    arrays : dict of str to ndarray
        `cells`, `items`, `conditions`, `measure`, `data.<set>` and `model.<name>` as condensed RDMs over cells.
    fits : DataFrame
        `FIT_COLUMNS`; one row per feature set x model.
    roi : dict
        ROI-selected RSA on item halves, with `notes` on what could not be computed.
    """

    arrays: dict[str, np.ndarray]
    fits: pd.DataFrame
    roi: dict


def describe_geometry(given: Geometry) -> Described:
    """Describe how feature sets order the cells of a concept.

    Parameters
    ----------
    given : Geometry
        Values, rows and features.

    Returns
    -------
    Described
    """
    notes: list[str] = []
    sets = {"selected features": given.selected, "all features": np.flatnonzero((given.X != 0).any(axis=0))}
    cells = _cells(given)
    models = _models(given, cells)
    arrays = {"cells": np.array(cells.index, dtype=np.str_), "items": cells["item"].to_numpy(np.str_),
              "conditions": cells["condition"].to_numpy(np.str_), "measure": np.array(f"{METRIC} distance")}
    arrays |= {f"model.{name}": vector for name, vector in models.items()}
    fits = []
    for name, features in sets.items():
        if len(features) < FEWEST:
            notes.append(f"{name}: {len(features)} features have no correlation distance (at least {FEWEST})")
            continue
        X = np.stack([given.X[rows][:, features].mean(axis=0) for rows in cells["rows"]])
        active = np.ptp(X, axis=1) > 0
        if not active.all():
            notes.append(f"{name}: {int((~active).sum())} of {len(X)} cells have no pattern (none of the features is "
                         f"active, or "
                         "all equally), so their dissimilarities are missing")
        if active.sum() < FEWEST:
            continue
        arrays[f"data.{name}"] = _with_gaps(data_rdm(X[active], metric=METRIC).get_matrices()[0], active)
        ceiling = _ceiling_row(given, name, features)
        rows = [_fit_row(name, model, arrays[f"data.{name}"], vector, cells) for model, vector in models.items()]
        fits += [_one_model(ceiling, rows[0]), *rows[1:]] if _two_conditions(cells) else [ceiling, *rows]
    return Described(arrays, pd.DataFrame(fits, columns=FIT_COLUMNS), _roi(given, notes))


def _two_conditions(cells: pd.DataFrame) -> bool:
    """Whether target against foil and target against rest are one and the same model."""
    return cells["condition"].nunique() == 2


def _one_model(ceiling: dict, fit: dict) -> dict:
    """One row where both are of one model: that with the ceiling, or the plain fit where there is none."""
    return ceiling if np.isfinite(ceiling["fit"]) else {**fit,
                                                        "note": "; ".join(filter(None, (fit["note"], ceiling["note"])))}


def _with_gaps(matrix: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Condensed RDM over all cells from the one over active cells; the other pairs are NaN."""
    full = np.full((len(active), len(active)), np.nan)
    full[np.ix_(active, active)] = matrix
    return condensed(full)


def _cells(given: Geometry) -> pd.DataFrame:
    """Item, condition and rows of each cell, sorted by condition."""
    table = given.table.assign(row=np.arange(len(given.table)))
    cells = table.groupby(["item", "condition"], sort=False).agg(rows=("row", list),
                                                                 grade=("grade", "first")).reset_index()
    order = {name: place for place, name in enumerate(given.stimuli.conditions)}
    cells = cells.iloc[np.argsort(cells["condition"].map(order), kind="stable")]
    return cells.set_index(cells["item"] + "." + cells["condition"])


def _models(given: Geometry, cells: pd.DataFrame) -> dict[str, np.ndarray]:
    weights = dict(zip(given.design.conditions, given.design.weights, strict=True))
    target = np.array([weights.get(name, 0) > 0 for name in cells["condition"]]).astype(int)
    labels = {"categorical": ("target against foil" if _two_conditions(cells) else "target against rest", target)}
    if cells["condition"].nunique() > 2:
        labels["factorial"] = ("conditions", cells["condition"].to_numpy())
    grades = pd.to_numeric(cells["grade"], errors="coerce").to_numpy(float)
    if np.isfinite(grades).all() and np.ptp(grades) > 0 and len(np.unique(grades)) > 2:
        labels["graded"] = ("graded", grades)
    models = {title: model_rdm(name, values).dissimilarities[0] for name, (title, values) in labels.items()}
    return models | _own_models(given, cells)


def _own_models(given: Geometry, cells: pd.DataFrame) -> dict[str, np.ndarray]:
    """RDMs that the set brings, by stimulus id, averaged to cells; those that lack a stimulus are left out."""
    found, ids = {}, given.table["id"].tolist()
    for name, frame in given.stimuli.model_rdms.items():
        if not set(ids) <= set(frame.index):
            continue
        matrix = frame.loc[ids, ids].to_numpy(float)
        mean = np.array([[matrix[np.ix_(a, b)].mean() for b in cells["rows"]] for a in cells["rows"]])
        np.fill_diagonal(mean, 0.0)
        found[str(name)] = condensed(mean)
    return found


def _fit_row(name: str, model: str, data: np.ndarray, vector: np.ndarray, cells: pd.DataFrame) -> dict:
    """Pearson correlation over the cross-item pairs of all cells, through rsatoolbox."""
    from rsatoolbox.rdm import RDMs, compare

    items = cells["item"].to_numpy()
    across = condensed((items[:, None] != items[None, :]).astype(float)) > 0
    across &= np.isfinite(data) & np.isfinite(vector)
    pair = [RDMs(dissimilarities=np.where(across, values, np.nan)[None]) for values in (data, vector)]
    constant = not across.any() or np.ptp(vector[across]) == 0
    fit = np.nan if constant else float(compare(*pair, method="corr")[0, 0])
    return {"rdm": name, "texts": "all conditions", "model": model, "fit": fit, "ceiling_low": np.nan,
            "ceiling_high": np.nan,
            "n": len(cells), "note": "the model does not vary over these pairs" if constant else ""}


def _ceiling_row(given: Geometry, name: str, features: np.ndarray) -> dict:
    design = given.design
    row = {"rdm": name, "texts": design.expression, "model": "target against foil", "fit": np.nan,
           "ceiling_low": np.nan,
           "ceiling_high": np.nan, "n": len(set(design.cells.tolist())), "note": ""}
    try:
        found = paraphrase_ceiling(given.X[given.rows][:, features], design, "categorical", draws=DRAWS,
                                   seed=given.seed)
    except InputError as error:
        return {**row, "note": f"no ceiling: {error}"}
    return {**row, "fit": found.fit, "ceiling_low": found.lower, "ceiling_high": found.upper,
            "note": f"single-paraphrase RDMs, {found.draws} draws"}


def _roi(given: Geometry, notes: list[str]) -> dict:
    paired = given.design.scheme.kind in ("swap", "sign")
    score = "paired_t" if paired else "welch_t"
    size = max(FEWEST, len(given.selected))
    try:
        found = roi_rsa(given.X[given.rows], given.design, localise=lambda X,
                        design: contrast_map(X, design, score=score),
                        n_features=size, halves=HALVES, score="discriminative", seed=given.seed)
    except InputError as error:
        return {"notes": [*notes, f"no ROI-selected RSA: {error}"]}
    return {"localiser": score, "score": "discriminative", "n_features": size, "values": found.value.tolist(),
            "overlap": float(found.overlap), "notes": notes}
