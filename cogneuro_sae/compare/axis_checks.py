"""What a comparison config may say about the axis `judge`; loads nothing heavy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cogneuro_sae.errors import InputError

if TYPE_CHECKING:
    from cogneuro_sae.compare.config import CompareConfig

JUDGED_CONTROLS = ("random", "rate_matched", "random_decoder")


def searchable(text: str) -> bool:
    """Return whether windows of a corpus can be found for a representation: raw units or latents of an SAE.

    Parameters
    ----------
    text : str
        As in `representations`.
    """
    return "(" not in text


def check_judge(config: CompareConfig) -> None:
    """Raise when axes and `judge` of a comparison do not fit each other or the rest of it.

    Parameters
    ----------
    config : CompareConfig
        All but complete.

    Raises
    ------
    InputError
        One clear fault.
    """
    if "judge" not in config.axes:
        if config.judge is not None:
            raise InputError("judge is given, and it is not among the axes", do="write axes: [detection, judge]")
        return
    if config.judge is None:
        raise InputError("the axis judge needs a judge config, and there is no default: whom to ask is yours to say",
                         do="write judge: NAME_OR_FILE, such as judge: demo (raters, rubrics, budget)")
    if "detection" not in config.axes:
        raise InputError("detection is always measured", where="axes", do="write axes: [detection, judge]")
    if config.responses is not None:
        raise InputError("the judge looks at a corpus through the model, and this comparison brings responses",
                         do="leave the axis judge out, or give model and site")
    arms = config.arms()
    if not arms:
        raise InputError("no representation whose features can be searched for in a corpus", where="representations",
                         allowed="raw or an SAE", do="add one, or leave the axis judge out")
    doubled = [name for name, count in Counter((*arms.values(), *JUDGED_CONTROLS)).items() if count > 1]
    if doubled:
        raise InputError(f"the arm {doubled[0]!r} of the judge names two things", do="give one of them another name (`as:`)")
