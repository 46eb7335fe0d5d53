"""Univariate statistics of features over cell means, with exchange-scheme inference (docs/methods.md)."""

from __future__ import annotations

from cogneuro_sae.contrasts.freedman_lane import freedman_lane_t
from cogneuro_sae.contrasts.glm import glm_contrast_map
from cogneuro_sae.contrasts.maps import contrast_map
from cogneuro_sae.contrasts.statistics import (CONTRASTS, Contrast, auroc, hedges_g, mean_difference, paired_t,
                                               rate_difference, sign_t, welch_t)
