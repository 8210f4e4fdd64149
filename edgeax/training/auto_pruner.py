"""AutoPruner: a layer that learns which channels of the layer before it to do without."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from edgeax.formats import implements
from edgeax.transforms.checks import (
    checked_below_1,
    checked_bits,
    checked_positive,
    checked_strength,
)

ADAPTIVE = 100.0
"""Factor of the distance between what is kept and what should be, as for ResNet in [LW20]."""


@implements(
    "LW20",
    test="tests/training/test_auto_pruner.py::test_lw20_the_mask_becomes_binary_and_its_mean_r",
)
@keras.saving.register_keras_serializable("edgeax")
class AutoPruner(keras.layers.Layer):
    """Multiplies each channel by a gate that training drives to 0 or 1, a share of them to 1.

    Stands behind a convolution's or dense layer's activation, right before what reads it. In
    training `gates = sigmoid(a * (w . maxpool(mean of the batch)))`, where w, without a bias, sums
    over all places and channels, and a grows from `first_alpha` to `last_alpha` in `steps` training
    steps, which makes the gates binary. `strength * (mean gate - keep)**2` is added to the loss.

    Outside training, and where the layer's `trainable` is False, a channel passes if the running
    mean of its gate in training is above 0.5, and is 0 else: what comes out does not depend on the
    batch. Before training all pass. After training, `strip_auto_pruners` returns the model without
    these layers, from which `edgeax.remove_channels` takes the channels out.

    Source: [LW20].

    Args:
        keep: r, the share of channels to keep, above 0 and below 1.
        steps: Training steps in which a grows, at least 1; the training should be longer.
        strength: Factor of the term, at least 0; None: 100 times the distance between the share of
            gates above 0.5 and `keep`, at the time.
        first_alpha: The a at first, above 0.
        last_alpha: The a at last, above `first_alpha`.
        pool: Side of the windows of the max pooling, at least 1; shorter where the input is.
        momentum: Of the running mean of gates, in [0, 1).
        seed: Of the first values of w.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Input shape: `(batch, ..., channels)` with 0 to 3 axes of known sizes in between.

    Output shape: that of the input.

    Raises:
        ValueError: An argument is out of its range, or the input has sizes that are not known.

    Example: `x = AutoPruner(keep=0.5, steps=2000)(keras.layers.ReLU()(x))`
    """

    def __init__(
        self,
        keep: float = 0.5,
        steps: int = 1000,
        strength: float | None = 10.0,
        first_alpha: float = 0.1,
        last_alpha: float = 100.0,
        pool: int = 2,
        momentum: float = 0.9,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 < keep < 1.0:
            raise ValueError(f"`keep` must be above 0 and below 1. Received: keep={keep}.")
        self.keep = float(keep)
        self.steps = checked_bits(steps, 1, 2**31 - 1, "AutoPruner", "steps")
        self.strength = None if strength is None else checked_strength(strength)
        self.first_alpha = checked_positive("first_alpha", first_alpha)
        self.last_alpha = checked_positive("last_alpha", last_alpha)
        if self.last_alpha <= self.first_alpha:
            raise ValueError(
                "`last_alpha` must be above `first_alpha`, for gates to become binary. Received: "
                f"first_alpha={first_alpha}, last_alpha={last_alpha}."
            )
        self.pool = checked_bits(pool, 1, 2**15, "AutoPruner", "pool")
        self.momentum = checked_below_1("momentum", momentum)
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights.

        Raises:
            ValueError: The sizes of the input are not known, or there are too many.
        """
        sizes = tuple(input_shape[1:])
        if None in sizes or not 1 <= len(sizes) <= 4:
            raise ValueError(
                f"The input of layer {self.name!r} must have a batch, 0 to 3 axes of known sizes "
                f"and channels. Received: input shape {tuple(input_shape)}. Give the model an "
                "Input of a fixed size."
            )
        *places, channels = (int(size) for size in sizes)  # type: ignore[arg-type]
        self._windows = tuple(min(self.pool, size) for size in places)
        pooled = [size // window for size, window in zip(places, self._windows, strict=True)]
        # Ten times He's deviation, for gates that tell channels apart from the start.
        first = keras.initializers.VarianceScaling(
            200.0, "fan_in", "untruncated_normal", seed=self.seed
        )
        # By no name of a kernel: it is no weight of the network that will be deployed.
        self.selector = self.add_weight(
            name="selector",
            shape=(math.prod(pooled) * channels, channels),
            initializer=first,
            dtype="float32",
            autocast=False,
        )
        self.gates = self.add_weight(
            name="gates",
            shape=(channels,),
            initializer="ones",
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
        )
        self.step = self.add_weight(
            name="step",
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the inputs with their channels multiplied by the gates."""
        if not training or not self.trainable:
            return ops.where(self.gates.value > 0.5, inputs, ops.zeros_like(inputs))
        step = self.step.value
        gates = self._gates_of(inputs, self.alpha(step))
        self.add_loss(self._penalty(gates))
        before = ops.where(step > 0, self.gates.value, gates)
        self.gates.assign(self.momentum * before + (1.0 - self.momentum) * gates)
        self.step.assign(step + 1)
        return inputs * ops.cast(gates, inputs.dtype)

    def alpha(self, step: Any) -> Any:
        """Returns the a at a training step, float32 scalar."""
        done = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        return self.first_alpha + (self.last_alpha - self.first_alpha) * done

    @property
    def kept(self) -> np.ndarray:
        """The channels that pass outside training, int64, ascending."""
        return np.flatnonzero(self._passes())

    @property
    def removed(self) -> np.ndarray:
        """The channels that do not, int64, ascending."""
        return np.flatnonzero(~self._passes())

    def _passes(self) -> np.ndarray:
        return np.asarray(tf.convert_to_tensor(self.gates.value).numpy() > 0.5)

    def _gates_of(self, inputs: Any, alpha: Any) -> Any:
        mean = ops.mean(ops.cast(inputs, "float32"), axis=0, keepdims=True)
        if self._windows:
            mean = ops.max_pool(mean, self._windows, data_format="channels_last")
        scores = ops.matmul(ops.reshape(mean, (1, -1)), self.selector.value)
        return ops.sigmoid(alpha * ops.reshape(scores, (-1,)))

    def _penalty(self, gates: Any) -> Any:
        strength = self.strength
        if strength is None:
            share = ops.mean(ops.cast(gates > 0.5, "float32"))
            strength = ADAPTIVE * ops.abs(share - self.keep)
        return strength * ops.square(ops.mean(gates) - self.keep)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "keep": self.keep,
            "steps": self.steps,
            "strength": self.strength,
            "first_alpha": self.first_alpha,
            "last_alpha": self.last_alpha,
            "pool": self.pool,
            "momentum": self.momentum,
            "seed": self.seed,
        }
