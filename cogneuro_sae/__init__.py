"""Which features of a language model carry a concept, how do we know, and which way of choosing them is best?

The public names below load on first use, so that `import cogneuro_sae` stays quick and does not import torch.
"""

from __future__ import annotations

import importlib

from cogneuro_sae._version import __version__

_HOMES = {
    "StimulusSet": "stimuli",
    "LanguageModel": "language_model",
    "Responses": "responses",
    "ActivationStore": "store",
    "SparseAutoencoder": "sae",
    "TrainConfig": "sae",
    "train_sae": "sae",
    "load_sae": "sae",
    "save_sae": "sae",
    "FeatureMap": "feature_map",
    "contrast_map": "contrasts",
    "contrast_maps": "contrasts",
    "position_map": "contrasts",
    "time_courses": "contrasts",
    "rsa_map": "rsa",
    "data_rdm": "rsa",
    "model_rdm": "rsa",
    "rsa_set": "rsa",
    "searchlight_rsa": "rsa",
    "partial_rsa": "rsa",
    "variance_partition": "rsa",
    "TopFeatures": "selection",
    "ThresholdedFeatures": "selection",
    "StableFeatures": "selection",
    "FeatureSet": "selection",
    "RandomFeatures": "selection",
    "run_comparison": "compare",
    "Comparison": "compare",
    "search_corpus": "search",
    "judge_features": "judge",
    "build_report": "report",
    "feature_card": "report",
    "build_gallery": "report",
}
_MODULES = ("plots",)

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public names: {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
