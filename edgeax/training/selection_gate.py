"""SelectionGate: learns which residual blocks a training step runs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from edgeax.formats import implements
from edgeax.training.block_gate import BlockGate
from edgeax.transforms.checks import checked_seed

_INFERENCE = ("expected", "threshold")


@implements(
    "WJC19",
    test="tests/training/test_selection_gate.py::test_wjc19_the_share_that_runs_comes_to_the_target",
)
@keras.saving.register_keras_serializable("edgeax")
class SelectionGate(BlockGate):
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
        super().__init__(hidden, 1, strength, **kwargs)
        if not 0.0 < target <= 1.0:
            raise ValueError(f"`target` must be above 0 and at most 1. Received: target={target}.")
        if inference not in _INFERENCE:
            raise ValueError(f"`inference` must be one of {_INFERENCE}. Received: {inference!r}.")
        self.target = float(target)
        self.inference = inference
        self.seed = int(np.random.randint(2**31)) if seed is None else checked_seed(seed)

    def build(self, input_shape: Any) -> None:
        """Creates the weights."""
        super().build(input_shape)
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

    def decision(self, numbers: Any, training: bool) -> Any:
        """Returns the decision on a block, float `(batch, 1)`; training decides by chance for all
        samples together.
        """
        p = ops.sigmoid(numbers)
        if training:
            return self._drawn(p)
        return p if self.inference == "expected" else ops.cast(p >= 0.5, "float32")

    def _drawn(self, p: Any) -> Any:
        mean = ops.mean(p)
        draw = tf.random.stateless_uniform((), [self.seed, self.step.value])
        chosen = ops.cast(draw < ops.stop_gradient(mean), "float32")
        decision = chosen + (mean - ops.stop_gradient(mean))
        batch = ops.cast(ops.shape(p)[0], "float32")
        self.pull(self.share, self.target, batch * decision)
        self.follow(self.share, chosen)
        self.step.assign(self.step.value + 1)
        return ops.broadcast_to(decision, ops.shape(p))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "target": self.target,
            "inference": self.inference,
            "seed": self.seed,
        }
