"""Position maps and time-courses equal loops over positions; positions that texts lack are counted and never filled."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from synthetic import make_set

from cogneuro_sae.contrasts import contrast_map, position_map, time_courses
from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import permutation_inference
from cogneuro_sae.responses import Responses, log_scaled


def packed(values, lengths, **more):
    n = int(np.sum(lengths))
    return Responses(**({"values": np.asarray(values, np.float32), "tokens": np.full(n, "w"),
                         "offsets": np.r_[0, np.cumsum(lengths)], "specials": np.zeros(n, bool),
                         "spans": np.full((n, 2), -1), "ids": ("",) * len(lengths), "site": "layer", "model": "toy",
                         "sha256": ""} | more))


def case(items=7, far=False, seed=0, units=5, low=4, high=8):
    """A set with two paraphrases, texts of 4 to 7 tokens after one special; unit 0 differs at position 2 only."""
    stimuli = make_set(items=items, far=far, seed=seed)
    rng, n = np.random.default_rng(seed), len(stimuli)
    lengths = rng.integers(low, high, n) + 1
    responses = packed(np.maximum(rng.normal(0.3, 1, size=(lengths.sum(), units)), 0), lengths)
    responses.specials[responses.offsets[:-1]] = True
    responses.values[responses.specials] = 1000
    target = stimuli.table["condition"].to_numpy() == "target"
    responses.values[responses.offsets[:-1][target] + 3, 0] += 4
    return stimuli, responses


def cell_values(responses, design, position, unit):
    """{(item, condition): mean over the paraphrases that have the position} by a plain loop."""
    found = {}
    for row, item, condition in zip(design.rows, design.groups, design.conditions):
        tokens = responses.values[responses.offsets[row] + 1:responses.offsets[row + 1], unit]
        if position < len(tokens):
            found.setdefault((item, condition), []).append(np.log1p(tokens[position]))
    return {key: np.mean(values) for key, values in found.items()}


def test_paired_positions_equal_a_loop():
    stimuli, responses = case()
    design = stimuli.design("main")
    found = position_map(responses, design, permutations=200)
    assert found.positions.tolist() == list(range(7)) and found.value.shape == (7, 5) and found.name == "paired_t"
    for p in range(7):
        for unit in range(5):
            cells = cell_values(responses, design, p, unit)
            both = [i for i in sorted({k[0] for k in cells}) if (i, "target") in cells and (i, "near") in cells]
            assert found.n_valid[p].tolist() == [len(both)] * 2
            if len(both) < 5:
                assert np.isnan(found.value[p, unit]) and np.isnan(found.pvalue[p, unit])
                continue
            a, b = ([cells[i, side] for i in both] for side in ("target", "near"))
            assert found.value[p, unit] == pytest.approx(stats.ttest_rel(a, b).statistic, rel=1e-5)
    strongest = found.to_frame().sort_values("p_fwe").iloc[0]
    assert (strongest["position"], strongest["feature"]) == (2, 0) and strongest["p_fwe"] == pytest.approx(2 / 128)
    assert found.info["enumerated"] and found.info["family"] == np.isfinite(found.pvalue).sum()
    short = found.n_valid.min(axis=1) < 5
    assert short.any() and found.reasons["position with fewer than 5 items in A or B"] == short.sum() * 5


def test_family_is_positions_by_features_under_shared_labellings():
    stimuli, responses = case(items=6, low=7)
    design = stimuli.design("main")
    found = position_map(responses, design, window="first(4)", features=[4, 0, 1], permutations=64)
    assert found.features.tolist() == [4, 0, 1] and found.value.shape == (4, 3)
    X = np.stack([np.log1p(responses.values[responses.offsets[:-1] + 1 + p]) for p in range(4)], axis=1)
    flat = contrast_map(X[:, :, [4, 0, 1]].reshape(len(stimuli), -1), design, score="paired_t", permutations=64)
    np.testing.assert_allclose(found.value.ravel(), flat.value, rtol=1e-5)
    np.testing.assert_allclose(found.pvalue.ravel(), flat.pvalue)
    one = position_map(responses, design, window="first(1)", features=[0], permutations=64)
    assert one.p_fwe[0, 0] <= found.p_fwe[0, 1]


def test_chunks_do_not_change_the_map(monkeypatch):
    from cogneuro_sae.contrasts import positions

    stimuli, responses = case()
    whole = position_map(responses, stimuli.design("main"), score="welch_t", permutations=99)
    monkeypatch.setattr(positions, "permutation_inference",
                        lambda *a, **k: permutation_inference(*a, **k, budget=8 * 6 * 100 * 3))
    parts = position_map(responses, stimuli.design("main"), score="welch_t", permutations=99)
    np.testing.assert_array_equal(whole.p_fwe, parts.p_fwe)


def test_labels_move_cells_with_the_positions_they_lack():
    stimuli, responses = case(items=8, far=True, low=3, seed=4)
    design = stimuli.design("far")
    found = position_map(responses, design, permutations=300, min_items=3)
    assert found.name == "welch_t"
    for p in range(len(found.positions)):
        cells = cell_values(responses, design, p, 1)
        a, b = ([v for (_, name), v in cells.items() if name == side] for side in ("target", "far"))
        assert found.n_valid[p].tolist() == [len(a), len(b)]
        if min(len(a), len(b)) >= 3:
            assert found.value[p, 1] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).statistic, rel=1e-5)
        else:
            assert np.isnan(found.value[p, 1])


def test_center_counts_from_the_middle_token():
    stimuli, responses = case()
    found = position_map(responses, stimuli.design("main"), window="center(1)")
    assert found.positions.tolist() == [-1, 0, 1]
    design = stimuli.design("main")
    n = np.diff(responses.offsets) - 1
    middle = responses.values[responses.offsets[:-1] + 1 + n // 2]
    expected = contrast_map(np.log1p(middle), design, score="paired_t").value
    np.testing.assert_allclose(found.value[1], expected, rtol=1e-5)


def test_encodes_then_transforms():
    stimuli, responses = case()
    doubled = SimpleNamespace(transform=lambda values: np.c_[values, 3 * values])
    found = position_map(responses, stimuli.design("main"), through=doubled, window="first(3)", transform="none")
    np.testing.assert_allclose(found.value[:, :5], found.value[:, 5:], rtol=1e-5)
    log = position_map(responses, stimuli.design("main"), through=doubled, window="first(3)")
    assert not np.allclose(log.value[:, :5], log.value[:, 5:], rtol=1e-3)


def test_time_courses_equal_a_loop():
    stimuli, responses = case()
    design = stimuli.design("main")
    found = time_courses(responses, design, [0, 3])
    assert list(found["condition"].unique()) == ["target", "near", "difference"]
    for feature in (0, 3):
        for p in range(7):
            cells = cell_values(responses, design, p, feature)
            rows = found[(found["feature"] == feature) & (found["position"] == p)].set_index("condition")
            for side in ("target", "near"):
                values = [v for (_, name), v in cells.items() if name == side]
                assert rows.loc[side, "n_items"] == len(values)
                if len(values) > 1:
                    low, high = stats.ttest_1samp(values, 0).confidence_interval()
                    np.testing.assert_allclose(rows.loc[side, ["mean", "ci_low", "ci_high"]].astype(float),
                                               [np.mean(values), low, high], rtol=1e-4, atol=1e-6)
            both = [cells[i, "target"] - cells[i, "near"] for i in {k[0] for k in cells}
                    if (i, "target") in cells and (i, "near") in cells]
            assert rows.loc["difference", "n_items"] == len(both)
            if both:
                assert rows.loc["difference", "mean"] == pytest.approx(np.mean(both), rel=1e-4, abs=1e-6)
    at = found[(found["condition"] == "difference") & (found["feature"] == 0)].set_index("position")
    assert at.loc[2, "ci_low"] > 0.5 and at["n_items"].is_monotonic_decreasing


def test_messages():
    stimuli, responses = case()
    design = stimuli.design("main")
    with pytest.raises(InputError, match="no feature 9.*allowed: 0 to 4"):
        position_map(responses, design, features=[9])
    with pytest.raises(InputError, match="pooled already"):
        position_map(Responses.from_pooled(np.ones((len(stimuli), 2))), design)
    with pytest.raises(InputError, match="unknown contrast score 'welsh_t'"):
        position_map(responses, design, score="welsh_t")
    with pytest.raises(InputError, match="paired_t needs matched items"):
        position_map(responses, case(far=True)[0].design("far"), score="paired_t")
    with pytest.raises(InputError, match="min_items is 1"):
        position_map(responses, design, min_items=1)
    with pytest.raises(InputError, match="level is 95"):
        time_courses(responses, design, [0], level=95)
    signed = packed(-responses.values, np.diff(responses.offsets))
    with pytest.raises(InputError, match="refused on signed units"):
        position_map(signed, design, score="rate_difference")


@pytest.mark.slow
def test_null_maps_hold_their_level():
    """Family-wise error over positions x features with texts of unequal length: 200 sets, 3.3 Monte Carlo errors."""
    stimuli, responses = case(items=8)
    design, hits = stimuli.design("main"), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = np.maximum(rng.normal(size=responses.values.shape), 0)
        null = packed(values, np.diff(responses.offsets))
        hits += (position_map(null, design, permutations=99, seed=seed).p_fwe <= 0.05).any()
    assert hits / 200 < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.slow
def test_default_model_features_have_positions(default_model, default_sae, achievement):
    design = achievement.design("main")
    responses = default_model.record(achievement.texts, "middle")
    found = position_map(responses, design, through=default_sae, window="first(3)", features=[0, 1, 2])
    token = responses.values[responses.offsets[:-1] + 1]
    expected = log_scaled(default_sae.transform(token)[:, [0, 1, 2]], scale=responses.scale)
    np.testing.assert_allclose(found.value[0], contrast_map(expected, design, score="paired_t").value, rtol=1e-4)
    assert found.site == responses.site
