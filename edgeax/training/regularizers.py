"""Regularizers that draw weights to the two values that they are going to be rounded to."""

import math
from typing import Any

import keras

from edgeax.formats import implements
from edgeax.transforms.checks import checked_strength

_BIPOLAR = "tests/training/test_regularizers.py::test_thw17_bipolar_is_the_sum_worked_out_by_hand"
_BNN_PLUS = "tests/training/test_regularizers.py::test_dbcn18_terms_are_those_worked_out_by_hand"


@implements("THW17", test=_BIPOLAR)
@keras.saving.register_keras_serializable("edgeax")
class Bipolar(keras.regularizers.Regularizer):
    """Adds `strength * sum(1 - w**2)` to the loss: weights within [-1, 1] go to its ends.

    It has no lower bound: keep the weights in [-1, 1] by `edgeax.constraints.WeightClip`.
    Source: [THW17], as recalled.

    Args:
        strength: Factor of the term, finite, at least 0.

    Raises:
        ValueError: `strength` is out of its range.
    """

    def __init__(self, strength: float = 5e-7) -> None:
        self.strength = checked_strength(strength)

    def __call__(self, weight: Any) -> Any:
        """Returns the term, a scalar."""
        return self.strength * keras.ops.sum(1.0 - keras.ops.square(weight))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"strength": self.strength}


class _ToTwoValues(keras.regularizers.Regularizer):
    """Base of the terms that draw |w| to alpha.

    Args:
        strength: Factor of the term, finite, at least 0.
        alpha: Above 0; or `"mean"`: the mean of |w| as it is at the time, which is the gain that
            suits a binary weight best [RORF16]. No gradient goes through it.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, strength: float = 1e-6, alpha: float | str = "mean") -> None:
        self.strength = checked_strength(strength)
        named = isinstance(alpha, str)
        if alpha != "mean" if named else not 0.0 < float(alpha) < math.inf:
            raise ValueError(
                "`alpha` must be above 0 and finite, or 'mean' for that of the magnitudes. "
                f"Received: alpha={alpha!r}."
            )
        self.alpha = alpha if named else float(alpha)

    def distances(self, weight: Any) -> Any:
        """Returns `alpha - |w|` for each weight."""
        magnitudes = keras.ops.abs(weight)
        alpha = self.alpha
        if alpha == "mean":
            alpha = keras.ops.stop_gradient(keras.ops.mean(magnitudes))
        return alpha - magnitudes

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"strength": self.strength, "alpha": self.alpha}


@implements("DBCN18", test=_BNN_PLUS)
@keras.saving.register_keras_serializable("edgeax")
class Manhattan(_ToTwoValues):
    """Adds `strength * sum(|alpha - |w||)` to the loss: BNN+'s R1.

    Source: [DBCN18], as recalled.

    Args:
        strength: Factor of the term, finite, at least 0.
        alpha: Magnitude that weights are drawn to, above 0; or `"mean"`: the mean of |w| as it is
            at the time, which is the gain that suits a binary weight best. No gradient goes
            through it.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __call__(self, weight: Any) -> Any:
        """Returns the term, a scalar."""
        return self.strength * keras.ops.sum(keras.ops.abs(self.distances(weight)))


@implements("DBCN18", test=_BNN_PLUS)
@keras.saving.register_keras_serializable("edgeax")
class Euclidean(_ToTwoValues):
    """Adds `strength * sum((alpha - |w|)**2)` to the loss: BNN+'s R2.

    Source: [DBCN18], as recalled.

    Args:
        strength: Factor of the term, finite, at least 0.
        alpha: Magnitude that weights are drawn to, above 0; or `"mean"`: the mean of |w| as it is
            at the time, which is the gain that suits a binary weight best. No gradient goes
            through it.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __call__(self, weight: Any) -> Any:
        """Returns the term, a scalar."""
        return self.strength * keras.ops.sum(keras.ops.square(self.distances(weight)))
