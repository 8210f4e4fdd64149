"""Gradients of slices: PAD in place of TensorFlow's StridedSliceGrad, which no runtime has."""

from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from edgeax.formats.flatbuffer import Model, Operator, Subgraph

_NAME = "StridedSliceGrad"


def pad_slice_gradients(file: Model) -> None:
    """Makes gradients of slices of constant places built-in operators.

    One of a slice with steps, or with an ellipsis or a new axis, stays.
    """
    for graph in file.subgraphs:
        for operator in [one for one in graph.operators if one.name == _NAME]:
            pads = _pads(graph, operator)
            if pads is not None:
                _replace(file, graph, operator, pads)


def _pads(graph: Subgraph, operator: Operator) -> np.ndarray | None:
    """Returns int32 `(axes, 2)`: numbers in front of the slice and behind; None: it stays."""
    given = [graph.tensors[index] for index in operator.inputs[:4]]
    options: dict[str, Any] = flexbuffers.Loads(operator.custom_options)
    if not all(tensor.is_constant for tensor in given):
        return None
    shape, begins, ends, steps = (np.asarray(tensor.data).tolist() for tensor in given)
    if {*steps} != {1} or options.get("ellipsis_mask") or options.get("new_axis_mask"):
        return None
    pads = np.zeros((len(shape), 2), np.int32)
    for axis, (begin, end) in enumerate(zip(begins, ends, strict=True)):

        def is_in(mask: str, axis: int = axis) -> bool:
            return bool(options.get(mask, 0) >> axis & 1)

        size = shape[axis]
        if is_in("shrink_axis_mask"):
            first = begin % size
            pads[axis] = first, size - first - 1
            continue
        part = slice(
            None if is_in("begin_mask") else begin, None if is_in("end_mask") else end
        ).indices(size)
        pads[axis] = part[0], size - part[1]
    return pads


def _replace(file: Model, graph: Subgraph, operator: Operator, pads: np.ndarray) -> None:
    place, gradient = graph.operators.index(operator), operator.inputs[4]
    result = graph.tensors[operator.outputs[0]]
    part = tuple(
        int(size) - before - after
        for size, (before, after) in zip(result.shape, pads.tolist(), strict=True)
    )
    if graph.tensors[gradient].shape != part:  # the slice took an axis away
        whole = graph.add_state(f"{result.name}/part", result.dtype, part, is_variable=False)
        shape = graph.add_tensor(f"{result.name}/shape", np.array(part, np.int32))
        graph.insert(place, "RESHAPE", [gradient, shape], [whole])
        place, gradient = place + 1, whole
    inputs = (gradient, graph.add_tensor(f"{result.name}/pads", pads))
    file.replace_with_builtin(graph, place, "PAD", inputs, "PadOptions", {})
