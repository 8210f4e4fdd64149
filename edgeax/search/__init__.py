"""What a model bears, and what a device can train of it."""

from edgeax.search.plan_update import plan_update
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
    "plan_update",
    "plot_curves",
    "robustness_curve",
    "sensitivity",
]
