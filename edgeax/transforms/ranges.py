"""Ranges of activations: how the smallest and largest value are followed during training."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.transforms.base import Stateful

KINDS = ("moving_average", "min_max", "mean_magnitude", "calibrated")


@keras.saving.register_keras_serializable("edgeax")
class Range(Stateful):
    """Follows the range of a tensor. A batch with a value that is not finite is passed over.

    Args:
        kind: `"moving_average"` of each batch's extremes [JKC18], `"min_max"` of all batches,
            `"mean_magnitude"`: the moving average of E|x|, as a range from -E|x| to E|x| [WSL18];
            or `"calibrated"`: what `set` was given, which no batch changes.
        momentum: Weight of the former average, in [0, 1).
        nonnegative: Whether no value lies below 0, as behind a ReLU: it is not looked for then.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        kind: str = "moving_average",
        momentum: float = 0.99,
        nonnegative: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_kind(kind, momentum)
        self.kind = kind
        self.momentum = float(momentum)
        self.nonnegative = bool(nonnegative)

    def build(self, shape: Any) -> None:
        """Creates the extremes, and whether any batch was seen."""
        del shape
        self.low = self.state("low")
        self.high = self.state("high")
        self.seen = self.state("seen", dtype="int32")

    def observe(self, tensor: tf.Tensor) -> None:
        """Takes a batch into the range."""
        if self.kind == "calibrated":
            return
        low, high = self._ends(tensor)
        old_low, old_high = self.low.value, self.high.value
        if self.kind == "min_max":
            next_low, next_high = tf.minimum(old_low, low), tf.maximum(old_high, high)
        else:
            keep = self.momentum
            next_low = keep * old_low + (1.0 - keep) * low
            next_high = keep * old_high + (1.0 - keep) * high
        first = tf.equal(self.seen.value, 0)
        finite = tf.math.is_finite(high - low)
        self.low.assign(tf.where(finite, tf.where(first, low, next_low), old_low))
        self.high.assign(tf.where(finite, tf.where(first, high, next_high), old_high))
        self.seen.assign(tf.maximum(self.seen.value, tf.cast(finite, tf.int32)))

    def set(self, low: float, high: float) -> None:
        """Makes `low` to `high` the range."""
        self.low.assign(low)
        self.high.assign(high)
        self.seen.assign(1)

    def _ends(self, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the low and high of a whole batch."""
        if self.kind == "mean_magnitude":
            mean = mean_over_replicas(tf.reduce_mean(tf.abs(tensor)))
            return -mean, mean
        low = tf.constant(0.0) if self.nonnegative else tf.reduce_min(tensor)
        return _over_replicas(low, tf.reduce_max(tensor))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"kind": self.kind, "momentum": self.momentum, "nonnegative": self.nonnegative}


class FollowedParams(Stateful):
    """Follows the params of a number format by the moving average of those of each batch.

    For formats that the two ends of a range do not tell enough: what is found in all values of a
    batch counts. A batch with a value that is not finite is passed over.

    Args:
        format: The format.
        momentum: Weight of the former average, in [0, 1).
    """

    def __init__(self, format: ArrayFormat, momentum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.format = format
        self.momentum = momentum

    def build(self, shape: Any) -> None:
        """Creates the params."""
        del shape
        example = self.format.found(np.linspace(-1.0, 1.0, 7, dtype=np.float32), arrays)
        self.variables_of = {name: self.state(name, np.shape(example[name])) for name in example}
        self.seen = self.state("seen", dtype="int32")

    def observe(self, tensor: tf.Tensor) -> None:
        """Takes a batch into the average."""
        finite = tf.reduce_all(tf.math.is_finite(tensor))
        usable = tf.where(finite, tf.stop_gradient(tensor), 1.0)
        found = self.format.found(usable, keras.ops)
        first = tf.equal(self.seen.value, 0)
        for name, variable in self.variables_of.items():
            new, old = mean_over_replicas(found[name]), variable.value
            average = self.momentum * old + (1.0 - self.momentum) * new
            chosen = tf.where(finite, tf.where(first, new, average), old)
            variable.assign(tf.ensure_shape(chosen, variable.shape))
        self.seen.assign(tf.maximum(self.seen.value, tf.cast(finite, tf.int32)))

    def set(self, params: dict[str, Any]) -> None:
        """Makes these the params."""
        for name, variable in self.variables_of.items():
            variable.assign(params[name])
        self.seen.assign(1)

    @property
    def params(self) -> dict[str, tf.Tensor]:
        """The params, 0 before any batch was seen."""
        return {name: variable.value for name, variable in self.variables_of.items()}


def _over_replicas(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the extremes of a whole batch, of which each replica sees a part."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return low, high
    ends = context.all_gather(tf.stack([[low, high]]), axis=0)
    return tf.reduce_min(ends[:, 0]), tf.reduce_max(ends[:, 1])


def mean_over_replicas(mean: tf.Tensor) -> tf.Tensor:
    """Returns the mean of what each replica has found in its part of a batch."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return mean
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)


def check_kind(kind: str, momentum: float) -> None:
    """Checks the settings of a range.

    Raises:
        ValueError: There is no such kind, or `momentum` does not lie in [0, 1).
    """
    if kind not in KINDS:
        raise ValueError(f"`range` must be one of {KINDS}. Received: range={kind!r}.")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"`momentum` must lie in [0, 1). Received: momentum={momentum}.")
