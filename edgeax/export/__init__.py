"""From a trained Keras model to a `.tflite` file that stores the packed codes."""

from edgeax.export.api import export
from edgeax.export.forecast import Forecast, can_export
from edgeax.export.lookup import lookup_tables
from edgeax.export.on_device_training import OnDeviceTraining
from edgeax.export.result import Result
from edgeax.export.training_report import TrainingReport

__all__ = [
    "Forecast",
    "OnDeviceTraining",
    "Result",
    "TrainingReport",
    "can_export",
    "export",
    "lookup_tables",
]
