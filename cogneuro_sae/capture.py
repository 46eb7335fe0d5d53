"""Corpus + language model -> ActivationStore: run the model over text and keep one site's activations on disk.

The corpus is cut into passages (never longer than the model takes), passages are dealt to shards by their token counts
alone, and each shard is recorded, checked and written on its own: an interrupted capture goes on at the first shard that
is missing or damaged, and ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.corpus import Corpus, cut_text
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.provenance import hash_of
from cogneuro_sae.store import KIND, ActivationStore, good_shard, shard_name, write_shard

SHARD_BYTES = 64 * 2**20
TOKENISED_AT_ONCE = 512


class Shard(NamedTuple):
    """What one shard is made of.

    Parameters
    ----------
    texts : list of str
        Passages, in order.
    rows : int
        Tokens of theirs that are kept (the last shard may cut its last passage to meet the budget).
    """

    texts: list[str]
    rows: int


def capture(model, corpus: Corpus, site: str, folder: str | Path, *, tokens: int, part: str = "train", seed: int = 0,
            passage: int = 1000, shard_rows: int | None = None, bos: bool = True,
            progress: Callable[[int, int], None] | None = None) -> ActivationStore:
    """Record one site over a corpus until the token budget is met or the text ends.

    Parameters
    ----------
    model : LanguageModel
        Gives `record`, `tokenize`, `width`, `resolve_site`, `max_tokens`, `name`, `sha256`.
    corpus : Corpus
        The text.
    site : str
        Any name the model resolves.
    folder : str or Path
        Where the store stands; an unfinished one of the same capture is completed.
    tokens : int
        Budget in content tokens (special tokens are neither kept nor counted).
    part : str
        "train", "heldout" or "all" documents.
    seed : int
        Order of the passages.
    passage : int
        Longest passage in characters; one that still has too many tokens for the model is halved until it fits.
    shard_rows : int, optional
        Least rows per shard but the last (default: 64 MB worth).
    bos : bool
        Whether the beginning-of-text token is fed (it is never kept).
    progress : callable, optional
        Called with (rows done, rows planned) after every shard.

    Returns
    -------
    ActivationStore

    Raises
    ------
    InputError
        Budget < 1, no text, or NaN/infinity in the activations (`record` names the passage and the site).
    SetupError
        Too little free space, or another process works in the folder.
    Interrupted
        SIGINT or SIGTERM; finished shards stay.
    """
    if tokens < 1:
        raise InputError(f"tokens = {tokens}", allowed="1 or more")
    folder, site = Path(folder), model.resolve_site(site)
    width = model.width(site)
    recipe = {"kind": KIND, "site": site, "d_model": width, "model": model.name, "model_sha256": model.sha256,
              "corpus": corpus.name, "corpus_sha256": corpus.sha256, "part": part, "seed": seed, "passage": passage,
              "tokens": tokens, "prepend_bos": bos, "shard_rows": shard_rows or max(SHARD_BYTES // (4 * width), 1024)}
    if _finished(folder, recipe):
        return ActivationStore(folder, verify=False)
    shards = list(_plan(model, corpus.passages(part, characters=passage, seed=seed), recipe))
    planned = sum(shard.rows for shard in shards)
    if planned == 0:
        raise InputError(f"no token in the {part} documents", where=f"corpus {corpus.name}", do="give more text")
    with files.locked(folder), Interrupts() as interrupts:
        files.sweep(folder)
        _check_space(folder, 4 * width * planned)
        done = 0
        for index, shard in enumerate(shards):
            plan = hash_of([recipe, shard.texts, shard.rows])
            if not good_shard(folder, index, plan=plan):
                write_shard(folder, index, _record(model, shard, site, bos), plan=plan)
            done += shard.rows
            if progress:
                progress(done, planned)
            interrupts.check("capture", where=str(folder))
        names = [shard_name(index) for index in range(len(shards))]
        files.write_manifest(folder, names, {**recipe, "rows": [shard.rows for shard in shards]})
    return ActivationStore(folder, verify=False)


def _finished(folder: Path, recipe: dict) -> bool:
    if not files.is_complete(folder):
        return False
    manifest = files.read_json(folder / files.MANIFEST)
    changed = [key for key, value in recipe.items() if manifest.get(key) != value]
    if changed:
        raise InputError(f"holds another capture (differs in {', '.join(changed)})", where=str(folder),
                         do="use another folder or remove this one")
    return True


def _plan(model, passages: list[str], recipe: dict) -> Iterator[Shard]:
    left, texts, rows = recipe["tokens"], [], 0
    for text, count in _counted(model, passages, recipe["prepend_bos"]):
        if left <= 0:
            break
        texts.append(text)
        rows, left = rows + min(count, left), left - count
        if rows >= recipe["shard_rows"]:
            yield Shard(texts, rows)
            texts, rows = [], 0
    if rows:
        yield Shard(texts, rows)


def _counted(model, passages: list[str], bos: bool) -> Iterator[tuple[str, int]]:
    longest = model.max_tokens or float("inf")
    for start in range(0, len(passages), TOKENISED_AT_ONCE):
        block = passages[start:start + TOKENISED_AT_ONCE]
        for text, one in zip(block, model.tokenize(block, bos=bos), strict=True):
            count = int((~np.asarray(one.specials, bool)).sum())
            if len(one.ids) > longest and len(text) > 1:
                yield from _counted(model, list(cut_text(text, len(text) // 2)), bos)
            elif count:
                yield text, count


def _record(model, shard: Shard, site: str, bos: bool) -> np.ndarray:
    responses = model.record(shard.texts, site, ids=[f"passage {text[:40]!r}" for text in shard.texts], bos=bos)
    return np.asarray(responses.values[~responses.specials], np.float32)[:shard.rows]


def _check_space(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    present = sum(path.stat().st_size for path in folder.glob("shard-*.safetensors"))
    if need - present > free - 100 * 2**20:
        raise SetupError(f"needs {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are free", where=str(folder),
                         do="free some space, lower tokens, or use another --out")
