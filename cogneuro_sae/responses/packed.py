"""Responses: what a model answered to a set of stimuli at one site, token by token, packed end to end."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.responses import npz
from cogneuro_sae.responses.pooling import TRANSFORMS, peak_tokens, pool_tokens, refuse_late_encoding, scale_of
from cogneuro_sae.responses.windows import Content, Laid, WindowCounts, lay, named, target_pairs

KINDS = {"values": np.float32, "tokens": np.str_, "offsets": np.int64, "specials": bool, "spans": np.int64}


@dataclass(frozen=True, eq=False)
class Responses:
    """Token activations of one site, packed without padding; a valid scikit-learn `X` with one row per stimulus.

    Parameters
    ----------
    values : ndarray (n_tokens, n_units) float32
        Activations of all tokens of all stimuli end to end, in the site's raw units.
    tokens : ndarray (n_tokens,) str
        The text of each token.
    offsets : ndarray (n_stimuli + 1,) int64
        Stimulus i owns tokens offsets[i] to offsets[i + 1].
    specials : ndarray (n_tokens,) bool
        Tokens the recorder added (BOS), known by position; never in a window.
    spans : ndarray (n_tokens, 2) int64
        Characters of each token in its text, half open; -1 where unknown.
    ids : tuple of str
        Stimulus ids, "" where there is none.
    site : str
        Canonical site.
    model : str
        Name of the model.
    sha256 : str
        Hash of the model's weights.
    scale : float
        s = mean residual norm / sqrt(d_model) of docs/methods.md, 1 where unknown.
    target_spans : ndarray (n_stimuli, 2) int64 or None
        Characters of the target words, -1 where a stimulus has none.
    pooled : bool
        True when each stimulus is one row that was pooled elsewhere.
    """

    values: np.ndarray
    tokens: np.ndarray
    offsets: np.ndarray
    specials: np.ndarray
    spans: np.ndarray
    ids: tuple[str, ...]
    site: str
    model: str
    sha256: str
    scale: float = 1.0
    target_spans: np.ndarray | None = None
    pooled: bool = False

    def __post_init__(self):
        for name, kind in KINDS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        object.__setattr__(self, "ids", tuple(str(name) for name in self.ids))
        n_tokens, n_stimuli = len(self.values), len(self.offsets) - 1
        if self.values.ndim != 2 or n_stimuli < 0 or self.offsets[0] != 0 or self.offsets[-1] != n_tokens \
                or (np.diff(self.offsets) < 0).any():
            raise InputError(f"values {self.values.shape} and offsets {self.offsets.shape} do not fit together",
                             allowed="values (n_tokens, n_units), offsets rising from 0 to n_tokens")
        wanted = {"tokens": (n_tokens,), "specials": (n_tokens,), "spans": (n_tokens, 2)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} has shape {getattr(self, name).shape}", allowed=f"{shape}")
        if len(self.ids) != n_stimuli:
            raise InputError(f"{len(self.ids)} ids for {n_stimuli} stimuli")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale {self.scale} is not a positive number")
        if self.target_spans is not None:
            object.__setattr__(self, "target_spans", target_pairs(self.target_spans, n_stimuli))

    @property
    def shape(self) -> tuple[int, int]:
        """(n_stimuli, n_units)."""
        return len(self), self.values.shape[1]

    @property
    def n_content(self) -> np.ndarray:
        """Tokens of each stimulus without specials: `(n_stimuli,)` int64."""
        return self._content().length

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        rows = "pooled rows" if self.pooled else f"tokens of {len(self)} stimuli"
        return f"Responses({len(self.values)} {rows} x {self.shape[1]} units at {self.site!r} of {self.model!r})"

    def __getitem__(self, rows) -> Responses:
        """Return the responses to some stimuli: an integer, slice, boolean mask or integer array, or `[rows, ...]`."""
        if isinstance(rows, tuple):
            if len(rows) != 2 or not (rows[1] is Ellipsis or rows[1] == slice(None)):
                raise InputError("responses are indexed by stimulus only", allowed="responses[rows] or [rows, ...]")
            rows = rows[0]
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        tokens = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        return replace(self, values=self.values[tokens], tokens=self.tokens[tokens], offsets=offsets,
                       specials=self.specials[tokens], spans=self.spans[tokens],
                       ids=tuple(self.ids[row] for row in chosen),
                       target_spans=None if self.target_spans is None else self.target_spans[chosen])

    def window(self, window: str = "all") -> np.ndarray:
        """Return the packed indices of the content tokens inside a window, in stimulus order.

        Parameters
        ----------
        window : str
            `all`, `first(n)`, `center(d)` or `span`.

        Returns
        -------
        ndarray (n_window_tokens,) int64

        Raises
        ------
        InputError
            Unknown window; `span` without spans; token windows on pooled responses.
        """
        return np.flatnonzero(~self.specials)[self._laid(window).mask]

    def window_counts(self, window: str = "all") -> WindowCounts:
        """Count the tokens of each stimulus inside a window.

        Parameters
        ----------
        window : str
            `all`, `first(n)`, `center(d)` or `span`.

        Returns
        -------
        WindowCounts
        """
        laid = self._laid(window)
        return WindowCounts(np.bincount(self._content().owner[laid.mask], minlength=len(self)), laid.filled)

    def pool(self, how: str = "mean", *, window: str = "all", through: object | None = None,
             transform: str = "log1p", chunk: int = 4096) -> np.ndarray:
        """Encode each token, then pool over a window: one row per stimulus (docs/methods.md).

        Parameters
        ----------
        how : str
            `mean`, `max`, `last` or `rate` = share of tokens > 0.
        window : str
            `all`, `first(n)`, `center(d)` or `span`; a shorter stimulus gives the tokens it has.
        through : object or None
            An SAE, or anything with `transform(values) -> (n_tokens, n_features)`. None: the units themselves.
        transform : str
            `log1p`: sign(x) log1p(|x| / scale) of the pooled value, unitless (scale: of these responses, where unknown
            that of `through`); a `rate` is unitless already and stays as it is. `none`: raw units.
        chunk : int
            Tokens encoded at a time: [n_tokens, n_features] never exists in full.

        Returns
        -------
        ndarray (n_stimuli, n_features) float32

        Raises
        ------
        InputError
            Unknown name; a stimulus without a token in the window; an SAE on responses that are pooled already.
        """
        if transform not in TRANSFORMS:
            raise unknown_name("transform", transform, TRANSFORMS)
        tokens, counts = self.window(window), self._filled_counts(window)
        if self.pooled:
            refuse_late_encoding(through)
            how = "mean"
        X = pool_tokens(self.values, tokens, counts, how=how, through=through, chunk=chunk)
        return X if how == "rate" else TRANSFORMS[transform](X, scale=scale_of(self, through))

    def peak(self, features: np.ndarray, *, window: str = "all", through: object | None = None) -> np.ndarray:
        """Return the token at which each feature is largest in each stimulus (ties: the earlier one).

        Parameters
        ----------
        features : ndarray (n,) int
            Features wanted.
        window : str
            As in `pool`.
        through : object or None
            As in `pool`.

        Returns
        -------
        ndarray (n_stimuli, n) int64
            Packed token index, to look up in `tokens` and `values`.
        """
        features = np.asarray(features, dtype=np.int64).ravel()
        tokens, counts = self.window(window), self._filled_counts(window)
        return peak_tokens(self.values, tokens, counts, features, through=through)

    def with_spans(self, spans) -> Responses:
        """Return the same responses with the target words of each stimulus.

        Parameters
        ----------
        spans : array_like (n_stimuli, 2) of int, or sequence of pair or None
            Characters (start, stop) in each text; -1 or None where a stimulus has none.

        Returns
        -------
        Responses
        """
        return replace(self, target_spans=target_pairs(spans, len(self)))

    @classmethod
    def from_pooled(cls, X, *, ids=None, site: str = "", model: str = "", sha256: str = "",
                    scale: float = 1.0) -> Responses:
        """Make responses from rows that were recorded and pooled elsewhere.

        Parameters
        ----------
        X : array_like (n_stimuli, n_features)
            One row per stimulus, finite, raw units.
        ids : sequence of str, optional
            Stimulus ids.
        site, model, sha256 : str
            Where the rows come from, where known.
        scale : float
            s of docs/methods.md, 1 where unknown.

        Returns
        -------
        Responses

        Raises
        ------
        InputError
            X is not a finite table of numbers, or ids do not fit it.
        """
        return cls(**npz.pooled_fields(X, ids), site=site, model=model, sha256=sha256, scale=scale, pooled=True)

    def save(self, path: str | os.PathLike):
        """Write to one npz file, atomically and without pickle.

        Parameters
        ----------
        path : str or PathLike
            File to write.

        Returns
        -------
        Path
        """
        return npz.write(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Responses:
        """Read an npz file: one made by `save`, or one with `X` [and `ids`], or `values` and `offsets` [and `ids`].

        Parameters
        ----------
        path : str or PathLike
            File to read.

        Returns
        -------
        Responses

        Raises
        ------
        InputError
            The file is absent, truncated, holds Python objects, lacks what is needed or has NaN.
        """
        return npz.read(path, cls)

    def _content(self) -> Content:
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))[~self.specials]
        length = np.bincount(owner, minlength=len(self)).astype(np.int64)
        position = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
        return Content(position, owner, length, self.spans[~self.specials], self.target_spans, self.ids)

    def _laid(self, window: str) -> Laid:
        if self.pooled and window != "all":
            raise InputError(f"window {window!r} on responses that are pooled already", allowed="all")
        return lay(window, self._content())

    def _filled_counts(self, window: str) -> np.ndarray:
        counts = self.window_counts(window).n_tokens
        if not len(counts):
            raise InputError("there are no stimuli to pool")
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            raise InputError(f"window {window!r} holds no token of {len(empty)} stimuli: {named(self.ids, empty)}",
                             do="mend their text or span, or use another window")
        return counts
