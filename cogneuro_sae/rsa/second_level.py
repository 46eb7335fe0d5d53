"""RDMs over the cells of a design, and the comparison of several models on them (docs/methods.md)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.inference import (cell_table, design_rows, group_means, holm, labellings, permutation_inference,
                                     require_resolvable)
from cogneuro_sae.rsa.labelled_models import cell_model, model_labellings
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.rdm import condensed, data_rdm

METHODS = ("corr", "cosine", "rho-a", "tau-a")
MIN_ITEMS = 4


class ModelComparison(NamedTuple):
    """Several models against the same data RDMs.

    Parameters
    ----------
    models : DataFrame
        One row per model: `model`, `fit` (all items), `sem`, `low`, `high` (95 %, item bootstrap), `p_zero` (one-sided,
        fit > 0), `p_zero_holm`, `p_exchange`, `p_fwe` (permutation, one-sided; NaN without), `ceiling_low`,
        `ceiling_high`, `n` (cells), `items`.
    pairs : DataFrame
        One row per pair of models: `first`, `second`, `difference` of fits, `p` (two-sided), `p_holm`.
    result : rsatoolbox.inference.Result
        What the numbers come from: plug-in evaluations with the bootstrap's variances.
    info : dict
        Method, bootstrap, seed, why a number is missing.
    """

    models: pd.DataFrame
    pairs: pd.DataFrame
    result: object
    info: dict


def cell_rdms(X: np.ndarray, design, *, metric: str = "correlation", draws: int = 0, seed: int = 0):
    """Data RDM over the cells (item x condition) of a design; pairs within an item are NaN.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values of a feature set, rows of the table or of the design.
    design : Design
        Rows, items, cells and conditions.
    metric : str
        As in `data_rdm`.
    draws : int
        0: one RDM of cell means. Else single-paraphrase RDMs, paraphrases reassigned at random `draws` times.
    seed : int
        Seed of the reassignments.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Pattern descriptors `id`, `item`, `condition`; with draws rdm descriptors `draw`, `paraphrase`.

    Raises
    ------
    InputError
        A constant pattern, or draws from a design with one paraphrase in some cell.
    """
    import rsatoolbox

    table, X = cell_table(design), np.asarray(X, np.float64)
    X = X[design_rows(len(X), design)]
    names = _cell_names(design, table)
    stacks, numbers = [group_means(X, table.index)], {}
    if draws:
        stacks, numbers = _single_paraphrases(X, table, draws, seed)
    hidden = ~_kept(table)
    vectors = []
    for patterns in stacks:
        _refuse_constant(patterns, names["id"], metric)
        vectors.append(np.where(hidden, np.nan, data_rdm(patterns, metric=metric).get_vectors()[0]))
    return rsatoolbox.rdm.RDMs(np.array(vectors), dissimilarity_measure=metric, pattern_descriptors=names,
                               rdm_descriptors=numbers)


def _single_paraphrases(X, table, draws, seed):
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(table.index == cell) for cell in range(len(table.item))]
    count = min(map(len, members))
    if count < 2:
        raise InputError("a cell has one paraphrase, so wording noise cannot be measured",
                         allowed="at least 2 per cell", do="use draws=0")
    orders = [[rng.permutation(each) for each in members] for _ in range(draws)]
    stacks = [X[[row[k] for row in order]] for order in orders for k in range(count)]
    return stacks, {"draw": np.repeat(np.arange(draws), count).tolist(),
                    "paraphrase": np.tile(np.arange(count), draws).tolist()}


def _cell_names(design, table) -> dict:
    items = np.asarray(design.groups)[table.first].astype(str)
    conditions = np.asarray(design.conditions)[table.first].astype(str)
    return {"id": [f"{item}.{condition}" for item, condition in zip(items, conditions)], "item": items.tolist(),
            "condition": conditions.tolist()}


def _kept(table) -> np.ndarray:
    """Mask of cross-item pairs, in the order of the upper triangle."""
    pairs, keep = cross_item_pairs(np.arange(len(table.item)), table.item), np.zeros([len(table.item)] * 2)
    keep[pairs.first, pairs.second] = 1
    return condensed(keep) > 0


def _refuse_constant(patterns, ids, metric):
    still = np.flatnonzero(np.ptp(patterns, axis=1) <= 1e-12 * np.abs(patterns).max(axis=1))
    if metric == "correlation" and len(still):
        raise InputError(f"{len(still)} cells have a constant pattern over these features, the first {ids[still[0]]}",
                         do="choose features that are active in them, or use metric='euclidean'")


def compare_models(data, models: Mapping, design, *, labels: Mapping | None = None, method: str = "corr",
                   over: str = "items", bootstraps: int = 1000, permutations: int = 0,
                   seed: int = 0) -> ModelComparison:
    """Fit several model RDMs to the same data RDMs and test them and their differences (rsatoolbox's inference).

    Whole items are drawn with replacement. Copies of an item never meet: pairs within an item are missing in data and
    models alike. Degrees of freedom are items - 1 (with `over="both"`: the smaller of items and RDMs, - 1), and the
    variances are corrected by n / (n - 1) with n items, not cells. With several RDMs the noise ceiling is the fit of
    the mean of the other RDMs (low) and of all (high), within each draw of paraphrases; one RDM of a deterministic
    model has a ceiling of 1, and none is given. With permutations each fit is tested by the design's exchange scheme
    too, and p_fwe is that of the largest standardised fit over the models: exact, where the bootstrap is cautious.

    Parameters
    ----------
    data : rsatoolbox.rdm.RDMs
        From `cell_rdms`; several joined by `rsatoolbox.rdm.concat` for SAE seeds, layers or people.
    models : mapping of str to model
        What `rsa_map` takes as a model: a name of MODEL_RDMS, a function, a matrix, a DataFrame or RDMs.
    design : Design
        The design the data RDMs were made with.
    labels : mapping of str to array_like, optional
        Labels of named models, by the same names; absent: the design's two classes.
    method : str
        "corr" | "cosine" | "rho-a" | "tau-a". Spearman and tau-b favour tied models and are not offered; whitened
        measures are not defined under the mask.
    over : str
        "items": to new items, the RDMs being fixed. "both": to new items and new RDMs (people, SAE seeds).
    bootstraps : int
        Bootstrap samples; 0: no intervals and no p from them.
    permutations : int
        Labellings for `p_exchange` and `p_fwe`; 0: none.
    seed : int
        Seed of bootstrap and labellings.

    Returns
    -------
    ModelComparison

    Raises
    ------
    InputError
        Unknown method or bootstrap, RDMs that are not over the design's cells, fewer than 4 items, a model that does
        not vary over the kept pairs, `over="both"` with fewer than 2 RDMs or with draws, or permutations that the
        design does not allow for one of the models.
    """
    import rsatoolbox
    from rsatoolbox.inference import Result, eval_fixed

    table = cell_table(design)
    _check_data(data, design, table, method, over, models)
    matrices = {name: cell_model(model, (labels or {}).get(name), design, table, len(design.rows))
                for name, model in models.items()}
    fixed = [rsatoolbox.model.ModelFixed(name, _model_rdms(name, each, table, data)) for name, each in matrices.items()]
    n_items = len(np.unique(table.item))
    plug_in = eval_fixed(fixed, data, method=method)
    variances, dof, sizes = None, 0, {}
    if bootstraps:
        variances = _bootstrap_variances(fixed, data, method, over, bootstraps, seed)
        dof = (n_items if over == "items" else min(n_items, data.n_rdm)) - 1
        sizes = {"n_pattern": n_items} | ({"n_rdm": data.n_rdm} if over == "both" else {})
    ceiling, note = _ceiling(data, method)
    result = Result(fixed, plug_in.evaluations, method, "fixed", np.array(ceiling), variances=variances, dof=dof,
                    **sizes)
    info = {"method": method, "bootstrap": f"{bootstraps} over {over}", "seed": seed, "rdms": int(data.n_rdm),
            "dof": dof, "ceiling": note, "p": "t-tests with bootstrap variances" if bootstraps else "no bootstrap"}
    exchanged = _exchange(matrices, data, design, table, method, permutations, seed, info)
    return ModelComparison(*_tables(result, list(models), ceiling, len(table.item), n_items, exchanged), result, info)


def _check_data(data, design, table, method, over, models):
    if method not in METHODS:
        raise unknown_name("RDM comparison", method, METHODS)
    if over not in BOOTSTRAPS:
        raise unknown_name("bootstrap", over, BOOTSTRAPS)
    ids = _cell_names(design, table)["id"]
    if list(data.pattern_descriptors.get("id", [])) != ids:
        raise InputError("the data RDMs are not over the cells of this design", do="use cell_rdms(X, design)")
    if not models:
        raise InputError("no model to compare")
    if len(np.unique(table.item)) < MIN_ITEMS:
        raise InputError(f"{len(np.unique(table.item))} items", allowed=f"at least {MIN_ITEMS} for a bootstrap")
    if over == "both" and (data.n_rdm < 2 or "draw" in data.rdm_descriptors):
        raise InputError("a bootstrap over RDMs needs at least 2 RDMs that are independent",
                         do='use over="items" for paraphrases or a single RDM')


def _model_rdms(name, matrix, table, data):
    import rsatoolbox

    vector, kept = condensed(matrix), _kept(table)
    if np.ptp(vector[kept]) <= 1e-12 * max(1.0, np.abs(vector).max()):
        raise InputError(f"the model {name!r} does not vary over pairs of cells from different items")
    return rsatoolbox.rdm.RDMs(np.where(kept, vector, np.nan)[None], pattern_descriptors=dict(data.pattern_descriptors))


def _exchange(matrices, data, design, table, method, permutations, seed, info):
    """p of each fit when the design's units change places, and of the largest over the models."""
    import rsatoolbox

    if not permutations:
        return (np.nan, np.nan)
    require_resolvable(design.scheme, 0.05, "positive")
    drawn = labellings(design.scheme, permutations, seed=seed)
    pairs = cross_item_pairs(np.arange(len(table.item)), table.item)
    vectors = data.get_matrices()[:, pairs.cell_first, pairs.cell_second]
    null = np.empty((len(drawn.values), len(matrices)))
    for column, matrix in enumerate(matrices.values()):
        moved = model_labellings(matrix, design.scheme, drawn.values, table, pairs).pairs(slice(None))
        null[:, column] = rsatoolbox.rdm.compare(moved, vectors, method=method).mean(axis=1)
    found = permutation_inference(null, enumerated=drawn.enumerated, tail="positive")
    info |= {"scheme": design.scheme.description, "permutations": len(drawn.values)}
    return found.pvalue, found.p_fwe


def _bootstrap_variances(models, data, method, over, bootstraps, seed) -> np.ndarray:
    with _quiet(seed):
        return BOOTSTRAPS[over](models, data, method=method, N=bootstraps).variances


def _over_items(models, data, **settings):
    from rsatoolbox.inference import eval_bootstrap_pattern

    return eval_bootstrap_pattern(models, data, pattern_descriptor="item", boot_noise_ceil=False, **settings)


def _over_both(models, data, **settings):
    from rsatoolbox.inference import eval_dual_bootstrap

    return eval_dual_bootstrap(models, data, pattern_descriptor="item", **settings)


BOOTSTRAPS = {"items": _over_items, "both": _over_both}


@contextlib.contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """rsatoolbox draws from numpy's global generator and prints a bar: seed the one, restore it, hide the other."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        np.random.set_state(state)


def _ceiling(data, method) -> tuple[tuple[float, float], str]:
    from rsatoolbox.inference import boot_noise_ceiling

    draws = data.rdm_descriptors.get("draw")
    if data.n_rdm < 2:
        return (np.nan, np.nan), "none: one RDM"
    parts = [data] if draws is None else [data.subset("draw", number) for number in dict.fromkeys(draws)]
    low, high = np.mean([boot_noise_ceiling(part, method=method) for part in parts], axis=0)
    return (float(low), float(high)), f"{parts[0].n_rdm} RDMs" + (f", {len(parts)} draws" if draws is not None else "")


def _tables(result, names, ceiling, n_cells, n_items, exchanged):
    blank = np.full(len(names), np.nan)
    fit = result.get_means()
    low, high = (blank, blank) if result.variances is None else result.get_ci(0.95)
    p_zero = blank if result.variances is None else result.test_zero()
    models = pd.DataFrame({"model": names, "fit": fit, "sem": blank if result.variances is None else result.get_sem(),
                           "low": low, "high": high, "p_zero": p_zero, "p_zero_holm": holm(p_zero),
                           "p_exchange": exchanged[0], "p_fwe": exchanged[1],
                           "ceiling_low": ceiling[0], "ceiling_high": ceiling[1], "n": n_cells, "items": n_items})
    first, second = np.triu_indices(len(names), 1)
    p = np.full(len(first), np.nan)
    if result.variances is not None and len(first):
        p = result.test_pairwise()[first, second]
    pairs = pd.DataFrame({"first": np.array(names, object)[first], "second": np.array(names, object)[second],
                          "difference": fit[first] - fit[second], "p": p, "p_holm": holm(p)})
    return models, pairs
