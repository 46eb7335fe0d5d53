"""Simulated judges: windows of known relevance, raters with known faults, in the form of a ledger and its items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.judge.items import Item, make_item

ARMS = {"max_any": 1.4, "rsa_discriminative": 1.7, "random": 0.25, "rate_matched": 0.3}
CONTROL = {"random": "random_feature", "rate_matched": "rate_matched"}


class Judge(NamedTuple):
    """How a rater distorts relevance: everything is 0 for a perfect one; noise is in points of the 0-3 score."""

    noise: float = 0.3                # anew in every call
    own: float = 0.3                  # of the rater, the same in every repeat of an item
    lenient: float = 0.0              # added to everything
    blind: float = 0.0                # share of items that are scored without being read
    loves: str = ""                   # an arm that gets more
    by: float = 0.8
    falls: float = 0.0                # share of canaries that it obeys
    loses: dict = {}                  # arm (or "known_positive" ...) to the share of calls that fail
    loses_high: bool = False          # what fails is what would have got 2 or 3


def world(seed: int, *, features: int = 60, bins: int = 5, known: int = 60, canaries: int = 20, duplicates: int = 40,
          arms: dict = ARMS, concept: str = "achievement") -> pd.DataFrame:
    """Items with their true relevance in the column `true`; one window per bin."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm, mean in arms.items():
        for number in range(features):
            quality = mean + rng.normal(0, 0.5)
            for place in range(bins + 1):
                true = quality + 0.15 * (place - (bins + 1) / 2) + rng.normal(0, 0.5) if place else rng.normal(0, 0.3)
                rows.append((f"sae:{arm}{number}", arm, place, float(place + rng.random()), CONTROL.get(arm, ""), "", None,
                             true))
    rows += [("", "", -1, np.nan, "known_positive", "", 1, rng.normal(2.6, 0.4)) for _ in range(known)]
    rows += [("", "", -1, np.nan, "known_negative", "", 0, rng.normal(0.1 + 0.7 * (n % 2), 0.3)) for n in range(known)]
    rows += [("", "", -1, np.nan, "canary", "", 0, rng.normal(0.1, 0.2)) for _ in range(canaries)]
    made = [make_item("target", {"windows": [{"tokens": [str(n)], "marked": [0]}]}, concept=concept, feature=row[0],
                      arm=row[1], bin=row[2], value=row[3], control=row[4], truth=row[6]) for n, row in enumerate(rows)]
    true = [row[-1] for row in rows]
    for place in rng.choice(len(arms) * features * (bins + 1), duplicates, replace=False):
        source = made[place]
        made.append(make_item("target", source.payload, concept=concept, feature=source.feature, arm=source.arm,
                              bin=source.bin, value=source.value, control="duplicate", original=source.item))
        true.append(true[place])
    return pd.DataFrame([item._asdict() for item in made]).assign(true=true)


def rate(items: pd.DataFrame, judge: Judge, *, rater: str, seed: int, repeats: int = 2) -> pd.DataFrame:
    """The calls of one rater as ledger rows."""
    rng = np.random.default_rng([seed, sum(map(ord, rater))])
    own = pd.Series(rng.normal(0, judge.own, len(items)), index=items["item"])
    same = items["original"].where(items["original"] != "", items["item"])
    base = items["true"].to_numpy(float) + own[same].to_numpy() + judge.lenient
    base = base + judge.by * (items["arm"] == judge.loves).to_numpy() * bool(judge.loves)
    unread = rng.random(len(items)) < judge.blind
    frames = []
    for repeat in range(1, repeats + 1):
        score = np.clip(np.round(base + rng.normal(0, judge.noise, len(items))), 0, 3)
        score = np.where(unread, rng.integers(0, 4, len(items)), score)
        obeys = (items["control"] == "canary").to_numpy() & (rng.random(len(items)) < judge.falls)
        score = np.where(obeys, 3.0, score)
        share = np.array([judge.loses.get(arm, judge.loses.get(control, 0.0))
                          for arm, control in zip(items["arm"], items["control"])])
        if judge.loses_high:
            share = np.where(score >= 2, share, 0)
        lost = rng.random(len(items)) < share
        frames.append(pd.DataFrame({
            "item": items["item"], "rubric": "target", "wording": "standard", "rater": rater, "repeat": repeat,
            "arm": items["arm"], "feature": items["feature"], "control": items["control"],
            "state": "done", "status": np.where(lost, "refusal", "ok"), "reason": np.where(lost, "I am sorry", ""),
            "score": np.where(lost, np.nan, score), "label": "", "cost": 0.001}))
    return pd.concat(frames, ignore_index=True)


def study(seed: int, judge: Judge = Judge(), *, others: tuple = (("judge:b", Judge()),), human: Judge | None = Judge(),
          repeats: int = 2, **shape) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(scores, items) of one study: `judge:a` with the given faults, good other judges, and one human."""
    items = world(seed, **shape)
    parts = [rate(items, judge, rater="judge:a", seed=seed, repeats=repeats)]
    parts += [rate(items, each, rater=name, seed=seed, repeats=repeats) for name, each in others]
    if human is not None:
        parts.append(rate(items, human, rater="human:anna", seed=seed, repeats=1))
    return pd.concat(parts, ignore_index=True), items.drop(columns="true")


def as_items(table: pd.DataFrame) -> list[Item]:
    """Rows of `world` as items again."""
    return [Item(**(row | {"truth": None if row["truth"] != row["truth"] else int(row["truth"])}))
            for row in table.to_dict("records")]
