"""SyntaxGym suites: items whose conditions are sentences cut into regions (Hu et al. 2020)."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.names import as_name, renamed, valid_names
from cogneuro_sae.stimuli.importing.sources import Source, only_one
from cogneuro_sae.stimuli.importing.spans import unique_span
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.layout import factor_contrasts

SOURCE = "SyntaxGym (Hu et al. 2020, github.com/cpllab/syntactic-generalization)"
LICENCE = "MIT, " + SOURCE

_TERM = re.compile(r"\(\s*(\d+)\s*;\s*%([^%]+)%\s*\)")
_PAIR = re.compile(r"%([^%]+)%\s*\)\s*[<>]\s*\(\s*\d+\s*;\s*%([^%]+)%")


class Shape(NamedTuple):
    """`spec` holds `conditions` or `factors` and `contrasts`, `names` the new name of every original condition."""

    spec: dict
    names: dict[str, str]


def read_syntaxgym(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read a suite; the span of a text is the region that the suite's predictions name for its condition.

    Names such as what_gap, that_gap, what_nogap, that_nogap, which cross, become factors; others become conditions
    with the original name as label.

    Parameters
    ----------
    sources : sequence of Source
        A json file, plain or gz.
    options : ImportOptions
        Nothing of its own.

    Raises
    ------
    InputError
        Not a suite.
    """
    source = only_one(sources, "syntaxgym")
    data, where = source.data, source.where
    if not isinstance(data, dict) or not isinstance(data.get("items"), list) or not data["items"]:
        raise InputError("is not in the form of a SyntaxGym suite: no list `items`", where=where)
    items = [_item(entry, f"{where}: items[{number}]") for number, entry in enumerate(data["items"])]
    formulas = [str(each.get("formula", "")) for each in data.get("predictions") or [] if isinstance(each, dict)]
    shape = _shape(list(dict.fromkeys(name for _, sentences in items for name in sentences)), formulas)
    critical = _critical(formulas)
    known = valid_names("item", [item for item, _ in items])
    rows, wider = [], 0
    for number, (item, sentences) in enumerate(items):
        for name, regions in sentences.items():
            text, place = _sentence(regions, critical.get(name, ()))
            span = unique_span(text, *place) if place else None
            wider += bool(span) and span != text[slice(*place)]
            rows.append(Row(known[item], shape.names[name], text, f"{where}: items[{number}].{name}", span))
    title = str((data.get("meta") or {}).get("name") or source.path.name.partition(".")[0])
    spec = {"concept": f"syntax: {title.replace('_', ' ')}", "licence": LICENCE, **shape.spec,
            "definition": f"The sentence is of the kind {_first(shape)!r} (SyntaxGym suite {title})."}
    return Draft(rows, spec, f"{SOURCE}, suite {title}", _notes(shape, wider))


def _item(entry: object, place: str) -> tuple[str, dict[str, dict[int, str]]]:
    """An item's name, and the regions of its conditions by number."""
    try:
        name = as_name(entry["item_number"])
        sentences = {condition["condition_name"].strip(): {int(region["region_number"]): region["content"]
                                                            for region in condition["regions"]}
                     for condition in entry["conditions"]}
        if name and sentences and all(isinstance(content, str) for regions in sentences.values()
                                      for content in regions.values()):
            return name, sentences
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise InputError("is not in the form of a SyntaxGym item", where=place,
                     allowed="item_number, and conditions with condition_name and regions of region_number and content")


def _sentence(regions: dict[int, str], critical: Sequence[int]) -> tuple[str, tuple[int, int] | None]:
    """Regions joined by blanks, none before a comma; and where the critical regions stand."""
    text, start, stop = "", None, None
    for number in sorted(regions):
        content = " ".join(regions[number].split())
        if not content:
            continue
        content = re.sub(r"\s+([,.;:?!])", r"\1", content)
        text += content if not text or content[0] in ",.;:?!" else f" {content}"
        if number in critical:
            start, stop = (len(text) - len(content) if start is None else start), len(text)
    return text, None if start is None else (start, stop)


def _critical(formulas: list[str]) -> dict[str, tuple[int, ...]]:
    """Regions of each condition that the first prediction on it names, when they are neighbours; else the first."""
    found: dict[str, tuple[int, ...]] = {}
    for formula in formulas:
        here: dict[str, set[int]] = {}
        for region, name in _TERM.findall(formula):
            here.setdefault(name.strip(), set()).add(int(region))
        for name, regions in here.items():
            run = tuple(sorted(regions))
            found.setdefault(name, run if run[-1] - run[0] == len(run) - 1 else run[:1])
    return found


def _shape(originals: list[str], formulas: list[str]) -> Shape:
    parts = [name.split("_") for name in originals]
    columns = [list(dict.fromkeys(each)) for each in zip(*parts)]
    even = len({len(each) for each in parts}) == 1 and len(columns) > 1 and all(len(each) > 1 for each in columns)
    if even and sorted(parts) == sorted(map(list, itertools.product(*columns))):
        return _factors(parts, columns, formulas)
    names = valid_names("condition", originals)
    return Shape({"conditions": {new: old for old, new in names.items()}}, names)


def _factors(parts: list[list[str]], columns: list[list[str]], formulas: list[str]) -> Shape:
    """Each part of the names is a factor; its contrasts come first whose levels the predictions compare most often."""
    again = Counter(level for each in columns for level in each)
    marked = [(level, f"{level}{place}" if again[level] > 1 else level)
              for place, each in enumerate(columns, 1) for level in each]
    valid = valid_names("level", [name for _, name in marked])
    new = [{old: valid[f"{old}{place}" if again[old] > 1 else old] for old in each}
           for place, each in enumerate(columns, 1)]
    names = {"_".join(each): "_".join(level[part] for level, part in zip(new, each)) for each in parts}
    factors = {"_or_".join(each.values())[:64]: list(each.values()) for each in new}
    compared = Counter(place for formula in formulas for pair in _PAIR.findall(formula) for place in _differing(*pair))
    order = sorted(range(len(columns)), key=lambda place: -compared[place])
    usual = factor_contrasts(factors)
    names_by_use = [list(usual)[place] for place in order] + [name for name in usual if name == "interaction"]
    return Shape({"factors": factors, "contrasts": {name: usual[name] for name in names_by_use}}, names)


def _first(shape: Shape) -> str:
    """What the positive side of the first contrast is called."""
    if "conditions" in shape.spec:
        return next(iter(shape.spec["conditions"].values()))
    return next(iter(shape.spec["contrasts"].values())).partition(" ")[0]


def _differing(one: str, other: str) -> list[int]:
    """The one place in which two conditions of a comparison differ, or none."""
    places = [place for place, (a, b) in enumerate(zip(one.strip().split("_"), other.strip().split("_"))) if a != b]
    return places if len(places) == 1 else []


def _notes(shape: Shape, wider: int) -> list[str]:
    changed = [(old, new) for old, new in shape.names.items() if old != new]
    if shape.spec.get("factors"):
        notes = [f"conditions became cells: {', '.join(f'{old} = {new}' for old, new in changed)}"] if changed else []
    else:
        notes = renamed("condition", shape.names)
    return notes + ([f"{wider} spans begin before the critical region, whose words stand twice in the text"]
                    if wider else [])
