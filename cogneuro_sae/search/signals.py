"""What is searched for: single features and fitted ensembles, as columns of token values and of window values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cogneuro_sae.responses import log_scaled
from cogneuro_sae.search.windows import Tiles, pool_tiles


class Feature(NamedTuple):
    """A single unit of a representation.

    Parameters
    ----------
    representation : str
        `raw`, or the name of an SAE.
    index : int
        Unit or latent.
    sign : int
        -1 where a signed unit is searched flipped.
    arms : dict of str to tuple of str
        Concept -> how the feature was chosen: selectors, scores, `given`, or control arms.
    """

    representation: str
    index: int
    sign: int = 1
    arms: dict[str, tuple[str, ...]] = {}

    @property
    def name(self) -> str:
        """Representation, colon, index."""
        return f"{self.representation}:{self.index}"


class Ensemble(NamedTuple):
    """A fitted read-out of several units; its value is the decision value of one class.

    Parameters
    ----------
    label : str
        What the folder is called.
    representation : str
        Of its units.
    indices : ndarray (n_units,) int64
        Units.
    fitted : estimator
        Gives `decide(X) -> (n,)`, above 0 for its second class.
    sign : int
        -1 where the class asked for is the first.
    scale : float
        s of the log1p transform; 0: raw units.
    target : str
        The class asked for.
    """

    label: str
    representation: str
    indices: np.ndarray
    fitted: object
    sign: int
    scale: float
    target: str

    @property
    def name(self) -> str:
        """`ensemble:` and the label."""
        return f"ensemble:{self.label}"

    def decision(self, values: np.ndarray) -> np.ndarray:
        """Return the decision value of the class asked for.

        Parameters
        ----------
        values : ndarray (n, n_units)
            Pooled values, raw units.

        Returns
        -------
        ndarray (n,) float32
        """
        X = log_scaled(values, scale=self.scale) if self.scale else values
        return (self.sign * self.fitted.decide(np.asarray(X, np.float64))).astype(np.float32)


class Signals:
    """Features and ensembles over shared columns, each column encoded once.

    Parameters
    ----------
    features : tuple of Feature
        Single units.
    ensembles : tuple of Ensemble
        Read-outs.
    saes : dict of str to SparseAutoencoder
        By representation name; `raw` needs none.
    """

    def __init__(self, features: tuple[Feature, ...], ensembles: tuple[Ensemble, ...], saes: dict):
        self.features, self.ensembles, self.saes = tuple(features), tuple(ensembles), dict(saes)
        wanted: dict[str, set[int]] = {}
        for one in self.features:
            wanted.setdefault(one.representation, set()).add(one.index)
        for one in self.ensembles:
            wanted.setdefault(one.representation, set()).update(int(index) for index in one.indices)
        self.columns = {name: np.array(sorted(found), np.int64) for name, found in wanted.items()}
        self._place = {(name, index): place for place, (name, index) in enumerate(
            (name, int(index)) for name, columns in self.columns.items() for index in columns)}
        self._own = np.array([self._place[one.representation, one.index] for one in self.features], np.int64)
        self._signs = np.array([one.sign for one in self.features], np.float32)
        self._members = [np.array([self._place[one.representation, int(index)] for index in one.indices], np.int64)
                         for one in self.ensembles]

    def __len__(self) -> int:
        return len(self.features) + len(self.ensembles)

    @property
    def names(self) -> list[str]:
        """Names of features, then of ensembles."""
        return [one.name for one in (*self.features, *self.ensembles)]

    def encode(self, values: np.ndarray, full: dict[str, np.ndarray]) -> np.ndarray:
        """Return the shared columns of some tokens.

        Parameters
        ----------
        values : ndarray (n_tokens, d) float32
            Raw units.
        full : dict of str to ndarray (n_tokens, n_latents)
            Codes that are known already, by representation.

        Returns
        -------
        ndarray (n_tokens, n_columns) float32
        """
        parts = [np.zeros((len(values), 0), np.float32)]
        for name, columns in self.columns.items():
            if name in full:
                parts.append(full[name][:, columns])
            elif name in self.saes:
                parts.append(self.saes[name].transform(values, columns))
            else:
                parts.append(values[:, columns])
        return np.concatenate(parts, axis=1)

    def tokens(self, columns: np.ndarray) -> np.ndarray:
        """Return the token values of everything searched for: of ensembles, how far the token alone moves the decision.

        Parameters
        ----------
        columns : ndarray (n_tokens, n_columns) float32
            Shared columns.

        Returns
        -------
        ndarray (n_tokens, n) float32
        """
        own = columns[:, self._own] * self._signs
        if not self.ensembles:
            return own
        alone = [one.decision(columns[:, members]) - one.decision(np.zeros((1, len(members)), np.float32))
                 for one, members in zip(self.ensembles, self._members, strict=True)]
        return np.column_stack([own, *alone]).astype(np.float32)

    def windows(self, columns: np.ndarray, tokens: np.ndarray, tiles: Tiles, pooling: str) -> np.ndarray:
        """Return the window values: pooled token values of features, decision values of pooled units of ensembles.

        Parameters
        ----------
        columns : ndarray (n_tokens, n_columns) float32
            Shared columns.
        tokens : ndarray (n_tokens, n) float32
            From `tokens`.
        tiles : Tiles
            The windows.
        pooling : str
            A name of POOLINGS.

        Returns
        -------
        ndarray (n_windows, n) float32
        """
        own = pool_tiles(tokens[:, :len(self.features)], tiles, pooling)
        if not self.ensembles:
            return own
        pooled = pool_tiles(columns, tiles, pooling)
        return np.column_stack([own, *(one.decision(pooled[:, members])
                                       for one, members in zip(self.ensembles, self._members, strict=True))])
