"""Power of RSA and contrast maps by simulation: the tables of docs/power.md.

    python analyses/power_of_rsa.py [--quick] [--items 12 24 36]

Texts of 12 to 17 tokens, two paraphrases a cell, target and near foil in every item. A feature's token values are noise of sd
1, plus a profile of its item (sd 0.5 at every token) and one of its cell (sd 0.5), both with a level of their own (sd 0.25).
A planted feature adds to all targets either one shared profile (mean 0, sd = effect) or a level (+ effect at every token).
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np

import cogneuro_sae as cn
from cogneuro_sae.inference import swap_scheme
from cogneuro_sae.responses import Responses, TokenFeatures

EFFECTS = {"shared profile": (0.25, 0.4, 0.6), "level": (0.2, 0.3, 0.5)}
SCORES = {
    "profile, discriminative": {"score": "discriminative"}, "profile, categorical": {"score": "categorical"},
    "profile, model": {"score": "model", "model": "categorical"},
    "distribution, categorical": {"score": "categorical", "variant": "distribution"},
    "pooled, categorical": {"score": "categorical", "variant": "pooled"}, "paired t (two-sided)": None}
PARAPHRASES, LOW, HIGH, ITEM, WORDING = 2, 12, 18, 0.5, 0.5


def matched(items: int) -> SimpleNamespace:
    """Target and near foil in every item."""
    groups = np.repeat(np.arange(items), 2 * PARAPHRASES)
    y = np.tile(np.repeat([1, 0], PARAPHRASES), items)
    return SimpleNamespace(rows=np.arange(len(y)), y=y, weights=np.where(y, 1.0, -1.0), groups=groups, cells=groups * 2 + y,
                           conditions=np.where(y, "target", "near"), scheme=swap_scheme(groups), contrast="main",
                           expression="target - near")


def simulate(design, effect: str, size: float, features: int, planted: int, random) -> TokenFeatures:
    """Token features of one experiment; the first `planted` of them carry the effect."""
    n = len(design.y)
    lengths = random.integers(LOW, HIGH, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    row, position = np.repeat(np.arange(n), lengths), np.concatenate([np.arange(length) for length in lengths])
    values = random.standard_normal((len(row), features), np.float32)
    for sd, index in ((ITEM, design.groups), (WORDING, design.cells)):
        own = sd * random.standard_normal((index.max() + 1, HIGH + 1, features), np.float32)
        values += own[index[row], position] + 0.5 * own[index[row], HIGH]
    added = np.ones((HIGH, planted)) if effect == "level" else random.standard_normal((HIGH, planted))
    added -= 0 if effect == "level" else added[:LOW].mean(axis=0)
    target = np.flatnonzero(design.y[row])
    values[target, :planted] += size * added[position[target]]
    return TokenFeatures(Responses(values=values, tokens=np.full(len(row), "w"), offsets=offsets, ids=("",) * n,
                                   specials=np.zeros(len(row), bool), spans=np.full((len(row), 2), -1), site="simulated",
                                   model="simulated", sha256=""))


def maps(features: TokenFeatures, design, permutations: int, seed: int) -> dict:
    """Every score's map of one experiment."""
    pooled, found = features.responses.pool("mean", transform="none"), {}
    for name, options in SCORES.items():
        if options is None:
            found[name] = cn.contrast_map(pooled, design, score="paired_t", permutations=permutations, seed=seed)
        else:
            data = pooled if options.get("variant") == "pooled" else features
            found[name] = cn.rsa_map(data, design, permutations=permutations, seed=seed, **options)
    return found


def power(effect: str, size: float, items: int, given) -> dict[str, tuple[float, float]]:
    """Share of planted features with p <= .05 and with p_fwe <= .05, per score."""
    design, hits = matched(items), {name: [] for name in SCORES}
    for number in range(given.experiments):
        random = np.random.default_rng([items, number, int(1000 * size)])
        features = simulate(design, effect, size, given.features, given.planted, random)
        for name, found in maps(features, design, given.permutations, number).items():
            hits[name].append([np.mean(found.pvalue[:given.planted] <= 0.05), np.mean(found.p_fwe[:given.planted] <= 0.05)])
    return {name: tuple(np.mean(each, axis=0)) for name, each in hits.items()}


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few experiments and features, for a look")
    parser.add_argument("--items", type=int, nargs="+", default=(12, 24, 36))
    given = parser.parse_args()
    given.features, given.planted, given.permutations, given.experiments = (60, 20, 199, 1) if given.quick else (200, 50, 499, 4)
    found = {(effect, size, items): power(effect, size, items, given)
             for effect, size in [("level", 0.0), *((name, size) for name, sizes in EFFECTS.items() for size in sizes)]
             for items in given.items}
    for which, title in ((0, "share with p <= .05, one feature by itself"),
                         (1, f"share with p_fwe <= .05 in a family of {given.features} features")):
        print(f"\n{title}; {' / '.join(map(str, given.items))} items\n\n| effect | " + " | ".join(SCORES) + " |")
        print("|---" * (1 + len(SCORES)) + "|")
        for effect, size in dict.fromkeys(key[:2] for key in found):
            cells = [" / ".join(f"{found[effect, size, items][name][which]:.2f}" for items in given.items) for name in SCORES]
            print(f"| {f'{effect}, {size:g}' if size else 'none'} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
