"""contrast_maps: every contrast of a stimulus set in one call, with F maps where an effect has more than one dimension."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cogneuro_sae.contrasts.maps import contrast_map
from cogneuro_sae.contrasts.omnibus import interaction_f, welch_f, within_f
from cogneuro_sae.contrasts.statistics import FLOOR
from cogneuro_sae.errors import InputError, unknown_name
from cogneuro_sae.feature_map import FeatureMap
from cogneuro_sae.inference import (Scheme, group_means, item_scheme, labellings, permutation_inference,
                                    require_resolvable, sign_scheme, within_scheme)
from cogneuro_sae.stimuli.schema import FAR


class _Effect(NamedTuple):
    """An F statistic ready to be permuted; `statistic` takes labellings (None: the observed one) and a column range."""

    scheme: Scheme
    statistic: Callable
    name: str
    n_items: int
    df: tuple[int, int] | None


def contrast_maps(X: np.ndarray, stimuli, *, names: Sequence[str] | None = None, score: str | None = None,
                  permutations: int = 0, seed: int = 0, tail: str = "two-sided", alpha: float = 0.05,
                  unlocked: bool = False, site: str = "") -> dict[str, FeatureMap]:
    """Map all effects of a stimulus set: named contrasts, main effects, interactions and F contrasts.

    Effects, in this order: the set's contrasts by name; main effects and interactions of two-level factors that no
    named contrast covers, as `factor` and `factor x factor`; `F(factor)` for factors of more than two levels and
    `F(factor x factor)` for interactions of more than one dimension; `F(condition)` for three or more listed conditions,
    far foils left out. A factor inside items is tested by the repeated-measures F with its levels exchanged inside
    items, an interaction inside items by sign flips of each item's doubly centred table, a factor between items, or its
    interaction with a two-level factor inside items, by the Welch F with whole items exchanged. Interactions between
    items, and of a factor between items with one of several levels inside them, are left out.

    Parameters
    ----------
    X : ndarray (n_stimuli, n_features)
        Pooled values, one row per stimulus of the table.
    stimuli : StimulusSet
        Table, contrasts and factors.
    names : sequence of str, optional
        The effects wanted, a contrast expression among them if you like; default all.
    score : str, optional
        A name of CONTRASTS for the two-class contrasts; default paired_t inside items and welch_t between.
    permutations : int
        0: values only.
    seed : int
        Seed of sampled labellings.
    tail : str
        "two-sided" | "positive" | "negative", for the two-class contrasts; an F is one-sided.
    alpha : float
        Designs whose smallest p exceeds it are refused when permutations > 0.
    unlocked : bool
        Take the items kept for confirmation in.
    site : str
        Recorded in the maps.

    Returns
    -------
    dict of str to FeatureMap
        An F map's `effect` is partial eta squared (NaN for a Welch F); it has no direction.

    Raises
    ------
    InputError
        X without one row per stimulus, an unknown effect, or a design that `contrast_map` refuses.
    """
    X = np.asarray(X)
    if X.ndim != 2 or len(X) != len(stimuli):
        raise InputError(f"X has shape {X.shape}", where="contrast_maps", allowed=f"({len(stimuli)}, n_features)")
    plain, omnibus = named_effects(stimuli)
    wanted = [*plain, *omnibus] if names is None else list(names)
    options = {"permutations": permutations, "seed": seed, "alpha": alpha, "site": site}
    maps = {}
    for name in wanted:
        if name in omnibus:
            maps[name] = _omnibus_map(_effect(X, stimuli, omnibus[name], unlocked), name, **options)
            continue
        if name not in plain and not any(sign in name for sign in "+-*/( )"):
            raise unknown_name("effect", name, [*plain, *omnibus], where=stimuli.name)
        design = stimuli.design(plain.get(name, name), unlocked=unlocked)
        matched = design.scheme.kind in ("swap", "sign", "two_part")
        chosen = score or ("paired_t" if matched else "welch_t")
        maps[name] = contrast_map(X, design, score=chosen, tail=tail, **options)
    return maps


def named_effects(stimuli) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the effects of a set: two-class contrasts by name, and F contrasts by name.

    Parameters
    ----------
    stimuli : StimulusSet
        Contrasts, factors and layout.

    Returns
    -------
    dict of str to str, dict of str to tuple of str
        Name -> contrast name or expression, and name -> the factors of the F (none: the listed conditions).
    """
    layout, plain, omnibus = stimuli.layout, {name: name for name in stimuli.contrasts}, {}
    covered = [layout.weights(expression) for expression in stimuli.contrasts.values()]
    two = [name for name, levels in layout.factors.items() if len(levels) == 2]
    for size in range(1, len(two) + 1):
        for factors in itertools.combinations(two, size):
            expression = _signed(layout, factors)
            if not any(_same(layout.weights(expression), weights) for weights in covered):
                plain[" x ".join(factors)] = expression
    for factor, levels in layout.factors.items():
        if len(levels) > 2:
            omnibus[f"F({factor})"] = (factor,)
    for pair in itertools.combinations(layout.factors, 2):
        dimensions = [len(layout.factors[name]) - 1 for name in pair]
        between = [d for name, d in zip(pair, dimensions) if name in layout.between]
        inside = [d for name, d in zip(pair, dimensions) if name not in layout.between]
        if np.prod(dimensions) > 1 and (not between or inside == [1]):
            omnibus[f"F({' x '.join(pair)})"] = pair
    if not layout.factors and len([name for name in layout.conditions if name != FAR]) > 2:
        omnibus["F(condition)"] = ()
    return plain, omnibus


def _signed(layout, factors: Sequence[str]) -> str:
    """The contrast whose weight of a cell is the product of +1 (first level) and -1 (second) over the factors."""
    signs = {1: [], -1: []}
    for cell in layout.conditions:
        levels = dict(zip(layout.factors, layout.levels(cell)))
        signs[int(np.prod([1 if levels[f] == layout.factors[f][0] else -1 for f in factors]))].append(cell)
    return " - ".join(f"({' + '.join(signs[side])})/{len(signs[side])}" for side in (1, -1))


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether one contrast is the other times a number."""
    if one.keys() != other.keys():
        return False
    ratios = np.array([one[name] / other[name] for name in one])
    return bool(np.ptp(ratios) < 1e-9)


def _effect(X: np.ndarray, stimuli, factors: tuple[str, ...], unlocked: bool) -> _Effect:
    between = [name for name in factors if name in stimuli.layout.between]
    inside = [name for name in factors if name not in stimuli.layout.between]
    if not factors:
        alone = stimuli.table.groupby("item")["condition"].nunique().max() == 1
        between, inside = (["condition"], []) if alone else ([], None)
    Y, groups = _item_tables(X, stimuli, inside, between, unlocked)
    m, shape = len(Y), Y.shape[1:-1]
    if between:
        # a two-level factor inside items enters as its difference, none as the item's mean
        values = Y[:, 0] - Y[:, 1] if inside else Y.reshape(m, -1)
        scheme = item_scheme(np.arange(m), groups)
        return _Effect(scheme, lambda g, a, b: welch_f(values[:, a:b], groups[None] if g is None else g), "welch_f", m,
                       None)
    if len(shape) == 1:
        scheme = within_scheme(np.repeat(np.arange(m), shape[0]), np.tile(np.arange(shape[0]), m),
                               symmetries=int(np.prod(range(1, shape[0] + 1))))
        return _Effect(scheme, lambda g, a, b: within_f(Y[..., a:b], g), "within_f", m,
                       (shape[0] - 1, (shape[0] - 1) * (m - 1)))
    D = Y - Y.mean(1, keepdims=True) - Y.mean(2, keepdims=True) + Y.mean((1, 2), keepdims=True)
    # what rounding leaves of a feature without interaction is no variation
    D[..., (D**2).sum((0, 1, 2)) < FLOOR**2 * (Y**2).sum((0, 1, 2))] = 0.0
    D, df = D.reshape(m, -1, X.shape[1]), (shape[0] - 1) * (shape[1] - 1)
    return _Effect(sign_scheme(np.arange(m)), lambda g, a, b: interaction_f(D[..., a:b], g, df=df), "interaction_f", m,
                   (df, df * (m - 1)))


def _item_tables(X: np.ndarray, stimuli, inside: list[str] | None, between: list[str], unlocked: bool):
    """Item means by the levels of the factors inside items `(n_items, *levels, n_features)`, and each item's group."""
    table, layout = stimuli.table, stimuli.layout
    conditions = [name for name in layout.conditions if layout.factors or name != FAR]
    keep = (table["condition"].isin(conditions) & (unlocked | (table["split"] != "confirm"))).to_numpy()
    rows = table[keep]
    axes = [("condition", conditions)] if inside is None else [(name, layout.factors[name]) for name in inside]
    shape = [len(levels) for _, levels in axes]
    items, item = np.unique(rows["item"].to_numpy(str), return_inverse=True)
    # paraphrases first, then the cells of a level: all cells of an item weigh the same
    condition = np.unique(rows["condition"].to_numpy(str), return_inverse=True)[1]
    _, first, cell = np.unique(item * len(conditions) + condition, return_index=True, return_inverse=True)
    place = item[first]
    for name, levels in axes:
        place = place * len(levels) + rows[name].map({level: n for n, level in enumerate(levels)}).to_numpy()[first]
    if len(np.unique(place)) != len(items) * int(np.prod(shape)):
        raise InputError("some items lack a condition", where=stimuli.name, do="complete the items, or name contrasts")
    Y = group_means(group_means(X[keep], cell), place).reshape(len(items), *shape, X.shape[1])
    if not between:
        return Y, None
    groups = np.unique(rows[between[0]].to_numpy(str)[np.unique(item, return_index=True)[1]], return_inverse=True)[1]
    return Y, groups.astype(np.int64)


def _omnibus_map(effect: _Effect, name: str, *, permutations: int, seed: int, alpha: float, site: str) -> FeatureMap:
    value = effect.statistic(None, None, None)[0]
    info = {"scheme": effect.scheme.description, "contrast": name, "score": effect.name, "tail": "positive",
            "items": effect.n_items}
    size = None
    if effect.df:
        info["df"] = list(effect.df)
        size = value * effect.df[0] / (value * effect.df[0] + effect.df[1])
    more, reasons = {}, {"constant inside items or over items": int(np.isnan(value).sum())}
    if permutations:
        # an F does not change when all signs, or the names of the groups, change: its smallest p is the two-sided one
        require_resolvable(effect.scheme, alpha, "two-sided", where=name)
        drawn = labellings(effect.scheme, permutations, seed=seed)
        found = permutation_inference(lambda a, b: effect.statistic(drawn.values, a, b), enumerated=drawn.enumerated,
                                      n_features=len(value), n_labellings=len(drawn.values), tail="positive",
                                      alpha=alpha)
        more = {"pvalue": found.pvalue, "p_fwe": found.p_fwe, "q": found.q}
        info |= {**found.info, "seed": drawn.seed}
        reasons = found.reasons
    return FeatureMap(value, effect.name, effect=size, site=site, info=info,
                      reasons={text: n for text, n in reasons.items() if n}, **more)
