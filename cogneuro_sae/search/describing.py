"""From keepers to rows: chosen windows with their text, statistics, enriched words, promoted tokens, link."""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

import numpy as np

from cogneuro_sae.corpus import Corpus, cut_text
from cogneuro_sae.language_model.tokens import token_texts
from cogneuro_sae.search.choosing import bin_of, quantile_edges, take_distinct
from cogneuro_sae.search.enrichment import count_terms, enriched_terms
from cogneuro_sae.search.passages import Passage
from cogneuro_sae.search.scan import WindowScan
from cogneuro_sae.search.stream import Read, read_passages
from cogneuro_sae.search.vocabulary import neuronpedia_id, neuronpedia_link, promoted_tokens

REMEMBERED = 4096
TERMS = ((1,), (2, 3))


class Recall:
    """Gives candidates their passages back: cut and tokenised again as the scan did.

    Parameters
    ----------
    model : LanguageModel
        Gives the tokens.
    corpus : Corpus
        The text.
    passage : int
        Longest passage in characters.
    bos : bool
        Whether the beginning-of-text token is fed.
    """

    def __init__(self, model, corpus: Corpus, *, passage: int, bos: bool):
        self.model, self.corpus, self.passage, self.bos = model, corpus, passage, bos
        self._pieces = functools.lru_cache(REMEMBERED)(self._tokenised)
        self._cuts = functools.lru_cache(REMEMBERED)(lambda document: tuple(cut_text(corpus.texts[document], passage)))
        self._hash = functools.lru_cache(REMEMBERED)(
            lambda document: hashlib.sha256(corpus.texts[document].encode("utf-8")).hexdigest())

    def _tokenised(self, document: int, number: int) -> list[Read]:
        text = self._cuts(document)[number]
        return read_passages(self.model, [Passage(document, number, text)], bos=self.bos)

    def read(self, candidate: np.void) -> Read:
        """Return the passage of a candidate.

        Parameters
        ----------
        candidate : record
            From a keeper.
        """
        return self._pieces(int(candidate["document"]), int(candidate["number"]))[int(candidate["piece"])]

    def text(self, candidate: np.void) -> str:
        """Return the text of a candidate's pooling window.

        Parameters
        ----------
        candidate : record
            From a keeper.
        """
        read = self.read(candidate)
        left, right = read.characters(int(candidate["start"]), int(candidate["stop"]))
        return read.passage.text[left:right]

    def identity(self, feature: str, candidate: np.void) -> str:
        """Return a window's id: 16 hex digits over feature, document text and tokens.

        Parameters
        ----------
        feature : str
            Its name.
        candidate : record
            From a keeper.
        """
        start, stop = (int(candidate["offset"]) + int(candidate[name]) for name in ("start", "stop"))
        whole = f"{feature}|{self._hash(int(candidate['document']))}|{start}|{stop}"
        return hashlib.sha256(whole.encode("utf-8")).hexdigest()[:16]


class Chosen(NamedTuple):
    """The windows of one feature.

    Parameters
    ----------
    kinds : dict of str to list of records
        top, stratum, random, zero.
    edges : ndarray (bins - 1,)
        Inner edges of the bins.
    """

    kinds: dict[str, list]
    edges: np.ndarray


def choose(scan: WindowScan, feature: int, recall: Recall, *, bins: int, per_bin: int) -> Chosen:
    """Choose the windows of one feature among the candidates.

    Parameters
    ----------
    scan : WindowScan
        After the last passage.
    feature : int
        Its row.
    recall : Recall
        Gives texts.
    bins : int
        Quantile bins of the non-zero values.
    per_bin : int
        Windows of each.

    Returns
    -------
    Chosen
    """
    plan = scan.plan
    rules = {"per_document": plan.per_document, "text_of": recall.text}
    active = scan.keepers["active"].kept(feature)
    edges = quantile_edges(active["value"], bins)
    place = bin_of(active["value"], edges)
    strata: list = []
    for number in range(1, bins + 1):
        strata += take_distinct(active[place == number], per_bin, taken=strata, **rules)
    kinds = {"top": take_distinct(scan.keepers["top"].kept(feature), plan.top, **rules), "stratum": strata}
    for kind in ("random", "zero"):
        kinds[kind] = take_distinct(scan.keepers[kind].kept(feature), getattr(plan, kind), **rules)
    return Chosen(kinds, edges)


def window_rows(name: str, chosen: Chosen, recall: Recall, *, context: int) -> list[dict]:
    """Return the rows of windows.jsonl of one feature.

    Parameters
    ----------
    name : str
        The feature.
    chosen : Chosen
        Its windows.
    recall : Recall
        Gives texts.
    context : int
        Tokens shown on either side of the pooling window.

    Returns
    -------
    list of dict
    """
    rows = []
    for kind, candidates in chosen.kinds.items():
        ranks: dict[int, int] = {}
        for one in candidates:
            number = int(bin_of(one["value"], chosen.edges))
            counted = number if kind == "stratum" else 0
            ranks[counted] = ranks.get(counted, 0) + 1
            rows.append({"window": recall.identity(name, one), "feature": name, "kind": kind, "bin": number,
                         "rank": ranks[counted], "value": _short(one["value"]), "document": int(one["document"]),
                         "source": recall.corpus.sources[int(one["document"])],
                         "start": int(one["offset"]) + int(one["start"]), "stop": int(one["offset"]) + int(one["stop"]),
                         **_shown(one, recall, context)})
    return rows


def _shown(one: np.void, recall: Recall, context: int) -> dict:
    read, start, stop = recall.read(one), int(one["start"]), int(one["stop"])
    first, last = max(0, start - context), min(read.length, stop + context)
    names = token_texts(recall.model.tokenizer, read.passage.text, read.tokens)[read.head + first:read.head + last]
    values = one["shown"][first - start + context:][:last - first]
    pool = [start - first, stop - first]
    left, right = read.characters(first, last)
    return {"tokens": names, "activations": [_short(value) for value in values], "pool": pool,
            "focus": pool[0] + int(np.argmax(values[pool[0]:pool[1]])), "text": read.passage.text[left:right]}


def _short(value) -> float:
    """Six digits: float32 has no more."""
    return float(f"{float(value):.6g}")


def feature_rows(inputs, scan: WindowScan, chosen: list[Chosen], recall: Recall) -> list[dict]:
    """Return the rows of features.jsonl.

    Parameters
    ----------
    inputs : Inputs
        What was searched for.
    scan : WindowScan
        After the last passage.
    chosen : list of Chosen
        Per feature.
    recall : Recall
        Gives texts.

    Returns
    -------
    list of dict
    """
    texts = [recall.text(one) for one in scan.keepers["background"].kept(0)]
    background = {sizes: count_terms(texts, sizes) for sizes in TERMS}
    promoted = _promoted(inputs)
    signals, rows = inputs.signals, []
    for place, one in enumerate((*signals.features, *signals.ensembles)):
        single = place < len(signals.features)
        arms = one.arms if single else {inputs.config.concept or "": ("ensemble",)}
        texts = [recall.text(window) for window in chosen[place].kinds["top"]]
        words, grams = (enriched_terms(count_terms(texts, sizes), background[sizes]) for sizes in TERMS)
        rows.append({
            "feature": one.name, "representation": one.representation, "index": one.index if single else None,
            "concept": next(iter(arms)), "arms": list(dict.fromkeys(arm for names in arms.values() for arm in names)),
            **scan.tallies.describe(place), **promoted[place]._asdict(),
            "words": [[each.term, each.log_odds, each.q] for each in words],
            "ngrams": [[each.term, each.log_odds, each.q] for each in grams],
            "link": _link(inputs, one) if single else None,
            "concepts": {concept: list(names) for concept, names in arms.items()}, "sign": one.sign,
            "active_windows": int(scan.active_windows[place]), "edges": chosen[place].edges.tolist(),
            "found": {kind: len(found) for kind, found in chosen[place].kinds.items()},
            **({} if single else {"members": one.indices.tolist(), "target": one.target})})
    return rows


def _promoted(inputs) -> list:
    signals, width = inputs.signals, inputs.model.d_model
    directions = np.zeros((len(signals), width), np.float32)
    usable = np.zeros(len(signals), bool)
    for place, one in enumerate(signals.features):
        if one.representation in inputs.saes:
            rows = inputs.saes[one.representation].W_dec.detach()[[one.index]].cpu().numpy()
            rows = rows / inputs.saes[one.representation].input_scale
        else:
            rows = np.zeros((1, inputs.model.width(inputs.config.site)), np.float32)
            rows[0, one.index] = one.sign
        if rows.shape[1] == width:
            directions[place], usable[place] = rows[0], True
    # an ensemble has no direction of its own; units of another width than the residual stream write nothing into it
    found = promoted_tokens(inputs.model, directions, most=inputs.config.vocabulary)
    return [each if known else type(each)([], []) for each, known in zip(found, usable, strict=True)]


def _link(inputs, one) -> str | None:
    if one.representation not in inputs.saes:
        return None
    return neuronpedia_link(inputs.config.neuronpedia or neuronpedia_id(inputs.sae_folders[one.representation]), one.index)
