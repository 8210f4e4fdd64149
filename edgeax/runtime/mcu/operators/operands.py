"""What handlers ask of the number, types and shapes of tensors, and steps element by element."""

import math
from collections.abc import Sequence

from edgeax.formats import dtypes, flatbuffer
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.program import Array, Elements, Step, Struct

CODES = ("int8", "int16")
MOVED = ("int8", "uint8", "int16", "int32", "int64", "bool")  # that are only moved


def check_types(node: Node, wanted: Sequence[str], *tensors: flatbuffer.Tensor) -> None:
    """Checks that tensors have one type, one of those that are wanted."""
    for tensor in tensors:
        codes.require_dtype(node, tensor, tuple(wanted), repr(tensor.name))
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
