"""Microcontrollers: `edgeax.mcu.generate("model.tflite", "generated")` writes C++.

`edgeax.mcu.estimate("model.tflite")` tells before what it will take;
`edgeax.mcu.generate_training("model.tflite", "generated")` writes C++ that goes on learning.
"""

from edgeax.runtime.mcu.estimate import Estimate, LayerEstimate, estimate
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.generate_training import generate_training
from edgeax.runtime.mcu.report import ByCmsisNN, Report, StepReport
from edgeax.runtime.mcu.targets import TARGETS, Target

__all__ = [
    "TARGETS",
    "ByCmsisNN",
    "Estimate",
    "LayerEstimate",
    "Report",
    "StepReport",
    "Target",
    "estimate",
    "generate",
    "generate_training",
]
