"""Reads a search folder for looking: every line checked, the first fault named by file and line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.search.folder import COMPLETION, read_lines

AGAIN = "run the search again (--overwrite)"
KINDS = ("top", "stratum", "random", "zero")
RESUME = "run the same search command again, it resumes"


class Looked(NamedTuple):
    """A search folder whose lines are sound.

    Parameters
    ----------
    folder : Path
        The search folder.
    features : dict of str to dict
        Records of `features.jsonl` by feature name, in the order of the file.
    windows : dict of str to list of dict
        Records of `windows.jsonl` by feature name.
    config : dict
        The resolved configuration.
    provenance : dict
        The run record.
    """

    folder: Path
    features: dict[str, dict]
    windows: dict[str, list[dict]]
    config: dict
    provenance: dict

    def feature(self, name: str) -> dict:
        """Return the record of a feature.

        Parameters
        ----------
        name : str or int
            Such as "sae:12"; an index alone is that of the SAE.

        Raises
        ------
        InputError
            No such feature; the nearest names are said.
        """
        name = f"sae:{name}" if isinstance(name, int) else name
        if name not in self.features:
            raise unknown_name("feature", name, self.features, where=str(self.folder / "features.jsonl"))
        return self.features[name]


def is_search_folder(folder: str | Path) -> bool:
    """Return whether a folder holds the windows of a search.

    Parameters
    ----------
    folder : path
        A results folder.
    """
    return (Path(folder) / "windows.jsonl").is_file()


def read_looked(search: object) -> Looked:
    """Read and check what a card is made of.

    Parameters
    ----------
    search : path or SearchResult
        `results/<name>/<hash10>/` of `search`, or what `read_search` made of it.

    Returns
    -------
    Looked

    Raises
    ------
    InputError
        No such folder, a search that did not finish, or a line that is not as it should be (file, line, what to do).
    """
    if not isinstance(search, (str, Path)):
        return _looked(Path(search.folder), search.features, search.windows, search.config, search.provenance)
    folder = _finished(Path(search))
    provenance = files.read_json(folder / COMPLETION)
    looked = _looked(folder, read_lines(folder / "features.jsonl"), read_lines(folder / "windows.jsonl"),
                     _config(folder / "config.yaml"), provenance if isinstance(provenance, dict) else {})
    if altered := files.mismatch(folder, looked.provenance.get("files", {})):
        raise InputError(altered[1], where=str(altered[0]), do=AGAIN)
    return looked


def _looked(folder: Path, features: list, windows: list, config: dict, provenance: dict) -> Looked:
    by_name = _features(features, folder / "features.jsonl")
    return Looked(folder, by_name, _windows(windows, by_name, folder / "windows.jsonl"), config, provenance)


def concepts_of(record: dict) -> list[str]:
    """Return the concepts a feature was chosen for.

    Parameters
    ----------
    record : dict
        A record of `features.jsonl`.
    """
    return [str(name) for name in record.get("concepts") or [record["concept"]] if name]


def _finished(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"no such search folder: {plain(folder)}",
                         do="give the folder that cogneuro-sae search printed")
    missing = [name for name in ("features.jsonl", "windows.jsonl", "config.yaml", COMPLETION)
               if not (folder / name).is_file()]
    if len(missing) == 4 or missing[:1] == ["features.jsonl"] and COMPLETION not in missing:
        raise InputError("not a search folder: it holds no features.jsonl", where=plain(folder),
                         do="give the folder that cogneuro-sae search printed")
    if missing:
        raise InputError(f"the search did not finish: {', '.join(missing)} missing", where=plain(folder), do=RESUME)
    return folder


def _config(path: Path) -> dict:
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())[:120]
        raise InputError(f"not readable YAML ({told})", where=str(path), do=AGAIN) from error
    return config if isinstance(config, dict) else {}


def _text(value: object) -> bool:
    return isinstance(value, str)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _maybe_number(value: object) -> bool:
    return value is None or value != value or _number(value)      # NaN: not known, as null


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _each(test: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _pairs(length: int) -> Callable[[object], bool]:
    return _each(lambda row: isinstance(row, list) and len(row) == length and _text(row[0])
                 and all(map(_maybe_number, row[1:])))


def _histogram(value: object) -> bool:
    if value is None or value == {}:
        return True
    return (isinstance(value, dict) and all(_each(_number)(value.get(key)) for key in ("edges", "counts"))
            and len(value["edges"]) in (0, len(value["counts"]) + 1)
            and value["edges"] == sorted(value["edges"]) and min(value["counts"], default=0) >= 0)


FEATURE_FORM: dict[str, tuple[Callable[[object], bool], str]] = {
    "feature": (_text, "a text"), "representation": (_text, "a text"),
    "concept": (lambda value: value is None or _text(value), "a text"), "arms": (_each(_text), "a list of texts"),
    **{key: (_maybe_number, "a finite number or null") for key in ("n_tokens", "max", "mean", "median", "active_share",
                                                                   "texts_share")},
    "histogram": (_histogram, "{edges, counts} of finite numbers, one edge more than counts"),
    **{key: (_pairs(2), "a list of [token, number]") for key in ("promoted", "suppressed")},
    **{key: (_pairs(3), "a list of [words, log odds, q]") for key in ("words", "ngrams")},
    "link": (lambda value: value is None or _text(value), "a text or null"),
}
WINDOW_FORM: dict[str, tuple[Callable[[object], bool], str]] = {
    "window": (_text, "a text"), "feature": (_text, "a text"),
    "kind": (lambda value: value in KINDS, ", ".join(KINDS)),
    **{key: (_whole, "a whole number") for key in ("bin", "rank", "document", "start", "stop")},
    "value": (_number, "a finite number"), "source": (_text, "a text"), "tokens": (_each(_text), "a list of texts"),
    "activations": (_each(_number), "a list of finite numbers"),
    "pool": (lambda value: _each(_whole)(value) and len(value) == 2, "[first, stop]"),
    "focus": (_whole, "a whole number"), "text": (_text, "a text"),
}


def _check(record: object, form: dict, where: str) -> None:
    if not isinstance(record, dict):
        raise InputError(f"expected a JSON object, found {type(record).__name__}", where=where, do=AGAIN)
    for key, (test, wanted) in form.items():
        if key not in record:
            raise InputError(f"lacks {key!r}", where=where, do=AGAIN)
        if not test(record[key]):
            raise InputError(f"{key} is {plain(json.dumps(record[key], default=str), width=60)}", where=where,
                             allowed=wanted, do=AGAIN)


def _features(records: list, path: Path) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for number, record in enumerate(records, 1):
        _check(record, FEATURE_FORM, f"{path}:{number}")
        if record["feature"] in found:
            raise InputError(f"{plain(record['feature'])} stands here twice", where=f"{path}:{number}", do=AGAIN)
        found[record["feature"]] = record
    if not found:
        raise InputError("holds no feature", where=str(path), do=AGAIN)
    return found


def _windows(records: list, features: dict, path: Path) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {name: [] for name in features}
    for number, record in enumerate(records, 1):
        where = f"{path}:{number}"
        _check(record, WINDOW_FORM, where)
        if record["feature"] not in found:
            raise InputError(f"{plain(record['feature'], width=60)} is not in features.jsonl", where=where, do=AGAIN)
        n, (first, stop) = len(record["tokens"]), record["pool"]
        if len(record["activations"]) != n:
            raise InputError(f"{n} tokens but {len(record['activations'])} activations", where=where, do=AGAIN)
        if not 0 <= first <= record["focus"] < stop <= n:
            raise InputError(f"pool [{first}, {stop}] and focus {record['focus']} do not fit {n} tokens", where=where,
                             allowed="0 <= first <= focus < stop <= tokens", do=AGAIN)
        found[record["feature"]].append(record)
    return found
