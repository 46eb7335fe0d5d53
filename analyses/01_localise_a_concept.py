"""Localise a concept: which latents respond to it, do they also treat its texts as alike, and does it survive held-out items?

Run: python analyses/01_localise_a_concept.py [SET] [--quick]
"""

import sys

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

import cogneuro_sae as cn

quick = "--quick" in sys.argv
name = next((word for word in sys.argv[1:] if not word.startswith("-")), "achievement")
permutations = 200 if quick else 5000

stimuli = cn.StimulusSet.from_yaml(name)
model, sae = cn.LanguageModel.load("default"), cn.load_sae("default")
design = stimuli.design("main")
responses = model.record(stimuli.texts, "middle")
X = responses.pool("mean", through=sae)
print(f"{name}: {len(design.rows)} texts of {len(set(design.groups))} items; {sae.n_latents} latents at {responses.site}")
print(design.scheme.description)

# To look: one signed value per latent, with the family-wise p over all latents.
contrast = cn.contrast_map(X, design, score="paired_t", permutations=permutations)
similarity = cn.rsa_map(responses, design, through=sae, score="discriminative", permutations=permutations)
for title, found in (("paired t (activation)", contrast), ("discriminative RSA (token profiles)", similarity)):
    table = found.to_frame().loc[found.top(5)]
    print(f"\n{title}: {int((found.p_fwe <= 0.05).sum())} latents with family-wise p <= .05; strongest five")
    print(table[["value", "pvalue", "p_fwe"]].round(4).to_string())
both = np.isfinite(contrast.value) & np.isfinite(similarity.value)
print(f"\ncorrelation of the two maps over {both.sum()} latents: {np.corrcoef(contrast.value[both], similarity.value[both])[0, 1]:.2f}")

# To use: the same choice made on training items only and judged on the others.
X, y, groups = X[design.rows], design.y, design.groups
scores = []
for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(X, y, groups):
    chosen = cn.TopFeatures("paired_t", k=8).fit(X[train], y[train], groups=groups[train])
    latents = chosen.transform(X)
    center, spread = latents[train].mean(0), latents[train].std(0) + 1e-9
    scores.append(roc_auc_score(y[test], ((latents[test] - center) / spread).mean(1)))
print(f"held-out AUROC of the mean of 8 latents chosen inside training items: {np.mean(scores):.2f} over {len(scores)} folds")
print("below about .6 on this small model: it shows how the method works, not how large models represent concepts"
      if np.mean(scores) < 0.6 else "above what the fold-to-fold noise of this set explains? see: cogneuro-sae compare demo")
