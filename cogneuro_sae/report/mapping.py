"""The section on contrast maps, and what it shares with the section on representational similarity."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from cogneuro_sae.display import plain
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.maps import contrast_heatmap, feature_map, p_value_histogram, response_profiles
from cogneuro_sae.report.folder import Run, View, place, short_names
from cogneuro_sae.report.parts import Heading, Table, Text, figure, table
from cogneuro_sae.report.twins import map_twin, profile_twin

ALPHA = 0.05
N_TEXTS = 32
MOST_MAPS = 4
MOST_FEATURES = 12


def is_rsa(name: str) -> bool:
    """Return whether a map's name is one of the RSA scores'.

    Parameters
    ----------
    name : str
        Name of a map.
    """
    return re.split("[./]", name)[-1].startswith("rsa")


def concept_maps(run: Run, concept: str, *, rsa: bool) -> dict[str, FeatureMap]:
    """Return the RSA maps, or the univariate ones, of a concept under short names.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        Name of the set.
    rsa : bool
        Which of the two.

    Returns
    -------
    dict of str to FeatureMap
    """
    maps = run.maps.get(concept, {})
    short = short_names(maps)
    return {short[name]: fmap for name, fmap in maps.items() if is_rsa(name) == rsa}


def maps_section(run: Run) -> list:
    """Return volcano, p histogram, heatmap and strongest features of every concept.

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
        maps = concept_maps(run, concept, rsa=False)
        view = run.views.get(concept, View({}, {}, {}))
        parts.append(Heading(plain(concept)))
        if maps:
            parts.append(Text("These maps use the same texts that select the strongest features: they are descriptive. "
                              "What "
                              "survives on new items is answered by a comparison (cogneuro-sae compare)."))
            parts.append(inference_table(maps))
        for number, (name, fmap) in enumerate(list(maps.items())[:MOST_MAPS]):
            parts += map_figures(run, concept, name, fmap, first=number == 0)
        parts += features_table(run, concept, list(maps))
        parts += _view_figures(run, concept, view)
    return parts


def inference_table(maps: dict[str, FeatureMap]) -> Table:
    """Return one row per map: how many features were tested and pass, with the limits of its permutations.

    Parameters
    ----------
    maps : dict of str to FeatureMap
        Maps by name.

    Returns
    -------
    Table
    """
    rows = []
    for name, fmap in maps.items():
        if fmap.pvalue is None:
            rows.append([name, "no p (descriptive)", *[""] * 7])
            continue
        passed = fmap.threshold(ALPHA)
        # an RSA score is high for either direction of activation; which one it is stands in `direction`
        side = fmap.direction if is_rsa(name) and fmap.direction is not None else fmap.value - fmap.center
        info, error = fmap.info, fmap.info.get("mc_error")
        how = ("all " if info.get("enumerated") else "") + f"{info.get('permutations', '?'):,}" \
            if isinstance(info.get("permutations"), int) else "?"
        rows.append([name, f"{int(np.isfinite(fmap.pvalue).sum()):,}", f"{int(passed.sum()):,}",
                     f"{int((passed & (side > 0)).sum()):,}", f"{int((passed & (side < 0)).sum()):,}",
                     f"{np.nanmin(fmap.p_fwe):.3g}" if np.isfinite(fmap.p_fwe).any() else "",
                     how, "exact" if info.get("enumerated") else f"{error:.2g}" if error is not None else "",
                     str(info.get("tail", ""))])
    columns = ["map", "tested", "p_FWE <= .05", "more on target", "more on foil", "smallest p_FWE", "labellings",
               "Monte Carlo error", "tail"]
    return Table(columns, [[plain(value) for value in row] for row in rows], columns[1:8],
                 "Inference over features: how many tested features pass at family-wise p <= .05, and which texts they "
                 "respond "
                 "to more")


def map_figures(run: Run, concept: str, name: str, fmap: FeatureMap, *, first: bool) -> list:
    """Return the volcano of a map, and for the first univariate one its p histogram.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        The concept shown.
    name : str
        Name of the map.
    fmap : FeatureMap
        The map.
    first : bool
        The first map of its section carries the reading aid.

    Returns
    -------
    list of Figure
    """
    parts: list = [figure(
        feature_map(fmap), f"Map of {plain(name)}", save_as=place(run, concept, f"map_{name}"),
        shown=(f"One point per feature: its score and its permutation p; features with family-wise p <= {ALPHA:g} in "
               f"colour. "
               if fmap.pvalue is not None else "Score of every feature, sorted; descriptive, without p. ")
               + fine_print(fmap),
        good="coloured points apart from the cloud (right: more on the target, left: more on the foil; p has a flat "
             "ceiling at "
             "the smallest possible one)."
        if first and fmap.pvalue is not None else "",
        otherwise="no coloured point: these texts give no evidence for a single feature; look at feature sets, more "
                  "items, or "
                  "another site." if first and fmap.pvalue is not None else "")]
    if first and not is_rsa(name) and fmap.pvalue is not None:
        parts.append(figure(
            p_value_histogram(fmap), f"p-values of {plain(name)}", save_as=place(run, concept, f"p_{name}"),
            shown="Histogram of the permutation p over features; the dashed line is expected when no feature differs.",
            good="flat with a peak at the left.", otherwise="a slope to the right or peaks elsewhere: few active texts "
                                                            "per "
                 "feature make p coarse; a huge left peak: the conditions differ in something simple, see the stimuli "
                 "check."))
    return parts + map_twin(run, concept, name, fmap)


def fine_print(fmap: FeatureMap) -> str:
    """Return the limits of a map's inference in words: family, untested features, BH resolution, skew.

    Parameters
    ----------
    fmap : FeatureMap
        Any map.

    Returns
    -------
    str
    """
    told = [f"{count:,} feature{'s' * (count != 1)}: {reason}" for reason, count in fmap.reasons.items() if count]
    if fmap.info.get("bh"):
        told.append(str(fmap.info["bh"]))
    if fmap.info.get("skewed"):
        told.append(f"In {fmap.info['skewed']:,} the null is skewed (> 2), where min-p would be fairer")
    return plain(". ".join(told) + "." if told else "")


def features_table(run: Run, concept: str, scores: list[str]) -> list:
    """Return the strongest features of some maps of a concept.

    Parameters
    ----------
    run : Run
        A results folder of `map`; a comparison's features stand in its own section.
    concept : str
        Name of the set.
    scores : list of str
        Names of the maps.

    Returns
    -------
    list of Table
        Empty when there is nothing to list.
    """
    features = run.tables.get("features")
    if features is None or run.verb != "map":
        return []
    rows = features[(features["concept"] == concept) & features["score"].isin(scores)].drop(columns=["concept"])
    keys = [name for name in ("score", "side") if name in rows]
    shown = rows.groupby(keys, sort=False).head(MOST_FEATURES)
    caption = ("Strongest features by score, significant ones first (descriptive: scored on the texts that chose them; "
               "side: "
               "high = above the value without effect, low = below it, the foil's side of a t or an AUROC; n_valid = "
               "items in "
               "target, foil)" + (f"; first {MOST_FEATURES} of each score and side, all in features.csv"
                                  if len(shown) < len(rows) else ""))
    return [table(shown.dropna(axis=1, how="all"), caption=caption)] if len(rows) else []


def _view_figures(run: Run, concept: str, view: View) -> list:
    parts: list = []
    if "means" in view.tables:
        means = view.tables["means"].set_index("feature").rename(columns=_condition_names(view))
        unit = view.records.get("responses", {}).get("unit") or "mean pooled activation"
        parts.append(figure(
            contrast_heatmap(means, unit=unit), "Strongest features by condition", save_as=place(run, concept, "means"),
            shown="Mean over texts of each condition's pooled activation. " + (
                "The features are those with the highest score of the first map (the target's side), chosen on these "
                "texts."
                if run.verb == "map" else "The features were chosen on these texts."),
            good="high for the target only.", otherwise="as high for unrelated texts: an always-on feature; as high "
                                                        "for the "
                 "near foil: a topic feature."))
    if "profiles" in view.tables:
        parts += _profiles(run, concept, view.tables["profiles"])
    if "strongest" in view.tables:
        parts.append(strongest_table(view.tables["strongest"]))
    return parts


def _condition_names(view: View) -> dict[str, str]:
    record = view.records.get("stimuli", {})
    labels, counts = record.get("conditions", {}), record.get("texts", {})
    return {name: f"{labels.get(name) or name} (n\u00a0=\u00a0{count})" for name, count in counts.items()}


def _profiles(run: Run, concept: str, profiles: pd.DataFrame) -> list:
    parts, twins = [], []
    # one outlier would otherwise own the scale of all features and texts
    largest = profiles["value"].abs().groupby(profiles["feature"]).max()
    for number, (text, rows) in enumerate(profiles.groupby("id", sort=False)):
        values = rows.pivot(index="position", columns="feature",
                            values="value").reindex(columns=list(dict.fromkeys(rows["feature"])))
        tokens = rows.drop_duplicates("position").set_index("position")["token"].reindex(values.index)
        drawn = (values / largest[values.columns].replace(0, 1.0)).set_axis(tokens.to_list())
        drawn.columns = [f"{feature} (max {largest[feature]:.2g})" for feature in values.columns]
        twins += profile_twin(run, concept, str(text), drawn)
        parts.append(figure(
            response_profiles(drawn, title=text, unit="share of the feature's maximum", limit=1.0),
            f"Token profile of {plain(text)}", save_as=place(run, concept, f"profile_{number}"),
            shown="Activation of the strongest features at each token of one text, special tokens left out. Colours "
                  "are scaled "
                  "for each feature (row) by its largest absolute activation over all texts shown here, which stands "
                  "behind its "
                  "number in raw units: compare along a row and between texts, not between rows.",
            good="" if number else "activity on the words that carry the concept, absent in the near foil.",
            otherwise="" if number else "activity on function words or on the first token only: the feature follows "
                                        "form or "
                                        "position."))
    return parts + twins


def strongest_table(strongest: pd.DataFrame, *, limit: int = N_TEXTS) -> Table:
    """Return the strongest features of each text as one row, each with its value and peak token.

    Parameters
    ----------
    strongest : DataFrame
        Columns `id`, `condition`, `rank`, `feature`, `value`, `token`.
    limit : int
        Longest number of texts shown.

    Returns
    -------
    Table
    """
    texts = list(strongest.groupby("id", sort=False))
    ranks = sorted(int(rank) for rank in strongest["rank"].unique())
    rows = []
    for text, group in texts[:limit]:
        named = {int(row.rank): f"{int(row.feature)}: {row.value:.2f} "
                                f"\u201c{plain(str(row.token).strip(), width=16)}\u201d" for row in group.itertuples()}
        rows.append([plain(text), plain(group["condition"].iloc[0]), *(named.get(rank, "") for rank in ranks)])
    more = f", first {limit} of {len(texts)}; all in view/*/strongest.csv" if len(texts) > limit else ""
    return Table(["text", "condition", *(str(rank) for rank in ranks)], rows, [],
                 f"Strongest features per text (feature: pooled activation \u201cpeak token\u201d{more})")
