"""LanguageModel: a causal decoder with named sites that can be read and edited."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model import loading
from cogneuro_sae.language_model.hooks import Edit, editing
from cogneuro_sae.language_model.losses import token_losses
from cogneuro_sae.language_model.recording import padded, read_sites, record_tokens
from cogneuro_sae.language_model.sites import find_layout, resolve
from cogneuro_sae.language_model.tokens import Tokenized, check_lengths, token_texts, tokenize
from cogneuro_sae.responses import Responses

NO_LIMIT = 10 ** 9      # positions of a model that states none


class LanguageModel:
    """A Hugging Face decoder, its tokenizer and its sites.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer; needs no pad token.
    name : str
        What artefacts call it.
    sha256 : str
        Hash of its weights.
    scales : dict of str to float, optional
        {canonical site: mean residual norm / sqrt(d_model)}.
    notes : tuple of str
        What a reader should know about how it was loaded.

    Raises
    ------
    InputError
        The model has no list of blocks, or its tokens look ahead.
    """

    def __init__(self, model, tokenizer, *, name: str = "", sha256: str = "", scales: dict[str, float] | None = None,
                 notes: tuple[str, ...] = ()):
        self.model, self.tokenizer, self.name, self.sha256 = model.eval(), tokenizer, name, sha256
        config = model.config.get_text_config()
        self.n_layers = int(config.num_hidden_layers)
        self.d_model = int(config.hidden_size)
        self.max_tokens = int(getattr(config, "max_position_embeddings", None) or NO_LIMIT)
        self.scales, self.notes = dict(scales or {}), tuple(notes)
        self.device = model.get_input_embeddings().weight.device
        self._layout = find_layout(model, self.n_layers)
        self._modules = {path for path, _ in model.named_modules()}
        self._edits: dict[str, tuple] = {}     # site: the edits in force, and the handle of the one hook that runs them
        self._check_causal()

    @classmethod
    def load(cls, reference: str | os.PathLike = "default", *, device: str = "cpu", dtype: str = "float32",
             allow_download: bool = False, allow_bin: bool = False) -> LanguageModel:
        """Load a model: the shipped default, a folder, or a name on the Hugging Face hub.

        Parameters
        ----------
        reference : str or PathLike
            `default`, a folder, or a hub name such as `openlm-research/open_llama_3b_v2`.
        device : str
            `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype : str
            `float32`, `bfloat16` or `float16`, whatever the file holds; analyses want float32.
        allow_download : bool
            Whether a hub name may be downloaded.
        allow_bin : bool
            Accept `.bin` weights of a folder, read with weights_only; a name on the hub implies it.

        Returns
        -------
        LanguageModel

        Raises
        ------
        InputError
            No such model, or a folder that is incomplete, altered, or not a causal decoder.
        SetupError
            No such device, no network, or too little memory.
        """
        found = loading.load(reference, device=device, dtype=dtype, allow_download=allow_download, allow_bin=allow_bin)
        return cls(found.model, found.tokenizer, name=found.name, sha256=found.sha256, scales=found.scales,
                   notes=found.notes)

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.n_layers} layers, d_model {self.d_model}, {self.device})"

    def resolve_site(self, site: str) -> str:
        """Return the canonical form of a site (docs/recording.md).

        Parameters
        ----------
        site : str
            `middle`, `resid_post.L`, `resid_pre.L`, `mlp_out.L`, `attn_out.L`, `head_out.L`, a TransformerLens name,
            or a module path with or without `:input`.

        Returns
        -------
        str

        Raises
        ------
        InputError
            Unknown site (near ones are listed) or layer out of range.
        """
        return resolve(site, self._layout, self._modules)

    def width(self, site: str) -> int:
        """Return the number of units of a site.

        Parameters
        ----------
        site : str
            Any form of a site.

        Returns
        -------
        int
        """
        ids, mask = padded([np.zeros(1, dtype=np.int64)], self.device)
        (_, tensor), = read_sites(self.model, [self.resolve_site(site)], ids, mask)
        return tensor.shape[-1]

    def scale(self, site: str) -> float:
        """Return s = mean residual norm / sqrt(d_model) of a site, 1 where the model's folder has none.

        Parameters
        ----------
        site : str
            Any form of a site.

        Returns
        -------
        float
        """
        return self.scales.get(self.resolve_site(site), 1.0)

    def tokenize(self, texts: Sequence[str], *, ids: Sequence[str] | None = None, bos: bool = True) -> list[Tokenized]:
        """Tokenize texts; `</s>` in a text stays literal, BOS is ours and known by position.

        Parameters
        ----------
        texts : sequence of str
            Texts.
        ids : sequence of str, optional
            Stimulus ids, for messages.
        bos : bool
            Put the tokenizer's BOS in front, where it has one.

        Returns
        -------
        list of Tokenized

        Raises
        ------
        InputError
            A text that is empty or not text. (`record` refuses texts longer than the model's positions.)
        """
        if isinstance(texts, str):
            raise InputError("one text was given where a list of texts belongs", do="put it in a list")
        if ids is not None and len(ids) != len(texts):
            raise InputError(f"{len(ids)} ids for {len(texts)} texts")
        return tokenize(self.tokenizer, list(texts), ids=ids, bos=bos)

    def record(self, texts: Sequence[str], sites: str | Sequence[str], *, ids: Sequence[str] | None = None,
               token_budget: int = 2048, bos: bool = True) -> Responses | dict[str, Responses]:
        """Record the activations of every token of every text, in one pass that ends after the deepest site.

        Parameters
        ----------
        texts : sequence of str
            Texts, normalised.
        sites : str or sequence of str
            One site, or several to read in the same pass.
        ids : sequence of str, optional
            Stimulus ids.
        token_budget : int
            Most padded tokens in a batch; results do not depend on it beyond rounding.
        bos : bool
            Put the tokenizer's BOS in front, where it has one; it is marked special and enters no window.

        Returns
        -------
        Responses, or dict of canonical site to Responses
            A dict when `sites` is a sequence.

        Raises
        ------
        InputError
            Unknown site; a text that is empty or too long; activations that are not finite.
        SetupError
            Memory runs out with half the budget too.
        """
        wanted = [self.resolve_site(site) for site in ([sites] if isinstance(sites, str) else sites)]
        if not wanted or not len(texts):
            raise InputError("nothing to record", allowed="at least one text and one site")
        tokenized = self.tokenize(texts, ids=ids, bos=bos)
        check_lengths(tokenized, ids, self.max_tokens)
        found = record_tokens(self.model, list(dict.fromkeys(wanted)), [item.ids for item in tokenized],
                              token_budget=token_budget, device=self.device)
        shared = {
            "tokens": np.concatenate([token_texts(self.tokenizer, text, item)
                                      for text, item in zip(texts, tokenized, strict=True)]),
            "offsets": np.concatenate([[0], np.cumsum([len(item.ids) for item in tokenized])]),
            "specials": np.concatenate([item.specials for item in tokenized]),
            "spans": np.concatenate([item.spans for item in tokenized]),
            "ids": tuple(ids) if ids is not None else ("",) * len(texts), "model": self.name, "sha256": self.sha256}
        responses = {}
        for site in list(found):
            values = np.concatenate(found.pop(site))
            _check_finite(values, shared["offsets"], shared["ids"], site)
            responses[site] = Responses(values=values, site=site, scale=self.scale(site), **shared)
        return responses[wanted[0]] if isinstance(sites, str) else responses

    @contextlib.contextmanager
    def edited(self, site: str, edit: Edit) -> Iterator[LanguageModel]:
        """Replace the first tensor of a site by `edit(tensor)` in every pass of the block.

        Everything read in the block, the same site included, sees the edit. Edits of one site run in the order in which
        their blocks were entered. Rows are padded on the right, so position 0 is BOS where BOS is fed.

        Parameters
        ----------
        site : str
            Any form of a site.
        edit : callable
            Takes and returns a tensor `(n_rows, n_tokens, n_units)`.

        Yields
        ------
        LanguageModel

        Raises
        ------
        InputError
            Unknown site, or an edit that changes the shape (raised in the pass).
        """
        site = self.resolve_site(site)
        if site not in self._edits:
            edits: list[Edit] = []
            self._edits[site] = edits, editing(self.model, site, edits)
        edits, handle = self._edits[site]
        edits.append(edit)
        try:
            yield self
        finally:
            edits.remove(edit)
            if not edits:
                handle.remove()
                del self._edits[site]

    def token_losses(self, token_id_lists: Sequence[np.ndarray], *, token_budget: int = 2048) -> list[np.ndarray]:
        """Return the loss of every predicted token: all but the first of each list.

        Parameters
        ----------
        token_id_lists : sequence of ndarray (n_tokens,) int64
            Token ids as the model reads them, BOS included where it belongs (`Tokenized.ids`).
        token_budget : int
            Most padded tokens in a batch.

        Returns
        -------
        list of ndarray (n_tokens - 1,) float32
            -log p(token | the tokens before it), in nats.

        Raises
        ------
        InputError
            A list with less than one or too many tokens, or an id the model does not have.
        """
        return token_losses(self.model, token_id_lists, max_tokens=self.max_tokens, token_budget=token_budget)

    def _check_causal(self) -> None:
        ids, mask = padded([np.array([0, 0]), np.array([0, 1])], self.device)
        last = f"{self._layout.blocks}.{min(1, self.n_layers - 1)}"
        (_, tensor), = read_sites(self.model, [last], ids, mask)
        if not torch.allclose(tensor[0, 0], tensor[1, 0], rtol=1e-2, atol=1e-4 * float(tensor.abs().max())):
            raise InputError(f"{type(self.model).__name__} is not causal: a token's activation depends on the next token",
                             allowed="a causal decoder")


def _check_finite(values: np.ndarray, offsets: np.ndarray, ids: tuple[str, ...], site: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        row = int(np.searchsorted(offsets, bad[0], side="right")) - 1
        raise InputError(f"{len(bad)} tokens have NaN or infinite activations", where=f"{ids[row] or f'text {row}'} at {site}",
                         do="use dtype float32, or check the model's weights")
