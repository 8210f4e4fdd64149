"""Public constraints, also by `from edgeax.constraints import ...` as with Keras's own."""

from edgeax.training.constraints import WeightClip

__all__ = ["WeightClip"]
