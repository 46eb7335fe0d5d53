"""What a comparison refuses before anything runs, and what it may look at to decide that."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from synthetic import WORDS, make_responses, make_set, write_case

from cogneuro_sae.compare import load_comparison_config, run_comparison
from cogneuro_sae.compare.baselines import text_rows
from cogneuro_sae.compare.encoders import Encoder
from cogneuro_sae.compare.folds import make_folds
from cogneuro_sae.compare.inputs import prepare
from cogneuro_sae.compare.rows import Task
from cogneuro_sae.compare.views import View
from cogneuro_sae.errors import InputError
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.responses import Responses
from cogneuro_sae.stimuli import StimulusSet

SMALL = {"selectors": ["welch_t"], "k": [1], "permutations": 0, "baselines": ["length"], "controls": [],
         "skylines": []}


def factorial_case(folder, selectors, contrast):
    rng = np.random.default_rng(0)

    def texts():
        return [" ".join(rng.choice(WORDS, size=12)) + "." for _ in range(2)]

    factors = {"valence": ["neg", "pos"], "domain": ["work", "health"]}
    document = {"name": "fac", "concept": "v", "definition": "x y", "licence": "CC0-1.0", "factors": factors,
                "contrasts": {"main": "(neg_work + neg_health)/2 - (pos_work + pos_health)/2",
                              "interaction": "(neg_work - pos_work) - (neg_health - pos_health)"},
                "items": [{"item": f"i{i}", **{a: {b: texts() for b in factors["domain"]} for a in factors["valence"]}}
                          for i in range(12)]}
    (folder / "fac.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    stimuli = StimulusSet.from_yaml(folder / "fac.yaml")
    make_responses(stimuli, units=6, planted=()).save(folder / "fac.npz")
    config = SMALL | {"name": "run", "stimuli": "fac.yaml", "responses": "fac.npz", "representations": {"raw": "raw"},
                      "selectors": selectors, "contrast": contrast}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return load_comparison_config(folder / "config.yaml")


@pytest.mark.parametrize("selector", ["rsa_discriminative", "rsa_coherence",
                                      {"name": "bottom_k", "by": "rsa_discriminative"}])
def test_scores_of_one_class_are_refused_for_an_interaction(tmp_path, selector):
    with pytest.raises(InputError, match="refused for an interaction"):
        prepare(factorial_case(tmp_path, [selector], "interaction"))


def test_main_effects_and_other_scores_pass(tmp_path):
    assert prepare(factorial_case(tmp_path, ["rsa_discriminative"], "main")).concepts
    assert prepare(factorial_case(tmp_path, ["rsa_categorical", "welch_t"], "interaction")).concepts


class Scaled:
    """An encoder with a scale of its own, as a loaded SAE has."""

    signed, n_latents, scale, firing_rate = False, 10, 20.0, None

    def transform(self, values, columns=slice(None)):
        return np.maximum(values, 0)[:, columns]


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_sources_undo_the_transform_that_was_done(scale):
    stimuli = make_set(items=12)
    design, responses = stimuli.design(), replace(make_responses(stimuli, units=10), scale=scale)
    encoder = Encoder(Scaled(), 0, 10, False)
    found = View("sae", "", "all", "mean", "log1p", responses, encoder, design.cells).pooled().fitted(
        np.arange(len(design)))
    raw = responses.pool(through=Scaled(), transform="none")
    np.testing.assert_allclose(found.sources.to_raw(found.X), raw, rtol=1e-5, atol=1e-6)


def signed_case(folder, change):
    """All values of the design are above zero; `change` alters a copy of values at (row, its tokens)."""
    path = write_case(folder, units=8, items=13, config=SMALL | {"selectors": ["rate_difference", "welch_t"]})
    file = folder / "toy.yaml"
    document = yaml.safe_load(file.read_text())
    document["split"] = {"confirm": ["i12"]}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    responses = Responses.load(folder / "toy.npz")
    change(responses).save(folder / "toy.npz")
    return load_comparison_config(path)


def lowered(responses, row, special=False):
    values, specials = responses.values.copy(), responses.specials.copy()
    token = responses.offsets[row]
    values[token], specials[token] = -5.0, special
    return replace(responses, values=values, specials=specials)


def is_signed(config):
    return next(iter(prepare(config).encoders.values())).signed


def test_items_kept_for_confirmation_are_not_read(tmp_path):
    assert not is_signed(signed_case(tmp_path, lambda r: lowered(r, [n.startswith("i12") for n in r.ids].index(True))))


def test_special_tokens_do_not_make_units_signed(tmp_path):
    assert not is_signed(signed_case(tmp_path, lambda r: lowered(r, 0, special=True)))


def test_a_threshold_on_signed_units_is_refused_before_anything_runs(tmp_path):
    config = signed_case(tmp_path, lambda r: lowered(r, 0))
    with pytest.raises(InputError, match="'rate_difference' .* refused on signed units, .* 'raw'") as caught:
        run_comparison(config, out=tmp_path / "o")
    assert "pooling: rate" in str(caught.value) and not (tmp_path / "o").exists()
    rate = config.model_copy(update={"pooling": ("rate",)})
    assert prepare(rate).concepts
    for selectors in ([{"name": "bottom_k", "by": "specialist"}], [{"name": "composite", "quantile": 0.5, "as": "cc"}]):
        other = write_case(tmp_path, units=8, items=12, signed=True, config=SMALL | {"selectors": selectors})
        with pytest.raises(InputError, match="signed units"):
            prepare(load_comparison_config(other))


def test_a_baseline_that_scikit_learn_cannot_fit_is_a_failed_row():
    design = make_set(items=12).design()
    folds = make_folds(design.y, design.groups, splits=5, repeats=1, inner=2, seed=0)
    task = Task("c", "main", "m", design.y, design.groups, design.cells, folds, 0, {})
    texts = ["\u2190 " + "\u2605" * (n + 1) for n in range(len(design))]
    rows = text_rows("bag_of_words", texts, task)
    assert [row["status"] for row in rows] == ["failed"] * 5 and np.isnan(rows[0]["auroc"])
    assert "empty vocabulary" in rows[0]["reason"] and rows[0]["kind"] == "baseline"


@pytest.mark.slow
def test_a_set_of_symbols_runs_and_is_held_against_the_baseline_that_works(tmp_path):
    path = write_case(tmp_path, units=6, items=12, config=SMALL | {
        "baselines": ["bag_of_words", "length"],
        "planned": {"words": "welch_t - bag_of_words", "n": "welch_t - length"}})
    document, n = yaml.safe_load((tmp_path / "toy.yaml").read_text()), 0
    for item in document["items"]:
        for condition in ("target", "near"):
            for place in range(len(item[condition])):
                n += 1
                item[condition][place] = "\u2190\u2190 " + "\u2605" * n
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    found = run_comparison(path, out=tmp_path / "o", describe=lambda *args, **kwargs: None)
    assert set(found.table.groupby("selector")["status"].first()[["bag_of_words"]]) == {"failed"}
    assert found.cells[found.cells["kind"] == "method"]["beyond"].tolist() == ["length"]
    within = found.tests[found.tests["scope"] == "within"].set_index("name")
    assert "bag_of_words has no score" in within.loc["words", "reason"] and np.isfinite(within.loc["n", "estimate"])
    config = load_comparison_config(path, overrides=["baselines=[bag_of_words]", "planned={}"])
    none = run_comparison(config, out=tmp_path / "o", describe=lambda *args, **kwargs: None)
    assert none.headline()["verdict"].iloc[0] == "every surface baseline failed" and "-" in none.summary()


def partial_case(folder, keep):
    """A model RDM over the stimuli that `keep` picks."""
    path = write_case(folder, units=8, items=12, far=True, config=SMALL | {
        "contrast": "main", "selectors": [{"name": "rsa_model", "model": "m"}]})
    stimuli = StimulusSet.from_yaml(folder / "toy.yaml")
    label = dict(zip(stimuli.ids, stimuli.table["condition"]))
    ids = [name for name in stimuli.ids if keep(name, label[name])]
    matrix = [[float(label[a] != label[b]) for b in ids] for a in ids]
    (folder / "m.csv").write_text("\n".join([",".join(["", *ids])] + [",".join([name, *map(str, row)])
                                                                     for name, row in zip(ids, matrix)]))
    document = yaml.safe_load((folder / "toy.yaml").read_text())
    document["model_rdms"] = {"m": "m.csv"}
    (folder / "toy.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def test_a_model_rdm_of_some_stimuli_selects_on_the_pairs_it_covers(tmp_path):
    path = partial_case(tmp_path, lambda name, condition: condition != "far" and not name.startswith("i03"))
    found = run_comparison(path, out=tmp_path / "o", describe=lambda *args, **kwargs: None)
    methods = found.table[found.table["kind"] == "method"]
    assert set(methods["status"]) == {"ok"} and set(methods["features"]) == {"3"}


def test_a_model_rdm_that_covers_no_pair_of_the_contrast_is_refused(tmp_path):
    config = load_comparison_config(partial_case(tmp_path, lambda name, condition: condition == "far"))
    with pytest.raises(InputError, match="covers no pair"):
        prepare(config)


def test_maps_of_signed_units_test_the_statistic_that_was_ranked(tmp_path):
    config = SMALL | {"selectors": ["max_target", "welch_t"], "k": [2], "permutations": 200}
    path = write_case(tmp_path, units=15, items=12, config=config)
    responses = Responses.load(tmp_path / "toy.npz")
    replace(responses, values=-responses.values).save(tmp_path / "toy.npz")
    found = run_comparison(path, out=tmp_path / "o", describe=lambda *args, **kwargs: None)
    first = found.features[found.features["rank"] == 1].set_index("selector")
    for name in ("max_target", "welch_t"):
        assert first.loc[name, "feature"] == 3 and first.loc[name, "sign"] == -1 and first.loc[name, "direction"] == -1
        assert first.loc[name, "pvalue"] <= 2 / 200 and first.loc[name, "p_fwe"] <= 0.05
    with np.load(found.folder / "maps" / "toy.npz", allow_pickle=False) as arrays:
        info = FeatureMap.from_arrays(dict(arrays), prefix="raw.model.layers.0.all.mean.max_target/").info
    assert "flipped" in info["signed"]
