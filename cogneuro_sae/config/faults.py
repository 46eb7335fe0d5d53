"""What pydantic finds, said as our errors: file, line, field and remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

import pydantic

from cogneuro_sae.config.overrides import field_at, known_fields
from cogneuro_sae.config.yaml_tree import shown
from cogneuro_sae.errors import InputError


def schema_errors(
    error: pydantic.ValidationError, data: object, schema: type, *, where: str, lines: object = None,
    places: Mapping[tuple, str] | None = None,
) -> list[InputError]:
    """Return pydantic's findings as our errors, in the order of lines.

    Parameters
    ----------
    error : pydantic.ValidationError
        What `model_validate` raised.
    data : object
        The data it was given.
    schema : type
        The StrictModel.
    where : str
        File name for error messages.
    lines : Lines, optional
        Line numbers of the data.
    places : mapping of tuple to str, optional
        Other places of single values by key path.
    """
    found: dict[tuple, list[dict]] = {}
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], data, detail["type"])
        found.setdefault(_named_inside(detail, path, data), []).append(detail)
    paths = [path for path in found if not (_only_types(found[path]) and _deeper(path, found))]
    numbered = sorted((lines.near(path) if lines else 0, index, path) for index, path in enumerate(paths))
    result = []
    for line, _, path in numbered:
        place = next((text for key, text in (places or {}).items() if path[: len(key)] == key), None)
        source = lines.source(path) if lines and place is None else None
        # a fault of the whole file stands at no line
        head = place or (f"{where}:{line}" if lines and path != () else where)
        field = dotted(path)
        result.append(_explain(found[path], path, schema, f"{head}: {field}" if field else head, source))
    return allowed_once(result)


def allowed_once(errors: list[InputError]) -> list[InputError]:
    """Return the errors, changed in place: among unknown keys each list of allowed keys stands at the first only.

    Parameters
    ----------
    errors : list of InputError
        In the order they are shown.
    """
    seen = set()
    for error in errors:
        if error.what.startswith("unknown key"):
            if error.allowed in seen:
                error.allowed = None
            seen.add(error.allowed)
    return errors


def dotted(path: Iterable[object]) -> str:
    """Return a key path as text, such as `items[3].target[0]`.

    Parameters
    ----------
    path : iterable
        Keys and list indices.
    """
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text if len(text) <= 120 else text[:116] + " ..."


def _path(loc: tuple, data: object, kind: str) -> tuple:
    """Pydantic's location without the names of union branches and validators that it puts between the keys."""
    path, node = [], data
    for index, key in enumerate(loc):
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, (list, tuple)) and isinstance(key, int) and key < len(node):
            node = node[key]
        elif not (kind == "missing" and index == len(loc) - 1):
            continue
        path.append(key)
    return tuple(path)


def _named_inside(detail: dict, path: tuple, data: object) -> tuple:
    """The key path that an InputError of a validator names itself, as `where` or before the first colon of `what`."""
    inner = (detail.get("ctx") or {}).get("error")
    if not isinstance(inner, InputError):
        return path
    head, colon, rest = inner.what.partition(": ")
    for name, what in ((inner.where, inner.what), (head if colon else None, rest)):
        named = _keys(name, data) if name else None
        if named and named[: len(path)] == path:
            detail["ctx"]["error"] = InputError(what, allowed=inner.allowed, do=inner.do)
            return named
    if inner.where:
        detail["ctx"]["error"] = InputError(f"{inner.where}: {inner.what}", allowed=inner.allowed, do=inner.do)
    return path


def _keys(name: str, node: object) -> tuple | None:
    """The path of a dotted name such as `planned.a` or `folds[0]` when it exists in the data, else None."""
    if not name:
        return ()
    if isinstance(node, (list, tuple)):
        number = re.match(r"\[(\d{1,9})\]\.?", name)
        inside = [(int(number[1]), name[number.end():])] if number and int(number[1]) < len(node) else []
    elif isinstance(node, Mapping):
        inside = [(key, name[len(key):].removeprefix(".")) for key in node
                  if isinstance(key, str) and key and (name == key or name.startswith((f"{key}.", f"{key}[")))]
    else:
        inside = []
    paths = ((key, _keys(rest, node[key])) for key, rest in inside)
    return next(((key, *path) for key, path in paths if path is not None), None)


def _only_types(details: list[dict]) -> bool:
    return all(detail["type"].endswith("_type") or detail["type"] == "too_short" for detail in details)


def _deeper(path: tuple, found: Mapping[tuple, object]) -> bool:
    return any(len(other) > len(path) and other[: len(path)] == path for other in found)


_EXPECTED = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list", "tuple_type": "a list", "dict_type": "a mapping",
    "mapping_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
    "int_parsing": "a whole number", "float_parsing": "a number", "bool_parsing": "true or false",
}


def _explain(details: list[dict], path: tuple, schema: type, where: str, source: str | None) -> InputError:
    # OneOrMore counts what is left after a bad element, which then is the only fault
    details = [each for each in details if each["type"] != "too_short"] or details
    detail = next((each for each in details if each["type"] not in _EXPECTED), details[0])
    context = detail.get("ctx") or {}
    kind, value = detail["type"], detail["input"]
    if isinstance(context.get("error"), InputError):
        inner = context["error"]
        return InputError(inner.what, where=where, allowed=inner.allowed, do=inner.do)
    if kind == "missing":
        return InputError("is missing", where=where, do="add it")
    if kind == "extra_forbidden":
        return _unknown_key(path, schema, where)
    if kind == "too_short" and not value:
        return InputError("is empty", where=where, do=_fill(path, schema))
    if kind in _EXPECTED:
        expected = " or ".join(dict.fromkeys(_EXPECTED[each["type"]] for each in details if each["type"] in _EXPECTED))
        if isinstance(detail["loc"][-1], int) and not isinstance(path[-1], int) and value is not None \
                and "text" not in expected and not isinstance(value, (dict, list)):
            return InputError(f"{shown(value)} is not {expected}", where=where)
        return wrong_type(expected, value, source, where)
    if kind in ("literal_error", "enum"):
        return _not_among(details, value, source, where)
    message = detail["msg"].removeprefix("Value error, ")
    return InputError(f"{message[:1].lower()}{message[1:]}, found {shown(value)}", where=where)


def wrong_type(expected: str, value: object, source: str | None, where: str) -> InputError:
    """Return (not raise) the error for a value of the wrong type, with "quote it" where YAML misread a text.

    Parameters
    ----------
    expected : str
        What it should be, such as "text" or "a list".
    value : object
        What it is.
    source : str or None
        How it stands in the file, when that is known and differs.
    where : str
        Its place.
    """
    if value is None:
        return InputError(f"has no value, expected {expected}", where=where,
                          do=f'if the text is {source}, quote it: "{source}"' if source and "text" in expected
                          else None)
    if "text" in expected and isinstance(value, (bool, int, float)):
        written = source if source is not None and len(source) <= 30 else shown(value, 30)
        kind = "true or false" if isinstance(value, bool) else "a number"
        return InputError(f"expected {expected}, found {written}, which is {kind} to YAML", where=where,
                          do=f'if it is text, quote it: "{written}"')
    names = {dict: "a mapping", list: "a list", str: f"the text {shown(value)}", tuple: "a list"}
    return InputError(f"expected {expected}, found {names.get(type(value), shown(value))}", where=where)


def _not_among(details: list[dict], value: object, source: str | None, where: str) -> InputError:
    names = []
    for detail in details:
        names += (detail.get("ctx") or {}).get("expected", "").replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.6)
    return InputError(f"{source or shown(value)} is not accepted", where=where, allowed=", ".join(filter(None, names)),
                      do=f"did you mean {near[0]!r}?" if near else None)


def _unknown_key(path: tuple, schema: type, where: str) -> InputError:
    known = list(known_fields(schema, path[:-1]))
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    return InputError(f"unknown key {shown(path[-1])}", where=where, allowed=", ".join(known) or None,
                      do=f"did you mean {near[0]!r}?" if near else None)


def _fill(path: tuple, schema: type) -> str:
    """What to do about an empty list or mapping; only a key with a default may be left out."""
    field = field_at(schema, path)
    plural = field is not None and len(path[-1]) > 3 and path[-1].endswith("s")
    thing = path[-1][:-1] if plural else "value"
    example = f", e.g. {field.examples[0]}" if field is not None and field.examples else ""
    leave = ", or leave the key out" if field is not None and not field.is_required() else ""
    return f"give at least one {thing}{example}{leave}"
