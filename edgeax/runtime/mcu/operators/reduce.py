"""MEAN, SUM, REDUCE_MAX and REDUCE_MIN."""

import functools
import math

import numpy as np

from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_MOST_LOOPS = 4  # kMostReduceLoops of micro/loops.h


def mean(node: Node) -> Lowered:
    """Returns the step of a MEAN."""
    return _reduce(node, is_mean=True)


def total(node: Node) -> Lowered:
    """Returns the step of a SUM."""
    return _reduce(node, is_mean=False)


def extreme_of(node: Node, sign: int) -> Lowered:
    """Returns the step of a REDUCE_MAX, `sign` 1, or a REDUCE_MIN, of the codes as they are."""
    _, kept, reduced = _ways(node)
    into, out = (codes.meaning_of(node, tensor) for tensor in (node.input(0), node.output()))
    node.require(
        into == out, "its input and output must have one scale and zero point", (into, out)
    )
    return [
        Step(
            label=node.label,
            kernel="ReduceExtreme",
            header="reduce_extreme.h",
            arguments=Struct("ReduceExtremeArgs", {"sign": sign, "kept": kept, "reduced": reduced}),
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
        )
    ]


def _ways(node: Node) -> tuple[set[int], Struct, Struct]:
    """Returns the axes that vanish, and the loops over those that stay and those that do not."""
    x, output = node.input(0), node.output()
    codes.require_dtype(node, x, ("int8", "int16"), "its input")
    codes.require_dtype(node, output, (x.dtype,), "its output")
    axes = _axes(node)
    _check_shape(node, axes)
    kept, reduced = (_loops(x.shape, axes, wanted) for wanted in (False, True))
    node.require(
        max(len(kept), len(reduced)) <= _MOST_LOOPS, "its axes must alternate less", sorted(axes)
    )
    return axes, _struct("kept", kept), _struct("reduced", reduced)


def _reduce(node: Node, is_mean: bool) -> Lowered:
    x, output = node.input(0), node.output()
    axes, kept, reduced = _ways(node)
    count = math.prod(x.shape[axis] for axis in axes)
    bits = 8 if x.dtype == "int8" else 16
    node.require(0 < count < 2 ** (31 - bits), f"it must sum below {2 ** (31 - bits)}", count)
    zero_point = codes.zero_point_of(node, x, "its input")
    ends = np.iinfo(x.dtype)
    arguments = Struct(
        "ReduceArgs",
        {
            "kept": kept,
            "reduced": reduced,
            "bias": -zero_point * count,
            "factor": _factor(node, count if is_mean else None),
            "output_zero_point": codes.zero_point_of(node, output, "its output"),
            "clamp": Struct("Clamp", {"min": int(ends.min), "max": int(ends.max)}),
        },
    )
    return [
        Step(
            label=node.label,
            kernel="Reduce",
            header="reduce.h",
            arguments=arguments,
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
            rounds=x.dtype == "int8" or not is_mean,
        )
    ]


def _axes(node: Node) -> set[int]:
    axes = node.constant(1)
    node.require(axes.dtype == np.int32, "its axes must be int32", axes.dtype.name)
    rank = len(node.input(0).shape)
    node.require(
        bool(np.all((axes >= -rank) & (axes < rank))),
        f"its axes must lie in [{-rank}, {rank - 1}]",
        axes.reshape(-1).tolist(),
    )
    return {int(axis) % rank for axis in axes.reshape(-1)}


def _check_shape(node: Node, axes: set[int]) -> None:
    shape, keep = node.input(0).shape, bool(node.options["keep_dims"])
    expected = tuple(
        1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes
    )
    node.require(
        node.output().shape == expected,
        f"its output must have the shape {expected}",
        node.output().shape,
    )


def _loops(shape: tuple[int, ...], axes: set[int], wanted: bool) -> list[list[int]]:
    """Returns count and step of the axes that are summed, or that are not, neighbors joined."""
    loops: list[list[int]] = []
    for axis, size in enumerate(shape):
        step = math.prod(shape[axis + 1 :])
        if (axis in axes) is not wanted or size == 1:
            continue
        if loops and loops[-1][1] == step * size:
            loops[-1] = [loops[-1][0] * size, step]
        else:
            loops.append([size, step])
    return loops or [[1, 1]]


def _struct(name: str, loops: list[list[int]]) -> Struct:
    data = np.array(loops, np.int32).reshape(-1)
    return Struct("Loops", {"loops": Array(name, data), "count": len(loops)})


def _factor(node: Node, count: int | None) -> Struct:
    """Returns the ratio of the scales, of a mean divided by `count` as TFLite divides it."""
    scale = codes.scale_of(node, node.input(0), "its input")
    multiplier, shift = quantize_multiplier(
        scale / codes.scale_of(node, node.output(), "its output")
    )
    if count is not None:
        left = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << left) // count, shift - left
    return codes.requantization(multiplier, shift)


HANDLERS = {
    "MEAN": mean,
    "REDUCE_MAX": functools.partial(extreme_of, sign=1),
    "REDUCE_MIN": functools.partial(extreme_of, sign=-1),
    "SUM": total,
}
