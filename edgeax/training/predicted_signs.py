"""PredictedSigns: how much of the gradients the most significant bits decide, in the logs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.training.predictive_models import predictive_layers


@keras.saving.register_keras_serializable("edgeax")
class PredictedSigns(keras.callbacks.Callback):
    """Writes into the logs of each batch and epoch how signs of gradients were found.

    Means over the epoch so far and over all weights of layers that predict:

    - `predicted_fraction`: share of the signs that the most significant bits decided,
    - `sign_error_rate`: share of wrong ones among these,
    - `unconditional_error_rate`: share that they would have got wrong had they decided all.

    Args:
        every: Batches between two readings; the logs in between hold the last one. An epoch's logs
            hold all of its batches.

    Raises:
        ValueError: `every` is below 1; or, in `fit`, no layer of the model predicts.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: every={every}.")
        self.every = int(every)
        self._last: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the layers."""
        if not predictive_layers(self.model):
            raise ValueError(
                "`model` must have a layer that predicts signs. Received: none. Use "
                "edgeax.with_predictive_gradients."
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts to count anew."""
        for layer in predictive_layers(self.model):
            layer.forget_signs()
        self._last = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the values so far."""
        if batch % self.every == 0 or not self._last:
            self._last = sign_statistics(self.model)
        if logs is not None:
            logs.update(self._last)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the values of the epoch."""
        if logs is not None:
            logs.update(sign_statistics(self.model))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"every": self.every}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PredictedSigns":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def sign_statistics(model: keras.Model) -> dict[str, float]:
    """Returns the values that `PredictedSigns` writes; 0 before the first step."""
    layers = predictive_layers(model)
    counts = tf.stack([tf.convert_to_tensor(layer.signs.value) for layer in layers]).numpy()
    sizes = np.array([np.prod(layer.kernel.shape) for layer in layers], np.float64)
    weights = sizes * (counts[:, 0] > 0)
    means = counts[:, 1:] / np.maximum(counts[:, :1], 1.0)
    decided, wrong, all_wrong = weights @ means / max(weights.sum(), 1.0)
    return {
        "predicted_fraction": float(decided),
        "sign_error_rate": float(wrong / decided) if decided else 0.0,
        "unconditional_error_rate": float(all_wrong),
    }


def predicted_fractions(model: keras.Model) -> dict[int, float]:
    """Returns the share of signs decided so far by each layer that predicts, by its id."""
    found = {}
    for layer in predictive_layers(model):
        steps, decided = np.asarray(tf.convert_to_tensor(layer.signs.value))[:2]
        found[id(layer)] = float(decided / max(steps, 1.0))
    return found
