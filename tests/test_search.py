"""The search against brute force on a tiny model: windows, strata, samples, ensembles, latents, words."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import tiny

from cogneuro_sae.corpus import cut_text
from cogneuro_sae.corpus.documents import Corpus
from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import log_scaled
from cogneuro_sae.sae import L1Autoencoder
from cogneuro_sae.search import (SearchConfig, count_terms, enriched_terms, keyword_map, keyword_search, neuronpedia_link,
                                 promoted_tokens, scan_latents)
from cogneuro_sae.search.controls import control_features
from cogneuro_sae.search.config import Controls
from cogneuro_sae.search.choosing import take_distinct
from cogneuro_sae.search.describing import Recall, choose, window_rows
from cogneuro_sae.search.inputs import Inputs
from cogneuro_sae.search.keeping import Largest, Sample, record_type
from cogneuro_sae.search.keywords import enriched_corpus
from cogneuro_sae.search.run import Stream
from cogneuro_sae.search.sentences import sentence_spans
from cogneuro_sae.search.signals import Ensemble, Feature, Signals
from cogneuro_sae.search.tallies import Tallies
from cogneuro_sae.search.windows import keys, lay_tiles, normalised, pool_tiles
from cogneuro_sae.selection.ensembles import LogisticRidge, MeanZ

pytestmark = pytest.mark.slow

SITE = "model.layers.1"
LATENTS = (0, 3, 7)
SIZE = 12


def make_corpus(n=40, seed=0, extra=()):
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 8))) for _ in range(400)]
    texts = [". ".join(" ".join(rng.choice(words, rng.integers(4, 9))) for _ in range(rng.integers(2, 7))) + "."
             for _ in range(n)]
    texts = [*texts, *extra]
    return Corpus("toy", tuple(texts), tuple(f"{row % 3}.txt" for row in range(len(texts))), np.zeros(len(texts), bool), "0")


def make_sae(seed=0, latents=24):
    rng = np.random.default_rng(seed)
    sae = L1Autoencoder(16, latents, site=SITE)
    for name, size in (("W_enc", (16, latents)), ("W_dec", (latents, 16))):
        getattr(sae, name).data.copy_(torch.tensor(rng.normal(size=size), dtype=sae.W_enc.dtype))
    # every latent fires on a few of the model's tokens
    sae.b_enc.data -= torch.tensor([2.2, 6, 2, 7, 9, 2, 1, 2.2, 2, 9, 3, 7, 8, 6, 8, 1, 6, 3, 0, 1.5, 8, 8, 3, 0][:latents])
    return sae.requires_grad_(False)


@pytest.fixture(scope="module")
def model():
    return tiny("llama")


@pytest.fixture(scope="module")
def sae():
    return make_sae()


def make_inputs(model, sae, corpus, *, features=LATENTS, ensembles=(), **fields):
    given = {"name": "toy", "features": [f"sae:{index}" for index in features], "window": SIZE, "pooling": "mean",
             "context": 3, "passage": 100, "site": SITE, "shard_characters": 1000,
             "windows": {"top": 8, "per_bin": 3, "bins": 4, "random": 10, "zero": 6}} | fields
    given["features"] = given["features"] or ["sae:0"]
    chosen = tuple(Feature("sae", index, 1, {"": ("given",)}) for index in features)
    return Inputs(SearchConfig.model_validate(given), model, Signals(chosen, ensembles, {"sae": sae}), {"sae": sae},
                  {"sae": "default"}, corpus, True, {}, ())


def searched(inputs):
    stream = Stream(inputs)
    stream.run(lambda line: None)
    recall = Recall(inputs.model, inputs.corpus, passage=inputs.config.passage, bos=True)
    wanted = inputs.config.windows
    return stream, [choose(stream.windows, place, recall, bins=wanted.bins, per_bin=wanted.per_bin)
                    for place in range(len(inputs.signals))], recall


def pieces_of(model, text, longest):
    tokens = model.tokenize([text])[0]
    if len(tokens.ids) <= longest:
        return [text]
    return [piece for half in cut_text(text, -(-len(text) // 2)) for piece in pieces_of(model, half, longest)]


def every_window(model, sae, corpus, documents, *, pooling="mean", size=SIZE, passage=100):
    """All windows one by one: (document, start, stop, text, values of all latents), in reading order, texts once."""
    found, met = [], set()
    for document in documents:
        offset = 0
        for cut in cut_text(corpus.texts[document], passage):
            for text in pieces_of(model, cut, model.max_tokens):
                recorded = model.record([text], SITE)
                content = ~recorded.specials
                codes, spans = sae.transform(recorded.values[content]), recorded.spans[content]
                for start in range(0, len(codes), size):
                    part = codes[start:start + size]
                    if len(part) < size / 2 and start > 0:
                        continue
                    said = text[spans[start, 0]:spans[start + len(part) - 1, 1]]
                    plain = " ".join(re.findall(r"[^\W_]+", re.sub(r"\d", "0", said.casefold()))) or said.strip()
                    if plain not in met:
                        met.add(plain)
                        value = {"mean": part.mean(axis=0), "max": part.max(axis=0), "last": part[-1],
                                 "rate": (part > 0).mean(axis=0)}[pooling]
                        found.append((document, offset + start, offset + start + len(part), said, value))
                offset += len(codes)
    return found


def rng_order(n):
    """Reading order of n different documents under seed 0."""
    return np.random.default_rng(0).permutation(n)


def triples(text):
    words = re.findall(r"[^\W_]+", re.sub(r"\d", "0", text.casefold()))
    return {tuple(words[place:place + 3]) for place in range(max(1, len(words) - 2))}


def greedy(windows, feature, wanted, per_document):
    chosen = []
    for window in sorted((one for one in windows if one[4][feature] > 0), key=lambda one: -one[4][feature]):
        if sum(one[0] == window[0] for one in chosen) >= per_document or len(chosen) == wanted:
            continue
        mine = triples(window[3])
        if all(2 * len(mine & triples(one[3])) < len(mine | triples(one[3])) for one in chosen):
            chosen.append(window)
    return chosen


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_top_windows_equal_brute_force(model, sae, pooling):
    corpus = make_corpus(extra=(make_corpus(3, seed=9).texts * 2) + ("short",))
    # single tokens in equal contexts tie, and which of two documents then fills up is left to chance
    inputs = make_inputs(model, sae, corpus, pooling=pooling, per_document=2 if pooling == "mean" else 99)
    stream, chosen, recall = searched(inputs)
    windows = every_window(model, sae, corpus, stream.order.documents, pooling=pooling)
    assert stream.order.repeated == 3 and stream.windows.counts[0] - stream.windows.counts[1] == len(windows)
    for place, latent in enumerate(LATENTS):
        expected = greedy(windows, latent, 8, inputs.config.per_document)
        rows = window_rows(f"sae:{latent}", chosen[place], recall, context=3)
        rows = [row for row in rows if row["kind"] == "top"]
        if pooling == "mean":
            assert [(row["document"], row["start"], row["stop"]) for row in rows] == [one[:3] for one in expected]
        np.testing.assert_allclose([row["value"] for row in rows], [one[4][latent] for one in expected], rtol=1e-4)
        assert [row["rank"] for row in rows] == list(range(1, len(expected) + 1))


def test_rows_show_the_window_its_context_and_its_peak(model, sae):
    corpus = make_corpus(12)
    stream, chosen, recall = searched(make_inputs(model, sae, corpus))
    for row in window_rows("sae:0", chosen[0], recall, context=3):
        a, b = row["pool"]
        assert len(row["tokens"]) == len(row["activations"]) and 0 <= a <= 3 and len(row["tokens"]) - b <= 3
        assert b - a == row["stop"] - row["start"] <= SIZE
        assert row["value"] == pytest.approx(np.mean(row["activations"][a:b]), abs=1e-5)
        assert row["activations"][row["focus"]] == max(row["activations"][a:b]) and a <= row["focus"] < b
        assert row["text"] == "".join(row["tokens"]) and row["text"] in corpus.texts[row["document"]]
        assert re.fullmatch("[0-9a-f]{16}", row["window"]) and row["source"] == corpus.sources[row["document"]]


def test_strata_are_quantiles_of_the_active_windows(model, sae):
    corpus = make_corpus()
    stream, chosen, _ = searched(make_inputs(model, sae, corpus, per_document=50))
    windows = every_window(model, sae, corpus, stream.order.documents)
    for place, latent in enumerate(LATENTS):
        values = np.array([one[4][latent] for one in windows])
        active = values[values > 0]
        assert 20 < len(active) <= 512 and stream.windows.active_windows[place] == len(active)
        np.testing.assert_allclose(chosen[place].edges, np.quantile(active, [0.25, 0.5, 0.75]), rtol=1e-4)
        bins = np.digitize([float(one["value"]) for one in chosen[place].kinds["stratum"]], chosen[place].edges)
        assert np.bincount(bins, minlength=4).tolist() == [3, 3, 3, 3]


def test_zero_windows_are_silent_and_random_ones_know_no_value(model, sae):
    corpus = make_corpus(50)
    means = []
    for seed in range(8):
        stream, chosen, _ = searched(make_inputs(model, sae, corpus, features=(0,), seed=seed, per_document=50))
        assert all(one["value"] == 0 and not (one["shown"][3:3 + SIZE] > 0).any() for one in chosen[0].kinds["zero"])
        means.append(np.mean([one["value"] for one in chosen[0].kinds["random"]]))
    values = np.array([one[4][0] for one in every_window(model, sae, corpus, range(50))])
    assert len(set(means)) == 8
    assert abs(np.mean(means) - values.mean()) < 4 * values.std() / np.sqrt(80)


def test_a_sample_is_uniform_and_knows_no_order():
    digests = keys(np.arange(300, dtype=np.uint64), 99)
    chosen = np.zeros(300)
    for seed in range(400):
        drawn = keys(digests, seed, 1)
        sets = []
        for order in (np.arange(300), np.random.default_rng(seed).permutation(300)):
            keeper = Sample(1, 30, 0)
            for part in np.array_split(order, 7):
                rows = part[keeper.eligible(0, drawn[part])]
                found = np.zeros(len(rows), keeper.rows.dtype)
                found["key"], found["document"] = drawn[rows], rows
                keeper.offer(0, found)
            sets.append(set(keeper.kept(0)["document"].tolist()))
        assert sets[0] == sets[1] and len(sets[0]) == 30
        chosen[list(sets[0])] += 1
    # binomial(400, .1): mean 40, sd 6
    assert 15 < chosen.min() and chosen.max() < 65 and abs(np.corrcoef(chosen, np.arange(300))[0, 1]) < 0.2


@pytest.mark.parametrize("limit", [1, 3])
def test_one_document_cannot_fill_the_list(model, sae, limit):
    corpus = make_corpus(15, extra=(" ".join(make_corpus(30, seed=4).texts),))
    _, chosen, _ = searched(make_inputs(model, sae, corpus, per_document=limit))
    for one in chosen:
        for kind, found in one.kinds.items():
            counts = np.unique([window["document"] for window in found], return_counts=True)[1]
            assert counts.max() <= limit, kind
    assert any((np.array([window["document"] for window in one.kinds["top"]]) == 15).sum() == limit for one in chosen)


def test_texts_that_differ_in_signs_only_count_once(model, sae):
    corpus = make_corpus(10)
    twice = Corpus("toy", (*corpus.texts, *(text.upper().replace(".", " !?") for text in corpus.texts)), corpus.sources * 2,
                   np.zeros(20, bool), "0")
    stream, chosen, recall = searched(make_inputs(model, sae, twice, window=200))
    for one in chosen:
        texts = [normalised(recall.text(window)) for window in one.kinds["random"]]
        assert len(texts) == len(set(texts)) and stream.windows.counts[1] >= 5


def test_near_duplicates_and_used_up_documents_are_passed_over():
    texts = ["one two three four five six", "one two three four five six seven", "one two three nine ten eleven",
             "a b c d e", "f g h i j"]
    found = np.zeros(5, record_type(0))
    found["document"], found["number"] = [0, 1, 2, 0, 0], np.arange(5)
    taken = take_distinct(found, 4, per_document=2, text_of=lambda one: texts[one["number"]])
    assert [int(one["number"]) for one in taken] == [0, 2, 3]
    more = take_distinct(found[1:3], 4, per_document=2, text_of=lambda one: texts[one["number"]], taken=taken[:1])
    assert [int(one["number"]) for one in more] == [2]


def test_a_passage_met_often_does_not_fill_the_list(model, sae):
    keeper = Largest(1, 6, 0, per_document=2)
    for values, peaks in ((np.arange(10, 30), np.full(20, 77)), (np.arange(5), np.arange(5))):
        found = np.zeros(len(values), keeper.rows.dtype)
        found["value"], found["peak"], found["document"], found["key"] = values, peaks, values, values
        keeper.offer(0, found)
    assert keeper.kept(0)["value"].tolist() == [29, 4, 3, 2, 1, 0]
    # a window cut a little later has its strongest token in the same surroundings
    text = " ".join(make_corpus(1).texts).replace("\n", " ")[:58]
    stream, _, _ = searched(make_inputs(model, sae, make_corpus(20, extra=(text, f"{text}, q")), features=(0,), pooling="max"))
    peaks = stream.windows.keepers["top"].kept(0)["peak"]
    assert len(peaks) == len(set(peaks.tolist())) > 8 and peaks.all()


def test_an_ensemble_is_ranked_by_the_decision_of_its_class(model, sae):
    corpus, rng = make_corpus(30), np.random.default_rng(0)
    X, y = rng.exponential(size=(60, 3)) * 0.05, np.repeat([0, 1], 30)
    X[y == 1] += 0.1
    fitted = LogisticRidge(C=1e6).fit(X, y)
    fitted.coef_ = np.abs(fitted.coef_) * 20
    windows = every_window(model, sae, corpus, rng_order(30))
    pooled = np.array([one[4][list(LATENTS)] for one in windows])
    decision = fitted.decision_function(log_scaled(pooled, scale=2.0))
    assert (fitted.predict_proba(log_scaled(pooled, scale=2.0))[:, 1] == 1).sum() > 5      # saturated
    for sign in (1, -1):
        both = Ensemble("both", "sae", np.array(LATENTS), fitted, sign, 2.0, "target")
        _, chosen, _ = searched(make_inputs(model, sae, corpus, features=(), ensembles=(both,), latents=1, per_document=50))
        best = [float(one["value"]) for one in chosen[0].kinds["top"]]
        assert best == sorted(best, reverse=True)
        np.testing.assert_allclose(best[0], (sign * decision).max(), rtol=1e-3)
        np.testing.assert_allclose(best, np.sort(sign * decision)[::-1][:len(best)], rtol=1e-3)


def test_token_values_of_an_ensemble_are_what_the_token_alone_moves(sae):
    fitted = MeanZ().fit(np.random.default_rng(0).normal(size=(20, 2)) + np.repeat([[0], [2]], 10, axis=0), np.repeat([0, 1], 10))
    signals = Signals((), (Ensemble("e", "sae", np.array([1, 4]), fitted, 1, 0.0, "target"),), {"sae": sae})
    columns = np.array([[0, 0], [1, 0], [2, 3]], np.float32)
    expected = columns @ (fitted.coef_ / fitted.scale_)
    np.testing.assert_allclose(signals.tokens(columns)[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_raw_units_can_be_searched_flipped(model, sae):
    corpus = make_corpus(10)
    inputs = make_inputs(model, sae, corpus, features=())
    values = {}
    for sign in (1, -1):
        signals = Signals((Feature("raw", 5, sign, {"": ("given",)}),), (), {})
        _, chosen, _ = searched(inputs._replace(signals=signals))
        values[sign] = float(chosen[0].kinds["top"][0]["value"])
    recorded = [model.record([text], SITE) for text in corpus.texts for text in cut_text(text, 60)]
    assert values[1] > 0 and values[-1] > 0 and values[1] != values[-1] and recorded


@pytest.mark.parametrize("pooling", ["mean", "max", "last", "rate"])
def test_pooling_of_windows_is_that_of_stimuli(pooling):
    from cogneuro_sae.responses.pooling import pool_tokens

    rng, lengths = np.random.default_rng(1), np.array([25, 3, 10, 41, 1])
    tokens = (rng.normal(size=(lengths.sum(), 4))).astype(np.float32)
    tiles = lay_tiles(lengths, 10)
    assert [(r, a, b) for r, a, b in zip(tiles.read, tiles.start, tiles.stop)] == [
        (0, 0, 10), (0, 10, 20), (0, 20, 25), (1, 0, 3), (2, 0, 10), (3, 0, 10), (3, 10, 20), (3, 20, 30), (3, 30, 40), (4, 0, 1)]
    index = np.concatenate([np.arange(a, b) + base for a, b, base in zip(tiles.start, tiles.stop, tiles.base)])
    expected = pool_tokens(tokens, index, tiles.stop - tiles.start, how=pooling)
    np.testing.assert_allclose(pool_tiles(tokens, tiles, pooling), expected, rtol=1e-5, atol=1e-6)


def test_tallies_equal_their_definitions():
    rng, lengths = np.random.default_rng(2), np.array([30, 50, 20, 100])
    tokens = (rng.exponential(size=(200, 3)) * (rng.random((200, 3)) < [0.5, 0.05, 0])).astype(np.float32)
    tallies = Tallies(3)
    tallies.add(tokens[:80], lengths[:2]), tallies.add(tokens[80:], lengths[2:])
    for column in (0, 1):
        found, values = tallies.describe(column), tokens[:, column]
        active = values[values > 0]
        assert found["n_tokens"] == 200 and found["max"] == values.max() and found["mean"] == pytest.approx(values.mean(), 1e-5)
        assert found["active_share"] == len(active) / 200 and sum(found["histogram"]["counts"]) == len(active)
        assert np.quantile(active, 0.5, method="inverted_cdf") == pytest.approx(found["median"], rel=0.023)
        texts = [part.any() for part in np.split(values, np.cumsum(lengths)[:-1])]
        assert found["texts_share"] == np.mean(texts)
        counted = np.histogram(active, found["histogram"]["edges"])[0]
        assert counted.tolist() == found["histogram"]["counts"]
    assert np.isnan(tallies.describe(2)["median"]) and tallies.describe(2)["histogram"]["counts"] == []


def test_all_latents_equal_brute_force(model, sae):
    corpus, lines = make_corpus(25), []
    result = scan_latents(model, sae, corpus, top=4, passage=60, progress=lines.append)
    said, met = [], set()
    for document in np.random.default_rng(0).permutation(25):
        for cut in cut_text(corpus.texts[document], 60):
            for text in pieces_of(model, cut, model.max_tokens):
                recorded = model.record([text], SITE)
                codes, spans = sae.transform(recorded.values)[~recorded.specials], recorded.spans[~recorded.specials]
                for start, stop in sentence_spans(text):
                    inside = (spans[:, 1] > start) & (spans[:, 1] <= stop + 1)
                    inside = (spans[:, 1] - 1 >= start) & (spans[:, 1] - 1 < next(
                        (a for a, _ in sentence_spans(text) if a >= stop), len(text)))
                    plain = normalised(text[start:stop])
                    if plain not in met and inside.any():
                        met.add(plain)
                        said.append((int(document), text[start:stop], codes[inside]))
    for name, how in (("mean", lambda c: c.mean(0)), ("max", lambda c: c.max(0)), ("last", lambda c: c[-1])):
        values = np.array([how(codes) for _, _, codes in said])
        best = -np.sort(-values, axis=0)[:4].T
        np.testing.assert_allclose(np.nan_to_num(result.values[name]), np.maximum(best, 0), rtol=1e-3, atol=1e-4)
        for latent in range(sae.n_latents):
            for value, row in zip(result.values[name][latent], result.sentences[name][latent]):
                if row < 0:
                    assert np.isnan(value)
                    continue
                match = [v for (document, text, _), v in zip(said, values[:, latent])
                         if (document, text) == (result.table[row]["document"], result.table[row]["text"])]
                assert match and match[0] == pytest.approx(value, rel=1e-3, abs=1e-4)
    assert "of the forward pass on top" in lines[-1] and result.share > 0


def test_controls_are_drawn_once_and_match_the_rate(sae):
    rate = np.where(np.arange(24) < 12, 0.01, 0.1) * np.linspace(1, 1.02, 24)
    rate[20] = 0.0
    known = SimpleNamespace(n_latents=24, firing_rate=rate)
    chosen = tuple(Feature("sae", index, 1, {"fear": ("max_any",)}) for index in (0, 1, 2))
    found = control_features(chosen, {"sae": known}, Controls(random=5, rate_matched=3), width=16, seed=1)
    assert found == control_features(chosen, {"sae": known}, Controls(random=5, rate_matched=3), width=16, seed=1)
    arms = {arm: [one.index for one in found if one.arms == {"fear": (arm,)}] for arm in ("random", "rate_matched")}
    assert len(arms["random"]) == 5 and len(arms["rate_matched"]) == 3
    assert all(2 < index < 12 for index in arms["rate_matched"])
    everything = [0, 1, 2, *arms["random"], *arms["rate_matched"]]
    assert len(set(everything)) == 11 and 20 not in everything
    with pytest.raises(InputError, match="controls.random is 50"):
        control_features(chosen, {"sae": known}, Controls(random=50), width=16, seed=1)
    with pytest.raises(InputError, match="firing rates"):
        control_features(chosen, {"sae": SimpleNamespace(n_latents=24, firing_rate=None)}, Controls(rate_matched=1), width=16, seed=0)


def test_a_planted_ngram_is_found_and_noise_is_not():
    rng, words = np.random.default_rng(0), [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(20) for b in range(20)]
    draw = lambda n: [" ".join(rng.choice(words, 15)) for _ in range(n)]      # noqa: E731
    windows = [text + " Golden gate, " + text[:20] if place % 2 else text for place, text in enumerate(draw(20))]
    found = enriched_terms(count_terms(windows, (2, 3)), count_terms(draw(2000), (2, 3)))
    assert found[0].term == "golden gate" and found[0].windows == 10 and found[0].q < 1e-6
    a, n, b, m = 10, 20, 0, 2000
    assert found[0].log_odds == pytest.approx(np.log((a + .5) / (n - a + .5)) - np.log((b + .5) / (m - b + .5)))
    background = count_terms(draw(2000))
    false = sum(bool(enriched_terms(count_terms(draw(20)), background)) for _ in range(100))
    assert false <= 10


def test_fisher_p_equals_scipy():
    from scipy.stats import fisher_exact

    found = enriched_terms(count_terms(["a b"] * 5 + ["c d"] * 5), count_terms(["a c"] * 3 + ["d e"] * 40), least=1, alpha=1.0, most=99)
    mine = {one.term: one.p for one in found}
    assert mine["a"] == pytest.approx(fisher_exact([[5, 5], [3, 40]], alternative="greater").pvalue)


def test_keyword_counts_equal_a_naive_count():
    corpus = make_corpus(30, extra=("The Golden Gate. golden gate! (Goldengate) a.b", "Aab aab", "GOLDEN GATE"))
    for word in ("aa", "golden gate", "a.b", corpus.texts[0].split()[0]):
        naive = sum(text.lower().count(word.lower()) for text in corpus.texts)
        assert keyword_map(corpus, word, chunk=7).matches == naive
        assert len(keyword_search(corpus, word, limit=1000).matches) == naive
    assert keyword_map(corpus, "golden gate", case=True).matches == 1
    assert keyword_map(corpus, "aab", whole_word=True).matches == 2 and keyword_map(corpus, "gate", whole_word=True).matches == 3
    hit = keyword_search(corpus, "Gate", case=True, context=7, limit=1)
    assert hit.matches[0][4:] == ("Golden ", "Gate", ". golde") and hit.matches[0].document == 30 and hit.scanned == 33
    assert keyword_search(corpus, "gate", limit=1)[1:] == (31, 30)
    assert keyword_search(corpus, "gate", start=31, scan=1).matches == []


def test_keyword_map_by_hand():
    texts = tuple("x" if row not in (3, 4, 11) else "fear fear" if row == 4 else "fear" for row in range(12))
    corpus = Corpus("toy", texts, ("f",) * 12, np.zeros(12, bool), "0")
    found = keyword_map(corpus, "fear", chunk=4)
    assert found[:5] == (12, 4, 3, 3, [(1, 2), (0, 1), (2, 1)]) and found.density == 4 / 12
    assert (found.first, found.last, found.spread) == (3, 11, 8 / 11) and found.suggestions[0] == {"start": 4, "documents": 4}
    assert keyword_map(corpus, "joy").first == -1 and np.isnan(keyword_map(corpus, "joy").spread)
    part = enriched_corpus(corpus, ["fear", "joy"], chunk=2)
    assert part.corpus.texts == (*texts[2:6], *texts[10:]) and (part.before, part.after) == (3 / 12, 3 / 6)
    with pytest.raises(InputError, match="no document"):
        enriched_corpus(corpus, "joy")
    with pytest.raises(InputError, match="keyword is empty"):
        keyword_search(corpus, " ")


def test_promoted_tokens_are_the_logit_lens(model):
    direction = np.random.default_rng(0).normal(size=(1, 16)).astype(np.float32)
    found = promoted_tokens(model, direction, most=5)[0]
    weight = model.model.get_output_embeddings().weight.detach().numpy()
    logits = weight @ (direction[0] * model.model.model.norm.weight.detach().numpy())
    logits -= logits.mean()
    np.testing.assert_allclose([value for _, value in found.promoted], np.sort(logits)[::-1][:5], rtol=1e-4)
    np.testing.assert_allclose([value for _, value in found.suppressed], np.sort(logits)[:5], rtol=1e-4)
    assert promoted_tokens(model, np.ones((1, 7)), most=5)[0] == ([], [])


def test_neuronpedia_link_names_the_sae():
    assert neuronpedia_link("gpt2-small/6-res-jb", 12) == "https://www.neuronpedia.org/gpt2-small/6-res-jb/12"
    assert neuronpedia_link(None, 12) is None
