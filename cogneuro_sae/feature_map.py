"""FeatureMap: one signed value per feature with its inference. A map is for looking; selectors are for using."""

from __future__ import annotations

import html
import json
import os
import zipfile
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, unknown_name

ARRAYS = ("value", "direction", "n_valid", "pvalue", "p_fwe", "q", "effect", "ci_low", "ci_high")
TEXTS = ("name", "site", "center", "reasons", "info")


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """One signed value per feature; NaN = not estimable (counted in `reasons`), never 0.

    Parameters
    ----------
    value : ndarray (n_features,) float64
        The score, signed, in the score's own unit; NaN where it is not estimable.
    name : str
        Name of the score.
    direction : ndarray (n_features,) int8, optional
        sign(mean_A - mean_B); 0 where equal or unknown.
    n_valid : ndarray (n_features, 2) or (n_features,) int64, optional
        Valid items in A and in B.
    pvalue, p_fwe, q : ndarray (n_features,) float64, optional
        Permutation p, family-wise p (maximum statistic), Benjamini-Hochberg q; NaN where not tested.
    effect, ci_low, ci_high : ndarray (n_features,) float64, optional
        Effect size with its interval.
    site : str
        Site the features belong to.
    reasons : dict of str to int
        Why features are not estimable or not tested -> how many.
    info : dict
        JSON-able record: scheme, permutations, seed, family, tail, smallest p, Monte Carlo error, BH resolution ...
    center : float
        The score's value when there is no effect (.5 for auroc).
    """

    value: np.ndarray
    name: str
    direction: np.ndarray | None = None
    n_valid: np.ndarray | None = None
    pvalue: np.ndarray | None = None
    p_fwe: np.ndarray | None = None
    q: np.ndarray | None = None
    effect: np.ndarray | None = None
    ci_low: np.ndarray | None = None
    ci_high: np.ndarray | None = None
    site: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    info: dict = field(default_factory=dict)
    center: float = 0.0

    def __post_init__(self):
        value = np.asarray(self.value, np.float64)
        if value.ndim != 1:
            raise InputError(f"value has shape {value.shape}", where=f"FeatureMap {self.name}", allowed="(n_features,)")
        object.__setattr__(self, "value", value)
        for name in ARRAYS[1:]:
            array = getattr(self, name)
            if array is None:
                continue
            array = np.asarray(array)
            if array.shape[:1] != value.shape:
                raise InputError(f"{name} has shape {array.shape}, value {value.shape}",
                                 where=f"FeatureMap {self.name}")
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.value)

    def top(self, n: int, *, tail: str = "positive") -> np.ndarray:
        """Return the features with the most extreme values, best first.

        Parameters
        ----------
        n : int
            How many at most; features without a value never appear.
        tail : str
            "positive" (largest), "negative" (smallest), "two-sided" (farthest from `center`).

        Returns
        -------
        ndarray (<= n,) int64
            Feature indices; ties go to the smaller index.

        Raises
        ------
        InputError
            Unknown tail or negative n.
        """
        if tail not in _ORDER:
            raise unknown_name("tail", tail, _ORDER)
        if n < 0:
            raise InputError(f"n is {n}", allowed="0 or more")
        known = np.flatnonzero(~np.isnan(self.value))
        score = _ORDER[tail](self.value[known] - self.center)
        return known[np.argsort(-score, kind="stable")[:n]].astype(np.int64)

    def threshold(self, alpha: float = 0.05, *, by: str = "p_fwe") -> np.ndarray:
        """Return which features pass a level.

        Parameters
        ----------
        alpha : float
            Level, in (0, 1).
        by : str
            "p_fwe" | "q" | "pvalue".

        Returns
        -------
        ndarray (n_features,) bool
            True where `by` <= alpha; untested features are False.

        Raises
        ------
        InputError
            Unknown `by`, alpha outside (0, 1), or a map made without permutations.
        """
        if by not in ("p_fwe", "q", "pvalue"):
            raise unknown_name("inference", by, ("p_fwe", "q", "pvalue"))
        if not 0 < alpha < 1:
            raise InputError(f"alpha is {alpha}", allowed="between 0 and 1")
        levels = getattr(self, by)
        if levels is None:
            raise InputError(f"the map {self.name!r} has no {by}", do="make it with permutations=1000 or more")
        with np.errstate(invalid="ignore"):
            return levels <= alpha

    def to_frame(self) -> pd.DataFrame:
        """Return one row per feature with the columns the map holds.

        Returns
        -------
        pandas.DataFrame
            `feature`, `value`, then whichever of the optional arrays are there (`n_valid_a`, `n_valid_b` for two
            columns).
        """
        columns = {"feature": np.arange(len(self), dtype=np.int64)}
        for name in ARRAYS:
            array = getattr(self, name)
            if array is None:
                continue
            if array.ndim == 1:
                columns[name] = array
            else:
                columns.update({f"{name}_a": array[:, 0], f"{name}_b": array[:, 1]})
        return pd.DataFrame(columns)

    def to_arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return the map as plain arrays for an npz file.

        Parameters
        ----------
        prefix : str
            Put before every key, so that several maps fit in one file.

        Returns
        -------
        dict of str to ndarray
            Arrays of the map and one JSON text `meta`.
        """
        arrays = {prefix + name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}
        meta = {name: getattr(self, name) for name in TEXTS}
        arrays[prefix + "meta"] = np.array(json.dumps(files._plain(meta), ensure_ascii=False))
        return arrays

    @classmethod
    def from_arrays(cls, arrays, prefix: str = "") -> FeatureMap:
        """Rebuild a map from `to_arrays`.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `to_arrays` gave, or an open npz file.
        prefix : str
            The prefix used then.

        Returns
        -------
        FeatureMap
            The same map.

        Raises
        ------
        InputError
            The keys of a map are not there.
        """
        if prefix + "meta" not in arrays or prefix + "value" not in arrays:
            raise InputError(f"holds no map {prefix!r}", allowed=", ".join(list(arrays)[:20]))
        meta = json.loads(str(np.asarray(arrays[prefix + "meta"])[()]))
        found = {name: np.asarray(arrays[prefix + name]) for name in ARRAYS if prefix + name in arrays}
        return cls(**found, **meta)

    def save(self, path: str | os.PathLike) -> None:
        """Write the map to one npz file, atomically.

        Parameters
        ----------
        path : path
            Ends in .npz.

        Raises
        ------
        SetupError
            The file cannot be written.
        """
        with files.replacing(path) as temporary, open(temporary, "wb") as handle:
            np.savez_compressed(handle, **self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike) -> FeatureMap:
        """Read a map written by `save`.

        Parameters
        ----------
        path : path
            The npz file.

        Returns
        -------
        FeatureMap
            The map.

        Raises
        ------
        InputError
            Not a readable npz file, or no map in it.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls.from_arrays(dict(arrays))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not a readable map ({error})", where=str(path)) from error

    def _repr_html_(self) -> str:
        known = int(np.sum(~np.isnan(self.value)))
        lines = [f"<b>{html.escape(self.name)}</b> {html.escape(self.site)}: {known} of {len(self)} features estimable"]
        if self.info.get("scheme"):
            lines.append(html.escape(str(self.info["scheme"])))
        lines += [html.escape(f"{count} features: {reason}") for reason, count in self.reasons.items() if count]
        frame = self.to_frame().iloc[self.top(10)]
        return "<br>".join(lines) + frame.to_html(index=False, float_format=lambda v: f"{v:.3g}", escape=True)


_ORDER = {"positive": lambda v: v, "negative": lambda v: -v, "two-sided": np.abs}
