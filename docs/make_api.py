"""Build the API reference from the docstrings: python docs/make_api.py [FOLDER] (default docs/_build)."""

import pkgutil
import sys
from pathlib import Path

import pdoc

import cogneuro_sae

PRIVATE = ("cli", "commands", "_version", "__main__")

units = [found.name for found in pkgutil.iter_modules(cogneuro_sae.__path__) if found.name not in PRIVATE]
pdoc.render.configure(docformat="numpy")
target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "_build")
pdoc.pdoc("cogneuro_sae", *(f"cogneuro_sae.{name}" for name in units), output_directory=target)
print(target / "index.html")
