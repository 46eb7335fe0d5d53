"""Nuisance measures that need word lists: Zipf frequency, sentiment (extra `lexical`), norms of a user's csv file."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.measures import NEGATIONS, words
from cogneuro_sae.stimuli.tables import read_table

INSTALL = "pip install 'cogneuro_sae[lexical]'"
ZIPF = ("zipf_mean", "zipf_min")
SENTIMENT = "sentiment"


class Measured(NamedTuple):
    """Measures of every text, (n_stimuli, n_measures), and what there is to say on them."""

    table: pd.DataFrame
    notes: tuple[str, ...]


def lexical_measures(texts: list[str], language: str) -> Measured:
    """Return mean and smallest Zipf frequency of a text's words, and its sentiment.

    Zipf frequency is log10 of the occurrences per billion words (wordfreq); a word that its list lacks counts 0, below
    every listed one. Sentiment is the compound score of vaderSentiment, -1 to 1, English only.

    Parameters
    ----------
    texts : list of str
        The texts.
    language : str
        ISO 639-1.

    Returns
    -------
    Measured
        Columns `zipf_mean zipf_min sentiment`, NaN throughout where not measured; a note says why.
    """
    table = pd.DataFrame(np.nan, index=range(len(texts)), columns=[*ZIPF, SENTIMENT])
    notes = [] if language in NEGATIONS else [
        f"negations are not counted in {language!r}: no list of its negating words"]
    absent = [name for name in ("wordfreq", "vaderSentiment") if importlib.util.find_spec(name) is None]
    if absent:
        what = " and ".join({"wordfreq": "word frequency", "vaderSentiment": "sentiment"}[name] for name in absent)
        notes.append(f"{what} not measured: {' and '.join(absent)} not installed; {INSTALL}")
    if "wordfreq" not in absent:
        try:
            zipf = [[_zipf(word, language) for word in words(text)] for text in texts]
        except (LookupError, ImportError) as error:
            notes.append(f"word frequency not measured: wordfreq has no words of {language!r} ({error})")
        else:
            table["zipf_mean"] = [np.mean(each) if each else np.nan for each in zipf]
            table["zipf_min"] = [min(each) if each else np.nan for each in zipf]
    if "vaderSentiment" not in absent:
        if language == "en":
            table[SENTIMENT] = [_analyser().polarity_scores(text)["compound"] for text in texts]
        else:
            notes.append(f"sentiment not measured: vaderSentiment reads English, the set is in {language!r}")
    return Measured(table, tuple(notes))


@functools.lru_cache(maxsize=100_000)
def _zipf(word: str, language: str) -> float:
    import wordfreq

    return wordfreq.zipf_frequency(word, language)


@functools.lru_cache(maxsize=1)
def _analyser():
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def read_norms(path: str | Path) -> pd.DataFrame:
    """Read a csv or tsv file of word norms.

    Parameters
    ----------
    path : str or Path
        The column `word` and any columns of numbers; columns of text are left out.

    Returns
    -------
    DataFrame
        Numbers by word in small letters.

    Raises
    ------
    InputError
        Unreadable, without `word`, or without a column of numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file of norms", where=str(path))
    raw = read_table(path)
    if "word" not in raw.columns:
        raise InputError("the norms have no column `word`", where=str(path), do="name the column of words so",
                         allowed=f"word; found {', '.join(raw.columns)}")
    return _norms(pd.DataFrame(raw.rows, columns=raw.columns), str(path))


def _norms(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Numbers by word; a word that stands twice, as with capitals, gets the mean."""
    if "word" not in frame:
        raise InputError("the norms have no column `word`", where=where)
    numbers = [name for name in frame if name != "word" and pd.api.types.is_numeric_dtype(frame[name])
               and not pd.api.types.is_bool_dtype(frame[name])]
    if not numbers:
        raise InputError("the norms have no column of numbers", where=where, do="add one, such as concreteness")
    key = frame["word"].astype(str).str.strip().str.casefold()
    return frame[numbers].astype(float).groupby(key).mean()


def norm_measures(texts: list[str], norms: str | Path | pd.DataFrame) -> Measured:
    """Return the mean norm of each text's known words, with a note on how many words are known.

    Parameters
    ----------
    texts : list of str
        The texts.
    norms : path or DataFrame
        As `read_norms` takes it, or a DataFrame with the column `word`.

    Returns
    -------
    Measured
        One column per column of numbers; NaN where no word of a text is known.
    """
    table = _norms(norms, "norms") if isinstance(norms, pd.DataFrame) else read_norms(norms)
    each = [words(text) for text in texts]
    found, notes = {}, []
    for name in table:
        value = table[name].dropna().to_dict()
        known = [[value[word] for word in one if word in value] for one in each]
        found[str(name)] = [float(np.mean(one)) if one else np.nan for one in known]
        total, without = sum(map(len, each)), sum(not one for one in known)
        share = sum(map(len, known)) / total if total else 0.0
        more = f"; {without} texts have none and are missing" if without else ""
        notes.append(f"norms: {name} known for {share:.0%} of the words{more}")
    return Measured(pd.DataFrame(found, index=range(len(texts))), tuple(notes))
