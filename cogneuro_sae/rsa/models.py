"""Model RDMs as functions of labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cogneuro_sae.errors import InputError, unknown_name


def categorical_model(labels: np.ndarray) -> np.ndarray:
    """0 within a class, 1 between classes.

    Parameters
    ----------
    labels : array_like (n_stimuli,)
        Class of each stimulus, any type.

    Returns
    -------
    ndarray (n_stimuli, n_stimuli) float64
    """
    labels = np.asarray(labels)
    return (labels[:, None] != labels[None, :]).astype(np.float64)


def graded_model(labels: np.ndarray) -> np.ndarray:
    """|grade_i - grade_j|: grades, lengths or any continuous measure.

    Parameters
    ----------
    labels : array_like (n_stimuli,)
        Numbers, in the measure's unit.

    Returns
    -------
    ndarray (n_stimuli, n_stimuli) float64

    Raises
    ------
    InputError
        Labels that are not finite numbers.
    """
    values = _numbers(labels)
    return np.abs(values[:, None] - values[None, :])


def factorial_model(labels: np.ndarray) -> np.ndarray:
    """Share of factors in which two stimuli differ.

    Parameters
    ----------
    labels : array_like (n_stimuli, n_factors)
        Level of each stimulus on each factor; a single column is `categorical`.

    Returns
    -------
    ndarray (n_stimuli, n_stimuli) float64
        0 to 1.
    """
    labels = np.asarray(labels, dtype=object)
    columns = labels.reshape(len(labels), -1).T
    return np.mean([column[:, None] != column[None, :] for column in columns], axis=0).astype(np.float64)


def coherent_model(labels: np.ndarray) -> np.ndarray:
    """0 between two targets, 1 for every other pair: the target coheres and the foils are a mixed lot.

    Parameters
    ----------
    labels : array_like (n_stimuli,) of 0 and 1
        1 for the target.

    Returns
    -------
    ndarray (n_stimuli, n_stimuli) float64
        Diagonal 0.

    Raises
    ------
    InputError
        Labels that are not finite numbers.
    """
    target = _numbers(labels) > 0
    model = 1.0 - (target[:, None] & target[None, :])
    np.fill_diagonal(model, 0.0)
    return model


def length_model(labels: np.ndarray) -> np.ndarray:
    """|log length_i - log length_j|: a nuisance model for word or token counts.

    Parameters
    ----------
    labels : array_like (n_stimuli,)
        Lengths, above 0.

    Returns
    -------
    ndarray (n_stimuli, n_stimuli) float64
        Natural logarithm.

    Raises
    ------
    InputError
        A length that is not above 0.
    """
    values = _numbers(labels)
    if (values <= 0).any():
        raise InputError(f"length {values.min():g}", where="length_model", allowed="above 0")
    return graded_model(np.log(values))


def _numbers(labels) -> np.ndarray:
    try:
        values = np.asarray(labels, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(f"labels are not numbers ({error})", do="use the categorical or factorial model") from error
    if not np.isfinite(values).all():
        raise InputError(f"{np.sum(~np.isfinite(values))} labels are missing or infinite", do="leave those stimuli out")
    return values


MODEL_RDMS: dict[str, Callable] = {"categorical": categorical_model, "graded": graded_model,
                                   "factorial": factorial_model,
                                   "coherent": coherent_model, "length": length_model}


def model_matrix(model, n: int, *, labels=None) -> np.ndarray:
    """Return a model RDM as a full matrix.

    Parameters
    ----------
    model : str, callable, ndarray, DataFrame or rsatoolbox RDMs
        A name of MODEL_RDMS or a function (both applied to `labels`), a square matrix, or one RDM.
    n : int
        Stimuli expected; for functions the number of labels.
    labels : array_like (n,), optional
        Labels for a named model.

    Returns
    -------
    ndarray (n, n) float64
        Symmetric, zero diagonal.

    Raises
    ------
    InputError
        Unknown name, missing labels, or a matrix that is not (n, n), symmetric and finite off the diagonal.
    """
    if isinstance(model, str) and model not in MODEL_RDMS:
        raise unknown_name("model RDM", model, MODEL_RDMS)
    function = MODEL_RDMS.get(model) if isinstance(model, str) else model
    if callable(function) and not hasattr(function, "get_matrices"):
        if labels is None:
            raise InputError(f"the model {model!r} needs labels", do="give labels=, one per stimulus")
        matrix = function(np.asarray(labels))
    else:
        matrix = function.get_matrices()[0] if hasattr(function, "get_matrices") else function
    matrix = np.array(matrix, np.float64)
    if matrix.shape != (n, n):
        raise InputError(f"the model RDM has shape {matrix.shape}", allowed=f"({n}, {n})",
                         do="match it to the stimuli by id")
    np.fill_diagonal(matrix, 0.0)
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        raise InputError("the model RDM is not symmetric and finite")
    return matrix
