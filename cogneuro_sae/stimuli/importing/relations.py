"""LRE relations: subjects, objects and prompt templates (Hernandez et al. 2024)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli.importing.drafts import Draft, ImportOptions
from cogneuro_sae.stimuli.importing.names import numbered, renamed, valid_names
from cogneuro_sae.stimuli.importing.sources import Source, only_one
from cogneuro_sae.stimuli.importing.spans import unique_span
from cogneuro_sae.stimuli.items import Row

SOURCE = "LRE relations (Hernandez et al. 2024, github.com/evandez/relations)"
LICENCE = "MIT, " + SOURCE
TEMPLATES = ("prompt_templates", "prompt_templates_zs")
MAX_SAMPLES = 5000


class Sample(NamedTuple):
    """A subject with its object, and where they stand."""

    subject: str
    object: str
    place: str


def read_relation(sources: Sequence[Source], options: ImportOptions) -> Draft:
    """Read a relation: each sample is an item, target = the statement with its object, near = with another's object.

    The objects of the near statements are those of the target statements in another order, drawn with the seed, so
    that every object is as often true as false. Templates are the paraphrases; all items share them.

    Parameters
    ----------
    sources : sequence of Source
        A json file, plain or gz.
    options : ImportOptions
        `seed`; `skip_faulty` leaves samples out whose object is too frequent; `count_tokens` adds continuations.

    Raises
    ------
    InputError
        Not a relation, or an object that more than half of the samples have.
    """
    source = only_one(sources, "lre")
    name, templates, samples, notes = _relation(source)
    true = {(sample.subject.casefold(), sample.object.casefold()) for sample in samples}
    samples, left_out = _balanced(_drawn(samples, options), options, source.where)
    foils = _other_objects(samples, true, options.seed, source.where)
    known = valid_names("item", numbered(sample.subject for sample in samples))
    rows, prompts = [], []
    for sample, foil, item in zip(samples, foils, known.values()):
        for template in templates:
            prompt = template.replace("{}", sample.subject)
            prompts.append((item, prompt, sample.object, foil))
            rows += [_statement(item, side, prompt, word, sample.place)
                     for side, word in (("target", sample.object), ("near", foil))]
    spec = {"concept": f"truth of a statement: {name}", "licence": LICENCE,
            "definition": f"The statement gives the object that belongs to its subject ({name}); its twin gives the "
                          "object of another subject.",
            "conditions": {"target": "true object", "near": "object of another subject"}}
    if options.count_tokens:
        spec["continuations"] = _continuations(prompts, options.count_tokens)
        notes.append(f"{len(spec['continuations'])} of {len(prompts)} prompts became continuations, those with equal "
                     "token counts")
    notes += left_out + renamed("item", known)
    notes.append(f"all items share the {len(templates)} sentence frames of the templates")
    return Draft(rows, spec, f"{SOURCE}, relation {name}", notes)


def _relation(source: Source) -> tuple[str, list[str], list[Sample], list[str]]:
    data, where = source.data, source.where
    texts = [text for key in TEMPLATES for text in (data.get(key) or [])] if isinstance(data, dict) else []
    if not texts or not isinstance(data.get("samples"), list):
        raise InputError("is not in the form of an LRE relation", where=where, allowed="prompt_templates and samples")
    for text in texts:
        if not isinstance(text, str) or text.count("{}") != 1:
            raise InputError(f"the template {shown(text)} does not hold {{}} once", where=where)
    samples, seen = [], set()
    for number, entry in enumerate(data["samples"]):
        place = f"{where}: samples[{number}]"
        words = [entry.get(key) for key in ("subject", "object")] if isinstance(entry, dict) else [None]
        if not all(isinstance(word, str) and word.strip() for word in words):
            raise InputError("a sample needs a subject and an object, both text", where=place)
        subject, object_ = (" ".join(word.split()) for word in words)
        if (subject.casefold(), object_.casefold()) not in seen:
            samples.append(Sample(subject, object_, place))
        seen.add((subject.casefold(), object_.casefold()))
    repeats = len(data["samples"]) - len(samples)
    notes = [f"{repeats} repeated samples were left out"] if repeats else []
    return str(data.get("name") or source.path.name.partition(".")[0]), list(dict.fromkeys(texts)), samples, notes


def _drawn(samples: list[Sample], options: ImportOptions) -> list[Sample]:
    """As many samples as wanted; drawn before objects are exchanged, so that these stay balanced."""
    import numpy as np

    if options.limit is None or options.limit >= len(samples):
        return samples
    kept = np.random.default_rng([options.seed, 0]).permutation(len(samples))[: options.limit]
    return [samples[number] for number in sorted(kept.tolist())]


def _balanced(samples: list[Sample], options: ImportOptions, where: str) -> tuple[list[Sample], list[str]]:
    """Samples among which no object is so frequent that it must meet itself when objects are exchanged."""
    import numpy as np

    [(word, count)] = Counter(sample.object.casefold() for sample in samples).most_common(1)
    surplus = 2 * count - len(samples)
    if surplus <= 0:
        return samples, []
    if surplus >= count:
        raise InputError(f"all samples have the object {shown(word)}: no other can be given to them", where=where)
    if not options.skip_faulty:
        raise InputError(f"{count} of {len(samples)} samples have the object {shown(word)}, so {surplus} cannot get "
                         "another one", where=where, do="give --skip-faulty to leave so many out, drawn with --seed")
    holders = [number for number, sample in enumerate(samples) if sample.object.casefold() == word]
    gone = set(np.random.default_rng([options.seed, 2]).choice(holders, surplus, replace=False).tolist())
    return ([sample for number, sample in enumerate(samples) if number not in gone],
            [f"{surplus} samples with the object {shown(word)} were left out, drawn with the seed"])


def _other_objects(samples: list[Sample], true: set[tuple[str, str]], seed: int, where: str) -> list[str]:
    """The same objects in an order in which none is true of its new subject: the cheapest of random assignments."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    if len(samples) > MAX_SAMPLES:
        raise InputError(f"{len(samples)} samples are too many to exchange objects among", where=where,
                         allowed=f"at most {MAX_SAMPLES}", do="draw some with --limit")
    cost = np.random.default_rng([seed, 3]).random((len(samples), len(samples)))
    by_object = defaultdict(list)
    for number, sample in enumerate(samples):
        by_object[sample.object.casefold()].append(number)
    known = defaultdict(set)
    for subject, word in true:
        known[subject].add(word)
    for number, sample in enumerate(samples):
        for word in known[sample.subject.casefold()]:
            cost[number, by_object[word]] = len(samples)
    _, given = linear_sum_assignment(cost)
    if cost[range(len(samples)), given].max() >= len(samples):
        raise InputError("no exchange of objects makes all statements false", where=where,
                         do="remove subjects that have most of the objects")
    return [samples[other].object for other in given]


def _statement(item: str, side: str, prompt: str, word: str, place: str) -> Row:
    text = " ".join(f"{prompt} {word}".split())
    span = unique_span(text, len(text) - len(word), len(text))
    return Row(item, side, text if text[-1] in ".!?" else f"{text}.", place, span)


def _continuations(prompts: list[tuple], count_tokens) -> list[dict]:
    return [{"item": item, "prompt": prompt, "target": f" {target}", "foil": f" {foil}"}
            for item, prompt, target, foil in prompts
            if count_tokens(f"{prompt} {target}") == count_tokens(f"{prompt} {foil}")]
