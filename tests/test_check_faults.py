"""Planted faults: one edit on a copy of a shipped set, and the check that finds it by name."""

import copy
import re

import pytest
import yaml

from cogneuro_sae.config import shipped
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli import SURFACE, StimulusSet

pytestmark = pytest.mark.slow

NAME = "music"
SOURCE = shipped("stimuli") / "concepts" / f"{NAME}.yaml"
HAPPY = "wonderful happy delighted brilliant lovely great superb excellent joyful perfect".split()
RARE = ("antediluvian borborygmus callipygian defenestrate eleemosynary floccinaucinihilipilification gubernatorial "
        "hemidemisemiquaver iatrogenic jentacular kakistocracy lachrymose mumpsimus nudiustertian obnubilate pusillanimous "
        "quockerwodger rhathymia sesquipedalian tergiversation ultracrepidarian velleity widdershins xenoglossy").split()


def matched(data):
    return [item for item in data["items"] if "target" in item]


def opened(data):
    kept = set(data["split"]["confirm"])
    return [item for item in matched(data) if item["item"] not in kept]


def append(text, words):
    return f"{text.rstrip('.')} {words}."


def same_text_twice(data):
    opened(data)[0]["target"][1] = opened(data)[0]["target"][0]


def text_in_both_conditions(data):
    opened(data)[0]["near"][0] = opened(data)[0]["target"][0]


def copied_into_another_item(data):
    opened(data)[1]["target"][1] = opened(data)[0]["target"][1]


def exchanged_between_items(data):
    first, second = opened(data)[0], opened(data)[1]
    first["target"][1], second["target"][1] = second["target"][1], first["target"][1]


def copied_into_a_locked_item(data):
    locked = next(item for item in matched(data) if item["item"] in data["split"]["confirm"])
    locked["target"][1] = opened(data)[0]["target"][1]


def nearly_copied(data):
    opened(data)[1]["target"][1] = append(opened(data)[0]["target"][1], "again")


def same_frame(data):
    words = opened(data)[0]["target"][0].split()
    other = opened(data)[1]["target"][0].split()
    opened(data)[1]["target"][0] = " ".join(other[n % len(other)] if n % 3 == 1 else word for n, word in enumerate(words))


def banned_stem(data):
    opened(data)[0]["near"][0] = append(opened(data)[0]["near"][0], data["banned"][0].replace("*", "x"))


def missing_cell(data):
    del opened(data)[0]["near"]


def longer_targets(data):
    far = [item["far"][0].split() for item in data["items"] if "far" in item]
    for item, words in zip(matched(data), far):
        item["target"] = [append(text, " ".join(words[2 * k:2 * k + 4])) for k, text in enumerate(item["target"])]


def one_word_in_every_target(data):
    for item in matched(data):
        item["target"] = [append(text, "indeed") for text in item["target"]]
        item["near"] = [append(text, f"w{item['item'].replace('-', '')}") for text in item["near"]]


def exact_swaps_in_all_items(data):
    for number, item in enumerate(matched(data)):
        for k in range(2):
            pair = [f"zyx{number // 2}{k}", f"qvw{number // 2}{k}"]
            for side, word in zip(("target", "near"), pair[:: 1 if number % 2 else -1]):
                item[side][k] = append(item[side][k], f"{word} {word}")


def special_token(data):
    opened(data)[0]["target"][0] += " </s>"


def happy_targets(data):
    for number, item in enumerate(matched(data)):
        item["target"] = [append(text, HAPPY[(number + k) % 10]) for k, text in enumerate(item["target"])]
        item["near"] = [append(text, "ordinary") for text in item["near"]]


def rare_targets(data):
    for item, word in zip(matched(data), RARE, strict=True):
        item["target"] = [append(text, word) for text in item["target"]]
        item["near"] = [append(text, "ordinary") for text in item["near"]]


FAULTS = [
    (same_text_twice, "duplicates", "warning", "the same text: "),
    (copied_into_another_item, "leakage", "warning", "stands also in another item"),
    (exchanged_between_items, "leakage", "warning", "more than any text of its own item"),
    (copied_into_a_locked_item, "leakage", "error", "stand in different splits and share 100%"),
    (nearly_copied, "near_duplicates", "warning", "of words in different items"),
    (same_frame, "frames", "warning", "share a sentence frame"),
    (banned_stem, "banned", "error", "holds "),
    (longer_targets, "length", "warning", "not within 0.40-0.60: the number of words"),
    (one_word_in_every_target, "surface", "warning", "bag_of_words AUROC"),
    (exact_swaps_in_all_items, "over_tuned", "warning", "below 0.35"),
    (special_token, "specials", "warning", "1 texts hold special tokens"),
    (happy_targets, "nuisance", "warning", "target - near: sentiment"),
    (rare_targets, "nuisance", "warning", "target - near: zipf_min"),
]
REFUSED = [(missing_cell, "lacks near"), (text_in_both_conditions, "the same text stands in the conditions target and near")]


@pytest.fixture(scope="module")
def data():
    return yaml.safe_load(SOURCE.read_text("utf-8"))


def planted(data, edit, folder):
    data = copy.deepcopy(data)
    edit(data)
    path = folder / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), "utf-8")
    return path


def found(checks):
    return {(line.level, line.name, line.text) for line in checks.lines if line.level in ("warning", "error")}


def test_the_clean_copy_shows_none_of_them(data, tmp_path):
    assert found(StimulusSet.from_yaml(planted(data, lambda copied: None, tmp_path)).check()) == set()


@pytest.mark.parametrize(("edit", "name", "level", "text"), FAULTS, ids=[case[0].__name__ for case in FAULTS])
def test_a_planted_fault_is_found_by_name(edit, name, level, text, data, tmp_path, monkeypatch):
    by_words = name in ("surface", "over_tuned")
    monkeypatch.setattr("cogneuro_sae.stimuli.checks.SURFACE", {"bag_of_words": SURFACE["bag_of_words"]} if by_words else {})
    checks = StimulusSet.from_yaml(planted(data, edit, tmp_path)).check()
    assert any(line[:2] == (level, name) and text in line[2] for line in found(checks)), found(checks)


@pytest.mark.parametrize(("edit", "text"), REFUSED, ids=[case[0].__name__ for case in REFUSED])
def test_a_fault_of_design_is_refused_with_its_place(edit, text, data, tmp_path):
    with pytest.raises(InputError, match=text) as raised:
        StimulusSet.from_yaml(planted(data, edit, tmp_path))
    assert re.search(rf"{NAME}\.yaml:\d+", str(raised.value))
