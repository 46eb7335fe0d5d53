"""How good an SAE is, on held-out tokens: FVU, L0, shrinkage, density, dead latents, loss recovered (docs/methods.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from cogneuro_sae.errors import InputError
from cogneuro_sae.sae.base import SparseAutoencoder
from cogneuro_sae.store import ActivationStore

ROWS = 4096
DENSITY_EDGES = np.arange(-6.0, 0.01, 0.5)


class Reconstruction(NamedTuple):
    """Metrics of one SAE over a set of tokens.

    Parameters
    ----------
    fvu : float
        sum |x - xhat|^2 / sum |x - xbar|^2, xbar the mean of the same tokens.
    l0 : float
        Mean number of latents > 0 per token.
    shrinkage : float
        gamma = sum <x - xbar, xhat - xbar> / sum |xhat - xbar|^2; > 1 means shrunk.
    norm_ratio : float
        Mean |xhat| / mean |x|.
    reconstruction_loss : float
        Mean over tokens of the squared error summed over dimensions, in the units training uses.
    penalty : float
        Mean over tokens of the sparsity term without coefficient, in the units training uses.
    n_tokens : int
        Tokens seen.
    """

    fvu: float
    l0: float
    shrinkage: float
    norm_ratio: float
    reconstruction_loss: float
    penalty: float
    n_tokens: int


class LossRecovered(NamedTuple):
    """Cross-entropy of the model with the site's output replaced, special tokens passed through unchanged.

    Parameters
    ----------
    ce_original, ce_sae, ce_mean, ce_zero : float
        Nats per predicted content token: untouched, reconstructed, replaced by the mean of the same tokens, by zeros.
    recovered_mean, recovered_zero : float
        (CE_ablated - CE_sae) / (CE_ablated - CE_original), not clipped.
    n_tokens : int
        Predicted tokens.
    """

    ce_original: float
    ce_sae: float
    ce_mean: float
    ce_zero: float
    recovered_mean: float
    recovered_zero: float
    n_tokens: int


def reconstruction_metrics(sae: SparseAutoencoder, rows: ActivationStore | np.ndarray, *,
                           limit: int | None = None) -> Reconstruction:
    """Return FVU, L0, shrinkage and the loss terms over tokens, in two streaming passes.

    Parameters
    ----------
    sae : SparseAutoencoder
        Any.
    rows : ActivationStore or numpy.ndarray
        (n_tokens, d_in) raw residual values of content tokens.
    limit : int, optional
        Use the first so many.

    Returns
    -------
    Reconstruction

    Raises
    ------
    InputError
        Fewer than two tokens.
    """
    n = min(len(rows), limit or len(rows))
    if n < 2:
        raise InputError(f"{n} tokens to measure an SAE on", allowed="2 or more")
    mean = sum(x.sum(dim=0) for x in _chunks(rows, n)) / n
    sums = sum(_sums(sae, x, mean) for x in _chunks(rows, n)).tolist()
    error, total, cross, spread, norm_hat, norm, reconstruction, penalty, active = sums
    return Reconstruction(fvu=_ratio(error, total), l0=active / n, shrinkage=_ratio(cross, spread),
                          norm_ratio=_ratio(norm_hat, norm), reconstruction_loss=reconstruction / n, penalty=penalty / n,
                          n_tokens=n)


@torch.no_grad()
def _sums(sae: SparseAutoencoder, x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    f = sae.encode(x.float().to(sae.W_enc.device))
    hat = sae.decode(f).cpu().double()      # sums in float64, which not every accelerator has
    residual = (x - hat).pow(2).sum()
    moved, centred = hat - mean, x - mean
    return torch.stack([residual, centred.pow(2).sum(), (centred * moved).sum(), moved.pow(2).sum(),
                        hat.norm(dim=1).sum(), x.norm(dim=1).sum(), residual * sae.input_scale**2,
                        sae.penalty(f).cpu().double(), (f > 0).sum().cpu().double()])


def firing_rates(sae: SparseAutoencoder, rows: ActivationStore | np.ndarray, *, limit: int | None = None) -> np.ndarray:
    """Return the share of tokens on which each latent is > 0.

    Parameters
    ----------
    sae : SparseAutoencoder
        Any.
    rows : ActivationStore or numpy.ndarray
        (n_tokens, d_in) raw residual values of content tokens.
    limit : int, optional
        Use the first so many.

    Returns
    -------
    numpy.ndarray
        (n_latents,) float64 in [0, 1].
    """
    n = min(len(rows), limit or len(rows))
    with torch.no_grad():
        counts = sum((sae.encode(x.float().to(sae.W_enc.device)) > 0).sum(dim=0).cpu() for x in _chunks(rows, n))
    return counts.numpy().astype(np.float64) / n


def density_histogram(firing_rate: np.ndarray) -> dict:
    """Return how many latents fire how often.

    Parameters
    ----------
    firing_rate : numpy.ndarray
        (n_latents,) share of tokens.

    Returns
    -------
    dict
        `edges` of log10 firing rate, `counts` between them, `never` for latents that never fire; latents rarer than the
        first edge are in the first bin.
    """
    rate = np.asarray(firing_rate, np.float64)
    logs = np.clip(np.log10(rate[rate > 0]), DENSITY_EDGES[0], DENSITY_EDGES[-1])
    return {"edges": DENSITY_EDGES.tolist(), "counts": np.histogram(logs, DENSITY_EDGES)[0].tolist(),
            "never": int((rate == 0).sum())}


def loss_recovered(sae: SparseAutoencoder, model, texts: list[str], *, site: str | None = None) -> LossRecovered:
    """Return what splicing the reconstruction into the model costs, against mean and zero ablation.

    Parameters
    ----------
    sae : SparseAutoencoder
        Any.
    model : LanguageModel
        Gives `tokenize`, `record`, `edited`, `token_losses`.
    texts : list of str
        Held-out passages that fit the model.
    site : str, optional
        Where to splice (default: the SAE's own site).

    Returns
    -------
    LossRecovered

    Raises
    ------
    InputError
        No token to predict in the texts.
    """
    site = site or sae.site
    # as the inputs were recorded in training: with or without the beginning-of-text token
    tokenized = model.tokenize(texts, bos=sae.prepend_bos)
    responses = model.record(texts, site, bos=sae.prepend_bos)
    mean = torch.from_numpy(responses.values[~responses.specials].mean(axis=0))
    replacements = {"original": None, "sae": sae, "mean": lambda x: mean.to(x).expand_as(x), "zero": torch.zeros_like}
    totals, count = dict.fromkeys(replacements, 0.0), 0
    for one in tokenized:
        content = torch.from_numpy(~np.asarray(one.specials, bool))
        predicted = content[1:].numpy()
        count += int(predicted.sum())
        for name, replacement in replacements.items():
            totals[name] += float(_losses(model, site, one.ids, content, replacement)[predicted].sum())
    if count == 0:
        raise InputError("no token to predict", where=f"{len(texts)} held-out texts", do="give longer texts")
    ce = {name: total / count for name, total in totals.items()}
    return LossRecovered(*ce.values(), *(_ratio(ce[name] - ce["sae"], ce[name] - ce["original"])
                                         for name in ("mean", "zero")), count)


@torch.no_grad()
def _losses(model, site, ids, content, replacement) -> np.ndarray:
    if replacement is None:
        return model.token_losses([ids])[0]

    def edit(x: torch.Tensor) -> torch.Tensor:
        edited = x.clone()
        mask = content.to(x.device)
        edited[0, mask] = replacement(x[0, mask].float()).to(x.dtype)
        return edited

    with model.edited(site, edit):
        return model.token_losses([ids])[0]


def sae_metrics(sae: SparseAutoencoder, heldout: ActivationStore | np.ndarray, *, model=None, texts: list[str] = (),
                firing_tokens: int = 0, limit: int | None = None) -> dict:
    """Return every quality number of an SAE as one flat mapping, as `training.json` stores it.

    Parameters
    ----------
    sae : SparseAutoencoder
        With `firing_rate` when dead latents and density are wanted.
    heldout : ActivationStore or numpy.ndarray
        (n_tokens, d_in) raw residual values of held-out content tokens.
    model : LanguageModel, optional
        For the loss recovered.
    texts : list of str
        Held-out passages, for the loss recovered.
    firing_tokens : int
        Tokens that `firing_rate` was counted over (named beside the dead share).
    limit : int, optional
        Use the first so many held-out tokens.

    Returns
    -------
    dict
    """
    found = reconstruction_metrics(sae, heldout, limit=limit)._asdict()
    numbers = {key: found[key] for key in ("fvu", "l0", "shrinkage", "norm_ratio")} | {"heldout_tokens": found["n_tokens"]}
    if sae.firing_rate is not None:
        numbers |= {"dead_fraction": float((sae.firing_rate == 0).mean()), "dead_over_tokens": firing_tokens,
                    "density": density_histogram(sae.firing_rate)}
    if model is not None and len(texts):
        loss = loss_recovered(sae, model, list(texts))._asdict()
        numbers |= {"loss_recovered": loss["recovered_mean"], "loss_recovered_zero": loss["recovered_zero"],
                    "ce_increase": loss["ce_sae"] - loss["ce_original"], "ce_tokens": loss["n_tokens"]}
        numbers |= {key: loss[key] for key in ("ce_original", "ce_sae", "ce_mean", "ce_zero")}
    return numbers


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def _chunks(rows, n: int) -> Iterator[torch.Tensor]:
    if isinstance(rows, ActivationStore):
        pieces = rows.chunks(ROWS, limit=n)
    else:
        pieces = (np.asarray(rows[start:min(start + ROWS, n)]) for start in range(0, n, ROWS))
    for piece in pieces:
        yield torch.from_numpy(np.ascontiguousarray(piece, np.float64))
