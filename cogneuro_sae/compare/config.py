"""The schema of a comparison (docs/comparison.md); importing it loads neither scikit-learn nor torch."""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import Literal

import pydantic

from cogneuro_sae.compare.axis_checks import check_judge, searchable
from cogneuro_sae.config import Listed, OneOrMore, StrictModel
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.selection.names import ENSEMBLE_NAMES, SCORE_OPTIONS, VARIANTS
from cogneuro_sae.stimuli.expressions import parse_expression

BASELINES = ("bag_of_words", "char_ngrams", "length", "embedding")
POOLING = Literal["mean", "max", "last", "rate"]
_REPRESENTATION = re.compile(r"raw|(pca|random_projection)\(\s*([1-9]\d{0,5})\s*\)|shuffled\(([^()]+)\)|[^()]+")
_WINDOW = re.compile(r"all|span|first\([1-9]\d{0,8}\)|center\(\d{1,9}\)")


class Folds(StrictModel):
    """Cross-validation by item."""

    splits: int = pydantic.Field(5, ge=2, le=20)
    """Outer folds; needs at least 2 x splits items."""
    repeats: int = pydantic.Field(5, ge=1, le=100)
    """How often the outer folds are drawn anew."""
    inner: int = pydantic.Field(5, ge=2, le=20)
    """Inner folds inside each training set, for k and C."""


class SelectorSpec(StrictModel):
    """One criterion: its name, its options, and what tables call it."""

    name: str
    """A name of SCORES."""
    label: str = ""
    """`as:` in the file; the name by default."""
    options: dict[str, bool | int | float | str] = {}
    """Options of the score, written beside `name` in the file."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, value):
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or {"label", "options"} & set(value):
            return value
        options = {key: item for key, item in value.items() if key not in ("name", "as")}
        _check_selector(value["name"], options)
        return {"name": value["name"], "label": value.get("as", value["name"]), "options": options}

    @pydantic.field_validator("label")
    @classmethod
    def _label(cls, value: str) -> str:
        return _identifier(value, "selector")


class CompareConfig(StrictModel):
    """A comparison: sites x representations x windows x poolings x selectors x k x ensembles, on identical folds."""

    name: str = pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Folder name of the results."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """Every draw of the run comes from it."""
    stimuli: OneOrMore[str]
    """Stimulus sets: shipped names, files or globs."""
    contrast: str | None = None
    """A contrast every set has; default: each set's first."""
    model: str | None = None
    """A shipped model, a folder or a hub name; not with `responses`."""
    site: OneOrMore[str] | None = None
    """Where the model is read; not with `responses`."""
    responses: str | None = None
    """npz file of responses recorded elsewhere, instead of model and site."""
    representations: dict[str, str] = pydantic.Field({"raw": "raw", "sae": "default"}, min_length=1)
    """Name -> raw | a shipped SAE | an SAE folder | pca(n) | random_projection(n) | shuffled(SAE)."""
    window: OneOrMore[str] = ("all",)
    """all | first(n) | center(d) | span."""
    pooling: OneOrMore[POOLING] = ("mean",)
    """How tokens become one value."""
    transform: Literal["log1p", "none"] = "log1p"
    """sign(x) log1p(|x|/s) of pooled values, or raw units."""
    selectors: OneOrMore[SelectorSpec]
    """Criteria that compete."""
    k: OneOrMore[pydantic.conint(ge=1, le=100_000)] = (8,)
    """Numbers of features."""
    ensemble: OneOrMore[str] = ("logistic_l1",)
    """Read-outs of the selected features."""
    folds: Folds = Folds()
    """Cross-validation."""
    permutations: int = pydantic.Field(1000, ge=0, le=1_000_000)
    """Labellings for the descriptive maps; 0: no p-values."""
    draws: int = pydantic.Field(30, ge=30, le=10_000)
    """Random draws of every control."""
    baselines: Listed[Literal["bag_of_words", "char_ngrams", "length", "embedding"]] | None = None
    """Surface baselines; default all (embedding needs a model)."""
    skylines: Listed[Literal["full_probe"]] = ("full_probe",)
    """Full-width probe of the raw stream."""
    controls: Listed[Literal["random", "rate_matched"]] = ("random", "rate_matched")
    """Features chosen without labels."""
    axes: Listed[Literal["detection", "judge"]] = ("detection",)
    """What is measured: detection always; judge has raters score what drives the selected features."""
    judge: str | None = None
    """A judge config (raters, rubrics, wordings, repeats, controls, budget); with `judge` among the axes."""
    planned: dict[str, str] = {}
    """Contrasts between representations, selectors, ensembles and baselines, named before anything is scored."""
    margin: float = pydantic.Field(0.02, gt=0, lt=1)
    """Equivalence margin in AUROC."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _defaults(cls, data):
        if not isinstance(data, dict):
            return data
        data = dict(data)
        recorded = data.get("responses") is not None
        if recorded:
            given = [key for key in ("model", "site") if data.get(key) is not None]
            if given:
                raise InputError(f"responses and {' and '.join(given)} exclude each other", do="keep one of them")
        else:
            data["model"] = "default" if data.get("model") is None else data["model"]
            data["site"] = "middle" if data.get("site") is None else data["site"]
        if data.get("baselines") is None:
            data["baselines"] = [name for name in BASELINES if not (recorded and name == "embedding")]
        return data

    @pydantic.field_validator("representations")
    @classmethod
    def _representations(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            _identifier(name, "representation")
            if not _REPRESENTATION.fullmatch(text.strip()):
                raise InputError(f"{text!r} is not a representation", do="check the parentheses",
                                 allowed="raw, an SAE, pca(n), random_projection(n), shuffled(SAE)")
        _unique("representations", [re.sub(r"\s", "", text) for text in value.values()])
        return value

    @pydantic.field_validator("window")
    @classmethod
    def _windows(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        value = tuple(re.sub(r"\s", "", text) for text in value)
        for text in value:
            if not _WINDOW.fullmatch(text):
                raise unknown_name("window", text, ("all", "first(n)", "center(d)", "span"))
        return _unique("window", value)

    @pydantic.field_validator("ensemble")
    @classmethod
    def _ensembles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in ENSEMBLE_NAMES and name not in _registered("ensembles", "ENSEMBLES"):
                raise unknown_name("ensemble", name, ENSEMBLE_NAMES)
        return _unique("ensemble", value)

    @pydantic.field_validator("stimuli", "site", "pooling", "k", "baselines", "skylines", "controls", "axes")
    @classmethod
    def _once(cls, value, info: pydantic.ValidationInfo):
        return value if value is None else _unique(info.field_name, value)

    @pydantic.field_validator("selectors")
    @classmethod
    def _selectors(cls, value):
        _unique("selectors", [spec.label for spec in value])
        _unique("selectors", [f"{spec.name} {sorted(spec.options.items())}" for spec in value])
        return value

    @pydantic.model_validator(mode="after")
    def _together(self):
        if self.responses is not None and "embedding" in self.baselines:
            raise InputError("the baseline embedding needs a model, and this comparison brings responses",
                             do="leave embedding out of baselines")
        if self.responses is not None and len(self.stimuli) > 1:
            raise InputError(f"one responses file for {len(self.stimuli)} stimulus sets", do="compare one set per file")
        names = self.levels()
        for name, expression in self.planned.items():
            _identifier(name, "planned contrast")
            weights = parse_expression(expression, names, where=f"planned.{name}")
            if abs(sum(weights.values())) > 1e-9:
                raise InputError(f"planned.{name}: the weights sum to {sum(weights.values()):g}", allowed="a sum of 0",
                                 do="write a difference, such as sae - raw")
            for used in weights:
                self._one_meaning(used, f"planned.{name}")
        check_judge(self)
        return self

    def levels(self) -> dict[str, tuple[str, str]]:
        """Return what `planned` may name: name -> (axis, value); `representation_selector` names one pair.

        A planned contrast that uses a name with two meanings (a_b + c, a + b_c) is refused when the config is read.

        Returns
        -------
        dict of str to tuple

        Raises
        ------
        InputError
            One name on two axes.
        """
        labels = [spec.label for spec in self.selectors]
        axes = {"representation": list(self.representations), "selector": labels, "ensemble": list(self.ensemble),
                "baseline": list(self.baselines), "skyline": list(self.skylines),
                "control": [name for name in self.controls if name not in labels]}
        doubled = [name for name, count in Counter(sum(axes.values(), [])).items() if count > 1]
        if doubled:
            raise InputError(f"{doubled[0]!r} names two things in this comparison", do="give one another name (`as:`)")
        known = {name: (axis, name) for axis, names in axes.items() for name in names}
        return known | {name: ("pair", pairs[0]) for name, pairs in self._pairs().items() if name not in known}

    def arms(self) -> dict[tuple[str, str], str]:
        """Return what the judge calls every pair of a representation that can be searched for and a selector.

        Returns
        -------
        dict of (representation, label of the selector) to str
        """
        return {pair: name for name, pairs in self._pairs().items() for pair in pairs
                if searchable(self.representations[pair[0]])}

    def _pairs(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for representation in self.representations:
            for spec in self.selectors:
                found.setdefault(f"{representation}_{spec.label}", []).append((representation, spec.label))
        return found

    def _one_meaning(self, name: str, where: str) -> None:
        """A name with two meanings stops only a contrast that uses it."""
        axis, value = self.levels()[name]
        meanings = [] if axis == "pair" else [f"the {axis} {value}"]
        meanings += [f"{representation} + {label}" for representation, label in self._pairs().get(name, [])]
        if len(meanings) > 1:
            raise InputError(f"{where}: {name!r} names two things: {', '.join(meanings)}",
                             do="give one of them another name (`as:`)")


def _check_selector(name: str, options: dict) -> None:
    if name not in SCORE_OPTIONS and name not in _registered("scores", "SCORES"):
        raise unknown_name("selector", name, SCORE_OPTIONS)
    for key in options:
        if key not in SCORE_OPTIONS.get(name, (key,)):
            raise unknown_name(f"option of {name}", key, (*SCORE_OPTIONS[name], "as"))
    variant = options.get("variant")
    if variant is not None and name in VARIANTS and variant not in VARIANTS[name]:
        raise InputError(f"{name} has no variant {variant!r}", allowed=", ".join(VARIANTS[name]),
                         do="see docs/methods.md: one pooled scalar offers categorical and model only"
                         if variant in ("pooled", "distribution") else None)


def _registered(module: str, registry: str) -> dict:
    """A registry as plugins left it. A plugin had to import it to add to it; without one a wrong name answers at once."""
    return getattr(sys.modules.get(f"cogneuro_sae.selection.{module}"), registry, {})


def _identifier(value: str, kind: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w{0,63}", value):
        raise InputError(f"{value!r} is not a name for a {kind}", allowed="a letter, then letters, digits and _")
    return value


def _unique(kind: str, values):
    doubled = [value for value, count in Counter(values).items() if count > 1]
    if doubled:
        raise InputError(f"{kind}: {doubled[0]} stands there twice, which would make duplicate cells", do="remove one")
    return values
