"""Figures: the axes given are returned, numbers drawn are numbers given, hostile labels are literal, nothing collides."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cogneuro_sae import plots
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots.comparisons import cell_names
from cogneuro_sae.plots.style import name_points

HOSTILE = "<script>$x^$ \\frac{ [/] \x1b[31m =cmd \u6210\u5c31"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def a_map(**more):
    value = np.array([3.0, -2.0, 0.5, np.nan, 6.0])
    p = np.array([0.01, 0.02, 0.6, np.nan, 0.001])
    return FeatureMap(value, "paired_t", pvalue=p, p_fwe=np.array([0.2, 0.4, 1, np.nan, 0.03]), **more)


def some_cells(name="max_any"):
    rows = [{"kind": "method", "representation": rep, "selector": sel, "k": k, "auroc": auroc, "auroc_low": auroc - 0.1,
             "auroc_high": auroc + 0.1, "jaccard": 0.3, "kuncheva": 0.2}
            for rep, sel, k, auroc in (("raw", name, 1, 0.60), ("raw", name, 4, 0.65), ("sae", name, 1, 0.70), ("sae", name, 4, 0.75))]
    rows += [{"kind": "control", "representation": "sae", "selector": "random", "k": k, "auroc": 0.5, "auroc_low": 0.42,
              "auroc_high": 0.58} for k in (1, 4)]
    rows += [{"kind": "baseline", "selector": "length", "auroc": 0.55}, {"kind": "skyline", "selector": "full_probe", "auroc": 0.8}]
    return pd.DataFrame(rows).assign(concept="tiny", n_items=12, n_folds=25)


def rdms(n=6):
    from rsatoolbox.rdm import RDMs

    return RDMs(dissimilarities=np.arange(n * (n - 1) // 2, dtype=float)[None])


def calls():
    fits = pd.DataFrame({"model": [HOSTILE, "graded"], "fit": [0.3, -0.1], "ceiling_low": [0.4, np.nan], "ceiling_high": [0.6, np.nan], "n": [6, 6]})
    tests = pd.DataFrame({"name": [HOSTILE, "b"], "estimate": [0.1, np.nan], "low": [0.0, np.nan], "high": [0.2, np.nan], "p": [0.04, np.nan],
                          "p_adjusted": [0.08, np.nan], "n": [12, 12]})
    profile = pd.DataFrame(np.eye(3), index=[HOSTILE, "a", "a"], columns=[4, 5, 6])
    strongest = pd.DataFrame({"feature": [1, 2], "value": [2.0, 1.0], "token": [HOSTILE, "x"]})
    return {
        "feature_map": lambda ax: plots.feature_map(a_map(), ax=ax),
        "feature_map without p": lambda ax: plots.feature_map(FeatureMap(np.arange(5.0), HOSTILE), ax=ax),
        "p_value_histogram": lambda ax: plots.p_value_histogram(a_map(), ax=ax),
        "contrast_heatmap": lambda ax: plots.contrast_heatmap(pd.DataFrame({HOSTILE: [1.0, 2.0], "b": [0.0, 1.0]}), ax=ax),
        "response_profiles": lambda ax: plots.response_profiles(profile, title=HOSTILE, ax=ax),
        "strongest_features": lambda ax: plots.strongest_features(strongest, title=HOSTILE, ax=ax),
        "rdm": lambda ax: plots.rdm(rdms(), by=[HOSTILE, "b"] * 3, title=HOSTILE, ax=ax),
        "model_fits": lambda ax: plots.model_fits(fits, ax=ax),
        "firing_rates": lambda ax: plots.firing_rates(np.array([0, 0.1, 0.01]), ax=ax),
        "training_curve": lambda ax: plots.training_curve(pd.DataFrame({"tokens": [1e6, 2e6], "fvu": [0.5, 0.4], "l0": [60, 50]}), ax=ax),
        "comparison": lambda ax: plots.comparison(some_cells(HOSTILE), title=HOSTILE, ax=ax),
        "auroc_over_k": lambda ax: plots.auroc_over_k(some_cells(HOSTILE), title=HOSTILE, ax=ax),
        "concepts_by_methods": lambda ax: plots.concepts_by_methods(
            pd.concat([some_cells().assign(concept=name) for name in (HOSTILE, "b")]), groups={HOSTILE: HOSTILE}, ax=ax),
        "stability": lambda ax: plots.stability(some_cells(HOSTILE), ax=ax),
        "planned": lambda ax: plots.planned(tests, ax=ax),
    }


@pytest.mark.parametrize("name", calls())
def test_a_figure_returns_the_axes_it_was_given_and_draws_hostile_labels(name):
    _, ax = plt.subplots()
    with plots.look() as notes:
        assert calls()[name](ax) is ax
        ax.figure.canvas.draw()
    assert len(notes) <= 1
    assert ax.get_title(loc="left") and ax.get_xlabel() + ax.get_ylabel()


@pytest.mark.parametrize("name", sorted(set(plots.__all__) - {"look", "rdm_beside_model", "confounds"}))
def test_every_plot_has_the_house_signature(name):
    parameters = list(inspect.signature(getattr(plots, name)).parameters.values())
    assert parameters[0].kind is parameters[0].POSITIONAL_OR_KEYWORD
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[1:])
    assert parameters[-1].name == "ax" and parameters[-1].default is None


def test_the_volcano_is_symmetric_about_the_center_and_colours_what_passes():
    ax = plots.feature_map(a_map())
    low, high = ax.get_xlim()
    assert low == pytest.approx(-high)
    other, passed = ax.collections[:2]
    np.testing.assert_allclose(np.asarray(passed.get_offsets()), [[6.0, 3.0]])
    assert len(other.get_offsets()) == 3
    assert "4 features tested, 1 not tested" in ax.get_title(loc="left")
    auroc = FeatureMap(np.array([0.9, 0.4]), "auroc", pvalue=np.array([0.01, 0.5]), p_fwe=np.array([0.01, 1]), center=0.5)
    low, high = plots.feature_map(auroc).get_xlim()
    assert (low + high) / 2 == pytest.approx(0.5)


def test_comparison_draws_intervals_floors_skylines_chance_and_the_random_band():
    ax = plots.comparison(some_cells())
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[:4] == ["sae / max_any / k=4", "sae / max_any / k=1", "raw / max_any / k=4", "raw / max_any / k=1"]
    assert names[-2:] == ["length", "full_probe"]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["methods", "controls", "floors", "skylines", "chance", "highest floor", "highest skyline", "random features"]
    verticals = sorted({line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2})
    assert verticals == [0.5, 0.55, 0.8]
    spans = [line.get_xdata() for line in ax.lines if len(set(line.get_xdata())) == 2]
    assert [round(float(v), 2) for v in spans[0]] == [0.65, 0.85]
    assert "4 method cells, 12 items, 25 folds" in ax.get_title(loc="left")


def test_a_cell_without_a_result_says_why():
    cells = some_cells()
    cells.loc[0, ["auroc", "auroc_low", "auroc_high"]] = np.nan
    cells["reason"] = "no feature is estimable"
    ax = plots.comparison(cells)
    assert [text.get_text() for text in ax.texts] == ["no result: no feature is estimable"]


def test_names_hold_what_varies_and_only_that():
    cells = some_cells()
    assert cell_names(cells)[0] == "raw / max_any / k=1"
    assert cell_names(cells[cells["k"] == 4])[:2] == ["raw / max_any", "sae / max_any"]


def test_over_k_draws_one_line_per_method_through_its_scores():
    ax = plots.auroc_over_k(some_cells())
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(lines["raw / max_any"], [0.60, 0.65])
    np.testing.assert_allclose(lines["sae / max_any"], [0.70, 0.75])
    assert {"chance", "floor: length (0.55)", "skyline: full_probe (0.80)"} <= set(lines)
    assert "random features" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_wrong_input_is_said_clearly():
    with pytest.raises(InputError, match="did you mean 'auroc'"):
        plots.comparison(some_cells(), measure="aurok")
    with pytest.raises(InputError, match="2 concepts"):
        plots.comparison(pd.concat([some_cells(), some_cells().assign(concept="b")]))
    with pytest.raises(InputError, match="no method row has a k"):
        plots.auroc_over_k(some_cells().query("kind != 'method'"))
    with pytest.raises(InputError, match="no row has a stability"):
        plots.stability(some_cells().drop(columns=["jaccard", "kuncheva"]))
    with pytest.raises(InputError, match="2 labels for 6 stimuli"):
        plots.rdm(rdms(), by=["a", "b"])


def test_rdm_blocks_are_sorted_by_condition():
    values = rdms(4)
    ax = plots.rdm(values, by=["a", "b", "a", "b"])
    drawn = np.asarray(ax.images[0].get_array())
    square = values.get_matrices()[0]
    assert drawn[0, 1] == square[0, 2] and drawn[2, 3] == square[1, 3] and drawn[0, 2] == square[0, 1]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]


def test_point_names_never_cover_each_other():
    rng = np.random.default_rng(0)
    _, ax = plt.subplots(figsize=(5, 4))
    ax.set_xlim(-1, 1)
    ax.set_ylim(-1, 1)
    name_points(ax, rng.normal(0, 0.02, 12), rng.normal(0, 0.02, 12), [str(1000 + i) for i in range(12)])
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.canvas.draw()
    boxes = [plt.Text.get_window_extent(text, renderer) for text in ax.texts]
    assert len(boxes) >= 8
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = ax.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_a_missing_glyph_is_one_note_not_a_flood():
    with plots.look() as notes:
        ax = plots.strongest_features(pd.DataFrame({"feature": [1], "value": [1.0], "token": ["\U0001bca0\U0001e900\uf8ff"]}),
                                      title="\uf8ff\uf8fe")
        ax.figure.canvas.draw()
        ax.figure.canvas.draw()
    assert len(notes) == 1 and "no glyph" in notes[0]


@pytest.mark.parametrize("measure", ["auroc", "pair_accuracy"])
def test_an_axis_from_0_to_1_ends_there(measure):
    cells = some_cells().assign(**{measure: 0.97, f"{measure}_low": -0.2, f"{measure}_high": 1.0})
    low, high = plots.comparison(cells, measure=measure).get_xlim()
    assert low >= 0 and high <= 1
    low, high = plots.auroc_over_k(cells, measure=measure).get_ylim()
    assert low >= 0 and high <= 1
    free = plots.comparison(some_cells().assign(log_loss=2.0, log_loss_low=1.5, log_loss_high=2.5), measure="log_loss")
    assert free.get_xlim()[1] > 2.5


@pytest.mark.parametrize("draw", [lambda: plots.feature_map(a_map()), lambda: plots.p_value_histogram(a_map())])
def test_legends_stay_readable_at_380_pixels(draw):
    ax = draw()
    ax.figure.canvas.draw()
    box = ax.figure.get_tightbbox(ax.figure.canvas.get_renderer())
    pixels_per_inch = 380 / box.width
    assert all(text.get_fontsize() / 72 * pixels_per_inch >= 11 for text in ax.get_legend().get_texts())


def test_concepts_by_methods_shows_every_score_by_kind_with_the_mean_and_frames_what_lies_beyond_surface():
    names = ["fear", "law", "grief"]
    cells = pd.concat([some_cells().assign(concept=name, auroc=lambda table, n=n: table["auroc"] + 0.01 * n, beyond_surface_low=-0.1)
                       for n, name in enumerate(names)], ignore_index=True)
    cells.loc[(cells["concept"] == "law") & (cells["kind"] == "method") & (cells["auroc"] > 0.75), "beyond_surface_low"] = 0.02
    cells.loc[(cells["concept"] == "grief") & (cells["kind"] == "skyline"), "auroc"] = np.nan
    ax = plots.concepts_by_methods(cells, groups={"fear": "evaluative", "law": "concrete", "grief": "evaluative"})
    ticks = [tick.get_text() for tick in ax.get_yticklabels()]
    assert ticks == ["fear", "grief", "law", "mean"]
    values = np.asarray(ax.images[0].get_array().filled(np.nan))
    kinds = [0.60, 0.65, 0.70, 0.75, 0.5, 0.5, 0.55, 0.8]
    np.testing.assert_allclose(values[0], kinds)
    np.testing.assert_allclose(values[2], np.array(kinds) + 0.01)
    np.testing.assert_allclose(values[3, :7], np.array(kinds[:7]) + 0.01)
    assert np.isnan(values[1, 7]) and values[3, 7] == pytest.approx(0.805)
    frames = [patch.get_xy() for patch in ax.patches]
    assert frames == [(2.5, 1.5)]
    with pytest.raises(InputError, match="log_loss"):
        plots.concepts_by_methods(cells, measure="log_loss")
