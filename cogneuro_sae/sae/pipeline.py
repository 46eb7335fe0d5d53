"""train_from_config: what `cogneuro-sae train FILE` does, from text to a finished SAE folder.

Below the output folder: `config.json` (what was begun), `activations/` (removed when finished), `checkpoints/`, and
`sae/`, which is the result.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cogneuro_sae import files
from cogneuro_sae.capture import capture
from cogneuro_sae.corpus import Corpus, load_corpus
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.language_model import LanguageModel
from cogneuro_sae.provenance import run_record
from cogneuro_sae.sae.architectures import ARCHITECTURES
from cogneuro_sae.sae.checkpoint import save_sae
from cogneuro_sae.sae.metrics import sae_metrics
from cogneuro_sae.sae.state import refused
from cogneuro_sae.sae.tracking import Progress
from cogneuro_sae.sae.train_config import TrainConfig
from cogneuro_sae.sae.training import refuse_collapse, train_sae
from cogneuro_sae.store import ActivationStore

RESULTS = Path("results") / "sae"
MADE = ("activations", "checkpoints", "sae", "config.json")


def train_from_config(config: TrainConfig, *, out: str | Path | None = None, device: str = "cpu", dry_run: bool = False,
                      overwrite: bool = False, allow_download: bool = False,
                      progress: Callable[[str], None] | None = None, quiet: bool = False) -> Path:
    """Capture, train, measure and save one SAE; the same call resumes, and is quick when all is done.

    Parameters
    ----------
    config : TrainConfig
        What to train.
    out : str or Path, optional
        Folder of the run (default: results/sae/<name> below the working directory).
    device : str
        "cpu", "cuda" ...
    dry_run : bool
        Read and check everything, say what would be done, and stop before anything is written.
    overwrite : bool
        Throw away what an earlier run left in `out` and start again.
    allow_download : bool
        Whether a model may be fetched from the hub.
    progress : callable, optional
        Called with one sentence per step (default: printed on stderr).
    quiet : bool
        Show nothing.

    Returns
    -------
    Path
        The SAE folder; `load_sae` reads it.

    Raises
    ------
    InputError
        Missing corpus or model, a run begun under another config (changed keys are named), a collapse.
    SetupError
        Disk, device or lock.
    Interrupted
        SIGINT or SIGTERM came; the same command resumes.
    """
    started, out = time.time(), Path(out) if out else RESULTS / config.name
    say = _sayer(progress, quiet)
    corpus, model, begun = _inputs(config, device, allow_download)
    _check_folder(out)
    say(f"{len(corpus):,} documents ({int(corpus.heldout.sum()):,} held out), model {model.name}, site {config.site}")
    if dry_run:
        say(f"would train {config.width:,} latents on {config.tokens:,} tokens in {config.steps:,} steps, into {out / 'sae'}")
        return out / "sae"
    with files.locked(out):
        if overwrite:
            _remove(out)
        if _finished(out, begun):
            say("already done")
            return out / "sae"
        files.write_json(out / "config.json", begun)
        train, heldout = _activations(model, corpus, config, out, quiet)
        say(f"captured {len(train):,} training tokens, which come round {config.tokens / len(train):.1f} times, and "
            f"{len(heldout):,} held-out tokens")
        sae = train_sae(train, config, out / "checkpoints", validation=heldout, device=device, quiet=quiet)
        say(f"trained {config.steps:,} steps")
        sae.metrics |= sae_metrics(
            sae, heldout, model=model, texts=_heldout_texts(model, corpus, config), limit=config.heldout_tokens,
            firing_tokens=min(len(train), config.density_tokens))
        refuse_collapse(sae.metrics["fvu"], sae.metrics["l0"], where=str(out), l1=config.l1)
        save_sae(sae, out / "sae", model_name=model.name, training=_record(begun, started, corpus, train))
        if not config.keep_activations:
            shutil.rmtree(out / "activations", ignore_errors=True)
    say(summary(sae.metrics))
    return out / "sae"


def _inputs(config: TrainConfig, device: str, allow_download: bool) -> tuple[Corpus, LanguageModel, dict]:
    if config.architecture not in ARCHITECTURES:
        raise unknown_name("architecture", config.architecture, ARCHITECTURES)
    corpus = load_corpus(config.corpus, exclude=config.exclude, heldout_share=config.heldout_share)
    if not corpus.heldout.any() or corpus.heldout.all():
        raise InputError(f"{int(corpus.heldout.sum())} of its {len(corpus)} documents are held out", where=corpus.name,
                         allowed="some, not all", do="give more documents or change heldout_share")
    model = LanguageModel.load(config.model, device=device, allow_download=allow_download)
    model.resolve_site(config.site)
    return corpus, model, {**config.recipe(), "model_sha256": model.sha256, "corpus_sha256": corpus.sha256}


def _record(begun: dict, started: float, corpus: Corpus, train: ActivationStore) -> dict:
    shown = {**begun, "corpus": Path(begun["corpus"]).name}     # a path of this machine says nothing elsewhere
    record = run_record(config=shown, hashes={"model": begun["model_sha256"], "corpus": begun["corpus_sha256"]},
                        seed=begun["seed"], started=started, warnings=[], train_tokens=len(train),
                        corpus_documents=len(corpus))
    record.pop("command")
    return record


def _sayer(progress, quiet: bool) -> Callable[[str], None]:
    if quiet:
        return lambda text: None
    return progress or (lambda text: print(text, file=sys.stderr, flush=True))


def summary(metrics: dict) -> str:
    """Return one line with the numbers that say whether an SAE is good.

    Parameters
    ----------
    metrics : dict
        From `sae_metrics`.

    Returns
    -------
    str
    """
    return (f"held-out FVU {metrics['fvu']:.3f}, L0 {metrics['l0']:.1f}, dead {metrics['dead_fraction']:.1%} "
            f"(over {metrics['dead_over_tokens']:,} tokens), shrinkage {metrics['shrinkage']:.3f}, "
            f"loss recovered {metrics['loss_recovered']:.3f} (mean ablation) / {metrics['loss_recovered_zero']:.3f} (zero)")


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError("is not a folder", where=str(out), do="choose another --out")
    known = {*MADE, "log.txt", "wandb", ".lock", ".lock-owner"}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in known) if out.is_dir() else []
    if foreign and not (out / "config.json").is_file():
        raise InputError(f"holds files that are not a training run's ({', '.join(foreign[:5])})", where=str(out),
                         do="choose an empty --out")


def _remove(out: Path) -> None:
    for name in MADE:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def _finished(out: Path, begun: dict) -> bool:
    if not (out / "config.json").is_file():
        return False
    files.sweep(out)
    before = files.read_json(out / "config.json")
    changed = sorted(key for key in {*begun, *before} if before.get(key) != begun.get(key))
    if changed:
        raise refused(changed, before, begun, out)
    return files.is_complete(out / "sae")


def _activations(model, corpus: Corpus, config: TrainConfig, out: Path, quiet: bool
                 ) -> tuple[ActivationStore, ActivationStore]:
    stores = []
    for part, tokens in (("train", config.tokens), ("heldout", config.heldout_tokens)):
        with Progress(f"capture ({part})", tokens, quiet=quiet) as bar:
            stores.append(capture(model, corpus, config.site, out / "activations" / part, tokens=tokens, part=part,
                                  seed=config.seed, passage=config.passage, progress=lambda done, _: bar.update(done)))
    return stores[0], stores[1]


def _heldout_texts(model, corpus: Corpus, config: TrainConfig) -> list[str]:
    texts = corpus.passages("heldout", characters=config.passage, seed=config.seed)[:2 * config.heldout_passages]
    longest = model.max_tokens or float("inf")
    fitting = [text for text, one in zip(texts, model.tokenize(texts), strict=True) if 2 < len(one.ids) <= longest]
    return fitting[:config.heldout_passages]
