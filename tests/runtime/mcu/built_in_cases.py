"""Files of one built-in operator: their steps as C++, and what interpreters give for them."""

import ctypes
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeax.formats import flatbuffer
from edgeax.runtime.mcu.cpp_values import TYPES
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.program import Alias, Array, Elements, Lowered, Step, Struct, Window
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import places, process
from tests.runtime.mcu import kernel_files
from tests.tflite_kernels.guarded import GuardedArrays
from tests.tflite_kernels.models import Model, Operator, Tensor

_RESOLVERS = {"double": OpResolverType.BUILTIN_REF, "single": OpResolverType.BUILTIN}


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One operator and what it reads.

    Attributes:
        file: The `.tflite` file.
        inputs: Contents of the inputs of its graph.
        rounding: "single" or "double".
    """

    file: bytes
    inputs: list[np.ndarray]
    rounding: str = "double"

    def lowered(self) -> Lowered:
        """What the handler makes of it."""
        node = node_of(self.file, self.rounding)
        return HANDLERS[node.operator.name](node)

    def expected(self) -> list[np.ndarray]:
        """The outputs of LiteRT, by its reference kernels for double rounding."""
        kind = _RESOLVERS[self.rounding]
        interpreter = Interpreter(
            model_content=self.file, experimental_op_resolver_type=kind, num_threads=1
        )
        interpreter.allocate_tensors()
        for details, values in zip(interpreter.get_input_details(), self.inputs, strict=True):
            interpreter.set_tensor(details["index"], values)
        interpreter.invoke()
        return [interpreter.get_tensor(it["index"]) for it in interpreter.get_output_details()]


def case(
    name: str,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    values: Sequence[np.ndarray],
    rounding: str = "double",
    version: int = 1,
    **options: Any,
) -> Case:
    """Returns a case.

    Args:
        name: The operator as the schema names it.
        inputs: Its inputs; those without data are inputs of the graph.
        outputs: Its outputs.
        values: Contents of the inputs of the graph.
        rounding: "single" or "double".
        version: Of the operator.
        **options: By the names of the schema; `table` is the name of their table.
    """
    model = Model()
    numbers = [-1 if tensor is None else model.add(tensor) for tensor in inputs]
    written = [model.add(tensor) for tensor in outputs]
    table = options.pop("table", None)
    kind, content = 0, None
    if table is not None:
        kind, content = getattr(schema.BuiltinOptions, table), getattr(schema, f"{table}T")()
        for key, value in options.items():
            setattr(content, key, value)
    builtin = getattr(schema.BuiltinOperator, name)
    model.operators.append(Operator(numbers, written, None, b"", builtin, content, kind, version))
    model.inputs = [i for i in numbers if i >= 0 and model.tensors[i].data is None]
    model.outputs = written
    return Case(model.write(), [*values], rounding)


def node_of(file: bytes, rounding: str = "double") -> Node:
    """Returns the only operator of a file."""
    graph = flatbuffer.Model.from_bytes(file).subgraphs[0]
    return Node(0, graph.operators[0], graph.tensors, TARGETS["host"], rounding)


class Library:
    """Cases compiled for this machine, by the portable kernels."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._cases = cases
        source, library = folder / "cases.cc", folder / "cases.so"
        source.write_text(text(cases))
        words = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
        words += [f"-I{places.REPOSITORY}", "-o", str(library)]
        process.compile_or_raise([*words, source, kernel_files.library()])
        self._library = ctypes.CDLL(str(library))

    def run(self, number: int, at_end: bool) -> list[np.ndarray]:
        """Returns the outputs of a case; memory ends, or begins, where the operator's ends."""
        chosen, place = self._cases[number], GuardedArrays(at_end)
        node = node_of(chosen.file, chosen.rounding)
        held = dict(
            zip(
                flatbuffer.Model.from_bytes(chosen.file).subgraphs[0].inputs,
                map(place, chosen.inputs),
                strict=True,
            )
        )
        for index in node.outputs:
            tensor = node.tensors[index]
            held[index] = place(np.full(tensor.shape, 85, tensor.dtype))
        for part in chosen.lowered():
            if isinstance(part, Alias):
                held[part.write] = held[part.read].reshape(node.tensors[part.write].shape)
            else:
                step = getattr(self._library, f"case_{number}")
                step(_addresses(held, part.values_read), _addresses(held, part.writes))
        return [held[index].reshape(node.tensors[index].shape) for index in node.outputs]


def check(folder: Path, cases: Sequence[Case]) -> None:
    """Checks that all cases give what LiteRT gives."""
    library = Library(folder, cases)
    for number, one in enumerate(cases):
        expected = one.expected()
        for at_end in (True, False):
            for output, wanted in zip(library.run(number, at_end), expected, strict=True):
                assert output.dtype == wanted.dtype
                np.testing.assert_array_equal(output, wanted, f"case {number}: {one.lowered()}")


def text(cases: Sequence[Case]) -> str:
    """Returns C++: of each case that has a step a function `case_N(reads, writes)`."""
    steps = {number: step_of(one) for number, one in enumerate(cases)}
    found = {number: step for number, step in steps.items() if step is not None}
    headers = sorted({step.header for step in found.values()})
    lines = [f'#include "tflite_kernels/micro/{header}"' for header in headers]
    lines += ["using namespace edgeax;", "using namespace edgeax::micro;"]
    for number, step in found.items():
        lines += _function(number, step, cases[number])
    return "\n".join(lines) + "\n"


def step_of(one: Case) -> Step | None:
    """Returns the only step of a case; None where it has an alias instead."""
    (part,) = one.lowered()
    return part if isinstance(part, Step) else None


def kernels(cases: Sequence[Case]) -> list[Path]:
    """Returns the sources of the kernels that the cases call."""
    steps = [step for step in map(step_of, cases) if step is not None]
    return kernel_files.sources(step.header for step in steps)


def _function(number: int, step: Step, one: Case) -> list[str]:
    node = node_of(one.file, one.rounding)
    arrays: list[str] = []

    def written(item: Any) -> str:
        if isinstance(item, Array):
            name = f"array_{number}_{len(arrays)}"
            arrays.append(constant(name, item.data, item.alignment))
            return name
        if isinstance(item, Struct):
            return f"{{{', '.join(map(written, item.fields.values()))}}}"
        return "nullptr" if item is None else literal(item)

    arguments = written(step.arguments)
    words = [f"arguments_{number}"]
    if isinstance(step.extent, Window):
        words.append(f"Rows{{0, {step.extent.output_rows}, 0}}")
    if isinstance(step.extent, Elements):
        words.append(str(step.extent.count))
    place = 0
    for value in step.reads:
        if isinstance(value, Array):
            words.append(written(value))
        else:
            words.append(_pointer(f"const {TYPES[node.tensors[value].dtype]}", "reads", place))
            place += 1
    for place, value in enumerate(step.writes):
        words.append(_pointer(TYPES[node.tensors[value].dtype], "writes", place))
    kind = f"<Rounding::k{one.rounding.capitalize()}>" if step.rounds else ""
    return [
        *arrays,
        f"constexpr {step.arguments.type} arguments_{number} = {arguments};",
        f'extern "C" void case_{number}(const void* const* reads, void* const* writes) {{',
        "  (void)reads;",
        f"  {step.kernel}{kind}({', '.join(words)});",
        "}",
    ]


def constant(name: str, data: np.ndarray, alignment: int = 4) -> str:
    """Returns an array as a C++ definition."""
    numbers = ", ".join(map(literal, data.reshape(-1).tolist()))
    kind = TYPES[data.dtype.name]
    return f"alignas({alignment}) constexpr {kind} {name}[] = {{{numbers}}};"


def literal(number: Any) -> str:
    """Returns a number, or another expression, as C++."""
    if isinstance(number, bool):
        return str(number).lower()
    if number == -(2**31):
        return "INT32_MIN"
    return f"{number!r}f" if isinstance(number, float) else str(number)


def _pointer(kind: str, where: str, place: int) -> str:
    return f"static_cast<{kind}*>({where}[{place}])"


def _addresses(held: dict[int, np.ndarray], values: Sequence[int]) -> Any:
    return (ctypes.c_void_p * max(len(values), 1))(*(held[value].ctypes.data for value in values))
