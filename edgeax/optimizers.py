"""Public optimizers, also by `from edgeax.optimizers import ...` as with Keras's own."""

from edgeax.model.loss_scaling import (
    DynamicLossScaleOptimizer,
    EnhancedLossScaleOptimizer,
    loss_scaled,
)
from edgeax.training.rounded_sgd import RoundedSGD

__all__ = ["DynamicLossScaleOptimizer", "EnhancedLossScaleOptimizer", "RoundedSGD", "loss_scaled"]
