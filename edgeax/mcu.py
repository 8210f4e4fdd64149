"""Microcontrollers: `edgeax.mcu.generate("model.tflite", "generated")` writes C++."""

from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.report import Report, StepReport
from edgeax.runtime.mcu.targets import TARGETS, Target

__all__ = ["TARGETS", "Report", "StepReport", "Target", "generate"]
