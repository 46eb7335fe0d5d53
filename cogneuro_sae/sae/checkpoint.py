"""SAE folders in SAELens' own form: save_sae and load_sae (docs/sae.md).

`cfg.json`, `sae_weights.safetensors`, `sparsity.safetensors`, `training.json`; `manifest.json` is written last.
A folder from elsewhere may lack the last three.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.sae.architectures import ARCHITECTURES
from cogneuro_sae.sae.base import SparseAutoencoder

SHIPPED = Path(__file__).parents[1] / "data" / "saes"
SAELENS_VERSION = "6.0.0"
SAELENS_NAMES = {"l1": "standard"}
NAMES = ("cfg.json", "sae_weights.safetensors", "sparsity.safetensors", "training.json")
SHAPES = {"W_enc": ("d_in", "d_sae"), "b_enc": ("d_sae",), "W_dec": ("d_sae", "d_in"), "b_dec": ("d_in",)}
DTYPES = ("float32", "float16", "bfloat16")
UNIT_NORM = 1e-4


def save_sae(sae: SparseAutoencoder, folder: str | Path, *, model_name: str = "", training: dict | None = None) -> Path:
    """Save an SAE as a folder that SAELens reads too; centring and scale are folded, decoder rows get norm 1.

    Parameters
    ----------
    sae : SparseAutoencoder
        Folded or not; the function is preserved.
    folder : str or Path
        Made if absent; the manifest is written last.
    model_name : str
        Recorded in the metadata.
    training : dict, optional
        For `training.json`, beside the metrics: config, hashes, versions.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        The weights are not finite.
    SetupError
        The folder cannot be written.
    """
    folder, folded = Path(folder), sae.folded()
    tensors = {name: getattr(folded, name).detach().cpu().contiguous() for name in SHAPES}
    _check_tensors(tensors, str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / files.MANIFEST).unlink(missing_ok=True)
    files.write_bytes(folder / "sae_weights.safetensors", save(tensors))
    rate = np.full(sae.n_latents, np.nan) if sae.firing_rate is None else sae.firing_rate
    with np.errstate(divide="ignore"):      # a latent that never fires has log10 frequency -inf
        logs = np.log10(rate).astype(np.float32)
    files.write_bytes(folder / "sparsity.safetensors", save({"sparsity": torch.from_numpy(logs)}))
    files.write_json(folder / "cfg.json", _cfg(sae, model_name))
    files.write_json(folder / "training.json", {**(training or {}), "metrics": sae.metrics})
    files.write_manifest(folder, list(NAMES))
    return folder


def _cfg(sae: SparseAutoencoder, model_name: str) -> dict:
    return {"architecture": SAELENS_NAMES[sae.architecture], "d_in": sae.d_in, "d_sae": sae.n_latents,
            "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": False, "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": {"sae_lens_version": SAELENS_VERSION, "model_name": model_name, "hook_name": sae.site,
                         "model_sha256": sae.model_sha256, "prepend_bos": sae.prepend_bos,
                         "exclude_special_tokens": True, "trained_as": sae.architecture, "name": sae.name,
                         "input_scale": sae.metrics.get("training", {}).get("input_scale", sae.input_scale),
                         "residual_scale": sae.scale}}


def load_sae(reference: str | Path = "default", *, model=None, site: str | None = None) -> SparseAutoencoder:
    """Load an SAE: a shipped name or a folder in SAELens' form.

    Parameters
    ----------
    reference : str or Path
        "default", or a folder.
    model : LanguageModel, optional
        When given, width, site and weights are compared with what the SAE was trained on.
    site : str, optional
        Site it is to be used at (any name the model resolves; without a model the canonical form).

    Returns
    -------
    SparseAutoencoder
        Decoder rows of norm 1 (made so where they are not; the function is preserved).

    Raises
    ------
    InputError
        Nothing there, incomplete or altered, an architecture or normalisation this does not read, NaN or infinite
        weights, an all-zero decoder, or another width, site or model than asked for.
    """
    folder = _folder(reference)
    cfg = _read_cfg(folder)
    tensors = _read_tensors(folder, cfg)
    meta = cfg.get("metadata") or {}
    kind = next(name for name, theirs in SAELENS_NAMES.items() if theirs == cfg["architecture"])
    sae = ARCHITECTURES[kind](cfg["d_in"], cfg["d_sae"], site=meta.get("hook_name") or "",
                              model_sha256=meta.get("model_sha256") or "", scale=meta.get("residual_scale") or 1.0,
                              prepend_bos=meta.get("prepend_bos", True),
                              name=str(reference) if _is_shipped(reference) else meta.get("name") or folder.name)
    if cfg["apply_b_dec_to_input"]:
        tensors["b_enc"] = tensors["b_enc"] - tensors["b_dec"] @ tensors["W_enc"]
    sae.load_state_dict({**tensors, "center": sae.center})
    if ((tensors["W_dec"].norm(dim=1) - 1).abs() > UNIT_NORM).any():
        sae = sae.folded()
    sae.sha256 = files.sha256_file(folder / "sae_weights.safetensors")
    sae.firing_rate = _firing_rate(folder, cfg["d_sae"])
    if (folder / "training.json").is_file():
        sae.metrics = files.read_json(folder / "training.json").get("metrics", {})
    _check_use(sae, model, site, folder)
    return sae.requires_grad_(False).eval()


def _is_shipped(reference) -> bool:
    return isinstance(reference, str) and Path(reference).name == reference and (SHIPPED / reference / "cfg.json").is_file()


def _folder(reference) -> Path:
    folder = SHIPPED / str(reference) if _is_shipped(reference) else Path(reference).expanduser()
    if not folder.is_dir():
        shipped = sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []
        raise InputError(f"no SAE {str(reference)!r}", where=str(folder.absolute()),
                         allowed=f"{', '.join(shipped) or 'no shipped name'}, or a folder with cfg.json")
    # ours is complete only with its manifest; a folder from elsewhere has none
    if (folder / files.MANIFEST).is_file() or (folder / "training.json").is_file():
        files.check_manifest(folder)
    return folder


def _read_cfg(folder: Path) -> dict:
    where = str(folder / "cfg.json")
    cfg = files.read_json(folder / "cfg.json")
    if not isinstance(cfg, dict):
        raise InputError("is not a mapping", where=where)
    for key, kind in {"architecture": str, "d_in": int, "d_sae": int}.items():
        if not isinstance(cfg.get(key), kind):
            raise InputError(f"{key} is {cfg.get(key)!r}", where=where, allowed=f"a {kind.__name__}")
    if cfg["architecture"] not in SAELENS_NAMES.values():
        raise unknown_name("SAE architecture", cfg["architecture"], SAELENS_NAMES.values(), where=where)
    if not isinstance(cfg.get("apply_b_dec_to_input"), bool):
        raise InputError("apply_b_dec_to_input is not stated (SAELens has changed its default)", where=where,
                         allowed="true or false", do="write which one the SAE was trained with")
    for key, allowed in {"dtype": DTYPES, "normalize_activations": ("none",), "reshape_activations": ("none",)}.items():
        if cfg.get(key) not in allowed:
            raise InputError(f"{key} is {cfg.get(key)!r}", where=where, allowed=" or ".join(allowed),
                             do="fold it into the weights before saving" if key == "normalize_activations" else None)
    return cfg


def _read_tensors(folder: Path, cfg: dict) -> dict[str, torch.Tensor]:
    path = folder / "sae_weights.safetensors"
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), do="make or download it again") from error
    for name, axes in SHAPES.items():
        shape = tuple(cfg[axis] for axis in axes)
        if name not in found or tuple(found[name].shape) != shape:
            given = tuple(found[name].shape) if name in found else "missing"
            raise InputError(f"{name} is {given}", where=str(path), allowed=f"shape {shape}, as cfg.json says")
    if extra := sorted(set(found) - set(SHAPES)):
        raise InputError(f"holds {', '.join(extra)}, which a {cfg['architecture']} SAE does not have", where=str(path),
                         allowed=", ".join(SHAPES))
    tensors = {name: tensor.float() for name, tensor in found.items()}
    _check_tensors(tensors, str(path))
    return tensors


def _check_tensors(tensors: dict[str, torch.Tensor], where: str) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name} holds NaN or infinity", where=where, do="train or download it again")
    if not tensors["W_dec"].any():
        raise InputError("W_dec is all zero: the SAE reconstructs nothing", where=where, do="train or download it again")


def _firing_rate(folder: Path, n_latents: int) -> np.ndarray | None:
    path = folder / "sparsity.safetensors"
    if not path.is_file():
        return None
    try:
        logs = load_file(path)["sparsity"].double().numpy()
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), do="make or download it again") from error
    if logs.shape != (n_latents,):
        raise InputError(f"sparsity has shape {logs.shape}", where=str(path), allowed=f"({n_latents},)")
    return None if np.isnan(logs).all() else 10.0**logs


def _check_use(sae: SparseAutoencoder, model, site: str | None, folder: Path) -> None:
    where = f"SAE {folder}"
    trained = sae.site
    if model is not None:
        trained = model.resolve_site(sae.site) if sae.site else ""
        asked = model.resolve_site(site) if site else trained
    else:
        asked = site or trained
    if trained and asked != trained:
        raise InputError(f"was trained at site {trained}, not at {asked}", where=where, do=f"use site {trained}")
    if model is None:
        return
    if asked and model.width(asked) != sae.d_in:
        raise InputError(f"takes {sae.d_in} inputs, {asked} of model {model.name} has {model.width(asked)}", where=where,
                         do="use the model it was trained on")
    if sae.model_sha256 and sae.model_sha256 != model.sha256:
        raise InputError(f"was trained on other weights ({sae.model_sha256[:10]}) than model {model.name} has "
                         f"({model.sha256[:10]})", where=where, do="use the model it was trained on, or train another SAE")
