"""Learned: base of the quantizers that train numbers of their own beside the weights."""

import abc
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.transforms.base import now
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.quantize import Quantizer
from edgeax.transforms.ranges import mean_over_replicas

_SMALLEST = 1e-8


class Learned(Quantizer):
    """Takes the first values of what it trains from the first weight or batch that it sees.

    Until then it passes values unchanged. A first batch with a value that is not finite is passed
    over.
    """

    def build(self, shape: Sequence[int]) -> None:
        """Creates what is trained, and whether it was found."""
        self.learned = self.variables_for(shape)
        self.found = self.state("found", dtype="int32")

    @abc.abstractmethod
    def variables_for(self, shape: Sequence[int]) -> list[keras.Variable]:
        """Returns new variables for a tensor of this `shape`; 1 until they are found."""

    @abc.abstractmethod
    def first_values(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """Returns the first value of each variable for `tensor`, one that gets no gradient."""

    @abc.abstractmethod
    def rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns `tensor` on the levels of the current variables, with its gradients."""

    @abc.abstractmethod
    def encoded(self, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
        """Returns the codes of `rounded(value)`, of a weight."""

    def learned_variable(self, name: str, shape: Sequence[int] = ()) -> keras.Variable:
        """Returns a new trainable variable."""
        return self.state(name, shape, trainable=True, initializer="ones")

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its levels; see `Transform.call`."""
        if renew is not None:
            self._find(tensor)
        return tf.where(self.found.value > 0, self.rounded(tensor), tensor)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Takes the first values from the weight `tensor`."""
        self._find(tensor)
        return super().initialize(tensor)

    def _find(self, tensor: tf.Tensor) -> None:
        wanted = tf.equal(self.found.value, 0)
        fixed = tf.stop_gradient(tensor)
        current = [tf.identity(variable.value) for variable in self.learned]
        first = tf.cond(wanted, lambda: self.first_values(fixed), lambda: current)
        if self.role == "activation":
            first = [mean_over_replicas(value) for value in first]
        finite = [tf.reduce_all(tf.math.is_finite(value)) for value in first]
        due = tf.logical_and(wanted, tf.reduce_all(tf.stack(finite)))
        for variable, value, old in zip(self.learned, first, current, strict=True):
            chosen = tf.where(due, value, old)
            variable.assign(tf.ensure_shape(chosen, variable.shape))
        self.found.assign(tf.maximum(self.found.value, tf.cast(due, tf.int32)))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes, or unchanged if no first values were found yet."""
        return self.encoded(tensor.decode(), tensor.mask) if self.is_found else tensor

    @property
    def is_found(self) -> bool:
        """Whether the first values were found."""
        return bool(now(self.found))


def positive(variable: keras.Variable) -> tf.Tensor:
    """Returns a trained scale, kept above 0; below, the gradient still reaches the variable."""
    value = variable.value
    return straight_through(value, tf.maximum(value, _SMALLEST))
