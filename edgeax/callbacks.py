"""Public callbacks for `fit`, also by `from edgeax.callbacks import ...` as with Keras's own."""

from edgeax.training.callbacks import CompressionLogger

__all__ = ["CompressionLogger"]
