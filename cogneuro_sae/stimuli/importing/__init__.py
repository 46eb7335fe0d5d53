"""Import of stimulus sets in other forms: tables, datasets, BLiMP, SyntaxGym, LRE relations, norms, lines."""

from __future__ import annotations

from cogneuro_sae.stimuli.importing.assembling import IMPORTERS, Imported, import_set, write_set
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.sources import Source

__all__ = ["IMPORTERS", "Draft", "ImportOptions", "Imported", "Source", "import_set", "write_set"]
