"""What a card shows beside the corpus windows: the concept's own texts, related features, judge scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError
from cogneuro_sae.report.folder import read_table
from cogneuro_sae.report.search_folder import Looked, concepts_of

N_STIMULI = 5
N_RELATED = 5
GATES = ("gate", "rater", "rubric", "value", "low", "high", "limit", "passed", "text")
STRONGEST = {"id", "condition", "feature", "value", "token"}


class Stimulus(NamedTuple):
    """A text of the concept's stimulus set among whose strongest features this one is.

    Parameters
    ----------
    id : str
        Of the text.
    condition : str
        Its condition.
    target : bool
        Whether the condition has a positive weight in the contrast.
    value : float
        Pooled activation, in the unit of the map.
    token : str
        Where the feature peaks.
    text : str
        The text, "" when the set is not at hand.
    """

    id: str
    condition: str
    target: bool
    value: float
    token: str
    text: str


class Judged(NamedTuple):
    """Scores of a judge run.

    Parameters
    ----------
    rows : DataFrame
        `features.csv` of the judge folder.
    validity : str
        What the gates say of each rater, in one line: it stands before every score.
    folder : str
        Where they stand.
    """

    rows: pd.DataFrame
    validity: str
    folder: str

    @property
    def failed(self) -> bool:
        """Whether a judge failed a gate."""
        return self.validity.startswith("NOT VALID")


def related_features(feature: dict, decoders: Mapping[str, object] | None) -> list[tuple[str, float]]:
    """Return the features whose decoder directions are nearest.

    Parameters
    ----------
    feature : dict
        A record of `features.jsonl`; its own `related`, where the search wrote it, counts first.
    decoders : mapping of str to ndarray (n_latents, d_model) or SparseAutoencoder, optional
        Decoder directions by representation name.

    Returns
    -------
    list of (str, float)
        Feature name and cosine, nearest first; empty when no directions are known.

    Raises
    ------
    InputError
        The decoder has no row for the feature.
    """
    if feature.get("related"):
        return [(str(name), float(cosine)) for name, cosine in feature["related"]][:N_RELATED]
    if decoders is not None and not isinstance(decoders, Mapping):
        raise InputError(f"decoders are a {type(decoders).__name__}", allowed="a mapping of representation to directions",
                         do='give decoders={"sae": sae}')
    given = (decoders or {}).get(feature["representation"])
    if given is None or not isinstance(feature.get("index"), int):
        return []
    rows = np.asarray(getattr(given, "decoder", given), float)
    index = feature["index"]
    if rows.ndim != 2 or not 0 <= index < len(rows):
        raise InputError(f"the decoder of {feature['representation']!r} has shape {rows.shape}, no row {index}",
                         allowed="(n_latents, d_model) of the SAE that was searched")
    norm = np.linalg.norm(rows, axis=1)
    cosine = rows @ rows[index] / np.maximum(norm * norm[index], 1e-12)
    cosine[index] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(N_RELATED, len(rows) - 1)]
    return [(f"{feature['representation']}:{place}", float(cosine[place])) for place in order]


def top_stimuli(looked: Looked, feature: dict) -> list[Stimulus]:
    """Return the texts of the concept that drive a feature most, from the folder the features were chosen in.

    Parameters
    ----------
    looked : Looked
        The search; its config's `from` names the folder of `map` or `compare`.
    feature : dict
        A record of `features.jsonl`.

    Returns
    -------
    list of Stimulus
        Largest value first; empty when the search did not start from such a folder, when it is gone, or when the
        feature is among the strongest of no text.
    """
    view = _view(looked, feature)
    if view is None or not (view / "strongest.csv").is_file():
        return []
    table = read_table(view / "strongest.csv")
    if not set(table) >= STRONGEST:
        raise InputError(f"lacks columns: {', '.join(sorted(STRONGEST - set(table)))}",
                         where=str(view / "strongest.csv"), do="run the map or comparison again")
    rows = table[table["feature"] == feature.get("index")].nlargest(N_STIMULI, "value", keep="first")
    record = files.read_json(view / "stimuli.json")
    texts = _texts(record) if len(rows) else {}
    weights = record.get("weights", {})
    return [Stimulus(row.id, row.condition, weights.get(row.condition, 0) > 0, float(row.value), str(row.token),
                     texts.get(row.id, "")) for row in rows.itertuples()]


def _view(looked: Looked, feature: dict) -> Path | None:
    """`view/<set>/` of the feature's concept and representation."""
    source = looked.config.get("from")
    if not isinstance(source, str):
        return None
    for base in (Path(), looked.folder):                # an absolute path stands for itself under either
        for record in sorted((base / source / "view").glob("*/stimuli.json")):
            about = files.read_json(record)
            here = {str(about.get("name")), str(about.get("concept")), record.parent.name}
            if here & set(concepts_of(feature)) and _same_representation(record.parent, feature["representation"]):
                return record.parent
    return None


def _same_representation(view: Path, representation: str) -> bool:
    """A comparison's representations have names; a map has one, `raw` or an SAE under its own name."""
    path = view / "responses.json"
    there = str(files.read_json(path).get("representation")) if path.is_file() else ""
    of_a_map = not (view.parents[1] / "cells.csv").exists()
    return there == representation or (of_a_map and (there == "raw") == (representation == "raw"))


def _texts(record: dict) -> dict[str, str]:
    """Texts by id: all of them when the very set is at hand, otherwise the examples that were kept."""
    from cogneuro_sae.stimuli import StimulusSet

    kept = {str(each["id"]): str(each["text"]) for each in record.get("examples", [])}
    try:
        stimuli = StimulusSet.from_yaml(str(record.get("name")))
    except InputError:                          # a set of the user's own, not known by name: the examples remain
        return kept
    if stimuli.sha256 != record.get("sha256"):
        return kept
    return dict(zip(stimuli.table["id"], stimuli.table["text"], strict=True))


def read_judged(folder: str | Path | None) -> Judged | None:
    """Read the scores of a judge folder and what its gates say.

    Parameters
    ----------
    folder : path, optional
        `results/<name>/<hash10>/` of `judge`; None gives None.

    Returns
    -------
    Judged or None

    Raises
    ------
    InputError
        No such folder, or `features.csv` or `gates.csv` is not there or lacks its columns.
    """
    if folder is None:
        return None
    from cogneuro_sae.judge.tables import read_judge_table
    from cogneuro_sae.judge.validity import first_line

    folder = Path(folder)
    tables = {}
    for name, columns in (("features", ("feature", "rubric", "rater", "score")), ("gates", GATES)):
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise InputError(f"no {name}.csv in the judge folder", where=str(folder),
                             do="give the folder that cogneuro-sae judge printed, or run it again to finish it")
        tables[name] = read_judge_table(path)
        if lacking := [column for column in columns if column not in tables[name]]:
            raise InputError(f"lacks columns: {', '.join(lacking)}", where=str(path), do="run the judge again")
    return Judged(tables["features"], plain(first_line(tables["gates"])), str(folder))
