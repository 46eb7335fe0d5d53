"""Representational similarity analysis of single features, feature sets and regions of interest (docs/methods.md)."""

from __future__ import annotations

from cogneuro_sae.rsa.ceiling import (Ceiling, Reliability, item_split, paraphrase_ceiling, paraphrase_split,
                                      spearman_brown)
from cogneuro_sae.rsa.fit import RoiHalves, roi_rsa
from cogneuro_sae.rsa.maps import RSA_SCORES, rsa_map
from cogneuro_sae.rsa.models import MODEL_RDMS, model_matrix
from cogneuro_sae.rsa.pooled import POOLED_FITS, pooled_corr, pooled_corr_cov, pooled_cosine_cov
from cogneuro_sae.rsa.rdm import condensed, data_rdm, model_rdm
from cogneuro_sae.rsa.sources import VARIANTS, PairSimilarities, pair_similarities
from cogneuro_sae.rsa.statistics import CLASS_SCORES
