"""SelectionGate: learns which residual blocks a training step runs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from edgeax.formats import implements
from edgeax.transforms.checks import checked_count, checked_seed, checked_strength

_INFERENCE = ("expected", "threshold")
_MOMENTUM = 0.99  # of the running share: about a hundred decisions


@implements(
    "WJC19",
    test="tests/training/test_selection_gate.py::test_wjc19_the_share_that_runs_comes_to_the_target",
)
@keras.saving.register_keras_serializable("edgeax")
class SelectionGate(keras.layers.Layer):
    """Decides block by block whether a training step runs it; one for all blocks of a model.

    What comes to a block is averaged over its places and taken to `hidden` features by a dense
    layer of the block's own. One LSTM reads them from block to block, and `p = sigmoid(linear)`. In
    training all blocks of a batch are decided by `mean(p) > u`, u uniform in [0, 1), with the
    gradient of `mean(p)`; each replica of a strategy decides on its part of the batch.

    Added to the loss is, for each block, `sign * strength * batch * decision`, the sign -1 while
    the running share of blocks that ran is at most `target`, else +1: the share comes to the
    target, with SGD sooner than with Adam. In few steps or with small batches it takes a `strength`
    above the 1e-5 of [WJC19], who train for 64000 steps of 128.

    Outside training nothing is random, and no sample sees the others: with `"expected"` a block's
    output has the weight p and its input `1 - p`; with `"threshold"` it is one or the other.

    See SelectiveBlock for how it is used. The first block of a model always runs in [WJC19]: leave
    that one out of a SelectiveBlock. `share` tells the running share.

    Source: [WJC19].

    Args:
        hidden: Features and units of the LSTM, at least 1.
        target: Share of the blocks to run, above 0 and at most 1.
        strength: Factor of the regularizer, at least 0.
        inference: `"expected"` or `"threshold"`.
        seed: Of the decisions, an integer. None draws one.
        **kwargs: Keras's `name`, `dtype` and `trainable`.

    Raises:
        ValueError: An argument is out of its range.

    Example: `gate = SelectionGate(target=0.4, strength=1e-4)`
    """

    def __init__(
        self,
        hidden: int = 10,
        target: float = 0.6,
        strength: float = 1e-5,
        inference: str = "expected",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 < target <= 1.0:
            raise ValueError(f"`target` must be above 0 and at most 1. Received: target={target}.")
        if inference not in _INFERENCE:
            raise ValueError(f"`inference` must be one of {_INFERENCE}. Received: {inference!r}.")
        self.hidden = checked_count("hidden", hidden)
        self.target = float(target)
        self.strength = checked_strength(strength)
        self.inference = inference
        self.seed = int(np.random.randint(2**31)) if seed is None else checked_seed(seed)
        self.cell = keras.layers.LSTMCell(self.hidden, name="cell", dtype=self.dtype_policy)
        self.linear = keras.layers.Dense(1, name="linear", dtype=self.dtype_policy)
        self._latest: tuple[Any, ...] = ()

    def decide(self, inputs: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Returns the decision on the block that reads `inputs`, float `(batch, 1)`.

        Args:
            inputs: Symbolic input of the block, `(batch, ..., channels)`, 0 to 3 axes in between.
            name: Name of the block.
        """
        pooling = {3: "1D", 4: "2D", 5: "3D"}.get(len(inputs.shape))
        features = inputs
        if pooling is not None:
            layer = getattr(keras.layers, f"GlobalAveragePooling{pooling}")
            features = layer(name=f"{name}_mean")(inputs)
        features = keras.layers.Dense(self.hidden, name=f"{name}_features")(features)
        before = self._latest if self._latest and _same_graph(self._latest[0], inputs) else ()
        decision, *state = self([features, *before] if before else features)
        object.__setattr__(self, "_latest", tuple(state))
        return decision

    def build(self, input_shape: Any) -> None:
        """Creates the weights."""
        first = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
        self.cell.build((None, first[-1]))
        self.linear.build((None, self.hidden))
        for name, dtype in (("share", "float32"), ("step", "int32")):
            weight = self.add_weight(
                name=name,
                shape=(),
                initializer="ones" if name == "share" else "zeros",
                dtype=dtype,
                trainable=False,
                autocast=False,
                aggregation="mean" if name == "share" else "only_first_replica",
            )
            setattr(self, name, weight)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the decision on a block, float `(batch, 1)`, and the state for the next one.

        Args:
            inputs: Features `(batch, features)` of the first block; of a later one they and the
                state, a list of three.
            training: Whether to decide by chance for all samples together.
        """
        if isinstance(inputs, (list, tuple)):
            features, *state = inputs
        else:
            features = inputs
            state = [ops.zeros((ops.shape(features)[0], self.hidden), features.dtype)] * 2
        output, state = self.cell(features, state)
        p = ops.sigmoid(ops.cast(self.linear(output), "float32"))
        if training:
            return [self._drawn(p), *state]
        return [p if self.inference == "expected" else ops.cast(p >= 0.5, "float32"), *state]

    def _drawn(self, p: Any) -> Any:
        mean = ops.mean(p)
        draw = tf.random.stateless_uniform((), [self.seed, self.step.value])
        chosen = ops.cast(draw < ops.stop_gradient(mean), "float32")
        decision = chosen + (mean - ops.stop_gradient(mean))
        self._regularize(decision, ops.cast(ops.shape(p)[0], "float32"))
        self.share.assign(_MOMENTUM * self.share.value + (1.0 - _MOMENTUM) * chosen)
        self.step.assign(self.step.value + 1)
        return ops.broadcast_to(decision, ops.shape(p))

    def _regularize(self, decision: Any, batch: Any) -> None:
        sign = ops.where(self.share.value <= self.target, -1.0, 1.0)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync  # Keras divides by it
        self.add_loss(sign * self.strength * replicas * batch * decision)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "target": self.target,
            "strength": self.strength,
            "inference": self.inference,
            "seed": self.seed,
        }


def _same_graph(state: keras.KerasTensor, inputs: keras.KerasTensor) -> bool:
    known = {id(source) for source in keras.utils.get_source_inputs(state)}
    return any(id(source) in known for source in keras.utils.get_source_inputs(inputs))
