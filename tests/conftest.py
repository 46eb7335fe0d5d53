"""Fixtures shared by all tests: the shipped model, SAE and stimulus set, each loaded once."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest


@pytest.fixture(scope="session")
def default_model():
    from cogneuro_sae.language_model import LanguageModel

    return LanguageModel.load("default")


@pytest.fixture(scope="session")
def default_sae():
    from cogneuro_sae.sae import load_sae

    return load_sae("default")


@pytest.fixture(scope="session")
def achievement():
    from cogneuro_sae.stimuli import StimulusSet

    return StimulusSet.from_yaml("achievement")
