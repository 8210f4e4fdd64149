"""What takes part in `fit`: callbacks, regularizers, constraints."""

from edgeax.training.callbacks import CompressionLogger
from edgeax.training.constraints import WeightClip
from edgeax.training.regularizers import Bipolar, Euclidean, Manhattan

__all__ = ["Bipolar", "CompressionLogger", "Euclidean", "Manhattan", "WeightClip"]
