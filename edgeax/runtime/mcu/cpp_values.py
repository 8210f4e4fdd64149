"""Constants of a program as C++: arrays and the arguments of kernels."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from edgeax.runtime.mcu import cpp_names
from edgeax.runtime.mcu.program import Array, Step, Struct

TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "bool": "bool",
    "float32": "float",
}
_LINE = 100
Field = int | float | str | Struct | Array | None


class Constants:
    """The constants of a program under names of their own; equal ones are written once."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int, bytes], str] = {}
        self._taken: set[str] = set()
        self._text: list[str] = []
        self.size_bytes = 0

    def array(self, step: int, array: Array) -> str:
        """Returns the C++ name of an array that a step uses."""
        data = np.ascontiguousarray(array.data)
        key = (data.dtype.name, array.alignment, data.tobytes())
        if key not in self._names:
            self._names[key] = self._new_name(f"k{step}_{array.name}")
            self._text.append(_definition(self._names[key], data, array.alignment))
            self.size_bytes += data.nbytes
        return self._names[key]

    def arguments(self, step: int, struct: Struct) -> str:
        """Returns the C++ name of the arguments of a step."""
        name = self._new_name(f"k{step}_args")
        fields = [(key, self._field(step, value)) for key, value in struct.fields.items()]
        lines = [f"    {value},  // {key}" for key, value in fields]
        text = "\n".join([f"constexpr {struct.type} {name} = {{", *lines, "};"])
        self._text.append(text)
        return name

    @property
    def text(self) -> str:
        """All definitions."""
        return "\n\n".join(self._text)

    def _new_name(self, name: str) -> str:
        (chosen,) = cpp_names.unique([name], self._taken)
        self._taken.add(chosen)
        return chosen

    def _field(self, step: int, value: Field) -> str:
        if value is None:
            return "nullptr"
        if isinstance(value, Struct):
            return f"{{{', '.join(self._field(step, inner) for inner in value.fields.values())}}}"
        if isinstance(value, Array):
            return self.array(step, value)
        return value if isinstance(value, str) else literal(value)


def array_bytes(step: Step) -> int:
    """Returns the bytes of the arrays that a step uses."""
    arrays = [read for read in step.reads if isinstance(read, Array)]
    waiting: list[Field] = [step.arguments]
    while waiting:
        field = waiting.pop()
        if isinstance(field, Struct):
            waiting += field.fields.values()
        elif isinstance(field, Array):
            arrays.append(field)
    return sum(array.data.nbytes for array in arrays)


def literal(value: int | float | np.generic) -> str:
    """Returns a number as C++ source."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return _whole(int(value))
    return _real(float(value))


def rows(values: Iterable[str], indent: str = "    ") -> Iterator[str]:
    """Yields lines of values, each followed by a comma."""
    line = indent
    for value in values:
        if len(line) + len(value) + 1 > _LINE:
            yield line.rstrip()
            line = indent
        line += f"{value}, "
    if line.strip():
        yield line.rstrip()


def array_text(data: np.ndarray) -> str:
    """Returns the elements of an array as lines of C++."""
    flat = data.reshape(-1)
    if flat.dtype.kind in "iu" and flat.itemsize < 4:
        return "\n".join(rows(map(str, flat.tolist())))
    return "\n".join(rows(literal(value) for value in flat))


def _whole(value: int) -> str:
    if value in (-(2**31), -(2**63)):  # a minus is no part of a C++ number
        return f"INT{value.bit_length()}_MIN"
    if -(2**31) < value < 2**31:
        return str(value)
    return f"{value}u" if 0 < value < 2**32 else f"{value}ll"


def _real(value: float) -> str:
    if not math.isfinite(value):
        sign = "-" if value < 0 else ""
        return '__builtin_nanf("")' if math.isnan(value) else f"{sign}__builtin_inff()"
    text = f"{value:.9g}"
    return f"{text}f" if any(c in text for c in ".e") else f"{text}.0f"


def _definition(name: str, data: np.ndarray, alignment: int) -> str:
    kind = TYPES[data.dtype.name]
    return (
        f"alignas({alignment}) constexpr {kind} {name}[{data.size}] = {{\n{array_text(data)}\n}};"
    )
