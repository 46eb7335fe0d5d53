"""Which format a source is in, from its ending and its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.importing.drafts import ImportOptions
from cogneuro_sae.stimuli.importing.sources import DELIMITERS, Source

TABLES = (*DELIMITERS, ".jsonl", ".parquet")
HINTS = {
    **dict.fromkeys(TABLES, "a table has text, item and condition (or say --text, --item, --condition), norms need "
                            "--graded COLUMN, blimp has sentence_good and sentence_bad"),
    ".json": "json is a dictionary of 2 or 4 lists of texts, syntaxgym has items with conditions and regions, lre has "
             "prompt_templates and samples; a list of rows goes into a jsonl file, one row per line",
    ".txt": "one text per line is read from several files, one per condition: name=path name=path",
}


def guess_format(sources: Sequence[Source], options: ImportOptions) -> str:
    """Return the name of the one format that fits.

    Parameters
    ----------
    sources : sequence of Source
        What was given.
    options : ImportOptions
        What else was said.

    Raises
    ------
    InputError
        No format fits, or several.
    """
    fitting = [name for name, fits in DETECTORS.items() if fits(sources, options)]
    if len(fitting) == 1:
        return fitting[0]
    where = sources[0].where
    if fitting:
        raise InputError(f"may be read as {' or '.join(fitting)}", where=where,
                         do="say which with " + " or ".join(f"--format {name}" for name in fitting))
    suffix = sources[0].suffix
    columns = sources[0].columns(options.separator) if suffix in TABLES else ()
    found = f", found the columns {', '.join(columns[:20])}{' ...' if len(columns) > 20 else ''}" if columns else ""
    other = next((sign for sign in ";\t|" if len(columns) == 1 and sign in columns[0]), None)
    if other:
        raise InputError(f"separated by {other!r}", where=where, do=f"give --separator {other!r}")
    hint = HINTS.get(suffix, f"the ending {suffix!r} is not known: {', '.join([*TABLES, '.json', '.txt'])} are")
    raise InputError(f"the format cannot be told{found}", where=where, allowed=", ".join(DETECTORS),
                     do=f"{hint}; else give --format NAME")


def _is_table(sources: Sequence[Source], options: ImportOptions) -> bool:
    names = set(_columns(sources, options))
    keys = options.factor or (options.condition or "condition",)
    return (options.text or "text") in names and bool(names & set(keys))


def _columns(sources: Sequence[Source], options: ImportOptions) -> tuple[str, ...]:
    one = len(sources) == 1 and not sources[0].label and sources[0].path.is_file()
    return sources[0].columns(options.separator) if one and sources[0].suffix in TABLES else ()


def _json(sources: Sequence[Source]) -> dict:
    one = len(sources) == 1 and not sources[0].label and sources[0].path.is_file() and sources[0].suffix == ".json"
    return sources[0].data if one and isinstance(sources[0].data, dict) else {}


def _is_lists(sources: Sequence[Source], options: ImportOptions) -> bool:
    data = _json(sources)
    lists = bool(data) and all(isinstance(value, list) for value in data.values())
    return lists and not {"items", "samples"} & set(data)


DETECTORS: dict[str, Callable[[Sequence[Source], ImportOptions], bool]] = {
    "json": _is_lists,
    "table": _is_table,
    "datasets": lambda sources, options: len(sources) == 1 and sources[0].path.is_dir(),
    "blimp": lambda sources, options: {"sentence_good", "sentence_bad"} <= set(_columns(sources, options)),
    "syntaxgym": lambda sources, options: "items" in _json(sources) and not {"samples"} & set(_json(sources)),
    "lre": lambda sources, options: {"prompt_templates", "samples"} <= set(_json(sources)),
    "norms": lambda sources, options: bool(options.graded and _columns(sources, options)) and not (
        options.condition or options.factor),
    "lines": lambda sources, options: len(sources) > 1 or bool(sources[0].label),
}
