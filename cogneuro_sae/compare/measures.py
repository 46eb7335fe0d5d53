"""Held-out measures of one fold (docs/methods.md): decision values are averaged per cell before anything is counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, ndtri

from cogneuro_sae.selection.arrays import auroc, cell_codes


class Measures(NamedTuple):
    """What one fitted read-out does on held-out items; NaN = not defined here.

    Parameters
    ----------
    auroc : float
        P(target cell above foil cell).
    pair_accuracy : float
        Share of within-item (target, foil) pairs in the right order, ties half; NaN without matched foils.
    balanced_accuracy : float
        Mean of hit rate and correct-rejection rate at decision value 0.
    log_loss : float
        Mean negative log probability of the right class, nats; NaN without probabilities.
    d_prime : float
        z(hits) - z(false alarms), log-linear correction.
    """

    auroc: float
    pair_accuracy: float
    balanced_accuracy: float
    log_loss: float
    d_prime: float


MEASURES = Measures._fields


def measure(decision: np.ndarray, y: np.ndarray, groups: np.ndarray, cells: np.ndarray | None = None, *,
            log_odds: bool = False) -> Measures:
    """Measure held-out decision values.

    Parameters
    ----------
    decision : ndarray (n_rows,)
        Above 0 speaks for the target.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    cells : ndarray (n_rows,), optional
        Cell of each row; item x label by default.
    log_odds : bool
        Decision values are log odds, so that probabilities exist.

    Returns
    -------
    Measures
    """
    code = cell_codes(y, groups, cells)
    first = np.unique(code, return_index=True)[1]
    value = np.bincount(code, weights=decision) / np.bincount(code)
    label, item = np.asarray(y)[first], np.asarray(groups)[first]
    hits, alarms = _positive_rate(value[label == 1]), _positive_rate(value[label == 0])
    return Measures(auroc(value, label), pair_accuracy(value, label, item), (hits + 1 - alarms) / 2,
                    float(-log_expit(np.where(label == 1, value, -value)).mean()) if log_odds else np.nan,
                    d_prime(value, label))


def cell_auroc(decision: np.ndarray, y: np.ndarray, groups: np.ndarray, cells: np.ndarray | None = None) -> float:
    """Return the AUROC of `measure` alone.

    Parameters
    ----------
    decision : ndarray (n_rows,)
        Above 0 speaks for the target.
    y : ndarray (n_rows,) of 0 and 1
        Labels.
    groups : ndarray (n_rows,)
        Items.
    cells : ndarray (n_rows,), optional
        Cell of each row; item x label by default.

    Returns
    -------
    float
    """
    code = cell_codes(y, groups, cells)
    first = np.unique(code, return_index=True)[1]
    return auroc(np.bincount(code, weights=decision) / np.bincount(code), np.asarray(y)[first])


def _positive_rate(value: np.ndarray) -> float:
    # a decision value of exactly 0 speaks for neither class
    return float(((value > 0) + 0.5 * (value == 0)).mean())


def pair_accuracy(value: np.ndarray, y: np.ndarray, items: np.ndarray) -> float:
    """Return P(target cell above foil cell of the same item), ties half, items weighted equally.

    Parameters
    ----------
    value : ndarray (n_cells,)
        Decision value of each cell.
    y : ndarray (n_cells,) of 0 and 1
        Labels.
    items : ndarray (n_cells,)
        Item of each cell.

    Returns
    -------
    float
        NaN when no item holds both labels.
    """
    inside = [auroc(value[items == item], y[items == item]) for item in np.unique(items)]
    inside = [each for each in inside if each == each]
    return float(np.mean(inside)) if inside else float("nan")


def d_prime(value: np.ndarray, y: np.ndarray) -> float:
    """Return z((h + .5)/(n_A + 1)) - z((f + .5)/(n_B + 1)) with h hits and f false alarms at 0.

    Parameters
    ----------
    value : ndarray (n_cells,)
        Decision values; 0 counts half.
    y : ndarray (n_cells,) of 0 and 1
        Labels.

    Returns
    -------
    float
        sd units.
    """
    a, b = value[y == 1], value[y == 0]
    hits = (_positive_rate(a) * len(a) + 0.5) / (len(a) + 1)
    alarms = (_positive_rate(b) * len(b) + 0.5) / (len(b) + 1)
    return float(ndtri(hits) - ndtri(alarms))
