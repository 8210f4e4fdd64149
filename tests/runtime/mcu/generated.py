"""Programs that a test generates, compiled and run on this machine."""

import re
from pathlib import Path
from typing import Any

from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.report import Report
from tests.emulation import process

WARNINGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti")


def run(data: bytes, folder: Path, **options: Any) -> process.Outcome:
    """Generates a program named net, compiles its test with all warnings, and runs it."""
    generate(data, folder, **{"target": "host", "name": "net", **options})
    return run_test(folder, "net")


def run_test(folder: Path, name: str, compiler: str = "g++") -> process.Outcome:
    """Compiles the test of a generated program and runs it."""
    program = folder.parent / f"{folder.name}.test"
    command = [compiler, *WARNINGS, f"-I{folder}", *sources(folder), "-o", program]
    process.compile_or_raise(command)
    return process.run([program], timeout_s=60)


def sources(folder: Path) -> list[Path]:
    """Returns all C++ sources of a generated program, its test among them."""
    return sorted(folder.rglob("*.cc"))


def report(data: bytes, folder: Path, **options: Any) -> Report:
    """Generates a program; returns the receipt."""
    return generate(data, folder, **{"target": "host", "name": "net", **options})


def is_success(outcome: process.Outcome) -> bool:
    """Returns whether a program gave all outputs bit for bit, in single rounding too."""
    differences = re.findall(r"vector \d: (\d+) of", outcome.output)
    return outcome.code == 0 and len(differences) >= 3 and {*differences} == {"0"}
