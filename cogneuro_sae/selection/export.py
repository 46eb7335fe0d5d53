"""Export of fitted ensembles and their reload: JSON and npz with a manifest, never a pickle."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.selection.ensembles import ENSEMBLES


def save_ensemble(ensemble, folder: str | os.PathLike, *, indices=None, classes=("foil", "target"), extra=None) -> Path:
    """Write a fitted ensemble to a folder: `ensemble.json`, `ensemble.npz`, `manifest.json` last; never a pickle.

    Parameters
    ----------
    ensemble : estimator
        A fitted member of ENSEMBLES.
    folder : str or PathLike
        Made when absent.
    indices : ndarray (n_selected,) int, optional
        Features of the full representation that the columns are.
    classes : pair of str
        Names of the two classes, in the order of `classes_`.
    extra : dict, optional
        JSON-able notes: model, site, SAE, selector ...

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        Not one of ENSEMBLES, not fitted, or indices of another length.
    """
    names = [name for name, kind in ENSEMBLES.items() if type(ensemble) is kind]
    if not names or not hasattr(ensemble, "mean_"):
        raise InputError(f"{type(ensemble).__name__} is not a fitted ensemble", allowed=", ".join(ENSEMBLES))
    indices = np.arange(len(ensemble.mean_)) if indices is None else np.asarray(indices, np.int64)
    if len(indices) != len(ensemble.mean_):
        raise InputError(f"{len(indices)} indices for {len(ensemble.mean_)} columns")
    folder = Path(folder)
    with files.replacing(folder / "ensemble.npz") as temporary, open(temporary, "wb") as handle:
        np.savez(handle, mean=ensemble.mean_, scale=ensemble.scale_, coef=ensemble.coef_, intercept=ensemble.intercept_,
                 indices=indices, labels=ensemble.classes_)
    files.write_json(folder / "ensemble.json", {
        "method": names[0], "classes": list(classes), "features": indices, "parameters": ensemble.get_params(),
        "chosen_C": getattr(ensemble, "C_", None), "extra": extra or {}})
    files.write_manifest(folder, ["ensemble.json", "ensemble.npz"])
    return folder


def load_ensemble(folder: str | os.PathLike):
    """Read an ensemble written by `save_ensemble`; it predicts exactly what the saved one did.

    Parameters
    ----------
    folder : str or PathLike
        The folder.

    Returns
    -------
    estimator
        Fitted, with `feature_indices_`, `class_names_` and `extra_` beside its learned attributes.

    Raises
    ------
    InputError
        The folder is not complete, altered, or names a method this version does not know.
    """
    files.check_manifest(folder)
    notes = files.read_json(Path(folder) / "ensemble.json")
    if notes["method"] not in ENSEMBLES:
        raise unknown_name("ensemble", notes["method"], ENSEMBLES, where=str(folder))
    ensemble = ENSEMBLES[notes["method"]](**notes["parameters"])
    with np.load(Path(folder) / "ensemble.npz", allow_pickle=False) as arrays:
        ensemble.mean_, ensemble.scale_, ensemble.coef_ = arrays["mean"], arrays["scale"], arrays["coef"]
        ensemble.intercept_, ensemble.classes_ = float(arrays["intercept"]), arrays["labels"]
        ensemble.feature_indices_ = arrays["indices"]
    ensemble.n_features_in_ = len(ensemble.mean_)
    ensemble.class_names_, ensemble.extra_ = tuple(notes["classes"]), notes["extra"]
    if notes["chosen_C"] is not None:
        ensemble.C_ = notes["chosen_C"]
    return ensemble
