"""Public optimizers, also by `from edgeax.optimizers import ...` as with Keras's own."""

from edgeax.model.loss_scaling import EnhancedLossScaleOptimizer, loss_scaled

__all__ = ["EnhancedLossScaleOptimizer", "loss_scaled"]
