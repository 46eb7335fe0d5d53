"""Find a model by name or folder, and load it so that nothing is guessed, downloaded or made up in silence."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from cogneuro_sae import files
from cogneuro_sae.errors import CogneuroError, InputError, SetupError, unknown_name
from cogneuro_sae.language_model.folder import SHIPPED, check_folder

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROBES = ("The cat sat on the mat.", "In 1914, she paid 3.50 (or so) for it!", "a </s> b <s>", "na\u00efve \u4e2d\u6587 \U0001f600")
HUB_FILES = ["*.json", "*.safetensors", "tokenizer.model", "*.txt"]


class Loaded(NamedTuple):
    """A model as it came from its folder.

    Parameters
    ----------
    model : PreTrainedModel
        In eval mode, without gradients.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer.
    name : str
        The reference it was asked for by.
    sha256 : str
        Of its weight files.
    scales : dict of str to float
        {canonical site: mean residual norm / sqrt(d_model)} of scales.json, empty where there is none.
    notes : tuple of str
        What a reader should know about the load, such as weights that were not used.
    """

    model: torch.nn.Module
    tokenizer: object
    name: str
    sha256: str
    scales: dict[str, float]
    notes: tuple[str, ...]


def load(reference: str | os.PathLike, *, device: str = "cpu", dtype: str = "float32", allow_download: bool = False,
         allow_bin: bool = False) -> Loaded:
    """Load a causal decoder and its tokenizer.

    Parameters
    ----------
    reference : str or PathLike
        `default`, a folder, or a name on the Hugging Face hub.
    device : str
        `cpu`, `cuda`, `cuda:1`, `mps`.
    dtype : str
        `float32`, `bfloat16` or `float16`, whatever the file holds.
    allow_download : bool
        Whether a hub name may be downloaded; without it only the local hub cache is read.
    allow_bin : bool
        Accept `.bin` weights of a folder, read with weights_only. A name on the hub implies it.

    Returns
    -------
    Loaded

    Raises
    ------
    InputError
        No such model, or a folder that is incomplete, altered or not a causal decoder.
    SetupError
        No such device, no network, or too little memory.
    """
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    device = _device(device)
    path = find(reference, allow_download=allow_download)
    folder = check_folder(path, allow_bin=allow_bin or not Path(reference).is_dir())
    with quiet():
        tokenizer = _load_tokenizer(path)
        model, notes = _load_weights(path, DTYPES[dtype])
    rows = model.get_input_embeddings().weight.shape[0]
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        raise InputError(f"the tokenizer has ids up to {largest}, the model has {rows} embedding rows", where=str(path),
                         do="use the tokenizer this model was trained with")
    notes += _differs_from_sentencepiece(tokenizer, path / "tokenizer.model")
    return Loaded(_placed(model, device), tokenizer, str(reference), folder.sha256, _read_scales(path), notes)


def find(reference: str | os.PathLike, *, allow_download: bool = False) -> Path:
    """Return the folder a reference means; look on the disk before anything else.

    Parameters
    ----------
    reference : str or PathLike
        `default`, a folder, or a name on the Hugging Face hub.
    allow_download : bool
        Whether a hub name may be downloaded.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        There is no such folder and no download was allowed, or the hub has no such model.
    SetupError
        The hub cannot be reached.
    """
    name = os.fspath(reference)
    shipped = SHIPPED / name if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) else None
    if shipped is not None and shipped.is_dir():
        return shipped
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    looked = f"looked in {folder.resolve()}" + (f" and {shipped}" if shipped is not None else "")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name):
        raise InputError(f"no model {name!r}: no such folder", where=None,
                         allowed="'default', a folder, or a hub name such as openlm-research/open_llama_3b_v2", do=looked)
    return _from_hub(name, looked, allow_download=allow_download)


def _from_hub(name: str, looked: str, *, allow_download: bool) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        with quiet():
            if not allow_download:
                return Path(huggingface_hub.snapshot_download(name, local_files_only=True))
            # one short question first: an unreachable hub costs half a minute of retries otherwise
            info = huggingface_hub.HfApi().model_info(name, timeout=5)
            held = {item.rfilename for item in info.siblings or ()}
            only_bin = not any(item.endswith(".safetensors") for item in held)
            patterns = HUB_FILES + (["pytorch_model*.bin"] if only_bin else [])
            return Path(huggingface_hub.snapshot_download(name, revision=info.sha, allow_patterns=patterns))
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise InputError(f"the hub has no open model {name!r}", do=f"check the name; {looked}") from error
    except LocalEntryNotFoundError as error:
        raise InputError(f"no model {name!r}: no such folder, and it is not in the local hub cache",
                         do=f"{looked}; download it with --allow-download (allow_download=True)") from error
    except CogneuroError:
        raise
    except Exception as error:      # the hub client raises half a dozen families for "no network"
        raise SetupError(f"cannot download {name!r} ({type(error).__name__}: {str(error)[:200]})",
                         do="check the network, or give a folder") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars, load report and warnings for the block; we say what matters ourselves."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load_tokenizer(path: Path):
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:      # the tokenizers library raises bare Exception
        raise InputError(f"the tokenizer cannot be read ({str(error).splitlines()[0][:200] if str(error) else error!r})",
                         where=str(path), do="download the model's tokenizer files again") from error
    if not tokenizer.is_fast:
        raise InputError(f"{type(tokenizer).__name__} gives no character offsets", where=str(path),
                         allowed="a fast tokenizer (tokenizer.json or tokenizer.model)")
    return tokenizer


def _differs_from_sentencepiece(tokenizer, path: Path) -> tuple[str, ...]:
    if not path.is_file() or importlib.util.find_spec("sentencepiece") is None:
        return ()
    import sentencepiece

    reference = sentencepiece.SentencePieceProcessor(model_file=str(path))
    read = [tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] for text in PROBES]
    differing = [text for text, ids in zip(PROBES, read, strict=True) if ids != reference.encode(text)]
    if not differing:
        return ()
    return (f"the tokenizer differs from SentencePiece on {len(differing)} of {len(PROBES)} probe texts: "
            f"{', '.join(map(repr, differing))}",)


def _load_weights(path: Path, dtype: torch.dtype) -> tuple[torch.nn.Module, tuple[str, ...]]:
    from transformers import AutoModelForCausalLM

    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, dtype=dtype, output_loading_info=True,
            ignore_mismatched_sizes=True)
    except MemoryError as error:
        raise SetupError("not enough memory to load the model", where=str(path), do="use a smaller dtype") from error
    except (ValueError, RuntimeError, OSError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise InputError(f"the model cannot be loaded ({(str(error) or repr(error)).splitlines()[0][:300]})",
                         where=str(path), do="check config.json, or download the model again") from error
    missing = sorted(info["missing_keys"])
    mismatched = sorted(item[0] if isinstance(item, tuple) else str(item) for item in info["mismatched_keys"])
    # transformers would fill these with random numbers and go on
    for names, what in ((missing, "are missing"), (mismatched, "have another shape than config.json says")):
        if names:
            raise InputError(f"{len(names)} weights {what}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}",
                             where=str(path), do="download the model again, or mend config.json")
    tied = bool(getattr(model.config, "tie_word_embeddings", False))
    unused = sorted(name for name in info["unexpected_keys"]
                    if not (tied and name.endswith("lm_head.weight")) and "rotary_emb.inv_freq" not in name)
    notes = (f"{len(unused)} weights of the file are not used: {', '.join(unused[:5])}",) if unused else ()
    return model, notes


def _read_scales(path: Path) -> dict[str, float]:
    if not (path / "scales.json").is_file():
        return {}
    scales = files.read_json(path / "scales.json")
    if not isinstance(scales, dict) or not all(isinstance(s, (int, float)) and s > 0 for s in scales.values()):
        raise InputError("is not {site: positive number}", where=str(path / "scales.json"))
    return {site: float(scale) for site, scale in scales.items()}


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device {name!r}", allowed="cpu, cuda, cuda:N, mps") from error
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise SetupError(f"no CUDA device {name!r} ({found} found)", do="use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SetupError("no MPS device on this machine", do="use --device cpu")
    return device


def _placed(model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    try:
        return model.to(device).eval().requires_grad_(False)
    except torch.OutOfMemoryError as error:
        raise SetupError(f"the model does not fit on {device}", do="use --device cpu or a smaller dtype") from error
