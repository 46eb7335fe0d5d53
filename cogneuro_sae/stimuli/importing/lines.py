"""Files with one text per line, one file per condition, such as the subjectivity corpus; and study C's lists."""

from __future__ import annotations

from collections.abc import Sequence

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.names import renamed, valid_names
from cogneuro_sae.stimuli.importing.sources import Source, only_one
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.lists import lists_to_rows
from cogneuro_sae.stimuli.tables import MAX_STIMULI


def read_lines(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read one file per condition, one text per line; every text is its own item, the first file is the target.

    Parameters
    ----------
    sources : sequence of Source
        Files, best given as name=path.
    options : ImportOptions
        Nothing of its own.

    Raises
    ------
    InputError
        One file only, or two of the same name.
    """
    if len(sources) < 2:
        raise InputError("one file of lines makes one condition", where=sources[0].where,
                         do="give one file per condition: name=path name=path")
    labels = [source.label or source.path.name.partition(".")[0] for source in sources]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InputError(f"two files make the condition {twice[0]!r}", do="name them: name=path name=path")
    names = valid_names("condition", labels)
    rows = [row for source, label in zip(sources, labels) for row in _rows(source, names[label])]
    if len(rows) > MAX_STIMULI:
        raise InputError(f"{len(rows)} lines, more than the limit of {MAX_STIMULI}", do="give parts of the files")
    spec = {"concept": labels[0], "conditions": {names[label]: label for label in labels}, "independent": True}
    return Draft(rows, spec, notes=renamed("condition", names))


def _rows(source: Source, name: str) -> list[Row]:
    lines = [(number, line) for number, line in enumerate(source.text.split("\n"), 1) if line.strip()]
    width = len(str(len(lines)))
    return [Row(f"{name}-{count:0{width}d}", name, line, f"{source.where}:{number}")
            for count, (number, line) in enumerate(lines, 1)]


def read_lists(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read study C's dictionary of 2 or 4 lists of texts; the first key is the target.

    Parameters
    ----------
    sources : sequence of Source
        A json file, plain or gz.
    options : ImportOptions
        Nothing of its own.
    """
    source = only_one(sources, "json")
    spec, rows = lists_to_rows(source.data, source.where)
    return Draft(rows, {key: value for key, value in spec.items() if key != "definition"})
