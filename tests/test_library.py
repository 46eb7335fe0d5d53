"""The shipped stimuli: their sizes, their balance, and that the table of all sets says what the files hold."""

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cogneuro_sae.corpus import load_corpus
from cogneuro_sae.stimuli import StimulusSet

ROOT = Path(__file__).parents[1]
STIMULI = ROOT / "stimuli"
SETS = sorted(STIMULI.glob("*/*.yaml"))
CONCEPTS = sorted(STIMULI.glob("concepts/*.yaml"))
GROUPS = {"evaluative", "relational", "social", "concrete"}
SMALL = ("analogy", "music", "gratitude_de", "causality_by_form")


@pytest.fixture(scope="module")
def sets():
    return {path.stem: StimulusSet.from_yaml(path) for path in SETS}


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(STIMULI / "table.csv").set_index("set")


@pytest.fixture(scope="module")
def maker():
    return runpy.run_path(str(ROOT / "analyses" / "make_stimuli_table.py"))


@pytest.fixture(scope="module")
def count():
    from cogneuro_sae.language_model import LanguageModel

    tokenizer = LanguageModel.load("default").tokenizer
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_the_table_is_of_these_files(sets, table):
    assert list(table.index) == [path.stem for path in SETS]
    assert {name: each.sha256 for name, each in sets.items()} == table["sha256"].to_dict(), \
        "a set has changed: run analyses/make_stimuli_table.py"


def test_the_readme_shows_the_table(table, maker):
    page = (STIMULI / "README.md").read_text("utf-8")
    written = pd.read_csv(STIMULI / "written.csv", dtype=str)
    assert maker["BEGIN"] + maker["markdown"](table.reset_index(), written) + maker["END"] in page
    assert maker["LIMITS"][0] + maker["thresholds"]() + maker["LIMITS"][1] in page


def again(names, sets, table, maker):
    for name in names:
        path = next(path for path in SETS if path.stem == name)
        row, _ = maker["measure"](path)
        for column, value in row.items():
            if column == "set":
                continue
            kept = table.loc[name, column]
            if isinstance(value, float) and not np.isnan(value):
                assert kept == pytest.approx(value, abs=6e-5), (name, column)
            else:
                assert ("" if pd.isna(kept) else str(kept)) == ("" if pd.isna(value) else str(value)), (name, column)


@pytest.mark.slow
def test_the_numbers_of_the_table_come_out_again(sets, table, maker):
    again(SMALL, sets, table, maker)


@pytest.mark.long
def test_all_numbers_of_the_table_come_out_again(sets, table, maker):
    again([path.stem for path in SETS], sets, table, maker)


def test_no_set_has_an_error(table):
    assert (table["errors"] == 0).all()


def test_there_are_concepts_of_every_kind(sets):
    kinds = [sets[path.stem].group for path in CONCEPTS]
    assert len(CONCEPTS) >= 24 and set(kinds) == GROUPS
    assert min(kinds.count(kind) for kind in GROUPS) >= 5


@pytest.mark.parametrize("name", [path.stem for path in CONCEPTS])
def test_a_concept_has_the_promised_size(name, sets, count):
    each = sets[name]
    rows = each.table
    assert each.licence == "CC0-1.0" and each.banned and len(each.definition) > 20
    matched = rows[rows["condition"] != "far"]
    assert matched["item"].nunique() >= 24 and rows[rows["condition"] == "far"]["item"].nunique() >= 24
    assert (matched.groupby(["item", "condition"]).size() >= 2).all()
    words = rows["text"].str.split().str.len()
    assert words.between(8, 30).all(), rows.loc[~words.between(8, 30), "id"].tolist()
    confirm = matched.loc[matched["split"] == "confirm", "item"].nunique() / matched["item"].nunique()
    assert 0.25 <= confirm <= 0.4
    assert all(5 <= len(each.words[side]) <= 10 for side in ("target", "foil"))
    assert len(each.continuations) >= 12
    for entry in each.continuations:
        assert count(entry["target"]) == count(entry["foil"]), entry
    source = next(path for path in CONCEPTS if path.stem == name).read_text("utf-8")
    assert source.startswith("#") and "foil" in source.split("name:")[0].casefold(), "one line on its foil"


def test_words_do_not_tell_target_from_foil(table):
    concepts = table[table["folder"] == "concepts"]
    within = concepts["bag_of_words"] <= 0.70
    assert within.sum() >= 15
    for name in concepts.index[~within]:
        assert "cannot be had without" in (STIMULI / "concepts" / f"{name}.yaml").read_text("utf-8"), name
    assert concepts["words_auroc"].between(0.40, 0.60).all()


def test_graded_sets_have_four_levels_or_more_in_every_item(sets):
    graded = [sets[path.stem] for path in SETS if path.parent.name == "graded"]
    assert len(graded) >= 3
    for each in graded:
        grades = each.table.groupby("condition")["grade"].first()
        assert len(grades) in (4, 5) and grades.is_unique and each.conditions[0] == grades.idxmax()
        assert each.table["item"].nunique() >= 16
        assert (each.table.groupby(["item", "condition"]).size() >= 2).all()


def test_factorial_sets_cross_their_factors_in_sixteen_families_or_more(sets):
    factorial = [sets[path.stem] for path in SETS if path.parent.name == "factorial"]
    assert len(factorial) >= 4
    for each in factorial:
        assert len(each.factors) >= 2 and not each.layout.between and each.table["item"].nunique() >= 16
        assert (each.table.groupby(["item", "condition"]).size() >= 2).all()
        assert any("interaction" in name for name in each.contrasts)


def test_translations_run_parallel_to_their_originals(sets):
    translated = [sets[path.stem] for path in SETS if path.parent.name == "translations"]
    assert len(translated) >= 2
    for each in translated:
        original = sets[each.name.removesuffix("_de")]
        assert each.language == "de" and original.language == "en"
        columns = ["id", "item", "condition", "paraphrase", "split"]
        assert each.table[columns].equals(original.table[columns])
        assert not set(each.texts) & set(original.texts)


def test_the_topics_have_twenty_cells_and_two_hundred_and_forty_families(sets):
    topics = ("math_simple", "math_complex", "python", "non_english", "social", "formal", "conversational")
    found = [sets[name] for name in topics]
    assert sum(len(each.conditions) for each in found) == 20
    assert sum(each.table["item"].nunique() for each in found) >= 240
    for each in found:
        assert (each.table["meaning"] != "").all() and each.table.groupby("item")["meaning"].nunique().eq(1).all()
    assert (sets["math_simple"].table["answer"] != "").all() and (sets["math_complex"].table["answer"] != "").all()


def test_the_categories_and_the_prompts(sets):
    categories, prompts = sets["categories"], sets["programming_prompts"]
    assert len(categories.conditions) == 7 and (categories.table["condition"].value_counts() == 10).all()
    assert len(prompts) == 98 and categories.independent and prompts.independent


def test_tasks_have_one_answer_and_a_cloze_each(sets, count):
    arithmetic, questions = sets["arithmetic"], sets["questions"]
    assert arithmetic.table["item"].nunique() == 264 and questions.table["item"].nunique() == 108
    for each in (arithmetic, questions):
        answers = each.table.groupby("item")["answer"].agg(["nunique", "first"])
        assert (answers["nunique"] == 1).all() and (answers["first"] != "").all()
        clozes = {entry["item"]: entry for entry in each.continuations}
        assert len(clozes) == len(each.continuations) == len(answers)
        for item, entry in clozes.items():
            assert entry["target"] == f" {answers.loc[item, 'first']}" != entry["foil"], entry
            assert count(entry["target"]) == count(entry["foil"]), entry
        assert each.graded == ("level",) and each.table["level"].nunique() >= 3


def test_arithmetic_answers_are_right_and_foils_wrong(sets):
    compute = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "x": lambda a, b: a * b, "/": lambda a, b: a / b}
    above = []
    for entry in sets["arithmetic"].continuations:
        a, sign, b = re.fullmatch(r"(\d+) ([-+x/]) (\d+) =", entry["prompt"]).groups()
        answer = compute[sign](int(a), int(b))
        assert float(entry["target"]) == answer, entry
        above.append(float(entry["foil"]) > answer)
    assert 0.4 < np.mean(above) < 0.6
    assert len({entry["prompt"] for entry in sets["arithmetic"].continuations}) == 264


def test_answers_to_questions_do_not_come_from_another_vocabulary_than_their_foils(sets):
    questions = sets["questions"]
    kind = questions.table.groupby("item")["kind"].first()
    for name in kind.unique():
        entries = [entry for entry in questions.continuations if kind[entry["item"]] == name]
        targets = {entry["target"] for entry in entries}
        assert np.mean([entry["foil"] in targets for entry in entries]) >= 0.5, name


def test_neutral_passages_are_read_as_a_corpus(sets):
    passages = list(load_corpus(STIMULI / "neutral" / "passages.txt").documents())
    assert len(passages) >= 100
    texts = [getattr(each, "text", each) for each in passages]
    assert len({text[:12] for text in texts}) == len(texts)
    assert all(30 <= len(text.split()) <= 90 for text in texts)
