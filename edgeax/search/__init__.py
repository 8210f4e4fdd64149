"""What a model bears: sensitivity of its layers, robustness of the whole."""

from edgeax.search.robustness import (
    RobustnessCurve,
    RobustnessPoint,
    plot_curves,
    robustness_curve,
)
from edgeax.search.sensitivity import Sensitivity, sensitivity

__all__ = [
    "RobustnessCurve",
    "RobustnessPoint",
    "Sensitivity",
    "plot_curves",
    "robustness_curve",
    "sensitivity",
]
