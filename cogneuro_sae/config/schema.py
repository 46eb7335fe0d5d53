"""Strict schemas: the base of every config class, and how a file becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import pydantic

from cogneuro_sae.config.faults import schema_errors
from cogneuro_sae.config.kinds import other_kind
from cogneuro_sae.config.overrides import apply_overrides
from cogneuro_sae.config.references import resolve
from cogneuro_sae.config.yaml_loader import load_yaml
from cogneuro_sae.errors import ManyErrors

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
    reference: str | Path, schema: type[Schema], *, kind: str, overrides: Sequence[str] = (),
    anchored: Callable[[dict, Path], dict] | None = None,
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
    anchored : callable, optional
        (what the file says, its folder) -> the same with references beside the file as absolute paths. Those in
        overrides stay relative to the working directory.

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
    data = document.data
    if anchored is not None and isinstance(data, dict):
        data = anchored(data, path.resolve().parent)
    data, places = apply_overrides(data, overrides, schema)
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
        One fault, or ManyErrors: all faults at once, in the order of lines; one line when the file is of another kind.
    """
    try:
        return schema.model_validate(data)
    except pydantic.ValidationError as error:
        if (other := other_kind(data, schema, where)) is not None:
            raise other from error
        errors = schema_errors(error, data, schema, where=where, lines=lines, places=places)
    raise errors[0] if len(errors) == 1 else ManyErrors(errors)
