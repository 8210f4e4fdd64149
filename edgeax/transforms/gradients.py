"""What a backward pass sees where the forward pass rounds."""

import difflib
from collections.abc import Callable

import tensorflow as tf

from edgeax.formats.methods import implements


@tf.custom_gradient
def straight_through(real: tf.Tensor, rounded: tf.Tensor) -> tf.Tensor:
    """Returns `rounded`; the whole gradient goes to `real`, none to `rounded`.

    `real + stop_gradient(rounded - real)` is the usual spelling, but its floating-point sum is not
    exactly `rounded`, and an exported file must hold exactly what training used.

    Args:
        real: Float tensor that receives the gradient.
        rounded: Float tensor of the same shape, the forward value.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return upstream, None

    del real
    return tf.identity(rounded), gradient


@tf.custom_gradient
def clipped(real: tf.Tensor, rounded: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Returns `rounded`; the gradient goes to `real` where it lies in [low, high], else nowhere.

    Args:
        real: Float tensor that receives the gradient.
        rounded: Float tensor of the same shape, the forward value.
        low: Lowest value that can be represented, broadcasts against `real`.
        high: Highest one.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        inside = tf.logical_and(real >= low, real <= high)
        return tf.where(inside, upstream, 0.0), None, None, None

    return tf.identity(rounded), gradient


@implements(
    "CHS16",
    test="tests/transforms/test_gradients.py::test_chs16_the_mask_is_one_up_to_magnitude_one",
)
def ste_sign(real: tf.Tensor, rounded: tf.Tensor) -> tf.Tensor:
    """Binary values with a gradient where |real| <= 1. Source: [CHS16], [WSL18].

    Args:
        real: Float tensor that receives the gradient.
        rounded: Float tensor of the same shape, the forward value.
    """
    return weighted(real, rounded, tf.cast(tf.abs(real) <= 1.0, real.dtype))


def approx_sign(real: tf.Tensor, rounded: tf.Tensor) -> tf.Tensor:
    """Returns `rounded`; its derivative is 2 - 2|real| where |real| <= 1, else 0, as in Larq."""
    return weighted(real, rounded, 2.0 * tf.nn.relu(1.0 - tf.abs(real)))


@implements(
    "DBCN18",
    test="tests/transforms/test_gradients.py::test_dbcn18_swish_sign_is_the_derivative_of_its_swish",
)
def swish_sign(real: tf.Tensor, rounded: tf.Tensor, beta: float = 5.0) -> tf.Tensor:
    """Binary values with the gradient of SwishSign. Source: [DBCN18].

    The derivative is `beta * (2 - beta * x * tanh(beta * x / 2)) / (1 + cosh(beta * x))`.

    Args:
        real: Float tensor that receives the gradient.
        rounded: Float tensor of the same shape, the forward value.
        beta: How steep it is, above 0.
    """
    # Beyond 80 the derivative is 0 in float32, but cosh would leave its range soon.
    x = tf.clip_by_value(beta * real, -80.0, 80.0)
    return weighted(real, rounded, beta * (2.0 - x * tf.tanh(x / 2.0)) / (1.0 + tf.cosh(x)))


def within_unit(real: tf.Tensor, rounded: tf.Tensor) -> tf.Tensor:
    """Returns `rounded`; the gradient goes to `real` where it lies in [0, 1]. Source: [ZWN16]."""
    return clipped(real, rounded, tf.constant(0.0), tf.constant(1.0))


@tf.custom_gradient
def weighted(real: tf.Tensor, rounded: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """Returns `rounded`, as if its derivative by `real` were `slope`.

    Args:
        real: Float tensor that receives the gradient.
        rounded: Float tensor of the same shape, the forward value.
        slope: Float tensor of the same shape.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        return upstream * slope, None, None

    del real
    return tf.identity(rounded), gradient


@tf.custom_gradient
def shared_gradient(real: tf.Tensor, shared: tf.Tensor) -> tf.Tensor:
    """Returns `shared`; `real` and `shared` both receive the whole gradient.

    Weight sharing moves the shared values by the sum over their members, while the members keep
    moving on their own so that they can change sides.

    Args:
        real: Float tensor, the weights before they were shared.
        shared: Float tensor of the same shape, the forward value.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return upstream, upstream

    del real
    return tf.identity(shared), gradient


Estimator = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

ESTIMATORS: dict[str, Estimator] = {
    "straight_through": straight_through,
    "ste_sign": ste_sign,
    "approx_sign": approx_sign,
    "swish_sign": swish_sign,
    "within_unit": within_unit,
}
"""Gradient estimators by name: functions of the real and the rounded tensor."""


def estimator(name: str) -> Estimator:
    """Returns the gradient estimator called `name`.

    Raises:
        ValueError: There is no such estimator.
    """
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    near = difflib.get_close_matches(str(name), ESTIMATORS, n=3, cutoff=0.3) or [*ESTIMATORS]
    raise ValueError(
        "`gradient` must name a gradient estimator. "
        f"Received: gradient={name!r}. Did you mean one of {near}?"
    )
