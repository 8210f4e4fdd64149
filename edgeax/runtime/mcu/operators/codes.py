"""What handlers ask of the codes of tensors, and how kernels take scales and limits."""

import math

import numpy as np

from edgeax.formats.flatbuffer import Tensor
from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Struct

_LIMITS = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def require_dtype(node: Node, tensor: Tensor, dtypes: tuple[str, ...], what: str) -> None:
    """Fails unless a tensor, told as `what`, has one of some types."""
    node.require(
        tensor.dtype in dtypes,
        f"{what} must be {' or '.join(dtypes)}",
        f"{tensor.dtype}, tensor {tensor.name!r}",
        "Quantize the model to integers." if tensor.dtype.startswith("float") else "",
    )


def require_symmetric_weights(node: Node, tensor: Tensor) -> None:
    """Fails unless weights are int8 with zero points of 0."""
    require_dtype(node, tensor, ("int8",), "its weights")
    zero_points = tensor.zero_point
    node.require(
        zero_points is None or not np.any(zero_points),
        "its weights must be symmetric, with zero points of 0",
        None if zero_points is None else sorted({int(zero) for zero in zero_points}),
        "Convert the model again, with a converter of TensorFlow 2.",
    )


def scale_of(node: Node, tensor: Tensor, what: str) -> float:
    """Returns the one scale of a tensor; fails where it has none or several."""
    scale = tensor.scale
    if scale is None or scale.size != 1 or not (np.isfinite(scale[0]) and scale[0] > 0):
        received = None if scale is None else scale.tolist()
        node.fail(f"{what} must have one scale above 0", f"{received}, tensor {tensor.name!r}")
    return float(scale[0])


def zero_point_of(node: Node, tensor: Tensor, what: str) -> int:
    """Returns the zero point of a tensor; fails where its type does not hold it."""
    zero_point = 0 if tensor.zero_point is None else int(tensor.zero_point[0])
    ends = np.iinfo(tensor.dtype)
    is_right = zero_point == 0 if tensor.dtype == "int16" else ends.min <= zero_point <= ends.max
    node.require(
        is_right,
        f"the zero point of {what} must be a code" + ", of int16 0" * (tensor.dtype == "int16"),
        zero_point,
    )
    return zero_point


def meaning_of(node: Node, tensor: Tensor) -> tuple[np.float32, int]:
    """Returns scale and zero point of a tensor, told by its name, that has one of each."""
    name = repr(tensor.name)
    return np.float32(scale_of(node, tensor, name)), zero_point_of(node, tensor, name)


def factor(ratio: float) -> Struct:
    """Returns a ratio of scales as C++ has it."""
    return requantization(*quantize_multiplier(float(ratio)))


def requantization(multiplier: int, shift: int) -> Struct:
    """Returns a factor as C++ has it."""
    return Struct("Requantization", {"multiplier": multiplier, "shift": shift})


def clamp(limits: tuple[int, int]) -> Struct:
    """Returns limits of codes as C++ has them."""
    return Struct("Clamp", {"min": limits[0], "max": limits[1]})


def clamp_of(node: Node) -> Struct:
    """Returns `limits_of` as C++ has them."""
    return clamp(limits_of(node))


def limits_of(node: Node, activation: str | None = None) -> tuple[int, int]:
    """Returns the limits of the output's codes: of its type, or of the fused activation.

    Args:
        node: The operator.
        activation: Name of another activation; None: the fused one.
    """
    if activation is None:
        activation = node.options.get("fused_activation_function", "NONE")
    node.require(
        activation in _LIMITS, f"its activation must be one of {', '.join(_LIMITS)}", activation
    )
    output = node.output()
    scale = scale_of(node, output, "its output")
    zero_point = zero_point_of(node, output, "its output")
    ends = np.iinfo(output.dtype)

    def code(bound: float) -> int:
        steps = np.float32(bound) / np.float32(scale)
        away = np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps)  # as TFLite rounds
        return int(np.clip(zero_point + away, ends.min, ends.max))

    low, high = _LIMITS[activation]
    return code(low), code(high)
