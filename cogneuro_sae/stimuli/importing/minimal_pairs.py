"""BLiMP: minimal pairs of an acceptable and an unacceptable sentence (Warstadt et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.names import as_name, valid_names
from cogneuro_sae.stimuli.importing.sources import Source, only_one
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.tables import json_lines_table

SOURCE = "BLiMP (Warstadt et al. 2020, github.com/alexwarstadt/blimp)"
LICENCE = "CC-BY-4.0, " + SOURCE
SIDES = {"sentence_good": "target", "sentence_bad": "near"}


def read_blimp(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read one paradigm: item = pairID, target = the acceptable sentence, near = its unacceptable twin.

    Parameters
    ----------
    sources : sequence of Source
        A jsonl file, plain or gz, with the fields UID, sentence_good, sentence_bad and pairID.
    options : ImportOptions
        `select`: the UID, needed when there are several.

    Raises
    ------
    InputError
        Not that form, an unknown UID, or a pairID that is there twice.
    """
    source = only_one(sources, "blimp")
    table = json_lines_table(source.text, source.where)
    absent = [name for name in (*SIDES, "pairID", "UID") if name not in table.columns]
    if absent:
        raise InputError(f"is not in the form of BLiMP: no field {', '.join(absent)}", where=source.where)
    uid = _paradigm([as_name(row["UID"]) for row in table.rows], options.select, source.where)
    pairs = [(row, line) for row, line in zip(table.rows, table.lines) if as_name(row["UID"]) == uid]
    _check_pairs(pairs, source.where)
    names = valid_names("item", [as_name(row["pairID"]) for row, _ in pairs])
    rows = [Row(names[as_name(row["pairID"])], side, row[field], f"{source.where}:{line}")
            for row, line in pairs for field, side in SIDES.items()]
    family = ", ".join(str(pairs[0][0][name]).replace("_", " ") for name in ("field", "linguistics_term")
                       if pairs[0][0].get(name))
    spec = {"concept": f"grammatical acceptability: {uid.replace('_', ' ')}",
            "definition": f"The sentence is acceptable English; its twin differs in a few words and is not "
                          f"(BLiMP paradigm {uid}{': ' + family if family else ''}).",
            "conditions": {"target": "acceptable", "near": "unacceptable"}, "licence": LICENCE}
    return Draft(rows, spec, SOURCE)


def _paradigm(uids: list, select: str | None, where: str) -> str:
    known = sorted({uid for uid in uids if uid})
    if select is not None and select not in known:
        raise unknown_name("UID", select, known, where=where)
    if select is None and len(known) != 1:
        names = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
        raise InputError(f"holds {len(known)} paradigms", where=where, allowed=names or "none",
                         do="choose one with --select UID")
    return select or known[0]


def _check_pairs(pairs: list, where: str) -> None:
    seen: dict[str, int] = {}
    for row, line in pairs:
        for field in (*SIDES, "pairID"):
            if (not isinstance(row[field], str) and field in SIDES) or as_name(row[field]) is None:
                raise InputError(f"{field} is {shown(row[field])}", where=f"{where}:{line}", allowed="text")
        name = as_name(row["pairID"])
        if name in seen:
            raise InputError(f"the pairID {shown(name)} is there twice (first at line {seen[name]})",
                             where=f"{where}:{line}", do="number the pairs of a paradigm differently")
        seen[name] = line
