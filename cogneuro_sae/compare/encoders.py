"""What a config's representations stand for: raw units, an SAE, a random projection, PCA, a shuffled SAE."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from cogneuro_sae.errors import InputError


class Encoder(NamedTuple):
    """One representation at one site.

    Parameters
    ----------
    through : object or None
        What `Responses.pool` encodes with; None for raw units and for encoders that are fitted.
    components : int
        Above 0: PCA with so many components, fitted on the training stimuli of every fold.
    n_features : int
        Width.
    signed : bool
        Whether values may be negative.
    sha256 : str
        Content hash of the weights, "" where there are none.
    """

    through: Any
    components: int
    n_features: int
    signed: bool
    sha256: str = ""


class RandomProjection:
    """Gaussian random projection, x R / sqrt(d) with standard normal R.

    Parameters
    ----------
    d_in : int
        Width of the site.
    n_features : int
        Width of the projection.
    seed : int
        Of R.
    """

    signed = True

    def __init__(self, d_in: int, n_features: int, seed: int):
        drawn = np.random.default_rng(seed).standard_normal((d_in, n_features), dtype=np.float32)
        self.matrix = drawn / np.float32(np.sqrt(d_in))
        self.decoder = self.matrix.T

    def transform(self, values: np.ndarray, columns=slice(None)) -> np.ndarray:
        """Project.

        Parameters
        ----------
        values : ndarray (n_tokens, d_in)
            Raw units.
        columns : slice
            Features wanted.

        Returns
        -------
        ndarray (n_tokens, n_features) float32
            Raw units.
        """
        return values @ self.matrix[:, columns]


class ShuffledSAE:
    """A trained SAE that reads its input with the units permuted about b_dec: same norms and biases, wrong directions.

    Parameters
    ----------
    sae : SparseAutoencoder
        The SAE.
    seed : int
        Of the permutation.
    """

    signed = False
    firing_rate = None

    def __init__(self, sae, seed: int):
        self.sae, self.n_latents = sae, sae.n_latents
        self.order = np.random.default_rng(seed).permutation(sae.d_in)
        self.center = sae.b_dec.detach().cpu().numpy() / sae.input_scale + sae.center.cpu().numpy()
        self.decoder = sae.decoder[:, np.argsort(self.order)]

    def transform(self, values: np.ndarray, columns=None) -> np.ndarray:
        """Encode the permuted values.

        Parameters
        ----------
        values : ndarray (n_tokens, d_in)
            Raw units.
        columns : slice, optional
            Features wanted.

        Returns
        -------
        ndarray (n_tokens, n_latents) float32
        """
        moved = (values - self.center)[:, self.order] + self.center
        return self.sae.transform(moved.astype(np.float32), columns=columns)


class FittedPCA:
    """Principal components of training tokens (scikit-learn), as something to pool through.

    Parameters
    ----------
    values : ndarray (n_tokens, d_in)
        Training tokens, raw units.
    n_components : int
        How many.
    seed : int
        Of the randomised solver.

    Raises
    ------
    InputError
        Fewer tokens than components.
    """

    signed = True

    def __init__(self, values: np.ndarray, n_components: int, seed: int):
        from sklearn.decomposition import PCA

        if n_components > min(values.shape):
            raise InputError(f"pca({n_components}) on {values.shape[0]} training tokens of {values.shape[1]} units",
                             allowed=f"at most {min(values.shape)}")
        found = PCA(n_components, svd_solver="auto", random_state=seed).fit(values)
        self.mean, self.decoder = found.mean_, found.components_

    def transform(self, values: np.ndarray, columns=slice(None)) -> np.ndarray:
        """Project on the components.

        Parameters
        ----------
        values : ndarray (n_tokens, d_in)
            Raw units.
        columns : slice
            Components wanted.

        Returns
        -------
        ndarray (n_tokens, n_components) float32
        """
        return ((values - self.mean) @ self.decoder[columns].T).astype(np.float32)


class Site(NamedTuple):
    """What an encoder reads.

    Parameters
    ----------
    name : str
        Canonical site.
    width : int
        Units.
    signed : bool
        Whether raw values may be negative.
    pooled : bool
        Values were pooled elsewhere, so tokens cannot be encoded.
    """

    name: str
    width: int
    signed: bool = True
    pooled: bool = False


def make_encoder(text: str, site: Site, *, model=None, seed: int = 0, where: str = "representations") -> Encoder:
    """Read one representation of a config.

    Parameters
    ----------
    text : str
        raw | an SAE | pca(n) | random_projection(n) | shuffled(SAE).
    site : Site
        What it reads.
    model : LanguageModel, optional
        The model behind the site; an SAE of another model is refused.
    seed : int
        For projections and shuffles.
    where : str
        For messages.

    Returns
    -------
    Encoder

    Raises
    ------
    InputError
        An SAE of another width or site, more components than units, or an encoder on responses pooled elsewhere.
    """
    text = text.strip()
    if text == "raw":
        return Encoder(None, 0, site.width, site.signed)
    if site.pooled:
        raise InputError(f"{text} encodes tokens, and these responses are pooled already", where=where,
                         allowed="raw", do="bring token values, or keep representations: {x: raw}")
    sized = re.fullmatch(r"(pca|random_projection)\(\s*(\d+)\s*\)", text)
    if sized:
        n = int(sized[2])
        if sized[1] == "random_projection":
            return Encoder(RandomProjection(site.width, n, seed), 0, n, True)
        if n > site.width:
            raise InputError(f"{text} has more components than the site has units", where=where,
                             allowed=f"at most {site.width}")
        return Encoder(None, n, n, True)
    shuffled = re.fullmatch(r"shuffled\(([^()]+)\)", text)
    sae = _sae(shuffled[1].strip() if shuffled else text, site, model, where)
    return Encoder(ShuffledSAE(sae, seed) if shuffled else sae, 0, sae.n_latents, False, sae.sha256)


def _sae(reference: str, site: Site, model, where: str):
    from cogneuro_sae.sae import load_sae

    sae = load_sae(reference, model=model, site=site.name or None)
    if sae.d_in != site.width:
        raise InputError(f"SAE {reference} reads {sae.d_in} units, the site has {site.width}", where=where)
    return sae
