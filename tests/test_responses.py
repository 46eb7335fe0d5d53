"""Responses: windows, poolings, encode-then-pool in chunks, indexing as scikit-learn does it, files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import POOLINGS, Responses, TokenFeatures

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def packed(lengths, *, units=3, seed=0, bos=True, **fields):
    """Random responses with a loud BOS in front of each stimulus; token i of a text covers characters 5 i to 5 i + 4."""
    rng = np.random.default_rng(seed)
    full = [length + bos for length in lengths]
    values = rng.standard_normal((sum(full), units)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(full)])
    specials = np.zeros(sum(full), bool)
    spans = np.concatenate([[(0, 0)] * bos + [(5 * i, 5 * i + 4) for i in range(length)] for length in lengths])
    tokens = np.concatenate([["<s>"] * bos + [WORDS[i % 10] for i in range(length)] for length in lengths])
    if bos:
        specials[offsets[:-1]] = True
        values[specials] = 1e6
    ids = fields.pop("ids", tuple(f"s{i}" for i in range(len(lengths))))
    return Responses(values, tokens, offsets, specials, spans, ids, "model.layers.1", "tiny", "00", **fields)


class Encoder:
    """A stand-in for an SAE: rectified linear latents; counts the most tokens it was ever given."""

    def __init__(self, d, m, seed=1, **extra):
        self.weights = np.random.default_rng(seed).standard_normal((d, m)).astype(np.float32)
        self.most, self.calls = 0, 0
        self.__dict__.update(extra)

    def transform(self, values):
        self.most, self.calls = max(self.most, len(values)), self.calls + 1
        return np.maximum(values @ self.weights, 0)


class ColumnEncoder(Encoder):
    def transform(self, values, columns=None):
        self.asked = columns
        return np.maximum(values @ self.weights[:, columns if columns is not None else slice(None)], 0)


def by_hand(responses, how, keep, through=None):
    """Pool with a plain loop over stimuli and tokens."""
    rows = []
    for stimulus in range(len(responses)):
        tokens = [t for t in range(responses.offsets[stimulus], responses.offsets[stimulus + 1])
                  if not responses.specials[t]]
        tokens = [token for place, token in enumerate(tokens) if keep(place, len(tokens))]
        block = responses.values[tokens]
        block = block if through is None else np.maximum(block @ through.weights, 0)
        rows.append({"mean": block.mean(0), "max": block.max(0), "last": block[-1], "rate": (block > 0).mean(0)}[how])
    return np.array(rows)


@pytest.mark.parametrize("how", POOLINGS)
@pytest.mark.parametrize(("window", "keep"), [
    ("all", lambda place, n: True),
    ("first(3)", lambda place, n: place < 3),
    ("center(1)", lambda place, n: n // 2 - 1 <= place <= n // 2 + 1),
])
def test_pooling_equals_a_loop(how, window, keep):
    responses, encoder = packed([5, 1, 9, 4, 2]), Encoder(3, 7)
    for through in (None, encoder):
        for chunk in (1, 4, 4096):
            pooled = responses.pool(how, window=window, through=through, transform="none", chunk=chunk)
            assert pooled.dtype == np.float32
            np.testing.assert_allclose(pooled, by_hand(responses, how, keep, through), rtol=1e-5, atol=1e-6)


def test_golden_windows():
    responses = packed([5, 2])                    # packed: 0 = BOS, 1-5; 6 = BOS, 7-8
    assert responses.window("all").tolist() == [1, 2, 3, 4, 5, 7, 8]
    assert responses.window("first(3)").tolist() == [1, 2, 3, 7, 8]
    assert responses.window("center(1)").tolist() == [2, 3, 4, 7, 8]
    assert responses.window("center(0)").tolist() == [3, 8]
    spanned = responses.with_spans([(6, 12), (3, 5)])
    assert spanned.window("span").tolist() == [2, 3, 7]          # overlap counts, touching does not
    assert spanned.window_counts("span").n_tokens.tolist() == [2, 1]
    counts = responses.window_counts("first(3)")
    assert counts.n_tokens.tolist() == [3, 2] and counts.filled.tolist() == [True, False]
    assert responses.window_counts("center(1)").filled.tolist() == [True, False]
    assert responses.window_counts("center(2)").filled.tolist() == [True, False]
    assert responses.n_content.tolist() == [5, 2]


def test_a_short_text_is_never_filled_up():
    one = packed([2])
    expected = one.values[[1, 2]].mean(0)
    for window in ("all", "first(50)", "center(20)"):
        np.testing.assert_allclose(one.pool(window=window, transform="none")[0], expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 20), st.sampled_from(sorted(POOLINGS)),
       st.integers(0, 99))
def test_other_stimuli_and_chunks_cannot_change_a_pooled_value(lengths, chunk, how, seed):
    responses = packed(lengths, seed=seed)
    together = responses.pool(how, through=Encoder(3, 5), chunk=chunk)
    alone = [responses[row].pool(how, through=Encoder(3, 5))[0] for row in range(len(lengths))]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_specials_cannot_change_a_pooled_value():
    loud, none = packed([4, 6], bos=True), packed([4, 6], bos=False)
    content = ~loud.specials
    same = Responses(loud.values[content], loud.tokens[content], none.offsets, none.specials, loud.spans[content],
                     loud.ids, "", "", "")
    for how in POOLINGS:
        assert np.array_equal(loud.pool(how), same.pool(how))


def test_tokens_times_latents_never_exists_in_full():
    responses, encoder = packed([40] * 30), Encoder(3, 50)
    responses.pool("max", through=encoder, chunk=100)
    assert encoder.most <= 100 and encoder.calls == 15          # two whole texts of 40 fit into 100
    encoder = Encoder(3, 50)
    responses.pool("mean", through=encoder, chunk=7)
    assert encoder.most <= 7


def test_transform_is_signed_log_of_scaled_values():
    responses = packed([3, 3], scale=2.0)
    raw = responses.pool(transform="none")
    np.testing.assert_allclose(responses.pool(), np.sign(raw) * np.log1p(np.abs(raw) / 2), rtol=1e-6)
    assert (raw < 0).any()
    # the unit of the activations cannot matter: model and scale twice as large
    double = Responses(responses.values * 2, responses.tokens, responses.offsets, responses.specials, responses.spans,
                       responses.ids, "", "", "", scale=4.0)
    np.testing.assert_allclose(double.pool("max"), responses.pool("max"), rtol=1e-6)
    assert np.array_equal(double.pool("rate"), responses.pool("rate"))
    assert set(np.unique(responses.pool("rate") * 3).round(5)) <= {0, 1, 2, 3}


def test_scale_comes_from_the_sae_where_responses_have_none():
    responses = packed([3, 3])
    plain, scaled = responses.pool(through=Encoder(3, 4)), responses.pool(through=Encoder(3, 4, scale=5.0))
    raw = responses.pool(through=Encoder(3, 4), transform="none")
    np.testing.assert_allclose(plain, np.log1p(raw), rtol=1e-6)
    np.testing.assert_allclose(scaled, np.log1p(raw / 5), rtol=1e-6)
    own = packed([3, 3], scale=2.0).pool(through=Encoder(3, 4, scale=5.0))
    np.testing.assert_allclose(own, np.log1p(raw / 2), rtol=1e-6)


def test_peak_is_the_token_of_the_maximum():
    responses, encoder = packed([5, 9, 2]), Encoder(3, 6)
    where = responses.peak([4, 0], window="first(6)", through=encoder)
    assert where.shape == (3, 2) and where.dtype == np.int64 and not responses.specials[where].any()
    encoded = np.maximum(responses.values @ encoder.weights, 0)
    pooled = responses.pool("max", window="first(6)", through=encoder, transform="none")
    np.testing.assert_allclose(encoded[where[:, 0], 4], pooled[:, 4], rtol=1e-6)
    np.testing.assert_allclose(encoded[where[:, 1], 0], pooled[:, 0], rtol=1e-6)


def test_peak_of_a_text_longer_than_a_chunk_and_ties():
    responses = packed([3, 9000])
    content = responses.values[5:]                       # BOS, 3 tokens, BOS, then the long text
    assert responses.peak([0, 1, 2])[1].tolist() == (5 + content.argmax(0)).tolist()
    flat = Responses(np.ones_like(responses.values), responses.tokens, responses.offsets, responses.specials,
                     responses.spans, responses.ids, "", "", "")
    assert flat.peak([0]).ravel().tolist() == [1, 5]     # the earlier token


def test_indexing():
    responses = packed([5, 1, 9, 4]).with_spans([(0, 4), None, (5, 9), (0, 9)])
    assert responses.shape == (4, 3) and len(responses) == 4
    whole = responses.pool()
    for key in ([2, 0, 2], np.array([True, False, True, False]), slice(1, 3), np.array([-1]), range(2)):
        rows = np.arange(4)[key]
        chosen = responses[key]
        assert chosen.ids == tuple(responses.ids[row] for row in rows)
        assert np.array_equal(chosen.target_spans, responses.target_spans[rows])
        assert np.array_equal(chosen.pool(), whole[rows])
        assert np.array_equal(responses[key, ...].pool(), whole[rows])
    assert responses[1].shape == (1, 3)
    with pytest.raises(InputError, match="indexed by stimulus only"):
        responses[0, 1]
    with pytest.raises(IndexError):
        responses[9]


class MeanPool(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_ = X.pool("mean").shape[1]
        return self

    def transform(self, X):
        return X.pool("mean")


def test_responses_are_a_valid_scikit_learn_x():
    responses = packed([4, 7, 3, 5] * 8)
    y = np.arange(32) % 2
    values = responses.values.copy()
    values[np.repeat(y, np.diff(responses.offsets)) == 1] += 3
    responses = Responses(values, responses.tokens, responses.offsets, responses.specials, responses.spans,
                          responses.ids, "", "", "")
    model, folds, groups = make_pipeline(MeanPool(), LogisticRegression()), GroupKFold(4), np.arange(32) // 2
    scores = cross_validate(model, responses, y, groups=groups, cv=folds)["test_score"]
    assert scores.mean() > .95
    pooled = cross_val_predict(LogisticRegression(), responses.pool("mean"), y, groups=groups, cv=folds)
    assert np.array_equal(cross_val_predict(model, responses, y, groups=groups, cv=folds), pooled)


@pytest.mark.parametrize("encoder", [None, Encoder(3, 6), ColumnEncoder(3, 6)])
def test_token_features(encoder):
    responses = packed([5, 2, 8])
    features = TokenFeatures(responses, encoder, "first(4)")
    full = responses.values if encoder is None else np.maximum(responses.values @ encoder.weights, 0)
    expected = full[responses.window("first(4)")]
    assert features.n_features == full.shape[1] and features.offsets.tolist() == [0, 4, 6, 10]
    np.testing.assert_allclose(features.block(1, 3, chunk=3), expected[:, 1:3], rtol=1e-6)
    assert features.block(0, 2).dtype == np.float32
    chosen = features.rows(np.array([2, 0]))
    assert chosen.offsets.tolist() == [0, 4, 8]
    np.testing.assert_allclose(chosen.block(0, 3), np.concatenate([expected[6:, :3], expected[:4, :3]]), rtol=1e-6)
    if isinstance(encoder, ColumnEncoder):
        assert encoder.asked == slice(0, 3)


def test_pooled_rows_from_elsewhere():
    X = np.array([[1.0, -2.0], [0.5, 4.0], [3.0, 0.0]])
    responses = Responses.from_pooled(X, ids=["a", "b", "c"], scale=2.0)
    assert responses.pooled and responses.shape == (3, 2)
    for how in POOLINGS:
        np.testing.assert_allclose(responses.pool(how), np.sign(X) * np.log1p(np.abs(X) / 2), rtol=1e-6)
    assert responses[[1]].pool(transform="none").tolist() == [[0.5, 4.0]]
    assert responses.pool(through=PCA(1).fit(X)).shape == (3, 1)
    with pytest.raises(InputError, match="pooled already"):
        responses.pool(window="first(3)")
    with pytest.raises(InputError, match="encode each token before pooling"):
        responses.pool(through=Encoder(2, 4, n_latents=4))
    with pytest.raises(InputError, match="first row 1"):
        Responses.from_pooled([[1.0], [np.nan]])
    with pytest.raises(InputError, match="2 ids for 3 stimuli"):
        Responses.from_pooled(X, ids=["a", "b"])


def test_save_and_load(tmp_path):
    responses = packed([5, 2], scale=3.0).with_spans([(0, 4), None])
    back = Responses.load(responses.save(tmp_path / "r.npz"))
    for name in ("values", "tokens", "offsets", "specials", "spans", "target_spans"):
        assert np.array_equal(getattr(back, name), getattr(responses, name)), name
    assert (back.ids, back.site, back.model, back.sha256, back.scale, back.pooled) == (
        responses.ids, responses.site, responses.model, responses.sha256, 3.0, False)
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]


def test_files_recorded_elsewhere(tmp_path):
    X = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "x.npz", X=X, ids=np.array(["a", "b", "c"]))
    loaded = Responses.load(tmp_path / "x.npz")
    assert loaded.pooled and loaded.ids == ("a", "b", "c") and np.array_equal(loaded.pool(transform="none"), X)
    np.savez(tmp_path / "t.npz", values=X, offsets=[0, 2, 3])
    loaded = Responses.load(tmp_path / "t.npz")
    assert not loaded.pooled and loaded.pool(transform="none").tolist() == [[1.0, 2.0], [4.0, 5.0]]


class Bomb:
    def __reduce__(self):
        return open, ("/tmp/cogneuro_sae_unpickled", "w")


@pytest.mark.parametrize(("arrays", "message"), [
    ({"Y": np.zeros((2, 2))}, "no values and no offsets"),
    ({"X": np.zeros(3)}, "shape (3,)"),
    ({"X": np.array(["a", "b"])}, "not numbers"),
    ({"X": np.array([[1.0, np.inf]])}, "first row 0"),
    ({"X": np.zeros((2, 2)), "ids": np.array([Bomb(), "b"], dtype=object)}, "without Python objects"),
    ({"values": np.zeros((3, 2)), "offsets": [0, 4]}, "do not fit together"),
    ({"values": np.zeros((3, 2)), "offsets": [0, 2, 1, 3]}, "do not fit together"),
    ({"values": np.zeros((3, 2)), "offsets": [0, 3], "specials": [True]}, "specials has shape"),
    ({"X": np.zeros((2, 2)), "scale": "big"}, "wrong form"),
    ({"X": np.zeros((2, 2)), "scale": 0.0}, "not a positive number"),
])
def test_bad_files_are_one_clear_error(tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError) as raised:
        Responses.load(path)
    assert message in str(raised.value) and str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_unreadable_files_are_one_clear_error(tmp_path):
    whole = packed([5, 2]).save(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "zero.npz").write_bytes(b"")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    for name in ("cut.npz", "zero.npz", "plain.npy", "absent.npz"):
        with pytest.raises(InputError, match=name):
            Responses.load(tmp_path / name)


@pytest.mark.parametrize(("call", "message"), [
    (lambda r: r.pool("median"), "unknown pooling 'median'"),
    (lambda r: r.pool("maxx"), "did you mean 'max'"),
    (lambda r: r.pool(transform="log"), "did you mean 'log1p'"),
    (lambda r: r.pool(window="firstt(3)"), "did you mean 'first'"),
    (lambda r: r.pool(window="first(0)"), "whole number >= 1"),
    (lambda r: r.pool(window="first"), "whole number >= 1"),
    (lambda r: r.pool(window="first(-2)"), "whole number >= 1"),
    (lambda r: r.pool(window="all(3)"), "takes no size"),
    (lambda r: r.pool(window="span"), "these responses have none"),
    (lambda r: r.with_spans([(0, 3), None]).pool(window="span"), "1 stimuli have no span: s1"),
    (lambda r: r.with_spans([(0, 3), (90, 99)]).pool(window="span"), "holds no token of 1 stimuli: s1"),
    (lambda r: r.with_spans([(0, 3)]), "1 spans for 2 stimuli"),
    (lambda r: r[[]].pool(), "no stimuli to pool"),
    (lambda r: r.pool(chunk=0), "chunk 0"),
    (lambda r: r.pool(through=object()), "cannot pool through a object"),
    (lambda r: r.pool(through=type("T", (), {"transform": lambda self, x: x[:1]})()), "one row per token"),
    (lambda r: TokenFeatures(r, None, "middle(2)"), "unknown window"),
])
def test_bad_calls_are_one_clear_error(call, message):
    with pytest.raises(InputError) as raised:
        call(packed([5, 2]))
    assert message in str(raised.value)
