"""What a feature's direction does to the next token by itself, and where it stands on neuronpedia.org."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cogneuro_sae import files

FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


class Promoted(NamedTuple):
    """Tokens at the two ends of a direction's effect.

    Parameters
    ----------
    promoted, suppressed : list of (str, float)
        Token and logit, largest effect first; a logit is per unit of the feature, the mean over the vocabulary taken off,
        before the final norm divides by the size of the residual.
    """

    promoted: list[tuple[str, float]]
    suppressed: list[tuple[str, float]]


def promoted_tokens(model, directions: np.ndarray, *, most: int = 10) -> list[Promoted]:
    """Return the tokens that directions of the residual stream promote and suppress (logit lens, direct path only).

    Parameters
    ----------
    model : LanguageModel
        Gives the unembedding and the final norm's gain.
    directions : ndarray (n, d_model) float32
        Decoder rows.
    most : int
        Tokens at either end.

    Returns
    -------
    list of Promoted
        Empty lists for directions of another width than the residual stream.
    """
    import torch

    head = model.model.get_output_embeddings()
    directions = np.asarray(directions, np.float32)
    if head is None or not most or not len(directions) or directions.shape[1] != head.weight.shape[1]:
        return [Promoted([], [])] * len(directions)
    with torch.no_grad():
        weight = head.weight.detach().float()
        rows = torch.from_numpy(directions).to(weight.device)
        found = []
        for row in _through_norm(model, rows):      # one at a time: n x vocabulary never exists
            logits = weight @ row
            logits -= logits.mean()
            found.append((torch.topk(logits, most), torch.topk(-logits, most)))
    return [Promoted(_named(model, high.indices, high.values), _named(model, low.indices, -low.values))
            for high, low in found]


def _through_norm(model, rows):
    """The gain of the final norm; a LayerNorm also takes the mean off."""
    import torch

    base = model.model.base_model
    base = getattr(base, "decoder", base)
    norm = next((getattr(base, name) for name in FINAL_NORMS if hasattr(base, name)), None)
    if norm is None:
        return rows
    if isinstance(norm, torch.nn.LayerNorm):
        return (rows - rows.mean(dim=1, keepdim=True)) * norm.weight.float()
    # an RMS norm leaves a row of ones as its gain, whether that is stored as w or as 1 + w
    ones = torch.ones(1, rows.shape[1], dtype=norm.weight.dtype, device=rows.device)
    return rows * norm(ones).float()


def _named(model, ids, values) -> list[tuple[str, float]]:
    return [(_shown(model.tokenizer, token), float(value))
            for token, value in zip(ids.tolist(), values.tolist(), strict=True)]


def _shown(tokenizer, token: int) -> str:
    piece = tokenizer.convert_ids_to_tokens(token)
    return str(piece).replace("\u2581", " ").replace("\u0120", " ") if piece is not None else f"<{token}>"


def neuronpedia_link(sae_id: str | None, index: int) -> str | None:
    """Return the page of a latent, https://www.neuronpedia.org/MODEL/SAE/INDEX, or None without a name.

    Parameters
    ----------
    sae_id : str or None
        MODEL/SAE, such as gpt2-small/6-res-jb.
    index : int
        Latent.

    Returns
    -------
    str or None
    """
    return f"https://www.neuronpedia.org/{sae_id}/{int(index)}" if sae_id else None


def neuronpedia_id(sae_folder: str | Path) -> str | None:
    """Return what an SAE folder's cfg.json calls it on neuronpedia.org.

    Parameters
    ----------
    sae_folder : str or Path
        The folder.

    Returns
    -------
    str or None
        None where there is no folder, no cfg.json or no name in it.
    """
    path = Path(sae_folder).expanduser() / "cfg.json"
    if not path.is_file():
        return None
    cfg = files.read_json(path)
    found = (cfg.get("metadata") or {}).get("neuronpedia_id") or cfg.get("neuronpedia_id")
    return found if isinstance(found, str) and found.count("/") == 1 else None
