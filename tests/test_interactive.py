"""Interactive twins show the numbers of the static figures; nobody who did not ask for them loads plotly."""

import html
import json
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cogneuro_sae import files, plots
from cogneuro_sae.concept_map import MapConfig, map_concept
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.plots import interactive
from cogneuro_sae.report import build_report

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>alert(1)</script><b>$x^$</b> &lt; \x1b[31m"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def points(figure):
    return np.vstack([np.column_stack([trace.x, trace.y]) for trace in figure.data])


def drawn(ax):
    return np.vstack([np.asarray(collection.get_offsets()) for collection in ax.collections])


def a_map(**more):
    value, p = np.array([3.0, -2.0, 0.5, np.nan, 6.0]), np.array([0.01, 0.02, 0.6, np.nan, 0.001])
    return FeatureMap(value, "paired_t", pvalue=p, p_fwe=np.array([0.2, 0.4, 1, np.nan, 0.03]), **more)


def some_rdms(n=6, missing=()):
    from rsatoolbox.rdm import RDMs

    vector = np.random.default_rng(0).random(n * (n - 1) // 2) + 0.5
    vector[list(missing)] = np.nan
    return RDMs(vector[None], pattern_descriptors={"id": [f"cell {row}" for row in range(n)]})


def test_the_volcano_has_the_points_colours_and_words_of_its_twin():
    static, twin = plots.feature_map(a_map()), interactive.feature_map(a_map())
    np.testing.assert_allclose(points(twin), drawn(static))
    assert [trace.name for trace in twin.data] == ["other (3)", "p_FWE &lt;= 0.05 (1)"]
    assert twin.layout.title.text == static.get_title(loc="left") and twin.layout.xaxis.title.text == static.get_xlabel()
    np.testing.assert_allclose(twin.layout.xaxis.range, static.get_xlim())
    assert twin.data[1].text == ("feature 4<br>t over item differences 6<br>p 0.001<br>p_FWE 0.03",)
    bare = interactive.feature_map(FeatureMap(np.array([1.0, np.nan, 3.0]), "auroc"))
    np.testing.assert_allclose(points(bare), [[1, 3], [2, 1]])
    assert "no p, descriptive" in bare.layout.title.text and "1 without value" in bare.layout.title.text


def test_a_position_map_has_the_values_marks_and_scale_of_its_twin():
    values = pd.DataFrame([[1.0, -4.0, np.nan], [0.0, 2.0, 1.0]], index=[7, 3], columns=["a", "b", "a"])
    static, twin = plots.position_map(values, marked=values < -3), interactive.position_map(values, marked=values < -3)
    np.testing.assert_array_equal(np.asarray(twin.data[0].z, float), values)
    assert (twin.data[0].zmin, twin.data[0].zmax) == static.images[0].get_clim()
    np.testing.assert_allclose(points(type(twin)(twin.data[1:])), static.collections[0].get_offsets())
    assert twin.layout.title.text == static.get_title(loc="left")
    assert twin.data[0].text[0][2] == "feature 7, 3: a" and list(twin.layout.yaxis.ticktext) == ["7", "3"]
    assert twin.layout.yaxis.autorange == "reversed", "the first feature stands on top, as in the static figure"
    with pytest.raises(InputError, match="marked has shape"):
        interactive.position_map(values, marked=values.iloc[:1] > 0)


def test_mds_puts_the_same_cells_in_the_same_places():
    rdms, by = some_rdms(missing=(2,)), ["a", "b", "b"] * 2
    static, twin = plots.mds(rdms, by=by), interactive.mds(rdms, by=by)
    np.testing.assert_allclose(points(twin), drawn(static))
    assert [trace.name for trace in twin.data] == ["a (2)", "b (4)"] and twin.data[1].text[0] == "cell 1<br>b"
    assert twin.layout.title.text == static.get_title(loc="left")
    with pytest.raises(InputError, match="fewer than 3"):
        interactive.mds(some_rdms(2))


def test_many_points_are_drawn_on_a_canvas(monkeypatch):
    monkeypatch.setattr(interactive, "CANVAS", 2)
    assert {trace.type for trace in interactive.feature_map(FeatureMap(np.arange(5.0), "auroc")).data} == {"scattergl"}


def test_hostile_text_stays_text():
    values = pd.DataFrame([[1.0, 2.0]], index=[HOSTILE], columns=[HOSTILE, "b"])
    figures = [interactive.position_map(values, title=HOSTILE, unit=HOSTILE), interactive.mds(some_rdms(3), by=[HOSTILE] * 3, names=[HOSTILE] * 3),
               interactive.feature_map(FeatureMap(np.arange(5.0), HOSTILE))]
    for figure in figures:
        text = interactive.embed(figure, name="one")
        assert text.count("<script") == 1 and "alert(1)</" not in text and "\x1b" not in text
        told = json.dumps(json.loads(figure.to_json()))
        assert "<script" not in told and "<b>$x" not in told and "&lt;b&gt;" in told
        assert interactive.embed(figure, name="one") == text


def a_run(tmp_path, **config):
    """A finished map folder of one concept, written by hand."""
    folder = tmp_path / "results" / "demo" / "0123456789"
    files.write_text(folder / "config.yaml", json.dumps({"name": "demo", **config}))
    view = folder / "view" / "achievement"
    (folder / "maps").mkdir(parents=True)
    np.savez(folder / "maps" / "achievement.npz", **a_map().to_arrays("sae.paired_t/"))
    files.write_json(view / "stimuli.json", {"concept": "achievement"})
    rows = [(f"text.{side}.1", side, place, token, feature, 0.5 * place) for side in ("target", "near")
            for place, token in enumerate(["She", HOSTILE.replace('"', "")]) for feature in (4, 0)][:4]
    frame = pd.DataFrame(rows, columns=["id", "condition", "position", "token", "feature", "value"])
    frame.to_csv(view / "profiles.csv", index=False)
    cells = np.array([f"item{k}.{side}" for side in ("target", "near") for k in range(3)])
    vector = np.random.default_rng(1).random(15)
    silent = np.isin(np.column_stack(np.triu_indices(6, 1)), [5]).any(axis=1)
    np.savez(view / "rdms.npz", cells=cells, conditions=np.array(["target"] * 3 + ["near"] * 3), measure=np.array("correlation distance"),
             **{"data.all features": np.where(silent, np.nan, vector), "model.target against foil": vector})
    files.write_json(folder / "provenance.json", {"verb": "map", "warnings": []})
    return folder


@pytest.mark.slow
def test_the_report_holds_the_twins_and_their_script_once_when_asked(tmp_path):
    page = build_report(a_run(tmp_path, interactive=True)).read_text("utf-8")
    assert page.count('class="plotly-graph-div"') == 3 and page.count(interactive.library()) == 1
    shown = [page.index(text) for text in ('alt="Map of sae / paired_t"', "<b>Map of sae / paired_t, to point at.</b>",
                                           'alt="Token profile of text.target.1"', "<b>Token profile of text.target.1, to point at.</b>",
                                           'alt="all features in two dimensions"', "<b>all features in two dimensions, to point at.</b>")]
    assert shown == sorted(shown)
    assert "5 cells" in page, "the cell without a pattern is left out"
    assert "alert(1)</script>" not in page.replace(interactive.library(), "")
    again = build_report(tmp_path / "results" / "demo" / "0123456789").read_text("utf-8")
    assert again == page


@pytest.mark.slow
def test_a_report_is_static_unless_asked_and_says_when_plotly_is_gone(tmp_path, monkeypatch):
    plain = build_report(a_run(tmp_path / "a")).read_text("utf-8")
    assert "plotly" not in plain and "<script" not in plain.replace("&lt;script", "")
    find = importlib_find()
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "plotly" else find(name, *more))
    without = build_report(a_run(tmp_path / "b", interactive=True)).read_text("utf-8")
    assert "interactive figures are left out: plotly is not installed" in html.unescape(without)
    assert "plotly-graph-div" not in without and "Map of sae / paired_t" in without


def importlib_find():
    import importlib.util

    return importlib.util.find_spec


def test_asking_without_plotly_stops_before_any_work(tmp_path, monkeypatch):
    find = importlib_find()
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "plotly" else find(name, *more))
    with pytest.raises(SetupError, match=r"need plotly; pip install 'cogneuro_sae\[interactive\]'"):
        map_concept(MapConfig(name="demo", stimuli="achievement", interactive=True), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(SetupError):
        interactive.mds(some_rdms())


@pytest.mark.slow
def test_plotly_is_not_imported_by_a_static_report(tmp_path):
    folder = a_run(tmp_path)
    code = f"import sys; from cogneuro_sae.report import build_report; build_report({str(folder)!r}); import cogneuro_sae.plots.interactive; print('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to run the page in")
def test_a_browser_draws_the_twins(tmp_path):
    page = build_report(a_run(tmp_path, interactive=True))
    done = subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
                           "--virtual-time-budget=8000", "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
    drawn_page = done.stdout[done.stdout.index("<body"):]
    assert drawn_page.count("main-svg") >= 3 and "alert(1)" in drawn_page
    assert drawn_page.count('class="point"') + drawn_page.count("<image") >= 4
