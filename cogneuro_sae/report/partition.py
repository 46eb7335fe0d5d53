"""In the report: variance of the RDMs between concept and nuisance, and D against near foils beside D against far ones."""

from __future__ import annotations

from cogneuro_sae.display import plain
from cogneuro_sae.plots import near_against_far, variance_partition
from cogneuro_sae.report.folder import Run, View, place
from cogneuro_sae.report.parts import Text, figure, table

LEAST = 0.0005      # smaller common parts are not drawn


def partition(run: Run, concept: str, view: View) -> list:
    """Return a figure of the variance partition per feature set, and what was left out.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        Name of the set.
    view : View
        Of the same set.

    Returns
    -------
    list
        Report parts.
    """
    shares, parts = view.tables.get("partition"), []
    for number, (name, rows) in enumerate([] if shares is None else shares.groupby("rdm", sort=False)):
        drawn = rows[rows["share"].notna()]
        if len(drawn):
            alone = ~drawn["part"].astype(str).str.contains(" & ", regex=False)
            drawn = drawn[alone | (drawn["share"].abs() >= LEAST)].reset_index(drop=True)
            parts.append(figure(
                variance_partition(drawn, title=f"RDM of {plain(name)}"), f"Variance of the RDM of {plain(name)}",
                save_as=place(run, concept, f"partition_{number}"),
                shown="Share of the RDM's variance over cross-item pairs that each predictor explains alone (blue) and that "
                      "several share (grey). R squared, not adjusted: an estimate without p."
                      + (" The features were chosen on these texts: descriptive." if "selected" in name else ""),
                good="" if number else "the concept has a part of its own that is not small beside length, words and topic.",
                otherwise="" if number else "a concept whose share is mostly common with words or length may be surface "
                                            "form."))
        notes = [str(note) for note in rows["note"].dropna().unique() if str(note)]
        parts += [Text(plain(f"{name}: {note}")) for note in notes]
    return parts


def near_far(run: Run, concept: str, view: View) -> list:
    """Return D against near foils beside D against far foils, of all features that have both.

    Parameters
    ----------
    run : Run
        A results folder.
    concept : str
        Name of the set.
    view : View
        Of the same set.

    Returns
    -------
    list
        Report parts.
    """
    found = view.tables.get("near_far")
    both = None if found is None else found[found[["D_near", "D_far"]].notna().all(axis=1)]
    if both is None or not len(both):
        return []
    topical, concept_only = (int(((both[one] > 0) & (both[other] <= 0)).sum()) for one, other in
                             (("D_far", "D_near"), ("D_near", "D_far")))
    with_both = int(((both["D_far"] > 0) & (both["D_near"] > 0)).sum())
    drawn = near_against_far(both, title=concept)
    return [
        figure(drawn, "D against near foils beside D against far foils", save_as=place(run, concept, "near_far"),
               shown="Profile D of every feature that can be judged on both foils: mean similarity among targets less that "
                     "between targets and foils. Red: the features described above. Descriptive: values without p.",
               good="features above 0 on both axes.",
               otherwise="features far to the right and near 0 in height detect the topic, not the concept."),
        Text(f"Of {len(both)} features that can be judged on both foils, {with_both} have D_near and D_far above 0, {topical} "
             f"only D_far, {concept_only} only D_near. A detector of the topic has D_far > 0 as well; a claim about the "
             "concept needs D_near."),
        table(both.drop(columns="selected"), caption="Largest D_near", limit=10)]
