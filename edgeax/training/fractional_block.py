"""FractionalBlock: a block whose samples pass in as many bits as a gate chooses for each."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from edgeax.formats import implements
from edgeax.model.arithmetics import dfq
from edgeax.model.recipe import Recipe
from edgeax.model.rewrite import compress
from edgeax.model.training_formats import count_of_choices
from edgeax.training.block_gate import Untracked, with_decision
from edgeax.training.precision_gate import PrecisionGate
from edgeax.transforms.bit_choices import chosen


@implements(
    "FYZ20",
    test="tests/training/test_fractional_block.py::test_fyz20_each_sample_passes_in_its_bits",
)
@keras.saving.register_keras_serializable("edgeax")
class FractionalBlock(keras.layers.Layer):
    """Computes a block in integers whose widths a PrecisionGate chooses sample by sample.

    Inputs of the block's layers and the errors that come back to them have the widths that are
    chosen for their sample, kernels one width for all. The gate learns from its regularizer and
    from the task: at each rounding, what every width would have made counts for its probability.
    In training and out of it the block is run once. It is emulated: fewer bits take no less time
    here; `edgeax.cost` and `edgeax.callbacks.TrainingCost` tell what they save. A file of
    `edgeax.export` has the block's kernels in their bits, and no gate: the width of its activations
    is that of the file.

    It is used in a functional model, into which it puts what the gate reads: a pooling, a dense
    layer and the gate. The variable `chosen` is the share of the last training batch that had each
    choice.

    Source: [FYZ20].

    Args:
        block: A model of one input, residual or not, whose first axis stays the batch. A plain one
            is compressed by `edgeax.training.dfq` for the gate.
        gate: A PrecisionGate that all blocks share. None: the layer is called on `[x, choice]`,
            the choice float `(batch, choices)`, and the block is compressed already.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Raises:
        ValueError: An argument is none of these, the block's choices are not the gate's, or the
            layer with a gate is called on an array or in a Sequential model.

    Example: `gate = PrecisionGate()`, then `x = FractionalBlock(block, gate)(x)` for each block.
    """

    def __init__(
        self, block: keras.Model, gate: PrecisionGate | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(block, keras.Model):
            raise ValueError(f"`block` must be a keras.Model. Received: block={block!r}.")
        if not (gate is None or isinstance(gate, PrecisionGate)):
            raise ValueError(f"`gate` must be a PrecisionGate or None. Received: gate={gate!r}.")
        if gate is not None and not _choices_of(block):
            arithmetic = dfq(gate.activation_bits, gate.gradient_bits, gate.weight_bits)
            block = compress(block, Recipe(arithmetic=arithmetic))
        found, wanted = _choices_of(block), {len(gate.costs)} if gate is not None else None
        if len(found) != 1 or wanted not in (None, found):
            raise ValueError(
                "`block` must choose from as many widths as its gate, in all of its layers. "
                f"Received: layers with {sorted(found)} choices, and {gate and len(gate.costs)} of "
                "the gate. Give a plain block, which is compressed for the gate."
            )
        self.block = block
        (self.choices,) = found
        self._gate = Untracked(gate)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self._gate.value is not None and not isinstance(inputs, (list, tuple)):
            inputs = with_decision(self, self._gate.value, inputs)
        return super().__call__(inputs, *args, **kwargs)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Creates the variable that tells what was chosen."""
        del input_shape
        self.chosen = self.add_weight(
            name="chosen",
            shape=(self.choices,),
            initializer=keras.initializers.Constant(1.0 / self.choices),
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns what the block makes of its input, each sample in the bits chosen for it."""
        inputs, choice = inputs
        with chosen(choice):
            outputs = self.block(inputs, training=training)
        if training:
            self.chosen.assign(ops.mean(ops.cast(ops.stop_gradient(choice), "float32"), axis=0))
        return outputs

    def opened(self, run: Callable[..., Any], inputs: Any, choice: Any) -> Any:
        """Returns the block alone: a file has one width for all samples.

        Args:
            run: Calls a layer or a model on tensors.
            inputs: Symbolic input.
            choice: What the gate chooses, which is not read.
        """
        del choice
        return run(self.block, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of what the block makes."""
        return self.block.compute_output_shape(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; None for the gate, which is a layer of the model."""
        return {**super().get_config(), "block": keras.saving.serialize_keras_object(self.block)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FractionalBlock":
        """Returns the layer that `get_config` described."""
        return cls(**{**config, "block": keras.saving.deserialize_keras_object(config["block"])})


def _choices_of(block: keras.Model) -> set[int]:
    """Returns from how many widths layers of a block choose."""
    counts = (count_of_choices(layer) for layer in block._flatten_layers())
    return {count for count in counts if count is not None}
