"""How strongly words mark a concept: weighted log-odds of the texts that carry it against those that do not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from cogneuro_sae.stimuli.measures import words

PRIOR = 10.0        # weight of the prior, in texts
WORD = re.compile(r"\w+(?:['’]\w+)*")      # as `words` finds them, with their places


def word_weights(targets: Sequence[str], foils: Sequence[str]) -> dict[str, float]:
    """Return the z-score of every word's log-odds between two sets of texts.

    With y texts of n holding the word in each set, and a prior of `PRIOR` texts that hold words as often as both sets
    together do (share p, a = PRIOR p, b = PRIOR (1 - p)): delta = log((y1 + a) / (n1 - y1 + b)) - log((y2 + a) /
    (n2 - y2 + b)), var = 1 / (y1 + a) + 1 / (y2 + a), z = delta / sqrt(var). Monroe, Colaresi & Quinn (2008), Political
    Analysis 16, eqs. 15-20, on texts instead of tokens, so that one text's favourite word counts once.

    Parameters
    ----------
    targets : sequence of str
        Texts that carry the concept.
    foils : sequence of str
        Texts that do not.

    Returns
    -------
    dict of str to float
        Positive = the word marks the concept; {} when either set is empty.
    """
    if not targets or not foils:
        return {}
    held, missed = _texts_with(targets), _texts_with(foils)
    n_held, n_missed = len(targets), len(foils)
    weights = {}
    for word in sorted(held.keys() | missed.keys()):
        share = (held[word] + missed[word]) / (n_held + n_missed)
        a, b = PRIOR * share, PRIOR * (1 - share)
        if b == 0:                      # in every text: says nothing
            weights[word] = 0.0
            continue
        delta = math.log((held[word] + a) / (n_held - held[word] + b)) \
            - math.log((missed[word] + a) / (n_missed - missed[word] + b))
        weights[word] = delta / math.sqrt(1 / (held[word] + a) + 1 / (missed[word] + a))
    return weights


def _texts_with(texts: Sequence[str]) -> Counter:
    return Counter(word for text in texts for word in set(words(text)))


def words_of(window: Mapping) -> tuple[list[str], list[int]]:
    """Return the words of a window, and which of them a marked token lies in.

    Parameters
    ----------
    window : mapping
        `tokens` (list of str, spaces included) and perhaps `marked` (list of int).

    Returns
    -------
    words : list of str
        In order, lower case.
    marked : list of int
        Positions in `words`.
    """
    tokens = [str(token) for token in window["tokens"]]
    marked = set(window.get("marked") or ())
    of_character = [place for place, token in enumerate(tokens) for _ in token]
    found, inside = [], []
    for place, match in enumerate(WORD.finditer("".join(tokens))):
        found.append(match[0].casefold())
        if marked & set(of_character[match.start():match.end()]):
            inside.append(place)
    return found, inside
