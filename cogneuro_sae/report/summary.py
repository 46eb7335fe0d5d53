"""The Summary section: the answer in plain words, and how far it reaches."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from cogneuro_sae.display import plain
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.report.concepts import is_library, overview
from cogneuro_sae.report.folder import Run, View
from cogneuro_sae.report.mapping import ALPHA, is_rsa
from cogneuro_sae.report.parts import Headline, Table, Text
from cogneuro_sae.report.scores import headline_cells, nested_lines, nested_rows

SHIPPED_MODEL = "default"
SMALL_MODEL = (
    "What the shipped model can show: it is a small Llama trained on openly licensed English text. It shows how the "
    "method works "
    "and that the machinery is sound; it does not show how large models represent concepts. Surface form is often as "
    "good as "
    "anything it computes, and the report says so where that is the case.")
D_MEANING = "how much more alike a feature's word-by-word profiles are among targets than between targets and {}"
RSA_MEANING = {
    "categorical": "how much more alike a feature's values are within a condition than between conditions",
    "coherence": "how much more alike a feature's profiles are among targets than among foils",
}
SCOPE = ("Scope: one model and one dictionary (\"this model and SAE\"). A general claim needs at least 3 SAE seeds and "
         "2 models, "
         "and items that were not used here.")


def summary_section(run: Run) -> list:
    """Return the headline of a run in plain words, with its limits.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list
        Report parts.
    """
    parts: list = []
    if not run.finished:
        parts.append(Text("This run did not finish. What follows is what it left; numbers may be incomplete."))
    if is_library(run):
        parts += overview(run, _winners(run.tables.get("tests", pd.DataFrame())))
        return parts + [Text(text) for text in _limits(run)]
    lines = compare_lines(run) if run.verb == "compare" else map_lines(run)
    parts.append(Headline([plain(line) for line in lines] or ["There is no result to summarise yet."]))
    if run.verb == "compare":
        parts += [cells] if (cells := _headline_table(run)) else []
    parts += [Text(text) for text in _limits(run)]
    return parts


def _limits(run: Run) -> list[str]:
    texts = []
    if run.verb == "map":
        texts.append("A map is for looking: it is drawn on the texts that select its features, so its numbers are "
                     "descriptive. "
                     "Whether the features tell new items apart better than the words alone is what cogneuro-sae "
                     "compare answers.")
    if str(run.config.get("model")) == SHIPPED_MODEL and not run.config.get("responses"):
        texts.append(SMALL_MODEL)
    return [*texts, SCOPE]


def map_lines(run: Run) -> list[str]:
    """Return the headline lines of a concept map.

    Parameters
    ----------
    run : Run
        A results folder of `map`.

    Returns
    -------
    list of str
        What was found, what D_near says, what words alone can do.
    """
    lines = []
    for concept, maps in run.maps.items():
        view = run.views.get(concept, View({}, {}, {}))
        tested = {name: fmap for name, fmap in maps.items() if fmap.pvalue is not None}
        single = {name: fmap for name, fmap in tested.items() if not is_rsa(name)}
        lines += [_map_line(concept, name, fmap, view) for name, fmap in single.items()]
        if single and not any(fmap.threshold(ALPHA).any() for fmap in tested.values()):
            lines.append("On these texts there is no evidence for a single feature that carries the concept; that is "
                         "not "
                         "evidence of absence.")
        lines += [rsa_line(name, fmap, view) for name, fmap in tested.items() if is_rsa(name)]
        if len(tested) < len(maps):
            lines.append(_untested_line(concept, {name: fmap for name, fmap in maps.items() if name not in tested}))
        lines += _surface_lines(view)
    return lines


def _sides(view: View) -> tuple[str, str]:
    record = view.records.get("stimuli", {})
    labels, weights = record.get("conditions", {}), record.get("weights", {})
    sides = [[labels.get(name) or name for name, weight in weights.items() if weight * sign > 0] for sign in (1, -1)]
    return tuple(" + ".join(f"\u201c{name}\u201d" for name in side) or fallback
                 for side, fallback in zip(sides, ("the target", "the foil"), strict=True))


def _map_line(concept: str, name: str, fmap: FeatureMap, view: View) -> str:
    target, foil = _sides(view)
    passed = fmap.threshold(ALPHA)
    up, down = (int((passed & (sign * (fmap.value - fmap.center) > 0)).sum()) for sign in (1, -1))
    family = int(np.isfinite(fmap.pvalue).sum())
    if up + down == 0:
        low = np.nanmin(fmap.p_fwe) if np.isfinite(fmap.p_fwe).any() else math.nan
        return (f"{concept}, {name}: none of {family:,} tested features responds differently to {target} and {foil} at "
                f"family-wise p <= {ALPHA:g} (smallest p_FWE = {low:.3g}).")
    away = np.where(passed, np.abs(fmap.value - fmap.center), -1.0)
    best = int(np.argmax(away))
    side = "" if fmap.value[best] > fmap.center else ", on the foil's side"
    return (f"{concept}, {name}: {up:,} of {family:,} tested features respond more to {target} than to {foil}, "
            f"{down:,} less "
            f"(family-wise p <= {ALPHA:g}, descriptive). Strongest: feature {best}, {name} = {fmap.value[best]:.2f}, "
            f"p_FWE = {fmap.p_fwe[best]:.3g}{side}.")


def _untested_line(concept: str, maps: dict[str, FeatureMap]) -> str:
    firsts = [f"{name} feature {fmap.top(1, tail='positive')[0]} ({np.nanmax(fmap.value):.2f})" for name,
              fmap in maps.items()
              if np.isfinite(fmap.value).any()]
    return (f"{concept}: {', '.join(maps)} made without permutations: no p, so nothing here says that a feature "
            f"differs. "
            + (f"Highest: {', '.join(firsts)}." if firsts else ""))


def rsa_line(name: str, fmap: FeatureMap, view: View) -> str:
    """Return how many features pass in an RSA map, and how many of them fire more on the target.

    Parameters
    ----------
    name : str
        Name of the map.
    fmap : FeatureMap
        A map with p-values.
    view : View
        Of the same concept; its contrast says whether D is D_near or D_far.

    Returns
    -------
    str
    """
    called, meaning, far = _rsa_words(name, view)
    # the same count as in the map and on the command line; which side fires more is a second question
    passed = fmap.threshold(ALPHA)
    count, family = int(passed.sum()), int(np.isfinite(fmap.pvalue).sum())
    lost = len(fmap) - family
    verb = "have" if count > 1 else "has"
    found = f"{f'{count:,}' if count else 'none'} of {family:,} testable features {verb}"
    split = ""
    if count and fmap.direction is not None:
        up, down = (int((passed & (sign * fmap.direction > 0)).sum()) for sign in (1, -1))
        split = f", of which {up:,} fire more on targets and {down:,} more on foils"
    tail = f" {lost:,} features could not be tested, most of them silent in too many items." if lost else ""
    return (f"Representational similarity, {called} ({meaning}): {found} {called} > 0 at family-wise p <= "
            f"{ALPHA:g}{split}."
            f"{tail}{far}")


def _rsa_words(name: str, view: View) -> tuple[str, str, str]:
    """What an RSA score is called under this contrast, what it means, and what it cannot show."""
    if "discriminative" not in name:
        score = name.removeprefix("rsa_")
        return score, RSA_MEANING.get(score, "a fit of the feature's dissimilarities to a model"), ""
    foils = {name for name, weight in view.records.get("stimuli", {}).get("weights", {}).items() if weight < 0}
    if foils == {"far"}:
        return "D_far", D_MEANING.format("far foils"), \
            " A topic detector has D_far > 0 too; a claim about the concept needs D_near."
    return ("D_near", D_MEANING.format("near foils"), "") if foils == {"near"} else ("D", D_MEANING.format("foils"), "")


def _surface_lines(view: View) -> list[str]:
    rows = [row for row in view.records.get("checks", {}).get("baselines", []) if row.get("auroc") is not None]
    if not rows:
        return []
    first = rows[0]["comparison"]
    best = max((row for row in rows if row["comparison"] == first), key=lambda row: row["auroc"])
    told = "words alone tell these texts apart, so a feature may follow surface form" if best["auroc"] >= 0.65 else \
        "words alone do not tell these texts apart"
    return [f"Surface form ({first}): the best baseline, {best['baseline']}, reaches AUROC {best['auroc']:.3f} on "
            f"held-out items; {told}."]


def compare_lines(run: Run) -> list[str]:
    """Return the headline lines of a comparison.

    Parameters
    ----------
    run : Run
        A results folder of `compare`.

    Returns
    -------
    list of str
        Nested estimates first, then what stands beyond surface form, planned contrasts, who may be called a winner.
    """
    cells = run.tables.get("cells", pd.DataFrame())
    lines = [line for row in nested_rows(run) for line in nested_lines(row, cells)]
    if not lines and len(cells):
        why = "see Errors and warnings" if run.finished else "the run did not finish"
        lines.append(f"There is no nested estimate: {why}. The cells below are what it left.")
    tests = run.tables.get("tests", pd.DataFrame())
    return lines + [_test_line(row) for row in tests.to_dict("records")
                    if row.get("scope") != "across"] + _winners(tests)


def _winners(tests: pd.DataFrame) -> list[str]:
    """A winner is named only when the adjusted test over concepts rejects and the interval excludes 0."""
    across = tests[tests["scope"] == "across"] if "scope" in tests else tests[:0]
    if not len(across):
        return []
    known = across[across["p"].notna()]
    if not len(known):
        reason = next(iter(filter(None, across.get("reason", []))), "no test over concepts")
        return [f"No winner is named: {reason}. Differences within a concept are descriptive."]
    lines = []
    for row in known.to_dict("records"):
        wins = row["p_adjusted"] <= ALPHA and row["low"] * row["high"] > 0
        lines.append(_test_line(row) + (" Over concepts this difference holds." if wins else " No winner is named."))
    return lines


def _test_line(row: dict) -> str:
    estimate = row.get("estimate")
    if estimate is None or not np.isfinite(estimate):
        return f"Planned contrast {row.get('name')}: no result. {row.get('reason') or ''}".rstrip()
    adjusted, low, high = row.get("p_adjusted"), row.get("low", math.nan), row.get("high", math.nan)
    told = f", p = {row['p']:.3g}" if pd.notna(row.get("p")) else ""
    told += f" (Holm {adjusted:.3g})" if pd.notna(adjusted) else ""
    concept = f" in {row['concept']}" if row.get("concept") else " over concepts"
    reach = "paired over concepts" if row.get("scope") == "across" else "over the folds of one concept, descriptive"
    return (f"Planned contrast {row.get('name')}{concept}: {estimate:+.3f} [{low:+.3f}, {high:+.3f}] AUROC{told}; "
            f"{reach}.")


def _headline_table(run: Run) -> Table | None:
    cells = run.tables.get("cells")
    return None if cells is None else headline_cells(cells)
