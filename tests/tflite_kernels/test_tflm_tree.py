"""The operators in the real TensorFlow Lite Micro, here and on a Cortex-M4.

Runs with EDGEAX_TFLM_TREE=FOLDER alone: a source tree of it, after `make -f
tensorflow/lite/micro/tools/make/Makefile third_party_downloads`. The interpreter is compiled once,
into build/tflm.
"""

import functools
import os
from pathlib import Path

import pytest

from tests.emulation import boards, golden_program, places, process, require
from tests.tflite_kernels import test_tflm, tflm_cases
from tflite_kernels import build_library

TREE = Path(os.environ.get("EDGEAX_TFLM_TREE", ""))
DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
INCLUDES = (".", *(f"{DOWNLOADS}/{part}" for part in ("flatbuffers/include", "gemmlowp", "ruy")))
FOLDERS = (
    "tensorflow/compiler/mlir/lite/core/api",
    "tensorflow/compiler/mlir/lite/schema",
    *(f"tensorflow/lite/{part}" for part in ("core/c", "core/api", "kernels", "kernels/internal")),
    "tensorflow/lite/kernels/internal/reference",
    *(f"tensorflow/lite/micro{part}" for part in ("", "/arena_allocator", "/memory_planner")),
    "tensorflow/lite/micro/tflite_bridge",
)
FLAGS = (
    "-std=c++17 -O2 -DTF_LITE_STATIC_MEMORY -fno-exceptions -fno-rtti -fno-threadsafe-statics "
    "-ffunction-sections -fdata-sections"
).split()
RESOLVER = """#pragma once
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tflite_kernels/adapters/tflm/edgeax_ops.h"
namespace model {
using OpResolver = tflite::MicroMutableOpResolver<edgeax::tflm::kOperatorCount>;
inline TfLiteStatus AddOps(OpResolver& resolver) { return edgeax::AddEdgeaxOps(resolver); }
}  // namespace model
"""

pytestmark = pytest.mark.skipif(
    not TREE.name, reason="EDGEAX_TFLM_TREE names no source tree of TensorFlow Lite Micro"
)


@functools.cache
def interpreter(name: str, compiler: tuple[str, ...]) -> Path:
    """A library of the tree's interpreter, without kernels but for what these share."""
    folder = places.BUILD / "tflm" / name
    library = folder / "libtflm.a"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    files = [file for part in FOLDERS for file in sorted((TREE / part).glob("*.cc"))]
    files.append(TREE / "tensorflow/lite/micro/kernels/kernel_util.cc")
    objects = []
    for file in files:
        if file.stem.endswith("_test") or file.stem == "debug_log":
            continue
        objects.append(folder / f"{file.parent.name}_{file.stem}.o")
        words = [*compiler, *FLAGS, "-w", *(f"-I{TREE / part}" for part in INCLUDES)]
        process.compile_or_raise([*words, "-c", file, "-o", objects[-1]], timeout_s=600)
    process.compile_or_raise(["ar", "rcs", library, *objects])
    return library


def prepare(folder: Path) -> tuple[list[str], list[Path], int]:
    """Flags and sources of the program, and how many cases it runs."""
    cases = test_tflm.all_cases()
    (folder / "tflm_models.h").write_text(tflm_cases.models_header(cases))
    (folder / "tflm_resolver.h").write_text(RESOLVER)
    words = [*FLAGS, "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-I{places.REPOSITORY}"]
    for part in INCLUDES:
        words += ["-isystem", str(TREE / part)]
    kernels = [file for file in golden_program.sources() if file.parent.name == "core"]
    program = Path(__file__).with_name("tflm_tree_main.cc")
    return words, [program, *test_tflm.adapter(), *kernels], len(cases)


def check(outcome: process.Outcome, count: int) -> None:
    assert outcome.code == 0, outcome.output
    assert outcome.output.startswith(f"tflm: {count} passed, 0 failed, arena ")


def test_every_operator_gives_its_codes_in_the_tree(tmp_path):
    words, sources, count = prepare(tmp_path)
    compiler = build_library.find_compiler()
    library = interpreter("host", tuple(compiler))
    files = [*sources, places.PROGRAMS / "print_linux.cc", library]
    process.compile_or_raise([*compiler, *words, *files, "-o", tmp_path / "program"], 600)
    check(process.run([tmp_path / "program"], timeout_s=60), count)


def test_every_operator_gives_its_codes_in_the_tree_on_a_cortex_m4(tmp_path):
    require.board_tools()
    words, sources, count = prepare(tmp_path)
    core = boards.BOARDS["cortex-m4"]
    compiler = (boards.COMPILER, *core.flags, "-mthumb")
    library = interpreter(core.core, compiler)
    objects = []
    for file in [*sources, places.FIRMWARE / "print.cc"]:
        objects.append(tmp_path / f"{file.stem}.o")
        words_of_file = [*compiler, *words, f"-I{places.FIRMWARE}", "-c", file]
        process.compile_or_raise([*words_of_file, "-o", objects[-1]], timeout_s=600)
    files = [*objects, library, Path("-lm")]
    check(boards.run(core.core, boards.build(core.core, files, tmp_path / "program")), count)
