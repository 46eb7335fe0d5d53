"""The lexical baseline: answers every rubric from word counts of the concept's stimuli. It is not a judge.

What a judge has to beat: it reads no prompt, knows no meaning, and gives the same answer every time.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.messages import ProviderError, Reply, Request
from cogneuro_sae.judge.providers.context import Context
from cogneuro_sae.judge.providers.spec import RaterSpec
from cogneuro_sae.judge.providers.word_weights import word_weights, words_of
from cogneuro_sae.stimuli.measures import words

WEAK, FAIR, STRONG = 0.5, 1.0, 1.96      # z of a word's log-odds
STEM = 5            # letters that forms of one word share
NEARBY = 8          # words on each side of the marked ones that count as around them
EMPTY_WORDS = frozenset("""about after also always because been being both description feature from have into its like
    marked more most nothing often only other over passage piece pieces some such text texts than that the their them
    then there these they this those token tokens what when where which while will with word words""".split())


class LexicalBaseline:
    """Word counts of the concept's stimuli, mapped to the answers of every rubric.

    Parameters
    ----------
    spec : RaterSpec
        The rater.
    context : Context
        The concept's texts; without them only the concept's own words are known.

    Raises
    ------
    InputError
        There is neither a concept nor a text.
    """

    is_judge = False
    paid = False
    model = ""
    batch = None
    notes = ("not a judge: a baseline from word counts of the concept's stimuli",)

    def __init__(self, spec: RaterSpec, context: Context):
        if not context.concept.strip() and not (context.targets and context.foils):
            raise InputError("the rater 'lexical' has neither a concept nor texts of one", where="judge",
                             do="name a stimulus set as the concept")
        self.spec, self.name = spec, spec.name
        self.concept, self.definition = context.concept, context.definition
        self.weights = word_weights(context.targets, context.foils)

    def __repr__(self) -> str:
        return f"LexicalBaseline({self.concept!r}, {len(self.weights)} words)"

    def answer(self, request: Request) -> Reply:
        """Answer one request from its item's payload; the prompt is not read.

        Parameters
        ----------
        request : Request
            With an item.

        Returns
        -------
        Reply
            Status "error" where word counts have no answer (an answer without a reference).

        Raises
        ------
        ProviderError
            A request without an item, or of a rubric that is not among ours.
        """
        rubric = getattr(request.item, "rubric", None)
        if rubric not in ANSWERS:
            raise ProviderError(f"the lexical baseline has no answer to the rubric {rubric!r}", lost=False)
        text = ANSWERS[rubric](self, request.item.payload, request)
        if text is None:
            return Reply("", json.dumps({"provider": self.name}), "error", "word counts need a reference")
        return Reply(text, json.dumps({"provider": self.name, "text": text}, ensure_ascii=False))

    def weigh(self, found: Sequence[str], payload: Mapping) -> list[float]:
        """Return the weights of words for the concept that an item asks about.

        Parameters
        ----------
        found : sequence of str
            Words in lower case.
        payload : mapping
            An item's payload; `concept` and `definition` in it stand before the run's. Of a concept without stimuli
            only its own words are known.

        Returns
        -------
        list of float
            z-scores; the concept's own words and those that start like them count as strong, those of its definition
            as fair.
        """
        concept = str(payload.get("concept") or self.concept)
        own = concept == self.concept
        known = self.weights if own else {}
        stems = {word[:STEM] for word in _content(concept)}
        said = set(_content(str(payload.get("definition") or (self.definition if own else ""))))
        return [max(known.get(word, 0.0), STRONG if word[:STEM] in stems else FAIR if word in said else -math.inf)
                for word in found]


def _content(text: str) -> list[str]:
    return [word for word in dict.fromkeys(words(text)) if len(word) >= 4 and word not in EMPTY_WORDS]


def _target(rater: LexicalBaseline, payload: Mapping, request: Request) -> str:
    """3: a strong marked word; 2: a fair one, or a strong one nearby; 1: a weak one, or a fair one nearby; 0: none."""
    found, marked = words_of(payload["windows"][0])
    values = rater.weigh(found, payload)
    here = max((values[mark] for mark in marked), default=-math.inf)
    near = max((value for place, value in enumerate(values) if any(abs(place - mark) <= NEARBY for mark in marked)),
               default=-math.inf)
    return next(score for score, reached in (("3", here >= STRONG), ("2", here >= FAIR or near >= STRONG),
                                             ("1", here >= WEAK or near >= FAIR), ("0", True)) if reached)


def _intruder(rater: LexicalBaseline, payload: Mapping, request: Request) -> str:
    """The window least like the others in its marked words, their looks and, at half weight, the words around them."""
    bags = [_bag(window) for window in payload["windows"]]
    likeness = [sum(_cosine(one, other) for at, other in enumerate(bags) if at != place)
                for place, one in enumerate(bags)]
    odd = min(range(len(bags)), key=lambda place: (round(likeness[place], 9), place))
    return request.options[odd] if request.options else str(odd + 1)


def _bag(window: Mapping) -> Counter:
    found, marked = words_of(window)
    bag = Counter()
    for word in found:
        bag[word] += 0.5 if len(word) >= 4 and word not in EMPTY_WORDS else 0.05
    for mark in marked:
        word = found[mark]
        bag[word] += 1.0
        looks = (f"ends {word[-3:]}", f"starts {word[:3]}", f"letters {min(len(word), 9)}", f"digits {word.isdigit()}")
        for look in looks:
            bag[look] += 0.25
    return bag


def _cosine(one: Counter, other: Counter) -> float:
    norm = math.sqrt(sum(value ** 2 for value in one.values()) * sum(value ** 2 for value in other.values()))
    return sum(value * other[name] for name, value in sorted(one.items())) / norm if norm else 0.0


def _strongest(windows: Sequence[Mapping]) -> tuple[list[str], float, int]:
    """The three words with most strength in all, the share of windows with one of them among its strong, and these."""
    total, strong = Counter(), []
    for window in windows:
        here = Counter()
        for at, strength in enumerate(window["strengths"]):
            if strength > 0:
                found, marked = words_of({"tokens": window["tokens"], "marked": [at]})
                for mark in marked:
                    here[found[mark]] = max(here[found[mark]], strength)
        total.update(here)
        strong.append({word for word, strength in here.items() if strength >= 5})
    best = sorted(total, key=lambda word: (-total[word], word))[:3]
    active = [group for group in strong if group]
    share = sum(bool(group & set(best)) for group in active) / len(active) if active else 0.0
    return best, share, len(active)


def _explanation(rater: LexicalBaseline, payload: Mapping, request: Request) -> str:
    best, share, n = _strongest(payload["windows"])
    label = ("words " + ", ".join(best)) if best else "no common word"
    told = f"These words hold the most strength; one of them is strong in {share:.0%} of {n} passages."
    if request.schema is None:
        return f"PATTERN: {label}\nEXPLANATION: {told}\nCERTAINTY: {share:.2f}"
    return json.dumps({"label": label, "explanation": told, "certainty": round(share, 2)}, ensure_ascii=False)


def _steps(rater: LexicalBaseline, payload: Mapping, request: Request) -> str:
    best, share, n = _strongest(payload["windows"])
    return json.dumps({
        "key_words": best, "grouping": f"{share:.0%} of {n} passages have one of these words among their strong ones",
        "outliers": [], "common_semantic": ("words " + ", ".join(best)) if best else "no common word",
        "certainty": round(share, 2)}, ensure_ascii=False)


def _detection(rater: LexicalBaseline, payload: Mapping, request: Request) -> str:
    found, _ = words_of(payload["windows"][0])
    return str(int(bool(set(_content(payload["explanation"])) & set(found))))


def _fuzzing(rater: LexicalBaseline, payload: Mapping, request: Request) -> str:
    found, marked = words_of(payload["windows"][0])
    return str(int(bool(set(_content(payload["explanation"])) & {found[mark] for mark in marked})))


def _answer(rater: LexicalBaseline, payload: Mapping, request: Request) -> str | None:
    """1: the reference's words stand in the answer, together and in order."""
    if payload.get("reference") is None:
        return None
    wanted, given = words(str(payload["reference"])), words(str(payload["answer"]))
    starts = range(len(given) - len(wanted) + 1)
    return str(int(bool(wanted) and any(given[at:at + len(wanted)] == wanted for at in starts)))


ANSWERS: dict[str, Callable[[LexicalBaseline, Mapping, Request], str | None]] = {
    "target": _target, "intruder": _intruder, "explanation": _explanation, "explanation_batch": _steps,
    "detection": _detection, "fuzzing": _fuzzing, "answer": _answer,
}
