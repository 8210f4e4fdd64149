"""What a test needs of the machine. Where it is missing the test skips, naming it and its cure.

With the environment variable EDGEAX_REQUIRE_ARM=1, as in CI, the test fails instead.
"""

import functools
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tests.emulation import packages, places, process

REQUIRE_VARIABLE = "EDGEAX_REQUIRE_ARM"
SETUP_COMMAND = "python -m tests.emulation.setup"


def arm_is_required() -> bool:
    """Whether a missing rig is a failure rather than a skip."""
    return os.environ.get(REQUIRE_VARIABLE) == "1"


def board_tools() -> None:
    """Needs the bare-metal compiler with its headers, and QEMU's boards."""
    _tool("arm-none-eabi-g++", packages.BARE_METAL)
    if not _bare_metal_headers():
        _missing("headers of the C and C++ library for arm-none-eabi-g++", packages.BARE_METAL)
    _tool("qemu-system-arm", packages.BOARDS)


def cross_tools() -> None:
    """Needs the aarch64 Linux compiler and QEMU's user mode."""
    _tool("aarch64-linux-gnu-g++", packages.CROSS_COMPILER)
    _tool("qemu-aarch64", packages.USER_MODE)


def riscv_tools() -> None:
    """Needs the 32-bit RISC-V compiler and QEMU's user mode."""
    _tool("riscv64-unknown-elf-g++", packages.RISCV_COMPILER)
    _tool("qemu-riscv32", packages.USER_MODE)


def armv7_tools() -> None:
    """Needs the 32-bit Arm Linux compiler and QEMU's user mode."""
    _tool("arm-linux-gnueabihf-g++", packages.ARMV7_COMPILER)
    _tool("qemu-arm", packages.USER_MODE)


def x86_tools() -> None:
    """Needs QEMU's user mode for x86-64."""
    _tool("qemu-x86_64", packages.USER_MODE)


def fuzzer() -> None:
    """Needs clang with the run-time libraries of its sanitizers and of libFuzzer."""
    _tool("clang++-14", packages.FUZZER)
    if not _fuzzer_library():
        _missing("libFuzzer of clang++-14", packages.FUZZER)


def bazel() -> None:
    """Needs Debian's Bazel, whose rules lie on the disk."""
    for path in (places.BAZEL, *places.BAZEL_RULES.values()):
        if not path.exists():
            _missing(str(path), packages.BAZEL)


def browser() -> None:
    """Needs Chromium with what drives it, and the Python package for that."""
    for command in ("chromium", "chromedriver"):
        _tool(command, packages.BROWSER)
    if importlib.util.find_spec("selenium") is None:
        _stop("the Python package selenium", f"{sys.executable} -m pip install selenium")


def arm_python() -> None:
    """Needs QEMU's user mode and the arm64 Python with LiteRT."""
    _tool("qemu-aarch64", packages.USER_MODE)
    for folder in (places.ROOT, places.SITE, places.CPU_ROOTS):
        if not folder.is_dir():
            _stop(f"the folder {folder}", SETUP_COMMAND)


def counter() -> None:
    """Needs a C compiler for the instruction counter."""
    _tool("gcc", packages.HOST_COMPILER)


def zig() -> None:
    """Needs the Python package ziglang."""
    if importlib.util.find_spec("ziglang") is None:
        _stop("the Python package ziglang", f"{sys.executable} -m pip install ziglang")


def _tool(command: str, needed: tuple[str, ...]) -> None:
    if shutil.which(command) is None:
        _missing(command, needed)


@functools.cache
def _bare_metal_headers() -> bool:
    words = ["arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb", "-fsyntax-only"]
    return (
        process.run([*words, "-include", "array", "-x", "c++", "/dev/null"], timeout_s=60).code == 0
    )


@functools.cache
def _fuzzer_library() -> bool:
    folder = process.run(["clang++-14", "-print-runtime-dir"], timeout_s=60).output.strip()
    return any(Path(folder).glob("libclang_rt.fuzzer*"))


def _missing(what: str, needed: tuple[str, ...]) -> NoReturn:
    _stop(what, " ".join(packages.install_command(needed)))


def _stop(what: str, command: str) -> NoReturn:
    message = f"Missing: {what}. Run: {command}"
    if arm_is_required():
        pytest.fail(f"{message} ({REQUIRE_VARIABLE}=1 makes this a failure)", pytrace=False)
    pytest.skip(message)
