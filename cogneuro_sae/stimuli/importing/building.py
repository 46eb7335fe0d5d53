"""From a reader's draft to a StimulusSet whose contrasts all have a design."""

from __future__ import annotations

from cogneuro_sae.errors import InputError, ManyErrors
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.faults import one_error
from cogneuro_sae.stimuli.importing.names import renamed, valid_names
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.layout import Layout, factor_contrasts, target_contrasts
from cogneuro_sae.stimuli.reading import read_rows
from cogneuro_sae.stimuli.stimulus_set import StimulusSet


def set_spec(
    draft: Draft, rows: list[Row], layout: Layout, name: str, options: ImportOptions
) -> tuple[dict, list[str]]:
    """Return what a set file says besides its texts, and notes; the rows' covariates get valid names.

    Parameters
    ----------
    draft : Draft
        What the reader found.
    rows : list of Row
        The texts that stay; changed in place.
    layout : Layout
        The set's conditions.
    name : str
        The set's name.
    options : ImportOptions
        What was said on the command line; it goes before what the reader found.
    """
    concept = options.concept or draft.spec.get("concept") or name.replace("_", " ").replace("-", " ")
    found = draft.spec | {"name": name, "concept": concept}
    found["definition"] = options.definition or draft.spec.get("definition") or concept
    for key in ("licence", "group", "language"):
        found |= {key: getattr(options, key)} if getattr(options, key) else {}
    usual = factor_contrasts(layout.factors) if layout.factors else target_contrasts(layout.conditions)
    found["contrasts"] = _contrasts(options.contrast) or draft.spec.get("contrasts") or usual
    if options.contrast and "conditions" in found:
        weights = layout.weights(next(iter(found["contrasts"].values())), where="--contrast")
        order = sorted(found["conditions"], key=lambda condition: weights.get(condition, 0) <= 0)
        found["conditions"] = {condition: found["conditions"][condition] for condition in order}
    columns = _covariates(rows, layout)
    found["graded"] = [columns.get(column, column) for column in draft.spec.get("graded") or options.graded]
    return {key: value for key, value in found.items() if value not in ([], {}, ())}, renamed("column", columns)


def built_set(spec: dict, rows: list[Row], where: str, *, keep_all: bool) -> tuple[StimulusSet, list[str]]:
    """Return the set, and notes on contrasts that were left out because no exact test fits them.

    Parameters
    ----------
    spec : dict
        What a set file says besides its texts.
    rows : list of Row
        The texts.
    where : str
        What errors name as their place.
    keep_all : bool
        The contrasts were asked for: one without a design is an error.

    Raises
    ------
    InputError
        The texts do not make a set, or not one that can be analysed.
    """
    stimuli = _set(spec, rows, where)
    refused = {}
    for name in stimuli.contrasts:
        try:
            stimuli.design(name)
        except InputError as error:
            refused[name] = error
    if refused and (keep_all or len(refused) == len(stimuli.contrasts)):
        error = next(iter(refused.values()))
        raise InputError(error.what, where=f"{where}: {error.where}", allowed=error.allowed, do=error.do)
    if refused:
        stimuli = _set(spec | {"contrasts": {name: text for name, text in stimuli.contrasts.items()
                                             if name not in refused}}, rows, where)
    _check_sizes(stimuli, where)
    return stimuli, [f"the contrast {name} was left out: {error.what}" for name, error in refused.items()]


def _set(spec: dict, rows: list[Row], where: str) -> StimulusSet:
    try:
        return StimulusSet(**read_rows(spec, rows, where))
    except ManyErrors as error:
        raise one_error(error.errors) from error


def _check_sizes(stimuli: StimulusSet, where: str) -> None:
    counts = stimuli.table.groupby("condition")["item"].nunique()
    few = [name for name in stimuli.conditions if counts.get(name, 0) < 2]
    if few:
        raise InputError(f"the condition {few[0]} has {counts.get(few[0], 0)} item", where=where, allowed="at least 2",
                         do="give more items, or a larger --limit")
    if not stimuli.factors:
        for foil in stimuli.conditions[1:]:
            stimuli.design(f"{stimuli.conditions[0]} - {foil}")


def _contrasts(told: tuple[str, ...]) -> dict[str, str]:
    """Contrasts by name from "name: expression"; one without a name is `main`."""
    found: dict[str, str] = {}
    for text in told:
        name, sign, expression = text.partition(":")
        name, expression = (name.strip(), expression.strip()) if sign else ("main", text.strip())
        if name in found or not expression:
            what = f"the contrast {name!r} is given twice" if name in found else f"{text!r} has no expression"
            raise InputError(what, where="--contrast", do='write "name: a - b"')
        found[name] = expression
    return found


def _covariates(rows: list[Row], layout: Layout) -> dict[str, str]:
    """Give the covariates names that may stand beside conditions; return the new names by original."""
    taken = {*layout.conditions, *layout.factors, *(level for levels in layout.factors.values() for level in levels)}
    names = valid_names("column", (name for row in rows for name in row.extra), taken=taken)
    for row in rows:
        row.extra = {names[name]: value for name, value in row.extra.items()}
    return names
