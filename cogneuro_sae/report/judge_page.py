"""The report of a judge folder: is it valid, what was scored, how it was asked, where everything comes from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.judge.items import read_items
from cogneuro_sae.judge.rubrics import RUBRICS
from cogneuro_sae.plots import look
from cogneuro_sae.report.folder import as_text
from cogneuro_sae.report.judging import judge_section
from cogneuro_sae.report.pages import environment
from cogneuro_sae.report.parts import Code, Section, Table, Text, Verdict, Verdicts, table
from cogneuro_sae.report.sections import plain_lines


def is_judge_folder(folder: str | Path) -> bool:
    """Return whether a folder holds a judge run, finished or not.

    Parameters
    ----------
    folder : path
        A results folder.
    """
    return (Path(folder) / "ledger.sqlite").is_file() or (Path(folder) / "gates.csv").is_file()


def build_judge_report(folder: str | Path) -> Path:
    """Make the figures and the report of a judge folder again from what is in it.

    Parameters
    ----------
    folder : path
        `results/<name>/<hash10>/` of `judge`.

    Returns
    -------
    Path
        `report.html` in the folder.

    Raises
    ------
    SetupError
        The folder cannot be written.
    """
    folder = Path(folder)
    try:
        for old in (folder / "figures").glob("*.*"):            # of raters that are in the result no more
            old.unlink()
        (folder / "figures").mkdir(exist_ok=True)
    except OSError as error:
        raise SetupError(f"the report cannot be written ({error.strerror or error})", where=str(folder),
                         do="check the folder's permissions, or copy it elsewhere") from error
    record = _record(folder)
    with look() as notes:
        sections = [Section("scores", "Scores", judge_section(folder)), Section("questions", "How it was asked",
                                                                               _questions(folder, record))]
    sections.append(Section("provenance", "Provenance", _provenance(folder, record)))
    warnings = [Verdict("warning", plain(text)) for text in [*record.get("warnings", []), *notes]]
    unfinished = [] if record else [Verdict("error", "the run has not finished: run the same judge command again")]
    sections.append(Section("errors", "Errors and warnings",
                            [Verdicts([*unfinished, *warnings] or [Verdict("ok", "no errors, no warnings")])]))
    began = record.get("started_utc")
    subtitle = ", ".join(filter(None, [record.get("concept", ""), f"{folder.parent.name}/{folder.name}",
                                       f"computed {began}" if began else ""]))
    page = environment().get_template("report.html").render(
        title=plain(f"Judge: {folder.parent.name}" + ("" if record else " - unfinished run")), subtitle=plain(subtitle),
        sections=sections, back="", plotly="")
    return files.write_text(folder / "report.html", page)


def _record(folder: Path) -> dict:
    try:
        return files.read_json(folder / "provenance.json")
    except (InputError, OSError, ValueError):
        return {}


def _questions(folder: Path, record: dict) -> list:
    """Items by rubric and control, wordings with the hash of their prompt, raters."""
    parts = []
    try:
        items = pd.DataFrame([item._asdict() for item in read_items(folder / "items.jsonl")])
    except InputError as error:
        return [Text(plain(str(error)))]
    named = items.assign(kind=items["control"].where(items["control"] != "", "measured"))
    counts = named.groupby(["rubric", "kind"], sort=False).size().rename("items").reset_index()
    parts.append(table(counts, caption="Items by what they are; raters see none of this, and the order is shuffled"))
    scales = [[name, plain(RUBRICS[name].scale), plain(wording), plain(sha[:12])]
              for name, used in (record.get("hashes", {}).get("prompts") or {}).items() if name in RUBRICS
              for wording, sha in used.items()]
    if scales:
        parts.append(Table(["rubric", "score", "wording", "prompt sha256"], scales, [], "Questions"))
    raters = [[plain(name), plain(each.get("kind", "")), plain(each.get("model", ""))]
              for name, each in (record.get("raters") or {}).items()]
    if raters:
        parts.append(Table(["rater", "kind", "model"], raters, [], "Raters"))
    return parts


def _provenance(folder: Path, record: dict) -> list:
    rows = [("concept", record.get("concept")), ("studied model", record.get("studied_model")),
            ("stimuli written by", record.get("stimulus_writer")), ("windows from", record.get("search_folder")),
            ("seed", record.get("seed")), ("started (UTC)", record.get("started_utc")), ("seconds", record.get("seconds")),
            ("command", " ".join(map(str, record.get("command", []))))]
    parts = [Table(["", "run"], [[key, plain(as_text(value))] for key, value in rows if as_text(value)], [])]
    versions = record.get("versions") or {}
    if versions:
        parts.append(Table(["package", "version"], [[plain(key), plain(value)] for key, value in versions.items()], []))
    if record.get("config"):
        parts.append(Code(plain_lines(yaml.safe_dump(record["config"], sort_keys=False, allow_unicode=True)),
                          "resolved configuration"))
    return parts
