"""The judge's section: is it valid first, then scores by arm, known items, agreement, activation, tests and cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge import specificity
from cogneuro_sae.judge.agreement import confusion
from cogneuro_sae.judge.gates import ALL
from cogneuro_sae.judge.score_frame import item_means, kind_of, top_of
from cogneuro_sae.judge.tables import read_judge_table, read_scores
from cogneuro_sae.judge.validity import NOT_VALID, first_line, passed_of, three_models, validity
from cogneuro_sae.plots import judging as draw
from cogneuro_sae.plots.outcomes import planned as draw_tests
from cogneuro_sae.report.folder import file_stem
from cogneuro_sae.report.parts import Heading, Headline, Text, Verdict, Verdicts, figure, table

NO_GATES = ("NOT VALID: gates.csv is missing or damaged, so nothing says that these scores measure anything. Run the "
            "same judge command again.")
INVALID = ("At least one judge failed a gate. Its numbers are shown so that the fault can be found; they are no "
           "result, whatever they say.")
RESULTS = {True: "passed", False: "FAILED", None: "not measurable"}
ARM_COLUMNS = ("concept", "rubric", "rater", "name", "n", "unit", "estimate", "low", "high", "top_bin", "median",
               "mode", "share_2", "share_3", "n_windows", "n_missing", "icc", "design_effect", "n_effective")
TEST_COLUMNS = ("kind", "name", "concept", "rubric", "rater", "estimate", "low", "high", "statistic", "df", "p",
                "p_adjusted", "correction", "d", "n", "unit", "reason")
FEATURE_COLUMNS = ("feature", "arm", "concept", "rubric", "rater", "score", "low", "high", "top_bin", "zero",
                   "n_scored", "n_missing", "label", "certainty", "status", "reason")


def judge_section(run_folder: Path) -> list:
    """Return the parts of a judge result; what a partial or damaged folder lacks is said in its place.

    Parameters
    ----------
    run_folder : Path
        `results/<name>/<hash10>/` of `judge`: gates.csv, scores.csv, items.jsonl, features.csv, arms.csv. Of
        provenance.json `raters` (name to `kind` and `model`), `studied_model` and `stimulus_writer` are used where
        they are.

    Returns
    -------
    list
        Report parts: the verdict in the first line, the gate table, figures and tables. Figures are written to
        `figures/` too.
    """
    folder = Path(run_folder)
    faults: list[str] = []
    gates, arms, features = (_read(folder / f"{name}.csv", read_judge_table, faults)
                             for name in ("gates", "arms", "features"))
    scores = _read(folder, read_scores, faults)
    record = _record(folder)
    kinds = {name: str(each["kind"]) for name, each in record["raters"].items() if each.get("kind")}
    parts = _verdict(gates, kinds, record, scores)
    parts += [Verdicts([Verdict("error", plain(text)) for text in faults])] if faults else []
    (folder / "figures").mkdir(exist_ok=True)
    if scores is not None and len(scores):
        for rubric, calls in scores.groupby("rubric", sort=False):
            parts += _rubric(folder, str(rubric), calls, gates, kinds)
    parts += _tables(arms, features, folder)
    if scores is not None and len(scores):
        parts += _failures(scores) + _cost(folder, scores, record)
    return parts


def _read(path: Path, read, faults: list[str]):
    try:
        return read(path)
    except InputError as error:
        faults.append(str(error))
        return None


def _record(folder: Path) -> dict:
    """What the run says of its raters and models; empty where it says nothing."""
    found = {}
    try:
        found |= files.read_json(folder / "provenance.json")
    except (OSError, ValueError, TypeError, InputError):
        found["unfinished"] = True      # closed by its provenance: without it the run is not finished
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        config = {}
    raters = found.get("raters")
    raters = {str(name): each for name, each in raters.items() if isinstance(each, Mapping)} \
        if isinstance(raters, Mapping) else {}
    return found | {"raters": raters, "config": config if isinstance(config, dict) else {}}


def _verdict(gates, kinds: dict, record: dict, scores) -> list:
    unfinished = ["This run is not finished: numbers may change."] * bool(record.get("unfinished"))
    if gates is None or not len(gates):
        return [Headline([NO_GATES, *unfinished])]
    named = list(dict.fromkeys(name for name in gates["rater"] if name != ALL))
    judges = {name: str(record["raters"].get(name, {}).get("model") or name.partition(":")[2] or name)
              for name in named if kind_of(name, kinds) == "judge"}
    models = three_models(judges, writer=str(record.get("stimulus_writer") or ""),
                          studied=str(record.get("studied_model") or ""))
    parts: list = [Headline([plain(first_line(gates, kinds=kinds)), plain(models), *unfinished])]
    if any(each.verdict == NOT_VALID for each in validity(gates, kinds=kinds)):
        parts.append(Text(INVALID))
    held = pd.to_numeric(gates["limit"], errors="coerce").notna()
    parts.append(_gate_table(gates[held], "Gates. A judge that fails one is not valid; what cannot be measured is not "
                             "shown to be valid. Intervals are 95 %.", result=True))
    if (~held).any():
        parts.append(_gate_table(gates[~held], "Shown beside the gates, without a limit. Repeats and duplicates are "
                                 "the same rater twice; agreement is between different raters.", result=False))
    return parts


def _gate_table(rows: pd.DataFrame, caption: str, *, result: bool):
    shown = pd.DataFrame({"gate": rows["gate"], "rater": rows["rater"], "rubric": rows["rubric"],
                          "value": rows["value"], "interval": [_ends(row) for row in rows.to_dict("records")]})
    if result:
        shown["limit"] = rows["limit"]
        shown["result"] = [RESULTS[passed_of(value)] for value in rows["passed"]]
    shown["meaning"] = rows["text"].str.removeprefix("shown without a limit: ")
    return table(shown, caption=caption)


def _ends(row: dict) -> str:
    return f"{row['low']:.3f} to {row['high']:.3f}" if np.isfinite(row["low"]) and np.isfinite(row["high"]) else ""


def _rubric(folder: Path, rubric: str, calls: pd.DataFrame, gates, kinds: dict) -> list:
    parts: list = [Heading(plain(f"Rubric {rubric}"))]
    levels, bins = specificity.score_levels(calls), specificity.score_by_bin(calls)
    known = item_means(calls[calls["control"].isin(("known_positive", "known_negative"))])
    crossed: list = []
    for rater in dict.fromkeys(calls["rater"]):
        note = "" if kind_of(rater, kinds) == "judge" else f" ({kind_of(rater, kinds)}, not a judge)"
        place = (folder, f"{rubric}_{rater}", f"{rater}{note}, {rubric}")
        own = levels[levels["rater"] == rater]
        parts += _levels(own, rubric, place)
        parts += _known(known[known["rater"] == rater], rubric, gates, rater, place)
        parts += _activation(bins[bins["rater"] == rater], rubric, place)
        crossed += _crossed(known[known["rater"] == rater], rubric, place[2])
    matrix = specificity.agreement_matrix(gates, rubric=rubric) if gates is not None else pd.DataFrame()
    if len(matrix) > 1:
        parts.append(figure(
            draw.rater_agreement(matrix, title=rubric), "Agreement and repeatability",
            save_as=folder / "figures" / f"{file_stem(rubric)}_agreement.png",
            shown="Ordinal Krippendorff alpha between raters; framed: the same rater on repeats and exact duplicates.",
            good="agreement from .67 (tentative) or .80 (firm), repeatability from .80.",
            otherwise="high repeatability with low agreement is a judge with an idea of its own: read what it scores "
                      "high."))
    parts += crossed
    correlations = specificity.activation_correlation(calls)
    if len(correlations):
        parts.append(table(correlations, caption="Specificity: rank correlation of score and activation inside each "
                                                 "feature, zero and random windows included; mean and interval over "
                                                 "features"))
    return parts


def _levels(levels: pd.DataFrame, rubric: str, place: tuple) -> list:
    folder, stem, title = place
    if not len(levels):
        return []
    top = top_of(rubric)
    names = draw.LEVEL_NAMES if top == 3 else ("0", "1")
    shown = levels if top == 3 else levels.drop(columns=["score_2", "score_3"])
    return [figure(
        draw.score_levels(shown, names=names, title=title), "Scores by arm and control",
        save_as=folder / "figures" / f"{file_stem(stem)}_levels.png",
        shown="Share of calls with each score; beside it mean and 95 % interval over features (controls: over items).",
        good="arms above their control features, controls low, known positives high, nothing hatched.",
        otherwise="controls as high as arms: the judge does not tell them apart; hatched parts: calls without a "
                  "score.")]


def _known(known: pd.DataFrame, rubric: str, gates, rater: str, place: tuple) -> list:
    folder, stem, title = place
    if not len(known):
        return []
    rows = gates[(gates["gate"] == "known_items") & (gates["rater"] == rater) & (gates["rubric"] == rubric)] \
        if gates is not None else ()
    result = ""
    if len(rows) and np.isfinite(rows.iloc[0]["value"]):
        row = rows.iloc[0]
        result = f"AUROC {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    return [figure(
        draw.known_items(known, result=result, title=title), "Known items",
        save_as=folder / "figures" / f"{file_stem(stem)}_known.png",
        shown="Items whose answer is known, by their score.",
        good="two heaps that hardly overlap; lower bound from .80.",
        otherwise="the judge does not see the concept: better wording, another definition, or another model.")]


def _crossed(known: pd.DataFrame, rubric: str, title: str) -> list:
    """Confusion matrix of known items: truth at the ends of the scale."""
    top = top_of(rubric)
    if not len(known) or not np.isfinite(top):
        return []
    cross = confusion(known["truth"] * top, known["score"], levels=np.arange(top + 1)).loc[[0, top]]
    cross = cross.set_axis([f"{level:g}" for level in cross], axis=1)
    cross = cross.set_axis(["without the concept", "with the concept"]).rename_axis("truth").reset_index()
    return [table(cross, caption=f"{plain(title)}: known items by truth and score (half scores go to the lower level)")]


def _activation(bins: pd.DataFrame, rubric: str, place: tuple) -> list:
    folder, stem, title = place
    if bins["bin"].nunique() < 2:
        return []
    top = top_of(rubric)
    return [figure(
        draw.score_by_activation(bins, highest=top if np.isfinite(top) else float(bins["high"].max()), title=title),
        "Score against activation", save_as=folder / "figures" / f"{file_stem(stem)}_activation.png",
        shown="Mean score per activation bin with its interval over features; zero = windows without activation.",
        good="rising from near 0 at zero activation.",
        otherwise="flat: the feature's strength says nothing about the concept; high at zero: the corpus is full of "
                  "it.")]


def _tables(arms, features, folder: Path) -> list:
    parts: list = []
    if arms is not None and len(arms):
        parts.append(Heading("Arms"))
        means = _pick(arms[arms["kind"] == "arm"], ARM_COLUMNS).rename(columns={"name": "arm", "estimate": "mean"})
        parts.append(table(means, caption="Arm means; the feature is the unit, over several concepts the concept. "
                                          "share_2 and share_3: windows with a score from 2 and from 3."))
        tests = arms[arms["kind"] != "arm"]
        planned = tests[(tests["kind"] == "planned") & (tests["rubric"] == "target")]
        if len(planned):
            names = planned["rater"] + ", " + planned["name"]
            parts.append(figure(draw_tests(planned.assign(name=names), unit="points of the score"),
                                "Planned contrasts of arms", save_as=folder / "figures" / "planned_arms.png",
                                shown="Estimate with 95 % interval, p and Holm's p; the feature is the unit."))
        parts.append(table(_pick(tests, TEST_COLUMNS), limit=80,
                           caption="Every test between arms, with its family and correction"))
    if features is not None and len(features):
        order = features.sort_values(["rubric", "rater", "score"], ascending=[True, True, False], kind="stable")
        parts.append(table(_pick(order, FEATURE_COLUMNS), limit=60,
                           caption="Features: mean over activation bins with equal weight, the top bin beside it"))
    return parts


def _pick(frame: pd.DataFrame, columns: tuple) -> pd.DataFrame:
    return frame[[name for name in columns if name in frame]]


def _failures(scores: pd.DataFrame) -> list:
    lost = scores[~scores["answered"]]
    if not len(lost):
        return [Text(f"All {len(scores)} calls have a score.")]
    counts = lost.groupby(["rater", "rubric", "status", "reason"], sort=False).size().rename("calls").reset_index()
    return [table(counts.sort_values("calls", ascending=False, kind="stable"), limit=30,
                  caption=f"{len(lost)} of {len(scores)} calls have no score; none of them counts as a score")]


def _cost(folder: Path, scores: pd.DataFrame, record: dict) -> list:
    costs = specificity.cost_table(scores[[kind_of(name) != "human" for name in scores["rater"]]])
    if not len(costs):
        return []
    unit = str(record.get("currency") or "USD")
    return [Heading("Cost"), figure(draw.judge_cost(costs, unit=unit), "Cost by rater and rubric",
                                    save_as=folder / "figures" / "cost.png",
                                    shown="What the calls cost by the price table of the run; raters on this machine "
                                          "are free."),
            table(costs, caption=f"Calls, tokens and cost ({plain(unit)})", digits=4)]
