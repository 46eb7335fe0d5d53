"""What an import is told, and what a reader hands over: rows and the keys of a set file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from cogneuro_sae.config import shown
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.layout import Layout, make_layout

CUTS = ("median", "thirds")


@dataclass(frozen=True)
class ImportOptions:
    """What the person who imports decides; each field is an option of `cogneuro-sae import`.

    Parameters
    ----------
    format : str, optional
        A name of IMPORTERS; default guessed from ending and content.
    select : str, optional
        The part to take: a BLiMP UID, the split of a dataset.
    concept, definition, licence, group, language : str
        As in the YAML form; "" takes the format's default.
    contrast : tuple of str
        "name: expression", or an expression that becomes `main`.
    text, item, condition : str
        Columns of a table; `text` is also the column of words of norms, "" finds it.
    factor : tuple of str
        Columns of a table that stand for `condition`.
    independent : bool
        Every text of a table is its own item.
    graded : tuple of str
        Numeric columns kept as graded labels; norms are cut by the first.
    cut : str
        "median": below against above; "thirds": lowest against highest third.
    empty : float, optional
        What empty cells of the graded columns count as; default left out.
    template : str
        Text made of a word of norms.
    separator : str
        Sign between the cells of a csv or tsv file; "" goes by the ending.
    limit : int, optional
        How many items to draw; items stay whole, kinds of items keep their shares.
    seed : int
        Of all draws.
    confirm : float
        Share of the items to keep for confirmation.
    skip_faulty : bool
        Leave out items that cannot be used.
    count_tokens : callable, optional
        Number of tokens of a text; LRE relations then get continuations, those of equal count.
    """

    format: str | None = None
    select: str | None = None
    concept: str = ""
    definition: str = ""
    licence: str = ""
    group: str = ""
    language: str = ""
    contrast: tuple[str, ...] = ()
    text: str = ""
    item: str = ""
    condition: str = ""
    factor: tuple[str, ...] = ()
    independent: bool = False
    graded: tuple[str, ...] = ()
    cut: str = "median"
    empty: float | None = None
    template: str = "{word}"
    separator: str = ""
    limit: int | None = None
    seed: int = 0
    confirm: float = 0.0
    skip_faulty: bool = False
    count_tokens: Callable[[str], int] | None = None

    def __post_init__(self):
        if self.cut not in CUTS:
            raise unknown_name("cut", self.cut, CUTS, where="--cut")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"{self.limit} items cannot be drawn", where="--limit", allowed="1 or more")
        if self.seed < 0:
            raise InputError(f"the seed {self.seed} is negative", where="--seed", allowed="0 or more")
        if not 0 <= self.confirm < 1:
            raise InputError(f"{self.confirm:g} is not a share", where="--split-confirm", allowed="at least 0, below 1")
        if self.empty is not None and not math.isfinite(self.empty):
            raise InputError(f"{self.empty} is no number that cells can have", where="--empty", allowed="finite numbers")
        if self.template.count("{word}") != 1:
            raise InputError(f"{shown(self.template)} does not hold {{word}} once", where="--template",
                             do='write one such as "a photo of {word}"')
        if len(self.separator) > 1 or self.separator in ('"', "\n", "\r"):
            raise InputError(f"{shown(self.separator)} cannot separate cells", where="--separator",
                             allowed="one sign such as ;")

    def given(self) -> dict[str, object]:
        """Return the options that differ from their defaults, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default}


@dataclass
class Draft:
    """What a reader of IMPORTERS returns.

    Parameters
    ----------
    rows : list of Row
        The texts; names of items and conditions are valid already.
    spec : dict
        Keys of a set file without name and items: `conditions` or `factors`, and whatever else the format tells.
    source : str
        Whose texts these are; stands in the comment on top of the file.
    notes : list of str
        What was changed or left out; printed, and in the comment.
    """

    rows: list[Row]
    spec: dict
    source: str = ""
    notes: list[str] = field(default_factory=list)


def draft_layout(spec: dict, where: str) -> Layout:
    """Return the layout of a draft.

    Parameters
    ----------
    spec : dict
        Its `conditions`, or `factors` and `between`.
    where : str
        What errors name as its place.

    Raises
    ------
    InputError
        One condition only, or levels that clash.
    """
    try:
        return make_layout(list(spec.get("conditions", ())), spec.get("factors"), spec.get("between", ()))
    except InputError as error:
        error.where = error.where or where
        raise
