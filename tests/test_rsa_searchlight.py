"""Pattern RSA over decoder neighbourhoods and over the raw units that feed a latent."""

import numpy as np
import pytest
from rsa_data import far_design, matched_design

from cogneuro_sae.errors import InputError
from cogneuro_sae.rsa import decoder_neighbours, model_matrix, neuron_input_rsa, rsa_map, searchlight_rsa
from cogneuro_sae.rsa import searchlight as module
from cogneuro_sae.rsa.neuron_input import input_units


def clustered(m=12, n_latents=60, effect=1.5, seed=0):
    """Decoder rows in groups of six; the first group carries a pattern of the concept."""
    rng, design = np.random.default_rng(seed), matched_design(m, 2)
    group = np.arange(n_latents) // 6
    decoder = rng.normal(size=(n_latents // 6, 16))[group] + 0.2 * rng.normal(size=(n_latents, 16))
    X = rng.normal(size=(len(design.y), n_latents)) + rng.normal(size=(m, n_latents))[design.groups]
    X[:, :6] += effect * np.asarray(design.y)[:, None] * [2, -2, 1, 2, -1, -2]
    return X, design, decoder, group


def loop_score(X, design, score):
    r = np.corrcoef(X)
    z = np.arctanh(np.clip(r, -0.999, 0.999))
    cross = design.groups[:, None] != design.groups[None, :]
    y = np.asarray(design.y)
    cells = np.unique(design.cells, return_inverse=True)[1]
    means = []
    for a, b in ((1, 1), (1, 0), (0, 0)):
        pair = cross & ((y[:, None] == a) & (y[None, :] == b) | (y[:, None] == b) & (y[None, :] == a))
        i, j = np.nonzero(np.triu(pair, 1))
        means.append(np.mean(z[i, j]))
    assert len(np.unique(np.bincount(cells))) == 1
    aa, ab, bb = means
    return {"discriminative": aa - ab, "categorical": (aa + bb) / 2 - ab, "coherence": aa - bb}[score]


def test_neighbours_equal_a_loop_and_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    decoder = rng.normal(size=(40, 8)) * rng.gamma(1.0, size=(40, 1))
    decoder[7] = 0
    unit = decoder / np.maximum(np.linalg.norm(decoder, axis=1, keepdims=True), 1e-12)
    out = int(np.argsort(-unit @ unit[0])[1])
    for block in (2**26, 1):
        monkeypatch.setattr(module, "BLOCK", block)
        near, cosine = decoder_neighbours(decoder, 5, latents=[0, 7, 39, 0], among=np.arange(40) != out)
        for row, latent in ((0, 0), (2, 39), (3, 0)):
            others = [i for i in range(40) if i not in (latent, out, 7)]
            expected = sorted(others, key=lambda i: -unit[latent] @ unit[i])[:5]
            assert near[row].tolist() == expected
            np.testing.assert_allclose(cosine[row], unit[latent] @ unit[expected].T, atol=1e-5)
        assert (near[1] == -1).all() and np.isnan(cosine[1]).all()


@pytest.mark.parametrize("score", ["discriminative", "categorical", "coherence"])
def test_searchlight_equals_a_loop(score):
    X, design, decoder, _ = clustered(m=6, seed=2)
    found = searchlight_rsa(X, design, decoder, n_neighbours=4, score=score)
    near = decoder_neighbours(decoder, 4)[0]
    expected = [loop_score(X[:, np.r_[i, near[i]]], design, score) for i in range(60)]
    np.testing.assert_allclose(found.value, expected, atol=1e-6)


def test_searchlight_with_a_model_equals_pattern_rsa_of_each_neighbourhood():
    X, design, decoder, _ = clustered(m=6, seed=3)
    M = model_matrix("graded", len(X), labels=np.random.default_rng(4).normal(size=6)[design.groups])
    found = searchlight_rsa(X, design, decoder, n_neighbours=6, latents=[3, 20], score="model", model=M)
    near = decoder_neighbours(decoder, 6)[0]
    for latent in (3, 20):
        alone = rsa_map(X[:, np.r_[latent, near[latent]]], design, score="model", variant="pattern", model=M)
        assert found.value[latent] == pytest.approx(alone.value[0], abs=1e-9)
    assert np.isfinite(found.value).sum() == 2 and found.reasons["not asked for"] == 58


def test_the_planted_neighbourhood_is_found_and_the_rest_is_not():
    X, design, decoder, group = clustered()
    found = searchlight_rsa(X, design, decoder, n_neighbours=5, permutations=199)
    assert set(found.top(6)) == set(range(6)) and (found.p_fwe[:6] <= 0.05).all()
    assert not (found.p_fwe[12:] <= 0.05).any() and found.info["family"] == 60
    assert found.name == "rsa_discriminative_searchlight" and found.info["n_neighbours"] == 5


def test_centres_asked_for_are_the_family():
    X, design, decoder, _ = clustered(seed=5)
    whole = searchlight_rsa(X, design, decoder, n_neighbours=5, permutations=99)
    part = searchlight_rsa(X, design, decoder, n_neighbours=5, latents=[30, 2], permutations=99)
    np.testing.assert_allclose(part.value[[2, 30]], whole.value[[2, 30]])
    np.testing.assert_allclose(part.pvalue[[2, 30]], whole.pvalue[[2, 30]])
    assert part.info["family"] == 2 and np.isnan(part.pvalue[0]) and (part.p_fwe[30] <= whole.p_fwe[30])


def test_silent_patterns_are_missing_and_dead_rows_are_counted():
    X, design, decoder, _ = clustered(seed=6)
    X = np.maximum(X, 0)
    X[design.groups < 8, :6] = 0
    decoder[59] = 0
    found = searchlight_rsa(X, design, decoder, n_neighbours=5)
    assert np.isnan(found.value[:6]).all() and found.n_valid[0].tolist() == [4, 4]
    assert np.isnan(found.value[59]) and found.reasons["decoder row of norm 0"] == 1
    assert found.reasons["fewer than 5 valid items in A or B"] >= 6


def test_scale_makes_the_unit_of_a_latent_irrelevant():
    X, design, decoder, _ = clustered(seed=7)
    units = np.random.default_rng(8).gamma(1.0, size=60) + 0.1
    ours, theirs = (searchlight_rsa(x, design, decoder, scale=True).value for x in (X, X * units))
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert not np.allclose(searchlight_rsa(X * units, design, decoder).value, searchlight_rsa(X, design, decoder).value)


def test_rows_of_the_table_are_picked():
    X, design, decoder, _ = clustered(seed=9)
    table = np.full((len(X) + 7, 60), np.nan)
    design.rows = np.arange(len(X)) + 7
    table[7:] = X
    expected = searchlight_rsa(X, design, decoder, scale=True).value
    np.testing.assert_array_equal(searchlight_rsa(table, design, decoder, scale=True).value, expected)
    weights = np.random.default_rng(0).normal(size=(4, 60))
    np.testing.assert_array_equal(neuron_input_rsa(table, design, weights, n_units=9).value,
                                  neuron_input_rsa(X, design, weights, n_units=9).value)


def error_bound(n, p=0.05):
    return 4 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("make", [lambda: matched_design(9, 2), lambda: far_design(9, 9, 2)], ids=["swap", "labels"])
def test_neighbourhoods_hold_their_level_under_item_and_wording_variance(make):
    """Disjoint neighbourhoods, so that they are independent replicates."""
    design, rng, n = make(), np.random.default_rng(10), 500
    group = np.repeat(np.arange(n), 4)
    decoder = np.eye(n)[group]
    items, cells = (np.unique(each, return_inverse=True)[1] for each in (design.groups, design.cells))
    X = (rng.normal(size=(len(items), 4 * n)) + rng.normal(size=(items.max() + 1, 4 * n))[items]
         + rng.normal(size=(cells.max() + 1, 4 * n))[cells])
    found = searchlight_rsa(X, design, decoder, n_neighbours=3, latents=np.arange(0, 4 * n, 4), permutations=199)
    p = found.pvalue[np.isfinite(found.pvalue)]
    assert len(p) == n and np.mean(p <= 0.05) == pytest.approx(0.05, abs=error_bound(n))


def fed(m=12, n_units=80, n_latents=6, seed=11):
    """Latent 0 reads the ten units whose pattern carries the concept, over large unit means."""
    rng, design = np.random.default_rng(seed), matched_design(m, 2)
    X = rng.normal(size=(len(design.y), n_units)) + rng.normal(size=(m, n_units))[design.groups]
    X[:, :10] += 1.5 * np.asarray(design.y)[:, None] * rng.choice([-1, 1], 10)
    weights = 0.01 * rng.normal(size=(n_latents, n_units))
    for latent in range(n_latents):
        weights[latent, 10 * latent:10 * latent + 10] = rng.choice([-1, 1], 10) * (1 + rng.random(10))
    return X + 100 * rng.normal(size=n_units), design, weights


def test_input_units_are_those_of_largest_absolute_weight():
    weights = np.array([[0.1, -3, 2, 0, 2], [0, 0, 0, 0, 0]])
    assert input_units(weights, np.array([0, 1]), 3).tolist() == [[1, 2, 4], [0, 1, 2]]
    with pytest.raises(InputError, match="n_units is 6"):
        input_units(weights, np.array([0]), 6)


@pytest.mark.parametrize("score", ["discriminative", "coherence"])
def test_neuron_input_equals_a_loop(score):
    X, design, weights = fed(m=6)
    found = neuron_input_rsa(X, design, weights, [4, 0], n_units=10, score=score)
    Z = X - X.mean(axis=0)
    for latent in (0, 4):
        units = np.argsort(-np.abs(weights[latent]))[:10]
        assert found.value[latent] == pytest.approx(loop_score(Z[:, units], design, score), abs=1e-6)
    assert np.isnan(found.value[[1, 2, 3, 5]]).all() and found.reasons == {"not asked for": 4}


def test_the_latent_that_reads_the_concept_is_found_when_units_are_centred():
    X, design, weights = fed()
    found = neuron_input_rsa(X, design, weights, n_units=10, permutations=199)
    assert found.top(1)[0] == 0 and found.p_fwe[0] <= 0.05 and (found.p_fwe[1:] > 0.05).all()
    raw = neuron_input_rsa(X, design, weights, n_units=10, center=False)
    assert raw.value[0] < 0.2 * found.value[0]


@pytest.mark.parametrize("call, message", [
    (lambda X, d, W: searchlight_rsa(X[:, :50], d, W), "the decoder"),
    (lambda X, d, W: searchlight_rsa(X, d, W, n_neighbours=1), "1 neighbours"),
    (lambda X, d, W: searchlight_rsa(X, d, W, among=[0, 1, 2], n_neighbours=3), "3 neighbours among 3"),
    (lambda X, d, W: searchlight_rsa(X, d, W, score="roc"), "RSA score"),
    (lambda X, d, W: neuron_input_rsa(X, d, W), "the weights"),
    (lambda X, d, W: neuron_input_rsa(X, d, W @ np.ones((16, 60)), n_units=2), "n_units is 2")])
def test_messages(call, message):
    X, design, decoder, _ = clustered()
    with pytest.raises(InputError, match=message):
        call(X, design, decoder)
