"""StimulusSet: the texts of one concept, their conditions, items and contrasts, as one frozen table.

numpy, pandas and scipy are imported where they are used, so that a fault in a file is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cogneuro_sae.stimuli import reading, writing
from cogneuro_sae.stimuli.digest import content_hash, summary_html
from cogneuro_sae.stimuli.layout import Layout
from cogneuro_sae.stimuli.rows import span_matches


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """One concept's stimuli; made by `from_yaml`, `from_json` or `from_frame`.

    Parameters
    ----------
    name, concept, definition, licence : str
        As in the file.
    table : DataFrame (n_stimuli rows)
        Columns `id text item condition paraphrase span split grade`, then factors and covariates.
    contrasts : mapping of str to str
        Named expressions, the first is the default.
    layout : Layout
        Conditions, factors and between factors.
    labels : mapping of str to str
        What plots call each condition.
    model_rdms : mapping of str to DataFrame (n, n)
        Dissimilarities of the stimuli they cover, by id, in the order of the table.
    words : mapping, continuations : tuple
        For causal work; empty when not given.
    banned : tuple of str
        Stems that occur in no text.
    graded, strata, covariates : tuple of str
        Columns of the table with these roles.
    group : str
        Kind of concept, such as relational; "" when not given.
    language : str
        Language of the texts, ISO 639-1.
    independent : bool
        Every text is declared its own item.
    notes : tuple of str
        What loading changed or noticed.
    """

    name: str
    concept: str
    definition: str
    table: Any
    contrasts: Mapping[str, str]
    layout: Layout
    labels: Mapping[str, str] = field(default_factory=dict)
    model_rdms: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    continuations: tuple[Mapping[str, str], ...] = ()
    banned: tuple[str, ...] = ()
    graded: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    licence: str = ""
    group: str = ""
    language: str = "en"
    independent: bool = False
    notes: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "sha256", content_hash(self))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions in order, the first is the target; with factors all cells."""
        return self.layout.conditions

    @property
    def factors(self) -> Mapping[str, tuple[str, ...]]:
        """Levels by factor; empty for listed conditions."""
        return self.layout.factors

    @property
    def texts(self) -> list[str]:
        """The texts in the order of the table."""
        return self.table["text"].tolist()

    @property
    def ids(self) -> list[str]:
        """The ids in the order of the table."""
        return self.table["id"].tolist()

    @property
    def spans(self) -> Any:
        """Characters [start, stop) of each text's span, (n_stimuli, 2) int64; -1 where there is none."""
        import numpy as np

        found = [span_matches(text, span)[0] if span else (-1, -1) for text,
                 span in zip(self.texts, self.table["span"])]
        return np.array(found, np.int64).reshape(-1, 2)

    @classmethod
    def from_yaml(cls, reference: str | Path, *, base: Path | None = None) -> StimulusSet:
        """Read a set from a YAML file.

        Parameters
        ----------
        reference : str or Path
            A shipped name such as "achievement", or a path.
        base : Path, optional
            Folder that relative paths start from; default the working directory.

        Raises
        ------
        InputError
            The file is not as docs/stimuli.md says; all faults come at once, each with file, line and remedy.
        """
        return cls(**reading.read_yaml(reference, base=base))

    @classmethod
    def from_json(cls, path: str | Path) -> StimulusSet:
        """Read a dictionary of 2 or 4 lists of texts, the form of study C: each text is its own item.

        Parameters
        ----------
        path : str or Path
            A JSON file; its first key is the target.

        Raises
        ------
        InputError
            Not such a dictionary.
        """
        return cls(**reading.read_json_set(path))

    @classmethod
    def from_frame(
        cls, frame: Any, *, name: str, concept: str, contrasts: Mapping[str, str], definition: str = "",
        factors: Mapping[str, tuple[str, ...]] | None = None, between: tuple[str, ...] = (),
        strata: tuple[str, ...] = (), graded: tuple[str, ...] = (), banned: tuple[str, ...] = (),
        confirm: tuple[str, ...] = (), independent: bool = False, licence: str = "",
        group: str = "", language: str = "en",
    ) -> StimulusSet:
        """Make a set of a DataFrame.

        Parameters
        ----------
        frame : DataFrame
            Columns `text item condition`, and if wanted `id paraphrase span split grade`; with `factors` their columns
            stand for `condition`; further columns are covariates. Conditions are in the order of first appearance, so
            the first row's is the target.
        name, concept : str
            As in the YAML form.
        contrasts : mapping of str to str
            Named expressions; the first is the default.
        definition : str
            One sentence on what makes a text hold the concept; default the concept itself.
        factors : mapping of str to sequence of str, optional
            Levels by factor.
        between, strata, graded, banned, confirm : tuple of str
            As in the YAML form (`confirm`: items kept for confirmation).
        independent : bool
            Every text is its own item; `item` may then be absent.
        licence : str
            Licence of the texts.
        group : str
            Kind of concept, such as relational.
        language : str
            Language of the texts, ISO 639-1.

        Raises
        ------
        InputError
            A column is missing or a row does not fit; all faults at once.
        """
        options = {"factors": factors, "between": list(between), "strata": list(strata), "graded": list(graded),
                   "banned": list(banned), "independent": independent, "licence": licence, "group": group or None,
                   "language": language}
        return cls(**reading.read_frame(frame, {"name": name, "concept": concept, "definition": definition or concept,
                                                "contrasts": dict(contrasts), **options}, confirm))

    def to_yaml(self, path: str | Path, *, table: str | None = None, comment: str = "") -> Path:
        """Write the set as a YAML file that reads back equal (same sha256); model RDMs go into csv files beside it.

        Parameters
        ----------
        path : str or Path
            Its stem must be the set's name.
        table : str, optional
            csv, tsv, jsonl or parquet: the texts go into such a file beside it.
        comment : str
            Lines to stand on top of the file; they are not read back.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            The stem is not the set's name, or a column would not read back equal.
        """
        return writing.write_yaml(self, Path(path), table=table, comment=comment)

    def export(self, path: str | Path, *, texts_only: bool = False) -> Path:
        """Write the texts as a table (csv, tsv, jsonl, parquet), or as the dictionary of lists that `from_json` reads.

        Parameters
        ----------
        path : str or Path
            Its ending says which. Contrasts, labels and roles of columns stay behind: `to_yaml(table=...)` keeps all.
        texts_only : bool
            Into json: let go of what a dictionary of lists cannot hold.

        Raises
        ------
        InputError
            Another ending, or something would read back otherwise.
        """
        return writing.export(self, Path(path), texts_only=texts_only)

    def design(self, contrast: str | None = None, *, unlocked: bool = False) -> Any:
        """Return rows, labels, weights and the exchange scheme of a contrast.

        Parameters
        ----------
        contrast : str, optional
            A name of `contrasts`, or an expression; default the first contrast.
        unlocked : bool
            Take the items kept for confirmation in.

        Returns
        -------
        Design

        Raises
        ------
        InputError
            Unknown name, an expression that does not fit, or a contrast without an exact exchange scheme.
        """
        from cogneuro_sae.stimuli.design import make_design

        return make_design(self, contrast, unlocked=unlocked)

    def check(
        self, *, contrast: str | None = None, tokenizer: Callable | None = None, max_tokens: int | None = None,
        power: bool = False, unlocked: bool = True, measures: Mapping[str, Any] | None = None, norms: Any = None,
    ) -> Any:
        """Check the set before use: cells, duplicates, ban list, nuisance measures, surface baselines.

        The thresholds of all verdicts are `cogneuro_sae.stimuli.THRESHOLDS`; `summary` of the result is one row.

        Parameters
        ----------
        contrast : str, optional
            A contrast to judge besides target against each foil; default the first.
        tokenizer : callable, optional
            Text to the list of its token ids without specials; adds the token counts.
        max_tokens : int, optional
            Most tokens that the model reads; with `tokenizer` only.
        power : bool
            Add a line on the smallest effect that the contrast can detect.
        unlocked : bool
            Judge all items; False leaves out those kept for confirmation, for reports on the other ones.
        measures : mapping of str to callable or sequence, optional
            Further nuisance measures: one number per text, or what takes the list of texts and returns them.
        norms : path or DataFrame, optional
            A csv file with the column `word` and columns of numbers; texts get the mean of their known words.

        Returns
        -------
        Checks
            One verdict per line.
        """
        from cogneuro_sae.stimuli.checks import check_set

        return check_set(self, contrast=contrast, tokenizer=tokenizer, max_tokens=max_tokens, power=power,
                         unlocked=unlocked, measures=measures, norms=norms)

    def _repr_html_(self) -> str:
        return summary_html(self)
