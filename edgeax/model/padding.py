"""Convolutions whose border is not zero: a binary one has no zero, it pads with +1 or -1."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from edgeax.formats.same_padding import same_padding


class _Padded:
    """Adds `pad_values` to a convolution of Keras; comes before it among the bases.

    With `padding="same"` the layer pads its inputs itself, by as much as Keras would, and convolves
    what it has padded: its attribute `padding` is then `"valid"`.
    """

    def __init__(self, *args: Any, pad_values: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        layer: Any = self
        if not isinstance(pad_values, (int, float)) or not math.isfinite(pad_values):
            raise ValueError(
                "`pad_values` must be a finite number: 1 or -1 where the inputs are signs. "
                f"Received: pad_values={pad_values!r}."
            )
        if layer.padding != "same" and (pad_values or layer.padding != "valid"):
            raise ValueError(
                "`padding` must be 'same' where `pad_values` are given: nothing else pads. "
                f"Received: padding={layer.padding!r}, pad_values={pad_values}."
            )
        self.pad_values = float(pad_values)
        self.pads = layer.padding == "same"
        layer.padding = "valid"

    def call(self, inputs: Any) -> Any:
        """Returns the convolution of the padded inputs."""
        return super().call(self._padded(inputs))  # type: ignore[misc]

    def _padded(self, inputs: Any) -> Any:
        if not self.pads:
            return inputs
        amounts = _amounts(self, inputs.shape)
        return keras.ops.pad(inputs, amounts, constant_values=self.pad_values)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the output."""
        if self.pads:
            added = _amounts(self, input_shape)
            input_shape = tuple(
                None if size is None else size + before + after
                for size, (before, after) in zip(input_shape, added, strict=True)
            )
        return super().compute_output_shape(input_shape)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()  # type: ignore[misc]
        padding = "same" if self.pads else "valid"
        return {**config, "padding": padding, "pad_values": self.pad_values}


@keras.saving.register_keras_serializable("edgeax")
class PaddedConv1D(_Padded, keras.layers.Conv1D):
    """Conv1D that pads with `pad_values` where `padding="same"`."""


@keras.saving.register_keras_serializable("edgeax")
class PaddedConv2D(_Padded, keras.layers.Conv2D):
    """Conv2D that pads with `pad_values` where `padding="same"`."""


@keras.saving.register_keras_serializable("edgeax")
class PaddedDepthwiseConv2D(_Padded, keras.layers.DepthwiseConv2D):
    """DepthwiseConv2D that pads with `pad_values` where `padding="same"`."""


def _amounts(layer: Any, shape: Sequence[int | None]) -> list[tuple[int, int]]:
    """Returns how much Keras's `padding="same"` adds before and behind each axis.

    Raises:
        ValueError: It depends on a size that is not known.
    """
    spatial = [
        _amount(size, kernel, stride, dilation, layer.name)
        for size, kernel, stride, dilation in zip(
            shape[1:-1] if layer.data_format == "channels_last" else shape[2:],
            layer.kernel_size,
            layer.strides,
            layer.dilation_rate,
            strict=True,
        )
    ]
    if layer.data_format == "channels_last":
        return [(0, 0), *spatial, (0, 0)]
    return [(0, 0), (0, 0), *spatial]


def _amount(
    size: int | None, kernel: int, stride: int, dilation: int, name: str
) -> tuple[int, int]:
    if size is None and stride > 1:
        raise ValueError(
            "The input must have known sizes where strides are above 1 and `pad_values` are given. "
            f"Received: an unknown size at layer {name!r}. Give keras.Input the whole shape."
        )
    return same_padding(size or 1, kernel, stride, dilation)  # any size, where the stride is 1
