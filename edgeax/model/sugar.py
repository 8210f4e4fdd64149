"""Layers of Keras that compute with quantized tensors, by the arguments that Larq's users know.

Each function makes a layer of Keras and wraps it in a `Compressed`: that is all there is to them.
They take all arguments of the layer of Keras, and for each tensor that is to be quantized a
quantizer: a transform, a number format, the name of either (`"ste_sign"`, `"dorefa"`, `"ternary"`,
`"int4"`, `"fp8_e4m3"`, ...), or a list of these. What they return has the attributes of the layer,
such as `kernel`. `edgeax.strip` takes the quantizers off.

A layer whose kernel would be rounded mostly to zero, or get no gradient, warns when it is built.

Example: `QuantConv2D(64, 3, input_quantizer="ste_sign", kernel_quantizer="ste_sign")`
"""

from typing import Any

import keras

from edgeax.model import placement
from edgeax.model.device import is_separable
from edgeax.model.health import warn_of_dead_kernels
from edgeax.model.padding import PaddedConv1D, PaddedConv2D, PaddedDepthwiseConv2D
from edgeax.model.plan import behind, between_halves
from edgeax.model.recurrent import RoundedGRUCell, RoundedLSTMCell
from edgeax.model.slots import Slot, as_transforms
from edgeax.model.wrapper import Compressed
from edgeax.model.xnor import XnorConv2D

_layers = keras.layers


def QuantDense(
    *args: Any,
    input_quantizer: Slot = None,
    kernel_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    output_quantizer: Slot = None,
    **kwargs: Any,
) -> Compressed:
    """Returns a `Dense` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.Dense.
        input_quantizer: What quantizes the inputs.
        kernel_quantizer: What quantizes the kernel.
        bias_quantizer: What quantizes the bias.
        output_quantizer: What quantizes the output, behind the activation.
        **kwargs: Those of keras.layers.Dense.

    Raises:
        ValueError: A quantizer is none.
    """
    return _quantized(
        _layers.Dense(*args, **kwargs),
        input_quantizer=input_quantizer,
        kernel_quantizer=kernel_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
    )


def QuantConv1D(
    *args: Any,
    input_quantizer: Slot = None,
    kernel_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    output_quantizer: Slot = None,
    pad_values: float = 0.0,
    **kwargs: Any,
) -> Compressed:
    """Returns a `Conv1D` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.Conv1D.
        input_quantizer: What quantizes the inputs.
        kernel_quantizer: What quantizes the kernel.
        bias_quantizer: What quantizes the bias.
        output_quantizer: What quantizes the output, behind the activation.
        pad_values: What `padding="same"` pads with, behind `input_quantizer`: 1 or -1 where the
            inputs are signs.
        **kwargs: Those of keras.layers.Conv1D.

    Raises:
        ValueError: A quantizer is none, or `pad_values` are given with another padding.
    """
    return _quantized(
        _padded(_layers.Conv1D, PaddedConv1D, pad_values, args, kwargs),
        input_quantizer=input_quantizer,
        kernel_quantizer=kernel_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
    )


def QuantConv2D(
    *args: Any,
    input_quantizer: Slot = None,
    kernel_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    output_quantizer: Slot = None,
    pad_values: float = 0.0,
    input_scaling: bool = False,
    **kwargs: Any,
) -> Compressed:
    """Returns a `Conv2D` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.Conv2D.
        input_quantizer: What quantizes the inputs.
        kernel_quantizer: What quantizes the kernel.
        bias_quantizer: What quantizes the bias.
        output_quantizer: What quantizes the output, behind the activation.
        pad_values: What `padding="same"` pads with, behind `input_quantizer`: 1 or -1 where the
            inputs are signs.
        input_scaling: Whether the result is multiplied by K, the mean magnitude of the inputs under
            each window, as XNOR-Net has it; see `XnorConv2D`.
        **kwargs: Those of keras.layers.Conv2D.

    Raises:
        ValueError: A quantizer is none, `pad_values` are given with another padding, or
            `input_scaling` without an `input_quantizer`.

    Source: [RORF16] for `input_scaling`.
    """
    if input_scaling and not input_quantizer:
        raise ValueError(
            "`input_scaling` must come with an `input_quantizer`: K gives back what that takes. "
            f"Received: input_quantizer={input_quantizer!r}. Pass 'ste_sign'."
        )
    if input_scaling:
        layer = XnorConv2D(*args, input_quantizer=input_quantizer, pad_values=pad_values, **kwargs)
    else:
        layer = _padded(_layers.Conv2D, PaddedConv2D, pad_values, args, kwargs)
    return _quantized(
        layer,
        input_quantizer=None if input_scaling else input_quantizer,
        kernel_quantizer=kernel_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
    )


def QuantDepthwiseConv2D(
    *args: Any,
    input_quantizer: Slot = None,
    depthwise_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    output_quantizer: Slot = None,
    pad_values: float = 0.0,
    **kwargs: Any,
) -> Compressed:
    """Returns a `DepthwiseConv2D` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.DepthwiseConv2D.
        input_quantizer: What quantizes the inputs.
        depthwise_quantizer: What quantizes the kernel.
        bias_quantizer: What quantizes the bias.
        output_quantizer: What quantizes the output, behind the activation.
        pad_values: What `padding="same"` pads with, behind `input_quantizer`: 1 or -1 where the
            inputs are signs.
        **kwargs: Those of keras.layers.DepthwiseConv2D.

    Raises:
        ValueError: A quantizer is none, or `pad_values` are given with another padding.
    """
    return _quantized(
        _padded(_layers.DepthwiseConv2D, PaddedDepthwiseConv2D, pad_values, args, kwargs),
        input_quantizer=input_quantizer,
        kernel_quantizer=as_transforms("depthwise_quantizer", depthwise_quantizer),
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
    )


def QuantSeparableConv2D(
    *args: Any,
    input_quantizer: Slot = None,
    depthwise_quantizer: Slot = None,
    pointwise_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    output_quantizer: Slot = None,
    **kwargs: Any,
) -> Compressed:
    """Returns a `SeparableConv2D` layer with quantized tensors.

    For a border that is not zero use QuantDepthwiseConv2D and a QuantConv2D of size 1 behind it.

    Args:
        *args: Those of keras.layers.SeparableConv2D.
        input_quantizer: What quantizes the inputs.
        depthwise_quantizer: What quantizes the depthwise kernel.
        pointwise_quantizer: What quantizes the pointwise kernel.
        bias_quantizer: What quantizes the bias.
        output_quantizer: What quantizes the output, behind the activation.
        **kwargs: Those of keras.layers.SeparableConv2D.

    Raises:
        ValueError: A quantizer is none.
    """
    return _quantized(
        _layers.SeparableConv2D(*args, **kwargs),
        input_quantizer=input_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
        depthwise_kernel=as_transforms("depthwise_quantizer", depthwise_quantizer),
        pointwise_kernel=as_transforms("pointwise_quantizer", pointwise_quantizer),
    )


def QuantConv2DTranspose(
    *args: Any,
    input_quantizer: Slot = None,
    kernel_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    output_quantizer: Slot = None,
    **kwargs: Any,
) -> Compressed:
    """Returns a `Conv2DTranspose` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.Conv2DTranspose.
        input_quantizer: What quantizes the inputs.
        kernel_quantizer: What quantizes the kernel.
        bias_quantizer: What quantizes the bias.
        output_quantizer: What quantizes the output, behind the activation.
        **kwargs: Those of keras.layers.Conv2DTranspose.

    Raises:
        ValueError: A quantizer is none.
    """
    return _quantized(
        _layers.Conv2DTranspose(*args, **kwargs),
        input_quantizer=input_quantizer,
        kernel_quantizer=kernel_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
    )


def QuantLSTM(
    *args: Any,
    input_quantizer: Slot = None,
    kernel_quantizer: Slot = None,
    recurrent_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    state_quantizer: Slot = None,
    output_quantizer: Slot = None,
    **kwargs: Any,
) -> Compressed:
    """Returns an `LSTM` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.LSTM.
        input_quantizer: What quantizes the inputs.
        kernel_quantizer: What quantizes the kernel of the inputs.
        recurrent_quantizer: What quantizes the kernel of the hidden state.
        bias_quantizer: What quantizes the bias.
        state_quantizer: What quantizes the hidden state at every step; see `RoundedLSTMCell`. The
            layer is then a keras.layers.RNN of such a cell.
        output_quantizer: What quantizes the output.
        **kwargs: Those of keras.layers.LSTM.

    Raises:
        ValueError: A quantizer is none, or `state_quantizer` follows something from step to step.

    Source: [HWZ16], [OLZ16], as recalled.
    """
    return _quantized(
        _recurrent(_layers.LSTM(*args, **kwargs), RoundedLSTMCell, state_quantizer),
        input_quantizer=input_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
        kernel=as_transforms("kernel_quantizer", kernel_quantizer),
        recurrent_kernel=as_transforms("recurrent_quantizer", recurrent_quantizer),
    )


def QuantGRU(
    *args: Any,
    input_quantizer: Slot = None,
    kernel_quantizer: Slot = None,
    recurrent_quantizer: Slot = None,
    bias_quantizer: Slot = None,
    state_quantizer: Slot = None,
    output_quantizer: Slot = None,
    **kwargs: Any,
) -> Compressed:
    """Returns a `GRU` layer with quantized tensors.

    Args:
        *args: Those of keras.layers.GRU.
        input_quantizer: What quantizes the inputs.
        kernel_quantizer: What quantizes the kernel of the inputs.
        recurrent_quantizer: What quantizes the kernel of the hidden state.
        bias_quantizer: What quantizes the bias.
        state_quantizer: What quantizes the hidden state at every step; see `RoundedGRUCell`. The
            layer is then a keras.layers.RNN of such a cell.
        output_quantizer: What quantizes the output.
        **kwargs: Those of keras.layers.GRU.

    Raises:
        ValueError: A quantizer is none, or `state_quantizer` follows something from step to step.

    Source: [HWZ16], [OLZ16], as recalled.
    """
    return _quantized(
        _recurrent(_layers.GRU(*args, **kwargs), RoundedGRUCell, state_quantizer),
        input_quantizer=input_quantizer,
        bias_quantizer=bias_quantizer,
        output_quantizer=output_quantizer,
        kernel=as_transforms("kernel_quantizer", kernel_quantizer),
        recurrent_kernel=as_transforms("recurrent_quantizer", recurrent_quantizer),
    )


def _quantized(
    layer: keras.layers.Layer,
    input_quantizer: Slot,
    bias_quantizer: Slot,
    output_quantizer: Slot,
    kernel_quantizer: Slot = None,
    **weights: Slot,
) -> Compressed:
    """Returns a layer in a wrapper that looks at its kernels as soon as they exist.

    Raises:
        ValueError: A quantizer is none, or one is given for a bias that the layer does not have.
    """
    owner = getattr(layer, "cell", layer)
    if bias_quantizer is not None and not owner.use_bias:
        raise ValueError(
            "`bias_quantizer` must come with use_bias=True. Received: "
            f"bias_quantizer={bias_quantizer!r}, use_bias=False. Leave it out."
        )
    output = as_transforms("output_quantizer", output_quantizer)
    # The device computes some activations by an operator of their own, with rounded inputs.
    splits = bool(output) and placement.splits_activation(layer)
    name = placement.activation_name(layer)
    wrapper = Compressed(
        layer,
        kernel=as_transforms("kernel_quantizer", kernel_quantizer),
        bias=as_transforms("bias_quantizer", bias_quantizer),
        input=as_transforms("input_quantizer", input_quantizer),
        output=[behind(name, member) for member in output],
        activation=layer.activation if splits else None,
        before_activation=output if splits else None,
        between=between_halves(output) if is_separable(layer) else None,
        weights=weights,
    )
    wrapper.when_built = warn_of_dead_kernels
    return wrapper


def _padded(
    kind: Any, padded_kind: Any, pad_values: float, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> keras.layers.Layer:
    """Returns a convolution, one of Keras's own where the border is zero."""
    if pad_values == 0:
        return kind(*args, **kwargs)
    return padded_kind(*args, pad_values=pad_values, **kwargs)


def _recurrent(layer: Any, cell: Any, state_quantizer: Slot) -> keras.layers.Layer:
    """Returns a recurrent layer of Keras, or one of the same settings that rounds its state."""
    rounding = as_transforms("state_quantizer", state_quantizer)
    if not rounding:
        return layer
    settings = {name: layer.get_config()[name] for name in _OF_RNN if name in layer.get_config()}
    config = layer.cell.get_config()
    return _layers.RNN(cell(state_quantizer=rounding, **config), **settings)


_OF_RNN = (
    *("name", "trainable", "dtype", "activity_regularizer"),
    *("return_sequences", "return_state", "go_backwards", "stateful", "unroll"),
    "zero_output_for_mask",
)
