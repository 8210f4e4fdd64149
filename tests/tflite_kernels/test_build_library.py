"""The library builder on a tree of three tiny files, and on the real one."""

import ctypes
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.tflite_kernels import native
from tflite_kernels import build_library

ZIG_AARCH64 = [sys.executable, "-m", "ziglang", "c++", "-target", "aarch64-linux-gnu.2.27"]
EXPORT = 'extern "C" __attribute__((visibility("default"))) '


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree in which one, two and three are compiled, three for x86-64 alone."""
    kernels = tmp_path / "tflite_kernels"
    (kernels / "core").mkdir(parents=True)
    (kernels / "core" / "one.h").write_text("constexpr int kOne = 1;\n")
    include = '#include "tflite_kernels/core/one.h"\n'
    (kernels / "core" / "one.cc").write_text(
        f"{include}{EXPORT}int edgeax_one() {{ return kOne; }}"
    )
    (kernels / "core" / "two.cc").write_text(f"{EXPORT}int edgeax_two() {{ return 2; }}")
    (kernels / "core" / "three.cc").write_text(f"{EXPORT}int edgeax_three() {{ return WANTED; }}")
    listed = {
        "common": ["core/one.cc", "core/two.cc"],
        "x86_64": [{"file": "core/three.cc", "flags": ["-DWANTED=3"]}],
    }
    (kernels / "sources.json").write_text(json.dumps(listed))
    shutil.copy(build_library.KERNELS / "exports.map", kernels)
    monkeypatch.setattr(build_library, "ROOT", tmp_path)
    monkeypatch.setattr(build_library, "KERNELS", kernels)
    return tmp_path


def build(tree, **arguments):
    arguments = {"architecture": "x86_64", **arguments}
    return build_library.build(tree / "lib.so", build_dir=tree / "objects", **arguments)


def made_at_ns(tree):
    objects = (tree / "objects").glob("*.o")
    return {path.name.partition(".cc-")[0]: path.stat().st_mtime_ns for path in objects}


def symbols(library, *options):
    command = ["nm", "--dynamic", "--format=posix", *options, str(library)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in lines}


def test_the_library_holds_common_files_and_those_of_its_processor(tree):
    library = ctypes.CDLL(str(build(tree)))
    assert (library.edgeax_one(), library.edgeax_two(), library.edgeax_three()) == (1, 2, 3)
    other = build_library.build(tree / "other.so", architecture="riscv64")
    assert symbols(other, "--defined-only") == {"edgeax_one", "edgeax_two"}


def test_a_second_build_compiles_nothing(tree):
    build(tree)
    before = made_at_ns(tree)
    build(tree)
    assert made_at_ns(tree) == before


def test_what_another_process_compiles_is_waited_for_and_not_compiled_again(tree):
    shutil.copy(build_library.__file__, tree / "tflite_kernels")
    compiler = tree / "slow_compiler"
    compiler.write_text(
        f'#!/bin/sh\ncase "$*" in *" -c "*) echo "$*" >> {tree}/compiled; sleep 0.5;; esac\n'
        f'exec {shlex.join(build_library.find_compiler())} "$@"\n'
    )
    compiler.chmod(0o755)
    code = (
        "import sys\nfrom pathlib import Path\nfrom tflite_kernels import build_library\n"
        "compiler, output, objects = sys.argv[1:]\n"
        "build_library.build(Path(output), [compiler], build_dir=Path(objects))\n"
    )
    outputs = [tree / "first.so", tree / "second.so"]
    words = [sys.executable, "-c", code, compiler]
    running = [subprocess.Popen([*words, output, tree / "objects"], cwd=tree) for output in outputs]
    assert [process.wait() for process in running] == [0, 0]
    assert len((tree / "compiled").read_text().splitlines()) == len(made_at_ns(tree)) > 1
    assert symbols(outputs[0]) == symbols(outputs[1])


def test_a_changed_header_compiles_again_what_includes_it(tree):
    build(tree)
    before = made_at_ns(tree)
    (tree / "tflite_kernels/core/one.h").write_text("constexpr int kOne = 11;\n")
    assert ctypes.CDLL(str(build(tree))).edgeax_one() == 11
    after = made_at_ns(tree)
    assert {name for name in after if after[name] != before[name]} == {"core-one"}


def test_a_header_that_is_gone_is_noticed(tree):
    build(tree)
    (tree / "tflite_kernels/core/one.h").unlink()
    with pytest.raises(build_library.BuildError, match="one.h: No such file"):
        build(tree)


def test_changed_flags_compile_again(tree):
    build(tree)
    listed = (tree / "tflite_kernels/sources.json").read_text().replace("=3", "=33")
    (tree / "tflite_kernels/sources.json").write_text(listed)
    assert ctypes.CDLL(str(build(tree))).edgeax_three() == 33


def test_a_compiler_error_is_shown_and_the_former_library_stays(tree):
    before = build(tree).read_bytes()
    (tree / "tflite_kernels/core/two.cc").write_text("int Two() { return oops; }")
    with pytest.raises(build_library.BuildError, match=r"Compiling tflite_kernels/core/two.cc"):
        build(tree)
    (tree / "tflite_kernels/core/two.cc").write_text(
        f"int Missing(); {EXPORT}int edgeax_two() {{ return Missing(); }}"
    )
    with pytest.raises(build_library.BuildError, match=r"Linking lib.so(?s:.*)Missing"):
        build(tree)
    assert (tree / "lib.so").read_bytes() == before


def test_exceptions_are_not_compiled(tree):
    (tree / "tflite_kernels/core/two.cc").write_text("void Two() { throw 2; }")
    with pytest.raises(build_library.BuildError, match="exception"):
        build(tree)


def test_cxx_may_hold_several_words():
    words = "'/a b/python' -m ziglang c++ -target aarch64-linux-gnu.2.27"
    with pytest.raises(build_library.BuildError, match="'/a b/python' is not on PATH"):
        build_library.find_compiler({"CXX": words, "PATH": ""})
    words = f"'{sys.executable}' -m ziglang c++"
    assert build_library.find_compiler({"CXX": words}) == [sys.executable, "-m", "ziglang", "c++"]


def test_without_a_compiler_the_error_says_what_to_install():
    with pytest.raises(build_library.BuildError, match=r"apt-get install g\+\+.*wheel"):
        build_library.find_compiler({"PATH": "/nonexistent"})


def test_compilers_are_tried_in_order(tmp_path):
    (tmp_path / "clang++").symlink_to(sys.executable)
    assert build_library.find_compiler({"PATH": str(tmp_path)}) == ["clang++"]
    (tmp_path / "g++").symlink_to(sys.executable)
    assert build_library.find_compiler({"PATH": str(tmp_path), "CXX": ""}) == ["g++"]


def test_the_compiler_says_what_it_compiles_for():
    here = build_library.find_target(build_library.find_compiler())
    assert here.architecture == platform.machine()
    assert build_library.find_target(ZIG_AARCH64).architecture == "aarch64"
    assert build_library.find_target(ZIG_AARCH64).is_elf


def test_the_library_of_this_machine_exports_the_plugin_and_needs_the_c_library_only(tmp_path):
    library = native.build(tmp_path / "libedgeax.so")
    exported = symbols(library, "--defined-only")
    assert {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"} <= exported
    assert not [name for name in exported if not name.startswith(("tflite_plugin_", "edgeax_"))]
    dynamic = subprocess.run(
        ["readelf", "--dynamic", str(library)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    needed = {line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "NEEDED" in line}
    assert needed <= {"libc.so.6", "libm.so.6"}
