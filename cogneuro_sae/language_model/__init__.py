"""LanguageModel: load a decoder, record its activations, edit them, score its losses."""

from cogneuro_sae.language_model.model import LanguageModel
from cogneuro_sae.language_model.surprisal import mean_surprisal
from cogneuro_sae.language_model.tokens import Tokenized

__all__ = ["LanguageModel", "Tokenized", "mean_surprisal"]
