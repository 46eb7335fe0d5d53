"""The contract every score keeps, over the registry; then hand-computed values and the library twins."""

import inspect

import numpy as np
import pytest
from scipy import stats
from synthetic import PLANTED, make_responses, make_set

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.responses import TokenFeatures
from cogneuro_sae.rsa import pair_similarities, rsa_map
from cogneuro_sae.selection.ensembles import ENSEMBLES
from cogneuro_sae.selection.names import ENSEMBLE_NAMES, SCORE_OPTIONS, UNSIGNED, VARIANTS
from cogneuro_sae.selection.pairs import pair_table
from cogneuro_sae.selection.permuted import permuted_map
from cogneuro_sae.selection.ranking import rank_features
from cogneuro_sae.selection.scores import SCORES, needs_of
from cogneuro_sae.selection.sources import Sources

SEEDED = {"random", "rate_matched"}
LABELLED = [name for name, score in SCORES.items() if score.labels]
X_ALONE = [name for name, score in SCORES.items() if not score.needs and name not in SEEDED]
ANTISYMMETRIC = ["mean_difference", "paired_t", "welch_t", "hedges_g", "auroc", "rate_difference", "max_target",
                 "specialist",
                 "rsa_coherence", "sparse_probe"]


@pytest.fixture(scope="module")
def case():
    stimuli = make_set(items=14)
    responses, design = make_responses(stimuli, units=40), stimuli.design()
    tokens = TokenFeatures(responses)
    sources = Sources(profiles=tokens, raw=responses, pairs=pair_table(pair_similarities(tokens), design.groups),
                      firing_rate=np.linspace(0.01, 0.5, 40), cells=design.cells, seed=5)
    return responses.pool(), design, sources


def run(name, case, X=None, y=None, rows=None, **options):
    base, design, sources = case
    rows = np.arange(len(design)) if rows is None else rows
    X = base if X is None else X
    y = design.y if y is None else y
    return SCORES[name](X[rows], y[rows], groups=design.groups[rows], sources=sources.rows(rows), **options)


@pytest.mark.parametrize("name", SCORES)
def test_a_score_gives_one_finite_value_per_feature(name, case):
    found = run(name, case)
    assert isinstance(found, FeatureMap) and found.name == name and found.value.shape == (40,)
    if name not in SEEDED:
        # what is not estimable is NaN and counted (a feature that fires in every text has no rate difference)
        assert np.isnan(found.value).sum() == sum(found.reasons.values()) < 20 and not np.isinf(found.value).any()
    assert (found.direction is not None) == SCORES[name].labels


@pytest.mark.parametrize("name", SCORES)
def test_a_score_repeats_and_ignores_the_order_of_rows(name, case):
    order = np.random.default_rng(0).permutation(len(case[1]))
    first, again, shuffled = run(name, case), run(name, case), run(name, case, rows=order)
    np.testing.assert_array_equal(first.value, again.value)
    np.testing.assert_allclose(shuffled.value, first.value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", X_ALONE)
def test_a_score_of_x_alone_follows_its_columns(name, case):
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_allclose(run(name, case, X=case[0][:, order]).value, run(name, case).value[order], rtol=1e-4,
                               atol=2e-3)


@pytest.mark.parametrize("name", ANTISYMMETRIC)
def test_swapping_the_labels_turns_a_signed_score_around(name, case):
    first, swapped = run(name, case), run(name, case, y=1 - case[1].y)
    np.testing.assert_allclose(swapped.value - swapped.center, -(first.value - first.center), rtol=1e-4, atol=2e-3)
    np.testing.assert_array_equal(swapped.direction, -first.direction)


@pytest.mark.parametrize("name", X_ALONE)
def test_a_constant_feature_is_not_estimable_and_says_why(name, case):
    X = case[0].copy()
    X[:, 7] = 1.0
    found = run(name, case, X=X)
    assert np.isnan(found.value[7]) and found.reasons["constant over the stimuli"] == 1


@pytest.mark.parametrize("name", [name for name in SCORES if name not in SEEDED | {"bottom_k"}])
def test_the_planted_feature_comes_first(name, case):
    base, design, sources = case
    options = {"threshold": 0.5} if name in ("specialist", "composite") else {}
    found = rank_features(name, base, design.y, design.groups, sources=sources, **options)
    assert found.order[0] == PLANTED
    assert found.map.direction is None or found.map.direction[PLANTED] == 1


@pytest.mark.parametrize("name, variant", [(n, v) for n, variants in VARIANTS.items() for v in variants])
def test_every_variant_finds_the_planted_feature(name, variant, case):
    found = run(name, case, variant=variant)
    assert found.top(1)[0] == PLANTED and needs_of(SCORES[name], {"variant": variant}) == (
        frozenset() if variant == "pooled" else {"profiles"})


def test_bottom_k_takes_what_says_nothing(case):
    found = run("bottom_k", case)
    assert found.top(40)[-1] == PLANTED
    assert found.top(1)[0] == np.argmin(np.abs(run("mean_difference", case).value))


@pytest.mark.parametrize("name", [name for name in LABELLED if name != "sparse_probe"])
def test_permutation_p_of_noise_is_nominal(name):
    stimuli = make_set(items=10)
    design = stimuli.design()
    responses = make_responses(stimuli, units=120, planted=(), seed=8)
    tokens = TokenFeatures(responses)
    sources = Sources(profiles=tokens, cells=design.cells, pairs=pair_table(pair_similarities(tokens), design.groups))
    options = {"threshold": 0.3} if name in ("specialist", "composite") else {}
    found = permuted_map(name, responses.pool(), design.y, design.groups, sources=sources, permutations=99,
                         tail="positive",
                         **options)
    known = found.pvalue[np.isfinite(found.pvalue)]
    # 120 independent units: .05 + 3.3 binomial sd
    assert len(known) > 20 and (known <= 0.05).mean() <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / len(known))


def test_hand_computed_values():
    X = np.array([[6.0, 1.0], [7.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    y, groups, raw = np.array([1, 1, 0, 0]), np.array(["a", "b", "a", "b"]), Sources(transform="none")
    np.testing.assert_array_equal(SCORES["max_any"](X, y, groups=groups).value, [7, 2])
    np.testing.assert_array_equal(SCORES["max_target"](X, y, groups=groups).value, [6, -1])
    np.testing.assert_array_equal(SCORES["max_target"](X, y, groups=groups, top=2).value, [6, -0.5])
    np.testing.assert_array_equal(SCORES["specialist"](X, y, groups=groups, sources=raw).value, [2, 0])
    np.testing.assert_array_equal(SCORES["composite"](X, y, groups=groups, sources=raw).value, [6.5, 0])
    np.testing.assert_array_equal(SCORES["rate_difference"](X, y, groups=groups).value, [0.5, 0])
    np.testing.assert_array_equal(SCORES["auroc"](X, y, groups=groups).value, [1, 0.375])
    assert SCORES["paired_t"](X, y, groups=groups).value[0] == pytest.approx(stats.ttest_rel([6, 7], [1, 0]).statistic)


def test_thresholds_are_in_raw_units_behind_the_transform():
    raw = np.array([[6.0], [4.0], [1.0], [8.0]])
    X = np.log1p(raw / 2.0)
    found = SCORES["specialist"](X, np.array([1, 1, 0, 0]), groups=np.arange(4), sources=Sources(scale=2.0))
    assert found.value[0] == 0.0
    np.testing.assert_allclose(Sources(scale=2.0).to_raw(X), raw)
    np.testing.assert_allclose(Sources(scale=2.0).to_raw(-X), -raw)


@pytest.mark.parametrize("name", UNSIGNED)
def test_thresholds_are_refused_on_signed_units(name, case):
    assert SCORES[name].unsigned
    with pytest.raises(InputError, match="signed units"):
        run(name, case, X=-case[0])
    with pytest.raises(InputError, match="signed units"):
        rank_features(name, case[0], case[1].y, case[1].groups, sources=case[2], signed=True)


def test_signed_units_enter_label_using_scores_flipped(case):
    base, design, sources = case
    X = base.copy()
    X[:, PLANTED] *= -1
    found = rank_features("welch_t", X, design.y, design.groups, sources=sources)
    assert found.order[0] == PLANTED and found.signs[PLANTED] == -1 and found.map.value[PLANTED] > 5
    assert (rank_features("max_any", X, design.y, design.groups, sources=sources).signs == 1).all()


def test_class_means_equal_a_loop_over_cross_item_pairs(case):
    base, design, sources = case
    rows = np.flatnonzero(np.isin(design.groups, np.unique(design.groups)[:9]))
    tokens, offsets = sources.profiles, sources.profiles.offsets
    values = tokens.block(0, 6)
    sums = {"aa": [[] for _ in range(6)], "ab": [[] for _ in range(6)], "bb": [[] for _ in range(6)]}
    for place, i in enumerate(rows):
        for j in rows[place + 1:]:
            if design.groups[i] == design.groups[j]:
                continue
            n = min(offsets[i + 1] - offsets[i], offsets[j + 1] - offsets[j])
            for f in range(6):
                a, b = (values[offsets[s]:offsets[s] + n, f] for s in (i, j))
                if n >= 8 and (a != 0).sum() >= 2 and (b != 0).sum() >= 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
                    r = np.clip(np.corrcoef(a, b)[0, 1], -0.999, 0.999)
                    sums[{2: "aa", 1: "ab", 0: "bb"}[design.y[i] + design.y[j]]][f].append(np.arctanh(r))
    found = sources.rows(rows).pairs.class_means(design.y[rows], design.groups[rows])
    for name, means in (("aa", found.within_a), ("ab", found.between), ("bb", found.within_b)):
        np.testing.assert_allclose(means[:6], [np.mean(each) for each in sums[name]], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("score", ["discriminative", "coherence", "categorical"])
def test_fold_scores_equal_rsa_map_on_the_same_rows(score, case):
    _, design, sources = case
    keep = np.isin(design.groups, np.unique(design.groups)[:10])
    part, rows = design.take(keep), np.flatnonzero(keep)
    wanted = rsa_map(sources.profiles, part, score=score)
    found = run(f"rsa_{score}", case, rows=rows)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.n_valid, wanted.n_valid)


@pytest.mark.parametrize("variant", ["pooled", "distribution"])
def test_scalar_variants_equal_rsa_map(variant, case):
    base, design, sources = case
    given = base if variant == "pooled" else sources.profiles
    wanted = rsa_map(given, design, score="model", model="categorical", variant=variant)
    np.testing.assert_allclose(run("rsa_model", case, variant=variant).value, wanted.value, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(run("rsa_categorical", case, variant=variant).value, wanted.value, rtol=1e-6, atol=1e-8)


def test_categorical_is_discriminative_minus_half_of_coherence(case):
    d, c, both = (run(f"rsa_{name}", case).value for name in ("discriminative", "coherence", "categorical"))
    np.testing.assert_allclose(both, d - c / 2, atol=1e-12)


@pytest.mark.parametrize("name", ["rsa_discriminative", "rsa_coherence"])
def test_one_pooled_scalar_is_refused_where_it_means_nothing(name, case):
    with pytest.raises(InputError, match="pooled scalar"):
        run(name, case, variant="pooled")


def test_a_graded_model_needs_its_dissimilarities(case):
    base, design, sources = case
    with pytest.raises(InputError, match="needs model"):
        SCORES["rsa_model"](base, design.y, groups=design.groups, sources=Sources(), model="graded")
    from dataclasses import replace
    distances = np.abs(design.y[:, None] - design.y).astype(float)
    found = SCORES["rsa_model"](base, design.y, groups=design.groups, model="graded",
                                sources=replace(sources, model=distances))
    np.testing.assert_allclose(found.value, run("rsa_model", case).value, atol=1e-10)


def test_rate_matched_features_fire_as_often_as_their_partners(case):
    base, design, sources = case
    found = SCORES["rate_matched"](base, design.y, groups=design.groups, sources=sources, to=[30, 35])
    chosen = found.top(2)
    assert not {30, 35} & set(chosen.tolist())
    wanted = sources.firing_rate[[30, 35]]
    assert all(np.min(np.abs(sources.firing_rate[f] / wanted - 1)) <= 0.1001 for f in chosen)
    with pytest.raises(InputError, match="firing rates"):
        SCORES["rate_matched"](base, design.y, groups=design.groups, sources=Sources())


def test_random_is_a_function_of_its_seed_alone(case):
    base, design, _ = case
    a, b, c = (SCORES["random"](X, design.y, groups=design.groups, sources=Sources(seed=s))
               for X, s in ((base, 1), (base[::-1], 1), (base, 2)))
    np.testing.assert_array_equal(a.value, b.value)
    assert (a.value != c.value).any()


def test_stability_of_the_sparse_probe_is_a_signed_share(case):
    found = run("sparse_probe", case, stability=20)
    assert found.value[PLANTED] == pytest.approx(1.0) and np.abs(found.value).max() <= 1 + 1e-9
    assert np.sum(found.value > 0.5) <= 8


def test_unmatched_designs_refuse_the_paired_score():
    stimuli = make_set(items=6, far=True)
    design = stimuli.design("far")
    X = np.random.default_rng(0).random((len(design), 3))
    with pytest.raises(InputError, match="matched items"):
        SCORES["paired_t"](X, design.y, groups=design.groups)
    assert np.isfinite(SCORES["welch_t"](X, design.y, groups=design.groups).value).all()


def test_names_known_to_the_config_equal_the_registries():
    assert tuple(SCORE_OPTIONS) == tuple(SCORES) and ENSEMBLE_NAMES == tuple(ENSEMBLES)
    for name, score in SCORES.items():
        options = [p for p in inspect.signature(score).parameters if p not in ("X", "y", "groups", "sources")]
        assert tuple(options) == SCORE_OPTIONS[name], name
    assert {name for name, score in SCORES.items() if score.unsigned} == set(UNSIGNED)


def test_a_missing_source_is_said_before_anything_runs(case):
    base, design, _ = case
    with pytest.raises(InputError, match="needs profiles"):
        rank_features("rsa_discriminative", base, design.y, design.groups)
    with pytest.raises(InputError, match="did you mean 'welch_t'"):
        rank_features("welch", base, design.y, design.groups)


@pytest.mark.parametrize("variant", ["pooled", "distribution", "profile"])
def test_a_partial_model_is_fitted_on_the_pairs_it_knows(variant, case):
    from dataclasses import replace

    base, design, sources = case
    distances = np.abs(design.y[:, None] - design.y).astype(float)
    gone = design.groups == design.groups[0]
    partial = np.where(gone[:, None] | gone, np.nan, distances)
    kept = np.flatnonzero(~gone)
    found = run("rsa_model", (base, design, replace(sources, model=partial)), variant=variant, model="m")
    wanted = run("rsa_model", (base, design, replace(sources, model=distances)), rows=kept, variant=variant, model="m")
    assert np.isfinite(found.value).sum() > 20
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-4, atol=1e-6)


def test_a_cell_pair_of_a_partial_model_is_the_mean_of_what_is_known():
    from cogneuro_sae.selection.rsa_scores import _over_cells

    known = np.array([[0, 9, 1, 3], [9, 0, np.nan, 5], [1, np.nan, 0, 9], [3, 5, 9, 0.0]])
    assert _over_cells(known, np.array([0, 0, 1, 1]))[0, 1] == pytest.approx((1 + 3 + 5) / 3)
    known[:2, 2:] = known[2:, :2] = np.nan
    assert np.isnan(_over_cells(known, np.array([0, 0, 1, 1]))[0, 1])


def test_p_on_signed_units_is_of_the_statistic_that_is_ranked():
    from itertools import product

    design = make_set(items=6).design()
    rng = np.random.default_rng(3)
    X = rng.normal(size=(len(design), 12))
    X[design.y == 1, 5] -= 4
    sources = Sources(cells=design.cells)
    ranked = rank_features("max_target", X, design.y, design.groups, sources=sources, signed=True)
    found = permuted_map("max_target", X, design.y, design.groups, sources=sources, permutations=64, signed=True)
    np.testing.assert_allclose(found.value, ranked.map.value)
    np.testing.assert_array_equal(found.direction, ranked.map.direction)
    items = np.unique(design.groups, return_inverse=True)[1]
    null = []
    for swap in product([0, 1], repeat=6):
        y = design.y ^ np.array(swap)[items]
        null.append(rank_features("max_target", X, y, design.groups, sources=sources, signed=True).map.value)
    np.testing.assert_allclose(found.pvalue, (np.array(null) >= ranked.map.value - 1e-9).mean(axis=0))
    assert ranked.signs[5] == -1 and found.pvalue[5] <= 2 / 64
    plain = permuted_map("welch_t", X, design.y, design.groups, sources=sources, permutations=64, tail="two-sided")
    both = permuted_map("welch_t", X, design.y, design.groups, sources=sources, permutations=64, signed=True)
    np.testing.assert_allclose(both.pvalue, plain.pvalue)
