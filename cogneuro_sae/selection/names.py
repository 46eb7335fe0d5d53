"""Names that a config may use, without importing what they stand for; a test holds them equal to the registries."""

from __future__ import annotations

_RSA = ("variant", "min_tokens", "min_active", "min_valid")

SCORE_OPTIONS: dict[str, tuple[str, ...]] = {
    "max_any": (),
    "max_target": ("top",),
    "mean_difference": (),
    "paired_t": (),
    "welch_t": (),
    "hedges_g": (),
    "auroc": (),
    "rate_difference": (),
    "specialist": ("threshold", "quantile"),
    "composite": ("threshold", "quantile"),
    "rsa_discriminative": _RSA,
    "rsa_coherence": _RSA,
    "rsa_categorical": _RSA,
    "rsa_model": (*_RSA, "model"),
    "sparse_probe": ("C", "stability"),
    "random": (),
    "rate_matched": ("to",),
    "bottom_k": ("by",),
}
VARIANTS: dict[str, tuple[str, ...]] = {
    "rsa_discriminative": ("profile",),
    "rsa_coherence": ("profile",),
    "rsa_categorical": ("profile", "distribution", "pooled"),
    "rsa_model": ("profile", "distribution", "pooled"),
}
UNSIGNED = ("rate_difference", "specialist", "composite")
ENSEMBLE_NAMES = ("logistic_l1", "logistic_ridge", "lda", "mean_z", "template")
