"""The result tables of a judge folder: gates.csv, features.csv and arms.csv, made from all calls, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.display import cell
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.analysis import arm_table, feature_table
from cogneuro_sae.judge.contrasts import contrasts
from cogneuro_sae.judge.gates import gates
from cogneuro_sae.judge.items import Item, read_items
from cogneuro_sae.judge.score_frame import score_frame

TEXT = {"gate", "rater", "rubric", "passed", "text", "concept", "feature", "arm", "label", "status", "reason", "unit",
        "kind", "name", "expression", "correction", "method", "icc_reason", "item", "wording", "control", "state",
        "key", "request_hash", "batch", "request_id", "created", "updated", "original"}


class JudgeTables(NamedTuple):
    """What a judge run comes to.

    Parameters
    ----------
    gates : DataFrame
        One row per gate, rater and rubric; see `gates`.
    features : DataFrame
        One row per feature, arm, rubric and rater; see `feature_table`.
    arms : DataFrame
        Arm means (kind "arm") and tests between arms (kind "planned" | "omnibus" | "pairwise").
    """

    gates: pd.DataFrame
    features: pd.DataFrame
    arms: pd.DataFrame


def judge_tables(scores: pd.DataFrame, items: Iterable[Item] | pd.DataFrame | None = None, *,
                 kinds: Mapping[str, str] | None = None, planned: Mapping[str, str] | None = None,
                 seed: int = 0) -> JudgeTables:
    """Return gates, feature scores and arm means with their tests.

    Parameters
    ----------
    scores : DataFrame
        Rows of the ledger, calls without an answer included.
    items : iterable of Item or DataFrame, optional
        All items of the run; None when `scores` holds the items' columns.
    kinds : mapping of str to str, optional
        Rater to "judge" | "human" | "baseline"; without it by the start of its name.
    planned : mapping of str to str, optional
        Planned contrasts: name to expression over arms.
    seed : int
        Of bootstraps and sampled sign patterns.

    Returns
    -------
    JudgeTables

    Raises
    ------
    InputError
        Columns are missing, items are unknown, or a planned contrast names no arm.
    """
    items = list(items) if items is not None and not isinstance(items, pd.DataFrame) else items
    frame = score_frame(scores, items)
    features = feature_table(frame)
    arms = arm_table(frame, features)
    tests = contrasts(features, planned=planned, seed=seed)
    if len(arms):
        arms = arms.rename(columns={"arm": "name", "mean": "estimate"}).assign(kind="arm", method="mean over units")
    first = ["kind", "name", "expression", "concept", "rubric", "rater", "estimate", "low", "high"]
    both = pd.concat([part for part in (arms, tests) if len(part)]) if len(arms) or len(tests) else tests
    both = both[[*first, *(name for name in both if name not in first)]] if len(both) else both
    return JudgeTables(gates(scores, items, kinds=kinds, planned=planned, seed=seed), features,
                       both.reset_index(drop=True))


def write_tables(tables: JudgeTables, folder: str | Path) -> list[Path]:
    """Write `gates.csv`, `features.csv` and `arms.csv`, each whole or not at all; formula signs in texts are guarded.

    Parameters
    ----------
    tables : JudgeTables
        What to write.
    folder : str or Path
        The judge folder, which exists.

    Returns
    -------
    list of Path

    Raises
    ------
    SetupError
        The disk is full or cannot be written.
    """
    return [files.write_text(Path(folder) / f"{name}.csv", table.map(cell).to_csv(index=False))
            for name, table in tables._asdict().items()]


def read_judge_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV file of a judge folder: texts stay texts, empty numbers are NaN, guards before formula signs go.

    Parameters
    ----------
    path : str or Path
        Such as `gates.csv`.

    Raises
    ------
    InputError
        The file is missing or no table.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"cannot read the table ({error})", where=str(path),
                         do="run the same judge command again to make it anew") from error
    for name in table:
        if name in TEXT:
            guarded = table[name].str.match(r"'[=+\-@\t\r]")
            table[name] = table[name].str[1:].where(guarded, table[name])
        else:
            numbers = pd.to_numeric(table[name].where(table[name] != ""), errors="coerce")
            table[name] = numbers if (numbers.notna() | (table[name] == "")).all() else table[name]
    return table


def read_scores(folder: str | Path) -> pd.DataFrame:
    """Read all calls of a judge folder with what is known of their items.

    Parameters
    ----------
    folder : str or Path
        With `scores.csv` and `items.jsonl`.

    Returns
    -------
    DataFrame
        As from `score_frame`.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    folder = Path(folder)
    return score_frame(read_judge_table(folder / "scores.csv"), read_items(folder / "items.jsonl"))
