"""Gates of the judge: every simulated fault is caught by its own gate, a good judge passes, nothing missing is lost."""

import json

import numpy as np
import pandas as pd
import pytest
from judge_simulation import ARMS, Judge, as_items, rate, study, world

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.agreement import alpha_interval, auroc_interval, confusion, krippendorff_alpha, weighted_kappa
from cogneuro_sae.judge.gate_arms import missing_conclusion
from cogneuro_sae.judge.gate_checks import Context
from cogneuro_sae.judge.gates import gates
from cogneuro_sae.judge.items import write_items
from cogneuro_sae.judge.score_frame import NEVER, kind_of, score_frame
from cogneuro_sae.judge.tables import judge_tables, read_judge_table, read_scores, write_tables
from cogneuro_sae.judge.validity import first_line, passed_of, three_models, validity

pytestmark = pytest.mark.slow

HOSTILE = "=cmd <script>$x^$ [/] \x1b[31m"
SMALL = {"features": 20, "known": 44, "duplicates": 30, "others": ()}

# fault -> (judge, gates that must fail, gates that must not): a fault must not be blamed on the wrong thing
FAULTS = {
    "noisy": (Judge(noise=1.0), {"repeatability"}, {"known_items", "canaries", "missing", "control_floor"}),
    "does not read": (Judge(blind=0.9), {"known_items", "repeatability", "control_floor"}, {"missing"}),
    "an idea of its own": (Judge(own=2.0), {"agreement", "known_items"}, {"repeatability", "missing"}),
    "lenient": (Judge(lenient=1.2), {"leniency", "control_floor"}, {"known_items", "canaries", "missing", "severity"}),
    "severe": (Judge(lenient=-1.5), {"severity"}, {"known_items", "leniency", "control_floor", "canaries", "missing"}),
    "prefers an arm": (Judge(loves="rsa_discriminative"), {"arm_bias"},
                       {"known_items", "leniency", "severity", "control_floor", "repeatability", "canaries", "missing"}),
    "obeys canaries": (Judge(falls=0.5), {"canaries"},
                       {"known_items", "leniency", "severity", "control_floor", "arm_bias", "missing"}),
    "loses one arm": (Judge(loses={"max_any": 0.1}), {"missing", "missing_by_arm"},
                      {"known_items", "leniency", "severity", "control_floor", "canaries"}),
    "loses everywhere": (Judge(loses=dict.fromkeys(ARMS, 0.05)), {"missing"}, {"known_items", "leniency", "canaries"}),
    "loses known items": (Judge(loses={"known_positive": 0.4}), {"missing"}, {"missing_by_arm", "missing_conclusion"}),
    "loses what is good": (Judge(loses={"rsa_discriminative": 0.5}, loses_high=True),
                           {"missing", "missing_by_arm", "missing_conclusion"}, {"known_items", "leniency", "canaries"}),
}


def outcome(seed, judge=Judge(), **shape):
    """Gate -> True, False or None of judge:a, with the gates of the group."""
    found = gates(*study(seed, judge, **shape))
    rows = found[found["rater"].isin(["judge:a", "all"]) & found["limit"].notna()]
    return dict(zip(rows["gate"], rows["passed"]))


def fails(result):
    return {name for name, passed in result.items() if passed is False}


@pytest.mark.parametrize("name", ["lenient", "prefers an arm", "loses what is good"])
def test_each_fault_is_caught_by_its_gate(name):
    judge, must, must_not = FAULTS[name]
    result = outcome(1, judge, **SMALL)
    assert must <= fails(result) and not must_not & fails(result), result


def test_a_good_judge_passes_every_gate():
    result = outcome(0, **SMALL)
    assert set(result) == {"agreement", "controls", "known_items", "leniency", "severity", "canaries", "control_floor", "arm_bias",
                           "repeatability", "missing", "missing_by_arm", "missing_conclusion"}
    assert all(passed is True for passed in result.values()), result


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_caught_with_other_seeds_too(name):
    judge, must, must_not = FAULTS[name]
    for seed in range(20, 23):
        result = outcome(seed, judge, **SMALL)
        assert must <= fails(result) and not must_not & fails(result), (seed, result)


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_caught_every_time(name):
    judge, must, must_not = FAULTS[name]
    results = [outcome(seed, judge) for seed in range(100, 120)]
    assert all(must <= fails(result) for result in results)
    assert sum(bool(must_not & fails(result)) for result in results) <= 1


@pytest.mark.long
def test_good_judges_pass():
    results = [outcome(seed) for seed in range(100, 140)]
    rate_of_pass = np.mean([all(passed is True for passed in result.values()) for result in results])
    print(f"{rate_of_pass:.1%} of {len(results)} good judges pass every gate")
    assert rate_of_pass >= 0.95


def test_a_failed_judge_is_not_valid_whatever_else_and_the_first_line_says_so():
    found = gates(*study(3, Judge(falls=0.6), **(SMALL | {"others": (("judge:b", Judge()), ("lexical", Judge(own=1.5)))})))
    state = {each.rater: each.verdict for each in validity(found)}
    assert state == {"judge:a": "not valid", "judge:b": "valid", "lexical": "not a judge"}
    line = first_line(found)
    assert line.startswith("NOT VALID: judge:a (target) fails canaries (0.") and "lexical is a baseline, not a judge" in line
    found.loc[found["gate"] == "agreement", "passed"] = False
    assert {each.verdict for each in validity(found)} == {"not valid", "not a judge"}, "a gate of the group holds for all"
    only = first_line(found[found["rater"].isin(["lexical", "all"])])
    assert only.startswith("No judge took part")


def test_what_cannot_be_measured_is_neither_passed_nor_failed():
    result = outcome(0, features=3, known=20, canaries=5, duplicates=5, others=(), human=None, repeats=1)
    assert {name for name, passed in result.items() if passed is None} >= {
        "agreement", "known_items", "leniency", "severity", "canaries", "control_floor", "arm_bias", "repeatability"}
    found = gates(*study(0, features=3, known=20, canaries=5, duplicates=5, others=(), human=None, repeats=1))
    assert first_line(found).startswith("Not shown to be valid: judge:a (target), because known_items, leniency")
    texts = dict(zip(found["gate"], found["text"]))
    assert "40 of each with a score are needed" in texts["known_items"] and "a second judge, or a human with 100" in texts["agreement"]
    fell = gates(*study(0, Judge(falls=1.0), features=3, known=20, canaries=5, duplicates=5, others=(), human=None))
    assert passed_of(fell[fell["gate"] == "canaries"]["passed"].iloc[0]) is False, "few canaries still convict"


@pytest.mark.slow
def test_a_short_human_sheet_and_a_baseline_are_no_second_judge():
    scores, items = study(0, **(SMALL | {"others": (("lexical", Judge()),)}))
    sheet = scores[(scores["rater"] == "human:anna") & (scores["feature"] != "")].iloc[:60]
    found = gates(pd.concat([scores[scores["rater"] != "human:anna"], sheet]), items)
    row = found[found["gate"] == "agreement"].iloc[0]
    assert row["passed"] is None and "human:anna (100 are needed)" in row["text"]
    row = found[(found["gate"] == "arm_bias") & (found["rater"] == "judge:a")].iloc[0]
    assert row["passed"] is None and "no second judge" in row["text"]
    assert kind_of("lexical") == "baseline" and kind_of("x", {"x": "human"}) == "human" and kind_of("openai:m") == "judge"


@pytest.mark.slow
def test_two_judges_without_a_human_are_both_suspect_of_the_preference_of_one():
    found = gates(*study(0, Judge(loves="max_any"), human=None, features=20, known=44, duplicates=30))
    assert list(found[found["gate"] == "arm_bias"]["passed"]) == [False, False]


def test_missing_calls_are_found_in_every_form():
    scores, items = study(0, human=None, **SMALL)
    arm = scores[(scores["arm"] == "max_any")]
    dropped = scores.drop(arm.index[:30])
    frame = score_frame(dropped, items)
    assert len(frame) == len(scores) and (frame["status"] == NEVER).sum() == 30 and not frame["answered"][frame["status"] == NEVER].any()
    scores["status"] = scores["status"].astype(object)
    scores.loc[arm.index[:30], ["status", "state"]] = ["", "pending"]
    scores.loc[arm.index[30:40], "status"] = "unparsable"       # a score beside a failure is no score
    frame = score_frame(scores, items)
    assert frame.loc[arm.index[:40], "score"].isna().all() and (~frame["answered"]).sum() == 40
    found = gates(dropped, items).set_index("gate")
    assert found.loc["missing", "passed"] is False and found.loc["missing", "value"] == 30 / 240
    assert "30 of 240 calls of max_any" in found.loc["missing", "text"] and NEVER in found.loc["missing", "text"]


@pytest.mark.slow
def test_a_conclusion_must_stand_with_missing_scores_at_either_end():
    for arm, fill in (("rate_matched", 3), ("rsa_discriminative", 0)):
        scores, items = study(0, Judge(loses={arm: 0.4}), features=20, known=0, canaries=0, duplicates=0, others=(), human=None)
        frame = score_frame(scores, items)
        found = missing_conclusion(frame, Context(frame, "judge:a", "target", {"judge:a": "judge"}, None, 0))
        assert found.passed is False and f"with missing = {fill}" in found.text, found.text


def test_the_frame_refuses_what_does_not_fit():
    scores, items = study(0, others=(), human=None, features=2, duplicates=2)
    with pytest.raises(InputError, match="lack status"):
        score_frame(scores.drop(columns="status"), items)
    with pytest.raises(InputError, match="items of the scores are unknown"):
        score_frame(scores, items.iloc[5:])
    with pytest.raises(InputError, match="no items"):
        score_frame(scores, [])


def test_alpha_equals_the_published_example_and_the_library():
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example D: nominal .743, ordinal .815, interval .849
    nan = np.nan
    data = np.array([[1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
                     [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan]]).T
    for distance, value in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)):
        assert krippendorff_alpha(data, distance=distance) == pytest.approx(value, abs=6e-4)
    assert np.isnan(krippendorff_alpha(np.ones((5, 2)))) and np.isnan(krippendorff_alpha(np.full((3, 2), nan)))
    with pytest.raises(InputError, match="did you mean 'ordinal'"):
        krippendorff_alpha(data, distance="ordinl")
    import krippendorff as library

    rng = np.random.default_rng(0)
    for _ in range(20):
        ratings = np.clip(np.round(rng.normal(1.5, 1, (40, 1)) + rng.normal(0, 0.6, (40, 3))), 0, 3)
        ratings[rng.random(ratings.shape) < 0.3] = nan
        for distance in ("nominal", "ordinal", "interval"):
            assert krippendorff_alpha(ratings, distance=distance) == pytest.approx(
                library.alpha(ratings.T, level_of_measurement=distance), abs=1e-12)


def test_alpha_is_resampled_over_features_not_windows():
    rng = np.random.default_rng(1)
    own = np.repeat(rng.integers(0, 4, 12), 20).astype(float)        # 12 features, 20 windows alike in each
    off = np.repeat(rng.random(12) < 0.4, 20)
    ratings = np.column_stack([own, np.where(off, 3 - own, own)])
    narrow, wide = (alpha_interval(ratings, clusters) for clusters in (np.arange(240), np.repeat(np.arange(12), 20)))
    assert narrow.value == wide.value and wide.high - wide.low > 2.5 * (narrow.high - narrow.low)
    assert alpha_interval(ratings, np.zeros(240)).reason == "one feature: no interval"
    assert "no window has two scores" in alpha_interval(ratings[:, :1], np.arange(240)).reason
    with pytest.raises(InputError, match="3 clusters"):
        alpha_interval(ratings, np.arange(3))


def test_weighted_kappa_and_confusion_by_hand():
    first, second = [0, 0, 1, 3, 3, np.nan], [0, 1, 1, 3, 1, 2]
    counts = confusion(first, second, levels=range(4))
    assert counts.to_numpy().tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]]
    # observed: (0 + 1 + 0 + 0 + 4) / 5; expected from margins rows 2 1 0 2, columns 1 3 0 1
    expected = sum(r * c * (i - j) ** 2 for i, r in enumerate([2, 1, 0, 2]) for j, c in enumerate([1, 3, 0, 1])) / 25
    assert weighted_kappa(first, second, levels=range(4)) == pytest.approx(1 - 1.0 / expected)
    assert np.isnan(weighted_kappa([1, 1], [1, 1], levels=range(4)))


def test_an_area_that_misses_1_by_the_last_bit_has_an_interval(monkeypatch):
    monkeypatch.setattr("sklearn.metrics.roc_auc_score", lambda truth, score: 1 - 2.0**-53)
    assert auroc_interval(np.full(40, 3.0), np.zeros(40)).high == 1


def test_auroc_interval_by_hand_and_at_the_ends():
    found = auroc_interval(np.array([1.0, 2, 3]), np.array([0.0, 1, 2]))
    assert found.value == pytest.approx((3 + 1 + 2 + 0.5 + 0.5) / 9) and found.low < found.value < found.high
    perfect = auroc_interval(np.full(40, 3.0), np.zeros(40))
    assert perfect.value == 1 and 0.9 < perfect.low < 0.97 and perfect.high == 1
    worst = auroc_interval(np.zeros(40), np.full(40, 3.0))
    assert (worst.low, worst.high) == (0, pytest.approx(1 - perfect.low))
    rng = np.random.default_rng(0)
    for m, n in rng.integers(1, 90, (150, 2)):      # perfect up to the last bit of a float, or nearly so
        scores = np.clip(np.round(2 * rng.normal(rng.choice([1.0, 3.0, 6.0]), 0.6, m)) / 2, 0, 3)
        found = auroc_interval(scores, np.clip(np.round(2 * rng.normal(0, 0.6, n)) / 2, 0, 3))
        assert 0 <= found.low <= found.value <= found.high <= 1 and found.low < 1 and found.high > 0
    assert "one side" in auroc_interval(np.array([]), np.zeros(3)).reason


@pytest.mark.slow
def test_the_auroc_interval_covers_with_ties():
    rng, inside, n = np.random.default_rng(0), 0, 400
    cut = lambda x: np.clip(np.round(x), 0, 3)  # noqa: E731
    truth = auroc_interval(cut(rng.normal(1.9, 0.9, 3000)), cut(rng.normal(0.9, 0.9, 3000))).value
    for _ in range(n):
        found = auroc_interval(cut(rng.normal(1.9, 0.9, 40)), cut(rng.normal(0.9, 0.9, 40)))
        inside += found.low <= truth <= found.high
    assert 0.93 <= inside / n <= 1


@pytest.mark.slow
def test_tables_survive_a_round_trip_with_hostile_names(tmp_path):
    items = world(0, features=6, known=6, canaries=2, duplicates=4, arms={"max_any": 2.0, HOSTILE.replace("+", ""): 0.5})
    scores = rate(items, Judge(loses={"max_any": 0.1}), rater="judge:" + HOSTILE, seed=0)
    made = as_items(items.drop(columns="true"))
    tables = judge_tables(scores, made)
    write_tables(tables, tmp_path)
    for name, table in tables._asdict().items():
        back = read_judge_table(tmp_path / f"{name}.csv")
        assert list(back) == list(table) and len(back) == len(table)
        for column in table.select_dtypes("number"):
            np.testing.assert_allclose(back[column].astype(float), table[column].astype(float), equal_nan=True)
    assert "\n=cmd" not in (tmp_path / "arms.csv").read_text() and ",=cmd" not in (tmp_path / "arms.csv").read_text()
    assert set(read_judge_table(tmp_path / "arms.csv")["name"]) >= {HOSTILE}
    assert [passed_of(value) for value in read_judge_table(tmp_path / "gates.csv")["passed"]] == [
        passed_of(value) for value in tables.gates["passed"]]
    scores.to_csv(tmp_path / "scores.csv", index=False)
    write_items(made, tmp_path / "items.jsonl")
    pd.testing.assert_frame_equal(read_scores(tmp_path)[["item", "score", "arm", "bin", "answered"]],
                                  score_frame(scores, made)[["item", "score", "arm", "bin", "answered"]])


def test_three_models_or_it_is_said():
    assert "are different models" in three_models({"a": "m1"}, writer="m2", studied="m3")
    assert "a is also the studied model" in three_models({"a": "m1"}, writer="m2", studied="m1")
    assert "the studied model wrote the stimuli" in three_models({"a": "m1"}, writer="m2", studied="m2")
    assert "who wrote the stimuli is not recorded" in three_models({"a": "m1"}, writer="", studied="m2")


def test_rubrics_with_known_answers_are_gated_on_missing_scores_and_show_the_rest():
    scores, items = study(0, features=12, known=0, canaries=0, duplicates=20, human=None)
    scores = scores.assign(rubric="detection", score=(scores["score"] > 0).astype(float))
    found = gates(scores, items.assign(rubric="detection"))
    held = set(found[found["limit"].notna()]["gate"])
    assert held == {"missing", "missing_by_arm", "missing_conclusion"}
    assert {"repeatability", "agreement", "repeats"} <= set(found[found["limit"].isna()]["gate"])


def test_labels_of_free_explanations_reach_the_feature_table():
    scores, items = study(0, others=(), human=None, features=3, known=0, canaries=0, duplicates=0, repeats=1)
    items = items.assign(rubric="explanation", bin=-1)
    label = json.dumps({"label": HOSTILE, "explanation": "x", "certainty": 0.5})
    tables = judge_tables(scores.assign(rubric="explanation", score=0.5, label=label), items)
    assert (tables.features["label"] == HOSTILE).all() and (tables.features["certainty"] == 0.5).all()
    assert (tables.features["n_windows"] == 6).all() and (tables.features["status"] == "ok").all()
