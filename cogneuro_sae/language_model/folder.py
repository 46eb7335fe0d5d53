"""What a model folder must hold, checked before anything is loaded: every fault is one clear message."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, SetupError

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "models"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")


class ModelFolder(NamedTuple):
    """A checked model folder.

    Parameters
    ----------
    path : Path
        The folder.
    config : dict
        Its config.json.
    weights : tuple of Path
        Its weight files.
    sha256 : str
        Of the weight file; of the sorted "name sha256" lines where there are several.
    """

    path: Path
    config: dict
    weights: tuple[Path, ...]
    sha256: str


def check_folder(path: str | os.PathLike, *, allow_bin: bool = False) -> ModelFolder:
    """Check a model folder's files without loading the weights.

    Parameters
    ----------
    path : str or PathLike
        A folder in Hugging Face form.
    allow_bin : bool
        Accept `.bin` weights, read with weights_only.

    Returns
    -------
    ModelFolder

    Raises
    ------
    InputError
        A file is missing, truncated or differs from the manifest; the model is no causal decoder or needs its own code.
    """
    path = Path(path)
    if not (path / "config.json").is_file():
        raise InputError("the folder has no config.json", where=str(path),
                         do="name the folder that holds config.json, model.safetensors and the tokenizer")
    known = files.check_manifest(path)["files"] if (path / files.MANIFEST).is_file() else {}
    config = files.read_json(path / "config.json")
    _check_kind(config, path)
    _check_tokenizer(path)
    weights = _weights(path, allow_bin=allow_bin)
    sums = {file.name: known.get(file.name, {}).get("sha256") or files.sha256_file(file) for file in weights}
    lines = "".join(f"{name} {sums[name]}\n" for name in sorted(sums))
    sha256 = next(iter(sums.values())) if len(sums) == 1 else hashlib.sha256(lines.encode("utf-8")).hexdigest()
    return ModelFolder(path, config, weights, sha256)


def _check_kind(config: object, path: Path) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    where = str(path / "config.json")
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not kind:
        raise InputError("has no model_type", where=where, allowed="the config of a Hugging Face model")
    if kind not in CONFIG_MAPPING_NAMES:
        if config.get("auto_map"):
            raise InputError(f"model_type {kind!r} needs code from the model's own folder, which is never run",
                             where=where, allowed="model types that transformers knows")
        raise InputError(f"unknown model_type {kind!r}", where=where, allowed="model types that transformers knows")
    names = CAUSAL.get(kind, ())
    names = {names} if isinstance(names, str) else set(names)
    stated = set(config.get("architectures") or names)
    if not stated & names or (kind in ENCODERS and not config.get("is_decoder")):
        raise InputError(f"{', '.join(sorted(stated)) or kind} is not a causal decoder", where=where,
                         allowed="a decoder such as Llama, GPT-2, Gemma, Qwen or GPT-NeoX with its language-model head")


def _check_tokenizer(path: Path) -> None:
    present = [name for name in TOKENIZERS if (path / name).is_file()]
    if not present:
        raise InputError("the folder has no tokenizer", where=str(path), allowed=" or ".join(TOKENIZERS))
    if present[0] in ("tokenizer.model", "spiece.model") and importlib.util.find_spec("sentencepiece") is None:
        raise SetupError(f"{present[0]} is a SentencePiece tokenizer and sentencepiece is not installed",
                         where=str(path), do="pip install sentencepiece")


def _weights(path: Path, *, allow_bin: bool) -> tuple[Path, ...]:
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        index = path / f"{stem}.{suffix}.index.json"
        shards = _shards(index) if index.is_file() else [path / f"{stem}.{suffix}"]
        if not index.is_file() and not shards[0].is_file():
            continue
        if suffix == "bin" and not allow_bin:
            raise InputError(f"the weights are {shards[0].name}, a pickle file", where=str(path),
                             do="convert them to safetensors, or pass allow_bin=True (read with weights_only)")
        absent = [shard.name for shard in shards if not shard.is_file()]
        if absent:
            raise InputError(f"{len(absent)} of {len(shards)} weight files are missing: {', '.join(absent[:5])}",
                             where=str(path), do="download the model again")
        if suffix == "safetensors":
            for shard in shards:
                _check_safetensors(shard)
        return tuple(shards)
    raise InputError("the folder has no weights", where=str(path), allowed="model.safetensors, whole or in shards")


def _shards(index: Path) -> list[Path]:
    content = files.read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names:
        raise InputError("has no weight_map", where=str(index), do="download the model again")
    # a name with a folder in it would point outside the model folder
    return [index.parent / Path(str(name)).name for name in sorted(set(names.values()))]


def _check_safetensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as tensors:
            tensors.keys()
    except (SafetensorError, OSError) as error:
        raise InputError(f"not a whole safetensors file ({error})", where=str(path),
                         do="download or copy it again") from error


# families that transformers can also run as decoders but that are encoders unless their config says otherwise
ENCODERS = frozenset(("bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie",
                      "megatron-bert", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer",
                      "xlm-roberta", "xlm-roberta-xl", "xmod"))
