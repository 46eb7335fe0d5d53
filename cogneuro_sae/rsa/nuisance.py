"""Nuisance RDMs of a stimulus set: length, lexical overlap, position and topic (docs/methods.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.inference import cell_table, design_rows, group_means
from cogneuro_sae.rsa.labelled_models import cell_model
from cogneuro_sae.rsa.models import categorical_model, graded_model
from cogneuro_sae.rsa.pairs import Pairs
from cogneuro_sae.rsa.rdm import condensed
from cogneuro_sae.stimuli.measures import nuisance_measures, words


class Nuisance(NamedTuple):
    """A nuisance RDM and, where there are any, the stimulus-level numbers that it is made of.

    Parameters
    ----------
    rdm : ndarray (n_stimuli, n_stimuli) float64
        Dissimilarities, diagonal 0.
    columns : ndarray (n_stimuli, n_columns) float64 or None
        Covariates for the Freedman-Lane test; None: the RDM is defined on pairs only, and no p can be given.
    measure : str
        What it is, with its unit.
    """

    rdm: np.ndarray
    columns: np.ndarray | None
    measure: str


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Nuisance RDMs by name, over the rows of a design.

    Parameters
    ----------
    known : mapping of str to Nuisance
        Those that vary over the design's pairs.
    left_out : mapping of str to str
        Why the others are not there.
    ids : tuple of str
        Stimulus ids of the rows.
    """

    known: Mapping[str, Nuisance]
    left_out: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()

    def only(self, *names: str) -> Nuisances:
        """Return some of the nuisances.

        Parameters
        ----------
        *names : str
            Names of `known`, such as "length".

        Returns
        -------
        Nuisances

        Raises
        ------
        InputError
            A name that is not there, with the reason when it was left out.
        """
        for name in names:
            if name not in self.known:
                raise InputError(f"there is no nuisance {name!r}", where=self.left_out.get(name),
                                 allowed=", ".join(self.known))
        return Nuisances({name: self.known[name] for name in names}, self.left_out, self.ids)

    def to_rdms(self):
        """Return them as one rsatoolbox.rdm.RDMs object; rdm descriptor `name`, pattern descriptor `id`."""
        import rsatoolbox

        return rsatoolbox.rdm.RDMs(np.array([condensed(each.rdm) for each in self.known.values()]),
                                   dissimilarity_measure="nuisance", rdm_descriptors={"name": list(self.known)},
                                   pattern_descriptors={"id": list(self.ids)})


def nuisance_rdms(stimuli, design, *, topic: str | None = None) -> Nuisances:
    """Build the nuisance RDMs of a stimulus set over the rows of one of its designs.

    length: |words_i - words_j|; lexical: 1 - common words / all words (Jaccard); position: |difference| of the middle
    of the span as a share of the text; topic: 0 same, 1 different stratum (or column).

    Parameters
    ----------
    stimuli : StimulusSet
        The texts.
    design : Design
        A design of this set.
    topic : str, optional
        Column of the table that names the topic; default the design's strata.

    Returns
    -------
    Nuisances
        Those that are the same for all pairs of stimuli, or cannot be measured, are in `left_out`.

    Raises
    ------
    InputError
        An unknown column.
    """
    rows = np.asarray(design.rows)
    if topic is not None and topic not in stimuli.table:
        raise InputError(f"the set has no column {topic!r}", where="topic", allowed=", ".join(stimuli.table.columns))
    measures = nuisance_measures(stimuli).iloc[rows]
    topics = np.asarray(design.strata if topic is None else stimuli.table[topic].astype(str).to_numpy()[rows])
    made = {"length": graded(measures["words"].to_numpy(), "difference in words"),
            "lexical": Nuisance(lexical_distance([stimuli.texts[row] for row in rows]), None, "1 - Jaccard of words"),
            "topic": Nuisance(categorical_model(topics), _dummies(topics), topic or "stratum")}
    left_out = {}
    position = measures["span_position"].to_numpy() if "span_position" in measures else np.full(len(rows), np.nan)
    if np.isfinite(position).all():
        made["position"] = graded(position, "difference in span position, share of the text")
    else:
        left_out["position"] = f"{int(np.isnan(position).sum())} texts have no span"
    table = cell_table(design)
    across = table.item[table.index][:, None] != table.item[table.index][None, :]
    for name in list(made):
        if not across.any() or np.ptp(made[name].rdm[across]) < 1e-12:
            left_out[name] = f"the same for all pairs ({made.pop(name).measure})"
    return Nuisances(made, left_out, tuple(stimuli.ids[row] for row in rows))


def graded(values: np.ndarray, measure: str) -> Nuisance:
    """Absolute differences of one number per stimulus.

    Parameters
    ----------
    values : array_like (n_stimuli,)
        Finite numbers.
    measure : str
        What they are.

    Returns
    -------
    Nuisance

    Raises
    ------
    InputError
        Values that are not finite numbers.
    """
    return Nuisance(graded_model(values), np.asarray(values, np.float64).reshape(-1, 1), measure)


def lexical_distance(texts: list[str]) -> np.ndarray:
    """1 - Jaccard overlap of the word sets of texts.

    Parameters
    ----------
    texts : list of str
        The texts.

    Returns
    -------
    ndarray (n_texts, n_texts) float64
        0 (same words) to 1 (no common word); diagonal 0.
    """
    sets = [set(words(text)) for text in texts]
    place = {word: number for number, word in enumerate(sorted(set().union(*sets)))}
    holds = np.zeros((len(texts), max(len(place), 1)), np.float32)
    for row, each in enumerate(sets):
        holds[row, [place[word] for word in each]] = 1
    common, size = (holds @ holds.T).astype(np.float64), holds.sum(axis=1, dtype=np.float64)
    distance = 1 - common / np.maximum(size[:, None] + size[None, :] - common, 1)
    np.fill_diagonal(distance, 0.0)
    return distance


def _dummies(labels: np.ndarray) -> np.ndarray:
    names, index = np.unique(labels, return_inverse=True)
    return np.eye(len(names))[index]


class CellNuisances(NamedTuple):
    """Nuisances over cells and kept pairs.

    Parameters
    ----------
    names : tuple of str
        Their names.
    pairs : ndarray (n_cell_pairs, n_nuisances) float64
        RDMs, averaged over the pairs of rows of each pair of cells.
    columns : ndarray (n_cells, n_columns) float64 or None
        Cell means of the covariates; None when one of them has none.
    lacking : tuple of str
        Names without covariates.
    """

    names: tuple[str, ...]
    pairs: np.ndarray
    columns: np.ndarray | None
    lacking: tuple[str, ...]


def nuisances_of_cells(nuisance, design, pairs: Pairs) -> CellNuisances:
    """Average nuisances over cells.

    Parameters
    ----------
    nuisance : Nuisances or mapping of str to Nuisance, ndarray or RDMs
        Over the table's or the design's rows; a bare matrix has no covariates.
    design : Design
        Rows, items and cells.
    pairs : Pairs
        Kept pairs of cells.

    Returns
    -------
    CellNuisances

    Raises
    ------
    InputError
        No nuisance, or one that fits neither the table nor the design.
    """
    given = getattr(nuisance, "known", nuisance)
    if not isinstance(given, Mapping) or not given:
        raise InputError("there is no nuisance", where="nuisance", allowed="name -> Nuisance or RDM",
                         do="use nuisance_rdms(stimuli, design), or rsa_map without nuisances")
    table, rdms, columns, lacking = cell_table(design), [], [], []
    for name, each in given.items():
        rdm = each.rdm if isinstance(each, Nuisance) else each
        matrix = cell_model(rdm, None, design, table, len(table.index))
        rdms.append(matrix[pairs.cell_first, pairs.cell_second])
        if isinstance(each, Nuisance) and each.columns is not None:
            rows = np.asarray(each.columns, np.float64)
            columns.append(group_means(rows[design_rows(len(rows), design)], table.index))
        else:
            lacking.append(name)
    return CellNuisances(tuple(given), np.array(rdms).T, None if lacking else np.hstack(columns), tuple(lacking))
