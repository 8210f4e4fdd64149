"""What the handlers of several families ask of an operator's tensors."""

import math
from collections.abc import Sequence

import numpy as np

from edgeax.formats import dtypes, flatbuffer
from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Array, Elements, Step, Struct

CODES = ("int8", "int16")
MOVED = ("int8", "uint8", "int16", "int32", "int64", "bool")  # that are only moved

_QUANTIZE = "Quantize the model to int8."


def check_types(node: Node, wanted: Sequence[str], *tensors: flatbuffer.Tensor) -> None:
    """Checks that tensors have one type, one of those that are wanted."""
    for tensor in tensors:
        node.require(
            tensor.dtype in wanted,
            f"{tensor.name!r} must be {' or '.join(wanted)}",
            tensor.dtype,
            _QUANTIZE if tensor.dtype.startswith("float") else "",
        )
        node.require(
            tensor.dtype == tensors[0].dtype,
            f"{tensor.name!r} must have the type of {tensors[0].name!r}, {tensors[0].dtype}",
            tensor.dtype,
        )


def check_shape(node: Node, tensor: flatbuffer.Tensor, shape: Sequence[int]) -> None:
    """Checks that a tensor has the shape that the operator gives it."""
    node.require(
        tensor.shape == tuple(shape), f"{tensor.name!r} must have shape {[*shape]}", tensor.shape
    )


def check_counts(node: Node, inputs: int, outputs: int = 1) -> None:
    """Checks how many inputs and outputs there are."""
    node.require(
        len(node.inputs) == inputs and len(node.outputs) == outputs,
        f"it must have {inputs} inputs and {outputs} outputs",
        f"{len(node.inputs)} and {len(node.outputs)}",
    )


def codes_of(node: Node, tensor: flatbuffer.Tensor) -> tuple[np.float32, int]:
    """Returns scale and zero point of a tensor that has one of each; int16 has zero point 0."""
    scale, zero_point = tensor.scale, tensor.zero_point
    if scale is None or scale.size != 1 or not (np.isfinite(scale[0]) and scale[0] > 0):
        node.fail(
            f"{tensor.name!r} must be quantized, with one scale",
            "none" if scale is None else scale.tolist(),
            _QUANTIZE,
        )
    zero = 0 if zero_point is None else int(zero_point[0])
    limits = limits_of(tensor.dtype)
    node.require(
        zero == 0 if tensor.dtype == "int16" else limits.min <= zero <= limits.max,
        f"{tensor.name!r} must have a zero point that is a code, of int16 0",
        zero,
    )
    return np.float32(scale[0]), zero


def limits_of(dtype: str) -> np.iinfo:
    """Returns the least and the largest code of a type."""
    return np.iinfo(np.dtype(dtype))


def read(node: Node, position: int) -> int | Array:
    """Returns an input as a step reads it: its number, or its content where it is a constant."""
    tensor = node.input(position)
    if not tensor.is_constant:
        return node.inputs[position]
    return Array(f"input{position}", node.constant(position))


def axis_of(node: Node, axis: int, rank: int) -> int:
    """Returns an axis counted from the front."""
    node.require(-rank <= axis < rank, f"its axis must lie in [{-rank}, {rank - 1}]", axis)
    return axis % rank


def whole_numbers(node: Node, position: int) -> list[int]:
    """Returns the numbers of a constant input."""
    data = node.constant(position)
    node.require(
        data.dtype.name in ("int32", "int64"),
        f"input {position} must be int32 or int64",
        data.dtype.name,
    )
    return [int(number) for number in data.reshape(-1)]


def element_bytes(tensor: flatbuffer.Tensor) -> int:
    """Returns the bytes of an element."""
    return (dtypes.bits(tensor.dtype) or 8) // 8


def element_wise(node: Node, kernel: str, header: str, arguments: Struct, **kwargs: bool) -> Step:
    """Returns a step from input 0 to output 0, element by element.

    Args:
        node: The operator.
        kernel: Name of the kernel.
        header: Where it is declared.
        arguments: What it takes.
        **kwargs: `rounds` of the step.
    """
    check_shape(node, node.output(), node.input(0).shape)
    same = node.input(0).size_bytes == node.output().size_bytes
    source = read(node, 0)
    return Step(
        node.label,
        kernel,
        header,
        arguments,
        (source,),
        (node.outputs[0],),
        Elements(math.prod(node.output().shape)),
        in_place=((0, 0),) if same and not isinstance(source, Array) else (),
        **kwargs,
    )


def factor(ratio: float) -> Struct:
    """Returns a ratio of scales as the kernels take it."""
    multiplier, shift = quantize_multiplier(float(ratio))
    return Struct("Requantization", {"multiplier": multiplier, "shift": shift})


def clamp(low: int, high: int) -> Struct:
    """Returns limits of codes as the kernels take them."""
    return Struct("Clamp", {"min": low, "max": high})
