"""Synthetic stimuli and token responses: matched items, noise units, and units planted to carry the concept."""

import numpy as np
import pandas as pd

from cogneuro_sae.responses import Responses
from cogneuro_sae.stimuli import StimulusSet

PLANTED = 3
WORDS = ("river stone lamp window garden paper morning table yellow quiet letter bridge winter music silver bread market "
         "cloud path engine").split()


def make_set(name="toy", *, items=24, paraphrases=2, seed=0, far=False):
    """Matched target / near items whose texts say nothing about their label (optionally far foils in own items)."""
    rng, rows = np.random.default_rng(seed), []
    for item in range(items):
        for condition in ("target", "near"):
            for n in range(paraphrases):
                words = rng.choice(WORDS, size=rng.integers(10, 15))
                rows.append({"item": f"i{item:02d}", "condition": condition,
                             "text": f"Scene {item} {n}: {' '.join(words)}."})
        if far:
            words = rng.choice(WORDS, size=12)
            rows.append({"item": f"f{item:02d}", "condition": "far", "text": f"Far {item}: {' '.join(words)}."})
    contrasts = {"main": "target - near"} | ({"far": "target - far"} if far else {})
    return StimulusSet.from_frame(pd.DataFrame(rows), name=name, concept=name, contrasts=contrasts)


def make_responses(stimuli, *, units=60, seed=1, planted=(PLANTED,), signed=False, strength=12.0):
    """Sparse noise units with item and wording variance; a planted unit has one strong profile on targets, a weak varied
    one on half of the foils."""
    rng = np.random.default_rng(seed)
    conditions = stimuli.table["condition"].tolist()
    lengths = rng.integers(12, 18, size=len(conditions))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = pd.factorize(stimuli.table["item"])[0]
    gain = rng.gamma(4.0, 0.25, size=(item.max() + 1, units))
    values = rng.exponential(size=(offsets[-1], units)) * (rng.random((offsets[-1], units)) < 0.25)
    values *= np.repeat(gain[item], lengths, axis=0)
    if signed:
        values *= rng.choice([-1, 1], size=units)
    for unit in planted:
        values[:, unit] = 0
        for row, condition in enumerate(conditions):
            part = values[offsets[row]:offsets[row + 1], unit]
            if condition == "target":
                part[[2, 3, 5]] = strength * np.array([1.0, 2.0, 1.5]) + rng.normal(size=3) * 0.3
            elif rng.random() < 0.6:
                part[rng.choice(len(part), 3, replace=False)] = rng.random(3) + 0.5
    n = int(offsets[-1])
    return Responses(values=values.astype(np.float32), tokens=np.full(n, "w"), offsets=offsets, specials=np.zeros(n,
            bool),
                     spans=np.full((n, 2), -1), ids=tuple(stimuli.ids), site="model.layers.0", model="toy", sha256="")


def write_case(folder, *, name="toy", config=None, **options):
    """Write a set, its responses and a config into a folder; return the config's path."""
    import yaml

    set_options = {key: options.pop(key) for key in ("items", "paraphrases", "far") if key in options}
    stimuli = make_set(name, **set_options)
    stimuli.to_yaml(folder / f"{name}.yaml")
    make_responses(stimuli, **options).save(folder / f"{name}.npz")
    base = {"name": "run", "stimuli": f"{name}.yaml", "responses": f"{name}.npz", "representations": {"raw": "raw"},
            "selectors": ["mean_difference", "max_any"], "k": [2, 4], "folds": {"splits": 5, "repeats": 1, "inner": 3},
            "permutations": 50, "baselines": ["bag_of_words", "length"], "controls": ["random"]}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(base | (config or {}), sort_keys=False))
    return path
