"""Control arms: features drawn with the seed, at random or with the firing rates of the chosen ones."""

from __future__ import annotations

import numpy as np

from cogneuro_sae.errors import InputError
from cogneuro_sae.search.config import Controls
from cogneuro_sae.search.signals import Feature


def control_features(features: tuple[Feature, ...], saes: dict, controls: Controls, *, width: int, seed: int,
                     concept: str = "") -> tuple[Feature, ...]:
    """Draw control features beside the chosen ones; none is drawn twice and no chosen one is drawn.

    Parameters
    ----------
    features : tuple of Feature
        The chosen ones.
    saes : dict of str to SparseAutoencoder
        By representation.
    controls : Controls
        How many of each arm.
    width : int
        Units of the site, for raw units.
    seed : int
        Of the draws.
    concept : str
        Their concept where no chosen feature has one.

    Returns
    -------
    tuple of Feature
        Random ones, then rate-matched ones.

    Raises
    ------
    InputError
        Too few features to draw from, or no firing rates to match.
    """
    if not controls.random and not controls.rate_matched:
        return ()
    concepts = list(dict.fromkeys(name for one in features for name in one.arms)) or [concept]
    name = next((one.representation for one in features if one.representation in saes), next(iter(saes), "raw"))
    rate = saes[name].firing_rate if name in saes else None
    size = saes[name].n_latents if name in saes else width
    chosen = [one.index for one in features if one.representation == name]
    matched = _matched(rate, chosen, controls.rate_matched, seed, name)
    barred = np.zeros(size, bool)
    barred[[*chosen, *matched]] = True
    # `rate` is 0 or NaN for a latent that never fired: there is nothing to look at
    free = np.flatnonzero(~barred & (np.ones(size, bool) if rate is None else rate > 0))
    if len(free) < controls.random:
        raise InputError(f"controls.random is {controls.random}, and {len(free)} features of {name} are left to draw from")
    drawn = np.random.default_rng([seed, 1]).choice(free, controls.random, replace=False).tolist()
    arms = {"random": drawn, "rate_matched": matched}
    return tuple(Feature(name, int(index), 1, {each: (arm,) for each in concepts}) for arm, found in arms.items()
                 for index in found)


def _matched(rate: np.ndarray | None, chosen: list[int], wanted: int, seed: int, name: str) -> list[int]:
    if not wanted:
        return []
    if rate is None or not chosen:
        raise InputError("controls.rate_matched needs chosen latents of an SAE and their firing rates",
                         do="use an SAE folder with sparsity.safetensors, or leave rate_matched out")
    from cogneuro_sae.selection.scores import rate_matched
    from cogneuro_sae.selection.sources import Sources

    # two rows that differ wherever a latent fires, since the score draws among features that vary
    rows = np.stack([np.zeros(len(rate)), np.nan_to_num(rate) > 0]).astype(np.float64)
    score = rate_matched(rows, np.array([0, 1]), groups=np.array([0, 1]), to=chosen,
                         sources=Sources(firing_rate=rate, seed=seed))
    found = score.top(wanted)
    if len(found) < wanted:
        raise InputError(f"controls.rate_matched is {wanted}, and {len(found)} partners were found for the {len(chosen)} "
                         f"chosen features of {name}", allowed=f"at most {len(found)}")
    return [int(index) for index in found]
