"""Axes-level figures: data first, keyword-only options, `ax=None`, axes returned; no plot computes a statistic."""

from cogneuro_sae.plots.axes import axis_scatter
from cogneuro_sae.plots.calibration import cdf, qq
from cogneuro_sae.plots.comparisons import auroc_over_k, comparison
from cogneuro_sae.plots.confounds import confounds
from cogneuro_sae.plots.geometry import dendrogram_rdm, mds
from cogneuro_sae.plots.judging import judge_cost, known_items, rater_agreement, score_by_activation, score_levels
from cogneuro_sae.plots.library import concepts_by_methods
from cogneuro_sae.plots.maps import (contrast_heatmap, feature_map, p_value_histogram, response_profiles,
                                     strongest_features)
from cogneuro_sae.plots.outcomes import planned, stability
from cogneuro_sae.plots.profiles import generalisation, model_profile, position_map
from cogneuro_sae.plots.rdms import model_fits, rdm, rdm_beside_model
from cogneuro_sae.plots.regions import near_against_far, roi_overlap, top_bottom, variance_partition
from cogneuro_sae.plots.saes import firing_rates, training_curve
from cogneuro_sae.plots.style import look

__all__ = [
    "auroc_over_k", "axis_scatter", "cdf", "comparison", "concepts_by_methods", "confounds", "contrast_heatmap",
    "dendrogram_rdm", "feature_map", "firing_rates", "generalisation", "judge_cost", "known_items", "look", "mds", "model_fits",
    "model_profile", "near_against_far", "p_value_histogram", "planned", "position_map", "qq", "rater_agreement", "rdm",
    "rdm_beside_model", "response_profiles", "roi_overlap", "score_by_activation", "score_levels", "stability",
    "strongest_features", "top_bottom", "training_curve", "variance_partition",
]
