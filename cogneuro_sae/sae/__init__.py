"""Sparse autoencoders: architectures, training, metrics, folders on disk."""

from cogneuro_sae.sae.architectures import ARCHITECTURES, L1Autoencoder
from cogneuro_sae.sae.base import SparseAutoencoder
from cogneuro_sae.sae.checkpoint import load_sae, save_sae
from cogneuro_sae.sae.metrics import loss_recovered, reconstruction_metrics, sae_metrics
from cogneuro_sae.sae.pipeline import train_from_config
from cogneuro_sae.sae.train_config import TrainConfig, load_train_config
from cogneuro_sae.sae.training import train_sae

__all__ = [
    "ARCHITECTURES", "L1Autoencoder", "SparseAutoencoder", "TrainConfig", "load_sae", "load_train_config", "loss_recovered",
    "reconstruction_metrics", "sae_metrics", "save_sae", "train_from_config", "train_sae",
]
