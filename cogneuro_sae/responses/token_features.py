"""TokenFeatures: the features of every token in a window, encoded only when a block of them is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogneuro_sae.responses.packed import Responses
from cogneuro_sae.responses.pooling import encode


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """Token-level features of some stimuli, packed in stimulus order, specials left out.

    Parameters
    ----------
    responses : Responses
        Token activations (not pooled ones).
    through : object or None
        An SAE, or anything with `transform(values)`; it may also offer `transform(values, columns=slice)`.
    window : str
        `all`, `first(n)`, `center(d)` or `span`.
    """

    responses: Responses
    through: object | None = None
    window: str = "all"

    def __post_init__(self):
        self.responses.window(self.window)

    @property
    def n_features(self) -> int:
        """Number of features (latents of `through`, or units)."""
        return encode(self.through, self.responses.values[:1]).shape[1]

    @property
    def offsets(self) -> np.ndarray:
        """Where each stimulus starts among the window's tokens: `(n_stimuli + 1,)` int64."""
        counts = self.responses.window_counts(self.window).n_tokens
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.responses)

    def rows(self, index: np.ndarray) -> TokenFeatures:
        """Return the same features of some stimuli.

        Parameters
        ----------
        index : ndarray of int or bool
            Stimuli wanted, in the order wanted.

        Returns
        -------
        TokenFeatures
        """
        index = np.asarray(index)
        if index.dtype != bool and np.array_equal(index, np.arange(len(self))):
            return self
        return TokenFeatures(self.responses[index], self.through, self.window)

    def block(self, start: int, stop: int, *, chunk: int = 4096) -> np.ndarray:
        """Encode the window's tokens and return the columns start to stop, raw units.

        Parameters
        ----------
        start : int
            First feature.
        stop : int
            One past the last feature (clipped to `n_features`).
        chunk : int
            Tokens encoded at a time.

        Returns
        -------
        ndarray (n_window_tokens, stop - start) float32
        """
        tokens = self.responses.window(self.window)
        columns = slice(int(start), int(stop))
        if self.through is None:
            block = self.responses.values[:, columns]
            return block if len(tokens) == len(block) else block[tokens]      # all tokens: nothing is copied
        parts = [encode(self.through, self.responses.values[tokens[row:row + chunk]], columns=columns)
                 for row in range(0, len(tokens), chunk)]
        return np.concatenate(parts)
