"""OutlierCluster: weights that share a few values, but for outliers that keep their own (GOBO)."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.methods import implements
from edgeax.formats.outlier_codebook import MOST_ITERATIONS, OutlierCodebook
from edgeax.transforms import kmeans
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_bits, checked_count
from edgeax.transforms.gradients import shared_gradient
from edgeax.transforms.quantize import Quantizer


@implements(
    "ZEAM20",
    test="tests/transforms/test_outlier_cluster.py::test_zeam20_outliers_stay_and_the_rest_share_values",
)
@keras.saving.register_keras_serializable("edgeax")
class OutlierCluster(Quantizer):
    """Replaces every weight but the outliers by the nearest of `2**bits` shared values.

    Which weights are outliers and where the values start is found as
    `edgeax.formats.outlier_codebook.OutlierCodebook` says, from the weights of `begin_step`. From
    then on the ends between which no weight is an outlier stay. The values are trained as those of
    `Cluster` are: each gets the sum of its members' gradients, while the weights keep their own,
    may change sides, and may leave or cross the ends. The paper does not train: a model that is
    compressed and not trained has its result.

    It has no zero for pruned weights, and no other quantizer can follow. `strip` and a float32 file
    have the weights as they are, in an int8 file they are rounded once more.

    Source: [ZEAM20].

    Args:
        bits: Width of an index, 1 to 8.
        log_density: Natural logarithm of the normal density below which a weight is an outlier.
        begin_step: Training step at which values are found. Before, weights pass unchanged.

    Raises:
        ValueError: An argument is out of its range; or a weight has fewer values than are shared.

    Example: `edgeax.compress(model, [OutlierCluster(3)])`
    """

    weights_only = True
    keeps_zero = False
    number_format: OutlierCodebook

    def __init__(
        self, bits: int = 3, log_density: float = -4.0, begin_step: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        bits = checked_bits(bits, 1, 8, "OutlierCluster")
        self.number_format = OutlierCodebook(bits, float(log_density))
        self.begin_step = checked_count("begin_step", begin_step, least=0)

    def build(self, shape: Sequence[int]) -> None:
        """Creates the shared values and the ends.

        Raises:
            ValueError: There are more shared values than weights.
        """
        count, weights = self.number_format.entries, math.prod(shape)
        if count > weights:
            raise ValueError(
                "`bits` of OutlierCluster must give no more values than there are weights. "
                f"Received: {count} values for a weight of shape {tuple(shape)} ({weights} "
                "values). Use fewer bits, or leave this layer out."
            )
        self.centroids = self.state("centroids", (count,), trainable=True)
        self.low, self.high = self.state("low"), self.state("high")
        self.found = self.state("found", dtype="int32")

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with shared values; see `Transform.call`."""
        begun = step >= self.begin_step
        if renew is not None:
            self._find_when_due(tensor, begun)
        ready = tf.logical_and(begun, self.found.value > 0)
        return tf.where(ready, self._shared(tensor), tensor)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Finds the shared values of `tensor` if they are due at step 0."""
        self._find_when_due(tensor, tf.constant(self.begin_step == 0))
        return super().initialize(tensor)

    def _find_when_due(self, tensor: tf.Tensor, begun: tf.Tensor) -> None:
        """Finds the values if that is due; a weight that is not finite is passed over."""
        fixed = tf.stop_gradient(tensor)
        wanted = tf.logical_and(begun, tf.equal(self.found.value, 0))
        due = tf.logical_and(wanted, tf.reduce_all(tf.math.is_finite(fixed)))
        variables = (self.centroids, self.low, self.high)
        current = [tf.identity(variable.value) for variable in variables]
        fit = _fitter(self.number_format)
        found = tf.cond(due, lambda: fit(tf.reshape(fixed, [-1])), lambda: current)
        for variable, value in zip(variables, found, strict=True):
            variable.assign(tf.ensure_shape(value, variable.shape))
        self.found.assign(tf.maximum(self.found.value, tf.cast(due, tf.int32)))

    def _shared(self, tensor: tf.Tensor) -> tf.Tensor:
        fixed, table = tf.stop_gradient(tensor), tf.sort(self.centroids.value)
        codes = kmeans.assign(fixed, tf.stop_gradient(table))
        shared = shared_gradient(tensor, kmeans.lookup(table, codes))
        return tf.where(_lies_between(fixed, self.low.value, self.high.value), shared, tensor)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes, or unchanged before `begin_step`."""
        if not now(self.found):
            return tensor
        value, format = tensor.decode(), self.number_format
        params = {"codebook": np.sort(now(self.centroids)), "low": now(self.low)}
        params["high"] = now(self.high)
        params["outliers"] = format.outliers_of(value, params)
        return EncodedTensor(format.encode(value, params), format, params, tensor.mask)

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the step at which values are found must be done."""
        return self.begin_step + 1 if self.begin_step else 0

    def at_once(self) -> "OutlierCluster":
        """Returns it with `begin_step=0`."""
        return type(self).from_config({**self.get_config(), "begin_step": 0})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**self.number_format.get_config(), "begin_step": self.begin_step}


Found = list[tf.Tensor]


@functools.cache
def _fitter(format: OutlierCodebook) -> Callable[[tf.Tensor], Found]:
    """Returns what finds values and ends in a flat weight: the graph is built once for all."""
    signature = [tf.TensorSpec([None], tf.float32)]
    fit = functools.partial(_fitted, count=format.entries, log_density=format.log_density)
    return tf.function(fit, input_signature=signature, autograph=False)


def _fitted(flat: tf.Tensor, count: int, log_density: float) -> Found:
    """Returns what `OutlierCodebook.fit` finds: the table, the low and the high end."""
    ordered = tf.sort(flat)
    low, high = _ends(tf.cast(ordered, tf.float64), log_density)
    return [_Inliers(ordered, low, high, count).table(), low, high]


def _ends(wide: tf.Tensor, log_density: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns between which ends the normal density is not below its limit, float32 scalars."""
    mean, deviation = tf.reduce_mean(wide), tf.math.reduce_std(wide)
    squared = -2.0 * (log_density + tf.math.log(deviation)) - math.log(2.0 * math.pi)
    half = deviation * tf.sqrt(tf.maximum(squared, 0.0))
    half = tf.where(squared < 0.0, tf.constant(-np.inf, tf.float64), half)
    half = tf.where(tf.equal(deviation, 0.0), tf.zeros_like(half), half)
    return tf.cast(mean - half, tf.float32), tf.cast(mean + half, tf.float32)


def _lies_between(values: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    return tf.logical_and(values >= low, values <= high)


class _Inliers:
    """The sorted weights between the ends, and the table whose absolute error stops falling."""

    def __init__(self, ordered: tf.Tensor, low: tf.Tensor, high: tf.Tensor, count: int) -> None:
        self._ordered, self._count = ordered, count
        self._wide = tf.cast(ordered, tf.float64)
        self._are = _lies_between(ordered, low, high)
        self._weights = tf.cast(self._are, tf.float64)

    def table(self) -> tf.Tensor:
        """Returns the entries, float32, sorted."""
        start = tf.sort(self._means(self._equal_bins(), tf.zeros([self._count])))
        table, *_ = tf.while_loop(
            lambda table, error, falls: falls,
            self._moved,
            (start, self._error(start), tf.constant(True)),
            maximum_iterations=MOST_ITERATIONS,
        )
        return table

    def _moved(
        self, table: tf.Tensor, error: tf.Tensor, falls: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the next table and its error, or this one where the error does not fall."""
        del falls
        moved = self._means(kmeans.assign(self._ordered, table), table)
        after = self._error(moved)
        falls = after < error
        return tf.where(falls, moved, table), tf.where(falls, after, error), falls

    def _equal_bins(self) -> tf.Tensor:
        """Returns the number of each weight's bin, of bins that hold equally many."""
        members = tf.cast(self._are, tf.int64)
        places = tf.cumsum(members) - 1
        return tf.cast(places * self._count // tf.maximum(tf.reduce_sum(members), 1), tf.int32)

    def _means(self, codes: tf.Tensor, former: tf.Tensor) -> tf.Tensor:
        """Returns the mean of the weights of each code; where there is none, what was."""
        codes = tf.where(self._are, codes, -1)  # which segment sums leave out
        members = tf.math.unsorted_segment_sum(self._weights, codes, self._count)
        sums = tf.math.unsorted_segment_sum(self._wide, codes, self._count)
        means = tf.cast(tf.math.divide_no_nan(sums, members), tf.float32)
        return tf.where(members > 0.0, means, former)

    def _error(self, table: tf.Tensor) -> tf.Tensor:
        nearest = tf.gather(table, kmeans.assign(self._ordered, table))
        away = tf.abs(self._wide - tf.cast(nearest, tf.float64))
        return tf.reduce_sum(tf.where(self._are, away, 0.0))
