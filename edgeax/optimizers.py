"""Public optimizers, also by `from edgeax.optimizers import ...` as with Keras's own."""

from edgeax.training.lars import LARS
from edgeax.training.sign_optimizers import PredictiveSignSGD, SignSGD, Signum, majority_vote

__all__ = ["LARS", "PredictiveSignSGD", "SignSGD", "Signum", "majority_vote"]
