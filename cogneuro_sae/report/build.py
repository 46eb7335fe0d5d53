"""build_report: a results folder, finished or not, becomes one self-contained page."""

from __future__ import annotations

import logging
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.errors import SetupError
from cogneuro_sae.plots.style import look
from cogneuro_sae.report.concepts import FOLDER, concepts_of, is_library, only, page_name
from cogneuro_sae.report.folder import Run, read_run
from cogneuro_sae.report.gallery import build_gallery
from cogneuro_sae.report.judge_page import build_judge_report, is_judge_folder
from cogneuro_sae.report.outcomes import constant_readouts, failed_cells
from cogneuro_sae.report.pages import environment
from cogneuro_sae.report.parts import Section, Text, Verdict, Verdicts
from cogneuro_sae.report.search_folder import is_search_folder
from cogneuro_sae.report.sections import SECTIONS
from cogneuro_sae.report.twins import plotly_script, twin_notes
from cogneuro_sae.run_folder import run_log

COMPARE_ONLY = ("comparison",)
OVERVIEW = ("summary", "stimuli", "sae", "comparison", "methods", "provenance")     # of a library's first page
OF_A_CONCEPT = ("summary", "stimuli", "responses", "maps", "rsa", "comparison")     # of its pages by concept
TITLES = {"compare": "Method comparison", "map": "Concept map"}


def build_report(folder: str | Path) -> Path:
    """Make the figures and the report of a results folder again from what is in it.

    The page is one file without scripts or outside sources, and it is always made: what a partial run lacks, and what
    could not be drawn, stands in its Errors section (`report_problems` returns what is missing or damaged). A comparison
    over four or more concepts gets an overview and, linked from it, a page per concept in `concepts/`. The same folder
    gives the same bytes.

    Parameters
    ----------
    folder : path
        `results/<name>/<hash10>/` of `map`, `compare`, `judge` or `search`.

    Returns
    -------
    Path
        `report.html` in the folder; the gallery of a search.

    Raises
    ------
    InputError
        No such folder, or not a results folder.
    SetupError
        The folder cannot be written.
    """
    if is_judge_folder(folder):
        return build_judge_report(folder)
    if is_search_folder(folder):
        return build_gallery(folder)
    run = read_run(folder)
    try:
        (run.path / "figures").mkdir(exist_ok=True)
    except OSError as error:
        raise SetupError(f"the report cannot be written ({error.strerror or error})", where=str(run.path),
                         do="check the folder's permissions, or copy it elsewhere") from error
    faults: list[str] = []
    with look() as notes:
        if is_library(run):
            _concept_pages(run, faults)
            sections = _sections(run, OVERVIEW, faults)
        else:
            sections = _sections(run, tuple(SECTIONS), faults)
    sections.insert(-1, _errors(run, faults, notes))
    return files.write_text(run.path / "report.html", render(run, sections))


def _sections(run: Run, anchors: tuple[str, ...], faults: list[str]) -> list[Section]:
    return [_section(run, anchor, *SECTIONS[anchor], faults) for anchor in anchors
            if run.verb == "compare" or anchor not in COMPARE_ONLY]


def _concept_pages(run: Run, faults: list[str]) -> None:
    (run.path / FOLDER).mkdir(exist_ok=True)
    for concept in concepts_of(run):
        part = only(run, concept)
        page = render(part, _sections(part, OF_A_CONCEPT, faults), of=concept)
        files.write_text(run.path / FOLDER / page_name(concept), page)


def report_problems(folder: str | Path) -> list[str]:
    """Return what is missing or damaged in a results folder, one plain sentence each, without making a report.

    Parameters
    ----------
    folder : path
        `results/<name>/<hash10>/` of `map` or `compare`.

    Returns
    -------
    list of str
        Empty for a finished run that is whole.

    Raises
    ------
    InputError
        No such folder, or not a results folder.
    """
    return [] if is_judge_folder(folder) or is_search_folder(folder) else [plain(text) for text in read_run(folder).problems]


def _section(run: Run, anchor: str, title: str, write, faults: list[str]) -> Section:
    try:
        parts = write(run)
    except Exception as error:  # noqa: BLE001 - a report is always made (R9); the fault is shown in the Errors section
        faults.append(f"the section {title} could not be written, because some of what it shows is missing or damaged")
        with run_log(run.path) as log:
            log.error("section %s could not be written", title, exc_info=error)
        # with no handler set up this is one line on stderr
        logging.getLogger("cogneuro_sae").warning("warning: %s; log.txt of the folder has the details", faults[-1])
        parts = [Text("This section could not be written; see Errors and warnings.")]
    return Section(anchor, title, parts or [Text("Nothing to show: the run left no data for this section.")])


def _errors(run: Run, faults: list[str], notes: list[str]) -> Section:
    lines = [Verdict("error", plain(text)) for text in run.problems]
    lines += [Verdict("error", plain(f"{text}; log.txt has the details")) for text in faults]
    lines += [Verdict("error", plain(text)) for text in failed_cells(run)]
    lines += [Verdict("warning", plain(text)) for text in constant_readouts(run)]
    lines += [Verdict("warning", plain(text)) for text in [*run.provenance.get("warnings", []), *twin_notes(run), *notes]]
    return Section("errors", "Errors and warnings", [Verdicts(lines or [Verdict("ok", "no errors, no warnings")])])


def render(run: Run, sections: list[Section], *, of: str = "") -> str:
    """Return the page as HTML; every text is escaped by the template.

    Parameters
    ----------
    run : Run
        A results folder.
    sections : list of Section
        In the order of the page.
    of : str
        The concept, when this is its page of a library.

    Returns
    -------
    str
        One self-contained HTML document.
    """
    name = run.config.get("name") or run.path.parent.name
    state = f": {of}" * bool(of) + ("" if run.finished else " - unfinished run")
    concepts = list(dict.fromkeys(each.records.get("stimuli", {}).get("concept", key) for key,
                                  each in run.views.items()))
    began = run.provenance.get("started_utc")
    subtitle = ", ".join(filter(None, [_listed([plain(each) for each in concepts]),
                                       f"{run.path.parent.name}/{run.path.name}",
                                       f"computed {began}" if began else ""]))
    return environment().get_template("report.html").render(
        title=plain(f"{TITLES[run.verb]}: {name}{state}"), subtitle=plain(subtitle), sections=sections,
        back="../report.html" if of else "", plotly=plotly_script(sections))


def _listed(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
