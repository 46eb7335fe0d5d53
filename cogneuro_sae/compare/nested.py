"""The nested estimate: site, window, pooling, k and C chosen by inner folds only, scored on the outer test items."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cogneuro_sae.compare.measures import MEASURES

KEYS = ("concept", "contrast", "method", "repeat", "fold")
CHOSEN = ("representation", "site", "window", "pooling", "selector", "k", "ensemble")
COLUMNS = (*KEYS, *CHOSEN, "inner_auroc", *MEASURES, "features", "status", "reason")
BEST = "best"


def nested_table(rows: list[dict]) -> pd.DataFrame:
    """Choose one cell per method and fold by its mean inner AUROC and keep its held-out score.

    A method is representation x selector x ensemble; `best` chooses over the whole grid. Ties go to the smaller k,
    then to the order of the config.

    Parameters
    ----------
    rows : list of dict
        Method rows of the table with `inner_auroc`, in config order.

    Returns
    -------
    DataFrame
        One row per concept x method x repeat x fold.
    """
    found: dict[tuple, dict] = {}
    for row in rows:
        if row["kind"] != "method":
            continue
        for method in (method_name(row), BEST):
            key = (row["concept"], method, row["repeat"], row["fold"])
            if key not in found or _better(row, found[key]):
                found[key] = row
    order = {name: place for place, name in enumerate(dict.fromkeys(key[:2] for key in found))}
    keys = sorted(found, key=lambda key: (_concept_place(key, order), key[1] == BEST, order[key[:2]], key[2], key[3]))
    return pd.DataFrame([_nested_row(key, found[key]) for key in keys], columns=list(COLUMNS))


def method_name(row: dict) -> str:
    """Return `representation/selector/ensemble` of a row.

    Parameters
    ----------
    row : dict
        A method row of the table.
    """
    return f"{row['representation']}/{row['selector']}/{row['ensemble']}"


def _concept_place(key: tuple, order: dict) -> int:
    return min(place for name, place in order.items() if name[0] == key[0])


def _better(row: dict, other: dict) -> bool:
    ok, was = row["status"] == "ok", other["status"] == "ok"
    if ok != was:
        return ok
    if not ok:
        return False
    gap = row["inner_auroc"] - other["inner_auroc"]
    return gap > 1e-12 or (abs(gap) <= 1e-12 and row["k"] < other["k"])


def _nested_row(key: tuple, row: dict) -> dict:
    concept, method, repeat, fold = key
    return {name: row[name] for name in COLUMNS if name in row} | {
        "concept": concept, "method": method, "repeat": repeat, "fold": fold, "inner_auroc": row["inner_auroc"]}


def fold_scores(nested: pd.DataFrame, concept: str, measure: str = "auroc") -> dict[str, np.ndarray]:
    """Return the held-out scores of every method of one concept, folds in order.

    Parameters
    ----------
    nested : DataFrame
        From `nested_table`.
    concept : str
        Which concept.
    measure : str
        Column.

    Returns
    -------
    dict of str to ndarray (repeats x splits,)
        By method; NaN where a fold failed.
    """
    rows = nested[nested["concept"] == concept].sort_values(["repeat", "fold"], kind="stable")
    return {str(name): part[measure].to_numpy(float) for name, part in rows.groupby("method", sort=False)}
