"""Responses: packed token activations of one site, their windows and poolings, and features token by token."""

from cogneuro_sae.responses.packed import Responses
from cogneuro_sae.responses.pooling import POOLINGS, log_scaled
from cogneuro_sae.responses.token_features import TokenFeatures
from cogneuro_sae.responses.windows import WINDOWS, WindowCounts

__all__ = ["POOLINGS", "WINDOWS", "Responses", "TokenFeatures", "WindowCounts", "log_scaled"]
