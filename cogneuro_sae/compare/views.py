"""A view: one representation of one site through one window and pooling, as every fold of one concept sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cogneuro_sae.compare.encoders import Encoder, FittedPCA
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.responses.pooling import scale_of
from cogneuro_sae.selection.pairs import PairTable
from cogneuro_sae.selection.sources import Sources


class Features(NamedTuple):
    """What a fold works on.

    Parameters
    ----------
    X : ndarray (n_rows, n_features) float32
        Pooled values of all design rows; whatever is fitted was fitted on the fold's training rows.
    sources : Sources
        Of all design rows.
    """

    X: np.ndarray
    sources: Sources


@dataclass(frozen=True, eq=False)
class View:
    """One representation x site x window x pooling of one concept's design rows.

    Parameters
    ----------
    name : str
        What tables call the representation.
    site : str
        Canonical site.
    window, pooling, transform : str
        As in the config.
    responses : Responses
        Of the design rows.
    encoder : Encoder
        The representation.
    cells : ndarray (n_rows,) int64
        Cell of each row.
    X : ndarray (n_rows, n_features) or None
        Pooled once for all folds; None where the encoder is fitted in each.
    pairs : PairTable or None
        Pair similarities of token profiles, computed once for all folds: the similarity of two stimuli does not depend
        on labels or on other stimuli, so this leaks nothing.
    seed : int
        For encoders that are fitted and scores that draw.
    """

    name: str
    site: str
    window: str
    pooling: str
    transform: str
    responses: Responses
    encoder: Encoder
    cells: np.ndarray
    X: np.ndarray | None = None
    pairs: PairTable | None = None
    seed: int = 0

    @property
    def signed(self) -> bool:
        """Whether pooled values may be negative."""
        return self.encoder.signed and self.pooling != "rate"

    def pooled(self) -> View:
        """Return the view with X made, where nothing has to be fitted."""
        if self.encoder.components:
            return self
        return replace(self, X=self._pool(self.encoder.through))

    def with_pairs(self, pairs: PairTable | None) -> View:
        """Return the view with its pair similarities.

        Parameters
        ----------
        pairs : PairTable or None
            Of all design rows.
        """
        return replace(self, pairs=pairs)

    def tokens(self) -> TokenFeatures | None:
        """Return the token features of all design rows, None where they are pooled already or fitted per fold."""
        if self.responses.pooled or self.encoder.components:
            return None
        return TokenFeatures(self.responses, self.encoder.through, self.window)

    def fitted(self, train: np.ndarray) -> Features:
        """Return features whose encoder has seen nothing but the training rows.

        Parameters
        ----------
        train : ndarray (n_train,) int64
            Design rows.

        Returns
        -------
        Features
        """
        if not self.encoder.components:
            return Features(self.X, self._sources(self.encoder.through, self.tokens(), self.pairs))
        rows = self.responses[train]
        through = FittedPCA(rows.values[rows.window(self.window)], self.encoder.components, self.seed)
        return Features(self._pool(through), self._sources(through, TokenFeatures(self.responses, through,
                self.window), None))

    def _pool(self, through) -> np.ndarray:
        return self.responses.pool(self.pooling, window=self.window, through=through, transform=self.transform)

    def _sources(self, through, tokens, pairs) -> Sources:
        return Sources(profiles=tokens, raw=self.responses, decoder=getattr(through, "decoder", None),
                       firing_rate=getattr(through, "firing_rate", None), scale=scale_of(self.responses, through),
                       cells=self.cells,
                       transform="none" if self.pooling == "rate" else self.transform, seed=self.seed, pairs=pairs)
