"""RSA scores equal plain loops over stimulus pairs, under the observed labels and under every labelling."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from rsa_data import Tokens, far_design, matched_design, tokens_for

from cogneuro_sae.contrasts import contrast_map
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import (joint_scheme, label_scheme, restricted, sign_scheme, subset, swap_scheme,
                                    two_part_scheme, within_scheme)
from cogneuro_sae.responses import Responses, TokenFeatures
from cogneuro_sae.rsa import (CLASS_SCORES, MODEL_RDMS, data_rdm, item_split, model_rdm, pair_similarities,
                              paraphrase_ceiling, paraphrase_split, roi_rsa, rsa_map, spearman_brown)


def loop_r(a, b, min_common=8, min_active=2):
    n = min(len(a), len(b))
    a, b = a[:n].astype(float), b[:n].astype(float)
    if n < min_common or min(np.sum(a != 0), np.sum(b != 0)) < min_active or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return np.corrcoef(a, b)[0, 1]


def loop_scores(tokens, groups, y, f, min_items=5):
    """D, categorical and coherence of one feature over cross-item pairs, with the silence policy."""
    n = len(y)
    z = {"aa": [], "ab": [], "bb": []}
    partner = [False] * n
    for i, j in itertools.combinations(range(n), 2):
        if groups[i] == groups[j]:
            continue
        r = loop_r(tokens.of(i)[:, f], tokens.of(j)[:, f])
        if np.isnan(r):
            continue
        partner[i] = partner[j] = True
        z["aa" if y[i] and y[j] else "bb" if not y[i] and not y[j]
          else "ab"].append(np.arctanh(np.clip(r, -0.999, 0.999)))
    valid = [len({groups[i] for i in range(n) if partner[i] and y[i] == side}) for side in (1, 0)]
    if not all(partner) and min(valid) < min_items or not all(z.values()):
        return dict.fromkeys(CLASS_SCORES, np.nan), valid
    aa, ab, bb = (np.mean(z[k]) for k in ("aa", "ab", "bb"))
    return {"discriminative": aa - ab, "categorical": (aa + bb) / 2 - ab, "coherence": aa - bb}, valid


@pytest.mark.parametrize("design", [matched_design(7), far_design(6, 8)], ids=["near", "far"])
@pytest.mark.parametrize("score", CLASS_SCORES)
def test_profile_scores_equal_loops(design, score):
    tokens = tokens_for(design, seed=1)
    found = rsa_map(tokens, design, score=score)
    for f in range(tokens.n_features):
        scores, valid = loop_scores(tokens, design.groups, design.y, f)
        np.testing.assert_allclose(found.value[f], scores[score], rtol=1e-9, atol=1e-12)
        assert found.n_valid[f].tolist() == valid
    assert np.isnan(found.value[-1]) and found.reasons["silent, or without any valid pair"] == 1
    assert sum(found.reasons.values()) == np.isnan(found.value).sum()
    assert found.direction[0] == 1 and found.direction[-1] == 0


def test_the_planted_profile_is_found_and_its_sign_is_positive():
    design = matched_design(8)
    found = rsa_map(tokens_for(design, seed=2), design, permutations=256)
    assert found.value[0] > 0.3 and found.top(1)[0] == 0
    assert found.pvalue[0] == pytest.approx(1 / 256) and found.p_fwe[0] < 0.05


@pytest.mark.parametrize("score", CLASS_SCORES)
def test_permutations_equal_loops_over_swapped_labels(score):
    design = matched_design(6, paraphrases=1)
    tokens = tokens_for(design, seed=3, silence=0.12)
    found = rsa_map(tokens, design, score=score, permutations=64, min_items=5)
    T = []
    for flips in itertools.product([0, 1], repeat=6):
        y = np.where(np.array(flips)[design.groups] == 1, 1 - design.y, design.y)
        T.append([loop_scores(tokens, design.groups, y, f)[0][score] for f in range(5)])
    T = np.array(T)
    np.testing.assert_allclose(found.value[:5], T[0], rtol=1e-9)
    for f in range(5):
        known = T[np.isfinite(T[:, f]), f]
        if len(known) >= 32 and np.isfinite(T[0, f]):
            assert found.pvalue[f] == pytest.approx(np.mean(known >= T[0, f] - 1e-9))
        else:
            assert np.isnan(found.pvalue[f])
    assert np.isfinite(found.pvalue).sum() >= 3


def test_silence_is_reapplied_to_every_labelling():
    """A feature silent in five A cells of ten items is estimable or not depending on the labelling, never 0."""
    design = matched_design(10, paraphrases=1)
    tokens = tokens_for(design, n_features=3, seed=4, silence=0)
    for row in np.flatnonzero(design.y == 1)[:6]:
        tokens.values[tokens.offsets[row]:tokens.offsets[row + 1], 1] = 0
    found = rsa_map(tokens, design, permutations=1024)
    assert np.isnan(found.value[1]) and found.n_valid[1].tolist() == [4, 10]
    assert found.reasons["fewer than 5 valid items in A or B"] == 1
    assert found.info["family"] == 2 and np.isnan(found.pvalue[1])


def test_categorical_is_discriminative_less_half_of_coherence():
    for design in (matched_design(7), far_design(6, 7)):
        tokens = tokens_for(design, seed=5)
        D, C, H = (rsa_map(tokens, design, score=s).value for s in ("discriminative", "categorical", "coherence"))
        np.testing.assert_allclose(C, D - H / 2, atol=1e-12)


def test_swapped_classes_turn_coherence_and_keep_categorical():
    design = matched_design(6)
    turned = SimpleNamespace(**{**vars(design), "y": 1 - design.y})
    tokens = tokens_for(design, seed=6)
    np.testing.assert_allclose(rsa_map(tokens, turned, score="coherence").value,
                               -rsa_map(tokens, design, score="coherence").value)
    np.testing.assert_allclose(rsa_map(tokens, turned, score="categorical").value,
                               rsa_map(tokens, design, score="categorical").value)


def test_a_perfectly_consistent_feature_ranks_first():
    """atanh of 1 - r would rank it last."""
    design = matched_design(6, paraphrases=1)
    rng = np.random.default_rng(7)
    values, shape = rng.random((12 * 10, 4)), rng.random(10)
    for row in np.flatnonzero(design.y):
        values[row * 10:row * 10 + 10, 2] = shape
    assert rsa_map(Tokens(values, [10] * 12), design).top(1)[0] == 2
    assert rsa_map(Tokens(values, [10] * 12), design).value[2] > 3


def test_pairs_within_an_item_do_not_enter():
    design = matched_design(3, paraphrases=3)
    tokens = tokens_for(design, seed=9, silence=0, low=12, high=13)
    rows = np.flatnonzero(design.groups == 0)
    for row in rows[1:]:
        tokens.values[tokens.offsets[row]:tokens.offsets[row + 1]] = tokens.of(rows[0])
    scores, _ = loop_scores(tokens, design.groups, design.y, 0)
    own = SimpleNamespace(**{**vars(design), "groups": np.arange(18), "cells": np.arange(18), "scheme": None})
    with_them, _ = loop_scores(tokens, own.groups, own.y, 0)
    assert abs(with_them["discriminative"] - scores["discriminative"]) > 0.05
    assert rsa_map(tokens, design).value[0] == pytest.approx(scores["discriminative"])


@pytest.mark.parametrize("lengths", ["equal", "unequal"])
def test_pair_similarities_reused_by_folds_equal_direct_maps(lengths):
    design = matched_design(8)
    tokens = tokens_for(design, seed=10, low=12, high=13 if lengths == "equal" else 20)
    similar = pair_similarities(tokens, block=4)
    keep = design.groups >= 2
    fold = subset(design, keep)
    np.testing.assert_allclose(rsa_map(similar, fold).value, rsa_map(tokens, fold).value, atol=2e-6)
    own = SimpleNamespace(**{**vars(fold), "rows": np.arange(keep.sum())})
    np.testing.assert_allclose(rsa_map(similar.rows(keep), own).value, rsa_map(tokens, fold).value, atol=2e-6)
    np.testing.assert_array_equal(rsa_map(similar, fold).direction, rsa_map(tokens, fold).direction)


def test_distribution_equals_a_loop_and_sees_silent_features():
    design = matched_design(6)
    tokens = tokens_for(design, seed=11)
    for row in range(len(design.y)):
        tokens.values[tokens.offsets[row]:tokens.offsets[row + 1], 2] *= design.y[row] * 5
    found = rsa_map(tokens, design, score="categorical", variant="distribution", permutations=64)
    grid = (np.arange(8) + 0.5) / 8
    for f in range(4):
        q = np.array([np.quantile(tokens.of(row)[:, f].astype(float), grid) for row in range(len(design.y))])
        blocks = {"aa": [], "ab": [], "bb": []}
        for i, j in itertools.combinations(range(len(q)), 2):
            if design.groups[i] != design.groups[j]:
                d = np.mean((q[i] - q[j]) ** 2)
                blocks["aa" if design.y[i] + design.y[j] == 2 else "ab" if design.y[i] != design.y[j]
                       else "bb"].append(d)
        total = np.mean(sum(blocks.values(), []))
        expected = (np.mean(blocks["ab"]) - (np.mean(blocks["aa"]) + np.mean(blocks["bb"])) / 2) / total
        assert found.value[f] == pytest.approx(expected, rel=1e-9)
    assert found.pvalue[2] <= 2 / 64 + 1e-12 and found.direction[2] == 1
    # the profile variant has no A-B pair for a feature that fires on targets only
    assert np.isnan(rsa_map(tokens, design).value[2])


@pytest.mark.parametrize("score", ["discriminative", "coherence"])
@pytest.mark.parametrize("variant", ["pooled", "distribution"])
def test_scalars_refuse_scores_they_cannot_carry(score, variant):
    design = matched_design(6)
    with pytest.raises(InputError, match="not defined on one value per stimulus.*profile"):
        rsa_map(np.ones((len(design.y), 3)), design, score=score, variant=variant)


def pooled_loop(x, y, groups, statistic):
    pairs = [(i, j) for i, j in itertools.combinations(range(len(x)), 2) if groups[i] != groups[j]]
    d = np.array([(x[i] - x[j]) ** 2 for i, j in pairs])
    return statistic(d, np.array([y[i] != y[j] for i, j in pairs]), np.array([y[i] + y[j] for i, j in pairs]))


def test_pooled_scores_equal_loops_under_every_swap():
    design = matched_design(6)
    X = np.random.default_rng(12).random((24, 4)) + 0.8 * np.outer(design.y, [1, 0, -1, 0])
    cells = np.array([X[design.cells == c].mean(0) for c in dict.fromkeys(design.cells)])
    y, groups = np.tile([1, 0], 6), np.repeat(np.arange(6), 2)

    def categorical(d, between, s):
        return (d[between].mean() - (d[s == 2].mean() + d[s == 0].mean()) / 2) / d.mean()

    corr = lambda d, between, s: np.corrcoef(d, between)[0, 1]  # noqa: E731
    for score, loop in (("categorical", categorical), ("model", corr)):
        found = rsa_map(X, design, score=score, variant="pooled", model="categorical", permutations=64)
        T = np.array([[pooled_loop(cells[:, f], np.where(np.array(flip)[groups] == 1, 1 - y, y), groups, loop)
                       for f in range(4)] for flip in itertools.product([0, 1], repeat=6)])
        np.testing.assert_allclose(found.value, T[0], rtol=1e-9)
        np.testing.assert_allclose(found.pvalue, (T >= T[0] - 1e-9).mean(0))
        assert found.direction.tolist()[0::2] == [1, -1]
    # categorical does not change when all labels swap: min p 2^(1-m)
    assert found.pvalue.min() >= 2 / 64


def graded_design(m=5, levels=(0, 1, 3)):
    groups = np.repeat(np.arange(m), len(levels))
    grade = np.tile(levels, m).astype(float)
    y = (grade > 0).astype(int)
    return SimpleNamespace(rows=np.arange(len(y)), y=y, weights=grade - grade.mean(), groups=groups,
                           cells=np.arange(len(y)),
                           scheme=within_scheme(groups, grade), contrast="graded", expression="", grade=grade)


def test_graded_models_move_levels_inside_items():
    design = graded_design(m=3)
    X = np.random.default_rng(13).normal(size=(9, 3)) + design.grade[:, None] * [0.8, 0, 0]
    found = rsa_map(X, design, score="model", variant="pooled", model="graded", labels=design.grade, permutations=216)
    assert found.info["enumerated"] and found.info["permutations"] == 216
    pairs = [(i, j) for i, j in itertools.combinations(range(9), 2) if design.groups[i] != design.groups[j]]
    d = np.array([(X[i] - X[j]) ** 2 for i, j in pairs])
    T = []
    for orders in itertools.product(itertools.permutations([0, 1, 3]), repeat=3):
        g = np.concatenate(orders)
        T.append([np.corrcoef(d[:, f], [abs(g[i] - g[j]) for i, j in pairs])[0, 1] for f in range(3)])
    T = np.array(T)
    np.testing.assert_allclose(found.value, T[0], rtol=1e-9)
    np.testing.assert_allclose(found.pvalue, (T >= T[0] - 1e-9).mean(0))


def test_item_level_models_move_items_jointly():
    m = 5
    design = SimpleNamespace(rows=np.arange(m), y=np.array([1, 1, 1, 0, 0]), weights=np.ones(m), groups=np.arange(m),
                             cells=np.arange(m), scheme=joint_scheme(range(m)), contrast="", expression="")
    grade = np.array([3.0, 2.5, 2.0, 0.4, 0.1])
    X = np.c_[grade + 0.1 * np.random.default_rng(14).normal(size=m), np.random.default_rng(15).normal(size=m)]
    found = rsa_map(X, design, score="model", variant="pooled", model="graded", labels=grade, permutations=200)
    first, second = np.triu_indices(m, 1)
    d = (X[first] - X[second]) ** 2
    T = np.array([[np.corrcoef(d[:, f], np.abs(grade[list(o)][first] - grade[list(o)][second]))[0, 1] for f in range(2)]
                  for o in itertools.permutations(range(m))])
    np.testing.assert_allclose(found.pvalue, (T >= T[0] - 1e-9).mean(0))


def test_profile_model_with_gaps_equals_a_loop():
    design = matched_design(8, paraphrases=1)
    tokens = tokens_for(design, seed=16, silence=0.15)
    found = rsa_map(tokens, design, score="model", model="categorical")
    for f in (0, 1, 2, 3):
        d, m = [], []
        for i, j in itertools.combinations(range(16), 2):
            r = loop_r(tokens.of(i)[:, f], tokens.of(j)[:, f])
            if design.groups[i] != design.groups[j] and not np.isnan(r):
                d.append(1 - r)
                m.append(design.y[i] != design.y[j])
        assert found.value[f] == pytest.approx(np.corrcoef(d, m)[0, 1], rel=1e-9)
    assert found.value[0] > 0


def test_model_permutations_reapply_the_silence_rule():
    design = matched_design(6, paraphrases=1)
    tokens = tokens_for(design, seed=24, silence=0)
    for f, rows in ((1, [0]), (2, [0, 3]), (3, [0, 2])):
        for row in rows:
            tokens.values[tokens.offsets[row]:tokens.offsets[row + 1], f] = 0
    found = rsa_map(tokens, design, score="model", model="categorical", permutations=64)
    pairs = [(i, j) for i, j in itertools.combinations(range(12), 2) if design.groups[i] != design.groups[j]]
    for f in range(4):
        d = np.array([1 - loop_r(tokens.of(i)[:, f], tokens.of(j)[:, f]) for i, j in pairs])
        alive = np.array([any(np.isfinite(d[k]) for k, pair in enumerate(pairs) if row in pair) for row in range(12)])
        T = []
        for flips in itertools.product([0, 1], repeat=6):
            y = np.where(np.array(flips)[design.groups] == 1, 1 - design.y, design.y)
            m, known = np.array([y[i] != y[j] for i, j in pairs]), np.isfinite(d)
            enough = alive.all() or min((alive & (y == 1)).sum(), (alive & (y == 0)).sum()) >= 5
            T.append(np.corrcoef(d[known], m[known])[0, 1] if enough else np.nan)
        T = np.array(T)
        valid = np.isfinite(T)
        tested = valid.mean() >= 0.5 and valid[0]
        assert found.pvalue[f] == pytest.approx(np.mean(T[valid] >= T[0] - 1e-9), nan_ok=True) if tested else (
            np.isnan(found.pvalue[f]))
    assert np.isfinite(found.value[2]) and np.isnan(found.value[3])


def test_two_part_rsa_takes_the_larger_p():
    near = matched_design(8, paraphrases=1)
    tokens = tokens_for(near, seed=17, silence=0)
    far = tokens_for(SimpleNamespace(y=np.zeros(6)), n_features=6, seed=18, silence=0)
    both = Tokens(np.r_[tokens.values, far.values], np.r_[np.diff(tokens.offsets), np.diff(far.offsets)])
    y = np.r_[near.y, np.zeros(6, int)]
    groups = np.r_[near.groups, 100 + np.arange(6)]
    cells = np.r_[near.cells, 1000 + np.arange(6)]
    rows_b = np.r_[np.flatnonzero(near.y), 16:22]
    scheme = two_part_scheme(swap_scheme(near.groups), label_scheme(cells[rows_b], y[rows_b]), rows_a=np.arange(16),
                             rows_b=rows_b, n_rows=22)
    design = SimpleNamespace(rows=np.arange(22), y=y, weights=np.where(y, 1, -0.5), groups=groups, cells=cells,
                             scheme=scheme,
                             contrast="broad", expression="target - (near + far)/2")
    found = rsa_map(both, design, permutations=300)
    parts = []
    for number, (part, rows) in enumerate(zip(scheme.parts, scheme.part_rows)):
        view = SimpleNamespace(rows=rows, scheme=part, y=y[rows], weights=design.weights[rows], groups=groups[rows],
                               cells=cells[rows])
        parts.append(rsa_map(both, view, permutations=300, seed=number))
    np.testing.assert_array_equal(found.pvalue, np.maximum(parts[0].pvalue, parts[1].pvalue))
    assert found.top(1)[0] == 0 and found.p_fwe[0] < 0.05
    assert restricted(scheme, groups != 0).n_units == 0 and len(restricted(scheme, groups != 0).unit) == 20


def test_interactions_refuse_discriminative():
    groups = np.repeat(np.arange(6), 4)
    conditions = np.tile(["a_x", "b_x", "a_y", "b_y"], 6)
    w = np.tile([1.0, -1, -1, 1], 6)
    design = SimpleNamespace(rows=np.arange(24), y=(w > 0).astype(int), weights=w, groups=groups, cells=np.arange(24),
                             conditions=conditions, scheme=sign_scheme(groups), contrast="interaction", expression="")
    X = np.random.default_rng(19).normal(size=(24, 5))
    with pytest.raises(InputError, match="interaction: discriminative is refused"):
        rsa_map(X, design, variant="pattern")
    main = SimpleNamespace(**{**vars(design), "y": np.tile([1, 0, 1, 0], 6), "weights": np.tile([0.5, -0.5] * 2, 6)})
    assert np.isfinite(rsa_map(X, main, variant="pattern", permutations=64).pvalue[0])


def test_responses_go_in_whole_with_spans_and_windows():
    design = matched_design(6, paraphrases=1)
    tokens = tokens_for(design, seed=20, silence=0, low=12, high=18)
    lengths = np.diff(tokens.offsets)
    spans = np.concatenate([np.c_[np.arange(n) * 3, np.arange(n) * 3 + 2] for n in lengths])
    targets = np.array([[3 * (row % 3), 3 * (row % 3) + 5] for row in range(12)])
    responses = Responses(values=tokens.values, tokens=np.array(["w"] * len(tokens.values)), offsets=tokens.offsets,
                          specials=np.zeros(len(tokens.values), bool), spans=spans, ids=tuple(map(str, range(12))),
                          site="model.layers.1", model="m", sha256="", target_spans=targets)
    found = rsa_map(responses, design)
    np.testing.assert_allclose(found.value, rsa_map(tokens, design).value)
    assert found.site == "model.layers.1"
    assert not np.allclose(rsa_map(responses, design, align="span").value[:5], found.value[:5])
    aligned = [loop_span(tokens, i, j, 1) for i, j in ((0, 2), (3, 7))]
    source = pair_similarities(TokenFeatures(responses), align="span")
    np.testing.assert_allclose([source.pairs(1, 2, np.array([0]), np.array([2]))[0, 0],
                                source.pairs(1, 2, np.array([3]), np.array([7]))[0, 0]], aligned, atol=1e-6)
    with pytest.raises(InputError, match="pooled.*pooled"):
        rsa_map(np.ones((12, 2)), design)


def loop_span(tokens, i, j, f):
    a, b = tokens.of(i)[:, f], tokens.of(j)[:, f]
    left = min(i % 3, j % 3)
    return loop_r(a[i % 3 - left:], b[j % 3 - left:])


def pattern_data(m=12, paraphrases=2, n_features=40, effect=1.5, seed=21):
    design = matched_design(m, paraphrases)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(len(design.y), n_features)) + rng.normal(size=(m, n_features))[design.groups]
    X[:, :8] += effect * design.y[:, None] * np.array([1.5, 1, 0.5, 1, 1.5, 1, 0.5, 1])
    return X, design


def test_roi_halves_find_the_effect_and_stay_null_without_one():
    X, design = pattern_data()
    localise = lambda X, part: contrast_map(X, part, score="paired_t")  # noqa: E731
    found = roi_rsa(X, design, localise=localise, n_features=8, halves=4, permutations=64)
    assert (found.value > 0.1).all() and (found.pvalue < 0.1).all() and found.overlap > 0.3
    # largest |t|, so that the chosen noise has a pattern: on the half that chose it D is .22
    either = lambda X, part: FeatureMap(np.abs(localise(X, part).value), "|t|")  # noqa: E731
    nulls = [roi_rsa(pattern_data(effect=0.0, n_features=400, seed=seed)[0], design, localise=either, n_features=8,
                     halves=2)
             for seed in range(8)]
    assert abs(np.mean([null.value for null in nulls])) < 0.06
    with pytest.raises(InputError, match="items are too few to halve"):
        roi_rsa(*pattern_data(m=3), localise=localise)


def test_the_roi_half_and_the_rsa_half_share_no_item():
    X, design = pattern_data()
    seen = []

    def localise(part_X, part):
        seen.append(part_X[:, 0].copy())
        return contrast_map(part_X, part, score="paired_t")

    spoiled = X.copy()
    roi = roi_rsa(X, design, localise=localise, n_features=8, halves=1).roi[0]
    other = ~np.isin(X[:, 0], seen[0])
    spoiled[other] = np.random.default_rng(0).normal(size=(other.sum(), X.shape[1]))
    np.testing.assert_array_equal(roi, roi_rsa(spoiled, design, localise=localise, n_features=8, halves=1).roi[0])
    assert {*design.groups[other]}.isdisjoint({*design.groups[~other]}) and other.sum() == len(X) // 2


def test_wording_variance_is_reliable_over_paraphrases_but_not_over_items():
    """docs/methods.md: cells that differ by wording only give .78 by paraphrases and -.02 by items."""
    design = matched_design(12, paraphrases=4)
    rng = np.random.default_rng(22)
    wording = rng.normal(size=(24, 400))
    cell = np.unique(design.cells, return_inverse=True)[1]
    X = wording[cell] + 0.75 * rng.normal(size=(len(cell), 400))
    score = lambda X, part: contrast_map(X, part, score="mean_difference")  # noqa: E731
    paraphrases = paraphrase_split(X, design, score, draws=10)
    items = item_split(X, design, score, draws=10)
    assert paraphrases.r == pytest.approx(1 / (1 + 0.75**2 / 2), abs=0.06)
    assert abs(items.r) < 0.12
    assert paraphrases.corrected == pytest.approx(2 * paraphrases.r / (1 + paraphrases.r))
    assert np.isnan(spearman_brown(-0.1)) and np.isnan(spearman_brown(0.0))
    with pytest.raises(InputError, match="one paraphrase"):
        paraphrase_split(*pattern_data(paraphrases=1), score)


def test_a_true_model_stays_at_or_below_the_paraphrase_ceiling():
    X, design = pattern_data(m=10, paraphrases=4, effect=3.0)
    clean = pattern_data(m=10, paraphrases=4, effect=3.0, seed=21)[0]
    cells = np.unique(design.cells, return_inverse=True)[1]
    means = np.array([clean[cells == c].mean(0) for c in range(20)])[cells]
    truth = 1 - np.corrcoef(means)
    found = paraphrase_ceiling(X, design, truth, draws=20)
    assert found.lower < found.upper and found.fit <= found.upper + 1e-9 and found.n_rdms == 4
    # against averaged RDMs the same model would exceed the ceiling
    averaged = 1 - np.corrcoef(means)
    assert np.corrcoef(averaged[np.triu_indices(len(averaged), 1)],
                       truth[np.triu_indices(len(truth), 1)])[0, 1] > found.upper


def test_rdm_objects_carry_ids_and_refuse_single_features():
    X = np.random.default_rng(23).normal(size=(6, 5))
    rdms = data_rdm(X, ids=list("abcdef"))
    assert rdms.pattern_descriptors["id"] == list("abcdef") and rdms.n_cond == 6
    assert data_rdm(X, by=[0, 0, 1, 1, 2, 2]).n_cond == 3
    with pytest.raises(InputError, match="euclidean"):
        data_rdm(X[:, :1])
    assert model_rdm("graded", [0, 1, 3]).dissimilarities.tolist() == [[1, 3, 2]]
    with pytest.raises(InputError, match="did you mean 'graded'"):
        model_rdm("grade", [0, 1, 3])
    with pytest.raises(InputError, match="needs labels"):
        model_rdm("graded")


@pytest.mark.parametrize("name, labels, expected", [
    ("categorical", list("aab"), [0, 1, 1]), ("graded", [2, 0, 1], [2, 1, 1]), ("coherent", [1, 1, 0], [0, 1, 1]),
    ("factorial", [("a", "x"), ("a", "y"), ("b", "y")], [0.5, 1, 0.5]), ("length", [1, np.e, np.e], [1, 1, 0])])
def test_model_rdms_by_hand(name, labels, expected):
    assert name in MODEL_RDMS
    np.testing.assert_allclose(model_rdm(name, labels).dissimilarities[0], expected, atol=1e-12)


def test_messages():
    design = matched_design(6)
    tokens = tokens_for(design)
    for options, match in [({"score": "discriminativ"}, "did you mean 'discriminative'"),
                           ({"variant": "profil"}, "profile"),
                           ({"score": "model"}, "needs a model RDM"), ({"tail": "up"}, "unknown tail"),
                           ({"method": "cosine_cov"}, "pooled values"), ({"align": "end"}, "unknown alignment")]:
        with pytest.raises(InputError, match=match):
            rsa_map(tokens, design, **options)
    far = far_design(5, 5)
    with pytest.raises(InputError, match="not one of the two classes"):
        rsa_map(np.random.default_rng(0).random((20, 3)), far, score="model", variant="pooled", model="graded",
                labels=np.arange(20), permutations=100)
