"""What a model bears: sensitivity of its layers, robustness of the whole."""

from edgeax.search.robustness import RobustnessCurve, robustness_curve
from edgeax.search.sensitivity import Sensitivity, sensitivity

__all__ = ["RobustnessCurve", "Sensitivity", "robustness_curve", "sensitivity"]
