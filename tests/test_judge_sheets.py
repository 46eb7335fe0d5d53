"""Sheets go out blind and escaped and come back as a human rater, with faults told by line."""

import csv
import io
import json
import math
import re

import judge_world as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.controls import build_items
from cogneuro_sae.judge.items import make_item
from cogneuro_sae.judge.sheets import read_sheet, write_sheet

KINDS = [("csv", "sheet.csv"), ("markdown", "sheet.md")]


@pytest.fixture(scope="module")
def items():
    search = world.search({f"sae:{number}": [arm] for number, arm in enumerate(["max_any", "random", "rate_matched"])}, bins=2)
    told = {row["feature"]: "verbs of winning" for row in search.features}
    found = build_items(search, rubrics=["target", "intruder", "explanation", "explanation_batch", "detection", "fuzzing"],
                        concept="achievement", explanations=told)
    by_rubric = {}
    for item in found:
        by_rubric.setdefault(item.rubric, []).append(item)
    return [item for group in by_rubric.values() for item in group[:40]]


def an_item(text, **changes):
    window = {"tokens": ["So ", text, " off."], "marked": [1]}
    return make_item("target", {"windows": [window]}, concept="c", **changes)


def answer_of(item):
    return {"target": "2", "intruder": "1", "detection": "1", "fuzzing": "0"}.get(item.rubric, "winning")


def filled(path, kind, answers, *, name="anna", reason=""):
    """Fill a sheet as a person would: `answers` by item id."""
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
        for row in rows:
            row["answer"], row["reason"] = answers.get(row["item"].removeprefix("item-"), ""), reason
            if "label" in row["answer_with"] and row["answer"]:
                row["explanation"], row["certainty"] = "they win", "0.5"
        rows[0]["rater"] = name
        with open(path, "w", newline="", encoding="utf-8-sig") as handle:
            writer = csv.DictWriter(handle, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path
    lines, item = [], ""
    for line in path.read_text("utf-8").split("\n"):
        item = match[1] if (match := re.match(r"## \d+ of \d+ item-(\w+)", line)) else item
        given = answers.get(item, "")
        line = {"rater:": f"rater: {name}", "answer:": f"answer: {given}", "reason:": f"reason: {reason}"}.get(line, line)
        if given and line in ("explanation:", "certainty:"):
            line += {"explanation:": " they win", "certainty:": " 0.5"}[line]
        lines.append(line)
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.parametrize("kind, name", KINDS)
def test_there_and_back(tmp_path, items, kind, name):
    path = write_sheet(items, tmp_path / name, kind, concept="achievement", definition="a goal is reached")
    rows = read_sheet(filled(path, kind, {item.item: answer_of(item) for item in items}, reason="because"), items)
    assert {row.item.item for row in rows} == {item.item for item in items}
    assert {row.rater for row in rows} == {"human:anna"} and {row.repeat for row in rows} == {0}
    assert {row.parsed.status for row in rows} == {"ok"}
    assert {row.item.rubric for row in rows} == {"target", "intruder", "explanation", "explanation_batch", "detection", "fuzzing"}
    for row in rows:
        truth = row.item.truth
        expected = {"target": 2.0, "intruder": float(truth == 0), "detection": float(truth == 1), "fuzzing": float(truth == 0)}
        assert row.parsed.score == expected.get(row.item.rubric, 0.5) and row.parsed.label["reason"] == "because"
        if row.item.rubric.startswith("explanation"):
            assert row.parsed.label["label"] == "winning" and row.parsed.label["explanation"] == "they win"
        assert path.read_text("utf-8-sig").split("\n")[row.line - 1]
    order = [row.item.item for row in rows]
    assert order != [item.item for item in items], "the sheet keeps the run's order"


@pytest.mark.parametrize("kind, name", KINDS)
def test_a_sheet_tells_no_arm_feature_or_control(tmp_path, items, kind, name):
    text = write_sheet(items, tmp_path / name, kind, concept="achievement", definition="d").read_text("utf-8-sig")
    assert not re.search(r"max_any|rate_matched|random|sae:\d|shuffl|canary|duplicate|decoder|known|control", text.replace("known items", ""), re.I)
    for item in items:
        assert item.original == "" or f"item-{item.original}" not in text.split(f"item-{item.item}")[1][:400]
    assert text.count("the opposite of achievement") == sum(item.control == "opposite_concept" for item in items)


@pytest.mark.parametrize("kind, name", KINDS)
def test_blank_answers_are_there_without_a_score(tmp_path, items, kind, name):
    path = write_sheet(items, tmp_path / name, kind)
    skipped = items[3]
    rows = read_sheet(filled(path, kind, {item.item: answer_of(item) for item in items if item != skipped}), items)
    (blank,) = [row for row in rows if row.parsed.status != "ok"]
    assert blank.item == skipped and math.isnan(blank.parsed.score) and blank.text == ""
    assert (blank.parsed.status, blank.parsed.reason) == ("unparsable", "left blank by the rater")


@pytest.mark.parametrize("kind, name", KINDS)
def test_a_wrong_answer_is_told_by_line_and_all_at_once(tmp_path, kind, name):
    items = [an_item(f"word{number}") for number in range(4)]
    path = write_sheet(items, tmp_path / name, kind)
    wrong = {items[0].item: "7", items[1].item: "2 or 3", items[2].item: "1", items[3].item: "good"}
    with pytest.raises(InputError) as caught:
        read_sheet(filled(path, kind, wrong), items)
    told = str(caught.value).split("\n")
    assert len(told) == 3 and all("allowed: 0 irrelevant, 1 vague" in line for line in told)
    lines = path.read_text("utf-8-sig").split("\n")
    for line in told:
        number = int(re.match(rf"{re.escape(str(path))}:(\d+): ", line)[1])
        shown = re.search(r"'(7|2 or 3|good)' is no answer", line)[1]
        assert shown in lines[number - 1]


def test_faults_of_the_sheet_itself(tmp_path):
    items = [an_item(f"word{number}") for number in range(3)]
    path = write_sheet(items, tmp_path / "s.csv")
    whole = filled(path, "csv", {item.item: "1" for item in items}).read_text("utf-8-sig")
    lines = whole.splitlines()

    def fault(text, match, **options):
        path.write_text(text, "utf-8")
        with pytest.raises(InputError, match=match):
            read_sheet(path, items, **options)

    fault(whole.replace(",anna,", ",,"), "the rater's name is missing.*write it into")
    fault("\n".join([*lines, lines[1]]), r"s.csv:5: item item-\w+ stands twice; it is on line 2 already")
    fault("\n".join(lines[:2] + lines[3:]), "1 rows are not in the sheet any more, such as number 2")
    fault(whole.replace("item-", "x-", 1), r"s.csv:2: unknown item 'x-\w+'; give the items")
    fault("\n".join([lines[0], lines[1], lines[2].replace(",,1,", ",bert,1,"), lines[3]]), "s.csv:3: another rater, 'bert'")
    fault(whole, "the sheet is that of 'anna', not of 'bert'", rater="bert")
    fault(whole.replace("anna", "<script>"), "cannot be a rater's name")
    fault("a,b\n1,2\n", "s.csv:1: no column 'item'")
    fault(lines[0] + "\n", "holds no items")
    fault(lines[0] + '\n"unclosed', "s.csv:2: broken csv")
    fault("", "no column 'item'")
    path.write_bytes(whole.encode("utf-16"))
    with pytest.raises(InputError, match='not UTF-8.*save it as "CSV UTF-8"'):
        read_sheet(path, items)
    with pytest.raises(InputError, match="cannot read the sheet"):
        read_sheet(tmp_path / "none.csv", items)
    with pytest.raises(InputError, match="unknown kind of sheet 'excel'"):
        write_sheet(items, path, "excel")
    with pytest.raises(InputError, match="no items for a sheet"):
        write_sheet([], path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_make_of_it_is_read(tmp_path, delimiter):
    items = [an_item("word"), an_item("other")]
    path = write_sheet(items, tmp_path / "s.csv")
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    for row in rows[1:]:
        row[rows[0].index("answer")] = " 1 "
    with open(path, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([*rows, [""] * len(rows[0])])
    assert [row.parsed.score for row in read_sheet(path, items, rater="human:anna")] == [1.0, 1.0]
    assert read_sheet(path, items, rater="anna")[0].rater == "human:anna"


def test_part_of_a_run_can_be_drawn(tmp_path, items):
    path = write_sheet(items, tmp_path / "s.csv", most=5, seed=4)
    rows = read_sheet(path, items, rater="b")
    assert len(rows) == 5 and {row.line for row in rows} != set()
    assert path.read_bytes() == write_sheet(items, tmp_path / "t.csv", most=5, seed=4).read_bytes()


HOSTILE = ["=1+1", "@cmd", "+49", "-3", "\tx", "«won»", "answer: 3", "\nanswer: 3\n", "## 1 of 9 item-0", "<script>alert(1)</script>",
           "| a | b |", "[x](javascript:1)", "\x1b[2J", "\u202e", "\x00", "rater: eve", '"', "'", "\r\n", "> ", "- ", "# ", "```", "\ud800"]


@settings(max_examples=80, deadline=None)
@given(text=st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec=None), max_size=30),
                      st.lists(st.sampled_from(HOSTILE)).map("".join)))
def test_no_text_breaks_a_sheet(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("sheet")
    question = make_item("answer", {"question": text, "answer": text, "reference": text}, concept="c")
    described = make_item("detection", {**an_item(text).payload, "explanation": text}, concept="c", truth=1)
    items = [an_item(text), question, described]
    for kind, name in KINDS:
        path = write_sheet(items, folder / name, kind, concept=text, definition=text)
        rows = read_sheet(path, items, rater="anna")
        assert [row.text for row in rows] == [""] * 3 and {row.item.item for row in rows} == {item.item for item in items}
        shown = path.read_bytes().decode("utf-8-sig")
        assert "<script" not in shown if kind == "markdown" else True
        assert not set(re.sub(r"[\r\n]", "", shown)) & {"\x1b", "\u202e", "\x00", "\t"}
    table = list(csv.DictReader(io.StringIO((folder / "sheet.csv").read_bytes().decode("utf-8-sig"), newline="")))
    cells = [cell for row in table for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t")) and not re.fullmatch(r"\+?[0-9.]+", cell)]
    for row in table:
        marks = ("«", "»") if "between" in row["task"] else ()
        assert [character for character in row["text"] if character in "«»"] == list(marks)


def test_the_sheet_shows_what_the_prompt_shows(tmp_path):
    window = {"tokens": [" She", " won", " it", "."], "marked": [1], "strengths": [0, 9, 2, 0]}
    items = [make_item("explanation", {"windows": [window, window]}, concept="c"), make_item("target", {"windows": [window]}, concept="c"),
             make_item("answer", {"question": "2 + 2 =", "answer": "4", "reference": "4"}, concept="c")]
    text = write_sheet(items, tmp_path / "s.md", "markdown", concept="a_b", definition="d*d").read_text("utf-8")
    assert "> (1) She «won»(9) «it»(2).\n> (2) She «won»(9) «it»(2)." in text and "> She «won» it." in text
    assert "> question: 2 + 2 =\n> reference: 4\n> answer: 4" in text and "**a\\_b**: d\\*d" in text
    assert text.count("certainty:\n") == 1 and text.count("\nreason:") == 3


def test_a_line_of_an_explanation_half_filled_is_a_fault(tmp_path):
    window = {"tokens": [" She", " won"], "marked": [1], "strengths": [0, 9]}
    item = make_item("explanation", {"windows": [window]}, concept="c")
    path = write_sheet([item], tmp_path / "s.md", "markdown")
    for certainty, match in (("", "certainty is not a number"), ("5", "not from 0 to 1"), ("nan", "not a number")):
        path.write_text(re.sub("certainty:.*", f"certainty: {certainty}", path.read_text().replace("answer:\n", "answer: wins\n")
                               .replace("explanation:\n", "explanation: yes\n")))
        with pytest.raises(InputError, match=f"s.md:[0-9]+: 'wins' is no answer .*{match}"):
            read_sheet(path, [item], rater="a")
    path.write_text(path.read_text().replace("certainty: nan", "certainty: 0,5"))
    (row,) = read_sheet(path, [item], rater="a")
    assert row.parsed.score == 0.5 and json.loads(row.text)["label"] == "wins"
