"""Public losses, also by `from edgeax.losses import ...` as with Keras's own."""

from edgeax.training.soft_targets import SoftTargets

__all__ = ["SoftTargets"]
