"""What an analog memory makes of a model: `edgeax.analog.deployed(model, seconds=3600)`."""

from edgeax.training.analog import (
    deployed,
    drift_exponent,
    noisy_weight,
    pcm_weight,
    programming_sigma,
    read_sigma,
)

__all__ = [
    "deployed",
    "drift_exponent",
    "noisy_weight",
    "pcm_weight",
    "programming_sigma",
    "read_sigma",
]
