"""From rows as read to rows that may enter the table: texts cleaned, spans found, ids made, faults collected."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError, ManyErrors
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.layout import Layout
from cogneuro_sae.stimuli.schema import COLUMNS, SPLITS, check_name
from cogneuro_sae.stimuli.tables import RawTable, missing_columns

SHOWN_ERRORS = 20
SPECIALS = re.compile(r"</?s>|<\|endoftext\|>|<unk>|<pad>")
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def raise_all(errors: list[InputError]) -> None:
    """Raise what was found, if anything: one error, or the first twenty of many.

    Parameters
    ----------
    errors : list of InputError
        May be empty.

    Raises
    ------
    InputError
        The errors.
    """
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    left = len(errors) - SHOWN_ERRORS
    raise ManyErrors(errors[:SHOWN_ERRORS] + ([InputError(f"... and {left} more errors")] if left > 0 else []))


def table_rows(table: RawTable, layout: Layout, where: str) -> tuple[list[Row], list[InputError]]:
    """Return the rows of a table file or DataFrame, and what is wrong with them.

    Parameters
    ----------
    table : RawTable
        What was read.
    layout : Layout
        The set's conditions; with factors their columns stand for `condition`.
    where : str
        The file's name.
    """
    needed = ["text", "item", *(layout.factors or ["condition"])]
    if layout.factors and "condition" in table.columns and not set(layout.factors) & set(table.columns):
        needed = ["text", "item", "condition"]
    if absent := missing_columns(needed, table.columns, where):
        return [], absent
    rows, errors = [], []
    for values, line in zip(table.rows, table.lines):
        try:
            rows.append(_table_row(values, f"{where}:{line}", layout, needed))
        except InputError as error:
            error.where = error.where or f"{where}:{line}"
            errors.append(error)
    return rows, errors


def _table_row(values: dict, place: str, layout: Layout, needed: list[str]) -> Row:
    text = {}
    for name in (*needed, "span", "id", "split"):
        value = values.get(name)
        if value is None and name not in needed:
            continue
        if not isinstance(value, str):
            raise InputError(f"column {name}: expected text, found {shown(value)}")
        text[name] = value
    condition = "_".join(text[name].strip()
                         for name in layout.factors) if "condition" not in needed else text["condition"].strip()
    if condition not in layout.conditions:
        raise InputError(f"unknown condition {shown(condition)}", allowed=", ".join(layout.conditions))
    numbers = {}
    for name in ("grade", "paraphrase"):
        value = values.get(name)
        if value is not None and value != "":
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise InputError(f"column {name}: expected a number, found {shown(value)}")
            numbers[name] = value
    if "paraphrase" in numbers and (numbers["paraphrase"] < 1 or numbers["paraphrase"] % 1):
        raise InputError(f"column paraphrase: expected 1, 2, ..., found {numbers['paraphrase']:g}")
    skip = {*COLUMNS, *layout.factors}
    extra = {name: value for name, value in values.items() if name not in skip}
    paraphrase = int(numbers["paraphrase"]) if "paraphrase" in numbers else None
    return Row(check_name("item", text["item"].strip()), condition, text["text"], place, text.get("span") or None,
               numbers.get("grade"), text.get("id") or None, text.get("split") or None, paraphrase, extra)


def clean(rows: list[Row], *, dedupe: bool = False) -> tuple[list[Row], list[str], list[InputError]]:
    """Return rows with normalised texts, spans and ids, notes on what was changed, and errors.

    Parameters
    ----------
    rows : list of Row
        As read; changed in place.
    dedupe : bool
        Drop texts that repeat an earlier one of their condition.
    """
    notes, errors, spaced, control, special = [], [], [], [], []
    for row in rows:
        text = _SPACE.sub(" ", row.text).strip()
        spaced += [row.place] if text != row.text else []
        control += [row.place] if _CONTROL.search(text) else []
        special += [row.place] if SPECIALS.search(text) else []
        row.text = text
        if not text:
            errors.append(InputError("the text is empty", where=row.place, do="write a text or remove the entry"))
        elif _SURROGATE.search(text) or "\x00" in text:
            errors.append(InputError(f"the text {shown(text)} holds a character that cannot be stored",
                                     where=row.place))
        elif row.span is not None:
            row.span = _SPACE.sub(" ", row.span).strip()
            errors += _span_errors(row)
    if dedupe:
        rows, dropped = _dedupe(rows)
        notes += [f"{dropped} repeated texts were dropped (dedupe)"] if dropped else []
    for places, what in ((spaced, "texts had leading, trailing or repeated white space, now normalised"),
                         (control, "texts hold control characters, kept as they are and shown escaped"),
                         (special, "texts hold special tokens such as <s> or </s>, read as plain characters")):
        notes += [f"{len(places)} {what} (first: {places[0]})"] if places else []
    return rows, notes, errors + _number(rows)


def _span_errors(row: Row) -> list[InputError]:
    count = row.text.count(row.span) if row.span else 0
    if count == 1:
        return []
    if count > 1 and len(span_matches(row.text, row.span)) == 1:
        return []
    found = "does not occur in" if not count else f"occurs {count} times in"
    return [InputError(f"the span {shown(row.span)} {found} {shown(row.text)}", where=row.place,
                       do="copy the words from the text, with enough of their neighbours to be found once")]


def span_matches(text: str, span: str) -> list[tuple[int, int]]:
    """Return where a span stands in a text: as whole words, or else anywhere.

    Parameters
    ----------
    text, span : str
        The text and its words.
    """
    for pattern in (rf"(?<!\w){re.escape(span)}(?!\w)", re.escape(span)):
        found = [match.span() for match in re.finditer(pattern, text)]
        if found:
            return found
    return []


def _dedupe(rows: list[Row]) -> tuple[list[Row], int]:
    seen, kept = set(), []
    for row in rows:
        if (row.condition, row.text) not in seen:
            kept.append(row)
        seen.add((row.condition, row.text))
    cells = Counter()
    for row in kept if len(kept) < len(rows) else []:
        cells[row.item, row.condition] += 1
        row.paraphrase = cells[row.item, row.condition]
    return kept, len(rows) - len(kept)


def _number(rows: list[Row]) -> list[InputError]:
    """Number paraphrases from 1 within each cell, make ids, and report clashes."""
    errors, cells = [], defaultdict(list)
    for row in rows:
        cells[row.item, row.condition].append(row)
    for (item, condition), members in cells.items():
        numbers = [row.paraphrase for row in members]
        if all(number is None for number in numbers):
            for number, row in enumerate(members, 1):
                row.paraphrase = number
        elif sorted(n or 0 for n in numbers) != list(range(1, len(members) + 1)):
            errors.append(InputError(f"the paraphrases of item {item!r}, condition {condition!r} are numbered "
                                     f"{', '.join(str(n) for n in numbers)}", where=members[0].place,
                                     allowed=f"1 to {len(members)}, each once",
                                     do="number them so, or leave the column out"))
    for row in rows:
        row.id = row.id or f"{row.item}.{row.condition}.{row.paraphrase}"
        try:
            row.id = check_name("id", row.id)
        except InputError as error:
            errors.append(InputError(error.what, where=row.place, allowed=error.allowed, do=error.do))
    errors += _collisions("id", [(row.id, row.place) for row in rows], again=True)
    firsts = {row.item: row.place for row in reversed(rows)}
    return errors + _collisions("item", list(firsts.items())[::-1], again=False)


def _collisions(kind: str, names: list[tuple[str, str]], *, again: bool) -> list[InputError]:
    seen: dict[str, tuple[str, str]] = {}
    errors = []
    for name, place in names:
        key = unicodedata.normalize("NFC", name.casefold())
        if key in seen and (again or seen[key][0] != name):
            other = seen[key][0]
            same = "is used again" if other == name else f"differs from {shown(other)} in case or form only"
            errors.append(InputError(f"the {kind} {shown(name)} {same} (first at {seen[key][1]})", where=place,
                                     do="rename one"))
        seen.setdefault(key, (name, place))
    return errors


def check_rows(rows: list[Row], layout: Layout, *, independent: bool = False) -> list[InputError]:
    """Return what is wrong with the design of the rows: gaps, empty conditions, one text in two conditions.

    Parameters
    ----------
    rows : list of Row
        Cleaned rows.
    layout : Layout
        The set's conditions.
    independent : bool
        Every text is declared its own item.
    """
    errors = [InputError(f"the condition {name!r} has no text", do="add texts or remove the condition")
              for name in layout.conditions if name not in {row.condition for row in rows}]
    items = defaultdict(list)
    for row in rows:
        items[row.item].append(row)
    for item, members in items.items():
        errors += _independent(item, members) if independent else _complete(item, members, layout)
    texts = defaultdict(dict)
    for row in rows:
        texts[row.text].setdefault(row.condition, row)
    for text, found in texts.items():
        if len(found) > 1:
            pair = list(found.values())[:2]
            errors.append(InputError(f"the same text stands in the conditions {' and '.join(found)} ({pair[0].id} and "
                                     f"{pair[1].id}): {shown(text)}", where=pair[1].place, do="change or remove one"))
    return errors


def _independent(item: str, members: list[Row]) -> list[InputError]:
    if len(members) == 1:
        return []
    return [InputError(f"the item {item!r} has {len(members)} texts, but items are declared independent",
                       where=members[1].place, allowed="one text per item",
                       do="remove `independent: true`, or split the item")]


def _complete(item: str, members: list[Row], layout: Layout) -> list[InputError]:
    present = {row.condition for row in members}
    families = {layout.family(condition) for condition in present}
    if len(families) > 1:
        why = (f"mixes levels of the between factor {', '.join(layout.between)}" if layout.factors
               else "holds far foils beside other conditions")
        return [InputError(f"the item {item!r} {why}", where=members[0].place, do="give them an item of their own")]
    lacking = [name for name in layout.siblings(members[0].condition) if name not in present]
    if not lacking:
        return []
    hint = "add it, or declare the factor under `between:`" if layout.factors else "add it, or remove the item"
    return [InputError(f"the item {item!r} lacks {', '.join(lacking)}", where=members[0].place, do=hint)]


def assign_splits(rows: list[Row], confirm: Iterable[str], place: str) -> list[InputError]:
    """Set each row's split from the list of confirm items, and return what is wrong with it.

    Parameters
    ----------
    rows : list of Row
        Cleaned rows; `split` may come from a table.
    confirm : iterable of str
        Items kept for confirmation.
    place : str
        Where that list stands.
    """
    confirm = [unicodedata.normalize("NFC", name) for name in confirm]
    items = {row.item for row in rows}
    errors = [InputError(f"the confirm item {shown(name)} is not among the items", where=place, do="check its spelling")
              for name in confirm if name not in items]
    errors += [InputError(f"the confirm item {shown(name)} is listed {count} times", where=place)
               for name, count in Counter(confirm).items() if count > 1]
    kept, seen = set(confirm), {}
    for row in rows:
        split = row.split or (SPLITS[1] if row.item in kept else SPLITS[0])
        if split not in SPLITS:
            errors.append(InputError(f"unknown split {shown(split)}", where=row.place, allowed=", ".join(SPLITS)))
        elif seen.setdefault(row.item, split) != split or (row.item in kept and split != SPLITS[1]):
            errors.append(InputError(f"the item {row.item!r} is in both splits", where=row.place,
                                     do="keep an item together"))
        row.split = split
    if rows and not errors and all(row.split == SPLITS[1] for row in rows):
        errors.append(InputError("every item is kept for confirmation, so none is left to discover with", where=place))
    return errors
