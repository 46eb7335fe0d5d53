"""Strict schemas: all faults at once with file, line, field and remedy; overrides; references."""

import subprocess
import sys
from typing import Literal

import pytest

from cogneuro_sae.config import Listed, OneOrMore, StrictModel, expand, load_config, parse, resolve, shipped
from cogneuro_sae.errors import InputError, ManyErrors


class Selector(StrictModel):
    """A selector."""

    name: str
    variant: Literal["profile", "pooled"] = "profile"


class Folds(StrictModel):
    """Folds."""

    splits: int = 5


class Config(StrictModel):
    """A config."""

    name: str
    seed: int = 0
    lr: float = 1e-3
    selectors: OneOrMore[str | Selector] = ("auroc",)
    folds: Folds = Folds()
    planned: dict[str, str] = {}
    stimuli: Listed[str] = ()
    model: str | None = None
    fast: bool = False


def load(tmp_path, text, overrides=()):
    (tmp_path / "c.yaml").write_text(text)
    return load_config(tmp_path / "c.yaml", Config, kind="configs", overrides=overrides)


def test_a_good_config(tmp_path):
    config = load(tmp_path,
                  "name: a\nlr: 1\nselectors: [b, {name: c, variant: pooled}]\nstimuli: [x]\nfolds: {splits: 3}\n")
    assert config == Config(name="a", lr=1.0, selectors=("b", Selector(name="c", variant="pooled")), stimuli=("x",),
                            folds=Folds(splits=3))
    assert isinstance(config.lr, float)
    with pytest.raises(ValueError, match="frozen"):
        config.name = "b"
    assert load(tmp_path, "name: a\nselectors: b\n").selectors == ("b",)


def test_all_faults_at_once_in_the_order_of_lines(tmp_path):
    text = ("name: 2_0\nselectors:\n  - {name: b, varint: pooled}\n  - {nam: x, variant: profil}\n  - 3\nlr: fast\n"
            "folds: {splits: 5.5}\nsede: 3\nstimuli: x\nplanned: {a: ~}\nfast: 1\n")
    with pytest.raises(ManyErrors) as caught:
        load(tmp_path, text)
    found = [str(error).removeprefix(f"{tmp_path}/c.yaml:") for error in caught.value.errors]
    assert found == [
        '1: name: expected text, found 2_0, which is a number to YAML; if it is text, quote it: "2_0"',
        "3: selectors[0].varint: unknown key 'varint'; allowed: name, variant; did you mean 'variant'?",
        "4: selectors[1].name: is missing; add it",
        "4: selectors[1].variant: 'profil' is not accepted; allowed: profile, pooled; did you mean 'profile'?",
        "4: selectors[1].nam: unknown key 'nam'; allowed: name, variant; did you mean 'name'?",
        '5: selectors[2]: expected text or a mapping, found 3, which is a number to YAML; if it is text, quote it: "3"',
        "6: lr: expected a number, found the text 'fast'",
        "7: folds.splits: expected a whole number, found 5.5",
        "8: sede: unknown key 'sede'; allowed: name, seed, lr, selectors, folds, planned, stimuli, model, fast; "
        "did you mean 'seed'?",
        "9: stimuli: expected a list, found the text 'x'",
        '10: planned.a: has no value, expected text; if the text is ~, quote it: "~"',
        "11: fast: expected true or false, found 1",
    ]


@pytest.mark.parametrize("text, message", [
    ("seed: 1\n", "name: is missing"),
    ("name: true\n", 'quote it: "true"'),
    ("name: a\nselectors: []\n", "2: selectors: is empty"),
    ("name: a\nlr: .nan\n", "finite number"),
    ("name: a\nlr: .inf\n", "finite number"),
    ("name: a\nseed: true\n", "expected a whole number, found True"),
    ("name: a\nfolds: [1]\n", "2: folds: expected a mapping, found a list"),
    ("name: [a]\n", "expected text, found a list"),
])
def test_single_faults(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
    assert str(tmp_path / "c.yaml") in str(caught.value)


def test_overrides_are_typed_by_the_schema(tmp_path):
    config = load(tmp_path, "name: a\n", ["seed=7", "folds.splits=3", "name=007", "selectors=[b, c]", "planned.x=a - b",
                                          "model=no", "lr=1e-2", "fast=true", "stimuli=[2024-01]"])
    assert config == Config(name="007", seed=7, folds=Folds(splits=3), selectors=("b", "c"), planned={"x": "a - b"},
                            model="no", lr=0.01, fast=True, stimuli=("2024-01",))
    assert load(tmp_path, "name: a\nmodel: b\n", ["model=null"]).model is None
    assert load(tmp_path, "name: a\nselectors: [b, {name: c}]\n", ["selectors.1.name=d"]).selectors[1].name == "d"


@pytest.mark.parametrize("override, message", [
    ("sede=1", "--set sede: unknown key 'sede'; allowed: name, seed"),
    ("folds.split=1", "--set folds.split: unknown key 'split'; allowed: splits; did you mean 'folds.splits'?"),
    ("seed=abc", "--set seed: seed: expected a whole number, found the text 'abc'"),
    ("folds.splits=2.5", "--set folds.splits: folds.splits: expected a whole number, found 2.5"),
    ("seed", "not of the form a.b=value"),
    ("=3", "not of the form a.b=value"),
    ("name.x=3", "which has no keys"),
    ("selectors.9=3", "not an entry of this list; allowed: 0 to 0"),
    ("seed=[1", "--set seed"),
])
def test_bad_overrides(tmp_path, override, message):
    with pytest.raises(InputError) as caught:
        load(tmp_path, "name: a\nselectors: [b]\n", [override])
    assert message in str(caught.value)


def test_the_file_is_not_changed_by_overrides():
    data = {"name": "a", "folds": {"splits": 3}}
    from cogneuro_sae.config.overrides import apply_overrides

    changed, places = apply_overrides(data, ["folds.splits=4"], Config)
    assert data["folds"]["splits"] == 3 and changed["folds"]["splits"] == 4
    assert places == {("folds", "splits"): "--set folds.splits"}


def test_parse_without_lines():
    with pytest.raises(InputError, match=r"^somewhere: folds.splits: expected a whole number"):
        parse({"name": "a", "folds": {"splits": "x"}}, Config, where="somewhere")


def test_resolve(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("a: b\n")
    monkeypatch.chdir(tmp_path)
    assert resolve("achievement", "stimuli").samefile(shipped("stimuli") / "concepts" / "achievement.yaml")
    assert resolve("mine.yaml", "stimuli").samefile(tmp_path / "mine.yaml")
    assert resolve("./mine.yaml", "stimuli").samefile(tmp_path / "mine.yaml")
    assert resolve("mine.yaml", "stimuli", base=tmp_path).samefile(tmp_path / "mine.yaml")
    assert resolve("stimuli/concepts/achievement.yaml",
                   "stimuli").samefile(shipped("stimuli") / "concepts/achievement.yaml")


@pytest.mark.parametrize("reference, message", [
    ("achievment", "did you mean 'achievement'?"),
    ("mine", "did you mean './mine.yaml'?"),
    ("mein.yaml", "did you mean 'mine.yaml'?"),
    ("no/where/x.yaml", "there is no folder"),
    ("", "not a name or path"),
    ("a\0b", "not a name or path"),
    ("x" * 2000, "not a name or path"),
    ("../../../stimuli/x.yaml", "no such file"),
    ("stimuli/../../etc/passwd.yaml", "no such file"),
])
def test_resolve_finds_nothing(tmp_path, monkeypatch, reference, message):
    (tmp_path / "mine.yaml").write_text("a: b\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        resolve(reference, "stimuli")
    assert message in str(caught.value)


def test_expand(tmp_path):
    for name in ("b.yaml", "a.yml", "c.txt"):
        (tmp_path / name).write_text("a: b\n")
    (tmp_path / "empty").mkdir()
    assert [path.name for path in expand(["*.y*ml"], "stimuli", tmp_path)] == ["a.yml", "b.yaml"]
    assert [path.name for path in expand(["b.yaml", str(tmp_path), "b.yaml"], "stimuli", tmp_path)] == ["b.yaml",
                                                                                                        "a.yml"]
    assert {"achievement"} == {path.stem for path in expand(["achievement"], "stimuli", tmp_path)}
    for reference, message in {"*.json": "no YAML file matches", "empty": "holds no YAML file",
                               "*.txt": "no YAML file"}.items():
        with pytest.raises(InputError, match=message):
            expand([reference], "stimuli", tmp_path)


def test_config_and_stimuli_load_without_heavy_libraries():
    code = ("import sys, cogneuro_sae.config, cogneuro_sae.stimuli;"
            "print([m for m in ('numpy', 'pandas', 'scipy', 'sklearn', 'torch') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "[]"
