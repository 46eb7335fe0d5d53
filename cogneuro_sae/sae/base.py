"""SparseAutoencoder: f = activate(W_enc z + b_enc), xhat = W_dec f + b_dec, with z the centred and scaled input.

One class for training and for use. Centring and scaling happen inside `encode` and `decode`, which take and give raw
residual values; `folded()` moves both into the weights and gives decoder rows norm 1, without changing the function.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from cogneuro_sae.errors import InputError


class Loss(NamedTuple):
    """Terms of the training loss, each a sum over dimensions or latents and a sum over the rows given.

    Parameters
    ----------
    reconstruction : torch.Tensor
        (), sum of squared errors in scaled units.
    penalty : torch.Tensor
        (), the sparsity term without its coefficient.
    active : torch.Tensor
        (), number of (row, latent) pairs with f > 0.
    """

    reconstruction: torch.Tensor
    penalty: torch.Tensor
    active: torch.Tensor


class SparseAutoencoder(torch.nn.Module):
    """Base of all architectures; a subclass says how pre-activations become features (`activate`).

    Parameters
    ----------
    d_in : int
        Width of the site.
    n_latents : int
        Number of latents.
    center : numpy.ndarray, optional
        (d_in,) subtracted from the input; zeros when omitted.
    input_scale : float
        The centred input is multiplied by it.
    site : str
        Canonical site the inputs come from.
    model_sha256 : str
        Weights of the model they come from ("" when unknown).
    scale : float
        s of docs/methods.md: mean residual norm / sqrt(d_in) over the training sample, in raw units.
    prepend_bos : bool
        Whether the beginning-of-text token was fed when the inputs were recorded.
    name : str
        For tables and titles.

    Raises
    ------
    InputError
        A size < 1, or `center` of another width.
    """

    architecture = ""
    signed = False
    elementwise = True

    def __init__(self, d_in: int, n_latents: int, *, center: np.ndarray | None = None, input_scale: float = 1.0,
                 site: str = "", model_sha256: str = "", scale: float = 1.0, prepend_bos: bool = True, name: str = "sae"):
        super().__init__()
        if d_in < 1 or n_latents < 1:
            raise InputError(f"d_in = {d_in}, n_latents = {n_latents}", allowed="1 or more")
        if center is not None and np.shape(center) != (d_in,):
            raise InputError(f"center of shape {np.shape(center)}", allowed=f"({d_in},)")
        self.d_in, self.n_latents = d_in, n_latents
        self.site, self.model_sha256, self.scale, self.prepend_bos = site, model_sha256, float(scale), prepend_bos
        self.name, self.sha256, self.metrics = name, "", {}
        self.firing_rate: np.ndarray | None = None
        self.input_scale = float(input_scale)
        self.register_buffer("center", torch.zeros(d_in) if center is None else torch.tensor(center, dtype=torch.float32))
        self.W_enc = torch.nn.Parameter(torch.zeros(d_in, n_latents))
        self.b_enc = torch.nn.Parameter(torch.zeros(n_latents))
        self.W_dec = torch.nn.Parameter(torch.zeros(n_latents, d_in))
        self.b_dec = torch.nn.Parameter(torch.zeros(d_in))

    @torch.no_grad()
    def initialise(self, seed: int, *, decoder_norm: float = 0.1) -> None:
        """Give decoder rows random directions of one norm, copy their transpose to the encoder, set biases to 0.

        Parameters
        ----------
        seed : int
            Of the directions.
        decoder_norm : float
            Norm of every decoder row (.05 to 1).
        """
        # another stream than the data order has, so that no data row can leak into the dictionary
        rows = np.random.default_rng([seed, 1]).standard_normal((self.n_latents, self.d_in), dtype=np.float32)
        rows *= decoder_norm / np.linalg.norm(rows, axis=1, keepdims=True)
        self.W_dec.copy_(torch.from_numpy(rows))
        self.W_enc.copy_(self.W_dec.T)
        self.b_enc.zero_()
        self.b_dec.zero_()

    def activate(self, pre: torch.Tensor) -> torch.Tensor:
        """Return the features of pre-activations; every architecture has its own.

        Parameters
        ----------
        pre : torch.Tensor
            (..., n_latents).

        Returns
        -------
        torch.Tensor
            (..., n_latents), >= 0.
        """
        raise NotImplementedError

    def penalty(self, f: torch.Tensor) -> torch.Tensor:
        """Return the sparsity term of the loss, without its coefficient, summed over rows and latents.

        Parameters
        ----------
        f : torch.Tensor
            (n_rows, n_latents) features.

        Returns
        -------
        torch.Tensor
            ().
        """
        return f.new_zeros(())

    def standardise(self, x: torch.Tensor) -> torch.Tensor:
        """Return the centred and scaled input.

        Parameters
        ----------
        x : torch.Tensor
            (..., d_in), raw residual units.

        Returns
        -------
        torch.Tensor
            (..., d_in).
        """
        return (x - self.center) * self.input_scale

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of raw residual values.

        Parameters
        ----------
        x : torch.Tensor
            (..., d_in), raw residual units.

        Returns
        -------
        torch.Tensor
            (..., n_latents), >= 0.
        """
        return self.activate(self.standardise(x) @ self.W_enc + self.b_enc)

    def decode(self, f: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction in raw residual units.

        Parameters
        ----------
        f : torch.Tensor
            (..., n_latents).

        Returns
        -------
        torch.Tensor
            (..., d_in).
        """
        return (f @ self.W_dec + self.b_dec) / self.input_scale + self.center

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction of raw residual values.

        Parameters
        ----------
        x : torch.Tensor
            (..., d_in), raw residual units.

        Returns
        -------
        torch.Tensor
            (..., d_in).
        """
        return self.decode(self.encode(x))

    def loss(self, x: torch.Tensor) -> Loss:
        """Return the terms of the training loss in scaled units, summed over rows.

        Parameters
        ----------
        x : torch.Tensor
            (n_rows, d_in), raw residual units.

        Returns
        -------
        Loss
        """
        z = self.standardise(x)
        f = self.activate(torch.addmm(self.b_enc, z, self.W_enc))
        error = torch.addmm(self.b_dec, f, self.W_dec) - z
        return Loss(error.pow(2).sum(), self.penalty(f), (f.detach() > 0).sum())

    @torch.no_grad()
    def transform(self, values: np.ndarray, columns: slice | np.ndarray | None = None) -> np.ndarray:
        """Return the features of raw residual values, numpy in and numpy out, without gradient.

        Parameters
        ----------
        values : numpy.ndarray
            (n_tokens, d_in), raw residual units.
        columns : slice or numpy.ndarray, optional
            Latents to compute (all by default).

        Returns
        -------
        numpy.ndarray
            (n_tokens, n_latents or fewer) float32.

        Raises
        ------
        InputError
            The values have another width.
        """
        if np.ndim(values) != 2 or np.shape(values)[1] != self.d_in:
            raise InputError(f"values of shape {np.shape(values)}", where=f"SAE {self.name}",
                             allowed=f"(n_tokens, {self.d_in})")
        x = torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.W_enc.device)
        if columns is None or not self.elementwise:
            f = self.encode(x)
            return (f if columns is None else f[:, columns]).cpu().numpy()
        pre = torch.addmm(self.b_enc[columns], self.standardise(x), self.W_enc[:, columns])
        return self.activate(pre).cpu().numpy()

    @property
    def decoder(self) -> np.ndarray:
        """(n_latents, d_in) float32 decoder rows, in raw residual units per unit of feature."""
        return (self.W_dec.detach() / self.input_scale).cpu().numpy()

    @torch.no_grad()
    def folded(self) -> SparseAutoencoder:
        """Return the same function with centring and scale folded into the weights and decoder rows of norm 1.

        A latent whose decoder row is exactly zero adds nothing; it is made silent (weights and bias 0) and gets its
        encoder direction as decoder row, so that all rows have norm 1.

        Returns
        -------
        SparseAutoencoder
            Features are then in units of the raw residual norm.
        """
        s, c = self.input_scale, self.center.double()
        W_enc, W_dec = self.W_enc.double() * s, self.W_dec.double() / s
        b_enc, b_dec = self.b_enc.double() - c @ W_enc, self.b_dec.double() / s + c
        norm = W_dec.norm(dim=1)
        empty = norm == 0
        if empty.any():
            spare = torch.nn.functional.normalize(W_enc.T[empty], dim=1)
            spare[spare.norm(dim=1) == 0, 0] = 1.0
            W_dec[empty], W_enc[:, empty], b_enc[empty] = spare, 0.0, 0.0
            norm = torch.where(empty, 1.0, norm)
        folded = type(self)(self.d_in, self.n_latents, site=self.site, model_sha256=self.model_sha256, scale=self.scale,
                            prepend_bos=self.prepend_bos, name=self.name)
        folded.W_enc.copy_(W_enc * norm)
        folded.b_enc.copy_(b_enc * norm)
        folded.W_dec.copy_(W_dec / norm[:, None])
        folded.b_dec.copy_(b_dec)
        folded.firing_rate, folded.metrics = self.firing_rate, self.metrics
        return folded.to(self.W_enc.device)
