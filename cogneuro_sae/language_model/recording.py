"""One pass over texts: length-sorted token-budget batches, right padding, several sites, order restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.language_model.hooks import AllCaptured, capturing


def plan_batches(lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Group texts, longest first, so that rows x longest row stays within the budget (one row at least).

    Parameters
    ----------
    lengths : ndarray (n_texts,) int
        Tokens of each text.
    token_budget : int
        Most padded tokens in a batch.

    Returns
    -------
    list of ndarray (n_rows,) int64
        Text indices of each batch.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    batches, start = [], 0
    while start < len(order):
        rows = max(1, int(token_budget) // int(lengths[order[start]]))
        batches.append(order[start:start + rows])
        start += rows
    return batches


def padded(id_lists: list[np.ndarray], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return right-padded ids (id 0, which needs no pad token) and the mask that tells padding from tokens.

    Parameters
    ----------
    id_lists : list of ndarray (n_tokens,) int64
        Token ids of each row.
    device : torch.device
        Where to put them.

    Returns
    -------
    tuple of Tensor (n_rows, longest) int64
        Ids and attention mask.
    """
    longest = max(map(len, id_lists))
    ids = np.zeros((len(id_lists), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(id_lists):
        ids[row, :len(tokens)], mask[row, :len(tokens)] = tokens, 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def in_batches(id_lists: list[np.ndarray], token_budget: int, step: Callable[[np.ndarray], None]) -> None:
    """Run `step` on every batch; when memory runs out, halve the budget once and go on with what is left.

    Parameters
    ----------
    id_lists : list of ndarray (n_tokens,) int64
        Token ids of each text.
    token_budget : int
        Most padded tokens in a batch.
    step : callable
        Takes the text indices of a batch.

    Raises
    ------
    InputError
        A budget below 1.
    SetupError
        Memory runs out with half the budget too.
    """
    if int(token_budget) < 1:
        raise InputError(f"token_budget {token_budget} is below 1")
    lengths = np.array([len(ids) for ids in id_lists], dtype=np.int64)
    left = np.arange(len(id_lists))
    for budget in (int(token_budget), max(1, int(token_budget) // 2)):
        done: list[np.ndarray] = []
        try:
            for batch in plan_batches(lengths[left], budget):
                step(left[batch])
                done.append(left[batch])
            return
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            failure = error.with_traceback(None)      # a traceback would keep the batch's tensors alive
            left = np.setdiff1d(left, np.concatenate(done)) if done else left
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    raise SetupError(f"memory ran out with {budget} tokens in a batch ({(str(failure) or repr(failure)).splitlines()[0][:120]})",
                     do="use a smaller token budget, shorter texts, a smaller dtype or another device")


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def forward(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> object:
    """Run the model without cache and gradients; None when our reader ended the pass early.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    ids : Tensor (n_rows, n_tokens) int64
        Token ids.
    mask : Tensor (n_rows, n_tokens) int64
        1 at tokens, 0 at padding.

    Returns
    -------
    ModelOutput or None
    """
    with torch.no_grad():
        try:
            return model(input_ids=ids, attention_mask=mask, use_cache=False)
        except AllCaptured:
            return None


def read_sites(model: torch.nn.Module, sites: list[str], ids: torch.Tensor,
               mask: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Run one batch and give each site's tensor.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    sites : list of str
        Canonical sites.
    ids : Tensor (n_rows, n_tokens) int64
        Token ids.
    mask : Tensor (n_rows, n_tokens) int64
        1 at tokens, 0 at padding.

    Yields
    ------
    tuple of (str, Tensor (n_rows, n_tokens, n_units) float32 on the CPU)

    Raises
    ------
    InputError
        A site that the pass does not reach, or that has no vector per token.
    """
    with capturing(model, sites) as seen:
        forward(model, ids, mask)
    for site in sites:
        if site not in seen:
            raise InputError(f"site {site!r} is not run by this model", do="name a module that its forward pass uses")
        if seen[site].ndim != 3 or seen[site].shape[:2] != ids.shape:
            raise InputError(f"site {site!r} gives shape {tuple(seen[site].shape)} for {tuple(ids.shape)} tokens",
                             allowed="a site with one vector per token")
        yield site, seen[site].detach().to(device="cpu", dtype=torch.float32)


def record_tokens(model: torch.nn.Module, sites: list[str], id_lists: list[np.ndarray], *, token_budget: int,
                  device: torch.device) -> dict[str, list[np.ndarray]]:
    """Record the activations of every token of every text, in the order of the texts.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    sites : list of str
        Canonical sites.
    id_lists : list of ndarray (n_tokens,) int64
        Token ids of each text.
    token_budget : int
        Most padded tokens in a batch.
    device : torch.device
        Where the model is.

    Returns
    -------
    dict of str to list of ndarray (n_tokens, n_units) float32
    """
    found: dict[str, list] = {site: [None] * len(id_lists) for site in sites}

    def step(batch: np.ndarray) -> None:
        ids, mask = padded([id_lists[row] for row in batch], device)
        for site, tensor in read_sites(model, sites, ids, mask):
            for place, row in enumerate(batch):
                found[site][row] = tensor[place, :len(id_lists[row])].numpy().copy()

    in_batches(id_lists, token_budget, step)
    return found
