"""Model folders: the shipped default, and every fault as one clear message."""

import json
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import FAMILIES, LLAMA, byte_tokenizer

from cogneuro_sae import files
from cogneuro_sae.errors import CogneuroError, InputError, SetupError
from cogneuro_sae.language_model import LanguageModel, folder, loading

DEFAULT = Path(loading.SHIPPED) / "default"
CORPORA = Path(os.environ.get("COGNEURO_CORPORA", Path(__file__).resolve().parents[2] / "shared" / "data" / "corpora"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tiny Llama folder, tied and in fp16 on the disk."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, tie_word_embeddings=True))
    model.half().save_pretrained(path)
    byte_tokenizer().save_pretrained(path)
    return path


@pytest.fixture
def broken(whole, tmp_path):
    """A copy of the folder, to break."""
    return Path(shutil.copytree(whole, tmp_path / "tiny"))


def edit_json(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def edit_weights(path, change):
    weights = load_file(path / "model.safetensors")
    change(weights)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})


def refusal(path, **fields):
    with pytest.raises(CogneuroError) as raised:
        LanguageModel.load(path, **fields)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_whole_folder_loads_in_float32(whole, capfd):
    model = LanguageModel.load(whole)
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.model.parameters()) and not model.model.training
    assert (model.n_layers, model.d_model, model.max_tokens, model.notes) == (4, 16, 64, ())
    assert model.sha256 == files.sha256_file(whole / "model.safetensors") and model.name == str(whole)
    assert LanguageModel.load(whole, dtype="bfloat16").model.dtype == torch.bfloat16
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""           # no progress bars, no load report


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_survives_the_disk(family, tmp_path):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family]())
    model.save_pretrained(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    loaded = LanguageModel.load(tmp_path)
    there = LanguageModel(model, tokenizer).record(["some text"], "middle").values
    assert np.array_equal(loaded.record(["some text"], "middle").values, there)


def test_a_missing_folder_is_said_at_once():
    started = time.time()
    for name in ("models/typo", "./models/typo", "typo", "/no/such/folder", "models/typo/deep"):
        with pytest.raises(InputError) as raised:
            LanguageModel.load(name)
        assert "no such folder" in str(raised.value) and "looked in" in str(raised.value), name
    assert time.time() - started < 5
    with pytest.raises(InputError, match="--allow-download"):
        LanguageModel.load("openlm-research/open_llama_no_such")


def test_no_network_is_said_and_bounded(monkeypatch):
    import huggingface_hub

    def unreachable(*args, **kwargs):
        assert kwargs["timeout"] <= 5
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(SetupError, match="cannot download 'a/b'.*no route to host"):
        LanguageModel.load("a/b", allow_download=True)


def test_missing_weights_are_an_error_that_names_them(broken):
    edit_weights(broken, lambda weights: [weights.pop(f"model.layers.{layer}.mlp.up_proj.weight") for layer in (1, 2)])
    message = refusal(broken)
    assert "2 weights are missing: model.layers.1.mlp.up_proj.weight, model.layers.2.mlp.up_proj.weight" in message


def test_weights_of_another_shape_are_an_error_that_names_them(broken):
    edit_weights(broken, lambda weights: weights.update({"model.norm.weight": torch.zeros(17)}))
    assert "have another shape than config.json says: model.norm.weight" in refusal(broken)


def test_unused_weights_are_noted(broken):
    edit_weights(broken, lambda weights: weights.update({"model.extra.weight": torch.zeros(3)}))
    assert LanguageModel.load(broken).notes == ("1 weights of the file are not used: model.extra.weight",)


def test_a_copy_of_the_tied_head_is_no_news(broken):
    edit_weights(broken, lambda weights: weights.update({"lm_head.weight": weights["model.embed_tokens.weight"].clone()}))
    assert LanguageModel.load(broken).notes == ()


def test_an_untied_head_that_is_missing_is_an_error(broken):
    edit_json(broken / "config.json", tie_word_embeddings=False)
    assert "1 weights are missing: lm_head.weight" in refusal(broken)


FAULTS = {
    "no config": (lambda path: (path / "config.json").unlink(), "has no config.json"),
    "config not json": (lambda path: (path / "config.json").write_text("{"), "not a readable JSON file"),
    "no model_type": (lambda path: (path / "config.json").write_text("[]"), "has no model_type"),
    "unknown type": (lambda path: edit_json(path / "config.json", model_type="lama"), "unknown model_type 'lama'"),
    "remote code": (lambda path: edit_json(path / "config.json", model_type="mine", auto_map={"AutoModel": "m.M"}),
                    "needs code from the model's own folder, which is never run"),
    "encoder": (lambda path: edit_json(path / "config.json", model_type="bert", architectures=["BertForMaskedLM"]),
                "BertForMaskedLM is not a causal decoder"),
    "encoder with a decoder's name": (
        lambda path: edit_json(path / "config.json", model_type="bert", architectures=["BertLMHeadModel"]),
        "is not a causal decoder"),
    "encoder-decoder": (lambda path: edit_json(path / "config.json", model_type="t5", architectures=["T5Model"]),
                        "T5Model is not a causal decoder"),
    "no head": (lambda path: edit_json(path / "config.json", architectures=["LlamaModel"]),
                "LlamaModel is not a causal decoder"),
    "no weights": (lambda path: (path / "model.safetensors").unlink(), "has no weights"),
    "truncated": (lambda path: os.truncate(path / "model.safetensors", 9000), "download or copy it again"),
    "zero bytes": (lambda path: os.truncate(path / "model.safetensors", 0), "not a whole safetensors file"),
    "missing shard": (lambda path: shard(path, drop=1), "1 of 3 weight files are missing: part-1.safetensors"),
    "empty index": (lambda path: (path / "model.safetensors.index.json").write_text("{}"), "has no weight_map"),
    "no tokenizer": (lambda path: (path / "tokenizer.json").unlink(), "has no tokenizer"),
    "tokenizer not json": (lambda path: (path / "tokenizer.json").write_text("{}"), "the tokenizer cannot be read"),
    "bad scales": (lambda path: (path / "scales.json").write_text('{"model.layers.0": -1}'), "positive number"),
    "layers the file lacks": (lambda path: edit_json(path / "config.json", num_hidden_layers=5), "weights are missing"),
    "fewer heads": (lambda path: edit_json(path / "config.json", hidden_size=18, head_dim=8), "another shape"),
}


def shard(path, *, drop=None):
    weights = load_file(path / "model.safetensors")
    names = {name: f"part-{place % 3}.safetensors" for place, name in enumerate(sorted(weights))}
    for part in sorted(set(names.values())):
        save_file({name: weights[name] for name in weights if names[name] == part}, path / part, metadata={"format": "pt"})
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    (path / "model.safetensors").unlink()
    if drop is not None:
        (path / f"part-{drop}.safetensors").unlink()


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_folders_are_one_clear_error(fault, broken):
    spoil, message = FAULTS[fault]
    spoil(broken)
    text = refusal(broken)
    assert message in text and str(broken) in text


def test_shards_load_and_have_one_hash(whole, broken):
    shard(broken)
    one, many = LanguageModel.load(whole), LanguageModel.load(broken)
    assert np.array_equal(one.record(["ab"], "middle").values, many.record(["ab"], "middle").values)
    assert one.sha256 != many.sha256 and len(many.sha256) == 64
    edit = load_file(broken / "part-2.safetensors")
    save_file({name: tensor + 1 for name, tensor in edit.items()}, broken / "part-2.safetensors", metadata={"format": "pt"})
    assert LanguageModel.load(broken).sha256 != many.sha256


def test_a_tokenizer_of_another_model_is_refused(broken):
    byte_tokenizer(extra=[f"<extra{i}>" for i in range(9)]).save_pretrained(broken)
    assert "the tokenizer has ids up to 266, the model has 262 embedding rows" in refusal(broken)


def test_a_sentencepiece_tokenizer_without_sentencepiece(broken, monkeypatch):
    (broken / "tokenizer.json").rename(broken / "tokenizer.model")
    monkeypatch.setattr(folder.importlib.util, "find_spec", lambda name: None)
    assert "sentencepiece is not installed; pip install sentencepiece" in refusal(broken)


@pytest.mark.parametrize(("byte_fallback", "differs"), [(True, 0), (False, 1)])
def test_a_sentencepiece_tokenizer_reads_as_sentencepiece_does(broken, byte_fallback, differs):
    """As OpenLLaMA ships it: tokenizer.model only. Without byte fallback transformers drops unknown letters: noted."""
    sentencepiece = pytest.importorskip("sentencepiece")
    (broken / "tokenizer.json").unlink()
    texts = ["The cat sat on the mat and looked at the sea.", "She opened the letter and read that she was a lawyer."]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 20), model_prefix=str(broken / "tokenizer"), model_type="bpe", unk_id=0, bos_id=1,
        eos_id=2, pad_id=-1, vocab_size=256 + 100 if byte_fallback else 100, byte_fallback=byte_fallback,
        hard_vocab_limit=False, minloglevel=2)
    (broken / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}))
    reference = sentencepiece.SentencePieceProcessor(model_file=str(broken / "tokenizer.model"))
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **{**LLAMA, "vocab_size": reference.vocab_size()})).save_pretrained(broken)
    model = LanguageModel.load(broken)
    assert len(model.notes) == differs and all("differs from SentencePiece" in note for note in model.notes)
    if byte_fallback:
        text = "She read </s> at sea, na\u00efve \U0001f600."
        recorded = model.record([text], "middle")
        assert model.tokenize([text], bos=False)[0].ids.tolist() == reference.encode(text)
        spanned = recorded.with_spans([(text.index("sea"), text.index("sea") + 3)])
        assert "".join(spanned.tokens[spanned.window("span")]).strip() == "sea"


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("/tmp/cogneuro_sae_bomb_went_off",)


def test_pickled_weights_need_a_flag_and_are_never_executed(broken):
    weights = load_file(broken / "model.safetensors")
    (broken / "model.safetensors").unlink()
    torch.save(weights, broken / "pytorch_model.bin")
    assert "pytorch_model.bin, a pickle file" in refusal(broken)
    model = LanguageModel.load(broken, allow_bin=True)
    assert model.sha256 == files.sha256_file(broken / "pytorch_model.bin")
    (broken / "pytorch_model.bin").write_bytes(pickle.dumps({"model.norm.weight": Bomb()}))
    assert "cannot be loaded" in refusal(broken, allow_bin=True)
    assert not Path("/tmp/cogneuro_sae_bomb_went_off").exists()


def test_a_flipped_bit_is_seen_through_the_manifest(broken):
    files.write_manifest(broken, ["config.json", "model.safetensors", "tokenizer.json"])
    assert LanguageModel.load(broken).n_layers == 4
    data = bytearray((broken / "model.safetensors").read_bytes())
    data[-7] ^= 1
    (broken / "model.safetensors").write_bytes(data)
    assert "does not match the manifest" in refusal(broken)


@pytest.mark.parametrize(("fields", "kind", "message"), [
    ({"device": "gpu"}, InputError, "unknown device 'gpu'"),
    ({"device": "cuda:99"}, SetupError, "use --device cpu"),
    ({"dtype": "float64"}, InputError, "unknown dtype 'float64'"),
    ({"dtype": "bf16"}, InputError, "did you mean 'bfloat16'"),
])
def test_wrong_devices_and_dtypes(whole, fields, kind, message):
    with pytest.raises(kind) as raised:
        LanguageModel.load(whole, **fields)
    assert message in str(raised.value)


def test_the_default_folder_is_complete_and_says_what_it_is(default_model):
    manifest = files.check_manifest(DEFAULT)
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "scales.json", "training.json"} <= set(
        manifest["files"])
    assert default_model.name == "default" and default_model.sha256 == manifest["files"]["model.safetensors"]["sha256"]
    assert default_model.tokenizer.pad_token_id is None
    card = (DEFAULT / "README.md").read_text("utf-8")
    measured = files.read_json(DEFAULT / "training.json")["measured"]
    for number in (measured["held_out"]["bits_per_byte"], measured["blimp"]["accuracy"]):
        assert f"{number:.3f}" in card
    for word in ("CC BY-SA 4.0", "OpenStax College", "Wikipedia contributors", "cannot show"):
        assert word in card


def test_the_default_model_knows_english(default_model):
    texts = ["The children went to school in the morning.", "school the in went to The morning children."]
    losses = [item.mean() for item in default_model.token_losses([item.ids for item in default_model.tokenize(texts)])]
    assert losses[0] < losses[1] - 1 and losses[0] < np.log(8192) / 1.5


def test_the_default_scales_are_its_mean_residual_norms(default_model):
    texts = ["The river runs through the old town and under a stone bridge before it meets the sea.",
             "In 1914 the company built a second factory, and most of its workers lived in the streets around it.",
             "She said that she had not seen him since the summer, and that she did not wish to."]
    sites = ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(default_model.n_layers))]
    assert set(default_model.scales) == {default_model.resolve_site(site) for site in sites}
    for site, recorded in default_model.record(texts, sites).items():
        norm = np.linalg.norm(recorded.values[~recorded.specials], axis=1).mean()
        assert default_model.scale(site) == pytest.approx(norm / np.sqrt(default_model.d_model), rel=.15), site


@pytest.mark.slow
@pytest.mark.skipif(not CORPORA.is_dir(), reason="needs the training corpora (set COGNEURO_CORPORA)")
def test_the_default_folder_can_be_made_again(tmp_path):
    import subprocess
    import sys

    script = Path(__file__).parents[1] / "analyses" / "make_default_model.py"
    done = subprocess.run([sys.executable, script, DEFAULT, CORPORA, tmp_path / "made", "--quick"],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == str(tmp_path / "made")
    made = LanguageModel.load(tmp_path / "made")
    shipped = LanguageModel.load("default")
    assert made.sha256 == shipped.sha256
    for site, scale in shipped.scales.items():
        assert made.scales[site] == pytest.approx(scale, rel=.05)
    measured = files.read_json(tmp_path / "made" / "training.json")["measured"]["held_out"]["bits_per_byte"]
    assert measured == pytest.approx(1.53, abs=.12)
