"""Feature sets: the pursuit against explicit RDMs and rsatoolbox, held-out fits, the null, retests."""

from types import SimpleNamespace

import numpy as np
import pytest
import rsatoolbox
from hypothesis import given, settings
from hypothesis import strategies as st
from rsa_data import far_design, matched_design
from scipy.optimize import nnls

from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_table, group_means, labellings, within_scheme
from cogneuro_sae.rsa import (agreement, condensed, item_split, joint_rdm, match_latents, model_matrix, retest, rsa_map,
                              rsa_set)
from cogneuro_sae.rsa import map_agreement, set_search
from cogneuro_sae.rsa.pursuit import pursue
from cogneuro_sae.rsa.set_kernels import SET_FITS, set_kernel

pytestmark = pytest.mark.slow


def toolbox(matrices):
    return rsatoolbox.rdm.RDMs(np.array([condensed(each) for each in np.atleast_3d(matrices.T).T]))


def single(x):
    return (x[:, None] - x[None, :]) ** 2


def planted(m=12, n_features=60, effect=1.0, seed=0, design=None):
    """Noise with item effects; the first four features differ between target and near."""
    design = matched_design(m, 2) if design is None else design
    rng = np.random.default_rng(seed)
    items = np.unique(design.groups, return_inverse=True)[1]
    X = rng.normal(size=(len(design.y), n_features)) + rng.normal(size=(items.max() + 1, n_features))[items]
    X[:, :4] += effect * np.asarray(design.y)[:, None] * [1, -1, 1, 1]
    return X, design


def cells_of(X, design):
    table = cell_table(design)
    return group_means(X, table.index), table


def graded_design(m, levels=(0.0, 1.0, 3.0)):
    grade, groups = np.tile(levels, m), np.repeat(np.arange(m), len(levels))
    return SimpleNamespace(rows=np.arange(len(grade)), y=(grade > 0).astype(int), weights=grade, groups=groups,
                           cells=np.arange(len(grade)), scheme=within_scheme(groups, grade), contrast="graded",
                           expression="")


@pytest.mark.parametrize("method", SET_FITS)
def test_inner_products_equal_rsatoolbox_comparisons_of_rdms(method):
    rng = np.random.default_rng(0)
    X, M = rng.gamma(1.0, size=(9, 5)) * [1, 10, 1e-6, 1, 1] + 3, model_matrix("graded", 9, labels=rng.normal(size=9))
    X[:, 4] = 2.0
    kernel = set_kernel(X, method, ~np.eye(9, dtype=bool))
    rdms = toolbox(np.array([single(x) for x in X.T[:4]]))
    expected = rsatoolbox.rdm.compare(rdms, rdms, method=method)
    np.testing.assert_allclose(kernel.cross(np.arange(4))[:, :4], expected, atol=1e-6)
    target, size = kernel.targets(M[None])
    np.testing.assert_allclose(target[0, :4] / size[0], rsatoolbox.rdm.compare(rdms, toolbox(M), method=method)[:, 0],
                               atol=1e-6)
    assert np.isnan(kernel.norm[4]) and target[0, 4] == 0 and (kernel.X[:, 4] == 0).all()


def kept_vectors(cells, keep):
    i, j = np.nonzero(np.triu(keep, 1))
    return lambda M: M[i, j] - M[i, j].mean(), np.array([single(x)[i, j] for x in cells.T])


def mixtures():
    """Mixtures of three columns, the model the distance along two of them: early choices lose their weight later."""
    _, design = planted()
    rng = np.random.default_rng(1)
    true = rng.normal(size=(48, 3))
    X = true @ rng.normal(size=(3, 25)) + 0.2 * rng.normal(size=(48, 25))
    cells, table = cells_of(np.c_[X, true], design)
    return cells, table, single(cells[:, -1]) + single(cells[:, -2])


def noise():
    cells, table = cells_of(*planted(n_features=25, seed=1))
    return cells, table, model_matrix("categorical", len(cells), labels=table.y)


@pytest.mark.parametrize("make", [noise, mixtures])
@pytest.mark.parametrize("positive", [True, False])
def test_masked_pursuit_equals_a_plain_one_over_explicit_rdms(positive, make):
    cells, table, M = make()
    keep = table.item[:, None] != table.item[None, :]
    centred, rdms = kept_vectors(cells, keep)
    y, A = centred(M), rdms - rdms.mean(axis=1, keepdims=True)
    chosen, rest, turned = [], y, 0
    path = pursue(set_kernel(cells, "corr", keep), M[None], 6, positive=positive)
    for step in range(path.size[0]):
        score = A @ rest / np.linalg.norm(A, axis=1)
        score = score if positive else np.abs(score)
        chosen.append(int(np.argmax(score)))
        free = np.linalg.lstsq(A[chosen].T, y)[0]
        turned += (free < 0).any()
        w = nnls(A[chosen].T, y)[0] if positive else free
        rest = y - w @ A[chosen]
        assert path.chosen[0, step] == chosen[-1]
        np.testing.assert_allclose(path.weights[0, step, :step + 1], w, atol=1e-9)
        assert path.fit[0, step] == pytest.approx(np.corrcoef(w @ A[chosen], y)[0, 1], abs=1e-9)
    assert path.size[0] > 2 and (turned > 0 or make is noise)


@pytest.mark.parametrize("model", ["categorical", "graded"])
@pytest.mark.parametrize("method", SET_FITS)
def test_weights_and_fit_equal_rsatoolbox_weighted_model_on_the_chosen_set(method, model):
    X, design = planted(m=10, effect=0.7, seed=2, n_features=40)
    labels = np.asarray(design.y) if model == "categorical" else np.random.default_rng(3).normal(size=10)[design.groups]
    found = rsa_set(X, design, model, labels=labels, k=5, method=method, min_gain=0.0, folds=2)
    cells, table = cells_of(X, design)
    M = condensed(model_matrix(model, 20, labels=labels[table.first]))
    rdms = np.array([condensed(single(x)) for x in cells[:, found.features].T])
    if method == "corr":
        inside = condensed((table.item[:, None] == table.item[None, :]).astype(float)) > 0
        M, rdms = np.where(inside, np.nan, M), np.where(inside, np.nan, rdms)
    weighted = rsatoolbox.model.ModelWeighted("set", rsatoolbox.rdm.RDMs(rdms))
    data = rsatoolbox.rdm.RDMs(M[None])
    theta = rsatoolbox.model.fit_regress_nn(weighted, data, method=method)
    np.testing.assert_allclose(found.weights / np.linalg.norm(found.weights), theta, atol=1e-5)
    fit = rsatoolbox.rdm.compare(weighted.predict_rdm(theta), data, method=method)[0, 0]
    assert found.path[-1] == pytest.approx(fit, abs=1e-6)
    ours = joint_rdm(cells, found.features, found.weights)
    if method != "corr":
        assert rsatoolbox.rdm.compare(toolbox(ours), data, method=method)[0, 0] == pytest.approx(fit, abs=1e-6)


def test_no_other_weights_fit_better_than_the_pursuits():
    X, design = planted(m=8, seed=4, n_features=30)
    found = rsa_set(X, design, k=3, min_gain=0.0, folds=2)
    cells, table = cells_of(X, design)
    data = toolbox(model_matrix("categorical", 16, labels=table.y))
    weighted = rsatoolbox.model.ModelWeighted("set", toolbox(np.array([single(x) for x in cells[:, found.features].T])))
    theta = rsatoolbox.model.fitter.fit_optimize_positive(weighted, data, method="cosine_cov")
    best = rsatoolbox.rdm.compare(weighted.predict_rdm(theta), data, method="cosine_cov")[0, 0]
    assert found.path[-1] == pytest.approx(best, abs=1e-4) and found.path[-1] >= best - 1e-9


def test_the_planted_set_is_found_and_holds_on_other_items():
    X, design = planted(m=24, n_features=400, effect=2.0)
    found = rsa_set(X, design, k=4, permutations=99)
    assert sorted(found.features) == [0, 1, 2, 3] and (found.weights > 0).all() and found.overlap > 0.9
    assert dict(zip(found.features.tolist(), found.direction.tolist())) == {0: 1, 1: -1, 2: 1, 3: 1}
    assert found.held_out > 0.35 and found.pvalue == 0.01 and found.pvalue_path == 0.01
    assert (np.diff(found.path) > 0).all() and found.held_out_by_size[-1] == found.held_out > found.held_out_by_size[0]


def test_features_of_the_foils_can_be_left_out():
    X, design = planted(m=24, n_features=100, effect=2.0)
    found = rsa_set(X, design, k=4, direction="positive")
    assert {0, 2, 3} <= {*found.features.tolist()} and 1 not in found.features and (found.direction == 1).all()
    sides = design.y[:, None] == [1, 0]
    higher = X[sides[:, 0]].mean(axis=0) > X[sides[:, 1]].mean(axis=0)
    same = rsa_set(X, design, k=4, among=higher)
    np.testing.assert_array_equal(same.features, found.features)
    one = SimpleNamespace(**{**vars(design), "y": np.ones_like(design.y)})
    with pytest.raises(InputError, match="one side"):
        rsa_set(X, one, "graded", labels=design.groups, direction="positive")


@pytest.mark.parametrize("stop", ["gain", "inner"])
def test_noise_fits_the_items_that_chose_it_and_no_others(stop):
    found = [rsa_set(*planted(effect=0.0, n_features=300, seed=seed), stop=stop) for seed in range(12)]
    assert np.mean([each.path[-1] for each in found]) > 0.15
    assert abs(np.mean([each.held_out for each in found])) < 0.05


def test_a_folds_set_does_not_know_its_held_out_items():
    X, design = planted(n_features=50, seed=5)
    fold = set_search.item_folds(np.arange(12), np.ones(12), 3, 0)
    # all items hold both labels here, so that every item is of one kind
    spoiled = X.copy()
    spoiled[fold[design.groups] == 1] = np.random.default_rng(6).normal(size=(np.sum(fold[design.groups] == 1), 50))
    ours, theirs = rsa_set(X, design, stop="inner"), rsa_set(spoiled, design, stop="inner")
    np.testing.assert_array_equal(ours.fold_sets[1], theirs.fold_sets[1])
    assert any(list(a) != list(b) for a, b in zip(ours.fold_sets[::2], theirs.fold_sets[::2]))


def test_the_held_out_fit_equals_a_loop():
    X, design = planted(n_features=30, seed=7)
    found = rsa_set(X, design, k=3, min_gain=0.0)
    cells, table = cells_of(X, design)
    fold, r = set_search.item_folds(table.item, table.y, 3, 0)[table.item], []
    for each in range(3):
        train = np.flatnonzero(fold[design.groups * 2 + (1 - design.y)] != each)
        part = SimpleNamespace(**{name: getattr(design, name)[train] for name in ("y", "weights", "groups", "cells")},
                               rows=np.arange(len(train)), scheme=design.scheme)
        own = rsa_set(X[train], part, k=3, min_gain=0.0, folds=2)
        np.testing.assert_array_equal(own.features, found.fold_sets[each])
        test = np.flatnonzero(fold == each)
        joint = joint_rdm(cells[test], own.features, own.weights)
        i, j = np.nonzero(np.triu(table.item[test][:, None] != table.item[test][None, :]))
        M = model_matrix("categorical", len(test), labels=table.y[test])
        r.append(np.corrcoef(joint[i, j], M[i, j])[0, 1])
    assert found.held_out == pytest.approx(np.mean(r), abs=1e-12)


def relabelled(design, labels):
    return SimpleNamespace(**{**vars(design), "y": labels})


@pytest.mark.parametrize("options", [{}, {"stop": "inner"}, {"direction": "positive"}], ids=["gain", "inner", "up"])
@pytest.mark.parametrize("make", [lambda: matched_design(8, 1), lambda: far_design(9, 9, 1)], ids=["swap", "labels"])
def test_p_equals_a_loop_in_which_everything_is_done_again(make, options):
    design = make()
    X, _ = planted(n_features=12, effect=0.6, seed=8, design=design)
    found = rsa_set(X, design, k=2, folds=2, permutations=40, seed=3, **options)
    drawn = labellings(design.scheme, 40, seed=3).values
    fits = []
    for row in drawn:
        y = np.where(row[design.groups] > 0, design.y, 1 - design.y) if design.scheme.kind == "swap" else row
        again = rsa_set(X, relabelled(design, y), k=2, folds=2, seed=3, **options)
        fits.append([again.held_out, again.path[-1]])
    expected = np.mean(np.array(fits) >= np.array(fits[0]) - 1e-9, axis=0)
    assert [found.pvalue, found.pvalue_path] == pytest.approx(list(expected), abs=1e-12)


def error_bound(n, p=0.05):
    return 4 * np.sqrt(p * (1 - p) / n)


DESIGNS = {"swap": (lambda: matched_design(8, 2), "categorical"),
           "labels": (lambda: far_design(8, 8, 2), "categorical"),
           "within": (lambda: graded_design(8), "graded")}


def null_p(name, experiments, permutations=19, **options):
    make, model = DESIGNS[name]
    design, out = make(), []
    for seed in range(experiments):
        X, _ = planted(effect=0.0, n_features=15, seed=[9, seed], design=design)
        labels = design.weights if model == "graded" else None
        found = rsa_set(X, design, model, labels=labels, k=3, folds=2, permutations=permutations, seed=seed, **options)
        out.append([found.pvalue, found.pvalue_path])
    return np.array(out)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_p_holds_its_level_with_selection_done_again(name):
    n = 150 if name == "labels" else 300
    rejected = np.mean(null_p(name, n) <= 0.05, axis=0)
    assert (np.abs(rejected - 0.05) < error_bound(n)).all()


@pytest.mark.long
@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("stop", ["gain", "inner"])
def test_p_holds_its_level_full_size(name, stop):
    rejected = np.mean(null_p(name, 2000, 39, stop=stop) <= 0.05, axis=0)
    assert (np.abs(rejected - 0.05) < error_bound(2000)).all()


def test_testing_the_chosen_set_alone_does_not_hold_its_level():
    """What selection under every labelling is for: the observed labels' set, tested on the items that chose it."""
    design, hits = matched_design(8, 2), 0
    for seed in range(60):
        X, _ = planted(effect=0.0, n_features=200, seed=[10, seed])
        X = X[:len(design.y)]
        chosen = rsa_set(X, design, k=3, folds=2).features
        hits += rsa_set(X, design, k=3, folds=2, among=chosen, permutations=19).pvalue_path <= 0.05
    assert hits / 60 > 0.3


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e2, 1e2), seed=st.integers(0, 10_000),
       method=st.sampled_from(SET_FITS))
def test_scale_shift_and_order_of_features_do_not_matter(scale, shift, seed, method):
    X, design = planted(m=8, n_features=12, seed=11)
    order = np.random.default_rng(seed).permutation(12)
    ours = rsa_set(X, design, k=3, folds=2, method=method)
    theirs = rsa_set(scale * X[:, order] + shift, design, k=3, folds=2, method=method)
    np.testing.assert_array_equal(order[theirs.features], ours.features)
    np.testing.assert_allclose(theirs.weights * scale**2, ours.weights, rtol=1e-5)
    assert theirs.held_out == pytest.approx(ours.held_out, abs=1e-6)


def test_copies_constants_gaps_and_outsiders_are_never_chosen():
    X, design = planted(m=12, n_features=10, effect=2.0)
    X = np.c_[X, X[:, :4], np.ones(len(X)), np.full(len(X), np.nan)]
    found = rsa_set(X, design, k=12, among=np.r_[0, 2:16], min_gain=0.0)
    names = np.where(found.features >= 10, found.features - 10, found.features)
    assert len(np.unique(names)) == len(names) and not {14, 15, 1} & {*found.features.tolist()}
    assert found.reasons == {"missing values": 1, "not a candidate": 1, "silent or constant": 1}


def test_blocks_of_labellings_do_not_matter(monkeypatch):
    X, design = planted(m=8, n_features=10)
    whole = rsa_set(X, design, k=2, folds=2, permutations=30)
    monkeypatch.setattr(set_search, "BUDGET", 1.0)
    parts = rsa_set(X, design, k=2, folds=2, permutations=30)
    assert (whole.pvalue, whole.pvalue_path) == (parts.pvalue, parts.pvalue_path)


def test_stopping_rules():
    X, design = planted(m=24, n_features=100, effect=2.5)
    sizes = [len(rsa_set(X, design, k=8, min_gain=gain).features) for gain in (0.2, 0.01, 0.0)]
    assert sizes[0] < sizes[1] < sizes[2]
    whole = rsa_set(X, design, k=8, min_gain=0.0).path
    assert sizes[0] == np.argmax(np.diff(whole, prepend=0) < 0.2)
    inner = rsa_set(X, design, k=8, stop="inner")
    assert len(inner.features) <= 8 and inner.info["stop"] == "inner" and len(inner.held_out_by_size) == 8
    free = rsa_set(X, design, k=8, weights="free")
    assert free.path[-1] >= rsa_set(X, design, k=1, weights="free").path[-1]


def test_a_set_that_is_silent_in_a_fold_has_no_held_out_fit():
    design = matched_design(12, 2)
    X = np.zeros((48, 3))
    X[(design.groups == 0) & (design.y == 1), 0] = 1.0
    found = rsa_set(X, design, k=1, folds=2)
    assert found.features.tolist() == [0] and found.reasons["silent or constant"] == 2
    assert np.isnan(found.held_out) and "no held-out fit" in " ".join(found.reasons)


@pytest.mark.parametrize("change, message", [
    ({"method": "spearman"}, "unknown method"), ({"weights": "any"}, "unknown weights"),
    ({"stop": "aic"}, "unknown stop"), ({"direction": "up"}, "unknown direction"),
    ({"k": 0}, "k is 0"), ({"folds": 1}, "folds 1"), ({"folds": 7}, "two items of each kind per fold"),
    ({"among": np.ones(3, bool)}, "among has shape"), ({"model": "nothing"}, "nothing")])
def test_messages(change, message):
    with pytest.raises(InputError, match=message):
        rsa_set(*planted(), **change)


def test_nothing_to_choose_from_is_said():
    X, design = planted()
    with pytest.raises(InputError, match="no feature varies"):
        rsa_set(np.zeros_like(X), design)
    with pytest.raises(InputError, match="does not vary over the cross-item pairs"):
        rsa_set(X, design, np.ones((len(X), len(X))) - np.eye(len(X)))


def top_of(score):
    return lambda X, part: contrast_map(X, part, score=score)


def test_retest_finds_planted_features_and_chance_without_them():
    X, design = planted(m=24, n_features=200, effect=3.0)
    found = retest(X, design, lambda X, part: rsa_set(X, part, k=4, folds=2), draws=5, decoder=np.eye(200))
    assert found.overlap > 0.8 and found.chance == pytest.approx(4 / 200)
    assert found.nearest == pytest.approx(found.overlap)
    noise = [retest(planted(effect=0.0, n_features=50, seed=s)[0], matched_design(12, 2), top_of("paired_t"), k=10,
                    draws=4) for s in range(12)]
    assert np.mean([each.overlap for each in noise]) == pytest.approx(0.2, abs=0.05)
    assert np.mean([each.corrected for each in noise]) == pytest.approx(0.0, abs=0.06)
    assert np.isnan(noise[0].nearest) and all(len(a) == len(b) == 10 for a, b in noise[0].sets)
    with pytest.raises(InputError, match="give k"):
        retest(X, design, top_of("paired_t"))


def test_retest_sees_split_latents_by_their_decoder_rows():
    X, design = planted(m=24, n_features=40, effect=3.0, seed=12)
    rng = np.random.default_rng(13)
    decoder = rng.normal(size=(40, 64))
    decoder[1:4] = decoder[0] + 0.1 * rng.normal(size=(3, 64))
    found = retest(X[:, :40], design, lambda X, part: rsa_set(X, part, k=1, folds=2), draws=10, decoder=decoder)
    assert found.nearest > 0.95 > found.overlap and found.nearest_chance < 0.3


def test_agreement_of_maps_of_one_sae_by_hand():
    a = np.array([5.0, 4, 3, 2, 1, np.nan])
    b = np.array([4.0, 5, 1, 2, 3, 9])
    found = agreement({"a": a, "b": b}, top=2).iloc[0]
    assert found["matched"] == 5 and found["overlap"] == 1 and found["chance"] == pytest.approx(0.4)
    assert found["corrected"] == 1 and found["rank_r"] == pytest.approx(0.5)
    assert found["unmatched"] == pytest.approx(0.25)
    assert np.isnan(agreement([a, b], top=5)["overlap"][0])


def test_agreement_matches_latents_of_two_saes_by_decoder():
    rng = np.random.default_rng(14)
    decoder = rng.normal(size=(300, 64))
    order = rng.permutation(300)
    value = rng.normal(size=300)
    other = decoder[order] + 0.1 * rng.normal(size=(300, 64))
    other[:30] = rng.normal(size=(30, 64))
    found = agreement({"seed 0": value, "seed 1": value[order]}, decoders={"seed 0": decoder, "seed 1": other}, top=20)
    row = found.iloc[0]
    assert row["matched"] == 270 and row["cosine"] > 0.98
    assert row["rank_r"] == pytest.approx(1) and row["overlap"] == 1 and row["chance"] == pytest.approx(20 / 270)
    unmatched = [np.isin(np.argsort(-value)[:20], order[:30]).mean()] * 2
    assert row["unmatched"] == pytest.approx(np.mean(unmatched))
    shuffled = agreement([value, rng.permutation(value[order])], decoders=[decoder, other], top=50)
    assert abs(shuffled["rank_r"][0]) < 0.2 and abs(shuffled["corrected"][0]) < 0.2


def test_matches_equal_a_loop_and_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(15)
    a, b = rng.normal(size=(40, 6)), rng.normal(size=(50, 6))
    a[0] = 0
    cosine = (a @ b.T) / np.maximum(np.linalg.norm(a, axis=1)[:, None], 1e-9) / np.linalg.norm(b, axis=1)
    expected = [(i, j) for i in range(1, 40) if (j := cosine[i].argmax()) >= 0 and cosine[:, j].argmax() == i
                and cosine[i, j] >= 0.5]
    for block in (2**26, 1):
        monkeypatch.setattr(map_agreement, "BLOCK", block)
        first, second, found = match_latents(a, b, min_cosine=0.5)
        assert list(zip(first, second)) == expected
        np.testing.assert_allclose(found, [cosine[i, j] for i, j in expected], atol=1e-6)


@pytest.mark.parametrize("call, message", [
    (lambda: agreement([np.ones(3)]), "1 maps"), (lambda: agreement([np.ones(3), np.ones(4)]), "different lengths"),
    (lambda: agreement([np.ones(3), np.ones(3)], tail="up"), "tail is"),
    (lambda: agreement([np.ones(3), np.ones(4)], decoders=[np.ones((3, 2))]), "no decoder of 4 rows"),
    (lambda: match_latents(np.ones((3, 2)), np.ones((3, 4))), "width 2 and 4")])
def test_messages_of_agreement(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_reliability_of_a_pooled_rsa_map_by_item_split():
    X, design = planted(m=24, n_features=120, effect=0.0)
    X += 2 * np.random.default_rng(16).random(120) * np.asarray(design.y)[:, None]
    score = lambda X, part: rsa_map(X, part, score="categorical", variant="pooled")  # noqa: E731
    found = item_split(X, design, score, draws=6)
    assert found.r > 0.5 and found.split == "items"
