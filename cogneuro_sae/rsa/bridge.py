"""To and from rsatoolbox: datasets, temporal datasets and RDMs, with every descriptor kept by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.rsa.rdm import condensed

FEATURE = "feature"


class Measured(NamedTuple):
    """Values with the names of their rows and columns.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Values, unit and dtype as they came.
    table : DataFrame (n_stimuli, n_columns)
        What is known about each stimulus.
    features : ndarray (n_features,)
        Name or number of each feature.
    descriptors : dict
        What holds for all of it, such as `site`.
    """

    X: np.ndarray
    table: pd.DataFrame
    features: np.ndarray
    descriptors: dict


def to_dataset(X: np.ndarray, *, table: pd.DataFrame | None = None, features=None, descriptors: dict | None = None):
    """Make an rsatoolbox Dataset.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values; made float64, since rsatoolbox computes in the precision it is given.
    table : DataFrame (n_stimuli, n_columns), optional
        Such as `StimulusSet.table`; its columns become observation descriptors. Default: `id` = 0, 1, 2 ...
    features : sequence (n_features,), optional
        Channel descriptor `feature`; default 0, 1, 2 ...
    descriptors : dict, optional
        Dataset descriptors.

    Returns
    -------
    rsatoolbox.data.Dataset

    Raises
    ------
    InputError
        Lengths that differ.
    """
    from rsatoolbox.data import Dataset

    X = np.asarray(X, np.float64)
    observed, channels = _descriptors(X, table, features)
    return Dataset(X, descriptors=dict(descriptors or {}), obs_descriptors=observed, channel_descriptors=channels)


def _descriptors(X, table, features):
    if X.ndim < 2:
        raise InputError(f"X has shape {X.shape}", allowed="(n_stimuli, n_features)")
    table = pd.DataFrame({"id": range(len(X))}) if table is None else table
    features = np.arange(X.shape[1]) if features is None else np.asarray(features)
    for name, found, wanted in (("table", len(table), len(X)), ("features", len(features), X.shape[1])):
        if found != wanted:
            raise InputError(f"{name} has {found} entries for {wanted} in X")
    return {str(name): table[name].tolist() for name in table.columns}, {FEATURE: features.tolist()}


def from_dataset(dataset) -> Measured:
    """Read an rsatoolbox Dataset.

    Parameters
    ----------
    dataset : rsatoolbox.data.Dataset
        Two-dimensional measurements.

    Returns
    -------
    Measured
        `features` is the channel descriptor `feature`, else the first there is, else 0, 1, 2 ...

    Raises
    ------
    InputError
        A temporal dataset, or a descriptor that is not one value per observation.
    """
    if np.ndim(dataset.measurements) != 2:
        raise InputError("measurements have a time axis", do="use from_temporal_dataset, or average time before")
    channels = dataset.channel_descriptors
    names = channels.get(FEATURE, next(iter(channels.values()), np.arange(dataset.n_channel)))
    return Measured(np.array(dataset.measurements), _table(dataset), np.asarray(names), dict(dataset.descriptors))


def _table(dataset) -> pd.DataFrame:
    wrong = [name for name, values in dataset.obs_descriptors.items() if np.ndim(values) != 1]
    if wrong:
        raise InputError(f"the descriptor {wrong[0]!r} has several values per observation", allowed="one")
    return pd.DataFrame({name: list(values) for name, values in dataset.obs_descriptors.items()},
                        index=range(dataset.n_obs))


def to_temporal_dataset(responses: Responses, *, n: int | None = None, through=None, table: pd.DataFrame | None = None,
                        features=None):
    """Make an rsatoolbox TemporalDataset: time is the token position, from 0 at the first content token.

    Parameters
    ----------
    responses : Responses
        Token activations; specials are left out.
    n : int, optional
        Positions; default those of the longest text.
    through : object, optional
        An SAE, or anything with `transform`.
    table : DataFrame (n_stimuli, n_columns), optional
        Observation descriptors; default `id`.
    features : ndarray of int, optional
        Only these features (all of them times all positions is large).

    Returns
    -------
    rsatoolbox.data.TemporalDataset
        Measurements `(n_stimuli, n_features, n)`, raw units; NaN after the end of a text, never 0.

    Raises
    ------
    InputError
        Lengths that differ, fewer than one position.
    """
    from rsatoolbox.data import TemporalDataset

    longest = int(responses.n_content.max(initial=0))
    n = longest if n is None else n
    if not 1 <= n <= longest:
        raise InputError(f"{n} positions", allowed=f"1 to {longest}, the tokens of the longest text")
    tokens = TokenFeatures(responses, through, f"first({n})")
    features = np.arange(tokens.n_features) if features is None else np.asarray(features, np.int64)
    values, counts = tokens.block(0, tokens.n_features)[:, features], np.diff(tokens.offsets)
    cube = np.full((len(counts), len(features), n), np.nan, np.float32)
    owner = np.repeat(np.arange(len(counts)), counts)
    cube[owner, :, np.arange(len(owner)) - np.repeat(tokens.offsets[:-1], counts)] = values
    observed, channels = _descriptors(cube, pd.DataFrame({"id": responses.ids}) if table is None else table, features)
    known = {"site": responses.site, "model": responses.model}
    return TemporalDataset(cube, descriptors=known, obs_descriptors=observed, channel_descriptors=channels,
                           time_descriptors={"time": list(range(n))})


def from_temporal_dataset(dataset) -> Responses:
    """Read an rsatoolbox TemporalDataset as Responses, time points as tokens.

    Parameters
    ----------
    dataset : rsatoolbox.data.TemporalDataset
        NaN marks the end of an observation that is shorter than the others. Token texts and character spans are not
        in it and stay empty.

    Returns
    -------
    Responses
        Packed; ids from the observation descriptor `id` where there is one.

    Raises
    ------
    InputError
        NaN before a value, NaN in some channels only, or an observation without a value.
    """
    cube = np.asarray(dataset.measurements)
    there = np.isfinite(cube).all(axis=1)
    counts = there.sum(axis=1)
    part = np.isfinite(cube).any(axis=1) != there
    if part.any() or (there != (np.arange(cube.shape[2]) < counts[:, None])).any() or (counts == 0).any():
        raise InputError("values are missing inside an observation, or an observation has none",
                         allowed="NaN in all channels after the end of an observation")
    values = np.concatenate([row[:, :count].T for row, count in zip(cube, counts)])
    ids = dataset.obs_descriptors.get("id", [""] * len(cube))
    return Responses(values=values, tokens=np.full(len(values), ""), offsets=np.r_[0, np.cumsum(counts)],
                     specials=np.zeros(len(values), bool), spans=np.full((len(values), 2), -1), ids=tuple(ids),
                     site=str(dataset.descriptors.get("site", "")), model=str(dataset.descriptors.get("model", "")),
                     sha256="")


def to_square(rdms, *, index: int = 0, descriptor: str = "id") -> pd.DataFrame:
    """Return one RDM as a square table, such as `StimulusSet.model_rdms` holds.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One or several RDMs.
    index : int
        Which.
    descriptor : str
        Pattern descriptor that names rows and columns.

    Returns
    -------
    DataFrame (n, n)
        Diagonal 0, missing pairs NaN.

    Raises
    ------
    InputError
        A descriptor that is not there.
    """
    names = _names(rdms, descriptor)
    matrix = np.array(rdms.get_matrices()[index], np.float64)
    np.fill_diagonal(matrix, 0.0)
    return pd.DataFrame(matrix, index=names, columns=names)


def from_square(frame: pd.DataFrame, *, name: str = "", measure: str = "dissimilarity"):
    """Make RDMs of one square table.

    Parameters
    ----------
    frame : DataFrame (n, n)
        Dissimilarities, the same names on rows and columns; NaN where missing.
    name : str
        rdm descriptor `name`.
    measure : str
        What the numbers are.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Pattern descriptor `id`.

    Raises
    ------
    InputError
        Other names on columns than on rows, or a matrix that is not symmetric.
    """
    from rsatoolbox.rdm import RDMs

    matrix = frame.to_numpy(np.float64)
    if list(frame.index) != list(frame.columns):
        raise InputError("rows and columns have other names", do="frame.loc[names, names] puts them in one order")
    if not np.allclose(matrix, matrix.T, equal_nan=True):
        raise InputError("the matrix is not symmetric", do="average it with its transpose, if that is meant")
    return RDMs(condensed(matrix)[None], dissimilarity_measure=measure, rdm_descriptors={"name": [name]},
                pattern_descriptors={"id": [str(each) for each in frame.index]})


def match_rdms(rdms, ids, *, descriptor: str = "id"):
    """Put RDMs of brains, behaviour or other models into the order of one's own stimuli.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One or several RDMs.
    ids : sequence of str
        Stimulus ids wanted, in the order wanted.
    descriptor : str
        Pattern descriptor that holds the ids.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Over `ids` only, with all pattern descriptors.

    Raises
    ------
    InputError
        Ids the RDMs lack, or ids that are there twice.
    """
    names, ids = _names(rdms, descriptor), [str(each) for each in ids]
    twice = [name for name in set(names) if names.count(name) > 1]
    if twice or len(set(ids)) < len(ids):
        raise InputError(f"the id {(twice or ids)[0]!r} is there twice", do="average copies before")
    missing = [each for each in ids if each not in set(names)]
    if missing:
        raise InputError(f"{len(missing)} of {len(ids)} stimuli are not in the RDMs, the first {missing[0]!r}",
                         do="restrict the design to the stimuli both have")
    place = {name: number for number, name in enumerate(names)}
    return _reordered(rdms, np.array([place[each] for each in ids]))


def _reordered(rdms, rows):
    from rsatoolbox.rdm import RDMs

    patterns = {name: [values[row] for row in rows] for name, values in rdms.pattern_descriptors.items()
                if name != "index"}
    return RDMs(np.array([condensed(matrix[np.ix_(rows, rows)]) for matrix in rdms.get_matrices()]),
                dissimilarity_measure=rdms.dissimilarity_measure, descriptors=rdms.descriptors,
                rdm_descriptors=rdms.rdm_descriptors, pattern_descriptors=patterns)


def _names(rdms, descriptor: str) -> list[str]:
    if descriptor not in rdms.pattern_descriptors:
        raise InputError(f"the RDMs have no pattern descriptor {descriptor!r}",
                         allowed=", ".join(rdms.pattern_descriptors))
    return [str(each) for each in rdms.pattern_descriptors[descriptor]]
