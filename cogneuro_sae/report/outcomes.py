"""What the rows of table.csv say about cells that gave no result, or a constant one."""

from __future__ import annotations

from cogneuro_sae.plots.comparisons import cell_names
from cogneuro_sae.report.folder import Run

CELL = ("concept", "kind", "representation", "site", "window", "pooling", "selector", "k", "ensemble")
READ_OUTS = ("method", "skyline", "control")


def failed_cells(run: Run) -> list[str]:
    """Return one line per kind of failure among the rows of table.csv, with how many rows failed so.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list of str
        Empty when every row has a result.
    """
    table = run.tables.get("table")
    if table is None or "status" not in table:
        return []
    failed = table[~table["status"].isin(["", "ok", "done"])]
    if not len(failed):
        return []
    counts = failed.groupby(["concept", "selector", "status", "reason"], sort=True).size()
    return [f"{concept}, {selector}: {count} rows {status}: {reason}" for (concept, selector, status, reason), count
            in counts.items()]


def constant_readouts(run: Run) -> list[str]:
    """Return one line per cell whose read-out said the same of every text in all folds: each AUROC is exactly .5.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list of str
        Nothing was selected, or all weights are 0.
    """
    table = run.tables.get("table")
    if table is None:
        return []
    lines = []
    for concept, rows in table[table["kind"].isin(READ_OUTS) & table["auroc"].notna()].groupby("concept", sort=False):
        keys = [name for name in CELL if name in rows]
        cells = rows.groupby(keys, sort=False, dropna=False)["auroc"].agg(["count",
                                                                           lambda values: bool((values == 0.5).all())])
        cells = cells.set_axis(["folds", "constant"], axis=1).reset_index()
        for name, cell in zip(cell_names(cells, width=80), cells.to_dict("records"), strict=True):
            if cell["constant"]:
                lines.append(f"{concept}, {name}: read-out constant in {cell['folds']} of {cell['folds']} folds (AUROC "
                             f"exactly .5: "
                             "nothing was selected, or every weight is 0)")
    return lines
