"""Where the tokens of stimuli stand, and what is counted over them, for profile RSA."""

from __future__ import annotations

import math

import numpy as np


class ProfileLayout:
    """Where the tokens of stimuli stand; made once for all features.

    Parameters
    ----------
    offsets : ndarray (n_stimuli + 1,) int64
        Where each stimulus starts among the packed tokens.
    anchor : ndarray (n_stimuli,) int64, optional
        Token of each stimulus that stands at position 0; default its first.
    min_common, min_active : int
        Validity of a pair: common tokens, and common tokens at which each profile is not 0.
    """

    def __init__(self, offsets: np.ndarray, *, anchor: np.ndarray | None = None, min_common: int = 8,
                 min_active: int = 2):
        self.offsets = np.asarray(offsets, np.int64)
        counts = np.diff(self.offsets)
        start = np.zeros(len(counts), np.int64) if anchor is None else -np.asarray(anchor, np.int64)
        start = start - start.min(initial=0)
        self.n, self.width = len(counts), int((start + counts).max(initial=0))
        row = np.repeat(np.arange(self.n), counts)
        position = np.arange(int(self.offsets[-1])) - np.repeat(self.offsets[:-1], counts) + start[row]
        present = np.zeros((self.n, self.width))
        present[row, position] = 1.0
        self.full = bool(present.all())
        masks, which = np.unique(present, axis=0, return_inverse=True)
        self.which, self.n_tokens = which.reshape(-1), np.maximum(counts, 1).astype(float)
        self.masks, self.common = masks.T.copy(), masks @ masks.T
        self.token = np.full((self.n, self.width), len(row))        # of each position; without one, the one after the last
        self.token[row, position] = np.arange(len(row))
        self.min_common, self.min_active = min_common, min_active
        self.kept: dict[tuple, object] = {}

    def tokens(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count the tokens of each stimulus at which features are not 0, and average over its tokens.

        Parameters
        ----------
        block : ndarray (n_tokens, n_features)
            Token-level features, stimuli end to end.

        Returns
        -------
        active : ndarray (n_stimuli, n_features) int64
        means : ndarray (n_stimuli, n_features) float64
            Summed in the block's precision, in single at least; 0 for a stimulus without tokens.
        """
        active, means = np.zeros((self.n, block.shape[1]), np.int64), np.zeros((self.n, block.shape[1]))
        on = np.empty((255, block.shape[1]), bool)
        for row, (low, high) in enumerate(zip(self.offsets[:-1], self.offsets[1:])):
            for start in range(low, high, 255):       # bytes are summed in runs that cannot overflow
                part = block[start:min(start + 255, high)]
                fires = np.not_equal(part, 0, out=on[:len(part)])
                active[row] += np.add.reduce(fires.view(np.uint8), axis=0, dtype=np.uint8)
                means[row] += np.add.reduce(part, axis=0, dtype=np.promote_types(part.dtype, np.float32))
        return active, np.divide(means, self.n_tokens[:, None], out=means)

    def room(self, name: str, shape: tuple[int, ...], *, dtype: type = np.float64) -> np.ndarray:
        """An uninitialised array in memory that the next caller of the same name gets again: fresh pages cost more
        than the arithmetic.

        Parameters
        ----------
        name : str
            Whose memory.
        shape : tuple of int
            Shape wanted.
        dtype : type
            float64 or float32.
        """
        key, size = (name, np.dtype(dtype)), math.prod(shape)
        if key not in self.kept or len(self.kept[key]) < size:
            self.kept[key] = np.empty(size, dtype)
        return self.kept[key][:size].reshape(shape)
