"""A file under its final name is complete; a folder is complete when its manifest is true."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, SetupError


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="stop"), files.replacing(path) as temporary:
        temporary.write_text("new, half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_kill_during_a_write_leaves_the_old_file_and_sweep_removes_the_litter(tmp_path):
    path = files.write_text(tmp_path / "a.txt", "old")
    code = f"""
        import os, signal
        from cogneuro_sae import files
        with files.replacing({str(path)!r}) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == -9
    assert path.read_text() == "old"
    assert files.sweep(tmp_path) == 1
    assert files.sweep(tmp_path) == 0


def test_json_round_trip_with_arrays_and_nan(tmp_path):
    path = files.write_json(tmp_path / "a.json", {"x": np.array([1.5, np.nan]), "n": np.int64(3), "s": "é"})
    assert files.read_json(path) == {"x": [1.5, None], "n": 3, "s": "é"}
    (tmp_path / "bad.json").write_text('{"x": ')
    with pytest.raises(InputError, match="bad.json.*not a readable JSON"):
        files.read_json(tmp_path / "bad.json")


def test_manifest_sees_missing_truncated_and_flipped_files(tmp_path):
    for name in ("a.bin", "b.bin"):
        files.write_bytes(tmp_path / name, bytes(range(100)))
    assert not files.is_complete(tmp_path)
    files.write_manifest(tmp_path, ["a.bin", "b.bin"], {"kind": "test"})
    assert files.check_manifest(tmp_path)["kind"] == "test"
    data = bytearray(range(100))
    data[7] ^= 1
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(InputError, match="a.bin.*does not match the manifest"):
        files.check_manifest(tmp_path)
    (tmp_path / "a.bin").write_bytes(bytes(range(99)))
    with pytest.raises(InputError, match="a.bin.*does not match"):
        files.check_manifest(tmp_path)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(InputError, match="a.bin.*missing"):
        files.check_manifest(tmp_path)


def test_a_second_process_is_told_who_holds_the_folder(tmp_path):
    code = f"from cogneuro_sae import files\nwith files.locked({str(tmp_path)!r}): pass"
    with files.locked(tmp_path):
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"in use by process {os.getpid()}" in second.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_lock_of_a_killed_process_is_free(tmp_path):
    code = f"""
        import os, signal
        from cogneuro_sae import files
        with files.locked({str(tmp_path)!r}):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == -9
    with files.locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock-owner").read_text()


def test_a_full_disk_is_an_environment_error(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SetupError, match="no space left.*MB free"):
        files.write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_names_the_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot write"):
        files.write_json(tmp_path / "file" / "a.json", json.loads("{}"))
