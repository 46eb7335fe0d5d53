"""LanguageModel on tiny random decoders of five families: capture, sites, edits, specials, losses."""

import numpy as np
import pytest
import torch
import transformers
from tiny_models import BLOCKS, FAMILIES, LLAMA, byte_tokenizer, tiny

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.language_model import LanguageModel, recording

pytestmark = pytest.mark.slow

TEXTS = ["A short one.", "Something rather longer, with commas, to be padded against.", "x", "A short one.",
         "An é and a 😀 are several bytes each."]


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def hooks_left(language_model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in language_model.model.modules())


def alone(language_model, text, path, *, is_input=False):
    """One text, unpadded, full forward pass, a hook of the test's own: the reference for capture."""
    kept = []
    module = language_model.model.get_submodule(path)
    first = (lambda value: value if isinstance(value, torch.Tensor) else value[0])
    handle = (module.register_forward_pre_hook(lambda _, args: kept.append(first(args))) if is_input else
              module.register_forward_hook(lambda _, args, output: kept.append(first(output))))
    ids = [language_model.tokenizer.bos_token_id] + language_model.tokenizer(
        text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    with torch.no_grad():
        language_model.model(torch.tensor([ids]))
    handle.remove()
    return kept[0][0].numpy()


def close(a, b):
    return np.abs(a - b).max() <= 1e-4 * np.std(b)


@pytest.mark.parametrize("budget", [1, 30, 2048])
def test_capture_equals_one_by_one(model, budget):
    path = model.resolve_site("resid_post.2")
    recorded = model.record(TEXTS, path, token_budget=budget)
    for row, text in enumerate(TEXTS):
        assert close(recorded[row].values, alone(model, text, path))


def test_batch_order_and_company_cannot_change_a_pooled_value(model):
    order = np.array([3, 1, 4, 0, 2])
    first = model.record(TEXTS, "middle").pool("mean")
    shuffled = model.record([TEXTS[row] for row in order], "middle", token_budget=90).pool("mean")
    assert close(shuffled, first[order])
    assert close(model.record(TEXTS[:1], "middle").pool("mean")[0], first[0])
    assert not close(first[0], first[1])


def test_residual_sites_are_the_hidden_states(model):
    text = TEXTS[1]
    ids = model.tokenize([text])[0].ids
    sites = [f"resid_pre.{layer}" for layer in range(4)] + [f"resid_post.{layer}" for layer in range(4)]
    recorded = model.record([text], sites)
    reference = tiny(model.name)                  # its own copy: this leaves transformers' hooks behind
    with torch.no_grad():
        states = reference.model(torch.tensor(ids[None]), output_hidden_states=True).hidden_states
    for layer in range(4):
        assert close(recorded[model.resolve_site(f"resid_pre.{layer}")].values, states[layer][0].numpy())
        if layer < 3:                             # the last hidden state has gone through the final norm
            assert close(recorded[model.resolve_site(f"resid_post.{layer}")].values, states[layer + 1][0].numpy())
    last = recorded[model.resolve_site("resid_post.3")].values
    assert close(last, alone(model, text, f"{BLOCKS[model.name]}.3")) and not close(last, states[4][0].numpy())


def test_what_a_block_adds_is_attention_plus_mlp(model):
    pre, post, attention, mlp = (model.resolve_site(f"{part}.2") for part in ("resid_pre", "resid_post", "attn_out", "mlp_out"))
    recorded = model.record(TEXTS, [pre, post, attention, mlp])
    assert close(recorded[pre].values + recorded[attention].values + recorded[mlp].values, recorded[post].values)


def test_several_sites_in_one_pass_equal_separate_passes(model):
    sites = ["resid_post.3", "resid_pre.0", "attn_out.1", "head_out.2", "mlp_out.0", "middle", "middle"]
    together = model.record(TEXTS, sites)
    assert list(together) == list(dict.fromkeys(model.resolve_site(site) for site in sites))
    for site in sites:
        separate = model.record(TEXTS, site)
        assert separate.site == model.resolve_site(site)
        assert np.array_equal(together[separate.site].values, separate.values)
        assert separate.values.shape[1] == model.width(site)


def test_head_outputs_make_the_attention_output(model):
    heads = model.record(TEXTS, "head_out.1")
    projection = model.model.get_submodule(heads.site.removesuffix(":input"))
    with torch.no_grad():
        projected = projection(torch.from_numpy(heads.values)[None])[0].numpy()
    path = heads.site.rsplit(".", 1)[0]
    assert close(projected, model.record(TEXTS, path).values)


def test_site_names(model):
    blocks = BLOCKS[model.name]
    expected = {"middle": f"{blocks}.1", "resid_post.3": f"{blocks}.3", "resid_pre.3": f"{blocks}.2",
                "resid_pre.0": f"{blocks}.0:input", "blocks.2.hook_resid_pre": f"{blocks}.1",
                "blocks.2.hook_resid_post": f"{blocks}.2", f"{blocks}.3:input": f"{blocks}.2",
                f"{blocks}.0:input": f"{blocks}.0:input", f"{blocks}.1": f"{blocks}.1"}
    assert {site: model.resolve_site(site) for site in expected} == expected
    for tl, own in (("mlp_out", "mlp_out"), ("attn_out", "attn_out")):
        assert model.resolve_site(f"blocks.1.hook_{tl}") == model.resolve_site(f"{own}.1")
    assert model.resolve_site("blocks.1.attn.hook_z") == model.resolve_site("head_out.1")
    for site in (*expected, "head_out.2", "attn_out.2", "mlp_out.2"):      # canonical means fixed point
        assert model.resolve_site(model.resolve_site(site)) == model.resolve_site(site)


@pytest.mark.parametrize(("site", "message"), [
    ("resid_post.4", "allowed: layers 0 to 3"), ("resid_pre.-1", "allowed: layers 0 to 3"),
    ("model.layers.9.mlp", "allowed: layers 0 to 3"), ("blocks.7.hook_resid_post", "allowed: layers 0 to 3"),
    ("mid", "did you mean middle"), ("resid_pots.2", "did you mean resid_post.2"),
    ("model.layer.2", "did you mean model.layers.2"), ("blocks.2.hook_resid_mid", "did you mean blocks.2.hook_resid_pre"),
    ("model.layers.2.self_atn", "did you mean model.layers.2.self_attn"), ("", "unknown site"), (":input", "unknown site"),
])
def test_wrong_sites_say_what_is_near_or_allowed(site, message):
    with pytest.raises(InputError) as raised:
        tiny("llama").resolve_site(site)
    assert message in str(raised.value)


def test_the_pass_ends_after_the_deepest_site(model):
    run = []
    handles = [model.model.get_submodule(f"{BLOCKS[model.name]}.{layer}").register_forward_hook(
        lambda *_, layer=layer: run.append(layer)) for layer in range(4)]
    model.record(TEXTS[:1], ["resid_pre.0", "middle"])
    for handle in handles:
        handle.remove()
    assert run == [0, 1]


def test_hooks_are_removed_even_after_an_error(model):
    before = hooks_left(model)
    model.record(TEXTS, ["middle", "resid_pre.0"])

    def explode(tensor):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), model.edited("middle", explode):
        model.record(TEXTS, "resid_post.3")
    with pytest.raises(InputError, match="the edit returned"), model.edited("middle", lambda tensor: tensor[:, :1]):
        model.record(TEXTS, "resid_post.3")
    assert hooks_left(model) == before == 0
    assert model._edits == {}


def test_an_edit_is_seen_at_its_site_and_later_and_not_before(model):
    sites = [model.resolve_site(f"resid_post.{layer}") for layer in range(4)]
    plain = model.record(TEXTS, sites)
    with model.edited("resid_post.1", lambda tensor: tensor * 0 + 2) as editing:
        edited = editing.record(TEXTS, sites)
    assert np.array_equal(edited[sites[0]].values, plain[sites[0]].values)
    assert (edited[sites[1]].values == 2).all()
    assert np.abs(edited[sites[3]].values - plain[sites[3]].values).max() > .1
    assert np.array_equal(model.record(TEXTS, sites)[sites[3]].values, plain[sites[3]].values)


def test_a_reader_that_was_there_first_sees_the_edit(model):
    seen = []
    module = model.model.get_submodule(model.resolve_site("middle"))
    handle = module.register_forward_hook(
        lambda _, args, output: seen.append(output if isinstance(output, torch.Tensor) else output[0]))
    with model.edited("middle", lambda tensor: tensor * 0 + 7):
        model.record(TEXTS[:1], "resid_post.3")
    handle.remove()
    assert (seen[0] == 7).all()


def test_edits_of_inputs_and_in_order(model):
    site = model.resolve_site("resid_pre.0")
    plain = model.record(TEXTS, site)
    with model.edited(site, lambda tensor: tensor + 1), model.edited(site, lambda tensor: tensor * 3):
        both = model.record(TEXTS, site)
    np.testing.assert_allclose(both.values, (plain.values + 1) * 3, rtol=1e-5, atol=1e-5)
    with model.edited("head_out.3", torch.zeros_like):
        silent = model.record(TEXTS, ["attn_out.3", "head_out.3"])
    assert (silent[model.resolve_site("head_out.3")].values == 0).all()
    identity = model.record(TEXTS, "resid_post.3").values
    with model.edited("mlp_out.1", lambda tensor: tensor):
        assert np.array_equal(model.record(TEXTS, "resid_post.3").values, identity)


def test_edits_change_the_losses(model):
    ids = [item.ids for item in model.tokenize(TEXTS)]
    plain = model.token_losses(ids)
    with model.edited("resid_post.3", torch.zeros_like):
        flat = model.token_losses(ids)
    assert not any(np.allclose(a, b) for a, b in zip(plain, flat, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(plain, model.token_losses(ids), strict=True))


def test_losses_equal_the_models_own(model):
    ids = [item.ids for item in model.tokenize(TEXTS)]
    losses = model.token_losses(ids, token_budget=70)
    for tokens, loss in zip(ids, losses, strict=True):
        batch = torch.tensor(tokens[None])
        with torch.no_grad():
            logp = model.model(batch).logits.log_softmax(-1)[0, :-1]
        expected = -logp[torch.arange(len(tokens) - 1), batch[0, 1:]].numpy()
        np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-4)
    assert len(model.token_losses([[5]])[0]) == 0
    for bad in ([], [[1, 2]], [999], [0] * 65):
        with pytest.raises(InputError, match="token list 1"):
            model.token_losses([[1, 2], bad])


@pytest.mark.parametrize("text", ["a </s> b", "<s>", "</s></s>", "<pad> x"])
def test_text_holding_special_tokens_keeps_them(text):
    """bos = eos = pad, as in GPT-2: comparing ids with pad_token_id would drop what belongs to the text."""
    language_model = tiny("gpt2", tokenizer=byte_tokenizer(bos="</s>", eos="</s>", pad="</s>", extra=("<s>", "<pad>")))
    recorded = language_model.record([text, "another text, longer than that"], "middle")
    assert recorded.n_content[0] == len(text) and "".join(recorded[0].tokens[1:]) == text
    assert recorded.specials.sum() == 2 and recorded.specials[recorded.offsets[:-1]].all()
    assert language_model.tokenizer.pad_token_id not in language_model.tokenize([text], bos=False)[0].ids


def test_a_token_that_has_the_pad_id_is_kept():
    """Padding uses id 0, and id 0 is a real letter ('!'): the mask, not the id, tells them apart."""
    language_model = tiny("llama")
    assert language_model.tokenize(["!"], bos=False)[0].ids.tolist() == [0]
    recorded = language_model.record(["!!!", "a longer neighbour"], "middle")
    assert recorded.n_content.tolist() == [3, 18]
    assert close(recorded[0].values, alone(language_model, "!!!", recorded.site))


def test_tokens_carry_texts_spans_and_specials():
    language_model = tiny("llama")
    text = TEXTS[4]
    recorded = language_model.record([text, "ab"], "middle", ids=["a", "b"])
    first = recorded[0]
    assert first.tokens[0] == "<s>" and first.specials.tolist() == [True] + [False] * (len(first.tokens) - 1)
    assert [text[a:b] for a, b in first.spans[1:]] == first.tokens[1:].tolist()
    assert first.tokens.tolist().count("😀") == 4 and recorded.ids == ("a", "b")
    spanned = recorded.with_spans([(text.index("😀"), text.index("😀") + 1), (1, 2)])
    assert spanned.window_counts("span").n_tokens.tolist() == [4, 1]
    without = language_model.record([text], "middle", bos=False)
    assert not without.specials.any() and len(without.tokens) == len(first.tokens) - 1
    assert tiny("llama", tokenizer=byte_tokenizer(bos=None)).record(["ab"], "middle").n_content.tolist() == [2]


@pytest.mark.parametrize(("texts", "fields", "message"), [
    (["fine", ""], {"ids": ["a", "b"]}, "b: the text is empty"),
    (["fine", " \n"], {}, "text 1: the text is empty"),
    (["fine", 3], {"ids": ["a", "b"]}, "b: a text is a int"),
    (["bad \ud800"], {}, "lone surrogate at character 4"),
    (["fine", "x" * 64], {"ids": ["a", "b"]}, "b (65); allowed: at most 64 tokens"),
    (["fine"], {"ids": ["a", "b"]}, "2 ids for 1 texts"),
    ("fine", {}, "put it in a list"),
    ([], {}, "nothing to record"),
    (["fine"], {"token_budget": 0}, "token_budget 0"),
])
def test_bad_texts_are_one_clear_error(texts, fields, message):
    with pytest.raises(InputError) as raised:
        tiny("llama").record(texts, "middle", **fields)
    assert message in str(raised.value)
    assert len(tiny("llama").tokenize(["x" * 64])[0].ids) == 65      # counting is always allowed


def test_exactly_the_models_positions_fit():
    assert tiny("gpt2").record(["x" * 63], "middle").n_content.tolist() == [63]


@pytest.mark.parametrize("site", ["model.rotary_emb", "model.layers", "model.layers.0.self_attn.o_proj:input:input"])
def test_sites_without_a_vector_per_token_are_refused(site):
    with pytest.raises(InputError):
        tiny("llama").record(["ab", "cd"], site)


def test_activations_that_are_not_finite_name_text_and_site():
    language_model = tiny("llama")
    hit = language_model.tokenize(["q"], bos=False)[0].ids[0]
    language_model.model.get_input_embeddings().weight.data[hit] = float("nan")
    with pytest.raises(InputError, match=r"second at model.layers.1: . tokens have NaN"):
        language_model.record(["fine", "a q"], "middle", ids=["first", "second"])


def test_planned_batches_hold_every_text_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    batches = recording.plan_batches(lengths, 120)
    assert sorted(np.concatenate(batches)) == list(range(200))
    assert all(len(rows) * lengths[rows].max() <= 120 for rows in batches)
    assert lengths[batches[0]].max() == lengths.max()


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")])
def test_memory_running_out_halves_the_budget_once(monkeypatch, error):
    language_model, sizes = tiny("llama"), []
    plain = language_model.record(TEXTS * 4, "middle")
    forward = recording.forward

    def scarce(limit):
        def run(model, ids, mask):
            sizes.append(ids.numel())
            if ids.numel() > limit:
                raise error
            return forward(model, ids, mask)
        return run

    monkeypatch.setattr(recording, "forward", scarce(250))
    again = language_model.record(TEXTS * 4, "middle", token_budget=500)
    assert close(again.values, plain.values) and max(sizes) > 250
    monkeypatch.setattr(recording, "forward", scarce(100))
    with pytest.raises(SetupError, match="memory ran out with 250 tokens in a batch"):
        language_model.record(TEXTS * 4, "middle", token_budget=500)
    monkeypatch.setattr(recording, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        language_model.record(TEXTS, "middle")
    assert hooks_left(language_model) == 0


def test_memory_running_out_in_the_middle_loses_no_text(monkeypatch):
    language_model, calls = tiny("llama"), []
    plain = language_model.record(TEXTS * 4, "middle")
    forward = recording.forward

    def once(model, ids, mask):
        calls.append(len(ids))
        if len(calls) == 3:
            raise MemoryError
        return forward(model, ids, mask)

    monkeypatch.setattr(recording, "forward", once)
    assert close(language_model.record(TEXTS * 4, "middle", token_budget=120).values, plain.values)
    assert sum(calls) == 20 + calls[2]                # what was done is not done again


def test_a_model_that_looks_ahead_is_refused():
    config = transformers.BertConfig(vocab_size=262, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                     intermediate_size=24, max_position_embeddings=64)
    with pytest.raises(InputError, match="not causal"):
        LanguageModel(transformers.BertLMHeadModel(config), byte_tokenizer())


def test_scales_are_read_by_any_name_of_the_site():
    language_model = tiny("llama", scales={"model.layers.1": 2.5})
    assert language_model.scale("middle") == 2.5 and language_model.scale("resid_pre.0") == 1.0
    assert language_model.record(["ab"], "middle").scale == 2.5


def test_a_model_of_one_layer_has_a_middle():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**{**LLAMA, "num_hidden_layers": 1})
    one = LanguageModel(transformers.LlamaForCausalLM(config), byte_tokenizer())
    assert one.resolve_site("middle") == "model.layers.0:input" and one.record(["ab"], "middle").shape == (1, 16)
