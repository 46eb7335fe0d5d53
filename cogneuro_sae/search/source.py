"""A map or compare folder read as files: which features it chose, with which model, site, window and pooling."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from cogneuro_sae import files
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.search.config import SearchConfig
from cogneuro_sae.search.signals import Feature

COMPLETION = "provenance.json"
CROSSED = ("site", "window", "pooling")


class Source(NamedTuple):
    """What a results folder says about its features.

    Parameters
    ----------
    features : tuple of Feature
        Those with direction > 0, in the order of the folder.
    model : str
        Reference of the language model.
    site : str
        Where it was read.
    saes : dict of str to str
        Reference of the SAE of every representation asked for but `raw`.
    window : str
        The stimuli's window.
    pooling : str
        The stimuli's pooling.
    stimuli : tuple of str
        References of the stimulus sets.
    notes : tuple of str
        What was left out and why.
    sha256 : str
        Of features.csv.
    """

    features: tuple[Feature, ...]
    model: str
    site: str
    saes: dict[str, str]
    window: str
    pooling: str
    stimuli: tuple[str, ...]
    notes: tuple[str, ...]
    sha256: str


def read_source(config: SearchConfig) -> Source:
    """Read the folder a search config names.

    Parameters
    ----------
    config : SearchConfig
        With `from`.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        No finished map or compare folder, one without a model, an unknown concept, arm or site, several sites, windows
        or poolings without a choice, or no feature left.
    """
    folder = Path(config.source).expanduser()
    for name in (COMPLETION, "config.yaml", "features.csv"):
        if not (folder / name).is_file():
            raise InputError(f"no finished results folder of map or compare (it lacks {name})", where=str(folder),
                             do="give the folder results/NAME/HASH that the run printed")
    recorded = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    table = _table(folder)
    kind = "compare" if "selectors" in recorded else "map" if "rsa" in recorded else None
    if kind is None:
        raise InputError("is no results folder of map or compare", where=str(folder))
    if recorded.get("responses"):
        raise InputError("was made from responses recorded elsewhere, and a search has to run the model",
                         where=str(folder), do="list features by index and give model, sae and site")
    table, settings = READERS[kind](table, recorded, config, folder)
    table = _asked(table, config, folder)
    chosen, notes = _forward(table, config.most)
    if not chosen:
        raise InputError("no feature is left to search for", where=str(folder / "features.csv"),
                         do="; ".join(notes) or "the table is empty")
    stimuli = recorded["stimuli"] if isinstance(recorded["stimuli"], list) else [recorded["stimuli"]]
    return Source(chosen, recorded["model"], settings["site"], settings["saes"], settings["window"], settings["pooling"],
                  tuple(stimuli), tuple(notes), files.sha256_file(folder / "features.csv"))


def _table(folder: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(folder / "features.csv", float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise InputError(f"not a readable table ({error})", where=str(folder / "features.csv")) from error


def _of_map(table: pd.DataFrame, recorded: dict, config: SearchConfig, folder: Path) -> tuple[pd.DataFrame, dict]:
    raw = recorded["representation"] == "raw"
    headline = recorded["scores"][0]
    table = table.assign(representation="raw" if raw else "sae", arm=table["score"])
    # a profile score has no direction of its own: whether the target drives the feature is the headline's to say
    known = {}
    for concept in table["concept"].unique():
        with np.load(folder / "maps" / f"{concept}.npz", allow_pickle=False) as arrays:
            known[concept] = FeatureMap.from_arrays(arrays, f"{headline}/")
    own = table["direction"] if "direction" in table else pd.Series(np.nan, table.index)
    backup = [_direction(known[row.concept], int(row.feature)) for row in table.itertuples()]
    direction = own.where(own.notna() & (own != 0), backup)
    sign = np.where(raw & (direction < 0), -1, 1)
    low = table["score"].str.startswith("rsa_") & (table["side"] == "low")
    table = table.assign(direction=np.where(low, -1, direction * sign), sign=sign)
    saes = {} if raw else {"sae": recorded["representation"]}
    return table, {"site": recorded["site"], "window": recorded["window"], "pooling": recorded["pooling"], "saes": saes}


def _direction(headline: FeatureMap, feature: int) -> float:
    if headline.direction is not None:
        return float(headline.direction[feature])
    return float(np.sign(headline.value[feature] - headline.center))


def _of_compare(table: pd.DataFrame, recorded: dict, config: SearchConfig, folder: Path) -> tuple[pd.DataFrame, dict]:
    asked = {"site": config.site, "window": None, "pooling": config.pooling}
    settings = {}
    for name in CROSSED:
        present = list(dict.fromkeys(table[name]))
        wanted = asked[name] if asked[name] in present else None
        if len(present) > 1 and wanted is None and not (name == "window" and config.window):
            raise InputError(f"the comparison crosses {len(present)} values of {name}", where=str(folder),
                             allowed=", ".join(present), do=f"choose one: {name}: {present[0]}" if name != "window" else
                             "give window: N, the tokens of a pooling window")
        settings[name] = wanted or (present[0] if present else "")
        if name != "window":
            table = table[table[name] == settings[name]]
    representations = recorded["representations"]
    saes = {name: text for name, text in representations.items() if text != "raw" and "(" not in text}
    own = table["direction"].where(table["direction"].notna() & (table["direction"] != 0), np.sign(table["effect"]))
    raw = [name for name, text in representations.items() if text == "raw"]
    table = table.assign(arm=table["selector"], direction=own * table["sign"],
                         representation=table["representation"].replace(dict.fromkeys(raw, "raw")))
    table = table.assign(searchable=table["representation"].isin([*saes, "raw"]))
    return table.sort_values("k", ascending=False, kind="stable"), settings | {"saes": saes}


READERS = {"map": _of_map, "compare": _of_compare}


def _asked(table: pd.DataFrame, config: SearchConfig, folder: Path) -> pd.DataFrame:
    concepts = list(dict.fromkeys(table["concept"]))
    if config.concept is not None:
        if config.concept not in concepts:
            raise unknown_name("concept", config.concept, concepts, where=str(folder / "features.csv"))
        table = table[table["concept"] == config.concept]
    arms = list(dict.fromkeys(table["arm"]))
    for arm in config.arms:
        if arm not in arms:
            raise unknown_name("arm", arm, arms, where=str(folder / "features.csv"))
    return table[table["arm"].isin(config.arms)] if config.arms else table


def _forward(table: pd.DataFrame, most: int | None) -> tuple[tuple[Feature, ...], list[str]]:
    notes = []
    if "searchable" in table and not table["searchable"].all():
        names = ", ".join(dict.fromkeys(table.loc[~table["searchable"], "representation"]))
        notes.append(f"left out: features of {names}, which are neither raw units nor latents of an SAE")
        table = table[table["searchable"]]
    forward = table["direction"] > 0
    if not forward.all():
        lost = table.loc[~forward, ["representation", "feature"]].drop_duplicates()
        notes.append(f"left out: {len(lost)} features whose direction is not above 0 (the target does not drive them)")
    found: dict[tuple, dict] = {}
    count: dict[tuple, int] = {}
    for row in table[forward].itertuples():      # best first within every arm
        key, arm = (row.representation, int(row.feature), int(row.sign)), (row.concept, row.representation, row.arm)
        known = row.arm in found.get(key, {}).get(str(row.concept), ())
        if known or (most is not None and count.get(arm, 0) >= most):
            continue
        count[arm] = count.get(arm, 0) + 1
        found.setdefault(key, {}).setdefault(str(row.concept), []).append(row.arm)
    flipped = sum(sign < 0 for _, _, sign in found)
    if flipped:
        notes.append(f"{flipped} raw units are searched with their sign flipped")
    features = [Feature(name, index, sign, {concept: tuple(arms) for concept, arms in by.items()})
                for (name, index, sign), by in found.items()]
    return tuple(features), notes


def window_tokens(window: str, lengths: list[int], spans: list[int]) -> int:
    """Return how many tokens of a corpus window stand for a window of the stimuli.

    Parameters
    ----------
    window : str
        all, first(n), center(d) or span.
    lengths : list of int
        Content tokens of the stimuli; their median stands for `all`.
    spans : list of int
        Tokens of the stimuli's target spans; their median stands for `span`.

    Returns
    -------
    int
    """
    name, argument = re.fullmatch(r"(\w+)(?:\((\d+)\))?", window).groups()
    return {"first": lambda: int(argument), "center": lambda: 2 * int(argument) + 1,
            "all": lambda: max(1, round(float(np.median(lengths)))),
            "span": lambda: max(1, round(float(np.median(spans))))}[name]()
