"""Nothing leaks: pure noise gives chance, and garbage in held-out rows changes nothing that is fitted.

The null sees leaks of selection and of items. A scaler fitted on all rows leaves the AUROC of noise at .5, so no null
can see it: the garbage test does, for scaling, selection, encoders, k and C alike.
"""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import make_responses, make_set

from cogneuro_sae.compare import cells
from cogneuro_sae.compare.config import SelectorSpec
from cogneuro_sae.compare.encoders import Encoder
from cogneuro_sae.compare.folds import Inner, Split, make_folds
from cogneuro_sae.compare.nested import nested_table
from cogneuro_sae.compare.rows import Task
from cogneuro_sae.compare.views import View
from cogneuro_sae.inference import corrected_resampled_t
from cogneuro_sae.responses import Responses
from cogneuro_sae.rsa import pair_similarities
from cogneuro_sae.selection.pairs import pair_table

DATASETS = 10
KS = (2, 8)
SPECS = tuple(SelectorSpec.model_validate(name) for name in ("welch_t", "max_any"))


def noise_case(seed, *, items=20, units=400, pooled=True, planted=()):
    """Noise with item variance and wording variance: paraphrases of a cell are nearly copies."""
    stimuli = make_set(items=items, seed=seed)
    design = stimuli.design()
    if pooled:
        rng = np.random.default_rng(seed)
        item = np.unique(design.groups, return_inverse=True)[1]
        X = rng.normal(size=(items, units))[item] + rng.normal(size=(design.cells.max() + 1, units))[design.cells] \
            + 0.05 * rng.normal(size=(len(design), units))
        responses = Responses.from_pooled(X, ids=stimuli.ids)
    else:
        responses = make_responses(stimuli, units=units, planted=planted, seed=seed)
    return view_of(responses, design), task_of(design, seed)


def view_of(responses, design, *, components=0):
    encoder = Encoder(None, components, components or responses.shape[1], bool((responses.values < 0).any()))
    view = View("raw", "", "all", "mean", "none", responses, encoder, design.cells).pooled()
    if view.tokens() is None:
        return view
    return view.with_pairs(pair_table(pair_similarities(view.tokens()), design.groups))


def task_of(design, seed, **options):
    folds = make_folds(design.y, design.groups, **({"splits": 5, "repeats": 1, "inner": 3, "seed": seed} | options))
    return Task("noise", "main", "toy", design.y, design.groups, design.cells, folds, seed, {})


def nested_scores(view, task, specs=SPECS, ensemble="logistic_l1"):
    rows = [row for spec in specs for row in cells.family_rows(view, spec, KS, (ensemble,), task)]
    best = nested_table(rows)
    return best[best["method"] == "best"]["auroc"].to_numpy(float)


def mean_over_datasets(change=lambda view, task: (view, task), **options):
    scores = [nested_scores(*change(*noise_case(seed, **options))).mean() for seed in range(DATASETS)]
    return float(np.mean(scores)), float(np.std(scores, ddof=1) / np.sqrt(DATASETS))


@pytest.mark.slow
def test_pure_noise_is_at_chance():
    mean, error = mean_over_datasets()
    # 10 data sets of 20 items: sd of one nested AUROC about .1, so 3.3 standard errors are about .1
    assert abs(mean - 0.5) < 3.3 * max(error, 0.02) and error < 0.06
    view, task = noise_case(100)
    task = task._replace(folds=make_folds(task.y, task.groups, splits=5, repeats=3, inner=3, seed=0))
    interval = corrected_resampled_t(nested_scores(view, task), splits=5)
    assert interval.ci_low < 0.5 < interval.ci_high


@pytest.mark.slow
def test_leaked_selection_would_be_seen(monkeypatch):
    def on_all_rows(view, spec, feats, train, task, _rank=cells.rank):
        return _rank(view, spec, feats, np.arange(len(task.y)), task)

    monkeypatch.setattr(cells, "rank", on_all_rows)
    mean, _ = mean_over_datasets()
    assert mean > 0.7


@pytest.mark.slow
def test_leaked_items_would_be_seen():
    def ungrouped(view, task):
        def fold(rows, seed):
            return np.array_split(np.random.default_rng(seed).permutation(rows), 5)

        rows, splits = np.arange(len(task.y)), []
        for number, test in enumerate(fold(rows, 0)):
            train = np.setdiff1d(rows, test)
            inner = tuple(Inner(np.setdiff1d(train, part), part) for part in fold(train, number))
            splits.append(Split(0, number, train, test, inner))
        return view, task._replace(folds=tuple(splits))

    mean, _ = mean_over_datasets(ungrouped)
    assert mean > 0.7


@pytest.mark.parametrize("ensemble", ["logistic_l1", "mean_z"])
@pytest.mark.parametrize("name", ["welch_t", "max_any", "rsa_discriminative", "sparse_probe"])
@pytest.mark.parametrize("components", [0, 6])
def test_garbage_in_held_out_rows_changes_nothing_that_is_fitted(name, ensemble, components, monkeypatch):
    stimuli = make_set(items=10)
    design = stimuli.design()
    responses = make_responses(stimuli, units=12, seed=2)
    task = task_of(design, 0, splits=5, inner=2)
    split = task.folds[1]
    spec = SelectorSpec.model_validate({"name": name})
    poison = np.random.default_rng(0).gamma(1.0, 50.0, size=responses.values.shape).astype(np.float32)
    rows = np.repeat(np.arange(len(design)), np.diff(responses.offsets))
    poisoned = replace(responses, values=np.where(np.isin(rows, split.test)[:, None], poison, responses.values))
    found = []
    for each in (responses, poisoned):
        models = []
        original = cells.fitted

        def spy(*args, _fit=original, _kept=models, **kwargs):
            _kept.append(_fit(*args, **kwargs))
            return _kept[-1]

        monkeypatch.setattr(cells, "fitted", spy)
        one = task._replace(folds=(split,))
        row, = cells.family_rows(view_of(each, design, components=components), spec, (3,), (ensemble,), one)
        monkeypatch.setattr(cells, "fitted", original)
        found.append((row, models))
    (clean, first), (dirty, second) = found
    assert clean["status"] == "ok" and clean["features"] == dirty["features"]
    assert clean["inner_auroc"] == dirty["inner_auroc"] and clean["C"] == dirty["C"]
    assert len(first) == len(second) > 1
    for a, b in zip(first, second):
        for part in ("mean_", "scale_", "coef_", "intercept_"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


@pytest.mark.parametrize("components", [0, 6])
@pytest.mark.parametrize("name", ["welch_t", "rsa_discriminative"])
def test_garbage_in_inner_test_rows_changes_nothing_fitted_beside_them(name, components, monkeypatch):
    stimuli = make_set(items=12)
    design = stimuli.design()
    responses = make_responses(stimuli, units=14, seed=2)
    task = task_of(design, 0)
    split = task.folds[0]
    inner = split.inner[1]
    rows = np.repeat(np.arange(len(design)), np.diff(responses.offsets))
    poison = np.random.default_rng(0).gamma(1.0, 50.0, size=responses.values.shape).astype(np.float32)
    poisoned = replace(responses, values=np.where(np.isin(rows, inner.test)[:, None], poison, responses.values))
    found, original = [], cells.fitted
    for each in (responses, poisoned):
        models = []

        def spy(name, C, X, columns, train, task, _kept=models):
            model = original(name, C, X, columns, train, task)
            if len(train) == len(inner.train) and (train == inner.train).all():
                _kept.append((columns.tolist(), model.mean_.tolist(), model.coef_.tolist()))
            return model

        monkeypatch.setattr(cells, "fitted", spy)
        cells.family_rows(view_of(each, design, components=components), SelectorSpec.model_validate(name), (4,),
                          ("mean_z",),
                          task._replace(folds=(split,)))
        found.append(models)
    assert len(found[0]) == 1 and found[0] == found[1]


def test_a_planted_unit_is_found_by_every_criterion_that_should():
    view, task = noise_case(4, items=14, units=40, pooled=False, planted=(7,))
    names = ("max_any", "max_target", "mean_difference", "paired_t", "welch_t", "hedges_g", "auroc", "rate_difference",
             "rsa_discriminative", "rsa_coherence", "rsa_categorical", "rsa_model", "sparse_probe")
    specs = [SelectorSpec.model_validate(name) for name in names]
    specs += [SelectorSpec.model_validate({"name": name, "threshold": 0.8}) for name in ("specialist", "composite")]
    for spec in specs:
        rows = cells.family_rows(view, spec, (1,), ("mean_z",), task)
        assert all(row["features"] == "7" for row in rows), (spec.name, [row["features"] for row in rows])
        assert np.mean([row["auroc"] for row in rows]) > 0.95


def test_a_flipped_sign_would_be_seen():
    view, task = noise_case(4, items=14, units=40, pooled=False, planted=(7,))
    spec = SelectorSpec.model_validate("welch_t")
    turned = task._replace(y=1 - task.y)
    rows = cells.family_rows(view, spec, (1,), ("mean_z",), turned)
    assert not any(row["features"] == "7" for row in rows)
