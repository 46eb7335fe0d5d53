"""Model comparison, profiles over sites, RDM of RDMs and generalisation against plain loops and library twins."""

import numpy as np
import pytest
from rsa_data import far_design, matched_design
from synthetic import make_responses, make_set

from cogneuro_sae.errors import InputError
from cogneuro_sae.rsa import (cell_rdms, compare_models, generalisation, layer_profile, paraphrase_ceiling,
                              position_windows, rdm_of_rdms)

pytestmark = pytest.mark.slow

M = 10


def data(seed=0, m=M, strength=2.0, units=20, item=1.0):
    design, rng = matched_design(m), np.random.default_rng(seed)
    X = rng.normal(size=(len(design.y), units)) + item * rng.normal(size=(m, units))[design.groups]
    X[:, :4] += strength * design.y[:, None]
    return X, design


def cells_by_hand(X, design):
    ids, cells = list(dict.fromkeys(design.cells)), np.asarray(design.cells)
    means = np.array([X[cells == cell].mean(axis=0) for cell in ids])
    item = np.array([design.groups[cells == cell][0] for cell in ids])
    y = np.array([design.y[cells == cell][0] for cell in ids])
    return 1 - np.corrcoef(means), item, y


def noise_model(n, seed=3):
    noise = np.random.default_rng(seed).random((n, n))
    return noise + noise.T


def test_a_data_rdm_is_over_cells_and_holds_cross_item_pairs_only():
    X, design = data()
    rdm, item, _ = cells_by_hand(X, design)
    rdms = cell_rdms(X, design)
    found = rdms.get_matrices()[0]
    other = item[:, None] != item[None, :]
    np.testing.assert_allclose(found[other], rdm[other], rtol=1e-9)
    within = ~other & ~np.eye(len(item), dtype=bool)
    assert within.sum() == 2 * M and np.isnan(found[within]).all()
    assert rdms.pattern_descriptors["id"][:2] == ["0.target", "0.near"]
    assert list(rdms.pattern_descriptors["item"]) == [str(i) for i in item]


def test_fits_equal_a_correlation_over_the_kept_pairs():
    X, design = data()
    rdm, item, y = cells_by_hand(X, design)
    first, second = np.triu_indices(len(item), 1)
    keep = item[first] != item[second]
    grade = np.random.default_rng(1).normal(size=M)[design.groups] + design.y
    cell_grade = grade[::2]
    models = {"class": "categorical", "grade": "graded"}
    found = compare_models(cell_rdms(X, design), models, design, labels={"grade": grade}, bootstraps=0)
    wanted = [np.corrcoef(rdm[first, second][keep], M_[first, second][keep])[0, 1] for M_ in
              ((y[:, None] != y[None, :]).astype(float), np.abs(cell_grade[:, None] - cell_grade[None, :]))]
    np.testing.assert_allclose(found.models["fit"], wanted, rtol=1e-9)
    assert found.models[["sem", "low", "high", "p_zero"]].isna().all().all() and found.pairs["p"].isna().all()
    assert found.info["ceiling"] == "none: one RDM" and found.models["ceiling_low"].isna().all()


def test_the_bootstrap_draws_whole_items_and_their_copies_never_meet():
    X, design = data()
    rdm, item, y = cells_by_hand(X, design)
    models = {"class": (y[:, None] != y[None, :]).astype(float), "noise": noise_model(len(item))}
    given = {"class": "categorical", "noise": np.kron(models["noise"], np.ones((2, 2)))}
    found = compare_models(cell_rdms(X, design), given, design, bootstraps=200, seed=5)
    np.random.seed(5)
    samples = []
    for _ in range(200):
        drawn = np.random.randint(0, M, size=M)
        rows = np.sort(np.concatenate([np.flatnonzero(item == np.unique(item.astype(str)).astype(int)[i]) for i in drawn]))
        first, second = np.triu_indices(len(rows), 1)
        keep = item[rows][first] != item[rows][second]
        pairs = rows[first][keep], rows[second][keep]
        samples.append([np.corrcoef(rdm[pairs], model[pairs])[0, 1] for model in models.values()])
    variance = np.cov(np.array(samples).T) * M / (M - 1)
    np.testing.assert_allclose(found.models["sem"], np.sqrt(np.diag(variance)), rtol=1e-9)
    from scipy.stats import t

    p_zero = t.sf(found.models["fit"] / found.models["sem"], M - 1)
    np.testing.assert_allclose(found.models["p_zero"], p_zero, atol=1e-12)
    sem = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    np.testing.assert_allclose(found.pairs["p"][0], 2 * t.sf(abs(found.pairs["difference"][0]) / sem, M - 1), rtol=1e-7)
    np.testing.assert_allclose(found.models["low"], found.models["fit"] - t.ppf(.975, M - 1) * found.models["sem"])
    assert found.info["dof"] == M - 1 and (found.models["items"] == M).all() and (found.models["n"] == 2 * M).all()


def test_fit_and_ceiling_come_from_the_same_single_paraphrase_rdms():
    X, design = data()
    twin = paraphrase_ceiling(X, design, "categorical", draws=7, seed=2)
    rdms = cell_rdms(X, design, draws=7, seed=2)
    found = compare_models(rdms, {"class": "categorical"}, design, bootstraps=0).models.iloc[0]
    assert rdms.n_rdm == 14
    np.testing.assert_allclose(found[["ceiling_low", "ceiling_high", "fit"]].astype(float),
                               [twin.lower, twin.upper, twin.fit], rtol=1e-9)


def test_the_exchange_test_is_that_of_the_map():
    from cogneuro_sae.rsa import rsa_map

    rng, design = np.random.default_rng(4), matched_design(8, 1)
    X = rng.normal(size=(16, 12)) + 0.6 * design.y[:, None] * (np.arange(12) < 4)
    grade = design.y * 2.0 + design.groups % 3
    for permutations in (1000, 99):
        found = compare_models(cell_rdms(X, design), {"class": "categorical", "grade": "graded"}, design,
                               labels={"grade": grade}, bootstraps=0, permutations=permutations, seed=6)
        for name, labels in (("class", None), ("grade", grade)):
            twin = rsa_map(X, design, variant="pattern", score="model", labels=labels, permutations=permutations, seed=6,
                           model={"class": "categorical", "grade": "graded"}[name], tail="positive")
            row = found.models.set_index("model").loc[name]
            assert row["p_exchange"] == pytest.approx(twin.pvalue[0]) and row["p_exchange"] < 0.9
            assert row["fit"] == pytest.approx(twin.value[0])
            assert row["p_fwe"] >= row["p_exchange"]
        assert found.info["permutations"] == {1000: 256, 99: 100}[permutations]


def test_models_of_factorial_and_far_designs_are_exchanged_too():
    from cogneuro_sae.stimuli import StimulusSet

    rng = np.random.default_rng(0)
    import pandas as pd

    rows = [{"item": f"i{i}", "condition": f"{a}_{b}", "text": f"Text {i} {a} {b} {rng.random()}."}
            for i in range(8) for a in ("neg", "pos") for b in ("work", "home")]
    stimuli = StimulusSet.from_frame(pd.DataFrame(rows), name="f", concept="f",
                                     contrasts={"main": "neg_work + neg_home - pos_work - pos_home"})
    design = stimuli.design("main")
    X = rng.normal(size=(32, 10)) + 1.5 * design.y[:, None] * (np.arange(10) < 3)
    found = compare_models(cell_rdms(X, design), {"class": "categorical"}, design, bootstraps=0, permutations=200)
    assert found.models["p_exchange"][0] <= 0.02 and "256" in found.info["scheme"]
    far = far_design(8, 8, 1)
    Z = rng.normal(size=(16, 10)) + 5 * far.y[:, None] * (np.arange(10) < 4)
    found = compare_models(cell_rdms(Z, far), {"class": "categorical"}, far, bootstraps=0, permutations=200)
    assert found.models["p_exchange"][0] <= 0.05


def test_the_bootstrap_is_seeded_silent_and_leaves_the_global_generator_alone(capfd):
    X, design = data()
    rdms, models = cell_rdms(X, design), {"class": "categorical"}
    np.random.seed(11)
    expected = np.random.random()
    np.random.seed(11)
    first, again, other = (compare_models(rdms, models, design, bootstraps=20, seed=s).models["sem"][0] for s in (1, 1, 2))
    assert np.random.random() == expected
    assert first == again != other
    assert capfd.readouterr().err == ""


def test_rdms_of_several_people_are_bootstrapped_together_with_the_items():
    from rsatoolbox.rdm import concat

    X, design = data()
    rng = np.random.default_rng(0)
    people = concat([cell_rdms(X + rng.normal(size=X.shape), design) for _ in range(4)])
    both = compare_models(people, {"class": "categorical"}, design, over="both", bootstraps=50)
    items = compare_models(people, {"class": "categorical"}, design, bootstraps=50)
    assert both.info["dof"] == 3 and items.info["dof"] == M - 1
    assert both.models["fit"][0] == items.models["fit"][0]
    low, high = items.models[["ceiling_low", "ceiling_high"]].iloc[0]
    assert 0.2 < low < high < 1


def test_what_cannot_be_compared_is_said():
    X, design = data()
    rdms = cell_rdms(X, design)
    with pytest.raises(InputError, match="unknown RDM comparison 'spearman'"):
        compare_models(rdms, {"class": "categorical"}, design, method="spearman")
    with pytest.raises(InputError, match="did you mean 'items'"):
        compare_models(rdms, {"class": "categorical"}, design, over="item")
    with pytest.raises(InputError, match="not over the cells of this design"):
        compare_models(rdms, {"class": "categorical"}, matched_design(8))
    with pytest.raises(InputError, match="'flat' does not vary"):
        compare_models(rdms, {"flat": np.ones((40, 40))}, design)
    with pytest.raises(InputError, match="at least 2 RDMs that are independent"):
        compare_models(cell_rdms(X, design, draws=2), {"class": "categorical"}, design, over="both")
    with pytest.raises(InputError, match="one paraphrase"):
        cell_rdms(data()[0][::2], matched_design(M, 1), draws=3)
    X[4:6] = 0
    with pytest.raises(InputError, match="1 cells have a constant pattern.*1.target"):
        cell_rdms(X, design)
    few, small = data(m=3)
    with pytest.raises(InputError, match="3 items; allowed: at least 4"):
        compare_models(cell_rdms(few, small), {"class": "categorical"}, small)


@pytest.mark.slow
def test_a_profile_over_sites_is_the_comparison_at_each_site():
    X, design = data()
    sites = {"early": X + 5 * np.random.default_rng(1).normal(size=X.shape), "late": np.pad(X, [(0, 0), (0, 3)])}
    models = {"class": "categorical", "noise": noise_model(40)}
    found = layer_profile(sites, design, models, draws=3, bootstraps=30, permutations=50, seed=4)
    assert found["site"].tolist() == ["early", "early", "late", "late"]
    alone = compare_models(cell_rdms(sites["late"], design, draws=3, seed=4), models, design, bootstraps=30, permutations=50,
                           seed=4)
    for column in ("p_exchange", "fit", "low", "high", "p_zero", "ceiling_low", "ceiling_high"):
        np.testing.assert_allclose(found[column][2:], alone.models[column], rtol=1e-12)
    assert found["features"].tolist() == [20, 20, 20, 20] and (found["note"] == "").all()
    plain = layer_profile({"a": X}, design, {"class": "categorical"})
    assert plain["note"][0] == "no ceiling: one RDM; no bootstrap" and np.isnan(plain["low"][0])


def test_a_profile_pools_responses_through_the_sae_of_their_site():
    stimuli = make_set(items=6)
    responses, design = make_responses(stimuli), stimuli.design("main")

    class Half:
        def transform(self, values):
            return values[:, :30]

    found = layer_profile({"a": responses, "b": responses}, design, {"class": "categorical"}, through={"b": Half()})
    whole, half = (cell_rdms(responses.pool()[:, :n], design) for n in (60, 30))
    wanted = [compare_models(rdms, {"class": "categorical"}, design, bootstraps=0).models["fit"][0] for rdms in (whole, half)]
    np.testing.assert_allclose(found["fit"], wanted, rtol=1e-6)
    with pytest.raises(InputError, match="did you mean 'b'"):
        layer_profile({"aa": responses, "b": responses}, design, {"c": "categorical"}, through={"bb": Half()})
    with pytest.raises(InputError, match="cannot be encoded"):
        layer_profile({"a": responses.pool()}, design, {"c": "categorical"}, through=Half())
    with pytest.raises(InputError, match="site b: .*constant pattern"):
        layer_profile({"a": responses, "b": np.zeros((24, 5))}, design, {"c": "categorical"})


def test_the_rdm_of_rdms_is_one_minus_the_correlation_over_cross_item_pairs():
    X, design = data()
    other = data(seed=9)[0]
    rdms = rdm_of_rdms({"raw": X, "twice": 2 * X + 1, "other": cell_rdms(other, design)}, design)
    found = rdms.get_matrices()[0]
    a, item, _ = cells_by_hand(X, design)
    b = cells_by_hand(other, design)[0]
    first, second = np.triu_indices(len(item), 1)
    keep = item[first] != item[second]
    wanted = 1 - np.corrcoef(a[first, second][keep], b[first, second][keep])[0, 1]
    np.testing.assert_allclose(found[0, 1], 0, atol=1e-9)
    np.testing.assert_allclose(found[0, 2], wanted, rtol=1e-9)
    assert list(rdms.pattern_descriptors["id"]) == ["raw", "twice", "other"]
    with pytest.raises(InputError, match="at least 3"):
        rdm_of_rdms({"raw": X, "other": other}, design)
    with pytest.raises(InputError, match="'b' has 2 RDMs"):
        rdm_of_rdms({"a": X, "b": cell_rdms(X, design, draws=1), "c": X}, design)


def planted_sites(seed=0, units=6):
    design, rng = matched_design(12, 1), np.random.default_rng(seed)
    sites = {name: rng.normal(size=(24, units)) for name in ("none", "on", "still on", "turned")}
    for name, sign in (("on", 1), ("still on", 1), ("turned", -1)):
        sites[name][:, 0] += 8 * sign * design.y
    return sites, design


def test_generalisation_shows_where_a_code_holds_and_where_it_turns():
    sites, design = planted_sites()
    found = generalisation(sites, design, splits=4)
    assert found.auroc.loc["on", "on"] > 0.95 and found.auroc.loc["on", "still on"] > 0.95
    assert found.auroc.loc["on", "turned"] < 0.05 and found.auroc.loc["turned", "turned"] > 0.95
    assert 0.2 < found.auroc.loc["on", "none"] < 0.8
    assert found.folds.shape == (4, 4, 4) and found.info["fold_scores_missing"] == 0
    later, turned = found.auroc.loc["none", "on"], found.auroc.loc["none", "turned"]
    assert later != turned, "rows are training sites"


def test_the_diagonal_is_scikit_learns_cross_validation():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sites, design = planted_sites(seed=3)
    sites["on"][:, 0] -= 7.5 * design.y
    found = generalisation(sites, design, splits=3, seed=7)
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=7)
    read_out = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    for n, X in enumerate(sites.values()):
        twin = cross_val_score(read_out, X, design.y, groups=design.groups, cv=folds, scoring="roc_auc")
        np.testing.assert_allclose(found.folds[:, n, n], twin)


def test_items_are_kept_whole_so_that_a_read_out_cannot_learn_them():
    design, rng = far_design(10, 10, 4), np.random.default_rng(0)
    X = np.eye(20)[design.groups] * 6 + rng.normal(size=(80, 20))
    found = generalisation({"a": X, "b": X}, design)
    assert found.auroc.to_numpy().max() < 0.75


def test_stimuli_without_a_window_are_left_out_and_counted():
    sites, design = planted_sites()
    short = sites["on"].copy()
    short[:4] = np.nan
    found = generalisation({"on": sites["on"], "short": short}, design, splits=3)
    assert found.n_stimuli.tolist() == [24, 20] and found.auroc.loc["short", "on"] > 0.95
    short[:, :] = np.nan
    none = generalisation({"on": sites["on"], "short": short}, design, splits=3)
    assert np.isnan(none.auroc.loc["short"]).all() and np.isnan(none.auroc["short"]).all()
    short[0, 0] = 1
    with pytest.raises(InputError, match="in some features only"):
        generalisation({"on": sites["on"], "short": short}, design)
    with pytest.raises(InputError, match="differ in shape"):
        generalisation({"on": sites["on"], "wide": np.ones((24, 9))}, design)
    with pytest.raises(InputError, match="12 items for 13 folds"):
        generalisation(sites, design, splits=13)


def test_position_windows_hold_the_tokens_at_each_position_and_nan_where_a_text_is_too_short():
    stimuli = make_set(items=4)
    responses = make_responses(stimuli)
    lengths = np.diff(responses.offsets)
    found = position_windows(responses, 8, width=2, transform="none")
    assert list(found)[:2] == ["1-2", "3-4"]
    row = int(lengths.argmax())
    start = responses.offsets[row]
    np.testing.assert_allclose(found["5-6"][row], responses.values[start + 4:start + 6].mean(axis=0), rtol=1e-6)
    assert np.isnan(found["15-16"][lengths < 16]).all() and np.isfinite(found["15-16"][lengths >= 16]).all()
    assert (lengths < 16).any()
    logged = position_windows(responses, 1)["1"]
    np.testing.assert_allclose(logged, np.log1p(responses.values[responses.offsets[:-1]]), rtol=1e-6)
    with pytest.raises(InputError, match="use fewer or narrower windows"):
        position_windows(responses, 40)


@pytest.mark.parametrize("count", [pytest.param(16, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.long)])
def test_no_test_rejects_too_often_when_no_model_is_true(count):
    """Sets without the concept: the share of p <= .05 is at most 3 Monte Carlo errors above .05."""
    rejected = {"zero": 0, "pair": 0, "exchange": 0}
    for seed in range(count):
        X, design = data(seed=seed, m=8, strength=0)
        models = {"class": "categorical", "noise": np.kron(noise_model(16, seed), np.ones((2, 2)))}
        found = compare_models(cell_rdms(X, design), models, design, bootstraps=40, permutations=99, seed=seed)
        rejected["zero"] += found.models["p_zero"][1] <= 0.05
        rejected["pair"] += found.pairs["p"][0] <= 0.05
        rejected["exchange"] += found.models["p_exchange"][0] <= 0.05
    assert max(rejected.values()) <= 0.05 * count + 3 * np.sqrt(count * 0.05 * 0.95), rejected
