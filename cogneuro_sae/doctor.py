"""Whether this installation can do its work: versions, files, devices, write permission."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae import config, files
from cogneuro_sae._version import __version__
from cogneuro_sae.errors import CogneuroError

DATA = Path(__file__).parent / "data"
EXTRAS = {"datasets": ("pyarrow", "datasets"), "lexical": ("wordfreq", "vaderSentiment"), "interactive": ("plotly",)}


class Finding(NamedTuple):
    """One line of the examination."""

    level: str
    text: str


def examine() -> list[Finding]:
    """Return the findings: level `ok`, `note` (something optional is absent) or `error`, and a line of text."""
    return [_python(), _torch(), *_shipped(), *_extras(), _writable()]


def _python() -> Finding:
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    text = f"cogneuro_sae {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Finding("ok" if fine else "error", text + ("" if fine else "; Python 3.11 to 3.13 is needed"))


def _torch() -> Finding:
    try:
        import torch
        import transformers
    except ImportError as error:
        return Finding("error", f"{error.name} is not installed; run: python3 bootstrap.py setup")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device, runs on the CPU"
    return Finding("ok", f"torch {torch.__version__} ({torch.get_num_threads()} threads, {device}), "
                         f"transformers {transformers.__version__}")


def _shipped() -> list[Finding]:
    findings = []
    for name, folder in (("model", DATA / "models" / "default"), ("SAE", DATA / "saes" / "default")):
        try:
            manifest = files.check_manifest(folder)
            size = sum(entry["bytes"] for entry in manifest["files"].values()) / 1e6
            findings.append(Finding("ok", f"default {name}: complete, {size:.1f} MB"))
        except CogneuroError as error:
            findings.append(Finding("error", f"default {name}: {error}"))
    sets = sorted(path.stem for path in (config.shipped("stimuli")).rglob("*.yaml"))
    findings.append(Finding("ok" if sets else "error", f"shipped stimulus sets: {', '.join(sets) or 'none found'}"))
    return findings


def _extras() -> list[Finding]:
    findings = []
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        text = f"extra {extra}: installed" if not missing else \
            f"extra {extra}: {', '.join(missing)} absent; pip install 'cogneuro_sae[{extra}]' when you need it"
        findings.append(Finding("note" if missing else "ok", text))
    offline = os.environ.get("HF_HUB_OFFLINE") == "1"
    findings.append(Finding("ok", f"network: {'HF_HUB_OFFLINE=1' if offline else 'used only with --allow-download'}"))
    return findings


def _writable() -> Finding:
    place = Path.cwd() / "results"
    parent = place if place.exists() else place.parent
    fine = os.access(parent, os.W_OK)
    return Finding("ok" if fine else "error", f"results go to {place}" + ("" if fine else ", which cannot be written; use --out"))
