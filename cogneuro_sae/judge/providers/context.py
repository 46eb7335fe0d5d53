"""Context: what a run knows beside the requests, for raters in this process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cogneuro_sae.stimuli import StimulusSet


class Context(NamedTuple):
    """What raters in this process may use; nothing of it is sent anywhere.

    Parameters
    ----------
    concept : str
        The concept's words.
    definition : str
        What is meant by them.
    targets : tuple of str
        Texts that carry the concept.
    foils : tuple of str
        Texts that do not.
    base : Path or None
        Folder that relative paths of a rater start from; None = the working directory.
    """

    concept: str = ""
    definition: str = ""
    targets: tuple[str, ...] = ()
    foils: tuple[str, ...] = ()
    base: Path | None = None


def context_of(stimuli: StimulusSet, contrast: str | None = None, *, base: Path | None = None) -> Context:
    """Return the context that a stimulus set gives: texts with positive weight are targets, those with negative foils.

    Parameters
    ----------
    stimuli : StimulusSet
        The concept's set.
    contrast : str, optional
        Name of one of its contrasts; its default when left out.
    base : Path, optional
        Folder that relative paths of a rater start from.

    Raises
    ------
    InputError
        No such contrast.
    """
    design = stimuli.design(contrast)
    texts = stimuli.texts
    pairs = list(zip(design.rows.tolist(), design.y.tolist(), strict=True))
    return Context(stimuli.concept, stimuli.definition or "", tuple(texts[row] for row, sign in pairs if sign),
                   tuple(texts[row] for row, sign in pairs if not sign), base)
