"""check(): each verdict appears where it should and only there; statistics by hand and against libraries."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from cogneuro_sae.stimuli import SURFACE, StimulusSet
from cogneuro_sae.stimuli.measures import MEASURES, compare_measures, nuisance_measures
from cogneuro_sae.stimuli.overlap import cell_overlap, near_pairs, shared_frames
from cogneuro_sae.stimuli.surface import cross_validated
from cogneuro_sae.stimuli.verdicts import baseline_lines

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data" / "stimuli"
WORDS = ("amber birch cedar delta ember frost grove heron islet jetty knoll larch maple north otter pearl quill raven "
         "stone tulip umber vetch wharf yarrow zinnia").split()


def sentences(n, seed, low=8, high=14):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(low, high))) + f" x{seed}y{k}." for k in range(n)]


def make(m=12, seed=0, near=None, target=None, far=12, **options):
    texts = {"target": target or sentences(2 * m, seed), "near": near or sentences(2 * m, seed + 1),
             "far": sentences(far, seed + 2)}
    rows = [(texts[c][2 * i + k], f"i{i}", c) for i in range(m) for c in ("target", "near") for k in range(2)]
    rows += [(text, f"f{i}", "far") for i, text in enumerate(texts["far"])]
    frame = pd.DataFrame(rows, columns=["text", "item", "condition"])
    return StimulusSet.from_frame(frame, name="s", concept="glee", contrasts={"main": "target - near"}, **options)


def levels(checks, name):
    return [line.level for line in checks.lines if line.name == name]


def found(checks, name):
    return " | ".join(line.text for line in checks.lines if line.name == name)


@pytest.fixture
def quick(monkeypatch):
    """Leaves out the two slower baselines where a test is about something else."""
    monkeypatch.setattr("cogneuro_sae.stimuli.checks.SURFACE", {"length": SURFACE["length"]})


@pytest.fixture(scope="module")
def clean():
    return make().check()


def test_a_clean_set_has_no_error(clean):
    assert clean.worst != "error"
    for name in ("banned", "duplicates", "near_duplicates", "frames", "items", "cells", "design"):
        assert set(levels(clean, name)) == {"ok"}, name
    assert "target 12 items / 24 texts, near 12 items / 24 texts, far 12 items / 12 texts" in found(clean, "cells")
    assert "|G| = 2^12 = 4096" in found(clean, "design")


def test_checks_are_plain_data_and_html(clean):
    data = json.loads(json.dumps(clean.to_dict(), allow_nan=False))
    assert data["worst"] == clean.worst and len(data["lines"]) == len(clean.lines)
    assert set(data["lines"][0]) == {"level", "name", "text"} and len(data["measures"]) == 60
    assert clean._repr_html_().count("<tr>") == len(clean.lines) + 1
    assert str(clean).count("\n") == len(clean.lines) - 1
    with pytest.raises(AttributeError):
        clean.lines = ()


def test_banned_stems_are_word_bounded_and_case_blind(quick):
    texts = sentences(24, 0)
    texts[0], texts[1], texts[2] = "Joyful were they.", "They enjoyed the larch.", "All GLEE and no stone."
    checks = make(target=texts, banned=("joy*", "ston")).check()
    assert levels(checks, "banned") == ["error", "warning"] and checks.worst == "error"
    assert "i0.target.1 holds 'Joyful' (joy*)" in found(checks, "banned")
    assert "1 texts name the concept itself (i1.target.1)" in found(checks, "banned")


def test_duplicates_and_leakage(quick):
    texts = sentences(24, 0)
    texts[3] = texts[0]
    texts[9] = texts[8].replace(".", " again.")
    texts[16] = texts[20] + " Again."
    checks = make(target=texts, confirm=("i10",)).check()
    assert "the same text: i0.target.1, i1.target.2" in found(checks, "duplicates")
    assert "i8.target.1 and i10.target.1 stand in different splits" in found(checks, "leakage")
    assert "i0.target.1 stands also in another item, as i1.target.2" in found(checks, "leakage")
    assert levels(checks, "leakage")[:2] == ["warning"] * 2 and levels(checks, "near_duplicates") == ["warning"]
    texts[20] = texts[16]
    assert make(target=texts, confirm=("i10",)).check().worst == "error"


def test_small_and_unbalanced_sets(quick):
    checks = make(m=12, far=1).check()
    assert "far has 1 item; at least 2" in found(checks, "cells") and checks.worst == "error"
    assert "target has 12 times as many items as far" in found(checks, "balance")
    assert "the negative side has 1 cell" in found(checks, "design")
    few = make(m=4, far=4).check()
    assert "4 items on one side; 5 folds need at least 10" in found(few, "items")
    assert "warning" in levels(few, "design") and "smallest p" in found(few, "design")
    assert "no p can reach 0.05, so `map` will refuse the set and `compare` will refuse it or give no p: at least 6 " \
           "for a two-sided swap test, 10 items for a comparison with 5 folds" in found(few, "design")
    assert "no p can reach" not in found(make(m=6).check(), "design")


@pytest.mark.parametrize("m, small", [(3, True), (4, False)])
def test_a_set_of_single_texts_needs_four_on_each_side(quick, m, small):
    frame = pd.DataFrame({"text": sentences(2 * m, 0), "condition": ["a", "b"] * m})
    stimuli = StimulusSet.from_frame(frame, name="s", concept="glee", contrasts={"main": "a - b"}, independent=True)
    text = found(stimuli.check(), "design")
    assert ("at least 4 on each side for a two-sided test of labels, 10 items" in text) == small


def test_tokens_when_a_tokenizer_is_given(quick):
    stimuli = make()
    checks = stimuli.check(tokenizer=lambda text: text.split()[8:], max_tokens=4)
    count = np.array([max(len(text.split()) - 8, 0) for text in stimuli.texts])
    assert levels(checks, "tokens").count("error") == (count == 0).sum() + (count > 4).sum() > 0
    np.testing.assert_array_equal(checks.measures["tokens"], count)
    assert "tokens" not in stimuli.check().measures


def test_special_tokens_are_counted(quick):
    texts = sentences(24, 0)
    texts[5] += " </s>"
    assert "1 texts hold special tokens" in found(make(target=texts).check(), "specials")


@pytest.mark.parametrize("text, expected", [
    ("He didn't go; no one did, not ever.", {"words": 8, "characters": 35, "type_token_ratio": 1.0, "punctuation": 4,
                                             "digits": 0, "negations": 3, "mean_word_length": 25 / 8}),
    ("The cat, the 22 dogs.", {"words": 5, "characters": 21, "type_token_ratio": 0.8, "punctuation": 2, "digits": 2,
                              "negations": 0, "mean_word_length": 15 / 5}),
])
def test_measures_by_hand(text, expected):
    assert {name: measure(text) for name, measure in MEASURES.items()} == pytest.approx(expected)


def test_span_position_by_hand():
    frame = pd.DataFrame({"text": ["ab cd ef gh", "ab cd"], "item": ["i", "i"], "condition": ["a", "b"],
                          "span": ["cd ef", ""]})
    stimuli = StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"main": "a - b"})
    position = nuisance_measures(stimuli)["span_position"]
    assert position.iloc[0] == (3 + 8) / 2 / 11 and np.isnan(position.iloc[1])


def test_paired_and_welch_differences_against_scipy():
    stimuli = make(m=10, seed=5, far=9)
    measures = nuisance_measures(stimuli)
    cell = measures["characters"].groupby([stimuli.table["item"].to_numpy(),
                                           stimuli.table["condition"].to_numpy()]).mean().unstack()
    near = compare_measures(measures, stimuli.design("target - near"), "near").set_index("measure").loc["characters"]
    t = stats.ttest_rel(cell["target"].dropna(), cell["near"].dropna()).statistic
    assert near["d"] == pytest.approx(t / np.sqrt(10)) and near["kind"] == "d_z"
    far = compare_measures(measures, stimuli.design("target - far"), "far").set_index("measure").loc["characters"]
    a, b = cell["target"].dropna(), cell["far"].dropna()
    assert far["d"] == pytest.approx((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))
    assert far["kind"] == "welch_d"
    assert far["auroc"] == pytest.approx(roc_auc_score([1] * len(a) + [0] * len(b), [*a, *b]))
    assert far["auroc_low"] < far["auroc"] < far["auroc_high"] and bool(far["flagged"]) == (abs(far["d"]) > 0.5)


def test_auroc_interval_against_a_loop():
    stimuli = make(m=14, seed=8)
    measures, design = nuisance_measures(stimuli)[["characters"]], stimuli.design("target - near")
    row = compare_measures(measures, design, "near").iloc[0]
    cell = measures["characters"].groupby([stimuli.table["item"].to_numpy(),
                                           stimuli.table["condition"].to_numpy()]).mean().unstack()
    a, b = cell["target"].dropna().to_numpy(), cell["near"].dropna().to_numpy()
    random = np.random.default_rng(1)
    draws = []
    for _ in range(2000):
        pick = random.integers(0, 14, 14)
        draws.append(np.mean((a[pick][:, None] > b[pick]) + 0.5 * (a[pick][:, None] == b[pick])))
    assert (row["auroc_low"], row["auroc_high"]) == pytest.approx(np.percentile(draws, (2.5, 97.5)), abs=0.03)


def test_a_difference_in_length_is_flagged_and_found_by_the_length_baseline(quick):
    checks = make(near=sentences(24, 3, 18, 24)).check()
    table = checks.table.set_index(["comparison", "measure"])
    assert table.loc[("target - near", "words"), "d"] < -2 and table.loc[("target - near", "words"), "flagged"]
    assert "target - near: words" in found(checks, "nuisance")
    baselines = checks.baselines.set_index(["comparison", "baseline"])
    assert baselines.loc[("target - near", "length"), "auroc"] > 0.95
    assert baselines.loc[("target - near", "length"), "pair_accuracy"] > 0.95
    assert np.isnan(baselines.loc[("target - far", "length"), "pair_accuracy"])
    assert baselines.loc[("target - far", "length"), "reason"] == "no item holds both sides"


@pytest.mark.slow
def test_surface_baselines_are_at_chance_on_noise_and_see_a_planted_word():
    def scored(stimuli):
        return stimuli.check().baselines.query("comparison == 'target - near'").set_index("baseline")["auroc"]

    noise = [scored(make(m=12, seed=10 * s)) for s in range(3)]
    assert 0.3 < np.mean(noise) < 0.7
    planted = [text + " lantern." for text in sentences(24, 0)]
    scores = scored(make(target=planted))
    assert scores["bag_of_words"] > 0.75 and scores["char_ngrams"] > 0.75


def test_cross_validation_against_a_plain_loop():
    table = make(m=10, target=[text + " lantern" if k % 3 else text for k, text in enumerate(sentences(20, 0))]).table
    kept = table[(table["paraphrase"] == 1) | (np.arange(len(table)) % 3 == 0)]
    stimuli = StimulusSet.from_frame(kept[["text", "item", "condition"]], name="s", concept="glee",
                                     contrasts={"main": "target - near"})
    design = stimuli.design()
    assert set(np.bincount(design.cells)) == {1, 2}
    texts, y, groups = np.array(stimuli.texts, object)[design.rows], design.y, design.groups
    scores = []
    for repeat in range(2):
        for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=repeat).split(texts, y, groups):
            vectors = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit(texts[train])
            model = LogisticRegression(max_iter=1000).fit(vectors.transform(texts[train]), y[train])
            frame = pd.DataFrame({"v": model.decision_function(vectors.transform(texts[test])), "c": design.cells[test],
                                  "y": y[test]}).groupby("c").mean()
            scores.append(roc_auc_score(frame["y"], frame["v"]))
            assert not set(groups[train]) & set(groups[test])
    result = cross_validated("bag_of_words", list(texts), y, groups, design.cells, repeats=2)
    assert result.auroc == pytest.approx(np.mean(scores)) and result.folds == 10


def test_the_range_over_repeats_is_that_of_their_means():
    design, stimuli = make(m=10).design(), make(m=10)
    texts = [stimuli.texts[row] for row in design.rows]
    single = [cross_validated("length", texts, design.y, design.groups, design.cells, repeats=1, seed=seed).auroc
              for seed in range(5)]
    result = cross_validated("length", texts, design.y, design.groups, design.cells)
    assert (result.lowest, result.highest) == pytest.approx((min(single), max(single))) and result.repeats == 5
    assert result.lowest < result.auroc < result.highest


@pytest.mark.parametrize("auroc, lowest, highest, matched, level, text", [
    (0.6, 0.55, 0.64, True, "ok", "AUROC 0.60 [0.55-0.64 over 5 repeats]; below the threshold 0.65"),
    (0.64, 0.6, 0.69, True, "ok", "; below the threshold 0.65, though not in every repeat"),
    (0.66, 0.61, 0.69, True, "warning", "[0.61-0.69 over 5 repeats]; not below the threshold 0.65, though not in every "
                                        "repeat: surface form tells the two apart"),
    (0.8, 0.7, 0.9, False, "note", "; not below the threshold 0.65: surface form tells the two apart"),
    (0.3, 0.2, 0.35, True, "ok",
     "threshold 0.65 (below .5 is what counterbalancing of words does; it counts as .5)"),
    (0.3, 0.2, 0.35, False, "ok", "below the threshold 0.65"),
    (0.4, 0.3, 0.45, True, "ok", "below the threshold 0.65"),
])
def test_the_surface_verdict_tells_threshold_and_range(auroc, lowest, highest, matched, level, text):
    row = {"baseline": "bag_of_words", "auroc": auroc, "lowest": lowest, "highest": highest, "repeats": 5,
           "pair_accuracy": float("nan"), "reason": "", "split": "all"}
    line, = baseline_lines([row], "a - b", matched=matched, level="warning" if matched else "note")
    assert line.level == level and line.text.endswith(text)


def test_pipelines_hold_nothing_fitted():
    for name, make_pipeline in SURFACE.items():
        first, second = make_pipeline(), make_pipeline()
        assert first is not second and not hasattr(first[-1], "coef_"), name
        first.fit(sentences(8, 0), [0, 1] * 4)
        assert not hasattr(second[-1], "coef_") and first.predict_proba(["larch maple"]).shape == (1, 2)


def test_overlap_by_hand():
    pairs = near_pairs(["a b c d", "a b c d e", "x y z w", "A, b; c d!"], least=0.8)
    assert [tuple(pair) for pair in pairs] == [(0, 3, 1.0), (0, 1, 0.8), (1, 3, 0.8)]
    assert near_pairs(["a"]) == [] and near_pairs(["...", "!!!"]) == []
    np.testing.assert_allclose(cell_overlap(["a b", "a c", "x", "y z"], [0, 0, 1, 2]), [1 / 3])
    frames = shared_frames(["one two three four five six", "One two three, four five!", "one two three four five"],
                           ["i", "j", "j"])
    assert frames == {"one two three four five": {"i", "j"}}


def test_power_line_agrees_with_a_simulation(quick):
    line = next(line for line in make(m=12).check(power=True).lines if line.name == "power")
    effect = float(line.text.rsplit(" ", 1)[1])
    random = np.random.default_rng(0)
    p = stats.ttest_1samp(random.normal(effect, 1, (4000, 12)), 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.025)


def test_factorial_sets_are_checked_by_their_contrasts(quick):
    checks = StimulusSet.from_yaml(DATA / "between.yaml").check()
    assert set(checks.table["comparison"]) == {"valence", "domain", "interaction", "crossed"}
    assert checks.worst in ("ok", "note", "warning")


def test_check_of_another_contrast_and_of_an_unknown_one(quick):
    stimuli = make()
    assert "target - far" in found(stimuli.check(contrast="target - far"), "design")
    with pytest.raises(ValueError, match="unknown name"):
        stimuli.check(contrast="targt - far")


@pytest.mark.parametrize("body, said", [
    ("[She hates every visit, now that a baby sleeps in the room.]", "begin in small letters after one without an end mark"),
    ("[Mara #hates the sound of the rain on the roof of the shed]", None),
    ("- Mara #hates the sound of the rain on the roof of the shed.", "one word among sentences"),
])
def test_pieces_of_a_text_are_told(tmp_path, body, said):
    """YAML cuts an unquoted text at a comma inside brackets and at a number sign."""
    from cogneuro_sae.errors import InputError

    lines = ["name: cutting", "concept: cutting", "definition: Something is cut.", "conditions: {target: a, near: b}",
             "contrasts: {main: target - near}", "items:"]
    for n in range(4):
        target = body if n == 0 else f'["Scene {n} holds a person who cuts a thing in two here."]'
        lines += [f"  - item: i{n}", "    target:" + (f"\n      {target}" if target.startswith("-") else f" {target}"),
                  f'    near: ["Scene {n} holds a person who keeps a thing in one piece."]']
    path = tmp_path / "cutting.yaml"
    path.write_text("\n".join(lines) + "\n")
    if said is None:
        with pytest.raises(InputError, match="not valid YAML"):
            StimulusSet.from_yaml(path)
        return
    found = [line.text for line in StimulusSet.from_yaml(path).check().lines if line.name == "cut"]
    assert len(found) == 1 and said in found[0]
