"""Texts to token ids: BOS added by us and known by position, literal `</s>`, character spans, clear limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError


class Tokenized(NamedTuple):
    """One text as the model reads it.

    Parameters
    ----------
    ids : ndarray (n_tokens,) int64
        Token ids.
    specials : ndarray (n_tokens,) bool
        True where we added the token (BOS), never judged by its id.
    spans : ndarray (n_tokens, 2) int64
        Characters of each token in the text, half open; (0, 0) for specials.
    """

    ids: np.ndarray
    specials: np.ndarray
    spans: np.ndarray


def tokenize(tokenizer, texts: list[str], *, ids: list[str] | None = None, bos: bool = True) -> list[Tokenized]:
    """Tokenize texts.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        A fast tokenizer.
    texts : list of str
        Texts; `</s>` and the like stay literal.
    ids : list of str, optional
        Stimulus ids, for messages.
    bos : bool
        Put the tokenizer's BOS in front, where it has one.

    Returns
    -------
    list of Tokenized

    Raises
    ------
    InputError
        A text that is not a string or has no token.
    """
    names = [f"text {row}" if not name else name for row, name in enumerate(ids or [""] * len(texts))]
    for name, text in zip(names, texts, strict=True):
        _check_text(name, text)
    if not len(texts):
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, padding=False,
                        truncation=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
    head = [tokenizer.bos_token_id] if bos and tokenizer.bos_token_id is not None else []
    found = []
    for name, tokens, offsets in zip(names, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        if not tokens:
            raise InputError("the text has no token", where=name, do="give it words, or leave it out")
        found.append(Tokenized(np.array(head + tokens, dtype=np.int64),
                               np.arange(len(head) + len(tokens)) < len(head),
                               np.array([(0, 0)] * len(head) + offsets, dtype=np.int64)))
    return found


def check_lengths(tokenized: list[Tokenized], ids: list[str] | None, max_tokens: int) -> None:
    """Refuse texts with more tokens than the model has positions; it would run on them without a word.

    Parameters
    ----------
    tokenized : list of Tokenized
        The texts.
    ids : list of str or None
        Stimulus ids, for the message.
    max_tokens : int
        Most positions the model has.

    Raises
    ------
    InputError
        Names the texts and their lengths.
    """
    long = [(row, len(item.ids)) for row, item in enumerate(tokenized) if len(item.ids) > max_tokens]
    if long:
        shown = ", ".join(f"{ids[row] if ids and ids[row] else f'text {row}'} ({length})" for row, length in long[:5])
        raise InputError(f"{len(long)} texts have more tokens than the model has positions: {shown}",
                         allowed=f"at most {max_tokens} tokens", do="shorten them")


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise InputError(f"a text is a {type(text).__name__}", where=name, allowed="strings")
    if not text.strip():
        raise InputError("the text is empty", where=name, do="give it words, or leave it out")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"the text has a lone surrogate at character {error.start}", where=name,
                         do="save it as valid UTF-8") from error


def token_texts(tokenizer, text: str, tokenized: Tokenized) -> list[str]:
    """Return what each token covers of its text; a token that covers nothing shows as the tokenizer's own piece.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        The tokenizer.
    text : str
        The text.
    tokenized : Tokenized
        Its tokens.

    Returns
    -------
    list of str
    """
    pieces = tokenizer.convert_ids_to_tokens(tokenized.ids.tolist())
    return [text[start:stop] if stop > start else str(piece)
            for (start, stop), piece in zip(tokenized.spans.tolist(), pieces, strict=True)]
