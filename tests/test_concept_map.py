"""map: configs, the results folder, planted features found, confirm items unread, descriptions equal to hand computation."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from cogneuro_sae.concept_map import MapConfig, describe_concept, load_map_config, map_concept
from cogneuro_sae.concept_map.geometry import _fit_row
from cogneuro_sae.concept_map.map_config import SCORES
from cogneuro_sae.concept_map.maps import _passing, feature_table
from cogneuro_sae.concept_map.view import strongest_per_text
from cogneuro_sae.contrasts import CONTRASTS
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.interrupts import Interrupted
from cogneuro_sae.report import build_report
from cogneuro_sae.report.folder import read_maps, read_run, read_table
from cogneuro_sae.responses import Responses
from cogneuro_sae.stimuli import StimulusSet

N_ITEMS, N_TOKENS, N_UNITS, PLANTED = 12, 12, 10, 3
PLACES = "river bridge tower forest harbour market school kitchen garden station valley theatre attic cellar".split()


def write_set(folder, *, confirm=("at-tower",)):
    lines = ["name: tiny", "concept: courage", "definition: Somebody dares.", "conditions: {target: with, near: without, far: other}",
             "contrasts: {main: target - near}", f"split: {{confirm: [{', '.join(confirm)}]}}", "items:"]
    for place in PLACES[:N_ITEMS] + ["cellar"]:
        lines += [f"  - item: at-{place}",
                  f"    target: [At the {place} she went in to get the boy out., Into the {place} for the boy she went alone.]",
                  f"    near: [At the {place} she sat down to have her lunch., Near the {place} she had her lunch alone.]"]
    for place in PLACES[:4]:
        lines += [f"  - item: far-{place}", f"    far: [The {place} was painted green last autumn by somebody.]"]
    path = folder / "tiny.yaml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def make_responses(stimuli, *, seed=0, effect=4.0, confirm_noise=0.0):
    rng = np.random.default_rng(seed)
    n = len(stimuli)
    values = rng.normal(0, 1, (n, N_TOKENS, N_UNITS))
    target = (stimuli.table["condition"] == "target").to_numpy()
    values[target, :, PLANTED] += effect
    held = (stimuli.table["split"] == "confirm").to_numpy()
    values[held] += confirm_noise
    tokens = np.tile([f"t{i}" for i in range(N_TOKENS)], n)
    specials = np.tile(np.arange(N_TOKENS) == 0, n)
    starts = np.tile(np.arange(N_TOKENS), n)
    return Responses(values.reshape(-1, N_UNITS), tokens, np.arange(n + 1) * N_TOKENS, specials,
                     np.stack([starts, starts + 1], 1), stimuli.ids, "model.layers.1", "made up", "0" * 64)


class NoChecks:
    """Stands in for stimuli.check(), which has its own tests and takes longer than all the rest here."""

    def to_dict(self):
        return {"lines": [{"level": "ok", "name": "none", "text": "not checked"}], "baselines": []}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(StimulusSet, "check", lambda self, **_: NoChecks())
    path = write_set(tmp_path)
    stimuli = StimulusSet.from_yaml(path)
    make_responses(stimuli).save(tmp_path / "recorded.npz")
    return tmp_path, stimuli


def a_config(folder, **more):
    settings = {"name": "tiny", "stimuli": str(folder / "tiny.yaml"), "responses": str(folder / "recorded.npz"),
                "representation": "raw", "permutations": 300, "top": 4}
    return MapConfig(**{**settings, **more})


def test_a_set_or_a_config_makes_a_map_config(tmp_path):
    shipped = load_map_config("achievement", overrides=["permutations=99"])
    assert (shipped.name, shipped.stimuli, shipped.permutations) == ("achievement", "achievement", 99)
    assert load_map_config("demo").stimuli == "achievement"
    own = load_map_config(write_set(tmp_path))
    assert own.name == "tiny" and own.stimuli == str(tmp_path / "tiny.yaml")
    (tmp_path / "mine.yaml").write_text("name: mine\nstimuli: tiny.yaml\nrepresentation: raw\n")
    assert load_map_config(tmp_path / "mine.yaml").stimuli == str(tmp_path / "tiny.yaml")


@pytest.mark.parametrize("text, wanted", [
    ("window: frist(3)", "first(n)"), ("scores: [paired_q]", "did you mean 'paired_t'"), ("permutations: 5", "permutations"),
    ("rsa: [discriminativ]", "did you mean 'discriminative'"), ("colour: red", "colour"), ("name: ../x", "name"),
    ("responses: r.npz\nmodel: default", "exclude each other"), ("pooling: median", "pooling"), ("top: 0", "top")])
def test_a_bad_config_is_one_clear_error(tmp_path, text, wanted):
    (tmp_path / "mine.yaml").write_text(("" if text.startswith("name") else "name: mine\n") + f"stimuli: achievement\n{text}\n")
    with pytest.raises(InputError, match=re.escape(wanted)):
        load_map_config(tmp_path / "mine.yaml")


def test_the_scores_known_to_the_config_are_those_of_the_contrasts():
    assert set(SCORES) == set(CONTRASTS)


def test_a_planted_feature_is_found_and_the_folder_is_complete(place):
    folder, stimuli = place
    said = []
    made = map_concept(a_config(folder), out=folder / "results", progress=said.append)
    assert re.fullmatch(r"[0-9a-f]{10}", made.name) and made.parent.name == "tiny"
    found = {p.name for p in made.iterdir()}
    assert {"config.yaml", "maps", "features.csv", "provenance.json", "view", "log.txt"} <= found
    newest = max((p for p in made.rglob("*") if p.is_file() and p.name not in ("log.txt", ".lock", ".lock-owner")),
                 key=lambda p: p.stat().st_mtime_ns)
    assert newest.name == "provenance.json"
    features = read_table(made / "features.csv")
    best = features[features["rank"] == 1].set_index("score")
    assert best.loc["paired_t", "feature"] == best.loc["auroc", "feature"] == PLANTED
    assert best.loc["paired_t", "p_fwe"] <= 0.05 and best.loc["rsa_categorical", "feature"] == PLANTED
    maps = read_maps(made / "maps" / "tiny.npz")
    assert list(maps) == ["paired_t", "auroc", "rsa_discriminative", "rsa_categorical"]
    assert maps["auroc"].value[PLANTED] == 1.0
    X = pd.DataFrame(make_responses(stimuli).pool()).groupby([stimuli.table["item"], stimuli.table["condition"]]).mean()
    X = X.drop("at-tower").drop([f"far-{place}" for place in PLACES[:4]])
    t = ttest_1samp(X.xs("target", level=1).to_numpy() - X.xs("near", level=1).to_numpy(), 0).statistic
    np.testing.assert_allclose(maps["paired_t"].value, t, rtol=1e-4)
    record = json.loads((made / "provenance.json").read_text())
    assert record["verb"] == "map" and "2^12" in record["scheme"] and record["seed"] == 0
    assert map_concept(a_config(folder), out=folder / "results", progress=said.append) == made
    assert "already done" in said[-1]


def test_the_same_content_gives_the_same_folder_and_numbers_wherever_it_lies(place, tmp_path_factory):
    folder, stimuli = place
    first = map_concept(a_config(folder), out=folder / "results")
    other = tmp_path_factory.mktemp("elsewhere")
    write_set(other)
    (other / "recorded.npz").write_bytes((folder / "recorded.npz").read_bytes())
    second = map_concept(a_config(other), out=other / "results")
    assert first.name == second.name
    assert (first / "features.csv").read_bytes() == (second / "features.csv").read_bytes()
    assert map_concept(a_config(folder, seed=1), out=folder / "results", dry_run=True).name != first.name


def test_an_interrupted_map_is_made_again(place):
    folder, _ = place
    made = map_concept(a_config(folder), out=folder / "results")
    before = (made / "features.csv").read_bytes()
    (made / "provenance.json").unlink()
    (made / "features.csv").write_bytes(b"torn")
    (made / f".writing-1-{'x' * 6}").write_bytes(b"litter")
    assert map_concept(a_config(folder), out=folder / "results") == made
    assert (made / "features.csv").read_bytes() == before and not list(made.glob(".writing-*"))


def test_a_dry_run_writes_nothing(place):
    folder, _ = place
    map_concept(a_config(folder), out=folder / "results", dry_run=True)
    assert not (folder / "results").exists()


def test_confirm_items_are_never_looked_at(place):
    folder, stimuli = place
    first = map_concept(a_config(folder), out=folder / "results")
    make_responses(stimuli, confirm_noise=50.0).save(folder / "recorded.npz")
    second = map_concept(a_config(folder), out=folder / "results")
    assert first != second
    kept = ("features.csv", "view/tiny/means.csv", "view/tiny/strongest.csv", "view/tiny/fits.csv", "view/tiny/rdms.npz")
    for name in kept:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert "at-tower" not in (first / "view/tiny/strongest.csv").read_text()


def test_descriptions_equal_hand_computation(place):
    folder, stimuli = place
    responses, design = make_responses(stimuli), stimuli.design()
    view = describe_concept(folder / "out", stimuli=stimuli, design=design, responses=responses, selected=[PLANTED, 0, 1],
                            transform="none")
    keep = (stimuli.table["split"] != "confirm").to_numpy()
    tokens = responses.values.reshape(len(stimuli), N_TOKENS, N_UNITS)
    X = tokens[:, 1:].mean(axis=1)
    target = keep & (stimuli.table["condition"] == "target").to_numpy()
    means = read_table(view / "means.csv").set_index("feature")
    assert list(means.columns) == ["target", "near", "far"]
    np.testing.assert_allclose(means.loc[PLANTED, "target"], X[target, PLANTED].mean(), rtol=1e-5)
    strongest = read_table(view / "strongest.csv")
    row = int(np.flatnonzero(keep)[0])
    top = strongest[strongest["id"] == stimuli.ids[row]]
    assert top["feature"].tolist() == np.argsort(-X[row])[:5].tolist()
    feature = int(top["feature"].iloc[0])
    assert top["token"].iloc[0] == f"t{1 + tokens[row, 1:, feature].argmax()}"
    profiles = read_table(view / "profiles.csv")
    assert profiles["id"].unique().tolist() == [f"at-{p}.{c}.1" for p in PLACES[:2] for c in ("target", "near")]
    one = profiles[(profiles["id"] == stimuli.ids[row]) & (profiles["feature"] == PLANTED)]
    np.testing.assert_allclose(one["value"], tokens[row, 1:, PLANTED], rtol=1e-5)
    record = json.loads((view / "responses.json").read_text())
    assert record["n_stimuli"] == keep.sum() and record["n_specials"] == keep.sum() and record["unit"].startswith("pooled activation")
    arrays = np.load(view / "rdms.npz")
    cells = arrays["cells"].tolist()
    a, b = cells.index("at-river.target"), cells.index("far-river.far")
    ids = stimuli.table["item"] + "." + stimuli.table["condition"]
    patterns = [X[(ids == name).to_numpy()].mean(axis=0) for name in (cells[a], cells[b])]
    index = {pair: i for i, pair in enumerate(zip(*np.triu_indices(len(cells), 1)))}
    assert arrays["data.all features"][index[a, b]] == pytest.approx(1 - np.corrcoef(*patterns)[0, 1], abs=1e-5)
    assert arrays["model.target against rest"][index[a, b]] == 1.0


def test_model_fits_leave_pairs_within_an_item_out():
    items = np.array(["i", "i", "j", "j"])
    cells = pd.DataFrame({"item": items, "rows": [[0]] * 4})
    data, model = np.array([9.0, 1, 2, 3, 1, 9]), np.array([0.0, 1, 3, 2, 2, 0])
    across = [1, 2, 3, 4]
    row = _fit_row("set", "m", data, model, cells)
    assert row["fit"] == pytest.approx(np.corrcoef(data[across], model[across])[0, 1])
    data[1] = np.nan
    row = _fit_row("set", "m", data, model, cells)
    assert row["fit"] == pytest.approx(np.corrcoef(data[[2, 3, 4]], model[[2, 3, 4]])[0, 1])
    assert np.isnan(_fit_row("set", "m", data, np.ones(6), cells)["fit"])


def test_strongest_per_text_breaks_ties_by_index_and_names_no_token_for_pooled_responses():
    X = np.array([[0.0, 2, 2], [1, 0, 3]], np.float32)
    table = pd.DataFrame({"id": ["a", "b"], "condition": ["target", "near"]})
    found = strongest_per_text(X, Responses.from_pooled(X), table, top=2)
    assert found["feature"].tolist() == [1, 2, 2, 0] and set(found["token"]) == {""}


def test_pooled_responses_make_a_map_without_profiles_and_say_so(place):
    folder, stimuli = place
    responses = make_responses(stimuli)
    Responses.from_pooled(responses.pool(transform="none"), ids=stimuli.ids).save(folder / "recorded.npz")
    made = map_concept(a_config(folder), out=folder / "results")
    record = json.loads((made / "provenance.json").read_text())
    assert any("no RSA discriminative map" in line for line in record["warnings"])
    assert not (made / "view/tiny/profiles.csv").exists()
    with pytest.raises(InputError):
        map_concept(a_config(folder, rsa=("discriminative",)), out=folder / "results")


def test_wrong_responses_are_refused_and_a_failure_leaves_its_trace(place, monkeypatch):
    folder, stimuli = place
    short = make_responses(stimuli)[np.arange(5)]
    short.save(folder / "recorded.npz")
    with pytest.raises(InputError, match="lack .* stimuli"):
        map_concept(a_config(folder), out=folder / "results")
    assert not (folder / "results").exists()
    make_responses(stimuli).save(folder / "recorded.npz")
    from cogneuro_sae.concept_map import making

    def broken(*_):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(making, "feature_table", broken)
    with pytest.raises(ZeroDivisionError):
        map_concept(a_config(folder), out=folder / "results")
    made = next((folder / "results" / "tiny").iterdir())
    assert "ZeroDivisionError: planted" in (made / "log.txt").read_text() and not (made / "provenance.json").exists()
    assert "did not finish" in build_report(made).read_text("utf-8")


def test_a_foreign_folder_is_never_written_to(place):
    folder, _ = place
    made = map_concept(a_config(folder), out=folder / "results", dry_run=True)
    made.mkdir(parents=True)
    (made / "thesis.doc").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        map_concept(a_config(folder), out=folder / "results")
    assert [p.name for p in made.iterdir()] == ["thesis.doc"]


@pytest.mark.parametrize("kind, error", [("file", InputError), ("below a file", InputError), ("proc", SetupError), ("readonly", SetupError)])
def test_a_place_that_cannot_hold_results_is_refused_before_anything_is_loaded(place, monkeypatch, kind, error):
    folder, _ = place
    (folder / "taken").write_text("mine")
    out = {"file": folder / "taken", "below a file": folder / "taken" / "deeper", "proc": "/proc/x", "readonly": folder / "ro"}[kind]
    if kind == "readonly":
        monkeypatch.setattr("os.access", lambda path, mode: False)
    if kind == "proc" and not Path("/proc").is_dir():
        pytest.skip("no /proc here")
    monkeypatch.setattr("cogneuro_sae.concept_map.making.prepare", lambda *_, **__: pytest.fail("loaded before the check"))
    before = sorted(p.name for p in folder.rglob("*"))
    with pytest.raises(error, match="another --out"):
        map_concept(a_config(folder), out=out)
    assert sorted(p.name for p in folder.rglob("*")) == before and (folder / "taken").read_text() == "mine"


def test_finished_maps_in_a_read_only_folder_are_still_found(place, monkeypatch):
    folder, _ = place
    made = map_concept(a_config(folder), out=folder / "results")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert map_concept(a_config(folder), out=folder / "results") == made


def test_ctrl_c_says_what_to_do_and_leaves_nothing_that_looks_finished(place, monkeypatch):
    folder, _ = place
    from cogneuro_sae.concept_map import making

    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "describe_concept", pressed)
    with pytest.raises(Interrupted, match="interrupted.*run the same command again") as caught:
        map_concept(a_config(folder), out=folder / "results")
    assert caught.value.exit_code == 130
    assert not list((folder / "results").rglob("provenance.json"))
    monkeypatch.undo()
    monkeypatch.setattr(StimulusSet, "check", lambda self, **_: NoChecks())
    assert (map_concept(a_config(folder), out=folder / "results") / "provenance.json").is_file()


@pytest.mark.slow
def test_a_set_too_small_to_test_is_refused_at_once_and_its_advice_works(tmp_path, monkeypatch):
    monkeypatch.setattr(StimulusSet, "check", lambda self, **_: NoChecks())
    text = write_set(tmp_path).read_text("utf-8")
    head, *items = text.split("  - item: ")
    (tmp_path / "tiny.yaml").write_text("  - item: ".join([head.replace("[at-tower]", "[]"), *items[:2], items[3], *items[-4:]]), "utf-8")
    make_responses(StimulusSet.from_yaml(tmp_path / "tiny.yaml")).save(tmp_path / "recorded.npz")
    for dry_run in (True, False):
        with pytest.raises(InputError, match="permutations=0"):
            map_concept(a_config(tmp_path), out=tmp_path / "results", dry_run=dry_run)
    assert not (tmp_path / "results").exists()
    said = []
    made = map_concept(a_config(tmp_path, permutations=0), out=tmp_path / "results", progress=said.append)
    assert all(fmap.pvalue is None for fmap in read_maps(made / "maps" / "tiny.npz").values())
    assert any("no p (permutations: 0)" in line for line in said)
    shown = build_report(made).read_text("utf-8")
    assert "could not be written" not in shown and "made without permutations" in shown


def two_sided(value, p_fwe, **more):
    value = np.array(value)
    return FeatureMap(value, "auroc", pvalue=np.array(p_fwe), p_fwe=np.array(p_fwe), direction=np.sign(value - 0.5), center=0.5,
                      info={"tail": "two-sided", **more})


def test_the_strongest_features_hold_significant_ones_of_either_direction():
    fmap = two_sided([0.9, 0.8, 0.7, 0.42, 0.1, np.nan], [0.9, 0.9, 0.9, 0.01, 0.9, np.nan])
    found = feature_table("c", {"auroc": fmap}, 2)
    assert found["feature"].tolist() == [3, 0, 4, 1] and found["side"].tolist() == ["low", "high", "low", "high"]
    assert found["rank"].tolist() == [1, 2, 3, 4]
    one_sided = FeatureMap(np.array([-1.0, 2.0, 3.0]), "rsa_discriminative", pvalue=np.ones(3), p_fwe=np.ones(3), info={"tail": "positive"})
    assert feature_table("c", {"rsa_discriminative": one_sided}, 2)["feature"].tolist() == [2, 1]


def test_progress_counts_out_of_the_features_that_were_tested():
    value = np.linspace(0, 1, 3000)
    p = np.where(np.arange(3000) < 2965, 0.9, np.nan)
    assert _passing("auroc", two_sided(value, p)) == "auroc: 0 of 2,965 tested features with p_FWE <= 0.05"


def test_two_conditions_give_one_bar_for_their_one_model(place):
    folder, stimuli = place
    keep = np.flatnonzero((stimuli.table["condition"] != "far").to_numpy() & (stimuli.table["split"] != "confirm").to_numpy())
    view = describe_concept(folder / "two", stimuli=stimuli, design=stimuli.design(), responses=make_responses(stimuli)[keep],
                            rows=keep, selected=[PLANTED, 0, 1])
    fits = read_table(view / "fits.csv")
    assert fits.groupby("rdm")["model"].apply(list).tolist() == [["target against foil"]] * 2
    assert fits["fit"].notna().all() and fits["ceiling_low"].notna().all()


@pytest.mark.slow
def test_map_of_the_planted_feature_reports_it(place):
    folder, _ = place
    made = map_concept(a_config(folder), out=folder / "results")
    text = build_report(made).read_text("utf-8")
    assert "could not be written" not in text
    assert f"Strongest: feature {PLANTED}" in text and "no errors, no warnings" in text
    assert read_run(made).finished and "D_near" in text and "ROI-selected RSA" in text


@pytest.mark.slow
def test_the_shipped_demo_maps_end_to_end(tmp_path):
    made = map_concept(load_map_config("demo", overrides=["permutations=50", "rsa=[categorical]"]), out=tmp_path)
    text = build_report(made).read_text("utf-8")
    assert "could not be written" not in text and "achievement" in text and "What the shipped model can show" in text
    assert (tmp_path / "demo" / made.name / "view" / "saes.json").is_file()
