"""PrecisionGate: learns in how many bits each sample passes each block."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from edgeax.formats import implements
from edgeax.formats.energy import training_share
from edgeax.training.block_gate import BlockGate
from edgeax.transforms.stages import Stages


@implements(
    "FYZ20",
    test="tests/training/test_precision_gate.py::test_fyz20_the_bit_operations_come_to_the_target",
)
@keras.saving.register_keras_serializable("edgeax")
class PrecisionGate(BlockGate):
    """Chooses for each sample and block a pair of widths; one for all blocks of a model.

    What comes to a block is averaged over its places and taken to `hidden` features by a dense
    layer of the block's own. One LSTM reads them from block to block, and the most probable choice
    of `softmax(linear)` is taken, with the gradient of the probabilities straight through. Nothing
    is random, in training and out of it.

    Added to the loss is, for each block, `sign * strength` times the sum over the batch of the bit
    operations of what was chosen, of three products in shares of one in 32 bits. The sign is -1
    while the running mean of the bit operations of a whole step, in shares of one in 32 bits, is at
    most `target`, else +1. All blocks count alike, as those of a ResNet do.

    See FractionalBlock for how it is used. `cost` tells the running mean.

    Source: [FYZ20].

    Args:
        activation_bits: Of inputs, choice by choice.
        gradient_bits: Of errors, choice by choice.
        weight_bits: Of kernels.
        target: Share of the bit operations to come to, above 0 and at most 1; or several, one for
            each stage, through which `edgeax.callbacks.ProgressivePrecision` moves: [FYZ20]'s
            `(0.015, 0.02, 0.025, 0.03)`.
        strength: Factor of the regularizer, at least 0.
        hidden: Features and units of the LSTM, at least 1.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Raises:
        ValueError: An argument is out of its range.

    Example: `gate = PrecisionGate(target=0.03)`
    """

    def __init__(
        self,
        activation_bits: Sequence[int] = (3, 4, 4, 6, 6),
        gradient_bits: Sequence[int] = (6, 6, 8, 8, 12),
        weight_bits: int = 4,
        target: float | Sequence[float] = 0.03,
        strength: float = 1e-3,
        hidden: int = 16,
        **kwargs: Any,
    ) -> None:
        widths = [*zip(activation_bits, gradient_bits, strict=False)]
        if len(widths) < 2 or not len(activation_bits) == len(gradient_bits) == len(widths):
            raise ValueError(
                "`activation_bits` and `gradient_bits` must have as many widths each, at least 2. "
                f"Received: activation_bits={activation_bits}, gradient_bits={gradient_bits}."
            )
        super().__init__(hidden, len(widths), strength, **kwargs)
        given: Any = [target] if isinstance(target, numbers.Real) else target
        self.targets: list[float] = [*map(float, given)]
        if not self.targets or not all(0.0 < share <= 1.0 for share in self.targets):
            raise ValueError(
                "`target` must be above 0 and at most 1, or a list of such shares. "
                f"Received: target={target}."
            )
        self.activation_bits = [activation for activation, _ in widths]
        self.gradient_bits = [gradient for _, gradient in widths]
        self.weight_bits = int(weight_bits)
        self.costs = [training_share(a, self.weight_bits, g) for a, g in widths]
        self.stages = Stages(len(self.targets), name="stages")

    def build(self, input_shape: Any) -> None:
        """Creates the weights."""
        super().build(input_shape)
        self.stages.bind("activation", ())
        self.cost = self.add_weight(
            name="cost",
            shape=(),
            initializer=keras.initializers.Constant(max(self.costs)),
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
        )

    def decision(self, numbers: Any, training: bool) -> Any:
        """Returns 1 for the choice of each sample, 0 for the others: float `(batch, choices)`."""
        p = ops.softmax(numbers)
        hard = ops.one_hot(ops.argmax(p, axis=-1), len(self.costs), dtype="float32")
        choice = hard + (p - ops.stop_gradient(p))
        if training:
            costs = ops.sum(choice * self.costs, axis=-1)
            target = tf.gather(tf.constant(self.targets, tf.float32), self.stages.stage.value)
            self.pull(self.cost, target, 3.0 * ops.sum(costs))
            self.follow(self.cost, ops.stop_gradient(ops.mean(costs)))
        return choice

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "activation_bits": self.activation_bits,
            "gradient_bits": self.gradient_bits,
            "weight_bits": self.weight_bits,
            "target": self.targets,
        }
