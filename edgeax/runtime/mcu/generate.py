"""From a `.tflite` file to a folder of C++."""

import numbers
import os
from pathlib import Path

from edgeax.formats.rounding import KINDS
from edgeax.runtime.mcu import cmsis_nn, cpp_names, folder, read, report, vectors, write
from edgeax.runtime.mcu.choose import Choice, choose
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.program import Program
from edgeax.runtime.mcu.report import Report
from edgeax.runtime.mcu.targets import TARGETS

_NO_PICTURE = 'no picture of the plan without matplotlib: pip install "edgeax[plot]"'


def generate(
    source: str | os.PathLike[str] | bytes,
    out_dir: str | os.PathLike[str],
    target: str = "cortex-m4",
    ram_bytes: int | None = None,
    rounding: str = "double",
    name: str | None = None,
) -> Report:
    """Writes C++ that computes what a `.tflite` file does, without an interpreter.

    The folder gets `NAME.h` with typed entry points, `NAME.cc` and `NAME_constants.h`, the kernels
    that they need, `CMakeLists.txt` and `Makefile`, `NAME_test.cc` with `test_vectors.h`, and
    `NAME_plan.png`; for a Cortex-M also `NAME_cmsis_nn.cc`, the same program by CMSIS-NN for builds
    that set EDGEAX_USE_CMSIS_NN. The same file gives the same bytes.

    Args:
        source: Path of a full-integer `.tflite` file, or its bytes.
        out_dir: Folder to write; one that `generate` wrote before is replaced.
        target: "cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m55", "rv32" or "host".
        ram_bytes: The most static RAM that the program may take; None: no limit.
        rounding: "double" computes what TensorFlow Lite Micro does, "single" what LiteRT does.
        name: Namespace and stem of the files, a C++ name; None: after the file.

    Raises:
        ValueError: An argument is no good, or the file holds what no program can be generated for;
            nothing was written then.

    Example: `print(edgeax.mcu.generate("model.tflite", "generated", target="cortex-m4"))`.
    """
    check_options(target, ram_bytes, rounding)
    data, origin = content_of(source)
    name = cpp_names.program_name(Path(origin).stem) if name is None else name
    cpp_names.check_name(name)
    folder.check_folder(out_dir)
    program, choice = chosen(data, target, ram_bytes, rounding)
    placed = choice.plan
    second = cmsis_nn.second_program(data, target, ram_bytes, rounding)
    title = Title(name, origin, target, rounding)
    drawn = vectors.drawn_vectors(data, program, rounding)
    files, constant_bytes, second_bytes = write.files_of(
        title, placed, TARGETS[target], drawn, second.plan
    )
    folder.write_folder(out_dir, files)
    return Report(
        folder=os.fspath(out_dir),
        files=tuple(sorted(files)),
        target=target,
        rounding=rounding,
        ram_bytes=placed.ram_bytes,
        state_bytes=placed.state_bytes,
        constant_bytes=constant_bytes,
        steps=report.steps_of(placed),
        cmsis_nn=None if second.plan is None else report.by_cmsis_nn(second.plan, second_bytes),
        notes=(
            *_cost(choice),
            *([f"no program by CMSIS-NN: {second.why_not}"] if second.why_not else []),
            *(() if f"{name}_plan.png" in files else (_NO_PICTURE,)),
        ),
    )


def chosen(
    data: bytes, target: str, ram_bytes: int | None, rounding: str
) -> tuple[Program, Choice]:
    """Returns the program of a file and the plan for it; arguments as of `generate`."""
    program = read.read_program(data, TARGETS[target], rounding)
    thrifty = read.read_program(data, TARGETS[target], rounding, is_thrifty=True)
    return program, choose(program, TARGETS[target], ram_bytes, thrifty)


def check_options(target: str, ram_bytes: int | None, rounding: str) -> None:
    """Checks what `generate` takes besides files.

    Raises:
        ValueError: One is no good.
    """
    if target not in TARGETS:
        raise ValueError(
            f"`target` must be one of {', '.join(TARGETS)}. Received: {target!r}. Use the nearest "
            "core; host suits any processor."
        )
    if rounding not in KINDS:
        raise ValueError(
            f"`rounding` must be one of {', '.join(KINDS)}. Received: {rounding!r}. Use double "
            "for TensorFlow Lite Micro's integers, single for LiteRT's."
        )
    is_whole = isinstance(ram_bytes, numbers.Integral) and not isinstance(ram_bytes, bool)
    if ram_bytes is not None and (not is_whole or ram_bytes < 1):
        raise ValueError(
            "`ram_bytes` must be a positive whole number, or None. Received: "
            f"{ram_bytes!r}. Leave it out for no limit."
        )


def content_of(source: str | os.PathLike[str] | bytes) -> tuple[bytes, str]:
    """Returns the bytes of a file, and a name for people."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "model"
    path = Path(source)
    if not path.is_file():
        raise ValueError(
            f"`source` must be a .tflite file or its bytes. Received: {str(path)!r}, which is no "
            "file. Check the spelling."
        )
    return path.read_bytes(), path.name


def _cost(choice: Choice) -> list[str]:
    """Returns what stripes of rows cost, in words."""
    if not choice.cost:
        return []
    return [
        f"stripes of rows cost about {choice.cost:,.0f} instructions, {choice.share:.2%} of all "
        "(estimated)"
    ]
