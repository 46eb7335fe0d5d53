"""Imports point down the floors; modules and functions keep their size; the tree has no catch-all rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cogneuro_sae"
FLOORS = dict(enumerate([
    ["errors", "_version", "display", "data", "shipped"],
    ["files", "provenance", "interrupts", "terminal"],
    ["run_folder"],
    ["config"],
    ["inference", "feature_map", "responses", "corpus", "store"],
    ["stimuli"],
    ["language_model", "capture"],
    ["sae", "contrasts", "rsa"],
    ["selection"],
    ["search"],
    ["judge"],
    ["concept_map"],
    ["compare"],
    ["plots"],
    ["report", "doctor"],
    ["commands"],
    ["cli"],
]))
FLOOR_OF = {unit: floor for floor, units in FLOORS.items() for unit in units}
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_units(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                return {f"relative import on line {node.lineno}"}
            names = [node.module] if node.module != "cogneuro_sae" else [f"cogneuro_sae.{a.name}" for a in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("cogneuro_sae.")}
    return found


def violations(path: Path) -> list[str]:
    unit = unit_of(path)
    if unit in ("__init__", "__main__"):
        return []
    if unit not in FLOOR_OF:
        return [f"{unit} has no floor"]
    wrong = []
    for other in imported_units(path) - {unit}:
        if other not in FLOOR_OF:
            wrong.append(f"{unit} imports {other}, which has no floor")
        elif FLOOR_OF[other] >= FLOOR_OF[unit]:
            wrong.append(f"{unit} (floor {FLOOR_OF[unit]}) imports {other} (floor {FLOOR_OF[other]})")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    assert violations(path) == []


def test_an_upward_import_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    bad = tmp_path / "config.py"
    bad.write_text("def f():\n    from cogneuro_sae.compare import run_comparison\n")
    assert violations(bad) == ["config (floor 3) imports compare (floor 12)"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 300, "more than 300 lines: more than one room"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
            assert lines <= 40, f"{node.name} has {lines} lines of code"


def test_no_catch_all_modules():
    names = {path.stem for path in MODULES}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


def test_importing_the_package_is_quick_and_lazy():
    code = "import sys, cogneuro_sae; print([m for m in ('torch','numpy','pandas','sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_every_public_name_loads():
    import cogneuro_sae

    for name in cogneuro_sae.__all__:
        assert getattr(cogneuro_sae, name) is not None, name
    with pytest.raises(AttributeError, match="public names"):
        cogneuro_sae.no_such_name
