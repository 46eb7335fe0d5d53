"""The judge's figures and its section of the report: the verdict first, numbers drawn as given, hostile text literal."""

from pathlib import Path

import jinja2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from judge_simulation import Judge, as_items, study

from cogneuro_sae import files, plots
from cogneuro_sae.errors import InputError
from cogneuro_sae.judge.items import write_items
from cogneuro_sae.judge.tables import judge_tables, write_tables
from cogneuro_sae.report.judging import judge_section
from cogneuro_sae.report.parts import Section

pytestmark = pytest.mark.slow

TEMPLATES = Path(files.__file__).parent / "templates"
HOSTILE = "<script>$x^$ \\frac{ [/] \x1b[31m =cmd 成就"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def levels(group=HOSTILE):
    return pd.DataFrame({"group": ["random", group, "canary"], "kind": ["control", "arm", "control"], "score_0": [8, 1, 2],
                         "score_1": [2, 2, 0], "score_2": [0, 3, 0], "score_3": [0, 2, 0], "missing": [0, 2, 0],
                         "mean": [0.2, 1.7, np.nan], "low": [0.1, 1.2, np.nan], "high": [0.3, 2.2, np.nan], "n": [5, 5, 0]})


def drawings():
    known = pd.DataFrame({"score": [0, 0.5, 1, 3, 3, np.nan], "truth": [0, 0, 0, 1, 1, 1]})
    matrix = pd.DataFrame([[0.9, -0.2], [-0.2, np.nan]], index=[HOSTILE, "b"], columns=[HOSTILE, "b"])
    bins = pd.DataFrame({"arm": [HOSTILE] * 3, "bin": [0, 1, 2], "mean": [0.1, 1.0, 2.0], "low": [0, 0.5, np.nan],
                         "high": [0.2, 1.5, np.nan], "n": [4, 5, 5]})
    costs = pd.DataFrame({"rater": [HOSTILE, "b"], "rubric": "target", "calls": [10, 20], "cost": [1.5, 0.0],
                          "tokens_in": [1000, 0], "tokens_out": [10, 0]})
    return {"score_levels": lambda ax: plots.score_levels(levels(), title=HOSTILE, ax=ax),
            "known_items": lambda ax: plots.known_items(known, result="AUROC 1", title=HOSTILE, ax=ax),
            "rater_agreement": lambda ax: plots.rater_agreement(matrix, title=HOSTILE, ax=ax),
            "score_by_activation": lambda ax: plots.score_by_activation(bins, title=HOSTILE, ax=ax),
            "judge_cost": lambda ax: plots.judge_cost(costs, title=HOSTILE, ax=ax)}


@pytest.mark.parametrize("name", drawings())
def test_a_figure_returns_its_axes_and_draws_hostile_labels(name):
    _, ax = plt.subplots()
    with plots.look() as notes:
        assert drawings()[name](ax) is ax
        ax.figure.canvas.draw()
    assert len(notes) <= 1 and ax.get_title(loc="left") and ax.get_xlabel() + ax.get_ylabel()


def test_bars_are_shares_of_all_calls_arms_first_and_missing_at_the_end():
    ax = plots.score_levels(levels("arm"))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["arm", "random", "canary"]
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(5, 3)
    np.testing.assert_allclose(widths[:, 0], [10, 20, 30, 20, 20])
    np.testing.assert_allclose(widths.sum(axis=0), 100)
    assert "22 calls, 2 without a score" in ax.get_title(loc="left")
    assert [text.get_text() for text in ax.texts] == ["1.70 [1.20, 2.20], n = 5", "0.20 [0.10, 0.30], n = 5", "no mean"]
    with pytest.raises(InputError, match="no score levels"):
        plots.score_levels(levels()[:0])


def test_known_items_and_cost_draw_the_counts_given():
    ax = drawings()["known_items"](plt.subplots()[1])
    assert sum(max(bar.get_height(), 0) for bar in ax.patches) == 2 and sum(min(bar.get_height(), 0) for bar in ax.patches) == -3
    assert "5 known items, 1 without a score" in ax.get_title(loc="left")
    ax = drawings()["judge_cost"](plt.subplots()[1])
    assert [bar.get_width() for bar in ax.patches] == [1.5, 0] and "1.5 USD for 30 calls" in ax.get_title(loc="left")
    ax = drawings()["rater_agreement"](plt.subplots()[1])
    assert [text.get_text() for text in ax.texts] == ["0.90", "-0.20", "-0.20", "not\nmeasured"] and ax.images[0].get_clim() == (-1, 1)
    ax = drawings()["score_by_activation"](plt.subplots()[1])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.1, 1, 2])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["zero", "1", "2"]
    for call, what in ((lambda: plots.known_items(pd.DataFrame(columns=["score", "truth"])), "no known items"),
                       (lambda: plots.rater_agreement(pd.DataFrame([[1.0, 2.0]])), "shape"),
                       (lambda: plots.score_by_activation(pd.DataFrame(columns=["arm"])), "no activation bins"),
                       (lambda: plots.judge_cost(pd.DataFrame()), "no calls")):
        with pytest.raises(InputError, match=what):
            call()


def run_folder(folder, judge=Judge(), **more):
    scores, items = study(0, judge, features=8, known=6, duplicates=4, canaries=4, others=(), human=None, **more)
    scores["reason"] = np.where(scores["status"] == "ok", "", HOSTILE)
    made = as_items(items)
    write_items(made, folder / "items.jsonl")
    scores.to_csv(folder / "scores.csv", index=False)
    write_tables(judge_tables(scores, made, planned={"rsa": "rsa_discriminative - max_any"}), folder)
    (folder / "config.yaml").write_text("name: demo\n")
    files.write_json(folder / "provenance.json", {"raters": {"judge:a": {"kind": "judge", "model": "m"}}, "studied_model": "m",
                                                  "stimulus_writer": HOSTILE})
    return folder


def page(parts):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("report.html").render(title="t", subtitle="s", sections=[Section("j", "Judge", parts)], back="", plotly="")


@pytest.mark.slow
def test_the_verdict_stands_in_the_first_line_and_the_gates_on_top(tmp_path):
    folder = run_folder(tmp_path, Judge(loses={"max_any": 0.3}))
    parts = judge_section(folder)
    assert parts[0].kind == "headline" and parts[0].lines[0].startswith("NOT VALID: judge:a (target) fails missing (0.")
    assert "NOT three different models: judge:a is also the studied model" in parts[0].lines[1]
    tables = [part for part in parts if part.kind == "table"]
    assert tables[0].columns[:2] == ["gate", "rater"] and "FAILED" in {row[-2] for row in tables[0].rows}
    assert parts.index(tables[0]) <= 2 and "none of them counts as a score" in " ".join(part.caption for part in tables)
    html = page(parts)
    assert "<script>" not in html and "&lt;script&gt;" in html and "\x1b" not in html
    for name in ("target_judge-a_levels", "target_judge-a_known", "target_judge-a_activation", "planned_arms", "cost"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000


@pytest.mark.slow
def test_damaged_and_unfinished_folders_still_have_a_section_and_never_look_valid(tmp_path):
    folder = run_folder(tmp_path)
    (folder / "provenance.json").unlink()
    assert "not finished" in judge_section(folder)[0].lines[-1]
    (folder / "gates.csv").unlink()
    parts = judge_section(folder)
    assert parts[0].lines[0].startswith("NOT VALID: gates.csv is missing") and parts[1].kind == "verdicts"
    (folder / "scores.csv").write_bytes(b"\xff\xfe")
    (folder / "arms.csv").write_text("")
    parts = judge_section(folder)
    assert {line.level for line in parts[1].lines} == {"error"} and len(parts[1].lines) == 3
    assert judge_section(tmp_path / "figures")[0].lines[0].startswith("NOT VALID")
