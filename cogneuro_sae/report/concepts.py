"""A comparison over many concepts: one overview, and a page of its own for each concept."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from cogneuro_sae.compare.comparison import MANY
from cogneuro_sae.display import plain
from cogneuro_sae.plots.library import concepts_by_methods, scores_by_concept
from cogneuro_sae.report.folder import Run, as_text, file_stem, place
from cogneuro_sae.report.parts import Heading, Headline, Link, Table, figure
from cogneuro_sae.report.scores import interval, nested_rows

FOLDER = "concepts"


def is_library(run: Run) -> bool:
    """Return whether a run compares methods over so many concepts that each gets a page of its own.

    Parameters
    ----------
    run : Run
        A results folder.
    """
    return run.verb == "compare" and len(concepts_of(run)) >= MANY


def concepts_of(run: Run) -> list[str]:
    """Return the concepts that have cells, in their order.

    Parameters
    ----------
    run : Run
        A results folder.
    """
    cells = run.tables.get("cells")
    return [] if cells is None else [str(name) for name in dict.fromkeys(cells["concept"])]


def groups_of(run: Run) -> dict[str, str]:
    """Return the kind of each concept that its stimulus set names.

    Parameters
    ----------
    run : Run
        A results folder.
    """
    named = {name: view.records.get("stimuli", {}).get("group") or "" for name, view in run.views.items()}
    return {name: str(group) for name, group in named.items() if group}


def only(run: Run, concept: str) -> Run:
    """Return a run with one concept's rows, maps and view; tests over concepts belong to the overview.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        One of `concepts_of`.
    """
    tables = {name: table[table["concept"] == concept].reset_index(drop=True) for name, table in run.tables.items()}
    return run._replace(tables={name: table for name, table in tables.items() if len(table)},
                        maps={name: maps for name, maps in run.maps.items() if name == concept},
                        views={name: view for name, view in run.views.items() if name == concept})


def overview(run: Run, planned: list[str]) -> list:
    """Return what holds over concepts, and the table and picture of concepts by methods.

    Parameters
    ----------
    run : Run
        A results folder of `compare` with several concepts.
    planned : list of str
        What the planned contrasts say over concepts.

    Returns
    -------
    list
        Report parts.
    """
    cells, groups = run.tables["cells"], groups_of(run)
    nested = {row["concept"]: row for row in nested_rows(run)}
    lines = library_lines(list(nested.values()), len(concepts_of(run))) + planned
    parts: list = [Headline([plain(line) for line in lines])]
    parts.append(figure(
        concepts_by_methods(cells, groups=groups), "Concepts by methods", save_as=place(run, "run", "concepts"),
        shown="Held-out AUROC of every concept (rows, by kind) under every method, control, floor and skyline "
              "(columns), mean over folds; the last row is the mean over concepts. A black frame: beyond the "
              "concept's best floor, with the whole interval.",
        good="methods redder than the floors of the same row, in most rows.",
        otherwise="methods as pale as the controls or paler than the floors: the features that were chosen add nothing "
                  "to the words."))
    parts.append(concept_table(cells, groups, nested))
    return [*parts, Heading("A page for each concept"),
            *(Link(plain(name), f"{FOLDER}/{page_name(name)}", plain(groups.get(name, "")))
              for name in concepts_of(run))]


def page_name(concept: str) -> str:
    """Return the file name of a concept's page.

    Parameters
    ----------
    concept : str
        One of `concepts_of`.
    """
    return f"{file_stem(concept)}.html"


def stimuli_table(run: Run) -> Table:
    """Return one line per set: what it is about, its size, and the most serious level among its checks.

    Parameters
    ----------
    run : Run
        A results folder.
    """
    rows = []
    for name, view in run.views.items():
        record, checks = view.records.get("stimuli", {}), view.records.get("checks", {})
        found = [plain(f"{line['name']}: {line['text']}") for line in checks.get("lines", [])
                 if line.get("level") in ("warning", "error")]
        rows.append([plain(name), plain(record.get("definition") or ""), as_text(record.get("n_contrast_items")),
                     "; ".join(found) or "ok"])
    return Table(["set", "definition", "items", "checks"], rows, ["items"], "Stimulus sets and what their checks say")


def library_lines(nested: list[dict], n_concepts: int) -> list[str]:
    """Return what the nested estimates say over concepts; the concept is the unit.

    Parameters
    ----------
    nested : list of dict
        From `nested_rows`.
    n_concepts : int
        Concepts that were compared.

    Returns
    -------
    list of str
    """
    known = [row for row in nested if np.isfinite(row["auroc"])]
    if not known:
        return [f"{n_concepts} concepts; there is no nested estimate: see Errors and warnings."]
    lines = [f"{len(known)} concepts. With everything chosen inside the training folds, held-out AUROC is "
             f"{_mean([row['auroc'] for row in known])} on average over concepts (chance .5)."]
    beyond = [row["beyond_surface"] for row in known if pd.notna(row.get("beyond_surface"))]
    if not beyond:
        return [*lines, "No surface baseline was run, so nothing is said about surface form."]
    above = [str(row["concept"]) for row in known if row.get("beyond_surface_low", math.nan) > 0]
    found = _interval(beyond)
    told = "" if found[0] > 0 else " The interval does not lie above 0: no evidence beyond surface form over concepts."
    told += " It lies below 0 as a whole: words alone do better (the best baseline is picked on the same folds, which " \
            "favours it a little)." if found[1] < 0 else ""
    named = f"{len(above)} of {len(known)} concepts" + (f" ({', '.join(above)})" if above else "")
    return [*lines, f"Minus the best surface baseline of each concept this is {_mean(beyond, sign='+')}.{told}",
            f"Taken one by one, {named} {'lies' if len(above) == 1 else 'lie'} above the best surface baseline with the "
            f"whole interval; without any effect about {0.025 * len(known):.1f} would by chance."]


def _interval(values: Iterable[float]) -> tuple[float, float]:
    """t interval of the mean, one value per concept."""
    from scipy import stats

    values = np.array(list(values), float)
    if len(values) < 2:
        return math.nan, math.nan
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _mean(values: list[float], *, sign: str = "") -> str:
    low, high = _interval(values)
    return f"{np.mean(values):{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def concept_table(cells: pd.DataFrame, groups: dict[str, str], nested: dict[str, dict]) -> Table:
    """Return concepts by methods as a table, with the mean of each kind and of all.

    Parameters
    ----------
    cells : DataFrame
        Rows of cells.csv.
    groups : dict of str to str
        Kind of each concept.
    nested : dict of str to dict
        Nested estimates by concept.

    Returns
    -------
    Table
    """
    wide = scores_by_concept(cells)
    shown = [pair for pair in wide.columns if pair[0] in ("method", "skyline")]
    items = cells.groupby("concept", sort=False)["n_items"].max()
    floors = cells[cells["kind"] == "baseline"].dropna(subset=["auroc"])
    best = floors.loc[floors.groupby("concept")["auroc"].idxmax()].set_index("concept") if len(floors) else floors
    rows, kinds = [], list(dict.fromkeys(groups.get(name, "") for name in wide.index))
    for kind in kinds:
        members = [name for name in wide.index if groups.get(name, "") == kind]
        rows += [[kind, name, f"{items[name]:.0f}", *_nested(nested.get(name, {})),
                  f"{_two(best.loc[name, 'auroc'])} ({best.loc[name, 'selector']})" if name in best.index else "",
                  *(_two(wide.loc[name, pair]) for pair in shown)] for name in members]
        if len(kinds) > 1:
            rows.append(_mean_row(f"{kind or 'other'}: mean of {len(members)}", members, wide, shown, best, nested))
    rows.append(_mean_row(f"mean of {len(wide)} concepts", list(wide.index), wide, shown, best, nested))
    columns = ["kind", "concept", "items", "nested", "nested - floor", "best floor", *(name for _, name in shown)]
    return Table(columns, [[plain(value) for value in row] for row in rows], columns[2:],
                 "Held-out AUROC, mean over folds. Best floor: the best surface baseline of the concept. Nested: the "
                 "method chosen inside the training folds; its difference to the best floor (below .5 counts as .5) "
                 "with the corrected interval over folds, descriptive within one concept")


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "\u2013"


def _nested(row: dict) -> list[str]:
    difference = row.get("beyond_surface", math.nan)
    return [_two(row.get("auroc", math.nan)),
            f"{difference:+.2f}{interval(row, 'beyond_surface')}" if pd.notna(difference) else "\u2013"]


def _mean_row(title, members, wide, shown, best, nested) -> list[str]:
    found = [nested[name] for name in members if name in nested]
    scores, beyond = ([row[key] for row in found if pd.notna(row.get(key))] for key in ("auroc", "beyond_surface"))
    floors = [best.loc[name, "auroc"] for name in members if name in best.index]
    return ["", title, "", _two(float(np.mean(scores))) if scores else "\u2013",
            f"{np.mean(beyond):+.2f}" if beyond else "\u2013", _two(float(np.mean(floors))) if floors else "",
            *(_two(wide.loc[members, pair].mean()) for pair in shown)]
