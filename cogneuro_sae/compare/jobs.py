"""The work of one concept: baselines, skylines, families of cells, controls, each a part that resumes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cogneuro_sae.compare.baselines import control_rows, probe_rows, text_rows
from cogneuro_sae.compare.cells import family_rows
from cogneuro_sae.compare.config import CompareConfig, SelectorSpec
from cogneuro_sae.compare.descriptive import Refit, feature_rows, refit
from cogneuro_sae.compare.encoders import Encoder
from cogneuro_sae.compare.folder import read_part, write_part
from cogneuro_sae.compare.folds import seed_of
from cogneuro_sae.compare.inputs import Concept, Inputs, record
from cogneuro_sae.compare.views import View
from cogneuro_sae.errors import InputError
from cogneuro_sae.responses import Responses
from cogneuro_sae.rsa import PairSimilarities, pair_similarities
from cogneuro_sae.selection.pairs import pair_table
from cogneuro_sae.selection.ranking import score_function
from cogneuro_sae.selection.scores import needs_of

TEXT_BASELINES = ("bag_of_words", "char_ngrams", "length")


class Scored(NamedTuple):
    """What one concept gives.

    Parameters
    ----------
    rows : list of dict
        Rows of table.csv: methods, controls, baselines, skylines.
    bands : list of dict
        Draws of the controls.
    features : list of dict
        Rows of features.csv.
    maps : dict of str to FeatureMap
        Full maps, by `representation.site.window.pooling.selector`.
    warnings : list of str
        What could not be done.
    """

    rows: list[dict]
    bands: list[dict]
    features: list[dict]
    maps: dict
    warnings: list[str]


class Worker:
    """Does the jobs of a run: skips those whose part is there, writes a part after each, tells progress.

    Parameters
    ----------
    folder : Path
        The results folder.
    inputs : Inputs
        Everything loaded.
    say : callable
        Takes a line per step.
    check : callable
        Called when everything so far is saved; raises when the user wants to stop.
    """

    def __init__(self, folder: Path, inputs: Inputs, say: Callable[[str], None], check: Callable[[], None]):
        self.folder, self.inputs, self.say, self.check = folder, inputs, say, check
        self.scored = Scored([], [], [], {}, [])

    def part(self, concept: Concept, job: dict, work: Callable[[], tuple[list[dict], list[dict]]],
             label: str) -> list[dict]:
        """Return the rows of a job, from its part or by doing it.

        Parameters
        ----------
        concept : Concept
            Whose.
        job : dict
            What it is; with the concept its key.
        work : callable
            Gives (rows, bands).
        label : str
            For the progress line.

        Returns
        -------
        list of dict
        """
        key = {"concept": concept.task.concept, **job}
        found, resumed = read_part(self.folder, key), True
        if found is None:
            found, resumed = work(), False
            write_part(self.folder, key, *found)
        rows, bands = found
        self.scored.rows.extend(rows)
        self.scored.bands.extend({"concept": concept.task.concept, **band} for band in bands)
        known = [row["auroc"] for row in rows if row["auroc"] == row["auroc"]]
        reason = rows[0]["reason"] if rows else "no rows"
        told = f"mean AUROC {np.mean(known):.3f}" if known else f"no result ({reason})"
        self.say(f"{concept.task.concept}: {label}: {told}{', from before' if resumed else ''}")
        self.check()
        return rows

    def concept(self, concept: Concept) -> dict[str, Responses]:
        """Do everything of one concept.

        Parameters
        ----------
        concept : Concept
            One of the inputs' concepts.

        Returns
        -------
        dict of str to Responses
            What was recorded, by site.
        """
        responses = record(self.inputs, concept)
        tokens = sum(int((~each.specials).sum()) for name, each in responses.items() if name != "embedding")
        self.say(f"{concept.task.concept}: {len(concept.design)} texts of {len(set(concept.design.groups))} items, "
                 f"{tokens} token responses ({concept.design.expression})")
        self._floors(concept, responses)
        for site in dict.fromkeys(site for site, _ in self.inputs.encoders):
            self._skylines(concept, responses[site], site)
        for (site, name), encoder in self.inputs.encoders.items():
            for window in self.inputs.config.window:
                self._views(concept, responses[site], site, name, encoder, window)
        return responses

    def _floors(self, concept: Concept, responses) -> None:
        for name in self.inputs.config.baselines:
            if name in TEXT_BASELINES:
                self.part(concept, {"baseline": name}, lambda n=name: (text_rows(n, concept.texts, concept.task), []),
                          name)
            else:
                view = self._view(responses[name], "embedding", "", "all", "mean", _raw(responses[name]), concept)
                self.part(concept, {"baseline": name},
                          lambda v=view, n=name: (_bare(probe_rows(n, "baseline", v.pooled(), concept.task)), []), name)

    def _skylines(self, concept: Concept, responses: Responses, site: str) -> None:
        config = self.inputs.config
        for name in config.skylines:
            for window in config.window:
                for pooling in config.pooling:
                    view = self._view(responses, "raw", site, window, pooling, _raw(responses), concept)
                    self.part(concept, {"skyline": name, "site": site, "window": window, "pooling": pooling},
                              lambda v=view, n=name: (probe_rows(n, "skyline", v.pooled(), concept.task), []),
                              _label(name, window, pooling, config))

    def _view(self, responses, name, site, window, pooling, encoder: Encoder, concept: Concept) -> View:
        seed = seed_of(concept.task.seed, name, site)
        return View(name, site, window, pooling, self.inputs.config.transform, responses, encoder, concept.task.cells,
                    seed=seed)

    def _views(self, concept, responses, site, name, encoder, window) -> None:
        config = self.inputs.config
        views = [self._view(responses, name, site, window, pooling, encoder, concept).pooled()
                 for pooling in config.pooling]
        similarities = None
        if views[0].tokens() is not None and any(_wants_pairs(spec) for spec in config.selectors):
            # labels play no part in the similarity of two stimuli, so one table serves all folds and poolings
            similarities = pair_similarities(views[0].tokens())
            table = pair_table(similarities, concept.task.groups)
            views = [view.with_pairs(table) for view in views]
            self.say(f"{concept.task.concept}: {name}: profile similarities of {len(table.first)} pairs x "
                     f"{table.n_features} features")
        for view in views:
            self._families(concept, view, similarities)

    def _families(self, concept: Concept, view: View, similarities: PairSimilarities | None) -> None:
        config = self.inputs.config
        place = {"site": view.site, "representation": view.name, "window": view.window, "pooling": view.pooling}
        selected: dict[tuple, set] = {}
        for spec in config.selectors:
            rows = self.part(concept, {**place, "selector": spec.label},
                             lambda s=spec: (family_rows(view, s, config.k, config.ensemble, concept.task), []),
                             _label(f"{view.name} / {spec.label}", view.window, view.pooling, config))
            for row in rows:
                chosen = selected.setdefault((row["k"], row["repeat"], row["fold"]), set())
                chosen.update(int(feature) for feature in row["features"].split())
            self._describe(concept, view, spec, rows, similarities)
        matched = {key: np.array(sorted(chosen), np.int64) for key, chosen in selected.items()}
        for name in config.controls:
            if name == "rate_matched" and getattr(view.encoder.through, "firing_rate", None) is None:
                self.scored.warnings.append(f"{concept.task.concept}: {view.name} has no corpus firing rates, so no "
                                            "rate_matched control for it")
                continue
            self.part(concept, {**place, "control": name},
                      lambda n=name: control_rows(n, view, config.k, config.ensemble, config.draws, concept.task,
                                                  matched_to=matched if n == "rate_matched" else None),
                      _label(f"{view.name} / {name} x {config.draws}", view.window, view.pooling, config))

    def _describe(self, concept, view: View, spec: SelectorSpec, rows, similarities) -> None:
        config, task = self.inputs.config, concept.task
        name = ".".join([view.name, view.site or "site", view.window, view.pooling, spec.label])
        try:
            found = refit(view, spec, concept, config, seed=seed_of(task.seed, "permutations"),
                          similarities=similarities)
        except InputError as error:
            self.scored.warnings.append(f"{task.concept}: no map of {name}: {error}")
            return
        if found.map.info.get("not_tested") and config.permutations:
            self.scored.warnings.append(f"{task.concept}: {name} has no p: {found.map.info['not_tested']}")
        self.scored.maps[task.concept, name] = found.map
        self.scored.features.extend(_feature_rows(view, spec, concept, found, rows, config))


def _feature_rows(view, spec, concept: Concept, found: Refit, rows, config: CompareConfig) -> Iterator[dict]:
    for k in config.k:
        for ensemble in config.ensemble:
            own = [row for row in rows if row["k"] == k and row["ensemble"] == ensemble]
            yield from feature_rows(view, spec, k, ensemble, concept, found, own, seed=seed_of(concept.task.seed,
                    "effects"))


def _wants_pairs(spec: SelectorSpec) -> bool:
    return "profiles" in needs_of(score_function(spec.name),
                                  spec.options) and spec.options.get("variant") != "distribution"


def _raw(responses: Responses) -> Encoder:
    return Encoder(None, 0, responses.shape[1], True)


def _bare(rows: list[dict]) -> list[dict]:
    """The embedding is a baseline of the text, not of a site, window or representation."""
    return [{**row, "representation": "", "window": "", "pooling": ""} for row in rows]


def _label(text: str, window: str, pooling: str, config: CompareConfig) -> str:
    more = [window] * (len(config.window) > 1) + [pooling] * (len(config.pooling) > 1)
    return " / ".join([text, *more])
