"""A causal language model on this machine: options by their log-probability, free text by greedy generation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

import numpy as np

from cogneuro_sae.judge.messages import Reply, Request
from cogneuro_sae.judge.providers.context import Context
from cogneuro_sae.judge.providers.spec import RaterSpec

CUE = "\n\nAnswer:"     # what a model without a chat template continues
TOKEN_BUDGET = 4096     # most padded tokens in a batch


class LocalModel:
    """A causal language model as a rater.

    The reply to a question with options is the most probable option; its log-probability is the sum over the option's
    tokens, ln p(option | prompt), no length normalisation. Ties go to the first option.

    Parameters
    ----------
    spec : RaterSpec
        The rater; `model` is the shipped default, a folder or a name on the Hugging Face hub.
    context : Context
        `base` is where a relative folder starts.

    Raises
    ------
    InputError
        No such model.
    SetupError
        No such device, or a download that was not allowed.
    """

    is_judge = True
    paid = False
    batch = None

    def __init__(self, spec: RaterSpec, context: Context):
        from cogneuro_sae.language_model import LanguageModel

        folder = context.base / spec.model_name if context.base is not None else None
        self.language_model = LanguageModel.load(folder if folder is not None and folder.is_dir() else spec.model_name,
                                                 device=spec.device, allow_download=spec.allow_download)
        self.spec, self.name, self.model = spec, spec.name, spec.model_name
        self.chat = getattr(self.language_model.tokenizer, "chat_template", None) is not None
        self.notes = () if self.chat else (f"{self.model} has no chat template: it continues a plain prompt",)
        # one at a time: a fast tokenizer is not safe between threads, and a model has no more speed to give
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalModel({self.name!r})"

    def answer(self, request: Request) -> Reply:
        """Answer one request.

        Parameters
        ----------
        request : Request
            What is asked.

        Returns
        -------
        Reply
            Status "error" where the prompt is longer than the model reads and may not be cut.
        """
        return self.answer_many([request])[0]

    def answer_many(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer several requests; those with options share passes, by length.

        Parameters
        ----------
        requests : sequence of Request
            What is asked.

        Returns
        -------
        list of Reply
            In order; the answers do not depend on who shares a pass.
        """
        replies: list[Reply | None] = [None] * len(requests)
        rated = []
        with self._lock:
            prompts = [self.prompt_ids(request) for request in requests]
            whole = [len(ids) for ids in prompts]
            for place, request in enumerate(requests):
                prompts[place], fault = self._fitted(prompts[place], self._room(request))
                fault = self._forged(request) or fault
                if fault:
                    replies[place] = Reply("", json.dumps({"provider": self.name}), "error", fault)
                elif request.options:
                    rated.append(place)
                else:
                    replies[place] = self._write(request, prompts[place], whole[place])
            if rated:
                begun = time.monotonic()
                found = self.log_probabilities([prompts[place] for place in rated],
                                               [self.option_ids(requests[place]) for place in rated])
                each = (time.monotonic() - begun) / len(rated)
                for place, values in zip(rated, found, strict=True):
                    replies[place] = self._choose(requests[place], values, (len(prompts[place]), whole[place]), each)
        return replies

    def prompt_ids(self, request: Request) -> np.ndarray:
        """Return the tokens of a prompt, `(n_tokens,)` int64: by the chat template, or plain with a cue at its end.

        Parameters
        ----------
        request : Request
            What is asked.
        """
        tokenizer = self.language_model.tokenizer
        if not self.chat:
            return self.language_model.tokenize([f"{request.system}\n\n{request.user}{CUE}"])[0].ids
        turns = [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}]
        text = self._templated(tokenizer, turns)
        return np.asarray(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int64)

    def _templated(self, tokenizer: object, turns: list[dict]) -> str:
        import jinja2

        # templates of models that think know enable_thinking, others ignore it: the answer comes first
        given = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
        try:
            return tokenizer.apply_chat_template(turns, **given)
        except jinja2.TemplateError:
            # some templates know no system turn
            joined = "\n\n".join(turn["content"] for turn in turns)
            return tokenizer.apply_chat_template([{"role": "user", "content": joined}], **given)

    def option_ids(self, request: Request) -> list[np.ndarray]:
        """Return the tokens of every option as they would follow the prompt, each `(n_tokens,)` int64.

        Parameters
        ----------
        request : Request
            With options.
        """
        lead = "" if self.chat else " "
        texts = [lead + option for option in request.options]
        return [item.ids for item in self.language_model.tokenize(texts, bos=False)]

    def log_probabilities(self, prompts: Sequence[np.ndarray],
                          options: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        """Return ln p(option | prompt).

        Options that differ in one last token share one pass of their prompt; others take a pass each.

        Parameters
        ----------
        prompts : sequence of ndarray (n_tokens,) int64
            Token ids of each prompt.
        options : sequence of sequence of ndarray (n_tokens,) int64
            Token ids of each prompt's options.

        Returns
        -------
        list of ndarray (n_options,) float64
            Nats.
        """
        found = [np.full(len(each), np.nan) for each in options]
        quick = [place for place, each in enumerate(options) if _one_place(each)]
        if quick:
            stems = [np.concatenate([prompts[place], options[place][0][:-1]]) for place in quick]
            for place, (stem, last) in zip(quick, self._last(stems, [prompts[place] for place in quick]), strict=True):
                found[place] = stem + last[[int(ids[-1]) for ids in options[place]]]
        slow = [(place, at) for place, each in enumerate(options) if place not in set(quick) for at in range(len(each))]
        if slow:
            losses = self.language_model.token_losses(
                [np.concatenate([prompts[place], options[place][at]]) for place, at in slow], token_budget=TOKEN_BUDGET)
            for (place, at), nats in zip(slow, losses, strict=True):
                found[place][at] = -float(nats[-len(options[place][at]):].astype(np.float64).sum())
        return found

    def _last(self, stems: list[np.ndarray], prompts: list[np.ndarray]) -> list[tuple[float, np.ndarray]]:
        """Of each stem ln p of its part after the prompt, and ln p of every token that may follow it."""
        import torch

        from cogneuro_sae.language_model.losses import LOGITS_BUDGET
        from cogneuro_sae.language_model.recording import forward, in_batches, padded

        model, device = self.language_model.model, self.language_model.device
        found: list = [None] * len(stems)

        def step(batch: np.ndarray) -> None:
            ids, mask = padded([stems[row] for row in batch], device)
            logits = forward(model, ids, mask).logits
            for place, row in enumerate(batch):
                begun, end = len(prompts[row]) - 1, len(stems[row])
                nats = torch.log_softmax(logits[place, begun:end].double(), dim=-1)
                inner = nats[:-1].gather(1, ids[place, begun + 1:end, None]).sum()
                found[row] = float(inner), nats[-1].cpu().numpy()

        rows = model.get_input_embeddings().weight.shape[0]
        in_batches(stems, min(TOKEN_BUDGET, max(1, LOGITS_BUDGET // rows)), step)
        return found

    def _forged(self, request: Request) -> str:
        """Control tokens in a text would end the user's turn; our own prompts hold none, they are escaped."""
        if not self.chat:
            return ""       # a plain prompt is tokenized with control tokens kept literal
        added = self.language_model.tokenizer.added_tokens_decoder.values()
        found = [str(token) for token in added if token.special and str(token) in request.system + request.user]
        return f"the text holds {found[0]!r}, which steers this model" if found else ""

    def _room(self, request: Request) -> int:
        if request.options:
            return max(len(ids) for ids in self.option_ids(request))
        return self.spec.max_tokens or request.max_tokens

    def _fitted(self, ids: np.ndarray, room: int) -> tuple[np.ndarray, str]:
        """The prompt, its beginning cut off where it is too long and that is allowed, and what is wrong with it."""
        most = self.language_model.max_tokens - room
        if len(ids) <= most:
            return ids, ""
        if most < 2 or not self.spec.cut_prompt:
            return ids, (f"the prompt has {len(ids)} tokens and the answer up to {room}, {self.model} reads "
                         f"{self.language_model.max_tokens}; allow cut_prompt, or take a model that reads more")
        tokenizer = self.language_model.tokenizer
        head = ids[:1] if tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id else ids[:0]
        return np.concatenate([head, ids[len(ids) - most + len(head):]]), ""

    def _choose(self, request: Request, values: np.ndarray, length: tuple[int, int], seconds: float) -> Reply:
        text = request.options[int(np.argmax(values))]
        logprobs = dict(zip(request.options, values.tolist(), strict=True))
        return Reply(text, self._raw(text, length, logprobs=logprobs), "ok", "", length[0], 1, seconds, logprobs)

    def _raw(self, text: str, length: tuple[int, int], **fields: object) -> str:
        """What a vendor's JSON would hold; a cut prompt shows in it."""
        held = {"provider": self.name, "weights": self.language_model.sha256, "text": text, "prompt_tokens": length[0],
                "cut_tokens": length[1] - length[0]}
        return json.dumps(held | fields, ensure_ascii=False)

    def _write(self, request: Request, prompt: np.ndarray, whole: int) -> Reply:
        """Greedy generation, to the end token or the limit."""
        import torch

        begun = time.monotonic()
        limit = self.spec.max_tokens or request.max_tokens
        ids = torch.from_numpy(prompt)[None].to(self.language_model.device)
        tokenizer = self.language_model.tokenizer
        ends = _ends(self.language_model.model, tokenizer)
        with torch.no_grad():
            made = self.language_model.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=limit, num_beams=1,
                temperature=None, top_p=None, top_k=None, eos_token_id=ends or None,
                pad_token_id=ends[0] if ends else 0)
        new = made[0, ids.shape[1]:].tolist()
        ended = bool(new) and new[-1] in ends
        text = tokenizer.decode(new, skip_special_tokens=True).strip()
        raw = self._raw(text, (len(prompt), whole))
        status, reason = ("ok", "") if ended else ("truncated", f"max_tokens {limit} reached")
        return Reply(text, raw, status, reason, len(prompt), len(new), time.monotonic() - begun)


def _one_place(options: Sequence[np.ndarray]) -> bool:
    """Whether the options are the same up to their last tokens, which differ."""
    heads = {tuple(ids[:-1].tolist()) for ids in options}
    return len(heads) == 1 and len({int(ids[-1]) for ids in options}) == len(options)


def _ends(model: object, tokenizer: object) -> list[int]:
    given = getattr(model.generation_config, "eos_token_id", None)
    listed = given if isinstance(given, list) else [given]
    return [int(token) for token in dict.fromkeys([*listed, tokenizer.eos_token_id]) if token is not None]
