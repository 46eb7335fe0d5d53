"""Builds the tree of a YAML text from PyYAML's events: depth, aliases, tags, keys and scalars are checked as they come.

Scalars that YAML versions read differently (`no`, `017`, `12:30`, dates) are errors, not guesses.
"""

from __future__ import annotations

import re

import yaml

from cogneuro_sae.errors import InputError, ManyErrors

MAX_DEPTH = 64
MAX_ALIAS_NODES = 10_000
MAX_DIGITS = 300

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = {"", "~", "null", "Null", "NULL"}
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F]+|[-+]?0b[01]+|[-+]?0o[0-7]+")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9_]+|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?")
_AMBIGUOUS = {
    re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"):
        "a yes/no value to YAML (a switch is written true or false)",
    re.compile(r"[-+]?0[0-9_]+"): "an octal number to YAML",
    re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"): "a number to the base 60 to YAML",
    re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"): "a date to YAML",
}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TEXT_TAGS = {None, "!", "tag:yaml.org,2002:str"}


def shown(value: object, width: int = 60) -> str:
    """Return a value as one short printable line: control characters escaped, long text cut.

    Parameters
    ----------
    value : object
        Anything; text stands in quotes.
    width : int
        Largest number of characters.
    """
    if isinstance(value, str) and len(value) > width:
        value = value[: width - 4] + " ..."
    text = repr(value)
    return text if len(text) <= width + 8 else text[: width + 4] + " ..."


class Node:
    """One node of the tree: its value, where it stands, and its parts by key or index."""

    __slots__ = ("children", "line", "size", "source", "value")

    def __init__(self, value, line, source=None):
        self.value, self.line, self.source = value, line, source
        self.children = {} if isinstance(value, (dict, list)) else None
        self.size = 1


def build_tree(text: str, where: str) -> Node | None:
    """Return the tree of a YAML text of one document, or None when it holds nothing.

    Parameters
    ----------
    text : str
        The text.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        As `load_yaml`.
    """
    builder = _Builder(where)
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, where) from error
    except yaml.YAMLError as error:
        raise InputError(f"not readable as YAML ({error})", where=where) from error
    if builder.errors:
        raise builder.errors[0] if len(builder.errors) == 1 else ManyErrors(builder.errors)
    return builder.root


def parse_yaml(text: str, *, where: str) -> object:
    """Return the value of a piece of YAML, such as what follows `=` in `--set a.b=value`.

    Parameters
    ----------
    text : str
        One YAML value.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        As `load_yaml`.
    """
    check_characters(text, where)
    node = build_tree(text, where)
    return None if node is None else node.value


def check_characters(text: str, where: str) -> None:
    """Raise an InputError that names line and column of the first control character.

    Parameters
    ----------
    text : str
        The text.
    where : str
        What the error names as its place.
    """
    found = _CONTROL.search(text) or _SURROGATE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - (text.rfind("\n", 0, found.start()) + 1) + 1
        raise InputError(f"control character {shown(found.group())}", where=f"{where}:{line}:{column}", do="remove it")


def _syntax_error(error: yaml.MarkedYAMLError, text: str, where: str) -> InputError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    rows = text.split("\n")
    row = rows[line] if line < len(rows) else ""
    what = error.problem or "not readable as YAML"
    do = "check indentation, dashes and brackets here and on the line before; a text that begins with a quote and goes on " \
         "after it needs quotes around the whole, with \\\" inside"
    if "\t" in row[: len(row) - len(row.lstrip())] or row[column : column + 1] == "\t":
        what, do = "a tab is used for indentation", "use spaces"
    elif "mapping values" in what or "expected <block end>" in what or "expected ',' or" in what:
        do = "check indentation and brackets; a text that holds ': ' or begins with a quote or bracket needs quotes"
    elif "undefined alias" in what:
        do = "a text that begins with * needs quotes"
    elif "cannot start any token" in what:
        do = "a text that begins with this character needs quotes"
    return InputError(f"not valid YAML: {what}", where=f"{where}:{line + 1}:{column + 1}", do=do)


class _Builder:
    """Builds the tree from events; `errors` collects faults that do not stop the reading."""

    def __init__(self, where: str):
        self.where, self.root, self.errors = where, None, []
        self.documents = self.expanded = 0
        self.stack, self.anchors = [], {}

    def take(self, event: yaml.Event) -> None:
        handler = _EVENTS.get(type(event))
        if handler:
            handler(self, event)

    def place(self, event) -> str:
        return f"{self.where}:{event.start_mark.line + 1}"

    def document(self, event):
        self.documents += 1
        if self.documents > 1:
            raise InputError("a second document begins (`---`)", where=self.place(event), do="one document per file")

    def open(self, event, value):
        if event.tag is not None:
            raise InputError(f"the tag {shown(event.tag)} is refused", where=self.place(event), do="write plain data")
        if len(self.stack) >= MAX_DEPTH:
            raise InputError(f"nesting is deeper than {MAX_DEPTH}", where=self.place(event))
        node = Node(value, event.start_mark.line + 1)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append([node, event.anchor, None])

    def close(self, event):
        node, anchor, _ = self.stack.pop()
        if anchor:
            self.anchors[anchor] = node
        self.add(node, event)

    def alias(self, event):
        if self.anchors.get(event.anchor) is None:
            why = "stands inside what it names" if event.anchor in self.anchors else "names nothing above"
            raise InputError(f"the alias *{event.anchor} {why}", where=self.place(event),
                             do="a text that begins with * needs quotes")
        node = self.anchors[event.anchor]
        self.expanded += node.size
        if self.expanded > MAX_ALIAS_NODES:
            raise InputError(f"aliases expand to more than {MAX_ALIAS_NODES} values", where=self.place(event),
                             do="write the values out")
        self.add(node, event)

    def scalar(self, event):
        try:
            value, source = _scalar(event)
        except InputError as error:
            error.where = self.place(event)
            self.errors.append(error)
            value, source = event.value, None
        node = Node(value, event.start_mark.line + 1, source)
        if event.anchor:
            self.anchors[event.anchor] = node
        self.add(node, event)

    def add(self, node, event):
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent[0].size += node.size
        if isinstance(parent[0].value, list):
            parent[0].children[len(parent[0].value)] = (node.line, node)
            parent[0].value.append(node.value)
        elif parent[2] is None:
            parent[2] = (self.key(node, event), event.start_mark.line + 1)
        else:
            key, line = parent[2]
            parent[2] = None
            parent[0].children[key] = (line, node)
            parent[0].value[key] = node.value

    def key(self, node, event) -> str:
        if node.children is not None:
            raise InputError("a key must be plain text, not a list or mapping", where=self.place(event),
                             do="a text that begins with [ or { needs quotes")
        if node.value == "<<" and getattr(event, "style", "quoted") in (None, ""):
            raise InputError("merge keys (`<<`) are refused", where=self.place(event), do="write the keys out")
        if not isinstance(node.value, str):
            self.errors.append(InputError(f"the key {node.source} is not text to YAML", where=self.place(event),
                                          do=f'quote it: "{node.source}"'))
            return str(node.source)
        seen = self.stack[-1][0].children.get(node.value)
        if seen:
            self.errors.append(InputError(f"the key {shown(node.value)} is already at line {seen[0]}",
                                          where=self.place(event), do="keep one of them"))
        return node.value


_EVENTS = {
    yaml.DocumentStartEvent: _Builder.document,
    yaml.MappingStartEvent: lambda builder, event: builder.open(event, {}),
    yaml.SequenceStartEvent: lambda builder, event: builder.open(event, []),
    yaml.MappingEndEvent: _Builder.close,
    yaml.SequenceEndEvent: _Builder.close,
    yaml.AliasEvent: _Builder.alias,
    yaml.ScalarEvent: _Builder.scalar,
}


def _scalar(event: yaml.ScalarEvent) -> tuple[object, str | None]:
    """Return the value, and for what is not text the characters that stand in the file."""
    if event.tag not in _TEXT_TAGS:
        raise InputError(f"the tag {shown(event.tag)} is refused", do="write plain data")
    text = event.value
    if "\x00" in text or _SURROGATE.search(text):
        raise InputError(f"the text {shown(text)} holds a character that cannot be stored", do="remove it")
    if event.style not in (None, "") or event.tag is not None:
        return text, None
    if text in _NULL:
        return None, text
    if text in _BOOL:
        return _BOOL[text], text
    if not (text[0].isdigit() or text[0] in "+-.yYnNoO"):
        return text, None
    return _number(text)


def _number(text: str) -> tuple[object, str | None]:
    for pattern, meaning in _AMBIGUOUS.items():
        if pattern.fullmatch(text):
            raise InputError(f"{shown(text)} is {meaning}", do=f'if it is text, quote it: "{text}"')
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise InputError(f"a number of {len(text)} digits", do="if it is text, quote it")
        return int(text.replace("_", ""), 0), text
    if _FLOAT.fullmatch(text) and len(text) <= MAX_DIGITS:
        return float(text.replace("_", "")), text
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1)), text
    return text, None
