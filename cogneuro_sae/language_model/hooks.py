"""Our own hooks: read a module's first tensor, or replace it. Every hook is removed when its block ends.

Reading and editing never go through `output_hidden_states`: transformers 5 leaves a hook behind that hides later edits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

from cogneuro_sae.errors import InputError

INPUT = ":input"
Edit = Callable[[torch.Tensor], torch.Tensor]


class AllCaptured(Exception):
    """Raised inside a forward pass by our hook, and caught by us, once every site asked for has been read."""


def split_site(site: str) -> tuple[str, bool]:
    """Return (module path, whether its input is meant) of a canonical site.

    Parameters
    ----------
    site : str
        Canonical site.

    Returns
    -------
    tuple of (str, bool)
    """
    return site.removesuffix(INPUT), site.endswith(INPUT)


@contextlib.contextmanager
def capturing(model: torch.nn.Module, sites: list[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Read sites during the forward passes of the block; a pass ends with `AllCaptured` after the deepest site.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    sites : list of str
        Canonical sites.

    Yields
    ------
    dict of str to Tensor
        First tensor of each site in the last pass; clear it between passes.
    """
    seen: dict[str, torch.Tensor] = {}

    def keep(site: str, tensor: torch.Tensor) -> None:
        seen.setdefault(site, tensor)
        if len(seen) == len(sites):
            raise AllCaptured

    with contextlib.ExitStack() as stack:
        for site in sites:
            path, is_input = split_site(site)
            module = model.get_submodule(path)
            if is_input:
                handle = module.register_forward_pre_hook(
                    lambda _, args, kwargs, site=site: keep(site, first_input(args, kwargs)), with_kwargs=True)
            else:
                handle = module.register_forward_hook(
                    lambda _, args, output, site=site: keep(site, first_output(output)))
            stack.callback(handle.remove)
        yield seen


def editing(model: torch.nn.Module, site: str, edits: list[Edit]) -> torch.utils.hooks.RemovableHandle:
    """Replace a site's first tensor by what the edits make of it, in the order of the list, until the handle is removed.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    site : str
        Canonical site.
    edits : list of callable
        Read at each pass, so edits may be added and taken away.

    Returns
    -------
    RemovableHandle
    """
    path, is_input = split_site(site)
    module = model.get_submodule(path)

    def on_output(_, args, output):
        return with_first_output(output, _applied(edits, first_output(output), site))

    def on_input(_, args, kwargs):
        return with_first_input(args, kwargs, _applied(edits, first_input(args, kwargs), site))

    # prepended, so that every other reader of this module sees the edited tensor
    if is_input:
        return module.register_forward_pre_hook(on_input, with_kwargs=True, prepend=True)
    return module.register_forward_hook(on_output, prepend=True)


def _applied(edits: list[Edit], tensor: torch.Tensor, site: str) -> torch.Tensor:
    for edit in edits:
        edited = edit(tensor)
        if not isinstance(edited, torch.Tensor) or edited.shape != tensor.shape:
            given = tuple(edited.shape) if isinstance(edited, torch.Tensor) else type(edited).__name__
            raise InputError(f"the edit returned {given}", where=site, allowed=f"a tensor of shape {tuple(tensor.shape)}")
        tensor = edited.to(dtype=tensor.dtype, device=tensor.device)
    return tensor


def first_output(output: object) -> torch.Tensor:
    """Return the first tensor of a module's output: decoder layers give a tensor or a tuple, by version and family.

    Parameters
    ----------
    output : Tensor, tuple, list or mapping

    Returns
    -------
    Tensor
    """
    if isinstance(output, torch.Tensor):
        return output
    return next(item for item in _items(output) if isinstance(item, torch.Tensor))


def with_first_output(output: object, tensor: torch.Tensor) -> object:
    """Return an output of the same kind whose first tensor is another one.

    Parameters
    ----------
    output : Tensor, tuple, list or mapping
        What the module gave.
    tensor : Tensor
        What stands in its place.

    Returns
    -------
    object
    """
    if isinstance(output, torch.Tensor):
        return tensor
    old = first_output(output)
    if isinstance(output, dict):
        key = next(key for key, item in output.items() if item is old)
        return type(output)({**output, key: tensor})
    return type(output)(tensor if item is old else item for item in output)


def first_input(args: tuple, kwargs: dict) -> torch.Tensor:
    """Return the first tensor a module receives: positional, else `hidden_states`, else any.

    Parameters
    ----------
    args : tuple
        Positional arguments.
    kwargs : dict
        Keyword arguments.

    Returns
    -------
    Tensor
    """
    candidates = [*args, kwargs.get("hidden_states"), *kwargs.values()]
    return next(item for item in candidates if isinstance(item, torch.Tensor))


def with_first_input(args: tuple, kwargs: dict, tensor: torch.Tensor) -> tuple[tuple, dict]:
    """Return the arguments with another first tensor.

    Parameters
    ----------
    args : tuple
        Positional arguments.
    kwargs : dict
        Keyword arguments.
    tensor : Tensor
        What stands in place of the first tensor.

    Returns
    -------
    tuple of (tuple, dict)
    """
    old = first_input(args, kwargs)
    return (tuple(tensor if item is old else item for item in args),
            {key: tensor if item is old else item for key, item in kwargs.items()})


def _items(output: object) -> list:
    return list(output.values()) if isinstance(output, dict) else list(output)
