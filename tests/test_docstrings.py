"""Docstring drift is a bug: documented parameters equal the signature, and every public thing is documented."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cogneuro_sae"
MODULES = sorted(
    "cogneuro_sae." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)


def documented(doc: str) -> list[str]:
    """Names under the `Parameters` heading of a numpydoc docstring."""
    match = re.search(r"^\s*Parameters\n\s*-+\n(.*?)(?=^\s*\w[\w ]*\n\s*-{3,}\n|\Z)", doc, re.S | re.M)
    if not match:
        return []
    body = inspect.cleandoc("\n" + match.group(1))
    names = []
    for line in body.splitlines():
        if line and not line.startswith(" ") and (head := re.match(r"^([*\w, ]+?)\s*:|^(\*+\w+)$", line)):
            names += [name.strip().lstrip("*") for name in head.group(0).rstrip(" :").split(",")]
    return names


def public_things(module):
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing):
            yield f"{name}", thing
        elif inspect.isclass(thing):
            yield f"{name}", thing
            for method_name, method in vars(thing).items():
                function = method.__func__ if isinstance(method, (classmethod, staticmethod)) else method
                if not method_name.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{method_name}", function


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_match_signatures(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    problems = []
    for label, thing in public_things(module):
        doc = inspect.getdoc(thing) if inspect.isfunction(thing) else thing.__doc__
        if not doc:
            problems.append(f"{label} has no docstring")
            continue
        names = documented(doc)
        if not inspect.isfunction(thing) or not names:
            continue
        actual = [p for p in inspect.signature(thing).parameters if p not in ("self", "cls")]
        if names != actual:
            problems.append(f"{label} documents {names} but takes {actual}")
    assert problems == []


def test_a_drifted_docstring_is_seen():
    doc = "Do.\n\nParameters\n----------\na : int\n    One.\nb, c : int\n    Two.\n\nReturns\n-------\nint\n"
    assert documented(doc) == ["a", "b", "c"]
