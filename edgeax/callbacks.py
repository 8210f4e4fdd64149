"""Public callbacks for `fit`, also by `from edgeax.callbacks import ...` as with Keras's own."""

from edgeax.training.callbacks import CompressionLogger
from edgeax.training.gradient_l1 import GradientL1
from edgeax.training.kurtosis import KURE
from edgeax.training.quantization_error import MSQE, PartialL2

__all__ = ["KURE", "MSQE", "CompressionLogger", "GradientL1", "PartialL2"]
