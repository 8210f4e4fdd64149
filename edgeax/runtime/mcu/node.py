"""One operator of a file as the handlers of `operators/` see it."""

import dataclasses
from typing import Any, NoReturn

import numpy as np

from edgeax.formats import flatbuffer
from edgeax.runtime.mcu.program import Value
from edgeax.runtime.mcu.targets import Target

Borders = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below an image, and columns left and right of it."""

NO_BORDERS: Borders = ((0, 0), (0, 0))


@dataclasses.dataclass(frozen=True)
class Node:
    """An operator with its tensors.

    Attributes:
        index: Its place among the operators of the graph.
        operator: The operator in the file.
        tensors: All tensors of the graph.
        target: The processor that the program is for.
        rounding: "single" or "double", see `formats.rounding`.
        borders: Zeros around the first input that the operator sees, but the tensor has not.
        is_thrifty: Whether its kernel should take little scratch, though it is slower then.
    """

    index: int
    operator: flatbuffer.Operator
    tensors: list[flatbuffer.Tensor]
    target: Target
    rounding: str
    borders: Borders = NO_BORDERS
    is_thrifty: bool = False

    @property
    def label(self) -> str:
        """Its place, name, and the name of what it writes."""
        output = self.tensors[self.operator.outputs[0]].name if self.operator.outputs else ""
        return f"{self.index} {self.operator.name}, {output}"

    @property
    def options(self) -> dict[str, Any]:
        """Options of a built-in operator, see `flatbuffer.Operator.options`.

        Asked for one that the file has not, they fail like `fail`.
        """
        return _Options(self)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Numbers of the input tensors, -1 = absent."""
        return self.operator.inputs

    @property
    def outputs(self) -> tuple[int, ...]:
        """Numbers of the output tensors."""
        return self.operator.outputs

    def has_input(self, position: int) -> bool:
        """Returns whether there is an input at a position."""
        return position < len(self.inputs) and self.inputs[position] >= 0

    def input(self, position: int) -> flatbuffer.Tensor:
        """Returns an input tensor; it must be there."""
        if not self.has_input(position):
            self.fail(f"it must have an input {position}", f"{len(self.inputs)} inputs")
        return self.tensors[self.inputs[position]]

    def output(self, position: int = 0) -> flatbuffer.Tensor:
        """Returns an output tensor; it must be there."""
        if position >= len(self.outputs):
            self.fail(f"it must have an output {position}", f"{len(self.outputs)} outputs")
        return self.tensors[self.outputs[position]]

    def value(self, tensor: int) -> Value:
        """Returns what a program knows of a tensor in RAM."""
        return value_of(tensor, self.tensors[tensor])

    def constant(self, position: int) -> np.ndarray:
        """Returns the content of a constant input, in its shape."""
        tensor = self.input(position)
        data = tensor.data
        if data is None:
            self.fail(f"input {position} must be a constant", f"{tensor.name!r}, computed")
        return data

    def require(self, holds: bool, rule: str, received: Any, way_out: str = "") -> None:
        """Fails unless `holds`."""
        if not holds:
            self.fail(rule, received, way_out)

    def fail(self, rule: str, received: Any, way_out: str = "") -> NoReturn:
        """Raises what cannot be generated, with the operator's place.

        Args:
            rule: What must hold, beginning with what must: "its input must be int8".
            received: What the file has.
            way_out: What to do about it.

        Raises:
            ValueError: always.
        """
        way_out = way_out or "Change the model, or run the file in an interpreter."
        raise ValueError(f"operator {self.label}: {rule}. Received: {received}. {way_out}")


class _Options(dict[str, Any]):
    """Options of an operator that must have them."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.operator.options)
        self._node = node

    def __missing__(self, name: str) -> NoReturn:
        self._node.fail(f"it must have the option {name}", "none of this name")


def value_of(index: int, tensor: flatbuffer.Tensor) -> Value:
    """Returns what a program knows of a tensor in RAM."""
    per_tensor = tensor.scale is not None and tensor.scale.size == 1
    zero_point = 0 if tensor.zero_point is None else int(tensor.zero_point[0])
    return Value(
        index=index,
        name=tensor.name,
        dtype=tensor.dtype,
        shape=tensor.shape,
        scale=float(tensor.scale[0]) if per_tensor and tensor.scale is not None else None,
        zero_point=zero_point,
        is_state=tensor.is_variable,
        initial=zero_point if tensor.dtype == "int8" else 0,
    )
