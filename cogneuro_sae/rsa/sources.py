"""What rsa_map reads: responses, token features, pooled arrays, or pair similarities computed once for many folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import CellTable, design_rows, group_means
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.rsa.patterns import PatternSource
from cogneuro_sae.rsa.pooled import PooledSource
from cogneuro_sae.rsa.profiles import DistributionSource, ProfileSource


class SourceOptions(NamedTuple):
    """How a source is read.

    Parameters
    ----------
    through : object or None
        An SAE or anything with `transform`, for Responses.
    window : str
        Window of docs/methods.md, for Responses.
    align : str
        "start" or "span": what stands at position 0 of a profile.
    min_common, min_active : int
        Validity of a profile pair.
    sets : sequence of ndarray of int or None
        Feature sets of the pattern variant; None: one set of all features.
    """

    through: object | None = None
    window: str = "all"
    align: str = "start"
    min_common: int = 8
    min_active: int = 2
    sets: tuple | None = None


@dataclass(frozen=True, eq=False)
class PairSimilarities:
    """Profile correlations of all pairs of stimuli, computed once and reused by every fold and score.

    Parameters
    ----------
    r : ndarray (n_features, n (n - 1) / 2) float32
        Correlations in the order of the upper triangle, NaN = not valid.
    token_means : ndarray (n_stimuli, n_features) float32
        Mean activation of each stimulus, raw units.
    index : ndarray (n_rows,) int64
        Which stimuli this view shows, in order.
    """

    r: np.ndarray
    token_means: np.ndarray
    index: np.ndarray
    correlation = True

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.r)

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, index: np.ndarray) -> PairSimilarities:
        """Return a view of some stimuli (no copy of the similarities).

        Parameters
        ----------
        index : ndarray of int or bool
            Stimuli wanted.

        Returns
        -------
        PairSimilarities
        """
        return PairSimilarities(self.r, self.token_means, self.index[index])

    def pairs(self, start: int, stop: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Correlations of some features for some pairs of stimuli.

        Parameters
        ----------
        start, stop : int
            Features.
        first, second : ndarray (n_pairs,) int64
            Stimuli of each pair.

        Returns
        -------
        ndarray (stop - start, n_pairs) float64
            r, NaN where a pair is not valid.
        """
        a, b = self.index[first], self.index[second]
        low, high, n = np.minimum(a, b), np.maximum(a, b), len(self.token_means)
        return self.r[start:stop, low * (2 * n - low - 1) // 2 + high - low - 1].astype(np.float64)

    def means(self, start: int, stop: int) -> np.ndarray:
        """Mean over each stimulus's tokens.

        Parameters
        ----------
        start, stop : int
            Features.

        Returns
        -------
        ndarray (n_stimuli, stop - start) float64
            Raw units.
        """
        return self.token_means[self.index, start:stop].astype(np.float64)


def pair_similarities(features: TokenFeatures, *, align: str = "start", min_common: int = 8, min_active: int = 2,
                      block: int = 512) -> PairSimilarities:
    """Compute every profile correlation once; 2 n (n - 1) bytes a feature.

    Parameters
    ----------
    features : TokenFeatures
        Token-level features of all stimuli.
    align : str
        "start" or "span".
    min_common, min_active : int
        Validity of a pair.
    block : int
        Features at a time.

    Returns
    -------
    PairSimilarities

    Raises
    ------
    InputError
        Span alignment without spans.
    """
    source = ProfileSource(features, _anchor(features, align), min_common, min_active)
    first, second = np.triu_indices(len(source), 1)
    r = np.empty((source.n_features, len(first)), np.float32)
    means = np.empty((len(source), source.n_features), np.float32)
    for start in range(0, source.n_features, block):
        stop = min(start + block, source.n_features)
        r[start:stop] = source.pairs(start, stop, first, second)
        means[:, start:stop] = source.means(start, stop)
    return PairSimilarities(r, means, np.arange(len(source)))


def open_source(given, design, table: CellTable, variant: str, options: SourceOptions):
    """Return the source of a variant and the cell of each of its rows.

    Parameters
    ----------
    given : Responses, TokenFeatures, PairSimilarities or ndarray
        What the user has.
    design : Design
        Its rows are picked from the data.
    table : CellTable
        Cells of the design.
    variant : str
        "profile" | "distribution" | "pooled" | "pattern".
    options : SourceOptions
        How to read it.

    Returns
    -------
    source, ndarray (n_source_rows,) int64

    Raises
    ------
    InputError
        Unknown variant, or data that the variant cannot use.
    """
    if variant not in VARIANTS:
        raise unknown_name("RSA variant", variant, VARIANTS)
    if isinstance(given, PairSimilarities) and variant != "profile":
        raise InputError(f"pair similarities hold profile correlations, not {variant} data")
    return VARIANTS[variant](given, design_rows(len(given), design), table, options)


def _token_features(given, rows: np.ndarray, options: SourceOptions, variant: str) -> TokenFeatures:
    if isinstance(given, Responses) and not given.pooled:
        return TokenFeatures(given[rows], options.through, options.window)
    if isinstance(given, Responses) or not hasattr(given, "block"):
        raise InputError(f"{variant} RSA needs token values, and these are pooled", allowed="Responses with tokens",
                         do='use variant="pooled", or record responses')
    return given.rows(rows)


def _pooled_values(given, rows: np.ndarray, options: SourceOptions) -> np.ndarray:
    if isinstance(given, Responses):
        return given[rows].pool("mean", window=options.window, through=options.through)
    X = np.asarray(given) if not hasattr(given, "block") else None
    if X is None or X.ndim != 2:
        raise InputError("pooled RSA needs one row per stimulus",
                         allowed="Responses or an array (n_stimuli, n_features)")
    return X if np.array_equal(rows, np.arange(len(X))) else X[rows]


def _profile(given, rows, table, options):
    if isinstance(given, PairSimilarities):
        return given.rows(rows), table.index
    features = _token_features(given, rows, options, "profile")
    return ProfileSource(features, _anchor(features, options.align), options.min_common,
                         options.min_active), table.index


def _distribution(given, rows, table, options):
    return DistributionSource(_token_features(given, rows, options, "distribution")), table.index


def _pooled(given, rows, table, options):
    return PooledSource(_pooled_values(given, rows, options), table.index), np.arange(len(table.item))


def _pattern(given, rows, table, options):
    X = _pooled_values(given, rows, options)
    sets = (np.arange(X.shape[1]),) if options.sets is None else tuple(np.asarray(each) for each in options.sets)
    return PatternSource(X, sets), table.index


def _anchor(features: TokenFeatures, align: str) -> np.ndarray | None:
    """Position of the span's first token among the window's tokens of each stimulus; None aligns the first tokens."""
    if align not in ("start", "span"):
        raise unknown_name("alignment", align, ("start", "span"))
    if align == "start":
        return None
    responses = features.responses
    targets = responses.target_spans
    if targets is None or (np.asarray(targets)[:, 0] < 0).any():
        lacking = len(responses) if targets is None else int((np.asarray(targets)[:, 0] < 0).sum())
        raise InputError(f"{lacking} stimuli have no span", where="align=span",
                         do="give every stimulus a span, or align=start")
    tokens, offsets = responses.window(features.window), features.offsets
    first = np.empty(len(offsets) - 1, np.int64)
    for row, (low, high) in enumerate(zip(offsets[:-1], offsets[1:])):
        ends = np.asarray(responses.spans)[tokens[low:high], 1]
        after = np.flatnonzero(ends > targets[row][0])
        if not len(after):
            raise InputError("the window ends before the span begins", where=f"stimulus {responses.ids[row] or row}",
                             do="use a window that holds the span")
        first[row] = after[0]
    return first


VARIANTS = {"profile": _profile, "distribution": _distribution, "pooled": _pooled, "pattern": _pattern}
