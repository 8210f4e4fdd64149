import shutil
import subprocess

import pytest

from edgeax.runtime.mcu import build_files
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import require
from tests.runtime.mcu import networks

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
