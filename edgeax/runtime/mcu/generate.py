"""From a `.tflite` file to a folder of C++."""

import os
from pathlib import Path

from edgeax.formats.rounding import KINDS
from edgeax.runtime.mcu import cpp_names, plan, read, vectors, write
from edgeax.runtime.mcu.cpp_program import Text
from edgeax.runtime.mcu.targets import TARGETS


def generate(
    source: str | os.PathLike[str] | bytes,
    out_dir: str | os.PathLike[str],
    target: str = "cortex-m4",
    ram_bytes: int | None = None,
    rounding: str = "double",
    name: str | None = None,
) -> None:
    """Writes a program that computes what a `.tflite` file does."""
    data = bytes(source) if isinstance(source, bytes) else Path(source).read_bytes()
    origin = "model" if isinstance(source, bytes) else Path(source).name
    name = name or cpp_names.identifier(Path(origin).stem, "model")
    cpp_names.check_name(name)
    program = read.read_program(data, TARGETS[target], rounding)
    placed = plan.plan(program, plan.stages_of(program))
    text = Text(name, origin, target, rounding)
    files, constant_bytes = write.files_of(
        text, placed, TARGETS[target], vectors.drawn_vectors(data, program, rounding)
    )
    write.write_folder(out_dir, files)
