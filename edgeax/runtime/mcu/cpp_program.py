"""A placed program as C++: its header and its source."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from edgeax._version import __version__
from edgeax.formats.tables import text_table
from edgeax.runtime.mcu import cmsis_nn, cpp_stripes
from edgeax.runtime.mcu.cpp_names import comment
from edgeax.runtime.mcu.cpp_values import TYPES, Constants, literal
from edgeax.runtime.mcu.folder import MARK
from edgeax.runtime.mcu.plan import Buffer, Call, Place, Plan, Stage
from edgeax.runtime.mcu.ports import CppPort, place, ports_of
from edgeax.runtime.mcu.program import Step
from edgeax.runtime.mcu.targets import TARGETS


@dataclasses.dataclass(frozen=True)
class Title:
    """Who a program is.

    Attributes:
        name: Its namespace, and the stem of its files.
        origin: The file that it was generated from, for people.
        target: Name of the processor.
        rounding: "single" or "double".
        by_cmsis_nn: Whether CMSIS-NN computes it, beside a program that we compute, or the other
            way round; None: it has no twin.
    """

    name: str
    origin: str
    target: str
    rounding: str
    by_cmsis_nn: bool | None = None

    @property
    def stem(self) -> str:
        """The stem of the files of its own."""
        return f"{self.name}_cmsis_nn" if self.by_cmsis_nn else self.name

    def only(self, text: str) -> str:
        """Returns a text of C++ for builds of this program."""
        if self.by_cmsis_nn is None:
            return text
        word = "ifdef" if self.by_cmsis_nn else "ifndef"
        return f"#{word} {cmsis_nn.MACRO}\n\n{text}\n\n#endif  // {cmsis_nn.MACRO}\n"

    def line(self, file: str) -> str:
        """Returns what the first comment of a file says."""
        origin = comment(self.origin)
        return (
            f"{file}: {origin} for {self.target}, {self.rounding} rounding, {MARK} {__version__}."
        )

    def head(self, file: str) -> str:
        """Returns the first comment of a file of C++."""
        return f"// {self.line(file)}"


def constants_of(plan: Plan) -> tuple[Constants, list[str]]:
    """Returns the constants of a program, and the calls that use them as C++ statements."""
    constants, calls = calls_of(plan)
    return constants, [line for lines in calls for line in lines]


def calls_of(plan: Plan) -> tuple[Constants, list[list[str]]]:
    """Returns the constants of a program, and the statements of each stage."""
    constants = Constants()
    arguments: dict[int, str] = {}
    calls = []
    for number, stage in enumerate(plan.stages):
        for call in stage.calls:
            if id(call.step) not in arguments:
                arguments[id(call.step)] = constants.arguments(number, call.step.arguments)
        lines = _stage(plan, stage, number, constants, arguments)
        calls.append([f"  // {number}: {comment(stage.label)}", *lines])
    return constants, calls


def headers_of(plan: Plan) -> list[str]:
    """Returns the headers of tflite_kernels/micro that a program needs."""
    headers = {"types.h", *(call.step.header for stage in plan.stages for call in stage.calls)}
    if any(stage.run is not None for stage in plan.stages):
        headers.add(cpp_stripes.HEADER)
    return sorted(headers)


def header(
    title: Title, plan: Plan, constant_bytes: int, twin: tuple[Plan, int] | None = None
) -> str:
    """Returns the header of a program.

    Args:
        title: Who it is.
        plan: Its plan.
        constant_bytes: Bytes of its constants.
        twin: The same two of its twin by CMSIS-NN.
    """
    inputs, outputs = ports_of(plan)
    parts = [
        f"#pragma once\n{title.head(f'{title.name}.h')}",
        "#include <stddef.h>\n#include <stdint.h>",
        f"namespace {title.name} {{",
        _sizes(plan, constant_bytes)
        if twin is None
        else f"#ifdef {cmsis_nn.MACRO}  // see Makefile or CMakeLists.txt\n{_sizes(*twin)}\n"
        f"#else\n{_sizes(plan, constant_bytes)}\n#endif",
        *(_port(port, "Input", port.type) for port in inputs),
        *(_port(port, "Output", f"const {port.type}") for port in outputs),
        "// Computes the outputs from what the inputs hold. What the inputs held is lost: write "
        "all of\n// them again before the next call. Outputs stay until inputs are written.\n"
        "void invoke();",
        f"// The same from and to memory of yours.\nvoid invoke({_parameters(inputs, outputs)});",
    ]
    if plan.states:
        parts.append(
            "// Gives all state its first content. Call it once before the first invoke.\n"
            "void reset();"
        )
    return "\n\n".join([*parts, f"}}  // namespace {title.name}\n"])


def _sizes(plan: Plan, constant_bytes: int) -> str:
    return (
        f"// Static RAM: {plan.arena_bytes} bytes of activations and scratch, {plan.state_bytes} "
        "of state.\n"
        f"constexpr size_t ram_bytes = {plan.ram_bytes};\n"
        "// Weights and other arrays in flash.\n"
        f"constexpr size_t constant_bytes = {constant_bytes};"
    )


def constants_text(title: Title, plan: Plan, constants: Constants) -> str:
    """Returns the file that holds the constants."""
    headers = headers_of(plan)
    includes = "\n".join(f'#include "tflite_kernels/micro/{name}"' for name in headers)
    return "\n\n".join(
        [
            f"#pragma once\n{title.head(f'{title.stem}_constants.h')}",
            includes,
            f"namespace {title.name}_program {{\nnamespace {{",
            "using namespace edgeax;\nusing namespace edgeax::micro;",
            constants.text,
            f"}}  // namespace\n}}  // namespace {title.name}_program\n",
        ]
    )


def source(title: Title, plan: Plan, calls: Sequence[str], reset: str) -> str:
    """Returns the source of a program, `reset` being its function `Reset` or empty."""
    kind = {"single": "kSingle", "double": "kDouble"}[title.rounding]
    rounds = any(call.step.rounds for stage in plan.stages for call in stage.calls)
    memory = [f"alignas(16) uint8_t arena[{max(plan.arena_bytes, 1)}];"]
    if plan.states:
        memory.append(f"alignas(16) uint8_t states[{plan.state_bytes}];")
    head = f"{title.head(f'{title.stem}.cc')}\n{plan_comment(plan)}"
    parts = [
        f'#include "{title.name}.h"\n\n#include "{title.stem}_constants.h"',
        *([_refusals(title)] if title.by_cmsis_nn else []),
        f"namespace {title.name}_program {{\nnamespace {{",
        *([f"constexpr Rounding kRounding = Rounding::{kind};"] if rounds else []),
        "\n".join(memory),
        "template <typename T>\nT* At(uint8_t* memory, size_t offset) {\n"
        "  return reinterpret_cast<T*>(memory + offset);\n}",
        "\n".join(["void Run() {", *calls, "}"]),
        *([reset] if reset else []),
        f"}}  // namespace\n}}  // namespace {title.name}_program",
        f"namespace {title.name} {{",
        *_entries(plan, f"{title.name}_program::"),
        f"}}  // namespace {title.name}" + ("\n" if title.by_cmsis_nn is None else ""),
    ]
    body = "\n\n".join(part for part in parts if part)
    return f"{head}\n\n{title.only(body)}"


def _refusals(title: Title) -> str:
    """Returns what refuses processors for which CMSIS-NN's scratch was not planned."""
    core = TARGETS[title.target]
    macros = [] if core.has_helium else ["__ARM_FEATURE_MVE"]
    macros += [] if core.has_dsp else ["__ARM_FEATURE_DSP"]
    return "\n".join(
        f'#ifdef {macro}\n#error "planned for {title.target}: generate it for this processor"'
        "\n#endif"
        for macro in macros
    )


def plan_comment(plan: Plan) -> str:
    """Returns the plan of every buffer, and what CMSIS-NN computes, as a comment."""
    theirs, ours = cmsis_nn.shares(plan)
    told = [f"// CMSIS-NN computes {cmsis_nn.told(theirs, ours)}."] if theirs else []
    lines = [
        *told,
        f"// Plan of {plan.arena_bytes} bytes of activations and scratch; "
        f"{plan.live_bytes} live at once.",
    ]
    lines += _table(plan.buffers.values())
    if plan.states:
        lines += [f"//\n// Plan of {plan.state_bytes} bytes of state."]
        lines += _table(plan.states.values())
    return "\n".join(lines)


def _table(buffers: Iterable[Buffer]) -> list[str]:
    rows = [
        {
            "address": buffer.offset,
            "bytes": buffer.size_bytes,
            "first step": buffer.first,
            "last step": buffer.last,
            "what": comment(buffer.name),
        }
        for buffer in sorted(buffers, key=lambda b: (b.first, b.offset, b.number))
    ]
    return [f"//   {line}" for line in text_table(rows).splitlines()]


def call_text(step: Step, arguments: str, extent: str, pointers: Sequence[str]) -> str:
    """Returns a call of a step's kernel.

    Args:
        step: The step.
        arguments: C++ name of its arguments.
        extent: What part of the output it computes: `Rows` or a count of elements; empty for
            kernels that take neither.
        pointers: Inputs, outputs and scratch.
    """
    kernel = f"{step.kernel}<kRounding>" if step.rounds else step.kernel
    words = [arguments, *([extent] if extent else []), *pointers]
    return f"{kernel}({', '.join(words)});"


def _stage(
    plan: Plan, stage: Stage, number: int, constants: Constants, arguments: Mapping[int, str]
) -> list[str]:
    """Returns the statements that compute a stage."""

    def text(call: Call, extent: str, reads: Sequence[str], writes: Sequence[str]) -> str:
        images = iter(reads)
        words = [
            next(images) if isinstance(where, Place) else constants.array(number, where)
            for where in call.reads
        ]
        words += writes
        if call.scratch is not None:
            words.append(place(plan, "void", call.scratch.buffer, call.scratch.skip_bytes))
        return call_text(call.step, arguments[id(call.step)], extent, words)

    if stage.run is not None:
        return cpp_stripes.loop(plan, stage, stage.run, text)
    return [f"  {_call(plan, call, text)}" for call in stage.calls]


def _call(plan: Plan, call: Call, text: cpp_stripes.CallText) -> str:
    step = call.step
    reads = [
        _place(plan, value, where)
        for value, where in zip(step.reads, call.reads, strict=True)
        if isinstance(where, Place)
    ]
    writes = [_place(plan, *pair) for pair in zip(step.writes, call.writes, strict=True)]
    extent = "" if call.count is None else str(call.count)
    if call.rows is not None:
        extent = f"{{{', '.join(map(str, call.rows))}}}"
    return text(call, extent, reads, writes)


def _place(plan: Plan, value: object, where: Place) -> str:
    kind = TYPES[plan.program.values[value].dtype] if isinstance(value, int) else "void"
    return place(plan, kind, where.buffer, where.skip_bytes)


def _port(port: CppPort, what: str, type_name: str) -> str:
    value = port.value
    lines = [f"// {what} {comment(repr(value.name))}: {value.dtype} {list(value.shape)}."]
    if value.scale is not None:
        lines[0] = lines[0][:-1] + f", real = {port.name}_scale * (code - {port.name}_zero_point)."
        lines.append(f"constexpr float {port.name}_scale = {literal(value.scale)};")
        lines.append(f"constexpr int32_t {port.name}_zero_point = {value.zero_point};")
    lines.append(f"constexpr size_t {port.name}_size = {port.elements};  // elements")
    lines.append(f"{type_name}* {port.name}();")
    return "\n".join(lines)


def _parameters(inputs: Sequence[CppPort], outputs: Sequence[CppPort]) -> str:
    words = [f"const {port.type}* {port.name}_in" for port in inputs]
    return ", ".join([*words, *(f"{port.type}* {port.name}_out" for port in outputs)])


def _entries(plan: Plan, scope: str) -> list[str]:
    inputs, outputs = ports_of(plan)
    entries = []
    for port in (*inputs, *outputs):
        const = "const " if port in outputs else ""
        memory = place(plan, port.type, port.value.index, scope=scope)
        entries.append(f"{const}{port.type}* {port.name}() {{ return {memory}; }}")
    entries.append(f"void invoke() {{ {scope}Run(); }}")
    lines = [f"void invoke({_parameters(inputs, outputs)}) {{"]
    lines += [f"  __builtin_memcpy({p.name}(), {p.name}_in, {_bytes(p)});" for p in inputs]
    lines.append("  invoke();")
    lines += [f"  __builtin_memcpy({p.name}_out, {p.name}(), {_bytes(p)});" for p in outputs]
    entries.append("\n".join([*lines, "}"]))
    if plan.states:
        entries.append(f"void reset() {{ {scope}Reset(); }}")
    return entries


def _bytes(port: CppPort) -> str:
    return f"{port.name}_size * sizeof({port.type})"
