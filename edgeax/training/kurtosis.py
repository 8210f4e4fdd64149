"""KURE: kernels drawn to a flat distribution, which any width and step of rounding suits."""

import math
from typing import Any

import keras
from keras import ops

from edgeax.formats import implements
from edgeax.training.added_loss import AddedLoss, TrainingStep, kernels_of
from edgeax.transforms.checks import checked_choice, checked_strength

UNIFORM = 1.8
"""Kurtosis of the uniform distribution; 3 is that of the normal one, 6 of Laplace's."""

MODES = ("avg", "sum", "max")

_TEST = "tests/training/test_kurtosis.py::"


def kurtosis(weight: Any) -> Any:
    """Returns E[((w - mean) / std)**4] of all values of a tensor, a float32 scalar.

    As in the paper's code, std is the unbiased one, of n - 1 values. 0 where all are equal.

    Args:
        weight: Tensor or variable of any shape.
    """
    weight = ops.cast(weight, "float32")
    apart = ops.square(weight - ops.mean(weight))
    variance = ops.sum(apart) / float(max(math.prod(weight.shape) - 1, 1))
    return ops.divide_no_nan(ops.mean(ops.square(apart)), ops.square(variance))


@implements("SCB20", test=_TEST + "test_scb20_kurtosis_is_that_of_the_distribution")
@keras.saving.register_keras_serializable("edgeax")
class Kurtosis(keras.regularizers.Regularizer):
    """Adds `strength * (kurtosis(w) - target)**2` to the loss: KURE for one kernel.

    It changes the shape of the distribution and not its width, so it goes with any weight decay.
    `edgeax.callbacks.KURE` does this for all kernels of a model as it stands.

    Source: [SCB20].

    Args:
        strength: Factor of the term, finite, at least 0.
        target: The kurtosis wanted, at least 1; 1.8 is that of the uniform distribution.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, strength: float = 1.0, target: float = UNIFORM) -> None:
        self.strength, self.target = _checked(strength, target)

    def __call__(self, weight: Any) -> Any:
        """Returns the term, a scalar."""
        return self.strength * ops.square(kurtosis(weight) - self.target)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"strength": self.strength, "target": self.target}


@implements("SCB20", test=_TEST + "test_scb20_modes_are_those_worked_out_by_hand")
@keras.saving.register_keras_serializable("edgeax")
class KURE(AddedLoss):
    """Adds `strength * mean over kernels of (kurtosis(w) - target)**2` to the loss during `fit`.

    For fine-tuning a trained model at a small learning rate, 1e-3 in the paper. Every kernel that
    training moves takes part, also those inside nested and compressed models, as real numbers.
    Weights then spread evenly over their range, and rounding them after training costs little at
    whatever width and step. See `AddedLoss` for what `val_loss` shows.

    Source: [SCB20].

    Args:
        strength: Factor of the term, finite, at least 0.
        target: The kurtosis wanted, at least 1; 1.8 is that of the uniform distribution.
        mode: Over the kernels: `"avg"`, `"sum"` or `"max"`.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no kernel is trained.

    Example: `model.fit(x, y, callbacks=[edgeax.callbacks.KURE()])`
    """

    def __init__(
        self,
        strength: float = 1.0,
        target: float = UNIFORM,
        mode: str = "avg",
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.strength, self.target = _checked(strength, target)
        self.mode = checked_choice("mode", mode, MODES)

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        apart = [ops.square(kurtosis(w) - self.target) for w in kernels_of(step.model)]
        reduce = {"avg": ops.mean, "sum": ops.sum, "max": ops.max}[self.mode]
        return self.strength * reduce(ops.stack(apart))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "strength": self.strength,
            "target": self.target,
            "mode": self.mode,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KURE":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def rounding_error_of_uniform(bits: int, step: float, half_width: float = 1.0) -> float:
    """Returns the mean squared error of rounding a uniform variable, the lemma of KURE.

    The variable lies in [-a, a]. Up to the clip edge `2**(bits-1) * step` the error is uniform in
    a step; beyond the edge it is measured to the edge, not to the highest level:

        (a - 2**(bits-1) step)**3 / (3 a) + 2**bits step**3 / (24 a)

    It is least at `step = a / (2**(bits-1) + 1/2)` and flat around there, which is why a uniform
    weight bears a step that is off.

    Source: [SCB20].

    Args:
        bits: Width of a code, 1 or more.
        step: Distance of two levels, above 0, at most `a / 2**(bits-1)`.
        half_width: The a, above 0.

    Raises:
        ValueError: An argument is out of its range.
    """
    if bits < 1 or not 0.0 < step <= half_width / 2 ** (bits - 1):
        raise ValueError(
            f"`step` must be in (0, half_width / 2**(bits-1)], and `bits` at least 1. Received: "
            f"bits={bits}, step={step}, half_width={half_width}."
        )
    clipped = (half_width - 2 ** (bits - 1) * step) ** 3 / (3.0 * half_width)
    return clipped + 2**bits * step**3 / (24.0 * half_width)


def _checked(strength: float, target: float) -> tuple[float, float]:
    strength = checked_strength(strength)
    if not 1.0 <= target < math.inf:
        raise ValueError(
            "`target` must be at least 1, the kurtosis of two values, and finite. "
            f"Received: target={target}."
        )
    return strength, float(target)
