"""XnorConv2D: a convolution of signs, scaled where its inputs were large."""

from typing import Any

import keras

from edgeax.formats import implements
from edgeax.model import passes
from edgeax.model.padding import PaddedConv2D
from edgeax.model.slots import Slot, as_transforms, deserialized, serialized
from edgeax.transforms.base import Chain, fresh
from edgeax.transforms.quantize import Quantizer


@implements("RORF16", test="tests/model/test_xnor.py::test_rorf16_k_is_the_box_mean_of_mean_abs")
@keras.saving.register_keras_serializable("edgeax")
class XnorConv2D(PaddedConv2D):
    """Conv2D of a quantized input, times K, the mean magnitude of the input under each window.

    `activation(K * conv(quantized(I), kernel) + bias)`, where K is the convolution of
    `mean over channels of |I|` with a window of `1 / (height * width)`, with the layer's strides,
    dilation and padding. K pads with 0, whatever `pad_values` are. With signs of inputs and a
    binary kernel with a gain for each filter this is XNOR-Net. The gradient also goes through K.

    The released code of XNOR-Net leaves K out, as `QuantConv2D` does without `input_scaling`: K
    costs a multiplication per output, in int8 where a file computes in integers.

    Args:
        input_quantizer: What quantizes the input; K sees it before. A transform, a number format, a
            name, or a list of these.
        pad_values: What the quantized input is padded with if `padding="same"`.

    Further arguments are those of keras.layers.Conv2D; `groups` must be 1.

    Raises:
        ValueError: `groups` is not 1.

    Source: [RORF16].
    """

    def __init__(self, *args: Any, input_quantizer: Slot = "ste_sign", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.groups != 1:
            raise ValueError(
                "`groups` must be 1 for K to be the mean of all channels. "
                f"Received: groups={self.groups}."
            )
        self._quantizer = Chain([fresh(t) for t in as_transforms("input", input_quantizer)])

    @property
    def quantizer(self) -> Quantizer | None:
        """What quantizes the input, None if nothing does."""
        members = reversed(self._quantizer.transforms)
        return next((member for member in members if isinstance(member, Quantizer)), None)

    def build(self, input_shape: Any) -> None:
        """Creates the weights, and the state of the quantizer."""
        super().build(input_shape)
        self._quantizer.bind("activation", ())

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the scaled convolution."""
        quantized = self._quantizer.call(
            keras.ops.cast(inputs, "float32"), passes.is_training(training)
        )
        padded = self._padded(keras.ops.cast(quantized, inputs.dtype))
        outputs = self.convolution_op(padded, self.kernel) * self.scales(inputs)
        if self.bias is not None:
            channels_last = self.data_format == "channels_last"
            shape = (1, 1, 1, -1) if channels_last else (1, -1, 1, 1)
            outputs = outputs + keras.ops.reshape(self.bias, shape)
        return outputs if self.activation is None else self.activation(outputs)

    def scales(self, inputs: Any) -> Any:
        """Returns K of real `inputs`: the shape of the output, with one channel."""
        axis = -1 if self.data_format == "channels_last" else 1
        magnitude = keras.ops.mean(keras.ops.abs(inputs), axis=axis, keepdims=True)
        height, width = self.kernel_size
        window = keras.ops.full((height, width, 1, 1), 1.0 / (height * width), magnitude.dtype)
        return keras.ops.conv(
            magnitude,
            window,
            strides=list(self.strides),
            padding="same" if self.pads else "valid",
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        members = serialized({"input_quantizer": self._quantizer.transforms})
        return {**super().get_config(), **members}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "XnorConv2D":
        """Returns the layer that `get_config` described."""
        members = deserialized({"input_quantizer": config["input_quantizer"]})
        return super().from_config({**config, **members})
