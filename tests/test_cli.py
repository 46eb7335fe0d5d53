"""The command line: exit codes, one clear message, nothing half-written; a table of what annoyed users type."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogneuro_sae import cli

SET = """\
name: good
concept: courage
definition: Someone acts although it is dangerous.
conditions: {target: with, near: without}
contrasts: {main: target - near}
items:
"""


def text_of_items(n=12):
    scenes = "river bridge tower forest harbour market school kitchen garden station valley theatre".split()
    return "".join(
        f"  - item: scene-{i}\n"
        f"    target: [At the {scene} she walked into the smoke to fetch the child number {i}.,"
        f" Into the smoke of the {scene} went the woman who fetched child number {i}.]\n"
        f"    near: [At the {scene} she walked past the smoke to fetch the paper number {i}.,"
        f" Past the smoke of the {scene} went the woman who fetched paper number {i}.]\n"
        for i, scene in enumerate(scenes[:n]))


GOOD = SET + text_of_items()
CONFIG = "name: tiny\nstimuli: [good.yaml]\nmodel: default\nsite: middle\nrepresentations: {raw: raw}\nselectors: [max_any]\nk: 4\nensemble: mean_z\n"

BAD_SETS = {
    "empty file": ("", "empty"),
    "a list": ("- a\n- b\n", "mapping"),
    "a tab": ("name: good\n\titems: []\n", "good.yaml:2"),
    "two documents": (GOOD + "---\nname: b\n", "one document"),
    "a key twice": (GOOD + "name: other\n", "name"),
    "python object": ("name: !!python/object/apply:os.system ['true']\n", "tag"),
    "alias bomb": ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                   "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "alias"),
    "recursive alias": ("a: &a [*a]\n", "alias"),
    "merge key": ("a: &a {x: 1}\nb: {<<: *a}\n", "<<"),
    "deep nesting": ("a: " + "[" * 200 + "]" * 200 + "\n", "nest"),
    "Norway": (SET.replace("with,", "no,") + text_of_items(), "quote"),
    "a date as text": (SET + text_of_items() + "  - item: x\n    target: [2024-01-01, a b c d e]\n    near: [a c d e f, b d e f g]\n", "quote"),
    "unknown key": (GOOD + "colour: red\n", "colour"),
    "missing key": (GOOD.replace("definition: Someone acts although it is dangerous.\n", ""), "definition"),
    "wrong type": (SET.replace("items:\n", "items: text\n"), "items"),
    "empty text": (GOOD + "  - item: x\n    target: ['', a b c]\n    near: [b c d, c d e]\n", "empty"),
    "item outside the rules": (GOOD.replace("scene-3", "../x"), "../x"),
    "items that differ in case only": (GOOD + "  - item: Scene-1\n    target: [a b c d]\n    near: [b c d e]\n", "cene-1"),
    "same text in both conditions": (GOOD + "  - item: x\n    target: [The same words here.]\n    near: [The same words here.]\n", "same"),
    "one condition": ("name: good\nconcept: c\ndefinition: d.\nconditions: {target: a}\ncontrasts: {main: target - near}\n"
                      "items:\n  - item: x\n    target: [a b c d]\n", "near"),
    "unknown name in a contrast": (GOOD.replace("main: target - near", "main: target - naer"), "did you mean"),
    "code in a contrast": (GOOD.replace("main: target - near", "main: \"__import__('os')\""), "main"),
    "a control character": (GOOD.replace("scene-1\n", "scene-1\n", 1).replace("river", "ri\x00ver"), "good.yaml"),
    "latin-1": (GOOD.replace("river", "rivi\u00e8re").encode("latin-1"), "UTF-8"),
    "item with a gap": (GOOD + "  - item: x\n    target: [a b c d e]\n", "near"),
    "huge integer": (GOOD + "strata: " + "9" * 5000 + "\n", "5000 digits"),
}

BAD_CONFIGS = {
    "layer out of range": ("site", "site: resid_post.99", "0"),
    "site mistyped": ("site", "site: midle", "middle"),
    "unknown selector": ("selectors", "selectors: [max_ayn]", "max_any"),
    "unknown ensemble": ("ensemble", "ensemble: logistc_l1", "logistic_l1"),
    "unknown key": ("k:", "k: 4\nlayers: 3", "layers"),
    "no selectors": ("selectors", "selectors: []", "selectors"),
    "k of 0": ("k:", "k: 0", "k"),
    "k above the features": ("k:", "k: 100000", "100000"),
    "negative seed": ("k:", "k: 4\nseed: -1", "seed"),
    "permutations negative": ("k:", "k: 4\npermutations: -5", "permutations"),
    "missing set": ("stimuli", "stimuli: [godo.yaml]", "godo"),
    "glob without files": ("stimuli", "stimuli: [none-*.yaml]", "none-*"),
    "missing model folder": ("model", "model: models/typo", "models/typo"),
    "duplicate cells": ("k:", "k: [4, 4]", "k"),
    "unknown window": ("k:", "k: 4\nwindow: frist(3)", "first"),
    "missing SAE": ("representations", "representations: {sae: no_such}", "no_such"),
    "planned over unknown cells": ("k:", "k: 4\nplanned: {a: max_any - nothing}", "nothing"),
}

BAD_WORDS = [
    (["compare", "no_such_config"], 2, "no_such_config"),
    (["compare", "demo", "--overwrite", "--dry-run"], 2, "contradict"),
    (["compare", "demo", "--set", "folds.splitz=3"], 2, "splits"),
    (["compare", "demo", "--set", "k=many"], 2, "k"),
    (["compare", "demo", "--set", "seed"], 2, "="),
    (["compare", "demo", "--device", "cuda"], 3, "cpu"),
    (["check", "no_such_set"], 2, "no_such_set"),
    (["check", "."], 2, ""),
    (["map", "no_such_set"], 2, "no_such_set"),
    (["report", "no_such_folder"], 2, "no_such_folder"),
    (["train", "default", "--set", "corpus=no_such_folder"], 2, "no_such_folder"),
    (["train", "default", "--set", "width=0"], 2, "width"),
    (["train", "default", "--set", "lr=nan"], 2, "lr"),
    (["comapre"], 2, "compare"),
    ([], 2, "Usage"),
]


def run(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    shown = capsys.readouterr()
    return left.value.code, shown.out, shown.err


def assert_one_clear_message(code, out, err, wanted, *, expected=2):
    assert code == expected, err
    assert "Traceback" not in err and "internal error" not in err
    assert wanted.lower() in err.lower(), err
    assert len(err) < 2000 and out == ""


@pytest.mark.parametrize("case", BAD_SETS)
def test_bad_stimulus_sets(case, tmp_path, monkeypatch, capsys):
    content, wanted = BAD_SETS[case]
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    code, out, err = run(["check", "good.yaml"], capsys)
    assert_one_clear_message(code, out, err, wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["good.yaml"]


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_configs(case, tmp_path, monkeypatch, capsys):
    start, line, wanted = BAD_CONFIGS[case]
    lines = [line if old.startswith(start) else old for old in CONFIG.splitlines()]
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    Path("tiny.yaml").write_text("\n".join(lines) + "\n")
    code, out, err = run(["compare", "tiny.yaml"], capsys)
    assert_one_clear_message(code, out, err, wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.yaml", "tiny.yaml"]


@pytest.mark.parametrize(("words", "expected", "wanted"), BAD_WORDS, ids=[" ".join(case[0]) or "nothing" for case in BAD_WORDS])
def test_bad_command_lines(words, expected, wanted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(words, capsys)
    assert_one_clear_message(code, out, err, wanted, expected=expected)
    assert list(tmp_path.iterdir()) == []


def test_a_good_set_passes_and_stdout_ends_with_its_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    code, out, err = run(["check", "good.yaml"], capsys)
    assert code == 0, err
    assert out.strip().endswith("good.yaml") and "bag_of_words" in err


def test_check_json_is_json_alone(tmp_path, monkeypatch, capsys):
    import json

    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    code, out, _ = run(["check", "good.yaml", "--json"], capsys)
    assert code == 0 and json.loads(out)["name"] == "good"


def test_several_schema_errors_come_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    Path("tiny.yaml").write_text(CONFIG + "seed: -1\nlayers: 3\npermutations: many\n")
    code, out, err = run(["compare", "tiny.yaml"], capsys)
    assert code == 2
    for line, word in ((9, "seed"), (10, "layers"), (11, "permutations")):
        assert f"tiny.yaml:{line}" in err and word in err


def test_markup_and_escape_sequences_in_names_are_literal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD.replace("concept: courage", 'concept: "[/] [red]x \\e[31m"'))
    code, _, err = run(["check", "good.yaml"], capsys)
    assert "\x1b" not in err and "[31m" in err or code in (0, 2)


@pytest.mark.parametrize("words", [["--help"], ["compare", "broken.yaml"]], ids=["help", "schema error"])
def test_help_and_schema_errors_answer_at_once(words, tmp_path):
    (tmp_path / "broken.yaml").write_text("name: x\nstimulli: [achievement]\n")

    def seconds(command):
        """Processor time of the command, which other work on the machine does not lengthen."""
        times = []
        for _ in range(3):
            before = os.times()
            subprocess.run(command, capture_output=True, cwd=tmp_path)
            after = os.times()
            times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        return min(times)

    bare = seconds([sys.executable, "-c", "pass"])
    assert seconds([sys.executable, "-m", "cogneuro_sae", *words]) - bare < 0.5


def test_quiet_prints_nothing_but_errors(tmp_path, monkeypatch, capsys):
    steps = cli.Steps(quiet=True)
    steps("anything")
    assert capsys.readouterr().err == ""
    cli.Steps()("recorded [red] 3 texts")
    assert "1  recorded [red] 3 texts" in capsys.readouterr().err


def test_doctor_finds_this_installation_sound(capsys):
    code, out, err = run(["doctor"], capsys)
    assert code == 0, err
    assert "default model: complete" in err and "default SAE: complete" in err


def test_internal_errors_are_one_line_without_debug_and_a_traceback_with_it(monkeypatch, capsys):
    def broken(*arguments, **options):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(cli, "app", broken)
    code, out, err = run(["doctor"], capsys)
    assert code == 1 and "internal error: ZeroDivisionError: planted" in err and "Traceback" not in err
    code, out, err = run(["doctor", "--debug"], capsys)
    assert code == 1 and "Traceback" in err


def test_plugins_add_scores_only_when_named(tmp_path, monkeypatch, capsys):
    from cogneuro_sae.selection import SCORES

    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("from cogneuro_sae.selection import SCORES\nSCORES['mine'] = SCORES['auroc']\n")
    try:
        cli.run_plugin(Path("mine.py"))
        assert "mine" in SCORES
    finally:
        SCORES.pop("mine", None)
    code, _, err = run(["compare", "demo", "--plugin", "absent.py"], capsys)
    assert code == 2 and "absent.py" in err


@pytest.mark.slow
def test_a_terminal_that_cannot_show_a_path_gets_it_escaped(tmp_path):
    folder = tmp_path / "d\u00efr \u2603"
    folder.mkdir()
    (folder / "good.yaml").write_text(GOOD)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-m", "cogneuro_sae", "check", str(folder / "good.yaml")], env=environment,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "d\\xefr \\u2603" in done.stdout


def test_report_on_a_damaged_run_warns_and_still_makes_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/table.csv").write_text("garb,age\n1,2\n")
    code, out, err = run(["report", "run"], capsys)
    assert code == 0 and "warning: " in err and "table.csv" in err and "Traceback" not in err
    assert Path(out.strip()).is_file() and "KeyError" not in Path(out.strip()).read_text("utf-8")


def test_ctrl_c_says_that_the_same_command_resumes(monkeypatch, capsys):
    for answer in (lambda **options: 130, None):
        def stopped(answer=answer, **options):
            if answer is None:
                raise KeyboardInterrupt
            return answer()

        monkeypatch.setattr(cli, "app", stopped)
        code, out, err = run(["doctor"], capsys)
        assert code == 130 and "run the same command again" in err and out == ""
