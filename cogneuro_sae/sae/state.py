"""Checkpoints of a training run: complete or absent, the previous one kept, bit for bit what was there.

`step-NNNNNNNN/` holds `weights`, `best` and `optimizer` as safetensors and `state.json` (step, history, config);
its manifest is written last. The order of the data depends on (seed, step) alone, so the step is the random state.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.provenance import hash_of
from cogneuro_sae.sae.base import SparseAutoencoder
from cogneuro_sae.sae.train_config import TrainConfig
from cogneuro_sae.store import ActivationStore

KEPT = 2
TENSORS = ("weights", "best", "optimizer")


class Checkpoint(NamedTuple):
    """What a run needs to go on.

    Parameters
    ----------
    weights, best, optimizer : dict of str to torch.Tensor
        Parameters now, parameters at the best validation, Adam's moments.
    state : dict
        `step`, `best_loss`, `best_step`, `nonfinite`, `history`, `inputs` (their scales) and `identity`.
    """

    weights: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    state: dict


def identity(config: TrainConfig, store: ActivationStore) -> dict:
    """Return what a checkpoint belongs to: the recipe and the content of the store.

    Parameters
    ----------
    config : TrainConfig
        The recipe.
    store : ActivationStore
        The training activations.

    Returns
    -------
    dict
    """
    shards = [entry["sha256"] for entry in store.manifest["files"].values()]
    return {**config.recipe(), "activations": hash_of(shards)}


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, torch.Tensor]:
    """Return Adam's state as flat named tensors.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        With one parameter group.
    names : list of str
        Names of its parameters, in order.

    Returns
    -------
    dict of str to torch.Tensor
    """
    state = optimizer.state_dict()["state"]
    return {f"{names[index]}.{key}": value.detach().cpu().contiguous().clone()
            for index, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: dict[str, torch.Tensor]) -> None:
    """Give Adam its state back.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Fresh, with the same parameters.
    names : list of str
        Names of its parameters, in order.
    tensors : dict of str to torch.Tensor
        From `optimizer_tensors`.
    """
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        parameter, key = name.rsplit(".", 1)
        entries.setdefault(names.index(parameter), {})[key] = value
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})


def copied(sae: SparseAutoencoder) -> dict[str, torch.Tensor]:
    """Return an independent copy of an SAE's tensors on the CPU.

    Parameters
    ----------
    sae : SparseAutoencoder
        Any.

    Returns
    -------
    dict of str to torch.Tensor
    """
    return {name: value.detach().cpu().contiguous().clone() for name, value in sae.state_dict().items()}


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write one checkpoint and remove all but the last two.

    Parameters
    ----------
    folder : Path
        Where the checkpoints of the run stand.
    checkpoint : Checkpoint
        What to write.

    Returns
    -------
    Path
        The checkpoint's folder.
    """
    target = Path(folder) / f"step-{checkpoint.state['step']:08d}"
    # an interrupted earlier write of the same step may have left a manifest of other bytes
    (target / files.MANIFEST).unlink(missing_ok=True)
    for name in TENSORS:
        files.write_bytes(target / f"{name}.safetensors", save(getattr(checkpoint, name)))
    files.write_json(target / "state.json", checkpoint.state)
    files.write_manifest(target, [*(f"{name}.safetensors" for name in TENSORS), "state.json"])
    standing = sorted(path for path in Path(folder).glob("step-*") if path.name <= target.name)
    for old in {*Path(folder).glob("step-*")} - {*standing[-KEPT:]}:     # later steps are damaged ones passed over
        shutil.rmtree(old, ignore_errors=True)
    return target


def latest_checkpoint(folder: Path, known: dict) -> Checkpoint | None:
    """Return the newest complete checkpoint, or None when there is none; damaged ones are passed over.

    Parameters
    ----------
    folder : Path
        Where the checkpoints of the run stand.
    known : dict
        `identity` of the run that wants to go on.

    Returns
    -------
    Checkpoint or None

    Raises
    ------
    InputError
        The checkpoint belongs to another config or other activations; the changed keys are named.
    """
    for path in sorted(Path(folder).glob("step-*"), reverse=True):
        if not files.is_complete(path):
            continue
        state = files.read_json(path / "state.json")
        changed = sorted(key for key in {*known, *state["identity"]} if known.get(key) != state["identity"].get(key))
        if changed:
            raise refused(changed, state["identity"], known, path)
        return Checkpoint(*(load_file(path / f"{name}.safetensors") for name in TENSORS), state)
    return None


def refused(changed: list[str], before: dict, now: dict, path: Path) -> InputError:
    """Return (not raise) the error for a run that was begun under another config.

    Parameters
    ----------
    changed : list of str
        Keys that differ.
    before, now : dict
        Their values.
    path : Path
        What was begun.

    Returns
    -------
    InputError
    """
    shown = ", ".join(f"{key} (was {before.get(key)!r}, now {now.get(key)!r})" for key in changed)
    return InputError(f"was begun under another config; changed: {shown}", where=str(path),
                      do="undo the change, choose another --out, or start again with --overwrite")
