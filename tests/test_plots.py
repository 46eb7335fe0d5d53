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


def judged_cells(name="max_any"):
    cells = some_cells(name)
    return cells.assign(detection=cells["auroc"], judge=[1.0, 1.5, np.nan, 2.5, 0.5, 0.5, np.nan, np.nan])


def rdms(n=6):
    from rsatoolbox.rdm import RDMs

    return RDMs(dissimilarities=np.arange(n * (n - 1) // 2, dtype=float)[None])


def calls():
    fits = pd.DataFrame({"model": [HOSTILE, "graded"], "fit": [0.3, -0.1], "ceiling_low": [0.4, np.nan], "ceiling_high": [0.6, np.nan], "n": [6, 6]})
    tests = pd.DataFrame({"name": [HOSTILE, "b"], "estimate": [0.1, np.nan], "low": [0.0, np.nan], "high": [0.2, np.nan], "p": [0.04, np.nan],
                          "p_adjusted": [0.08, np.nan], "n": [12, 12]})
    profile = pd.DataFrame(np.eye(3), index=[HOSTILE, "a", "a"], columns=[4, 5, 6])
    profile_of_models = pd.DataFrame({"site": ["a", HOSTILE] * 2, "model": ["m", "m", HOSTILE, HOSTILE], "fit": [0.1, 0.2, np.nan, 0.3],
                                      "low": 0.0, "high": 0.4, "ceiling_low": 0.3, "ceiling_high": 0.5, "n": 12})
    square = pd.DataFrame([[0.9, 0.4], [np.nan, 0.8]], index=[HOSTILE, "b"], columns=[HOSTILE, "b"])
    shares = pd.DataFrame({"part": [HOSTILE, "total", f"a & {HOSTILE}"], "share": [0.2, 0.19, -0.01]})
    strongest = pd.DataFrame({"feature": [1, 2], "value": [2.0, 1.0], "token": [HOSTILE, "x"]})
    return {
        "feature_map": lambda ax: plots.feature_map(a_map(), ax=ax),
        "feature_map without p": lambda ax: plots.feature_map(FeatureMap(np.arange(5.0), HOSTILE), ax=ax),
        "p_value_histogram": lambda ax: plots.p_value_histogram(a_map(), ax=ax),
        "contrast_heatmap": lambda ax: plots.contrast_heatmap(pd.DataFrame({HOSTILE: [1.0, 2.0], "b": [0.0, 1.0]}), ax=ax),
        "response_profiles": lambda ax: plots.response_profiles(profile, title=HOSTILE, ax=ax),
        "strongest_features": lambda ax: plots.strongest_features(strongest, title=HOSTILE, ax=ax),
        "rdm": lambda ax: plots.rdm(rdms(), by=[HOSTILE, "b"] * 3, title=HOSTILE, ax=ax),
        "mds": lambda ax: plots.mds(rdms(), by=[HOSTILE, "b"] * 3, names=[HOSTILE] * 6, title=HOSTILE, ax=ax),
        "qq": lambda ax: plots.qq(a_map(), ax=ax),
        "cdf": lambda ax: plots.cdf({HOSTILE: a_map(), "b": a_map()}, ax=ax),
        "top_bottom": lambda ax: plots.top_bottom(a_map(), n=1, names=[HOSTILE] * 5, ax=ax),
        "roi_overlap": lambda ax: plots.roi_overlap({HOSTILE: [1, 2], "b": [2]}, title=HOSTILE, ax=ax),
        "near_against_far": lambda ax: plots.near_against_far(
            pd.DataFrame({"D_near": [0.1, -0.2], "D_far": [0.3, 0.1], "selected": [1, 0]}), title=HOSTILE, ax=ax),
        "variance_partition": lambda ax: plots.variance_partition(shares, title=HOSTILE, ax=ax),
        "model_profile": lambda ax: plots.model_profile(profile_of_models, title=HOSTILE, ax=ax),
        "generalisation": lambda ax: plots.generalisation(square, title=HOSTILE, ax=ax),
        "position_map": lambda ax: plots.position_map(square, title=HOSTILE, marked=square > 0.5, ax=ax),
        "model_fits": lambda ax: plots.model_fits(fits, ax=ax),
        "firing_rates": lambda ax: plots.firing_rates(np.array([0, 0.1, 0.01]), ax=ax),
        "training_curve": lambda ax: plots.training_curve(pd.DataFrame({"tokens": [1e6, 2e6], "fvu": [0.5, 0.4], "l0": [60, 50]}), ax=ax),
        "comparison": lambda ax: plots.comparison(some_cells(HOSTILE), title=HOSTILE, ax=ax),
        "auroc_over_k": lambda ax: plots.auroc_over_k(some_cells(HOSTILE), title=HOSTILE, ax=ax),
        "axis_scatter": lambda ax: plots.axis_scatter(judged_cells(HOSTILE), title=HOSTILE, ax=ax),
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


@pytest.mark.parametrize("name", sorted(set(plots.__all__) - {"look", "rdm_beside_model", "confounds", "dendrogram_rdm"}))
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


def clustered(n=12, *, missing=()):
    """Two tight clusters far apart, in alternating order, on a plane; some pairs missing."""
    from rsatoolbox.rdm import RDMs
    from scipy.spatial.distance import pdist

    rng = np.random.default_rng(0)
    points = np.tile([[0.0, 0.0], [10.0, 0.0]], (n // 2, 1)) + rng.normal(size=(n, 2))
    vector, pairs = pdist(points), list(zip(*np.triu_indices(n, 1)))
    for pair in missing:
        vector[pairs.index(pair)] = np.nan
    return points, RDMs(vector[None], pattern_descriptors={"id": [f"text {i}" for i in range(n)]}, dissimilarity_measure="euclidean")


def drawn_points(ax):
    return np.vstack([np.asarray(collection.get_offsets()) for collection in ax.collections])


@pytest.mark.parametrize("missing", [(), ((0, 1), (2, 3), (4, 5), (0, 2))])
def test_mds_finds_a_plane_again_even_when_pairs_are_missing(missing):
    from scipy.spatial.distance import pdist

    points, rdms = clustered(missing=missing)
    ax = plots.mds(rdms)
    np.testing.assert_allclose(pdist(drawn_points(ax)), pdist(points), atol=0.02)
    assert "12 stimuli, stress 0.00" in ax.get_title(loc="left") and ax.get_aspect() == 1


def test_mds_says_how_much_is_lost_in_two_dimensions():
    from rsatoolbox.rdm import RDMs

    ax = plots.mds(RDMs(np.ones((1, 28))))
    stress = float(ax.get_title(loc="left").split("stress ")[1].rstrip(")"))
    places = drawn_points(ax)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(8, 1)]
    assert stress == pytest.approx(np.sqrt(np.sum((distance - 1) ** 2) / np.sum(distance**2)), abs=0.006) and stress > 0.2


def test_mds_names_cover_neither_each_other_nor_a_point():
    _, rdms = clustered(20)
    ax = plots.mds(rdms, by=["a", "b"] * 10)
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    boxes = [plt.Text.get_window_extent(text, renderer) for text in ax.texts]
    dots = ax.transData.transform(drawn_points(ax))
    frame = ax.get_window_extent()
    assert len(boxes) >= 10
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert not any(box.contains(*dot) for box in boxes for dot in dots)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a (10)", "b (10)"]


def test_the_dendrogram_orders_the_rdm_and_its_names_alike():
    _, rdms = clustered(missing=((0, 1),))
    figure = plots.dendrogram_rdm(rdms, by=["a", "b"] * 6, title="toy")
    tree, strip, matrix = figure.axes[:3]
    names = [tick.get_text() for tick in matrix.get_yticklabels()]
    order = [int(name.split()[1]) for name in names]
    assert sorted(order) == list(range(12))
    assert len({row % 2 for row in order[:6]}) == len({row % 2 for row in order[6:]}) == 1, "the clusters stay together"
    shown, square = np.asarray(matrix.images[0].get_array().filled(np.nan)), rdms.get_matrices()[0].copy()
    np.fill_diagonal(square, np.nan)
    np.testing.assert_array_equal(shown, square[np.ix_(order, order)])
    colours = np.asarray(strip.images[0].get_array())[:, 0]
    assert len({tuple(colour) for colour in colours[:6]}) == 1 and tuple(colours[0]) != tuple(colours[-1])
    assert tree.yaxis_inverted(), "the first leaf stands beside the first row"
    assert "12 stimuli, average linkage, 1 pairs missing" in tree.get_title(loc="left")


def test_qq_puts_ordered_p_against_uniform_quantiles():
    p = np.array([0.5, 0.02, np.nan, 0.9, 0.3])
    ax = plots.qq(FeatureMap(np.arange(5.0), "toy", pvalue=p, p_fwe=np.array([1, 0.04, np.nan, 1, 1])))
    other, passed = (np.asarray(c.get_offsets()) for c in ax.collections[1:3])
    np.testing.assert_allclose(passed, [[-np.log10(0.125), -np.log10(0.02)]])
    np.testing.assert_allclose(other, -np.log10([[0.375, 0.3], [0.625, 0.5], [0.875, 0.9]]))
    from scipy.stats import beta

    band = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(band[:, 1], -np.log10(beta.ppf(0.025, 1, 4))).any() and np.isclose(band[:, 1], -np.log10(beta.ppf(0.975, 1, 4))).any()
    with pytest.raises(InputError, match="no p"):
        plots.qq(FeatureMap(np.arange(3.0), "toy"))


def test_cdf_counts_what_it_draws():
    ax = plots.cdf({"a": a_map(), "b": FeatureMap(np.arange(5.0), "paired_t")})
    line = ax.lines[0]
    np.testing.assert_allclose(line.get_xdata()[1:], [-2, 0.5, 3, 6])
    np.testing.assert_allclose(line.get_ydata()[1:], [0.25, 0.5, 0.75, 1])
    assert "1 without a number" in ax.get_title(loc="left")
    assert plots.cdf(a_map(), of="pvalue").get_xlim() == (0, 1)
    with pytest.raises(InputError, match="'b' has no pvalue"):
        plots.cdf({"a": a_map(), "b": FeatureMap(np.arange(5.0), "paired_t")}, of="pvalue")
    with pytest.raises(InputError, match="did you mean 'pvalue'"):
        plots.cdf(a_map(), of="pvalues")


def test_top_bottom_draws_both_ends_in_order_from_the_center():
    value = np.array([0.9, 0.2, np.nan, 0.6, 0.4, 0.5])
    ax = plots.top_bottom(FeatureMap(value, "auroc", center=0.5, p_fwe=np.array([0.01, 1, np.nan, 1, 1, 1])), n=2)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["0", "3", "4", "1"]
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches[:4]]
    np.testing.assert_allclose(ends, [0.9, 0.6, 0.4, 0.2])
    colours = [bar.get_facecolor() for bar in ax.patches[:4]]
    assert colours[0] != colours[1] == colours[2] == colours[3]
    assert [text.get_text() for text in ax.texts] == ["1 features between"] and "4 of 5 features" in ax.get_title(loc="left")
    assert len(plots.top_bottom(a_map()).patches) == 4


def test_roi_overlap_prints_jaccard_and_counts():
    ax = plots.roi_overlap({"a": [1, 2, 3, 3], "b": [3, 4], "c": []})
    assert [text.get_text() for text in ax.texts] == ["3", "0.25\n1", "0.00\n0", "0.25\n1", "2", "0.00\n0", "0.00\n0", "0.00\n0", "0"]
    with pytest.raises(InputError, match="at least 2"):
        plots.roi_overlap({"a": [1]})


def test_variance_partition_draws_the_total_last_and_shared_parts_in_grey():
    shares = pd.DataFrame({"part": ["total", "concept", "concept & length", "length"], "share": [0.3, 0.2, -0.05, np.nan]})
    ax = plots.variance_partition(shares)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["concept", "concept & length", "length", "total"]
    assert [text.get_text() for text in ax.texts] == ["0.200", "-0.050", "no result", "0.300"]
    widths, colours = [bar.get_width() for bar in ax.patches], [bar.get_facecolor() for bar in ax.patches]
    np.testing.assert_allclose(widths, [0.2, -0.05, np.nan, 0.3])
    assert colours[0] == colours[2] != colours[1] != colours[3]
    low, high = ax.get_xlim()
    assert low < -0.05 and high > 0.3


def test_a_model_profile_has_a_line_per_model_and_the_ceiling_of_each_site():
    profile = pd.DataFrame({"site": ["l1", "l0"] * 2, "model": ["a", "a", "b", "b"], "fit": [0.1, 0.2, 0.3, 0.4],
                            "ceiling_low": [0.5, 0.6] * 2, "ceiling_high": [0.7, 0.8] * 2})
    ax = plots.model_profile(profile)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["a"].get_ydata(), [0.1, 0.2])
    np.testing.assert_allclose(lines["b"].get_ydata(), [0.3, 0.4])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["l1", "l0"], "sites keep their order"
    band = ax.collections[0].get_paths()[0].vertices
    for x, low, high in ((0, 0.5, 0.7), (1, 0.6, 0.8)):
        assert {low, high} <= set(np.round(band[np.isclose(band[:, 0], x), 1], 6))
    assert "paraphrase ceiling" in [text.get_text() for text in ax.get_legend().get_texts()]
    bare = plots.model_profile(profile[["site", "model", "fit"]])
    assert "paraphrase ceiling" not in [text.get_text() for text in bare.get_legend().get_texts()]


def test_generalisation_is_centered_at_chance_and_trains_down_the_rows():
    square = pd.DataFrame([[0.9, 0.4], [np.nan, 0.8]], index=["early", "late"], columns=["early", "late"])
    ax = plots.generalisation(square)
    image = ax.images[0]
    assert image.get_clim() == pytest.approx((0.1, 0.9))
    assert [text.get_text() for text in ax.texts] == [".90", ".40", ".80"] and [text.get_position() for text in ax.texts] == [(0, 0), (1, 0), (1, 1)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tested at", "trained at")
    pale = plots.generalisation(square * 0 + 0.52)
    assert pale.images[0].get_clim() == pytest.approx((0.3, 0.7)), "noise is not stretched over the whole scale"


def test_a_position_map_marks_places_and_is_symmetric():
    values = pd.DataFrame([[1.0, -4.0, np.nan], [0.0, 2.0, 1.0]], index=[7, 3], columns=[1, 2, 3])
    ax = plots.position_map(values, marked=values < -3)
    assert ax.images[0].get_clim() == (-4, 4) and "1 marked" in ax.get_title(loc="left")
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[1, 0]])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["7", "3"]
    with pytest.raises(InputError, match="marked has shape"):
        plots.position_map(values, marked=values.iloc[:1] > 0)


def test_maps_of_rdms_say_what_does_not_fit():
    with pytest.raises(InputError, match="2 labels for 6"):
        plots.mds(rdms(), by=["a", "b"])
    with pytest.raises(InputError, match="5 names for 6"):
        plots.dendrogram_rdm(rdms(), names=list("abcde"))
    with pytest.raises(InputError, match="unknown linkage 'ward'; allowed: average"):
        plots.dendrogram_rdm(rdms(), method="ward")
    with pytest.raises(InputError, match="fewer than 3 stimuli"):
        plots.mds(rdms(2))


def test_the_scatter_of_two_axes_shows_every_cell_with_both_and_counts_the_others():
    ax = plots.axis_scatter(judged_cells())
    drawn = {each.get_label(): np.asarray(each.get_offsets()) for each in ax.collections if hasattr(each, "get_sizes")
             and len(each.get_sizes())}
    np.testing.assert_allclose(drawn["raw / max_any"], [[0.60, 1.0], [0.65, 1.5]])
    np.testing.assert_allclose(drawn["sae / max_any"], [[0.75, 2.5]])
    np.testing.assert_allclose(drawn["control: random"], [[0.5, 0.5], [0.5, 0.5]])
    assert "1 without a value" in ax.get_title(loc="left")
    assert ax.get_xlim()[0] >= 0 and ax.get_xlim()[1] <= 1
    with pytest.raises(InputError, match="no method has both detection and judge"):
        plots.axis_scatter(judged_cells().assign(judge=np.nan))
    with pytest.raises(InputError, match="judge"):
        plots.axis_scatter(judged_cells(), y="jugde")
    with pytest.raises(InputError, match="2 concepts"):
        plots.axis_scatter(pd.concat([judged_cells(), judged_cells().assign(concept="b")]))
