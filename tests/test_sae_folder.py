"""SAE folders: SAELens' form read by a reader written here, what load_sae refuses, and the SAE that ships."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file

from cogneuro_sae import files
from cogneuro_sae.corpus import load_corpus
from cogneuro_sae.errors import InputError
from cogneuro_sae.sae import L1Autoencoder, load_sae, reconstruction_metrics, save_sae

D, LATENTS = 6, 20


def trained(d=D, m=LATENTS, **options):
    rng = np.random.default_rng(0)
    sae = L1Autoencoder(d, m, center=rng.normal(2, 1, d), input_scale=0.7, name="mine", scale=3.5, **options)
    with torch.no_grad():
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            getattr(sae, name).copy_(torch.from_numpy(rng.normal(0, 1, getattr(sae, name).shape)))
    sae.firing_rate = np.r_[0.0, rng.uniform(0.001, 0.3, m - 1)]
    sae.metrics = {"fvu": 0.3}
    return sae


def read_as_saelens(folder):
    """What SAELens' StandardSAE computes from a folder with normalisation none and apply_b_dec_to_input as stated."""
    cfg, w = json.loads((folder / "cfg.json").read_text()), load_numpy(folder / "sae_weights.safetensors")
    assert cfg["architecture"] == "standard" and cfg["normalize_activations"] == cfg["reshape_activations"] == "none"

    def encode(x):
        x = x - w["b_dec"] * cfg["apply_b_dec_to_input"]
        return np.maximum(x @ w["W_enc"] + w["b_enc"], 0)

    return cfg, encode, lambda f: f @ w["W_dec"] + w["b_dec"]


@pytest.fixture
def folder(tmp_path):
    return save_sae(trained(site="model.layers.3", model_sha256="a" * 64), tmp_path / "sae", model_name="somebody/model",
                    training={"config": {"l1": 5.0}})


def test_the_files_are_those_of_the_interface(folder):
    assert {path.name for path in folder.iterdir()} == {
        "cfg.json", "sae_weights.safetensors", "sparsity.safetensors", "training.json", "manifest.json"}
    cfg = json.loads((folder / "cfg.json").read_text())
    meta = cfg.pop("metadata")
    assert cfg == {"architecture": "standard", "d_in": 6, "d_sae": 20, "dtype": "float32", "device": "cpu",
                   "apply_b_dec_to_input": False, "normalize_activations": "none", "reshape_activations": "none"}
    assert {"sae_lens_version": "6.0.0", "model_name": "somebody/model", "hook_name": "model.layers.3",
            "model_sha256": "a" * 64, "prepend_bos": True, "exclude_special_tokens": True, "trained_as": "l1",
            "input_scale": 0.7}.items() <= meta.items()
    shapes = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in load_file(folder / "sae_weights.safetensors").items()}
    assert shapes == {"W_enc": (torch.float32, (6, 20)), "b_enc": (torch.float32, (20,)),
                      "W_dec": (torch.float32, (20, 6)), "b_dec": (torch.float32, (6,))}
    training = json.loads((folder / "training.json").read_text())
    assert training["metrics"] == {"fvu": 0.3} and training["config"] == {"l1": 5.0}
    assert set(files.check_manifest(folder)["files"]) == {
        "cfg.json", "sae_weights.safetensors", "sparsity.safetensors", "training.json"}


def test_saelens_reads_the_same_function(folder):
    sae, x = trained(), np.random.default_rng(1).normal(2, 3, (40, 6)).astype(np.float32)
    _, encode, decode = read_as_saelens(folder)
    with torch.no_grad():
        np.testing.assert_allclose(decode(encode(x)), sae(torch.from_numpy(x)), atol=2e-4)
    np.testing.assert_allclose(encode(x), load_sae(folder).transform(x), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(load_numpy(folder / "sae_weights.safetensors")["W_dec"], axis=1), 1, atol=1e-6)


def test_a_round_trip_keeps_everything(folder, tmp_path):
    sae = load_sae(folder)
    assert (sae.name, sae.site, sae.model_sha256, sae.scale, sae.prepend_bos) == ("mine", "model.layers.3", "a" * 64, 3.5, True)
    np.testing.assert_allclose(sae.firing_rate, trained().firing_rate, rtol=1e-5)
    assert sae.firing_rate[0] == 0 and sae.metrics == {"fvu": 0.3} and sae.signed is False
    assert sae.sha256 == files.sha256_file(folder / "sae_weights.safetensors")
    again = load_sae(save_sae(sae, tmp_path / "again"))
    for name, value in sae.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-6, rtol=1e-6)


def foreign(folder, *, cfg=None, tensors=None):
    """A folder as another program would write it."""
    folder.mkdir()
    weights = {name: getattr(trained(), name).detach().clone() for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    base = {"architecture": "standard", "d_in": D, "d_sae": LATENTS, "dtype": "float32", "device": "cpu",
            "apply_b_dec_to_input": True, "normalize_activations": "none", "reshape_activations": "none",
            "metadata": {"hook_name": "model.layers.3"}} | (cfg or {})
    (folder / "cfg.json").write_text(json.dumps({key: value for key, value in base.items() if value is not ...}))
    save_file({**weights, **(tensors or {})}, folder / "sae_weights.safetensors")
    return folder


@pytest.mark.parametrize("apply", [True, False])
def test_foreign_folders_mean_what_they_say(tmp_path, apply):
    folder, x = foreign(tmp_path / "f", cfg={"apply_b_dec_to_input": apply}), np.random.default_rng(1).normal(size=(30, D))
    _, encode, decode = read_as_saelens(folder)
    sae = load_sae(folder)
    with torch.no_grad():
        np.testing.assert_allclose(sae(torch.from_numpy(x.astype(np.float32))), decode(encode(x)), atol=1e-4)
    norms = np.linalg.norm(trained().W_dec.detach().numpy(), axis=1)
    np.testing.assert_allclose(sae.transform(x), encode(x) * norms, atol=1e-4)       # units of the residual norm
    assert sae.firing_rate is None and sae.metrics == {}


NAN = {"b_enc": torch.full((LATENTS,), math.nan)}


@pytest.mark.parametrize("cfg, tensors, said", [
    ({"architecture": "gatedd"}, None, "unknown SAE architecture 'gatedd'.*standard"),
    ({"architecture": ...}, None, "architecture is None"),
    ({"apply_b_dec_to_input": ...}, None, "apply_b_dec_to_input is not stated"),
    ({"normalize_activations": "layer_norm"}, None, "normalize_activations is 'layer_norm'.*none"),
    ({"normalize_activations": "expected_average_only_in"}, None, "normalize_activations is 'expected_average_only_in'"),
    ({"normalize_activations": ...}, None, "normalize_activations is None"),
    ({"reshape_activations": "hook_z"}, None, "reshape_activations is 'hook_z'"),
    ({"dtype": "float8"}, None, "dtype is 'float8'"),
    ({"d_sae": 21}, None, r"W_enc is \(6, 20\).*shape \(6, 21\)"),
    ({"d_in": "6"}, None, "d_in is '6'"),
    (None, NAN, "b_enc holds NaN"),
    (None, {"W_enc": torch.full((D, LATENTS), math.inf)}, "W_enc holds NaN or infinity"),
    (None, {"W_dec": torch.zeros(LATENTS, D)}, "W_dec is all zero"),
    (None, {"threshold": torch.zeros(LATENTS)}, "holds threshold, which a standard SAE does not have"),
])
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, cfg, tensors, said):
    folder = foreign(tmp_path / "f", cfg=cfg, tensors=tensors)
    with pytest.raises(InputError, match=said) as caught:
        load_sae(folder)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["cfg.json", "sae_weights.safetensors", "sparsity.safetensors", "training.json"])
def test_damaged_folders_are_refused(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match=f"{name}: does not match the manifest"):
        load_sae(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: is missing"):
        load_sae(folder)


def test_unfinished_and_absent_folders_are_refused(folder, tmp_path):
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="not complete"):
        load_sae(folder)
    (tmp_path / "f").mkdir()
    with pytest.raises(InputError, match="cfg.json: not a readable JSON"):
        load_sae(tmp_path / "f")
    with pytest.raises(InputError, match="no SAE 'defualt'.*default"):
        load_sae("defualt")
    truncated = foreign(tmp_path / "g") / "sae_weights.safetensors"
    truncated.write_bytes(truncated.read_bytes()[:-100])
    with pytest.raises(InputError, match="sae_weights.safetensors: cannot be read"):
        load_sae(tmp_path / "g")


def test_nothing_bad_is_saved(tmp_path):
    sae = trained()
    with torch.no_grad():
        sae.b_dec[0] = math.nan
    with pytest.raises(InputError, match="b_dec holds NaN"):
        save_sae(sae, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_an_sae_knows_where_it_belongs(default_model, tmp_path):
    def saved(name, d=192, **options):
        return save_sae(trained(d=d, **options), tmp_path / name)

    right = saved("right", site="model.layers.3", model_sha256=default_model.sha256)
    assert load_sae(right, model=default_model, site="middle").site == "model.layers.3"
    assert load_sae(right, model=default_model).d_in == 192
    with pytest.raises(InputError, match="trained at site model.layers.3, not at model.layers.2"):
        load_sae(right, model=default_model, site="resid_post.2")
    with pytest.raises(InputError, match="trained at site model.layers.3, not at model.layers.4"):
        load_sae(right, site="model.layers.4")
    with pytest.raises(InputError, match="takes 100 inputs, model.layers.3 of model .* has 192"):
        load_sae(saved("narrow", d=100, site="model.layers.3"), model=default_model)
    with pytest.raises(InputError, match=r"trained on other weights \(bbbbbbbbbb\)"):
        load_sae(saved("other", site="model.layers.3", model_sha256="b" * 64), model=default_model)


# ---- the SAE that ships ----

def test_the_shipped_sae_belongs_to_the_shipped_model(default_model, default_sae):
    assert load_sae("default", model=default_model, site="middle").name == "default"
    assert default_sae.n_latents >= 16 * default_sae.d_in
    assert default_sae.firing_rate.shape == (default_sae.n_latents,)
    responses = default_model.record(["The old man walked home through the rain."], "middle")
    f = default_sae.transform(responses.values[~responses.specials])
    assert f.shape[1] == 4096 and (f >= 0).all() and 5 < (f > 0).sum(axis=1).mean() < 200


def test_the_shipped_sae_meets_its_goals_by_its_record(default_sae):
    found = default_sae.metrics
    assert found["fvu"] <= 0.35 and 10 <= found["l0"] <= 100
    assert found["dead_fraction"] <= 0.20 and found["dead_over_tokens"] >= 500_000
    assert found["loss_recovered"] >= 0.85


@pytest.mark.slow
def test_the_record_of_the_shipped_sae_is_true(default_model, default_sae):
    """Measured again here, on held-out documents of the packaged sample: no number is taken on trust."""
    from cogneuro_sae.sae import loss_recovered

    texts = load_corpus("sample").passages("heldout")[:60]
    responses = default_model.record(texts, "middle")
    found = reconstruction_metrics(default_sae, responses.values[~responses.specials])
    assert found.fvu == pytest.approx(default_sae.metrics["fvu"], abs=0.04)
    assert found.l0 == pytest.approx(default_sae.metrics["l0"], rel=0.2)
    assert loss_recovered(default_sae, default_model, texts[:25]).recovered_mean > 0.82
