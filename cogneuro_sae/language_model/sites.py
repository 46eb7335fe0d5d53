"""Sites: module paths, and the names people use for them, resolved once to one canonical form (docs/recording.md)."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

import torch

from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model.hooks import INPUT, split_site

ATTENTION = ("self_attn", "attn", "attention", "self_attention")
MLP = ("mlp", "feed_forward", "ffn", "fc2")
PROJECTION = ("o_proj", "c_proj", "dense", "out_proj", "wo")


class Layout(NamedTuple):
    """Where the blocks of a decoder stand.

    Parameters
    ----------
    blocks : str
        Module path of the block list, such as `model.layers` or `transformer.h`.
    n_layers : int
        Number of blocks.
    attention : str
        Path inside a block of the module whose output the attention adds to the residual stream ("" if none is known).
    mlp : str
        The same for the MLP.
    heads : str
        Path inside a block of the projection that receives the concatenated head outputs ("" if none is known).
    """

    blocks: str
    n_layers: int
    attention: str
    mlp: str
    heads: str


def find_layout(model: torch.nn.Module, n_layers: int) -> Layout:
    """Find the list of decoder blocks and their parts.

    Parameters
    ----------
    model : torch.nn.Module
        A causal language model.
    n_layers : int
        Number of blocks its configuration states.

    Returns
    -------
    Layout

    Raises
    ------
    InputError
        No list of `n_layers` blocks: not a layout we can address.
    """
    lists = {path: len(module) for path, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)}
    fitting = [path for path, length in lists.items() if length == n_layers and path.count(".") <= 3]
    if not fitting:
        found = ", ".join(f"{path} ({length})" for path, length in list(lists.items())[:8]) or "no module list"
        raise InputError(f"{type(model).__name__} has no list of {n_layers} blocks; found {found}",
                         allowed="a decoder whose blocks stand in one module list")
    blocks = min(fitting, key=lambda path: path.count("."))
    parts = dict(model.get_submodule(f"{blocks}.0").named_modules())
    attention = next((name for name in ATTENTION if name in parts), "")
    mlp = next((name for name in MLP if name in parts), "")
    heads = next((f"{attention}.{name}" for name in PROJECTION if f"{attention}.{name}" in parts), "")
    if "post_feedforward_layernorm" in parts:      # Gemma 2 and 3, OLMo 2: what is added comes out of a second norm
        attention, mlp = "post_attention_layernorm", "post_feedforward_layernorm"
    return Layout(blocks, n_layers, attention, mlp, heads)


def resolve(site: str, layout: Layout, modules: set[str]) -> str:
    """Return the canonical form of a site.

    Parameters
    ----------
    site : str
        `middle`, `resid_post.L`, `resid_pre.L`, `mlp_out.L`, `attn_out.L`, `head_out.L`, a TransformerLens name
        (`blocks.L.hook_resid_post` ...), or a module path with or without `:input`.
    layout : Layout
        Where the blocks stand.
    modules : set of str
        Every module path of the model.

    Returns
    -------
    str

    Raises
    ------
    InputError
        Unknown name (the near ones are listed) or a layer out of range.
    """
    name = str(site).strip()
    if name == "middle":
        return _resid_pre(layout, layout.n_layers // 2)
    alias = re.fullmatch(r"([a-z_]+)\.(-?\d+)", name) or _transformer_lens(name)
    if alias and alias[1] in ALIASES:
        layer = _layer(alias[2], layout, name)
        return ALIASES[alias[1]](layout, layer)
    path, is_input = split_site(name)
    block = re.fullmatch(re.escape(layout.blocks) + r"\.(-?\d+)(\..+)?", path)
    if block:
        layer = _layer(block[1], layout, name)
        if is_input and not block[2]:
            return _resid_pre(layout, layer)
    if not path or path not in modules:
        raise _unknown(name, layout, modules)
    return name


def _layer(text: str, layout: Layout, site: str) -> int:
    if not 0 <= int(text) < layout.n_layers:
        raise InputError(f"site {site!r}: the model has no layer {text}", allowed=f"layers 0 to {layout.n_layers - 1}")
    return int(text)


def _transformer_lens(name: str) -> re.Match | None:
    match = re.fullmatch(r"blocks\.(-?\d+)\.(?:attn\.)?hook_([a-z_]+)", name)
    return match and re.fullmatch(r"([a-z_]+)\.(-?\d+)", f"{'head_out' if match[2] == 'z' else match[2]}.{match[1]}")


def _resid_pre(layout: Layout, layer: int) -> str:
    return f"{layout.blocks}.{layer - 1}" if layer > 0 else f"{layout.blocks}.0{INPUT}"


def _resid_post(layout: Layout, layer: int) -> str:
    return f"{layout.blocks}.{layer}"


def _part(layout: Layout, layer: int, part: str, kind: str) -> str:
    if not part:
        raise InputError(f"the {kind} of {layout.blocks}.{layer} stands under a name we do not know",
                         do="give the module path itself")
    return f"{layout.blocks}.{layer}.{part}"


def _mlp_out(layout: Layout, layer: int) -> str:
    return _part(layout, layer, layout.mlp, "MLP")


def _attn_out(layout: Layout, layer: int) -> str:
    return _part(layout, layer, layout.attention, "attention")


def _head_out(layout: Layout, layer: int) -> str:
    return _part(layout, layer, layout.heads, "attention's output projection") + INPUT


def _unknown(name: str, layout: Layout, modules: set[str]) -> InputError:
    digits = re.search(r"\d+", name)
    layer = min(int(digits[0]), layout.n_layers - 1) if digits else 0
    lens = [f"blocks.{layer}.hook_{alias}" for alias in ALIASES if alias != "head_out"]
    aliases = ["middle", *(f"{alias}.{layer}" for alias in ALIASES), *lens]
    paths = sorted(path for path in modules if path)
    near = difflib.get_close_matches(name, aliases + paths, n=3, cutoff=0.55)
    hint = f"did you mean {' or '.join(near)}?" if near else None
    shown = [f"{layout.blocks}.0 to {layout.blocks}.{layout.n_layers - 1}",
             *(f"{alias}.L" for alias in ALIASES), "middle", "any module path, with :input for what it receives"]
    return InputError(f"unknown site {name!r}", allowed=", ".join(shown), do=hint)


ALIASES = {"resid_post": _resid_post, "resid_pre": _resid_pre, "mlp_out": _mlp_out, "attn_out": _attn_out,
           "head_out": _head_out}
