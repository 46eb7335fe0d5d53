"""RDMs at the border: rsatoolbox objects with descriptors."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.rsa.models import model_matrix

METRICS = ("correlation", "euclidean")


def data_rdm(X: np.ndarray, *, metric: str = "correlation", ids=None, by=None):
    """Data RDM of patterns (rsatoolbox.rdm.calc_rdm).

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        One pattern per stimulus, such as the pooled values of some features.
    metric : str
        rsatoolbox's name: "correlation" (1 - r), "euclidean" (squared, divided by n_features).
    ids : sequence of str, optional
        Stimulus ids; default 0, 1, 2 ...
    by : sequence, optional
        Average the patterns of stimuli that share this label (such as cell or condition) before.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM; pattern descriptors `id` (and `by`).

    Raises
    ------
    InputError
        Unknown metric, wrong shapes, or a single feature under "correlation".
    """
    import rsatoolbox

    X = np.asarray(X, np.float64)
    if metric not in METRICS:
        raise unknown_name("RDM metric", metric, METRICS)
    if X.ndim != 2 or len(X) < 3:
        raise InputError(f"X has shape {X.shape}", where="data_rdm", allowed="(n_stimuli >= 3, n_features)")
    if metric == "correlation" and X.shape[1] < 2:
        raise InputError("one feature has no correlation distance", where="data_rdm", do='use metric="euclidean"')
    if by is not None:
        names, index = np.unique([str(label) for label in by], return_inverse=True)
        if len(index) != len(X):
            raise InputError(f"by has {len(index)} labels for {len(X)} stimuli", where="data_rdm")
        X, ids = np.array([X[index == i].mean(axis=0) for i in range(len(names))]), list(names)
    ids = [str(i) for i in range(len(X))] if ids is None else [str(i) for i in ids]
    if len(ids) != len(X):
        raise InputError(f"{len(ids)} ids for {len(X)} stimuli", where="data_rdm")
    patterns = rsatoolbox.data.Dataset(X, obs_descriptors={"id": ids})
    return rsatoolbox.rdm.calc_rdm(patterns, method=metric)


def model_rdm(name, labels=None, *, ids=None):
    """Model RDM from labels.

    Parameters
    ----------
    name : str, callable or ndarray
        A name of MODEL_RDMS, a function of labels, or a square matrix.
    labels : array_like (n_stimuli,), optional
        Labels of the stimuli; not needed for a matrix.
    ids : sequence of str, optional
        Stimulus ids; default 0, 1, 2 ...

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM; rdm descriptor `name`, pattern descriptor `id`.

    Raises
    ------
    InputError
        Unknown name, missing labels, or a matrix that is not a model RDM.
    """
    import rsatoolbox

    n = len(labels) if labels is not None else len(name) if isinstance(name, np.ndarray) else 0
    matrix = model_matrix(name, n, labels=labels)
    ids = [str(i) for i in range(n)] if ids is None else [str(i) for i in ids]
    label = name if isinstance(name, str) else getattr(name, "__name__", "model")
    return rsatoolbox.rdm.RDMs(condensed(matrix)[None], dissimilarity_measure=f"model: {label}",
                               rdm_descriptors={"name": [label]}, pattern_descriptors={"id": ids})


def condensed(matrix: np.ndarray) -> np.ndarray:
    """Upper triangle of a square matrix, row by row, as rsatoolbox and scipy order it.

    Parameters
    ----------
    matrix : ndarray (n, n)
        Symmetric.

    Returns
    -------
    ndarray (n (n - 1) / 2,) float64
    """
    matrix = np.asarray(matrix, np.float64)
    return matrix[np.triu_indices(len(matrix), 1)]
