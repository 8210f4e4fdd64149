"""Steps run on this machine without a program: the kernels as a shared library, called by ctypes.

Everything that a kernel reads ends at a forbidden page.
"""

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeax.runtime.mcu.program import Array, Elements, Step, Struct, Window
from tests.emulation import process
from tests.runtime.mcu import kernel_files
from tests.tflite_kernels.guarded import GuardedArrays

_TYPES = {"int8": "signed char", "int16": "short", "int32": "int", "float32": "float"}
_SPOILT = 77


def run(
    step: Step,
    inputs: Sequence[np.ndarray],
    output: tuple[tuple[int, ...], str],
    rounding: str = "double",
    in_place: int | None = None,
) -> np.ndarray:
    """Returns what a step writes.

    Args:
        step: With one output.
        inputs: Contents of its inputs in RAM, in the order of `reads`.
        output: Shape and type of the output.
        rounding: "single" or "double".
        in_place: A place among `reads` whose memory the output is.
    """
    extent = step.extent
    rows = (0, extent.output_rows, 0) if isinstance(extent, Window) else None
    return run_rows(step, inputs, output, rounding, rows, in_place)


def run_rows(
    step: Step,
    inputs: Sequence[np.ndarray],
    output: tuple[tuple[int, ...], str],
    rounding: str,
    rows: tuple[int, int, int] | None,
    in_place: int | None = None,
) -> np.ndarray:
    """Returns what a step writes of some output rows, its inputs beginning at row `rows[2]`."""
    memory = GuardedArrays(at_end=True)
    arguments = _placed(step.arguments, memory)
    words: list[Any] = [ctypes.byref(arguments)]
    if rows is not None:
        words.append(ctypes.byref((ctypes.c_int32 * 3)(*rows)))
    if isinstance(step.extent, Elements):
        words.append(step.extent.count)
    given = iter(inputs)
    reads = [memory(r.data if isinstance(r, Array) else next(given)) for r in step.reads]
    made = memory(np.full(output[0], _SPOILT, output[1]))
    if in_place is not None:
        made = reads[in_place]
    words += [ctypes.c_void_p(read.ctypes.data) for read in reads]
    words.append(ctypes.c_void_p(made.ctypes.data))
    if step.scratch_bytes:
        scratch = memory(np.full(step.scratch_bytes, _SPOILT, np.int8))
        words.append(ctypes.c_void_p(scratch.ctypes.data))
    function = _function(_signature(step, reads, made.dtype.name, rounding))
    function.restype = None
    function(*words)
    return made.reshape(-1)[: int(np.prod(output[0]))].reshape(output[0]).copy()


def _signature(step: Step, reads: Sequence[np.ndarray], output: str, rounding: str) -> str:
    kind = f"<(edgeax::Rounding){('single', 'double').index(rounding)}>" if step.rounds else ""
    words = [f"edgeax::micro::{step.arguments.type} const&"]
    words += ["edgeax::micro::Rows const&"] if isinstance(step.extent, Window) else []
    words += ["int"] if isinstance(step.extent, Elements) else []
    words += [f"{_TYPES[read.dtype.name]} const*" for read in reads]
    words += [f"{_TYPES[output]}*"] + ["void*"] * bool(step.scratch_bytes)
    return f"edgeax::micro::{step.kernel}{kind}({', '.join(words)})"


def _placed(struct: Struct, memory: GuardedArrays) -> ctypes.Structure:
    """Returns arguments as C has them, their constants in memory of their own."""
    fields: list[tuple[str, Any]] = []
    values: dict[str, Any] = {}
    for name, value in struct.fields.items():
        if isinstance(value, Struct):
            values[name] = _placed(value, memory)
            fields.append((name, type(values[name])))
        elif isinstance(value, Array):
            values[name] = memory(value.data).ctypes.data
            fields.append((name, ctypes.c_void_p))
        else:
            values[name] = value
            fields.append((name, ctypes.c_float if isinstance(value, float) else ctypes.c_int32))
    kind = type(struct.type, (ctypes.Structure,), {"_fields_": fields})
    return kind(**values)


def _function(signature: str) -> Any:
    library, names = _library()
    return library[names[signature]]


@functools.cache
def _library() -> tuple[ctypes.CDLL, dict[str, str]]:
    path = kernel_files.library()
    mangled, plain = (
        process.run(["nm", "-D", "--defined-only", *flag, path], timeout_s=60).output
        for flag in ([], ["-C"])
    )
    names = {}
    for left, right in zip(mangled.splitlines(), plain.splitlines(), strict=True):
        signature = right.split(maxsplit=2)[2].removeprefix("void ")
        names[signature] = left.split()[2]
    return ctypes.CDLL(str(path)), names
