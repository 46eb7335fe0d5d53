"""The window search itself: what every shard of passages adds to the keepers, and what an interrupted one saves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.search.keeping import Keeper, Largest, Sample, record_type
from cogneuro_sae.search.signals import Signals
from cogneuro_sae.search.stream import Read
from cogneuro_sae.search.tallies import Tallies
from cogneuro_sae.search.windows import Tiles, digest, keys, lay_tiles, tile_digests

BACKGROUND = 2000
SLACK = 4
ACTIVE = 512
AROUND = 8
SALTS = {"active": 1, "random": 2, "zero": 3, "background": 4, "ties": 5}


class Plan(NamedTuple):
    """What the scan looks at and keeps.

    Parameters
    ----------
    size : int
        Tokens of a pooling window.
    pooling : str
        A name of POOLINGS.
    context : int
        Tokens shown on either side of it.
    per_document : int
        Most windows of one document in the end.
    top, strata, random, zero : int
        Windows wanted in the end (`strata` over all bins).
    seed : int
        Of the samples.
    """

    size: int
    pooling: str
    context: int
    per_document: int
    top: int
    strata: int
    random: int
    zero: int
    seed: int


class WindowScan:
    """Keepers and tallies over a stream of passages.

    Windows whose text was met before are left out of everything but the tallies.

    Parameters
    ----------
    signals : Signals
        What is searched for.
    plan : Plan
        What is kept.
    """

    def __init__(self, signals: Signals, plan: Plan):
        self.signals, self.plan = signals, plan
        n, width = len(signals), plan.size + 2 * plan.context
        self.keepers: dict[str, Keeper] = {
            "top": Largest(n, SLACK * plan.top, width, per_document=2 * plan.per_document),
            "active": Sample(n, max(ACTIVE, SLACK * plan.strata), width),
            "random": Sample(n, SLACK * plan.random, width),
            "zero": Sample(n, SLACK * plan.zero, width),
            "background": Sample(1, BACKGROUND, 0)}
        self.tallies = Tallies(n)
        self.seen = np.zeros(0, np.uint64)
        self.counts = np.zeros(4, np.int64)      # windows, of these met before, shorter than `size`, tokens in no window
        self.active_windows = np.zeros(n, np.int64)
        self.offset = np.array([-1, 0], np.int64)      # document at hand, its tokens so far

    def take(self, reads: list[Read], columns: np.ndarray) -> None:
        """Add some passages.

        Parameters
        ----------
        reads : list of Read
            In reading order.
        columns : ndarray (n_tokens, n_columns) float32
            Their shared columns, packed.
        """
        plan, lengths = self.plan, np.array([each.length for each in reads], np.int64)
        offsets = self._offsets(reads)
        tokens = self.signals.tokens(columns)
        self.tallies.add(tokens, lengths)
        tiles = lay_tiles(lengths, plan.size)
        sizes = tiles.stop - tiles.start
        digests = tile_digests(reads, tiles)
        new = self._unseen(digests)
        self.counts += (len(digests), len(digests) - len(new), int((sizes < plan.size).sum()),
                        len(tokens) - int(sizes.sum()))
        tiles, digests = Tiles(*(array[new] for array in tiles)), digests[new]
        if not len(digests):
            return
        values = self.signals.windows(columns, tokens, tiles, plan.pooling)
        self.active_windows += (values > 0).sum(axis=0)
        shard = _Shard(reads, tiles, offsets, digests, plan)
        shared = keys(digests, plan.seed, SALTS["background"])
        rows = self.keepers["background"].eligible(0, shared)
        self.keepers["background"].offer(0, shard.records(rows, np.zeros(len(digests), np.float32), shared, None))
        for feature in range(len(self.signals)):
            self._offer(shard, feature, values[:, feature], tokens[:, feature])

    def _offer(self, shard: _Shard, feature: int, values: np.ndarray, tokens: np.ndarray) -> None:
        active = np.flatnonzero(values > 0)
        ensemble = feature >= len(self.signals.features)
        groups = {"active": active, "random": np.arange(len(values)), "zero": np.flatnonzero(values <= 0)}
        self._offer_best(shard, feature, np.arange(len(values)) if ensemble else active, values, tokens)
        for kind, among in groups.items():
            drawn = shard.keys(feature, kind)
            rows = among[self.keepers[kind].eligible(feature, drawn[among])] if self.keepers[kind].capacity else among[:0]
            self.keepers[kind].offer(feature, shard.records(rows, values, drawn, tokens))

    def _offer_best(self, shard: _Shard, feature: int, among: np.ndarray, values: np.ndarray, tokens: np.ndarray) -> None:
        """Best first and few at a time: once the list is full, what is left is below it."""
        keeper, ties = self.keepers["top"], shard.keys(feature, "ties")
        among = among[np.lexsort((ties[among], -values[among]))]
        while len(among) and len(rows := among[keeper.eligible(feature, values[among])][:2 * keeper.capacity]):
            found = shard.records(rows, values, ties, tokens)
            found["peak"] = shard.peaks(rows, tokens)
            keeper.offer(feature, found)
            among = among[len(rows):]

    def _unseen(self, digests: np.ndarray) -> np.ndarray:
        """Rows of the windows whose text is met for the first time; remembers them (8 bytes each)."""
        unique, first = np.unique(digests, return_index=True)
        place = np.searchsorted(self.seen, unique)
        known = (place < len(self.seen)) & (self.seen[np.minimum(place, max(len(self.seen) - 1, 0))] == unique) \
            if len(self.seen) else np.zeros(len(unique), bool)
        self.seen = np.union1d(self.seen, unique[~known])
        return np.sort(first[~known])

    def _offsets(self, reads: list[Read]) -> np.ndarray:
        found = np.empty(len(reads), np.int64)
        document, so_far = (int(value) for value in self.offset)
        for place, each in enumerate(reads):
            if each.passage.document != document:
                document, so_far = each.passage.document, 0
            found[place] = so_far
            so_far += each.length
        self.offset[:] = document, so_far
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Return everything as plain arrays.

        Returns
        -------
        dict of str to ndarray
        """
        arrays = {f"tallies.{name}": getattr(self.tallies, name) for name in Tallies.NAMES}
        for name, keeper in self.keepers.items():
            arrays |= {f"{name}.rows": keeper.rows, f"{name}.count": keeper.count}
        return arrays | {name: getattr(self, name) for name in ("seen", "counts", "active_windows", "offset")}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from saved arrays.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `state`.
        """
        for name in Tallies.NAMES:
            setattr(self.tallies, name, arrays[f"tallies.{name}"])
        for name, keeper in self.keepers.items():
            keeper.rows, keeper.count = arrays[f"{name}.rows"], arrays[f"{name}.count"]
        for name in ("seen", "counts", "active_windows", "offset"):
            setattr(self, name, arrays[name])


class _Shard(NamedTuple):
    """Windows of one shard, and how candidates are made of them."""

    reads: list[Read]
    tiles: Tiles
    offsets: np.ndarray
    digests: np.ndarray
    plan: Plan

    def keys(self, feature: int, kind: str) -> np.ndarray:
        return keys(self.digests, self.plan.seed, feature, SALTS[kind])

    def peaks(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Hash of the text `AROUND` tokens on either side of the strongest token of each window."""
        found = np.empty(len(rows), np.uint64)
        for place, row in enumerate(rows.tolist()):
            read, base = self.reads[self.tiles.read[row]], self.tiles.base[row]
            start, stop = self.tiles.start[row], self.tiles.stop[row]
            strongest = int(start + np.argmax(tokens[base + start:base + stop]))
            left, right = read.characters(max(0, strongest - AROUND), min(read.length, strongest + AROUND + 1))
            found[place] = digest(read.passage.text[left:right])
        return found

    def records(self, rows: np.ndarray, values: np.ndarray, drawn: np.ndarray, tokens: np.ndarray | None) -> np.ndarray:
        context = self.plan.context
        width = 0 if tokens is None else self.plan.size + 2 * context
        found = np.zeros(len(rows), record_type(width))
        read, start = self.tiles.read[rows], self.tiles.start[rows]
        found["value"], found["key"] = values[rows], drawn[rows]
        found["start"], found["stop"], found["offset"] = start, self.tiles.stop[rows], self.offsets[read]
        for place, row in enumerate(read.tolist()):
            passage = self.reads[row].passage
            found[place]["document"], found[place]["number"] = passage.document, passage.number
            found[place]["piece"] = self.reads[row].piece
        if width:
            token = start[:, None] - context + np.arange(width)
            outside = (token < 0) | (token >= np.minimum(self.tiles.length[rows], self.tiles.stop[rows] + context)[:, None])
            packed = np.clip(token + self.tiles.base[rows][:, None], 0, len(tokens) - 1)
            found["shown"] = np.where(outside, np.nan, tokens[packed])
        return found
