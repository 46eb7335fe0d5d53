"""How low does the bag of words fall when nobody tuned it? The numbers behind `over_tuned` in docs/stimuli.md.

    python analyses/simulate_over_tuned.py [DRAWS]

First shipped sets with target and near swapped at random within each item, so that their words carry nothing; then made-up
sets whose deciding words are new in every item, or exchanged between none, a quarter, half or all of the items.
"""

from __future__ import annotations

import sys

import numpy as np

from cogneuro_sae.stimuli import THRESHOLDS, StimulusSet
from cogneuro_sae.stimuli.surface import cross_validated

SETS = ("achievement", "gratitude", "motion", "deception", "possession", "food")
VOCABULARY, DECIDING = 3000, 400


def shuffled(stimuli, random) -> float:
    """Return the AUROC of a set with its two labels swapped in a random half of the items."""
    design = stimuli.design("target - near", unlocked=True)
    flip = dict(zip(sorted(set(design.groups)), random.integers(0, 2, len(set(design.groups)))))
    y = design.y ^ np.array([flip[item] for item in design.groups])
    texts = [stimuli.texts[row] for row in design.rows]
    return cross_validated("bag_of_words", texts, y, design.groups, design.cells).auroc


def made_up(items: int, swapped: float, random) -> float:
    """Return the AUROC of a made-up set: two paraphrases, common words by Zipf's law, three deciding words a text."""
    p = 1 / np.arange(1, VOCABULARY + 1)
    p /= p.sum()

    def common(n):
        return [f"w{word}" for word in random.choice(VOCABULARY, n, p=p)]

    def deciding():
        return [f"d{word}" for word in random.choice(DECIDING, 3, replace=False)]

    texts, y, groups, pairs = [], [], [], []
    for item in range(items):
        again = item % 2 == 1 and item < round(items * swapped)
        pairs = [pair[::-1] for pair in pairs] if again else [(deciding(), deciding()) for _ in range(2)]
        scene = common(5)
        for pair in pairs:
            rest = common(7)
            texts += [" ".join([*scene, *rest, *words]) for words in pair]
            y += [1, 0]
            groups += [item] * 2
    y, groups = np.array(y), np.array(groups)
    return cross_validated("bag_of_words", texts, y, groups, 2 * groups + y).auroc


def line(name: str, values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
    below = np.mean(np.array(values) < THRESHOLDS.over_tuned)
    return f"{name:<42} median {middle:.2f}, 1-99 % {low:.2f}-{high:.2f}, below {THRESHOLDS.over_tuned}: {below:.1%}"


def main(draws: int) -> None:
    """Print one line per kind of set."""
    random = np.random.default_rng(0)
    for name in SETS:
        stimuli = StimulusSet.from_yaml(name)
        print(line(f"{name}, labels at random", [shuffled(stimuli, random) for _ in range(draws)]), flush=True)
    for items in (24, 36):
        for swapped in (0.0, 0.25, 0.5, 1.0):
            values = [made_up(items, swapped, random) for _ in range(draws)]
            print(line(f"made up, {items} items, {swapped:.0%} swapped", values), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
