"""Kernels with packed weights give the oracle's integers: on this machine with the layouts of all
targets and under sanitizers, and on emulated boards with their own instructions."""

from pathlib import Path

import pytest

from edgeax.runtime.mcu.program import Struct
from tests.emulation import boards, process, require
from tests.runtime.mcu import kernel_files, packed_cases, step_program
from tests.runtime.mcu.declared import fields_of

_SANITIZED = (
    "g++ -std=c++17 -O1 -g1 -Wall -Wextra -Werror -I. "
    "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split()


def written(target: str, folder: Path, count: int) -> tuple[Path, list[Path]]:
    """Writes a program of all cases; returns it and the kernels that it needs."""
    cases = packed_cases.everything(target, count)
    program = folder / "cases.cc"
    program.write_text(step_program.source(cases))
    return program, kernel_files.sources([case.step.header for case in cases])


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_portable_kernels_agree_with_the_oracle(target, tmp_path):
    program, kernels = written(target, tmp_path, 6)
    process.compile_or_raise([*_SANITIZED, program, *kernels, "-o", tmp_path / "cases"])
    assert process.run([tmp_path / "cases"], timeout_s=60) == process.Outcome("", 0)


@pytest.mark.parametrize("core", boards.BOARDS)
def test_boards_agree_with_the_oracle(core, tmp_path):
    require.board_tools()
    program, kernels = written(core, tmp_path, 4)  # more do not fit the flash of a board
    firmware = boards.build(core, [program, *kernels], tmp_path / "cases", ["-I.", "-Werror"])
    assert boards.run(core, firmware) == process.Outcome("", 0)


@pytest.mark.parametrize("target", ["host", "cortex-m4", "cortex-m55"])
def test_arguments_have_the_fields_that_headers_declare(target):
    def check(struct: Struct) -> None:
        assert list(struct.fields) == fields_of(struct.type)
        for value in struct.fields.values():
            if isinstance(value, Struct):
                check(value)

    for case in packed_cases.everything(target, 3):
        check(case.step.arguments)
