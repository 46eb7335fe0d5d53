"""Tiny random decoders of five families and a byte tokenizer, made on the spot: nothing to download."""

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from cogneuro_sae.language_model import LanguageModel

BASE = {"vocab_size": 262, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
        "max_position_embeddings": 64}
LLAMA = {**BASE, "intermediate_size": 24, "num_key_value_heads": 1}
FAMILIES = {
    "llama": lambda: transformers.LlamaConfig(**LLAMA),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=262, n_embd=16, n_layer=4, n_head=2, n_positions=64),
    "gemma2": lambda: transformers.Gemma2Config(**LLAMA, head_dim=8, sliding_window=8),
    "qwen2": lambda: transformers.Qwen2Config(**LLAMA),
    "neox": lambda: transformers.GPTNeoXConfig(**BASE, intermediate_size=24),
}
BLOCKS = {"llama": "model.layers", "gpt2": "transformer.h", "gemma2": "model.layers", "qwen2": "model.layers",
          "neox": "gpt_neox.layers"}


def byte_tokenizer(*, bos="<s>", eos="</s>", pad=None, extra=()):
    """A byte-level tokenizer without merges: 256 bytes, then the special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: row for row, letter in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([token for token in (*dict.fromkeys((bos, eos)), *extra) if token])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=eos, pad_token=pad)


def tiny(family, *, seed=0, tokenizer=None, **fields):
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), dtype=torch.float32)
    for parameter in model.parameters():          # far from the tiny initial weights, so that layers differ
        parameter.data += 0.2 * torch.randn_like(parameter)
    return LanguageModel(model, tokenizer or byte_tokenizer(), name=family, sha256="0", **fields)
