"""Mask: weights that are zero where a mask says so, and what becomes of them in training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Float32
from edgeax.transforms.base import Transform, now
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.gradients import straight_through

UPDATES = ("masked", "dense")


@keras.saving.register_keras_serializable("edgeax")
class Mask(Transform):
    """Sets weights to zero by a mask that is set from outside, as `edgeax.prune` does.

    Args:
        updates: What a masked weight gets of the gradient: `"masked"` nothing, `"dense"` all of it,
            so that it can grow behind its mask and be found important later.

    Raises:
        ValueError: `updates` is neither.
    """

    weights_only = True

    def __init__(self, updates: str = "masked", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.updates = checked_choice("updates", updates, UPDATES)

    def build(self, shape: Sequence[int]) -> None:
        """Creates the mask, all ones."""
        self.mask = self.state("mask", shape, dtype="bool", initializer="ones")

    def follow(self, before: Transform) -> None:
        """Refuses to come late.

        Raises:
            ValueError: Another transform comes before.
        """
        name = type(self).__name__
        raise ValueError(
            f"`{name}` must come first in a chain, so that the others can keep its zeros. "
            f"Received: {type(before).__name__} before {name}."
        )

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with the masked weights at zero; see `Transform.call`."""
        del step, renew
        pruned = tf.where(self.mask.value, tensor, 0.0)
        return pruned if self.updates == "masked" else straight_through(tensor, pruned)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight with its zeros and its mask."""
        mask = now(self.mask)
        value = np.where(mask, tensor.decode(), np.float32(0.0))
        return EncodedTensor(value, Float32(), {}, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"updates": self.updates}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Mask":
        """Returns the transform that `get_config` described, with new state."""
        return cls(**config)


class ChosenMask(Mask):
    """Base of the masks that are chosen from the weight itself, while it is trained."""

    def due(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether the mask is chosen anew at `step`, bool scalar."""
        raise NotImplementedError

    def chosen(self, tensor: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the new mask of the weight `tensor`, bool of its shape.

        It assigns nothing: several replicas could not do so here.
        """
        raise NotImplementedError

    def find(self, tensor: tf.Tensor, due: tf.Tensor) -> None:
        """Keeps what choices need of the weight `tensor`, where one is `due` (bool scalar)."""

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with the masked weights at zero; see `Transform.call`."""
        if renew is not None:
            due = tf.logical_and(renew, self.due(step))
            fixed = tf.stop_gradient(tensor)
            self.find(fixed, due)
            mask = tf.cond(
                due, lambda: self.chosen(fixed, step), lambda: tf.identity(self.mask.value)
            )
            self.mask.assign(tf.ensure_shape(mask, tensor.shape))
        return super().call(tensor, step)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Chooses from the weight `tensor` if that is due at step 0; returns it pruned."""
        return self.call(tensor, tf.constant(0), renew=tf.constant(True))
