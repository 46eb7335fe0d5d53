"""Exchange schemes, permutation inference, resampling tests over folds and concepts (docs/methods.md)."""

from __future__ import annotations

from cogneuro_sae.inference.cells import CellTable, cell_labels, cell_table, design_rows, group_means
from cogneuro_sae.inference.concepts import (MIN_CONCEPTS, Difference, Equivalence, SignFlip, cohen_dz, holm,
                                             sign_flip_test, t_interval, tost)
from cogneuro_sae.inference.permutations import (Inference, bh, bh_resolution, family_inference, larger_p,
                                                 permutation_inference)
from cogneuro_sae.inference.relabelling import Labellings, labellings
from cogneuro_sae.inference.resampled import ResampledT, bootstrap_ci, corrected_resampled_t
from cogneuro_sae.inference.restriction import restricted, subset
from cogneuro_sae.inference.scheme import Scheme, check_tail, require_resolvable, two_part_scheme
from cogneuro_sae.inference.schemes import (free_scheme, item_scheme, joint_scheme, label_scheme, residual_scheme,
                                            sign_scheme, swap_scheme, within_scheme)
