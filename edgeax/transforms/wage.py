"""WAGE: weights, activations, gradients and errors as multiples of powers of two."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer
from edgeax.formats import scales as exact
from edgeax.formats.methods import implements
from edgeax.transforms.base import Role
from edgeax.transforms.checks import checked_bits, checked_positive
from edgeax.transforms.formatted import noise_like
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradients import clipped, straight_through
from edgeax.transforms.quantize import Quantizer

# How many steps of a weight its initial range must hold at least.
_FEWEST_STEPS = 1.5


@implements(
    "WLCS18",
    test="tests/transforms/test_wage.py::test_wlcs18_weights_and_activations_lie_on_powers_of_two",
)
@keras.saving.register_keras_serializable("edgeax")
class WAGE(Quantizer):
    """Rounds to multiples of `sigma = 2**(1-bits)` and clips to 1 - sigma (WAGE's W and A).

    A weight is further divided by its layer's scale, a power of two: the factor by which initial
    weights were enlarged to span a few steps (`WAGEInitializer`). Its gradient passes straight
    through; that of an activation where nothing is clipped.

    On an integer device an activation that is not behind a ReLU ends at -1, a step below
    -(1 - sigma).

    Source: [WLCS18].

    Args:
        bits: Width of a code, 2 to 8. The paper has 2 for weights and 8 for activations.

    Raises:
        ValueError: `bits` is out of its range.
    """

    def __init__(self, bits: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 8, "WAGE")
        self.number_format = Integer(self.bits)
        self.layer_scale = 1.0

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Finds the layer's scale from the shape of a weight."""
        if role == "activation":
            self.number_format = Integer(self.bits, symmetric=False)
        else:
            self.layer_scale = layer_scale(_fan_in(shape), self.bits)
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its levels; see `Transform.call`."""
        del step, renew
        sigma = _sigma(self.bits)
        value = (sigma / self.layer_scale) * self._codes(tf.stop_gradient(tensor))
        if self.role == "weight":
            return straight_through(tensor, value)
        edge = tf.constant(1.0 - sigma)
        return clipped(tensor, value, -edge, edge)

    def _codes(self, tensor: tf.Tensor) -> tf.Tensor:
        top = float(2 ** (self.bits - 1) - 1)
        return tf.clip_by_value(tf.round(tensor * (1.0 / _sigma(self.bits))), -top, top)

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The range over which the codes of an activation are spread."""
        return (-1.0, 1.0 - _sigma(self.bits)) if self.role == "activation" else None

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes."""
        codes = self._codes(tf.constant(tensor.decode())).numpy().astype(np.int8)
        scale = np.asarray(_sigma(self.bits) / self.layer_scale, np.float32)
        return EncodedTensor(codes, self.number_format, {"scale": scale}, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits}


@implements(
    "WLCS18", test="tests/transforms/test_wage.py::test_wlcs18_errors_are_scaled_by_a_power_of_two"
)
@keras.saving.register_keras_serializable("edgeax")
class WAGEError(GradientTransform):
    """Rounds the error behind a layer to multiples of `2**(1-bits)` of its magnitude (WAGE's E).

    An error e becomes `round(e / s / sigma) * sigma`, clipped to 1 - sigma, where s is the power of
    two nearest to max|e| (on a logarithmic scale). The magnitude itself is gone, as in the paper:
    `WAGEUpdate` at the weights makes nothing of it.

    Source: [WLCS18].

    Args:
        bits: Width of an error, 2 to 16.

    Raises:
        ValueError: `bits` is out of its range.
    """

    def __init__(self, bits: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 16, "WAGEError")

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        del step
        sigma, shift = _sigma(self.bits), _shift(tf.reduce_max(tf.abs(upstream)))
        edge = 1.0 - sigma
        return tf.clip_by_value(tf.round(upstream / shift / sigma) * sigma, -edge, edge)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits}


@implements(
    "WLCS18", test="tests/transforms/test_wage.py::test_wlcs18_updates_are_whole_steps_and_unbiased"
)
@keras.saving.register_keras_serializable("edgeax")
class WAGEUpdate(GradientTransform):
    """Turns a weight's gradient into a whole number of steps `2**(1-bits)`, at random (WAGE's G).

    A gradient g becomes `sigma * round(rate * g / s)`, rounded up or down at random without bias,
    where s is the power of two nearest to max|g|. Train with plain SGD of learning rate 1: its
    update is then the paper's.

    Source: [WLCS18].

    Args:
        bits: Width of a step, 2 to 16.
        rate: The paper's learning rate, in steps, above 0: 8, later 1 and 1/8.
        seed: Of the random rounding.

    Raises:
        ValueError: An argument is out of its range.
    """

    weights_only = True

    def __init__(self, bits: int = 8, rate: float = 1.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 16, "WAGEUpdate")
        self.rate = checked_positive("rate", rate)
        self.seed = int(seed)

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        steps = self.rate * upstream / _shift(tf.reduce_max(tf.abs(upstream)))
        noise = noise_like(upstream, self.seed, step)
        return _sigma(self.bits) * tf.floor(steps + noise)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("edgeax")
class WAGEInitializer(keras.initializers.Initializer):
    """Uniform initial weights that span at least a few steps of `WAGE(bits)`.

    The limit is sqrt(6 / fan_in), but at least 1.5 steps; see `WAGE` for what makes up for that.

    Source: [WLCS18].

    Args:
        bits: That of the weights, 2 to 8.
        seed: Of the random draw.

    Raises:
        ValueError: `bits` is out of its range.
    """

    def __init__(self, bits: int = 2, seed: int = 0) -> None:
        self.bits = checked_bits(bits, 2, 8, "WAGEInitializer")
        self.seed = int(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Returns weights of this `shape`."""
        limit = max(_limit(_fan_in(shape)), _FEWEST_STEPS * _sigma(self.bits))
        return keras.random.uniform(shape, -limit, limit, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "seed": self.seed}


def layer_scale(fan_in: int, bits: int) -> float:
    """Returns by how much initial weights of `WAGEInitializer` are too large, a power of two.

    Args:
        fan_in: Weights of one output channel, at least 1.
        bits: Of the weights.
    """
    smallest = _FEWEST_STEPS * _sigma(bits)
    return max(1.0, float(2.0 ** round(math.log2(smallest / _limit(fan_in)))))


def _limit(fan_in: int) -> float:
    return math.sqrt(6.0 / fan_in)


def _fan_in(shape: Sequence[int | None]) -> int:
    return max(1, math.prod(int(size or 1) for size in shape[:-1]))


def _sigma(bits: int) -> float:
    return 2.0 ** (1 - bits)


def _shift(x: tf.Tensor) -> tf.Tensor:
    """Returns the power of two nearest to `x` by logarithm: `2 ** round(log2(x))`, 1 for x = 0."""
    below = exact.power_of_two(exact.floor_log2(x, keras.ops), keras.ops)
    # The middle between two powers of two is sqrt(2) times the lower one, which no float is.
    nearest = tf.where(x > below * np.float32(math.sqrt(2.0)), 2.0 * below, below)
    return tf.where(x > 0.0, nearest, 1.0)
