"""Every importer on a small file made here: what becomes item, condition, span and text; one clear line for every fault."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae import cli
from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.stimuli import StimulusSet
from cogneuro_sae.stimuli.importing import IMPORTERS, Draft, ImportOptions, import_set, write_set
from cogneuro_sae.stimuli.importing.drawing import drawn_rows, shares
from cogneuro_sae.stimuli.importing.names import numbered, valid_names
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.schema import check_name

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PUBLIC = Path(os.environ.get("COGNEURO_STIMULI_DATA", ROOT.parent / "shared" / "data" / "stimuli"))
WORDS = "amber birch cedar delta ember frost grove heron islet jetty knoll larch maple north otter pearl".split()


def load(source, name="s", **options):
    return import_set(source, name=name, options=ImportOptions(**options))


def write_lines(path, lines, *, gz=False):
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if gz else data)
    return path


def run(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in words])
    shown = capsys.readouterr()
    return left.value.code, shown.out, shown.err


def fault(source, **options):
    with pytest.raises((InputError, SetupError)) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------ BLiMP


def blimp_lines(uid="island", n=12, **change):
    return [json.dumps({"UID": uid, "field": "syntax", "linguistics_term": "island_effects", "pairID": str(k),
                        "sentence_good": f"Who does {word} see after it?", "sentence_bad": f"Who does after {word} see it?",
                        **change.get(str(k), {})}) for k, word in enumerate(WORDS[:n])]


@pytest.mark.parametrize("gz", [False, True])
def test_blimp(tmp_path, gz):
    path = write_lines(tmp_path / ("b.jsonl.gz" if gz else "b.jsonl"), blimp_lines() + blimp_lines("npi"), gz=gz)
    imported = load(path, select="npi")
    stimuli = imported.stimuli
    assert imported.format == "blimp" and stimuli.conditions == ("target", "near") and len(stimuli) == 24
    assert stimuli.labels == {"target": "acceptable", "near": "unacceptable"}
    row = stimuli.table.iloc[3]
    assert (row["item"], row["condition"], row["text"]) == ("1", "near", "Who does after birch see it?")
    assert stimuli.licence.startswith("CC-BY-4.0, BLiMP") and "npi" in stimuli.definition
    assert stimuli.design().scheme.kind == "swap" and stimuli.design().scheme.n_units == 12


def test_blimp_wants_a_known_paradigm_and_sound_pairs(tmp_path):
    path = write_lines(tmp_path / "b.jsonl", blimp_lines() + blimp_lines("npi"))
    assert fault(path).endswith("holds 2 paradigms; allowed: island, npi; choose one with --select UID")
    assert "unknown UID 'iland'; allowed: island, npi; did you mean 'island'?" in fault(path, select="iland")
    same = {"3": {"sentence_bad": "Who does delta see after it?"}}
    path = write_lines(tmp_path / "c.jsonl", blimp_lines(**same))
    assert load(write_lines(tmp_path / "one.jsonl", blimp_lines())).stimuli.table["item"].nunique() == 12
    assert "1 of 12 items cannot be used: '3' has a text that stands in target and near" in fault(path)
    imported = load(path, skip_faulty=True)
    assert "3" not in set(imported.stimuli.table["item"]) and "1 of 12 items were left out: '3'" in imported.notes[0]
    assert imported.notes[0] in imported.comment
    path = write_lines(tmp_path / "d.jsonl", blimp_lines(**{"3": {"pairID": "2"}}))
    assert "d.jsonl:4: the pairID '2' is there twice (first at line 3)" in fault(path)
    path = write_lines(tmp_path / "e.jsonl", blimp_lines(**{"3": {"sentence_bad": 7}}))
    assert "e.jsonl:4: sentence_bad is 7" in fault(path)


# ------------------------------------------------------------------ SyntaxGym


def suite(tmp_path, conditions, formulas, *, gz=False, n=8, name="agree"):
    """`conditions` maps a name to a function of a word that gives the regions."""
    items = [{"item_number": k + 1, "conditions": [
        {"condition_name": each, "regions": [{"region_number": r, "content": content}
                                             for r, content in enumerate(regions(word), 1)]}
        for each, regions in (conditions.items() if k % 2 else list(conditions.items())[::-1] if k else conditions.items())]}
        for k, word in enumerate(WORDS[:n])]
    data = json.dumps({"meta": {"name": name}, "region_meta": {}, "items": items,
                       "predictions": [{"type": "formula", "formula": each} for each in formulas]}).encode()
    path = tmp_path / f"{name}.json{'.gz' if gz else ''}"
    path.write_bytes(gzip.compress(data) if gz else data)
    return path


NUMBER = {
    "match_sing": lambda word: [f"The {word}", "by", "the hills", "is", "good"],
    "mismatch_sing": lambda word: [f"The {word}", "by", "the hills", "are", "good"],
    "match_plural": lambda word: [f"The {word}s", "by", "the hill", "are", "good"],
    "mismatch_plural": lambda word: [f"The {word}s", "by", "the hill", "is", "good"],
}


@pytest.mark.parametrize("gz", [False, True])
def test_a_suite_with_crossed_names_has_factors_and_critical_spans(tmp_path, gz):
    formula = "((4;%match_sing%) < (4;%mismatch_sing%)) & ((4;%match_plural%) < (4;%mismatch_plural%))"
    imported = load(suite(tmp_path, NUMBER, [formula], gz=gz))
    stimuli = imported.stimuli
    assert imported.format == "syntaxgym"
    assert stimuli.factors == {"match_or_mismatch": ("match", "mismatch"), "sing_or_plural": ("sing", "plural")}
    assert stimuli.contrasts == {
        "match_or_mismatch": "match - mismatch", "sing_or_plural": "sing - plural",
        "interaction": "(match_sing - match_plural) - (mismatch_sing - mismatch_plural)"}
    table = stimuli.table.set_index(["item", "condition"])
    assert table.loc[("2", "mismatch_sing"), "text"] == "The birch by the hills are good"
    assert table.loc[("2", "mismatch_sing"), "span"] == "are" and table.loc[("1", "match_sing"), "span"] == "is"
    assert stimuli.licence.startswith("MIT, SyntaxGym") and all(stimuli.design(c) for c in stimuli.contrasts)


def test_the_factor_that_the_predictions_compare_comes_first(tmp_path):
    formula = "((4;%match_sing%) < (4;%match_plural%)) & ((4;%mismatch_sing%) < (4;%mismatch_plural%))"
    assert next(iter(load(suite(tmp_path, NUMBER, [formula])).stimuli.contrasts)) == "sing_or_plural"


def test_levels_that_occur_in_two_places_or_hold_hyphens_become_valid(tmp_path):
    conditions = {f"{a}_{b}": lambda word, a=a, b=b: [f"{a} {word}", "that", f"{b} thing", "saw", "ever"]
                  for a in ("neg", "no-pos") for b in ("neg", "no-pos")}
    imported = load(suite(tmp_path, conditions, ["(5;%neg_neg%) < (5;%no-pos_neg%)"]))
    assert imported.stimuli.factors == {"neg1_or_nopos1": ("neg1", "nopos1"), "neg2_or_nopos2": ("neg2", "nopos2")}
    assert "neg_no-pos = neg1_nopos2" in imported.notes[0]
    table = imported.stimuli.table.set_index(["item", "condition"])
    assert table.loc[("1", "neg1_nopos2"), "text"] == "neg amber that no-pos thing saw ever"


def test_other_suites_keep_conditions_with_their_names_as_labels(tmp_path):
    conditions = {"Plaus-ible": lambda word: ["While", f"the {word}", ", they said ,", "is", "seen", ""],
                  "implausible": lambda word: ["While", f"a {word}", "", "was", "is", "so ."]}
    imported = load(suite(tmp_path, conditions, ["((4;%Plaus-ible%) + (5;%Plaus-ible%)) < (5;%implausible%)"]))
    stimuli = imported.stimuli
    assert stimuli.labels == {"plaus_ible": "Plaus-ible", "implausible": "implausible"}
    table = stimuli.table.set_index("condition")
    assert table.loc["plaus_ible", "text"].iloc[0] == "While the amber, they said, is seen"
    assert table.loc["plaus_ible", "span"].iloc[0] == "is seen"
    assert table.loc["implausible", "text"].iloc[0] == "While a amber was is so."
    assert table.loc["implausible", "span"].iloc[0] == "is"
    assert stimuli.contrasts == {"main": "plaus_ible - implausible"}


def test_a_critical_region_that_stands_twice_gets_words_before_it(tmp_path):
    conditions = {"a": lambda word: ["is", f"the {word}", "is", "x"], "b": lambda word: ["was", f"a {word}", "is", "y"]}
    imported = load(suite(tmp_path, conditions, ["(3;%a%) > (3;%b%)"]))
    spans = imported.stimuli.table.groupby("condition")["span"].first()
    assert spans["a"] == "amber is" and spans["b"] == "is" and "8 spans begin before" in " ".join(imported.notes)
    start, stop = imported.stimuli.spans[0]
    assert imported.stimuli.texts[0][start:stop] == "amber is"


# ------------------------------------------------------------------ LRE


def relation(tmp_path, pairs, templates=("The capital of {} is",), zs=("{} is ruled from",), name="capital"):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"name": name, "prompt_templates": list(templates), "prompt_templates_zs": list(zs),
                                "properties": {}, "samples": [{"subject": a, "object": b} for a, b in pairs]}))
    return path


CAPITALS = [("Peru", "Lima"), ("Mexico", "Mexico City"), ("Chile", "Santiago"), ("Cuba", "Havana"), ("Mali", "Bamako"),
            ("Fiji", "Suva"), ("Togo", "Lome"), ("Chad", "N'Djamena")]


def test_a_relation_becomes_true_and_false_statements(tmp_path):
    imported = load(relation(tmp_path, CAPITALS), seed=3)
    table = imported.stimuli.table
    assert imported.format == "lre" and table["item"].nunique() == 8 and len(table) == 32
    true = table[table["condition"] == "target"].set_index("id")
    assert true.loc["Mexico.target.1", "text"] == "The capital of Mexico is Mexico City."
    assert true.loc["Mexico.target.1", "span"] == "Mexico City" and true.loc["Peru.target.2", "text"] == "Peru is ruled from Lima."
    near = table[(table["condition"] == "near") & (table["paraphrase"] == 1)]
    given = [text.split(" is ")[1] for text in near["text"]]
    assert sorted(given) == sorted(f"{b}." for _, b in CAPITALS)
    assert all(f"{b}." != each for (_, b), each in zip(CAPITALS, given))
    assert [text.split(" ruled from ")[1] for text in table.loc[(table["condition"] == "near") & (
        table["paraphrase"] == 2), "text"]] == given
    again = load(relation(tmp_path, CAPITALS), seed=3).stimuli
    assert again.sha256 == imported.stimuli.sha256
    assert len({load(relation(tmp_path, CAPITALS), seed=seed).stimuli.sha256 for seed in range(6)}) > 3
    assert imported.stimuli.continuations == () and "seed=3" in imported.comment


def feasible(pairs):
    """Whether the objects can be exchanged so that all become false, by augmenting paths."""
    pairs, owner = sorted(pairs), {}

    def placed(number, tried):
        for other in range(len(pairs)):
            if (pairs[number][0], pairs[other][1]) not in pairs and other not in tried:
                tried.add(other)
                if other not in owner or placed(owner[other], tried):
                    owner[other] = number
                    return True
        return False

    return all(placed(number, set()) for number in range(len(pairs)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from("ABCDE")), min_size=6, max_size=24), st.integers(0, 99))
def test_no_exchanged_object_is_true_and_all_are_kept(tmp_path_factory, pairs, seed):
    path = relation(tmp_path_factory.mktemp("r"), pairs, zs=())
    try:
        stimuli = load(path, seed=seed).stimuli
    except InputError as error:
        pairs = set(pairs)
        most = Counter(b for _, b in pairs).most_common(1)[0][1]
        assert most > len(pairs) / 2 or "no exchange" in str(error) and not feasible(pairs), error
        return
    true = {(a, f"{b}.") for a, b in pairs}
    said = [(text.split()[3], text.split()[-1]) for text in stimuli.table.loc[stimuli.table["condition"] == "near", "text"]]
    assert not set(said) & true
    assert Counter(b for _, b in said) == Counter(b for _, b in true)


def test_a_frequent_object_is_told_and_thinned_when_asked(tmp_path):
    path = relation(tmp_path, [(word, "red" if k < 6 else "blue") for k, word in enumerate(WORDS[:10])])
    assert "6 of 10 samples have the object 'red', so 2 cannot get another one; give --skip-faulty" in fault(path)
    imported = load(path, skip_faulty=True)
    assert imported.stimuli.table["item"].nunique() == 8 and "2 samples with the object 'red'" in " ".join(imported.notes)
    assert "all samples have the object 'x'" in fault(relation(tmp_path, [("a", "x"), ("b", "X")]), skip_faulty=True)
    assert "the template 'no slot' does not hold {} once" in fault(relation(tmp_path, CAPITALS, templates=["no slot"]))


def test_limit_draws_samples_before_objects_are_exchanged(tmp_path):
    table = load(relation(tmp_path, CAPITALS, zs=()), limit=5, seed=1).stimuli.table
    objects = {name: sorted(text.split(" is ")[1] for text in part["text"]) for name, part in table.groupby("condition")}
    assert objects["target"] == objects["near"] and len(objects["near"]) == 5


def test_what_is_true_of_a_sample_that_was_not_drawn_stays_true(tmp_path):
    pairs = [(word, letter) for k, word in enumerate(WORDS[:8]) for letter in ("AB", "CD", "EF", "GH")[k % 4]]
    for seed in range(10):
        table = load(relation(tmp_path, pairs, zs=()), limit=9, seed=seed, skip_faulty=True).stimuli.table
        near = table.loc[table["condition"] == "near", "text"]
        assert not {(text.split()[3], text[-2]) for text in near} & set(pairs)


def test_continuations_have_equal_token_counts(tmp_path):
    imported = load(relation(tmp_path, CAPITALS), count_tokens=lambda text: len(text.split()))
    entries = imported.stimuli.continuations
    assert all(len(entry["target"].split()) == len(entry["foil"].split()) == 1 for entry in entries)
    capital, first = dict(CAPITALS), entries[0]
    assert len(entries) == 12 and first["prompt"] == f"The capital of {first['item']} is"
    assert first["target"] == f" {capital[first['item']]}" and first["foil"] != first["target"]
    assert "12 of 16 prompts became continuations, those with equal token counts" in imported.notes


# ------------------------------------------------------------------ norms and lines


def norms(tmp_path, name="n.csv", rows=None):
    rows = rows or [(word, k + 1, 10 - k if k != 2 else "") for k, word in enumerate(WORDS[:9])]
    return write_lines(tmp_path / name, ["word,be.moved,heavy"] + [",".join(map(str, row)) for row in rows])


def test_norms_cut_at_the_median_or_in_thirds(tmp_path):
    path = norms(tmp_path)
    imported = load(path, graded=("be.moved", "heavy"), template="a photo of {word}")
    table = imported.stimuli.table.set_index("item")
    assert imported.stimuli.conditions == ("high", "low") and imported.stimuli.independent
    assert [word for word in WORDS[:9] if table["condition"].get(word) == "low"] == WORDS[:4]
    assert WORDS[4] not in table.index and table.loc["amber", "text"] == "a photo of amber"
    assert imported.stimuli.graded == ("be_moved", "heavy") and table.loc["birch", "be_moved"] == 2.0
    assert np.isnan(table.loc["cedar", "heavy"]) and table.loc["amber", "heavy"] == 10.0
    assert "1 words between low and high be.moved were left out (median)" in imported.notes
    table = load(path, graded=("heavy",), cut="thirds").stimuli.table.set_index("item")
    # eight known values 2..10 without 8; thirds of them lie at 4.33 and 6.67
    assert set(table.index[table["condition"] == "low"]) == {"grove", "heron", "islet"}
    assert set(table.index[table["condition"] == "high"]) == {"amber", "birch", "delta"}
    assert "cedar" not in table.index
    counts = load(path, graded=("be.moved",), cut="thirds").stimuli.table["condition"].value_counts()
    assert counts.to_dict() == {"high": 3, "low": 3}


def test_categories_are_cut_by_their_two_values(tmp_path):
    rows = [(word, 1 if k < 3 else "", "") for k, word in enumerate(WORDS[:9])]
    path = norms(tmp_path, rows=rows + [("", 3, "")])
    assert "1 rows have no word; remove them" in fault(path, graded=("be.moved",))
    assert "1 different values cannot be cut in two" in fault(path, graded=("be.moved",), skip_faulty=True)
    stimuli = load(path, graded=("be.moved",), empty=0.0, skip_faulty=True).stimuli
    assert stimuli.table.set_index("item")["condition"].to_dict() == {
        word: "high" if k < 3 else "low" for k, word in enumerate(WORDS[:9])}


def test_norms_tell_text_in_numbers_ties_and_missing_choices(tmp_path):
    path = norms(tmp_path, rows=[("a", 1, 2), ("b", "many", 2), ("c", 3, 2)])
    assert "n.csv:2: the graded column 'be.moved' holds '1'" in fault(path, graded=("be.moved",))
    assert "heavy: 1 different values" in fault(path, graded=("heavy",))
    assert "norms are cut by a column of numbers; allowed: heavy; choose one with --graded" in fault(path, format="norms")
    assert "unknown graded column 'haevy'; allowed: heavy; did you mean 'heavy'?" in fault(path, graded=("haevy",))
    path = norms(tmp_path, rows=[(word, min(k, 1) if k < 8 else 9, 1) for k, word in enumerate(WORDS[:9])])
    assert "too many words share the value 1 for a cut by thirds" in fault(path, graded=("be.moved",), cut="thirds")


def test_the_two_things_files_bring_their_licence_and_homonyms_stay_apart(tmp_path):
    lines = ["uniqueID,manmade_mean"] + [f"{word},{k}" for k, word in enumerate([*WORDS[:6], "ice_cream", "bat1"])]
    imported = load(write_lines(tmp_path / "a.csv", lines), graded=("manmade_mean",))
    assert imported.stimuli.licence.startswith("CC0-1.0, THINGS") and "ice cream" in imported.stimuli.texts
    lines = ["word;size"] + [f"{word};{k}" for k, word in enumerate([*WORDS[:6], "bat", "bat"])]
    imported = load(write_lines(tmp_path / "b.csv", lines), graded=("size",), separator=";")
    assert {"bat", "bat-2"} <= set(imported.stimuli.table["item"]) and imported.stimuli.licence == ""


def test_lines_make_one_condition_per_file(tmp_path):
    good = write_lines(tmp_path / "good.txt", [f"{word} shines \x96 here ." for word in WORDS[:6]] + ["", "  "])
    bad = write_lines(tmp_path / "bad.tok.txt.gz", [f"{word} rots here ." for word in WORDS[:6]], gz=True)
    imported = load([f"Good one={good}", bad])
    stimuli = imported.stimuli
    assert stimuli.conditions == ("good_one", "bad") and stimuli.labels["good_one"] == "Good one" and stimuli.independent
    assert len(stimuli) == 12 and stimuli.ids[0] == "good_one-1.good_one.1"
    assert "amber shines \x96 here ." in stimuli.texts
    again = StimulusSet.from_yaml(write_set(imported, tmp_path / "s.yaml"))
    assert again.texts == stimuli.texts and "no licence is known" in " ".join(imported.notes)
    assert "control characters, kept as they are and shown escaped (first: good.txt:1)" in imported.comment
    assert str(tmp_path) not in imported.comment
    assert "one file of lines makes one condition" in fault([f"a={good}"])
    assert "two files make the condition 'a'" in fault([f"a={good}", f"a={bad}"])
    write_lines(tmp_path / "good.txt", ["amber rots here .", "birch shines", "cedar shines", "x shines"])
    assert "'good-1' has a text that stands in good and bad: 'amber rots here .'" in fault([good, bad])
    assert load([good, bad], skip_faulty=True).stimuli.table["item"].nunique() == 8


# ------------------------------------------------------------------ tables and datasets


def frame(n=6, **columns):
    rows = [(f"{word} {side} here", k, side) for k, word in enumerate(WORDS[:n]) for side in ("target", "near")]
    made = pd.DataFrame(rows, columns=["text", "item", "condition"])
    return made.assign(**columns)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz"])
def test_tables_of_all_kinds_are_one_set(tmp_path, kind):
    table, path = frame(score=range(12)), tmp_path / f"t.{kind}"
    writer = {"csv": table.to_csv, "tsv": lambda path, index: table.to_csv(path, sep="\t", index=index),
              "jsonl": lambda path, index: table.to_json(path, orient="records", lines=True), "parquet": table.to_parquet}
    writer[kind.removesuffix(".gz")](path, index=False)
    imported = load(path)
    expected = StimulusSet.from_frame(table.assign(item=table["item"].astype(str), score=table["score"].astype(float)),
                                      name="s", concept="s", contrasts={"main": "target - near"})
    assert imported.format == "table" and imported.stimuli.sha256 == expected.sha256
    assert imported.stimuli.concept == "s" and imported.notes[0] == "no licence is known: say it with --licence"


def test_columns_conditions_and_items_get_valid_names(tmp_path):
    table = pd.DataFrame({"sentence": [f"{word} {side}" for word in WORDS[:6] for side in "ab"],
                          "scene": [f"the {word}/x" for word in WORDS[:6] for _ in "ab"], "label": [1, 0] * 6,
                          "text": range(12), "c_1": range(12), "reaction time (ms)": range(12)})
    table.to_csv(tmp_path / "t.csv", index=False)
    imported = load(tmp_path / "t.csv", text="sentence", item="scene", condition="label", graded=("reaction time (ms)",))
    stimuli = imported.stimuli
    assert stimuli.conditions == ("c_1", "c_0") and stimuli.labels == {"c_1": "1", "c_0": "0"}
    assert stimuli.table["item"].iloc[0] == "the-amber-x"
    assert stimuli.covariates == ("c_1_2", "reaction_time_ms", "text_column") and stimuli.graded == ("reaction_time_ms",)
    assert "6 item names were made valid (first: 'the amber/x' is now the-amber-x)" in imported.notes
    assert StimulusSet.from_yaml(write_set(imported, tmp_path / "s.yaml")).sha256 == stimuli.sha256


def test_target_and_contrasts_order_the_conditions(tmp_path):
    frame().iloc[::-1].to_csv(tmp_path / "t.csv", index=False)
    assert load(tmp_path / "t.csv").stimuli.conditions == ("target", "near")
    frame().replace({"target": "b", "near": "a"}).to_csv(tmp_path / "u.csv", index=False)
    assert load(tmp_path / "u.csv").stimuli.conditions == ("b", "a")
    stimuli = load(tmp_path / "u.csv", contrast=("up: a - b", "b - a"), concept="c", definition="d", licence="l",
                   group="social", language="de").stimuli
    assert stimuli.conditions == ("a", "b") and dict(stimuli.contrasts) == {"up": "a - b", "main": "b - a"}
    assert (stimuli.concept, stimuli.definition, stimuli.licence, stimuli.group, stimuli.language) == (
        "c", "d", "l", "social", "de")
    assert "unknown name 'x'" in fault(tmp_path / "u.csv", contrast=("a - x",))
    assert "--contrast: the contrast 'main' is given twice" in fault(tmp_path / "u.csv", contrast=("a - b", "main: b - a"))


def test_factors_come_from_columns_and_between_is_seen(tmp_path):
    rows = [(f"{word} {mood} here", word, mood, "Work" if k % 2 else "1") for k, word in enumerate(WORDS[:8])
            for mood in ("low", "high")]
    pd.DataFrame(rows, columns=["text", "item", "mood", "field"]).to_csv(tmp_path / "t.csv", index=False)
    stimuli = load(tmp_path / "t.csv", factor=("mood", "field")).stimuli
    assert stimuli.factors == {"mood": ("low", "high"), "field": ("l1", "work")} and stimuli.layout.between == ("field",)
    assert dict(stimuli.contrasts)["mood"] == "low - high" and stimuli.design("mood").scheme.kind == "swap"


def test_texts_that_stand_alone(tmp_path):
    table = frame()[["text", "condition"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    assert "the column 'item' is missing" in fault(tmp_path / "t.csv") and "--independent" in fault(tmp_path / "t.csv")
    stimuli = load(tmp_path / "t.csv", independent=True).stimuli
    assert stimuli.independent and stimuli.table["item"].tolist() == [f"s{n:02d}" for n in range(1, 13)]
    with_items = frame()
    with_items.to_csv(tmp_path / "u.csv", index=False)
    assert "'0' has 2 texts, but items are independent" in fault(tmp_path / "u.csv", independent=True)


def test_what_a_table_lacks_is_told_in_one_line(tmp_path):
    path, table = tmp_path / "t.csv", frame()
    table.drop(index=[3, 6]).to_csv(path, index=False)
    assert fault(path).endswith("t.csv:4: 2 of 6 items cannot be used: '1' lacks near; '3' lacks target; mend them, or give "
                                "--skip-faulty to leave them out")
    assert load(path, skip_faulty=True).stimuli.table["item"].nunique() == 4
    table.assign(text=[" " if k in (1, 4, 7, 9) else text for k, text in enumerate(table["text"])]).to_csv(path, index=False)
    assert "4 of 6 items cannot be used: '0' has an empty text (near); '2' has an empty text (target); '3'" in fault(path)
    assert "; and 1 more; mend them" in fault(path)
    table.assign(item=[None if k in (1, 4) else k // 2 for k in range(12)]).to_csv(path, index=False)
    assert "t.csv: 2 rows lack 'item' (first: row at line 3); fill these cells" in fault(path)
    table.assign(span="here").assign(text=table["text"].where(table.index != 5, "no such")).to_csv(path, index=False)
    assert "the span 'here' does not occur in 'no such'" in fault(path)
    table.assign(span="nowhere").to_csv(path, index=False)
    assert "12 faults, the first: the span 'nowhere' does not occur" in fault(path)
    table.assign(text="same").to_csv(path, index=False)
    assert "no item is left" in fault(path, skip_faulty=True)
    table.iloc[:2].to_csv(path, index=False)
    assert "at least 2" in fault(path)


def test_far_foils_of_a_table_have_items_of_their_own(tmp_path):
    far = pd.DataFrame({"text": [f"far {word}" for word in WORDS[:4]], "item": [f"f{k}" for k in range(4)], "condition": "far"})
    pd.concat([far, frame()]).to_csv(tmp_path / "t.csv", index=False)
    stimuli = load(tmp_path / "t.csv").stimuli
    assert stimuli.conditions == ("target", "near", "far") and stimuli.contrasts["main"] == "target - near"
    assert stimuli.contrasts["versus_far"] == "target - far"


def test_datasets_folders(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    table = frame().replace({"target": 1, "near": 0}).astype({"condition": "int64"})
    saved = datasets.Dataset.from_pandas(table.assign(tags=[["x"]] * 12)).cast_column(
        "condition", datasets.ClassLabel(names=["Not so", "so"]))
    saved.save_to_disk(tmp_path / "one")
    imported = load(tmp_path / "one")
    assert imported.format == "datasets" and imported.stimuli.labels == {"so": "so", "not_so": "Not so"}
    assert "columns left out, their cells are not single values: tags" in imported.notes
    datasets.DatasetDict({"train": saved, "test": saved.select(range(6))}).save_to_disk(tmp_path / "two")
    assert "two: holds 2 splits; allowed: train, test; choose one with --select" in fault(tmp_path / "two")
    assert len(load(tmp_path / "two", select="test").stimuli) == 6
    assert "unknown split 'tset'" in fault(tmp_path / "two", select="tset")
    (tmp_path / "none").mkdir()
    assert "is no dataset saved by datasets' save_to_disk" in fault(tmp_path / "none")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(SetupError, match="folders of Hugging Face datasets need the library; pip install"):
        load(tmp_path / "one")


# ------------------------------------------------------------------ names, draws, registry


@pytest.mark.parametrize("kind", ["item", "condition", "level", "column", "id", "name"])
@settings(max_examples=40, deadline=None)
@given(originals=st.lists(st.text(max_size=80), max_size=12))
def test_valid_names_are_valid_and_distinct(kind, originals):
    names = valid_names(kind, originals, taken=["a"])
    assert list(names) == list(dict.fromkeys(originals))
    assert all(check_name(kind, name) == name for name in names.values())
    assert len({name.casefold() for name in names.values()}) == len(names) and "a" not in names.values()


def test_names_by_hand():
    assert valid_names("item", ["a b", "a-b", "A-B", "con", "ok"]) == {
        "a b": "a-b-2", "a-b": "a-b", "A-B": "A-B-3", "con": "con-2", "ok": "ok"}
    assert valid_names("level", ["no-obj", "1st", "\u00c9t\u00e9"]) == {"no-obj": "noobj", "1st": "l1st", "\u00c9t\u00e9": "ete"}
    assert numbered(["a", "a", "a 2", "a"]) == ["a", "a 3", "a 2", "a 4"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(1, 100))
def test_shares_sum_and_keep_proportions(sizes, total):
    total = min(total, sum(sizes))
    counts = shares(sizes, total)
    assert sum(counts) == total and all(0 <= count <= size for count, size in zip(counts, sizes))
    if total >= 2 * len(sizes):
        assert all(count >= min(2, size) for count, size in zip(counts, sizes))


def test_draws_keep_items_whole_and_kinds_in_proportion():
    rows = [Row(f"i{k}", side, f"{k} {side}", "") for k in range(30) for side in ("target", "near")]
    rows += [Row(f"f{k}", "far", f"far {k}", "") for k in range(10)]
    drawn = drawn_rows(rows, 12, seed=4)
    sizes = Counter(row.item for row in drawn)
    assert sum(item[0] == "i" for item in sizes) == 9 and sum(item[0] == "f" for item in sizes) == 3
    assert all(size == (2 if item[0] == "i" else 1) for item, size in sizes.items())
    assert [row for row in rows if row in drawn] == drawn and drawn_rows(rows, 12, seed=4) == drawn
    assert drawn_rows(rows, 12, seed=5) != drawn and drawn_rows(rows, 99) is rows


def test_confirm_items_are_a_share_and_take_their_twins(tmp_path):
    table = frame(10)
    table.loc[table["item"].isin([0, 1]) & (table["condition"] == "near"), "text"] = "the same near"
    table.to_csv(tmp_path / "t.csv", index=False)
    seen = set()
    for seed in range(12):
        split = load(tmp_path / "t.csv", confirm=0.3, seed=seed).stimuli.table.groupby("item")["split"].first()
        assert split["0"] == split["1"] and 3 <= (split == "confirm").sum() <= 4
        seen.add(split["0"])
    assert seen == {"confirm", "discovery"}
    table.assign(split="discovery").to_csv(tmp_path / "u.csv", index=False)
    assert "the source has a split already" in fault(tmp_path / "u.csv", confirm=0.3)


def test_options_that_mean_nothing_are_refused(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    assert "--template has no meaning for the format table; allowed: with norms" in fault(tmp_path / "t.csv", template="a {word}")
    assert "--model has no meaning" in fault(tmp_path / "t.csv", count_tokens=len)
    for options, told in (({"limit": 0}, "--limit"), ({"seed": -1}, "--seed"), ({"confirm": 1.0}, "--split-confirm"),
                          ({"cut": "half"}, "unknown cut 'half'; allowed: median, thirds"), ({"template": "word"}, "--template"),
                          ({"separator": ";;"}, "--separator")):
        with pytest.raises(InputError, match=told):
            ImportOptions(**options)


def test_formats_that_cannot_be_told_are_named(tmp_path):
    frame(score=range(12)).to_csv(tmp_path / "t.csv", index=False)
    assert "may be read as table or norms; say which with --format table or --format norms" in fault(
        tmp_path / "t.csv", graded=("score",))
    assert load(tmp_path / "t.csv", graded=("score",), format="table").stimuli.graded == ("score",)
    (tmp_path / "t.json").write_text("{}")
    assert "the format cannot be told; allowed: json, table, datasets, blimp, syntaxgym, lre" in fault(tmp_path / "t.json")
    assert "unknown format 'tabel'" in fault(tmp_path / "t.csv", format="tabel")
    for kind in ("blimp", "syntaxgym", "lre", "json", "datasets"):
        assert fault(tmp_path / "t.csv", format=kind)


def test_a_plugin_adds_a_reader(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from cogneuro_sae.stimuli.importing import IMPORTERS, Draft\nfrom cogneuro_sae.stimuli.items import Row\n"
        "def read(sources, options):\n    words = sources[0].text.split()\n"
        "    return Draft([Row(word, side, f'{side} {word}', 'x') for word in words for side in ('up', 'down')],\n"
        "                 {'conditions': {'up': 'up', 'down': 'down'}}, 'mine', ['read by hand'])\n"
        "IMPORTERS['mine'] = read\n")
    Path("t.abc").write_text(" ".join(WORDS[:6]))
    try:
        code, out, err = run(["import", "t.abc", "--format", "mine", "--plugin", "mine.py", "--to", "s.yaml"], capsys)
    finally:
        IMPORTERS.pop("mine", None)
    assert code == 0 and out == "s.yaml\n" and "note: read by hand" in err
    assert StimulusSet.from_yaml("s.yaml").contrasts == {"main": "up - down"}
    assert "# Source: mine" in Path("s.yaml").read_text()
    assert isinstance(Draft([], {}).notes, list)


# ------------------------------------------------------------------ the command


def good_files():
    """Small files in the working directory for the command's table of faults."""
    frame().to_csv("t.csv", index=False)
    frame().to_csv("semi.csv", sep=";", index=False)
    frame().to_parquet("t.parquet")
    write_lines(Path("b.jsonl"), blimp_lines() + blimp_lines("npi"))
    write_lines(Path("n.csv"), ["word,size", "a,1", "b,two", "c,3", "d,4"])
    Path("empty.csv").write_bytes(b"")
    Path("three.json").write_text(json.dumps({key: ["x " + key] for key in "abc"}))
    Path("cut.jsonl.gz").write_bytes(gzip.compress("\n".join(blimp_lines()).encode())[:-40])
    Path("no.jsonl.gz").write_bytes(b"not packed")
    Path("latin.csv").write_bytes(frame().assign(text="caf\u00e9").to_csv(index=False).encode("latin-1"))
    Path("binary.csv").write_bytes(b"text,item,condition\n\x00\x01,a,b\n")
    frame().assign(text=["same"] * 2 + [f"t {k}" for k in range(10)]).to_csv("clash.csv", index=False)
    frame().assign(grade="x").to_csv("grades.csv", index=False)
    frame().assign(condition="a").to_csv("one.csv", index=False)
    Path("folder").mkdir()
    with open("huge.csv", "wb") as handle:
        handle.truncate(10_000_000_000)
    Path("there.yaml").write_text("name: there\n")


BAD = {
    "missing file": (["no.csv"], "no.csv: no such file or folder"),
    "a name in place of a path": (["x=no.txt", "y=t.csv"], "no.txt: no such file or folder"),
    "empty file": (["empty.csv"], "empty.csv: the file is empty"),
    "wrong format": (["t.csv", "--format", "blimp"], "t.csv:1: not valid JSON"),
    "table as lre": (["three.json", "--format", "lre"], "is not in the form of an LRE relation"),
    "format mistyped": (["t.csv", "--format", "csv"], "unknown format 'csv'"),
    "semicolons": (["semi.csv"], "separated by ';'; give --separator ';'"),
    "semicolons, told": (["semi.csv", "--format", "table"], "separated by ';'; give --separator ';'"),
    "unknown UID": (["b.jsonl", "--select", "islan"], "did you mean 'island'?"),
    "no UID": (["b.jsonl"], "holds 2 paradigms"),
    "three lists": (["three.json"], "expected a dictionary of 2 or 4 lists of texts, the target's first, found one of 3"),
    "text in both conditions": (["clash.csv"], "'0' has a text that stands in target and near: 'same'"),
    "no dataset": (["folder"], "is no dataset saved by datasets' save_to_disk"),
    "gz that is cut": (["cut.jsonl.gz"], "cut.jsonl.gz: the file is cut short; fetch it again"),
    "gz that is none": (["no.jsonl.gz"], "is not a sound gz file"),
    "graded column with text": (["n.csv", "--graded", "size"], "n.csv:2: the graded column 'size' holds '1'"),
    "latin-1": (["latin.csv"], "latin.csv:2: not UTF-8"),
    "binary": (["binary.csv"], "holds NUL characters, so it is not text"),
    "10 GB": (["huge.csv"], "error: huge.csv: is 10000 MB, larger than the limit of 1000 MB"),
    "missing folder": (["t.csv", "--to", "no/such/s.yaml"], "there is no folder 'no/such'"),
    "no yaml": (["t.csv", "--to", "s.txt"], "write --to s.yaml"),
    "capital letters": (["t.csv", "--to", "My Set.yaml"], "write --to my_set.yaml"),
    "nowhere": (["t.csv", "--to", "."], "write --to NAME.yaml"),
    "already there": (["t.csv", "--to", "there.yaml"], "there.yaml: is there already; give --overwrite"),
    "two tables": (["t.csv", "t.parquet"], "two files make the condition 't'"),
    "the source as the table": (["t.csv", "--to", "t.yaml", "--table", "csv", "--overwrite"], "t.csv: is what is imported"),
    "one column twice": (["t.csv", "--item", "text"], "the column 'text' cannot have two roles"),
    "grades of text": (["grades.csv"], "grades.csv:2: 12 faults, the first: column grade: expected a number, found 'x'"),
    "one condition": (["one.csv"], "one.csv: only one condition, 'a': nothing to contrast it with"),
    "infinite empty cells": (["n.csv", "--graded", "size", "--empty", "inf"], "--empty: inf is no number"),
    "a folder as a table": (["folder", "--format", "table"], "unknown table format ''"),
    "unknown kind of table": (["t.csv", "--table", "xlsx"], "'xlsx' is no kind of table; allowed: csv, tsv, jsonl, parquet"),
    "limit of nothing": (["t.csv", "--limit", "0"], "0 items cannot be drawn"),
    "limit of one": (["t.csv", "--limit", "1"], "at least 2"),
    "all for confirmation": (["t.csv", "--split-confirm", "0.99"], "every item is kept for confirmation"),
    "a contrast over unknown names": (["t.csv", "--contrast", "main: target - naer"], "did you mean 'near'?"),
    "an option of another format": (["t.csv", "--cut", "thirds"], "--cut has no meaning for the format table"),
    "missing plugin": (["t.csv", "--plugin", "p.py"], "p.py: no such plugin file"),
    "missing column": (["t.csv", "--condition", "cond", "--format", "table"], "the column 'cond' is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_annoyed_users_get_one_clear_line_and_no_file(case, tmp_path, monkeypatch, capsys):
    words, told = BAD[case]
    monkeypatch.chdir(tmp_path)
    good_files()
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = run(["import", *words, *([] if "--to" in words else ["--to", "s.yaml"])], capsys)
    assert code == 2 and out == "" and err.count("\n") == 1 and len(err) < 900, err
    assert told in err and "internal error" not in err, err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_parquet_without_pyarrow_is_a_matter_of_setup(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frame().to_parquet("t.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    code, out, err = run(["import", "t.parquet", "--to", "s.yaml"], capsys)
    assert code == 3 and "parquet files need pyarrow; pip install 'cogneuro_sae[datasets]', or save the table" in err
    assert out == "" and [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_gz_that_unpacks_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cogneuro_sae.stimuli.importing.sources.MAX_TABLE_BYTES", 5000)
    path = tmp_path / "b.jsonl.gz"
    path.write_bytes(gzip.compress(b"a" * 1_000_000))
    assert "unpacks to more than the limit" in fault(path, format="blimp")


def test_texts_beyond_what_yaml_may_hold_ask_for_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr("cogneuro_sae.stimuli.importing.assembling.MAX_BYTES", 100)
    frame().to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="put them in a table: --table jsonl"):
        write_set(load(tmp_path / "t.csv"), tmp_path / "s.yaml")
    assert not (tmp_path / "s.yaml").exists()
    assert write_set(load(tmp_path / "t.csv"), tmp_path / "s.yaml", table="jsonl").is_file()


def test_the_command_writes_a_set_that_passes_its_check(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_lines(Path("b.jsonl.gz"), blimp_lines(n=16) + blimp_lines("npi"), gz=True)
    words = ["import", "b.jsonl.gz", "--select", "island", "--to", "islands.yaml", "--limit", 12, "--seed", 5,
             "--licence", "CC0", "--definition", "It is\x1b fine."]
    code, out, err = run(words, capsys)
    assert code == 0 and out == "islands.yaml\n" and "\x1b" not in err
    assert err.splitlines() == ["read as blimp: 24 texts of 12 items (target 12, near 12)", "next: cogneuro-sae check islands.yaml"]
    text = Path("islands.yaml").read_text()
    assert text.startswith("# Imported by cogneuro-sae ") and "select='island', limit=12, seed=5." in text
    assert str(tmp_path) not in text and "licence: CC0\n" in text
    code, _, err = run(["check", "islands.yaml"], capsys)
    assert code == 0 and "error" not in err
    first = Path("islands.yaml").read_bytes()
    assert run([*words, "--overwrite", "--quiet"], capsys) == (0, "islands.yaml\n", "")
    assert Path("islands.yaml").read_bytes() == first
    assert run([*words, "--overwrite", "--table", "jsonl"], capsys)[0] == 0
    assert "table: islands.jsonl" in Path("islands.yaml").read_text()
    assert StimulusSet.from_yaml("islands.yaml").design().scheme.n_units == 12
    code, _, err = run(["import", "b.jsonl.gz", "--select", "npi", "--to", "islands.yml", "--table", "jsonl"], capsys)
    assert code == 2 and "islands.jsonl: is there already" in err


def test_continuations_for_the_default_model(tmp_path, monkeypatch, capsys, default_model):
    monkeypatch.chdir(tmp_path)
    path = relation(tmp_path, CAPITALS)
    code, _, err = run(["import", path, "--model", "default", "--to", "s.yaml"], capsys)
    assert code == 0, err
    for entry in StimulusSet.from_yaml("s.yaml").continuations:
        counts = [len(each.ids) for each in default_model.tokenize([entry["prompt"] + entry[side] for side in ("target", "foil")])]
        assert counts[0] == counts[1]


# ------------------------------------------------------------------ public sets, where they are


def public(name):
    path = PUBLIC / name
    if not path.exists():
        pytest.skip(f"no public stimuli at {path}; COGNEURO_STIMULI_DATA names their folder")
    return path


def assert_sound(imported, folder):
    stimuli = StimulusSet.from_yaml(write_set(imported, folder / f"{imported.stimuli.name}.yaml"))
    assert stimuli.sha256 == imported.stimuli.sha256 and stimuli.check().worst != "error"


@pytest.mark.slow
def test_public_blimp(tmp_path):
    path = public("blimp/blimp.jsonl.gz")
    imported = load(path, select="wh_island", limit=40)
    assert len(imported.stimuli) == 80
    assert_sound(imported, tmp_path)
    assert "2 of 1000 items cannot be used" in fault(path, select="passive_1")


@pytest.mark.slow
def test_public_syntaxgym(tmp_path):
    files = sorted(public("syntaxgym").glob("*.json.gz"))
    assert len(files) == 31
    sets = [load(path, skip_faulty=True).stimuli for path in files]
    assert sum(bool(each.factors) for each in sets) == 29 and all((each.table["span"] != "").mean() > 0.6 for each in sets)
    assert "1 of 28 items cannot be used: '5' has a text that stands in reduced_ambig and reduced_unambig" in fault(
        public("syntaxgym/mvrr.json.gz"))
    assert_sound(load(public("syntaxgym/number_orc.json.gz")), tmp_path)


@pytest.mark.slow
def test_public_relations(tmp_path):
    files = sorted(public("lre_relations").glob("*.json"))
    for path in files:
        data = json.loads(path.read_text("utf-8"))
        true = {(each["subject"].casefold(), each["object"].casefold()) for each in data["samples"]}
        table = load(path, skip_faulty=True, limit=60).stimuli.table
        template = data["prompt_templates"][0]
        near = table[(table["condition"] == "near") & (table["paraphrase"] == 1)]["text"]
        said = {f"{template.replace('{}', a)} {b}".casefold() for a, b in true}
        assert not {text.casefold().rstrip(".") for text in near} & {text.rstrip(".") for text in said}, path.name
    assert len(files) == 47
    assert_sound(load(public("lre_relations/factual__country_capital_city.json")), tmp_path)


@pytest.mark.slow
def test_public_norms_and_lines(tmp_path):
    imported = load(public("things/animacy_ratings.csv"), graded=("natural_mean",), cut="thirds", limit=100)
    assert imported.stimuli.licence.startswith("CC0") and len(imported.stimuli) == 100
    assert_sound(imported, tmp_path)
    assert len(load(public("things/size_ratings.csv"), graded=("meanSize",), separator=";", skip_faulty=True).stimuli) == 1837
    animals = load(public("things/categories.tsv"), graded=("animal",), empty=0.0, skip_faulty=True).stimuli.table
    assert (animals["condition"] == "high").sum() in range(170, 178)
    folder = public("subjectivity")
    imported = load([f"subjective={folder / 'quote.tok.gt9.5000.txt'}", f"objective={folder / 'plot.tok.gt9.5000.txt'}"],
                    limit=200, confirm=0.3)
    assert imported.stimuli.table.groupby(["condition", "split"]).size().tolist() == [30, 70, 30, 70]
    assert_sound(imported, tmp_path)
