"""cells.csv: one row per concept x cell with intervals, stability, and the difference to the best surface baseline."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from cogneuro_sae.compare.measures import MEASURES
from cogneuro_sae.compare.rows import cells_of
from cogneuro_sae.inference import corrected_resampled_t

KEYS = ("concept", "contrast", "model", "representation", "site", "window", "pooling", "selector", "k", "ensemble",
        "kind")
SHARES = ("auroc", "pair_accuracy", "balanced_accuracy")
AXES = ("detection", "judge", "necessity", "sufficiency", "side_effects")
COLUMNS = (*KEYS, "n_items", "n_folds", "n_failed",
           *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")), "interval", "inner_auroc",
           "jaccard",
           "kuncheva", "coverage", "seconds", "beyond", "beyond_surface", "beyond_surface_low", "beyond_surface_high",
           "verdict",
           *AXES, "status", "reason")
NO_EVIDENCE = "no evidence beyond surface form"
BAND = (2.5, 97.5)


def cell_table(rows: list[dict], bands: list[dict], *, splits: int, n_features: dict[tuple, int]) -> pd.DataFrame:
    """Summarise the rows of the table per cell.

    Intervals are corrected resampled t intervals over folds; those of controls are the 2.5 to 97.5 percentile of draws.

    Parameters
    ----------
    rows : list of dict
        Rows of table.csv with `inner_auroc`.
    bands : list of dict
        Per control cell and draw the measures averaged over folds, with `concept`.
    splits : int
        Outer folds per repeat.
    n_features : dict of (concept, representation, site) to int
        Widths, for Kuncheva's index.

    Returns
    -------
    DataFrame
        cells.csv.
    """
    floors = surface_floors(rows)
    table = []
    for cell in cells_of(rows):
        first = cell[0]
        found = {name: first[name] for name in KEYS} | _means(cell, splits) | _counts(cell)
        if first["kind"] == "control":
            found |= _band(first, bands)
        if first["kind"] in ("method", "skyline"):
            found |= beyond_surface(cell, floors.get(first["concept"]), splits)
        if first["kind"] == "method":
            found |= stability(cell, n_features.get((first["concept"], first["representation"], first["site"])))
        table.append(found | {"detection": found["auroc"]})
    return pd.DataFrame(table, columns=list(COLUMNS))


def _means(cell: list[dict], splits: int) -> dict:
    found: dict = {"interval": "corrected resampled t"}
    for name in MEASURES:
        values = np.array([row[name] for row in cell], float)
        known = values[np.isfinite(values)]
        found[name] = float(known.mean()) if len(known) else np.nan
        if len(known) > 1:
            interval = corrected_resampled_t(values, splits=splits)
            low, high = cut(name, interval.ci_low, interval.ci_high)
            found |= {f"{name}_low": low, f"{name}_high": high}
    for name in ("inner_auroc", "coverage", "seconds"):
        known = [row[name] for row in cell if row[name] == row[name]]
        found[name] = float(np.mean(known)) if known else np.nan
    return found


def cut(name: str, low: float, high: float) -> tuple[float, float]:
    """Return an interval cut at 0 and 1 for measures that cannot leave them; the coverage stays the same.

    Parameters
    ----------
    name : str
        Measure.
    low : float
        Lower bound of a t interval.
    high : float
        Upper bound.
    """
    return (max(low, 0.0), min(high, 1.0)) if name in SHARES else (low, high)


def _counts(cell: list[dict]) -> dict:
    failed = [row for row in cell if row["status"] != "ok"]
    status = "ok" if not failed else "failed" if len(failed) == len(cell) else "partial"
    reasons = "; ".join(dict.fromkeys(row["reason"] for row in failed))
    return {"n_items": cell[0]["n_train"] + cell[0]["n_test"], "n_folds": len(cell) - len(failed),
            "n_failed": len(failed),
            "status": status, "reason": reasons}


def _band(first: dict, bands: list[dict]) -> dict:
    draws = [band for band in bands if all(band[name] == first[name] for name in (
        "concept", "representation", "site", "window", "pooling", "selector", "k", "ensemble"))]
    found: dict = {"interval": f"2.5 to 97.5 percentile of {len(draws)} draws"}
    for name in MEASURES:
        values = np.array([draw[name] for draw in draws], float)
        values = values[np.isfinite(values)]
        if len(values):
            low, high = np.percentile(values, BAND)
            found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def surface_floors(rows: list[dict]) -> dict[str, tuple[str, np.ndarray]]:
    """Return the best surface baseline of each concept and its AUROC per fold; one below .5 on average counts as .5.

    Baselines that failed in every fold are passed over; where all of them did, the AUROC is NaN.

    Parameters
    ----------
    rows : list of dict
        Rows of table.csv.

    Returns
    -------
    dict of concept to (name, ndarray (n_folds,))
    """
    found: dict[str, tuple[str, np.ndarray]] = {}
    for cell in cells_of([row for row in rows if row["kind"] == "baseline"]):
        values, concept = np.array([row["auroc"] for row in cell], float), cell[0]["concept"]
        best = _mean(found[concept][1]) if concept in found else np.nan
        if concept not in found or np.isnan(best) or _mean(values) > best:
            found[concept] = (cell[0]["selector"], values)
    return {concept: (name, counted(values)) for concept, (name, values) in found.items()}


def counted(values: np.ndarray) -> np.ndarray:
    """Return a surface baseline's fold AUROC as it counts in differences: as .5 when it is below .5 on average.

    Parameters
    ----------
    values : ndarray (n_folds,)
        AUROC; NaN where a fold failed.

    Returns
    -------
    ndarray (n_folds,)
    """
    return np.where(np.isnan(values), np.nan, 0.5) if _mean(values) < 0.5 else values


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def beyond_surface(cell: list[dict], floor: tuple[str, np.ndarray] | None, splits: int) -> dict:
    """Return the paired difference to the best surface baseline with its interval, and the sentence that follows.

    Parameters
    ----------
    cell : list of dict
        All folds of one cell, or of a nested method.
    floor : tuple of (name, ndarray (n_folds,)), optional
        From `surface_floors`; None: no baseline was run.
    splits : int
        Outer folds per repeat.

    Returns
    -------
    dict
        `beyond` (name of the baseline), `beyond_surface` with `_low`, `_high`, `verdict`.
    """
    if floor is None:
        return {"verdict": "no surface baseline was run"}
    if not np.isfinite(floor[1]).any():
        return {"verdict": "every surface baseline failed"}
    difference = np.array([row["auroc"] for row in cell], float) - floor[1]
    if np.isfinite(difference).sum() < 2:
        return {"beyond": floor[0], "verdict": NO_EVIDENCE}
    found = corrected_resampled_t(difference, splits=splits)
    return {"beyond": floor[0], "beyond_surface": found.mean, "beyond_surface_low": found.ci_low,
            "beyond_surface_high": found.ci_high, "verdict": "" if found.ci_low > 0 else NO_EVIDENCE}


def stability(cell: list[dict], n_features: int | None) -> dict:
    """Return the mean agreement of the features chosen in different folds.

    Parameters
    ----------
    cell : list of dict
        All folds of one cell.
    n_features : int, optional
        Features there are.

    Returns
    -------
    dict
        `jaccard` |A & B|/|A | B|, and `kuncheva` (r - ab/n)/(min(a, b) - ab/n), which is Kuncheva's (2007) index for
        sets of equal size and 0 by chance; NaN where it is not defined.
    """
    sets = [set(row["features"].split()) for row in cell if row["features"]]
    jaccard, kuncheva = [], []
    for a, b in itertools.combinations(sets, 2):
        shared = len(a & b)
        jaccard.append(shared / len(a | b))
        if n_features:
            chance = len(a) * len(b) / n_features
            if min(len(a), len(b)) - chance > 1e-9:
                kuncheva.append((shared - chance) / (min(len(a), len(b)) - chance))
    return {"jaccard": float(np.mean(jaccard)) if jaccard else np.nan,
            "kuncheva": float(np.mean(kuncheva)) if kuncheva else np.nan}
