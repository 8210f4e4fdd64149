"""The files of a generated program."""

import dataclasses
from collections.abc import Sequence

from edgeax.runtime.mcu import build_files, cpp_program, cpp_reset, kernels, picture, self_test
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.targets import Target
from edgeax.runtime.mcu.vectors import Vector


def files_of(
    title: Title,
    plan: Plan,
    target: Target,
    vectors: Sequence[Vector],
    second: Plan | None = None,
) -> tuple[dict[str, bytes], int, int]:
    """Returns the content of all files by path, and the bytes of the constants of both programs.

    The picture is left out where matplotlib is missing.

    Args:
        title: Who the program is.
        plan: Its plan.
        target: The processor.
        vectors: What its test compares.
        second: The plan of the same program by CMSIS-NN; None: there is none.
    """
    name = title.name
    texts, constant_bytes = _program(
        dataclasses.replace(title, by_cmsis_nn=None if second is None else False), plan
    )
    headers, twin = cpp_program.headers_of(plan), None
    if second is not None:
        more, second_bytes = _program(dataclasses.replace(title, by_cmsis_nn=True), second)
        texts |= more
        headers += cpp_program.headers_of(second)
        twin = second, second_bytes
    needed = kernels.needed(headers)
    sources = [path for path in (*texts, *needed) if path.endswith(".cc")]
    texts |= {
        f"{name}.h": cpp_program.header(title, plan, constant_bytes, twin),
        f"{name}_test.cc": self_test.main_text(title, plan),
        "test_vectors.h": self_test.vectors_text(title, plan, vectors),
        "Makefile": build_files.make_text(title, sources, target, twin is not None),
        "CMakeLists.txt": build_files.cmake_text(title, sources, twin is not None),
    }
    files = {path: content.encode() for path, content in texts.items()}
    files.update((path, (kernels.folder() / path).read_bytes()) for path in needed)
    drawn = picture.png(plan, name)
    if drawn is not None:
        files[f"{name}_plan.png"] = drawn
    return files, constant_bytes, twin[1] if twin else 0


def _program(title: Title, plan: Plan) -> tuple[dict[str, str], int]:
    """Returns the source and the constants of a program, and their bytes."""
    constants, calls = cpp_program.constants_of(plan)
    reset = cpp_reset.reset_text(plan, constants)
    texts = {
        f"{title.stem}.cc": cpp_program.source(title, plan, calls, reset),
        f"{title.stem}_constants.h": cpp_program.constants_text(title, plan, constants),
    }
    return texts, constants.size_bytes
