"""Small designs and token data for the RSA and calibration tests."""

from types import SimpleNamespace

import numpy as np

from cogneuro_sae.inference import label_scheme, swap_scheme


class Tokens:
    """What rsa_map needs of TokenFeatures: packed token values of some stimuli."""

    def __init__(self, values, lengths):
        self.values, self.offsets = np.asarray(values), np.r_[0, np.cumsum(lengths)].astype(np.int64)

    @property
    def n_features(self):
        return self.values.shape[1]

    def __len__(self):
        return len(self.offsets) - 1

    def rows(self, index):
        index = np.arange(len(self))[index]
        parts = [self.values[self.offsets[i]:self.offsets[i + 1]] for i in index]
        return Tokens(np.concatenate(parts), [len(part) for part in parts])

    def block(self, start, stop):
        return self.values[:, start:stop]

    def of(self, row):
        return self.values[self.offsets[row]:self.offsets[row + 1]]


def matched_design(m, paraphrases=2):
    groups = np.repeat(np.arange(m), 2 * paraphrases)
    y = np.tile(np.repeat([1, 0], paraphrases), m)
    return SimpleNamespace(rows=np.arange(len(y)), y=y, weights=np.where(y, 1.0, -1.0), groups=groups,
                           cells=groups * 2 + y, conditions=np.where(y, "target", "near"), scheme=swap_scheme(groups),
                           contrast="main", expression="target - near")


def far_design(n_target, n_far, paraphrases=2):
    cells = np.repeat(np.arange(n_target + n_far), paraphrases)
    y = (cells < n_target).astype(int)
    return SimpleNamespace(rows=np.arange(len(y)), y=y, weights=np.where(y, 1.0, -1.0), groups=cells, cells=cells,
                           conditions=np.where(y, "target", "far"), scheme=label_scheme(cells, y), contrast="far",
                           expression="target - far")


def tokens_for(design, n_features=6, seed=0, low=9, high=16, silence=0.3):
    """Non-negative token features of unequal length; feature 0 has one profile in all targets, the last is silent."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(low, high, len(design.y))
    values = np.maximum(rng.normal(0.4, 1, size=(lengths.sum(), n_features)), 0).astype(np.float32)
    shape = rng.random(high) * 4
    offsets = np.r_[0, np.cumsum(lengths)]
    for row, (start, stop) in enumerate(zip(offsets[:-1], offsets[1:])):
        if design.y[row]:
            values[start:stop, 0] += shape[:stop - start].astype(np.float32)
        for f in range(1, n_features - 1):
            if f % 2 and rng.random() < silence:
                values[start:stop, f] = 0
    values[:, -1] = 0
    return Tokens(values, lengths)
