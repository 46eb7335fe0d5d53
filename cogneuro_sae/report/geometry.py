"""The section on representational similarity: maps, RDMs beside their models, fits with ceiling, ROI on item halves."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.display import plain
from cogneuro_sae.plots.rdms import model_fits, rdm_beside_model
from cogneuro_sae.report.folder import Run, View, place
from cogneuro_sae.report.mapping import MOST_MAPS, concept_maps, features_table, inference_table, map_figures
from cogneuro_sae.report.parts import Heading, Text, figure, table
from cogneuro_sae.report.partition import near_far, partition
from cogneuro_sae.report.twins import mds_twins

TWO_CLASS_CASE = (
    "Which case of RSA this is: on one pooled value per text, a feature's categorical score under a two-class contrast "
    "is the "
    "t-test in another form (its squared correlation with the labels). Agreement of such a map with the t map is "
    "arithmetic, not "
    "evidence, and no claim that RSA beats a univariate score may rest on it. Profile scores compare activations word "
    "slot by "
    "word slot, and RDMs of feature sets compare whole patterns: these can honestly differ from the t-test. ")
POOLED_HERE = "The categorical map below is of the first kind."
NO_POOLED_HERE = "The maps below are of the second kind."
PATTERN_CASE = (
    "Which case of RSA this is: RDMs of feature sets are patterns over several features, which can honestly differ "
    "from any "
    "one feature's t-test. No per-feature RSA map was made in this run.")


def rsa_section(run: Run) -> list:
    """Return per-feature RSA maps, RDMs beside their models and model fits with the paraphrase ceiling.

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
    for concept in dict.fromkeys([*run.maps, *run.views]):
        maps = concept_maps(run, concept, rsa=True)
        view = run.views.get(concept, View({}, {}, {}))
        if not maps and not view.rdms:
            continue
        parts += [Heading(plain(concept)), Text(_case(maps))]
        if maps:
            parts.append(inference_table(maps))
        for number, (name, fmap) in enumerate(list(maps.items())[:MOST_MAPS]):
            parts += map_figures(run, concept, name, fmap, first=number == 0)
        parts += features_table(run, concept, list(maps))
        parts += _rdm_figures(run, concept, view)
        parts += near_far(run, concept, view) + partition(run, concept, view) + _roi(view)
    return parts


def _case(maps: dict) -> str:
    if not maps:
        return PATTERN_CASE
    return TWO_CLASS_CASE + (POOLED_HERE if any("pooled" in fmap.name for fmap in maps.values()) else NO_POOLED_HERE)


def _rdm_figures(run: Run, concept: str, view: View) -> list:
    parts: list = []
    models = {key.removeprefix("model."): vector for key, vector in view.rdms.items() if key.startswith("model.")}
    data = {key.removeprefix("data."): vector for key, vector in view.rdms.items() if key.startswith("data.")}
    by = [str(name) for name in view.rdms.get("conditions", [])]
    measure = str(view.rdms.get("measure", "dissimilarity"))
    for number, (name, vector) in enumerate(data.items()):
        if not models:
            break
        model_name, model = next(iter(models.items()))
        drawn = rdm_beside_model(_rdms(vector, measure), _rdms(model, "model dissimilarity"), by=by or None,
                                 titles=(f"data, {name}", f"model, {model_name}"), noun="cells")
        parts.append(figure(
            drawn, f"RDM of {plain(name)} beside its model", save_as=place(run, concept, f"rdm_{number}"),
            shown="Dissimilarity of every pair of cells (item x condition, paraphrases averaged), sorted by condition; "
                  "pairs "
                  "without a pattern stay white."
                  + (" The features were chosen on these texts, so this picture is descriptive." if "selected" in name
                     else ""),
            good="the data show the model's blocks.", otherwise="blocks along items instead: scene and topic dominate, "
                                                                "as they "
                 "do for matched foils."))
    return parts + mds_twins(run, concept, view) + _fits(run, concept, view)


def _fits(run: Run, concept: str, view: View) -> list:
    fits = view.tables.get("fits")
    if fits is None:
        return []
    parts: list = []
    for number, (name, rows) in enumerate(fits.groupby("rdm", sort=False)):
        named = rows.assign(model=[f"{row.model} ({row.texts})" if getattr(row, "texts", "") else row.model
                                   for row in rows.itertuples()]).reset_index(drop=True)
        parts.append(figure(
            model_fits(named), f"Model fits of {plain(name)}", save_as=place(run, concept, f"fits_{number}"),
            shown="Correlation of the data RDM with each model RDM over cross-item pairs of cells. Grey: the "
                  "paraphrase ceiling "
                  "of the same single-paraphrase RDMs, from its lower to its upper bound; it bounds wording noise only."
                  + (" These features were chosen on these texts: descriptive." if "selected" in name else ""),
            good="" if number else "a fit clearly above 0 that reaches the lower bound of a band which itself lies "
                                   "clearly above 0.",
            otherwise="" if number else "a fit near 0 is not good, inside a band or not: this set of features does not "
                                        "order the "
                      "texts by the concept. A lower bound near or below 0 means that paraphrases disagree, so that "
                      "reaching "
                      "it says nothing."))
    return [*parts, table(fits, caption="Model fits (Pearson r; n = cells)")]


def _roi(view: View) -> list:
    record = view.records.get("roi", {})
    parts: list = []
    values = [value for value in record.get("values", []) if value is not None]
    if values:
        mean, above = sum(values) / len(values), sum(value > 0 for value in values)
        parts.append(Text(
            f"ROI-selected RSA: in {len(values)} random halves of the items, {record['n_features']} features were "
            f"chosen by "
            f"{record['localiser']} on one half and their pattern's {record['score']} score was taken on the other "
            f"half: mean "
            f"{mean:.3f}, range {min(values):.3f} to {max(values):.3f}, above 0 in {above}. Mean overlap (Jaccard) of "
            f"the "
            f"chosen sets: {record['overlap']:.2f}. Halves overlap, so no p is given; features and test never share "
            f"items, so "
            "this number, unlike the pictures of selected features, is not circular."))
    return parts + [Text(plain(note)) for note in record.get("notes", [])]


def _rdms(vector: np.ndarray, measure: str):
    from rsatoolbox.rdm import RDMs

    return RDMs(dissimilarities=np.asarray(vector, float)[None], dissimilarity_measure=measure)
