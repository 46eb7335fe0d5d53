"""All nuisance measures of a set in one table: the built-in ones, word lists, and what a caller adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.lexical import SENTIMENT, ZIPF, Measured, lexical_measures, norm_measures
from cogneuro_sae.stimuli.measures import MEASURES, nuisance_measures

STANDARD = (*MEASURES, *ZIPF, SENTIMENT, "span_position")


def gather(
    stimuli, *, tokenizer: Callable | None = None, extra: Mapping[str, Callable | Sequence[float]] | None = None,
    norms: str | Path | pd.DataFrame | None = None,
) -> Measured:
    """Return every nuisance measure of every text.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    tokenizer : callable, optional
        Text to the list of its token ids without specials.
    extra : mapping of str to callable or sequence, optional
        One number per text, or what takes the list of texts and returns them.
    norms : path or DataFrame, optional
        Norms by word, see `read_norms`.

    Returns
    -------
    Measured
        (n_stimuli, n_measures) float64 by id, and notes on what could not be measured.

    Raises
    ------
    InputError
        A measure has the name of another one, not one number per text, or infinite ones.
    """
    texts = stimuli.texts
    parts = [Measured(nuisance_measures(stimuli, tokenizer=tokenizer), ()), lexical_measures(texts, stimuli.language)]
    if norms is not None:
        parts.append(norm_measures(texts, norms))
    parts.append(Measured(pd.DataFrame({name: _numbers(name, given, texts) for name, given in (extra or {}).items()},
                                       index=range(len(texts))), ()))
    names = [name for part in parts for name in part.table]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two nuisance measures are called {twice[0]!r}", do="rename one")
    table = pd.concat([part.table.set_axis(stimuli.ids, axis=0) for part in parts], axis=1)
    return Measured(table.astype(float), tuple(note for part in parts for note in part.notes))


def _numbers(name: str, given: Callable | Sequence[float], texts: list[str]) -> np.ndarray:
    values = np.asarray(given(texts) if callable(given) else given, float)
    if values.shape != (len(texts),):
        raise InputError(f"the measure {name!r} has shape {values.shape}",
                         allowed=f"one number for each of {len(texts)} texts")
    if np.isinf(values).any():
        raise InputError(f"the measure {name!r} has infinite values", do="make missing ones NaN")
    return values
