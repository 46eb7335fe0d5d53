"""Dynamic time warping of token profiles: distances between profiles of unequal length, without a window."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.rsa.distances import as_rdms

MOST = 200


def warping_rdms(given, features, *, through=None, window: str = "all", standardise: bool = True, min_active: int = 2,
                 ids=None, force: bool = False):
    """Warped distances between the token profiles of chosen features, one RDM per feature.

    d_ij = min over warping paths of sum (x_i(t) - x_j(u))^2, divided by T_i + T_j, the length of every path in steps
    along the two profiles (Sakoe and Chiba 1978); no band, so any token may meet any other in order. The distance is
    dtaidistance's. Slow: time grows with features x pairs x T_i T_j, so that this is for features already chosen, not
    for a whole dictionary.

    Parameters
    ----------
    given : Responses or TokenFeatures
        Token activations; TokenFeatures carry their own `through` and `window`.
    features : array_like (n_chosen,) of int
        Features wanted.
    through : object, optional
        SAE or other transform, with Responses.
    window : str
        Window, with Responses.
    standardise : bool
        Each profile to mean 0 and standard deviation 1, so that shape counts and not strength.
    min_active : int
        A profile with fewer active tokens, or a constant one when it is standardised, has no distances (NaN).
    ids : sequence of str, optional
        Stimulus ids; default those of the responses, else 0, 1, 2 ...
    force : bool
        Allow more than 200 features.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Over stimuli, for `rdm_map`; pattern descriptor `id`, rdm descriptors `set` and `feature`.

    Raises
    ------
    InputError
        Pooled values, features that do not exist, or more than 200 without `force`.
    SetupError
        dtaidistance is not installed.
    """
    tokens = _token_features(given, through, window)
    chosen = np.asarray(features, np.int64).reshape(-1)
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= tokens.n_features:
        raise InputError(f"features {chosen[:5].tolist()}", where="warping_rdms",
                         allowed=f"0 to {tokens.n_features - 1}")
    if len(chosen) > MOST and not force:
        pairs = len(tokens) * (len(tokens) - 1) // 2
        raise InputError(f"warping {len(chosen)} features over {pairs} pairs of stimuli is slow", where="warping_rdms",
                         allowed=f"{MOST} features", do="choose features by rsa_map first, or give force=True")
    distance, offsets = _distance(), tokens.offsets
    values = []
    for feature in chosen:
        column = tokens.block(int(feature), int(feature) + 1)[:, 0]
        profiles = [_profile(column[low:high], standardise, min_active) for low, high in zip(offsets, offsets[1:])]
        values.append(_warped(profiles, distance))
    ids = ids if ids is not None else getattr(getattr(tokens, "responses", None), "ids", None)
    named = ids is not None and all(str(each) for each in ids)
    patterns = {"id": [str(each) for each in ids] if named else [str(row) for row in range(len(tokens))]}
    return as_rdms(np.array(values), "dynamic time warping", patterns, feature=chosen.tolist())


def _distance():
    try:
        from dtaidistance import dtw
    except ImportError as error:
        raise SetupError("dynamic time warping needs dtaidistance", where="warping_rdms",
                         do="pip install 'cogneuro_sae[warping]'") from error
    return dtw.distance_fast


def _token_features(given, through, window):
    if isinstance(given, Responses) and not given.pooled:
        return TokenFeatures(given, through, window)
    if isinstance(given, Responses) or not hasattr(given, "block"):
        raise InputError("warping needs token values, and these are pooled", where="warping_rdms",
                         allowed="Responses with tokens, or TokenFeatures", do="record responses")
    return given


def _profile(values: np.ndarray, standardise: bool, min_active: int) -> np.ndarray | None:
    """A profile ready to be warped, None when it has no distances."""
    profile = np.array(values, np.float64)
    if not len(profile) or np.sum(profile != 0) < min_active:
        return None
    if not standardise:
        return profile
    spread = profile.std()
    return (profile - profile.mean()) / spread if spread > 1e-9 * np.abs(profile).max() else None


def _warped(profiles: list, distance) -> np.ndarray:
    """Condensed distances; the library returns the root of the path's sum of squares."""
    n, place = len(profiles), 0
    out = np.full(n * (n - 1) // 2, np.nan)
    for first in range(n):
        for second in range(first + 1, n):
            a, b = profiles[first], profiles[second]
            if a is not None and b is not None:
                out[place] = distance(a, b, use_pruning=False) ** 2 / (len(a) + len(b))
            place += 1
    return out
