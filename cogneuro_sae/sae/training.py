"""train_sae: the L1 recipe of docs/methods.md on an activation store, resumable bit for bit on one CPU layout.

loss = mean over the batch of ( sum_d (z - zhat)^2 + lambda sum_i f_i ||W_dec_i|| ), z centred and scaled to mean norm
sqrt(d); Adam without weight decay; lr constant, linear to 0 over the last 20 % of the steps; lambda rises linearly over
the first 5 %; gradient norm clipped at 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.sae.architectures import ARCHITECTURES
from cogneuro_sae.sae.base import SparseAutoencoder
from cogneuro_sae.sae.metrics import firing_rates, reconstruction_metrics
from cogneuro_sae.sae.state import (
    Checkpoint, copied, identity, latest_checkpoint, optimizer_tensors, restore_optimizer, write_checkpoint,
)
from cogneuro_sae.sae.tracking import Progress, Tracker
from cogneuro_sae.sae.train_config import TrainConfig
from cogneuro_sae.store import ActivationStore

PARAMETERS = ("W_enc", "b_enc", "W_dec", "b_dec")
WARM_UP, DECAY, CLIP = 0.05, 0.20, 1.0
SETTLED = 0.10            # share of the steps after which a collapse counts
CHUNK = 1024              # rows per backward pass: their features stay in the processor's cache


def l1_at(step: int, steps: int, l1: float) -> float:
    """Return the penalty coefficient of a step: linear from 0 over the first 5 % of the steps, then constant.

    Parameters
    ----------
    step : int
        From 0.
    steps : int
        Steps in all.
    l1 : float
        Final coefficient.

    Returns
    -------
    float
    """
    return l1 * min(1.0, step / max(1.0, WARM_UP * steps))


def lr_at(step: int, steps: int, lr: float) -> float:
    """Return the learning rate of a step: constant, then linear to 0 over the last 20 % of the steps.

    Parameters
    ----------
    step : int
        From 0.
    steps : int
        Steps in all.
    lr : float
        Constant rate.

    Returns
    -------
    float
    """
    return lr * min(1.0, (steps - step) / max(1.0, DECAY * steps))


def train_sae(store: ActivationStore, config: TrainConfig, folder: str | Path, *, validation: ActivationStore,
              device: str = "cpu", quiet: bool = False,
              after_step: Callable[[int, SparseAutoencoder], None] | None = None) -> SparseAutoencoder:
    """Train one SAE, going on from the newest complete checkpoint in `folder`.

    Parameters
    ----------
    store : ActivationStore
        Training activations.
    config : TrainConfig
        The recipe.
    folder : str or Path
        Where the checkpoints stand.
    validation : ActivationStore
        Activations of held-out documents; the parameters at its lowest loss are returned.
    device : str
        Where the arithmetic runs.
    quiet : bool
        Show no progress.
    after_step : callable, optional
        Called with (steps done, SAE in training) after every step.

    Returns
    -------
    SparseAutoencoder
        Folded (raw units, decoder rows of norm 1), with `firing_rate` and `metrics["training"]`.

    Raises
    ------
    InputError
        Unknown architecture, a checkpoint of another config (its changed keys are named), stores of different models or
        sites, a collapse, or too many steps with NaN or infinite numbers.
    SetupError
        Another process works in the folder.
    Interrupted
        SIGINT or SIGTERM came; a checkpoint was written.
    """
    if config.architecture not in ARCHITECTURES:
        raise unknown_name("architecture", config.architecture, ARCHITECTURES)
    for key in ("model_sha256", "site", "d_model"):
        if getattr(store, key) != getattr(validation, key):
            raise InputError(f"training and held-out activations differ in {key}", where=str(validation.folder))
    folder = Path(folder)
    with files.locked(folder), Interrupts() as interrupts:
        files.sweep(folder)
        run = _Run(store, config, folder, validation, device)
        with Progress("training", config.tokens, done=min(run.step * config.batch, config.tokens), quiet=quiet) as bar:
            run.train(bar, interrupts, after_step)
        return run.result()


def input_scales(store: ActivationStore, config: TrainConfig) -> dict:
    """Return how the inputs are centred and scaled, so that their mean norm is sqrt(d).

    Parameters
    ----------
    store : ActivationStore
        Training activations.
    config : TrainConfig
        Says whether to centre.

    Returns
    -------
    dict
        `center` (d,) or None, `input_scale`, and `scale` = mean raw norm / sqrt(d).
    """
    center, root = store.moments().mean if config.center else None, math.sqrt(store.d_model)
    return {"center": center, "input_scale": root / store.mean_norm(center), "scale": store.mean_norm() / root}


class _Run:
    """The changing state of one training run."""

    def __init__(self, store, config, folder, validation, device):
        self.store, self.config, self.folder, self.validation = store, config, folder, validation
        self.identity = identity(config, store)
        found = latest_checkpoint(folder, self.identity)
        inputs = found.state["inputs"] | {"center": found.weights["center"].numpy()} if found else input_scales(store, config)
        self.sae = ARCHITECTURES[config.architecture](
            store.d_model, config.width, **inputs, site=store.site, model_sha256=store.model_sha256,
            prepend_bos=store.manifest["prepend_bos"], name=config.name)
        self.sae.initialise(config.seed, decoder_norm=config.decoder_norm)
        self.sae.to(device)
        self.parameters = [getattr(self.sae, name) for name in PARAMETERS]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.lr, betas=(0.9, 0.999),
                                          fused=self.sae.W_enc.device.type in ("cpu", "cuda"))
        self.step, self.nonfinite, self.history = 0, 0, []
        self.best, self.best_loss, self.best_step = copied(self.sae), math.inf, 0
        if found:
            self.restore(found)
        self.tracker = Tracker(config.wandb, name=config.name, config=config.recipe(), folder=folder,
                               run_id=f"{config.name}-{self.identity['activations'][:10]}")

    def restore(self, found: Checkpoint) -> None:
        self.sae.load_state_dict(found.weights)
        restore_optimizer(self.optimizer, list(PARAMETERS), found.optimizer)
        self.best, state = found.best, found.state
        self.step, self.nonfinite, self.history = state["step"], state["nonfinite"], state["history"]
        self.best_step = state["best_step"]
        self.best_loss = math.inf if state["best_loss"] is None else state["best_loss"]

    def train(self, bar, interrupts, after_step) -> None:
        config, every = self.config, max(1, self.config.checkpoint_every // self.config.batch)
        batches = self.store.batches(config.batch, config.seed, start=self.step)
        while self.step < config.steps:
            numbers = self.one_step(torch.from_numpy(next(batches)).to(self.sae.W_enc.device))
            self.step += 1
            if after_step:
                after_step(self.step, self.sae)
            if self.step % every == 0 or self.step == config.steps:
                numbers |= self.validate()
                self.save()
            self.tracker.log(numbers, step=self.step)
            bar.update(min(self.step * config.batch, config.tokens),
                       f"loss {numbers['loss']:.1f} L0 {numbers['l0']:.0f}" +
                       (f" held-out FVU {self.history[-1]['fvu']:.3f}" if self.history else ""))
            if interrupts.requested:
                self.save()
            interrupts.check(f"training at step {self.step} of {config.steps}", where=str(self.folder))
        self.tracker.close()

    def one_step(self, x: torch.Tensor) -> dict:
        config = self.config
        l1 = l1_at(self.step, config.steps, config.l1)
        loss = l0 = 0.0
        for part in x.split(CHUNK):
            terms = self.sae.loss(part)
            total = (terms.reconstruction + l1 * terms.penalty) / len(x)
            total.backward()
            loss, l0 = loss + float(total.detach()), l0 + float(terms.active) / len(x)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, CLIP))
        if math.isfinite(loss) and math.isfinite(norm):
            self.optimizer.param_groups[0]["lr"] = lr_at(self.step, config.steps, config.lr)
            self.optimizer.step()
        else:
            self.count_nonfinite(loss, norm)
        self.optimizer.zero_grad(set_to_none=False)
        return {"loss": loss, "l0": l0, "gradient_norm": norm, "l1": l1}

    def count_nonfinite(self, loss: float, norm: float) -> None:
        self.nonfinite += 1
        if self.nonfinite > self.config.max_nonfinite:
            raise InputError(
                f"{self.nonfinite} steps with NaN or infinite numbers (max_nonfinite is {self.config.max_nonfinite}; "
                f"last: step {self.step}, batch {self.step}, loss {loss}, gradient norm {norm})", where=str(self.folder),
                do="the last good checkpoint is kept; lower lr, or capture the activations again")

    def validate(self) -> dict:
        found = reconstruction_metrics(self.sae, self.validation, limit=self.config.heldout_tokens)
        loss = found.reconstruction_loss + self.config.l1 * found.penalty
        self.history.append({"step": self.step, "tokens": self.step * self.config.batch, "loss": loss, "fvu": found.fvu,
                             "l0": found.l0})
        if self.step >= SETTLED * self.config.steps:
            refuse_collapse(found.fvu, found.l0, where=f"{self.folder} at step {self.step}", l1=self.config.l1)
        if loss < self.best_loss:
            self.best, self.best_loss, self.best_step = copied(self.sae), loss, self.step
        return {"heldout_loss": loss, "heldout_fvu": found.fvu, "heldout_l0": found.l0}

    def save(self) -> None:
        state = {"step": self.step, "best_loss": self.best_loss, "best_step": self.best_step, "nonfinite": self.nonfinite,
                 "history": self.history, "identity": self.identity,
                 "inputs": {"input_scale": self.sae.input_scale, "scale": self.sae.scale}}
        write_checkpoint(self.folder, Checkpoint(copied(self.sae), self.best,
                                                 optimizer_tensors(self.optimizer, list(PARAMETERS)), state))

    def result(self) -> SparseAutoencoder:
        self.sae.load_state_dict(self.best)
        folded = self.sae.folded()
        folded.firing_rate = firing_rates(folded, self.store, limit=self.config.density_tokens)
        folded.metrics = {"training": {"best_step": self.best_step, "steps": self.config.steps,
                                       "nonfinite_steps": self.nonfinite, "input_scale": self.sae.input_scale,
                                       "history": self.history}}
        return folded


def refuse_collapse(fvu: float, l0: float, *, where: str, l1: float) -> None:
    """Raise when an SAE is not one: every latent silent, or no variance explained.

    Parameters
    ----------
    fvu : float
        Fraction of variance unexplained on held-out tokens.
    l0 : float
        Mean number of active latents per token.
    where : str
        For the message.
    l1 : float
        The coefficient it was trained with.

    Raises
    ------
    InputError
        l0 = 0, or fvu >= 1 or not a number.
    """
    if l0 == 0 or not fvu < 1:
        raise InputError(f"the SAE collapsed (L0 {l0:.2f}, FVU {fvu:.3f} on held-out tokens)", where=where,
                         allowed="L0 > 0 and FVU < 1", do=f"lower l1 (now {l1:g}) or lr, or train on more tokens")
