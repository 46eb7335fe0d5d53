"""What check() measures: against scikit-learn's pipelines, hand counts, plain loops; and the row it makes of a set."""

import itertools
import math
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli import SURFACE, THRESHOLDS, StimulusSet, lexical
from cogneuro_sae.stimuli.lexical import lexical_measures, norm_measures
from cogneuro_sae.stimuli.measures import compare_measures, negations, nuisance_measures, text_auroc, words
from cogneuro_sae.stimuli.overlap import same_frames, strays
from cogneuro_sae.stimuli.surface import cross_validated, fold_decisions, grouped_folds
from cogneuro_sae.stimuli.thresholds import Thresholds

pytestmark = pytest.mark.slow

GERMAN = "Er ging nicht hinaus, denn keiner hatte ihm je ohne Not gesagt, dass niemand wartet und kein Zug fährt."


@pytest.fixture(scope="module")
def shipped_set():
    return StimulusSet.from_yaml("music")


@pytest.fixture(scope="module")
def checked(shipped_set):
    return shipped_set.check()


def small(texts, items, conditions, **more):
    frame = pd.DataFrame({"text": texts, "item": items, "condition": conditions})
    return StimulusSet.from_frame(frame, name="s", concept="glee", contrasts={"main": "a - b"}, **more)


@pytest.mark.parametrize("name", SURFACE)
@pytest.mark.parametrize("contrast", ["target - near", "target - far"])
def test_counting_once_gives_the_decisions_of_the_pipeline(name, contrast, shipped_set):
    design = shipped_set.design(contrast, unlocked=True)
    texts = [shipped_set.texts[row] for row in design.rows]
    decide, X = fold_decisions(name, texts), np.array(texts, dtype=object)
    for train, test in grouped_folds(design.y, design.groups, repeats=2):
        twin = SURFACE[name]().fit(X[train], design.y[train]).decision_function(X[test])
        np.testing.assert_allclose(decide(train, design.y, test), twin, rtol=0, atol=1e-12)
        assert not set(design.groups[train]) & set(design.groups[test])


def test_a_baseline_of_ones_own_runs_as_it_is(monkeypatch, shipped_set):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    monkeypatch.setitem(SURFACE, "bag_of_words", lambda: make_pipeline(TfidfVectorizer(min_df=3), LogisticRegression()))
    design = shipped_set.design()
    texts = [shipped_set.texts[row] for row in design.rows]
    train, test = grouped_folds(design.y, design.groups)[0]
    X = np.array(texts, dtype=object)
    twin = SURFACE["bag_of_words"]().fit(X[train], design.y[train]).decision_function(X[test])
    np.testing.assert_array_equal(fold_decisions("bag_of_words", texts)(train, design.y, test), twin)


def test_training_texts_without_a_word_are_an_error():
    decide = fold_decisions("bag_of_words", ["...", "!!!", "word"])
    with pytest.raises(ValueError, match="no word"):
        decide(np.array([0, 1]), np.array([0, 1, 0]), np.array([2]))


def test_the_auroc_of_texts_is_scikit_learns_and_its_interval_holds_it(shipped_set):
    value = np.array([len(text.split()) for text in shipped_set.texts])
    design = shipped_set.design("target - far", unlocked=True)
    auroc, low, high = text_auroc(value, design)
    assert auroc == pytest.approx(roc_auc_score(design.y, value[design.rows])) and low < auroc < high
    missing = np.where(np.arange(len(value)) == design.rows[0], np.nan, value)
    assert np.isnan(text_auroc(missing, design)).all()


@pytest.mark.parametrize(("text", "language", "expected"), [
    (GERMAN, "de", 5), ("Nichts, nirgends, niemals; weder Brot noch Wein, kaum Wasser.", "de", 5), ("Keimzelle, nickt, keck", "de", 0),
    ("She didn't go; nobody did.", "en", 2), ("Il ne vient pas.", "fr", math.nan)])
def test_negations_by_language(text, language, expected):
    assert negations(text, language) == pytest.approx(expected, nan_ok=True)


def test_zipf_and_sentiment_are_those_of_the_libraries():
    import wordfreq
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    texts = ["A truly wonderful day.", "The zyxqvw tram was late, sadly."]
    found = lexical_measures(texts, "en")
    for row, text in enumerate(texts):
        zipf = [wordfreq.zipf_frequency(word, "en") for word in words(text)]
        assert found.table.loc[row, "zipf_mean"] == pytest.approx(np.mean(zipf))
        assert found.table.loc[row, "zipf_min"] == min(zipf)
        assert found.table.loc[row, "sentiment"] == SentimentIntensityAnalyzer().polarity_scores(text)["compound"]
    assert found.table["zipf_min"].tolist()[1] == 0 < found.table["zipf_min"].tolist()[0] and found.notes == ()


def test_what_is_not_measured_in_a_language_is_missing_and_said():
    german = lexical_measures([GERMAN], "de")
    assert german.table["zipf_mean"].notna().all() and german.table["sentiment"].isna().all()
    assert [note.split(":")[0] for note in german.notes] == ["sentiment not measured"]
    other = lexical_measures([GERMAN], "xx")
    assert other.table.isna().all().all() and len(other.notes) == 3
    assert "no list of its negating words" in other.notes[0] and "no words of 'xx'" in other.notes[1]


@pytest.mark.parametrize("absent", [("wordfreq",), ("vaderSentiment",), ("wordfreq", "vaderSentiment")])
def test_an_absent_extra_is_one_note_that_says_how_to_install_it(absent, monkeypatch):
    real = lexical.importlib.util.find_spec
    monkeypatch.setattr(lexical.importlib.util, "find_spec", lambda name: None if name in absent else real(name))
    lexical._zipf.cache_clear()
    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
    found = lexical_measures(["A wonderful day."], "en")
    note, = found.notes
    assert all(name in note for name in absent) and "pip install 'cogneuro_sae[lexical]'" in note
    assert found.table["zipf_mean"].isna().all() == ("wordfreq" in absent)
    assert found.table["sentiment"].isna().all() == ("vaderSentiment" in absent)


def test_norms_are_means_of_known_words_with_their_coverage(tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text("word,concreteness,source,age\nTram,5,a,\nidea,1,b,7\nIDEA,2,b,8\n")
    found = norm_measures(["The tram, an idea.", "Tram tram!", "Nothing known."], path)
    assert list(found.table) == ["concreteness", "age"]
    assert found.table["concreteness"].tolist() == pytest.approx([(5 + 1.5) / 2, 5, math.nan], nan_ok=True)
    assert found.table["age"].tolist() == pytest.approx([7.5, math.nan, math.nan], nan_ok=True)
    assert found.notes == ("norms: concreteness known for 50% of the words; 1 texts have none and are missing",
                           "norms: age known for 12% of the words; 2 texts have none and are missing")


@pytest.mark.parametrize(("content", "wanted"), [
    ("token,conc\na,1\n", "no column `word`"), ("word,pos\na,noun\n", "no column of numbers"), ("word;conc\na;1\n", "separated by ';'")])
def test_bad_norms_are_refused(content, wanted, tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=wanted):
        norm_measures(["a"], path)
    with pytest.raises(InputError, match="no such file of norms"):
        norm_measures(["a"], tmp_path / "absent.csv")


def test_further_measures_are_compared_like_the_built_in_ones(monkeypatch):
    monkeypatch.setattr("cogneuro_sae.stimuli.checks.SURFACE", {})
    stimuli = small([f"{'long ' * (k % 3)}word number {k}" for k in range(8)], [f"i{k // 2}" for k in range(8)], ["a", "b"] * 4)
    again = [float(len(text)) for text in stimuli.texts]
    checks = stimuli.check(measures={"again": again, "called": lambda texts: np.array([len(text) for text in texts])})
    table = checks.table.set_index("measure")
    assert table.loc["again", "d"] == table.loc["called", "d"] == table.loc["characters", "d"]
    assert {"d_again", "d_called"} <= set(checks.summary) and checks.measures["called"].tolist() == again
    for given, wanted in (([1.0], "one number for each"), ([np.inf] * 8, "infinite")):
        with pytest.raises(InputError, match=wanted):
            stimuli.check(measures={"x": given})
    with pytest.raises(InputError, match="two nuisance measures are called 'words'"):
        stimuli.check(measures={"words": again})


def longest_common(a, b):
    best = {(-1, j): 0 for j in range(-1, len(b))} | {(i, -1): 0 for i in range(len(a))}
    for i, j in itertools.product(range(len(a)), range(len(b))):
        best[i, j] = best[i - 1, j - 1] + 1 if a[i] == b[j] else max(best[i - 1, j], best[i, j - 1])
    return best[len(a) - 1, len(b) - 1]


def test_same_frames_against_a_plain_loop():
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(list("abcdefgh"), random.integers(4, 14))) for _ in range(60)]
    items = [f"i{k // 10}" for k in range(60)]
    expected = {}
    for i, j in itertools.combinations(range(60), 2):
        n, longer = longest_common(texts[i].split(), texts[j].split()), max(len(texts[i].split()), len(texts[j].split()))
        if items[i] != items[j] and n >= 5 and n >= 0.5 * longer:
            expected[i, j] = n / longer
    found = {(pair.first, pair.second): pair.overlap for pair in same_frames(texts, items)}
    assert len(expected) > 50 and found == pytest.approx(expected)


def test_strays_by_hand():
    texts = ["red boat on lake", "boat on red lake", "old clock in tower", "clock tower old in", "old tower clock", "far alone"]
    items = ["i", "i", "j", "j", "i", "k"]
    stray, = strays(texts, items)
    assert (stray.row, stray.other) == (4, 2) or (stray.row, stray.other) == (4, 3)
    assert stray.own == 0 and stray.elsewhere > 0.7
    assert strays(texts[:4], items[:4]) == [] and strays(["...", "!!"], ["i", "i"]) == [] and strays(texts, list("abcdef")) == []


def test_the_summary_holds_what_was_measured(checked, shipped_set):
    row = checked.summary
    near, far = shipped_set.design("target - near", unlocked=True), shipped_set.design("target - far", unlocked=True)
    measures = nuisance_measures(shipped_set)
    for end, design in (("", near), ("_far", far)):
        d = compare_measures(measures, design, "x").set_index("measure")["d"]
        assert all(row[f"d{end}_{name}"] == pytest.approx(d[name], nan_ok=True) for name in measures)
    texts = [shipped_set.texts[place] for place in near.rows]
    assert row["bag_of_words"] == cross_validated("bag_of_words", texts, near.y, near.groups, near.cells).auroc
    open_ = shipped_set.design("target - far")
    texts = [shipped_set.texts[place] for place in open_.rows]
    assert row["char_ngrams_far_discovery"] == cross_validated("char_ngrams", texts, open_.y, open_.groups, open_.cells).auroc
    count = np.array([len(text.split()) for text in shipped_set.texts])
    condition = shipped_set.table["condition"].to_numpy()
    assert row["words_auroc"] == pytest.approx(roc_auc_score(near.y, count[near.rows]))
    assert row["words_target"] == pytest.approx(count[condition == "target"].mean())
    assert row["words_far"] == pytest.approx(count[condition == "far"].mean())
    assert (row["items"], row["confirm_items"], row["texts"], row["kind"], row["group"]) == (48, 16, 120, "concept", "concrete")
    assert row["largest_d"] == max((row[f"d_{name}"] for name in checked.measures), key=abs)
    assert (row["duplicates"], row["banned"], row["over_tuned"], row["worst"]) == (0, 0, False, checked.worst)


def test_without_locked_items_nothing_of_them_is_judged(checked, shipped_set):
    kept = shipped_set.check(unlocked=False)
    locked = set(shipped_set.table.loc[shipped_set.table["split"] == "confirm", "id"])
    assert locked and not locked & set(kept.measures.index) and locked <= set(checked.measures.index)
    assert set(kept.baselines["split"]) == {"discovery"} and set(checked.baselines["split"]) == {"all", "discovery"}
    assert math.isnan(kept.summary["bag_of_words"])
    for name in ("bag_of_words_discovery", "length_far_discovery"):
        assert kept.summary[name] == checked.summary[name]
    line = {each: next(line.text for line in each.lines if line.name == "design") for each in (kept, checked)}
    assert "64 texts of 16 items" in line[kept] and "64 texts of 16 items" in line[checked]
    assert line[kept].endswith("without the 16 items kept for confirmation, what follows leaves them out too")
    assert line[checked].endswith("without the 16 items kept for confirmation, what follows judges them too")
    changed = shipped_set.table[["id", "text", "item", "condition", "paraphrase", "split"]].copy()
    changed.loc[changed["split"] == "confirm", "text"] += " Indeed it was so, they said, and went home at last."
    other = StimulusSet.from_frame(changed, name="music", concept="music", contrasts=dict(shipped_set.contrasts)).check(unlocked=False)
    pd.testing.assert_frame_equal(other.table, kept.table)
    pd.testing.assert_frame_equal(other.baselines, kept.baselines)


def test_a_set_without_locked_items_has_the_same_values_twice(monkeypatch):
    monkeypatch.setattr("cogneuro_sae.stimuli.checks.SURFACE", {"length": SURFACE["length"]})
    row = small([f"{'long ' * (k % 3)}word number {k}" for k in range(24)], [f"i{k // 2}" for k in range(24)], ["a", "b"] * 12).check().summary
    assert row["length"] == row["length_discovery"] and math.isnan(row["bag_of_words"]) and math.isnan(row["length_far"])


def test_graded_and_factorial_sets_are_summed_up_by_their_first_contrast(monkeypatch):
    monkeypatch.setattr("cogneuro_sae.stimuli.checks.SURFACE", {"length": SURFACE["length"]})
    for name, kind in (("certainty", "graded"), ("emotional_by_topic", "factorial")):
        stimuli = StimulusSet.from_yaml(name)
        checks = stimuli.check()
        row, first = checks.summary, stimuli.design(unlocked=True)
        assert row["kind"] == kind
        d = compare_measures(nuisance_measures(stimuli), first, "x").set_index("measure")["d"]
        assert row["d_characters"] == pytest.approx(d["characters"])
        confounded = {line.text.split(":")[0] for line in checks.lines if line.level == "warning" and line.name in ("nuisance", "surface")}
        assert confounded <= {row["comparison"]}


def test_the_language_of_a_set_is_kept(tmp_path):
    stimuli = small(["Er kommt nicht.", "Er kommt.", "Sie geht nie.", "Sie geht."], ["i", "i", "j", "j"], ["a", "b"] * 2, language="de")
    assert nuisance_measures(stimuli)["negations"].tolist() == [1, 0, 1, 0]
    again = StimulusSet.from_yaml(stimuli.to_yaml(tmp_path / "s.yaml"))
    assert again.language == "de" and again.sha256 == stimuli.sha256 and "language: de" in (tmp_path / "s.yaml").read_text()
    english = small(["He comes.", "She comes.", "He goes.", "She goes."], ["i", "i", "j", "j"], ["a", "b"] * 2)
    assert english.language == "en" and "language" not in english.to_yaml(tmp_path / "s.yaml").read_text()
    with pytest.raises(InputError, match="ISO 639-1"):
        small(["a", "b"], ["i", "i"], ["a", "b"], language="german")


def test_every_threshold_has_a_meaning_and_stands_in_the_docs():
    from pathlib import Path

    page = (Path(__file__).parents[1] / "docs" / "stimuli.md").read_text("utf-8")
    for name, value, meaning in THRESHOLDS.describe():
        assert f"| `{name}` | {value:g} | {meaning} |" in page, name
    with pytest.raises(AttributeError):
        THRESHOLDS.telling = 0.9
    assert len(THRESHOLDS.describe()) == len(Thresholds.__dataclass_fields__)


@pytest.mark.slow
def test_random_labels_are_rarely_over_tuned_and_exact_swaps_always(shipped_set):
    """The threshold's reason: words that carry nothing seldom fall so low; words that are swapped exactly do."""
    design = shipped_set.design("target - near", unlocked=True)
    texts, items = [shipped_set.texts[row] for row in design.rows], np.unique(design.groups)
    random = np.random.default_rng(0)
    null = []
    for _ in range(40):
        flip = dict(zip(items, random.integers(0, 2, len(items))))
        y = np.array([label ^ flip[item] for label, item in zip(design.y, design.groups)])
        null.append(cross_validated("bag_of_words", texts, y, design.groups, design.cells).auroc)
    assert np.mean(np.array(null) < THRESHOLDS.over_tuned) <= 0.05 and abs(np.mean(null) - 0.5) < 0.05
    number = {item: k for k, item in enumerate(items)}
    swapped = [f"{text} {'zyx' if label ^ (number[item] % 2) else 'qvw'}{number[item] // 2}"
               for text, label, item in zip(texts, design.y, design.groups)]
    assert cross_validated("bag_of_words", swapped, design.y, design.groups, design.cells).auroc < THRESHOLDS.over_tuned
