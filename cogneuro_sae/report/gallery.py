"""All features of a search on one offline page, to sort and to filter."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from cogneuro_sae import files
from cogneuro_sae.display import plain
from cogneuro_sae.report.card_sources import read_judged
from cogneuro_sae.report.cards import FeatureCard, make_card
from cogneuro_sae.report.pages import TEMPLATES, environment
from cogneuro_sae.report.search_folder import concepts_of, read_looked

MOST = {"top": 10, "stratum": 3, "random": 3, "zero": 3}


def build_gallery(search_folder: str | Path, *, out: str | Path | None = None, judge: str | Path | None = None,
                  decoders: Mapping[str, object] | None = None) -> Path:
    """Write the gallery of a search: one self-contained page with a card per feature, sortable and filterable.

    A card shows the ten strongest windows and three of every other part; `feature_card` shows all of them. The same
    folder gives the same bytes.

    Parameters
    ----------
    search_folder : path
        `results/<name>/<hash10>/` of `search`.
    out : path, optional
        File to write; `gallery.html` in the search folder when left out.
    judge : path, optional
        A judge folder: its scores stand on the cards and sort them; what its gates say stands in the first line.
    decoders : mapping of str to ndarray (n_latents, d_model) or SparseAutoencoder, optional
        Decoder directions by representation name, for the related features.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        A folder that is partial or damaged (file, line, what to do).
    SetupError
        The file cannot be written.
    """
    looked, judged = read_looked(search_folder), read_judged(judge)
    cards = [make_card(looked, record, judged=judged, decoders=decoders) for record in looked.features.values()]
    script = (TEMPLATES / "gallery.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment().get_template("gallery.html").render(
        title=plain(f"Features of {looked.config.get('name') or looked.folder.parent.name}"),
        subtitle=_subtitle(looked), validity=judged.validity if judged else "",
        failed=judged is not None and judged.failed,
        arms=_known(arm for card in cards for arm in card.record["arms"]),
        concepts=_known(name for card in cards for name in concepts_of(card.record)),
        # the script is ours alone and holds no data, so it is the one text that is not escaped
        entries=[_entry(card) for card in cards], script=Markup(script), script_hash=f"sha256-{digest}")
    return files.write_text(out or looked.folder / "gallery.html", page)


def _known(names) -> list[str]:
    return sorted({plain(name) for name in names})


def _subtitle(looked) -> str:
    n_windows = sum(map(len, looked.windows.values()))
    began = looked.provenance.get("started_utc")
    corpus = looked.config.get("corpus")
    return plain(", ".join(filter(None, [
        f"{len(looked.features):,} features, {n_windows:,} windows",
        f"corpus {corpus}" if isinstance(corpus, str) else "",
        f"{looked.folder.parent.name}/{looked.folder.name}", f"searched {began}" if began else ""])))


def _entry(card: FeatureCard) -> dict:
    record = card.record
    words = [word for key in ("promoted", "words", "ngrams") for word, *_ in record[key][:10]]
    rows = None if card.judged is None else card.judged.rows
    labels = [] if rows is None or "label" not in rows else rows["label"].dropna().map(str)
    return {"card": card.shown(MOST) | {"validity": ""}, "arms": json.dumps([plain(arm) for arm in record["arms"]]),
            "concepts": json.dumps([plain(name) for name in concepts_of(record)]), "score": _sortable(card.score),
            "max": _sortable(record["max"]), "share": _sortable(record["active_share"]),
            "find": plain(" ".join([card.name, *concepts_of(record), *words, *labels])).lower()}


def _sortable(value: float | None) -> object:
    """A number for the script, "" where none is known: it sorts last."""
    return "" if value is None or value != value else value
