"""StimulusSet: good files read to a known table, every fault gives one clear error, round trips are equal."""

import csv
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae.config import shipped
from cogneuro_sae.errors import InputError, ManyErrors, SetupError
from cogneuro_sae.stimuli import StimulusSet, parse_expression

DATA = Path(__file__).parent / "data" / "stimuli"
NAMES = ("small", "factorial", "between", "tabled")
HEAD = "name: x\nconcept: calm\ndefinition: At rest.\n"
CONDITIONS = "conditions: {target: a, near: b, far: c}\ncontrasts: {main: target - near}\n"
ITEMS = ("items:\n  - item: one\n    target: [He sat down.]\n    near: [He got up.]\n"
         "  - item: two\n    far: [Rain fell.]\n")
GOOD = HEAD + CONDITIONS + ITEMS


def read(tmp_path, text, name="x"):
    (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    return StimulusSet.from_yaml(tmp_path / f"{name}.yaml")


def faults(tmp_path, text, name="x"):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, name)
    return [str(error).removeprefix(f"{tmp_path}/{name}.yaml:")
            for error in getattr(caught.value, "errors", [caught.value])]


def test_the_table_of_a_small_file():
    stimuli = StimulusSet.from_yaml(DATA / "small.yaml")
    table = stimuli.table
    assert list(table.columns) == "id text item condition paraphrase span split grade author".split()
    row = table.iloc[1].to_dict()
    assert row == {"id": "baker.target.2",
                   "text": "Nothing pressed on the baker now, and the oven stood still on the quay.",
                   "item": "baker", "condition": "target", "paraphrase": 2, "span": "stood still", "split": "discovery",
                   "grade": 2.0, "author": "ben"}
    assert np.isnan(table.loc[table["condition"] == "far", "grade"]).all()
    assert set(table.loc[table["split"] == "confirm", "item"]) == {"potter", "place-9"}
    assert stimuli.conditions == ("target", "near", "far") and stimuli.factors == {}
    assert stimuli.labels["far"] == "unrelated scene"
    assert stimuli.words["target"] == ("rest", "ease") and stimuli.continuations[0]["foil"] == " rush"
    start, stop = stimuli.spans[1]
    assert stimuli.texts[1][start:stop] == "stood still"
    assert stimuli.spans.dtype == np.int64 and stimuli.spans[0].tolist() == [-1, -1]
    assert len(stimuli.sha256) == 64 and len(stimuli) == 50


def test_factors_nest_in_their_order():
    stimuli = StimulusSet.from_yaml(DATA / "factorial.yaml")
    assert stimuli.conditions == ("negative_work", "negative_health", "positive_work", "positive_health")
    row = stimuli.table.set_index("id").loc["baker.positive_health.1"]
    assert (row["valence"], row["domain"], row["text"]) == ("positive", "health", "The baker healed an arm in March.")
    assert stimuli.layout.weights("negative - positive") == {
        "negative_work": 0.5, "negative_health": 0.5, "positive_work": -0.5, "positive_health": -0.5}


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_is_equal(tmp_path, name):
    stimuli = StimulusSet.from_yaml(DATA / f"{name}.yaml")
    again = StimulusSet.from_yaml(stimuli.to_yaml(tmp_path / f"{name}.yaml"))
    assert again.sha256 == stimuli.sha256
    pd.testing.assert_frame_equal(again.table[stimuli.table.columns], stimuli.table)
    for field in ("concept", "definition", "contrasts", "layout", "labels", "words", "continuations", "banned",
                  "strata",
                  "graded", "licence", "independent"):
        assert getattr(again, field) == getattr(stimuli, field), field
    for rdm in stimuli.model_rdms:
        pd.testing.assert_frame_equal(again.model_rdms[rdm], stimuli.model_rdms[rdm])


def test_the_hash_sees_texts_contrasts_and_splits_but_not_the_order_within_an_item(tmp_path):
    first = read(tmp_path, GOOD).sha256
    assert read(tmp_path, GOOD.replace("licence", "x")).sha256 == first
    for old, new in (("He sat down.", "He lay down."), ("target - near", "target - far"),
                     ("name: x", "name: x\nsplit: {confirm: [two]}")):
        assert read(tmp_path, GOOD.replace(old, new)).sha256 != first
    swapped = GOOD.replace("    target: [He sat down.]\n    near: [He got up.]\n",
                           "    near: [He got up.]\n    target: [He sat down.]\n")
    assert read(tmp_path, swapped).sha256 == first


def test_tables_of_all_kinds_are_one_set(tmp_path):
    sets = []
    text = (DATA / "tabled.yaml").read_text()
    for kind in ("csv", "tsv", "jsonl"):
        (tmp_path / f"table.{kind}").write_bytes((DATA / f"table.{kind}").read_bytes())
        sets.append(read(tmp_path, text.replace("table.csv", f"table.{kind}"), "tabled"))
    assert len({each.sha256 for each in sets}) == 1
    table = sets[0].table
    assert table["arousal"].dtype == float and table["arousal"].iloc[0] == 0.25
    assert table["code"].tolist()[:4] == ["00"] * 4
    assert sets[0].strata == ("author",) and sets[0].graded == ("arousal",)


def test_a_byte_order_mark_does_not_become_part_of_a_column(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"\xef\xbb\xbf" + (DATA / "table.csv").read_bytes())
    assert len(read(tmp_path, (DATA / "tabled.yaml").read_text(), "tabled")) == 24


def test_parquet_is_read_or_its_absence_told(tmp_path):
    frame = pd.read_csv(DATA / "table.csv", dtype={"code": str})
    text = (DATA / "tabled.yaml").read_text().replace("table.csv", "table.parquet")
    try:
        frame.to_parquet(tmp_path / "table.parquet")
    except ImportError:
        (tmp_path / "table.parquet").write_bytes(b"PAR1")
        with pytest.raises((SetupError, InputError), match="pyarrow"):
            read(tmp_path, text, "tabled")
        return
    assert read(tmp_path, text, "tabled").sha256 == StimulusSet.from_yaml(DATA / "tabled.yaml").sha256


def test_from_frame(tmp_path):
    frame = pd.read_csv(DATA / "table.csv", dtype={"code": str})
    options = {"name": "tabled", "concept": "calm", "contrasts": {"main": "target - near"}, "graded": ("arousal",),
               "strata": ("author",)}
    stimuli = StimulusSet.from_frame(frame, **options)
    assert stimuli.sha256 == StimulusSet.from_yaml(DATA / "tabled.yaml").sha256
    shuffled = StimulusSet.from_frame(frame.assign(paraphrase=[1, 2] * 12).iloc[::-1], **options)
    assert shuffled.texts == frame["text"].tolist()[::-1] and shuffled.ids[0] == "sailor.near.2" or shuffled.ids
    named = StimulusSet.from_frame(frame.assign(id=[f"s{n}" for n in range(24)]), **options)
    assert named.ids[5] == "s5"
    again = StimulusSet.from_yaml(named.to_yaml(tmp_path / "tabled.yaml"))
    assert again.ids == named.ids and again.sha256 == named.sha256
    with pytest.raises(InputError, match="column 'text' is missing"):
        StimulusSet.from_frame(frame.drop(columns="text"), **options)
    with pytest.raises(InputError, match="DataFrame 'tabled':3.*expected text, found None"):
        StimulusSet.from_frame(frame.assign(text=frame["text"].where(frame.index != 2)), **options)


def test_from_frame_with_factors_and_independent_items():
    frame = pd.DataFrame({"text": ["a b", "c d", "e f", "g h"], "item": ["i", "i", "j", "j"],
                          "mood": ["low", "high"] * 2})
    stimuli = StimulusSet.from_frame(frame, name="f", concept="c", contrasts={"main": "low - high"},
                                     factors={"mood": ("low", "high")})
    assert stimuli.ids == ["i.low.1", "i.high.1", "j.low.1", "j.high.1"]
    frame = pd.DataFrame({"text": ["a b", "c d", "e f", "g h"], "condition": ["p", "p", "q", "q"]})
    stimuli = StimulusSet.from_frame(frame, name="f", concept="c", contrasts={"main": "p - q"}, independent=True)
    assert stimuli.design().scheme.kind == "free" and stimuli.table["item"].nunique() == 4


def test_from_json(tmp_path):
    stimuli = StimulusSet.from_json(DATA / "study_c.json")
    assert stimuli.contrasts == {"main": "calm_texts - control"} and stimuli.independent
    assert stimuli.labels == {"calm_texts": "Calm texts", "control": "control"}
    assert stimuli.table["item"].nunique() == 11 == len(stimuli)
    assert any("independent items" in note for note in stimuli.notes)
    assert "independent items" in str(stimuli.check())
    path = tmp_path / "four.json"
    path.write_text(json.dumps({key: [f"{key} {n}" for n in range(3)] for key in "dcba"}))
    assert StimulusSet.from_json(path).contrasts == {"main": "d - (c + b + a)/3", "versus_c": "d - c",
                                                     "versus_b": "d - b",
                                                    "versus_a": "d - a"}
    again = StimulusSet.from_yaml(stimuli.to_yaml(tmp_path / "study_c.yaml"))
    assert again.sha256 == stimuli.sha256
    for text, message in {"[1]": "dictionary of 2 or 4", '{"a": ["x"], "a": ["y"]}': "given twice",
                          "{": "not valid JSON",
                          '{"a": ["x"], "b": "y"}': "list of texts", '{"a": ["x"], "b": ["\\ud800"]}': "surrogate",
                          "[" * 100_000: "nested too deep", '{"a": ["x"], "A": ["y"]}': "alike"}.items():
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            StimulusSet.from_json(path)


FAULTS = {
    "missing keys": ("conditions: {target: a, near: b}\n", ["1: name: is missing", "1: concept: is missing",
                     "1: definition: is missing", "1: contrasts: is missing", "`items` is missing"]),
    "unknown key": (GOOD + "colour: red\n", ["12: colour: unknown key 'colour'"]),
    "near key": (GOOD + "licens: CC0\n", ["did you mean 'licence'?"]),
    "stem": (GOOD.replace("name: x", "name: y"), ["1: the name 'y' is not the file's stem"]),
    "bad name": (GOOD.replace("name: x", "name: ../x"), ["1: name: '../x' cannot be a name", "not the file's stem"]),
    "both": (GOOD + "factors: {f: [a, b]}\n", ["exactly one of `conditions` and `factors`"]),
    "items and table": (GOOD + "table: t.csv\n", ["both `items` and `table`"]),
    "one condition": (HEAD + "conditions: {target: a}\ncontrasts: {main: target}\nitems: [{item: a, target: [b]}]\n",
                      ["4: conditions: only one condition, 'target'"]),
    "no contrast": (GOOD.replace("contrasts: {main: target - near}", "contrasts: {}"),
                    ["5: contrasts: is empty; give at least one contrast, e.g. main: target - near"]),
    "items a text": (HEAD + CONDITIONS + "items: text\n", ["6: items: expected a list, found the text 'text'"]),
    "texts a text": (GOOD.replace("[He sat down.]", "He sat down."),
                     ["8: items[0].target: expected a list of texts, found the text 'He sat down.'"]),
    "number as text": (GOOD.replace("He sat down.", "1_000"), ['items[0].target[0]: expected text']),
    "null as text": (GOOD.replace("He sat down.", "~"), ['has no value, expected text']),
    "blank text": (GOOD.replace("He sat down.", '"  "'), ["8: items[0].target[0]: the text is empty"]),
    "unknown condition": (GOOD.replace("    near:", "    naer:"), ["9: items[0].naer: unknown condition 'naer'"]),
    "missing cell": (GOOD.replace("    near: [He got up.]\n", ""),
                     ["the condition 'near' has no text", "8: items[0].target[0]: the item 'one' lacks near"]),
    "far beside": (GOOD.replace("    far:", "    target: [So it was.]\n    near: [So it goes.]\n    far:"),
                   ["holds far foils beside other conditions"]),
    "empty list": (GOOD.replace("[Rain fell.]", "[]"), ["11: items[1].far: is an empty list"]),
    "item twice": (GOOD.replace("item: two", "item: one"), ["10: items[1].item: the item 'one' is already at line 7"]),
    "item case": (GOOD.replace("item: two", "item: One"), ["the item 'One' differs from 'one' in case or form only"]),
    "item form": (GOOD.replace("item: one", "item: caf\u00c9").replace("item: two", "item: cafe\u0301"),
                  ["in case or form only"]),
    "item path": (GOOD.replace("item: two", "item: ../x"), ["10: items[1].item: '../x' cannot be an item"]),
    "item number": (GOOD.replace("item: two", "item: 12"), ['quote it: "12"']),
    "item reserved": (GOOD.replace("item: two", "item: CON"), ["reserved name on Windows"]),
    "item long": (GOOD.replace("item: two", "item: " + "x" * 300), ["cannot be an item"]),
    "item minus": (GOOD.replace("item: two", "item: -x"), ["cannot be an item"]),
    "item absent": (GOOD.replace("- item: two\n    far", "- far"), ["10: items[1]: `item` is missing"]),
    "same text": (GOOD.replace("He got up.", "He  sat down. "),
                  ["the same text stands in the conditions target and near "
                   "(one.target.1 and one.near.1): 'He sat down.'"]),
    "span": (GOOD.replace("[He sat down.]", "[{text: He sat down., span: stood}]"),
             ["8: items[0].target[0]: the span 'stood' "
              "does not occur in 'He sat down.'"]),
    "span twice": (GOOD.replace("[He sat down.]", "[{text: He sat and sat., span: sat}]"), ["occurs 2 times"]),
    "leaf key": (GOOD.replace("[He sat down.]", "[{txt: He sat down.}]"), ["unknown key 'txt'", "`text` is missing"]),
    "colon in a text": (GOOD.replace("[He sat down.]", "\n      - He said: down"),
                        ["unknown key 'He said'", "`text` is missing"]),
    "confirm": (GOOD + "split: {confirm: [tow]}\n", ["12: split: the confirm item 'tow' is not among the items"]),
    "all confirmed": (GOOD + "split: {confirm: [one, two]}\n", ["every item is kept for confirmation"]),
    "contrast name": (GOOD.replace("target - near", "target - nera"),
                      ["5: contrasts.main: column 10 of 'target - nera': unknown "
                      "name 'nera'; allowed: target, near, far; did you mean 'near'?"]),
    "contrast sum": (GOOD.replace("target - near", "target - near/2"),
                     ["5: contrasts.main: the weights of 'target - near/2' sum to 0.5"]),
    "contrast nothing": (GOOD.replace("target - near", "target - target"), ["all weights of 'target - target' are 0"]),
    "contrast code": (GOOD.replace("target - near", "__import__('os')"), ["column 1 of"]),
    "strata": (GOOD + "strata: [author]\n", ["unknown column 'author'"]),
    "graded text": (GOOD.replace("name: x", "name: x\ngraded: [g]").replace("item: one", "item: one\n    g: high"),
                    ["is not numeric"]),
    "continuation": (GOOD + "continuations: [{item: own, prompt: a, target: b, foil: c}]\n",
                     ["12: continuations: unknown item 'own'"]),
    "rdm file": (GOOD + "model_rdms: {brain: none.csv}\n", ["no such file"]),
    "table file": (HEAD + CONDITIONS + "table: none.csv\n", ["none.csv: no such file"]),
    "table kind": (HEAD + CONDITIONS + "table: none.xlsx\n", ["unknown table format '.xlsx'"]),
    "level twice": (HEAD + "factors: {a: [u, v], b: [v, w]}\ncontrasts: {main: u - v}\nitems: [{item: x}]\n",
                    ["the level 'v' stands twice"]),
    "level form": (HEAD + "factors: {a: [u_1, v]}\ncontrasts: {main: u - v}\nitems: [{item: x}]\n",
                   ["'u_1' cannot be a level"]),
    "level no": (HEAD + "factors: {a: [yes, no]}\ncontrasts: {main: u - v}\nitems: [{item: x}]\n",
                 ['quote it: "yes"', 'quote it: "no"']),
    "level lacking": (HEAD + "factors: {a: [u, v]}\ncontrasts: {main: u - v}\nitems: [{item: x, u: [t]}]\n",
                      ["'v' has no text", "lacks v"]),
    "between": (HEAD + "factors: {a: [u, v]}\nbetween: [b]\ncontrasts: {main: u - v}\nitems: [{item: x, u: [t]}]\n",
                ["`between` names 'b', which is not a factor"]),
    "not independent": (GOOD + "independent: true\n",
                        ["the item 'one' has 2 texts, but items are declared independent"]),
    "column": (GOOD.replace("conditions: {target: a, near", "conditions: {target: a, text: d, near"),
               ["'text' cannot be a condition"]),
    "empty concept": (GOOD.replace("concept: calm", 'concept: " "'), ["2: concept: is empty"]),
    "empty rdm": (GOOD + "items: []\n", ["already at line 6"]),
}


@pytest.mark.parametrize("text, messages", FAULTS.values(), ids=list(FAULTS))
def test_faults(tmp_path, text, messages):
    found = faults(tmp_path, text)
    assert len(found) == len(messages), found
    for message, error in zip(messages, found):
        assert message in error, found
        assert "\n" not in error and len(error) < 400


def test_faults_of_schema_and_items_come_together(tmp_path):
    text = GOOD.replace("concept: calm", "concept: 3").replace("[He sat down.]",
                                                               "[He sat down., 4]").replace("near: [He", "naer: [He")
    found = faults(tmp_path, text + "colour: red\n")
    assert [error.partition(":")[0] for error in found] == ["2", "12", "8", "9"]


def test_no_more_than_twenty_faults_are_shown(tmp_path):
    items = "items:\n" + "".join(f"  - item: i{n}\n    target: [1]\n    near: [2]\n" for n in range(30))
    with pytest.raises(ManyErrors) as caught:
        read(tmp_path, HEAD + CONDITIONS + items)
    assert len(caught.value.errors) == 21 and "more errors" in str(caught.value.errors[-1])


TABLE_FAULTS = {
    "empty": ("", "file is empty"),
    "header only": ("item,condition,text\n", "holds no rows"),
    "ragged": ("item,condition,text\na,target,x,y\n", "table.csv:2: 4 cells where the header has 3"),
    "quote": ('item,condition,text\na,target,"x\n', "not readable as a table"),
    "twice": ("item,item,text\na,b,c\n", "column 'item' is there twice"),
    "column": ("item,text\na,b\n", "column 'condition' is missing"),
    "condition": ("item,condition,text\na,target,x\na,foe,y\n", "table.csv:3: unknown condition 'foe'"),
    "multi-line": ('item,condition,text\na,target,"x\ny"\na,foe,y\n', "table.csv:4: unknown condition 'foe'"),
    "id twice": ("item,condition,text,id\na,target,x,q\na,near,y,q\n",
                 "table.csv:3: the id 'q' is used again (first at"),
    "paraphrase": ("item,condition,text,paraphrase\na,target,x,1\na,target,z,3\na,near,y,1\n", "are numbered 1, 3"),
    "half": ("item,condition,text,paraphrase\na,target,x,1.5\na,near,y,1\n",
             "table.csv:2: column paraphrase: expected 1, 2, ..."),
    "split": ("item,condition,text,split\na,target,x,confirm\na,near,y,discovery\n", "in both splits"),
    "split name": ("item,condition,text,split\na,target,x,test\na,near,y,test\n", "unknown split 'test'"),
}


@pytest.mark.parametrize("text, message", TABLE_FAULTS.values(), ids=list(TABLE_FAULTS))
def test_faults_of_tables(tmp_path, text, message):
    (tmp_path / "table.csv").write_text(text)
    found = faults(tmp_path,
                   HEAD + "conditions: {target: a, near: b}\ncontrasts: {main: target - near}\ntable: table.csv\n")
    assert message in found[0]


@pytest.mark.parametrize("name, sign, message", [
    ("table.csv", ";", "separated by ';'; save it with commas, or as .tsv for tabs"),
    ("table.csv", "\t", "separated by tabs; save it with commas, or as .tsv for tabs"),
    ("table.tsv", ",", "separated by ','; save it with tabs, or as .csv for commas"),
    ("table.tsv", ";", "separated by ';'; save it with tabs, or as .csv for commas"),
])
def test_a_table_with_another_separator_is_told_so(tmp_path, name, sign, message):
    rows = [["text", "item", "condition"], ["A, b; c.", "i", "target"], ["D", "i", "near"]]
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(sign.join, rows)).encode())
    head = HEAD + "conditions: {target: a, near: b}\ncontrasts: {main: target - near}\n"
    assert faults(tmp_path, head + f"table: {name}\n") == [f"{tmp_path}/{name}:1: {message}"]


def test_other_signs_in_a_good_header_are_no_separators(tmp_path):
    (tmp_path / "table.csv").write_text("text,item,condition,a;b;c;d;e\nx,i,target,1\ny,i,near,2\n")
    head = HEAD + "conditions: {target: a, near: b}\ncontrasts: {main: target - near}\ntable: table.csv\n"
    assert read(tmp_path, head).covariates == ("a;b;c;d;e",)


def test_missing_columns_come_once_with_what_was_found(tmp_path):
    (tmp_path / "table.csv").write_text("Text,Item,Condition\na,b,target\nc,b,near\n")
    head = HEAD + "conditions: {target: a, near: b}\ncontrasts: {main: target - near}\n"
    assert faults(tmp_path, head + "table: table.csv\n") == [
        f"{tmp_path}/table.csv: the columns 'text', 'item', 'condition' are missing, found Text, Item, Condition; "
        "names are in small letters (did you mean 'text' for 'Text', 'item' for 'Item', 'condition' for 'Condition'?)"]
    frame = pd.DataFrame({"text": ["a b"], "item": ["i"], "Condition": ["p"]})
    with pytest.raises(InputError) as caught:
        StimulusSet.from_frame(frame, name="f", concept="c", contrasts={"main": "p - q"})
    assert str(caught.value) == ("DataFrame 'f': the column 'condition' is missing, found text, item, Condition; names "
                                 "are in small letters (did you mean 'condition' for 'Condition'?)")


def test_allowed_keys_of_leaves_and_of_the_file_are_told_once_each(tmp_path):
    found = faults(tmp_path, GOOD.replace("[He sat down.]", "[{text: a, spam: b, idd: c}]") + "colour: red\nsiz: 3\n")
    assert [error.count("allowed") for error in found] == [1, 0, 1, 0], found


RDM_FAULTS = {
    "unknown id": (lambda rows: [[cell.replace("baker.near.1", "baker.naer.1") for cell in row] for row in rows],
                   "'baker.naer.1'"),
    "not square": (lambda rows: rows[:-1], "is 7 by 8, not square"),
    "asymmetric": (lambda rows: [[*rows[0]], [*rows[1][:2], "9", *rows[1][3:]], *rows[2:]], "is not symmetric"),
    "diagonal": (lambda rows: [rows[0], [rows[1][0], "1", *rows[1][2:]], *rows[2:]], "diagonal that is not 0"),
    "text": (lambda rows: [rows[0], [*rows[1][:2], "far", *rows[1][3:]], *rows[2:]], "not a number"),
    "nan": (lambda rows: [rows[0], [*rows[1][:2], "nan", *rows[1][3:]], *rows[2:]], "not finite"),
    "order": (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], "ids of rows and columns differ"),
    "few": (lambda rows: [row[:3] for row in rows[:3]], "covers 2 stimuli"),
    "ragged": (lambda rows: [rows[0], rows[1][:-1], *rows[2:]], "8 cells where the first row has 9"),
}


@pytest.mark.parametrize("change, message", RDM_FAULTS.values(), ids=list(RDM_FAULTS))
def test_faults_of_model_rdms(tmp_path, change, message):
    with open(DATA / "small_rdm.csv", newline="") as handle:
        rows = list(csv.reader(handle))
    with open(tmp_path / "small_rdm.csv", "w", newline="") as handle:
        csv.writer(handle).writerows(change(rows))
    found = faults(tmp_path, (DATA / "small.yaml").read_text(), "small")
    assert message in found[0]


def test_model_rdms_follow_the_order_of_the_table(tmp_path):
    stimuli = StimulusSet.from_yaml(DATA / "small.yaml")
    rdm = stimuli.model_rdms["brain"]
    assert list(rdm.index) == [name for name in stimuli.ids if name in set(rdm.index)] and rdm.shape == (8, 8)
    frame = pd.read_csv(DATA / "small_rdm.csv", index_col=0)
    frame.iloc[::-1, ::-1].to_csv(tmp_path / "small_rdm.csv")
    again = read(tmp_path, (DATA / "small.yaml").read_text(), "small")
    np.testing.assert_array_equal(again.model_rdms["brain"], frame)
    assert again.sha256 == stimuli.sha256


def test_model_rdms_from_rsatoolbox(tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    frame = pd.read_csv(DATA / "small_rdm.csv", index_col=0)
    upper = frame.to_numpy()[np.triu_indices(8, 1)]
    rdms = rsatoolbox.rdm.RDMs(upper[None], pattern_descriptors={"id": list(frame.index)})
    rdms.save(str(tmp_path / "small_rdm.h5"), file_type="hdf5")
    again = read(tmp_path, (DATA / "small.yaml").read_text().replace("small_rdm.csv", "small_rdm.h5"), "small")
    assert again.sha256 == StimulusSet.from_yaml(DATA / "small.yaml").sha256


def test_white_space_is_normalised_with_a_note(tmp_path):
    stimuli = read(tmp_path, GOOD.replace("He sat down.", '" He \\tsat\\n down. "').replace("Rain fell.",
                                                                                            '"Ra\\x1bin </s> fell."'))
    assert stimuli.texts == ["He sat down.", "He got up.", "Ra\x1bin </s> fell."]
    assert [note.partition(" (")[0] for note in stimuli.notes] == [
        "1 texts had leading, trailing or repeated white space, now normalised",
        "1 texts hold control characters, kept as they are and shown escaped",
        "1 texts hold special tokens such as <s> or </s>, read as plain characters"]
    assert "items[0].target[0]" in stimuli.notes[0]
    assert "\x1b" not in stimuli._repr_html_() and "\\x1b" in stimuli._repr_html_()


def test_dedupe_drops_repeats_and_numbers_anew(tmp_path):
    text = GOOD.replace("[He sat down.]", "[He sat down., He sat down., He lay.]")
    assert read(tmp_path, text).ids[:3] == ["one.target.1", "one.target.2", "one.target.3"]
    stimuli = read(tmp_path, text + "dedupe: true\n")
    assert stimuli.ids == ["one.target.1", "one.target.2", "one.near.1", "two.far.1"] and stimuli.texts[1] == "He lay."
    assert stimuli.notes == ("1 repeated texts were dropped (dedupe)",)


def test_html_is_escaped(tmp_path):
    text = GOOD.replace("concept: calm", "concept: '<script>alert(1)</script>'").replace("Rain fell.",
                                                                                         '\'"><img onerror=x>\'')
    html = read(tmp_path, text)._repr_html_()
    assert "<script>" not in html and "<img" not in html and "&lt;script&gt;" in html


SHIPPED = sorted(shipped("stimuli").rglob("*.yaml"))


def test_the_three_sets_of_the_first_slice_are_shipped():
    assert {"achievement", "causality", "fear"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sets_load(path):
    assert StimulusSet.from_yaml(path).design().scheme.min_p_two < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sets_check_without_errors(path):
    started = time.perf_counter()
    checks = StimulusSet.from_yaml(path).check()
    assert checks.worst != "error", str(checks)
    assert time.perf_counter() - started < 30


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1), min_size=4,
                max_size=8,
                unique_by=lambda text: " ".join(text.split())))
def test_any_texts_survive_a_round_trip(tmp_path_factory, texts):
    texts = [text for text in texts if text.strip()]
    if len(texts) < 4:
        return
    frame = pd.DataFrame({"text": texts, "condition": ["a", "b", *["b"] * (len(texts) - 2)]})
    stimuli = StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"main": "a - b"}, independent=True)
    again = StimulusSet.from_yaml(stimuli.to_yaml(tmp_path_factory.mktemp("s") / "s.yaml"))
    assert again.texts == stimuli.texts == [" ".join(text.split()) for text in texts]
    assert again.sha256 == stimuli.sha256


EXPRESSION = st.recursive(
    st.sampled_from(["a", "bb", "c_1"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-"), inner).map(" ".join).map("({})".format),
        st.tuples(st.sampled_from(["2", "0.5", "(1 + 2)"]), inner).map("*".join),
        st.tuples(inner, st.sampled_from(["3", "4.", "-2"])).map("/".join),
        inner.map("-{}".format)), max_leaves=8)


@settings(max_examples=200, deadline=None)
@given(EXPRESSION)
def test_expressions_agree_with_arithmetic(text):
    weights = parse_expression(text, ["a", "bb", "c_1"])
    values = {"a": 1.7, "bb": -0.3, "c_1": 11.0}
    expected = eval(text, {"__builtins__": {}}, values)
    assert sum(weight * values[name] for name, weight in weights.items()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("text, column, message", [
    ("a - d", 5, "unknown name 'd'"), ("a b", 3, "expected +"), ("a * b", 3, "two names"),
    ("1/a", 2, "divide by a name"),
    ("a/0", 2, "division by 0"), ("(a", 3, "expected ) for the ( at column 1"), ("a -", 4, "found the end"),
    ("a ** b", 4, "found '*'"), ("1e9*a", 1, "not part of"), ("a.real", 2, "not part of"), ("a[0]", 2, "not part of"),
    ("()", 2, "expected a name"), ("(" * 60 + "a", 34, "deeper than"), ("a; b", 2, "not part of"),
])
def test_bad_expressions_name_the_column(text, column, message):
    with pytest.raises(InputError) as caught:
        parse_expression(text, ["a", "b"], where="contrasts.main")
    assert str(caught.value).startswith(f"contrasts.main: column {column} of ") and message in str(caught.value)


@pytest.mark.parametrize("text", ["", "  ", "3", "a - 3", "a" * 3000])
def test_expressions_that_are_none(text):
    with pytest.raises(InputError):
        parse_expression(text, ["a", "b"])
