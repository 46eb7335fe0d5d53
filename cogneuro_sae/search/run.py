"""search_corpus: from a config to a search folder, in one pass that the same call takes up again when interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.interrupts import Interrupts
from cogneuro_sae.provenance import hash_of, run_record
from cogneuro_sae.search import folder as disk
from cogneuro_sae.search.config import SearchConfig, load_search_config, plain_config
from cogneuro_sae.search.describing import Recall, choose, feature_rows, window_rows
from cogneuro_sae.search.inputs import Inputs, prepare
from cogneuro_sae.search.latents import AGGREGATIONS, Latents
from cogneuro_sae.search.passages import reading_order, shards
from cogneuro_sae.search.scan import Plan, WindowScan
from cogneuro_sae.search.stream import Clock, read_passages, run_model, within_budget

# what is found does not depend on these, or they are hashed by content
FREE = ("name", "from", "model", "sae", "corpus", "ensembles", "shard_characters")


def search_corpus(config: SearchConfig | str | Path, *, out: str | Path | None = None, device: str = "cpu",
                  dry_run: bool = False, overwrite: bool = False, allow_download: bool = False,
                  progress: Callable[[str], None] | None = None) -> Path:
    """Find the windows of a corpus that drive features or ensembles, beside strata, random and silent ones.

    Parameters
    ----------
    config : SearchConfig, str or Path
        What to search for; a name or path is read by `load_search_config`.
    out : str or Path, optional
        Folder for results; `results` under the working directory by default.
    device : str
        cpu, cuda, cuda:1 or mps.
    dry_run : bool
        Load and check everything, say what would be done, write nothing.
    overwrite : bool
        Do finished work again.
    allow_download : bool
        Whether a model or a dataset may be fetched from the hub.
    progress : callable, optional
        Takes one line per finished step.

    Returns
    -------
    Path
        `<out>/<name>/<hash10>`; `read_search` reads it.

    Raises
    ------
    InputError
        Config, folder, features, corpus, model or SAE are not as they should be.
    SetupError
        No such device, a missing extra, a folder in use or not writable.
    Interrupted
        The user or the queue asked to stop; everything so far is saved.
    """
    started, say = time.time(), progress or (lambda line: None)
    if overwrite and dry_run:
        raise InputError("overwrite and dry_run contradict each other", do="give one of them")
    config = config if isinstance(config, SearchConfig) else load_search_config(config)
    inputs = prepare(config, device=device, allow_download=allow_download)
    recipe = {key: value for key, value in inputs.config.model_dump(mode="json", by_alias=True).items() if key not in FREE}
    asked = [[one.name, one.sign, one.arms] for one in inputs.signals.features]
    asked += [[one.name, one.target, one.representation] for one in inputs.signals.ensembles]
    folder = Path(out or "results") / config.name / hash_of(
        {"verb": "search", "config": recipe, "asked": asked, "hashes": inputs.hashes})[:10]
    say(_what(inputs))
    for note in inputs.notes:
        say(note)
    if dry_run:
        say(f"would write {folder}")
        return folder
    if (folder / disk.COMPLETION).is_file() and not overwrite:
        lost = files.mismatch(folder, files.read_json(folder / disk.COMPLETION).get("files", {}))
        if lost is None:
            say(f"already done: {folder}")
            return folder
        say(f"finished before, but {lost[0].name} {lost[1]}: done again")
    with disk.search_folder(folder, overwrite=overwrite) as log, Interrupts() as interrupts:
        _compute(inputs, folder, started, lambda line: (log.info(line), say(line)), interrupts)
    return folder


def _what(inputs: Inputs) -> str:
    config, signals = inputs.config, inputs.signals
    things = [f"{len(signals.features)} features"] if signals.features else []
    things += [f"{len(signals.ensembles)} ensembles"] if signals.ensembles else []
    things += ["all latents"] if config.latents else []
    return (f"{' and '.join(things)} in {len(inputs.corpus):,} documents of {config.corpus}: model {inputs.model.name} at "
            f"{config.site}, windows of {config.window} tokens, pooling {config.pooling}")


def _compute(inputs: Inputs, folder: Path, started: float, say: Callable[[str], None], interrupts: Interrupts) -> None:
    config = inputs.config
    files.write_text(folder / "config.yaml", yaml.safe_dump(plain_config(config), sort_keys=False, allow_unicode=True))
    stream = Stream(inputs, folder)
    if stream.done:
        say(f"goes on after {stream.tokens:,} tokens")
    stream.run(say, interrupts)
    made = ["config.yaml", "features.jsonl", "windows.jsonl"]
    stream.clock.start()
    scan, recall = stream.windows, Recall(inputs.model, inputs.corpus, passage=config.passage, bos=inputs.bos)
    chosen = [choose(scan, place, recall, bins=config.windows.bins, per_bin=config.windows.per_bin)
              for place in range(len(inputs.signals))]
    rows = [row for name, one in zip(inputs.signals.names, chosen, strict=True)
            for row in window_rows(name, one, recall, context=config.context)]
    disk.write_lines(folder / "windows.jsonl", rows)
    disk.write_lines(folder / "features.jsonl", feature_rows(inputs, scan, chosen, recall))
    if stream.latents is not None:
        made += _write_latents(folder, stream.latents.result(inputs.corpus, stream.clock.seconds))
    stream.clock.stop("choose and write")
    say(f"{len(rows):,} windows of {len(inputs.signals)} features written")
    windows, repeated, short, outside = (int(value) for value in scan.counts)
    warnings = [*inputs.notes, *_thin(inputs, chosen)]
    files.write_json(folder / disk.COMPLETION, run_record(
        config=plain_config(config), hashes=inputs.hashes, seed=config.seed, started=started, warnings=warnings,
        verb="search", files=files.fingerprints(folder, made), tokens=stream.tokens, documents=int(stream.documents),
        repeated_documents=stream.order.repeated, windows=windows, repeated_windows=repeated, short_windows=short,
        tokens_outside_windows=outside, time=stream.times()))
    (folder / disk.STATE).unlink(missing_ok=True)


def _thin(inputs: Inputs, chosen: list) -> list[str]:
    """Features with fewer windows than asked for, so that nobody counts on them."""
    wanted = inputs.config.windows
    asked = {"top": wanted.top, "stratum": wanted.per_bin * wanted.bins, "random": wanted.random, "zero": wanted.zero}
    found = []
    for kind, number in asked.items():
        few = [name for name, one in zip(inputs.signals.names, chosen, strict=True) if len(one.kinds[kind]) < number]
        if few:
            found.append(f"{len(few)} features have fewer than {number} {kind} windows: {', '.join(few[:8])}"
                         f"{' ...' if len(few) > 8 else ''}")
    return found


def _write_latents(folder: Path, result) -> list[str]:
    arrays = {f"{name}_{what}": getattr(result, what)[name] for name in AGGREGATIONS for what in ("values", "sentences")}
    with files.replacing(folder / "latents.npz") as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **arrays)
    disk.write_lines(folder / "sentences.jsonl", result.table)
    return ["latents.npz", "sentences.jsonl"]


class Stream:
    """The pass over the corpus: shard by shard, saved after each.

    Parameters
    ----------
    inputs : Inputs
        What is searched for, and where.
    folder : Path or None
        Where an unfinished pass is saved and taken up again; None: nowhere.
    """

    def __init__(self, inputs: Inputs, folder: Path | None = None):
        self.inputs, self.folder, config = inputs, folder, inputs.config
        self.order = reading_order(inputs.corpus, config.part, seed=config.seed)
        if not len(self.order.documents):
            raise InputError(f"no {config.part} documents", where=f"corpus {config.corpus}", do="use part: all")
        wanted = config.windows
        self.windows = WindowScan(inputs.signals, Plan(
            config.window, config.pooling, config.context, config.per_document, wanted.top, wanted.per_bin * wanted.bins,
            wanted.random, wanted.zero, config.seed))
        self.sae = next(iter(inputs.saes.items()), (None, None))
        self.latents = Latents(self.sae[1].n_latents, config.latents) if config.latents else None
        self.done, self.tokens, self.documents, self.clock = 0, 0, 0, Clock()
        saved = disk.load_state(folder) if folder else None
        if saved is not None:
            arrays, notes = saved
            self.windows.restore(arrays)
            if self.latents is not None:
                self.latents.restore(arrays)
            self.done, self.tokens, self.documents = notes["done"], notes["tokens"], notes["documents"]
            self.clock = Clock(notes["seconds"])

    def run(self, say: Callable[[str], None], interrupts: Interrupts | None = None) -> None:
        """Read what is left.

        Parameters
        ----------
        say : callable
            Takes one line per shard.
        interrupts : Interrupts, optional
            Looked at after every shard.

        Raises
        ------
        InputError
            The text has no token.
        Interrupted
            Someone asked to stop; what is done is saved.
        """
        config, last = self.inputs.config, -1
        runs = shards(self.inputs.corpus, self.order.documents, passage=config.passage, characters=config.shard_characters)
        for number, run in enumerate(runs):
            if config.tokens is not None and self.tokens >= config.tokens:
                break
            if number >= self.done:
                self.clock.start()
                self._shard(run, last)
                self.done = number + 1
                self._save()
                say(self.line())
                if interrupts is not None:
                    interrupts.check("search", where=str(self.folder))
            last = run[-1].document
        if not self.tokens:
            raise InputError("the text has no token", where=f"corpus {config.corpus}")

    def _shard(self, run: list, last: int) -> None:
        inputs, config = self.inputs, self.inputs.config
        reads = read_passages(inputs.model, run, bos=inputs.bos)
        reads = within_budget(reads, None if config.tokens is None else config.tokens - self.tokens)
        self.clock.stop("tokenise")
        if not reads:
            return
        lengths = np.array([each.length for each in reads], np.int64)
        base = np.cumsum(lengths) - lengths
        columns = np.zeros((int(lengths.sum()), sum(map(len, inputs.signals.columns.values()))), np.float32)
        if self.latents is not None:
            self.latents.begin(reads)
            self.clock.stop("latents")

        def take(rows, pieces):
            values, full = np.concatenate(pieces), {}
            if self.latents is not None:
                name, sae = self.sae
                full[name] = sae.transform(values)
                self.latents.take(rows, pieces, full[name])
                self.clock.stop("latents")
            place = np.concatenate([np.arange(base[row], base[row] + lengths[row]) for row in rows])
            columns[place] = inputs.signals.encode(values, full)

        run_model(inputs.model, reads, config.site, take, batch=config.batch, clock=self.clock)
        self.windows.take(reads, columns)
        self.clock.stop("search")
        if self.latents is not None:
            self.latents.finish()
            self.clock.stop("latents")
        self.tokens += int(lengths.sum())
        met = [each.passage.document for each in reads]
        self.documents += len(set(met)) - int(met[0] == last)

    def _save(self) -> None:
        if self.folder is None:
            return
        arrays = self.windows.state() | (self.latents.state() if self.latents is not None else {})
        disk.save_state(self.folder, arrays, {"done": self.done, "tokens": self.tokens, "documents": self.documents,
                                              "seconds": self.clock.seconds})
        self.clock.stop("save")

    def line(self) -> str:
        """One line on how far the pass is and what it costs beside the model."""
        model = self.clock.seconds.get("tokenise", 0.0) + self.clock.seconds.get("forward", 0.0)
        parts = [f"{self.tokens:,} tokens", f"{self.tokens / max(model, 1e-9):,.0f} per second of the model"]
        times = self.times()
        if len(self.inputs.signals):
            parts.append(f"search +{times['search_share']:.1%}")
        if self.latents is not None:
            parts.append(f"all latents +{times['latents_share']:.0%}")
        return ", ".join(parts)

    def times(self) -> dict[str, float]:
        """Return seconds by what they were spent on, and what search and all latents add to tokenising and forward."""
        seconds = {name: round(value, 3) for name, value in self.clock.seconds.items()}
        model = self.clock.seconds.get("tokenise", 0.0) + self.clock.seconds.get("forward", 0.0)
        search = self.clock.seconds.get("search", 0.0) + self.clock.seconds.get("save", 0.0)
        return {**seconds, "search_share": search / model,
                "latents_share": self.clock.seconds.get("latents", 0.0) / model}
