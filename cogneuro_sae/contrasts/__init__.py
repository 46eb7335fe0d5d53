"""Univariate statistics of features over cell means, with exchange-scheme inference (docs/methods.md)."""

from __future__ import annotations

from cogneuro_sae.contrasts.courses import time_courses
from cogneuro_sae.contrasts.freedman_lane import freedman_lane_t
from cogneuro_sae.contrasts.glm import glm_contrast_map
from cogneuro_sae.contrasts.linear import LINEAR, LinearForm, centred_labels, linear_inference
from cogneuro_sae.contrasts.maps import contrast_map
from cogneuro_sae.contrasts.omnibus import interaction_f, welch_f, within_f
from cogneuro_sae.contrasts.positions import PositionMap, position_map
from cogneuro_sae.contrasts.sets import contrast_maps, named_effects
from cogneuro_sae.contrasts.statistics import (CONTRASTS, Contrast, auroc, hedges_g, mean_difference, paired_t,
                                               rate_difference, sign_t, welch_t)
