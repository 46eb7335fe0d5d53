"""What a report needs about one concept, written as small files so that it can be made again without the model.

`view/<set>/`: stimuli.json, checks.json, responses.json, means.csv, strongest.csv, profiles.csv, rdms.npz, fits.csv,
roi.json; `view/saes.json` for all sparse autoencoders of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.concept_map.geometry import Geometry, describe_geometry
from cogneuro_sae.concept_map.partition import describe_partition, near_and_far
from cogneuro_sae.concept_map.writing import write_csv, write_npz
from cogneuro_sae.errors import InputError
from cogneuro_sae.responses.pooling import encode

N_EXAMPLES = 3
UNITS = {True: "log1p(x / s), mean over texts", False: "pooled activation (raw units), mean over texts"}


def describe_concept(folder: str | Path, *, stimuli, design, responses, selected, rows=None, through=None,
                     representation: str = "raw", window: str = "all", pooling: str = "mean", transform: str = "log1p",
                     checks=None, top: int = 5, n_items: int = 2, seed: int = 0) -> Path:
    """Write `view/<set>/` of a results folder: everything the report shows of one concept.

    Parameters
    ----------
    folder : path
        The results folder.
    stimuli : StimulusSet
        The set.
    design : Design
        The contrast looked at.
    responses : Responses
        What the model answered, one row per entry of `rows`.
    selected : array_like (n_selected,) int
        Features to describe, strongest first; at least 1.
    rows : array_like (n_rows,) int, optional
        Positions in the set's table that `responses` covers; the whole table, or else all rows not kept for
        confirmation, when left out.
    through : object, optional
        SAE, or anything with `transform`; None for raw units.
    representation : str
        What tables call it.
    window : str
        As in `Responses.pool`.
    pooling : str
        As in `Responses.pool`.
    transform : str
        As in `Responses.pool`.
    checks : Checks, optional
        What `stimuli.check(unlocked=False)` gave; made here when left out.
    top : int
        How many of the strongest features are kept per text.
    n_items : int
        How many matched items get token profiles.
    seed : int
        Seed of the paraphrase ceiling and the item halves.

    Returns
    -------
    Path
        The folder `view/<set>/`.

    Raises
    ------
    InputError
        `responses` and the set's rows do not fit together.
    """
    place = Path(folder) / "view" / stimuli.name
    table, responses = _discovery(stimuli, responses, rows)
    selected = np.asarray(selected, np.int64).ravel()
    X = responses.pool(pooling, window=window, through=through, transform=transform)
    _write_stimuli(place, stimuli, design, table, checks)
    _write_responses(place, responses, table, X, representation, window, pooling, transform)
    means = pd.DataFrame(X[:, selected]).groupby(table["condition"].to_numpy(), sort=False).mean().T
    write_csv(place / "means.csv", means.set_axis(selected, axis=0).rename_axis("feature").reset_index())
    write_csv(place / "strongest.csv", strongest_per_text(X, responses, table, top=top, window=window, through=through))
    if not responses.pooled:
        write_csv(place / "profiles.csv", token_profiles(responses, table, design, selected, window=window,
                                                         through=through, n_items=n_items))
    given = Geometry(X, table, stimuli, design, _design_rows(table, stimuli, design), selected, seed)
    described = describe_geometry(given)
    write_npz(place / "rdms.npz", described.arrays)
    write_csv(place / "fits.csv", described.fits)
    write_csv(place / "partition.csv", describe_partition(given))
    write_csv(place / "near_far.csv", near_and_far(responses, table, stimuli, selected, window=window, through=through))
    files.write_json(place / "roi.json", described.roi)
    return place


def _discovery(stimuli, responses, rows):
    """The table's rows that may be looked at, and the responses to them."""
    table = stimuli.table.reset_index(drop=True)
    open_rows = np.flatnonzero((table["split"] != "confirm").to_numpy())
    if rows is None:
        rows = np.arange(len(table)) if len(responses) == len(table) else open_rows
    rows = np.asarray(rows, np.int64)
    if len(rows) != len(responses):
        raise InputError(f"{len(responses)} responses for {len(rows)} rows of {stimuli.name}",
                         allowed=f"{len(table)} (whole table) or {len(open_rows)} (without confirm items)")
    keep = np.isin(rows, open_rows)
    return table.iloc[rows[keep]].reset_index(drop=True), responses[np.flatnonzero(keep)]


def _design_rows(table, stimuli, design) -> np.ndarray:
    """Where the design's rows are among the rows looked at."""
    position = {name: row for row, name in enumerate(table["id"])}
    ids = stimuli.table["id"].tolist()
    return np.array([position[ids[row]] for row in design.rows], np.int64)


def _write_stimuli(place, stimuli, design, table, checks):
    labels = {name: stimuli.labels.get(name, "") for name in stimuli.conditions}
    examples = [{"id": row["id"], "condition": row["condition"], "label": labels.get(row["condition"], ""),
                 "text": row["text"]}
                for _, group in table.groupby("condition", sort=False)
                for row in group.iloc[:N_EXAMPLES].to_dict("records")]
    files.write_json(place / "stimuli.json", {
        "name": stimuli.name, "concept": stimuli.concept, "group": stimuli.group,
        "definition": stimuli.definition, "licence": stimuli.licence,
        "sha256": stimuli.sha256, "conditions": labels, "contrast": design.contrast, "expression": design.expression,
        "weights": {str(name): float(weight) for name, weight in zip(design.conditions, design.weights, strict=True)},
        "scheme": design.scheme.description, "matched": bool(design.matched), "n_items": int(table["item"].nunique()),
        "n_contrast_items": len(set(design.groups.tolist())),
        "n_confirm": int((stimuli.table["split"] == "confirm").sum()),
        "texts": table["condition"].value_counts(sort=False).to_dict(), "examples": examples,
        "notes": list(stimuli.notes)})
    checks = stimuli.check(contrast=design.contrast, unlocked=False) if checks is None else checks
    files.write_json(place / "checks.json", checks.to_dict())


def _write_responses(place, responses, table, X, representation, window, pooling, transform):
    counts = responses.window_counts(window)
    by = pd.DataFrame({"condition": table["condition"], "n": counts.n_tokens}).groupby("condition", sort=False)["n"]
    summary = by.agg(["size", "min", "median", "max"]).reset_index().rename(columns={"size": "texts"})
    files.write_json(place / "responses.json", {
        "model": responses.model, "sha256": responses.sha256, "site": responses.site, "scale": float(responses.scale),
        "representation": representation, "window": window, "pooling": pooling, "transform": transform,
        "pooled": bool(responses.pooled), "unit": UNITS[transform == "log1p" and pooling != "rate"],
        "n_stimuli": len(responses), "n_tokens": int((~responses.specials).sum()),
        "n_specials": int(responses.specials.sum()), "n_features": int(X.shape[1]),
        "n_silent": int((X == 0).all(axis=0).sum()), "n_unfilled": int((~counts.filled).sum()),
        "by_condition": summary.to_dict("list")})


def strongest_per_text(X: np.ndarray, responses, table: pd.DataFrame, *, top: int = 5, window: str = "all",
                       through=None) -> pd.DataFrame:
    """Return the features with the largest pooled activation of each text, and the token on which each peaks.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values.
    responses : Responses
        The same stimuli.
    table : DataFrame
        `id` and `condition` of the same stimuli.
    top : int
        How many features per text.
    window : str
        Window that the peak is looked for in.
    through : object, optional
        As in `Responses.pool`.

    Returns
    -------
    DataFrame
        `id`, `condition`, `rank` from 1, `feature`, `value` (unit of X), `token` ("" for responses pooled elsewhere).
    """
    best = np.argsort(-X, axis=1, kind="stable")[:, : min(top, X.shape[1])]
    columns, inverse = np.unique(best, return_inverse=True)
    inverse = inverse.reshape(best.shape)
    peaks = None if responses.pooled else responses.peak(columns, window=window, through=through)
    rows = []
    for row, (name, condition) in enumerate(zip(table["id"], table["condition"], strict=True)):
        for rank, feature in enumerate(best[row]):
            token = "" if peaks is None else str(responses.tokens[peaks[row, inverse[row, rank]]])
            rows.append((name, condition, rank + 1, int(feature), float(X[row, feature]), token))
    return pd.DataFrame(rows, columns=["id", "condition", "rank", "feature", "value", "token"])


def token_profiles(responses, table: pd.DataFrame, design, selected: np.ndarray, *, window: str = "all", through=None,
                   n_items: int = 2) -> pd.DataFrame:
    """Return the activation of selected features at each token of the first items' target and foil texts.

    Parameters
    ----------
    responses : Responses
        Token values.
    table : DataFrame
        `id`, `item` and `condition` of the same stimuli.
    design : Design
        Which conditions are compared, and which has the positive weight.
    selected : ndarray (n_selected,) int64
        Features.
    window : str
        Tokens shown.
    through : object, optional
        As in `Responses.pool`.
    n_items : int
        How many items; without matched items as many texts of each side.

    Returns
    -------
    DataFrame
        `id`, `condition`, `position` from 0, `token`, `feature`, `value` in raw units.
    """
    weights = dict(zip(design.conditions, design.weights, strict=True))
    sides = [[name for name in weights if weights[name] > 0], [name for name in weights if weights[name] < 0]]
    chosen: list[int] = []
    for side in sides:
        first = table[table["condition"].isin(side)].drop_duplicates("item")
        chosen += [int(row) for row in first.index[:n_items]]
    chosen.sort(key=lambda row: (list(dict.fromkeys(table["item"])).index(table["item"][row]), row))
    frames = []
    for row in chosen:
        part = responses[[row]]
        index = part.window(window)
        values = encode(through, part.values[index])[:, selected]
        length = len(index)
        frames.append(pd.DataFrame({
            "id": table["id"][row], "condition": table["condition"][row],
            "position": np.repeat(np.arange(length), len(selected)),
            "token": np.repeat(part.tokens[index], len(selected)),
            "feature": np.tile(selected, length), "value": values.ravel().astype(np.float64)}))
    return pd.concat(frames, ignore_index=True)


def describe_saes(folder: str | Path, saes: Iterable) -> Path:
    """Write `view/saes.json`: size, site, metrics and firing rates of the SAEs of a run.

    Parameters
    ----------
    folder : path
        The results folder.
    saes : iterable of SparseAutoencoder
        Each once.

    Returns
    -------
    Path
        The file.
    """
    records = []
    for sae in saes:
        rate = None if sae.firing_rate is None else [float(f"{value:.4g}") for value in sae.firing_rate]
        records.append({"name": sae.name, "sha256": sae.sha256, "site": sae.site, "d_in": int(sae.d_in),
                        "n_latents": int(sae.n_latents), "metrics": dict(sae.metrics), "firing_rate": rate})
    return files.write_json(Path(folder) / "view" / "saes.json", records)
