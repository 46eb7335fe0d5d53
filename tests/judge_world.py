"""A small search result made by hand, for the tests of items, rubrics and sheets."""

import hashlib
from typing import NamedTuple

import numpy as np

WORDS = ("the", "river", "after", "won", "grey", "table", "seven", "finally", "stone", "prize", "under", "walked", "green",
         "window", "lost", "train", "early", "coat", "ladder", "song")


class Search(NamedTuple):
    features: list
    windows: list
    folder: str = ""


def window(feature, number, bin, kind, rank, *, document=None, value=None):
    rng = np.random.default_rng([number, bin, rank, int(hashlib.sha256(feature.encode()).hexdigest()[:6], 16)])
    tokens = [f" {WORDS[at]}" for at in rng.integers(len(WORDS), size=12)]
    tokens[5:6] = [" un", "happ", "y"]
    focus = 6
    activations = [0.0] * len(tokens)
    if bin:
        activations[focus], activations[2] = float(bin), bin / 4
    text = "".join(tokens)
    identity = hashlib.sha256(f"{feature}|{text}|{number}".encode()).hexdigest()[:16]
    return {"window": identity, "feature": feature, "kind": kind, "bin": bin, "rank": rank,
            "value": float(bin) if value is None else value, "document": number if document is None else document,
            "source": "corpus", "start": 2, "stop": 9, "tokens": tokens, "activations": activations, "pool": [2, 9],
            "focus": focus, "text": text}


def search(arms=None, *, bins=5, per_bin=6, zero=8, top=4, random=3):
    """Features of three selector arms and three control arms, each with windows in every bin."""
    arms = arms or {f"sae:{number}": [arm] for number, arm in enumerate(
        [arm for arm in ("rsa_discriminative", "max_any", "welch_t", "random", "rate_matched", "random_decoder")
         for _ in range(4)])}
    features, windows = [], []
    for name, chosen in arms.items():
        features.append({"feature": name, "representation": name.split(":")[0], "index": int(name.split(":")[1]),
                         "concept": "achievement", "arms": list(chosen)})
        number = 0
        for bin, kind, count in [(0, "zero", zero), *((bin, "stratum", per_bin) for bin in range(1, bins + 1)),
                                 (bins, "top", top), (0, "random", random)]:
            for rank in range(1, count + 1):
                number += 1
                windows.append(window(name, number, bin, kind, rank))
    return Search(features, windows)
