"""All contrasts of a set: F maps equal statsmodels and pingouin, permutations equal loops; linear inference equals nilearn."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cogneuro_sae.contrasts import (CONTRASTS, LinearForm, centred_labels, contrast_map, contrast_maps, linear_inference,
                                    named_effects, sign_t, welch_f, within_f)
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import (free_scheme, group_means, label_scheme, labellings, permutation_inference,
                                    sign_scheme)
from cogneuro_sae.stimuli import StimulusSet

WORDS = "river stone lamp window garden paper morning table yellow quiet letter bridge winter music silver bread".split()


def crossed(factors, *, items=8, between=(), contrasts=None, paraphrases=2, seed=0, features=4):
    """A factorial set, noise with item variance, and its table; feature 0 carries every main effect."""
    rng = np.random.default_rng(seed)
    inner = {name: levels for name, levels in factors.items() if name not in between}
    outer = {name: levels for name, levels in factors.items() if name in between}
    rows = []
    for group in itertools.product(*outer.values()) if outer else [()]:
        for item in range(items):
            for cell in itertools.product(*inner.values()):
                for n in range(paraphrases):
                    levels = dict(zip(outer, group)) | dict(zip(inner, cell))
                    rows.append({"item": f"{'-'.join(group)}i{item}", **levels,
                                 "text": f"Text {len(rows)} {' '.join(rng.choice(WORDS, 8))}."})
    first = next(iter(factors.values()))
    stimuli = StimulusSet.from_frame(pd.DataFrame(rows), name="toy", concept="toy", factors=factors, between=between,
                                     contrasts=contrasts or {"first": f"{first[0]} - {first[1]}"})
    table = stimuli.table
    X = rng.normal(size=(len(table), features)) + rng.normal(size=(table["item"].nunique(), features))[
        pd.factorize(table["item"])[0]]
    for name, levels in factors.items():
        X[:, 0] += 2.0 * (table[name] == levels[-1])
    return X, stimuli, table


def long_means(x, table, *factors):
    frame = table.assign(x=x).groupby(["item", "condition", *factors], as_index=False)["x"].mean()
    return frame.groupby(["item", *factors], as_index=False)["x"].mean()


def test_effects_are_named_and_covered_once():
    _, stimuli, _ = crossed({"style": ("hot", "cold"), "topic": ("home", "work", "wild")})
    assert named_effects(stimuli) == ({"first": "first"}, {"F(topic)": ("topic",), "F(style x topic)": ("style", "topic")})
    _, stimuli, _ = crossed({"style": ("hot", "cold"), "form": ("prose", "verse"), "mood": ("low", "high")}, items=6)
    plain, omnibus = named_effects(stimuli)
    assert list(plain) == ["first", "form", "mood", "style x form", "style x mood", "form x mood", "style x form x mood"]
    assert omnibus == {}
    weights = stimuli.layout.weights(plain["style x mood"])
    assert {name: np.sign(w) for name, w in weights.items()}["cold_prose_low"] == -1


def test_within_factor_and_interaction_equal_anova_rm():
    from statsmodels.stats.anova import AnovaRM

    X, stimuli, table = crossed({"style": ("hot", "cold"), "topic": ("home", "work", "wild")})
    maps = contrast_maps(X, stimuli)
    assert list(maps) == ["first", "F(topic)", "F(style x topic)"]
    for f in range(4):
        frame = table.assign(x=X[:, f]).groupby(["item", "style", "topic"], as_index=False)["x"].mean()
        anova = AnovaRM(frame, "x", "item", within=["style", "topic"]).fit().anova_table["F Value"]
        assert maps["F(topic)"].value[f] == pytest.approx(anova["topic"])
        assert maps["F(style x topic)"].value[f] == pytest.approx(anova["style:topic"])
        assert maps["first"].value[f] ** 2 == pytest.approx(anova["style"])
    size, (d1, d2) = maps["F(topic)"].effect[1], maps["F(topic)"].info["df"]
    F = maps["F(topic)"].value[1]
    assert (d1, d2) == (2, 14) and size == pytest.approx(F * d1 / (F * d1 + d2))


def test_levels_move_inside_items():
    X, stimuli, table = crossed({"style": ("hot", "cold"), "topic": ("home", "work", "wild")}, items=3, seed=2)
    found = contrast_maps(X, stimuli, names=["F(topic)"], permutations=300)["F(topic)"]
    assert found.info["enumerated"] and found.info["permutations"] == 216
    for f in range(4):
        Y = long_means(X[:, f], table, "topic").pivot(index="item", columns="topic", values="x").to_numpy()
        F = [within_f(np.array([Y[i][list(order)] for i, order in enumerate(orders)])[..., None])[0, 0]
             for orders in itertools.product(itertools.permutations(range(3)), repeat=3)]
        assert found.pvalue[f] == pytest.approx(np.mean(np.array(F) >= found.value[f] - 1e-9))


def test_interaction_changes_sign_per_item():
    X, stimuli, _ = crossed({"style": ("hot", "cold"), "topic": ("home", "work", "wild")}, items=6, seed=3)
    X[:, 1] += 3.0 * (stimuli.table["condition"] == "hot_wild")
    found = contrast_maps(X, stimuli, names=["F(style x topic)"], permutations=64)["F(style x topic)"]
    assert found.info["enumerated"] and found.pvalue[1] == pytest.approx(2 / 64) and found.pvalue[0] > 0.05


def test_between_factor_and_its_interaction_equal_welch():
    import pingouin

    X, stimuli, table = crossed({"style": ("hot", "cold"), "source": ("web", "book", "talk")}, between=("source",), items=5)
    maps = contrast_maps(X, stimuli, permutations=200)
    assert list(maps) == ["first", "F(source)", "F(style x source)"]
    for f in range(4):
        means = long_means(X[:, f], table, "source")
        expected = pingouin.welch_anova(means, dv="x", between="source")["F"].iloc[0]
        assert maps["F(source)"].value[f] == pytest.approx(expected)
        frame = long_means(X[:, f], table, "source", "style").pivot(index=["item", "source"], columns="style", values="x")
        frame = (frame["hot"] - frame["cold"]).rename("x").reset_index()
        expected = pingouin.welch_anova(frame, dv="x", between="source")["F"].iloc[0]
        assert maps["F(style x source)"].value[f] == pytest.approx(expected)
    assert maps["F(source)"].pvalue[0] < 0.02 < maps["F(style x source)"].pvalue[0]


def test_welch_f_of_two_groups_is_welch_t_squared():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(11, 3)), np.repeat([0, 1], [5, 6])
    t = stats.ttest_ind(X[:5], X[5:], equal_var=False).statistic
    np.testing.assert_allclose(welch_f(X, labels[None])[0], t**2)


@pytest.mark.parametrize("paired", [True, False])
def test_listed_conditions_get_one_f(paired):
    rng, rows = np.random.default_rng(1), []
    for item in range(6):
        for condition in ("low", "middle", "high"):
            rows.append({"item": f"{item}" if paired else f"{condition}{item}", "condition": condition,
                         "text": f"Text {len(rows)} {' '.join(rng.choice(WORDS, 8))}."})
    stimuli = StimulusSet.from_frame(pd.DataFrame(rows), name="toy", concept="toy", contrasts={"main": "high - low"},
                                     independent=not paired)
    X = rng.normal(size=(18, 3))
    found = contrast_maps(X, stimuli, names=["F(condition)"])["F(condition)"]
    Y = [X[(stimuli.table["condition"] == name).to_numpy()] for name in stimuli.conditions]
    if paired:
        assert found.name == "within_f"
        inside = np.stack(Y, 1) - np.stack(Y, 1).mean(1, keepdims=True)
        between = 6 * (inside.mean(0) ** 2).sum(0)
        np.testing.assert_allclose(found.value, between / 2 / (((inside**2).sum((0, 1)) - between) / 10))
    else:
        assert found.name == "welch_f"
        np.testing.assert_allclose(found.value, welch_f(np.concatenate(Y), np.repeat([0, 1, 2], 6)[None])[0])


def test_two_class_contrasts_equal_contrast_map_and_names_are_checked():
    X, stimuli, _ = crossed({"style": ("hot", "cold"), "topic": ("home", "work")}, seed=4,
                            contrasts={"style": "hot - cold", "hot_only": "hot_home - hot_work"})
    maps = contrast_maps(X, stimuli, permutations=100)
    assert list(maps) == ["style", "hot_only", "topic", "style x topic"]
    expected = contrast_map(X, stimuli.design("style"), score="paired_t", permutations=100)
    np.testing.assert_array_equal(maps["style"].p_fwe, expected.p_fwe)
    one = contrast_maps(X, stimuli, names=["hot_home - cold_home"], score="hedges_g")
    assert one["hot_home - cold_home"].name == "hedges_g"
    with pytest.raises(InputError, match="unknown effect 'stile'.*did you mean 'style'"):
        contrast_maps(X, stimuli, names=["stile"])
    with pytest.raises(InputError, match=r"allowed: \(64, n_features\)"):
        contrast_maps(X[:-1], stimuli)


def test_f_is_estimable_only_with_variation():
    X, stimuli, _ = crossed({"style": ("hot", "cold"), "topic": ("home", "work", "wild")})
    X[:, 2] = 0.7
    found = contrast_maps(X, stimuli, permutations=64)
    for name in ("F(topic)", "F(style x topic)"):
        assert np.isnan(found[name].value[2]) and np.isnan(found[name].pvalue[2]) and sum(found[name].reasons.values()) == 1


def linear_case(kind, rng, tail="two-sided", permutations=400):
    """The same scores by one product and through permutation_inference in float64, with ties and silent features."""
    X = np.maximum(rng.normal(size=(14, 30)), 0)
    X[:, 3], X[:, 4] = 0, np.arange(14) == 2
    X[:, 5] = rng.integers(0, 2, 14)
    if kind == "sign":
        drawn = labellings(sign_scheme(np.arange(14)), permutations, seed=1)
        c = X - X[::-1]
        c[:, 3] = np.nan
        return LinearForm(c, drawn.values), sign_t(c, drawn.values), drawn
    strata = np.repeat([0, 1], [6, 8]) if kind == "strata" else None
    y = np.r_[1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    scheme = free_scheme(y) if strata is None else label_scheme(np.arange(14), y, strata=strata)
    drawn = labellings(scheme, permutations, seed=1)
    X[:, 6] += 3 * np.repeat([0, 1], [6, 8])
    T = CONTRASTS["mean_difference"].kernel(X, drawn.values, None)
    return LinearForm(np.where(np.isnan(T[0]), np.nan, X), centred_labels(drawn.values)), T, drawn


@pytest.mark.parametrize("tail", ["two-sided", "positive", "negative"])
@pytest.mark.parametrize("kind", ["sign", "free", "strata"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_product_equals_every_labelling(kind, tail, dtype):
    form, T, drawn = linear_case(kind, np.random.default_rng(0))
    if kind == "sign":
        T = T / np.sqrt(T**2 + 13)
    found = linear_inference(form, enumerated=drawn.enumerated, tail=tail, dtype=dtype)
    expected = permutation_inference(T, enumerated=drawn.enumerated, tail=tail)
    np.testing.assert_allclose(found.pvalue, expected.pvalue, atol=1e-12)
    np.testing.assert_allclose(found.p_fwe, expected.p_fwe, atol=1e-12)
    np.testing.assert_allclose(found.q, expected.q, atol=1e-12)
    np.testing.assert_allclose(found.standardised, expected.standardised, atol=2e-5)
    np.testing.assert_array_equal(found.skewed, expected.skewed)
    assert found.reasons == expected.reasons and found.info == pytest.approx(expected.info)


def test_one_product_does_not_depend_on_chunks(monkeypatch):
    from cogneuro_sae.contrasts import linear

    form, _, drawn = linear_case("free", np.random.default_rng(3))
    whole = linear_inference(form, enumerated=drawn.enumerated)
    monkeypatch.setattr(linear, "ROWS", 37)
    monkeypatch.setattr(linear, "COLUMNS", 7)
    parts = linear_inference(form, enumerated=drawn.enumerated)
    np.testing.assert_array_equal(whole.pvalue, parts.pvalue)
    np.testing.assert_array_equal(whole.p_fwe, parts.p_fwe)


def test_one_product_refusals():
    with pytest.raises(InputError, match="class sizes differ"):
        centred_labels(np.array([[1, 0, 0], [1, 1, 0]]))
    with pytest.raises(InputError, match="dtype is float16"):
        linear_inference(LinearForm(np.ones((3, 2)), np.ones((4, 3))), enumerated=False, dtype=np.float16)
    with pytest.raises(InputError, match="do not fit together"):
        linear_inference(LinearForm(np.ones((3, 2)), np.ones((4, 2))), enumerated=False)


def test_pooled_t_equals_permuted_ols_of_nilearn():
    from nilearn.mass_univariate import permuted_ols

    rng, n = np.random.default_rng(5), 24
    y = np.repeat([1, 0], n // 2)
    X = rng.normal(size=(n, 40))
    X[:, :3] += np.array([2.0, 1.2, 0.8]) * y[:, None]
    theirs = permuted_ols(y[:, None].astype(float), X, n_perm=2000, random_state=0, two_sided_test=True)
    drawn = labellings(free_scheme(y), 2000, seed=0)
    ours = linear_inference(LinearForm(X, centred_labels(drawn.values)), enumerated=False)
    g = CONTRASTS["hedges_g"].kernel(X, y[None], None)[0]
    t = g / (1 - 3 / (4 * n - 9)) / np.sqrt(4 / n)
    np.testing.assert_allclose(t, theirs["t"][0], rtol=1e-6)
    # two samples of 2,000 labellings, both without error in t: p_fwe agrees within four Monte Carlo errors
    p = 10 ** -theirs["logp_max_t"][0]
    bound = 4 * np.sqrt(2 * np.maximum(p * (1 - p), 1e-3) / 2000) + 1e-3
    assert (np.abs(ours.p_fwe - p) < bound).all() and ours.p_fwe[0] < 0.005
    expected = [stats.permutation_test((X[y == 1, f], X[y == 0, f]), lambda a, b, axis: a.mean(axis) - b.mean(axis),
                                       n_resamples=2000, vectorized=True, rng=1).pvalue for f in (1, 2, 5)]
    np.testing.assert_allclose(ours.pvalue[[1, 2, 5]], expected, atol=0.05)


@pytest.mark.slow
def test_f_maps_hold_their_level():
    """Family-wise error .05 of F maps over noise with item variance: 200 sets, bound of 3.3 Monte Carlo errors."""
    hits = {"F(topic)": 0, "F(style x topic)": 0}
    X, stimuli, table = crossed({"style": ("hot", "cold"), "topic": ("home", "work", "wild")}, paraphrases=1, features=8)
    item = pd.factorize(table["item"])[0]
    for seed in range(200):
        rng = np.random.default_rng(1000 + seed)
        X = rng.exponential(size=X.shape) + rng.normal(size=(8, 8))[item]
        for name, found in contrast_maps(X, stimuli, names=list(hits), permutations=99, seed=seed).items():
            hits[name] += (found.p_fwe <= 0.05).any()
    assert all(count / 200 < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 200) for count in hits.values()), hits
