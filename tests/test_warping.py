"""Dynamic time warping of profiles: against a plain dynamic programme, with silence, bounds and the fit."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from rsa_data import Tokens, matched_design, tokens_for

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.responses import Responses
from cogneuro_sae.rsa import rdm_map, warping_rdms


def plain_cost(a, b):
    """Smallest sum of squared differences over all warping paths, by filling the whole table."""
    table = np.full((len(a) + 1, len(b) + 1), np.inf)
    table[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            table[i + 1, j + 1] = (a[i] - b[j]) ** 2 + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


@pytest.fixture(params=["plain", "library"])
def library(request, monkeypatch):
    """dtaidistance where it is installed, and the plain programme in its place where not."""
    if request.param == "library":
        pytest.importorskip("dtaidistance")
        return
    plain = ModuleType("dtaidistance")
    plain.dtw = SimpleNamespace(distance_fast=lambda a, b, use_pruning: np.sqrt(plain_cost(a, b)))
    monkeypatch.setitem(sys.modules, "dtaidistance", plain)


def shaped(profile):
    return (profile - profile.mean()) / profile.std()


def test_distances_equal_the_plain_programme(library):
    tokens = tokens_for(matched_design(3, 1), silence=0)
    found = warping_rdms(tokens, [3, 1], ids=[f"s{i}" for i in range(6)])
    raw = warping_rdms(tokens, [3, 1], standardise=False)
    for number, feature in enumerate((3, 1)):
        for i in range(6):
            for j in range(i + 1, 6):
                a, b = (tokens.of(row)[:, feature].astype(float) for row in (i, j))
                for rdms, one, two in ((found, shaped(a), shaped(b)), (raw, a, b)):
                    assert rdms.get_matrices()[number][i, j] == pytest.approx(
                        plain_cost(one, two) / (len(a) + len(b)), rel=1e-9)
    assert found.pattern_descriptors["id"][0] == "s0" and found.rdm_descriptors["feature"] == [3, 1]
    assert len({len(tokens.of(row)) for row in range(6)}) > 1                # the lengths do differ


def test_a_stretched_profile_is_at_distance_zero_by_hand(library):
    profiles = [[0, 1, 3, 1.0], [0, 0, 1, 1, 3, 1.0], [3, 1, 0, 0, 1.0], [0, 2, 3, 1.0]]
    tokens = Tokens(np.concatenate(profiles)[:, None], [4, 6, 5, 4])
    found = warping_rdms(tokens, [0], standardise=False).get_matrices()[0]
    assert found[0, 1] == 0 and found[0, 2] > 0.5
    assert found[0, 3] == pytest.approx(1 / 8)                               # 2 meets 1 or 3 at cost 1, 4 + 4 steps
    strong = Tokens(np.concatenate([profiles[0], 5 * np.array(profiles[0]), profiles[2]])[:, None], [4, 4, 5])
    assert warping_rdms(strong, [0]).get_matrices()[0][0, 1] == pytest.approx(0, abs=1e-12)


def test_silent_and_constant_profiles_have_no_distance(library):
    rows = [[0, 0, 0.0], [1, 2, 0, 3.0], [2, 2, 2.0], [0, 0, 4.0], [1, 0, 2.0]]
    tokens = Tokens(np.concatenate(rows)[:, None], [3, 4, 3, 3, 3])
    missing = np.isnan(warping_rdms(tokens, [0]).get_matrices()[0])
    assert missing[0, 1:].all() and missing[2, [0, 1, 3, 4]].all() and missing[3, [0, 1, 2, 4]].all()
    assert not missing[1, 4]
    raw = np.isnan(warping_rdms(tokens, [0], standardise=False, min_active=0).get_matrices()[0])
    assert not raw.any()


def test_warped_rdms_go_into_the_fit(library):
    """Targets share one profile that starts anywhere; the position-bound correlation cannot see it, warping does."""
    design, rng = matched_design(6, 1), np.random.default_rng(0)
    lengths = rng.integers(9, 14, 12)
    values = [np.abs(rng.normal(size=(length, 2))) for length in lengths]
    for row in np.flatnonzero(design.y):
        start = rng.integers(0, lengths[row] - 6)
        values[row][:, 0] = 0.05 * rng.random(lengths[row])
        values[row][start:start + 6, 0] = [1, 5, 9, 9, 5, 1]
    tokens = Tokens(np.concatenate(values), lengths)
    found = rdm_map(warping_rdms(tokens, [0, 1]), design, score="discriminative", permutations=64)
    assert found.pvalue[0] == pytest.approx(1 / 64) and found.pvalue[1] > 0.05
    fit = rdm_map(warping_rdms(tokens, [0, 1]), design, model="coherent", labels=design.y, permutations=64)
    assert fit.value[0] > 0.5 > fit.value[1] and fit.info["variant"] == "given: dynamic time warping"


def test_responses_are_read_through_their_window(library):
    tokens = tokens_for(matched_design(2, 1), silence=0)
    n = len(tokens.values)
    responses = Responses(values=tokens.values, tokens=np.full(n, "w"), offsets=tokens.offsets,
                          specials=np.zeros(n, bool), spans=np.full((n, 2), -1), ids=("a", "b", "c", "d"), site="s",
                          model="m", sha256="")
    whole = warping_rdms(responses, [1])
    np.testing.assert_array_equal(whole.get_vectors(), warping_rdms(tokens, [1]).get_vectors())
    assert list(whole.pattern_descriptors["id"]) == ["a", "b", "c", "d"]
    short = Tokens(np.concatenate([tokens.of(row)[:5] for row in range(4)]), [5] * 4)
    np.testing.assert_array_equal(warping_rdms(responses, [1], window="first(5)").get_vectors(),
                                  warping_rdms(short, [1]).get_vectors())


def test_refusals(library):
    tokens = tokens_for(matched_design(2, 1), n_features=300)
    with pytest.raises(InputError, match="warping 250 features over 6 pairs.*is slow; allowed: 200.*force=True"):
        warping_rdms(tokens, np.arange(250))
    assert warping_rdms(tokens, np.arange(201), force=True).n_rdm == 201
    with pytest.raises(InputError, match="0 to 299"):
        warping_rdms(tokens, [300])
    with pytest.raises(InputError, match="pooled"):
        warping_rdms(np.ones((4, 3)), [0])


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dtaidistance", None)
    with pytest.raises(SetupError, match=r"needs dtaidistance; pip install 'cogneuro_sae\[warping\]'"):
        warping_rdms(tokens_for(matched_design(2, 1)), [0])
