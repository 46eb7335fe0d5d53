"""Mean surprisal of texts under a model: how expected their words are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cogneuro_sae.language_model.model import LanguageModel
from cogneuro_sae.language_model.tokens import check_lengths


def mean_surprisal(model: LanguageModel, texts: Sequence[str], *, ids: Sequence[str] | None = None,
                   token_budget: int = 2048) -> np.ndarray:
    """Return the mean of -log p(token | BOS and the tokens before it) over each text's tokens.

    Parameters
    ----------
    model : LanguageModel
        The model; BOS is fed where its tokenizer has one and is never itself counted. Without BOS the first token has
        nothing before it and is left out.
    texts : sequence of str
        Texts.
    ids : sequence of str, optional
        Stimulus ids, for messages.
    token_budget : int
        Most padded tokens in a batch; results do not depend on it beyond rounding.

    Returns
    -------
    ndarray (n_texts,) float64
        Nats per token; NaN for a text of one token without BOS.

    Raises
    ------
    InputError
        A text that is empty or longer than the model's positions.
    """
    tokenized = model.tokenize(texts, ids=ids)
    check_lengths(tokenized, list(ids) if ids is not None else None, model.max_tokens)
    losses = model.token_losses([each.ids for each in tokenized], token_budget=token_budget)
    return np.array([each.mean(dtype=np.float64) if len(each) else np.nan for each in losses])
