"""Nuisance RDMs, partial RSA and variance partitioning: library twins, planted parts, and the level of the tests."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rsa_data import far_design, matched_design, tokens_for

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_labels, cell_table, joint_scheme, labellings, within_scheme
from cogneuro_sae.rsa import (Nuisance, Nuisances, distance_rdms, graded, nuisance_rdms, pair_similarities, partial_rsa,
                              rsa_map, variance_partition)
from cogneuro_sae.rsa.nuisance import lexical_distance, nuisances_of_cells
from cogneuro_sae.rsa.pairs import cross_item_pairs
from cogneuro_sae.rsa.residuals import moved_residuals
from cogneuro_sae.stimuli import StimulusSet

TEXTS = ["red apple", "a red apple falls", "green pear", "the green pear falls", "one blue plum", "a blue plum rots"]


def fruit(**options):
    table = pd.DataFrame({"item": [f"i{n // 2}" for n in range(6)], "condition": ["target", "near"] * 3, "text": TEXTS,
                          "kind": ["pome"] * 4 + ["stone"] * 2, **options})
    return StimulusSet.from_frame(table, name="fruit", concept="fruit", contrasts={"main": "target - near"})


def pair_values(design, X, *matrices):
    """Squared differences of cell means and matrices over cells, for cross-item pairs of cells, by loops."""
    cells = list(dict.fromkeys(design.cells))
    item = [design.groups[np.flatnonzero(design.cells == c)[0]] for c in cells]
    pairs = [(a, b) for a in range(len(cells)) for b in range(a + 1, len(cells)) if item[a] != item[b]]
    means = np.array([X[design.cells == c].mean(axis=0) for c in cells])
    rows = [np.flatnonzero(design.cells == c) for c in cells]
    columns = [[np.mean(M[np.ix_(rows[a], rows[b])]) for a, b in pairs] for M in matrices]
    return np.array([(means[a] - means[b]) ** 2 for a, b in pairs]), np.array(columns).T


def example(m=6, paraphrases=2, seed=0, n_features=4):
    design, rng = matched_design(m, paraphrases), np.random.default_rng(seed)
    n = len(design.y)
    length, topic = rng.normal(size=n) + design.y, rng.integers(0, 2, n)
    nuisance = {"length": graded(length, "words"),
                "topic": Nuisance((topic[:, None] != topic[None, :]) * 1.0, np.eye(2)[topic], "topic")}
    X = rng.normal(size=(n, n_features)) + design.y[:, None] * np.arange(n_features) + 0.5 * length[:, None]
    return design, X, nuisance


def test_nuisance_rdms_by_hand():
    stimuli = fruit(span=["apple", "apple", "pear", "pear", "plum", "plum"])
    design = stimuli.design()
    found = nuisance_rdms(stimuli, design, topic="kind")
    assert list(found.known) == ["length", "lexical", "topic", "position"] and not found.left_out
    assert found.known["length"].rdm[0].tolist() == [0, 2, 0, 2, 1, 2]
    lexical = found.known["lexical"].rdm
    assert lexical[0, 1] == pytest.approx(1 - 2 / 4) and lexical[1, 3] == pytest.approx(1 - 1 / 7)
    assert lexical[0, 2] == 1 and lexical[1, 5] == pytest.approx(1 - 1 / 7) and (np.diag(lexical) == 0).all()
    assert found.known["topic"].rdm[0].tolist() == [0, 0, 0, 0, 1, 1]
    middle = [6.5 / 9, 8.5 / 17]                                            # "red [apple]", "a red [apple] falls"
    assert found.known["position"].rdm[0, 1] == pytest.approx(abs(middle[0] - middle[1]))
    assert found.known["lexical"].columns is None and found.known["topic"].columns.shape == (6, 2)
    rdms = found.to_rdms()
    assert rdms.rdm_descriptors["name"] == list(found.known) and list(rdms.pattern_descriptors["id"]) == stimuli.ids
    assert rdms.get_matrices()[0][0, 1] == 2


def test_nuisances_that_cannot_vary_are_left_out_with_a_reason():
    stimuli = fruit()
    found = nuisance_rdms(stimuli, stimuli.design())
    assert found.left_out == {"position": "6 texts have no span", "topic": "the same for all pairs (stratum)"}
    assert list(found.only("length").known) == ["length"]
    with pytest.raises(InputError, match="the same for all pairs.*no nuisance 'topic'; allowed: length, lexical"):
        found.only("topic")
    with pytest.raises(InputError, match="no column 'theme'"):
        nuisance_rdms(stimuli, stimuli.design(), topic="theme")


def test_covariates_are_averaged_over_paraphrases():
    design, _, nuisance = example(m=3)
    table = cell_table(design)
    found = nuisances_of_cells(nuisance, design, cross_item_pairs(np.arange(6), table.item))
    for c in range(6):
        expected = np.hstack([nuisance[name].columns[table.index == c].mean(axis=0) for name in ("length", "topic")])
        np.testing.assert_allclose(found.columns[c], expected)
    assert found.names == ("length", "topic") and found.lacking == () and found.pairs.shape == (12, 2)


def test_lexical_distance_of_no_words():
    assert lexical_distance(["", "a b", "B, a!"]).tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]


def test_partial_correlation_equals_pingouin():
    import pingouin

    design, X, nuisance = example()
    found = partial_rsa(X, design, nuisance=nuisance)
    concept = (design.y[:, None] != design.y[None, :]) * 1.0
    D, columns = pair_values(design, X, concept, nuisance["length"].rdm, nuisance["topic"].rdm)
    frame = pd.DataFrame(columns, columns=["concept", "length", "topic"])
    for f in range(X.shape[1]):
        twin = pingouin.partial_corr(frame.assign(d=D[:, f]), "d", "concept", ["length", "topic"])
        assert found.value[f] == pytest.approx(float(twin["r"].iloc[0]), abs=1e-9)
    assert found.info["nuisance"] == "length, topic" and found.pvalue is None
    assert (found.direction == np.sign(X[design.y == 1].mean(0) - X[design.y == 0].mean(0))).all()


@pytest.mark.parametrize("metric", ["sqeuclidean", "correlation", "cosine"])
def test_sets_and_given_rdms_equal_statsmodels(metric):
    import statsmodels.api as sm

    design, X, nuisance = example(n_features=6)
    sets = [[0, 1, 2], [2, 3, 4, 5]]
    found = partial_rsa(X, design, nuisance=nuisance, sets=sets, metric=metric)
    table = cell_table(design)
    means = np.array([X[table.index == c].mean(axis=0) for c in range(12)])
    _, columns = pair_values(design, X, (design.y[:, None] != design.y[None, :]) * 1.0, nuisance["length"].rdm,
                             nuisance["topic"].rdm)
    kept = np.triu(table.item[:, None] != table.item[None, :], 1)
    rdms = distance_rdms(means, metric=metric, sets=sets)
    for value, matrix in zip(found.value, rdms.get_matrices()):
        beside = sm.add_constant(columns[:, 1:])
        rest = [sm.OLS(v, beside).fit().resid for v in (matrix[kept], columns[:, 0])]
        assert value == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-9)
    np.testing.assert_allclose(partial_rsa(rdms, design, nuisance=nuisance).value, found.value, atol=1e-12)


def test_missing_pairs_are_left_out_of_both_sides():
    design, X, nuisance = example(n_features=2)
    table = cell_table(design)
    means = np.array([X[table.index == c].mean(axis=0) for c in range(12)])
    rdms = distance_rdms(means, metric="sqeuclidean", sets=[[0], [1]])
    D, columns = pair_values(design, X, (design.y[:, None] != design.y[None, :]) * 1.0, nuisance["length"].rdm)
    cells = np.array([(a, b) for a in range(12) for b in range(a + 1, 12) if table.item[a] != table.item[b]])
    holes = (cells == 3).any(axis=1)
    place = {pair: k for k, pair in enumerate(zip(*(i.tolist() for i in np.triu_indices(12, 1))))}
    for a, b in cells[holes]:
        rdms.dissimilarities[1, place[(a, b)]] = np.nan
    found = partial_rsa(rdms, design, nuisance={"length": nuisance["length"]}).value
    for f, kept in enumerate((np.ones(len(D), bool), ~holes)):
        beside = np.column_stack([np.ones(kept.sum()), columns[kept, 1]])
        rest = [v - beside @ np.linalg.lstsq(beside, v)[0] for v in (D[kept, f], columns[kept, 0])]
        assert found[f] == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-9)
    parts = variance_partition(rdms, design, nuisance={"length": nuisance["length"]})
    joint = np.column_stack([np.ones(len(D)), columns])[~holes]
    rest = D[~holes, 1] - joint @ np.linalg.lstsq(joint, D[~holes, 1])[0]
    assert parts.total[1] == pytest.approx(1 - rest.var() / D[~holes, 1].var(), abs=1e-9)
    whole = variance_partition(X, design, nuisance={"length": nuisance["length"]})
    assert parts.total[0] == pytest.approx(whole.total[0])


def test_profiles_are_partialled_too():
    """Without a nuisance that matters the partial fit of profile RDMs is the fit of rsa_map; missing pairs stay out."""
    design = matched_design(6, 2)
    similar = pair_similarities(tokens_for(design))
    plain = rsa_map(similar, design, score="model", model="categorical", min_items=1)
    rng = np.random.default_rng(0)
    idle = {"idle": np.abs(np.subtract.outer(*[rng.normal(size=24)] * 2))}
    found = partial_rsa(similar, design, nuisance=idle, permutations=50)
    known = np.isfinite(plain.value)
    assert found.info["missing_pairs"] > 0 and found.info["p"].startswith("none")
    assert (np.isfinite(found.value) == known).all() and known.sum() == 5
    np.testing.assert_allclose(found.value[known], plain.value[known], atol=0.1)
    parts = variance_partition(similar, design, nuisance=idle)
    np.testing.assert_allclose(parts.r2[0, known], plain.value[known] ** 2, atol=1e-9)


def test_silent_features_have_no_value_and_silent_cells_leave_their_pairs_out():
    design, X, nuisance = example()
    for constant in (0, 0.1, 1 / 3):
        X[:, 1] = constant
        found = partial_rsa(X, design, nuisance=nuisance, permutations=64)
        assert np.isnan(found.value).tolist() == [False, True, False, False]
        assert np.isnan(found.pvalue).tolist() == [False, True, False, False] and found.info["family"] == 3
    assert found.reasons == {"no variation beside the nuisance": 1} and found.info["missing_pairs"] == 0
    X[design.cells == design.cells[0]] = 0                                   # a pattern without direction
    found = partial_rsa(X, design, nuisance=nuisance, sets=[[0, 2, 3]], metric="correlation", permutations=64)
    assert np.isfinite(found.pvalue).all() and found.info["missing_pairs"] == 10
    parts = variance_partition(X, design, nuisance=nuisance, sets=[[0, 2, 3], [1]], metric="cosine")
    assert np.isfinite(parts.total[0]) and np.isnan(parts.parts[:, 1]).all()


def test_partitions_equal_statsmodels_and_add_up():
    import statsmodels.api as sm

    design, X, nuisance = example()
    found = variance_partition(X, design, nuisance=nuisance)
    D, columns = pair_values(design, X, (design.y[:, None] != design.y[None, :]) * 1.0, nuisance["length"].rdm,
                             nuisance["topic"].rdm)
    assert found.names == ("concept", "length", "topic") and len(found.subsets) == 7
    for row, subset in enumerate(found.subsets):
        chosen = columns[:, [found.names.index(each) for each in subset]]
        for f in range(X.shape[1]):
            assert found.r2[row, f] == pytest.approx(sm.OLS(D[:, f], sm.add_constant(chosen)).fit().rsquared, abs=1e-9)
    np.testing.assert_allclose(found.parts.sum(axis=0), found.total, atol=1e-12)
    r2 = dict(zip(found.subsets, found.r2))
    np.testing.assert_allclose(found.unique[1], found.total - r2[("concept", "topic")])
    both = found.parts[found.subsets.index(("concept", "length"))]
    np.testing.assert_allclose(both, r2[("concept", "topic")] + r2[("length", "topic")] - r2[("topic",)] - found.total)
    frame = found.to_frame()
    assert frame.shape == (12, 6) and frame["unique"][4] == found.unique[1, 1]
    assert found.info["p"] == "none: an estimate"


def test_planted_unique_and_shared_parts_are_recovered():
    design, rng = far_design(30, 30, 1), np.random.default_rng(0)
    z = rng.normal(size=60)
    shared = np.where(np.arange(60) % 10, design.y, 1 - design.y)            # a nuisance that is the concept in 9 of 10
    nuisance = {"length": graded(z, "z"), "topic": Nuisance((shared[:, None] != shared[None, :]) * 1.0, None, "t")}
    quiet = 0.05 * rng.normal(size=60)
    X = np.column_stack([design.y + quiet, z + quiet, shared + quiet, rng.normal(size=60)])
    found = variance_partition(X, design, nuisance=nuisance)
    concept, length, topic = found.unique
    assert concept[0] > 0.5 and max(length[0], topic[0]) < 0.02
    assert length[1] > 0.6 and max(concept[1], topic[1]) < 0.02              # |z_i - z_j| explains (z_i - z_j)^2
    assert topic[2] > 0.5 and max(concept[2], length[2]) < 0.02
    overlap = found.parts[found.subsets.index(("concept", "topic"))]
    r = np.corrcoef(*pair_values(design, X, *(each for each in ((design.y[:, None] != design.y) * 1.0,
                                                                nuisance["topic"].rdm)))[1].T)[0, 1]
    assert r > 0.6 and overlap[[0, 2]] == pytest.approx(r**2, abs=0.05)      # r^2 of what both models say
    assert abs(overlap[1]) < 0.02 and found.total[3] < 0.03


def test_partial_fit_keeps_the_concept_and_loses_the_nuisance():
    design, rng = matched_design(14, 2), np.random.default_rng(1)
    length = 1.5 * design.y + rng.normal(size=56)
    X = rng.normal(size=(56, 2)) * 0.5 + np.column_stack([2.5 * design.y, 1.5 * length])
    plain = rsa_map(X, design, variant="pooled", score="model", model="categorical", permutations=500)
    found = partial_rsa(X, design, nuisance={"length": graded(length, "words")}, permutations=500)
    assert (plain.pvalue < 0.01).all()
    assert found.pvalue[0] < 0.01 and found.pvalue[1] > 0.05 and found.info["p"].startswith("Freedman-Lane")
    again = partial_rsa(X, design, nuisance={"length": graded(length, "words")}, permutations=500)
    assert (again.pvalue == found.pvalue).all() and found.info["seed"] == 0


@pytest.mark.parametrize("nuisance, given, why", [
    ("lexical", None, "none: lexical is defined on pairs"), ("matrix", None, "none: own is defined on pairs"),
    ("length", "rdms", "none: given RDMs"), ("length", "two_part", "none: a two_part scheme"),
])
def test_where_no_p_can_be_given_the_map_says_why(nuisance, given, why):
    design, X, made = example()
    made = {"length": {"length": made["length"]}, "matrix": {"own": made["topic"].rdm},
            "lexical": {"length": made["length"], "lexical": Nuisance(made["topic"].rdm, None, "x")}}[nuisance]
    if given == "rdms":
        X = distance_rdms(X, metric="sqeuclidean")
    if given == "two_part":
        design.scheme = SimpleNamespace(kind="two_part")
    found = partial_rsa(X, design, nuisance=Nuisances(made), permutations=50)
    assert found.pvalue is None and found.info["p"].startswith(why) and np.isfinite(found.value).all()


def test_residuals_move_inside_the_exchange_group():
    design, X, nuisance = example(m=5)
    table = cell_table(design)
    means = np.array([X[table.index == c].mean(axis=0) for c in range(10)])
    columns = np.array([nuisance["length"].columns[table.index == c].mean(axis=0) for c in range(10)])
    moved = moved_residuals(means, columns, design, permutations=100)
    assert len(moved.orders) == 32 and moved.seed is None                    # 2^5, all of them
    assert (table.item[moved.orders] == table.item).all() and (moved.orders[0] == np.arange(10)).all()
    np.testing.assert_allclose(moved.fit + moved.residuals, means)
    assert (moved.means(0) == means).all()                                   # the observed labelling, to the last bit
    np.testing.assert_allclose(moved.means(7), moved.fit + moved.residuals[moved.orders[7]])
    assert np.abs(moved.residuals.T @ np.column_stack([columns, np.eye(5)[table.item]])).max() < 1e-9
    far = far_design(4, 4, 1)
    far.scheme = type(far.scheme)(**vars(far.scheme) | {"unit_stratum": np.array([0, 1] * 4)})
    moved = moved_residuals(means[:8], columns[:8], far, permutations=50)
    assert len(moved.orders) == 51 and ((moved.orders - np.arange(8)) % 2 == 0).all()


def test_whole_items_and_many_levels_move_too():
    items, levels = 6, 3
    groups, grade = np.repeat(np.arange(items), levels), np.tile(np.arange(levels), items)
    rng = np.random.default_rng(0)
    base = dict(rows=np.arange(18), y=(grade > 0) * 1, weights=np.ones(18), groups=groups, cells=np.arange(18))
    X, length = rng.normal(size=(18, 3)) + 2 * grade[:, None] * [1, 0, 0], rng.normal(size=18)
    for scheme in (within_scheme(groups, grade), joint_scheme(groups)):
        design = SimpleNamespace(**base, scheme=scheme)
        found = partial_rsa(X, design, model="graded", labels=grade, nuisance={"length": graded(length, "words")},
                            permutations=200)
        assert found.value[0] > 0.5
        assert (found.pvalue[0] < 0.02) == (scheme.kind == "within")         # item order says nothing of grades


def naive(X, design, nuisance, permutations, seed):
    """p when the labels of the model move and the nuisance stays: what must not be done."""
    table = cell_table(design)
    pairs = cross_item_pairs(np.arange(len(table.item)), table.item)
    labels = cell_labels(design.scheme, labellings(design.scheme, permutations, seed=seed).values, table)
    D, columns = pair_values(design, X, nuisance.rdm)
    beside = np.column_stack([np.ones(len(D)), columns])
    left = np.eye(len(D)) - beside @ np.linalg.pinv(beside)
    D = left @ D
    D = D / np.linalg.norm(D, axis=0)
    models = (labels[:, pairs.cell_first] != labels[:, pairs.cell_second]) @ left
    T = (models / np.linalg.norm(models, axis=1, keepdims=True)) @ D
    return np.mean(T >= T[0] - 1e-9, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("design", [matched_design(12, 1), far_design(12, 12, 1)], ids=["within", "between"])
def test_only_moved_residuals_keep_their_level(design):
    """x = length + item + noise, length differs between the sides, the concept does nothing: 1500 tests at .05."""
    rng, n = np.random.default_rng(0), len(design.y)
    rejected = {"freedman-lane": [], "labels moved": [], "not partialled": []}
    for seed in range(10):
        length = rng.normal(size=n) + 1.5 * design.y
        item = 0.7 * rng.normal(size=(design.groups.max() + 1, 150))[design.groups]
        X = length[:, None] + item + rng.normal(size=(n, 150))
        nuisance = graded(length, "words")
        plain = rsa_map(X, design, variant="pooled", score="model", model="categorical", permutations=199, seed=seed)
        ours = partial_rsa(X, design, nuisance={"length": nuisance}, permutations=199, seed=seed)
        found = {"freedman-lane": ours.pvalue, "labels moved": naive(X, design, nuisance, 199, seed),
                 "not partialled": plain.pvalue}
        for name, p in found.items():
            rejected[name].append(np.mean(p <= 0.05))
    rate = {name: np.mean(values) for name, values in rejected.items()}
    assert 0.02 < rate["freedman-lane"] < 0.07
    assert rate["labels moved"] > 0.12 and rate["not partialled"] > 0.4


@pytest.mark.parametrize("change, message", [
    (dict(nuisance={}), "no nuisance"), (dict(metric="correlation"), "no correlation distance.*sets="),
    (dict(metric="euclid"), "unknown distance"), (dict(tail="left"), "unknown tail"),
    (dict(nuisance={"copy": None}), "combination of the nuisance RDMs"),
    (dict(permutations=50, alpha=0.001), "no outcome could be significant"),
])
def test_partial_refusals(change, message):
    design, X, nuisance = example()
    if "copy" in change.get("nuisance", ()):
        change = {"nuisance": {"copy": 2.0 * (design.y[:, None] != design.y[None, :])}}
    with pytest.raises(InputError, match=message):
        partial_rsa(X, design, **{"nuisance": nuisance} | change)


def test_partition_refusals():
    design, X, nuisance = example()
    with pytest.raises(InputError, match="names unique"):
        variance_partition(X, design, nuisance=nuisance, name="length")
    with pytest.raises(InputError, match="flat does not vary"):
        variance_partition(X, design, nuisance={"flat": np.ones((24, 24)) - np.eye(24)})
    with pytest.raises(InputError, match="8 at most"):
        variance_partition(X, design, nuisance={f"n{k}": nuisance["length"] for k in range(8)})
