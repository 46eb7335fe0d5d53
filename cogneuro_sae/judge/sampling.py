"""Which features and windows are judged: equal numbers of both in every arm, and what cannot be equal is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.items import ARM_GLUE

CONTROL_ARMS = {"random": "random_feature", "rate_matched": "rate_matched", "random_decoder": "random_decoder"}
"""Arms of a search that are controls, and the name of the control."""

Window = Mapping[str, Any]


class Drawn(NamedTuple):
    """Features and windows to be judged.

    Parameters
    ----------
    arms : dict of str to tuple of str
        Arms of each feature kept.
    windows : dict of str to dict of int to list of window
        All windows of each feature by bin, in the order in which they are used.
    taken : dict of int to int
        Windows that every feature gives in each bin; a feature that has none there gives none.
    notes : tuple of str
        What was left out, and what is not equal.
    """

    arms: dict[str, tuple[str, ...]]
    windows: dict[str, dict[int, list[Window]]]
    taken: dict[int, int]
    notes: tuple[str, ...]

    def arm(self, feature: str) -> str:
        """Return the arms of a feature joined by "+".

        Parameters
        ----------
        feature : str
            Its name.
        """
        return ARM_GLUE.join(self.arms[feature])

    def control(self, feature: str) -> str:
        """Return the control that a feature is, "" where at least one arm is none.

        Parameters
        ----------
        feature : str
            Its name.
        """
        kinds = [CONTROL_ARMS.get(arm, "") for arm in self.arms[feature]]
        return kinds[0] if all(kinds) else ""

    def judged(self, feature: str) -> list[tuple[int, Window]]:
        """Return the (bin, window) pairs of a feature that are rated, bins from low to high.

        Parameters
        ----------
        feature : str
            Its name.
        """
        return [(bin, window) for bin, count in sorted(self.taken.items())
                for window in self.windows[feature].get(bin, ())[:count]]


def draw(search: Any, *, concept: str, per_bin: int = 5) -> Drawn:
    """Return equal numbers of features per arm and of windows per bin.

    Every arm keeps as many features as the smallest arm of a selector has, in the order of the search; a smaller control
    arm stays as it is. Every feature gives as many
    windows in a bin as the feature with the fewest of those that have any, at most `per_bin`; kinds of windows take
    turns.

    Parameters
    ----------
    search : SearchResult
        With `features` and `windows`, lists of dictionaries as a search folder holds them.
    concept : str
        Of features found for several concepts those of this one are taken.
    per_bin : int
        Most windows per feature and bin.

    Raises
    ------
    InputError
        No feature with windows is left, or an arm's name holds "+".
    """
    if per_bin < 1:
        raise InputError(f"per_bin is {per_bin}", allowed="1 or more")
    notes: list[str] = []
    by_feature: dict[str, dict[int, list[Window]]] = {}
    for window in search.windows:
        by_feature.setdefault(window["feature"], {}).setdefault(int(window["bin"]), []).append(window)
    features = _of_concept(search.features, concept, notes)
    bare = [row["feature"] for row in features if row["feature"] not in by_feature]
    if bare:
        notes.append(f"left out without windows in the corpus: {_listed(bare)}")
    arms = _equal_arms([row for row in features if row["feature"] in by_feature], notes)
    if not arms:
        raise InputError("no feature with windows to judge", do="search a larger corpus, or other features")
    windows = {name: {bin: _in_turns(bin, rows) for bin, rows in by_feature[name].items()} for name in arms}
    taken = _equal_bins(windows, per_bin, notes)
    return Drawn(arms, windows, taken, tuple(notes))


def _of_concept(features: Sequence[Mapping[str, Any]], concept: str, notes: list[str]) -> list[Mapping[str, Any]]:
    plain = {row.get("concept") or "": _folded(row.get("concept") or "") for row in features}
    named = {name for name in plain.values() if name}
    if len(named) < 2:
        return list(features)
    kept = [row for row in features if plain[row.get("concept") or ""] in ("", _folded(concept))]
    if _folded(concept) not in named:
        raise InputError(f"the search holds no feature for the concept {concept!r}", allowed=", ".join(sorted(named)))
    notes.append(f"{len(features) - len(kept)} features belong to other concepts")
    return kept


def _folded(text: str) -> str:
    return text.replace("_", " ").casefold().strip()


def _equal_arms(features: Iterable[Mapping[str, Any]], notes: list[str]) -> dict[str, tuple[str, ...]]:
    members: dict[str, list[str]] = {}
    for row in features:
        for arm in row["arms"] or ():
            if ARM_GLUE in arm:
                raise InputError(f"an arm is named {arm!r}", do=f"choose a name without {ARM_GLUE}")
            if row["feature"] not in members.setdefault(arm, []):
                members[arm].append(row["feature"])
    if not members:
        return {}
    # controls must not cost the features that are asked about: only a selector's arm sets the size
    chosen = {arm: names for arm, names in members.items() if arm not in CONTROL_ARMS} or members
    smallest = min(chosen, key=lambda arm: len(chosen[arm]))
    size = len(chosen[smallest])
    for arm, names in members.items():
        if len(names) > size:
            notes.append(f"arm {arm}: {size} of {len(names)} features, as many as {smallest} has")
        elif len(names) < size:
            notes.append(f"arms are not equal: the control {arm} has {len(names)} features, the others {size}")
    kept: dict[str, tuple[str, ...]] = {}
    for arm, names in members.items():
        for name in names[:size]:
            kept[name] = (*kept.get(name, ()), arm)
    return kept


def _in_turns(bin: int, rows: list[Window]) -> list[Window]:
    """Order the windows of one feature and bin: kinds take turns, each by rank; a window found twice counts once."""
    first = ("zero", "random") if bin == 0 else ("stratum", "top", "random")
    kinds = sorted({row["kind"] for row in rows}, key=lambda kind: (first.index(kind) if kind in first else 9, kind))
    queues = [sorted((row for row in rows if row["kind"] == kind), key=lambda row: row["rank"]) for kind in kinds]
    found: dict[str, Window] = {}
    for row in chain.from_iterable(zip_longest(*queues)):
        if row is not None:
            found.setdefault(row["window"], row)
    return list(found.values())


def _equal_bins(windows: dict[str, dict[int, list[Window]]], per_bin: int, notes: list[str]) -> dict[int, int]:
    taken = {}
    for bin in sorted({bin for bins in windows.values() for bin in bins}):
        counts = {name: len(bins.get(bin, ())) for name, bins in windows.items()}
        there = {name: count for name, count in counts.items() if count}
        taken[bin] = min(per_bin, *there.values())
        without = [name for name in counts if name not in there]
        if without:
            notes.append(f"bin {bin} is not equal: {len(without)} features have no window there ({_listed(without)})")
        if taken[bin] < per_bin:
            scarce = min(there, key=lambda name: there[name])
            notes.append(f"bin {bin}: {taken[bin]} instead of {per_bin} windows per feature ({scarce} has no more)")
    return taken


def _listed(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def share_of_controls(controls: Iterable[str]) -> tuple[float, Counter]:
    """Return the share of items that are controls, and how many there are of each kind.

    Parameters
    ----------
    controls : iterable of str
        The field `control` of every item.
    """
    count = Counter(controls)
    total = sum(count.values())
    return (1 - count[""] / total if total else float("nan")), count
