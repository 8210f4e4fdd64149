"""From a trained Keras model to a `.tflite` file that stores the packed codes."""

from edgeax.export.api import export
from edgeax.export.forecast import Forecast, can_export
from edgeax.export.lookup import lookup_tables
from edgeax.export.result import Result

__all__ = ["Forecast", "Result", "can_export", "export", "lookup_tables"]
