"""BlockGate: one LSTM that reads from block to block what comes to them, and decides on each."""

import dataclasses
import inspect
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from edgeax.transforms.checks import checked_count, checked_strength

_MOMENTUM = 0.99


@dataclasses.dataclass(frozen=True)
class Untracked:
    """Holds a gate, which is a layer of the model and not a part of the block."""

    value: Any


class BlockGate(keras.layers.Layer):
    """Base of the gates that decide on blocks, one gate for all blocks of a model.

    What comes to a block is averaged over its places and taken to `hidden` features by a dense
    layer of the block's own. One LSTM reads them from block to block, and a linear layer makes
    `outputs` numbers of them. No gradient goes back to the block before: a gate learns to read what
    comes, and does not bend it.

    Args:
        hidden: Features and units of the LSTM, at least 1.
        outputs: How many numbers a decision is made from.
        strength: Factor of what is added to the loss, at least 0.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Raises:
        ValueError: `hidden` is below 1, or `strength` below 0.
    """

    def __init__(self, hidden: int, outputs: int, strength: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = checked_count("hidden", hidden)
        self.strength = checked_strength(strength)
        self.cell = keras.layers.LSTMCell(self.hidden, name="cell", dtype=self.dtype_policy)
        self.linear = keras.layers.Dense(outputs, name="linear", dtype=self.dtype_policy)
        self._latest: tuple[Any, ...] = ()

    def decide(self, inputs: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Returns the decision on the block that reads `inputs`, float `(batch, n)`.

        Args:
            inputs: Symbolic input of the block, `(batch, ..., channels)`, 0 to 3 axes in between.
            name: Name of the block.
        """
        pooling = {3: "1D", 4: "2D", 5: "3D"}.get(len(inputs.shape))
        features = ops.stop_gradient(inputs)
        if pooling is not None:
            layer = getattr(keras.layers, f"GlobalAveragePooling{pooling}")
            features = layer(name=f"{name}_mean")(features)
        features = keras.layers.Dense(self.hidden, name=f"{name}_features")(features)
        before = self._latest if self._latest and _same_graph(self._latest[0], inputs) else ()
        decision, *state = self([features, *before] if before else features)
        object.__setattr__(self, "_latest", tuple(state))
        return decision

    def decision(self, numbers: Any, training: bool) -> Any:
        """Returns the decision on a block, float `(batch, n)`.

        Args:
            numbers: float32 `(batch, outputs)`.
            training: Whether the model is trained.
        """
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Creates the weights."""
        first = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
        self.cell.build((None, first[-1]))
        self.linear.build((None, self.hidden))

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the decision on a block, and the state for the next one.

        Args:
            inputs: Features `(batch, features)` of the first block; of a later one they and the
                state, a list of three.
            training: Whether the model is trained.
        """
        if isinstance(inputs, (list, tuple)):
            features, *state = inputs
        else:
            features = inputs
            state = [ops.zeros((ops.shape(features)[0], self.hidden), features.dtype)] * 2
        output, state = self.cell(features, state)
        return [self.decision(ops.cast(self.linear(output), "float32"), training), *state]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "hidden": self.hidden, "strength": self.strength}

    def pull(self, running: Any, target: Any, cost: Any) -> None:
        """Adds to the loss what pulls decisions to a target.

        Args:
            running: Variable, the mean over the last decisions.
            target: What it shall come to.
            cost: Of this decision, the sum over the batch, with a gradient.
        """
        sign = ops.where(running.value <= target, -1.0, 1.0)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync  # Keras divides by it
        self.add_loss(sign * self.strength * replicas * cost)

    def follow(self, running: Any, value: Any) -> None:
        """Takes a decision into the mean over the last hundred or so."""
        running.assign(_MOMENTUM * running.value + (1.0 - _MOMENTUM) * value)


def with_decision(block: keras.layers.Layer, gate: BlockGate, inputs: Any) -> list[Any]:
    """Returns the inputs of a block with a gate: its own, and what the gate decides on it.

    Raises:
        ValueError: They are no symbolic tensor, or a Sequential model is being built.
    """
    if not isinstance(inputs, keras.KerasTensor) or _in_a_sequential_model():
        raise ValueError(
            f"{type(block).__name__} {block.name!r} with a {type(gate).__name__} must be called on "
            f"a keras.Input or what is made of it, in a functional model. Received: "
            f"{type(inputs).__name__}, or the layer in a Sequential model, which would not train "
            "the gate. Build a functional model of it."
        )
    return [inputs, gate.decide(inputs, block.name)]


def _in_a_sequential_model() -> bool:
    """Returns whether a Sequential model is being built: it holds its own layers alone."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if frame.f_code.co_name == "build" and isinstance(owner, keras.Sequential):
            return True
        frame = frame.f_back
    return False


def _same_graph(state: keras.KerasTensor, inputs: keras.KerasTensor) -> bool:
    known = {id(source) for source in keras.utils.get_source_inputs(state)}
    return any(id(source) in known for source in keras.utils.get_source_inputs(inputs))
