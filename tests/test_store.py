"""Activation stores: moments, the order of batches, capture, and what survives interruption and damage."""

import collections
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae import capture as capture_module
from cogneuro_sae import files
from cogneuro_sae.capture import capture
from cogneuro_sae.corpus import load_corpus
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.interrupts import Interrupted
from cogneuro_sae.store import KIND, ActivationStore, Moments, shard_name, write_shard

pytestmark = pytest.mark.slow


def make_store(folder, shards, **extra):
    for index, values in enumerate(shards):
        write_shard(folder, index, values, plan="")
    files.write_manifest(folder, [shard_name(index) for index in range(len(shards))],
                         {"kind": KIND, "rows": [len(values) for values in shards], "d_model": shards[0].shape[1],
                          "site": "model.layers.0", "model_sha256": "0" * 64, "prepend_bos": True, **extra})
    return ActivationStore(folder)


@pytest.fixture
def numbered(tmp_path):
    """A store whose row n is [n, -n]; 11 shards, so that the last group of shards is a short one."""
    rows = np.arange(103.0)
    return make_store(tmp_path / "numbered", np.array_split(np.stack([rows, -rows], axis=1), 11))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(0, 2**16))
@settings(max_examples=30)
def test_moments_merge_to_those_of_the_whole(sizes, seed):
    pieces = [np.random.default_rng([seed, n]).normal(5, 3, (size, 3)) for n, size in enumerate(sizes)]
    total = Moments.of(pieces[0])
    for piece in pieces[1:]:
        total = total.merge(Moments.of(piece))
    whole = np.concatenate(pieces)
    assert total.count == len(whole)
    if len(whole):
        np.testing.assert_allclose(total.mean, whole.mean(axis=0))
        np.testing.assert_allclose(total.variance, whole.var(axis=0), atol=1e-12)


def test_moments_and_norms_by_hand(tmp_path):
    store = make_store(tmp_path, [np.array([[3.0, 4.0]]), np.array([[0.0, 0.0], [6.0, 8.0]])])
    assert store.moments().mean.tolist() == [3.0, 4.0]
    assert store.moments().variance.tolist() == [6.0, pytest.approx(32 / 3)]
    assert store.mean_norm() == pytest.approx(5.0)
    assert store.mean_norm(np.array([3.0, 4.0])) == pytest.approx(10 / 3)
    assert len(store) == 3 and store.shard(1).dtype == np.float32


def test_one_pass_gives_every_row_once(numbered):
    drawn = [row for _, batch in zip(range(11), numbered.batches(10, seed=3), strict=False) for row in batch[:, 0]]
    assert len(drawn) == 110 and all(count == 1 for count in collections.Counter(drawn[:103]).values())
    assert len(set(drawn[103:])) == 7                                # the stream goes on with the next pass
    again = [row for _, batch in zip(range(22), numbered.batches(10, seed=3), strict=False) for row in batch[:, 0]]
    assert again[:110] == drawn and again[103:206] != again[:103] and set(again[103:206]) == set(again[:103])


def test_rows_of_different_shards_mix(numbered):
    first = next(numbered.batches(20, seed=0))[:, 0]
    assert len({int(row) // 10 for row in first}) >= 3
    assert np.abs(np.diff(first)).mean() > 3


@pytest.mark.parametrize("size", [1, 10, 64, 103, 250])
def test_batches_can_start_anywhere(numbered, size):
    stream = numbered.batches(size, seed=5)
    batches = [next(stream) for _ in range(14)]
    assert all(batch.shape == (size, 2) for batch in batches)
    for start in (0, 1, 3, 7, 13):
        np.testing.assert_array_equal(next(numbered.batches(size, seed=5, start=start)), batches[start])
    assert not np.array_equal(next(numbered.batches(size, seed=6)), batches[0])


def test_chunks_keep_the_order_and_the_limit(numbered):
    np.testing.assert_array_equal(np.concatenate(list(numbered.chunks(4)))[:, 0], np.arange(103))
    np.testing.assert_array_equal(np.concatenate(list(numbered.chunks(4, limit=37)))[:, 0], np.arange(37))


def test_unfinished_and_altered_stores_are_refused(numbered):
    shard = numbered.folder / shard_name(2)
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InputError, match="does not match the manifest"):
        ActivationStore(numbered.folder)
    shard.write_bytes(data[:-2])
    with pytest.raises(InputError, match="truncated"):
        ActivationStore(numbered.folder, verify=False)
    (numbered.folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="no manifest"):
        ActivationStore(numbered.folder)


def test_bad_batch_size(numbered):
    with pytest.raises(InputError, match="batches of 0 rows"):
        next(numbered.batches(0, seed=0))


# ---- capture ----

TEXT = "\n\n".join(f"The {word} stood by the river and waited. Nobody came on day {n}, and nobody asked why the {word} stayed."
                   for n, word in enumerate(["miller", "old horse", "ferry", "teacher", "soldier", "cat"] * 6))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT, "utf-8")
    return load_corpus(path, heldout_share=0.25)


def shas(folder):
    return [files.sha256_file(path) for path in sorted(folder.glob("shard-*.safetensors"))]


def test_capture_equals_recording_one_by_one(default_model, corpus, tmp_path):
    store = capture(default_model, corpus, "middle", tmp_path, tokens=10**6, shard_rows=100)
    assert store.site == "model.layers.3" and len(store.rows) > 3 and store.manifest["prepend_bos"] is True
    expected = []
    for text in corpus.passages("train", characters=1000, seed=0):
        one = default_model.record([text], "middle")
        assert one.specials.tolist() == [True] + [False] * (len(one.specials) - 1)
        expected.append(one.values[1:])
    expected = np.concatenate(expected)
    found = np.concatenate([store.shard(index) for index in range(len(store.rows))])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * expected.std()


def test_the_budget_counts_kept_tokens(default_model, corpus, tmp_path):
    store = capture(default_model, corpus, "middle", tmp_path, tokens=137, shard_rows=50)
    assert len(store) == 137
    with pytest.raises(InputError, match="tokens = 0"):
        capture(default_model, corpus, "middle", tmp_path / "x", tokens=0)


def test_held_out_documents_are_other_documents(default_model, corpus, tmp_path):
    held = capture(default_model, corpus, "middle", tmp_path, tokens=10**6, part="heldout")
    expected = sum(len(one.ids) - 1 for one in default_model.tokenize(corpus.documents("heldout")))
    assert len(held) == expected


def test_documents_longer_than_the_model_are_cut(default_model, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("The river rose and the river fell again. " * 300, "utf-8")
    store = capture(default_model, load_corpus(path, heldout_share=0), "middle", tmp_path / "s", tokens=10**6,
                    passage=100_000)
    whole = len(default_model.tokenizer(path.read_text(), add_special_tokens=False)["input_ids"])
    assert abs(len(store) - whole) <= 0.02 * whole and len(store) > default_model.max_tokens


def test_capture_mends_only_what_is_damaged(default_model, corpus, tmp_path, monkeypatch):
    store = capture(default_model, corpus, "middle", tmp_path / "s", tokens=900, shard_rows=150)
    clean, first = shas(store.folder), store.folder / shard_name(0)
    (store.folder / "manifest.json").unlink()                        # killed before the manifest
    first.write_bytes(first.read_bytes()[:1000])                     # a truncated shard
    (store.folder / shard_name(2)).with_suffix(".json").unlink()     # killed between shard and note
    (store.folder / ".writing-1-x").write_bytes(b"litter")
    recorded = []
    record = capture_module._record
    monkeypatch.setattr(capture_module, "_record", lambda *args: recorded.append(1) or record(*args))
    again = capture(default_model, corpus, "middle", tmp_path / "s", tokens=900, shard_rows=150)
    assert len(recorded) == 2 and shas(again.folder) == clean
    assert not (store.folder / ".writing-1-x").exists()
    capture(default_model, corpus, "middle", tmp_path / "s", tokens=900, shard_rows=150)
    assert len(recorded) == 2                                        # finished: nothing runs


def test_another_capture_in_the_folder_is_refused(default_model, corpus, tmp_path):
    capture(default_model, corpus, "middle", tmp_path, tokens=100)
    with pytest.raises(InputError, match=r"another capture \(differs in tokens\)"):
        capture(default_model, corpus, "middle", tmp_path, tokens=101)


def test_not_finite_activations_stop_the_capture(default_model, corpus, tmp_path):
    with default_model.edited("model.layers.1", lambda x: x * float("nan")):
        with pytest.raises(InputError, match="(?i)nan or infinite activations.*") as caught:
            capture(default_model, corpus, "middle", tmp_path, tokens=100)
    assert "passage 'The " in str(caught.value) and "model.layers.3" in str(caught.value)
    assert not (tmp_path / "manifest.json").exists()


def test_free_space_is_looked_at_first(default_model, corpus, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(SetupError, match=r"needs .* GB, 0.00 GB are free") as caught:
        capture(default_model, corpus, "middle", tmp_path, tokens=100)
    assert caught.value.exit_code == 3 and not list(tmp_path.glob("shard*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_shard_and_the_rest_comes_later(default_model, corpus, tmp_path, number):
    clean = shas(capture(default_model, corpus, "middle", tmp_path / "clean", tokens=900, shard_rows=150).folder)
    arguments = (default_model, corpus, "middle", tmp_path / "s")
    with pytest.raises(Interrupted, match="re-run the same command to resume") as caught:
        capture(*arguments, tokens=900, shard_rows=150, progress=lambda done, _: os.kill(os.getpid(), number))
    assert caught.value.exit_code == 130
    assert len(shas(tmp_path / "s")) == 1
    assert shas(capture(*arguments, tokens=900, shard_rows=150).folder) == clean


KILLED = """
    import sys
    from cogneuro_sae.capture import capture
    from cogneuro_sae.corpus import load_corpus
    from cogneuro_sae.language_model import LanguageModel
    corpus = load_corpus(sys.argv[1], heldout_share=0.25)
    print("ready", flush=True)
    capture(LanguageModel.load("default"), corpus, "middle", sys.argv[2], tokens=1500, shard_rows=60)
"""


@pytest.mark.slow
def test_killed_capture_ends_with_the_bytes_of_a_clean_one(default_model, corpus, tmp_path):
    _kill_and_compare(default_model, corpus, tmp_path, kills=1)


@pytest.mark.long
def test_capture_killed_twenty_times(default_model, corpus, tmp_path):
    _kill_and_compare(default_model, corpus, tmp_path, kills=20)


def _kill_and_compare(model, corpus, tmp_path, kills):
    clean = shas(capture(model, corpus, "middle", tmp_path / "clean", tokens=1500, shard_rows=60).folder)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), corpus.name, str(tmp_path / "killed")]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    for kill in range(kills):
        process = subprocess.Popen(command, env=environment)
        deadline = time.time() + 60
        while len(list((tmp_path / "killed").glob("shard-*.json"))) <= kill and process.poll() is None:
            assert time.time() < deadline
            time.sleep(0.002)
        process.kill()
        process.wait()
    if kills == 1:
        assert not (tmp_path / "killed" / "manifest.json").exists(), "killed too late to show anything"
    assert subprocess.run(command, env=environment).returncode == 0
    assert shas(tmp_path / "killed") == clean and files.is_complete(tmp_path / "killed")
