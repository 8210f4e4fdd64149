"""Operands of two-operand operators: how they spread over the output."""

import dataclasses
import math

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.program import Array, Elements, Lowered, Step, Struct

_MOST_LOOPS = 6  # kMostLoops of micro/broadcast.h


@dataclasses.dataclass(frozen=True)
class Operands:
    """The operands of an operator in the order in which the kernel reads them.

    Attributes:
        positions: Their places among the inputs.
        loops: Rows of count and steps of both, outermost first.
        is_plain: Whether both are computed, and as large as the output.
    """

    positions: tuple[int, int]
    loops: np.ndarray
    is_plain: bool


def check_operands(node: Node, dtypes: tuple[str, ...]) -> None:
    """Fails unless an operator has two operands and an output of one type."""
    node.require(len(node.inputs) == 2, "it must have 2 inputs", len(node.inputs))
    codes.require_dtype(node, node.input(0), dtypes, "its first input")
    codes.require_dtype(node, node.input(1), (node.input(0).dtype,), "its second input")
    codes.require_dtype(node, node.output(), (node.input(0).dtype,), "its output")
    node.require(
        not (node.input(0).is_constant and node.input(1).is_constant),
        "one of its inputs must be computed",
        "two constants",
    )


def operands_of(node: Node, positions: tuple[int, int]) -> Operands:
    """Returns how the operands at some positions spread over the output."""
    first, second = (node.input(position) for position in positions)
    output = node.output().shape
    try:
        expected = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        expected = None
    node.require(
        expected == output and math.prod(output) > 0,
        "its output must have the shape that its inputs spread to",
        f"{node.input(0).shape} and {node.input(1).shape} to {output}",
    )
    loops = _loops(output, first.shape, second.shape)
    node.require(
        len(loops) <= _MOST_LOOPS,
        f"its inputs must spread along {_MOST_LOOPS} groups of axes at most",
        f"{first.shape} and {second.shape}",
    )
    computed = not (first.is_constant or second.is_constant)
    return Operands(positions, loops, computed and first.shape == second.shape == output)


def step_of(
    node: Node, operands: Operands, kernel: str, header: str, arguments: Struct, rounds: bool
) -> Lowered:
    """Returns the step of an operator.

    Args:
        node: The operator.
        operands: Its operands.
        kernel: Name of the kernel for plain operands; "...Broadcast" takes all.
        header: Where it is declared.
        arguments: What it takes, a Struct "...Args".
        rounds: Whether the kernel is a template of `Rounding`.
    """
    name = arguments.type.removesuffix("Args")
    if not operands.is_plain:
        word = {"Add": "add", "WeightedAdd": "add", "Multiply": "multiply"}[name]
        arguments = Struct(
            f"Broadcast{name}Args", {word: arguments, "broadcast": _spread(operands.loops)}
        )
        kernel = f"{kernel}Broadcast"
    return [
        Step(
            label=node.label,
            kernel=kernel,
            header=header,
            arguments=arguments,
            reads=tuple(_read(node, position) for position in operands.positions),
            writes=(node.outputs[0],),
            extent=Elements(math.prod(node.output().shape)) if operands.is_plain else None,
            rounds=rounds,
            in_place=tuple(
                (place, 0)
                for place, position in enumerate(operands.positions)
                if not node.input(position).is_constant
                and math.prod(node.input(position).shape) == math.prod(node.output().shape)
            ),
        )
    ]


def _spread(loops: np.ndarray) -> Struct:
    array = Array("loops", loops.reshape(-1))
    return Struct("Broadcast", {"loops": array, "loop_count": len(loops)})


def _read(node: Node, position: int) -> "int | Array":
    tensor = node.input(position)
    if not tensor.is_constant:
        return node.inputs[position]
    return Array(f"input{position}", node.constant(position).reshape(-1))


def _loops(output: tuple[int, ...], *inputs: tuple[int, ...]) -> np.ndarray:
    """Returns rows of count and steps; neighbors for which one loop does are joined."""
    rows: list[list[int]] = []
    for row in zip(output, *(_steps(output, shape) for shape in inputs), strict=True):
        if row[0] == 1:
            continue
        if rows and rows[-1][1:] == [step * row[0] for step in row[1:]]:
            rows[-1] = [rows[-1][0] * row[0], *row[1:]]
        else:
            rows.append([*row])
    return np.array(rows or [[1, *([1] * len(inputs))]], np.int32)


def _steps(output: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """Returns how far a step along each axis of the output goes in an operand."""
    padded = (*([1] * (len(output) - len(shape))), *shape)
    return [0 if size == 1 else math.prod(padded[axis + 1 :]) for axis, size in enumerate(padded)]
