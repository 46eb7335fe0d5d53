"""A StimulusSet as a YAML file that reads back equal."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import yaml

from cogneuro_sae import files
from cogneuro_sae.config import parse_yaml
from cogneuro_sae.errors import InputError


def write_yaml(stimuli, path: Path) -> Path:
    """Write a set as YAML, its model RDMs as csv files beside it.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    path : Path
        Its stem must be the set's name.

    Raises
    ------
    InputError
        The stem is not the set's name.
    """
    if path.stem != stimuli.name:
        raise InputError(f"the file's stem {path.stem!r} is not the set's name {stimuli.name!r}", where=str(path),
                         do=f"write to {stimuli.name}.yaml")
    data = {key: value for key, value in _mapping(stimuli).items() if value not in ("", None, [], {}, False)}
    for name, rdm in stimuli.model_rdms.items():
        file = f"{stimuli.name}.{name}.csv"
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(
            [["", *rdm.columns], *([key, *map(repr, row)] for key, row in zip(rdm.index, rdm.to_numpy().tolist()))])
        files.write_text(path.parent / file, buffer.getvalue())
        data["model_rdms"][name] = file
    return files.write_text(path, yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9))


def _mapping(stimuli) -> dict:
    grades = {} if stimuli.factors else stimuli.table.groupby("condition")["grade"].agg(
        lambda values: values.iloc[0] if values.nunique() == 1 and values.notna().all() else None).to_dict()
    grades = {name: grade for name, grade in grades.items() if grade is not None and grade == grade}
    conditions = {name: {"label": stimuli.labels.get(name, name), **({"grade": grades[name]} if name in grades else {})}
                  for name in stimuli.conditions}
    confirm = stimuli.table.loc[stimuli.table["split"] == "confirm", "item"]
    return {
        "name": stimuli.name, "concept": stimuli.concept, "definition": stimuli.definition, "licence": stimuli.licence,
        "banned": list(stimuli.banned), "independent": stimuli.independent,
        **({"factors": {name: list(levels) for name, levels in stimuli.factors.items()},
            "between": list(stimuli.layout.between)} if stimuli.factors else {"conditions": conditions}),
        "contrasts": dict(stimuli.contrasts), "covariates": list(stimuli.covariates), "graded": list(stimuli.graded),
        "strata": list(stimuli.strata), "split": {"confirm": list(dict.fromkeys(confirm))} if len(confirm) else {},
        "words": {side: list(words) for side, words in stimuli.words.items()},
        "continuations": [dict(entry) for entry in stimuli.continuations],
        "model_rdms": dict.fromkeys(stimuli.model_rdms, ""), "items": _items(stimuli, grades),
    }


def _items(stimuli, grades: dict) -> list[dict]:
    items: dict[str, dict] = {}
    order = {name: number for number, name in enumerate(stimuli.conditions)}
    for item in dict.fromkeys(stimuli.table["item"]):
        items[item] = {"item": item}
    rows = stimuli.table.to_dict("records")
    for row in sorted(rows, key=lambda row: (order[row["condition"]], row["paraphrase"])):
        node = items[row["item"]]
        keys = stimuli.layout.levels(row["condition"]) or (row["condition"],)
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node.setdefault(keys[-1], []).append(_leaf(row, stimuli, grades))
    return list(items.values())


def _leaf(row: dict, stimuli, grades: dict) -> str | dict:
    leaf = {"text": row["text"]}
    if row["span"]:
        leaf["span"] = row["span"]
    if row["grade"] == row["grade"] and row["condition"] not in grades:
        leaf["grade"] = row["grade"]
    if row["id"] != f"{row['item']}.{row['condition']}.{row['paraphrase']}":
        leaf["id"] = row["id"]
    leaf |= {name: row[name] for name in stimuli.covariates if row[name] == row[name] and row[name] != ""}
    return leaf if len(leaf) > 1 else row["text"]


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes wherever the loader would read something else than that text."""

    def ignore_aliases(self, data):
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    try:
        plain = parse_yaml(text, where="") == text and "\n" not in text
    except InputError:
        plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)
