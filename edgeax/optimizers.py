"""Public optimizers for `compile`, also by `from edgeax.optimizers import ...`."""

from edgeax.training.lars import LARS
from edgeax.training.sign_optimizers import PredictiveSignSGD, SignSGD, Signum, majority_vote
from edgeax.training.skip_aware import SkipAware
from edgeax.training.stretched import StretchedSchedule

__all__ = [
    "LARS",
    "PredictiveSignSGD",
    "SignSGD",
    "Signum",
    "SkipAware",
    "StretchedSchedule",
    "majority_vote",
]
