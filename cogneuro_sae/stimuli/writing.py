"""A StimulusSet as a file that reads back equal: YAML, with its texts inside or in a table beside it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import yaml

from cogneuro_sae import files
from cogneuro_sae.config import parse_yaml, shown
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.stimuli.exporting import WRITERS, write_table
from cogneuro_sae.stimuli.lists import write_lists
from cogneuro_sae.stimuli.schema import check_name


def write_yaml(stimuli, path: Path, *, table: str | None = None, comment: str = "") -> Path:
    """Write a set as YAML, its model RDMs as csv files beside it.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    path : Path
        Its stem must be the set's name.
    table : str, optional
        csv, tsv, jsonl or parquet: the texts go into such a file beside it.
    comment : str
        Lines to stand on top of the file; they are not read back.

    Raises
    ------
    InputError
        The stem is not the set's name, or the texts do not fit where they shall stand.
    """
    if path.stem != stimuli.name:
        raise InputError(f"the file's stem {path.stem!r} is not the set's name {stimuli.name!r}", where=str(path),
                         do=f"write to {stimuli.name}.yaml")
    data = _mapping(stimuli)
    if table is None:
        _check_covariates(stimuli, path)
        data["items"] = _items(stimuli, _shared_grades(stimuli))
    else:
        data |= {"covariates": [], "split": {}, "table": f"{stimuli.name}.{table}"}
        write_table(stimuli, path.with_name(data["table"]))
    data = {key: value for key, value in data.items() if value not in ("", None, [], {}, False)}
    for name, rdm in stimuli.model_rdms.items():
        file = f"{stimuli.name}.{name}.csv"
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(
            [["", *rdm.columns], *([key, *map(repr, row)] for key, row in zip(rdm.index, rdm.to_numpy().tolist()))])
        files.write_text(path.parent / file, buffer.getvalue())
        data["model_rdms"][name] = file
    head = "".join(f"# {plain(line)}\n" for line in comment.splitlines())
    return files.write_text(path, head + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True,
                                                   width=10**9))


def export(stimuli, path: Path, *, texts_only: bool = False) -> Path:
    """Write the texts as a table or as study C's dictionary of lists.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    path : Path
        Ends in .csv, .tsv, .jsonl, .parquet or .json.
    texts_only : bool
        Into json: let go of what a dictionary of lists cannot hold.

    Raises
    ------
    InputError
        Another ending, or something would read back otherwise.
    """
    if path.suffix.lower() == ".json":
        return write_lists(stimuli, path, texts_only=texts_only)
    if path.suffix.lower() not in WRITERS:
        raise unknown_name("form to export to", path.suffix, [*WRITERS, ".json"], where=str(path))
    return write_table(stimuli, path)


def _check_covariates(stimuli, path: Path) -> None:
    """Refuse covariates whose names a text or an item cannot carry."""
    taken = {*stimuli.conditions, *(level for levels in stimuli.factors.values() for level in levels)}
    for name in stimuli.covariates:
        try:
            fits = check_name("column", name) == name and name not in taken
        except InputError:
            fits = False
        if not fits:
            raise InputError(f"the covariate {shown(name)} cannot stand among the items", where=str(path),
                             allowed="letters, digits and _, and no condition's or level's name",
                             do="rename the column, or give table=\"csv\"")


def _shared_grades(stimuli) -> dict[str, float]:
    """Grades that are the same for all texts of a condition."""
    if stimuli.factors:
        return {}
    grades = stimuli.table.groupby("condition")["grade"].agg(
        lambda values: values.iloc[0] if values.nunique() == 1 and values.notna().all() else None).to_dict()
    return {name: grade for name, grade in grades.items() if grade is not None and grade == grade}


def _mapping(stimuli) -> dict:
    grades = _shared_grades(stimuli)
    conditions = {name: {"label": stimuli.labels.get(name, name), **({"grade": grades[name]} if name in grades else {})}
                  for name in stimuli.conditions}
    confirm = stimuli.table.loc[stimuli.table["split"] == "confirm", "item"]
    return {
        "name": stimuli.name, "concept": stimuli.concept, "group": stimuli.group,
        "language": "" if stimuli.language == "en" else stimuli.language,
        "definition": stimuli.definition, "licence": stimuli.licence,
        "banned": list(stimuli.banned), "independent": stimuli.independent,
        **({"factors": {name: list(levels) for name, levels in stimuli.factors.items()},
            "between": list(stimuli.layout.between)} if stimuli.factors else {"conditions": conditions}),
        "contrasts": dict(stimuli.contrasts), "covariates": list(stimuli.covariates), "graded": list(stimuli.graded),
        "strata": list(stimuli.strata), "split": {"confirm": list(dict.fromkeys(confirm))} if len(confirm) else {},
        "words": {side: list(words) for side, words in stimuli.words.items()},
        "continuations": [dict(entry) for entry in stimuli.continuations],
        "model_rdms": dict.fromkeys(stimuli.model_rdms, ""),
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
