"""The section on the method comparison."""

from __future__ import annotations

import pandas as pd

from cogneuro_sae.compare.judge_resume import AXES_FILE
from cogneuro_sae.display import plain
from cogneuro_sae.judge.analysis import ALL
from cogneuro_sae.plots.axes import axis_scatter
from cogneuro_sae.plots.comparisons import auroc_over_k, comparison
from cogneuro_sae.plots.outcomes import planned, stability
from cogneuro_sae.report.concepts import is_library
from cogneuro_sae.report.folder import Run, as_text, place, read_table
from cogneuro_sae.report.parts import Code, Figure, Heading, Table, Text, figure, table

MOST_ROWS = 40
TEST_COLUMNS = ("name", "scope", "concept", "expression", "estimate", "low", "high", "p", "p_adjusted", "d_z", "n",
                "reason")
CONTEXT = ("concept", "contrast", "model", "representation", "site", "window", "pooling", "k", "ensemble", "interval",
           "inference",
           "effect_name", "status")
JUDGE_COLUMNS = ("concept", "representation", "site", "window", "pooling", "selector", "k", "ensemble", "kind",
                 "detection", "judge", "judge_features", "judge_valid", "judge_reason")
HIDDEN = ("detection", "seconds")   # detection is AUROC again; seconds are in the file


def comparison_section(run: Run) -> list:
    """Return cells between floors and skylines, scores over k, stability, planned contrasts and chosen features.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    if is_library(run):
        tests = run.tables.get("tests", pd.DataFrame({"scope": []}))
        return _judge_axis(run) + (_planned(run, tests[tests["scope"] == "across"]) if len(tests) else [])
    parts: list = []
    cells = run.tables.get("cells")
    if cells is not None:
        for concept, rows in cells.groupby("concept", sort=False):
            parts.append(Heading(plain(concept)))
            parts += _concept_figures(run, str(concept), rows.reset_index(drop=True))
        parts += _judge_axis(run)
    else:
        parts.append(Text("cells.csv is not there yet: no cell was finished, or the run stopped before they were "
                          "summarised."))
    if "tests" in run.tables:
        parts += _planned(run, run.tables["tests"])
    parts += _tables(run)
    return parts


def _concept_figures(run: Run, concept: str, rows: pd.DataFrame) -> list:
    shown = _strongest(rows)
    cut = len(rows) - len(shown)
    parts = [figure(
        comparison(shown, title=concept), "Held-out AUROC of every cell", save_as=place(run, concept, "comparison"),
        shown="Mean over folds with its corrected 95 % interval; floors (surface baselines), skylines (all units or "
              "features read "
              "at once), chance and the band of random features are drawn through." + (f" The {cut} weakest method "
                                                                                       f"cells are left out of the "
                                                                                       f"picture." if cut else ""),
        good="methods right of the dashed floor and of the grey band, near the skyline.",
        otherwise="left of the floor: the words alone do as well; inside the band: chosen features are no better "
                  "than random ones. Marginal intervals are not compared with each other: see the planned contrasts.")]
    if rows.get("pair_accuracy", pd.Series(dtype=float)).notna().any():
        parts.append(figure(
            comparison(shown, measure="pair_accuracy", title=concept), "Held-out pair accuracy",
            save_as=place(run, concept, "pair_accuracy"),
            shown="Share of held-out items whose target is scored above its own foil, ties half.",
            good="as for AUROC; it is often higher because scene and topic cancel within an item.",
            otherwise="at .5: the read-out orders texts by scene, not by the concept."))
    if rows.loc[rows["kind"] == "method", "k"].nunique() > 1:
        parts.append(figure(
            auroc_over_k(rows, title=concept), "AUROC over the number of features",
            save_as=place(run, concept, "over_k"),
            shown="Held-out AUROC of each method over k; points are shifted sideways a little so that intervals do not "
                  "cover "
                  "each other; grey: random features.",
            good="above the grey band at small k.", otherwise="meeting the band as k grows: many features together "
                                                              "carry the "
                 "contrast, whichever are chosen."))
    if {"jaccard", "kuncheva"} & set(rows) and rows[[c for c in ("jaccard", "kuncheva")
                                                     if c in rows]].notna().any().any():
        parts.append(figure(
            stability(shown, title=concept), "Stability of selection", save_as=place(run, concept, "stability"),
            shown="Agreement of the feature sets chosen in different folds.", good="well above 0.",
            otherwise="near 0: the criterion picks other features whenever some items change; do not interpret single "
                      "features."))
    return parts


def _judge_axis(run: Run) -> list:
    """What raters made of the selected features; what their gates say stands first."""
    if "judge" not in run.config.get("axes", ()):
        return []
    cells, parts = run.tables["cells"], [Heading("The judge on the selected features")]
    mine = set(cells["concept"])
    runs = [each for each in run.provenance.get("judge", {}).get("runs", []) if each.get("concept") in mine]
    if not runs or "judge_valid" not in cells:
        return [*parts, Text("The judge axis was not finished: run the same command again.")]
    by_line: dict[str, list[str]] = {}
    for each in runs:
        by_line.setdefault(as_text(each.get("first_line") or each.get("reason")), []).append(_where(each, runs))
    parts += [Text(plain(f"{line} ({'; '.join(names)})" if len(by_line) > 1 else line)) for line, names in sorted(
        by_line.items(), key=lambda pair: not pair[0].startswith("NOT VALID"))]
    for concept, rows in cells.groupby("concept", sort=False) if not is_library(run) else ():
        if (rows["judge"].notna() & (rows["kind"] == "method")).any():
            parts.append(_judge_figure(run, str(concept), rows.reset_index(drop=True)))
        shown = rows[rows["kind"].isin(("method", "control"))][[name for name in JUDGE_COLUMNS if name in rows]]
        parts.append(lean(shown, f"{plain(concept)}: detection and judge of every cell (cells.csv)", limit=MOST_ROWS,
                          hidden=()))
    return parts + _axes_together(run, mine) + [Code("\n".join(
        f"{_where(each, runs)}: {as_text(each['judge'])}" for each in runs if each.get("judge")),
        "judge folders (`cogneuro-sae report FOLDER` makes the report of one: all gates, arms, items)")]


def _where(each: dict, runs: list[dict]) -> str:
    varying = [name for name in ("concept", "site", "window", "pooling")
               if len({as_text(one.get(name)) for one in runs}) > 1]
    return plain(", ".join(as_text(each.get(name)) for name in varying or ("concept",)))


def _judge_figure(run: Run, concept: str, rows: pd.DataFrame) -> Figure:
    return figure(
        axis_scatter(rows, title=concept), "Detection against judge", save_as=place(run, concept, "detection_judge"),
        shown="Each cell by its held-out AUROC (line: 95 % interval) and by the mean score that raters gave to corpus "
              "windows of its features (0 = unrelated to the concept, 3 = about it); grey: control features.",
        good="methods that lie both right of chance and above the controls.",
        otherwise="right but as low as the controls: the features tell these texts apart by something that is not the "
                  "concept; high but at chance: about the concept in a corpus, of no use on matched foils. With gates that "
                  "failed or were not measured the height shows nothing.")


def _axes_together(run: Run, concepts: set) -> list:
    """Rank correlation of judge and detection over features."""
    if not (run.path / AXES_FILE).is_file():
        return []
    found = read_table(run.path / AXES_FILE)
    found = found[found["concept"].isin(concepts | {ALL} if is_library(run) or len(concepts) > 1 else concepts)]
    return [lean(found, "Judge scores of features against their own detection (effect size of target minus foil): "
                        "Spearman over features, descriptive (axes.csv)", limit=MOST_ROWS)] if len(found) else []


def _strongest(rows: pd.DataFrame) -> pd.DataFrame:
    methods = rows[rows["kind"] == "method"].sort_values("auroc", ascending=False, kind="stable")
    kept = set(methods.index[:MOST_ROWS]) | set(rows.index[rows["kind"] != "method"])
    return rows[[index in kept for index in rows.index]].reset_index(drop=True)


def _planned(run: Run, tests: pd.DataFrame) -> list:
    wanted = {"name", "estimate", "low", "high"}
    parts: list = [Heading("Planned contrasts")]
    drawn = tests[tests["low"].notna()] if wanted <= set(tests) else tests[:0]
    if len(drawn):
        parts.append(figure(
            planned(drawn), "Planned contrasts", save_as=place(run, "run", "planned"),
            shown="Paired differences named in the config before anything was scored, with 95 % intervals.",
            good="an interval clear of 0 whose Holm-adjusted p rejects, over concepts.",
            otherwise="an interval that holds 0: no winner may be named."))
    shown = tests[[name for name in TEST_COLUMNS if name in tests
                   and (tests[name].notna() & (tests[name] != "")).any()]]
    parts.append(table(shown, caption="Planned contrasts (all columns in tests.csv)"))
    for scope, rows in tests.groupby("scope", sort=False) if "scope" in tests else ():
        words = [", ".join(filter(None, dict.fromkeys(rows[name]))) for name in ("method", "correction")
                 if name in rows]
        parts.append(Text(plain(f"{scope}: {'; '.join(filter(None, words))}.")))
    return parts


def _tables(run: Run) -> list:
    parts: list = []
    if "nested" in run.tables:
        nested = run.tables["nested"]
        keys = [name for name in ("concept", "method") if name in nested]
        means = nested.groupby(keys, sort=False)["auroc"].agg(folds="count", auroc="mean").reset_index()
        parts += [Heading("Nested estimates"),
                  Text("Site, window, pooling, k and regularisation were chosen by inner folds only. Method best also "
                       "chose "
                       "the method: it is the number to report."),
                  table(means, caption="Mean over outer folds", limit=MOST_ROWS)]
    if "features" in run.tables:
        parts += [Heading("Selected features"),
                  lean(run.tables["features"], "Refit on all discovery items: descriptive (features.csv)",
                       limit=MOST_ROWS)]
    if "cells" in run.tables:
        parts += [Heading("All cells"), lean(run.tables["cells"], "Means over folds (cells.csv)", limit=200)]
    return parts


def lean(frame: pd.DataFrame, caption: str, *, limit: int, hidden: tuple[str, ...] = HIDDEN) -> Table:
    """Return a table without empty columns; context that is the same in every row stands in the caption instead.

    Parameters
    ----------
    frame : DataFrame
        Rows of cells.csv or features.csv.
    caption : str
        Line above the table.
    limit : int
        Longest number of rows.
    hidden : tuple of str
        Columns that are left out.

    Returns
    -------
    Table
    """
    known = {name: frame[name].dropna() for name in frame}
    empty = [name for name, values in known.items() if not len(values) or (values.astype(str) == "").all()]
    same = {name: known[name].iloc[0] for name in CONTEXT if name in frame and name not in empty
            and len(known[name]) == len(frame)
            and known[name].nunique() == 1}
    told = ", ".join(f"{name} {plain(as_text(value))}" for name, value in same.items())
    left_out = [name for name in (*empty, *same, *hidden) if name in frame]
    return table(frame.drop(columns=list(dict.fromkeys(left_out))), caption=f"{caption}. In all rows: {told}",
                 limit=limit)
