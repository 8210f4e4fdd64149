import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeax.runtime.mcu import build_files
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import require
from tests.emulation.cmsis_nn import HERE
from tests.runtime.mcu import cmsis_nn_programs, image_networks, networks
from tests.runtime.mcu.cmsis_nn_programs import STAND_IN

TITLE = Title("net", "net.tflite", "cortex-m4", "double")


def test_make_knows_the_compiler_and_the_flags_of_the_target():
    text = build_files.make_text(TITLE, ["net.cc", "a/b.cc"], TARGETS["cortex-m4"])
    assert "CXX = arm-none-eabi-g++\n" in text
    assert "FLAGS = -mthumb -mcpu=cortex-m4 " in text
    assert "SOURCES = net.cc \\\n  a/b.cc\n" in text


def test_cmake_lists_all_sources():
    text = build_files.cmake_text(TITLE, ["net.cc", "a/b.cc"])
    assert "add_library(net STATIC\n  net.cc\n  a/b.cc)" in text


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m55"])
def test_make_builds_a_library_for_the_target_without_a_warning(tmp_path, target):
    require.board_tools()
    generate(networks.images(), tmp_path / "net", target=target, name="net")
    done = subprocess.run(
        ["make", "-C", tmp_path / "net", "CXXFLAGS=-Werror"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "net" / "build" / "libnet.a").is_file()


def test_cmake_builds_and_tests(tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake: apt-get install cmake")
    generate(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    for command in (
        ["cmake", "-S", tmp_path / "net", "-B", tmp_path / "b", "-DCMAKE_CXX_FLAGS=-Werror"],
        ["cmake", "--build", tmp_path / "b"],
        ["ctest", "--test-dir", tmp_path / "b"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def make(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(folder), "CXXFLAGS=-Werror", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def done_all(commands: Sequence[Sequence[object]]) -> str:
    said = ""
    for command in commands:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout
    return said


@pytest.fixture
def separable(tmp_path: Path) -> Path:
    generate(image_networks.separable(), tmp_path / "net", target="cortex-m4", name="net")
    return tmp_path / "net"


def test_make_uses_cmsis_nn_where_it_is_told_its_folder(separable: Path) -> None:
    library = cmsis_nn_programs.stand_in(HERE)
    words = (f"EDGEAX_USE_CMSIS_NN={STAND_IN}", f"CMSIS_NN_LIBRARY={library.file}")
    done = make(separable, *words, "test")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": 0 of ") == 3
    names = done_all([["nm", "--defined-only", separable / "build/cmsis_nn/net_test"]])
    assert "arm_depthwise_conv_wrapper_s8" in names
    assert make(separable, "test").returncode == 0  # ours, in a folder of its own
    names = done_all([["nm", "--defined-only", separable / "build/net_test"]])
    assert "arm_depthwise_conv_wrapper_s8" not in names


def test_make_builds_a_library_by_cmsis_nn_for_the_target(separable: Path) -> None:
    require.board_tools()
    done = make(separable, f"EDGEAX_USE_CMSIS_NN={STAND_IN}")
    assert done.returncode == 0, done.stderr
    assert (separable / "build" / "cmsis_nn" / "libnet.a").is_file()


@pytest.mark.parametrize(
    "words, said",
    [
        (["EDGEAX_USE_CMSIS_NN=no/such"], "must be a tree of CMSIS-NN, .* Received: no/such"),
        (
            [f"EDGEAX_USE_CMSIS_NN={STAND_IN}", "test"],
            "CMSIS_NN_LIBRARY must be the library of CMSIS-NN for this machine",
        ),
    ],
)
def test_make_says_what_is_wrong_with_a_folder(separable: Path, words: list[str], said: str):
    done = make(separable, *words)
    assert done.returncode != 0 and re.search(said, done.stderr)
    assert not (separable / "build").exists()


def test_a_program_without_a_twin_refuses_cmsis_nn(tmp_path: Path) -> None:
    generate(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    done = make(tmp_path / "net", f"EDGEAX_USE_CMSIS_NN={STAND_IN}")
    assert done.returncode != 0
    assert "EDGEAX_USE_CMSIS_NN must not be set" in done.stderr and "Cortex-M" in done.stderr
    if shutil.which("cmake") is not None:
        words = ["cmake", "-S", tmp_path / "net", "-B", tmp_path / "b"]
        words.append(f"-DEDGEAX_USE_CMSIS_NN={STAND_IN}")
        done = subprocess.run([*map(str, words)], capture_output=True, text=True)
        assert done.returncode != 0 and "must not be set" in done.stderr


def test_cmake_uses_cmsis_nn_where_it_is_told_its_folder(separable: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake: apt-get install cmake")
    library = cmsis_nn_programs.stand_in(HERE)
    told = [f"-DEDGEAX_USE_CMSIS_NN={STAND_IN}", f"-DCMSIS_NN_LIBRARY={library.file}"]
    first = ["cmake", "-S", separable, "-B", tmp_path / "b", "-DCMAKE_CXX_FLAGS=-Werror"]
    done_all(
        [
            [*first, *told],
            ["cmake", "--build", tmp_path / "b"],
            ["ctest", "--test-dir", tmp_path / "b"],
        ]
    )
    names = done_all([["nm", "--defined-only", tmp_path / "b" / "net_test"]])
    assert "arm_depthwise_conv_wrapper_s8" in names
    wrong = ["cmake", "-S", separable, "-B", tmp_path / "c", "-DEDGEAX_USE_CMSIS_NN=/no/such"]
    done = subprocess.run([*map(str, wrong)], capture_output=True, text=True)
    assert done.returncode != 0 and "Received: /no/such" in done.stderr


def test_cmake_links_the_target_of_a_project_that_has_cmsis_nn(
    separable: Path, tmp_path: Path
) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake: apt-get install cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(app LANGUAGES CXX)\n"
        f"add_library(cmsis-nn STATIC {STAND_IN}/Source/arm_nnfunctions.cc)\n"
        f"target_include_directories(cmsis-nn PUBLIC {STAND_IN}/Include)\n"
        f"set(EDGEAX_USE_CMSIS_NN {STAND_IN})\nadd_subdirectory(net)\n"
        "add_executable(app main.cc)\ntarget_link_libraries(app net)\n"
    )
    (tmp_path / "main.cc").write_text(
        '#include "net.h"\nint main() { net::invoke(); return net::ram_bytes == 0; }\n'
    )
    commands = [
        ["cmake", "-S", tmp_path, "-B", tmp_path / "b"],
        ["cmake", "--build", tmp_path / "b"],
        [tmp_path / "b" / "app"],
    ]
    done_all(commands)
