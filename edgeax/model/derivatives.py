"""Derivatives of a model's loss by its weights, over the samples of a case."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.case import Case

_MOST_PAIRS = 256
_MOST_VALUES = 2**24


def gradients(
    case: Case, variables: Sequence[keras.Variable]
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yields for each batch its number of samples and the gradients of its loss."""

    @tf.function(reduce_retracing=False)
    def run(inputs: list[tf.Tensor], labels: Any) -> list[tf.Tensor]:
        given = case.pack(inputs)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            loss = case.loss(given, labels, case.model(given, training=False))
        return _dense(tape, loss, variables)

    for inputs, labels in case.progress("Gradients", case.batches):
        yield len(inputs[0]), [np.asarray(found) for found in run(inputs, labels)]


def mean_gradients(case: Case, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns the gradients of the loss, the mean over all samples, float64."""
    sums = [np.zeros(variable.shape) for variable in variables]
    for count, found in gradients(case, variables):
        for total, part in zip(sums, found, strict=True):
            total += count / case.count * part
    return sums


class Curvature:
    """The vectors X_k of which the Gauss-Newton matrix of a case's loss is made,
    `G = 1 / samples * sum_k X_k X_k^T`.

    With R R^T the Hessian of a sample's loss in the outputs (see `Objective.curvature`) and J the
    derivatives of the outputs by the weights, its X_k are the columns of `J^T R`: as many for each
    sample as there are outputs, and each costs a forward and a backward pass of one sample.

    Args:
        case: With samples and an objective.
        variables: By which derivatives are taken.
    """

    def __init__(self, case: Case, variables: Sequence[keras.Variable]) -> None:
        self.case = case
        self.variables = [*variables]
        total = sum(int(np.prod(variable.shape)) for variable in variables)
        self._at_once = max(1, min(_MOST_PAIRS, _MOST_VALUES // max(total, 1)))
        self._seeds = tf.function(self._seeds_of, reduce_retracing=False)
        self._run = tf.function(self._gradients_of, reduce_retracing=False)

    def vectors(self) -> Iterator[list[np.ndarray]]:
        """Yields some of the vectors at a time: for each variable float32 `(vectors, *shape)`."""
        for inputs, _ in self.case.progress("Curvature", self.case.batches):
            seeds = np.asarray(self._seeds(inputs))
            owners = np.repeat(np.arange(seeds.shape[0]), seeds.shape[1])
            seeds = seeds.reshape(-1, seeds.shape[-1])
            for start in range(0, len(seeds), self._at_once):
                some = seeds[start : start + self._at_once]
                of = owners[start : start + self._at_once]
                filled = self._at_once - len(some)  # so that one graph does for all
                found = self._run(
                    [part[np.pad(of, (0, filled))] for part in inputs],
                    np.pad(some, ((0, filled), (0, 0))),
                )
                yield [np.asarray(part)[: len(some)] for part in found]

    def _seeds_of(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        _, factors = self._curvature(inputs)
        return tf.transpose(factors, (0, 2, 1))

    def _gradients_of(self, inputs: list[tf.Tensor], seeds: tf.Tensor) -> list[tf.Tensor]:
        return list(tf.vectorized_map(self._gradient_of, (inputs, seeds)))

    def _gradient_of(self, pair: tuple[list[tf.Tensor], tf.Tensor]) -> list[tf.Tensor]:
        inputs, seed = pair
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.variables])
            numbers, _ = self._curvature([part[None] for part in inputs])
            product = tf.reduce_sum(numbers[0] * seed)
        return _dense(tape, product, self.variables)

    def _curvature(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = self.case.model(self.case.pack(inputs), training=False)
        return self.case.loss.curvature(outputs)


def gauss_newton_diagonal(case: Case, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns the diagonal of the Gauss-Newton matrix of the loss for each variable, float64, at
    least 0, of its shape: the mean over the samples.

    Where outputs are piecewise linear in each single weight, as in networks of ReLUs, that is the
    diagonal of the Hessian. It costs a forward and a backward pass for each output of each sample.
    """
    sums = [np.zeros(variable.shape) for variable in variables]
    for found in Curvature(case, variables).vectors():
        for total, part in zip(sums, found, strict=True):
            total += np.einsum("k...,k...->...", part, part, dtype=np.float64)
    return [total / case.count for total in sums]


def _dense(tape: Any, target: tf.Tensor, variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """Returns gradients as tensors; what the target does not depend on has one of zeros."""
    sources = [variable.value for variable in variables]
    found = tape.gradient(target, sources)
    return [
        tf.zeros(variable.shape)
        if part is None
        else tf.cast(tf.convert_to_tensor(part), tf.float32)
        for variable, part in zip(variables, found, strict=True)
    ]
