"""`--set a.b=value`: what a schema knows at a key path, and values typed by it."""

from __future__ import annotations

import copy
import difflib
import types
import typing
from collections.abc import Mapping, Sequence

import pydantic

from cogneuro_sae.config.yaml_tree import parse_yaml, shown
from cogneuro_sae.errors import InputError

_UNIONS = (typing.Union, types.UnionType)
_LISTS = (list, tuple, Sequence)
_MAPPINGS = (dict, Mapping)


def apply_overrides(data: dict, overrides: Sequence[str], schema: type) -> tuple[dict, dict[tuple, str]]:
    """Return a copy of the data with overrides put in, and where errors about them should point.

    Parameters
    ----------
    data : dict
        What the file says; not changed.
    overrides : sequence of str
        Each `a.b=value`; list entries by number (`selectors.0.name=auroc`). A value is YAML, or plain text where the
        schema wants text.
    schema : type
        The StrictModel that the data will be validated with.

    Returns
    -------
    tuple
        The new data, and `{key path: "--set a.b"}`.

    Raises
    ------
    InputError
        No `=`, a key that the schema does not know, or a path through something that has no keys.
    """
    places: dict[tuple, str] = {}
    if overrides:
        data = copy.deepcopy(data)
    for override in overrides:
        name, sign, text = override.partition("=")
        where = f"--set {shown(name, 80)[1:-1]}"
        keys = name.strip().split(".")
        if not sign or not all(keys):
            raise InputError(f"{shown(override)} is not of the form a.b=value", where="--set")
        path, parent = _parent(data, keys, schema, where)
        value = _value(text, annotations_at(schema, path), where)
        parent[path[-1]] = value
        places[path] = where
    return data, places


def _parent(data: dict, keys: list[str], schema: type, where: str) -> tuple[tuple, dict | list]:
    """Return the key path and the container that the last key goes into, making absent mappings on the way."""
    node, path = data, ()
    for position, key in enumerate(keys):
        if isinstance(node, list):
            if not key.isascii() or not key.isdigit() or int(key) >= len(node):
                raise InputError(f"{shown(key)} is not an entry of this list", where=where,
                                 allowed=f"0 to {len(node) - 1}")
            key = int(key)
        elif not isinstance(node, dict):
            raise InputError(f"{'.'.join(keys[:position])} is {shown(node)}, which has no keys", where=where)
        elif not annotations_at(schema, (*path, key)):
            known = list(known_fields(schema, path))
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            raise InputError(f"unknown key {shown(key)}", where=where, allowed=", ".join(known) or None,
                             do=f"did you mean {'.'.join([*keys[:position], near[0]])!r}?" if near else None)
        path = (*path, key)
        if position == len(keys) - 1:
            return path, node
        if isinstance(node, dict) and node.get(key) is None:
            node[key] = {}
        node = node[key]
    raise AssertionError("a path has at least one key")


def _value(text: str, annotations: list, where: str) -> object:
    wants_text = any(annotation is str or typing.get_origin(annotation) is typing.Literal for annotation in annotations)
    try:
        value = parse_yaml(text, where=where)
    except InputError:
        if wants_text:
            return text
        raise
    if wants_text and not isinstance(value, (str, list, dict)):
        fits = {int: (int, float), float: (int, float), bool: (bool,)}
        accepted = tuple(kind for each in annotations for kind in fits.get(each, ())) + (
            (type(None),) if type(None) in annotations else ())
        return value if accepted and isinstance(value, accepted) else text
    return value


def annotations_at(schema: object, path: tuple) -> list:
    """Return the annotations that a schema allows at a key path, unions taken apart; empty when the path is unknown.

    Parameters
    ----------
    schema : type
        A StrictModel or any annotation.
    path : tuple
        Keys and list indices.
    """
    found = _members(schema)
    for key in path:
        found = [member for annotation in found for part in _step(annotation, key) for member in _members(part)]
    return found


def known_fields(schema: object, path: tuple) -> dict[str, object]:
    """Return the field names and annotations that a schema has at a key path.

    Parameters
    ----------
    schema : type
        A StrictModel or any annotation.
    path : tuple
        Keys and list indices.
    """
    fields: dict[str, object] = {}
    for annotation in annotations_at(schema, path):
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
            for name, field in annotation.model_fields.items():
                fields[field.alias or name] = field.annotation
    return fields


def field_at(schema: object, path: tuple) -> pydantic.fields.FieldInfo | None:
    """Return the field that the last key of a path names, or None when it is a list index or a free key.

    Parameters
    ----------
    schema : type
        A StrictModel or any annotation.
    path : tuple
        Keys and list indices.
    """
    for annotation in annotations_at(schema, path[:-1]) if path else []:
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
            for name, field in annotation.model_fields.items():
                if (field.alias or name) == path[-1]:
                    return field
    return None


def _members(annotation: object) -> list:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in _UNIONS:
        return [member for part in typing.get_args(annotation) for member in _members(part)]
    return [annotation]


def _step(annotation: object, key: object) -> list:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is typing.Any or annotation in _MAPPINGS or annotation in _LISTS:
        return [typing.Any]
    if origin in _MAPPINGS:
        return [arguments[1]]
    if origin in _LISTS and isinstance(key, int):
        return [arguments[0]]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if key in fields:
            return [fields[key]]
        return [typing.Any] if annotation.model_config.get("extra") == "allow" else []
    return []
