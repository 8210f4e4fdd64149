"""Kernels of products give the integers of TFLite: on this machine with the layouts of all targets
and under sanitizers, and on emulated boards with their own instructions."""

from pathlib import Path

import pytest

from edgeax.formats import rounding
from edgeax.runtime.mcu.program import Array, Struct
from tests.emulation import boards, process, require
from tests.runtime.mcu import kernel_files, product_cases, step_program
from tests.runtime.mcu.declared import fields_of

_SANITIZED = (
    "g++ -std=c++17 -O1 -g1 -Wall -Wextra -Werror -I. "
    "-fsanitize=address,undefined -fno-sanitize-recover=all"
).split()


def written(target: str, folder: Path) -> tuple[Path, list[Path]]:
    """Writes a program of all cases; returns it and the kernels that it needs."""
    cases = [case for kind in rounding.KINDS for case in product_cases.battery(target, kind)]
    program = folder / "cases.cc"
    program.write_text(step_program.source(cases))
    return program, kernel_files.sources([case.step.header for case in cases])


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_portable_kernels_agree_with_tflite(target, tmp_path):
    program, kernels = written(target, tmp_path)
    process.compile_or_raise([*_SANITIZED, program, *kernels, "-o", tmp_path / "cases"])
    assert process.run([tmp_path / "cases"], timeout_s=60) == process.Outcome("", 0)


@pytest.mark.parametrize("core", boards.BOARDS)
def test_boards_agree_with_tflite(core, tmp_path):
    require.board_tools()
    program, kernels = written(core, tmp_path)
    firmware = boards.build(core, [program, *kernels], tmp_path / "cases", ["-I.", "-Werror"])
    assert boards.run(core, firmware) == process.Outcome("", 0)


def test_a_wrong_code_is_found(tmp_path):
    program, kernels = written("cortex-m4", tmp_path)
    text = program.read_text()
    at = text.index("case0_expected_2[")
    first = text.index("{", at) + 1
    program.write_text(f"{text[:first]}1 + {text[first:]}")
    process.compile_or_raise(["g++", "-std=c++17", "-I.", program, *kernels, "-o", tmp_path / "x"])
    assert process.run([tmp_path / "x"], timeout_s=60).code == 1


@pytest.mark.parametrize("target", ["host", "cortex-m4", "cortex-m55"])
def test_arguments_have_the_fields_that_headers_declare(target):
    def check(struct: Struct) -> None:
        assert list(struct.fields) == fields_of(struct.type)
        for value in struct.fields.values():
            if isinstance(value, Struct):
                check(value)

    cases = product_cases.battery(target, "double")
    for case in cases:
        check(case.step.arguments)
    kinds = {case.step.arguments.type for case in cases}
    assert kinds == {
        *("Conv2DArgs", "Conv2DInt16Args", "FullyConnectedArgs"),
        *("TransposeConvArgs", "TransposeConvInt16Args"),
    }


@pytest.mark.parametrize("target", ["host", "cortex-m4", "cortex-m55"])
def test_constants_are_hardly_more_than_those_of_the_file(target):
    drawn = product_cases.conv2d(1, (1, 8, 8, 32), 32, (3, 3))
    arguments = drawn.case(target, "double").step.arguments
    weights = arguments.fields["weights"]
    assert isinstance(weights, Array) and weights.data.nbytes == 32 * 9 * 32
