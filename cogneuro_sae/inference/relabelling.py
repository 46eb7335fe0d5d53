"""The labellings of an exchange scheme: all of them when they are few, else a seeded sample after the observed one."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference.scheme import Scheme


class Labellings(NamedTuple):
    """Relabellings of a scheme's units, the observed one first.

    Parameters
    ----------
    values : ndarray (n_labellings, n_units) int8 or int32
        +-1 for swap and sign; labels for labels, items, within and free; for joint and residuals the position of the
        unit whose value each unit receives.
    enumerated : bool
        All |G| labellings are here, each once; otherwise the observed one and `permutations` sampled ones.
    seed : int or None
        Seed of the sample; None when enumerated.
    """

    values: np.ndarray
    enumerated: bool
    seed: int | None


def labellings(scheme: Scheme, permutations: int, *, seed: int = 0) -> Labellings:
    """Enumerate a scheme when |G| <= permutations, else sample it with the observed labelling first.

    Parameters
    ----------
    scheme : Scheme
        Any kind but "two_part" (its parts are labelled one by one).
    permutations : int
        P, at least 1: most labellings to enumerate, or how many to sample.
    seed : int
        Seed of the sample.

    Returns
    -------
    Labellings
        |G| rows when enumerated, else permutations + 1.

    Raises
    ------
    InputError
        permutations below 1, or a "two_part" scheme.
    """
    if int(permutations) < 1:
        raise InputError(f"permutations is {permutations}", allowed="1 or more")
    if scheme.kind not in _KINDS:
        raise InputError(f"a {scheme.kind} scheme has no labellings of its own", do="label each of scheme.parts")
    enumerate_all, sample = _KINDS[scheme.kind]
    if scheme.size <= permutations:
        return Labellings(enumerate_all(scheme), True, None)
    drawn = sample(scheme, int(permutations), np.random.default_rng(seed))
    observed = enumerate_all(scheme, first_only=True)
    return Labellings(np.concatenate([observed, drawn]).astype(drawn.dtype), False, seed)


def _all_signs(scheme: Scheme, first_only: bool = False) -> np.ndarray:
    if first_only:
        return np.ones((1, scheme.n_units), np.int8)
    bits = np.arange(scheme.size)[:, None] >> np.arange(scheme.n_units) & 1
    return (1 - 2 * bits).astype(np.int8)


def _some_signs(scheme: Scheme, count: int, rng: np.random.Generator) -> np.ndarray:
    return (1 - 2 * rng.integers(0, 2, size=(count, scheme.n_units))).astype(np.int8)


def _all_arranged(scheme: Scheme, first_only: bool = False) -> np.ndarray:
    return _product(scheme, scheme.unit_label.astype(np.int8), _arrangements, first_only)


def _some_arranged(scheme: Scheme, count: int, rng: np.random.Generator) -> np.ndarray:
    return _shuffled(scheme, scheme.unit_label.astype(np.int8), count, rng)


def _all_orders(scheme: Scheme, first_only: bool = False) -> np.ndarray:
    return _product(scheme, np.arange(scheme.n_units, dtype=np.int32), itertools.permutations, first_only)


def _some_orders(scheme: Scheme, count: int, rng: np.random.Generator) -> np.ndarray:
    return _shuffled(scheme, np.arange(scheme.n_units, dtype=np.int32), count, rng)


def _product(scheme: Scheme, labels: np.ndarray, arrange, first_only: bool) -> np.ndarray:
    """Every combination of the strata's arrangements, the observed arrangement first in each."""
    if first_only:
        return labels[None]
    members = [np.flatnonzero(scheme.unit_stratum == s) for s in np.unique(scheme.unit_stratum)]
    choices = []
    for units in members:
        observed = tuple(labels[units].tolist())
        rest = [row for row in arrange(observed) if tuple(row) != observed]
        choices.append(np.array([observed, *rest], labels.dtype))
    grid = np.indices([len(c) for c in choices]).reshape(len(choices), -1)
    values = np.empty((grid.shape[1], scheme.n_units), labels.dtype)
    for units, choice, index in zip(members, choices, grid):
        values[:, units] = choice[index]
    return values


def _arrangements(labels: tuple) -> list[tuple]:
    """Distinct orders of a few labels with repeats."""
    if not labels:
        return [()]
    orders = []
    for first in sorted(set(labels)):
        rest = list(labels)
        rest.remove(first)
        orders += [(first, *tail) for tail in _arrangements(tuple(rest))]
    return orders


def _shuffled(scheme: Scheme, labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    values = np.tile(labels, (count, 1))
    for stratum in np.unique(scheme.unit_stratum):
        units = np.flatnonzero(scheme.unit_stratum == stratum)
        values[:, units] = rng.permuted(values[:, units], axis=1)
    return values


_KINDS = {"swap": (_all_signs, _some_signs), "sign": (_all_signs, _some_signs),
          "labels": (_all_arranged, _some_arranged), "items": (_all_arranged, _some_arranged),
          "within": (_all_arranged, _some_arranged), "free": (_all_arranged, _some_arranged),
          "joint": (_all_orders, _some_orders), "residuals": (_all_orders, _some_orders)}
