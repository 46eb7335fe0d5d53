"""Selectors: scikit-learn's own checks where they apply, leak-free use in pipelines, what they refuse."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from synthetic import PLANTED, make_responses, make_set

from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses
from cogneuro_sae.selection import FeatureSet, RandomFeatures, StableFeatures, ThresholdedFeatures, TopFeatures

@parametrize_with_checks(
    [TopFeatures("mean_difference", 1, independent=True), StableFeatures("mean_difference", 1, resamples=3,
            independent=True),
     ThresholdedFeatures("mean_difference", 0.0, independent=True), FeatureSet((0,)), RandomFeatures(1)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def toy():
    stimuli = make_set(items=14)
    design = stimuli.design()
    return make_responses(stimuli, units=40), design


def test_top_features_pools_responses_inside_and_selects_by_profile(toy):
    responses, design = toy
    selector = TopFeatures("rsa_discriminative", 3, window="first(10)").fit(responses, design.y, groups=design.groups)
    assert selector.indices_[0] == PLANTED and len(selector.indices_) == 3
    pooled = responses.pool(window="first(10)")
    np.testing.assert_array_equal(selector.transform(responses), pooled[:, np.sort(selector.indices_)])
    assert selector.map_.direction[selector.indices_].min() == 1 and (selector.map_.value[selector.indices_] > 0).all()


def test_selectors_work_in_a_pipeline_under_cross_validation(toy):
    responses, design = toy
    model = make_pipeline(TopFeatures("welch_t", 2), LogisticRegression())
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        found = cross_validate(model, responses, design.y, cv=GroupKFold(4), params={"groups": design.groups},
                               return_estimator=True, scoring="roc_auc")
    assert found["test_score"].mean() > 0.9
    assert all(fold[0].indices_[0] == PLANTED for fold in found["estimator"])
    plain = model.fit(responses, design.y, topfeatures__groups=design.groups)
    assert plain[0].indices_[0] == PLANTED


def test_selection_sees_training_rows_only(toy):
    responses, design = toy
    train = np.flatnonzero(design.groups != design.groups[0])
    other = Responses(**{**{name: getattr(responses, name) for name in responses.__dataclass_fields__},
                         "values": responses.values * np.where(np.arange(len(responses.values)) < responses.offsets[4],
                                                               99, 1)[:, None]})
    for score in ("welch_t", "rsa_discriminative", "sparse_probe"):
        first = TopFeatures(score, 5).fit(responses[train], design.y[train], groups=design.groups[train])
        second = TopFeatures(score, 5).fit(other[train], design.y[train], groups=design.groups[train])
        np.testing.assert_array_equal(first.indices_, second.indices_)


def test_groups_are_required_unless_independence_is_declared(toy):
    responses, design = toy
    with pytest.raises(InputError, match="groups is required"):
        TopFeatures("welch_t").fit(responses, design.y)
    assert TopFeatures("welch_t", 2, independent=True).fit(responses, design.y).indices_[0] == PLANTED


def test_fewer_than_k_when_fewer_are_positive():
    X = np.array([[3.0, 1, 2, 0], [4, 1.1, 1, 0], [1, 2, 1.9, 0], [0, 2.5, 2, 0]])
    found = TopFeatures("mean_difference", 4).fit(X, [1, 1, 0, 0], groups=[0, 1, 0, 1])
    assert found.indices_.tolist() == [0]


def test_signed_units_are_flipped_and_recorded():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 10))
    y, groups = np.tile([1, 0], 20), np.repeat(np.arange(20), 2)
    X[y == 1, 4] -= 5
    found = TopFeatures("welch_t", 1).fit(X, y, groups=groups)
    assert found.indices_.tolist() == [4] and found.signs_[4] == -1
    np.testing.assert_array_equal(found.transform(X)[:, 0], X[:, 4])
    with pytest.raises(InputError, match="signed units"):
        TopFeatures("specialist", 1).fit(X, y, groups=groups)


@pytest.mark.parametrize("k", [0, 41, 2.0, True])
def test_k_must_fit(toy, k):
    with pytest.raises(InputError, match="n_features = 40"):
        TopFeatures("welch_t", k).fit(toy[0], toy[1].y, groups=toy[1].groups)


def test_a_threshold_on_p_keeps_the_planted_feature_and_little_else(toy):
    responses, design = toy
    found = ThresholdedFeatures("welch_t", permutations=499).fit(responses, design.y, groups=design.groups)
    assert PLANTED in found.indices_ and len(found.indices_) <= 3
    assert found.map_.p_fwe[PLANTED] == pytest.approx(1 / 500)
    by_value = ThresholdedFeatures("mean_difference", 0.5).fit(responses, design.y, groups=design.groups)
    np.testing.assert_array_equal(np.sort(by_value.indices_), np.flatnonzero(by_value.map_.value >= 0.5))


def test_stability_selection_keeps_what_most_halves_choose(toy):
    responses, design = toy
    found = StableFeatures("mean_difference", 3, resamples=20, share=0.9).fit(responses, design.y, groups=design.groups)
    assert found.indices_[0] == PLANTED and found.shares_[PLANTED] == pytest.approx(1.0)
    assert (found.shares_[found.indices_] >= 0.9 - 1e-9).all()
    noise = make_responses(make_set(items=14), units=40, planted=(), seed=3)
    none = StableFeatures("mean_difference", 3, resamples=20, share=1.0).fit(noise, design.y, groups=design.groups)
    assert len(none.indices_) <= 2


def test_feature_set_and_random_features(toy):
    responses, design = toy
    assert FeatureSet([5, 2]).fit(responses).transform(responses).shape == (len(responses), 2)
    for bad in ([], [1, 1], [40], [-1], [0.5]):
        with pytest.raises(InputError, match="n_features = 40"):
            FeatureSet(bad).fit(responses)
    first, second, other = (RandomFeatures(4, seed=s).fit(responses) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.indices_, second.indices_)
    assert set(first.indices_) != set(other.indices_)


def test_a_function_is_accepted_wherever_a_name_is(toy):
    from cogneuro_sae.feature_map import FeatureMap

    def last_first(X, y, *, groups, sources=None):
        return FeatureMap(np.arange(1.0, X.shape[1] + 1), "last_first")

    assert TopFeatures(last_first, 2).fit(toy[0], toy[1].y, groups=toy[1].groups).indices_.tolist() == [39, 38]


def test_three_classes_are_refused(toy):
    with pytest.raises(InputError, match="3 classes"):
        TopFeatures("welch_t", 1).fit(np.eye(6), [0, 1, 2, 0, 1, 2], groups=np.arange(6))


def test_clones_keep_their_parameters():
    selector = TopFeatures("specialist", 3, params={"threshold": 2.0}, window="first(5)", seed=4)
    assert clone(selector).get_params() == selector.get_params()


def test_thresholds_are_in_raw_units_of_an_encoder_with_a_scale_of_its_own(toy):
    class Scaled:
        signed, n_latents, scale, firing_rate = False, 40, 20.0, None

        def transform(self, values, columns=slice(None)):
            return np.maximum(values, 0)[:, columns]

    responses, design = toy
    raw = responses.pool(through=Scaled(), transform="none")
    found = TopFeatures("specialist", 3, through=Scaled(), params={"threshold": 1.0}).fit(responses, design.y,
                                                                                        groups=design.groups)
    wanted = (raw[design.y == 1] > 1).sum(axis=0) - (raw[design.y == 0] > 1).sum(axis=0)
    known = np.isfinite(found.map_.value)
    np.testing.assert_array_equal(found.map_.value[known], wanted[known])
    assert wanted[PLANTED] > 5


def test_a_threshold_on_p_tests_the_flipped_statistic_on_signed_units():
    design = make_set(items=10).design()
    X = np.random.default_rng(0).normal(size=(len(design), 20))
    X[design.y == 1, 4] -= 6
    # a single very low foil would make the statistic of the unit as it stands say nothing
    X[np.flatnonzero(design.y == 0)[0], 4] = 9
    X[np.flatnonzero(design.y == 1)[0], 4] = 9
    found = ThresholdedFeatures("max_target", permutations=500, by="pvalue").fit(X, design.y, groups=design.groups)
    assert 4 in found.indices_ and found.signs_[4] == -1 and found.map_.value[4] > 0
