"""The files of a generated program."""

from collections.abc import Sequence

from edgeax.runtime.mcu import build_files, cpp_program, cpp_reset, kernels, picture, self_test
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.targets import Target
from edgeax.runtime.mcu.vectors import Vector


def files_of(
    title: Title, plan: Plan, target: Target, vectors: Sequence[Vector]
) -> tuple[dict[str, bytes], int]:
    """Returns the content of all files by path, and the bytes of the constants.

    The picture is left out where matplotlib is missing.
    """
    name = title.name
    constants, calls = cpp_program.constants_of(plan)
    reset = cpp_reset.reset_text(plan, constants)
    needed = kernels.needed(cpp_program.headers_of(plan))
    sources = [f"{name}.cc", *(path for path in needed if path.endswith(".cc"))]
    texts = {
        f"{name}.h": cpp_program.header(title, plan, constants.size_bytes),
        f"{name}.cc": cpp_program.source(title, plan, calls, reset),
        f"{name}_constants.h": cpp_program.constants_text(title, plan, constants),
        f"{name}_test.cc": self_test.main_text(title, plan),
        "test_vectors.h": self_test.vectors_text(title, plan, vectors),
        "Makefile": build_files.make_text(title, sources, target),
        "CMakeLists.txt": build_files.cmake_text(title, sources),
    }
    files = {path: content.encode() for path, content in texts.items()}
    files.update((path, (kernels.folder() / path).read_bytes()) for path in needed)
    drawn = picture.png(plan, name)
    if drawn is not None:
        files[f"{name}_plan.png"] = drawn
    return files, constants.size_bytes
