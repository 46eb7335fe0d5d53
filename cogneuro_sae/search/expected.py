"""Stand-ins for windows that are not there yet: as many and as long as a search is to find, for counting what comes."""

from __future__ import annotations

from itertools import count, cycle
from pathlib import Path

from cogneuro_sae.search.config import SearchConfig, plain_config
from cogneuro_sae.search.folder import SearchResult
from cogneuro_sae.search.inputs import prepare

WORDS = ("The", "house", "stood", "at", "the", "end", "of", "a", "quiet", "road", ",", "and", "nobody", "had", "seen",
         "its", "owner", "for", "years", ".")


def expected_windows(config: SearchConfig, folder: Path, *, device: str = "cpu",
                     allow_download: bool = False) -> SearchResult:
    """Return what a search would find in form and number; texts, values and documents are made up.

    Parameters
    ----------
    config : SearchConfig
        The search.
    folder : Path
        Where it would stand.
    device : str
        For loading the model.
    allow_download : bool
        Whether a model or a dataset may be fetched.

    Returns
    -------
    SearchResult
        With an empty provenance.
    """
    inputs = prepare(config, device=device, allow_download=allow_download)
    wanted, size, around = inputs.config.windows, inputs.config.window, inputs.config.context
    features, windows, places = [], [], count(1)
    for one in (*inputs.signals.features, *inputs.signals.ensembles):
        arms = getattr(one, "arms", None) or {config.concept or "": ("ensemble",)}
        features.append({"feature": one.name, "concept": next(iter(arms)),
                         "arms": list(dict.fromkeys(arm for names in arms.values() for arm in names))})
        kinds = [("top", wanted.bins, wanted.top), *(("stratum", bin, wanted.per_bin) for bin in range(1, wanted.bins + 1)),
                 ("random", 0, wanted.random), ("zero", 0, wanted.zero)]
        windows += [_window(one.name, kind, bin, rank, next(places), size, around)
                    for kind, bin, number in kinds for rank in range(1, number + 1)]
    return SearchResult(folder, features, windows, plain_config(inputs.config), {})


def _window(feature: str, kind: str, bin: int, rank: int, place: int, size: int, around: int) -> dict:
    source = cycle(WORDS)
    tokens = [f" {next(source)}" for _ in range(size + 2 * around)]
    tokens[-1] = f" {place}"     # items with the same words would count as one
    values = [float(bin) if around <= number < around + size else 0.0 for number in range(len(tokens))]
    return {"window": f"{place:016x}", "feature": feature, "kind": kind, "bin": bin, "rank": rank, "value": float(bin),
            "document": place, "source": "", "start": 0, "stop": size, "tokens": tokens, "activations": values,
            "pool": [around, around + size], "focus": around, "text": "".join(tokens).strip()}
