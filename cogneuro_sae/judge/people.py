"""Sheets of a run that people have filled in: checked before anything is asked, and as rows beside the ledger's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.sheet_reading import lines_of
from cogneuro_sae.judge.sheets import HumanRow, read_sheet


def human_rows(sheets: Sequence[str], items: Iterable[Item] | None) -> list[HumanRow]:
    """Return the answers of all sheets.

    Parameters
    ----------
    sheets : sequence of str
        Paths.
    items : iterable of Item, optional
        The run's; without them a sheet is only looked at, and no row comes back.

    Raises
    ------
    InputError
        A sheet is missing, faulty, not of these items, or the second one of the same person.
    """
    if items is None:
        for sheet in sheets:
            lines_of(Path(sheet))
        return []
    items, rows, first = list(items), [], {}
    for sheet in sheets:
        own = read_sheet(sheet, items)
        if own[0].rater in first:
            raise InputError(f"a second sheet of {own[0].rater}", where=sheet,
                             do=f"the other is {first[own[0].rater]}; put the answers into one, or mend the name")
        first[own[0].rater] = sheet
        rows += own
    return rows


def human_table(rows: Iterable[HumanRow]) -> pd.DataFrame:
    """Return answers in the columns of the ledger, each as a call that is done.

    Parameters
    ----------
    rows : iterable of HumanRow
        From `human_rows`.
    """
    return pd.DataFrame([{"key": f"{row.rater}:{row.item.item}", "item": row.item.item, "rubric": row.item.rubric,
                          "wording": "sheet", "rater": row.rater, "repeat": row.repeat, "arm": row.item.arm,
                          "feature": row.item.feature, "control": row.item.control, "state": "done",
                          "status": row.parsed.status, "reason": row.parsed.reason, "score": row.parsed.score,
                          "label": json.dumps(row.parsed.label)} for row in rows])


def sheet_hashes(sheets: Iterable[str]) -> list[dict[str, str]]:
    """Return name and hash of every sheet, in an order of their own.

    Parameters
    ----------
    sheets : iterable of str
        Paths of files that are there.
    """
    found = [{"file": Path(sheet).name, "sha256": files.sha256_file(Path(sheet))} for sheet in sheets]
    return sorted(found, key=lambda each: (each["sha256"], each["file"]))
