"""Strict schemas: the base of every config class, and errors that name file, line, field and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import pydantic

from cogneuro_sae.config.overrides import apply_overrides, known_fields
from cogneuro_sae.config.references import resolve
from cogneuro_sae.config.yaml_loader import load_yaml
from cogneuro_sae.config.yaml_tree import shown
from cogneuro_sae.errors import InputError, ManyErrors

T = TypeVar("T")
Schema = TypeVar("Schema", bound=pydantic.BaseModel)


class StrictModel(pydantic.BaseModel):
    """Base of every config class: unknown keys and wrong types are errors, whole numbers pass for floats, frozen.

    Each field is documented by a docstring under it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False,
                                       protected_namespaces=())


Listed = Annotated[tuple[T, ...], pydantic.Field(strict=False)]
"""A YAML list, kept as a tuple (frozen)."""

OneOrMore = Annotated[
    tuple[T, ...],
    pydantic.Field(strict=False, min_length=1),
    pydantic.BeforeValidator(lambda value: value if isinstance(value, (list, tuple)) else (value,)),
]
"""One value or a list of them, kept as a tuple; an empty list is an error."""


def load_config(
    reference: str | Path, schema: type[Schema], *, kind: str, overrides: Sequence[str] = ()
) -> Schema:
    """Load one YAML file into one strict schema.

    Parameters
    ----------
    reference : str or Path
        A shipped name or a path.
    schema : type
        A StrictModel.
    kind : str
        Where shipped names live, such as `configs/compare`.
    overrides : sequence of str
        `a.b=value`, typed by the schema, applied to what the file says.

    Returns
    -------
    StrictModel
        An instance of `schema`.

    Raises
    ------
    InputError
        The file or an override is not as the schema says; several faults come as one ManyErrors.
    """
    path = resolve(reference, kind)
    document = load_yaml(path)
    data, places = apply_overrides(document.data, overrides, schema)
    return parse(data, schema, where=str(path), lines=document.lines, places=places)


def parse(
    data: object, schema: type[Schema], *, where: str, lines: object = None, places: Mapping[tuple, str] | None = None
) -> Schema:
    """Validate a mapping with a schema.

    Parameters
    ----------
    data : object
        Plain data.
    schema : type
        A StrictModel.
    where : str
        File name for error messages.
    lines : Lines, optional
        Line numbers of the data, as `load_yaml` gives them.
    places : mapping of tuple to str, optional
        Other places of single values, such as `--set a.b`, by key path.

    Returns
    -------
    StrictModel
        An instance of `schema`.

    Raises
    ------
    InputError
        One fault, or ManyErrors: all faults at once, in the order of lines.
    """
    try:
        return schema.model_validate(data)
    except pydantic.ValidationError as error:
        errors = schema_errors(error, data, schema, where=where, lines=lines, places=places)
    raise errors[0] if len(errors) == 1 else ManyErrors(errors)


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
        found.setdefault(_path(detail["loc"], data, detail["type"]), []).append(detail)
    paths = [path for path in found if not (_only_types(found[path]) and _deeper(path, found))]
    numbered = sorted((lines.near(path) if lines else 0, index, path) for index, path in enumerate(paths))
    result = []
    for line, _, path in numbered:
        place = next((text for key, text in (places or {}).items() if path[: len(key)] == key), None)
        source = lines.source(path) if lines and place is None else None
        head = place or (f"{where}:{line}" if lines else where)
        field = dotted(path)
        result.append(_explain(found[path], path, schema, f"{head}: {field}" if field else head, source))
    return result


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
        return InputError("is empty", where=where, do="give at least one value, or leave the key out")
    if kind in _EXPECTED:
        expected = " or ".join(dict.fromkeys(_EXPECTED[each["type"]] for each in details if each["type"] in _EXPECTED))
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
