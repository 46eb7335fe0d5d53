"""Every example a reader can copy runs: README, docs, docstrings, analyses."""

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ANALYSES = sorted((ROOT / "analyses").glob("[0-9]*.py"))
MODULES = sorted(
    "cogneuro_sae." + ".".join(path.relative_to(ROOT / "cogneuro_sae").with_suffix("").parts)
    for path in (ROOT / "cogneuro_sae").rglob("*.py") if ">>>" in path.read_text("utf-8")
)


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page.read_text("utf-8"))], ids=lambda page: page.name)
def test_python_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt
    import sklearn

    monkeypatch.chdir(tmp_path)
    routing = sklearn.get_config()["enable_metadata_routing"]
    namespace = {"__name__": "example"}
    try:
        for block in python_blocks(page.read_text("utf-8")):
            exec(compile(block, str(page), "exec"), namespace)
    finally:
        sklearn.set_config(enable_metadata_routing=routing)
        plt.close("all")
    assert "cn" in namespace


@pytest.mark.slow
@pytest.mark.parametrize("script", ANALYSES, ids=lambda path: path.name)
def test_analyses_run_quickly(script, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, str(script), "--quick"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()


@pytest.mark.parametrize("name", MODULES or ["cogneuro_sae.errors"])
def test_docstring_examples(name):
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_relative_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
def test_the_api_reference_builds(tmp_path):
    command = [sys.executable, str(ROOT / "docs" / "make_api.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for unit, name in (("contrasts", "contrast_map"), ("rsa", "rsa_map"), ("compare", "run_comparison"), ("sae", "load_sae")):
        assert name in (tmp_path / "cogneuro_sae" / f"{unit}.html").read_text("utf-8"), unit
    assert "contrast_map" in (tmp_path / "cogneuro_sae.html").read_text("utf-8")


@pytest.mark.parametrize("page, home, name", [("search.md", "search.config", "SearchConfig"),
                                              ("judge.md", "judge.config", "JudgeConfig"),
                                              ("judge.md", "judge.providers.spec", "RaterSpec")])
def test_every_key_of_a_config_stands_in_a_table_of_its_page(page, home, name):
    schema = getattr(importlib.import_module(f"cogneuro_sae.{home}"), name)
    rows = re.findall(r"^\|([^|]*)\|", (ROOT / "docs" / page).read_text("utf-8"), re.M)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    missing = {field.alias or key for key, field in schema.model_fields.items()} - named
    assert not missing
