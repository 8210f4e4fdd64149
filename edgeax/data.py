"""Public changes of datasets for training, also by `from edgeax.data import ...`."""

from edgeax.training.dropped_data import drop

__all__ = ["drop"]
