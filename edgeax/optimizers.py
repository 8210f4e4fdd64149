"""Public optimizers for `compile`, also by `from edgeax.optimizers import ...`."""

from edgeax.training.skip_aware import SkipAware
from edgeax.training.stretched import StretchedSchedule

__all__ = ["SkipAware", "StretchedSchedule"]
