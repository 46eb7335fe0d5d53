"""Every bad YAML file gives one clear InputError with file and line; good ones read as plain data."""

import os
import stat
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae.config import load_yaml, parse_yaml
from cogneuro_sae.errors import InputError, ManyErrors

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi"))
MERGE_BOMB = "a: &a {k: 1}\n" + "".join(f"{n}: &{n} {{<<: [{', '.join(['*' + p] * 9)}]}}\n" for p,
                                        n in zip("abcdef", "bcdefg"))

BAD = {
    "empty": ("", "empty", None),
    "comments only": ("# nothing\n\n", "empty", None),
    "null": ("~\n", "single value", 1),
    "list on top": ("- a\n- b\n", "found a list", 1),
    "scalar on top": ("text\n", "single value", 1),
    "tab indent": ("a:\n\t- b\n", "tab", 2),
    "two documents": ("a: b\n---\nc: d\n", "one document per file", 2),
    "duplicate key": ("a: b\nc: d\na: e\n", "already at line 1", 3),
    "python tag": ("a: b\nc: !!python/object/apply:os.system [echo]\n", "refused", 2),
    "own tag": ("a: !thing b\n", "refused", 1),
    "alias bomb": (BOMB, "expand to more than", None),
    "merge bomb": (MERGE_BOMB, "merge keys", 2),
    "merge key": ("a: &a {k: 1}\nb: {<<: *a}\n", "write the keys out", 2),
    "recursive alias": ("a: &a [*a]\n", "inside what it names", 1),
    "unknown alias": ("a: b\nc: *achiev\n", "needs quotes", 2),
    "deep": ("a: " + "[" * 5000, "deeper than 64", 1),
    "deep blocks": ("".join(" " * i + "a:\n" for i in range(80)), "deeper than 64", 65),
    "long number": ("a: " + "9" * 5000, "number of 5000 digits", 1),
    "norway": ("a: b\nc: no\n", 'quote it: "no"', 2),
    "on": ("a: [on]\n", 'quote it: "on"', 1),
    "date": ("a: 2024-01-01\n", 'quote it: "2024-01-01"', 1),
    "no such date": ("a: 2024-13-45\n", 'quote it: "2024-13-45"', 1),
    "base 60": ("a: 12:30:45\n", 'quote it: "12:30:45"', 1),
    "octal": ("a: 017\n", 'quote it: "017"', 1),
    "key no": ("a: b\nno: c\n", 'quote it: "no"', 2),
    "key number": ("1: b\n", 'quote it: "1"', 1),
    "key list": ("? [a]\n: b\n", "a key must be plain text", 1),
    "surrogate": ('a: "\\ud800"\n', "Unicode", 1),
    "escaped nul": ('a: b\nc: "x\\0y"\n', "cannot be stored", 2),
    "control": ("a: b\nc: x\x01y\n", "control character '\\x01'", "2:5"),
    "escape sign": ("a: x\x1b[31m\n", "control character '\\x1b'", "1:5"),
    "colon in text": ("a: he said: no\n", "needs quotes", 1),
    "open bracket": ("a: [b\nc: d\n", "not valid YAML", 2),
    "at sign": ("a: @home\n", "needs quotes", "1:4"),
}


@pytest.mark.parametrize("text, message, line", BAD.values(), ids=list(BAD))
def test_bad_yaml(tmp_path, text, message, line):
    path = tmp_path / "bad.yaml"
    path.write_text(text, "utf-8")
    started = time.perf_counter()
    with pytest.raises(InputError) as caught:
        load_yaml(path)
    assert time.perf_counter() - started < 1
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}:" if line else str(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not any(ord(sign) < 32 for sign in str(caught.value))


BYTES = {
    "latin-1": ("name: caf\xe9\n".encode("latin-1"), "not UTF-8 at byte 9"),
    "utf-16": ("name: a\n".encode("utf-16"), "UTF-16"),
    "nul": (b"name: a\x00b\n", "control character '\\x00'"),
    "half a character": ("a: b\nc: é".encode()[:-1], ":2: not UTF-8"),
}


@pytest.mark.parametrize("raw, message", BYTES.values(), ids=list(BYTES))
def test_bad_bytes(tmp_path, raw, message):
    (tmp_path / "bad.yaml").write_bytes(raw)
    with pytest.raises(InputError) as caught:
        load_yaml(tmp_path / "bad.yaml")
    assert message in str(caught.value)


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes("\ufeffname: é\r\nb:\r\n  - c\r\n".encode())
    document = load_yaml(tmp_path / "a.yaml")
    assert document.data == {"name": "é", "b": ["c"]}
    assert document.lines["b", 0] == 3


def test_files_that_are_no_files(tmp_path):
    (tmp_path / "link.yaml").symlink_to(tmp_path / "gone.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, message in {".": "folder", "none.yaml": "no such file", "link.yaml": "link to a file that is gone",
                          "pipe.yaml": "not a regular file", "x\0y": "cannot be read",
                          "n" * 300: "cannot be read"}.items():
        with pytest.raises(InputError, match=message):
            load_yaml(tmp_path / name)


def test_unreadable_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: b\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="permissions"):
        load_yaml(path)
    path.chmod(stat.S_IRUSR)


def test_large_file_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    with open(path, "wb") as handle:
        handle.truncate(65_000_000)
    with pytest.raises(InputError, match="65 MB, larger than the limit of 64 MB"):
        load_yaml(path)


def test_several_faults_at_once(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: no\nb: 2024-01-01\na: c\n1: d\n")
    with pytest.raises(ManyErrors) as caught:
        load_yaml(path)
    assert [error.where for error in caught.value.errors] == [f"{path}:{line}" for line in (1, 2, 3, 4)]


def test_values_and_lines(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text('a: [1, 1_000, 0x10, 1.5, 1e-3, .inf, -2]\nb: {c: true, d: ~, e: "no", f: \'017\'}\ng:\n  - h\n'
                    "  - {i: j}\nk: |\n  x\n  y\nm: &m [n]\no: *m\np: !!str 12\n")
    data, lines = load_yaml(path)
    assert data == {"a": [1, 1000, 16, 1.5, 0.001, float("inf"), -2],
                    "b": {"c": True, "d": None, "e": "no", "f": "017"},
                    "g": ["h", {"i": "j"}], "k": "x\ny\n", "m": ["n"], "o": ["n"], "p": "12"}
    assert (lines["a",], lines["b", "e"], lines["g", 1, "i"], lines["k",], lines["o",]) == (1, 2, 5, 6, 10)
    assert lines.near(("g", 7, "x")) == 3
    assert (lines.source(("a", 1)), lines.source(("b", "d")), lines.source(("b", "e"))) == ("1_000", "~", None)
    with pytest.raises(KeyError):
        lines["g", 7]


TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-10**6, 10**6) | st.text(st.characters(codec="utf-8",
                                                                                   exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=4),
    max_leaves=12)


@settings(max_examples=100, deadline=None)
@given(TREE)
def test_agrees_with_safe_load_on_what_safe_dump_writes(tree):
    text = yaml.safe_dump({"top": tree}, allow_unicode=True)
    assert parse_yaml(text, where="x") == yaml.safe_load(text) == {"top": tree}


def test_loading_is_quick(tmp_path):
    path = Path(tmp_path / "a.yaml")
    path.write_text("items:\n" + "".join(f"  - {{item: i{n}, target: [a text with some words {n}]}}\n"
                                         for n in range(2000)))
    started = time.perf_counter()
    assert len(load_yaml(path).data["items"]) == 2000
    assert time.perf_counter() - started < 2
