"""Feature cards and the gallery: what is drawn is what the search wrote, hostile text is literal, faults are named."""

import hashlib
import html
import json
import re
import shutil
import subprocess
import unicodedata
from html.parser import HTMLParser

import numpy as np
import pytest

from cogneuro_sae import files
from cogneuro_sae.errors import InputError
from cogneuro_sae.report import build_gallery, feature_card
from cogneuro_sae.report.card_histogram import histogram
from cogneuro_sae.report.card_parts import groups, pieces, scale_of, shade
from cogneuro_sae.report.card_text import cut, window_line
from cogneuro_sae.report.cards import safe_link

HOSTILE = "<script>alert(1)</script> \"'><img onerror=x> \x1b[31m $x^$ {{ 1234*5678 }} \u202e\u6210\u5c31"
WORDS = "the night class letter opened she passed at last after years of work and then went home to tell her son".split()


def window(feature, kind, rank, bin, rng, *, peak, length=40, tokens=None):
    """One record of windows.jsonl: a pooled window of 20 tokens in a context of `length`, sparse activations."""
    tokens = [f" {rng.choice(WORDS)}" for _ in range(length)] if tokens is None else list(tokens)
    length = len(tokens)
    first, stop = length // 4, 3 * length // 4
    activations = np.where(rng.random(length) < 0.12, rng.random(length) * peak * 0.6, 0.0).round(3)
    focus = int(rng.integers(first, stop))
    activations[focus] = peak
    document, start = int(rng.integers(1000)), int(rng.integers(500))
    name = hashlib.sha256(f"{feature}|{document}|{start}|{rank}|{kind}|{bin}".encode()).hexdigest()[:16]
    return {"window": name, "feature": feature, "kind": kind, "bin": bin, "rank": rank,
            "value": float(activations[first:stop].mean()), "document": document, "source": "sample.txt", "start": start,
            "stop": start + stop - first, "tokens": tokens, "activations": activations.tolist(), "pool": [first, stop],
            "focus": focus, "text": "".join(tokens)}


def record(feature, *, arms=("rsa_discriminative",), concept="achievement", peak=4.0, token=" goal"):
    representation, index = feature.split(":")
    return {"feature": feature, "representation": representation, "index": int(index), "concept": concept,
            "arms": list(arms), "n_tokens": 120_000, "max": peak, "mean": 0.021, "median": 0.0, "active_share": 0.0132,
            "texts_share": 0.31,
            "histogram": {"edges": [peak * 2.0 ** ((k - 24) / 4) for k in range(25)], "counts": [1 + int(60 * k**1.2 * (24 - k) ** 0.5) for k in range(24)]},
            "promoted": [[token, 3.21], [" won", 2.5], [" victory", 2.2]], "suppressed": [["\n", -2.2]], "words": [["goal", 2.4, 0.0003]],
            "ngrams": [["at last", 1.9, 0.02]], "link": "https://www.neuronpedia.org/m/3-set/12"}


def windows_of(feature, rng, *, peak=4.0, per=(20, 5, 20, 20), tokens=None):
    top, stratum, random, zero = per
    found = [window(feature, "top", rank, 5, rng, peak=peak * (1 - 0.02 * rank), tokens=tokens) for rank in range(1, top + 1)]
    found += [window(feature, "stratum", rank, bin, rng, peak=peak * bin / 6) for bin in range(1, 6) for rank in range(1, stratum + 1)]
    found += [window(feature, "random", rank, 1, rng, peak=peak * 0.1) for rank in range(1, random + 1)]
    return found + [window(feature, "zero", rank, 0, rng, peak=0.0) for rank in range(1, zero + 1)]


def write_lines(path, records):
    files.write_text(path, "".join(json.dumps(each) + "\n" for each in records))


def search_folder(tmp_path, records=None, windows=None, **config):
    rng = np.random.default_rng(0)
    folder = tmp_path / "results" / "demo" / "0123456789"
    records = [record("sae:12"), record("sae:40", arms=("random",), concept="grief", peak=1.5)] if records is None else records
    if windows is None:
        windows = [each for one in records for each in windows_of(one["feature"], rng, peak=one["max"], per=(12, 4, 4, 4))]
    write_lines(folder / "features.jsonl", records)
    write_lines(folder / "windows.jsonl", windows)
    files.write_text(folder / "config.yaml", json.dumps({"name": "demo", "corpus": "sample", **config}))
    files.write_json(folder / "provenance.json", {"started_utc": "2026-01-01T00:00:00Z"})
    return folder


GATES = "gate,rater,rubric,value,low,high,limit,passed,text\n"


def judge_folder(tmp_path, rows, gates="known_items,other,target,0.9,0.85,1,0.8,True,good\n"):
    folder = tmp_path / "results" / "judged" / "0123456789"
    files.write_text(folder / "features.csv", rows)
    files.write_text(folder / "gates.csv", GATES + gates)
    return folder


class Page(HTMLParser):
    """Tags with their attributes, and the text of the page outside style and script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("style", "script"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in ("style", "script"):
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


def edited_line(folder, name, line, change):
    """Rewrite one line of a jsonl file: `change` gets the record, or the text when it returns text."""
    lines = (folder / name).read_text("utf-8").splitlines()
    record = json.loads(lines[line - 1])
    changed = change(record)
    lines[line - 1] = changed if isinstance(changed, str) else json.dumps(record)
    files.write_text(folder / name, "\n".join(lines) + "\n")


def test_shading_is_the_share_of_the_largest_activation():
    assert shade(0.0, 4.0) == 0 and shade(4.0, 4.0) == pytest.approx(0.9) and shade(1.0, 4.0) == pytest.approx(0.3)
    assert shade(-2.0, 4.0) == pytest.approx(0.5) and shade(9.0, 4.0) == pytest.approx(0.9)
    assert scale_of([{"activations": [0.5, -3.0]}, {"activations": [2.0]}]) == 3.0 and scale_of([]) == 1.0


def toy_window(**more):
    return {"window": "a" * 16, "feature": "sae:1", "kind": "top", "bin": 5, "rank": 1, "value": 1.0, "document": 7, "source": "a.txt",
            "start": 30, "stop": 33, "tokens": ["One", " small", " step", " for", " her"], "activations": [0.0, 1.0, 0.0, 4.0, -2.0],
            "pool": [1, 4], "focus": 3, "text": "One small step for her", **more}


def test_a_window_is_cut_into_context_and_pool_with_every_token_once():
    (group,) = groups([toy_window()], 4.0)
    shown = group.bins[0][1][0]
    assert [(p.text, p.opacity, p.value, p.marks) for p in shown.inside] == [
        (" ", "", "", ""), ("small", ".30", "1", ""), (" step ", "", "", ""), ("for", ".90", "4", "f")]
    assert [p.text for p in shown.before] == ["One"]
    assert [(p.text, p.opacity, p.marks) for p in shown.after] == [(" ", "", ""), ("her", ".50", "n")]
    assert shown.place == "a.txt, document 7, tokens 30-33" and shown.value == "1"
    assert "".join(p.text for p in [*shown.before, *shown.inside, *shown.after]) == toy_window()["text"]
    (group,) = groups([toy_window(pool=[0, 5], tokens=[" One", " small", " step", " for", " her"])], 4.0)
    shown = group.bins[0][1][0]
    assert not shown.before and not shown.after and shown.inside[0].text == "One "
    silent = pieces(toy_window(activations=[0.0] * 5), 0, 5, 1.0)
    assert [p.text for p in silent] == [toy_window()["text"]] and silent[0].marks == ""


def test_groups_keep_rank_strata_from_the_highest_bin_and_say_how_many():
    rng = np.random.default_rng(0)
    windows = windows_of("sae:1", rng, per=(4, 3, 0, 2))
    found = {group.kind: group for group in groups(list(reversed(windows)), 4.0, {"top": 2, "stratum": 1})}
    assert list(found) == ["top", "stratum", "zero"]
    assert found["top"].title == "Strongest windows (2 of 4)" and found["zero"].title == "Windows without activity (2)"
    assert [name for name, _ in found["stratum"].bins] == [f"bin {b} of 5" for b in (5, 4, 3, 2, 1)]
    values = [shown.value for shown in found["top"].bins[0][1]]
    assert values == [f"{w['value']:.3g}" for w in windows if w["kind"] == "top"][:2]


def test_the_histogram_draws_counts_as_heights():
    linear = histogram({"edges": [0, 1, 2, 4], "counts": [10, 0, 5]}, width=400, height=100)
    assert [(b.x, b.width, b.height) for b in linear.bars] == [(0, 100, 100), (100, 100, 0), (200, 200, 50)]
    assert (linear.low, linear.high, linear.most, linear.total, linear.scale, linear.axis) == ("0", "4", "10", "15", "linear", "linear")
    assert linear.bars[2].label == "2 to 4: 5"
    logged = histogram({"edges": [0.5, 1, 2, 4, 8], "counts": [999, 9, 0, 1]}, width=400, height=90)
    assert [b.width for b in logged.bars] == [100] * 4 and logged.axis == "log" and logged.scale == "log"
    np.testing.assert_allclose([b.height for b in logged.bars], np.round(90 * np.log([1000, 10, 1, 2]) / np.log(1000), 1))
    assert histogram(None) is None and histogram({"edges": [], "counts": []}) is None and histogram({"edges": [0, 1], "counts": [0]}) is None


def test_a_card_shows_what_the_search_wrote(tmp_path):
    folder = search_folder(tmp_path)
    card = feature_card(folder, "sae:12")
    page = Page(card.to_html())
    top = [w for w in card.windows if w["kind"] == "top"]
    assert len(card.windows) == 12 + 20 + 8
    for each in card.windows:
        assert each["text"].strip() in page.text
    focus = [attrs for tag, attrs in page.tags if tag == "i" and attrs.get("class") == "f" and "title" in attrs]
    # a silent window has no strongest token; the key below the card has a frame without a value
    assert len(focus) == sum(w["kind"] != "zero" for w in card.windows)
    assert focus[0] == {"class": "f", "style": f"--o:{top[0]['activations'][top[0]['focus']] / scale_of(card.windows) * 0.8 + 0.1:.2f}".replace("0.", "."),
                        "title": f"{top[0]['activations'][top[0]['focus']]:.3g}"}
    for text in ("achievement", "rsa_discriminative", "120,000", "1.32 %", "31 %", "\u2423goal", "3.21", "at last", "0.0003", "\\x0a",
                 "Strongest windows (12)", "bin 5 of 5"):
        assert text in page.text, text
    assert ("a", "https://www.neuronpedia.org/m/3-set/12") in [(tag, attrs.get("href")) for tag, attrs in page.tags]
    assert sum(tag == "rect" for tag, _ in page.tags) == 24
    assert card._repr_html_().startswith("<style>") and "<html" not in card._repr_html_()


def test_a_search_result_gives_the_same_card_as_its_folder(tmp_path):
    from types import SimpleNamespace

    folder = search_folder(tmp_path)
    lines = {name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()] for name in ("features", "windows")}
    result = SimpleNamespace(folder=folder, config={}, provenance={}, **lines)
    assert feature_card(result, "sae:40").to_html() == feature_card(folder, "sae:40").to_html()


def hostile_folder(tmp_path):
    one = record("sae:12", arms=(HOSTILE,), concept=HOSTILE, token=HOSTILE) | {"words": [[HOSTILE, 1.0, 0.5]], "ngrams": [[HOSTILE, None, 0.5]]}
    rng = np.random.default_rng(3)
    windows = windows_of("sae:12", rng, per=(2, 1, 1, 1), tokens=["<script>", "alert(1)", "</script>", "\x1b[31m", "\n", "\t", "\u202e", "\u6210", " {{x}}", "'\""])
    for each in windows:
        each["source"] = f"{HOSTILE}.txt"
    return search_folder(tmp_path, [one | {"link": "javascript:alert(1)"}], windows, corpus=HOSTILE)


def test_hostile_text_is_shown_literally_and_nothing_runs(tmp_path):
    folder = hostile_folder(tmp_path)
    judge = judge_folder(tmp_path, f'feature,rubric,rater,arm,score,label\nsae:12,target,lexical,a,1.5,"{HOSTILE.replace(chr(34), chr(34) * 2)}"\n',
                         f'"{HOSTILE.replace(chr(34), chr(34) * 2)}",other,target,0.1,0.1,0.2,0.8,False,no\n')
    gallery = build_gallery(folder, judge=judge).read_text("utf-8")
    card = feature_card(folder, "sae:12", judge=judge)
    for text in (gallery, card.to_html(), str(card._repr_html_())):
        page = Page(text)
        assert sum(tag == "script" for tag, _ in page.tags) == (text is gallery)
        assert not any(tag == "img" or "onerror" in attrs for tag, attrs in page.tags)
        assert not any(str(attrs.get("href", "")).startswith("javascript") for _, attrs in page.tags)
        assert "<script>" in page.text and "{{x}}" in page.text and "{{ 1234*5678 }}" in page.text and "7006652" not in page.text
        assert "\x1b" not in text and "\u202e" not in text and "\\x1b[31m" in text and "\u21b5" in text
        assert not re.search(r"""(?:src|href)\s*=|url\(|@import""", re.sub(r'href="https://www.neuronpedia[^"]*"', "", text))
    text = card.to_text()
    assert "\x1b" not in text and "\\x1b[31m" in text
    digest = re.search(r"script-src '(sha256-[^']+)'", gallery).group(1)
    script = re.search(r"<script>(.*?)</script>", gallery, re.S).group(1)
    import base64

    assert digest == "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@pytest.mark.parametrize(("link", "shown"), [
    ("https://www.neuronpedia.org/gpt2-small/3-res-jb/12", True), ("javascript:alert(1)", False), ("http://x.org", False),
    ("https://x.org/\x1b", False), (None, False), (" https://x.org", False)])
def test_only_web_pages_are_linked(link, shown):
    assert safe_link(link) == (link if shown else "")


def columns_of(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_the_text_form_fits_its_columns_and_marks_the_focus(tmp_path):
    tokens = ["\u6210\u5c31\u6211"] * 30 + ["\x07"] * 10
    rng = np.random.default_rng(5)
    folder = search_folder(tmp_path, [record("sae:12", concept="\u6210" * 80, arms=[f"selector_{k}" for k in range(20)])],
                           windows_of("sae:12", rng, per=(3, 1, 1, 1), tokens=tokens) + [toy_window(feature="sae:12", rank=4)])
    for columns in (100, 60):
        lines = feature_card(folder, "sae:12").to_text(columns=columns).splitlines()
        assert max(map(columns_of, lines)) <= columns
        assert not any(unicodedata.category(c) == "Cc" for line in lines for c in line)
    text = feature_card(folder, "sae:12").to_text(most=9)
    assert "        1  One small step >>for<< her\n" in text and "Strongest windows (4)" in text and text.count(">>") == 4 + 5 + 1
    assert "Strongest windows (1 of 4)" in feature_card(folder, "sae:12").to_text(most=1)


def test_a_line_is_cut_around_its_focus():
    long = toy_window(tokens=[" word"] * 41, activations=[0.0] * 20 + [1.0] + [0.0] * 20, pool=[10, 30], focus=20)
    line = window_line(long, 50)
    assert len(line) == 50 and line.startswith("...") and line.endswith("...") and " >>word<< " in line
    assert abs(line.index(">>") - 21) <= 1
    assert window_line(toy_window(focus=0, pool=[0, 4], activations=[1.0, 0, 0, 0, 0]), 60) == ">>One<< small step for her"
    assert cut("abcdef", 5) == "ab..." and cut("abcdef", 5, end=True) == "...ef" and cut("abc", 3) == "abc"


def test_a_feature_without_windows_says_so(tmp_path):
    silent = record("sae:7") | {"max": None, "mean": float("nan"), "histogram": {"edges": [], "counts": []}, "link": None,
                                **{key: [] for key in ("promoted", "suppressed", "words", "ngrams")}}
    folder = search_folder(tmp_path, [silent], [])
    card = feature_card(folder, "sae:7")
    for text in (Page(card.to_html()).text, card.to_text(), Page(build_gallery(folder).read_text("utf-8")).text):
        assert "never active" in text and "\u2013" in text and "nan" not in text.lower().replace("names", "")


def test_missing_kinds_are_named(tmp_path):
    folder = search_folder(tmp_path, [record("sae:12")], windows_of("sae:12", np.random.default_rng(0), per=(2, 1, 1, 0)))
    assert "None found: windows without activity." in Page(feature_card(folder, "sae:12").to_html()).text


def test_related_features_are_the_nearest_directions(tmp_path):
    folder = search_folder(tmp_path)
    decoder = np.zeros((50, 3))
    decoder[12], decoder[3], decoder[44], decoder[5] = (1, 0, 0), (2, 2, 0), (5, 0, 0), (-1, 0, 0)
    card = feature_card(folder, "sae:12", decoders={"sae": decoder})
    assert [name for name, _ in card.related[:2]] == ["sae:44", "sae:3"]
    np.testing.assert_allclose([cosine for _, cosine in card.related[:3]], [1, 2**-0.5, 0])
    assert "sae:44" in Page(card.to_html()).text and "sae:44 (1.00)" in card.to_text()
    assert feature_card(folder, "sae:12", decoders={"other": decoder}).related == []
    with pytest.raises(InputError, match=r"shape \(5, 3\), no row 12"):
        feature_card(folder, "sae:12", decoders={"sae": decoder[:5]})


def map_folder(tmp_path, **about):
    view = tmp_path / "results" / "map" / "0123456789" / "view" / "achievement"
    files.write_json(view / "stimuli.json", {"name": "my-own-set", "concept": "achievement", "weights": {"target": 1.0, "near": -1.0},
                                             "examples": [{"id": "tram.target.1", "condition": "target", "text": "The tram arrived."}], **about})
    files.write_json(view / "responses.json", {"representation": "default"})
    files.write_text(view / "strongest.csv", "id,condition,rank,feature,value,token\ntram.near.1,near,1,12,0.5, the\ntram.target.1,target,2,12,1.5, arrived\n"
                                             "tram.target.1,target,1,40,9,x\n")
    return view.parents[1]


def test_the_strongest_texts_of_the_concept_come_from_the_folder_of_the_selection(tmp_path):
    folder = search_folder(tmp_path, **{"from": str(map_folder(tmp_path))})
    card = feature_card(folder, "sae:12")
    assert [(s.id, s.value, s.target, s.text) for s in card.stimuli] == [
        ("tram.target.1", 1.5, True, "The tram arrived."), ("tram.near.1", 0.5, False, "")]
    page = Page(card.to_html())
    assert "The tram arrived." in page.text and "tram.near.1" in page.text
    assert [attrs["class"] for tag, attrs in page.tags if attrs.get("class") in ("yes", "no")] == ["yes", "no"]
    assert "1.5  tram.target.1 (target, peak arrived)  The tram arrived." in card.to_text()
    assert feature_card(folder, "sae:40").stimuli == [], "its concept is another one"
    assert feature_card(search_folder(tmp_path, **{"from": str(tmp_path / "gone")}), "sae:12").stimuli == []


def test_texts_of_a_shipped_set_are_found_again_when_it_is_the_same(tmp_path, achievement):
    first = achievement.table.iloc[0]
    source = map_folder(tmp_path, name="achievement", sha256=achievement.sha256)
    strongest = source / "view" / "achievement" / "strongest.csv"
    files.write_text(strongest, f"id,condition,rank,feature,value,token\n{first['id']},target,1,12,0.5,the\n")
    folder = search_folder(tmp_path, **{"from": str(source)})
    assert feature_card(folder, "sae:12").stimuli[0].text == first["text"]
    map_folder(tmp_path, name="achievement", sha256="another")
    files.write_text(strongest, f"id,condition,rank,feature,value,token\n{first['id']},target,1,12,0.5,the\n")
    assert feature_card(folder, "sae:12").stimuli[0].text == ""


JUDGED = """concept,feature,arm,rubric,rater,score,low,high,top_bin,n_windows,n_missing,certainty,label
achievement,sae:12,rsa_discriminative,target,lexical,1.25,0.5,2,2.5,20,1,,
achievement,sae:12,max_any,target,lexical,1.25,0.5,2,2.5,20,1,,
achievement,sae:12,rsa_discriminative,target,other,1.75,0.5,2,2.5,20,0,,
achievement,sae:12,rsa_discriminative,explanation,other,,,,,1,0,0.8,reaching a goal
"""


def test_judge_scores_stand_on_the_card_and_the_verdict_on_the_judge_in_the_first_line(tmp_path):
    folder = search_folder(tmp_path)
    judge = judge_folder(tmp_path, JUDGED)
    card = feature_card(folder, "sae:12", judge=judge)
    assert card.score == 1.75, "the lexical baseline is no judge"
    page = Page(card.to_html())
    for text in ("calls missing", "1.25", "0.5 to 2", "reaching a goal", "lexical", "Judge: Valid: other (target) passes every gate."):
        assert text in page.text
    assert page.text.count("0.5 to 2") == 2, "a row of the same score under another arm is not repeated"
    assert "did not score" in Page(feature_card(folder, "sae:40", judge=judge).to_html()).text
    assert feature_card(folder, "sae:40", judge=judge).score is None and feature_card(folder, "sae:12").score is None
    assert "Judge" not in Page(feature_card(folder, "sae:12").to_html()).text
    failed = judge_folder(tmp_path, JUDGED, "known_items,other,target,0.55,0.45,0.65,0.8,False,AUROC\nfloor,other,target,0.1,0,0.2,0.5,True,fine\n")
    gallery = build_gallery(folder, judge=failed).read_text("utf-8")
    line = "Judge: NOT VALID: other (target) fails known_items (0.55 [0.45, 0.65], lower bound against 0.80)."
    assert Page(gallery).text.split("Features of demo")[1].strip() == line and gallery.count("NOT VALID") == 1
    assert f'<p class="bad">{line}' in gallery
    assert feature_card(folder, "sae:12", judge=failed).to_text(columns=200).startswith(line)
    (failed / "gates.csv").unlink()
    with pytest.raises(InputError, match="no gates.csv.*run it again"):
        build_gallery(folder, judge=failed)
    files.write_text(failed / "gates.csv", "gate,passed\na,True\n")
    with pytest.raises(InputError, match="gates.csv: lacks columns: rater, rubric.*run the judge again"):
        build_gallery(folder, judge=failed)


def test_the_gallery_holds_every_feature_with_what_it_is_sorted_by(tmp_path):
    folder = search_folder(tmp_path)
    out = build_gallery(folder, judge=judge_folder(tmp_path, JUDGED), out=tmp_path / "page.html")
    assert out == tmp_path / "page.html" and not (folder / "gallery.html").exists()
    assert build_gallery(folder) == folder / "gallery.html"
    page = Page(out.read_text("utf-8"))
    entries = [attrs for tag, attrs in page.tags if "data-place" in attrs]
    assert [(e["data-place"], json.loads(e["data-arms"]), json.loads(e["data-concepts"]), e["data-score"], e["data-max"]) for e in entries] == [
        ("1", ["rsa_discriminative"], ["achievement"], "1.75", "4.0"), ("2", ["random"], ["grief"], "", "1.5")]
    assert "reaching a goal" in entries[0]["data-find"] and "sae:12" in entries[0]["data-find"]
    options = [attrs["value"] for tag, attrs in page.tags if tag == "option"]
    assert options == ["", "=random", "=rsa_discriminative", "", "=achievement", "=grief", "place", "score", "max", "share"]
    assert "score" not in [attrs["value"] for tag, attrs in Page(build_gallery(folder).read_text("utf-8")).tags if tag == "option"]
    assert build_gallery(folder).read_bytes() == build_gallery(folder).read_bytes()
    assert "Strongest windows (10 of 12)" in page.text and "2 features, 80 windows, corpus sample" in page.text


@pytest.mark.slow
def test_a_hundred_features_are_small_and_quick(tmp_path):
    import time

    one = windows_of("sae:0", np.random.default_rng(0))
    records = [record(f"sae:{k}") for k in range(100)]
    windows = [each | {"feature": f"sae:{k}"} for k in range(100) for each in one]
    folder = search_folder(tmp_path, records, windows)
    began = time.process_time()
    out = build_gallery(folder)
    assert time.process_time() - began < 5
    assert out.stat().st_size < 5e6


FAULTS = [
    ("features.jsonl", 2, lambda r: json.dumps(r)[:80], "features.jsonl:2: not readable"),
    ("features.jsonl", 1, lambda r: "[1, 2]", "features.jsonl:1: expected a JSON object, found list"),
    ("features.jsonl", 1, lambda r: r.pop("arms") and None, "features.jsonl:1: lacks 'arms'"),
    ("features.jsonl", 2, lambda r: r.update(promoted=[["a"]]), r"features.jsonl:2: promoted is \[\[\"a\"\]\]; allowed: a list of \[token, number\]"),
    ("features.jsonl", 2, lambda r: r["histogram"]["counts"].pop(), "features.jsonl:2: histogram is"),
    ("features.jsonl", 2, lambda r: r.update(feature="sae:12"), "features.jsonl:2: sae:12 stands here twice"),
    ("windows.jsonl", 3, lambda r: r.update(kind="best"), 'windows.jsonl:3: kind is "best"; allowed: top, stratum, random, zero'),
    ("windows.jsonl", 3, lambda r: r["activations"].pop(), "windows.jsonl:3: 40 tokens but 39 activations"),
    ("windows.jsonl", 3, lambda r: r.update(focus=2), r"windows.jsonl:3: pool \[10, 30\] and focus 2 do not fit 40 tokens"),
    ("windows.jsonl", 3, lambda r: r.update(value=float("nan")), "windows.jsonl:3: value is NaN"),
    ("windows.jsonl", 3, lambda r: r.update(feature="sae:99"), "windows.jsonl:3: sae:99 is not in features.jsonl"),
]


@pytest.mark.parametrize(("name", "line", "change", "told"), FAULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_damaged_line_is_named_with_what_to_do(tmp_path, name, line, change, told):
    folder = search_folder(tmp_path)
    edited_line(folder, name, line, change)
    with pytest.raises(InputError, match=told) as raised:
        build_gallery(folder)
    assert str(raised.value).endswith(("run the search again (--overwrite)", "run the search again")) and "\n" not in str(raised.value)


def test_partial_and_foreign_folders_are_told_apart(tmp_path):
    folder = search_folder(tmp_path)
    (folder / "provenance.json").unlink()
    with pytest.raises(InputError, match="did not finish: provenance.json missing; run the same search command again"):
        feature_card(folder, "sae:12")
    with pytest.raises(InputError, match="not a search folder"):
        build_gallery(tmp_path)
    with pytest.raises(InputError, match="no such search folder"):
        build_gallery(tmp_path / "nothing")
    folder = search_folder(tmp_path)
    (folder / "features.jsonl").write_bytes(b'{"feature": "\xff"}\n')
    with pytest.raises(InputError, match="features.jsonl:1: not readable"):
        build_gallery(folder)
    assert not (folder / "gallery.html").exists()
    folder = search_folder(tmp_path)
    (folder / "features.jsonl").unlink()
    with pytest.raises(InputError, match="holds no features.jsonl"):
        build_gallery(folder)


def test_a_change_that_leaves_the_form_is_found_by_its_fingerprint(tmp_path):
    folder = search_folder(tmp_path)
    files.write_json(folder / "provenance.json", {"files": files.fingerprints(folder, ["features.jsonl", "windows.jsonl"])})
    assert feature_card(folder, "sae:12").record["max"] == 4.0
    edited_line(folder, "features.jsonl", 1, lambda r: r.update(max=5.0))
    with pytest.raises(InputError, match="features.jsonl: does not match.*run the search again"):
        feature_card(folder, "sae:12")


def test_a_feature_of_two_concepts_is_found_under_both(tmp_path):
    both = record("sae:12") | {"concepts": {"achievement": ["max_any"], "grief": ["rsa_discriminative"]}}
    folder = search_folder(tmp_path, [both], windows_of("sae:12", np.random.default_rng(0), per=(1, 0, 0, 0)))
    page = Page(build_gallery(folder).read_text("utf-8"))
    assert [attrs["value"] for tag, attrs in page.tags if tag == "option"][2:5] == ["", "=achievement", "=grief"]
    assert "achievement, grief" in page.text


def test_a_mistyped_feature_gets_the_nearest_name(tmp_path):
    with pytest.raises(InputError, match="unknown feature 'sae:13'.*allowed: sae:12, sae:40; did you mean 'sae:12'"):
        feature_card(search_folder(tmp_path), "sae:13")


CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to run the page in")
def test_the_page_sorts_and_filters_in_a_browser_and_runs_no_other_script(tmp_path):
    records = [record(f"sae:{k}", arms=[("a", "b")[k % 2]], concept="x", peak=1.0 + k) for k in range(4)]
    windows = [each for one in records for each in windows_of(one["feature"], np.random.default_rng(0), per=(1, 0, 0, 0))]
    page = build_gallery(search_folder(tmp_path, records, windows)).read_text("utf-8")
    probe = """<script>
      function pick(id, value) { var e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event("change")); e.dispatchEvent(new Event("input")); }
      function names() { return [].filter.call(document.getElementById("cards").children, function (e) { return !e.hidden; })
        .map(function (e) { return e.querySelector(".name").textContent; }).join(" "); }
      var told = [names()]; pick("order", "max"); told.push(names()); pick("arm", "=b"); told.push(names()); pick("find", "SAE:1"); told.push(names());
      document.title = told.join("|") + "|" + document.getElementById("count").textContent;</script></body>"""
    probed = page.replace("</body>", probe)
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", probed)
    assert free != probed
    titles = []
    for name, text in (("free", free), ("guarded", probed)):
        files.write_text(tmp_path / f"{name}.html", text)
        done = subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
                               "--dump-dom", (tmp_path / f"{name}.html").as_uri()], capture_output=True, text=True, timeout=60)
        titles.append(html.unescape(re.search("<title>(.*?)</title>", done.stdout).group(1)))
        assert re.search(r'id="count"[^>]*>[24 1]+ of 4 features', done.stdout), "the page's own script ran"
    assert titles == ["sae:0 sae:1 sae:2 sae:3|sae:3 sae:2 sae:1 sae:0|sae:3 sae:1|sae:1|1 of 4 features", "Features of demo"]
