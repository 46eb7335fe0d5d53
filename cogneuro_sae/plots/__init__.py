"""Axes-level figures: data first, keyword-only options, `ax=None`, axes returned; no plot computes a statistic."""

from cogneuro_sae.plots.comparisons import auroc_over_k, comparison
from cogneuro_sae.plots.confounds import confounds
from cogneuro_sae.plots.library import concepts_by_methods
from cogneuro_sae.plots.maps import (contrast_heatmap, feature_map, p_value_histogram, response_profiles,
                                     strongest_features)
from cogneuro_sae.plots.outcomes import planned, stability
from cogneuro_sae.plots.rdms import model_fits, rdm, rdm_beside_model
from cogneuro_sae.plots.saes import firing_rates, training_curve
from cogneuro_sae.plots.style import look

__all__ = [
    "auroc_over_k", "comparison", "concepts_by_methods", "confounds", "contrast_heatmap", "feature_map", "firing_rates", "look",
    "model_fits", "p_value_histogram", "planned", "rdm", "rdm_beside_model", "response_profiles",
    "stability", "strongest_features", "training_curve",
]
