"""The `items:` of a YAML file, read into rows; every fault is collected with its line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from cogneuro_sae.config import Lines, dotted, shown, wrong_type
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.layout import Layout
from cogneuro_sae.stimuli.schema import check_name

LEAF_KEYS = ("text", "span", "grade", "id")


@dataclass
class Row:
    """One text on its way into the table; `place` is where it stands.

    Parameters
    ----------
    item, condition, text, place : str
        As in the file.
    span, grade, id, split : object
        None when not given.
    paraphrase : int or None
        Number within the cell, from 1.
    extra : dict
        Covariates by column.
    """

    item: str
    condition: str
    text: str
    place: str
    span: str | None = None
    grade: float | None = None
    id: str | None = None
    split: str | None = None
    paraphrase: int | None = None
    extra: dict = field(default_factory=dict)


class ItemReader:
    """Walks through `items:`; `rows` and `errors` hold what was found.

    Parameters
    ----------
    layout : Layout
        The set's conditions.
    columns : tuple of str
        Covariates that items and texts may carry.
    where : str
        The file's name.
    lines : Lines
        Its line numbers.
    """

    def __init__(self, layout: Layout, columns: tuple[str, ...], where: str, lines: Lines):
        self.layout, self.columns, self.where, self.lines = layout, columns, where, lines
        self.rows: list[Row] = []
        self.errors: list[InputError] = []
        self._seen: dict[str, int] = {}

    def place(self, path: tuple) -> str:
        """Return file, line and field of a key path.

        Parameters
        ----------
        path : tuple
            Keys and list indices.
        """
        return f"{self.where}:{self.lines.near(path)}: {dotted(path)}"

    def read(self, items: list) -> None:
        """Read all items.

        Parameters
        ----------
        items : list
            What stands under `items:`.
        """
        for index, entry in enumerate(items):
            self._item(entry, ("items", index))

    def _fault(self, path: tuple, what: str, **more) -> None:
        self.errors.append(InputError(what, where=self.place(path), **more))

    def _wrong(self, expected: str, value: object, path: tuple) -> None:
        self.errors.append(wrong_type(expected, value, self.lines.source(path), self.place(path)))

    def _item(self, entry: object, path: tuple) -> None:
        if not isinstance(entry, dict):
            return self._wrong("a mapping that begins with `item:`", entry, path)
        if "item" not in entry:
            return self._fault(path, "`item` is missing", do="give every item a name: `- item: night-school`")
        if not isinstance(entry["item"], str):
            return self._wrong("text", entry["item"], (*path, "item"))
        try:
            name = check_name("item", entry["item"])
        except InputError as error:
            return self._fault((*path, "item"), error.what, allowed=error.allowed, do=error.do)
        if name in self._seen:
            return self._fault((*path, "item"), f"the item {name!r} is already at line {self._seen[name]}",
                               do="join the two, or rename one")
        self._seen[name] = self.lines.near((*path, "item"))
        extra = self._extra(entry, path)
        cells = {key: value for key, value in entry.items() if key != "item" and key not in self.columns}
        if not cells:
            self._fault(path, f"the item {name!r} holds no texts", do="add its conditions")
        if self.layout.factors:
            self._levels(cells, path, name, extra, ())
        else:
            for key, value in cells.items():
                if self._known(key, self.layout.conditions, (*path, key), "condition"):
                    self._texts(value, (*path, key), name, key, extra)

    def _levels(self, node: object, path: tuple, item: str, extra: dict, levels: tuple) -> None:
        factors = list(self.layout.factors.items())
        if len(levels) == len(factors):
            return self._texts(node, path, item, "_".join(levels), extra)
        factor, allowed = factors[len(levels)]
        if not isinstance(node, dict):
            return self._wrong(f"a mapping by {factor} ({', '.join(allowed)})", node, path)
        for key, value in node.items():
            if self._known(key, allowed, (*path, key), f"level of {factor}"):
                self._levels(value, (*path, key), item, extra, (*levels, key))
        return None

    def _known(self, key: str, allowed: tuple, path: tuple, kind: str) -> bool:
        if key in allowed:
            return True
        near = difflib.get_close_matches(key, [*allowed, "item", *self.columns], n=1, cutoff=0.5)
        self._fault(path, f"unknown {kind} {shown(key)}", allowed=", ".join(allowed),
                    do=f"did you mean {near[0]!r}?" if near else "declare other columns under `covariates:`")
        return False

    def _texts(self, value: object, path: tuple, item: str, condition: str, extra: dict) -> None:
        if not isinstance(value, list):
            return self._wrong("a list of texts", value, path)
        if not value:
            return self._fault(path, "is an empty list", do="add a text, or leave the condition out")
        for index, leaf in enumerate(value):
            row = self._leaf(leaf, (*path, index), item, condition, extra)
            if row:
                row.paraphrase = index + 1
                self.rows.append(row)
        return None

    def _leaf(self, leaf: object, path: tuple, item: str, condition: str, extra: dict) -> Row | None:
        if isinstance(leaf, str):
            return Row(item, condition, leaf, self.place(path), extra=dict(extra))
        if not isinstance(leaf, dict):
            return self._wrong("text or a mapping with `text`", leaf, path)
        for key in leaf:
            if key not in LEAF_KEYS and key not in self.columns:
                near = difflib.get_close_matches(key, [*LEAF_KEYS, *self.columns], n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else 'a text that holds ": " needs quotes'
                self._fault((*path, key), f"unknown key {shown(key)}", do=hint,
                            allowed=", ".join([*LEAF_KEYS, *self.columns]))
        if "text" not in leaf:
            return self._fault(path, "`text` is missing", do='add it; a text that holds ": " needs quotes')
        for key, kinds, expected in (("text", str, "text"), ("span", str, "text"), ("id", str, "text"),
                                     ("grade", (int, float), "a number")):
            if key in leaf and (not isinstance(leaf[key], kinds) or isinstance(leaf[key], bool)):
                return self._wrong(expected, leaf[key], (*path, key))
        return Row(item, condition, leaf["text"], self.place(path), leaf.get("span"), leaf.get("grade"), leaf.get("id"),
                   extra={**extra, **self._extra(leaf, path)})

    def _extra(self, node: dict, path: tuple) -> dict:
        found = {key: node[key] for key in self.columns if key in node}
        for key, value in found.items():
            if isinstance(value, (dict, list)):
                self._wrong("one value", value, (*path, key))
        return {key: value for key, value in found.items() if not isinstance(value, (dict, list))}
