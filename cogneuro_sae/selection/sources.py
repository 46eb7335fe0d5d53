"""What a score may look at beside X, y and groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses, TokenFeatures

_HOW = {
    "profiles": "give token-level Responses as X (not a pooled array), or a variant that works on pooled values",
    "raw": "give Responses as X",
    "decoder": "select through an SAE",
    "model": "name a model RDM",
}


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything a score may use beside the pooled values; what is absent is None.

    Parameters
    ----------
    profiles : TokenFeatures or None
        Token-level features of the same rows.
    raw : Responses, ndarray or None
        The raw stream of the same rows.
    decoder : ndarray (n_features, d) or None
        Decoder rows.
    model : ndarray (n_rows, n_rows) or None
        Model dissimilarities of the same rows.
    firing_rate : ndarray (n_features,) or None
        Share of corpus tokens on which each feature fires.
    scale : float
        s of docs/methods.md, in raw units.
    transform : str
        What was done to X: "log1p" or "none".
    cells : ndarray (n_rows,) or None
        Cell of each row where the design knows better than item x label.
    seed : int
        For scores that draw.
    pairs : ndarray-like or None
        Pair similarities of token profiles computed once for a larger set of rows (`PairTable`), already cut to these
        rows. They do not depend on labels, so sharing them over folds leaks nothing.
    """

    profiles: TokenFeatures | None = None
    raw: Responses | np.ndarray | None = None
    decoder: np.ndarray | None = None
    model: np.ndarray | None = None
    firing_rate: np.ndarray | None = None
    scale: float = 1.0
    transform: str = "log1p"
    cells: np.ndarray | None = None
    seed: int = 0
    pairs: Any = None

    def to_raw(self, X: np.ndarray) -> np.ndarray:
        """Undo the transform of pooled values.

        Parameters
        ----------
        X : ndarray (n_rows, n_features)
            Pooled values as statistics see them.

        Returns
        -------
        ndarray (n_rows, n_features)
            Raw units: sign(x) expm1(|x|) s after "log1p", X itself after "none".
        """
        return _UNDO[self.transform](X, self.scale)

    def require(self, needs, *, score: str) -> None:
        """Raise when something that a score needs is absent.

        Parameters
        ----------
        needs : iterable of str
            Names among "profiles", "raw", "decoder", "model".
        score : str
            Name of the score, for the message.

        Raises
        ------
        InputError
            A source is absent.
        """
        for name in sorted(needs):
            if getattr(self, name) is None and not (name == "profiles" and self.pairs is not None):
                raise InputError(f"the score {score!r} needs {name}, which are not there", do=_HOW.get(name))

    def rows(self, index: np.ndarray) -> Sources:
        """Return the same sources for some of the rows.

        Parameters
        ----------
        index : ndarray (n,) int
            Rows wanted.

        Returns
        -------
        Sources
        """
        index = np.asarray(index)
        return replace(
            self,
            profiles=None if self.profiles is None else self.profiles.rows(index),
            raw=None if self.raw is None else self.raw[index],
            model=None if self.model is None else self.model[np.ix_(index, index)],
            cells=None if self.cells is None else self.cells[index],
            pairs=None if self.pairs is None else self.pairs.rows(index))


_UNDO = {"log1p": lambda X, scale: np.sign(X) * np.expm1(np.abs(X)) * scale, "none": lambda X, scale: X}
