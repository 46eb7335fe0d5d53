"""Representational similarity analysis of single features, feature sets and regions of interest (docs/methods.md)."""

from __future__ import annotations

from cogneuro_sae.rsa.bridge import (Measured, from_dataset, from_square, from_temporal_dataset, match_rdms, to_dataset,
                                     to_square, to_temporal_dataset)
from cogneuro_sae.rsa.ceiling import (Ceiling, Reliability, item_split, paraphrase_ceiling, paraphrase_split,
                                      spearman_brown)
from cogneuro_sae.rsa.class_scores import CLASS_SCORES
from cogneuro_sae.rsa.crossnobis import crossnobis_rdms
from cogneuro_sae.rsa.distances import DISTANCES, distance_rdms, pair_distances, rdm_map
from cogneuro_sae.rsa.fit import RoiHalves, roi_rsa
from cogneuro_sae.rsa.frames import NilearnDesign, Regressors, from_long, from_nilearn, to_long, to_nilearn
from cogneuro_sae.rsa.layers import layer_profile, rdm_of_rdms
from cogneuro_sae.rsa.map_agreement import Retest, agreement, match_latents, retest
from cogneuro_sae.rsa.maps import RSA_SCORES, rsa_map
from cogneuro_sae.rsa.models import MODEL_RDMS, model_matrix
from cogneuro_sae.rsa.neuron_input import neuron_input_rsa
from cogneuro_sae.rsa.nuisance import Nuisance, Nuisances, graded, nuisance_rdms
from cogneuro_sae.rsa.partial import partial_rsa
from cogneuro_sae.rsa.pooled import POOLED_FITS, pooled_corr, pooled_corr_cov, pooled_cosine_cov
from cogneuro_sae.rsa.rdm import condensed, data_rdm, model_rdm
from cogneuro_sae.rsa.searchlight import decoder_neighbours, searchlight_rsa
from cogneuro_sae.rsa.second_level import ModelComparison, cell_rdms, compare_models
from cogneuro_sae.rsa.set_kernels import SET_FITS, joint_rdm
from cogneuro_sae.rsa.sets import RsaSet, rsa_set
from cogneuro_sae.rsa.sources import VARIANTS, PairSimilarities, pair_similarities
from cogneuro_sae.rsa.transfer import Generalisation, generalisation, position_windows
from cogneuro_sae.rsa.variance import VariancePartition, variance_partition
from cogneuro_sae.rsa.warping import warping_rdms
