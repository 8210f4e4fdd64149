"""Tensor-to-tensor maps with gradients: pruning, clustering, quantization, and their schedules."""

import keras  # noqa: F401  imported before the modules below, on which what waits for Keras relies

from edgeax.transforms.base import Chain, Transform
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.prune import Prune
from edgeax.transforms.quantize import Quantize
from edgeax.transforms.schedules import ConstantSparsity, PolynomialDecay, Schedule

__all__ = [
    "Chain",
    "Cluster",
    "ConstantSparsity",
    "PolynomialDecay",
    "Prune",
    "Quantize",
    "Schedule",
    "Transform",
]
