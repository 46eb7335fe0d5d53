"""search_corpus as users call it: config to folder, features of a map or comparison, resuming, bad inputs, corpora."""

import json
import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from cogneuro_sae import files
from cogneuro_sae.cli import main
from cogneuro_sae.corpus import load_corpus
from cogneuro_sae.errors import CogneuroError, InputError, SetupError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.interrupts import Interrupted
from cogneuro_sae.search import SearchConfig, load_search_config, read_search, search_corpus
from cogneuro_sae.search.config import plain_config
from cogneuro_sae.search.source import read_source, window_tokens
from cogneuro_sae.selection import save_ensemble
from cogneuro_sae.selection.ensembles import MeanZ

pytestmark = pytest.mark.slow

FIELDS = {"feature", "representation", "index", "concept", "arms", "n_tokens", "max", "mean", "median", "active_share",
          "texts_share", "histogram", "promoted", "suppressed", "words", "ngrams", "link"}
WINDOW = {"window", "feature", "kind", "bin", "rank", "value", "document", "source", "start", "stop", "tokens", "activations",
          "pool", "focus", "text"}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n\n".join(text[:400] for text in load_corpus("sample").texts[::90]), "utf-8")
    return str(path)


def config(text, **fields):
    given = {"name": "toy", "features": [1340, 197], "corpus": text, "passage": 300, "shard_characters": 1000,
             "windows": {"top": 5, "per_bin": 2, "bins": 3, "random": 5, "zero": 5}} | fields
    return SearchConfig.model_validate(given)


@pytest.fixture(scope="module")
def found(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("search")
    return read_search(search_corpus(config(text, controls={"random": 1, "rate_matched": 1}, concept="achievement",
                                            neuronpedia="toy/3-res"), out=out))


def test_a_search_folder_holds_what_it_says(found):
    assert [row["feature"] for row in found.features][:2] == ["sae:1340", "sae:197"]
    assert [row["arms"] for row in found.features] == [["given"], ["given"], ["random"], ["rate_matched"]]
    for row in found.features:
        assert row.keys() >= FIELDS and row["concept"] == "achievement" and len(row["promoted"]) == 10
        assert row["link"] == f"https://www.neuronpedia.org/toy/3-res/{row['index']}"
        assert len(row["histogram"]["edges"]) == len(row["histogram"]["counts"]) + 1
    for row in found.windows:
        assert row.keys() == WINDOW and row["kind"] in ("top", "stratum", "random", "zero")
        assert (row["bin"] == 0) == (row["value"] <= 0) and (row["kind"] != "zero" or row["bin"] == 0)
    names = {"config.yaml", "features.jsonl", "windows.jsonl"}
    assert set(found.provenance["files"]) == names and found.provenance["verb"] == "search"
    assert SearchConfig.model_validate(found.config) and found.provenance["time"]["forward"] > 0
    top = found.of("sae:197", "top")
    assert [row["value"] for row in top] == sorted((row["value"] for row in top), reverse=True)


def test_the_same_call_is_already_done_and_damage_is_seen(found, text):
    lines = []
    again = config(text, controls={"random": 1, "rate_matched": 1}, concept="achievement", neuronpedia="toy/3-res")
    out = found.folder.parents[1]
    assert search_corpus(again, out=out, progress=lines.append) == found.folder and "already done" in lines[-1]
    before = (found.folder / "windows.jsonl").read_bytes()
    (found.folder / "windows.jsonl").write_bytes(before[:-50])
    with pytest.raises(InputError, match="windows.jsonl.*does not match"):
        read_search(found.folder)
    search_corpus(again, out=out, progress=lines.append)
    assert any("done again" in line for line in lines) and (found.folder / "windows.jsonl").read_bytes() == before
    (found.folder / "provenance.json").rename(found.folder / "kept")
    with pytest.raises(InputError, match="no finished search"):
        read_search(found.folder)
    (found.folder / "kept").rename(found.folder / "provenance.json")


def test_an_interrupted_search_goes_on_and_ends_the_same(text, tmp_path):
    whole = search_corpus(config(text, latents=3, tokens=900), out=tmp_path / "whole")
    lines = []

    def stop(line):
        lines.append(line)
        if sum("per second" in each for each in lines) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        search_corpus(config(text, latents=3, tokens=900), out=tmp_path / "cut", progress=stop)
    cut = tmp_path / "cut" / "toy" / whole.name
    assert (cut / "state.bin").is_file() and not (cut / "provenance.json").exists()
    with pytest.raises(InputError, match="it goes on where it stopped"):
        read_search(cut)
    rest = []
    assert search_corpus(config(text, latents=3, tokens=900), out=tmp_path / "cut", progress=rest.append) == cut
    assert any("goes on after" in line for line in rest) and not (cut / "state.bin").exists()
    for name in ("windows.jsonl", "features.jsonl", "latents.npz", "sentences.jsonl"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    with np.load(cut / "latents.npz") as arrays:
        assert arrays["mean_values"].shape == (4096, 3) and any("all latents +" in line for line in rest)


def test_a_damaged_state_is_not_gone_on_with(text, tmp_path):
    lines = []

    def stop(line):
        if "per second" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_corpus(config(text), out=tmp_path, progress=stop)
    state = next(tmp_path.rglob("state.bin"))
    data = bytearray(state.read_bytes())
    data[len(data) // 2] ^= 255
    state.write_bytes(data)
    search_corpus(config(text), out=tmp_path, progress=lines.append)
    assert not any("goes on after" in line for line in lines)


def map_folder(folder, *, representation="default", pooling="mean", window="first(30)"):
    rows = [("paired_t", "high", 1340, 1), ("paired_t", "low", 305, -1), ("paired_t", "high", 197, 1),
            ("rsa_discriminative", "high", 859, np.nan), ("rsa_discriminative", "low", 967, np.nan),
            ("rsa_discriminative", "high", 626, np.nan), ("rsa_discriminative", "high", 1340, np.nan)]
    if representation == "raw":
        rows = [(score, side, index % 192, sign) for score, side, index, sign in rows]
    table = pd.DataFrame(rows, columns=["score", "side", "feature", "direction"])
    table.insert(0, "concept", "achievement")
    (folder / "maps").mkdir(parents=True)
    table.to_csv(folder / "features.csv", index=False)
    direction = np.ones(4096, np.int8)
    direction[[305, 626]] = -1
    headline = FeatureMap(value=direction.astype(float), name="paired_t", direction=direction)
    np.savez(folder / "maps" / "achievement.npz", **headline.to_arrays("paired_t/"))
    recorded = {"name": "demo", "stimuli": "achievement", "model": "default", "site": "model.layers.3", "window": window,
                "pooling": pooling, "representation": representation, "scores": ["paired_t"], "rsa": ["discriminative"]}
    (folder / "config.yaml").write_text(yaml.safe_dump(recorded))
    files.write_json(folder / "provenance.json", {})
    return folder


def test_features_of_a_map_are_those_the_target_drives(tmp_path, text):
    folder = map_folder(tmp_path / "map")
    source = read_source(config(text, features="selected", **{"from": str(folder)}))
    assert [(one.name, one.arms) for one in source.features] == [
        ("sae:1340", {"achievement": ("paired_t", "rsa_discriminative")}), ("sae:197", {"achievement": ("paired_t",)}),
        ("sae:859", {"achievement": ("rsa_discriminative",)})]
    assert "3 features whose direction is not above 0" in source.notes[0]
    result = read_search(search_corpus(config(text, features=None, most=1, **{"from": str(folder)}), out=tmp_path))
    assert [(row["feature"], row["arms"]) for row in result.features] == [
        ("sae:1340", ["paired_t"]), ("sae:859", ["rsa_discriminative"])]
    assert result.config["window"] == 30 and result.config["pooling"] == "mean"
    raw = read_source(config(text, features="selected", **{"from": str(map_folder(tmp_path / "raw", representation="raw"))}))
    signs = {one.index: one.sign for one in raw.features}
    assert signs[305 % 192] == -1 and signs[1340 % 192] == 1 and any("flipped" in note for note in raw.notes)


def compare_folder(folder, *, poolings=("mean",)):
    rows = []
    for pooling in poolings:
        for name, selector, feature, effect, sign, direction in (
                ("sae", "max_any", 1340, .5, 1, np.nan), ("sae", "max_any", 305, -.5, 1, np.nan),
                ("sae", "welch", 197, .4, 1, 1), ("raw", "welch", 7, -.4, -1, -1), ("raw", "max_any", 8, -.2, 1, -1),
                ("pca", "welch", 3, .4, 1, 1)):
            rows.append({"concept": "fear", "representation": name, "site": "model.layers.3", "window": "center(7)",
                         "pooling": pooling, "selector": selector, "k": 2, "rank": 1, "feature": feature, "effect": effect,
                         "sign": sign, "direction": direction})
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "features.csv", index=False)
    recorded = {"name": "c", "stimuli": ["fear"], "model": "default", "site": ["model.layers.3"], "selectors": ["max_any"],
                "representations": {"raw": "raw", "sae": "default", "pca": "pca(8)"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(recorded))
    files.write_json(folder / "provenance.json", {})
    return folder


def test_features_of_a_comparison(tmp_path, text):
    folder = compare_folder(tmp_path / "one")
    source = read_source(config(text, features="selected", **{"from": str(folder)}))
    assert [(one.name, one.sign, one.arms["fear"]) for one in source.features] == [
        ("sae:1340", 1, ("max_any",)), ("sae:197", 1, ("welch",)), ("raw:7", -1, ("welch",))]
    assert (source.pooling, source.window, source.saes) == ("mean", "center(7)", {"sae": "default"})
    assert any("pca" in note for note in source.notes)
    both = {"from": str(compare_folder(tmp_path / "two", poolings=("mean", "max"))), "features": "selected"}
    with pytest.raises(InputError, match="crosses 2 values of pooling.*mean, max"):
        read_source(config(text, **both))
    assert read_source(config(text, pooling="max", **both)).pooling == "max"
    with pytest.raises(InputError, match="unknown concept 'joy'.*fear"):
        read_source(config(text, pooling="max", concept="joy", **both))
    with pytest.raises(InputError, match="unknown arm 'welsh'.*did you mean 'welch'"):
        read_source(config(text, pooling="max", arms=["welsh"], **both))


@pytest.mark.parametrize("window, tokens", [("first(50)", 50), ("center(4)", 9), ("all", 12), ("span", 3)])
def test_corpus_windows_are_as_long_as_the_stimuli_s(window, tokens):
    assert window_tokens(window, [10, 12, 30], [2, 3, 9]) == tokens


def test_an_ensemble_is_searched_by_its_named_class(tmp_path, text):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2)) + np.repeat([[0], [1]], 10, axis=0)
    folder = save_ensemble(MeanZ().fit(X, np.repeat([0, 1], 10)), tmp_path / "fear", indices=[1340, 197], classes=("foil", "goal"))
    found = read_search(search_corpus(config(text, features=None, ensembles=[{"folder": str(folder), "target": "goal"}]),
                                      out=tmp_path))
    row, = found.features
    assert row["feature"] == "ensemble:fear" and row["members"] == [1340, 197] and row["index"] is None and row["link"] is None
    assert row["target"] == "goal" and len(found.of("ensemble:fear", "top")) == 5
    with pytest.raises(InputError, match="unknown class 'gaol'.*did you mean 'goal'"):
        search_corpus(config(text, features=None, ensembles=[{"folder": str(folder), "target": "gaol"}]), out=tmp_path)


def test_only_chunks_with_the_words_are_read(tmp_path, text):
    lines = []
    search_corpus(config(text, enrich={"words": ["tooth", "wisdom"]}), out=tmp_path, dry_run=True, progress=lines.append)
    assert any("only chunks with tooth, wisdom" in line for line in lines)
    with pytest.raises(InputError, match="no document"):
        search_corpus(config(text, enrich={"words": "xyzzyx"}), out=tmp_path)


@pytest.mark.parametrize("fields, said", [
    ({"features": None}, "nothing to search for"),
    ({"features": "selected"}, "needs `from`"),
    ({"features": ["sae-3"]}, "'sae-3' is not a feature.*sae:12"),
    ({"features": [-1]}, "-1 is not a feature"),
    ({"features": []}, "features"),
    ({"most": 3}, "most belong to features: selected"),
    ({"windows": {"top": 0}}, "windows.top"),
    ({"pooling": "sum"}, "pooling"),
    ({"window": 0}, "window"),
    ({"neuronpedia": "javascript:alert(1)"}, "neuronpedia"),
    ({"name": "../x"}, "name"),
    ({"colour": 1}, "colour"),
])
def test_bad_configs_are_told_in_one_line(tmp_path, fields, said):
    path = tmp_path / "bad.yaml"
    data = {"name": "bad", "features": [1]} | fields
    path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    with pytest.raises(InputError, match=said) as caught:
        load_search_config(path)
    assert "bad.yaml" in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize("fields, said", [
    ({"features": [4096]}, "sae:4096: there is no latent 4096.*0 to 4095"),
    ({"features": ["raw:192"]}, "no unit 192"),
    ({"corpus": "no/such"}, "no corpus"),
    ({"sae": "nosuch"}, "no SAE 'nosuch'"),
    ({"model": "nosuch"}, "nosuch"),
    ({"site": "resid_post.1"}, "was trained at site"),
    ({"from": "no/such", "features": "selected"}, "no finished results folder"),
    ({"features": None, "ensembles": [{"folder": "no/such"}]}, "no manifest"),
    ({"controls": {"random": 5000}}, "controls.random is 5000"),
    ({"features": ["raw:3"], "controls": {"rate_matched": 1}}, "rate_matched needs chosen latents"),
    ({"corpus": "hf:some/dataset"}, "--allow-download"),
    ({"corpus": "hf:a:b:c:d"}, "names no dataset"),
])
def test_what_does_not_exist_or_fit_is_told_before_anything_is_written(tmp_path, text, fields, said):
    with pytest.raises(CogneuroError, match=said) as caught:
        search_corpus(config(text, **fields), out=tmp_path / "out")
    assert caught.value.exit_code == 2 and not (tmp_path / "out").exists()


def test_a_foreign_folder_is_refused(tmp_path, text):
    folder = search_corpus(config(text), out=tmp_path, dry_run=True)
    assert not folder.exists()
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        search_corpus(config(text), out=tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file where a results folder should go"):
        search_corpus(config(text), out=tmp_path / "file")


def test_a_config_survives_its_file(tmp_path, text):
    first = config(text, **{"from": "x", "features": "selected", "arms": ["a"]}, enrich={"words": ["a b"]})
    assert SearchConfig.model_validate(plain_config(first)) == first
    path = tmp_path / "here.yaml"
    path.write_text("name: here\nfeatures: [3]\ncorpus: text\nfrom: run\nmost: 2\n".replace("features: [3]\n", ""))
    (tmp_path / "text").mkdir(), (tmp_path / "run").mkdir()
    loaded = load_search_config(path, ["windows.top=3", "from=elsewhere"])
    assert loaded.corpus == str(tmp_path / "text") and loaded.source == "elsewhere" and loaded.windows.top == 3


def test_parquet_texts(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"text": ["One. ", "", "Two."], "n": [1, 2, 3]}).to_parquet(tmp_path / "a.parquet")
    found = load_corpus(tmp_path)
    assert found.texts == ("One.", "Two.") and found.sources == ("a.parquet",) * 2
    pd.DataFrame({"words": ["One."]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="b.parquet: has no column 'text'.*words"):
        load_corpus(tmp_path)
    pd.DataFrame({"text": ["One.", None]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="b.parquet:2: record without a text"):
        load_corpus(tmp_path)
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:100])
    with pytest.raises(InputError, match="b.parquet: cannot be read"):
        load_corpus(tmp_path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SetupError, match=r"pip install 'cogneuro_sae\[datasets\]'"):
        load_corpus(tmp_path / "a.parquet")


@pytest.mark.slow
def test_a_local_dataset(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.jsonl").write_text("".join(json.dumps({"text": f"Text {n}."}) + "\n" for n in range(9)))
    assert load_corpus("hf:mine", tmp_path).texts == tuple(f"Text {n}." for n in range(9))
    assert len(load_corpus(f"hf:{tmp_path}/mine:train[:4]")) == 4
    with pytest.raises(SetupError, match="cannot be loaded"):
        load_corpus("hf:mine:test", tmp_path)


@pytest.mark.slow
def test_searching_32_features_adds_little_to_the_model_s_time(tmp_path):
    lines = []
    folder = search_corpus(SearchConfig(name="cost", features=tuple(range(32)), tokens=25_000), out=tmp_path, progress=lines.append)
    share = read_search(folder).provenance["time"]["search_share"]
    assert share < 0.15, lines


def test_the_command(tmp_path, capsys):
    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["search", "demo", "--out", str(tmp_path), "--set", "tokens=2000", *words])
        return left.value.code, *capsys.readouterr()

    code, path, said = run()
    assert code == 0 and len(read_search(path.strip()).features) == 8 and "search +" in said
    assert run("--quiet") == (0, path, "")
    code, _, said = run("--set", "windows.topp=3")
    assert code == 2 and "did you mean 'windows.top'" in said and len(said.splitlines()) == 1
