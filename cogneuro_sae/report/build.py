"""build_report: a results folder, finished or not, becomes one self-contained page."""

from __future__ import annotations

import traceback
from pathlib import Path

import jinja2

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.plots.style import look
from cogneuro_sae.report.folder import Run, read_run
from cogneuro_sae.report.parts import Code, Section, Text, Verdict, Verdicts
from cogneuro_sae.report.sections import SECTIONS

TEMPLATES = Path(__file__).parents[1] / "templates"
TITLES = {"compare": "Method comparison", "map": "Concept map"}


def build_report(folder: str | Path) -> Path:
    """Make the figures and the report of a results folder again from what is in it.

    The page is one file without scripts or outside sources, and it is always made: what a partial run lacks, and what could
    not be drawn, stands in its Errors section. The same folder gives the same bytes.

    Parameters
    ----------
    folder : path
        `results/<name>/<hash10>/` of `map` or `compare`.

    Returns
    -------
    Path
        `report.html` in the folder.

    Raises
    ------
    InputError
        No such folder, or not a results folder.
    SetupError
        The folder cannot be written.
    """
    run = read_run(folder)
    (run.path / "figures").mkdir(exist_ok=True)
    sections, faults = [], []
    with look() as notes:
        for anchor, (title, write) in SECTIONS.items():
            sections.append(_section(run, anchor, title, write, faults))
    sections.insert(-1, _errors(run, faults, notes))
    return files.write_text(run.path / "report.html", render(run, sections))


def _section(run: Run, anchor: str, title: str, write, faults: list[tuple[str, str]]) -> Section:
    try:
        parts = write(run)
    except Exception as error:  # noqa: BLE001 - a report is always made (R9); the fault is shown in the Errors section
        faults.append((f"section {title}: {type(error).__name__}: {error}", traceback.format_exc()))
        parts = [Text("This section could not be written; see Errors and warnings.")]
    return Section(anchor, title, parts or [Text("Nothing to show: the run left no data for this section.")])


def _errors(run: Run, faults: list[tuple[str, str]], notes: list[str]) -> Section:
    lines = [Verdict("error", plain(text)) for text in run.problems]
    lines += [Verdict("error", plain(text)) for text, _ in faults]
    lines += [Verdict("error", plain(text)) for text in failed_cells(run)]
    lines += [Verdict("warning", plain(text)) for text in [*run.provenance.get("warnings", []), *notes]]
    parts = [Verdicts(lines or [Verdict("ok", "no errors, no warnings")])]
    parts += [Code(_without_paths(trace), "traceback") for _, trace in faults]
    return Section("errors", "Errors and warnings", parts)


def failed_cells(run: Run) -> list[str]:
    """Return one line per kind of failure among the rows of table.csv, with how many rows failed so.

    Parameters
    ----------
    run : Run
        A results folder.

    Returns
    -------
    list of str
        Empty when every row has a result.
    """
    table = run.tables.get("table")
    if table is None or "status" not in table:
        return []
    failed = table[~table["status"].isin(["", "ok", "done"])]
    if not len(failed):
        return []
    counts = failed.groupby(["concept", "selector", "status", "reason"], sort=True).size()
    return [f"{concept}, {selector}: {count} rows {status}: {reason}" for (concept, selector, status, reason), count
            in counts.items()]


def _without_paths(trace: str) -> str:
    return trace.replace(str(Path(__file__).parents[2]), "...")


def render(run: Run, sections: list[Section]) -> str:
    """Return the page as HTML; every text is escaped by the template.

    Parameters
    ----------
    run : Run
        A results folder.
    sections : list of Section
        In the order of the page.

    Returns
    -------
    str
        One self-contained HTML document.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    name = run.config.get("name") or run.path.parent.name
    state = "" if run.finished else " - unfinished run"
    concepts = list(dict.fromkeys(each.records.get("stimuli", {}).get("concept", key) for key, each in run.views.items()))
    began = run.provenance.get("started_utc")
    subtitle = ", ".join(filter(None, [", ".join(plain(each) for each in concepts[:6]), f"{run.path.parent.name}/{run.path.name}",
                                       f"computed {began}" if began else ""]))
    return environment.get_template("report.html").render(
        title=plain(f"{TITLES[run.verb]}: {name}{state}"), subtitle=plain(subtitle), sections=sections)
