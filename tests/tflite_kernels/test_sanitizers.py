"""Every C++ program and the library under AddressSanitizer and UBSan: no step outside memory, no
undefined behavior, and both would be seen."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.emulation import golden_program, places, process
from tests.tflite_kernels import golden_folder, native, test_resolver
from tflite_kernels import build_library

pytestmark = pytest.mark.timeout(900)  # the first build takes minutes of two busy cores

FOLDER = Path(__file__).resolve().parent
FLAGS = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{places.REPOSITORY}"]
CASES, SEED = 3000, 5  # of isa_main.cc
ON_ANY_HOST = {  # of emulation/programs, with what it says and its exit code
    "float": process.Outcome("float right\n", 0),
    "hello": process.Outcome("hello\n", 7),
    "int8_sum": process.Outcome("sum right\n", 0),
    "selected": process.Outcome(f"{native.isas()[-1]}\n", 0),
}
ON_ARM_ONLY = {"fault", "regions"}  # an undefined instruction, and Arm assembly
# TensorFlow as the interpreter is slow to load, a sanitizer does not give memory back, and what
# runs sanitizers itself is not needed twice.
LEFT_OUT = "not tensorflow and not given_back and not sanitizers"
STEPS = """
#include <stdint.h>
#include <stdlib.h>
#include "tflite_kernels/core/packing.h"
int main(int count, char** words) {
  if (count == 1) return 0;
  volatile int32_t most = INT32_MAX;
  if (words[1][0] == 'u') return most + count < 0;
  const uint8_t* volatile bytes = static_cast<uint8_t*>(calloc(2, 1));
  return edgeax::Unpack(bytes, 4, 4);
}
"""


@pytest.fixture(scope="module")
def kernels() -> list[Path]:
    """The objects of core/ and arch/ that the sanitized library has."""
    return build_library.compile_objects(
        native.sanitizing(), folders=("core", "arch"), flags=native.SANITIZED_FLAGS
    )


def build(output: Path, *sources: Path, flags: list[str] | None = None) -> Path:
    command = [*build_library.find_compiler(), *FLAGS, *native.SANITIZE, *(flags or [])]
    process.compile_or_raise([*command, *sources, "-o", output])
    return output


def test_the_golden_vectors_pass(kernels, tmp_path):
    main = FOLDER / "golden_main.cc"
    program = build(tmp_path / "golden", main, *kernels, flags=golden_program.flags(tmp_path))
    assert process.run([program], timeout_s=60) == golden_program.success()


def test_all_sets_agree_on_random_cases(kernels, tmp_path):
    program = build(tmp_path / "isa", FOLDER / "isa_main.cc", *kernels)
    lines = [f"isa: {name} {CASES} cases\n" for name in native.isas()]
    outcome = process.run([program, str(CASES), str(SEED)], timeout_s=240)
    assert outcome == process.Outcome("".join(lines), 0)


def test_the_operators_of_a_resolver_give_the_golden_codes(kernels, tmp_path):
    library = test_resolver.tensorflow_library()
    adapters = {file for file, _ in build_library.list_sources("other") if "adapters/" in file}
    adapters = adapters - {"adapters/tflite_plugin.cc"} | {"adapters/tflite_resolver.cc"}
    sources = [FOLDER / "resolver_main.cc"]
    sources += [build_library.KERNELS / file for file in sorted(adapters)]
    flags = ["-DEDGEAX_USE_OFFICIAL_TFLITE_HEADERS", "-isystem", str(test_resolver.HEADERS)]
    flags += ["-fno-sanitize=vptr", *test_resolver.link_flags(), f"-Wl,-rpath,{library.parent}"]
    program = build(tmp_path / "resolver", *sources, *kernels, library, flags=flags)
    golden_folder.write(tmp_path)
    words: list[str | Path] = []
    expected: dict[Path, np.ndarray] = {}
    for path in tmp_path.glob("*.tflite"):
        golden = np.load(path.with_suffix(".npz"))
        if "error" not in golden:
            out = path.with_suffix(".y")
            expected[out] = golden["y"].ravel()
            inputs = golden_folder.inputs_of(golden)
            words += [path, test_resolver.written(inputs, path), out]
    # The headers that stand in for TensorFlow Lite's do not know the sizes of its classes.
    settings = "ASAN_OPTIONS=detect_leaks=0:new_delete_type_mismatch=0"
    assert process.run(["env", settings, program, *words], timeout_s=120).code == 0
    assert len(expected) > 50
    assert test_resolver.unlike(expected) == []


@pytest.mark.parametrize("sanitizer", [native.SANITIZE[0], "-fsanitize=thread"])
def test_threads_do_each_part_once(sanitizer, tmp_path):
    sources = [FOLDER / "threads_main.cc", build_library.KERNELS / "adapters/thread_pool.cc"]
    program = tmp_path / "threads"
    command = [*build_library.find_compiler(), *FLAGS, sanitizer, "-g1", "-pthread", *sources]
    process.compile_or_raise([*command, "-o", program])
    outcome = process.run([program, "200"], timeout_s=240)
    assert outcome == process.Outcome("threads: 200 tasks\n", 0)


@pytest.mark.parametrize("name", ON_ANY_HOST)
def test_a_program_of_the_rigs_runs_as_it_does_on_arm(name, kernels, tmp_path):
    sources = [places.PROGRAMS / f"{name}.cc", places.PROGRAMS / "print_linux.cc"]
    program = build(tmp_path / name, *sources, *(kernels if name == "selected" else []))
    assert process.run([program], timeout_s=60) == ON_ANY_HOST[name]


def test_no_program_is_forgotten():
    programs = {
        path.stem
        for path in (places.REPOSITORY / "tests").rglob("*.cc")
        if re.search(r"^int main\(.*\) {", path.read_text(), re.MULTILINE)
    }
    mains = {"golden_main", "isa_main", "resolver_main", "threads_main"}
    fuzzing = {"fuzz_replay"}  # what it runs has sanitizers in test_fuzzing.py
    micro = {"tflm_main", "tflm_tree_main"}  # test_tflm.py builds what they run with sanitizers
    assert programs == {*mains, *fuzzing, *micro, *ON_ANY_HOST, *ON_ARM_ONLY}


def run_python(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with the sanitized library, which is built first: compilers leak memory."""
    native.build_sanitized()
    environment = os.environ | native.sanitized_environment()
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=places.REPOSITORY,
        env=environment,
    )


@pytest.mark.parametrize(
    "file, least",
    [
        ("test_coded.py", 100),
        ("test_coded_plugin.py", 100),
        ("test_kernels.py", 100),
        ("test_lookup_kernels.py", 100),
        ("test_lookup_plugin.py", 15),
        ("test_partition.py", 25),
        ("test_plugin.py", 100),
        ("test_sign_sum.py", 25),
    ],
)
def test_the_tests_of_the_library_pass(file, least):
    """Among them guard pages, damaged models and threads."""
    settings = ["-n0", "-q", "-p", "no:cacheprovider", "-k", LEFT_OUT]
    done = run_python("-m", "pytest", *settings, str(FOLDER / file))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > least
    assert "failed" not in done.stdout


def test_a_step_outside_and_undefined_behavior_end_a_program(tmp_path):
    source = tmp_path / "steps.cc"
    source.write_text(STEPS)
    program = build(tmp_path / "steps", source)
    assert process.run([program], timeout_s=60) == process.Outcome("", 0)
    outside = process.run([program, "outside"], timeout_s=60)
    assert outside.code != 0 and "AddressSanitizer: heap-buffer-overflow" in outside.output
    undefined = process.run([program, "undefined"], timeout_s=60)
    assert undefined.code != 0 and "signed integer overflow" in undefined.output


def test_a_step_outside_ends_python_with_the_library():
    code = """
import ctypes
import numpy as np
from tests.golden import cases
from tests.tflite_kernels import native
case = native.golden_case(cases.load("operators.json")[0])
output = np.zeros(case.output_shape, np.int8)
tensors = native.tensors(case, np.ascontiguousarray, output)
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
tensors.weights = malloc(tensors.weights_size - 1)
native.load().edgeax_conv2d(
    b"reference", ctypes.byref(native.arguments(case)), ctypes.byref(tensors)
)
print("not seen")
"""
    done = run_python("-c", code)
    assert done.returncode != 0 and "not seen" not in done.stdout
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr, done.stderr[-3000:]
