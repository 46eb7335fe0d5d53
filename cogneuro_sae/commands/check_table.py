"""What `check` prints and writes about many sets: an aligned table, warnings by file, a csv table, a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cogneuro_sae import files
from cogneuro_sae.display import cell, plain
from cogneuro_sae.stimuli.checks import Checks

WIDTH = 120
SHRINKING = {"set": 12, "group": 6, "largest d": 12}
SHORT = {"type_token_ratio": "type-token", "mean_word_length": "word length",
         "span_position": "span place"}
LEGEND = """\
words: mean number, target/foil. AUROC of target against near: BoW words, char character n-grams (items left out),
len number of words (all texts); far: BoW of target against far. largest d: paired d_z of a nuisance measure.
dup, near, ban: duplicates, near-duplicates, banned hits. para: words that paraphrases of a cell share.
fram: items that share a word sequence with another item."""


class Finding(NamedTuple):
    """A set's file with its checks, or with the error that kept it from being checked."""

    path: Path
    checks: Checks | None
    error: str

    @property
    def worst(self) -> str:
        """The most serious level."""
        return self.checks.worst if self.checks else "error"

    @property
    def shown(self) -> str:
        """The path, from the working directory where it lies below it."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    def summary(self) -> dict:
        """The set's row, or what is known of a set that could not be checked."""
        row = self.checks.summary if self.checks else {"set": self.path.stem, "worst": "error"}
        return {**row, "file": self.shown, "reason": self.error}

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        if self.checks:
            return {**self.checks.to_dict(), "file": self.shown}
        return {"name": self.path.stem, "worst": "error", "file": self.shown,
                "lines": [{"level": "error", "name": "loading", "text": self.error}]}


def overview(found: list[Finding]) -> str:
    """Return one line per set, aligned, at most 120 columns wide, with a header and a legend.

    Parameters
    ----------
    found : list of Finding
        The sets.
    """
    rows = [_cells(each) for each in found]
    width = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for name, least in SHRINKING.items():
        excess = sum(width.values()) + len(width) - 1 - WIDTH
        width[name] = max(min(least, width[name]), width[name] - max(excess, 0))
    left = {"set", "group", "largest d", "worst"}

    def line(row: dict) -> str:
        cells = ((plain(row[name], width=width[name]), name) for name in width)
        return " ".join(f"{text:{'<' if name in left else '>'}{width[name]}}" for text, name in cells).rstrip()

    return "\n".join([line({name: name for name in width}), *map(line, rows), "", LEGEND])


def _cells(each: Finding) -> dict[str, str]:
    row = each.summary()

    def number(name: str, form: str) -> str:
        value = row.get(name, math.nan)
        return "-" if value != value else format(value, form)

    def share(name: str) -> str:
        return number(name, ".2f").removeprefix("0")

    words = f"{number('words_target', '.1f')}/{number('words_foil', '.1f')}"
    measure = row.get("largest_d_measure", "")
    return {"set": plain(row["set"]), "group": plain(row.get("group", "")) or "-", "items": number("items", "d"),
            "texts": number("texts", "d"), "words": "-" if words == "-/-" else words,
            "BoW": share("bag_of_words"), "char": share("char_ngrams"), "len": share("words_auroc"),
            "far": share("bag_of_words_far"),
            "largest d": f"{number('largest_d', '+.2f')} {SHORT.get(measure, plain(measure))}".strip(),
            "dup": number("duplicates", "d"), "near": number("near_duplicates", "d"), "ban": number("banned", "d"),
            "para": number("paraphrase_overlap", ".0%"), "fram": number("frame_share", ".0%"),
            "worst": {"warning": "warn"}.get(each.worst, each.worst)}


def all_lines(each: Finding) -> list[str]:
    """Return every verdict on a set, one line each.

    Parameters
    ----------
    each : Finding
        A set that was checked.
    """
    return [f"{line.level:<8} {line.name:<15} {plain(line.text)}" for line in each.checks.lines]


def verdicts(found: list[Finding], *, full: bool) -> Iterator[str]:
    """Yield the warnings and errors of each set under its file's name.

    Parameters
    ----------
    found : list of Finding
        The sets.
    full : bool
        Every verdict of every set.
    """
    for each in found:
        if each.checks is None:
            lines = [f"error    loading         {plain(text)}" for text in each.error.splitlines()]
        else:
            lines = [text for text, line in zip(all_lines(each), each.checks.lines)
                     if full or line.level in ("warning", "error")]
        if lines:
            yield "\n".join(["", f"{plain(each.shown)}:", *(f"  {line}" for line in lines)])


def write_table(found: list[Finding], path: Path) -> Path:
    """Write one wide row per set to a csv file, atomically.

    Parameters
    ----------
    found : list of Finding
        The sets.
    path : Path
        The file.
    """
    with files.replacing(path) as temporary:
        _frame(found).map(cell).to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    return path


def draw(found: list[Finding], path: Path) -> Path:
    """Draw the confounds of all sets to a png, pdf or svg file, atomically.

    Parameters
    ----------
    found : list of Finding
        The sets; those that could not be checked have no row.
    path : Path
        The file.
    """
    import matplotlib.pyplot as plt

    from cogneuro_sae import plots

    with plots.look(), files.replacing(path) as temporary:
        figure = plots.confounds(_frame([each for each in found if each.checks]))
        figure.savefig(temporary, format=path.suffix.lower()[1:], dpi=160)
        plt.close(figure)
    return path


def _frame(found: list[Finding]):
    """Wide rows; columns that only some sets have stand beside their like, not at the end."""
    import pandas as pd

    rows = [each.summary() for each in found]
    longest = max(rows, key=len, default={})
    names = list(dict.fromkeys([*longest, *(name for row in rows for name in row)]))
    return pd.DataFrame(rows, columns=names)
