"""The Bazel files: they name what sources.json and build_library.py name, and they build and test.

Debian's Bazel runs them without network, on this machine and for emulated 64-bit Arm.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bazel import offline
from tests.emulation import aarch64, cpus, golden_program, places, process, require
from tests.tflite_kernels import golden_folder, native
from tflite_kernels import build_library

KERNELS = build_library.KERNELS
PLUGIN_CHECK = places.REPOSITORY / "tests" / "tflite_kernels" / "run_plugin_check.py"
TESTS = {"golden_test", "isa_test"}
PASSED = r"//\S+:(\w+) +(?:\(cached\) )?PASSED"
LIBRARY = Path("tflite_kernels") / "libedgeax.so"
# Headers that are included where the macro of the other runtime is not defined, or is.
ELSEWHERE = {
    "ops": set(),
    "tflm_ops": {"adapters/memory.h", "adapters/prepared_rows.h"},
}
SETS = {"cortex-a72": ["reference", "neon"], "cortex-a76": ["reference", "neon", "neon_dotprod"]}


# What the files say. A BUILD file is Python but for the functions that it calls.


def targets(file: Path) -> dict[str, dict[str, Any]]:
    """The rules that a BUILD file calls, by name."""
    found: dict[str, dict[str, Any]] = {}

    class Rules(dict[str, Any]):
        def __missing__(self, rule: str) -> Any:
            return lambda **attributes: found.update(
                {attributes.get("name", rule): {"rule": rule, **attributes}}
            )

    def glob(patterns: list[str], exclude: Sequence[str] = ()) -> list[str]:
        paths = (path for pattern in patterns for path in file.parent.glob(pattern))
        return sorted({str(path.relative_to(file.parent)) for path in paths} - set(exclude))

    known = {
        "load": lambda *symbols, **renamed: None,
        "glob": glob,
        "select": lambda choices: [label for labels in choices.values() for label in labels],
    }
    exec(compile(file.read_text(), str(file), "exec"), Rules(known))
    return found


@pytest.fixture(scope="module")
def kernel_targets() -> dict[str, dict[str, Any]]:
    return targets(KERNELS / "BUILD.bazel")


def compiled(target: dict[str, Any]) -> list[str]:
    return sorted(source for source in target["srcs"] if source.endswith(".cc"))


def test_bazel_compiles_the_files_of_sources_json(kernel_targets):
    listed = json.loads((KERNELS / "sources.json").read_text(encoding="utf-8"))
    portable = ("core", "kernels", "adapters")
    common = [file for name in portable for file in compiled(kernel_targets[name])]
    assert sorted(common) == sorted(listed.pop("common"))
    for processor, entries in listed.items():
        names = [name for name in kernel_targets if name.startswith(processor)]
        found = [file for name in names for file in compiled(kernel_targets[name])]
        assert sorted(found) == sorted(entry["file"] for entry in entries)
        for name in names:
            label = f"@platforms//cpu:{processor}"
            assert kernel_targets[name]["target_compatible_with"] == [label]
            assert f":{name}" in kernel_targets["kernels"]["deps"]


def test_bazel_compiles_with_the_flags_of_build_library_and_sources_json(kernel_targets):
    # Bazel itself adds these two where they are needed.
    shared = [flag for flag in build_library.COMPILE_FLAGS if flag not in ("-fPIC", "-I.")]
    listed = json.loads((KERNELS / "sources.json").read_text(encoding="utf-8"))
    del listed["common"]
    flags = {entry["file"]: tuple(entry["flags"]) for files in listed.values() for entry in files}
    for name, target in kernel_targets.items():
        if target["rule"] == "cc_library" and "srcs" in target:
            own = {flags[file] for file in compiled(target) if file in flags}
            assert len(own) <= 1, f"{name}: one target for each list of flags"
            assert target["copts"] == [*shared, *(flag for words in own for flag in words)]


def test_every_header_belongs_to_a_target(kernel_targets):
    named = {
        header
        for target in kernel_targets.values()
        for header in (*target.get("srcs", []), *target.get("hdrs", []))
    }
    headers = (
        path for room in ("core", "arch", "adapters") for path in KERNELS.glob(f"{room}/*.h")
    )
    assert {str(path.relative_to(KERNELS)) for path in headers} <= named


@pytest.mark.parametrize("name", ["ops", "tflm_ops"])
def test_the_operators_for_a_resolver_have_the_headers_that_they_include(name, kernel_targets):
    target = kernel_targets[name]
    own = {*target["srcs"], *target["hdrs"]}
    for file in sorted(own):
        text = (KERNELS / file).read_text(encoding="utf-8")
        included = re.findall(r'^#include "tflite_kernels/(adapters/.+)"', text, re.M)
        assert {*included} - ELSEWHERE[name] <= own, file


def test_rules_are_loaded_from_rules_cc():
    """Bazel 9 has no C++ rule built in."""
    files = [
        *places.REPOSITORY.glob("*/BUILD.bazel"),
        *places.REPOSITORY.glob("tests/*/BUILD.bazel"),
    ]
    files += [*places.REPOSITORY.glob("tests/bazel/*/BUILD.bazel")]
    for file in files:
        used = {target["rule"] for target in targets(file).values()}
        loaded = "".join(re.findall(r"^load\((.*?)\)", file.read_text(), re.MULTILINE | re.DOTALL))
        missing = {rule for rule in used if rule.startswith("cc_") and f'"{rule}"' not in loaded}
        assert not missing, f"{file}: {missing}"
        assert not any(rule.startswith("cc_") for rule in used) or "@rules_cc//" in loaded
    for name in ("WORKSPACE", "MODULE.bazel"):
        assert '"rules_cc"' in (places.REPOSITORY / name).read_text()


# What Bazel makes of them.


def call(verb: str, *words: str) -> str:
    """Runs Bazel, which has to succeed; returns what it printed."""
    outcome = process.run(["env", "-C", places.REPOSITORY, *offline.command(verb, *words)], 280)
    assert outcome.code == 0, outcome.output[-5000:]
    return outcome.output


@pytest.fixture(scope="module")
def bazel() -> Iterator[None]:
    require.bazel()
    yield
    process.run(["env", "-C", places.REPOSITORY, *offline.shutdown()], timeout_s=60)


def folder(key: str, *options: str) -> Path:
    """A folder of the last call, by the name that `bazel info` has for it."""
    lines = call("info", *options, key).splitlines()
    return Path(next(line for line in lines if line.startswith("/")))


def logs(*options: str) -> dict[str, str]:
    """What each test printed."""
    found = folder("bazel-testlogs", *options).rglob("test.log")
    return {path.parent.name: path.read_text() for path in found}


def agreeing(sets: list[str]) -> str:
    return "".join(f"isa: {name} 300 cases\n" for name in sets)


@pytest.mark.usefixtures("bazel")
def test_everything_builds_and_every_test_passes_offline(tmp_path):
    call("build", "//...")
    said = call("test", "//...")
    assert set(re.findall(PASSED, said)) == TESTS
    printed = logs()
    assert golden_program.success().output in printed["golden_test"]
    assert agreeing(native.isas()) in printed["isa_test"]
    library = folder("bazel-bin") / LIBRARY
    assert exported(library) == exported(native.build())
    count = golden_folder.write(tmp_path)
    check = [sys.executable, PLUGIN_CHECK, "ai_edge_litert.interpreter", library, tmp_path]
    assert process.run(check, 120) == process.Outcome(f"plugin: {count} files, 0 wrong\n", 0)


@pytest.mark.usefixtures("bazel")
def test_the_operators_for_a_resolver_build_with_the_headers_that_a_flag_names():
    flag = "--//tflite_kernels:tflite=//tests/tflite_kernels:stand_in_tflite"
    call("build", flag, "//tflite_kernels:ops")


@pytest.mark.usefixtures("bazel")
def test_the_operators_for_tflite_micro_build_with_the_headers_that_a_flag_names():
    flag = "--//tflite_kernels:tflm=//tests/tflite_kernels:stand_in_tflm"
    call("build", flag, "//tflite_kernels:tflm_ops")


@pytest.mark.usefixtures("bazel")
def test_a_failing_program_fails_the_test(tmp_path):
    done = process.run(
        ["env", "-C", places.REPOSITORY, *offline.command("test", "--run_under=false", "//...")],
        280,
    )
    assert done.code != 0
    assert set(re.findall(r"//\S+:(\w+) +FAILED", done.output)) == TESTS


@pytest.mark.usefixtures("bazel")
@pytest.mark.parametrize("cpu", cpus.CPUS)
def test_every_test_is_built_for_aarch64_too_and_passes_on_an_emulated_cpu(cpu):
    require.cross_tools()
    program = shutil.which("qemu-aarch64")  # a test of Bazel has no PATH
    qemu = [str(program), "-cpu", cpu, "-L", "/usr/aarch64-linux-gnu"]
    options = offline.aarch64(qemu)
    said = call("test", *options, "//...")
    assert set(re.findall(PASSED, said)) == TESTS
    printed = logs(*options)
    assert golden_program.success().output in printed["golden_test"]
    assert agreeing(SETS[cpu]) in printed["isa_test"]


@pytest.mark.usefixtures("bazel")
def test_the_library_for_aarch64_gives_the_golden_codes_in_litert(tmp_path):
    require.cross_tools()
    require.arm_python()
    options = offline.aarch64()
    call("build", *options, f"//{LIBRARY.parent}:{LIBRARY.name}")
    library = folder("bazel-bin", *options) / LIBRARY
    count = golden_folder.write(tmp_path)
    words = ["ai_edge_litert.interpreter", library, tmp_path]
    outcome = aarch64.run_python("cortex-a76", PLUGIN_CHECK, *words)
    assert outcome == process.Outcome(f"plugin: {count} files, 0 wrong\n", 0)


def exported(library: Path) -> set[str]:
    """The names that a library defines for others."""
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", library]
    return {line.split()[0] for line in process.run(command, timeout_s=60).output.splitlines()}
