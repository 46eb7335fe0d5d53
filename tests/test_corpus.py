"""Corpora: documents, the split by hash, passages, and what a damaged file says."""

import gzip
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogneuro_sae.corpus import SHIPPED, cut_text, load_corpus
from cogneuro_sae.errors import InputError

DOCUMENTS = [f"Document number {n} tells of the {n} mills.\nIt has two lines." for n in range(200)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("\n\n".join(DOCUMENTS[:80]), "utf-8")
    (tmp_path / "two.txt.gz").write_bytes(gzip.compress("\r\n \r\n".join(DOCUMENTS[80:150]).encode()))
    (tmp_path / "three.jsonl").write_text("".join(json.dumps({"text": d, "id": 1}) + "\n" for d in DOCUMENTS[150:]))
    (tmp_path / "notes.md").write_text("not text for training")
    return tmp_path


def test_every_form_of_file_gives_its_documents(folder):
    corpus = load_corpus(folder)
    assert len(corpus) == 200
    assert {text.replace("\r\n", "\n") for text in corpus.texts} == set(DOCUMENTS)
    assert dict.fromkeys(corpus.sources).keys() == {"a/one.txt", "three.jsonl", "two.txt.gz"}
    assert len(load_corpus(folder / "a" / "one.txt")) == 80
    assert len(load_corpus("a", base=folder)) == 80


def test_the_split_is_the_hash_of_the_text_and_nothing_else(folder, tmp_path_factory):
    corpus = load_corpus(folder, heldout_share=0.2)
    by_hand = [int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) < 0.2 * 2**64 for text in corpus.texts]
    assert corpus.heldout.tolist() == by_hand
    assert 0.1 < corpus.heldout.mean() < 0.3
    assert set(corpus.documents("train")).isdisjoint(corpus.documents("heldout"))
    other = tmp_path_factory.mktemp("other") / "x.txt"
    other.write_text("\n\n\n".join([*reversed(DOCUMENTS), "One more."]), "utf-8")
    assert set(load_corpus(other, heldout_share=0.2).documents("heldout")) - {"One more."} == set(corpus.documents("heldout"))


def test_sha256_follows_the_text(folder):
    before = load_corpus(folder).sha256
    assert load_corpus(folder).sha256 == before
    (folder / "a" / "one.txt").write_text("Another text.", "utf-8")
    assert load_corpus(folder).sha256 != before


def test_excluded_files_are_not_read(folder):
    assert len(load_corpus(folder, exclude=["a/*"])) == 120
    with pytest.raises(InputError, match="holds no text file"):
        load_corpus(folder, exclude=["*"])


@given(st.text(alphabet="ab .\n", max_size=300), st.integers(1, 40))
def test_passages_are_short_and_lose_only_white_space(text, characters):
    pieces = list(cut_text(text, characters))
    assert all(0 < len(piece) <= characters for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_passages_end_where_sentences_end():
    text = "One two three four. Five six seven eight. Nine ten eleven."
    assert list(cut_text(text, 30)) == ["One two three four.", "Five six seven eight.", "Nine ten eleven."]


def test_passage_order_is_the_seed(folder):
    corpus = load_corpus(folder)
    first = corpus.passages("train", characters=30, seed=1)
    assert first == corpus.passages("train", characters=30, seed=1)
    assert first != corpus.passages("train", characters=30, seed=2)
    assert sorted(first) == sorted(corpus.passages("train", characters=30, seed=2))
    assert len(corpus.passages("train")) + len(corpus.passages("heldout")) == len(corpus.passages("all"))


@pytest.mark.parametrize("name, content, said", [
    ("x.txt", b"caf\xe9", "not UTF-8 at byte 3"),
    ("x.txt.gz", b"no gzip", "cannot be read"),
    ("x.txt.gz", gzip.compress(b"text " * 1000, mtime=0)[:40], "cannot be read"),
    ("x.jsonl", b'{"text": "good"}\n\nbad\n', r"x\.jsonl:3.*not JSON"),
    ("x.jsonl", b'{"words": "good"}\n', r"x\.jsonl:1.*without a text"),
    ("x.txt", b" \n \n", "holds no text"),
    ("x.pdf", b"x", "not a text file"),
])
def test_damaged_files_are_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_corpus(tmp_path / name)
    assert caught.value.exit_code == 2 and name in str(caught.value)


def test_missing_corpus_and_bad_options():
    with pytest.raises(InputError, match="no corpus 'no/such'.*sample") as caught:
        load_corpus("no/such")
    assert caught.value.exit_code == 2
    with pytest.raises(InputError, match="heldout_share"):
        load_corpus("sample", heldout_share=1.0)
    with pytest.raises(InputError, match="corpus part 'test'.*train"):
        load_corpus("sample").documents("test")


def test_the_packaged_sample_is_small_mixed_and_attributed():
    corpus = load_corpus("sample")
    folder = SHIPPED / "sample"
    assert len(set(corpus.sources)) >= 4
    assert 20 <= corpus.heldout.sum() < 0.1 * len(corpus)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6
    notice = (folder / "SOURCE.md").read_text("utf-8")
    for source in set(corpus.sources):
        assert source in notice
    for word in ("CC BY-SA 3.0", "CC BY-SA 4.0", "CC BY 3.0", "public domain", "Wikipedia contributors", "OpenStax"):
        assert word in notice
    assert np.mean([len(text) for text in corpus.texts]) > 500
