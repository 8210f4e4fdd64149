"""What a backward pass sees where the forward pass rounds."""

import difflib
from collections.abc import Callable

import tensorflow as tf


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


@tf.custom_gradient
def ste_sign(real: tf.Tensor, rounded: tf.Tensor) -> tf.Tensor:
    """Returns `rounded`; the gradient goes to `real` where |real| <= 1. Source: [CHS16].

    Args:
        real: Float tensor that receives the gradient.
        rounded: Float tensor of the same shape, the forward value.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.where(tf.abs(real) <= 1.0, upstream, 0.0), None

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
