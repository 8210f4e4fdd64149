"""SlimmingL1: channels made dispensable by drawing the gains of batch normalization to zero."""

import re
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.training.added_loss import AddedLoss, TrainingStep
from edgeax.training.layer_kernels import Layers, checked_layers, owners
from edgeax.transforms.checks import checked_strength


@implements("LLS17", test="tests/training/test_slimming.py::test_lls17_moves_gamma_by_its_sign")
@keras.saving.register_keras_serializable("edgeax")
class SlimmingL1(AddedLoss):
    """Adds `strength * sum |gamma|` to the loss in `fit`, gamma of all batch normalizations.

    The gain of a channel that the loss does not need goes to zero, and the channel can then go: of
    all gains of a network those below a percentile, after which it is fine-tuned. The subgradient
    is `strength * sign(gamma)`, 0 at zero. The paper starts with gains of 0.5.

    Source: [LLS17].

    Args:
        strength: Factor of the term, finite, at least 0: 1e-4 for VGG, 1e-5 for ResNet and
            DenseNet in the paper.
        layers: A regular expression searched in the path of the normalization, such as
            `backbone/bn1`, or a list of them. None: all.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no such gain is trained.

    Example: `model.fit(x, y, callbacks=[SlimmingL1(1e-4)])`
    """

    def __init__(self, strength: float = 1e-4, layers: Layers = None, begin_epoch: int = 0) -> None:
        super().__init__(begin_epoch)
        self.strength = checked_strength(strength)
        self.layers = checked_layers(layers)
        self._gains: list[keras.Variable] = []

    def prepare(self) -> None:
        """See `AddedLoss.prepare`."""
        found = normalization_gains(self.model)
        expressions = [self.layers] if isinstance(self.layers, str) else self.layers or [""]
        self._gains = [
            gain
            for path, gain in found
            if any(re.search(expression, path) for expression in expressions)
        ]
        if not self._gains:
            raise ValueError(
                "`layers` of SlimmingL1 must pick a BatchNormalization with a trained gamma. "
                f"Received: layers={self.layers!r}; those with one are "
                f"{[path for path, _ in found]}."
            )

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        sums = [tf.reduce_sum(tf.abs(tf.cast(gain.value, tf.float32))) for gain in self._gains]
        return self.strength * tf.add_n(sums)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_train_end`."""
        super().on_train_end(logs)
        self._gains = []

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "strength": self.strength,
            "layers": self.layers,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SlimmingL1":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def normalization_gains(model: keras.Model) -> list[tuple[str, keras.Variable]]:
    """Returns the path of each batch normalization with a trained gamma, and the gamma."""
    trained = {id(variable) for variable in model.trainable_variables}
    return [
        (path, layer.gamma)
        for path, layer in owners(model)
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.scale
        and id(layer.gamma) in trained
    ]
