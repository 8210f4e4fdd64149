"""edgeax_register_ops in a C++ program, built with CMake as a user does, and what it refuses.

No package carries TensorFlow Lite's headers: those in stand_in_tflite declare what is called, and
the program is linked to the interpreter in the library of the tensorflow package. With
EDGEAX_TFLITE_ROOT=FOLDER, the tree of a real LiteRT or TensorFlow, its headers are compiled too.
"""

import dataclasses
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.emulation import aarch64, armv7, places, process, require
from tests.tflite_kernels import golden_folder
from tflite_kernels import build_library

FOLDER = Path(__file__).resolve().parent
HEADERS = FOLDER / "stand_in_tflite"
ROOTS = ["litert", *(os.environ[name] for name in ("EDGEAX_TFLITE_ROOT",) if name in os.environ)]
COMMON = Path("tensorflow") / "lite" / "core" / "c" / "common.h"
OPS, PLUGIN = "edgeax_ops", "edgeax_plugin"
PROJECT = """
cmake_minimum_required(VERSION 3.19)
project(app LANGUAGES CXX)
add_subdirectory({kernels} edgeax)
add_executable(app {source})
target_link_libraries(app PRIVATE edgeax_ops {libraries})
"""


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if shutil.which("cmake") and shutil.which("ninja"):
        return
    message = "Missing: cmake and ninja. Run: apt-get install --yes cmake ninja-build"
    if require.arm_is_required():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def configure(source: Path, build: Path, *settings: str) -> process.Outcome:
    words = ["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug"]
    return process.run([*words, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *settings], timeout_s=120)


def configure_kernels(build: Path, root: Path | str, *settings: str) -> process.Outcome:
    return configure(build_library.KERNELS, build, f"-DTFLITE_ROOT={root}", *settings)


def build_target(build: Path, target: str) -> None:
    process.compile_or_raise(["cmake", "--build", build, "--target", target, "--parallel", "2"])


def build_adapters(build: Path) -> None:
    """Compiles the files of edgeax_ops that include TensorFlow Lite's headers."""
    for name in ("ops", "check", "resolver"):
        build_target(build, f"CMakeFiles/{OPS}.dir/adapters/tflite_{name}.cc.o")


def said(outcome: process.Outcome) -> str:
    """The output in one line: CMake breaks its messages."""
    return " ".join(outcome.output.split())


def _without_log(outcome: process.Outcome) -> process.Outcome:
    """Leaves out what a TensorFlow with support for graphics processors says when it is loaded."""
    log = re.compile(r"WARNING: All log messages before absl|[IWE]\d{4} |To enable the following")
    lines = [line for line in outcome.output.splitlines(keepends=True) if not log.match(line)]
    return dataclasses.replace(outcome, output="".join(lines))


# A program that registers the operators.


def tensorflow_library() -> Path:
    spec = importlib.util.find_spec("tensorflow")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).with_name("libtensorflow_cc.so.2")


def link_flags() -> list[str]:
    """The usual linker needs 10 s for the 400,000 names of this library."""
    quick = [name for name in ("gold", "lld") if shutil.which(f"ld.{name}")]
    return ["-Wl,--allow-shlib-undefined", *(f"-fuse-ld={name}" for name in quick[:1])]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    libraries = " ".join([str(tensorflow_library()), *link_flags()])
    names = {"kernels": build_library.KERNELS, "source": FOLDER / "resolver_main.cc"}
    (folder / "CMakeLists.txt").write_text(PROJECT.format(libraries=libraries, **names))
    outcome = configure(folder, folder / "build", f"-DTFLITE_ROOT={HEADERS}")
    assert outcome.code == 0, outcome.output
    build_target(folder / "build", "app")
    return folder / "build" / "app"


def written(inputs: Mapping[str, np.ndarray], path: Path, copies: int = 1) -> str:
    """Writes inputs beside their model, as resolver_main.cc takes them: "NAME=FILE,..."."""
    words = []
    for name, array in inputs.items():
        into = path.with_suffix(f".{copies}.{name}")
        into.write_bytes(array.tobytes() * copies)
        words.append(f"{name}={into}")
    return ",".join(words)


def unlike(expected: Mapping[Path, np.ndarray]) -> list[str]:
    """Returns the names of files that do not hold these numbers; -0 is 0."""
    items = expected.items()
    return [out.name for out, y in items if not np.array_equal(np.fromfile(out, y.dtype), y)]


def test_a_resolver_runs_the_golden_models_bit_for_bit_at_any_batch(program, tmp_path):
    count = golden_folder.write(tmp_path)
    words: list[str | Path] = [program]
    expected: dict[Path, np.ndarray] = {}
    refused = []
    of_one_batch = 0
    for path in sorted(tmp_path.glob("*.tflite")):
        golden = np.load(path.with_suffix(".npz"))
        if "error" in golden:
            refused.append((path, str(golden["error"])))
            words += [path, path, tmp_path / "none"]
            continue
        inputs = golden_folder.inputs_of(golden)
        of_one_batch += "x" not in inputs
        for copies in (1, 2) if "x" in inputs else (1,):
            out = path.with_suffix(f".{copies}.y")
            expected[out] = np.tile(golden["y"].ravel(), copies)
            words += [path, written(inputs, path, copies), out]
    outcome = process.run(words, timeout_s=120)
    assert outcome.code == 0, outcome.output
    assert (len(expected), len(refused)) == (2 * (count - 2) - of_one_batch, 2)
    assert unlike(expected) == []
    for path, error in refused:
        assert error in outcome.output
        assert f"{path}: refused" in outcome.output


def test_a_null_resolver_is_refused(program):
    assert _without_log(process.run([program], timeout_s=60)) == process.Outcome(
        "edgeax: `resolver` must not be null. Received: null. Pass the address of a "
        "tflite::MutableOpResolver.\n",
        1,
    )


@pytest.mark.parametrize("version, works", [("2.13.1", False), ("2.14.0", True), ("3.0.0", True)])
def test_a_library_older_than_the_headers_is_refused_when_it_runs(
    version, works, program, tmp_path
):
    """A library that is loaded first says the version in place of TensorFlow Lite's C functions."""
    (tmp_path / "version.cc").write_text(
        f'extern "C" const char* TfLiteVersion(void) {{ return "{version}"; }}\n'
    )
    library = tmp_path / "libversion.so"
    compiler = build_library.find_compiler()
    process.compile_or_raise(
        [*compiler, "-shared", "-fPIC", tmp_path / "version.cc", "-o", library]
    )
    preload = ["env", f"LD_PRELOAD={library}", program, "a", "b"]  # no model: it only registers
    outcome = process.run(preload, timeout_s=60)
    assert _without_log(outcome) == process.Outcome(
        ""
        if works
        else "edgeax: the TensorFlow Lite library of this program must be 2.14 or newer. Received: "
        "2.13.1. Link the library of the tree that TFLITE_ROOT names.\n",
        0 if works else 1,
    )


# Trees that do not fit.


@pytest.mark.parametrize("kept", [None, COMMON])
def test_a_tree_without_the_headers_gives_one_clear_error(kept, tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    if kept is not None:
        (root / kept).parent.mkdir(parents=True)
        shutil.copy(HEADERS / kept, root / kept)
    outcome = configure_kernels(tmp_path / "build", root)
    assert outcome.code != 0
    assert outcome.output.count("CMake Error") == 1
    assert (
        "TFLITE_ROOT must hold mutable_op_resolver.h and core/c/common.h in tflite/ or "
        f"tensorflow/lite/. Received: {root}. Give the root of a source tree of LiteRT, or of "
        "TensorFlow 2.14 or newer, or use the target edgeax_plugin, which needs none."
    ) in said(outcome)


@pytest.mark.parametrize(
    "present, changed",
    [
        ("  uint64_t inplace_operator;\n", ""),  # TensorFlow Lite 2.13
        ("  void* others[12];\n", "  void* others[13];\n"),  # a layout of the future
    ],
)
def test_a_tree_of_another_layout_gives_one_clear_error(present, changed, tmp_path):
    root = tmp_path / "tree"
    shutil.copytree(HEADERS, root)
    text = (root / COMMON).read_text()
    assert present in text
    (root / COMMON).write_text(text.replace(present, changed))
    outcome = configure_kernels(tmp_path / "build", root)
    assert outcome.code != 0
    assert outcome.output.count("CMake Error") == 1
    assert (
        "TFLITE_ROOT must be of TensorFlow Lite 2.14 or newer, with the structs that edgeax is "
        f"tested with. Received: {root}. Give the root"
    ) in said(outcome)
    assert "ABI of TensorFlow Lite 2.14" in outcome.output


def test_the_build_of_tflite_micro_is_refused(tmp_path):
    """Its macro makes other structs of the same headers."""
    outcome = configure_kernels(tmp_path, HEADERS, "-DCMAKE_CXX_FLAGS=-DTF_LITE_STATIC_MEMORY")
    assert outcome.code != 0
    assert "TF_LITE_STATIC_MEMORY must not be defined" in said(outcome)


def test_a_program_that_forgets_the_target_is_told_when_it_is_compiled(tmp_path):
    compiler = build_library.find_compiler()
    source = FOLDER / "resolver_main.cc"
    words = [*compiler, "-std=c++17", f"-I{places.REPOSITORY}", f"-I{HEADERS}", "-fsyntax-only"]
    outcome = process.run([*words, source], timeout_s=60)
    assert outcome.code != 0
    assert "Link the CMake target edgeax_ops" in outcome.output


# What CMake compiles.


def commands(build: Path, target: str) -> dict[str, list[str]]:
    """The compiler's words for each file of a target."""
    entries = json.loads((build / "compile_commands.json").read_text())
    own = [entry for entry in entries if f"/{target}.dir/" in entry["command"]]
    return {
        str(Path(entry["file"]).relative_to(build_library.KERNELS)): entry["command"].split()
        for entry in own
    }


def litert_root(folder: Path) -> Path:
    """The stand-in headers where LiteRT has its own."""
    shutil.copytree(HEADERS / "tensorflow" / "lite", folder / "tflite")
    return folder


def check_commands(build: Path, architecture: str, flags: Sequence[str]) -> None:
    listed = dict(build_library.list_sources(architecture))
    resolved = {file: own for file, own in listed.items() if file != "adapters/tflite_plugin.cc"}
    resolved["adapters/tflite_resolver.cc"] = []
    for target, wanted in ((PLUGIN, listed), (OPS, resolved)):
        found = commands(build, target)
        assert set(found) == set(wanted)
        for file, own_flags in wanted.items():
            assert set(flags) | set(own_flags) <= set(found[file]), file
            assert ("-mavx2" in own_flags) == ("-mavx2" in found[file]), file


def test_cmake_compiles_the_files_and_flags_of_the_library_builder(tmp_path):
    outcome = configure_kernels(
        tmp_path / "build", litert_root(tmp_path / "tree"), "-DCMAKE_BUILD_TYPE=Release"
    )
    assert outcome.code == 0, outcome.output
    architecture = build_library.find_target(build_library.find_compiler()).architecture
    wanted = [flag for flag in build_library.COMPILE_FLAGS if flag != "-I."]
    check_commands(tmp_path / "build", architecture, wanted)


def test_without_a_tree_the_plugin_is_built_and_the_missing_target_is_named(tmp_path):
    outcome = configure_kernels(tmp_path, "", "-DCMAKE_BUILD_TYPE=Debug")
    assert outcome.code == 0, outcome.output
    assert "edgeax: no target edgeax_ops, because TFLITE_ROOT is not given" in said(outcome)
    build_target(tmp_path, PLUGIN)
    names = process.run(["nm", "--dynamic", "--defined-only", tmp_path / "libedgeax.so"], 60).output
    exported = {line.split()[-1] for line in names.splitlines()}
    assert {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"} <= exported
    assert not [name for name in exported if not name.startswith(("tflite_plugin_", "edgeax_"))]


def test_the_targets_of_a_64_bit_arm_processor_have_its_files(tmp_path):
    require.cross_tools()
    settings = [f"-DCMAKE_CXX_COMPILER={aarch64.COMPILER}", "-DCMAKE_SYSTEM_NAME=Linux"]
    outcome = configure_kernels(tmp_path, HEADERS, *settings)
    assert outcome.code == 0, outcome.output
    check_commands(tmp_path, "aarch64", [])
    build_adapters(tmp_path)
    (made,) = tmp_path.rglob("tflite_ops.cc.o")
    assert "AArch64" in process.run(["readelf", "--file-header", made], 60).output


def test_the_targets_of_a_32_bit_arm_processor_have_its_files(tmp_path):
    require.armv7_tools()
    settings = [f"-DCMAKE_CXX_COMPILER={armv7.COMPILER}", "-DCMAKE_SYSTEM_NAME=Linux"]
    outcome = configure_kernels(tmp_path, HEADERS, *settings)
    assert outcome.code == 0, outcome.output
    check_commands(tmp_path, "armv7", [])


@pytest.mark.parametrize("root", ROOTS)
def test_the_operators_compile_with_the_headers_of_a_tree(root, tmp_path):
    tree = Path(root) if root != "litert" else litert_root(tmp_path / "tree")
    outcome = configure_kernels(tmp_path / "build", tree)
    assert outcome.code == 0, outcome.output
    build_adapters(tmp_path / "build")
