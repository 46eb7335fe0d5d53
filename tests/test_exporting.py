"""Sets written and read again are equal, whatever stands in their columns; what would change is refused, never changed."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae.errors import InputError, SetupError
from cogneuro_sae.stimuli import StimulusSet
from cogneuro_sae.stimuli.importing import ImportOptions, import_set
from cogneuro_sae.stimuli.items import Row
from cogneuro_sae.stimuli.reading import read_rows

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data" / "stimuli"
KINDS = ("csv", "tsv", "jsonl", "parquet")
FIELDS = ("concept", "definition", "contrasts", "layout", "labels", "words", "continuations", "banned", "strata", "graded",
          "covariates", "licence", "group", "language", "independent")
TRAPS = ["001", "1", "1.50", "-0", "1e5", "0x10", "NaN", "nan", "null", "None", "True", "no", "2024-01-01", "", " ", "a,b",
         "a;b", "a\tb", 'q"uo"te', "'", "=1+1", "@x", "-x", "l1\nl2", "r\r", "e\u0301", "\u00e9", "\u2028", "\ufeff", "\\n",
         "\x85", "#", ": ", "- a", "~", "[/]", "{x}", "\U0001f600", "\u05d0"]
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Co"]), min_size=1, max_size=12),
    st.lists(st.sampled_from([trap for trap in TRAPS if trap.strip()]), min_size=1, max_size=4).map(" ".join),
).map(lambda text: " ".join(text.split())).filter(bool)
NUMBERS = st.one_of(st.just(float("nan")), st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9).map(float))


def assert_same(again, stimuli):
    assert again.sha256 == stimuli.sha256
    for field in FIELDS:
        assert getattr(again, field) == getattr(stimuli, field), field
    pd.testing.assert_frame_equal(again.table[stimuli.table.columns], stimuli.table)
    assert set(again.model_rdms) == set(stimuli.model_rdms)
    for name, rdm in stimuli.model_rdms.items():
        pd.testing.assert_frame_equal(again.model_rdms[name], rdm)


@st.composite
def sets(draw):
    """Sets with everything a file can say: factors or conditions, all columns, words, continuations, a model RDM."""
    count = draw(st.integers(2, 4))
    factors = draw(st.booleans())
    far = not factors and draw(st.booleans())
    cells = ["a_x", "a_y", "b_x", "b_y"] if factors else ["target", "near"]
    between = factors and draw(st.booleans())
    rows = []
    for number in range(count + 2 * far + (2 if between else 0)):
        here = ["far"] if far and number >= count else cells
        if between:
            here = [cell for cell in cells if cell.endswith("xy"[number % 2])]
        item = draw(st.sampled_from([f"00{number}", f"{number}", f"it\u00e9m-{number}", f"1e{number}", f"nan{number}"]))
        rows += [(item, cell) for cell in here for _ in range(draw(st.integers(1, 2)))]
    texts = draw(st.lists(TEXTS, min_size=len(rows), max_size=len(rows), unique=True))
    ids = draw(st.one_of(st.none(), st.just([f"{n:03d}" for n in range(len(rows))]),
                         st.just([f"{n}.0" for n in range(len(rows))])))
    columns = {"word": st.sampled_from(TRAPS), "code": st.sampled_from(["001", "1", "2"]), "score": NUMBERS,
               "digits": st.sampled_from(["1", "2"])}
    taken = draw(st.sampled_from([[], ["word"], ["code", "score"], ["digits"], ["word", "score"]]))
    texts[0] += draw(st.sampled_from([""] * 8 + ["\x1b", "\x7f", "\x9f", "\ufffe"]))
    confirm = {rows[0][0]} if draw(st.booleans()) else set()
    made = [Row(item, cell, text, f"row {n}", span=text if draw(st.booleans()) else None,
                grade=draw(st.one_of(st.none(), st.floats(-5, 5))), id=ids[n] if ids else None,
                split="confirm" if item in confirm else None,
                extra={name: value for name in taken if (value := draw(columns[name])) == value})
            for n, ((item, cell), text) in enumerate(zip(rows, texts))]
    design = ({"factors": {"f": ["a", "b"], "g": ["x", "y"]}, **({"between": ["g"]} if between else {}),
               "contrasts": {"main": "a - b"}} if factors else
              {"conditions": {"target": "a: label", "near": "no", **({"far": "1.0"} if far else {})},
               "contrasts": {"main": "target - near"}})
    graded = ["score"] if any("score" in row.extra for row in made) else []
    spec = {"name": "s", "concept": draw(TEXTS), "definition": draw(st.sampled_from(["d.", "no", "1", "- x: y"])), **design,
            "graded": graded, "licence": "CC0", "group": "social", "language": "de", "banned": ["x*"],
            "words": {"target": ["yes", "1"], "foil": ["no"]},
            "continuations": [{"item": rows[0][0], "prompt": "p: q", "target": " t", "foil": " 1"}]}
    stimuli = StimulusSet(**read_rows(spec, made, "made"))
    matrix = np.abs(np.subtract.outer(np.arange(3), np.arange(3))) / 7
    rdm = pd.DataFrame(matrix, index=stimuli.ids[:3], columns=stimuli.ids[:3])
    return dataclasses.replace(stimuli, model_rdms={"brain": rdm})


@settings(max_examples=40, deadline=None)
@given(sets())
def test_any_set_is_equal_after_a_round_trip_or_refused(tmp_path_factory, stimuli):
    folder = tmp_path_factory.mktemp("s")
    assert_same(StimulusSet.from_yaml(stimuli.to_yaml(folder / "s.yaml")), stimuli)
    for kind in KINDS:
        try:
            path = stimuli.to_yaml(folder / "s.yaml", table=kind)
        except InputError as error:
            assert kind in ("csv", "tsv"), error
            assert "jsonl" in str(error)
            continue
        assert_same(StimulusSet.from_yaml(path), stimuli)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["small", "factorial", "between", "tabled"])
def test_shipped_forms_survive_a_table(tmp_path, name, kind):
    stimuli = StimulusSet.from_yaml(DATA / f"{name}.yaml")
    path = stimuli.to_yaml(tmp_path / f"{name}.yaml", table=kind, comment="first\nsecond \x1b")
    assert (tmp_path / f"{name}.{kind}").is_file()
    assert path.read_text("utf-8").startswith("# first\n# second \\x1b\nname: ")
    again = StimulusSet.from_yaml(path)
    assert again.sha256 == stimuli.sha256 and again.labels == stimuli.labels
    assert again.continuations == stimuli.continuations and again.words == stimuli.words


@pytest.mark.parametrize("values, told", [
    (["1", "2", "3", ""], "the column 'code' would change: '1' in row 1 would be read as 1.0"),
    ([float("inf"), 1.0, 2.0, 3.0], "the column 'code' would change: inf in row 1 would be read as 'inf'"),
    (["\x1b", "b", "c", "d"], "control character"),
])
def test_what_csv_cannot_hold_is_refused_and_jsonl_holds_it(tmp_path, values, told):
    frame = pd.DataFrame({"text": ["a b", "c d", "e f", "g h"], "item": ["i", "i", "j", "j"], "condition": ["p", "q"] * 2,
                          "code": values})
    stimuli = StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"main": "p - q"})
    with pytest.raises(InputError, match="write .jsonl or .parquet") as caught:
        stimuli.export(tmp_path / "s.csv")
    assert told in str(caught.value) and list(tmp_path.iterdir()) == []
    for kind in ("jsonl", "parquet"):
        assert StimulusSet.from_yaml(stimuli.to_yaml(tmp_path / "s.yaml", table=kind)).sha256 == stimuli.sha256


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_look_like_numbers_stay_names(tmp_path, kind):
    frame = pd.DataFrame({"text": ["1", "2.50", "1e5", "0x1f"], "item": ["1", "1", "007", "007"], "span": ["1", "", "", ""],
                          "condition": ["p", "q"] * 2, "id": ["1", "2", "03", "4.0"], "code": ["001", "01", "", "1"]})
    stimuli = StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"main": "p - q"}, confirm=())
    again = StimulusSet.from_yaml(stimuli.to_yaml(tmp_path / "s.yaml", table=kind))
    assert again.sha256 == stimuli.sha256 and again.ids == ["1", "2", "03", "4.0"] and again.texts == stimuli.texts
    assert again.table["item"].tolist() == ["1", "1", "007", "007"] and again.table["code"].tolist() == ["001", "01", "", "1"]


def test_a_csv_says_what_the_table_says(tmp_path):
    stimuli = StimulusSet.from_yaml(DATA / "small.yaml")
    with open(stimuli.export(tmp_path / "t.csv"), newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == list(stimuli.table.columns)
    assert [row["text"] for row in rows] == stimuli.texts
    assert rows[1]["span"] == "stood still" and rows[1]["grade"] == "2.0" and rows[-1]["grade"] == ""


def test_covariates_that_no_item_can_carry_need_a_table(tmp_path):
    frame = pd.DataFrame({"text": ["a b", "c d", "e f", "g h"], "item": ["i", "i", "j", "j"], "condition": ["p", "q"] * 2,
                          "q": [1.0, 2, 3, 4]})
    for name in ("q", "be.moved", "1st"):
        stimuli = StimulusSet.from_frame(frame.rename(columns={"q": name}), name="s", concept="c",
                                         contrasts={"main": "p - q"})
        with pytest.raises(InputError, match=f"the covariate '{name}' cannot stand among the items.*table="):
            stimuli.to_yaml(tmp_path / "s.yaml")
        assert StimulusSet.from_yaml(stimuli.to_yaml(tmp_path / "s.yaml", table="csv")).sha256 == stimuli.sha256


def test_other_endings_and_a_missing_pyarrow_are_told(tmp_path, monkeypatch):
    stimuli = StimulusSet.from_yaml(DATA / "small.yaml")
    with pytest.raises(InputError, match="unknown form to export to '.xlsx'; allowed: .csv, .tsv, .jsonl, .parquet, .json"):
        stimuli.export(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="unknown table format '.xls'"):
        stimuli.to_yaml(tmp_path / "small.yaml", table="xls")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SetupError, match="parquet files need pyarrow"):
        stimuli.export(tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_lists_of_study_c_go_out_and_in_equal(tmp_path):
    stimuli = StimulusSet.from_json(DATA / "study_c.json")
    again = StimulusSet.from_json(stimuli.export(tmp_path / "study_c.json"))
    assert_same(again, stimuli)
    assert json.loads((tmp_path / "study_c.json").read_text()) == json.loads((DATA / "study_c.json").read_text())
    imported = import_set(tmp_path / "study_c.json", name="other").stimuli
    assert imported.sha256 == stimuli.sha256 and imported.name == "other"


def test_lists_refuse_what_they_would_lose(tmp_path):
    frame = pd.DataFrame({"text": ["a b", "c d", "e f", "g h"], "condition": ["p", "p", "q", "q"], "span": ["a", "", "", ""],
                          "score": [1.0, 2, 3, 4]})
    stimuli = StimulusSet.from_frame(frame, name="s", concept="c", contrasts={"other": "q - p"}, independent=True)
    with pytest.raises(InputError, match="would lose items, contrasts, spans, covariates; write a table"):
        stimuli.export(tmp_path / "s.json")
    again = StimulusSet.from_json(stimuli.export(tmp_path / "s.json", texts_only=True))
    assert again.texts == stimuli.texts and again.conditions == ("p", "q")
    with pytest.raises(InputError, match="cannot hold matched items; allowed: independent items in 2 or 4 conditions"):
        StimulusSet.from_yaml(DATA / "small.yaml").export(tmp_path / "small.json")
    mixed = StimulusSet.from_frame(frame.drop(columns=["span", "score"]).iloc[[0, 2, 1, 3]], name="s", concept="c",
                                   contrasts={"main": "p - q"}, independent=True)
    with pytest.raises(InputError, match="would lose the order of the texts"):
        mixed.export(tmp_path / "s.json")


def test_a_saved_dataset_comes_back_equal(tmp_path):
    datasets = pytest.importorskip("datasets")
    stimuli = StimulusSet.from_yaml(DATA / "tabled.yaml")
    datasets.Dataset.from_pandas(stimuli.table).save_to_disk(tmp_path / "saved")
    options = ImportOptions(contrast=tuple(f"{name}: {text}" for name, text in stimuli.contrasts.items()),
                            graded=stimuli.graded)
    again = import_set(tmp_path / "saved", name="tabled", options=options).stimuli
    again = dataclasses.replace(again, strata=stimuli.strata)
    assert again.sha256 == stimuli.sha256
    for kind in ("csv", "jsonl", "parquet"):
        table = stimuli.export(tmp_path / f"t.{kind}")
        again = import_set(table, name="tabled", options=dataclasses.replace(options, format="table")).stimuli
        assert dataclasses.replace(again, strata=stimuli.strata).sha256 == stimuli.sha256
