"""`cogneuro-sae import`: stimulus sets from other forms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cogneuro_sae.commands.options import DebugOption, QuietOption
from cogneuro_sae.commands.plugins import run_plugin
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.terminal import done, say

ENDINGS = (".yaml", ".yml")


def _words(name: str, text: str, metavar: str | None = None) -> object:
    return typer.Option(f"--{name}", metavar=metavar, help=text)


Sources = Annotated[list[str], typer.Argument(metavar="SOURCE...", help="A file or folder; or name=path for each "
                                                                        "condition, files with one text per line.")]
To = Annotated[Path, _words("to", "Where the set goes; the stem is its name.", "FILE.yaml")]
Format = Annotated[str | None, _words("format", "json, table, datasets, blimp, syntaxgym, lre, norms or lines (default: "
                                                "told from the file).", "NAME")]
Select = Annotated[str | None, _words("select", "The part to take: a BLiMP UID, a dataset's split.", "NAME")]
Concept = Annotated[str, _words("concept", "The words that a judge and a plot use.")]
Definition = Annotated[str, _words("definition", "One sentence on what makes a text hold the concept.")]
Contrast = Annotated[list[str] | None, _words("contrast", "The first is the default; may be repeated.",
                                              '"NAME: A - B"')]
Licence = Annotated[str, _words("licence", "Licence of the texts.")]
Group = Annotated[str, _words("group", "Kind of concept, such as relational.")]
Language = Annotated[str, _words("language", "Language of the texts, ISO 639-1.")]
TextColumn = Annotated[str, _words("text", "Column of the texts (of the words, for norms).", "COLUMN")]
ItemColumn = Annotated[str, _words("item", "Column of the items.", "COLUMN")]
ConditionColumn = Annotated[str, _words("condition", "Column of the conditions.", "COLUMN")]
Factor = Annotated[list[str] | None, _words("factor", "Column of a factor, instead of conditions; may be repeated.",
                                            "COLUMN")]
Independent = Annotated[bool, _words("independent", "Every text is its own item.")]
Graded = Annotated[list[str] | None, _words("graded", "Column of numbers; norms are cut by the first. May be repeated.",
                                            "COLUMN")]
Cut = Annotated[str, _words("cut", "Norms: median or thirds.")]
Empty = Annotated[float | None, _words("empty", "Norms: what empty cells count as (default: left out).")]
Template = Annotated[str, _words("template", "Norms: the text made of a word.")]
Separator = Annotated[str, _words("separator", "Sign between cells, such as ; (default: by the ending).")]
Model = Annotated[str | None, _words("model", "LRE: add continuations of equal token count for this model.")]
Limit = Annotated[int | None, _words("limit", "Draw so many items.")]
Seed = Annotated[int, _words("seed", "Of all draws.")]
SplitConfirm = Annotated[float, _words("split-confirm", "Keep this share of the items for confirmation.", "SHARE")]
SkipFaulty = Annotated[bool, _words("skip-faulty", "Leave out items that cannot be used.")]
Table = Annotated[str | None, _words("table", "Texts into a csv, tsv, jsonl or parquet file beside FILE.yaml.", "KIND")]
Overwrite = Annotated[bool, _words("overwrite", "Replace FILE.yaml.")]
Plugin = Annotated[list[Path] | None, _words("plugin", "A Python file that adds readers to IMPORTERS; its code is run.",
                                             "FILE.py")]


def import_command(
    source: Sources, to: To, format: Format = None, select: Select = None, concept: Concept = "",
    definition: Definition = "", contrast: Contrast = None, licence: Licence = "", group: Group = "",
    language: Language = "", text: TextColumn = "", item: ItemColumn = "", condition: ConditionColumn = "",
    factor: Factor = None, independent: Independent = False, graded: Graded = None, cut: Cut = "median",
    empty: Empty = None, template: Template = "{word}", separator: Separator = "", model: Model = None,
    limit: Limit = None, seed: Seed = 0, split_confirm: SplitConfirm = 0.0, skip_faulty: SkipFaulty = False,
    table: Table = None, overwrite: Overwrite = False, plugin: Plugin = None, quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a stimulus set of a table, a dataset, BLiMP, SyntaxGym, LRE relations, norms or files of lines."""
    check_target(to, table, source, overwrite=overwrite)
    for path in plugin or ():
        run_plugin(path)
    from cogneuro_sae.stimuli.importing import ImportOptions, import_set, write_set  # heavy, so after the first checks

    options = ImportOptions(
        format=format, select=select, concept=concept, definition=definition, licence=licence, group=group,
        language=language, contrast=tuple(contrast or ()), text=text, item=item, condition=condition,
        factor=tuple(factor or ()), independent=independent, graded=tuple(graded or ()), cut=cut, empty=empty,
        template=template, separator=separator, limit=limit, seed=seed, confirm=split_confirm, skip_faulty=skip_faulty,
        count_tokens=_counter(model))
    imported = import_set(source, name=to.stem, options=options)
    write_set(imported, to, table=table)
    if not quiet:
        for line in (*imported.lines(), f"next: cogneuro-sae check {to}"):
            say(plain(line))
    done(to)


def check_target(path: Path, table: str | None, sources: list[str], *, overwrite: bool) -> None:
    """Raise an InputError unless the set may be written there.

    Parameters
    ----------
    path : Path
        The YAML file.
    table : str or None
        Kind of the table beside it.
    sources : list of str
        What is imported; none of it is replaced.
    overwrite : bool
        It may be there already.
    """
    from cogneuro_sae.stimuli.exporting import WRITERS
    from cogneuro_sae.stimuli.importing.names import valid_names
    from cogneuro_sae.stimuli.schema import check_name

    kinds = [ending.removeprefix(".") for ending in WRITERS]
    if table is not None and table not in kinds:
        raise InputError(f"{table!r} is no kind of table", where="--table", allowed=", ".join(kinds))
    if path.suffix not in ENDINGS:
        raise InputError(f"the set goes into a file that ends in .yaml, not {path.name!r}", where="--to",
                         do=f"write --to {path.with_suffix('.yaml') if path.name else 'NAME.yaml'}")
    try:
        check_name("name", path.stem)
    except InputError as error:
        better = path.with_name(f"{valid_names('name', [path.stem])[path.stem]}{path.suffix}")
        raise InputError(f"the file's stem is the set's name, but {error.what}", where="--to", allowed=error.allowed,
                         do=f"write --to {better}") from error
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r}", where="--to", do="make it first")
    read = [Path(part).resolve() for word in sources for part in (word, word.partition("=")[2]) if part]
    for file in (path, *([path.with_suffix(f".{table}")] if table else [])):
        if file.resolve() in read:
            raise InputError("is what is imported and would be replaced", where=str(file), do="choose another --to")
        if file.exists() and not (overwrite and file.is_file()):
            raise InputError("is there already" if file.is_file() else "is there and is no file", where=str(file),
                             do="give --overwrite to replace it" if file.is_file() else "choose another name")


def _counter(model: str | None):
    """How many tokens a text has for a model, or None when no model is given."""
    if model is None:
        return None
    from cogneuro_sae.language_model import LanguageModel

    tokenize = LanguageModel.load(model).tokenize
    return lambda text: len(tokenize([text])[0].ids)
