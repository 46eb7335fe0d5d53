"""From a source to a StimulusSet and its file: read, mend names, leave out, draw, build, prove, write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae._version import __version__
from cogneuro_sae.config import MAX_BYTES
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.stimuli.importing.building import built_set, set_spec
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions, draft_layout
from cogneuro_sae.stimuli.importing.drawing import confirm_items, drawn_rows
from cogneuro_sae.stimuli.importing.faults import sound_rows
from cogneuro_sae.stimuli.importing.guessing import guess_format
from cogneuro_sae.stimuli.importing.lines import read_lines, read_lists
from cogneuro_sae.stimuli.importing.minimal_pairs import read_blimp
from cogneuro_sae.stimuli.importing.norms import read_norms
from cogneuro_sae.stimuli.importing.relations import read_relation
from cogneuro_sae.stimuli.importing.sources import Source, parse_sources
from cogneuro_sae.stimuli.importing.suites import read_syntaxgym
from cogneuro_sae.stimuli.importing.tabular import read_dataset, read_table_file
from cogneuro_sae.stimuli.schema import check_name
from cogneuro_sae.stimuli.stimulus_set import StimulusSet

Reader = Callable[[Sequence[Source], ImportOptions], Draft]

IMPORTERS: dict[str, Reader] = {
    "json": read_lists,
    "table": read_table_file,
    "datasets": read_dataset,
    "blimp": read_blimp,
    "syntaxgym": read_syntaxgym,
    "lre": read_relation,
    "norms": read_norms,
    "lines": read_lines,
}
"""Readers by format; a plug-in adds its own."""

_TABLE = {"text", "item", "condition", "factor", "independent", "graded"}
_USED = {"json": set(), "table": _TABLE | {"separator"}, "datasets": _TABLE | {"select"}, "blimp": {"select"},
         "syntaxgym": set(), "lre": {"count_tokens"}, "lines": set(),
         "norms": {"graded", "cut", "empty", "text", "item", "template", "separator"}}
_FOR_SOME = set().union(*_USED.values())
_SPELLED = {"count_tokens": "model"}


class Imported(NamedTuple):
    """What came of an import: the set, the format it was read in, what to tell the user, and the file's comment."""

    stimuli: StimulusSet
    format: str
    notes: list[str]
    comment: str

    def lines(self) -> list[str]:
        """Return what to tell the user, one line each."""
        table = self.stimuli.table
        counts = ", ".join(f"{name} {(table['condition'] == name).sum()}" for name in self.stimuli.conditions)
        what = f"read as {self.format}: {len(table)} texts of {table['item'].nunique()} items ({counts})"
        return [what, *(f"note: {note}" for note in self.notes)]


def import_set(
    source: str | Path | Sequence[str | Path], *, name: str, options: ImportOptions = ImportOptions()
) -> Imported:
    """Return the stimulus set that a file or folder of another form holds.

    Parameters
    ----------
    source : str, Path or sequence of them
        A file, a folder, or several `name=path`.
    name : str
        The set's name.
    options : ImportOptions
        Everything else.

    Returns
    -------
    Imported

    Raises
    ------
    InputError
        The source is not in the format, or its texts do not make a sound set; one line says what, where, what to do.
    SetupError
        The format needs an extra that is not installed.
    """
    check_name("name", name)
    sources = parse_sources(source)
    if options.format is not None and options.format not in IMPORTERS:
        raise unknown_name("format", options.format, IMPORTERS, where="--format")
    kind = options.format or guess_format(sources, options)
    _refuse_unused(kind, options)
    draft = IMPORTERS[kind](sources, options)
    where = sources[0].where
    layout = draft_layout(draft.spec, sources[0].where)
    rows, faults = sound_rows(draft.rows, layout, independent=draft.spec.get("independent", False),
                              skip=options.skip_faulty)
    rows = drawn_rows(rows, options.limit, seed=options.seed)
    spec, changes = set_spec(draft, rows, layout, name, options)
    if kept := confirm_items(rows, options.confirm, seed=options.seed):
        spec["split"] = {"confirm": kept}
    stimuli, refused = built_set(spec, rows, sources[0].where, keep_all=bool(options.contrast))
    loaded = [note for note in stimuli.notes if not note.startswith("independent items")]
    notes = [*draft.notes, *faults, *changes, *refused, *loaded]
    return Imported(stimuli, kind, notes + _untold(stimuli), _comment(sources, kind, options, draft.source, notes))


def write_set(imported: Imported, path: str | Path, *, table: str | None = None) -> Path:
    """Write an imported set, after a trial in a temporary folder that must read back equal.

    Parameters
    ----------
    imported : Imported
        What `import_set` returned.
    path : str or Path
        A yaml file whose stem is the set's name.
    table : str, optional
        csv, tsv, jsonl or parquet: the texts go into such a file beside it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The set does not read back equal in this form.
    """
    path, stimuli = Path(path), imported.stimuli
    if table is None and sum(map(len, stimuli.texts)) > MAX_BYTES:
        raise InputError(f"the texts are more than the {MAX_BYTES / 1e6:.0f} MB that a YAML file may have",
                         where=str(path), do="put them in a table: --table jsonl")
    with tempfile.TemporaryDirectory() as folder:
        trial = stimuli.to_yaml(Path(folder) / path.name, table=table, comment=imported.comment)
        try:
            same = StimulusSet.from_yaml(trial).sha256 == stimuli.sha256
        except InputError as error:
            raise InputError(f"the set cannot be written so ({error.what})", where=str(path),
                             do="put the texts in a table: --table jsonl") from error
        if not same:
            raise InputError("the set would not read back equal", where=str(path),
                             do="try --table jsonl, and report it")
    return stimuli.to_yaml(path, table=table, comment=imported.comment)


def _refuse_unused(kind: str, options: ImportOptions) -> None:
    """An option that the format does not read is a mistake, not a wish to ignore."""
    unused = sorted((set(options.given()) & _FOR_SOME) - _USED.get(kind, _FOR_SOME))
    if unused:
        formats = ", ".join(name for name, used in _USED.items() if unused[0] in used)
        raise InputError(f"--{_SPELLED.get(unused[0], unused[0])} has no meaning for the format {kind}",
                         allowed=f"with {formats}", do="leave it out, or say --format")


def _untold(stimuli: StimulusSet) -> list[str]:
    notes = [] if stimuli.licence else ["no licence is known: say it with --licence"]
    if stimuli.definition == stimuli.concept:
        notes.append("the definition repeats the concept: say with --definition what makes a text hold it")
    return notes


def _comment(sources: Sequence[Source], kind: str, options: ImportOptions, source: str, notes: list[str]) -> str:
    """What stands on top of the file: where the texts came from, how they were chosen, what was changed."""
    given = {name: value for name, value in options.given().items()
             if name not in ("format", "concept", "definition", "licence", "group", "language", "contrast")}
    told = [f"{name}={value!r}" for name, value in given.items() if not callable(value)]
    if "seed" not in given and (options.limit or options.confirm or kind == "lre"):
        told.append(f"seed={options.seed}")
    lines = [f"Imported by cogneuro-sae {__version__} from {', '.join(each.described() for each in sources)}",
             f"as {kind}{': ' if told else ''}{', '.join(told)}."]
    text = "\n".join([*lines, *([f"Source: {source}"] if source else []), *notes])
    for each in sources:  # whose home folder it was is nobody's business
        text = text.replace(each.where, each.path.name)
    return text
