"""ProximalGroupLasso: groups of weights that become exactly zero while a model is trained."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.training.after_step import AfterStep, StepDone
from edgeax.training.group_lasso import group_norms, with_structure
from edgeax.training.layer_kernels import LayerKernel, Layers, checked_layers, layer_kernels
from edgeax.transforms.checks import checked_strength
from edgeax.transforms.structures import InputAxes, Structure, structure_of

_TEST = "tests/training/test_proximal.py::"


@implements("YL06", test=_TEST + "test_yl06_prox_is_the_minimum")
def shrunk_groups(
    weight: tf.Tensor,
    amount: tf.Tensor | float,
    structure: Structure,
    input_axes: InputAxes = None,
    by_size: bool = True,
) -> tf.Tensor:
    """Returns `max(0, 1 - amount * sqrt(|g|) / |w_g|_2) * w_g` for each group g.

    It is the w that makes `|w - weight|**2 / 2 + amount * sum_g sqrt(|g|) |w_g|_2` smallest: the
    proximal operator of the group lasso. Source: [YL06].

    Args:
        weight: float32, canonical layout.
        amount: At least 0: strength times learning rate.
        structure: Divides it into groups.
        input_axes: See `Structure`.
        by_size: Whether there is the factor `sqrt(|g|)`, |g| the number of weights in a group.
    """
    norms, sizes = group_norms(weight, structure, input_axes)
    thresholds = amount * (tf.sqrt(sizes) if by_size else tf.ones_like(sizes))
    gone = norms <= thresholds
    factors = tf.where(gone, 0.0, 1.0 - thresholds / tf.where(gone, 1.0, norms))
    return weight * structure.spread(factors, weight.shape, input_axes)


@implements("WWW16", test=_TEST + "test_www16_groups_become_exactly_zero_in_fit")
@keras.saving.register_keras_serializable("edgeax")
class ProximalGroupLasso(AfterStep):
    """Shrinks the groups of kernels after each optimizer step, to exactly zero where they end.

    `w_g <- max(0, 1 - strength * learning_rate * sqrt(|g|) / |w_g|_2) * w_g`, with the learning
    rate that the step had: the proximal step of the group lasso, which a gradient could only swing
    around. It runs in the graph of the step, so that each step is followed by its own also with
    `steps_per_execution`; where gradients are accumulated, each update is. A group at zero comes
    back if its gradient is strong enough to pass the threshold in one step.

    For plain SGD this is the proximal gradient method. Momentum m lets a gradient move weights
    `1 / (1 - m)` times as far, but not this step: the strength then counts `1 - m` times. Adam and
    its like scale gradients and leave this step as it is: a strength for SGD is none for them.
    Several of these callbacks do their steps one after the other, the last one first, which for
    groups that overlap (filters and shapes) is a choice of edgeax. `edgeax.remove_channels` takes
    filters and channels of zeros out of the network, exactly.

    Source: the operator [YL06]; several structures at once [WWW16].

    Args:
        strength: Of the group lasso, finite, at least 0.
        structure: What goes together: `"filter"` (an output channel), `"channel"` (an input
            channel), `"shape"` (one tap of all filters), `"layer"` (the whole kernel), `"row"`,
            `"kernel"`, or one of `edgeax.transforms.structures`.
        layers: A regular expression searched in the layer's path, or a list of them. None: all
            layers but those that make the model's outputs.
        by_size: Whether there is the factor `sqrt(|g|)`, |g| the number of weights in a group;
            [WWW16] does without.
        begin_epoch: Epoch from which it acts, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no such kernel is trained.

    Example: `model.fit(x, y, callbacks=[ProximalGroupLasso(0.01, "filter", layers="conv")])`
    """

    def __init__(
        self,
        strength: float = 1e-3,
        structure: str | Structure = "filter",
        layers: Layers = None,
        by_size: bool = True,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.strength = checked_strength(strength)
        self.structure = structure_of(structure)
        self.layers = checked_layers(layers)
        self.by_size = bool(by_size)
        self._kernels: list[LayerKernel] = []

    def prepare(self) -> None:
        """See `AddedLoss.prepare`."""
        self._kernels = layer_kernels(self.model, self.layers, type(self).__name__)

    def after_step(self, done: StepDone) -> None:
        """See `AfterStep.after_step`."""
        amount = self.strength * done.learning_rate
        for kernel in self._kernels:
            shrunk = shrunk_groups(
                kernel.value, amount, self.structure, kernel.input_axes, self.by_size
            )
            kernel.assign(shrunk)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_train_end`."""
        super().on_train_end(logs)
        self._kernels = []

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "strength": self.strength,
            "structure": keras.saving.serialize_keras_object(self.structure),
            "layers": self.layers,
            "by_size": self.by_size,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ProximalGroupLasso":
        """Returns the callback that `get_config` described."""
        return cls(**with_structure(config))
