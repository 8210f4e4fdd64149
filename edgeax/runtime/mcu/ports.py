"""The inputs and outputs of a program as its C++ interface names them."""

import dataclasses

from edgeax.runtime.mcu import cpp_names
from edgeax.runtime.mcu.cpp_values import TYPES
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.program import Value

_OURS = {"invoke", "reset", "ram_bytes", "constant_bytes"}
_SUFFIXES = ("", "_size", "_scale", "_zero_point", "_in", "_out")


@dataclasses.dataclass(frozen=True)
class CppPort:
    """An input or output.

    Attributes:
        value: The value.
        name: Its C++ name.
        type: C++ type of its elements.
    """

    value: Value
    name: str
    type: str

    @property
    def elements(self) -> int:
        """Number of its elements."""
        size = 1
        for extent in self.value.shape:
            size *= extent
        return size


def ports_of(plan: Plan) -> tuple[list[CppPort], list[CppPort]]:
    """Returns the inputs and the outputs of a program, all under different names."""
    program = plan.program
    numbers = (*program.inputs, *program.outputs)
    defaults = ["input"] * len(program.inputs) + ["output"] * len(program.outputs)
    values = [program.values[number] for number in numbers]
    wanted = [cpp_names.identifier(v.name, d) for v, d in zip(values, defaults, strict=True)]
    taken = set(_OURS)
    ports = []
    for value, name in zip(values, wanted, strict=True):
        chosen = _free(name, taken)
        taken.update(chosen + suffix for suffix in _SUFFIXES)
        ports.append(CppPort(value, chosen, TYPES[value.dtype]))
    return ports[: len(program.inputs)], ports[len(program.inputs) :]


def _free(name: str, taken: set[str]) -> str:
    chosen, count = name, 1
    while any(chosen + suffix in taken for suffix in _SUFFIXES):
        count += 1
        chosen = f"{name}_{count}"
    return chosen


def place(plan: Plan, type_name: str, number: int, skip_bytes: int = 0, scope: str = "") -> str:
    """Returns the C++ expression for the memory of a value or of a local buffer.

    Args:
        plan: The plan.
        type_name: C++ type that it points to.
        number: Number of the value or of the buffer.
        skip_bytes: Bytes before it.
        scope: What stands before the names of the source's own, such as "model_program::".
    """
    buffer = plan.program.storage(number) if number >= 0 else number
    area, row = ("states", plan.states.get(buffer)) if buffer in plan.states else ("arena", None)
    row = row or plan.buffers[buffer]
    return f"{scope}At<{type_name}>({scope}{area}, {row.offset + skip_bytes})"
