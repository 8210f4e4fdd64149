"""From a trained Keras model to a `.tflite` file that stores the packed codes."""

from edgeax.export.api import export
from edgeax.export.result import Result

__all__ = ["Result", "export"]
