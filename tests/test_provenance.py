"""Hashes depend on content alone; the run record says what a run was made of."""

import time

import numpy as np

from cogneuro_sae import provenance


def test_hash_ignores_key_order_and_sees_values():
    assert provenance.hash_of({"a": 1, "b": [2]}) == provenance.hash_of({"b": [2], "a": 1})
    assert provenance.hash_of({"a": 1}) != provenance.hash_of({"a": 2})


def test_array_hash_sees_dtype_shape_and_values():
    x = np.arange(6.0)
    hashes = {provenance.hash_of_array(y) for y in (x, x.reshape(2, 3), x.astype("float32"), x + 1)}
    assert len(hashes) == 4
    assert provenance.hash_of_array(x[::2]) == provenance.hash_of_array(x[::2].copy())


def test_the_record_names_versions_seed_and_warnings():
    record = provenance.run_record(config={"k": 8}, hashes={"model": "ab"}, seed=3, started=time.time() - 2,
                                   warnings=["w"], planned_sha256="cd")
    assert record["versions"]["numpy"] == np.__version__ and record["versions"]["cogneuro_sae"]
    assert record["seed"] == 3 and record["warnings"] == ["w"] and record["planned_sha256"] == "cd"
    assert 2 <= record["seconds"] < 60
