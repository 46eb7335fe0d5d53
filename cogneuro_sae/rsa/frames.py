"""To and from pandas long form and nilearn's GLM functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_table, design_rows, group_means
from cogneuro_sae.rsa.bridge import FEATURE, Measured

ITEM = "item_"


class NilearnDesign(NamedTuple):
    """What `nilearn.glm` takes, one row per cell.

    Parameters
    ----------
    values : ndarray (n_cells, n_features) float64
        Cell means: the data of `run_glm`.
    matrix : DataFrame (n_cells, n_columns)
        Design matrix of full rank: a 0/1 column per condition, item dummies where items hold several cells (the first
        item is the reference), covariates.
    contrast : ndarray (n_columns,) float64
        The design's contrast.
    """

    values: np.ndarray
    matrix: pd.DataFrame
    contrast: np.ndarray


class Regressors(NamedTuple):
    """A design matrix taken apart, as `glm_contrast_map` takes it.

    Parameters
    ----------
    regressors : DataFrame (n_rows, n_conditions)
        Columns that the contrast names.
    items : ndarray (n_rows,) str or None
        Item of each row, None without item dummies.
    covariates : DataFrame (n_rows, n_covariates) or None
        All other columns but the constant.
    """

    regressors: pd.DataFrame
    items: np.ndarray | None
    covariates: pd.DataFrame | None


def to_long(X: np.ndarray, *, table: pd.DataFrame | None = None, features=None, value: str = "value") -> pd.DataFrame:
    """Return values in long form: one row per stimulus and feature.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values.
    table : DataFrame (n_stimuli, n_columns), optional
        Such as `StimulusSet.table`; repeated for every feature. Default: `id` = 0, 1, 2 ...
    features : sequence (n_features,), optional
        Names for the column `feature`; default 0, 1, 2 ...
    value : str
        Name of the column of values.

    Returns
    -------
    DataFrame (n_stimuli n_features, n_columns + 2)
        Stimulus by stimulus; what seaborn, statsmodels and R take.

    Raises
    ------
    InputError
        Lengths that differ, or a table that has a column of one of the new names.
    """
    X = np.asarray(X)
    table = pd.DataFrame({"id": range(len(X))}) if table is None else table
    features = np.arange(X.shape[1]) if features is None else np.asarray(features)
    if len(table) != len(X) or len(features) != X.shape[1]:
        raise InputError(f"table has {len(table)} rows and features {len(features)} names for X {X.shape}")
    taken = {FEATURE, value} & set(table.columns)
    if taken:
        raise InputError(f"the table has a column {sorted(taken)[0]!r} already", do="rename it")
    frame = table.iloc[np.repeat(np.arange(len(X)), X.shape[1])].reset_index(drop=True)
    return frame.assign(**{FEATURE: np.tile(features, len(X)), value: X.ravel()})


def from_long(frame: pd.DataFrame, *, stimulus: str = "id", feature: str = FEATURE, value: str = "value") -> Measured:
    """Read values in long form.

    Parameters
    ----------
    frame : DataFrame
        One row per stimulus and feature.
    stimulus : str
        Column that tells stimuli apart.
    feature : str
        Column that tells features apart.
    value : str
        Column of values.

    Returns
    -------
    Measured
        Stimuli and features in order of appearance; a pair that is not in the frame is NaN. The table holds the columns
        that are constant within every stimulus.

    Raises
    ------
    InputError
        A column that is not there, or two values for one stimulus and feature.
    """
    for name in (stimulus, feature, value):
        if name not in frame:
            raise InputError(f"there is no column {name!r}", allowed=", ".join(map(str, frame.columns)))
    twice = frame.duplicated([stimulus, feature])
    if twice.any():
        first = frame[twice].iloc[0]
        raise InputError(f"{twice.sum()} values are there twice, the first for stimulus {first[stimulus]!r}, feature "
                         f"{first[feature]!r}", do="average them, or choose another column for the stimulus")
    rows, stimuli = pd.factorize(frame[stimulus])
    columns, features = pd.factorize(frame[feature])
    numbers = frame[value].to_numpy()
    X = np.full((len(stimuli), len(features)), np.nan, numbers.dtype if numbers.dtype.kind == "f" else np.float64)
    X[rows, columns] = numbers
    rest = frame.drop(columns=[feature, value])
    first = np.unique(rows, return_index=True)[1]
    same = [name for name in rest if (pd.factorize(rest[name])[0] == pd.factorize(rest[name])[0][first][rows]).all()]
    return Measured(X, rest.iloc[first][same].reset_index(drop=True), np.asarray(features), {})


def to_nilearn(X: np.ndarray, design, *, covariates: pd.DataFrame | None = None) -> NilearnDesign:
    """Return cell means, design matrix and contrast for nilearn's `run_glm` and `compute_contrast`.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, rows of the table or of the design.
    design : Design
        Rows, items, cells, conditions and weights.
    covariates : DataFrame (n_stimuli, n_covariates), optional
        Nuisance measures, rows as X; averaged over cells.

    Returns
    -------
    NilearnDesign

    Raises
    ------
    InputError
        Columns that depend on each other (nilearn would count them as degrees of freedom), too few cells, or covariates
        that fit neither the table nor the design.
    """
    table, X = cell_table(design), np.asarray(X)
    conditions = np.asarray(design.conditions)[table.first].astype(str)
    items = np.asarray(design.groups)[table.first].astype(str)
    names = list(dict.fromkeys(conditions))
    matrix = pd.DataFrame({name: (conditions == name).astype(float) for name in names},
                          index=[f"{item}.{condition}" for item, condition in zip(items, conditions)])
    if len(set(items)) < len(items):
        for item in list(dict.fromkeys(items))[1:]:
            matrix[f"{ITEM}{item}"] = (items == item).astype(float)
    if covariates is not None:
        rows = design_rows(len(covariates), design)
        averaged = group_means(covariates.to_numpy(float)[rows], table.index)
        matrix[[str(name) for name in covariates.columns]] = averaged
    rank = np.linalg.matrix_rank(matrix.to_numpy())
    if rank < matrix.shape[1] or rank >= len(matrix):
        raise InputError(f"the design matrix has rank {rank} for {matrix.shape[1]} columns and {len(matrix)} cells",
                         do="drop a covariate that depends on items or conditions, or add items")
    weights = {name: float(table.weight[conditions == name][0]) for name in names}
    contrast = np.array([weights.get(name, 0.0) for name in matrix.columns])
    return NilearnDesign(group_means(X[design_rows(len(X), design)], table.index), matrix, contrast)


def from_nilearn(matrix: pd.DataFrame, conditions: Sequence[str]) -> Regressors:
    """Take a nilearn design matrix apart for `glm_contrast_map`.

    Parameters
    ----------
    matrix : DataFrame (n_rows, n_columns)
        As `to_nilearn` or nilearn's `make_first_level_design_matrix` give it.
    conditions : sequence of str
        Columns that the contrast names.

    Returns
    -------
    Regressors
        Columns named `item_...` become items (rows without any are the reference item), `constant` is dropped, all
        others are covariates.

    Raises
    ------
    InputError
        A condition that is not a column, or item columns that overlap.
    """
    unknown = [name for name in conditions if name not in matrix]
    if unknown:
        raise InputError(f"the design matrix has no column {unknown[0]!r}", allowed=", ".join(map(str, matrix.columns)))
    rest = [name for name in matrix.columns if name not in set(conditions) and name != "constant"]
    dummies = [name for name in rest if str(name).startswith(ITEM)]
    covariates = [name for name in rest if name not in set(dummies)]
    items = None
    if dummies:
        values = matrix[dummies].to_numpy(float)
        if not np.isin(values, (0.0, 1.0)).all() or (values.sum(axis=1) > 1).any():
            raise InputError("the item columns overlap", allowed="one 0/1 column per item")
        names = np.array([str(name)[len(ITEM):] for name in dummies] + ["reference"])
        items = names[np.where(values.any(axis=1), values.argmax(axis=1), len(dummies))]
    return Regressors(matrix[list(conditions)].reset_index(drop=True), items,
                      matrix[covariates].reset_index(drop=True) if covariates else None)
