"""design(): rows, labels and weights by hand, and the exchange scheme of docs/methods.md for every kind of contrast."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli import StimulusSet

DATA = Path(__file__).parent / "data" / "stimuli"


@pytest.fixture(scope="module")
def small():
    return StimulusSet.from_yaml(DATA / "small.yaml")


@pytest.fixture(scope="module")
def between():
    return StimulusSet.from_yaml(DATA / "between.yaml")


def make(rows, contrast, **options):
    frame = pd.DataFrame(rows, columns=["item", "condition"])
    frame["text"] = [f"text number {n}" for n in range(len(frame))]
    return StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"main": contrast}, **options)


def test_rows_labels_and_weights(small):
    design = small.design()
    table = small.table
    expected = np.flatnonzero(table["condition"].isin(["target", "near"]) & (table["split"] == "discovery"))
    np.testing.assert_array_equal(design.rows, expected)
    assert design.rows.dtype == design.y.dtype == design.cells.dtype == np.int64
    np.testing.assert_array_equal(design.y, (table["condition"].iloc[expected] == "target").astype(int))
    np.testing.assert_array_equal(design.weights, np.where(design.y == 1, 1.0, -1.0))
    np.testing.assert_array_equal(design.groups, table["item"].iloc[expected])
    assert design.cells.tolist()[:6] == [0, 0, 1, 1, 2, 2] and len(design) == 36
    assert design.strata.tolist()[:8] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (design.contrast, design.expression, design.matched) == ("main", "target - near", True)
    assert "potter" not in design.groups
    assert "potter" in small.design(unlocked=True).groups and len(small.design(unlocked=True)) == 40


def test_schemes_of_a_set_with_far_foils(small):
    main, far, broad, both = (small.design(name) for name in ("main", "far", "broad", "both"))
    assert main.scheme.kind == "swap" and main.scheme.size == 2**9
    assert (main.scheme.min_p_one, main.scheme.min_p_two) == (2**-9, 2**-8)
    # the strata hold 5 + 5 and 4 + 4 cells
    assert far.scheme.kind == "labels" and far.scheme.size == math.comb(10, 5) * math.comb(8, 4) and not far.matched
    assert "near" not in far.conditions
    assert both.scheme.kind == "items" and both.scheme.n_units == 18
    assert broad.scheme.kind == "two_part" and not broad.matched
    part_a, part_b = broad.scheme.parts
    assert (part_a.kind, part_b.kind) == ("swap", "labels")
    rows_a, rows_b = broad.scheme.part_rows
    assert set(broad.conditions[rows_a]) == {"target", "near"} and set(broad.conditions[rows_b]) == {"target", "far"}
    assert broad.scheme.min_p_one == 2**-9
    assert dict(zip(broad.conditions, broad.weights)) == {"target": 1.0, "near": -0.5, "far": -0.5}
    reverse = small.design("(near + far)/2 - target")
    assert reverse.scheme.kind == "two_part" and set(reverse.conditions[reverse.scheme.part_rows[1]]) == {"target",
                                                                                                          "far"}
    np.testing.assert_array_equal(reverse.y, 1 - broad.y)


def test_schemes_of_a_within_factorial():
    stimuli = StimulusSet.from_yaml(DATA / "factorial.yaml")
    for name in ("valence", "interaction"):
        design = stimuli.design(name)
        assert design.scheme.kind == "sign" and design.scheme.size == 2**6 and design.matched
    simple = stimuli.design("negative_work - positive_work")
    assert simple.scheme.kind == "swap" and len(simple) == 12
    design = stimuli.design("valence")
    assert design.weights[0] == 0.5 and design.strata.tolist() == [0] * 24


def test_schemes_of_a_between_factor(between):
    valence, domain, interaction, crossed = (between.design(name)
                                             for name in ("valence", "domain", "interaction", "crossed"))
    assert valence.scheme.kind == "swap" and valence.scheme.size == 2**10 and valence.matched
    for design in (domain, interaction, crossed):
        assert design.scheme.kind == "items" and design.scheme.size == math.comb(10, 6)
    assert not domain.matched and domain.scheme.n_units == 10
    # the item's label is its between level, whatever the row's side
    scheme = interaction.scheme
    assert len(scheme.unit) == 40
    row_label = scheme.unit_label[scheme.unit]
    work = np.array([name.endswith("work") for name in interaction.conditions])
    assert len(set(row_label[work])) == len(set(row_label[~work])) == 1 and row_label[work][0] != row_label[~work][0]
    assert set(interaction.y[work]) == {0, 1}


def test_contrasts_without_an_exact_scheme_are_refused(small, between):
    for stimuli, text in ((between, "negative_work + negative_health + positive_work - 3*positive_health"),
                          (between, "2*negative_work - positive_work - positive_health"),
                          (small, "target - near/2 - far/2 + (near - far)/4 - (near - far)/4")):
        if stimuli is small:
            assert stimuli.design(text).scheme.kind == "two_part"
            continue
        with pytest.raises(InputError, match="no exact exchange scheme"):
            stimuli.design(text)


def test_graded_contrast_within_items():
    rows = [(f"i{n}", name) for n in range(5) for name in ("high", "mid", "low")]
    design = make(rows, "2*high - mid - low").design()
    assert design.scheme.kind == "sign" and design.scheme.size == 32
    assert make(rows, "high - low").design().scheme.kind == "swap"
    assert len(make(rows, "high - low").design()) == 10


def test_independent_items_and_their_strata():
    rows = [(f"i{n}", "a" if n < 4 else "b") for n in range(9)]
    design = make(rows, "a - b", independent=True).design()
    assert design.scheme.kind == "free" and design.scheme.size == math.comb(9, 4) and not design.matched
    frame = pd.DataFrame(rows, columns=["item", "condition"]).assign(text=[f"t {n}" for n in range(9)],
                                                                     author=list("xyxyxyxyx"))
    stimuli = StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"main": "a - b"}, independent=True,
                                     strata=("author",))
    assert stimuli.design().scheme.size == math.comb(5, 2) * math.comb(4, 2)


def test_group_size_by_enumeration():
    """|G| of target - far counted one by one: all label vectors with the same number of ones in each stratum."""
    rows = [(f"t{n}", "target") for n in range(3)] + [(f"t{n}", "near") for n in range(3)] + [(f"f{n}", "far")
                                                                                              for n in range(4)]
    design = make(rows, "target - far").design()
    labels = [v for v in itertools.product((0, 1), repeat=7) if sum(v) == 3]
    assert design.scheme.size == len(labels) and design.scheme.min_p_one == 1 / len(labels)


def test_too_few_cells_and_unknown_names(small):
    rows = [("a", "target"), ("a", "near"), ("b", "far"), ("c", "far")]
    with pytest.raises(InputError, match="the positive side has 1 cell "):
        make(rows, "target - far").design()
    with pytest.raises(InputError,
                       match="small: unknown contrast 'mian'; allowed: main, far, broad, both; did you mean 'main'"):
        small.design("mian")
    with pytest.raises(InputError, match="column 10 of 'target - nera'"):
        small.design("target - nera")
    with pytest.raises(InputError, match="sum to 1"):
        small.design("(target)")


def test_take_keeps_whole_items(small):
    design = small.design("far")
    keep = np.isin(design.groups, ["baker", "nurse", "place-0", "place-2", "place-4"])
    taken = design.take(keep)
    np.testing.assert_array_equal(taken.rows, design.rows[keep])
    assert taken.cells.tolist() == [0, 0, 1, 2, 2, 3, 4] and taken.scheme.size == math.comb(5, 2)
    np.testing.assert_array_equal(design.take(np.flatnonzero(keep)).rows, taken.rows)
    with pytest.raises(InputError):
        design.take(design.y == 1)


def test_take_and_row_order_do_not_change_the_scheme(small):
    frame = small.table.drop(columns=["grade"])
    order = np.random.default_rng(0).permutation(len(frame))
    options = {"name": "small", "concept": "calm", "strata": ("author",), "contrasts": dict(small.contrasts)}
    frame = frame.assign(condition=pd.Categorical(frame["condition"],
                                                  ["target", "near", "far"])).astype({"condition": str})
    shuffled = StimulusSet.from_frame(frame.iloc[order], **options)
    for name in small.contrasts:
        one, other = small.design(name), shuffled.design(name)
        assert (one.scheme.kind, one.scheme.size, one.scheme.min_p_two) == (other.scheme.kind, other.scheme.size,
                                                                            other.scheme.min_p_two)
        assert sorted(small.table["id"].iloc[one.rows]) == sorted(shuffled.table["id"].iloc[other.rows])


def test_design_html_is_escaped(small):
    html = small.design("target - near")._repr_html_()
    assert "target +1" in html and "|G| = 2^9" in html
