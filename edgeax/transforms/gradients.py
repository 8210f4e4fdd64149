"""What a backward pass sees where the forward pass rounds."""

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
