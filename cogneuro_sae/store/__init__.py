"""Activations of one site over a corpus, in shards on disk."""

from cogneuro_sae.store.activation_store import KIND, ActivationStore
from cogneuro_sae.store.moments import Moments
from cogneuro_sae.store.shards import good_shard, read_shard, shard_name, write_shard

__all__ = ["KIND", "ActivationStore", "Moments", "good_shard", "read_shard", "shard_name", "write_shard"]
