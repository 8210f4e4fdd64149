"""Public optimizers for `compile`, also by `from edgeax.optimizers import ...`."""

from edgeax.model.loss_scaling import (
    DynamicLossScaleOptimizer,
    EnhancedLossScaleOptimizer,
    loss_scaled,
)
from edgeax.training.halp import HALP
from edgeax.training.lars import LARS
from edgeax.training.rounded_sgd import RoundedSGD
from edgeax.training.sign_optimizers import PredictiveSignSGD, SignSGD, Signum, majority_vote
from edgeax.training.skip_aware import SkipAware
from edgeax.training.stretched import StretchedSchedule

__all__ = [
    "HALP",
    "LARS",
    "DynamicLossScaleOptimizer",
    "EnhancedLossScaleOptimizer",
    "PredictiveSignSGD",
    "RoundedSGD",
    "SignSGD",
    "Signum",
    "SkipAware",
    "StretchedSchedule",
    "loss_scaled",
    "majority_vote",
]
