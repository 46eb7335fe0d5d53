"""One feature as a card: HTML page, notebook fragment, plain text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from cogneuro_sae.display import plain
from cogneuro_sae.report.card_histogram import histogram
from cogneuro_sae.report.card_parts import GROUPS, MISSING, groups, number, percent, scale_of
from cogneuro_sae.report.card_sources import Judged, Stimulus, read_judged, related_features, top_stimuli
from cogneuro_sae.report.card_text import card_text
from cogneuro_sae.report.pages import environment
from cogneuro_sae.report.search_folder import Looked, concepts_of, read_looked

N_WORDS = 10
STATISTICS = (("n_tokens", "tokens searched", number), ("max", "largest activation", number),
              ("mean", "mean over all tokens", number), ("median", "median of active tokens", number),
              ("active_share", "active tokens", percent), ("texts_share", "passages with activity", percent))
LISTS = (("promoted", "Promoted tokens", ("token", "logit")), ("suppressed", "Suppressed tokens", ("token", "logit")),
         ("words", "Enriched words", ("word", "log odds", "q")),
         ("ngrams", "Enriched n-grams", ("n-gram", "log odds", "q")))
JUDGE_COLUMNS = {"concept": "concept", "rubric": "rubric", "rater": "rater", "score": "score",
                 "interval": "95 % interval", "top_bin": "top bin", "zero": "at zero", "n_windows": "windows",
                 "n_missing": "calls missing", "certainty": "certainty", "label": "label", "reason": "missing because"}


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureCard:
    """Everything worth seeing of one feature.

    Parameters
    ----------
    record : dict
        Its line of `features.jsonl`.
    windows : list of dict
        Its lines of `windows.jsonl`.
    stimuli : list of Stimulus
        Texts of the concept that drive it most, when the search started from a map or a comparison.
    related : list of (str, float)
        Features with the nearest decoder directions and the cosine.
    judged : Judged, optional
        Rows of this feature in a judge folder, and what the judge's gates say.
    searched : str
        The search folder, as written under the card.
    """

    record: dict
    windows: list[dict]
    stimuli: list[Stimulus] = dataclasses.field(default_factory=list)
    related: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    judged: Judged | None = None
    searched: str = ""

    @property
    def name(self) -> str:
        """Such as "sae:12"."""
        return self.record["feature"]

    @property
    def score(self) -> float | None:
        """Mean over raters of this feature's target score, None without any; baselines count only among themselves."""
        if self.judged is None:
            return None
        from cogneuro_sae.judge.score_frame import kind_of

        rows = self.judged.rows[self.judged.rows["rubric"] == "target"]
        read = rows[[kind_of(rater) != "baseline" for rater in rows["rater"]]]
        rows = read if len(read) else rows
        mean = pd.to_numeric(rows["score"], errors="coerce").mean()
        return None if pd.isna(mean) else float(mean)

    def shown(self, most: dict[str, int] | None = None) -> dict:
        """Return what the template writes, as plain values.

        Parameters
        ----------
        most : dict of str to int, optional
            Largest number of windows by kind (of strata: by bin).

        Returns
        -------
        dict
        """
        record, scale = self.record, scale_of(self.windows)
        lists = [(title, [(shown_space(word), *map(number, row)) for word, *row in record[key][:N_WORDS]], columns)
                 for key, title, columns in LISTS if record[key]]
        gist = [(title, ", ".join(word.strip("\u2423") or word for word, *_ in rows[:5])) for title, rows, _ in lists]
        return {"name": plain(self.name), "concept": plain(", ".join(concepts_of(record))),
                "arms": [plain(arm) for arm in record["arms"]],
                "statistics": [(title, write(record[key])) for key, title, write in STATISTICS],
                "histogram": histogram(record["histogram"]), "scale": number(scale), "lists": lists, "gist": gist,
                "groups": groups(self.windows, scale, most), "link": safe_link(record["link"]),
                "kinds": [title.lower() for kind, title in GROUPS
                          if self.windows and not any(window["kind"] == kind for window in self.windows)],
                "stimuli": [each._replace(id=plain(each.id), condition=plain(each.condition), text=plain(each.text),
                                          token=plain(each.token.strip()), value=number(each.value))
                            for each in self.stimuli],
                "related": [(plain(name), f"{cosine:.2f}") for name, cosine in self.related],
                "judged": _judged(self.judged), "validity": self.judged.validity if self.judged else "",
                "failed": self.judged is not None and self.judged.failed,
                "score": number(self.score), "searched": plain(self.searched)}

    def to_html(self) -> str:
        """Return the card as one self-contained page with all windows.

        Returns
        -------
        str
        """
        return environment().get_template("card_page.html").render(title=plain(f"Feature {self.name}"),
                                                                   card=self.shown(), anchor="card", level=1)

    def to_text(self, *, columns: int = 100, most: int = 5) -> str:
        """Return the card as plain text with visible controls.

        Parameters
        ----------
        columns : int
            Longest line, in columns of a terminal; at least 60.
        most : int
            Windows shown of each kind (of strata: of each bin).

        Returns
        -------
        str
        """
        return card_text(self, columns=max(columns, 60), most=most)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> Markup:
        # a notebook folds nothing away by itself, so it gets the shorter form of the gallery
        return Markup(environment().get_template("card_fragment.html").render(
            card=self.shown({"top": 10, "stratum": 3, "random": 3, "zero": 3}), anchor="card", level=3))


def shown_space(token: str) -> str:
    """Return a token of a list with controls visible and its leading space as an open box.

    Parameters
    ----------
    token : str
        The token or word.
    """
    return plain(f"\u2423{token[1:]}" if token.startswith(" ") else token)


def safe_link(link: str | None) -> str:
    """Return a link only if a browser would go to a page of the web with it, "" otherwise.

    Parameters
    ----------
    link : str or None
        From `features.jsonl`.
    """
    return link if isinstance(link, str) and link.startswith("https://") and plain(link) == link else ""


def _judged(judged: Judged | None) -> dict | None:
    if judged is None:
        return None
    table = judged.rows
    if {"low", "high"} <= set(table):
        table = table.assign(interval=[MISSING if pd.isna(low) else f"{number(low)} to {number(high)}"
                                       for low, high in zip(table["low"], table["high"], strict=True)])
    known = [name for name in JUDGE_COLUMNS if name in table and (table[name].notna() & (table[name] != "")).any()
             and (name != "concept" or table[name].nunique() > 1)]
    table = table[known].drop_duplicates()      # one row per arm, but a feature's score is that of all its arms
    rows = [[number(value) for value in row] for row in table.astype(object).itertuples(index=False, name=None)]
    return {"columns": [JUDGE_COLUMNS[name] for name in known], "rows": rows}


def feature_card(search: object, feature: str | int, *, judge: str | Path | None = None,
                 decoders: Mapping[str, object] | None = None) -> FeatureCard:
    """Make the card of one feature of a search.

    Parameters
    ----------
    search : path or SearchResult
        `results/<name>/<hash10>/` of `search`, or what `read_search` made of it.
    feature : str or int
        Its name, such as "sae:12"; an index alone is that of the SAE.
    judge : path, optional
        A judge folder whose scores of this feature are shown.
    decoders : mapping of str to ndarray (n_latents, d_model) or SparseAutoencoder, optional
        Decoder directions by representation name, for the related features.

    Returns
    -------
    FeatureCard

    Raises
    ------
    InputError
        No such feature (the nearest name is said), or a folder that is partial or damaged (file, line, what to do).

    Examples
    --------
    `cn.feature_card("results/demo/0123456789", "sae:12").to_text()`
    """
    looked = read_looked(search)
    return make_card(looked, looked.feature(feature), judged=read_judged(judge), decoders=decoders)


def make_card(looked: Looked, record: dict, *, judged: Judged | None = None,
              decoders: Mapping[str, object] | None = None) -> FeatureCard:
    """Make the card of one record of a search folder that was read already.

    Parameters
    ----------
    looked : Looked
        The search.
    record : dict
        A record of its `features.jsonl`.
    judged : Judged, optional
        Scores of all features.
    decoders : mapping of str to ndarray (n_latents, d_model) or SparseAutoencoder, optional
        As in `feature_card`.

    Returns
    -------
    FeatureCard
    """
    mine = judged and judged._replace(rows=judged.rows[judged.rows["feature"] == record["feature"]])
    return FeatureCard(record, looked.windows[record["feature"]], top_stimuli(looked, record),
                       related_features(record, decoders), mine or None, str(looked.folder))
