"""Losses of given tokens: what bits per byte, loss recovered and sentence probabilities are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model.recording import forward, in_batches, padded

LOGITS_BUDGET = 2 ** 26      # most logits at a time: 268 MB in float32


def token_losses(model: torch.nn.Module, token_id_lists: Sequence[np.ndarray], *, max_tokens: int,
                 token_budget: int = 2048) -> list[np.ndarray]:
    """Return -log p(token | the tokens before it) of all but the first token of each list.

    Parameters
    ----------
    model : torch.nn.Module
        A causal language model.
    token_id_lists : sequence of ndarray (n_tokens,) int64
        Token ids as the model reads them.
    max_tokens : int
        Most positions the model has.
    token_budget : int
        Most padded tokens in a batch.

    Returns
    -------
    list of ndarray (n_tokens - 1,) float32
        Nats.

    Raises
    ------
    InputError
        A list with less than one or too many tokens, or an id the model does not have.
    """
    lists = [np.asarray(ids, dtype=np.int64) for ids in token_id_lists]
    weight = model.get_input_embeddings().weight
    device, rows = weight.device, weight.shape[0]
    for place, ids in enumerate(lists):
        if ids.ndim != 1 or not len(ids) or (max_tokens and len(ids) > max_tokens):
            raise InputError(f"token list {place} has shape {ids.shape}", allowed=f"1 to {max_tokens} tokens")
        if ids.min() < 0 or ids.max() >= rows:
            raise InputError(f"token list {place} has ids {ids.min()} to {ids.max()}", allowed=f"0 to {rows - 1}")
    losses: list = [None] * len(lists)

    def step(batch: np.ndarray) -> None:
        ids, mask = padded([lists[row] for row in batch], device)
        logits = forward(model, ids, mask).logits[:, :-1].float()
        nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").cpu()
        for place, row in enumerate(batch):
            losses[row] = nats[place, :len(lists[row]) - 1].numpy().copy()

    in_batches(lists, min(int(token_budget), max(1, LOGITS_BUDGET // rows)), step)
    return losses
