"""FeatureMap: ranking with gaps and ties, thresholds, tables, files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap

NAN = np.nan


def example():
    return FeatureMap(np.array([0.5, NAN, 2.0, -3.0, 2.0]), "welch_t", direction=np.array([1, 0, 1, -1, 1], np.int8),
                      n_valid=np.array([[6, 6], [0, 3], [6, 5], [6, 6], [6, 6]]), pvalue=np.array([0.3, NAN, 0.01,
                                                                                                   0.05, 0.2]),
                      p_fwe=np.array([0.9, NAN, 0.04, 0.2, 0.5]), q=np.array([0.3, NAN, 0.04, 0.1, 0.3]),
                      site="model.layers.3", reasons={"silent": 1}, info={"scheme": "2^6", "permutations": 64})


def test_top_breaks_ties_by_index_and_leaves_gaps_out():
    found = example()
    assert found.top(3).tolist() == [2, 4, 0] and found.top(99).tolist() == [2, 4, 0, 3]
    assert found.top(2, tail="negative").tolist() == [3, 0]
    assert found.top(3, tail="two-sided").tolist() == [3, 2, 4]
    assert found.top(0).tolist() == [] and found.top(2).dtype == np.int64


def test_two_sided_is_about_the_center():
    found = FeatureMap(np.array([0.6, 0.1, 0.5]), "auroc", center=0.5)
    assert found.top(3, tail="two-sided").tolist() == [1, 0, 2]


def test_threshold():
    found = example()
    assert found.threshold().tolist() == [False, False, True, False, False]
    assert found.threshold(0.05, by="pvalue").tolist() == [False, False, True, True, False]
    assert found.threshold(0.1, by="q").tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("call, match", [
    (lambda m: m.top(1, tail="up"), "unknown tail"), (lambda m: m.top(-1), "n is -1"),
    (lambda m: m.threshold(0), "alpha is 0"), (lambda m: m.threshold(by="p"), "unknown inference"),
    (lambda m: FeatureMap(m.value, "x").threshold(), "'x' has no p_fwe; make it with permutations"),
    (lambda m: FeatureMap(np.ones((2, 2)), "x"), r"allowed: \(n_features,\)"),
    (lambda m: FeatureMap(np.ones(3), "x", q=np.ones(2)), "q has shape"),
])
def test_messages(call, match):
    with pytest.raises(InputError, match=match):
        call(example())


def test_frame_has_the_columns_there_are():
    frame = example().to_frame()
    assert list(frame) == ["feature", "value", "direction", "n_valid_a", "n_valid_b", "pvalue", "p_fwe", "q"]
    assert frame["n_valid_b"].tolist() == [6, 3, 5, 6, 6] and np.isnan(frame["value"][1])
    assert list(FeatureMap(np.ones(2), "x", n_valid=np.ones(2)).to_frame()) == ["feature", "value", "n_valid"]


def test_files_round_trip(tmp_path):
    example().save(tmp_path / "map.npz")
    again = FeatureMap.load(tmp_path / "map.npz")
    for name in ("value", "direction", "n_valid", "pvalue", "p_fwe", "q"):
        np.testing.assert_array_equal(getattr(again, name), getattr(example(), name))
    assert (again.name, again.site, again.reasons, again.info) == ("welch_t", "model.layers.3", {"silent": 1},
                                                                   example().info)
    assert again.effect is None and list(tmp_path.iterdir()) == [tmp_path / "map.npz"]


def test_several_maps_share_a_file(tmp_path):
    np.savez(tmp_path / "all.npz", **example().to_arrays("t/"),
             **FeatureMap(np.ones(2), "auroc", center=0.5).to_arrays("a/"))
    with np.load(tmp_path / "all.npz", allow_pickle=False) as arrays:
        assert FeatureMap.from_arrays(arrays, "a/").center == 0.5
        assert FeatureMap.from_arrays(arrays, "t/").top(1)[0] == 2
        with pytest.raises(InputError, match="holds no map"):
            FeatureMap.from_arrays(arrays)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    with pytest.raises(InputError, match="bad.npz: not a readable map"):
        FeatureMap.load(tmp_path / "bad.npz")


def test_html_escapes_and_counts():
    shown = FeatureMap(np.array([1.0, NAN]), "<b>", info={"scheme": "<i>"}, reasons={"<u>": 1})._repr_html_()
    assert "1 of 2 features estimable" in shown and "<i>" not in shown and "<u>" not in shown and "&lt;b&gt;" in shown


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.floats(-5, 5), st.just(NAN)), min_size=1, max_size=20), st.integers(0, 25))
def test_top_is_the_best_of_what_is_known(values, n):
    found = FeatureMap(np.array(values), "x").top(n)
    known = [v for v in values if v == v]
    assert len(found) == min(n, len(known))
    assert [values[i] for i in found] == sorted(known, reverse=True)[:n]


def test_a_torn_file_is_named(tmp_path):
    path = tmp_path / "map.npz"
    FeatureMap(np.arange(3.0), "score").save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="map.npz.*not a readable map"):
        FeatureMap.load(path)
