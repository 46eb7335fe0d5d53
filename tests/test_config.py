"""Strict schemas: all faults at once with file, line, field and remedy; overrides; references."""

import subprocess
import sys
from typing import Literal

import pydantic
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
        "4: selectors[1].nam: unknown key 'nam'; did you mean 'name'?",
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


class Weights(StrictModel):
    """Two numbers and rules over both."""

    name: str = "a"
    k: OneOrMore[pydantic.conint(ge=1)] = (8,)
    planned: dict[str, str] = {}
    folds: Folds = Folds()
    groups: OneOrMore[str]
    rules: dict[str, str] = pydantic.Field({"a": "b"}, min_length=1, examples=["one: a - b"])

    @pydantic.model_validator(mode="after")
    def _rules(self):
        if self.name == "outside":
            raise InputError("holds nothing", where="other.txt")
        if self.name == "whole":
            raise InputError("planned and folds exclude each other")
        for name, text in self.planned.items():
            if text == "where":
                raise InputError("column 1: unknown name", where=f"planned.{name}")
            if text == "what":
                raise InputError(f"planned.{name}: the weights sum to 1")
        return self


def fault(tmp_path, text, overrides=()):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(tmp_path / "c.yaml", Weights, kind="configs", overrides=overrides)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize("text, message", [
    ("groups: [a]\nname: b\nplanned:\n  x: a\n  y.z: where\n", "c.yaml:5: planned.y.z: column 1: unknown name"),
    ("groups: [a]\nplanned:\n  x: ok\n  y: what\n", "c.yaml:4: planned.y: the weights sum to 1"),
    ("# one\ngroups: [a]\nname: whole\n", "c.yaml: planned and folds exclude each other"),
    ("groups: [a]\nname: outside\n", "c.yaml: other.txt: holds nothing"),
])
def test_a_fault_found_by_a_rule_over_several_keys_names_the_key_it_is_about(tmp_path, text, message):
    assert fault(tmp_path, text) == message


def test_a_rule_may_name_a_value_that_an_override_gave(tmp_path):
    assert fault(tmp_path, "groups: [a]\n", ["planned.x=where"]) == (
        "--set planned.x: planned.x: column 1: unknown name")


@pytest.mark.parametrize("text, message", [
    ("groups: []\n", "c.yaml:1: groups: is empty; give at least one group"),
    ("groups: [a]\nrules: {}\n",
     "c.yaml:2: rules: is empty; give at least one rule, e.g. one: a - b, or leave the key out"),
    ("groups: [a]\nk: []\n", "c.yaml:2: k: is empty; give at least one value, or leave the key out"),
])
def test_only_a_key_with_a_default_may_be_left_out(tmp_path, text, message):
    assert fault(tmp_path, text) == message


@pytest.mark.parametrize("value, message", [
    ("five", "k: 'five' is not a whole number"),
    ("2.5", "k: 2.5 is not a whole number"),
    ("0", "k: input should be greater than or equal to 1, found 0"),
    ("[8, five]", "k[1]: expected a whole number, found the text 'five'"),
    ("[five]", "k[0]: expected a whole number, found the text 'five'"),
    ("null", "k: has no value, expected a whole number"),
    ("{a: 1}", "k: expected a whole number, found a mapping"),
])
def test_one_or_more_tells_what_is_wrong_with_the_one(tmp_path, value, message):
    assert fault(tmp_path, "groups: [a]\n", [f"k={value}"]) == f"--set k: {message}"
    assert fault(tmp_path, f"groups: [a]\nk: {value}\n") == f"c.yaml:2: {message}"


def test_the_list_of_allowed_keys_is_printed_once(tmp_path):
    text = fault(tmp_path, "groups: [a]\nnaem: b\nplaned: {}\nfold: {}\nfolds: {split: 3}\n")
    assert text.count("unknown key") == 4 and text.count("allowed: name, k, planned") == 1
    assert "allowed" in text.splitlines()[0] and text.count("allowed: splits") == 1
    assert "c.yaml:3: planed: unknown key 'planed'; did you mean 'planned'?" in text


SET = ("name: courage\nconcept: c\ndefinition: d.\nconditions: {target: a, near: b}\ncontrasts: {main: target - near}\n"
       "items: []\n")
COMPARISON = "name: mine\nstimuli: [fear]\nselectors: [max_any]\nk: [8]\nfolds: {splits: 3}\n"
MAP = "name: mine\nstimuli: fear\nscores: [auroc]\nrepresentation: raw\ntop: 5\n"
SAE = "name: mine\ncorpus: sample\nwidth: 64\nl1: 5.0\n"


def test_a_file_of_another_kind_is_told_in_one_line(tmp_path):
    from cogneuro_sae.compare import load_comparison_config
    from cogneuro_sae.concept_map import load_map_config
    from cogneuro_sae.sae import load_train_config
    from cogneuro_sae.stimuli import StimulusSet

    said = {SET: "stimulus set (it has items/conditions); use: cogneuro-sae check or map",
            COMPARISON: "comparison config; use: cogneuro-sae compare",
            MAP: "map config; use: cogneuro-sae map", SAE: "SAE config; use: cogneuro-sae train"}
    own = {load_comparison_config: COMPARISON, load_map_config: MAP, load_train_config: SAE, StimulusSet.from_yaml: SET}
    path = tmp_path / "file.yaml"
    for read, text in own.items():
        for other, message in said.items():
            if other == text or (read == load_map_config and other == SET):
                continue
            path.write_text(other)
            with pytest.raises(InputError) as caught:
                read(path)
            article = "an" if message.startswith("SAE") else "a"
            assert str(caught.value) == f"{path}: this looks like {article} {message}", (read, other)


def test_a_misplaced_key_is_no_other_kind_of_file(tmp_path):
    from cogneuro_sae.compare import load_comparison_config

    (tmp_path / "c.yaml").write_text(COMPARISON + "conditions: {a: b}\nitems: []\n")
    with pytest.raises(ManyErrors, match="unknown key 'conditions'"):
        load_comparison_config(tmp_path / "c.yaml")


def test_the_kinds_know_the_keys_of_their_schemas():
    from cogneuro_sae.compare.config import CompareConfig
    from cogneuro_sae.concept_map.map_config import MapConfig
    from cogneuro_sae.config.kinds import KINDS
    from cogneuro_sae.judge.config import JudgeConfig
    from cogneuro_sae.sae.train_config import TrainConfig
    from cogneuro_sae.search.config import SearchConfig
    from cogneuro_sae.stimuli.schema import SetFile

    for schema in (SetFile, CompareConfig, MapConfig, TrainConfig, SearchConfig, JudgeConfig):
        assert KINDS[schema.__name__].keys == {field.alias or name for name, field in schema.model_fields.items()}
    assert len(KINDS) == 6


def test_where_was_looked_is_not_called_allowed(tmp_path, monkeypatch):
    from cogneuro_sae.corpus import load_corpus
    from cogneuro_sae.language_model.loading import find

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError) as caught:
        load_corpus("nofolder")
    assert str(caught.value) == ("no corpus 'nofolder'; allowed: sample, or a file or folder of .txt, .txt.gz, .jsonl, .parquet; "
                                 f"looked in {tmp_path / 'nofolder'}")
    with pytest.raises(InputError) as caught:
        find("someone/no_such_model")
    assert "allowed: looked" not in str(caught.value)
    assert f"; looked in {tmp_path / 'someone/no_such_model'}; download it" in str(caught.value)


def test_a_planned_contrast_with_a_wrong_name_stands_at_its_own_line(tmp_path):
    from cogneuro_sae.compare import load_comparison_config

    (tmp_path / "c.yaml").write_text("# mine\n\n" + COMPARISON + "planned:\n  good: max_any - raw\n  bad: sea - raw\n")
    with pytest.raises(InputError) as caught:
        load_comparison_config(tmp_path / "c.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/c.yaml:10: planned.bad: column 1 of 'sea - raw': unknown name")


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
