"""A placed program as a folder of C++, written whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgeax.runtime.mcu import build_files, cpp_program, kernels, test_program
from edgeax.runtime.mcu.cpp_program import Text
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.targets import Target
from edgeax.runtime.mcu.vectors import Vector


def files_of(
    text: Text, plan: Plan, target: Target, vectors: list[Vector]
) -> tuple[dict[str, bytes], int]:
    """Returns the content of all files by path, and the bytes of the constants."""
    name = text.name
    constants, calls = cpp_program.constants_of(plan)
    headers = {call.step.header for stage in plan.stages for call in stage.calls}
    needed = kernels.needed(headers)
    sources = [f"{name}.cc", *(path for path in needed if path.endswith(".cc"))]
    texts = {
        f"{name}.h": cpp_program.header(text, plan, constants.size_bytes),
        f"{name}.cc": cpp_program.source(text, plan, calls),
        f"{name}_constants.h": cpp_program.constants_text(text, plan, constants),
        f"{name}_test.cc": test_program.main_text(text, plan),
        "test_vectors.h": test_program.vectors_text(text, plan, vectors),
        "Makefile": build_files.make_text(name, sources, target),
        "CMakeLists.txt": build_files.cmake_text(name, sources),
    }
    files = {path: content.encode() for path, content in texts.items()}
    files.update((path, (kernels.folder() / path).read_bytes()) for path in needed)
    return files, constants.size_bytes


def write_folder(folder: str | os.PathLike[str], files: Mapping[str, bytes]) -> None:
    """Writes files into a folder, all or none.

    A folder that is there must hold nothing but what `generate` wrote; it is replaced.
    """
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".edgeax-{secrets.token_hex(8)}.tmp"
    try:
        for path, content in files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_bytes(content)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
