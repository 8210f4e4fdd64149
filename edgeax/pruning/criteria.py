"""Criteria: what `edgeax.prune` takes as words."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeax.model import placement
from edgeax.model.case import Case
from edgeax.model.derivatives import gradients, mean_gradients
from edgeax.model.rewrite import layers_by_path, normalization_gain_and_shift
from edgeax.post_training.outputs import normalizations
from edgeax.pruning.brain_damage import BrainDamage
from edgeax.pruning.brain_surgeon import BrainSurgeon
from edgeax.pruning.case import Criterion
from edgeax.pruning.weights import unmasked
from edgeax.transforms.checks import named_object


class Magnitude(Criterion):
    """`|w|`; of a group the mean."""

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        return [np.abs(weight.value) for weight in case.weights]


class RootMeanSquare(Criterion):
    """`w**2`; of a group the mean, which has the order of its root."""

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        return [np.square(weight.value, dtype=np.float64) for weight in case.weights]


class FoldedMagnitude(Criterion):
    """`|w|` times the gain of the batch normalization that follows the layer, where one does: the
    magnitude of the weight that the device computes with. Source: [DYJ17], as recalled.
    """

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        behind, layers = normalizations(case.model), layers_by_path(case.model)
        found = []
        for weight in case.weights:
            score = np.abs(weight.value)
            if weight.path in behind:
                normalization = placement.plain(layers[behind[weight.path]])
                score = score * np.abs(normalization_gain_and_shift(normalization)[0])
            found.append(score)
        return found


class Random(Criterion):
    """A random number for each weight, from `seed`."""

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        generator = np.random.default_rng(case.seed)
        return [generator.uniform(0.001, 1.0, weight.shape) for weight in case.weights]


class Gradient(Criterion):
    """`|dL/dw|`, of the mean over all samples."""

    needs = ("samples", "labels", "loss")

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        with unmasked(case.weights):
            found = mean_gradients(case, [weight.variable for weight in case.weights])
        return [
            np.abs(weight.layout.to_canonical(gradient))
            for weight, gradient in zip(case.weights, found, strict=True)
        ]


class Taylor(Criterion):
    """`|w * dL/dw|`: what the loss changes, to first order, when a weight alone becomes 0.

    The mean of the magnitudes over batches, each of which has a gradient of its own; at a minimum
    of the loss the gradient of all samples together would be 0. It is the criterion of [MTK16] for
    single weights; the paper has it for whole channels, by their activations, and divides by the
    norm of the layer, which is left out here because a weight's product is the change of the loss
    in all layers alike.
    """

    needs = ("samples", "labels", "loss")

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        variables = [weight.variable for weight in case.weights]
        sums = [np.zeros(variable.shape) for variable in variables]
        with unmasked(case.weights):
            values = [np.asarray(variable, np.float64) for variable in variables]
            for count, found in gradients(case, variables):
                for total, value, gradient in zip(sums, values, found, strict=True):
                    total += count / case.count * np.abs(value * gradient)
        return [
            weight.layout.to_canonical(total)
            for weight, total in zip(case.weights, sums, strict=True)
        ]


CRITERIA: dict[str, Callable[[], Criterion]] = {
    "magnitude": Magnitude,
    "l2": RootMeanSquare,
    "folded_magnitude": FoldedMagnitude,
    "random": Random,
    "gradient": Gradient,
    "taylor": Taylor,
    "brain_damage": BrainDamage,
    "brain_surgeon": BrainSurgeon,
}


def criterion_of(given: Any) -> Criterion:
    """Returns the criterion that a word or an object stands for.

    Raises:
        ValueError: There is no such criterion.
    """
    return named_object("criterion", given, CRITERIA, (Criterion,))
