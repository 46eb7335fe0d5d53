"""Which token stands at which position of a window, and the feature values there, encoded when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import design_rows
from cogneuro_sae.responses.pooling import TRANSFORMS, encode, scale_of


@dataclass(frozen=True, eq=False)
class TokenPositions:
    """The window's tokens of a design's stimuli.

    Parameters
    ----------
    responses : Responses
        Token activations of the design's rows.
    through : object or None
        What encodes them.
    transform : str
        `log1p` or `none`.
    features : ndarray (n_features,) int64
        Features wanted.
    tokens : ndarray (n_tokens,) int64
        Packed token index.
    rows : ndarray (n_tokens,) int64
        Design row of each token.
    position : ndarray (n_tokens,) int64
        Position of each token.
    positions : ndarray (n_positions,) int64
        The positions that occur, ascending.
    """

    responses: object
    through: object
    transform: str
    features: np.ndarray
    tokens: np.ndarray
    rows: np.ndarray
    position: np.ndarray
    positions: np.ndarray

    def at(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens at one position and their design rows.

        Parameters
        ----------
        number : int
            Which of `positions`.

        Returns
        -------
        ndarray (n,) int64, ndarray (n,) int64
            Packed token indices, and design rows; at most one token per row.
        """
        here = self.position == self.positions[number]
        return self.tokens[here], self.rows[here]

    def values(self, tokens: np.ndarray) -> np.ndarray:
        """Encode some tokens and transform them.

        Parameters
        ----------
        tokens : ndarray (n,) int64
            Packed token indices.

        Returns
        -------
        ndarray (n, n_features) float32
        """
        encoded = encode(self.through, self.responses.values[tokens])[:, self.features]
        return TRANSFORMS[self.transform](encoded, scale=scale_of(self.responses, self.through))


def token_positions(responses, design, *, through=None, window: str = "all", features: Sequence[int] | None = None,
                    transform: str = "log1p") -> TokenPositions:
    """Lay a window on the stimuli of a design and number its tokens.

    Parameters
    ----------
    responses : Responses
        Token activations, one stimulus per row of the table or of the design.
    design : Design
        Its `rows`.
    through : object, optional
        SAE or other transform.
    window : str
        `all`, `first(n)`, `center(d)` or `span`; positions count from the window's first token, in `center(d)` from the
        middle one.
    features : sequence of int, optional
        Default all.
    transform : str
        `log1p` or `none`.

    Returns
    -------
    TokenPositions

    Raises
    ------
    InputError
        Unknown window or transform, pooled responses, a feature that is not there, no feature, or no token.
    """
    if transform not in TRANSFORMS:
        raise unknown_name("transform", transform, TRANSFORMS)
    if getattr(responses, "pooled", False):
        raise InputError("these responses are pooled already: they have no token positions", do="bring token values")
    chosen = responses[design_rows(len(responses), design)]
    tokens, n = chosen.window(window), chosen.window_counts(window).n_tokens
    if not len(tokens):
        raise InputError(f"window {window!r} holds no token")
    rows = np.repeat(np.arange(len(chosen)), n)
    content = np.cumsum(~chosen.specials) - 1
    within = content[tokens] - np.r_[0, np.cumsum(chosen.n_content)][:-1][rows]
    if window.strip().startswith("center"):
        origin = chosen.n_content // 2
    else:
        origin = within[np.minimum(np.cumsum(n) - n, len(within) - 1)]
    position = within - origin[rows]
    width = encode(through, chosen.values[:1]).shape[1]
    features = np.arange(width) if features is None else np.asarray(features, np.int64).ravel()
    outside = features[(features < 0) | (features >= width)]
    if len(outside) or not len(features):
        raise InputError(f"there is no feature {int(outside[0])}" if len(outside) else "no features asked for",
                         allowed=f"0 to {width - 1}")
    return TokenPositions(chosen, through, transform, features, tokens, rows, position,
                          np.unique(position).astype(np.int64))
