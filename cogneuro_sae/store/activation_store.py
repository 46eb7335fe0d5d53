"""ActivationStore: the activations of one site over a corpus, in shards on disk.

A store is a folder of `shard-NNNNN.safetensors` (tensor "activations", (n_rows, d_model) float32; special tokens are
left out) with `manifest.json` written last. Beside each shard stands `shard-NNNNN.json` with its rows and sha256, so an
interrupted capture knows which shards are good.

Order of training batches. Shards are visited in a random order; `MIX` consecutive ones are read together and their rows
shuffled jointly; batches are cut from the endless stream that results (each pass over the data has another order). Both
orders depend on (seed, pass, group) alone, so batch number n can be made without making the n before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.store.moments import Moments
from cogneuro_sae.store.shards import read_shard

KIND = "activations"
MIX = 4


class ActivationStore:
    """A finished folder of activation shards, opened for reading.

    Parameters
    ----------
    folder : str or Path
        The folder `capture` made.
    verify : bool
        Compare every shard with its sha256 (2 GB/s); False only looks at sizes.

    Raises
    ------
    InputError
        The folder is not complete, altered, or no activation store.
    """

    def __init__(self, folder: str | Path, *, verify: bool = True):
        self.folder = Path(folder)
        self.manifest = files.check_manifest(self.folder) if verify else _quick_manifest(self.folder)
        if self.manifest.get("kind") != KIND:
            raise InputError("is not an activation store", where=str(self.folder), do="make one with capture()")
        self.rows: list[int] = self.manifest["rows"]
        self.d_model: int = self.manifest["d_model"]
        self.site: str = self.manifest["site"]
        self.model_sha256: str = self.manifest["model_sha256"]

    def __len__(self) -> int:
        return sum(self.rows)

    def shard(self, index: int) -> np.ndarray:
        """Return one shard.

        Parameters
        ----------
        index : int
            From 0.

        Returns
        -------
        numpy.ndarray
            (n_rows, d_model) float32.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        return read_shard(self.folder, index)

    def chunks(self, size: int, *, limit: int | None = None) -> Iterator[np.ndarray]:
        """Yield the rows in their order on disk.

        Parameters
        ----------
        size : int
            Rows per chunk (fewer at the end of a shard).
        limit : int, optional
            Stop after this many rows.

        Yields
        ------
        numpy.ndarray
            (<= size, d_model) float32.
        """
        left = len(self) if limit is None else min(limit, len(self))
        for index in range(len(self.rows)):
            if left <= 0:
                return
            values = self.shard(index)[:left]
            left -= len(values)
            for start in range(0, len(values), size):
                yield values[start:start + size]

    def batches(self, size: int, seed: int, *, start: int = 0) -> Iterator[np.ndarray]:
        """Yield batches for ever, in the order the module describes.

        Parameters
        ----------
        size : int
            Rows per batch; always exactly this many.
        seed : int
            Of both orders.
        start : int
            Number of the first batch to yield: `batches(size, seed, start=n)` is `batches(size, seed)` without its
            first n, found without reading their rows.

        Yields
        ------
        numpy.ndarray
            (size, d_model) float32.

        Raises
        ------
        InputError
            `size` < 1, or the store holds no row.
        """
        if size < 1 or len(self) == 0:
            raise InputError(f"batches of {size} rows out of {len(self)}", where=str(self.folder), allowed="1 or more")
        epoch, skip = divmod(start * size, len(self))
        held: list[np.ndarray] = []
        while True:
            for values in self._groups(seed, epoch, skip):
                held.append(values)
                while sum(map(len, held)) >= size:
                    joined = np.concatenate(held) if len(held) > 1 else held[0]
                    held = [joined[size:]]
                    yield joined[:size]
            epoch, skip = epoch + 1, 0

    def _groups(self, seed: int, epoch: int, skip: int) -> Iterator[np.ndarray]:
        order = np.random.default_rng([seed, epoch]).permutation(len(self.rows))
        for number in range(0, len(order), MIX):
            group = order[number:number + MIX]
            count = sum(self.rows[index] for index in group)
            if skip < count:
                rows = np.random.default_rng([seed, epoch, number + 1]).permutation(count)[skip:]
                yield np.concatenate([self.shard(index) for index in group])[rows]
            skip = max(skip - count, 0)

    def moments(self) -> Moments:
        """Return count, mean and variance per unit over all rows (one streaming pass).

        Returns
        -------
        Moments
        """
        total = Moments(0, np.zeros(self.d_model), np.zeros(self.d_model))
        for values in self.chunks(65_536):
            total = total.merge(Moments.of(values))
        return total

    def mean_norm(self, center: np.ndarray | None = None) -> float:
        """Return the mean Euclidean norm of the rows (one streaming pass).

        Parameters
        ----------
        center : numpy.ndarray, optional
            (d_model,) subtracted first.

        Returns
        -------
        float
            In the units of the residual stream.
        """
        total = 0.0
        for values in self.chunks(65_536):
            values = np.asarray(values, np.float64) - (0 if center is None else center)
            total += float(np.sqrt(np.einsum("ij,ij->i", values, values)).sum())
        return total / len(self)


def _quick_manifest(folder: Path) -> dict:
    manifest = files.read_json(folder / files.MANIFEST)
    for name, known in manifest["files"].items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != known["bytes"]:
            raise InputError("is missing or truncated", where=str(folder / name), do="run the capture again")
    return manifest
