"""What the map's report shows of nuisance and of near and far foils, against the functions of the package."""

from types import SimpleNamespace

import numpy as np
import pytest

from cogneuro_sae.concept_map.geometry import Geometry
from cogneuro_sae.concept_map.partition import describe_partition, near_and_far
from cogneuro_sae.language_model import LanguageModel
from cogneuro_sae.rsa import nuisance_rdms, rsa_map, variance_partition
from cogneuro_sae.stimuli import StimulusSet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded():
    stimuli = StimulusSet.from_yaml("music")
    rows = np.flatnonzero((stimuli.table["split"] != "confirm").to_numpy())
    responses = LanguageModel.load("default").record([stimuli.texts[row] for row in rows], "middle")
    return stimuli, stimuli.table.iloc[rows].reset_index(drop=True), responses


def place_of(table, stimuli, design):
    where = {name: row for row, name in enumerate(table["id"])}
    return np.array([where[stimuli.ids[row]] for row in design.rows])


def test_the_partition_is_that_of_the_sets_design_and_texts(recorded):
    stimuli, table, responses = recorded
    design, X = stimuli.design("main"), responses.pool("mean")
    rows, selected = place_of(table, stimuli, design), np.arange(30)
    found = describe_partition(Geometry(X, table, stimuli, design, rows, selected, 0))
    part = variance_partition(X[rows], design, sets=[selected], metric="correlation", nuisance=nuisance_rdms(stimuli, design))
    mine = found[found["rdm"] == "selected features"].set_index("part")["share"]
    assert mine["concept"] == pytest.approx(part.unique[0, 0]) and mine["total"] == pytest.approx(part.total[0])
    assert mine.drop("total").sum() == pytest.approx(mine["total"])
    few = describe_partition(Geometry(X, table, stimuli, design, rows, np.array([1]), 0))
    assert np.isnan(few["share"].iloc[0]) and "1 features" in few["note"].iloc[0]


def test_near_and_far_are_the_maps_against_those_foils(recorded):
    stimuli, table, responses = recorded
    found = near_and_far(responses, table, stimuli, np.array([3, 5]), window="all", through=None).set_index("feature")
    for title, foil in (("D_near", "near"), ("D_far", "far")):
        design = stimuli.design(f"target - {foil}")
        rows = place_of(table, stimuli, design)
        names = ("y", "weights", "groups", "cells", "scheme", "conditions", "contrast", "expression")
        design = SimpleNamespace(rows=np.arange(len(rows)), **{name: getattr(design, name) for name in names})
        wanted = rsa_map(responses[rows], design, score="discriminative").value
        np.testing.assert_allclose(found[title], wanted[found.index])
    assert found["selected"].sum() == 2 and (np.diff(found["D_near"].dropna()) <= 0).all()
    assert not np.allclose(found["D_near"], found["D_far"])


def test_pooled_responses_have_no_profiles(recorded):
    stimuli, table, responses = recorded
    pooled = responses.from_pooled(responses.pool("mean"), ids=table["id"])
    assert near_and_far(pooled, table, stimuli, np.array([1]), window="all", through=None).empty


def test_without_the_texts_of_both_foils_there_is_nothing_to_set_beside(recorded):
    stimuli, table, responses = recorded
    near = np.flatnonzero((table["condition"] != "far").to_numpy())
    found = near_and_far(responses[near], table.iloc[near].reset_index(drop=True), stimuli, np.array([1]), window="all",
                         through=None)
    assert found.empty and list(found) == ["feature", "D_near", "D_far", "selected"]
