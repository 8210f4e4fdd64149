"""BATCH_MATMUL."""

import math

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, operands
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_MOST_DEPTH = 2**14  # products of 255 * 255 that int32 holds, and of int16 that int64 holds


def batch_matmul(node: Node) -> Lowered:
    """Returns the step of a BATCH_MATMUL."""
    operands.check_counts(node, 2)
    first, second, output = node.input(0), node.input(1), node.output()
    operands.check_types(node, operands.CODES, first, second, output)
    node.require(
        min(len(first.shape), len(second.shape)) >= 2,
        "its inputs must have at least 2 axes",
        f"{first.shape} and {second.shape}",
    )
    *before, rows, depth = _turned(first.shape, bool(node.options["adj_x"]))
    *behind, height, columns = _turned(second.shape, bool(node.options["adj_y"]))
    node.require(depth == height, f"its second input must have {depth} rows", height)
    node.require(depth <= _MOST_DEPTH, f"it must sum at most {_MOST_DEPTH} products", depth)
    batches = _batches(node, tuple(before), tuple(behind))
    operands.check_shape(node, output, (*batches, rows, columns))
    starts = [
        _starts(shape[:-2], batches) * (shape[-2] * shape[-1])
        for shape in (first.shape, second.shape)
    ]
    row, step = (1, rows) if node.options["adj_x"] else (depth, 1)
    column, down = (depth, 1) if node.options["adj_y"] else (1, columns)
    scale = np.float32(codes.scale_of(node, first, "its first input"))
    product = float(scale * np.float32(codes.scale_of(node, second, "its second input")))
    arguments = Struct(
        "BatchMatMulArgs",
        {
            "batches": math.prod(batches),
            "rows": rows,
            "depth": depth,
            "columns": columns,
            "first_row": row,
            "first_step": step,
            "second_column": column,
            "second_step": down,
            "first_zero_point": codes.zero_point_of(node, first, "its first input"),
            "second_zero_point": codes.zero_point_of(node, second, "its second input"),
            "output_zero_point": codes.zero_point_of(node, output, "its output"),
            "factor": codes.factor(product / codes.scale_of(node, output, "its output")),
            "starts": Array("starts", np.stack(starts, axis=1).astype(np.int32).reshape(-1)),
        },
    )
    return [
        Step(
            label=node.label,
            kernel="BatchMatMul",
            header="batch_matmul.h",
            arguments=arguments,
            reads=(operands.read(node, 0), operands.read(node, 1)),
            writes=(node.outputs[0],),
            rounds=True,
            macs=math.prod(output.shape) * depth,
        )
    ]


def _turned(shape: tuple[int, ...], is_turned: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if is_turned else shape


def _batches(node: Node, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        return node.fail("its batches must suit each other", f"{first} and {second}")


def _starts(own: tuple[int, ...], batches: tuple[int, ...]) -> np.ndarray:
    """Returns, for each batch, the number of the matrix that it reads."""
    numbers = np.arange(math.prod(own)).reshape(own)
    return np.broadcast_to(numbers, batches).reshape(-1)


HANDLERS = {"BATCH_MATMUL": batch_matmul}
