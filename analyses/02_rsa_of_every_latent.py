"""RSA of every latent: which carry a concept, are they the ones a t-test finds, does it survive held-out items?
Run: python analyses/02_rsa_of_every_latent.py [SET] [--quick]; two figures go to the working directory."""
import sys
from contextlib import ExitStack
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.model_selection import GroupShuffleSplit

import cogneuro_sae as cn
from cogneuro_sae.inference import subset
from cogneuro_sae.plots.style import ACCENT, CALM, QUIET, tidy

quick, k, name = "--quick" in sys.argv, 50, next((w for w in sys.argv[1:] if not w.startswith("-")), "emotional")
stimuli, sae = cn.StimulusSet.from_yaml(name), cn.load_sae("default")
responses, design = cn.LanguageModel.load("default").record(stimuli.texts, "middle"), stimuli.design("main")
X, items = responses.pool("mean", through=sae), np.unique(design.groups, return_inverse=True)[1]
METHODS = {"t-test": lambda d, P: cn.contrast_map(X, d, score="paired_t", permutations=P),
           "pooled RSA": lambda d, P: cn.rsa_map(X, d, variant="pooled", score="categorical", permutations=P),
           "profile RSA": lambda d, P: cn.rsa_map(responses, d, through=sae, score="discriminative", permutations=P)}
UNIT = {"t-test": "paired t", "pooled RSA": "pooled RSA, categorical", "profile RSA": "profile RSA, discriminative (z)"}
SIZE = dict.fromkeys(METHODS, np.asarray) | {"t-test": np.abs}


def held_out(title, flip, splits=1 if quick else 4):
    """Held-out score of the tenth that is strongest on other items, minus all, in sd; labels of flipped items swap."""
    kept, view = [], subset(design, items >= 0)
    view.y, view.weights = design.y ^ flip[items], design.weights * (1 - 2 * flip[items])
    for halves in GroupShuffleSplit(splits, test_size=0.5, random_state=0).split(items, groups=items):
        seen, new = (METHODS[title](subset(view, np.isin(np.arange(len(items)), half)), 0).value for half in halves)
        new *= np.sign(seen) if title == "t-test" else 1
        both = np.flatnonzero(np.isfinite(seen) & np.isfinite(new))
        best = both[np.argsort(-SIZE[title](seen[both]))[:len(both) // 10]]
        kept.append((new[best].mean() - new[both].mean()) / new[both].std())
    return np.mean(kept)


(drawing := ExitStack()).enter_context(cn.plots.look())
print(f"{name}, {len(items)} texts of {items.max() + 1} items: which of {sae.n_latents} latents at {responses.site}?")
maps = {title: make(design, 99 if quick else 5000) for title, make in METHODS.items()}
for title, found in maps.items():
    known, passed = np.isfinite(found.value).sum(), np.flatnonzero(found.threshold(0.05)).tolist()
    print(f"  {title:<12} {known:5} have a value; family-wise p <= .05: {passed or 'none'}")
print(f"\nAre they the same?{'rank correlation':>32} {f'of the top {k} shared':>22} {'by chance':>11}")
figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
for ax, (one, other) in zip(axes, combinations(METHODS, 2)):
    both = np.flatnonzero(np.isfinite(maps[one].value) & np.isfinite(maps[other].value))
    a, b = (SIZE[title](maps[title].value[both]) for title in (one, other))
    shared, rho = len(np.intersect1d(np.argsort(-a)[:k], np.argsort(-b)[:k])), spearmanr(a, b)[0]
    print(f"  {one + ' / ' + other:<30} {rho:17.2f} {shared:22} {k * k / len(both):11.1f}")
    ax.scatter(maps[one].value[both], maps[other].value[both], s=8, alpha=0.5, linewidths=0, color=CALM)
    tidy(ax, title=f"{name}: {len(both)} latents, rank correlation {rho:.2f}", x=UNIT[one], y=UNIT[other])
figure.savefig("rsa_against_t.png", dpi=120)
print("\nOn new items? Strongest tenth of half the items, scored on the rest (sd); beside: labels swapped inside items")
flips = np.random.default_rng(0).integers(0, 2, (2 if quick else 19, items.max() + 1))
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for place, title in enumerate(METHODS):
    found, null = held_out(title, 0 * flips[0]), np.array([held_out(title, flip) for flip in flips])
    print(f"  {title:<12} {found:5.2f}; mean {null.mean():5.2f}, {np.sum(null >= found)} of {len(null)} as large")
    ax.scatter(np.linspace(-0.2, 0.2, len(null)) + place, null, color=QUIET, label=None if place else "labels swapped")
    ax.scatter(place, found, color=ACCENT, s=60, marker="D", label=None if place else "as labelled")
ax.set_xticks(range(len(METHODS)), METHODS)
ax.legend(frameon=False)
tidy(ax, title=f"{name}: do the strongest tenth hold on new items?", x="latents chosen by",
     y="score on new items (sd above the mean)")
figure.savefig("rsa_on_new_items.png", dpi=120)
drawing.close()
