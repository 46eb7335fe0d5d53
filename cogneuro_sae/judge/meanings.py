"""What raters said a feature is about: one meaning per feature, as a table row, a file, and input of later tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae import files
from cogneuro_sae.judge.items import Item
from cogneuro_sae.judge.parsing import Parsed

EXPLAINING = ("explanation", "explanation_batch")


class Meaning(NamedTuple):
    """What one feature is about, in a rater's words.

    Parameters
    ----------
    feature : str
        Its name.
    label, explanation : str
        As the rater said.
    certainty : float
        The rater's own, from 0 to 1.
    rater : str
        Who said it.
    """

    feature: str
    label: str
    explanation: str
    certainty: float
    rater: str


def meanings_of(answers: Iterable[tuple[Item, str, Parsed]]) -> dict[str, Meaning]:
    """Return the meaning of each feature: of all its explanations the most certain, the first of equals.

    Parameters
    ----------
    answers : iterable of (Item, str, Parsed)
        Item, rater and reading of any rubric; others than explanations, duplicates and failed answers are passed over.

    Returns
    -------
    dict of str to Meaning
        By feature; a feature without an explanation that was read is not in it.
    """
    found: dict[str, Meaning] = {}
    for item, rater, parsed in answers:
        if item.rubric not in EXPLAINING or item.control == "duplicate" or parsed.status != "ok":
            continue
        said = parsed.label
        meaning = Meaning(item.feature, said["label"], said["explanation"], float(said["certainty"]), rater)
        if item.feature not in found or meaning.certainty > found[item.feature].certainty:
            found[item.feature] = meaning
    return found


def explanations_of(meanings: Mapping[str, Meaning]) -> dict[str, str]:
    """Return the text that detection and fuzzing show for each feature: `explanations` of `plan_items`.

    Parameters
    ----------
    meanings : mapping of str to Meaning
        From `meanings_of`.
    """
    return {feature: f"{meaning.label}. {meaning.explanation}" for feature, meaning in meanings.items()}


def write_meanings(meanings: Mapping[str, Meaning], path: str | Path) -> Path:
    """Write the meanings as JSON and return the path: per feature `common_semantic explanation certainty rater`.

    Parameters
    ----------
    meanings : mapping of str to Meaning
        From `meanings_of`.
    path : str or Path
        Such as latent_index_meaning.json.
    """
    return files.write_json(path, {feature: {"common_semantic": meaning.label, "explanation": meaning.explanation,
                                             "certainty": meaning.certainty, "rater": meaning.rater}
                                   for feature, meaning in meanings.items()})
