"""Study C's form: a JSON dictionary of 2 or 4 lists of texts, each text its own item; read and written."""

from __future__ import annotations

import re
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.layout import target_contrasts
from cogneuro_sae.stimuli.rows import raise_all


def lists_to_rows(data: object, where: str) -> tuple[dict, list[Row]]:
    """Return the keys of a set file (without its name) and the rows of a dictionary of 2 or 4 lists of texts.

    Parameters
    ----------
    data : object
        Texts by label, the target's first.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        Not such a dictionary.
    """
    if not isinstance(data, dict) or len(data) not in (2, 4):
        found = f", found one of {len(data)}" if isinstance(data, dict) else ""
        raise InputError(f"expected a dictionary of 2 or 4 lists of texts, the target's first{found}", where=where)
    names = [_condition(key) for key in data]
    rows, errors = [], [InputError(f"the keys {shown(list(data))} are alike",
                                   where=where)] if len(set(names)) < len(names) else []
    for key, name in zip(data, names):
        texts = data[key]
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            errors.append(InputError("expected a list of texts", where=f"{where}: {shown(key)}"))
            continue
        width = len(str(len(texts)))
        rows += [Row(f"{name}-{n:0{width}d}", name, text, f"{where}: {shown(key)}[{n - 1}]") for n,
                 text in enumerate(texts, 1)]
    raise_all(errors)
    concept = next(iter(data))
    return {"concept": concept, "definition": concept, "contrasts": target_contrasts(names),
            "conditions": {name: {"label": key} for key, name in zip(data, names)}, "independent": True}, rows


def _condition(key: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", key.casefold()).strip("_")
    return (slug if re.match("[a-z]", slug) else f"c_{slug}".rstrip("_"))[:64]


def write_lists(stimuli, path: Path, *, texts_only: bool = False) -> Path:
    """Write a set of independent items as a dictionary of lists.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    path : Path
        A json file.
    texts_only : bool
        Let go of what the form cannot hold.

    Raises
    ------
    InputError
        Items are not independent, not 2 or 4 conditions, or something would be lost.
    """
    where = f"{stimuli.name} as JSON"
    count = len(stimuli.conditions)
    if not stimuli.independent or stimuli.factors or count not in (2, 4):
        found = "matched items" if not stimuli.independent else "factors" if stimuli.factors else f"{count} conditions"
        raise InputError(f"a dictionary of lists cannot hold {found}", where=where,
                         allowed="independent items in 2 or 4 conditions", do="write a table or YAML")
    texts = stimuli.table.groupby("condition", sort=False)["text"].agg(list)
    data = {_key(stimuli, name): texts[name] for name in stimuli.conditions}
    lost = _lost(stimuli, data)
    if lost and not texts_only:
        raise InputError(f"a dictionary of lists would lose {', '.join(lost)}", where=where,
                         do="write a table or YAML, or give texts_only=True")
    return files.write_json(path, data)


def _key(stimuli, condition: str) -> str:
    label = stimuli.labels.get(condition, condition)
    return label if _condition(label) == condition else condition


def _lost(stimuli, data: dict) -> list[str]:
    """Names of what reading the lists again would not give back."""
    spec, rows = lists_to_rows(data, stimuli.name)
    table = stimuli.table
    place = {name: number for number, name in enumerate(stimuli.conditions)}
    there = sorted(zip(table["condition"].map(place), range(len(table)), table["item"], table["id"]))
    lost = {
        "the order of the texts": [place[name] for name in table["condition"]] != [number for number, *_ in there],
        "condition names": tuple(spec["conditions"]) != stimuli.conditions,
        "labels": [entry["label"] for entry in spec["conditions"].values()] != [
            stimuli.labels.get(name, name) for name in stimuli.conditions],
        "items": [row.item for row in rows] != [item for *_, item, _ in there],
        "ids": any(name != f"{item}.{condition}.1" for name, item, condition in
                   zip(table["id"], table["item"], table["condition"])),
        "contrasts": list(spec["contrasts"].items()) != list(stimuli.contrasts.items()),
        "spans": (table["span"] != "").any(), "grades": table["grade"].notna().any(),
        "the confirm split": (table["split"] == "confirm").any(),
        **{name.replace("_", " "): bool(getattr(stimuli, name)) for name in
           ("covariates", "strata", "graded", "model_rdms", "words", "continuations", "banned")},
    }
    return [name for name, gone in lost.items() if gone]
