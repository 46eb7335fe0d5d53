"""The strongest sentences of ALL latents of an SAE, by mean, max and last token, in one pass over a corpus."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.search.keeping import place_within
from cogneuro_sae.search.passages import reading_order, shards
from cogneuro_sae.search.sentences import Sentences, find_sentences
from cogneuro_sae.search.stream import Clock, Read, read_passages, run_model, within_budget
from cogneuro_sae.search.windows import Tiles, pool_tiles

AGGREGATIONS = ("mean", "max", "last")
BUFFER = 1_000_000


class LatentScan(NamedTuple):
    """The strongest sentences of every latent.

    Parameters
    ----------
    values : dict of str to ndarray (n_latents, n) float32
        Per aggregation (mean, max, last), best first; NaN where a latent has fewer sentences.
    sentences : dict of str to ndarray (n_latents, n) int64
        Rows of `table`, -1 where there is none.
    table : list of dict
        `document` (index in the corpus), `source`, `text` of every sentence named.
    seconds : dict of str to float
        `forward` (the model) and `latents` (everything this pass adds).
    """

    values: dict[str, np.ndarray]
    sentences: dict[str, np.ndarray]
    table: list[dict]
    seconds: dict[str, float]

    @property
    def share(self) -> float:
        """What the pass over all latents adds, as a share of the model's time."""
        return self.seconds["latents"] / self.seconds["forward"] if self.seconds.get("forward") else float("nan")


def scan_latents(model, sae, corpus, *, top: int = 50, part: str = "all", seed: int = 0, tokens: int | None = None,
                 passage: int = 1000, batch: int = 1024, progress: Callable[[str], None] | None = None) -> LatentScan:
    """Find the sentences that drive every latent most; of equal sentences the first read counts.

    Parameters
    ----------
    model : LanguageModel
        The model the SAE was trained on.
    sae : SparseAutoencoder
        Its site is read.
    corpus : Corpus
        The text.
    top : int
        Sentences kept per latent and aggregation.
    part : str
        "train", "heldout" or "all" documents.
    seed : int
        Of the order of documents.
    tokens : int, optional
        Most content tokens to read.
    passage : int
        Longest stretch of text the model sees at once, in characters.
    batch : int
        Most padded tokens in a forward pass.
    progress : callable, optional
        Takes one line per shard of text, the last one with the share of the time.

    Returns
    -------
    LatentScan

    Raises
    ------
    InputError
        Nothing to read, or `top` below 1.
    """
    if top < 1:
        raise InputError(f"top = {top}", allowed="1 or more")
    scan, clock, left, say = Latents(sae.n_latents, top), Clock(), tokens, progress or (lambda line: None)
    for run in shards(corpus, reading_order(corpus, part, seed=seed).documents, passage=passage, characters=1_000_000):
        reads = within_budget(read_passages(model, run, bos=sae.prepend_bos), left)
        left = None if left is None else left - sum(each.length for each in reads)
        scan.begin(reads)

        def take(rows, pieces):
            scan.take(rows, pieces, sae.transform(np.concatenate(pieces)))
            clock.stop("latents")

        run_model(model, reads, sae.site, take, batch=batch, clock=clock)
        scan.finish()
        say(f"{scan.found:,} sentences read")
        if left is not None and left <= 0:
            break
    if not scan.found:
        raise InputError(f"no sentence in the {part} documents", where=f"corpus {corpus.name}")
    result = scan.result(corpus, clock.seconds)
    say(f"all {sae.n_latents:,} latents: {result.share:.0%} of the forward pass on top")
    return result


class Latents:
    """Running top sentences of every latent.

    Parameters
    ----------
    n_latents : int
        How many.
    top : int
        Sentences kept of each and aggregation.
    """

    def __init__(self, n_latents: int, top: int):
        self.n_latents, self.top = n_latents, top
        self.values = {name: np.zeros((n_latents, top), np.float32) for name in AGGREGATIONS}
        self.ordinals = {name: np.full((n_latents, top), -1, np.int64) for name in AGGREGATIONS}
        self.known: dict[int, tuple[int, str]] = {}
        self.seen = np.zeros(0, np.uint64)
        self.found = 0
        self._buffer: dict[str, list] = {name: [] for name in AGGREGATIONS}
        self._sentences: Sentences | None = None
        self._reads: list[Read] = []

    def begin(self, reads: list[Read]) -> None:
        """Find the sentences of a shard and leave out those met before.

        Parameters
        ----------
        reads : list of Read
            Its passages.
        """
        found = find_sentences(reads)
        _, first = np.unique(found.digests, return_index=True)
        new = np.sort(first[~np.isin(found.digests[first], self.seen, assume_unique=True)])
        self.seen = np.union1d(self.seen, found.digests[new])
        self._sentences = Sentences(found.read[new], found.start[new], found.stop[new], [found.texts[row] for row in new],
                                    found.digests[new])
        self._reads = reads

    def take(self, rows: np.ndarray, pieces: list[np.ndarray], codes: np.ndarray) -> None:
        """Add one batch.

        Parameters
        ----------
        rows : ndarray (n,) int64
            Its passages in the shard.
        pieces : list of ndarray (n_tokens, d)
            Their values; only the lengths are looked at.
        codes : ndarray (n_tokens, n_latents) float32
            Codes of these tokens, packed.
        """
        lengths = np.array([len(piece) for piece in pieces], np.int64)
        base = dict(zip(rows.tolist(), (np.cumsum(lengths) - lengths).tolist(), strict=True))
        mine = np.flatnonzero(np.isin(self._sentences.read, rows))
        if not len(mine):
            return
        begins = np.array([base[row] for row in self._sentences.read[mine].tolist()], np.int64)
        tiles = Tiles(self._sentences.read[mine], self._sentences.start[mine], self._sentences.stop[mine], begins, lengths)
        for name in AGGREGATIONS:
            # windows have to come in the order of the packed tokens
            order = np.argsort(begins + tiles.start, kind="stable")
            pooled = pool_tiles(codes, Tiles(*(array[order] for array in tiles[:4]), lengths), name)
            row, latent = np.nonzero(pooled > self.values[name][:, -1])
            self._buffer[name].append((latent.astype(np.int64), pooled[row, latent], self.found + mine[order[row]]))
            if sum(len(entry[0]) for entry in self._buffer[name]) > BUFFER:
                self._merge(name)

    def finish(self) -> None:
        """End a shard: merge what is left and forget the texts that no latent needs."""
        for name in AGGREGATIONS:
            self._merge(name)
        needed = np.unique(np.concatenate([ordinals.ravel() for ordinals in self.ordinals.values()]))
        fresh = needed[needed >= self.found].tolist()
        self.known = {key: self.known[key] for key in needed[(needed >= 0) & (needed < self.found)].tolist()}
        for key in fresh:
            row = key - self.found
            self.known[key] = (self._reads[self._sentences.read[row]].passage.document, self._sentences.texts[row])
        self.found += len(self._sentences.texts)

    def _merge(self, name: str) -> None:
        if not self._buffer[name]:
            return
        latent, value, ordinal = (np.concatenate(parts) for parts in zip(*self._buffer[name], strict=True))
        self._buffer[name] = []
        old, place = np.nonzero(self.ordinals[name] >= 0)
        latent = np.concatenate([old, latent])
        value = np.concatenate([self.values[name][old, place], value])
        ordinal = np.concatenate([self.ordinals[name][old, place], ordinal])
        order = np.lexsort((ordinal, -value, latent))
        latent, value, ordinal = latent[order], value[order], ordinal[order]
        rank = place_within(latent)
        keep = rank < self.top
        self.values[name][latent[keep], rank[keep]] = value[keep]
        self.ordinals[name][latent[keep], rank[keep]] = ordinal[keep]

    def result(self, corpus, seconds: dict[str, float]) -> LatentScan:
        """Return what was found.

        Parameters
        ----------
        corpus : Corpus
            Gives the sources.
        seconds : dict of str to float
            For the share of the time.

        Returns
        -------
        LatentScan
        """
        order = sorted(self.known)
        rows = np.array([-1, *order], np.int64)
        values = {name: np.where(self.ordinals[name] >= 0, self.values[name], np.nan) for name in AGGREGATIONS}
        sentences = {name: np.searchsorted(rows, self.ordinals[name]) - 1 for name in AGGREGATIONS}
        table = [{"document": self.known[key][0], "source": corpus.sources[self.known[key][0]], "text": self.known[key][1]}
                 for key in order]
        return LatentScan(values, sentences, table, dict(seconds))

    def state(self) -> dict[str, np.ndarray]:
        """Return everything as plain arrays.

        Returns
        -------
        dict of str to ndarray
        """
        texts = json.dumps([[key, *value] for key, value in self.known.items()]).encode("utf-8")
        arrays = {"latents.known": np.frombuffer(texts, np.uint8), "latents.seen": self.seen,
                  "latents.found": np.array(self.found)}
        for name in AGGREGATIONS:
            arrays |= {f"latents.{name}.values": self.values[name], f"latents.{name}.ordinals": self.ordinals[name]}
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from saved arrays.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `state`.
        """
        self.known = {key: (document, text) for key, document, text in json.loads(arrays["latents.known"].tobytes())}
        self.seen, self.found = arrays["latents.seen"], int(arrays["latents.found"])
        for name in AGGREGATIONS:
            self.values[name] = arrays[f"latents.{name}.values"]
            self.ordinals[name] = arrays[f"latents.{name}.ordinals"]
