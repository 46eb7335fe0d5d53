"""Mean surprisal equals the loss that transformers itself computes, one text at a time."""

import numpy as np
import pytest
import torch

from cogneuro_sae.errors import InputError
from cogneuro_sae.language_model import LanguageModel, mean_surprisal
from tiny_models import byte_tokenizer, tiny

TEXTS = ["The tram crosses the river.", "a", "Two words </s> and more words, of another length."]


def own_loss(model, text, *, bos):
    ids = model.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ids = torch.tensor([[model.tokenizer.bos_token_id] * bos + ids])
    with torch.no_grad():
        return float(model.model(input_ids=ids, labels=ids).loss)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_it_is_the_loss_of_transformers_for_a_batch_of_one(family):
    model = tiny(family)
    found = mean_surprisal(model, TEXTS)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [own_loss(model, text, bos=1) for text in TEXTS], rtol=1e-5)
    np.testing.assert_allclose(mean_surprisal(model, TEXTS[:1]), found[:1], rtol=1e-5)


def test_without_bos_the_first_token_is_left_out():
    model = tiny("llama", tokenizer=byte_tokenizer(bos=None))
    found = mean_surprisal(model, TEXTS)
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[[0, 2]], [own_loss(model, TEXTS[k], bos=0) for k in (0, 2)], rtol=1e-5)


def test_texts_too_long_or_empty_are_named():
    model = tiny("llama")
    with pytest.raises(InputError, match="long-one"):
        mean_surprisal(model, ["x" * 100], ids=["long-one"])
    with pytest.raises(InputError, match="empty"):
        mean_surprisal(model, [""], ids=["e"])


@pytest.mark.slow
def test_the_shipped_model_finds_scrambled_text_more_surprising():
    model = LanguageModel.load("default")
    text = "The dog ran to the house because it was hungry."
    scrambled = "hungry house the it because to was ran dog The the."
    plain, other = mean_surprisal(model, [text, scrambled])
    assert plain == pytest.approx(own_loss(model, text, bos=1), rel=1e-4) and plain < other
