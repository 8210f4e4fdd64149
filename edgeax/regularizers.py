"""Public regularizers, also by `from edgeax.regularizers import ...` as with Keras's own."""

from edgeax.training.group_lasso import GroupLasso
from edgeax.training.kurtosis import Kurtosis
from edgeax.training.regularizers import Bipolar, Euclidean, Manhattan

__all__ = ["Bipolar", "Euclidean", "GroupLasso", "Kurtosis", "Manhattan"]
