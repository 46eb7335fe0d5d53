"""StimulusSet: the texts of one concept, their conditions, items and contrasts, as one frozen table.

numpy, pandas and scipy are imported where they are used, so that a fault in a file is told at once.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cogneuro_sae.display import plain
from cogneuro_sae.stimuli import reading, writing
from cogneuro_sae.stimuli.layout import Layout
from cogneuro_sae.stimuli.rows import span_matches
from cogneuro_sae.stimuli.schema import COLUMNS


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
    independent: bool = False
    notes: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "sha256", _content_hash(self))

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

        Raises
        ------
        InputError
            A column is missing or a row does not fit; all faults at once.
        """
        options = {"factors": factors, "between": list(between), "strata": list(strata), "graded": list(graded),
                   "banned": list(banned), "independent": independent, "licence": licence}
        return cls(**reading.read_frame(frame, {"name": name, "concept": concept, "definition": definition or concept,
                                                "contrasts": dict(contrasts), **options}, confirm))

    def to_yaml(self, path: str | Path) -> Path:
        """Write the set as a YAML file that reads back equal (same sha256); model RDMs go into csv files beside it.

        Parameters
        ----------
        path : str or Path
            Its stem must be the set's name.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            The stem is not the set's name.
        """
        return writing.write_yaml(self, Path(path))

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
        power: bool = False,
    ) -> Any:
        """Check the set before use: cells, duplicates, ban list, nuisance measures, surface baselines.

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

        Returns
        -------
        Checks
            One verdict per line.
        """
        from cogneuro_sae.stimuli.checks import check_set

        return check_set(self, contrast=contrast, tokenizer=tokenizer, max_tokens=max_tokens, power=power)

    def _repr_html_(self) -> str:
        def safe(value) -> str:
            return html.escape(plain(value))

        counts = self.table.groupby("condition", sort=False).agg(items=("item", "nunique"), texts=("id", "size"),
                                                                  example=("text", "first"))
        rows = "".join(f"<tr><td>{safe(name)}</td><td>{safe(self.labels.get(name, name))}</td><td>{row['items']}</td>"
                       f"<td>{row.texts}</td><td>{safe(row.example)}</td></tr>" for name, row in counts.iterrows())
        contrasts = "; ".join(f"<b>{safe(name)}</b>: {safe(text)}" for name, text in self.contrasts.items())
        notes = "".join(f"<li>{safe(note)}</li>" for note in self.notes)
        return (f"<div><b>{safe(self.name)}</b>: {safe(self.concept)}. {safe(self.definition)}<table><thead><tr>"
                "<th>condition</th><th>label</th><th>items</th><th>texts</th><th>first text</th></tr></thead>"
                f"<tbody>{rows}</tbody></table><div>Contrasts: {contrasts}</div><ul>{notes}</ul></div>")


def _content_hash(stimuli: StimulusSet) -> str:
    """Hash of the table in the order of items, conditions and paraphrases, and of all that a design derives from."""
    from cogneuro_sae.provenance import hash_of

    items = {item: number for number, item in enumerate(dict.fromkeys(stimuli.table["item"]))}
    order = {name: number for number, name in enumerate(stimuli.conditions)}
    extra = sorted(set(stimuli.table.columns) - set(COLUMNS))
    rows = [[None if isinstance(value, float) and value != value else value for value in row]
            for row in stimuli.table[[*COLUMNS, *extra]].astype(object).itertuples(index=False)]
    column = {name: number for number, name in enumerate(COLUMNS)}
    rows.sort(key=lambda row: (items[row[column["item"]]], order[row[column["condition"]]], row[column["paraphrase"]]))
    rdms = {name: [list(rdm.index), rdm.to_numpy().tolist()] for name, rdm in stimuli.model_rdms.items()}
    layout = stimuli.layout
    return hash_of({"columns": [*COLUMNS, *extra], "rows": rows, "contrasts": list(stimuli.contrasts.items()),
                    "conditions": layout.conditions, "factors": list(layout.factors.items()), "between": layout.between,
                    "strata": stimuli.strata, "graded": stimuli.graded, "independent": stimuli.independent,
                    "model_rdms": rdms})
