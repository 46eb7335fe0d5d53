"""What a run was made of: content hashes, versions, seeds, times, warnings."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time

import numpy as np

from cogneuro_sae._version import __version__

PACKAGES = ("torch", "transformers", "numpy", "scipy", "pandas", "scikit-learn", "nilearn", "rsatoolbox", "statsmodels",
            "pingouin", "seaborn", "matplotlib")


def hash_of(value: object) -> str:
    """Return the sha256 (64 hex digits) of a JSON-able value, independent of the order of mapping keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def hash_of_array(array: np.ndarray) -> str:
    """Return the sha256 of an array's dtype, shape and bytes."""
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that made the numbers (absent ones left out)."""
    found = {"cogneuro_sae": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def run_record(*, config: dict, hashes: dict, seed: int, started: float, warnings: list[str], **extra) -> dict:
    """Return the run record that `provenance.json` holds.

    Parameters
    ----------
    config : dict
        The resolved configuration.
    hashes : dict
        Content hashes of what went in: stimuli, model, SAE ...
    seed : int
        The seed every Generator of the run came from.
    started : float
        `time.time()` at the start; the record holds UTC start and seconds.
    warnings : list of str
        Every warning the user saw.
    **extra
        Further entries, such as `planned_sha256`.
    """
    return {
        "config": config,
        "hashes": hashes,
        "seed": seed,
        "versions": versions(),
        "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "command": [os.path.basename(sys.argv[0]) if sys.argv else "", *sys.argv[1:]],
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "warnings": list(warnings),
        **extra,
    }
