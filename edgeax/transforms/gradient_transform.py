"""GradientTransform: values pass as they are, the gradient on its way back is changed."""

import abc
from collections.abc import Callable

import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.transforms.base import Transform


class GradientTransform(Transform):
    """Passes a tensor on as it is and changes the gradient that comes back.

    It must come last in its chain: there the gradient has not passed any rounding yet.
    """

    def follow(self, before: Transform) -> None:
        """May stand behind anything but another one.

        Raises:
            ValueError: It is another one.
        """
        if isinstance(before, GradientTransform):
            raise ValueError(
                f"`{type(self).__name__}` must be the only one in a chain that changes gradients. "
                f"Received: {type(before).__name__} before it."
            )

    @abc.abstractmethod
    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the gradient that goes on.

        Args:
            upstream: float32, the gradient of the tensor; of an activation, the first axis is the
                batch.
            step: int32 scalar, training steps done so far.
        """

    def backward_of_pass(self, step: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns `backward` of the forward pass that is being made, as a function of `upstream`.

        Args:
            step: As for `backward`.
        """
        return lambda upstream: self.backward(upstream, step)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor`; see `Transform.call`."""
        del renew
        backward = self.backward_of_pass(step)

        @tf.custom_gradient
        def passed(tensor: tf.Tensor) -> tf.Tensor:
            return tf.identity(tensor), backward

        return passed(tensor)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns `tensor`: what happens to a gradient is over after training."""
        return tensor

    def axes(self, upstream: tf.Tensor) -> list[int] | None:
        """Returns the axes of one sample: all but the first for an activation, all (None) else."""
        return list(range(1, len(upstream.shape))) if self.role == "activation" else None
