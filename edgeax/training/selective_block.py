"""SelectiveBlock: a residual block that some training steps skip."""

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from edgeax.formats import implements
from edgeax.model.wrapper import RecordingScope
from edgeax.training.block_gate import Untracked, with_decision
from edgeax.training.branch_end import weights_at_end
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.skip_aware import mark_skipped_with
from edgeax.transforms.checks import checked_seed


@implements(
    "WJC19",
    test="tests/training/test_selective_block.py::test_wjc19_a_skipped_block_is_its_input",
)
@keras.saving.register_keras_serializable("edgeax")
class SelectiveBlock(keras.layers.Layer):
    """Runs a residual block in some training steps, and hands its input on in the others.

    In training a decision is made for the whole batch. A step that skips the block computes nothing
    of it, neither forward nor backward, and leaves its moving statistics as they are. For its
    weights, momentum and weight decay to stay as well, train with `edgeax.optimizers.SkipAware`.
    The variable `kept` is 1 when the last training step ran the block and 0 when it did not; of
    several replicas, the share of those that ran it.

    Outside training nothing is random: `share * block(x) + (1 - share) * x`, with the fixed
    probability, or what the gate says of each sample alone. So does a file of `edgeax.export`, in
    which the block's layers are those of the model; a gate computes in float there.
    `edgeax.compress` takes the layers of a block that is a model as those around it, and leaves
    what a gate decides by alone.

    With a SelectionGate the block is used in a functional model, into which it puts what the gate
    reads: a pooling, a dense layer and the gate. It has two inputs then, the second of them the
    decision. In a Sequential model, and for calls on arrays, the probability must be fixed.

    The gradient of the gate is that of the output by the decision, straight through, for the whole
    batch in equal parts, and it ends at what the gate reads. Where the block is a functional model
    that adds to its input the result of a linear layer or of a batch normalization, with or without
    a ReLU behind, it comes from the gradient of that layer's weights, at no cost. A step that skips
    the block does not know it, for it would have to run the block: there the task gives 0, and the
    gate learns from its regularizer alone.

    Source: [WJC19].

    Args:
        block: A layer or model that adds its own shortcut, of one input and an output like it.
        gate: A SelectionGate that all blocks share, or the probability of running, in (0, 1]. None:
            the layer is called on `[x, decision]`, the decision float `(batch, 1)`.
        seed: Of the decisions at a fixed probability, an integer, other ones for other blocks. None
            draws one.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Input shape: any, with the batch in front.

    Output shape: that of the input.

    Raises:
        ValueError: An argument is out of its range, the block changes the shape, or the layer with
            a SelectionGate is called on an array or in a Sequential model.

    Example: `gate = SelectionGate(target=0.6)`, then `x = SelectiveBlock(block, gate)(x)` for each
    block but the first.
    """

    def __init__(
        self, block: Any, gate: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(block, keras.layers.Layer):
            raise ValueError(f"`block` must be a layer or a model. Received: block={block!r}.")
        fixed = isinstance(gate, numbers.Real) and not isinstance(gate, bool)
        if fixed and not 0.0 < gate <= 1.0:
            raise ValueError(
                "`gate` must be above 0 and at most 1 if it is the probability of running the "
                f"block. Received: gate={gate}."
            )
        if not (fixed or gate is None or isinstance(gate, SelectionGate)):
            raise ValueError(
                f"`gate` must be a SelectionGate, a probability or None. Received: gate={gate!r}."
            )
        self.block = block
        self.seed = int(np.random.randint(2**31)) if seed is None else checked_seed(seed)
        self._gate = Untracked(float(gate) if fixed else gate)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        gate = self._gate.value
        if isinstance(gate, SelectionGate) and not isinstance(inputs, (list, tuple)):
            inputs = with_decision(self, gate, inputs)
        return super().__call__(inputs, *args, **kwargs)

    @property
    def probability(self) -> float | None:
        """The fixed probability of running the block, None if a gate decides."""
        return self._gate.value if isinstance(self._gate.value, float) else None

    def build(self, input_shape: Sequence[Any]) -> None:
        """Creates the weights.

        Raises:
            ValueError: What the block makes has another shape than what it gets.
        """
        given = tuple(input_shape if self.probability is not None else input_shape[0])
        made = tuple(self.block(keras.KerasTensor(given, self.compute_dtype)).shape)
        if given[1:] != made[1:]:
            raise ValueError(
                f"`block` of SelectiveBlock {self.name!r} must make what it gets, for its input "
                f"takes the place of its output. Received: {given} becomes {made}. Leave a block "
                "that changes sizes or channels as it is."
            )
        self.kept = self.add_weight(
            name="kept",
            shape=(),
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
        mark_skipped_with(self.kept, self.block.variables)
        self._at_end = Untracked(weights_at_end(self.block))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns what the block makes of its input, in steps that skip it the input."""
        inputs, keep = (inputs, None) if self.probability is not None else inputs
        if not training:
            return self._mixed(inputs, self.probability if keep is None else keep)
        if keep is None:
            draw = tf.random.stateless_uniform((), [self.seed, self.step.value])
            self.step.assign(self.step.value + 1)
            runs = draw < self.probability
        else:
            runs = ops.max(keep) > 0.5
        self.kept.assign(ops.cast(runs, "float32"))
        return self._run_or_skip(runs, inputs, keep)

    def _mixed(self, inputs: Any, share: Any) -> Any:
        outputs = ops.cast(self.block(inputs, training=False), inputs.dtype)
        if isinstance(share, float):
            return outputs if share == 1.0 else share * outputs + (1.0 - share) * inputs
        share = _beside(share, inputs)
        return share * outputs + (1.0 - share) * inputs

    def opened(self, run: Callable[..., Any], inputs: Any, share: Any = None) -> Any:
        """Returns what the layer computes outside training, by layers that a file can have.

        Args:
            run: Calls a layer or a model on tensors.
            inputs: Symbolic input.
            share: Symbolic decision, None with a fixed probability.
        """
        outputs = run(self.block, inputs)
        if self.probability == 1.0:
            return outputs
        if share is None:
            kept = run(keras.layers.Rescaling(self.probability), outputs)
            passed = run(keras.layers.Rescaling(1.0 - float(self.probability or 0.0)), inputs)
        else:
            share = run(keras.layers.Reshape((1,) * (len(inputs.shape) - 2) + (1,)), share)
            rest = run(keras.layers.Rescaling(-1.0, 1.0), share)
            kept = run(keras.layers.Multiply(), [outputs, share])
            passed = run(keras.layers.Multiply(), [inputs, rest])
        return run(keras.layers.Add(), [kept, passed])

    def with_block(self, block: Any) -> "SelectiveBlock":
        """Returns a new layer of the same settings around another block."""
        return type(self)(**{**self.get_config(), "block": block})

    def _run_or_skip(self, runs: Any, inputs: Any, keep: Any) -> Any:
        """Runs the block or not; what it assigns and adds to the loss comes out of the branch.

        A variable of a strategy cannot be assigned in a branch.
        """
        assigned: list[keras.Variable] = []
        losses: list[Any] = []

        def run() -> Any:
            share = 1.0 if keep is None else ops.mean(keep)  # 1, and yet with a gradient
            at_end = [] if keep is None else self._at_end.value
            scaled = [(one, ops.cast(share, one.value.dtype) * one.value) for one in at_end]
            with RecordingScope(scaled) as scope:
                # A gradient may need what comes in, and TensorFlow finds it in the branch only.
                outputs = self.block(tf.identity(inputs), training=True)
                outputs = ops.cast(outputs, inputs.dtype)
            assigned.extend(variable for variable, _ in scope.updates)
            losses.extend(scope.losses)
            if keep is not None and not at_end:  # adds 0; its gradient is what running changed
                change = ops.stop_gradient(outputs - inputs)
                outputs = outputs + (ops.cast(share, inputs.dtype) - 1.0) * change
            return outputs, [value for _, value in scope.updates], [*scope.losses]

        def skip() -> Any:
            values = [tf.convert_to_tensor(variable.value) for variable in assigned]
            return tf.identity(inputs), values, [tf.zeros_like(loss) for loss in losses]

        outputs, values, added = tf.cond(runs, run, skip)
        for variable, value in zip(assigned, values, strict=True):
            variable.assign(value)
        for loss in added:
            self.add_loss(loss)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape if self.probability is not None else input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; None for a gate, which is a layer of the model."""
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self.block),
            "gate": self.probability,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SelectiveBlock":
        """Returns the layer that `get_config` described."""
        return cls(**{**config, "block": keras.saving.deserialize_keras_object(config["block"])})


def _beside(share: Any, inputs: Any) -> Any:
    """Returns a number for each sample so that it multiplies `inputs`."""
    return ops.cast(ops.reshape(share, (-1,) + (1,) * (len(inputs.shape) - 1)), inputs.dtype)
