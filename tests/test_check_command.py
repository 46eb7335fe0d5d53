"""`cogneuro-sae check` on many sets: one table, errors beside findings, csv, figure, norms, model, skeletons."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cogneuro_sae import cli, plots
from cogneuro_sae.commands import check as command
from cogneuro_sae.commands.skeleton import KINDS, write_skeleton
from cogneuro_sae.errors import InputError
from cogneuro_sae.stimuli import SURFACE, StimulusSet

SCENES = "river bridge tower forest harbour market school kitchen garden station valley theatre".split()


def a_set(name, *, near="paper", more=""):
    items = "".join(
        f"  - item: scene-{i}\n    target: [At the {scene} she walked to fetch the child {i}.]\n"
        f"    near: [At the {scene} she walked to fetch the {near} {i}.]\n" for i, scene in enumerate(SCENES))
    return (f"name: {name}\nconcept: courage\ndefinition: Someone acts.\n{more}conditions: {{target: with, near: without}}\n"
            f"contrasts: {{main: target - near}}\nitems:\n{items}")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A folder of two sets, one of them in a folder below."""
    monkeypatch.setattr("cogneuro_sae.stimuli.checks.SURFACE", {"length": SURFACE["length"]})
    monkeypatch.chdir(tmp_path)
    Path("library/below").mkdir(parents=True)
    Path("library/good.yaml").write_text(a_set("good", more="group: social\n"))
    Path("library/below/long.yaml").write_text(a_set("long", near="very long grey paper letter"))
    return tmp_path


def run(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    shown = capsys.readouterr()
    return left.value.code, shown.out, shown.err


@pytest.mark.slow
def test_a_folder_is_one_aligned_table_and_the_warnings_by_file(library, capsys):
    code, out, err = run(["check", "library"], capsys)
    assert code == 0, err
    table, *rest = err.split("\n\n")
    header, first, second = table.splitlines()
    assert header.split()[:5] == ["set", "group", "items", "texts", "words"] and header.split()[-1] == "worst"
    assert all(len(line) <= 120 for line in (header, first, second, *rest[0].splitlines()))
    assert first.split()[:5] == ["long", "-", "12", "24", "10.0/14.0"] and second.split()[1] == "social"
    assert header.index("len") + 3 == first.index(".00") + 3 and " -2" not in first.split("frames")[0]
    assert rest[-1].strip() == "2 sets: 0 with errors, 2 with warnings"
    blocks = {block.splitlines()[0]: block for block in rest[1:-1]}
    assert set(blocks) <= {"library/below/long.yaml:", "library/good.yaml:"}
    assert "warning  length          target - near: words AUROC 0.00" in blocks["library/below/long.yaml:"]
    assert "ok       " not in err and out.split() == [str(library / "library/below/long.yaml"), str(library / "library/good.yaml")]
    code, out, full = run(["check", "library", "--full"], capsys)
    assert "ok       items           12 items, all complete" in full


def test_long_names_shrink_to_the_width(library, capsys):
    long = "a" * 60
    Path(f"library/{long}.yaml").write_text(a_set(long, more=f"group: {'b' * 30}\n"))
    code, _, err = run(["check", "library"], capsys)
    assert code == 0 and max(map(len, err.split("\n\n")[0].splitlines())) <= 120 and "aaa..." in err


def test_a_set_that_does_not_load_hides_no_other(library, capsys):
    Path("library/broken.yaml").write_text(a_set("other").replace("near: [At the river", "naer: [At the river"))
    code, out, err = run(["check", "library", "--table", "t.csv"], capsys)
    assert code == 2 and "broken " in err and "good " in err and "Traceback" not in err
    assert re.search(r"library/broken\.yaml:\n  error    loading .*\n  error    loading .*broken\.yaml:\d+: items\[0\]\.naer: unknown condition", err)
    table = pd.read_csv("t.csv").set_index("set")
    assert table.loc["broken", "worst"] == "error" and "naer" in table.loc["broken", "reason"]
    assert table.loc["good", "items"] == 12 and out.strip().endswith("t.csv")
    code, out, err = run(["check", "library", "--json"], capsys)
    records = {record["name"]: record for record in json.loads(out)}
    assert code == 2 and records["broken"]["lines"][0]["name"] == "loading" and records["good"]["summary"]["items"] == 12


def test_strict_makes_a_warning_an_error(library, capsys):
    assert run(["check", "library"], capsys)[0] == 0
    assert run(["check", "library", "--strict"], capsys)[0] == 2


@pytest.mark.slow
def test_progress_is_told_when_it_takes_long(library, capsys, monkeypatch):
    assert "sets checked" not in run(["check", "library"], capsys)[2]
    monkeypatch.setattr(command, "SECONDS_BETWEEN", -1.0)
    assert "1 of 2 sets checked, last long" in run(["check", "library"], capsys)[2]


@pytest.mark.slow
def test_the_wide_table_and_the_figure_are_whole_or_absent(library, capsys, monkeypatch):
    code, out, err = run(["check", "library", "--table", "made/t.csv", "--figure", "made/f.png"], capsys)
    assert code == 0 and out.split() == ["made/t.csv", "made/f.png"]
    table = pd.read_csv("made/t.csv")
    stimuli = StimulusSet.from_yaml("library/good.yaml")
    row = table.set_index("set").loc["good"]
    for name, value in stimuli.check().summary.items():
        if isinstance(value, float) and np.isfinite(value):
            assert float(row[name]) == pytest.approx(value, rel=1e-5), name
    assert {"d_words", "d_far_words", "bag_of_words_discovery", "words_auroc_low", "over_tuned", "file"} <= set(table)
    assert Path("made/f.png").read_bytes()[:4] == b"\x89PNG"

    def broken(table):
        raise InputError("planted")

    monkeypatch.setattr(plots, "confounds", broken)
    assert run(["check", "library", "--figure", "made/g.png"], capsys)[0] == 2
    assert sorted(path.name for path in Path("made").iterdir()) == ["f.png", "t.csv"]


@pytest.mark.parametrize("ending", ["pdf", "svg"])
@pytest.mark.slow
def test_other_figure_formats(ending, library, capsys):
    code, out, _ = run(["check", "library/good.yaml", "--figure", f"f.{ending}"], capsys)
    assert code == 0 and Path(f"f.{ending}").read_bytes().startswith({"pdf": b"%PDF", "svg": b"<?xml"}[ending])


def test_norms_add_measures_and_their_coverage(library, capsys):
    Path("norms.csv").write_text("word,concreteness\nchild,4.8\npaper,4.9\nshe,3\n")
    code, _, err = run(["check", "library/good.yaml", "--norms", "norms.csv"], capsys)
    assert code == 0 and "concreteness known for 20% of the words" in err and "target - near: concreteness 3.90 against 3.95" in err


@pytest.mark.slow
def test_a_model_adds_tokens_and_surprisal(library, capsys):
    code, _, err = run(["check", "library", "--model", "default", "--table", "t.csv"], capsys)
    table = pd.read_csv("t.csv")
    assert code == 0, err
    assert table["d_tokens"].tolist() == [-math.inf, 0] and np.isfinite(table["d_surprisal"]).all()
    Path("library/endless.yaml").write_text(a_set("endless", near="paper " * 900))
    code, _, err = run(["check", "library/endless.yaml", "--model", "default"], capsys)
    assert code == 2 and "the model reads" in err and "internal error" not in err


BAD = [
    (["check"], "no stimulus set is named"), (["check", "library", "--table", "t.xlsx"], "allowed: .csv"),
    (["check", "library", "--figure", "f.jpg"], ".png, .pdf, .svg"), (["check", "library", "--norms", "absent.csv"], "absent.csv"),
    (["check", "library", "--contrast", "man"], "unknown name"), (["check", "--new", "Bad Name"], "--new: 'Bad Name' cannot be a name"),
    (["check", "--new", "fine", "--kind", "grded"], "did you mean 'graded'"), (["check", "library", "--new", "fine"], "leave the sets out"),
    (["check", "library/good.yaml", "--model", "no_such_model"], "no_such_model"),
]


@pytest.mark.parametrize(("words", "wanted"), BAD, ids=[" ".join(case[0][1:]) or "nothing" for case in BAD])
def test_bad_options_are_one_clear_message(words, wanted, library, capsys):
    code, out, err = run(words, capsys)
    assert code == 2 and wanted in err and "Traceback" not in err and "internal error" not in err
    assert sorted(path.name for path in library.iterdir()) == ["library"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_a_skeleton_loads_and_only_its_size_is_warned_of(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(["check", "--new", "my-own_set", "--kind", kind], capsys)
    path = tmp_path / "my-own_set.yaml"
    assert code == 0 and out.strip() == str(path) and "cogneuro-sae check my-own_set.yaml" in err
    text = path.read_text("utf-8")
    assert text.count("\n") <= 80 and text.count("#") >= 10 and "SKELETON" not in text and max(map(len, text.splitlines())) <= 120
    stimuli = StimulusSet.from_yaml(path)
    assert stimuli.name == "my-own_set" and stimuli.concept == "my own set" and len(stimuli.table["item"].unique()) in (2, 3, 5)
    checks = stimuli.check()
    assert {line.name for line in checks.lines if line.level == "warning"} == {"design", "items"}
    assert checks.worst == "warning" and "no p can reach 0.05" in str(checks)
    code, out, err = run(["check", "--new", "my-own_set"], capsys)
    assert code == 2 and "is there already" in err and path.read_text("utf-8") == text


@pytest.mark.parametrize("name", ["1", "no", "null", "yes-no"])
def test_names_that_yaml_reads_as_something_else_still_load(name, tmp_path):
    assert StimulusSet.from_yaml(write_skeleton(name, "concept", tmp_path)).name == name


def rows(n, **more):
    random = np.random.default_rng(0)
    table = pd.DataFrame({"set": [f"set_{k:02d}" for k in range(n)], "group": [f"group {k % 4}" for k in range(n)],
                          "d_words": random.normal(0, 0.3, n), "d_sentiment": random.normal(0, 0.3, n)})
    for name in ("bag_of_words", "char_ngrams", "words_auroc", "bag_of_words_far", "char_ngrams_far", "words_auroc_far"):
        table[name] = random.uniform(0.3, 0.9, n)
    return table.assign(**more)


def test_the_figure_shows_every_set_by_group_with_flags_and_gaps():
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    table = rows(40)
    table.loc[0, "d_words"], table.loc[1, "d_words"], table.loc[2, "d_sentiment"], table.loc[3, "group"] = 0.9, -3.0, np.nan, ""
    figure = plots.confounds(table)
    left, right = figure.axes[:2]
    figure.canvas.draw()
    names = [text.get_text() for text in left.get_yticklabels()]
    group = table.set_index("set")["group"]
    assert len(names) == 40 and names[-1] == "set_03"
    assert [group[name] for name in names[:-1]] == sorted(group[group != ""])
    drawn = np.asarray(left.images[0].get_array())
    assert drawn[names.index("set_00"), 0] == pytest.approx(0.9) and drawn[names.index("set_01"), 0] == -1.0
    framed = [patch for patch in left.patches if isinstance(patch, Rectangle) and not patch.get_hatch()]
    assert len(framed) == int((table[["d_words", "d_sentiment"]].abs() > 0.5).to_numpy().sum())
    assert len([patch for patch in left.patches if patch.get_hatch()]) == 1
    points = {tuple(np.round(point, 6)) for dots in right.collections for point in np.asarray(dots.get_offsets())}
    for name in ("bag_of_words", "char_ngrams_far"):
        assert {round(value, 6) for value in table[name]} <= {point[0] for point in points}
    assert {line.get_xdata()[0] for line in right.lines if len(set(line.get_xdata())) == 1} >= {0.5, 0.35, 0.65}
    assert [text.get_text() for text in right.texts] == [*(f"group {k}" for k in range(4)), "other"]
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in left.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:]))
    width, height = figure.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in (*boxes, right.get_legend().get_window_extent(renderer)))
    plt.close(figure)


def test_the_figure_takes_hostile_names_one_row_and_refuses_none():
    import matplotlib.pyplot as plt

    hostile = "<script>$x^$ \\frac{ [/] \x1b[31m =cmd"
    with plots.look():
        figure = plots.confounds(rows(1, set=hostile, group=hostile, d_words=np.nan).drop(columns="words_auroc_far"))
        figure.canvas.draw()
    plt.close(figure)
    with pytest.raises(InputError, match="no set to draw"):
        plots.confounds(rows(0))
    with pytest.raises(InputError, match="no nuisance differences"):
        plots.confounds(rows(2)[["set", "bag_of_words"]])
