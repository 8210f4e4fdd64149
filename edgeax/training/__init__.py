"""What takes part in `fit`: callbacks."""

from edgeax.training.callbacks import CompressionLogger

__all__ = ["CompressionLogger"]
