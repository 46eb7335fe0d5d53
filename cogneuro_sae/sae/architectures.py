"""How pre-activations become features, by name."""

from __future__ import annotations

import torch

from cogneuro_sae.sae.base import SparseAutoencoder


class L1Autoencoder(SparseAutoencoder):
    """ReLU features with an L1 penalty weighted by decoder norm (Anthropic, April 2024 update).

    f = ReLU(W_enc z + b_enc), xhat = W_dec f + b_dec; penalty = sum_i f_i ||W_dec_i||_2, so that no unit-norm
    constraint is needed: shrinking f while growing the decoder row gains nothing.
    """

    architecture = "l1"

    def activate(self, pre: torch.Tensor) -> torch.Tensor:
        """Return ReLU of the pre-activations.

        Parameters
        ----------
        pre : torch.Tensor
            (..., n_latents).

        Returns
        -------
        torch.Tensor
            (..., n_latents), >= 0.
        """
        return torch.relu(pre)

    def penalty(self, f: torch.Tensor) -> torch.Tensor:
        """Return sum over rows and latents of f_i ||W_dec_i||_2.

        Parameters
        ----------
        f : torch.Tensor
            (n_rows, n_latents).

        Returns
        -------
        torch.Tensor
            ().
        """
        return f.sum(dim=0) @ self.W_dec.norm(dim=1)


ARCHITECTURES: dict[str, type[SparseAutoencoder]] = {"l1": L1Autoencoder}
