"""The SAE itself: features, loss, folding and the quality numbers, against loops and hand-made cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae.errors import InputError
from cogneuro_sae.sae import ARCHITECTURES, L1Autoencoder
from cogneuro_sae.sae.metrics import density_histogram, firing_rates, loss_recovered, reconstruction_metrics, sae_metrics

TEXTS = ["She put the kettle on and waited for her brother.", "The parliament met twice in the spring of that year.",
         "No one had ever seen the valley so green."]


def random_sae(seed=0, d=6, m=20, **options):
    rng = np.random.default_rng(seed)
    sae = L1Autoencoder(d, m, center=rng.normal(2, 1, d), input_scale=0.7, **options)
    with torch.no_grad():
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            getattr(sae, name).copy_(torch.from_numpy(rng.normal(0, 1, getattr(sae, name).shape)))
    return sae


def identity_sae(d, **options):
    """ReLU(x) - ReLU(-x) = x: a perfect reconstruction with 2 d latents."""
    sae = L1Autoencoder(d, 2 * d, **options)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([torch.eye(d), -torch.eye(d)], dim=1))
        sae.W_dec.copy_(sae.W_enc.T)
    return sae


def by_loops(sae, x):
    """Features, reconstruction, squared error and penalty in scaled units, one number at a time."""
    W_enc, b_enc, W_dec, b_dec = (getattr(sae, n).detach().double().numpy() for n in ("W_enc", "b_enc", "W_dec", "b_dec"))
    center, features, hats, error, penalty = sae.center.double().numpy(), [], [], 0.0, 0.0
    for row in x:
        z = (row - center) * sae.input_scale
        f = [max(0.0, sum(z[d] * W_enc[d, i] for d in range(len(z))) + b_enc[i]) for i in range(sae.n_latents)]
        zhat = [sum(f[i] * W_dec[i, d] for i in range(sae.n_latents)) + b_dec[d] for d in range(len(z))]
        error += sum((a - b) ** 2 for a, b in zip(z, zhat, strict=True))
        penalty += sum(f[i] * np.sqrt(sum(W_dec[i, d] ** 2 for d in range(len(z)))) for i in range(sae.n_latents))
        features.append(f)
        hats.append(np.array(zhat) / sae.input_scale + center)
    return np.array(features), np.array(hats), error, penalty


def test_features_reconstruction_and_loss_equal_loops():
    sae, x = random_sae(), np.random.default_rng(1).normal(1, 2, (9, 6)).astype(np.float32)
    f, hat, error, penalty = by_loops(sae, x)
    tensor = torch.from_numpy(x)
    np.testing.assert_allclose(sae.encode(tensor).detach(), f, atol=2e-5)
    np.testing.assert_allclose(sae(tensor).detach(), hat, atol=5e-5)
    loss = sae.loss(tensor)
    assert float(loss.reconstruction.detach()) == pytest.approx(error, rel=1e-5)
    assert float(loss.penalty.detach()) == pytest.approx(penalty, rel=1e-5)
    assert int(loss.active) == (f > 0).sum()


@given(st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_folding_preserves_the_function(seed):
    sae, x = random_sae(seed), torch.from_numpy(np.random.default_rng(seed + 1).normal(1, 3, (30, 6)).astype(np.float32))
    folded = sae.folded()
    with torch.no_grad():
        torch.testing.assert_close(folded(x), sae(x), atol=2e-4, rtol=1e-4)
        torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(20), atol=1e-6, rtol=0)
        # a feature is then what it adds to the residual stream, in residual units
        added = sae.encode(x) * (sae.W_dec / sae.input_scale).norm(dim=1)
        torch.testing.assert_close(folded.encode(x), added, atol=2e-4, rtol=1e-4)
    assert folded.input_scale == 1.0 and not folded.center.any()


def test_folding_a_latent_with_an_empty_decoder_row():
    sae, x = random_sae(), torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sae.W_dec[3] = 0
        sae.W_dec[4], sae.W_enc[:, 4] = 0, 0
        folded = sae.folded()
        torch.testing.assert_close(folded(x), sae(x), atol=1e-4, rtol=1e-4)
        assert not folded.encode(x)[:, [3, 4]].any()
        torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(20))


def test_transform_is_encode_for_all_or_some_latents():
    sae, x = random_sae(), np.random.default_rng(2).normal(size=(7, 6))
    whole = sae.transform(x)
    assert whole.dtype == np.float32 and whole.shape == (7, 20)
    np.testing.assert_allclose(whole, by_loops(sae, x)[0], atol=2e-5)
    np.testing.assert_allclose(sae.transform(x, columns=slice(3, 9)), whole[:, 3:9], atol=1e-6)
    np.testing.assert_allclose(sae.transform(x, columns=np.array([5, 1])), whole[:, [5, 1]], atol=1e-6)
    with pytest.raises(InputError, match=r"shape \(7, 5\).*\(n_tokens, 6\)"):
        sae.transform(x[:, :5])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_start_is_the_recipe(architecture):
    sae = ARCHITECTURES[architecture](8, 64)
    sae.initialise(0, decoder_norm=0.1)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.full((64,), 0.1))
    assert torch.equal(sae.W_enc, sae.W_dec.T) and not sae.b_enc.any() and not sae.b_dec.any()
    other = ARCHITECTURES[architecture](8, 64)
    other.initialise(1)
    assert not torch.equal(other.W_dec, sae.W_dec)


def test_sizes_are_checked():
    with pytest.raises(InputError, match="n_latents = 0"):
        L1Autoencoder(4, 0)
    with pytest.raises(InputError, match="center of shape"):
        L1Autoencoder(4, 8, center=np.zeros(5))


def test_decoder_rows_are_in_raw_units():
    sae = random_sae()
    f = torch.zeros(1, 20)
    with torch.no_grad():
        base = sae.decode(f)
        f[0, 7] = 2.0
        np.testing.assert_allclose((sae.decode(f) - base)[0] / 2, sae.decoder[7], atol=1e-5)


# ---- metrics ----

def test_metrics_equal_loops():
    sae, x = random_sae(), np.random.default_rng(3).normal(4, 2, (5000, 6)).astype(np.float32)
    found = reconstruction_metrics(sae, x)
    with torch.no_grad():
        f = sae.encode(torch.from_numpy(x)).double().numpy()
        hat = sae(torch.from_numpy(x)).double().numpy()
    x = x.astype(np.float64)
    mean = x.mean(axis=0)
    assert found.fvu == pytest.approx(((x - hat) ** 2).sum() / ((x - mean) ** 2).sum(), rel=1e-6)
    assert found.l0 == pytest.approx((f > 0).sum(axis=1).mean())
    assert found.shrinkage == pytest.approx(((x - mean) * (hat - mean)).sum() / ((hat - mean) ** 2).sum(), rel=1e-6)
    assert found.norm_ratio == pytest.approx(np.linalg.norm(hat, axis=1).mean() / np.linalg.norm(x, axis=1).mean())
    norms = sae.W_dec.detach().double().numpy()
    assert found.penalty == pytest.approx((f * np.linalg.norm(norms, axis=1)).sum(axis=1).mean(), rel=1e-5)
    assert found.reconstruction_loss == pytest.approx(((x - hat) ** 2).sum() / 5000 * 0.49, rel=1e-5)
    np.testing.assert_allclose(firing_rates(sae, x), (f > 0).mean(axis=0))


def test_metrics_of_a_perfect_a_shrunk_and_a_silent_sae():
    x = np.random.default_rng(4).normal(10, 1, (500, 4)).astype(np.float32)
    perfect = reconstruction_metrics(identity_sae(4), x)
    assert perfect.fvu == pytest.approx(0, abs=1e-12) and perfect.shrinkage == pytest.approx(1) and perfect.l0 == 4
    centred = identity_sae(4, center=x.mean(axis=0))
    with torch.no_grad():
        centred.W_dec *= 0.5
    shrunk = reconstruction_metrics(centred, x)
    assert shrunk.shrinkage == pytest.approx(2, rel=1e-4) and shrunk.fvu == pytest.approx(0.25, rel=1e-4)
    with torch.no_grad():
        centred.W_dec *= 0
    silent = reconstruction_metrics(centred, x)
    assert silent.fvu == pytest.approx(1, rel=1e-5)                  # about the mean, not about zero
    with pytest.raises(InputError, match="1 tokens"):
        reconstruction_metrics(centred, x[:1])


def test_density_histogram_counts_every_latent():
    found = density_histogram(np.array([0.0, 0.0, 1e-8, 2e-6, 0.005, 0.05, 1.0]))
    assert found["never"] == 2 and sum(found["counts"]) == 5
    assert found["counts"][0] == 2 and found["counts"][-1] == 1
    assert found["counts"][found["edges"].index(-2.5)] == 1 and found["counts"][found["edges"].index(-1.5)] == 1


def test_a_perfect_sae_loses_nothing(default_model):
    sae = identity_sae(192, site="model.layers.3")
    found = loss_recovered(sae, default_model, TEXTS)
    assert found.ce_sae == pytest.approx(found.ce_original, abs=1e-5)
    assert found.recovered_mean == pytest.approx(1, abs=1e-5) and found.recovered_zero == pytest.approx(1, abs=1e-5)
    assert found.ce_mean > found.ce_original and found.ce_zero > found.ce_original
    tokens = sum(len(one.ids) - 1 for one in default_model.tokenize(TEXTS))
    assert found.n_tokens == tokens
    losses = default_model.token_losses([one.ids for one in default_model.tokenize(TEXTS)])
    assert found.ce_original == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)


@pytest.mark.slow
def test_replacing_by_the_mean_recovers_nothing_and_worse_is_below_zero(default_model):
    responses = default_model.record(TEXTS, "middle")
    mean = responses.values[~responses.specials].mean(axis=0)
    silent = L1Autoencoder(192, 4, center=mean, site="model.layers.3")
    found = loss_recovered(silent, default_model, TEXTS)
    assert found.ce_sae == pytest.approx(found.ce_mean, abs=1e-5) and found.recovered_mean == pytest.approx(0, abs=1e-4)
    worse = identity_sae(192, site="model.layers.3")
    with torch.no_grad():
        worse.W_dec *= -3
    assert loss_recovered(worse, default_model, TEXTS).recovered_mean < 0                 # unclipped


def test_special_tokens_pass_through_the_splice_unchanged(default_model):
    seen, sae = [], identity_sae(192, site="model.layers.3")
    encode = sae.encode
    sae.encode = lambda x: seen.append(len(x)) or encode(x)
    loss_recovered(sae, default_model, TEXTS)
    assert seen == [len(one.ids) - 1 for one in default_model.tokenize(TEXTS)]            # never BOS
    # replacing BOS too would cost a great deal: zero ablation of content alone is what is compared
    with default_model.edited("model.layers.3", lambda x: torch.cat([x[:, :1], torch.zeros_like(x[:, 1:])], dim=1)):
        losses = default_model.token_losses([one.ids for one in default_model.tokenize(TEXTS)])
    assert loss_recovered(sae, default_model, TEXTS).ce_zero == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)


@pytest.mark.slow
def test_sae_metrics_hold_every_number(default_model):
    sae, x = identity_sae(192, site="model.layers.3"), np.random.default_rng(0).normal(size=(50, 192))
    sae.firing_rate = np.r_[np.zeros(96), np.full(288, 0.5)]
    found = sae_metrics(sae, x, model=default_model, texts=TEXTS, firing_tokens=1234, limit=20)
    assert found["heldout_tokens"] == 20 and found["dead_fraction"] == 0.25 and found["dead_over_tokens"] == 1234
    assert {"fvu", "l0", "shrinkage", "norm_ratio", "density", "loss_recovered", "loss_recovered_zero", "ce_increase",
            "ce_original", "ce_sae", "ce_mean", "ce_zero", "ce_tokens"} <= set(found)
    assert found["ce_increase"] == pytest.approx(found["ce_sae"] - found["ce_original"])
