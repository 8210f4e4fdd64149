"""Scratch of CMSIS-NN's functions: what they ask for is known only where they are linked.

The most of versions 6.0 to 7.0, of all compilers, of the target and of any other machine without
vectors, where the program is tested; and of whole images as of some rows.
"""

from edgeax.runtime.mcu.operators.conv2d import Shape
from edgeax.runtime.mcu.targets import Target

_COLUMNS_DSP, _COLUMNS_HELIUM = 2, 4  # patches that are copied at a time
_CHANNELS_HELIUM = 124  # of a depthwise convolution that are copied at a time


def convolution_bytes(shape: Shape, target: Target) -> int:
    """Returns the bytes that arm_convolve_wrapper_s8 needs."""
    if is_point(shape):
        is_fast = shape.stride_height == shape.stride_width == 1
        return 4 * shape.input_channels if _has_dsp_alone(target) and is_fast else 0
    taps = shape.kernel_height * shape.kernel_width
    return _columns_bytes(taps * shape.input_channels, target)


def depthwise_bytes(shape: Shape, target: Target) -> int:
    """Returns the bytes that arm_depthwise_conv_wrapper_s8 needs."""
    taps = shape.kernel_height * shape.kernel_width
    channels, outputs = shape.input_channels, shape.output_channels
    if is_depthwise_as_dense(shape, target):
        return _columns_bytes(taps, target) + taps * outputs
    is_plain = shape.batches == shape.dilation_height == shape.dilation_width == 1
    if not is_plain or channels != outputs:
        return 0
    if target.has_helium:
        return _COLUMNS_HELIUM * _CHANNELS_HELIUM * taps
    return 2 * channels * taps if target.has_dsp and not is_depthwise_3x3(shape) else 0


def average_pool_bytes(channels: int, target: Target) -> int:
    """Returns the bytes that arm_avgpool_s8 needs."""
    return 4 * channels if _has_dsp_alone(target) else 0


def is_point(shape: Shape) -> bool:
    """Returns whether a convolution is one of single pixels, which needs no patches."""
    taps = shape.kernel_height * shape.kernel_width
    pads = shape.pad_top + shape.pad_left
    return taps == 1 and pads == 0 and shape.groups == 1


def is_depthwise_3x3(shape: Shape) -> bool:
    """Returns whether a depthwise convolution is one for which there is a function of its own,
    without Helium.
    """
    is_3x3 = shape.kernel_height == shape.kernel_width == 3
    return is_3x3 and shape.pad_top <= 1 and shape.pad_left <= 1


def is_depthwise_as_dense(shape: Shape, target: Target) -> bool:
    """Returns whether a depthwise convolution is computed as one with all channels."""
    return target.has_helium and shape.input_channels == 1 < shape.output_channels


def _has_dsp_alone(target: Target) -> bool:
    return target.has_dsp and not target.has_helium


def _columns_bytes(patch: int, target: Target) -> int:
    if target.has_helium:
        return _COLUMNS_HELIUM * -(-patch // 16) * 16
    return _COLUMNS_DSP * -(-patch // 4) * 4 * 2
