"""Channels given twice, so that a layer can read one through two smaller weights."""

from collections.abc import Sequence
from typing import Any

import keras

from edgeax.model.placement import Moving


@keras.saving.register_keras_serializable("edgeax")
class DuplicateChannels(Moving):
    """Appends copies of some channels: `(..., channels)` becomes `(..., channels + copies)`.

    Args:
        indices: The channels to append, in order, each from 0 to channels - 1; one may be named
            several times. At least one.
        **kwargs: Keras's `name` and `dtype`.

    Raises:
        ValueError: `indices` is empty or holds what is no channel.

    Example: `DuplicateChannels([2])` makes `[a, b, c, c]` of `[a, b, c]`.
    """

    def __init__(self, indices: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = list(indices)
        self.indices = [int(index) for index in given]
        if not given or self.indices != given or min(self.indices) < 0:
            raise ValueError(
                "`indices` must be at least one channel, an integer from 0 up. "
                f"Received: indices={indices!r}. Leave the layer out where nothing is duplicated."
            )
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Checks that the input has the channels."""
        channels = input_shape[-1]
        if channels is None or max(self.indices) >= channels:
            raise ValueError(
                f"The input of layer {self.name!r} must have a known number of channels, above "
                f"{max(self.indices)} to have those in `indices`. Received: input shape "
                f"{tuple(input_shape)}. Channels stand on the last axis and count from 0."
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Returns the inputs and, behind them, the copies."""
        everything = [*range(inputs.shape[-1]), *self.indices]
        return keras.ops.take(inputs, everything, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the output."""
        return (*input_shape[:-1], input_shape[-1] + len(self.indices))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "indices": self.indices}
