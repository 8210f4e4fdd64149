"""Callbacks that watch a compressed model while it is trained."""

from collections.abc import Iterable
from typing import Any

import keras

from edgeax.model.rewrite import paths_of_compressed
from edgeax.model.summary import KernelStatistics, kernel_statistics, stored_weights


@keras.saving.register_keras_serializable("edgeax")
class CompressionLogger(keras.callbacks.Callback):
    """Writes how far each layer is compressed into the logs of every epoch.

    For each layer with transformed kernels, of these kernels as the layer computes with them:

    - `sparsity/<path>`: fraction of zeros, 0 to 1,
    - `distinct_values/<path>`: number of different values, scales of channels not counted,
    - `range_low/<path>` and `range_high/<path>`: smallest and largest value,

    and `sparsity`: the fraction of zeros in all of them. `History` holds these values, and
    callbacks that are listed after this one see them: `CSVLogger`, `TensorBoard`, `EarlyStopping`.
    Keras's progress bar looks as it does without them. The training does not depend on them.

    Example: `model.fit(x, y, callbacks=[CompressionLogger(), CSVLogger("log.csv")])`
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the values of the epoch into `logs`."""
        if logs is None:
            return
        values = _values(self.model)
        logs.update(values)
        _hide_from_progress_bar(self.model.history, values)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CompressionLogger":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def _values(model: keras.Model) -> dict[str, float | int]:
    found: dict[str, KernelStatistics] = {}
    for path, layer in paths_of_compressed(model).items():
        kernels = [kernel for slot, kernel in stored_weights(layer) if slot == "kernel"]
        if kernels and layer.transforms_kernel:
            found[path] = kernel_statistics(kernels)
    values: dict[str, float | int] = {}
    for path, statistics in found.items():
        values[f"sparsity/{path}"] = statistics.sparsity
        values[f"distinct_values/{path}"] = statistics.distinct_values
        values[f"range_low/{path}"] = statistics.low
        values[f"range_high/{path}"] = statistics.high
    if found:
        zeros = sum(statistics.zeros for statistics in found.values())
        values["sparsity"] = zeros / sum(statistics.count for statistics in found.values())
    return values


def _hide_from_progress_bar(history: keras.callbacks.History, names: Iterable[str]) -> None:
    """Removes values from the logs of this epoch once `history` has taken them.

    `fit` calls its History after the user's callbacks and right before its progress bar, all with
    the same logs. The change to `history` undoes itself when it is called.
    """
    record = history.on_epoch_end
    before = vars(history).get("on_epoch_end")

    def record_and_remove(epoch: int, logs: dict[str, Any] | None = None) -> None:
        if before is None:
            del history.on_epoch_end
        else:
            history.on_epoch_end = before
        record(epoch, logs)
        for name in names:
            if logs is not None:
                logs.pop(name, None)

    history.on_epoch_end = record_and_remove
